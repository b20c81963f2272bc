package chain

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The complaints of the field's users about the state of alerts, each as a script with what must hold of it. Every script is also given to a
// small watcher that behaves as the complaint says: that one must fail, so the test is known to bite.

// watcher is a Monitor, or a naive one.
type watcher interface {
	Observe(Observation) Outcome
	Tick(at int64) Outcome
}

// reel is one run of a script.
type reel struct {
	w     watcher
	at    int64
	heads map[string]Block
	mute  map[string]bool
	said  []Finding
}

func newReel(w watcher) *reel {
	return &reel{w: w, at: 1_000_000, heads: map[string]Block{}, mute: map[string]bool{}}
}

func (r *reel) tell(o Observation) {
	o.At = r.at
	r.said = append(r.said, r.w.Observe(o).Findings...)
}

func (r *reel) head(node string, b Block) {
	b.Time = r.at
	r.heads[node] = b
	r.tell(Observation{Kind: KindHead, Node: node, Head: &b})
}

// grow gives every named node the next block of its own branch; as names the branch when it leaves the former one.
func (r *reel) grow(as string, nodes ...string) {
	for _, n := range nodes {
		h := r.heads[n]
		b := Block{Height: h.Height + 1, Hash: fmt.Sprint(as, h.Height+1), Parent: h.Hash}
		if h.Hash == "" {
			b = Block{Height: 100, Hash: as + "100", Parent: as + "99"}
		}
		r.head(n, b)
	}
}

// pass lets seconds go by: nodes repeat their heads, unless they are mute.
func (r *reel) pass(seconds int) {
	for range seconds {
		r.at += 1000
		for _, n := range []string{"a", "b", "c"} {
			if b, ok := r.heads[n]; ok && !r.mute[n] {
				r.tell(Observation{Kind: KindHead, Node: n, Head: &b})
			}
		}
		r.said = append(r.said, r.w.Tick(r.at).Findings...)
	}
}

func (r *reel) down(node string) {
	r.tell(Observation{Kind: KindState, Node: node, State: Down, Reason: "The connection was refused."})
}

// warm lets all nodes follow one branch for a while.
func (r *reel) warm(nodes ...string) {
	for range 40 {
		r.grow("x", nodes...)
		r.pass(12)
	}
}

// of lists what was said of a kind.
func of(said []Finding, kind string) (out []Finding) {
	for _, f := range said {
		if f.Kind == kind {
			out = append(out, f)
		}
	}
	return out
}

func openings(said []Finding) int {
	n, open := 0, map[string]bool{}
	for _, f := range said {
		if f.Firing && !open[f.Key] {
			n++
		}
		open[f.Key] = f.Firing
	}
	return n
}

// naive is a watcher made of one rule, without memory other than whether it fires.
type naive struct {
	nodes  map[string]Block
	down   map[string]bool
	moved  int64
	firing bool
	key    string
	rule   func(n *naive, at int64) (bool, string) // whether it fires, and what the key ends with
	clears bool                                    // gives the end out
	repeat bool
}

func newNaive(rule func(*naive, int64) (bool, string), clears bool) *naive {
	return &naive{nodes: map[string]Block{}, down: map[string]bool{}, rule: rule, clears: clears}
}

func (n *naive) Observe(o Observation) Outcome {
	switch {
	case o.Kind == KindState:
		n.down[o.Node] = o.State == Down
	case o.Head != nil:
		n.down[o.Node] = false
		if n.nodes[o.Node].Hash != o.Head.Hash {
			n.moved = o.At
		}
		n.nodes[o.Node] = *o.Head
	}
	return n.Tick(o.At)
}

func (n *naive) Tick(at int64) Outcome {
	fires, subject := n.rule(n, at)
	kind, _, _ := strings.Cut(subject, "/")
	f := Finding{Key: "eth/" + subject, Kind: kind, Firing: fires, At: at}
	switch {
	case fires && (!n.firing || n.key != f.Key):
		n.firing, n.key = true, f.Key
		return Outcome{Findings: []Finding{f}}
	case !fires && n.firing:
		n.firing, f.Key = false, n.key
		f.Kind, _, _ = strings.Cut(strings.TrimPrefix(n.key, "eth/"), "/")
		if n.clears {
			return Outcome{Findings: []Finding{f}}
		}
	}
	return Outcome{}
}

func stalled(n *naive, at int64) (bool, string) {
	return n.moved > 0 && at-n.moved >= 60000, FindingStall
}

