package detect_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

const second = int64(1000)

// wave is a metric with noise around a level, a value a minute; at gives other values to single minutes.
func wave(name string, labels map[string]string, from int64, minutes int, at func(i int, v float64) float64) []observation.Observation {
	var out []observation.Observation
	noise := uint64(len(name)) + 1
	for i := range minutes {
		noise = noise*6364136223846793005 + 1442695040888963407
		v := 100 + 5*math.Sin(float64(noise>>40))
		if at != nil {
			v = at(i, v)
		}
		out = append(out, observation.Observation{At: from + int64(i)*60*second, Kind: observation.Sample, Series: name, Labels: labels, Value: &v})
	}
	return out
}

func merged(lists ...[]observation.Observation) []observation.Observation {
	out := slices.Concat(lists...)
	slices.SortStableFunc(out, func(a, b observation.Observation) int { return int(a.At - b.At) })
	return out
}

const begin = int64(1_767_571_200_000)

// TestComplaints holds what users of other monitors complain of: the state of alerts, not missing figures. Each names the naive behaviour that
// it fails on.
func TestComplaints(t *testing.T) {
	played := func(t *testing.T, name string) *stage {
		s := newStage(t, detect.Setup{})
		s.see(script(t, "testdata/"+name+".ndjson")...)
		return s
	}
	want := func(t *testing.T, s *stage, kind, state string, n int) {
		t.Helper()
		if got := s.of(kind)[state]; got != n {
			t.Errorf("%s %s %d times, not %d:\n%s", kind, state, got, n, strings.Join(s.lines, "\n"))
		}
	}
	t.Run("stuck for ever after a restart", func(t *testing.T) { // blockpane/tenderduty 65, 27, 38
		s := played(t, "stuck_after_restart")
		want(t, s, "stall", "open", 2)
		want(t, s, "stall", "cleared", 2)
		if len(s.open) != 0 {
			t.Errorf("still open: %v", s.open)
		}
	})
	t.Run("sent once and never again", func(t *testing.T) { // tenderduty 81
		s := played(t, "told_once_only")
		want(t, s, "stall", "open", 2)
		want(t, s, "stall", "worse", 1)
		if s.updates < 10 {
			t.Errorf("only %d updates in 20 minutes", s.updates)
		}
	})
	t.Run("recovery is not noticed", func(t *testing.T) { // tenderduty 20
		want(t, played(t, "told_once_only"), "stall", "cleared", 2)
	})
	t.Run("on and off within two seconds", func(t *testing.T) { // tenderduty 28, polkadot-watcher-validator 198
		s := played(t, "flapping")
		want(t, s, "unreachable", "open", 1)
		want(t, s, "unreachable", "cleared", 1)
	})
	t.Run("one halted node hides the divergence of the others", func(t *testing.T) { // panoptichain hash_divergence.go
		s := played(t, "halted_hides_divergence")
		want(t, s, "halted/a", "open", 1)
		want(t, s, "divergence/b~c", "open", 1)
		want(t, s, "divergence/b~c", "cleared", 1)
	})
	t.Run("a reorg whose parent is not known passes for an advance", func(t *testing.T) { // fork-observer reorg_info
		want(t, played(t, "unknown_parent"), "reorg/unknown-", "open", 1)
	})
	t.Run("a minute without a block is an alarm on a chain where that is daily life", func(t *testing.T) {
		s := played(t, "arrivals_only")
		want(t, s, "stall", "open", 1) // the silence of two hours at the end, not the one of an hour
		want(t, s, "unreachable", "open", 0)
	})
	t.Run("a series on the edge opens again and again", func(t *testing.T) {
		s := newStage(t, detect.Setup{})
		s.see(wave("latency", nil, begin, 2000, func(i int, v float64) float64 {
			if i > 1500 && i < 1540 && i%3 > 0 {
				return v * 5
			}
			return v
		})...)
		want(t, s, "anomaly/", "open", 1)
		want(t, s, "anomaly/", "cleared", 1)
	})
	t.Run("every score is a new alert", func(t *testing.T) { // forta starter-kits 247
		s := newStage(t, detect.Setup{})
		s.see(wave("latency", nil, begin, 5000, func(i int, v float64) float64 {
			if i > 1500 && i < 1520 || i > 4500 && i < 4520 { // the second worse than the first
				return v * float64(i%3000-1490+i/50)
			}
			return v
		})...)
		want(t, s, "anomaly/", "open", 2)
		keys := map[string]bool{}
		scores := map[float64]bool{}
		for _, f := range s.all {
			if f.Kind == detect.KindAnomaly && f.Firing {
				scores[f.Score], keys[f.Key] = true, true
			}
		}
		if len(scores) < 2 || len(keys) != 1 {
			t.Errorf("scores %v, keys %v: one key at several scores was to be shown", scores, keys)
		}
	})
	t.Run("what is gone stays red for ever", func(t *testing.T) { // bitcoin 7488
		s := newStage(t, detect.Setup{})
		s.see(wave("queue", map[string]string{"instance": "old"}, begin, 600, nil)...)
		s.see(wave("other", nil, begin+600*60*second, 1600, nil)...)
		want(t, s, "missing_data/instance=old", "open", 1)
		want(t, s, "missing_data/instance=old", "cleared", 1)
		if len(s.open) != 0 {
			t.Errorf("still open: %v", s.open)
		}
	})
	t.Run("one cause is forty alerts", func(t *testing.T) { // uptime-kuma 4779
		s := newStage(t, detect.Setup{})
		var all [][]observation.Observation
		for i := range 40 {
			dead := wave(fmt.Sprint("metric_", i), map[string]string{"instance": "web-1"}, begin+int64(i)*second, 300, nil)
			all = append(all, slices.Concat(dead[:200], dead[230:]))
		}
		s.see(merged(append(all, wave("alive", nil, begin, 300, nil))...)...)
		want(t, s, "missing_data/", "open", 1)
		want(t, s, "missing_data/", "cleared", 1)
		if i := slices.IndexFunc(s.all, func(f chain.Finding) bool { return f.Kind == detect.KindMissing && !f.Firing }); i < 0 || s.all[i].At < begin+230*60*second {
			t.Error("it ended before all came again")
		}
	})
	t.Run("a restart relearns and pages", func(t *testing.T) {
		s := newStage(t, detect.Setup{})
		for i, o := range wave("latency", nil, begin, 1200, nil) {
			if i%50 == 49 {
				s.restart(false)
			}
			s.see(o)
		}
		want(t, s, "anomaly/", "open", 0)
	})
}

