package impact_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/forecast"
	"github.com/tocsin-ops/tocsin/internal/impact"
)

var update = flag.Bool("update", false, "rewrite what the scripts in testdata say (lines that begin with |)")

// story is one incident as a script tells it, minute by minute.
type story struct {
	t     *testing.T
	model impact.Model
	in    impact.Input
	graph []forecast.Edge
	day   time.Time
	now   int64
	begun bool
	last  impact.Assessment
	out   []string
}

// realIncidents are those whose course is on record, oldest first. A script is called by one of them and a preset.
var realIncidents = []string{
	"btc-split-2013",    // chain split of Bitcoin 0.8, March 2013
	"etc-2019",          // 51 % attack on Ethereum Classic, January 2019
	"binance-2019",      // hot wallet, May 2019
	"vertcoin-2019",     // 51 % attack, December 2019
	"btg-2020",          // 51 % attack on Bitcoin Gold, January 2020
	"etc-2020",          // 51 % attacks on Ethereum Classic, August 2020
	"congestion-2020",   // fees of Ethereum, August 2020
	"infura-2020",       // consensus failure at Infura, November 2020
	"congestion-2021",   // fees of Ethereum, May 2021
	"geth-split-2021",   // split of unpatched geth, August 2021
	"solana-2021",       // 14 September
	"wormhole-2022",     // bridge, February 2022
	"ronin-2022",        // bridge, March 2022
	"nomad-2022",        // bridge, August 2022
	"solana-2022",       // 30 September
	"bnb-2022",          // forged proof, October 2022
	"polygon-2023",      // reorg of 157 blocks, February 2023
	"solana-2023",       // 25 February
	"usdc-2023",         // off its peg, March 2023
	"euler-2023",        // March 2023
	"eth-finality-2023", // 11 and 12 May
	"curve-2023",        // Vyper, July 2023
	"arbitrum-2023",     // sequencer, December 2023
	"sequencer-2023",    // the same, as an entity of the EU would classify it
	"solana-2024",       // 6 February
	"dydx-2024",         // upgrade, April 2024
	"bybit-2025",        // cold wallet, February 2025
	"holesky-2025",      // Pectra, February and March 2025
	"polygon-2025",      // Heimdall and milestones, July and September 2025
	"dydx-2025",         // October 2025
}

// TestRealIncidents plays every script: what is known at each moment, the score at every minute in between, and what a practitioner expects.
func TestRealIncidents(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	presets, told := map[string]int{}, map[string]bool{}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".txt")
		cut := strings.LastIndex(name, "-")
		if cut < 0 || !slices.Contains(realIncidents, name[:cut]) {
			t.Errorf("%s is none of the incidents; name it incident-preset, and add the incident to the list", name)
			continue
		}
		told[name[:cut]] = true
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			s := &story{t: t}
			because, expects := 0, 0
			for n, line := range strings.Split(strings.TrimRight(string(raw), "\n"), "\n") {
				if strings.HasPrefix(line, "|") {
					continue
				}
				word, rest, _ := strings.Cut(line, " ")
				rest = strings.TrimSpace(rest)
				switch word {
				case "at", "until":
					clock, what, _ := strings.Cut(rest, " ")
					s.pass(s.time(clock)) // prints above this line
					s.out = append(s.out, line)
					if word == "at" {
						s.do(n+1, strings.TrimSpace(what))
					}
					s.judge()
					continue
				case "because":
					because++
				case "expect":
					expects++
					s.expect(n+1, rest)
				case "", "#":
				default:
					s.set(n+1, word, rest)
				}
				s.out = append(s.out, line)
			}
			if because == 0 || expects == 0 {
				t.Errorf("the script says not why a practitioner accepts it (because), or expects nothing")
			}
			presets[s.model.Preset]++
			if s.model.Preset != name[cut+1:] {
				t.Errorf("the script of the preset %s is called %s", s.model.Preset, name)
			}
			got := strings.Join(s.out, "\n") + "\n"
			if *update {
				if err := os.WriteFile(f, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(raw) {
				t.Errorf("what is said has changed; look at it with -update and git diff:\n%s", firstDifference(string(raw), got))
			}
		})
	}
	for _, x := range realIncidents {
		if !told[x] {
			t.Errorf("no script tells %s", x)
		}
	}
	for _, p := range impact.Presets() {
		if presets[p] < 4 {
			t.Errorf("%d scripts tell an incident with the preset %s; 4 at least", presets[p], p)
		}
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\n  was %q\n  now %q", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("%d lines were %d", len(g), len(w))
}

