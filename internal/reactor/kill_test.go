package reactor_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/reactor"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// Outcomes of a command given to a faulty room.
const (
	done      = iota
	lost      // nothing happened, an error came back
	saved     // it happened, an error came back: or the process was killed right after
	countless // how many outcomes there are
)

var errKilled = errors.New("killed")

// faulty is a room whose answers follow a plan; beyond it, all is well.
type faulty struct {
	reactor.Room
	mu   *sync.Mutex
	plan *[]int
}

func (f faulty) outcome() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(*f.plan) == 0 {
		return done
	}
	o := (*f.plan)[0]
	*f.plan = (*f.plan)[1:]
	return o
}

func (f faulty) Declare(ctx context.Context, c incident.Declare, m incident.Meta) (int64, error) {
	o := f.outcome()
	if o == lost {
		return 0, errKilled
	}
	n, err := f.Room.Declare(ctx, c, m)
	if o == saved {
		return 0, errKilled
	}
	return n, err
}

func (f faulty) Do(ctx context.Context, n int64, c incident.Command, m incident.Meta) error {
	o := f.outcome()
	if o == lost {
		return errKilled
	}
	err := f.Room.Do(ctx, n, c, m)
	if o == saved {
		return errKilled
	}
	return err
}

// Whatever is killed, lost or repeated, and however the log is cut into pages:
// each chain has one incident, with each of its signals once, as it is now.
func TestKilledAnywhere(t *testing.T) {
	chains := []string{"ethereum", "bitcoin", "solana"}
	rapid.Check(t, func(rt *rapid.T) {
		h := open(rt, t.Context())
		plan := rapid.SliceOfN(rapid.IntRange(0, countless-1), 0, 20).Draw(rt, "plan")
		h.wrap = func(r reactor.Room) reactor.Room { return faulty{r, &sync.Mutex{}, &plan} }
		h.restart()
		cleared := map[string]bool{}
		var sent []string
		act := func() {
			_, err := h.step(rapid.IntRange(1, 30).Draw(rt, "page"))
			if err != nil && !errors.Is(err, errKilled) {
				rt.Fatalf("%v", err)
			}
			if err != nil && rapid.Bool().Draw(rt, "kill") {
				h.restart()
			}
			if h.next > 0 && rapid.IntRange(0, 9).Draw(rt, "stale") == 0 {
				h.next = rapid.Int64Range(0, h.next).Draw(rt, "cursor") // the cursor was not stored in time
				h.restart()
			}
		}
		for i := range rapid.IntRange(1, 12).Draw(rt, "rounds") {
			var obs []signal.Observation
			for j := range rapid.IntRange(0, 5).Draw(rt, "alerts") {
				key := fmt.Sprintf("%d/%d", i, j)
				sent = append(sent, key)
				obs = append(obs, fire(key, on(chains[(i+j)%3])))
			}
			if len(sent) > 0 && rapid.Bool().Draw(rt, "clear") {
				key := rapid.SampledFrom(sent).Draw(rt, "which")
				cleared[key] = true
				obs = append(obs, clear(key))
			}
			h.now += 1000
			h.send("am", obs...)
			for range rapid.IntRange(0, 3).Draw(rt, "acts") {
				act()
			}
		}
		for more := true; more; {
			var err error
			if more, err = h.step(512); err != nil && !errors.Is(err, errKilled) {
				rt.Fatalf("%v", err)
			}
		}
		seen, chainOf := map[string]int{}, map[string]bool{}
		n := h.incidents()
		for i := range n {
			s := h.load(int64(i + 1))
			if len(s.Chains) != 1 || chainOf[s.Chains[0]] {
				rt.Fatalf("incident %d is about %v again", i+1, s.Chains)
			}
			chainOf[s.Chains[0]] = true
			for _, g := range s.Signals {
				seen[g.Kind]++
				if g.Chain != s.Chains[0] || (g.State == incident.SignalCleared) != cleared[g.Kind] {
					rt.Fatalf("%+v in incident %d", g, i+1)
				}
			}
		}
		for _, key := range sent {
			if seen[key] != 1 {
				rt.Fatalf("signal %s is attached %d times", key, seen[key])
			}
		}
	})
}

// Whatever a sender writes, the incident takes it.
func TestNoSignalIsRefused(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := open(rt, t.Context())
		odd := rapid.OneOf(rapid.String(), rapid.StringN(0, 600, -1), rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 400), func(b []byte) string { return string(b) }),
			rapid.SampledFrom([]string{"\ufeff", "a\u2028b", "\u202eevil", "\x00", "\r\n", "\u0085", " "}))
		o := signal.Observation{
			Key: "k" + odd.Draw(rt, "key"), Kind: odd.Draw(rt, "kind"), Subject: odd.Draw(rt, "subject"), Title: odd.Draw(rt, "title"), Reason: odd.Draw(rt, "reason"),
			Severity: rapid.SampledFrom([]string{"SEV1", "SEV4", "?"}).Draw(rt, "sev"), Chain: odd.Draw(rt, "chain"), Component: odd.Draw(rt, "component"), Group: odd.Draw(rt, "group"),
			Firing: true, StartsAt: rapid.SampledFrom([]int64{0, 1, start * 2}).Draw(rt, "start"),
		}
		h.send("am", o)
		h.settle()
		if h.incidents() != 1 || len(h.load(1).Signals) != 1 {
			rt.Fatalf("%d incidents", h.incidents())
		}
		h.now += 2 * minute
		o.Severity, o.Title, o.Reason = "SEV2", odd.Draw(rt, "new title"), odd.Draw(rt, "new reason")
		h.send("am", o, signal.Observation{Key: o.Key, Reason: odd.Draw(rt, "why over"), StartsAt: o.StartsAt})
		h.settle()
		if g := h.load(1).Signals[0]; g.State != incident.SignalCleared {
			rt.Fatalf("%+v", g)
		}
	})
}

// meddler lets another leader act just before its first command.
type meddler struct {
	reactor.Room
	before func()
}

func (m *meddler) Declare(ctx context.Context, c incident.Declare, meta incident.Meta) (int64, error) {
	if before := m.before; before != nil {
		m.before = nil
		before()
	}
	return m.Room.Declare(ctx, c, meta)
}

// A leader that was deposed between planning and acting does not act twice.
func TestTwoLeaders(t *testing.T) {
	h := open(t, t.Context())
	for i := range 300 {
		h.send("am", fire(fmt.Sprintf("k%03d", i), on("ethereum")), fire(fmt.Sprintf("l%03d", i), on("bitcoin")))
	}
	page, err := h.log.Read(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var room *meddler
	h.wrap = func(r reactor.Room) reactor.Room { room = &meddler{Room: r}; return room }
	h.restart()
	other := reactor.NewCorrelator(h.log, h.room, h.rules, h.clock, silent)
	room.before = func() {
		if err := other.Handle(t.Context(), page); err != nil {
			t.Error(err)
		}
	}
	if err := h.corr.Handle(t.Context(), page); err != nil {
		t.Fatal(err)
	}
	if h.incidents() != 2 || len(h.load(1).Signals) != 300 || len(h.load(2).Signals) != 300 {
		t.Errorf("%d incidents", h.incidents())
	}
}
