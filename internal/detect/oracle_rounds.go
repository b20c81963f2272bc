package detect

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

const (
	mostReaders = 8          // nodes remembered of a feed; of more, the one whose word is missed least goes
	roundsKept  = 4          // newest rounds remembered of a node, to find the newest that two tell
	mayLag      = 5 * 60_000 // ms that a node may be behind what a node of another operator alone tells; then its word counts against it
)

// feed is one feed on one chain.
type feed struct {
	Feed, Chain, Asset   string
	Updated              int64 // of the round that stands: the newest that two operators tell; where one alone reads the feed, its newest
	Answer               float64
	Sure                 bool `json:",omitempty"` // two operators told it
	Unsure               bool `json:",omitempty"` // two read the feed, and never told the same
	Heartbeat, Grace     int64
	Deviation            float64
	Intervals            []int64
	StaleReads, OffReads int
	Drill                bool
	Told                 map[string]teller `json:",omitempty"` // by node, "" = one source without a name
}

// teller is what one node says of a feed.
type teller struct {
	Rounds    []stated // newest first
	Read, Gap int64    // its last read, and the usual time between its reads
	Behind    int64    `json:",omitempty"` // since when a node of another operator tells a newer round; 0 = none does
}

// stated is a round as somebody told it.
type stated struct {
	Updated int64
	Answer  float64
}

// voice is the word of one operator: the newest round of its nodes.
type voice struct {
	by    string
	nodes []string // that tell it, sorted
	round stated
	since int64 // when a node of another operator began to tell a newer round; 0 = none does
	lags  bool
	apart float64 // from the market, as a share
}

func (t teller) newest() stated {
	if len(t.Rounds) == 0 {
		return stated{}
	}
	return t.Rounds[0]
}

// reads tells whether a node still reads the feed: who does not look cannot say.
func (t teller) reads(now int64) bool {
	return len(t.Rounds) > 0 && now-t.Read <= max(feedUnseen, 3*t.Gap)
}

// take takes one read and tells whose it is. One that shows an older round than the same node told before tells of a server that lags, and only
// that the feed was asked.
func (f *feed) take(o observation.Observation, by operators, now int64) string {
	name := cut(o.Node, 64)
	t, known := f.Told[name]
	if !known && len(f.Told) >= mostReaders {
		delete(f.Told, f.least(by))
	}
	if known && now > t.Read {
		t.Gap += (min(now-t.Read, 86_400_000) - t.Gap) / 4
	}
	t.Read = now
	r := stated{t.newest().Updated, *o.Answer}
	switch {
	case o.UpdatedAt != nil:
		r.Updated = min(int64(*o.UpdatedAt), now)
	case len(t.Rounds) == 0 || r.Answer != t.newest().Answer:
		r.Updated = f.undated(r.Answer, t.newest().Updated, now)
	}
	switch {
	case o.Removed:
		t.Rounds = slices.DeleteFunc(slices.Clone(t.Rounds), func(x stated) bool { return x == r })
	case len(t.Rounds) == 0 || r.Updated > t.newest().Updated:
		t.Rounds = append([]stated{r}, t.Rounds[:min(len(t.Rounds), roundsKept-1)]...)
	case r.Updated == t.newest().Updated:
		t.Rounds = append([]stated{r}, t.Rounds[1:]...)
	}
	if f.Told == nil {
		f.Told = map[string]teller{}
	}
	f.Told[name] = t
	if o.Removed && r == (stated{f.Updated, f.Answer}) {
		f.forget(r)
	}
	f.compare(by, now)
	f.stand(by, now)
	return by.voice(f.Chain, name)
}

// least is the node whose word is missed least: of the operator that has most of them, the one that has not read the feed for longest.
func (f *feed) least(by operators) string {
	of := map[string]int{}
	for name := range f.Told {
		of[by.voice(f.Chain, name)]++
	}
	return slices.MinFunc(slices.Sorted(maps.Keys(f.Told)), func(a, b string) int {
		return cmp.Or(cmp.Compare(of[by.voice(f.Chain, b)], of[by.voice(f.Chain, a)]), cmp.Compare(f.Told[a].Read, f.Told[b].Read))
	})
}

// undated is when a round began that nobody dated: when the first node told it.
func (f *feed) undated(answer float64, after, now int64) int64 {
	for _, name := range slices.Sorted(maps.Keys(f.Told)) {
		if r := f.Told[name].newest(); r.Answer == answer && r.Updated > after {
			return r.Updated
		}
	}
	return now
}

// forget lets a round go that a reorganisation took back, unless another node still tells it.
func (f *feed) forget(gone stated) {
	left := stated{}
	for _, name := range slices.Sorted(maps.Keys(f.Told)) {
		for _, r := range f.Told[name].Rounds {
			if r == gone {
				return
			}
			if r.Updated > left.Updated {
				left = r
			}
		}
	}
	f.Updated, f.Answer, f.Sure = left.Updated, left.Answer, false
}

// compare notes which nodes are behind what a node of another operator tells.
func (f *feed) compare(by operators, now int64) {
	for name, t := range f.Told {
		newer := false
		for other, w := range f.Told {
			newer = newer || w.reads(now) && w.newest().Updated > t.newest().Updated && by.voice(f.Chain, other) != by.voice(f.Chain, name)
		}
		switch {
		case !newer:
			t.Behind = 0
		case t.Behind == 0:
			t.Behind = now
		}
		f.Told[name] = t
	}
}

