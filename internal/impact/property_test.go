package impact_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/forecast"
	"github.com/tocsin-ops/tocsin/internal/impact"
)

var kinds = []string{"reorg", "double_spend", "bridge_drain", "bridge_unmatched", "control_change", "large_transfer", "finality", "stall", "sequencer", "depeg", "lag", "HighErrorRate"}

func genModel(t *rapid.T) impact.Model {
	m := impact.Model{Preset: rapid.SampledFrom(impact.Presets()).Draw(t, "preset"), HeldUSD: rapid.SampledFrom([]float64{0, 1e6, 1e9}).Draw(t, "held"),
		UsersTotal: rapid.SampledFrom([]float64{0, 1000, 1e6}).Draw(t, "total"), DORA: rapid.Bool().Draw(t, "dora")}
	for i, n := range []string{"withdrawals", "matching", "web"} {
		m.Services = append(m.Services, impact.Service{Name: n, Criticality: impact.Criticalities()[i], Users: int64(1000 * i), PerMinute: float64(100 * i), Regulated: i == 0})
	}
	if rapid.Bool().Draw(t, "own weights") {
		for i := range m.Weights {
			m.Weights[i] = rapid.Float64Range(0.01, 10).Draw(t, "weight")
		}
	}
	return m
}

func genFact(t *rapid.T, name string) impact.Fact {
	k, _ := impact.FactNamed(name)
	f := impact.Fact{Name: name, By: "person:ana", At: int64(rapid.IntRange(1, 100).Draw(t, "at"))}
	switch k.Kind {
	case impact.KindChoice:
		f.Value = rapid.SampledFrom(k.Choices).Draw(t, name)
	case impact.KindList:
		all := []string{"none", "DE", "DE, FR", "AT, DE, FR"}
		f.Value = rapid.SampledFrom(all).Draw(t, name)
	default:
		f.Value = strconv.FormatFloat(math.Round(rapid.Float64Range(0, min(k.Max, 1e10)).Draw(t, name)*100)/100, 'f', -1, 64)
	}
	if v, err := impact.ParseFact(name, f.Value); err == nil {
		f.Value = v
	}
	return f
}

func genInput(t *rapid.T) impact.Input {
	in := impact.Input{At: 1_000_000_000, Began: 1_000_000_000 - int64(rapid.IntRange(0, 3000).Draw(t, "minutes"))*60_000}
	for _, k := range impact.Facts() {
		if rapid.IntRange(0, 2).Draw(t, "stated") == 0 {
			in.Facts = append(in.Facts, genFact(t, k.Name))
		}
	}
	for i := range rapid.IntRange(0, 6).Draw(t, "signals") {
		in.Signals = append(in.Signals, genSignal(t, i))
	}
	if rapid.Bool().Draw(t, "measured") {
		in.Readings = append(in.Readings, impact.Reading{Name: impact.FactMoneyMoved, Value: rapid.Float64Range(0, 1e9).Draw(t, "reading"), Query: "q", At: in.At})
		in.Readings = append(in.Readings, impact.Reading{Name: impact.FactLossPerMinute, Service: "matching", Value: rapid.Float64Range(0, 1e5).Draw(t, "loss"), Query: "l", At: in.At})
	}
	in.Components = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"withdrawals", "matching", "web"}), 0, 2, rapid.ID[string]).Draw(t, "components")
	in.Reach = []forecast.Reach{{Service: "app", Likelihood: 0.6, Path: []string{"matching", "app"}}, {Service: "shop", Likelihood: 0.3, Path: []string{"web", "shop"}}}
	return in
}

func genSignal(t *rapid.T, i int) impact.Signal {
	return impact.Signal{ID: fmt.Sprintf("s%d", i), Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Severity: rapid.SampledFrom([]string{"SEV1", "SEV2", "SEV3", "SEV4", "SEV5"}).Draw(t, "severity"),
		Title: "It happened", Component: rapid.SampledFrom([]string{"", "withdrawals", "matching"}).Draw(t, "component"), Open: rapid.IntRange(0, 3).Draw(t, "open") > 0,
		OpenedAt: int64(i), Numbers: map[string]float64{"usd": rapid.Float64Range(0, 1e8).Draw(t, "usd"), "lost": rapid.Float64Range(0, 1).Draw(t, "lost")}}
}

// same says that two assessments say the same.
func same(t *rapid.T, what string, a, b impact.Assessment) {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	if string(x) != string(y) {
		t.Fatalf("%s:\n%s\n%s", what, x, y)
	}
}

func TestOrderOfWhatIsKnownSaysNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, in := genModel(t), genInput(t)
		a := impact.Assess(m, in)
		same(t, "the same again", a, impact.Assess(m, in))
		in.Facts = rapid.Permutation(in.Facts).Draw(t, "facts")
		in.Signals = rapid.Permutation(in.Signals).Draw(t, "signals")
		in.Readings = rapid.Permutation(in.Readings).Draw(t, "readings")
		in.Components = rapid.Permutation(in.Components).Draw(t, "components")
		same(t, "in another order", a, impact.Assess(m, in))
	})
}

