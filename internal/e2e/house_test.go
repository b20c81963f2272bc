package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what should take moments: these
// machines are slow and shared. What must be fast says so where it is tested.
const patience = 45 * time.Second

var (
	root     string // of the repository
	product  string // the product, built with -race
	lastStop = func() {}
)

func TestMain(m *testing.M) {
	code := 1
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
	} else {
		code = m.Run()
	}
	lastStop()
	if dir := filepath.Dir(product); product != "" && os.Getenv("TOCSIN_BINARY") == "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// build makes the product once for all tests, with the race detector. With
// TOCSIN_BINARY set that program is tested instead.
func build() error {
	_, here, _, _ := runtime.Caller(0)
	root = filepath.Dir(filepath.Dir(filepath.Dir(here)))
	if _, err := os.Stat(filepath.Join(root, "web/assets/dist/app.js")); err != nil {
		return fmt.Errorf("the scripts of the pages are not built; run: make build")
	}
	if product = os.Getenv("TOCSIN_BINARY"); product != "" {
		return nil
	}
	dir, err := os.MkdirTemp("", "tocsin-e2e-")
	if err != nil {
		return err
	}
	product = filepath.Join(dir, "tocsin")
	args := []string{"build", "-o", product}
	if os.Getenv("TOCSIN_SCREENSHOTS") == "" && os.Getenv("TOCSIN_BENCH") == "" {
		args = append(args, "-race") // pictures and figures are taken of the program as it is shipped
	}
	cmd := exec.Command("go", append(args, "./cmd/tocsin")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the product: %w\n%s", err, out)
	}
	return nil
}

// tool is a program that tools.sh installs.
func tool(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(root, "internal/e2e/.cache/bin", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("there is no %s; run: make tools", name)
	}
	return path
}

// until waits for something to become true and fails with what was seen last.
func until(t testing.TB, what string, within time.Duration, ok func() (bool, string)) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		done, seen := ok()
		if done {
			return time.Since(began)
		}
		if time.Since(began) > within {
			t.Fatalf("%s: not within %s; last seen: %s", what, within, seen)
		}
		time.Sleep(20 * time.Millisecond) // only to leave the machine to others
	}
}

// freePort is a port that nobody uses now, nor gets by chance before its program listens: it is none of those that the system gives to connections and to
// who asks for any, and no test is given it twice.
func freePort(t testing.TB) string {
	t.Helper()
	lowest := 32768
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, _ = fmt.Sscan(string(b), &lowest)
	}
	const first = 10000
	if lowest < first+1000 {
		t.Fatalf("the system gives ports from %d on, and the tests want some of their own from %d on; see net.ipv4.ip_local_port_range", lowest, first)
	}
	for range 1000 {
		port := first + rand.IntN(lowest-first)
		if _, twice := portsGiven.LoadOrStore(port, true); twice {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprint(":", port)) // at every address
		if err != nil {
			continue
		}
		_ = l.Close()
		return fmt.Sprint(port)
	}
	t.Fatal("no port is free")
	return ""
}

var portsGiven sync.Map

// child is a program that runs beside the test and is killed at its end.
type child struct {
	name string
	cmd  *exec.Cmd
	out  *tail
	gone chan struct{} // closed when it has ended
}

func spawn(t testing.TB, name, path string, env []string, args ...string) *child {
	t.Helper()
	c := &child{name: name, cmd: exec.Command(path, args...), out: &tail{}, gone: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), env...)
	c.cmd.Stdout, c.cmd.Stderr = c.out, c.out
	if err := c.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() { _ = c.cmd.Wait(); close(c.gone) }()
	t.Cleanup(func() {
		c.kill()
		if t.Failed() {
			t.Logf("%s said last:\n%s", name, c.out.last(1500))
		}
	})
	return c
}

// kill ends it as a power cut would, and waits until it is gone.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.gone
}

// stop asks it to end and waits.
func (c *child) stop(t testing.TB) {
	t.Helper()
	_ = c.cmd.Process.Signal(os.Interrupt)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case <-c.gone:
	case <-ctx.Done():
		t.Errorf("%s did not end within %s of being asked", c.name, patience)
		c.kill()
	}
}

func lines(s string, with string) (out []string) {
	for l := range strings.Lines(s) {
		if strings.Contains(l, with) {
			out = append(out, strings.TrimSpace(l))
		}
	}
	return out
}