// anySeen draws an observation of any kind; few names, so that things meet.
func anySeen(t *rapid.T, at int64, height *int64) observation.Observation {
	pick := func(of ...string) string { return rapid.SampledFrom(of).Draw(t, "pick") }
	o := observation.Observation{At: at, Chain: pick("ethereum", "bitcoin", "c"), Node: pick("", "a", "b"), Tx: pick("", "0x1", "0x2", "0x3"), Amount: pick("1", "2.5", "100", "7000"),
		Token: pick("", "0xt"), USD: new(float64(rapid.IntRange(0, 50).Draw(t, "usd")) * 1e6)}
	switch o.Kind = observation.Kind(pick("sample", "sample", "sample", "block", "block", "block", "tip", "node", "transfer", "deposit", "withdrawal", "price", "admin", "spend", "feed", "odd")); o.Kind {
	case observation.Sample:
		v := float64(rapid.IntRange(-5, 5).Draw(t, "v"))
		if rapid.IntRange(0, 9).Draw(t, "far") == 0 {
			v *= 1e6
		}
		o.Series, o.Labels, o.Value = pick("m", "n", "solana_slots_total", "solana_slots_skipped_total"), map[string]string{"instance": pick("x", "y")}, &v
	case observation.Block, observation.Tip, observation.Node:
		if o.Node == "" {
			o.Node = "a"
		}
		*height += int64(rapid.IntRange(-1, 2).Draw(t, "up"))
		*height = max(*height, 0)
		branch := pick("m", "m", "m", "n")
		o.Height, o.Hash, o.Parent = *height, fmt.Sprint(branch, *height), fmt.Sprint(branch, *height-1)
		if rapid.Bool().Draw(t, "orphan") {
			o.Parent = ""
		}
		o.Status, o.BranchLength, o.State = pick("active", "valid-fork", "headers-only"), 4, pick("up", "down", "syncing")
	case observation.Transfer:
		o.From, o.To = pick("0xa", "0xb"), pick("0xa", "0xc")
	case observation.Deposit, observation.Withdrawal:
		o.Bridge, o.ID, o.Message = "b", pick("1", "2", "9"), pick("", "k")
	case observation.Price:
		o.Asset, o.Venue, o.Close = "USDC", pick("p", "q"), new(1-float64(rapid.IntRange(0, 9).Draw(t, "off"))/100)
	case observation.Admin:
		o.Contract, o.Change, o.After = "0xc", pick("owner", "proxy"), pick("0x1", "0x2")
	case observation.Spend:
		o.Inputs, o.Where, o.Block = []string{pick("u:0", "u:1")}, pick("pool", "chain"), pick("", "m1")
	case observation.Feed:
		o.Feed, o.Answer, o.Heartbeat = "ETH / USD", new(1000+float64(rapid.IntRange(0, 100).Draw(t, "answer"))), observation.Span(3_600_000)
	}
	return o
}

// TestRestartIsNotSeen: whatever comes, a Set that is saved and loaded after any observation says byte for byte what one says that is not.
// Findings keep their life cycle throughout, and what is open at the end is what Open says.
func TestRestartIsNotSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		setup := detect.Setup{Config: detect.Config{Bridges: []detect.BridgeFacts{{Name: "b", TVLUSD: 1e8}}, Watched: []detect.Watched{{Address: "0xa", Kind: "hot_wallet"}}}}
		whole, cut := newStage(t, setup), newStage(t, setup)
		at, height := begin, int64(100)
		for range rapid.IntRange(1, 80).Draw(t, "n") {
			at += rapid.SampledFrom([]int64{-5 * second, 0, 1, 400, second, 15 * second, 600 * second, 36_000 * second}).Draw(t, "pass")
			o := anySeen(t, at, &height)
			whole.see(o)
			cut.see(o)
			if rapid.IntRange(0, 4).Draw(t, "cut") == 0 {
				cut.restart(false)
			}
		}
		if a, b := fmt.Sprintf("%+v", whole.all), fmt.Sprintf("%+v", cut.all); a != b {
			t.Fatalf("without a restart\n%s\nwith\n%s", strings.Join(whole.lines, "\n"), strings.Join(cut.lines, "\n"))
		}
		if a, b := whole.set.Open(), cut.set.Open(); !slices.Equal(a, b) {
			t.Fatalf("open %v, after restarts %v", a, b)
		}
		for k := range whole.open {
			if !slices.Contains(whole.set.Open(), k) {
				t.Fatalf("%s was told and not ended, but is not open", k)
			}
		}
	})
}
