package native

import (
	"fmt"
	"os"
	"path/filepath"
)

// Autostart starts p whenever its user signs in, or no longer.
func Autostart(on bool, p Program) error {
	dir, err := os.UserConfigDir()
	if err != nil {
		return fmt.Errorf("find the directory for settings: %w", err)
	}
	content := ""
	if on {
		content = desktopEntry(p)
	}
	return replace(filepath.Join(dir, "autostart", p.Entry+".desktop"), content)
}
