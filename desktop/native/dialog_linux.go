package native

import (
	"context"
	"html"
	"slices"

	"github.com/godbus/dbus/v5"
)

const (
	notifications     = "org.freedesktop.Notifications"
	notificationsPath = dbus.ObjectPath("/org/freedesktop/Notifications")
	launcher          = "com.canonical.Unity.LauncherEntry"
	launcherPath      = dbus.ObjectPath("/com/canonical/unity/launcherentry/1")
)

// dialog is what was said to the session's services over one connection. One goroutine uses it.
type dialog struct {
	s       *Session
	c       *dbus.Conn
	shown   map[string]uint32
	keys    map[uint32]string
	token   string // given just before the action it belongs to
	can     []string
	asked   bool
	badge   badge
	keeping keeper
	tried   bool // nobody keeps awake, and nobody new has come since
}

func newDialog(s *Session, c *dbus.Conn) *dialog {
	return &dialog{s: s, c: c, shown: map[string]uint32{}, keys: map[uint32]string{}}
}

func (d *dialog) listen(ctx context.Context) error {
	if err := d.c.AddMatchSignalContext(ctx, dbus.WithMatchInterface(notifications), dbus.WithMatchObjectPath(notificationsPath)); err != nil {
		return err
	}
	for _, name := range append([]string{notifications}, keeperNames()...) {
		err := d.c.AddMatchSignalContext(ctx, dbus.WithMatchSender("org.freedesktop.DBus"), dbus.WithMatchInterface("org.freedesktop.DBus"),
			dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, name))
		if err != nil {
			return err
		}
	}
	return nil
}

// call asks a service, and waits no longer than it may take: to the answer, also when the program ends meanwhile, or what was asked for could not be
// taken back.
func (d *dialog) call(ctx context.Context, name string, path dbus.ObjectPath, method string, out []any, args ...any) error {
	ctx, end := context.WithTimeout(context.WithoutCancel(ctx), answersWithin)
	defer end()
	return d.c.Object(name, path).CallWithContext(ctx, method, 0, args...).Store(out...)
}

func (d *dialog) notify(ctx context.Context, n Note) error {
	if !d.asked {
		var can []string
		if err := d.call(ctx, notifications, notificationsPath, notifications+".GetCapabilities", []any{&can}); err != nil {
			return err
		}
		d.can, d.asked = can, true
	}
	body, actions := n.Body, []string{}
	if slices.Contains(d.can, "body-markup") {
		body = html.EscapeString(body)
	}
	if slices.Contains(d.can, "actions") {
		for i, a := range n.Actions {
			if i == 0 {
				actions = append(actions, "default", cut(a.Label, maxButton))
			}
			actions = append(actions, a.ID, cut(a.Label, maxButton))
		}
	}
	expires := int32(-1) // as the desktop likes
	if n.Sticky {
		expires = 0
	}
	hints := map[string]dbus.Variant{
		"urgency":        dbus.MakeVariant(byte(n.Urgency)),
		"desktop-entry":  dbus.MakeVariant(d.s.o.Entry),
		"suppress-sound": dbus.MakeVariant(true), // the program has sounds of its own
	}
	before := d.shown[n.Key]
	var id uint32
	err := d.call(ctx, notifications, notificationsPath, notifications+".Notify", []any{&id},
		d.s.o.Name, before, d.s.o.Entry, n.Title, body, actions, hints, expires)
	if err != nil {
		return err
	}
	delete(d.keys, before)
	d.shown[n.Key], d.keys[id] = id, n.Key
	return nil
}

// close takes a note of ours from the screen. That it is gone already is no error worth a word.
func (d *dialog) close(ctx context.Context, key string) {
	id, ok := d.shown[key]
	if !ok {
		return
	}
	delete(d.shown, key)
	delete(d.keys, id)
	_ = d.call(ctx, notifications, notificationsPath, notifications+".CloseNotification", nil, id)
}

// heard takes a signal. Those about the notes of other programs are not ours.
func (d *dialog) heard(sig *dbus.Signal) {
	switch sig.Name {
	case notifications + ".ActivationToken":
		var id uint32
		if dbus.Store(sig.Body, &id, &d.token) != nil || d.keys[id] == "" {
			d.token = ""
		}
	case notifications + ".ActionInvoked":
		var id uint32
		var action string
		if dbus.Store(sig.Body, &id, &action) != nil {
			return
		}
		key, ok := d.keys[id]
		if !ok {
			return
		}
		d.s.mu.Lock()
		note := d.s.want[key].note
		d.s.mu.Unlock()
		if action == "default" && len(note.Actions) > 0 {
			action = note.Actions[0].ID
		}
		d.s.o.Chosen(Choice{Key: key, Action: action, Token: d.token})
		d.token = ""
	case notifications + ".NotificationClosed":
		var id, reason uint32
		if dbus.Store(sig.Body, &id, &reason) != nil {
			return
		}
		if key, ok := d.keys[id]; ok {
			delete(d.keys, id)
			delete(d.shown, key)
			d.s.forget(key)
		}
	case "org.freedesktop.DBus.NameOwnerChanged":
		var name, before, after string
		if dbus.Store(sig.Body, &name, &before, &after) != nil {
			return
		}
		if name == notifications {
			d.newDesktop(before != "", after != "")
			return
		}
		if d.keeping.name == name {
			d.keeping = keeper{}
		}
		d.tried = false
	}
}

// newDesktop: another service shows notes from now on, or none. It knows nothing of those of the one before; what somebody must deal with is shown again.
// What was shown while there was none was shown to the one that came.
func (d *dialog) newDesktop(was, is bool) {
	if was {
		clear(d.shown)
		clear(d.keys)
		d.asked = false
	}
	if !is {
		return
	}
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	for key, w := range d.s.want {
		if _, shown := d.shown[key]; w.note.Sticky && !shown {
			d.s.again(key)
		}
	}
}

// setBadge tells the launchers that listen (Ubuntu's dock, KDE's task bar, Plank); nobody answers.
func (d *dialog) setBadge(b badge) {
	if b == d.badge {
		return
	}
	d.badge = b
	_ = d.c.Emit(launcherPath, launcher+".Update", "application://"+d.s.o.Entry+".desktop", map[string]dbus.Variant{
		"count":         dbus.MakeVariant(int64(b.count)),
		"count-visible": dbus.MakeVariant(b.count > 0),
		"urgent":        dbus.MakeVariant(b.urgent),
	})
}

// leave takes back what would outlive the program.
func (d *dialog) leave() {
	ctx, end := context.WithTimeout(context.Background(), answersWithin)
	defer end()
	for key := range d.shown {
		d.close(ctx, key)
	}
	d.keepAwake(ctx, false)
	d.setBadge(badge{})
}
