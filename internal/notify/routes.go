package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ops/tocsin/store"
)

// UndoFor is how long a removed route can be brought back; then its address is forgotten with the next change of the person's routes.
const UndoFor = 15 * time.Minute

// Last is what became of the newest attempt on a route.
type Last struct {
	Outcome string `json:"outcome"`
	Detail  string `json:"detail,omitempty"`
	At      int64  `json:"at"`
	OK      int64  `json:"ok,omitempty"` // when a provider last took something, 0: never
}

// RouteState is one route as its own person sees it.
type RouteState struct {
	Route
	Shown string // enough of the address to know which one it is
	Last  Last
	Waits bool   // a code was sent that is still good
	Off   string // why nothing can be sent over it now; empty: it can
}

// routeList is the person's routes as the store has them.
type routeList struct {
	List []Route `json:"list"`
	rev  int64
}

func routesKey(person string) string { return "notify/routes/" + digest(person) }
func lastKey(person, route string) []byte {
	return []byte("notify/last/" + digest(person) + "/" + route)
}
func codeKey(person, route string) []byte {
	return []byte("notify/code/" + digest(person) + "/" + route)
}

// get reads JSON; a key that is not there leaves v alone.
func (n *Office) get(ctx context.Context, key []byte, v any) (rev int64, err error) {
	kv, err := n.DB.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(kv.Value, v); err != nil {
		return 0, fmt.Errorf("decode: %w", err)
	}
	return kv.Rev, nil
}

func (n *Office) routes(ctx context.Context, person string) (routeList, error) {
	var l routeList
	rev, err := n.get(ctx, []byte(routesKey(person)), &l)
	if err != nil {
		return l, fmt.Errorf("read the routes of %s: %w", person, err)
	}
	l.rev = rev
	l.fit(n.rights(person))
	return l, nil
}

func (n *Office) rights(person string) Rights {
	if n.Rights == nil {
		return Rights{Here: true, Paged: true, Admin: true}
	}
	return n.Rights(person)
}

// fit leaves what the person's rights of now allow; what is written next is that.
func (l *routeList) fit(now Rights) {
	l.List = slices.DeleteFunc(l.List, func(r Route) bool { return !now.Here || r.Added < now.Since })
	if now.Admin {
		return
	}
	for i := range l.List {
		r := &l.List[i]
		r.Private = false
		if as := *r; (r.Kind == Push || r.Kind == Webhook || r.Kind == Other) && as.checkAddress() != nil {
			r.barred = "only administrators may use this address, and this person is none any more"
		}
	}
}

func (n *Office) last(ctx context.Context, person, route string) (l Last, err error) {
	if _, err = n.get(ctx, lastKey(person, route), &l); err != nil {
		err = fmt.Errorf("read what a route did last: %w", err)
	}
	return l, err
}

// Routes lists a person's routes in their order, without those that were removed. Addresses are in it: it is for this person's own eyes.
func (n *Office) Routes(ctx context.Context, person string) ([]RouteState, error) {
	l, err := n.routes(ctx, person)
	if err != nil {
		return nil, err
	}
	var out []RouteState
	for _, r := range l.List {
		if r.Removed != 0 {
			continue
		}
		s := RouteState{Route: r, Shown: r.mask(), Off: n.off(r.Kind)}
		if r.barred != "" {
			s.Off = "Only administrators may use this address. Remove it, and add another one."
		}
		if s.Last, err = n.last(ctx, person, r.ID); err != nil {
			return nil, err
		}
		var c code
		if _, err = n.get(ctx, codeKey(person, r.ID), &c); err != nil {
			return nil, fmt.Errorf("read a code: %w", err)
		}
		s.Waits = r.Verified == 0 && c.Digest != "" && c.Until > n.Clock()
		out = append(out, s)
	}
	return out, nil
}

// Reach says by which kinds of route a person can be reached, without addresses: for administrators and warnings. Only what is Verified counts for pages.
func (n *Office) Reach(ctx context.Context, person string) ([]Channel, error) {
	l, err := n.routes(ctx, person)
	if err != nil {
		return nil, err
	}
	var out []Channel
	for _, r := range l.List {
		if r.Removed != 0 {
			continue
		}
		last, err := n.last(ctx, person, r.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, Channel{Kind: r.Kind, Label: r.Label, Verified: r.Verified != 0 && r.barred == "" && n.off(r.Kind) == "", LastOK: last.OK})
	}
	return out, nil
}

// Offer is one kind of route with what to do when it is not set up.
type Offer struct {
	Kind, Label string
	Off         string // what to set up; empty: it can be used
}

// Offers lists all kinds of route.
func (n *Office) Offers() []Offer {
	var out []Offer
	for _, k := range Kinds {
		out = append(out, Offer{Kind: k, Label: labels[k], Off: n.off(k)})
	}
	return out
}

func (n *Office) off(kind string) string {
	if n.senders[kind] != nil {
		return ""
	}
	if n.Off[kind] != "" {
		return n.Off[kind]
	}
	return "It is not set up on this server."
}