// complain runs a script with the monitor and with the naive watcher: the first must hold, the second must not.
func complain(t *testing.T, bad *naive, script func(*reel), holds func([]Finding) error) {
	t.Helper()
	r := newReel(NewMonitor(Config{Chain: "eth", Family: EVM, ChainID: "1", Nodes: []string{"a", "b", "c"}}))
	script(r)
	if err := holds(r.said); err != nil {
		for _, f := range r.said {
			t.Logf("%d %t %s: %s", f.At, f.Firing, f.Key, f.Reason)
		}
		t.Errorf("the monitor: %v", err)
	}
	r = newReel(bad)
	script(r)
	if err := holds(r.said); err == nil {
		t.Error("the naive watcher passes: the test proves nothing")
	}
}

// TestSentOnceOnly: tenderduty#81. What lasts is told again, though not more than once a minute.
func TestSentOnceOnly(t *testing.T) {
	complain(t, newNaive(stalled, true), func(r *reel) {
		r.warm("a", "b")
		r.pass(1800)
	}, func(said []Finding) error {
		s := of(said, FindingStall)
		if len(s) < 20 || openings(s) != 1 {
			return fmt.Errorf("a stall of half an hour was told %d times, opened %d times", len(s), openings(s))
		}
		for i := range s[1:] {
			if s[i+1].At-s[i].At < updateEvery && s[i].Severity == s[i+1].Severity {
				return fmt.Errorf("twice within %d ms", s[i+1].At-s[i].At)
			}
		}
		return nil
	})
}

// TestRecoveryNoticed: tenderduty#20, #27, #38, bitcoin#7488. Everything that opened is ended when its cause is gone: stall, silence, lag, halt, divergence, reorg.
func TestRecoveryNoticed(t *testing.T) {
	complain(t, newNaive(stalled, false), func(r *reel) {
		r.warm("a", "b", "c")
		r.pass(80) // stall
		r.grow("x", "a", "b", "c")
		r.pass(20)
		r.mute["c"] = true
		r.down("c")
		for range 12 {
			r.pass(6)
			r.down("c")
			r.grow("x", "a", "b")
		}
		delete(r.mute, "c")
		r.heads["c"] = r.heads["a"]
		r.pass(20)
		for range 5 { // b alone on a branch of its own
			r.grow("x", "a", "c")
			r.grow("q", "b")
			r.pass(12)
		}
		x := r.heads["a"]
		var walk []Block
		for h := x.Height - 6; h < x.Height; h++ {
			walk = append(walk, Block{Height: h, Hash: fmt.Sprint("x", h), Parent: fmt.Sprint("x", h-1), Time: r.at})
		}
		r.heads["b"] = x
		r.tell(Observation{Kind: KindHead, Node: "b", Head: &x, Branch: walk})
		r.warm("a", "b", "c")
	}, func(said []Finding) error {
		open, kinds := map[string]bool{}, map[string]bool{}
		for _, f := range said {
			open[f.Key], kinds[f.Kind] = f.Firing, true
		}
		for k, is := range open {
			if is {
				return fmt.Errorf("%s never ended", k)
			}
		}
		for _, k := range []string{FindingStall, FindingUnreachable, FindingDivergence, FindingReorg} {
			if !kinds[k] && len(said) > 5 {
				return fmt.Errorf("the script made no %s", k)
			}
		}
		return nil
	})
}

// TestFlapping: polkadot-watcher-validator#198. A node that swings about the bound is one finding.
func TestFlapping(t *testing.T) {
	bad := newNaive(func(n *naive, _ int64) (bool, string) {
		return n.nodes["a"].Height-n.nodes["b"].Height >= lagEnter, FindingLag + "/b"
	}, true)
	complain(t, bad, func(r *reel) {
		r.warm("a", "b")
		for range 3 {
			r.grow("x", "a")
			r.pass(12)
		}
		for range 20 { // three behind, two behind, three behind
			r.grow("x", "b")
			r.pass(6)
			r.grow("x", "a")
			r.pass(6)
		}
	}, func(said []Finding) error {
		if n := openings(of(said, FindingLag)) + openings(of(said, FindingHalted)); n > 1 {
			return fmt.Errorf("%d openings", n)
		}
		return nil
	})
}

