package reactor_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/reactor"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

const minute = 60_000

func TestDeclareAndJoin(t *testing.T) {
	h := open(t, t.Context())
	h.send("am", fire("a", on("ethereum"), of("bridge")))
	h.settle()
	s := h.load(1)
	if s.Title != "Title of a" || s.Severity != incident.SEV2 || s.DetectedAt != start || s.ImpactBeganAt != 0 || s.DeclaredBy != reactor.Actor || s.Drill ||
		strings.Join(s.Chains, ",") != "ethereum" || strings.Join(s.Components, ",") != "bridge" {
		t.Errorf("%+v", s)
	}
	h.now += 5 * minute
	h.send("other", fire("b", on("ethereum")), fire("c", of("bridge")), fire("d", on("bitcoin")), fire("e"), fire("f", sev("SEV5"), on("solana")), fire("g", sev("SEV5"), on("bitcoin")))
	h.settle()
	h.want(1, "a", "b", "c")
	h.want(2, "d", "g")
	h.want(3, "e")
	if n := h.incidents(); n != 3 {
		t.Errorf("%d incidents", n)
	}
	for _, g := range h.load(1).Signals {
		want := map[string]string{"a": "Declared from a SEV2 signal", "b": "same chain, ethereum, 5 min after", "c": "same component, bridge"}[g.Kind]
		if !strings.Contains(g.Correlation, want) || g.State != incident.SignalOpen || g.AttachedBy != reactor.Actor {
			t.Errorf("%+v", g)
		}
	}
	// The window runs from the last signal, not from the declaration.
	h.now += 119 * minute
	h.send("am", fire("h", on("ethereum")))
	h.settle()
	h.want(1, "a", "b", "c", "h")
	h.now += 121 * minute
	h.send("am", fire("i", on("ethereum")))
	h.settle()
	h.want(4, "i")
}

func TestWhatOneLeavesAlone(t *testing.T) {
	h := open(t, t.Context())
	h.send("am", fire("real", on("ethereum")), fire("exercise", on("ethereum"), drill))
	h.settle()
	h.want(1, "real")
	h.want(2, "exercise")
	if h.load(1).Drill || !h.load(2).Drill {
		t.Error("a drill and a real incident are mixed up")
	}
	h.do(1, "person:ana", incident.Resolve{Validation: "checked"})
	h.send("am", fire("later", on("ethereum")))
	h.settle()
	h.want(3, "later")
	h.want(1, "real")
}

// TestHeldUntilConfirmed: what one node alone says waits, what is weak waits for ever, and what becomes worse or more certain is placed then.
func TestHeldUntilConfirmed(t *testing.T) {
	h := open(t, t.Context())
	seen := func(v string, weak bool) func(*signal.Observation) {
		return func(o *signal.Observation) {
			o.Finding = signal.Finding{Detector: "reorg", Score: 1e-6, Weak: weak, Verification: v, Seen: []string{"a"}}
		}
	}
	h.send("chains", fire("reorg", on("ethereum"), seen("one_node", false)), fire("lonely", on("bitcoin"), seen("unverifiable", false)),
		fire("hint", on("solana"), seen("", true)), fire("small", on("base"), sev("SEV5")), fire("brief", on("gnosis"), seen("one_node", false)))
	h.settle()
	if n := h.incidents(); n != 0 {
		t.Fatalf("%d incidents from what nobody confirmed", n)
	}
	h.restart()
	h.now += minute
	h.send("chains", clear("brief"), fire("reorg", on("ethereum"), seen("confirmed", false)), fire("hint", on("solana"), seen("", true), sev("SEV3")))
	h.settle()
	h.want(1, "reorg")
	if g := h.load(1).Signals[0]; !strings.Contains(g.Correlation, "Declared from a SEV2 signal") || h.load(1).DetectedAt != start {
		t.Errorf("%+v, detected at %d", g, h.load(1).DetectedAt)
	}
	h.restart()
	h.now += 2 * minute
	h.send("chains", fire("lonely", on("bitcoin"), seen("waited", false)), fire("small", on("base"), sev("SEV2")))
	h.settle()
	h.want(2, "lonely")
	h.want(3, "small")
	h.now += 2 * minute
	h.send("chains", fire("lonely", on("bitcoin"), seen("confirmed", false)), clear("hint"), clear("reorg"))
	h.restart()
	h.next = 0 // everything once more
	h.settle()
	if n := h.incidents(); n != 3 {
		t.Errorf("%d incidents, want 3: neither the weak hint nor what ended unconfirmed declares", n)
	}
	if g := h.load(1).Signals[0]; g.State != incident.SignalCleared {
		t.Errorf("an incident is not told that its signal cleared: %+v", g)
	}
}

