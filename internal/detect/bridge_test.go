package detect_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
)

const minute = int64(60_000)

func bridge() detect.BridgeDrain {
	return detect.NewBridgeDrain(detect.Bridge{Slug: "b", Name: "Bridge", Chain: "c", TVL: 100e6})
}

// TestLife tells the life of a finding: what comes in, and what must come of it.
func TestLife(t *testing.T) {
	steps := []struct {
		why   string
		at    int64
		out   float64
		in    float64
		state string // "" nothing, else opened, updated, cleared
		says  string
	}{
		{why: "exactly 5 % is not above", at: 0, out: 5e6},
		{why: "what comes back counts against it", at: 1000, in: 1e6},
		{why: "net 4.9 M of 100", at: 2000, out: 0.9e6},
		{why: "one more", at: 3000, out: 0.3e6, state: "opened", says: "5.2 % of the bridge's value (5.2 M$ of 100.0 M$) left in 5 min through 3 withdrawals"},
		{why: "newer figures wait a minute", at: 4000, out: 0.1e6},
		{why: "and then come", at: 64_000, out: 0.1e6, state: "updated", says: "5.4 % of the bridge's value (5.4 M$ of 100.0 M$)"},
		{why: "a tenth gone is told at once", at: 65_000, out: 5e6, state: "updated", says: "10.4 %"},
		{why: "a quarter too", at: 66_000, out: 15e6, state: "updated", says: "25.4 %"},
		{why: "the window is empty: calm begins", at: 66_000 + 5*minute},
		{why: "a little does not end the calm", at: 10 * minute, out: 0.1e6},
		{why: "fourteen minutes are not enough", at: 66_000 + 19*minute},
		{why: "fifteen are", at: 66_000 + 20*minute, state: "cleared", says: "Gone in all: 25.5 M$ of 100.0 M$ (25.5 %), through 8 withdrawals."},
		{why: "quiet", at: 60 * minute},
		{why: "the second wave is judged by what is left, and told with what is gone in all", at: 61 * minute, out: 4e6, state: "opened", says: "5.4 % of the bridge's value (4.0 M$ of 74.5 M$) left in 5 min through 1 withdrawal; over 5 % is an alarm. Gone in all: 29.5 M$ of 100.0 M$ (29.5 %), through 9 withdrawals."},
	}
	d, open := bridge(), false
	for _, s := range steps {
		var o chain.Outcome
		if s.out == 0 && s.in == 0 {
			d, o = d.Tick(s.at)
		} else {
			d, o = d.Observe(detect.Flow{At: s.at, Out: s.out, In: s.in, Token: "T"})
		}
		got, says := "", ""
		for _, f := range o.Findings {
			says = f.Reason
			switch {
			case !f.Firing:
				got = "cleared"
			case open:
				got = "updated"
			default:
				got = "opened"
			}
			open = f.Firing
			if f.Key != "c/bridge_drain/b" || f.Kind != "bridge_drain" || f.Subject != "b" || f.Chain != "c" || f.Severity != "SEV1" || f.At != s.at {
				t.Errorf("%s: %+v", s.why, f)
			}
			if !json.Valid(f.Evidence) || len(f.Evidence) > 16<<10 {
				t.Errorf("%s: evidence %s", s.why, f.Evidence)
			}
		}
		if got != s.state || !strings.Contains(says, s.says) {
			t.Errorf("%s: got %q %q, want %q %q", s.why, got, says, s.state, s.says)
		}
	}
}

func TestRepetitionIsSaid(t *testing.T) {
	d := bridge()
	var o chain.Outcome
	for i := range 7 {
		if len(o.Findings) > 0 {
			t.Fatalf("found after %d", i)
		}
		d, o = d.Observe(detect.Flow{At: int64(i), Out: 0.8e6, Token: "USDC", Amount: "202440.725413"})
	}
	if len(o.Findings) != 1 || !strings.Contains(o.Findings[0].Reason, "7 withdrawals of exactly 202,440.725413 USDC") {
		t.Errorf("findings %+v", o.Findings)
	}
	_, f := d.Close(9, "over")
	if len(f) != 1 || f[0].Firing || f[0].Reason != "over" || f[0].At != 9 || !d.Open() {
		t.Errorf("closed with %+v", f)
	}
}