// worse makes one thing worse, whatever it finds, or adds harm.
func worse(t *rapid.T, in impact.Input) impact.Input {
	in.Facts, in.Signals, in.Readings = slices.Clone(in.Facts), slices.Clone(in.Signals), slices.Clone(in.Readings)
	switch rapid.IntRange(0, 4).Draw(t, "what") {
	case 0:
		if len(in.Facts) == 0 {
			return in
		}
		i := rapid.IntRange(0, len(in.Facts)-1).Draw(t, "which")
		f := &in.Facts[i]
		k, _ := impact.FactNamed(f.Name)
		if f.Name == impact.FactMoneyFrozen {
			return in // the more the better
		}
		switch k.Kind {
		case impact.KindChoice:
			f.Value = k.Choices[min(slices.Index(k.Choices, f.Value)+1, len(k.Choices)-1)]
		case impact.KindList:
			if f.Value == "none" {
				f.Value = "IT"
			} else {
				f.Value += ", IT"
			}
			f.Value, _ = impact.ParseFact(f.Name, f.Value)
		default:
			n, _ := strconv.ParseFloat(f.Value, 64)
			f.Value = strconv.FormatFloat(min(math.Round(n*rapid.Float64Range(1, 50).Draw(t, "times")*100+1)/100, k.Max), 'f', -1, 64)
		}
	case 1:
		in.Signals = append(in.Signals, genSignal(t, 99))
		s := &in.Signals[len(in.Signals)-1]
		s.Open = true
		if slices.Contains(in.Components, s.Component) {
			s.Severity = "SEV1" // a milder one is news: what was named without a signal counted as bad as can be
		}
	case 2:
		for i := range in.Signals {
			if s := &in.Signals[i]; s.Open {
				s.Severity = "SEV" + strconv.Itoa(max(int(s.Severity[3]-'0')-1, 1))
				s.Numbers = map[string]float64{"usd": s.Numbers["usd"] * 2, "lost": min(1, s.Numbers["lost"]*2)}
				break
			}
		}
	case 3:
		for i := range in.Readings {
			in.Readings[i].Value *= 3
		}
	case 4: // somebody states what nobody knew
		name := rapid.SampledFrom([]string{impact.FactMoneyAtRisk, impact.FactPress, impact.FactSentiment, impact.FactDowntime, impact.FactRegulators, impact.FactMaliciousAccess, impact.FactUsersShare}).Draw(t, "fact")
		if !slices.ContainsFunc(in.Facts, func(f impact.Fact) bool { return f.Name == name }) {
			in.Facts = append(in.Facts, genFact(t, name))
		}
	}
	return in
}

func TestMoreHarmNeverLowersTheScore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, in := genModel(t), genInput(t)
		a, b := impact.Assess(m, in), impact.Assess(m, worse(t, in))
		if b.Score < a.Score || b.Mean < a.Mean {
			t.Fatalf("the score fell from %d (%d) to %d (%d)", a.Score, a.Mean, b.Score, b.Mean)
		}
		if a.Known && (!b.Known || b.Severity > a.Severity) {
			t.Fatalf("%s became %s", a.Severity, b.Severity)
		}
		for i := range a.Axes {
			if b.Axes[i].Points < a.Axes[i].Points || a.Axes[i].Known && !b.Axes[i].Known {
				t.Fatalf("%s fell from %d to %d", a.Axes[i].Name, a.Axes[i].Points, b.Axes[i].Points)
			}
		}
	})
}

func TestWhatIsUnknownIsARange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, in := genModel(t), genInput(t)
		a := impact.Assess(m, in)
		if a.High < a.Score || a.Score < a.Mean || a.Score > 100 {
			t.Fatalf("score %d, high %d, mean %d", a.Score, a.High, a.Mean)
		}
		sum := 0.0
		for i, x := range a.Axes {
			sum += x.Weight
			if !x.Known && (x.Points != 0 || len(x.Reasons) > 0) || x.Known && len(x.Reasons) == 0 {
				t.Fatalf("axis %+v", x)
			}
			if x.Name != impact.AxisNames[i] || len(x.Reasons) > impact.MaxReasons {
				t.Fatalf("axis %d is %+v", i, x)
			}
			if !x.Known && len(a.Missing) == 0 {
				t.Fatalf("%s is not known, and nothing is missing", x.Name)
			}
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Fatalf("weights sum to %v", sum)
		}
		for i := range m.Weights { // only proportions count
			m.Weights[i] = a.Axes[i].Weight * 7
		}
		b := impact.Assess(m, in)
		if a.Score != b.Score || a.High != b.High {
			t.Fatalf("weights times seven: %d..%d, was %d..%d", b.Score, b.High, a.Score, a.High)
		}
	})
}

