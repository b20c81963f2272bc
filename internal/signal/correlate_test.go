package signal_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/signal"
)

const min = 60_000

func TestCorrelate(t *testing.T) {
	now := int64(1000 * min)
	sig := signal.Signal{ID: "am-1", Source: "am", Key: "k", Severity: "SEV2", Chain: "ethereum", Component: "bridge", Group: "g", OpenedAt: now}
	inc := func(n int64, change func(*signal.Candidate)) signal.Candidate {
		c := signal.Candidate{Number: n, Status: "declared", LastAt: now - 12*min, Chains: []string{"ethereum"}}
		if change != nil {
			change(&c)
		}
		return c
	}
	for _, tt := range []struct {
		name   string
		open   []signal.Candidate
		sig    func(*signal.Signal)
		rules  signal.Rules
		action string
		number int64
		reason string
	}{
		{name: "nothing open", action: signal.Declare, reason: "Declared from a SEV2 signal"},
		{name: "chain", open: []signal.Candidate{inc(3, nil)}, action: signal.Attach, number: 3, reason: "same chain, ethereum, 12 min after the incident's last signal (window 2 h)"},
		{name: "component", open: []signal.Candidate{inc(3, func(c *signal.Candidate) { c.Chains, c.Components = nil, []string{"bridge"} })}, action: signal.Attach, number: 3, reason: "same component, bridge"},
		{name: "group wins", open: []signal.Candidate{inc(9, nil), inc(3, func(c *signal.Candidate) { c.Groups = []string{sig.GroupIdentity()} })}, action: signal.Attach, number: 3, reason: "same group"},
		{name: "group of another source", open: []signal.Candidate{inc(3, func(c *signal.Candidate) { c.Chains, c.Groups = nil, []string{"pd\x00g"} })}, action: signal.Declare},
		{name: "newest of two", open: []signal.Candidate{inc(3, nil), inc(4, func(c *signal.Candidate) { c.LastAt = now }), inc(5, nil)}, action: signal.Attach, number: 4, reason: "0 s after"},
		{name: "too late", open: []signal.Candidate{inc(3, func(c *signal.Candidate) { c.LastAt = now - 121*min })}, action: signal.Declare},
		{name: "longer window", open: []signal.Candidate{inc(3, func(c *signal.Candidate) { c.LastAt = now - 121*min })}, rules: signal.Rules{Window: 150 * min}, action: signal.Attach, number: 3, reason: "2 h 1 min after the incident's last signal (window 2 h 30 min)"},
		{name: "resolved", open: []signal.Candidate{inc(3, func(c *signal.Candidate) { c.Status = "resolved" })}, action: signal.Declare},
		{name: "merged", open: []signal.Candidate{inc(3, func(c *signal.Candidate) { c.MergedInto = 2 })}, action: signal.Declare},
		{name: "real signal, drill incident", open: []signal.Candidate{inc(3, func(c *signal.Candidate) { c.Drill = true })}, action: signal.Declare},
		{name: "drill signal, real incident", open: []signal.Candidate{inc(3, nil)}, sig: func(s *signal.Signal) { s.Drill = true }, action: signal.Declare},
		{name: "detached by id", open: []signal.Candidate{inc(3, func(c *signal.Candidate) { c.Detached = []string{"am-1"} })}, action: signal.Declare},
		{name: "detached in an earlier episode", open: []signal.Candidate{inc(3, func(c *signal.Candidate) { c.Detached = []string{sig.Identity()} })}, action: signal.Declare},
		{name: "information joins", open: []signal.Candidate{inc(3, nil)}, sig: func(s *signal.Signal) { s.Severity = "SEV5" }, action: signal.Attach, number: 3},
		{name: "information does not declare", sig: func(s *signal.Signal) { s.Severity = "SEV5" }, rules: signal.Rules{Floor: "SEV5"}, action: signal.None, reason: "SEV5 does not declare"},
		{name: "below the floor", rules: signal.Rules{Floor: "SEV1"}, action: signal.None, reason: "SEV2 does not declare"},
		{name: "at the default floor", sig: func(s *signal.Signal) { s.Severity = "SEV4" }, action: signal.Declare},
		{name: "nothing in common", open: []signal.Candidate{inc(3, func(c *signal.Candidate) { c.Chains = []string{"bitcoin"} })}, action: signal.Declare},
		{name: "empty fields are not shared", open: []signal.Candidate{inc(3, func(c *signal.Candidate) { c.Chains = []string{""}; c.Components = []string{""} })}, sig: func(s *signal.Signal) { s.Chain, s.Component = "", "" }, action: signal.Declare},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := sig
			if tt.sig != nil {
				tt.sig(&s)
			}
			d := signal.Correlate(tt.open, s, tt.rules)
			if d.Action != tt.action || d.Incident != tt.number || d.Reason == "" || !strings.Contains(d.Reason, tt.reason) {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestCorrelateDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		open := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) signal.Candidate {
			word := rapid.SampledFrom([]string{"", "a", "b"})
			return signal.Candidate{
				Number: rapid.Int64Range(1, 1000).Draw(t, "number"), LastAt: rapid.Int64Range(0, 5).Draw(t, "last"),
				Status:     rapid.SampledFrom([]string{"declared", "resolved"}).Draw(t, "status"),
				Chains:     []string{word.Draw(t, "chain")},
				Components: []string{word.Draw(t, "component")},
				Drill:      rapid.Bool().Draw(t, "drill"),
			}
		}), 0, 8).Draw(t, "open")
		slices.SortFunc(open, func(a, b signal.Candidate) int { return int(a.Number - b.Number) })
		open = slices.CompactFunc(open, func(a, b signal.Candidate) bool { return a.Number == b.Number })
		s := signal.Signal{Chain: "a", Component: "b", Severity: "SEV1", OpenedAt: 5, Drill: rapid.Bool().Draw(t, "drill")}
		want := signal.Correlate(open, s, signal.Rules{})
		if len(open) == 0 {
			return
		}
		if got := signal.Correlate(rapid.Permutation(open).Draw(t, "order"), s, signal.Rules{}); got != want {
			t.Fatalf("%+v, %+v", got, want)
		}
	})
}
