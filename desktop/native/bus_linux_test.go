package native_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// bus starts a real bus of the test's own, which starts no services by itself.
type bus struct {
	t       *testing.T
	address string
	config  string
	cmd     *exec.Cmd
}

func startBus(t *testing.T) *bus {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no dbus-daemon: make tools installs it: %v", err)
		}
		t.Skipf("no dbus-daemon on this computer (Debian: dbus-daemon): %v", err)
	}
	dir := t.TempDir()
	b := &bus{t: t, config: filepath.Join(dir, "bus.conf")}
	conf := fmt.Sprintf(`<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><keep_umask/><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`, filepath.Join(dir, "bus"))
	if err := os.WriteFile(b.config, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	b.start()
	t.Cleanup(b.stop)
	return b
}

func (b *bus) start() {
	b.t.Helper()
	b.cmd = exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--nosyslog", "--config-file="+b.config, "--print-address=1")
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.t.Fatalf("read the address of the bus: %v", err)
	}
	b.address = strings.TrimSpace(line)
}

func (b *bus) stop() {
	if b.cmd == nil {
		return
	}
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
	b.cmd = nil
}

func (b *bus) connect() *dbus.Conn {
	b.t.Helper()
	c, err := dbus.Connect(b.address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	return c
}

// shownNote is what a desktop was asked to show.
type shownNote struct {
	ID       uint32
	Replaces uint32
	Title    string
	Body     string
	Actions  []string
	Urgency  byte
	Entry    string
	Expires  int32
}

// desktop is the service side: it numbers notes as the specification says.
type desktop struct {
	t      *testing.T
	c      *dbus.Conn
	can    []string
	next   uint32
	shown  chan shownNote
	closed chan uint32
}

func (b *bus) desktop(can ...string) *desktop {
	b.t.Helper()
	d := &desktop{t: b.t, c: b.connect(), can: can, shown: make(chan shownNote, 100), closed: make(chan uint32, 100)}
	if err := d.c.Export(d, "/org/freedesktop/Notifications", "org.freedesktop.Notifications"); err != nil {
		b.t.Fatal(err)
	}
	b.own(d.c, "org.freedesktop.Notifications")
	return d
}

func (b *bus) own(c *dbus.Conn, name string) {
	b.t.Helper()
	if got, err := c.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || got != dbus.RequestNameReplyPrimaryOwner {
		b.t.Fatalf("own %s: %v %v", name, got, err)
	}
}

func (d *desktop) GetCapabilities() ([]string, *dbus.Error) { return d.can, nil }

func (d *desktop) Notify(app string, replaces uint32, icon, title, body string, actions []string, hints map[string]dbus.Variant, expires int32) (uint32, *dbus.Error) {
	id := replaces
	if id == 0 {
		d.next++
		id = d.next
	}
	n := shownNote{ID: id, Replaces: replaces, Title: title, Body: body, Actions: actions, Expires: expires}
	n.Urgency, _ = hints["urgency"].Value().(byte)
	n.Entry, _ = hints["desktop-entry"].Value().(string)
	d.shown <- n
	return id, nil
}

func (d *desktop) CloseNotification(id uint32) *dbus.Error {
	d.closed <- id
	d.emit("NotificationClosed", id, uint32(3))
	return nil
}

func (d *desktop) emit(member string, args ...any) {
	err := d.c.Emit("/org/freedesktop/Notifications", "org.freedesktop.Notifications."+member, args...)
	if err != nil && !errors.Is(err, dbus.ErrClosed) {
		d.t.Errorf("emit %s: %v", member, err)
	}
}