func (s *story) fail(line int, format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("line %d: %s", line, fmt.Sprintf(format, args...))
}

func (s *story) number(line int, text string) float64 {
	s.t.Helper()
	v, err := impact.ParseFact(impact.FactMoneyAtRisk, text)
	if err != nil {
		s.fail(line, "%v", err)
	}
	f, _ := strconv.ParseFloat(v, 64)
	return f
}

func (s *story) set(line int, word, rest string) {
	f := strings.Fields(rest)
	switch word {
	case "title":
	case "preset":
		s.model.Preset = rest
	case "day":
		d, err := time.Parse("2006-01-02", rest)
		if err != nil {
			s.fail(line, "%v", err)
		}
		s.day = d
	case "held":
		s.model.HeldUSD = s.number(line, rest)
	case "clients":
		s.model.UsersTotal = s.number(line, rest)
	case "service":
		v := impact.Service{Name: f[0], Criticality: f[1]}
		for i := 2; i < len(f); i++ {
			switch f[i] {
			case "users":
				i++
				v.Users = int64(s.number(line, f[i]))
			case "loss":
				i++
				v.PerMinute = s.number(line, f[i])
			case "regulated":
				v.Regulated = true
			default:
				s.fail(line, "what is %q", f[i])
			}
		}
		s.model.Services = append(s.model.Services, v)
	case "depends":
		s.graph = append(s.graph, forecast.Edge{Service: f[0], On: f[2]})
	case "components":
		s.in.Components = f
	case "began":
		s.in.Began = s.time(rest)
	default:
		s.fail(line, "what is %q", word)
	}
}

// time reads 21:32, 21:32:31 or +1d05:30.
func (s *story) time(text string) int64 {
	s.t.Helper()
	day := 0
	if d, rest, ok := strings.Cut(text, "d"); ok && strings.HasPrefix(d, "+") {
		day, _ = strconv.Atoi(d[1:])
		text = rest
	}
	layout := "15:04"
	if strings.Count(text, ":") == 2 {
		layout = "15:04:05"
	}
	c, err := time.Parse(layout, text)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.day.AddDate(0, 0, day).Add(time.Duration(c.Hour())*time.Hour + time.Duration(c.Minute())*time.Minute + time.Duration(c.Second())*time.Second).UnixMilli()
}

// pass lets every minute until then go by.
func (s *story) pass(to int64) {
	if to < s.now {
		s.t.Fatalf("time goes back to %s", time.UnixMilli(to).UTC().Format("15:04:05"))
	}
	for s.begun && s.now+60_000 < to {
		s.now += 60_000
		s.judge()
	}
	s.now = to
}

func (s *story) do(line int, what string) {
	word, rest, _ := strings.Cut(what, " ")
	f := strings.Fields(rest)
	switch word {
	case "signal": // id kind severity [key=value ...] [: title]
		head, title, _ := strings.Cut(rest, " : ")
		f = strings.Fields(head)
		v := impact.Signal{ID: f[0], Kind: f[1], Severity: f[2], Open: true, OpenedAt: s.now, At: s.now, Title: title, Numbers: map[string]float64{}}
		for _, kv := range f[3:] {
			k, x, _ := strings.Cut(kv, "=")
			switch k {
			case "chain":
				v.Chain = x
			case "component":
				v.Component = x
			default:
				v.Numbers[k] = s.number(line, x)
			}
		}
		if i := s.find(v.ID); i >= 0 {
			v.OpenedAt = s.in.Signals[i].OpenedAt
			s.in.Signals[i] = v
		} else {
			s.in.Signals = append(s.in.Signals, v)
		}
	case "clear":
		i := s.find(f[0])
		if i < 0 {
			s.fail(line, "no signal %s", f[0])
		}
		s.in.Signals[i].Open = false
	case "fact":
		name, value, _ := strings.Cut(rest, " ")
		v, err := impact.ParseFact(name, value)
		if err != nil {
			s.fail(line, "%v", err)
		}
		s.in.Facts = append(slices.Clone(s.in.Facts), impact.Fact{Name: name, Value: v, By: "person:ana", At: s.now})
	case "metric":
		s.in.Readings = slices.DeleteFunc(s.in.Readings, func(r impact.Reading) bool { return r.Name == f[0] })
		s.in.Readings = append(s.in.Readings, impact.Reading{Name: f[0], Value: s.number(line, f[1]), Query: "q:" + f[0], At: s.now})
	case "closed":
		s.in.Closed = true
	case "look":
	default:
		s.fail(line, "what is %q", word)
	}
	s.begun = true
}