// AddRoute puts a route at the end of the person's list. admin lets it lead into private networks. It must be confirmed (Test, Confirm) before it is
// used, except for the person's own browser. The error is a *Refusal when a person can read why not.
func (n *Office) AddRoute(ctx context.Context, person string, r Route, admin bool) (string, error) {
	r.ID, r.Private, r.Added, r.Removed, r.Verified, r.Secrets = "r"+secretText(5), admin, n.Clock(), 0, 0, nil
	switch r.Kind {
	case Push:
		r.Verified = r.Added
	case Webhook:
		r.Secrets = []string{secretText(32)}
	}
	if err := r.check(); err != nil {
		return "", err
	}
	if why := n.off(r.Kind); why != "" {
		return "", refuse("channel_off", "%s", why)
	}
	id := r.ID
	return id, n.change(ctx, person, func(l *routeList) error {
		live := 0
		for _, o := range l.List {
			if o.Removed != 0 {
				continue
			}
			live++
			if o.Kind == r.Kind && r.Kind == Push && o.Push.Endpoint == r.Push.Endpoint {
				id = o.ID // this browser is on the list already; its keys may be new
				return l.edit(o.ID, func(o *Route) error { o.Push = r.Push; return nil })
			}
			if o.Kind == r.Kind && r.Kind != Push && o.Address == r.Address {
				return refuse("route_there", "This address is on your list already.")
			}
		}
		if live >= MaxRoutes {
			return refuse("too_many_routes", "You have %d routes, which is all there may be. Remove one first.", MaxRoutes)
		}
		l.List = append(l.List, r)
		return nil
	})
}

// Setting is what a person may change of a route without confirming it again.
type Setting struct {
	Label string
	After int64 // ms
	Floor string
	Quiet *Quiet
}

// SetRoute changes name, wait, floor and quiet hours of a route.
func (n *Office) SetRoute(ctx context.Context, person, id string, s Setting) error {
	return n.change(ctx, person, func(l *routeList) error {
		return l.edit(id, func(r *Route) error {
			r.Label, r.After, r.Floor, r.Quiet = s.Label, s.After, s.Floor, s.Quiet
			return r.check()
		})
	})
}

// MoveRoute puts a route one place up or down.
func (n *Office) MoveRoute(ctx context.Context, person, id string, up bool) error {
	return n.change(ctx, person, func(l *routeList) error {
		i, err := l.find(id)
		if err != nil {
			return err
		}
		step := 1
		if up {
			step = -1
		}
		for k := i + step; k >= 0 && k < len(l.List); k += step {
			if l.List[k].Removed == 0 {
				l.List[i], l.List[k] = l.List[k], l.List[i]
				return nil
			}
		}
		return nil // it is at the end already
	})
}

// RemoveRoute takes a route off the list; RestoreRoute brings it back within UndoFor.
func (n *Office) RemoveRoute(ctx context.Context, person, id string) error {
	return n.change(ctx, person, func(l *routeList) error {
		return l.edit(id, func(r *Route) error { r.Removed = n.Clock(); return nil })
	})
}

// RestoreRoute undoes RemoveRoute.
func (n *Office) RestoreRoute(ctx context.Context, person, id string) error {
	return n.change(ctx, person, func(l *routeList) error {
		i := slices.IndexFunc(l.List, func(r Route) bool { return r.ID == id })
		if i < 0 {
			return refuse("unknown_route", "This route is forgotten by now. Add it again.")
		}
		if live := slices.Collect(l.live()); l.List[i].Removed != 0 && len(live) >= MaxRoutes {
			return refuse("too_many_routes", "You have %d routes, which is all there may be. Remove one first.", MaxRoutes)
		}
		l.List[i].Removed = 0
		return nil
	})
}

// RotateSecret gives a webhook a new secret. The one before goes on signing as well, until the next time.
func (n *Office) RotateSecret(ctx context.Context, person, id string) error {
	return n.change(ctx, person, func(l *routeList) error {
		return l.edit(id, func(r *Route) error {
			if r.Kind != Webhook {
				return refuse("no_secret", "Only webhooks have a secret.")
			}
			r.Secrets = append([]string{secretText(32)}, r.Secrets[:min(1, len(r.Secrets))]...)
			return nil
		})
	})
}

func (l *routeList) live() func(func(Route) bool) {
	return func(yield func(Route) bool) {
		for _, r := range l.List {
			if r.Removed == 0 && !yield(r) {
				return
			}
		}
	}
}

func (l *routeList) find(id string) (int, error) {
	i := slices.IndexFunc(l.List, func(r Route) bool { return r.ID == id && r.Removed == 0 })
	if i < 0 {
		return i, refuse("unknown_route", "This route is not on your list. Reload the page.")
	}
	return i, nil
}

func (l *routeList) edit(id string, with func(*Route) error) error {
	i, err := l.find(id)
	if err != nil {
		return err
	}
	return with(&l.List[i])
}

// change edits a person's routes; when others do so at the same time, on what they left.
func (n *Office) change(ctx context.Context, person string, with func(*routeList) error) error {
	for try := 0; ; try++ {
		l, err := n.routes(ctx, person)
		if err != nil {
			return err
		}
		old := n.Clock() - UndoFor.Milliseconds()
		l.List = slices.DeleteFunc(l.List, func(r Route) bool { return r.Removed != 0 && r.Removed < old })
		if err := with(&l); err != nil {
			return err
		}
		raw, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("encode the routes of %s: %w", person, err)
		}
		_, err = n.DB.Commit(ctx, store.Txn{
			If:   []store.Cond{{Key: []byte(routesKey(person)), Rev: l.rev}},
			Then: []store.Op{{Key: []byte(routesKey(person)), Value: raw}},
		})
		switch {
		case errors.Is(err, store.ErrConflict) && try < 5:
		case err != nil:
			return fmt.Errorf("write the routes of %s: %w", person, err)
		default:
			return nil
		}
	}
}

// Secret is what signs a webhook, the newest; empty for other kinds. For this person's own eyes.
func (s RouteState) Secret() string {
	if len(s.Secrets) == 0 {
		return ""
	}
	return s.Secrets[0]
}