// TestRestartChangesNothing: what follows hangs on the recorded assessment alone, as it is read back from the log.
func TestRestartChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, in := genModel(t), genInput(t)
		first := impact.Assess(m, in)
		if raw, err := json.Marshal(first); err != nil || len(raw) > impact.MaxBytes {
			t.Fatalf("%d bytes, %v", len(raw), err)
		} else {
			var back impact.Assessment
			if err := json.Unmarshal(raw, &back); err != nil {
				t.Fatal(err)
			}
			next := worse(t, in)
			next.At += int64(rapid.IntRange(0, 30).Draw(t, "later")) * 60_000
			next.Before = &first
			a := impact.Assess(m, next)
			next.Before = &back
			same(t, "after a restart", a, impact.Assess(m, next))
			if impact.Material(first, a) != impact.Material(back, a) {
				t.Fatal("material or not hangs on the restart")
			}
			if impact.Material(back, first) {
				t.Fatalf("an assessment differs from itself:\n%+v\n%+v", back, first)
			}
		}
	})
}

// TestMilderOnlyWhenSure: whatever happens, a milder severity than the last is advised only when half of the weights are known and it has been milder
// for ten minutes, and the one that stays says why.
func TestMilderOnlyWhenSure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, in := genModel(t), genInput(t)
		last := impact.Assess(m, in)
		for range 4 {
			before := last
			in = genInput(t)
			in.At, in.Before = before.At+int64(rapid.IntRange(1, 15).Draw(t, "minutes later"))*60_000, &before
			last = impact.Assess(m, in)
			switch {
			case before.Severity == "" || !last.Known:
			case last.Severity > before.Severity && (!last.Sure || before.MilderSince == 0 || last.At-before.MilderSince < impact.MilderAfter):
				t.Fatalf("%s became %s: %+v", before.Severity, last.Severity, last)
			case (last.Moment > last.Severity) != (last.Milder() != ""):
				t.Fatalf("%s of %s says %q", last.Severity, last.Moment, last.Milder())
			}
		}
	})
}

func TestLargestFits(t *testing.T) {
	long := strings.Repeat("ü", 1000)
	in := impact.Input{At: 5e8, Began: 1}
	m := impact.Model{Preset: impact.DORA}
	for i := range 200 {
		in.Signals = append(in.Signals, impact.Signal{ID: fmt.Sprint(i) + long[:200], Kind: fmt.Sprint("kind", i), Title: long, Severity: "SEV1", Component: fmt.Sprint(i, long[:60]), Open: true})
		m.Services = append(m.Services, impact.Service{Name: fmt.Sprint(i, long[:60]), Criticality: impact.Critical, Users: 1e6, PerMinute: 5, Regulated: true})
	}
	for _, k := range impact.Facts() {
		v := k.Example
		if k.Kind == impact.KindList && k.Name != impact.FactMemberStates {
			v = strings.Repeat("Authority of somewhere, ", 30) + "x"
		}
		p, err := impact.ParseFact(k.Name, v)
		if err != nil {
			t.Fatal(err)
		}
		in.Facts = append(in.Facts, impact.Fact{Name: k.Name, Value: p, By: "person:ana"})
	}
	a := impact.Assess(m, in)
	raw, err := json.Marshal(a)
	t.Logf("%d bytes", len(raw))
	if err != nil || len(raw) > impact.MaxBytes {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
}

func TestEveryExampleParsesAndSaysItself(t *testing.T) {
	for _, k := range impact.Facts() {
		v, err := impact.ParseFact(k.Name, k.Example)
		if err != nil {
			t.Errorf("%s: %v", k.Name, err)
			continue
		}
		again, err := impact.ParseFact(k.Name, v)
		if err != nil || again != v {
			t.Errorf("%s: %q becomes %q (%v)", k.Name, v, again, err)
		}
		if s := (impact.Fact{Name: k.Name, Value: v}).Say(); !strings.HasPrefix(s, k.Title+": ") {
			t.Errorf("%s says %q", k.Name, s)
		}
		if !slices.Contains(impact.AxisNames[:], k.Axis) {
			t.Errorf("%s has the axis %q", k.Name, k.Axis)
		}
	}
}

func FuzzParseFact(f *testing.F) {
	for _, k := range impact.Facts() {
		f.Add(k.Name, k.Example)
	}
	f.Add("money_moved_usd", "$1,5")
	f.Add("downtime_minutes", "-3h")
	f.Add("users_share", "1e400 %")
	f.Fuzz(func(t *testing.T, name, value string) {
		v, err := impact.ParseFact(name, value)
		if err != nil {
			if e, ok := err.(impact.Error); !ok || e == "" {
				t.Fatalf("%T %v is no sentence", err, err)
			}
			return
		}
		again, err := impact.ParseFact(name, v)
		if err != nil || again != v || len(v) > impact.MaxFactValue+impact.MaxListNames {
			t.Fatalf("%q becomes %q becomes %q (%v)", value, v, again, err)
		}
		a := impact.Assess(impact.Model{Preset: impact.Exchange}, impact.Input{At: 1, Facts: []impact.Fact{{Name: name, Value: v}}})
		if a.Score < 0 || a.Score > 100 {
			t.Fatalf("score %d", a.Score)
		}
	})
}

func FuzzNumbers(f *testing.F) {
	f.Add([]byte(`{"usd":1,"a":{"b":2},"c":"x"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if n := impact.Numbers(raw); len(n) > 40 || !reflect.DeepEqual(n, impact.Numbers(raw)) {
			t.Fatalf("%v", n)
		}
	})
}
