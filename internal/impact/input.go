package impact

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/forecast"
)

// Signal is an attached signal as the score sees it.
type Signal struct {
	ID        string
	Kind      string
	Subject   string
	Title     string
	Severity  string
	Chain     string
	Component string
	Open      bool
	OpenedAt  int64
	At        int64              // when it was last told
	Numbers   map[string]float64 // of its evidence, see Numbers
}

// Names of readings that are not facts.
const (
	ReadUsersTotal = "users_total"
	ReadHeld       = "held_usd"
)

// Reading is what a configured query says now.
type Reading struct {
	Name    string // a fact of numbers, ReadUsersTotal, ReadHeld; or FactLossPerMinute with Service or Kind set
	Service string // whose loss it is; "" of the whole
	Kind    string // of signals whose loss it is
	Value   float64
	Query   string
	At      int64
}

// Input is all that is known of an incident at one moment. Order within its lists does not matter.
type Input struct {
	At         int64 // unix ms
	Began      int64 // when the impact began; the detection or the declaration when nobody said
	Closed     bool  // resolved: a minute costs nothing any more
	Components []string
	Chains     []string
	Facts      []Fact
	Signals    []Signal
	Readings   []Reading
	Suffering  map[string]int64 // services and chains that suffer now, and since when
	Reach      []forecast.Reach // where that will be felt
	Before     *Assessment      // the newest one of this incident that was recorded
}

// Numbers are the plain numbers of a signal's evidence, at most 40, those of names in their order: what the score may weigh.
func Numbers(evidence json.RawMessage) map[string]float64 {
	var all map[string]any
	if len(evidence) == 0 || json.Unmarshal(evidence, &all) != nil {
		return nil
	}
	out := map[string]float64{}
	keys := make([]string, 0, len(all))
	for k := range all {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if v, ok := all[k].(float64); ok && len(out) < 40 && len(k) <= 60 {
			out[k] = v
		}
	}
	return out
}

// known is an Input with its facts and readings at hand, in an order of their own.
type known struct {
	Input
	m     Model
	facts map[string]Fact
	sigs  []Signal
	reads []Reading
}

func study(m Model, in Input) known {
	k := known{Input: in, m: m, facts: map[string]Fact{}, sigs: slices.Clone(in.Signals), reads: slices.Clone(in.Readings)}
	for _, f := range in.Facts {
		if _, ok := FactNamed(f.Name); !ok {
			continue
		}
		if _, err := ParseFact(f.Name, f.Value); err != nil {
			continue // a fact of another version
		}
		if old, ok := k.facts[f.Name]; !ok || newer(f, old) {
			k.facts[f.Name] = f
		}
	}
	slices.SortFunc(k.sigs, func(a, b Signal) int {
		return cmp.Or(cmp.Compare(rank(a.Severity), rank(b.Severity)), cmp.Compare(a.OpenedAt, b.OpenedAt), strings.Compare(a.ID, b.ID), strings.Compare(a.Kind, b.Kind))
	})
	k.reads = slices.DeleteFunc(k.reads, func(r Reading) bool { return math.IsNaN(r.Value) || math.IsInf(r.Value, 0) })
	slices.SortFunc(k.reads, func(a, b Reading) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Service, b.Service), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Query, b.Query), cmp.Compare(b.Value, a.Value))
	})
	if v, _, ok := k.read(ReadUsersTotal); ok && v > 0 {
		k.m.UsersTotal = v
	}
	if v, _, ok := k.read(ReadHeld); ok && v > 0 {
		k.m.HeldUSD = v
	}
	return k
}

func newer(a, b Fact) bool {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Offset, b.Offset), strings.Compare(a.Value, b.Value)) > 0
}

// read is what a query of the whole says; the largest when several do.
func (k known) read(name string) (float64, From, bool) {
	best, from, ok := 0.0, From{}, false
	for _, r := range k.reads {
		if r.Name == name && r.Service == "" && r.Kind == "" && (!ok || r.Value > best) {
			best, from, ok = r.Value, From{Kind: FromMetric, Name: r.Query, At: r.At}, true
		}
	}
	return best, from, ok
}

// number is a fact of numbers: what was stated or what is measured, the worse of both.
func (k known) number(name string) (float64, From, bool) {
	v, from, ok := k.read(name)
	if f, stated := k.facts[name]; stated {
		if n, err := strconv.ParseFloat(f.Value, 64); err == nil && (!ok || n >= v) {
			return n, f.from(), true
		}
	}
	return max(v, 0), from, ok
}

func (k known) choice(name string) (string, From, bool) {
	f, ok := k.facts[name]
	return f.Value, f.from(), ok
}

func (k known) list(name string) ([]string, From, bool) {
	f, ok := k.facts[name]
	if !ok || f.Value == "none" {
		return nil, f.from(), ok
	}
	return strings.Split(f.Value, ", "), f.from(), true
}

func (f Fact) from() From { return From{Kind: FromFact, Name: f.Name, By: f.By, At: f.At} }

func (s Signal) from() From {
	return From{Kind: FromSignal, Name: s.Kind, Ref: s.ID, At: max(s.At, s.OpenedAt)}
}

func (s Signal) title() string { return strings.TrimSuffix(cmp.Or(s.Title, s.Kind), ".") }

// struck is a service that feels it now, and how bad the worst that says so is: 1 for SEV1 to 4 for SEV4.
type struck struct {
	name string
	rank int
}

// hit are the services that feel it now, by name: those of open signals that are no information, those stated to be critical and hit, and those that
// the incident names without ever having had a signal about them; the latter two as bad as can be.
func (k known) hit() []struck {
	var out []struck
	add := func(name string, rank int) {
		if name == "" {
			return
		}
		i := slices.IndexFunc(out, func(s struck) bool { return strings.EqualFold(s.name, name) })
		if i < 0 {
			out = append(out, struck{name, rank})
		} else {
			out[i].rank = min(out[i].rank, rank)
		}
	}
	told := map[string]bool{}
	for _, s := range k.sigs {
		told[strings.ToLower(s.Component)], told[strings.ToLower(s.Chain)] = true, true
		if r := rank(s.Severity); s.Open && r < 5 {
			add(s.Component, r)
			add(s.Chain, r)
		}
	}
	for _, n := range append(slices.Clone(k.Components), k.Chains...) {
		if !told[strings.ToLower(n)] {
			add(n, 1)
		}
	}
	if l, _, ok := k.list(FactCriticalService); ok {
		for _, n := range l {
			add(n, 1)
		}
	}
	slices.SortFunc(out, func(a, b struck) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name)), strings.Compare(a.name, b.name))
	})
	return out
}