// TestDuplicateByChangedScore: forta starter-kits#247. The key holds no number that changes: a stall, a lag and an announced branch that grow stay one finding each.
func TestDuplicateByChangedScore(t *testing.T) {
	bad := newNaive(func(n *naive, at int64) (bool, string) {
		fires, subject := stalled(n, at)
		return fires, fmt.Sprintf("%s/%d", subject, (at-n.moved)/60000)
	}, false)
	complain(t, bad, func(r *reel) {
		r.warm("a", "b")
		for k := range int64(8) {
			h := r.heads["a"].Height - 2
			r.tell(Observation{Kind: KindTips, Node: "a", Tips: []Tip{{Height: h + 4 + k, Hash: fmt.Sprint("t", k), Branch: 4 + k, Status: "headers-only"}}})
			r.pass(60)
		}
	}, func(said []Finding) error {
		keys := map[string]string{}
		for _, f := range said {
			if have, ok := keys[f.Kind]; ok && have != f.Key {
				return fmt.Errorf("%s and %s are one thing", have, f.Key)
			}
			keys[f.Kind] = f.Key
		}
		return nil
	})
}

// TestHaltedNodeHidesNoDivergence: panoptichain compares at the minimum height of all nodes, so when one halts (Infura, November 2020) the others are never
// looked at again.
func TestHaltedNodeHidesNoDivergence(t *testing.T) {
	bad := newNaive(func(n *naive, _ int64) (bool, string) {
		low := min(n.nodes["a"].Height, n.nodes["b"].Height, n.nodes["c"].Height)
		hash := ""
		for _, b := range n.nodes {
			if b.Height == low && hash != "" && b.Hash != hash {
				return true, FindingDivergence + "/a~b"
			}
			if b.Height == low {
				hash = b.Hash
			}
		}
		return false, FindingDivergence + "/a~b"
	}, true)
	complain(t, bad, func(r *reel) {
		r.warm("a", "b", "c")
		for range 5 { // c stands still
			r.grow("x", "a", "b")
			r.pass(12)
		}
		for range 6 {
			r.grow("x", "a")
			r.grow("q", "b")
			r.pass(12)
		}
	}, func(said []Finding) error {
		for _, f := range of(said, FindingDivergence) {
			if f.Firing && strings.HasSuffix(f.Key, "a~b") {
				if len(of(said, FindingHalted)) == 0 && len(said) > 1 {
					return fmt.Errorf("that c stands still was not told")
				}
				return nil
			}
		}
		return fmt.Errorf("the divergence of a and b was not seen")
	})
}

// TestUnknownParentIsNoAdvance: fork-observer takes a head whose old tip is not in its tree for a normal advance.
func TestUnknownParentIsNoAdvance(t *testing.T) {
	bad := newNaive(func(*naive, int64) (bool, string) { return false, FindingReorg }, true)
	complain(t, bad, func(r *reel) {
		r.warm("a", "b")
		h := r.heads["a"].Height
		b := Block{Height: h + 1, Hash: fmt.Sprint("z", h+1), Parent: fmt.Sprint("z", h), Time: r.at}
		r.heads["a"] = b
		r.tell(Observation{Kind: KindHead, Node: "a", Head: &b, Cut: true, Branch: []Block{
			{Height: h - 1, Hash: fmt.Sprint("z", h-1), Parent: fmt.Sprint("z", h-2), Time: r.at}, {Height: h, Hash: fmt.Sprint("z", h), Parent: fmt.Sprint("z", h-1), Time: r.at}}})
	}, func(said []Finding) error {
		for _, f := range of(said, FindingReorg) {
			if strings.Contains(f.Title, "at least 3 blocks") {
				return nil
			}
		}
		return fmt.Errorf("no reorg of at least so many blocks")
	})
}

// TestNothingTriggersAndResolvesWithinTwoSeconds: tenderduty#28. A node that answers one time in between is not well again; a block a moment after a stall does not
// end it at once.
func TestNothingTriggersAndResolvesWithinTwoSeconds(t *testing.T) {
	bad := newNaive(func(n *naive, at int64) (bool, string) {
		if n.down["b"] {
			return true, FindingUnreachable + "/b"
		}
		return stalled(n, at)
	}, true)
	complain(t, bad, func(r *reel) {
		r.warm("a", "b")
		r.mute["b"] = true
		for range 4 {
			for range 3 {
				r.down("b")
				r.pass(3)
			}
			r.tell(Observation{Kind: KindState, Node: "b", State: Up})
			r.pass(2)
		}
		delete(r.mute, "b")
		for range 3 {
			r.grow("x", "a", "b")
			r.pass(61)
		}
		r.grow("x", "a", "b")
		r.pass(30)
	}, func(said []Finding) error {
		since := map[string]int64{}
		for _, f := range said {
			if !f.Firing && f.At-since[f.Key] < calmFor {
				return fmt.Errorf("%s opened and ended within %d ms", f.Key, f.At-since[f.Key])
			}
			if f.Firing && since[f.Key] == 0 {
				since[f.Key] = f.At
			}
			if !f.Firing {
				since[f.Key] = 0
			}
		}
		b := slices.DeleteFunc(of(said, FindingUnreachable), func(f Finding) bool { return f.Key != "eth/unreachable/b" })
		if n := openings(b); n != 1 {
			return fmt.Errorf("the node that comes and goes was opened %d times", n)
		}
		return nil
	})
}

