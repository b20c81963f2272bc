package native

import (
	"errors"
	"runtime"
	"sync"

	"golang.org/x/sys/windows"
)

// Awake keeps the display on.
type Awake struct {
	mu  sync.Mutex
	end chan struct{}
}

var setThreadExecutionState = windows.NewLazySystemDLL("kernel32.dll").NewProc("SetThreadExecutionState")

const (
	continuous      = 0x80000000
	displayRequired = 0x00000002
)

// Set keeps the display on, or lets it sleep again. What was set ends with the program.
func (a *Awake) Set(on bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if on == (a.end != nil) {
		return nil
	}
	if !on {
		close(a.end)
		a.end = nil
		return nil
	}
	end, started := make(chan struct{}), make(chan error)
	go func() {
		// The system counts by threads: this one asks, waits, and takes it back.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if before, _, err := setThreadExecutionState.Call(continuous | displayRequired); before == 0 {
			started <- errors.Join(errors.New("keep the display on"), err)
			return
		}
		started <- nil
		<-end
		_, _, _ = setThreadExecutionState.Call(continuous)
	}()
	if err := <-started; err != nil {
		return err
	}
	a.end = end
	return nil
}
