package native

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// keeper is a service that keeps the display awake for us; the zero value is nobody.
type keeper struct {
	name    string
	release func(context.Context) error
}

const why = "An incident room is on the screen"

// keepers are asked in this order. Names on the bus, and how each is asked.
var keepers = []struct {
	name string
	ask  func(ctx context.Context, d *dialog) (release func(context.Context) error, err error)
}{
	{"org.freedesktop.ScreenSaver", func(ctx context.Context, d *dialog) (func(context.Context) error, error) {
		const name, path = "org.freedesktop.ScreenSaver", dbus.ObjectPath("/org/freedesktop/ScreenSaver")
		var cookie uint32
		err := d.call(ctx, name, path, name+".Inhibit", []any{&cookie}, d.s.o.Name, why)
		return func(ctx context.Context) error { return d.call(ctx, name, path, name+".UnInhibit", nil, cookie) }, err
	}},
	{"org.gnome.SessionManager", func(ctx context.Context, d *dialog) (func(context.Context) error, error) {
		const name, path, idle = "org.gnome.SessionManager", dbus.ObjectPath("/org/gnome/SessionManager"), uint32(8)
		var cookie uint32
		err := d.call(ctx, name, path, name+".Inhibit", []any{&cookie}, d.s.o.Name, uint32(0), why, idle)
		return func(ctx context.Context) error { return d.call(ctx, name, path, name+".Uninhibit", nil, cookie) }, err
	}},
	{"org.freedesktop.portal.Desktop", func(ctx context.Context, d *dialog) (func(context.Context) error, error) {
		const name, path, idle = "org.freedesktop.portal.Desktop", dbus.ObjectPath("/org/freedesktop/portal/desktop"), uint32(8)
		var request dbus.ObjectPath
		err := d.call(ctx, name, path, "org.freedesktop.portal.Inhibit.Inhibit", []any{&request}, "", idle,
			map[string]dbus.Variant{"reason": dbus.MakeVariant(why)})
		return func(ctx context.Context) error {
			return d.call(ctx, name, request, "org.freedesktop.portal.Request.Close", nil)
		}, err
	}},
}

func keeperNames() []string {
	var names []string
	for _, k := range keepers {
		names = append(names, k.name)
	}
	return names
}

// keepAwake asks the session's services, and says whether one of them does it now.
func (d *dialog) keepAwake(ctx context.Context, on bool) bool {
	if !on {
		if d.keeping.release != nil {
			if err := d.keeping.release(ctx); err != nil {
				d.s.once(ctx, "let the display sleep again", err)
			}
		}
		d.keeping, d.tried = keeper{}, false
		return false
	}
	if d.keeping.release != nil || d.tried {
		return d.keeping.release != nil
	}
	d.tried = true
	for _, k := range keepers {
		if release, err := k.ask(ctx, d); err == nil {
			d.keeping = keeper{k.name, release}
			return true
		}
	}
	return false
}

// screen is an X display without a session around it, as a kiosk has. It is told by xset, and gets back what it was told before.
type screen struct {
	restore [][]string // arguments of xset; nil while nothing was changed
	failed  error      // what xset said the one time it was asked in vain
}

const xsetWithin = 5 * time.Second

func xset(ctx context.Context, args ...string) (string, error) {
	ctx, end := context.WithTimeout(ctx, xsetWithin)
	defer end()
	out, err := exec.CommandContext(ctx, "xset", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("xset %s: %w: %s", strings.Join(args, " "), err, cut(strings.TrimSpace(string(out)), maxTitle))
	}
	return string(out), nil
}

var (
	saverTimes = regexp.MustCompile(`timeout:\s+(\d+)\s+cycle:\s+(\d+)`)
	blanking   = regexp.MustCompile(`prefer blanking:\s+(yes|no)`)
	dpmsOn     = regexp.MustCompile(`DPMS is Enabled`)
)

func (x *screen) wake(ctx context.Context) error {
	if x.restore != nil || x.failed != nil {
		return x.failed
	}
	was, err := xset(ctx, "q")
	if err != nil {
		x.failed = err
		return err
	}
	restore := [][]string{}
	if m := saverTimes.FindStringSubmatch(was); m != nil {
		restore = append(restore, []string{"s", m[1], m[2]})
	}
	if m := blanking.FindStringSubmatch(was); m != nil && m[1] == "yes" {
		restore = append(restore, []string{"s", "blank"})
	}
	_, err = xset(ctx, "s", "off", "s", "noblank")
	if dpmsOn.MatchString(was) {
		restore = append(restore, []string{"+dpms"})
		_, dpms := xset(ctx, "-dpms")
		err = errors.Join(err, dpms)
	}
	x.restore, x.failed = restore, err
	return err
}

// sleep gives the display back what it was told before us.
func (x *screen) sleep() {
	for _, args := range x.restore {
		_, _ = xset(context.Background(), args...) // the display may be gone, and then nothing is left to restore
	}
	*x = screen{}
}