// TestOldForksAreNotNews: a node that starts lists tips of years ago.
func TestOldForksAreNotNews(t *testing.T) {
	bad := newNaive(func(*naive, int64) (bool, string) { return true, FindingHeadersOnly + "/t" }, true)
	complain(t, bad, func(r *reel) {
		r.heads["a"] = Block{Height: 800000, Hash: "h", Parent: "g", Time: r.at}
		r.pass(1)
		var tips []Tip
		for k := range int64(300) {
			tips = append(tips, Tip{Height: 200000 + 1000*k, Hash: fmt.Sprint("t", k), Branch: 1 + k%9, Status: []string{"headers-only", "valid-fork", "invalid", "valid-headers"}[k%4]})
		}
		r.tell(Observation{Kind: KindTips, Node: "a", Tips: tips})
		r.pass(30)
	}, func(said []Finding) error {
		if n := len(of(said, FindingHeadersOnly)); n > 0 {
			return fmt.Errorf("%d old tips are told as news", n)
		}
		return nil
	})
}

// TestStuckAfterRestart: tenderduty#65. What was open before a restart ends after it, with and without the saved state; what still holds is not lost.
func TestStuckAfterRestart(t *testing.T) {
	cfg := Config{Chain: "eth", Family: EVM, ChainID: "1", Nodes: []string{"a", "b"}}
	ended := func(said []Finding, key string) bool {
		return slices.ContainsFunc(said, func(f Finding) bool { return f.Key == key && !f.Firing })
	}
	for name, restart := range map[string]func(*Monitor) *Monitor{
		"with the state": func(m *Monitor) *Monitor {
			state, err := m.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			next := NewMonitor(cfg)
			if err := next.UnmarshalBinary(state); err != nil {
				t.Fatal(err)
			}
			next.Resume(m.Open())
			return next
		},
		"with the log only": func(m *Monitor) *Monitor {
			next := NewMonitor(cfg)
			next.Resume(m.Open())
			return next
		},
		"with a state of another version": func(m *Monitor) *Monitor {
			next := NewMonitor(cfg)
			if err := next.UnmarshalBinary([]byte(`{"version":99,"chain":"eth"}`)); err == nil {
				t.Fatal("it was taken")
			}
			next.Resume(m.Open())
			return next
		},
	} {
		m := NewMonitor(cfg)
		r := newReel(m)
		r.warm("a", "b")
		r.mute["b"] = true
		r.down("b")
		r.pass(6)
		r.down("b")
		r.pass(70)
		if got := strings.Join(m.Open(), " "); got != "eth/stall eth/unreachable/b" {
			t.Fatalf("before the restart %s are open", got)
		}
		r.w = restart(m)
		r.said = nil
		r.pass(40)
		if ended(r.said, "eth/stall") {
			t.Errorf("%s: the stall was ended, but it holds", name)
		}
		delete(r.mute, "b")
		for range 4 {
			r.grow("x", "a", "b")
			r.pass(12)
		}
		for _, key := range []string{"eth/stall", "eth/unreachable/b"} {
			if !ended(r.said, key) {
				t.Errorf("%s: %s is stuck", name, key)
			}
		}
		if got := r.w.(*Monitor).Open(); len(got) != 0 {
			t.Errorf("%s: %v is still open", name, got)
		}
	}
	// the naive one keeps the flag and forgets what it stood for
	bad := newNaive(stalled, true)
	r := newReel(bad)
	r.warm("a", "b")
	r.pass(70)
	again := newNaive(func(n *naive, at int64) (bool, string) {
		return n.moved > 0 && at-n.moved >= 60000 || n.moved == 0, FindingStall
	}, true)
	again.firing = bad.firing // but not the key
	r.w, r.said = again, nil
	r.grow("x", "a", "b")
	r.pass(12)
	if ended(r.said, "eth/stall") {
		t.Error("the naive watcher passes: the test proves nothing")
	}
}
