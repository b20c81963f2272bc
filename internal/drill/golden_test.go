package drill_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/drill"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt")

// straight plays a scenario through monitors and detectors as fast as it goes, at the times of the real incident.
func straight(s drill.Scenario) []chain.Finding {
	monitors := map[string]*chain.Monitor{}
	for _, c := range s.Chains {
		monitors[c.ID] = chain.NewMonitor(chain.Config{Chain: c.ID, Family: c.Family, ChainID: c.ChainID, Nodes: c.Nodes})
	}
	drains := map[string]detect.BridgeDrain{}
	for _, b := range s.Bridges {
		drains[b.Slug] = detect.NewBridgeDrain(b)
	}
	var out []chain.Finding
	for step := range s.Steps {
		step = step.Shift(s.Began)
		switch {
		case step.Observation != nil:
			out = append(out, monitors[step.Observation.Chain].Observe(*step.Observation).Findings...)
		case step.Flow != nil:
			for k, d := range drains {
				next, o := d.Observe(*step.Flow)
				drains[k] = next
				out = append(out, o.Findings...)
			}
		case step.Tick:
			for _, c := range s.Chains {
				out = append(out, monitors[c.ID].Tick(s.Began+step.At).Findings...)
			}
			for k, d := range drains {
				next, o := d.Tick(s.Began + step.At)
				drains[k] = next
				out = append(out, o.Findings...)
			}
		}
	}
	return out
}

