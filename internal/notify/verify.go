package notify

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/store"
)

// A code proves that whoever typed it reads what is sent to the address.
const (
	codeFor   = int64(15 * time.Minute / time.Millisecond)
	codeTries = 5
	testsIn   = int64(10 * time.Minute / time.Millisecond)
	testsMost = 5  // tests of one route within testsIn
	testsAll  = 15 // and of all routes of a person, also of those that are gone: tests cost money and bother others
)

type code struct {
	Digest string  `json:"digest,omitempty"`
	Until  int64   `json:"until,omitempty"`
	Tries  int     `json:"tries,omitempty"`
	Asked  []int64 `json:"asked,omitempty"` // the last tests
}

// Test sends something over one route, whatever its floor and its hours; what became of it is in Routes. An address that is not confirmed gets a code
// of six digits for Confirm, good for 15 minutes. At most 5 tests of a route in 10 minutes. The error is a *Refusal when a person can read why not.
func (n *Office) Test(ctx context.Context, person, id string) error {
	l, err := n.routes(ctx, person)
	if err != nil {
		return err
	}
	i, err := l.find(id)
	if err != nil {
		return err
	}
	r := l.List[i]
	if why := n.off(r.Kind); why != "" {
		return refuse("channel_off", "%s", why)
	}
	now := n.Clock()
	m := Message{ID: "test:" + secretText(8), Person: person, Kind: KindTest, Title: "Tocsin reaches you here", Sentence: "This is a test that you asked for.", At: now, Route: id}
	if base := n.Base(); base != "" {
		m.URL = base + "/me/notifications"
	}
	var c code
	rev, err := n.get(ctx, codeKey(person, id), &c)
	if err != nil {
		return fmt.Errorf("read a code: %w", err)
	}
	c.Asked = slices.DeleteFunc(c.Asked, func(at int64) bool { return at <= now-testsIn })
	if len(c.Asked) >= testsMost {
		return refuse("too_many", "This route was tested %d times in ten minutes. Wait a little.", testsMost)
	}
	c.Asked = append(c.Asked, now)
	if err := n.allowTest(ctx, person, now); err != nil {
		return err
	}
	if r.Verified == 0 {
		digits, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
		if err != nil {
			return fmt.Errorf("draw a code: %w", err)
		}
		text := fmt.Sprintf("%06d", digits)
		c.Digest, c.Until, c.Tries = digest(person, id, text), now+codeFor, 0
		m.Title, m.Sentence = "Your code is "+text, "Type it on the page Notifications within 15 minutes, and Tocsin can reach you here."
	}
	if err := n.write(ctx, codeKey(person, id), rev, c); err != nil {
		return err
	}
	return n.Submit(ctx, []Message{m})
}

// allowTest counts the tests of a person.
func (n *Office) allowTest(ctx context.Context, person string, now int64) error {
	var all code
	rev, err := n.get(ctx, codeKey(person, "all"), &all)
	if err != nil {
		return fmt.Errorf("count the tests of %s: %w", person, err)
	}
	all.Asked = slices.DeleteFunc(all.Asked, func(at int64) bool { return at <= now-testsIn })
	if len(all.Asked) >= testsAll {
		return refuse("too_many", "You sent %d tests in ten minutes. Wait a little.", testsAll)
	}
	all.Asked = append(all.Asked, now)
	return n.write(ctx, codeKey(person, "all"), rev, all)
}

// Confirm takes the code of Test; from then on the route counts. Five wrong ones make the code useless.
func (n *Office) Confirm(ctx context.Context, person, id, text string) error {
	var c code
	rev, err := n.get(ctx, codeKey(person, id), &c)
	if err != nil {
		return fmt.Errorf("read a code: %w", err)
	}
	now := n.Clock()
	if c.Digest == "" || c.Until <= now || c.Tries >= codeTries {
		return refuse("code_old", "There is no code that is still good. Send a test, and type the code that it brings.")
	}
	if subtle.ConstantTimeCompare([]byte(digest(person, id, strings.Join(strings.Fields(text), ""))), []byte(c.Digest)) != 1 {
		c.Tries++
		if err := n.write(ctx, codeKey(person, id), rev, c); err != nil {
			return err
		}
		return refuse("code_wrong", "This is not the code of the newest test. %d tries are left.", codeTries-c.Tries)
	}
	// Used up first: of two that type it at once one is refused.
	c.Digest, c.Until = "", 0
	if err := n.write(ctx, codeKey(person, id), rev, c); err != nil {
		return err
	}
	return n.change(ctx, person, func(l *routeList) error {
		return l.edit(id, func(r *Route) error { r.Verified = now; return nil })
	})
}

// write puts JSON where nobody else has written meanwhile.
func (n *Office) write(ctx context.Context, key []byte, rev int64, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	_, err = n.DB.Commit(ctx, store.Txn{If: []store.Cond{{Key: key, Rev: rev}}, Then: []store.Op{{Key: key, Value: raw}}})
	if errors.Is(err, store.ErrConflict) {
		return refuse("busy", "This was done twice at once. Try again.")
	}
	if err != nil {
		return fmt.Errorf("write a code: %w", err)
	}
	return nil
}

const seenPrefix = "notify/seen/"

// SeenPath is where a device says that it showed a parcel; what follows it is the token.
const SeenPath = "/push/seen/"

// seen is what a token stands for.
type seen struct {
	At       int64     `json:"at"`
	Person   string    `json:"person"`
	Receipts []Receipt `json:"receipts"`
}

const seenMost = 50 // receipts that one token stands for

// announce keeps what the device will speak of, and returns the path for it.
func (n *Office) announce(ctx context.Context, t task, list []*job) (string, error) {
	s := seen{At: n.Clock(), Person: list[0].Person}
	for _, j := range list[:min(len(list), seenMost)] {
		s.Receipts = append(s.Receipts, Receipt{Message: j.ID, Incident: j.Incident, Person: j.Person, Route: t.route.ID, Label: t.route.spoken(), Outcome: Delivered, Detail: "the device showed it", Attempt: j.leg(t.route.ID).Attempt})
	}
	raw, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	token := secretText(16)
	if _, err := n.DB.Commit(ctx, store.Txn{Then: []store.Op{{Key: []byte(seenPrefix + digest(token)), Value: raw}}}); err != nil {
		return "", fmt.Errorf("write what a device may say: %w", err)
	}
	return SeenPath + token, nil
}

// Seen takes a device's word that it showed a parcel, once; a token that is not known is nothing.
func (n *Office) Seen(ctx context.Context, token string) error {
	key := []byte(seenPrefix + digest(token))
	var s seen
	rev, err := n.get(ctx, key, &s)
	if err != nil || rev == 0 {
		return err
	}
	for i := range s.Receipts {
		s.Receipts[i].At = n.Clock()
	}
	if n.Receipts != nil && len(s.Receipts) > 0 {
		if err := n.Receipts(ctx, s.Receipts); err != nil {
			return fmt.Errorf("tell the receipts of a device: %w", err)
		}
	}
	then := []store.Op{{Key: key, Delete: true}}
	if len(s.Receipts) > 0 {
		raw, _ := json.Marshal(Last{Outcome: Delivered, Detail: "the device showed it", At: n.Clock(), OK: n.Clock()})
		then = append(then, store.Op{Key: lastKey(s.Person, s.Receipts[0].Route), Value: raw})
	}
	_, err = n.DB.Commit(ctx, store.Txn{If: []store.Cond{{Key: key, Rev: rev}}, Then: then})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("forget a token: %w", err)
	}
	return nil
}