func (s *story) find(id string) int {
	return slices.IndexFunc(s.in.Signals, func(x impact.Signal) bool { return x.ID == id })
}

// judge scores the moment and records it when it is material, as the follower does.
func (s *story) judge() {
	in := s.in
	in.At = s.now
	if in.Began == 0 {
		s.in.Began, in.Began = s.now, s.now
	}
	in.Suffering = map[string]int64{}
	for _, x := range in.Signals {
		if x.Open {
			for _, n := range []string{x.Component, x.Chain} {
				if n != "" {
					in.Suffering[n] = x.OpenedAt
				}
			}
		}
	}
	for _, n := range in.Components {
		in.Suffering[n] = in.Began
	}
	in.Reach = forecast.Spread(s.graph, nil, in.Suffering, s.now)
	if s.last.At != 0 {
		before := s.last
		in.Before = &before
	}
	a := impact.Assess(s.model, in)
	if in.Before != nil && !impact.Material(s.last, a) {
		return
	}
	when := time.UnixMilli(s.now).UTC().Format("15:04:05")
	if d := int(time.UnixMilli(s.now).UTC().Sub(s.day).Hours()) / 24; d > 0 {
		when = fmt.Sprintf("+%dd %s", d, when)
	}
	line := fmt.Sprintf("| %s %s score %s", when, a.Severity, a.Range())
	if a.Rule != "" {
		line += " by " + a.Rule
	}
	if a.MilderSince != 0 {
		line += " (of the moment " + a.Moment + ", held)"
	}
	if a.Loss.Known {
		line += fmt.Sprintf("; %s a minute, %s so far", impact.USD(a.Loss.PerMinute), impact.USD(a.Loss.Sum))
		if a.Loss.Assumption != "" {
			line += " (assumed)"
		}
	}
	s.out = append(s.out, line)
	if in.Before == nil {
		for _, r := range a.Top(4) {
			s.out = append(s.out, fmt.Sprintf("|   %d %s [%s]", r.Points, r.Sentence, r.From.Kind))
		}
		s.out = append(s.out, "|   not known: "+strings.Join(a.Unknown(), ", "))
	}
	for _, c := range a.Changes {
		s.out = append(s.out, "|   "+c)
	}
	for _, b := range a.Blast {
		if !b.Now && (in.Before == nil || len(s.last.Blast) != len(a.Blast)) {
			s.out = append(s.out, fmt.Sprintf("|   next: %s (%.0f %%)", b.Service, 100*b.Likelihood))
		}
	}
	s.last = a
}

// expect reads "SEV1 [80..95] [rule|no rule] [major yes]".
func (s *story) expect(line int, rest string) {
	f := strings.Fields(rest)
	if s.last.Severity != f[0] {
		s.t.Errorf("line %d: %s is advised (score %s, rule %q), a practitioner says %s; axes %s", line, s.last.Severity, s.last.Range(), s.last.Rule, f[0], axes(s.last))
	}
	for i := 1; i < len(f); i++ {
		if lo, hi, ok := strings.Cut(f[i], ".."); ok {
			l, _ := strconv.Atoi(lo)
			h, _ := strconv.Atoi(hi)
			if s.last.Score < l || s.last.Score > h {
				s.t.Errorf("line %d: score %d is not %s", line, s.last.Score, f[i])
			}
			continue
		}
		if f[i] == "major" {
			i++
			if s.last.Major == nil || s.last.Major.Answer != f[i] {
				s.t.Errorf("line %d: major: %+v", line, s.last.Major)
			}
			continue
		}
		if s.last.Rule != f[i] {
			s.t.Errorf("line %d: rule %q, expected %q", line, s.last.Rule, f[i])
		}
	}
}

func axes(a impact.Assessment) string {
	var out []string
	for _, x := range a.Axes {
		p := "?"
		if x.Known {
			p = fmt.Sprint(x.Points)
		}
		out = append(out, x.Name+" "+p)
	}
	return strings.Join(out, ", ")
}