func TestLossesAreForgottenAfterADay(t *testing.T) {
	d, _ := bridge().Observe(detect.Flow{At: 0, Out: 20e6})
	d, _ = d.Tick(5 * minute)
	d, o := d.Tick(20 * minute)
	if len(o.Findings) != 1 || o.Findings[0].Firing {
		t.Fatalf("not over: %+v", o.Findings)
	}
	d, _ = d.Tick(20*minute + 24*60*minute)
	_, o = d.Observe(detect.Flow{At: 25 * 60 * minute, Out: 5e6})
	if len(o.Findings) != 1 || strings.Contains(o.Findings[0].Reason, "in all") || !strings.Contains(o.Findings[0].Reason, "of 80.0 M$") {
		t.Errorf("%+v", o.Findings)
	}
}

func TestClosingWhatIsNotOpen(t *testing.T) {
	if _, f := bridge().Close(1, "over"); f != nil {
		t.Errorf("%+v", f)
	}
}

// TestAnyFlows holds what must hold for whatever is given: a state is a value, ratios are shares, findings alternate, samples are those of
// the table and go forward in time.
func TestAnyFlows(t *testing.T) {
	known := map[string]bool{}
	for _, s := range detect.AllSeries {
		known[s.Name] = true
	}
	rapid.Check(t, func(t *rapid.T) {
		d := detect.NewBridgeDrain(detect.Bridge{Slug: "b", Name: "B", Chain: "c", TVL: float64(rapid.IntRange(0, 1000).Draw(t, "tvl"))})
		open, at := false, int64(0)
		for range rapid.IntRange(1, 200).Draw(t, "n") {
			to := at + int64(rapid.IntRange(-1000, 200_000).Draw(t, "dt"))
			f := detect.Flow{At: to, Out: float64(rapid.IntRange(0, 30).Draw(t, "out")), In: float64(rapid.IntRange(0, 20).Draw(t, "in")),
				Token: "T", Amount: rapid.SampledFrom([]string{"", "1", "2.5"}).Draw(t, "amount")}
			take := func() (detect.BridgeDrain, chain.Outcome) { return d.Observe(f) }
			if rapid.Bool().Draw(t, "tick") {
				take = func() (detect.BridgeDrain, chain.Outcome) { return d.Tick(to) }
			}
			next, o := take()
			if again, p := take(); !reflect.DeepEqual(again, next) || !reflect.DeepEqual(p, o) {
				t.Fatal("the same state took the same thing differently")
			}
			d = next
			if r := d.Ratio(); r < 0 || r > 1 || d.TVL() < 0 {
				t.Fatalf("ratio %v, %v dollars", r, d.TVL())
			}
			for _, f := range o.Findings {
				if !f.Firing && !open {
					t.Fatal("ended what was not open")
				}
				open = f.Firing
			}
			if open != d.Open() {
				t.Fatal("a change of state was not told")
			}
			for _, s := range o.Samples {
				if !known[s.Name] || s.Labels["bridge"] != "b" || s.At < at {
					t.Fatalf("sample %+v after %d", s, at)
				}
			}
			at = max(at, to)
		}
	})
}

// TestManyFlows gives more flows than a window keeps: the sum and the count stay exact.
func TestManyFlows(t *testing.T) {
	d := bridge()
	var o chain.Outcome
	for i := range 5000 {
		d, o = d.Observe(detect.Flow{At: int64(i / 100), Out: 1000, Token: "T", Amount: "1"})
	}
	if got := o.Samples[2].Value; got != 5000 {
		t.Errorf("%v withdrawals", got)
	}
	if r := d.Ratio(); r < 0.0499 || r > 0.0501 {
		t.Errorf("ratio %v", r)
	}
	d, o = d.Tick(10 * minute)
	if o.Samples[2].Value != 0 || d.Ratio() != 0 {
		t.Errorf("after the window: %+v", o.Samples)
	}
}