func TestGolden(t *testing.T) {
	for _, s := range drill.All() {
		t.Run(s.Key, func(t *testing.T) {
			var b strings.Builder
			open := map[string]bool{}
			for _, f := range straight(s) {
				what := "opened "
				switch {
				case !f.Firing:
					what = "cleared"
				case open[f.Key]:
					what = "updated"
				}
				open[f.Key] = f.Firing
				if !f.Drill {
					t.Errorf("%s is not marked as a drill", f.Key)
				}
				fmt.Fprintf(&b, "%s %s %s %s\n  %s\n  %s\n", time.UnixMilli(f.At).UTC().Format("15:04:05.000"), what, f.Severity, f.Key, f.Title, f.Reason)
			}
			file := filepath.Join("testdata", s.Key+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := b.String(); got != string(want) {
				g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
				for i := range g {
					if i >= len(w) || g[i] != w[i] {
						t.Fatalf("line %d\n got: %s\nwant: %s\n(run with -update and read the difference)", i+1, g[i], append(w, make([]string, len(g))...)[i])
					}
				}
				t.Fatal("fewer findings than before")
			}
		})
	}
}

func TestPolygonIsFoundAsItWas(t *testing.T) {
	s, _ := drill.Find("polygon-reorg")
	n := 0
	for _, f := range straight(s) {
		if f.Kind != chain.FindingReorg || !f.Firing {
			continue
		}
		n++
		var e struct {
			Depth    int       `json:"depth"`
			AtLeast  bool      `json:"at_least"`
			Ancestor chain.Ref `json:"ancestor"`
			OldTip   chain.Ref `json:"old_tip"`
		}
		if err := json.Unmarshal(f.Evidence, &e); err != nil {
			t.Fatal(err)
		}
		if e.Depth != 157 || e.AtLeast || e.OldTip.Height != 39_599_624 || e.Ancestor.Height != 39_599_624-157 || f.Severity != "SEV2" {
			t.Errorf("%s %+v", f.Severity, e)
		}
	}
	if n == 0 {
		t.Fatal("no reorg was found")
	}
}

func TestNomadIsFoundAtTheSecondBlock(t *testing.T) {
	s, _ := drill.Find("nomad")
	first := time.Date(2022, 8, 1, 21, 32, 31, 0, time.UTC).UnixMilli()
	for _, f := range straight(s) {
		if f.At-first != 12_000 || f.Kind != detect.KindBridgeDrain || f.Subject != "nomad" || f.Severity != "SEV1" || f.Chain != "drill-ethereum" || !f.Firing {
			t.Errorf("first finding after %d ms: %+v", f.At-first, f)
		}
		return
	}
	t.Fatal("nothing was found")
}

// TestFiguresAreThoseOfTheRecord holds the embedded table against the figures that are shown.
func TestFiguresAreThoseOfTheRecord(t *testing.T) {
	s, _ := drill.Find("nomad")
	sum, n, exact := 0.0, 0, 0
	who := map[string]bool{}
	var first, last int64
	late := 0.0
	for step := range s.Steps {
		f := step.Flow
		if f == nil {
			continue
		}
		if n++; n == 1 {
			first = f.At
		}
		last = f.At
		sum += f.Out
		if f.Token == "USDC" && f.Amount == "202440.725413" {
			exact++
		}
		if m := (f.At - first) / 60_000; m >= 60 && m < 90 {
			late += f.Out
		}
		who[f.Party] = true
	}
	at := func(ms int64) string { return time.UnixMilli(s.Began + ms).UTC().Format("15:04:05") }
	got := fmt.Sprintf("%d %d %.1f %d %.0f%% %s %s", n, len(who), sum/1e6, exact, 100*late/sum, at(first), at(last))
	if want := "382 279 159.6 275 79% 21:32:31 00:04:13"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestStepsAreAscendingAndTheSameEveryTime(t *testing.T) {
	for _, s := range drill.All() {
		for name, seq := range map[string]func(func(drill.Step) bool){"lead": s.Lead, "steps": s.Steps} {
			var all []drill.Step
			for step := range seq {
				set := 0
				for _, is := range []bool{step.Observation != nil, step.Flow != nil, step.Tick, step.Inject != ""} {
					if is {
						set++
					}
				}
				if set != 1 {
					t.Fatalf("%s: a step of %d kinds at %d", s.Key, set, step.At)
				}
				if k := len(all); k > 0 && step.At < all[k-1].At {
					t.Fatalf("%s: %s go back from %d to %d", s.Key, name, all[k-1].At, step.At)
				}
				if (name == "lead") != (step.At < 0) || step.At >= s.Length.Milliseconds() {
					t.Fatalf("%s: %s hold time %d", s.Key, name, step.At)
				}
				all = append(all, step)
			}
			i := 0
			for step := range seq {
				if !reflect.DeepEqual(step, all[i]) {
					t.Fatalf("%s: step %d differs at the second play", s.Key, i)
				}
				i++
			}
			if i != len(all) || i == 0 {
				t.Fatalf("%s: %d then %d steps", s.Key, len(all), i)
			}
		}
	}
}

func TestShiftLeavesTheStep(t *testing.T) {
	h := chain.Block{Height: 1, Time: 5, SeenAt: 6}
	s := drill.Step{At: 3, Observation: &chain.Observation{At: 3, Head: &h, Branch: []chain.Block{h}}}
	g := s.Shift(100)
	if g.At != 3 || g.Observation.At != 103 || g.Observation.Head.Time != 105 || g.Observation.Branch[0].SeenAt != 106 {
		t.Errorf("shifted %+v", g.Observation)
	}
	if s.Observation.At != 3 || s.Observation.Branch[0].Time != 5 || h.Time != 5 {
		t.Error("the step itself moved")
	}
}

func TestChainsAreOfDrillsOnly(t *testing.T) {
	for _, s := range drill.All() {
		for _, c := range s.Chains {
			if !strings.HasPrefix(c.ID, "drill-") || !strings.HasSuffix(c.Name, "(drill)") || len(c.Nodes) < 2 {
				t.Errorf("%s: %+v", s.Key, c)
			}
		}
		for step := range s.Steps {
			if o := step.Observation; o != nil && !o.Drill {
				t.Fatalf("%s: an observation at %d is not marked", s.Key, step.At)
			}
		}
	}
}