// stand finds the round that stands.
func (f *feed) stand(by operators, now int64) {
	all := f.voices(by, now)
	if len(all) == 0 {
		return
	}
	next := all[0].round
	if len(all) > 1 {
		told := map[stated]map[string]bool{}
		for name, t := range f.Told {
			for _, r := range t.Rounds {
				if told[r] == nil {
					told[r] = map[string]bool{}
				}
				told[r][by.voice(f.Chain, name)] = true
			}
		}
		next = stated{}
		for r, who := range told {
			if len(who) > 1 && (r.Updated > next.Updated || r.Updated == next.Updated && r.Answer > next.Answer) {
				next = r
			}
		}
		if f.Unsure = !f.Sure && next == (stated{}); next == (stated{}) || f.Sure && next.Updated <= f.Updated {
			return
		}
	} else if f.Unsure = false; next.Updated < f.Updated {
		return
	}
	if f.Updated > 0 && next.Updated > f.Updated {
		if f.Intervals = append(f.Intervals, next.Updated-f.Updated); len(f.Intervals) > intervalsKept {
			f.Intervals = f.Intervals[1:]
		}
	}
	f.Updated, f.Answer, f.Sure = next.Updated, next.Answer, len(all) > 1
}

// voices lists who reads the feed, by operator, sorted.
func (f *feed) voices(by operators, now int64) []voice {
	var out []voice
	for _, name := range slices.Sorted(maps.Keys(f.Told)) {
		t := f.Told[name]
		if !t.reads(now) {
			continue
		}
		who := by.voice(f.Chain, name)
		i := slices.IndexFunc(out, func(v voice) bool { return v.by == who })
		switch {
		case i < 0:
			out = append(out, voice{by: who, nodes: []string{name}, round: t.newest(), since: t.Behind})
		case t.newest() == out[i].round:
			out[i].nodes = append(out[i].nodes, name)
		case t.newest().Updated > out[i].round.Updated:
			out[i] = voice{by: who, nodes: []string{name}, round: t.newest(), since: t.Behind}
		}
	}
	slices.SortFunc(out, func(a, b voice) int { return cmp.Compare(a.by, b.by) })
	return f.behind(out, now)
}

// behind marks the voices that only lag: two operators tell a newer round, or one alone does and has for less than a node may lag. What they tell
// confirms what others tell, and is nothing by itself. So who tells of rounds that are not there hides nothing for longer than that, and what two
// tell at once is never hidden.
func (f *feed) behind(all []voice, now int64) []voice {
	for i, v := range all {
		alike := 0
		for _, w := range all {
			if w.round == v.round {
				alike++
			}
		}
		for _, w := range all {
			if w.round.Updated <= v.round.Updated {
				continue
			}
			confirmed := f.Sure && w.round.Updated >= f.Updated && f.Updated > v.round.Updated
			all[i].lags = all[i].lags || confirmed || alike < 2 && (v.since == 0 || now-v.since < mayLag)
		}
	}
	return all
}

// answers shows what each node tells.
func (f *feed) answers() map[string]any {
	out := map[string]any{}
	for name, t := range f.Told {
		if len(t.Rounds) > 0 && name != "" {
			out[name] = map[string]any{"answer": t.newest().Answer, "updated": t.newest().Updated}
		}
	}
	return out
}

// limit is the age at which the feed is stale, and where that is known from; 0 = not known yet.
func (f *feed) limit() (int64, string) {
	if f.Heartbeat > 0 {
		grace := f.Grace
		if grace == 0 {
			grace = max(f.Heartbeat/10, graceLeast)
		}
		return f.Heartbeat + grace, fmt.Sprintf("its heartbeat is %s", minutes(f.Heartbeat))
	}
	if len(f.Intervals) < intervalsKept/2 {
		return 0, ""
	}
	longest := slices.Max(f.Intervals)
	return 3 * longest, fmt.Sprintf("the longest of its last %d was %s", len(f.Intervals), minutes(longest))
}

func said(list []voice, by string) bool {
	return slices.ContainsFunc(list, func(v voice) bool { return v.by == by })
}

// newer names the nodes that tell a newer round than a voice does.
func newer(all []voice, than voice) string {
	for _, v := range all {
		if v.round.Updated > than.round.Updated && v.nodes[0] != "" {
			return v.nodes[0]
		}
	}
	return ""
}

// attested says how far it is confirmed what voices tell, and by which nodes. A source without a name is not to be confirmed; where one node alone reads
// the feed there is nobody who could.
func (f *feed) attested(list []voice, now int64) (chain.Verification, []string) {
	var seen []string
	for _, v := range list {
		for _, n := range v.nodes {
			if n != "" {
				seen = append(seen, n)
			}
		}
	}
	slices.Sort(seen)
	switch {
	case len(list) > 1:
		return chain.Confirmed, seen
	case len(seen) == 0:
		return chain.NotNeeded, nil
	}
	readers := 0
	for _, t := range f.Told {
		if t.reads(now) {
			readers++
		}
	}
	if readers < 2 {
		return chain.Unverifiable, seen
	}
	return chain.OneNode, seen
}
