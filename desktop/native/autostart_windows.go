package native

import (
	"errors"
	"fmt"

	"golang.org/x/sys/windows/registry"
)

// Autostart starts p whenever its user signs in, or no longer.
func Autostart(on bool, p Program) (err error) {
	k, _, err := registry.CreateKey(registry.CURRENT_USER, `Software\Microsoft\Windows\CurrentVersion\Run`, registry.SET_VALUE)
	if err != nil {
		return fmt.Errorf("open the list of programs that start: %w", err)
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	if on {
		return k.SetStringValue(p.Name, commandLine(p))
	}
	if err := k.DeleteValue(p.Name); err != nil && !errors.Is(err, registry.ErrNotExist) {
		return err
	}
	return nil
}