func TestDetachedStaysAway(t *testing.T) {
	h := open(t, t.Context())
	h.send("am", fire("a", on("ethereum")), fire("flap", on("ethereum")))
	h.settle()
	h.want(1, "a", "flap")
	for _, g := range h.load(1).Signals {
		if g.Kind == "flap" {
			h.do(1, "person:ana", incident.DetachSignal{Signal: g.ID})
		}
	}
	h.restart()
	h.next = 0 // everything once more
	h.settle()
	h.want(1, "a")
	h.send("am", clear("flap"), fire("flap", on("ethereum")))
	h.settle()
	h.want(1, "a")
	h.want(2, "flap")
	// A person may bring it back, and then it belongs again.
	h.do(1, "person:ana", incident.AttachSignal{Signal: incident.Signal{ID: h.load(2).Signals[0].ID, Kind: "flap"}})
	h.do(2, "person:ana", incident.Resolve{Validation: "belongs to 1"})
	h.send("am", clear("flap"), fire("flap", on("ethereum")))
	h.settle()
	h.want(1, "a", "flap", "flap")
}

func TestNewsOfAttachedSignals(t *testing.T) {
	h := open(t, t.Context())
	h.send("am", fire("a", on("ethereum")), fire("quick", on("ethereum")), clear("quick"), fire("alone", sev("SEV5")))
	h.settle()
	state := func(kind string) incident.Signal {
		t.Helper()
		for _, g := range h.load(1).Signals {
			if g.Kind == kind {
				return g
			}
		}
		t.Fatalf("%s is not attached", kind)
		return incident.Signal{}
	}
	if g := state("quick"); g.State != incident.SignalCleared || g.ClearedAt != start {
		t.Errorf("opened and cleared in one page: %+v", g)
	}
	h.now += 2 * minute
	h.send("am", fire("a", on("ethereum"), sev("SEV1")), signal.Observation{Key: "a", Ack: true}, clear("alone"))
	h.settle()
	if g := state("a"); g.Severity != incident.SEV1 || !g.Acknowledged || g.State != incident.SignalOpen || !strings.Contains(g.Correlation, "Declared from") {
		t.Errorf("%+v", g)
	}
	before := h.log.Size()
	h.now += minute
	h.send("am", clear("a"))
	h.settle()
	if g := state("a"); g.State != incident.SignalCleared || !g.Acknowledged || g.Severity != incident.SEV1 || g.ClearedAt != h.now {
		t.Errorf("%+v", g)
	}
	if n := h.log.Size() - before; n != 2 {
		t.Errorf("%d events for one clear", n)
	}
	before = h.log.Size()
	h.restart()
	h.next = 0
	h.settle()
	if h.log.Size() != before || h.incidents() != 1 {
		t.Errorf("acting on everything once more added %d events", h.log.Size()-before)
	}
}

func TestMergedSignalsMove(t *testing.T) {
	h := open(t, t.Context())
	h.send("am", fire("a", on("ethereum")), fire("b", on("bitcoin")))
	h.settle()
	h.do(2, "person:ana", incident.Merge{Into: 1})
	h.settle()
	h.want(1, "a", "b")
	h.send("am", clear("b"), fire("c", on("bitcoin")))
	h.settle()
	h.want(1, "a", "b", "c")
	for _, g := range h.load(1).Signals {
		if g.Kind == "b" && (g.State != incident.SignalCleared || !strings.Contains(g.Correlation, "#2, which was merged")) {
			t.Errorf("%+v", g)
		}
	}
	before := h.log.Size()
	h.restart()
	h.next = 0
	h.settle()
	if h.log.Size() != before || h.incidents() != 2 {
		t.Errorf("acting once more added %d events", h.log.Size()-before)
	}
}

