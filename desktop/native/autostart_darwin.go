package native

import (
	"fmt"
	"os"
	"path/filepath"
)

// Autostart starts p whenever its user signs in, or no longer.
func Autostart(on bool, p Program) error {
	home, err := os.UserHomeDir()
	if err != nil {
		return fmt.Errorf("find the home directory: %w", err)
	}
	label, content := "io.github.tocsin-ops."+p.Entry, ""
	if on {
		content = launchAgent(label, p)
	}
	return replace(filepath.Join(home, "Library", "LaunchAgents", label+".plist"), content)
}
