package native

import (
	"os"
	"os/exec"
	"strconv"
	"sync"
)

// Awake keeps the display on.
type Awake struct {
	mu  sync.Mutex
	cmd *exec.Cmd
}

// Set keeps the display on, or lets it sleep again. What was set ends with the program.
func (a *Awake) Set(on bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if on == (a.cmd != nil) {
		return nil
	}
	if !on {
		err := a.cmd.Process.Kill()
		_ = a.cmd.Wait() // it was killed, and says so
		a.cmd = nil
		return err
	}
	cmd := exec.Command("caffeinate", "-d", "-w", strconv.Itoa(os.Getpid()))
	if err := cmd.Start(); err != nil {
		return err
	}
	a.cmd = cmd
	return nil
}