func TestThousandAlertsAreOneIncident(t *testing.T) {
	h := open(t, t.Context())
	var firing, over []signal.Observation
	for i := range 1000 {
		o := fire(fmt.Sprintf("k%04d", i), sev([]string{"SEV3", "SEV2", "SEV4"}[i%3]))
		o.Group, o.Reason = "g", strings.Repeat("why ", 100)
		firing, over = append(firing, o), append(over, clear(o.Key))
	}
	h.send("am", firing...)
	h.settle()
	s := h.load(1)
	if h.incidents() != 1 || len(s.Signals) != 1000 || s.Severity != incident.SEV2 {
		t.Errorf("%d incidents, %d signals, %s", h.incidents(), len(s.Signals), s.Severity)
	}
	head, err := h.log.StreamHead(t.Context(), "incident/1")
	if err != nil || head > 16 {
		t.Errorf("%d events for one incident, %v", head, err)
	}
	before := head
	h.now += minute
	h.send("am", over...)
	h.settle()
	cleared := 0
	for _, g := range h.load(1).Signals {
		if g.State == incident.SignalCleared && g.ClearedAt == h.now {
			cleared++
		}
	}
	if cleared != 1000 {
		t.Errorf("%d are cleared", cleared)
	}
	if head, err = h.log.StreamHead(t.Context(), "incident/1"); err != nil || head-before > 16 {
		t.Errorf("%d events for a thousand clears, %v", head-before, err)
	}
	// Once more, in pages cut otherwise: nothing is new.
	size := h.log.Size()
	h.restart()
	h.next = 0
	for more := true; more; {
		if more, err = h.step(77); err != nil {
			t.Fatal(err)
		}
	}
	if h.log.Size() != size {
		t.Errorf("acting once more added %d events", h.log.Size()-size)
	}
}

// What is heard a second time, in pages cut otherwise, takes nothing back.
func TestOldNewsStaysOld(t *testing.T) {
	h := open(t, t.Context())
	h.send("am", fire("a", on("ethereum"), sev("SEV3")))
	h.send("am", fire("a", on("ethereum"), sev("SEV1")), fire("b", on("ethereum")))
	h.send("am", fire("a", on("ethereum"), sev("SEV4")))
	h.settle()
	want := h.load(1)
	if g := want.Signals[0]; g.Severity != incident.SEV4 {
		t.Fatalf("%+v", g)
	}
	size := h.log.Size()
	for page := 1; page < 5; page++ {
		h.restart()
		h.next = 0
		for more := true; more; {
			var err error
			if more, err = h.step(page); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := h.log.Size() - size; n != 0 {
		t.Errorf("%d events more", n)
	}
}

// What JSON makes six times as long still fits into an event.
func TestTextsThatGrow(t *testing.T) {
	h := open(t, t.Context())
	var firing, over []signal.Observation
	for i := range 400 {
		o := fire(fmt.Sprintf("k%03d", i))
		o.Group, o.Reason, o.Title = "g", strings.Repeat("<", 500), strings.Repeat("&", 200)
		firing, over = append(firing, o), append(over, signal.Observation{Key: o.Key, Reason: strings.Repeat(">", 500)})
	}
	h.send("am", firing[:200]...)
	h.send("am", firing[200:]...)
	h.settle()
	h.send("am", over[:200]...)
	h.send("am", over[200:]...)
	h.settle()
	s := h.load(1)
	if h.incidents() != 1 || len(s.Signals) != 400 {
		t.Fatalf("%d incidents, %d signals", h.incidents(), len(s.Signals))
	}
	for _, g := range s.Signals {
		if g.State != incident.SignalCleared {
			t.Fatalf("%s is %s", g.Kind, g.State)
		}
	}
}

// A full incident refuses no alert: the next incident takes it.
func TestFullIncident(t *testing.T) {
	h := open(t, t.Context())
	var obs []signal.Observation
	for i := range incident.MaxSignals + 100 {
		o := fire(fmt.Sprintf("k%05d", i))
		o.Group = "g"
		obs = append(obs, o)
	}
	h.send("am", obs...)
	h.settle()
	if a, b := len(h.load(1).Signals), len(h.load(2).Signals); a != incident.MaxSignals || b != 100 || h.incidents() != 2 {
		t.Errorf("%d and %d signals in %d incidents", a, b, h.incidents())
	}
}

// The whole way with the real runner: alerts come while it runs, it stops, they
// come while it is away, it starts again.
func TestCorrelatorUnderRunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, t.Context())
		for _, key := range []string{"a", "b", "c"} {
			h.send("am", fire(key+"0", on("ethereum")))
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			runner := reactor.NewRunner(h.corr, h.log, h.db, silent)
			go func() { ended <- runner.Run(ctx) }()
			synctest.Wait()
			h.send("am", fire(key+"1", on("ethereum")))
			synctest.Wait()
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			h.restart()
		}
		h.want(1, "a0", "a1", "b0", "b1", "c0", "c1")
		if h.incidents() != 1 {
			t.Errorf("%d incidents", h.incidents())
		}
	})
}
