package detect

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// Set is all detection behind one door: the chains' monitors, the value heuristics, a detector for every series, the combination of weak
// findings and the word of a second node. It is a pure state machine: the same Setup, observations and ticks give the same findings, also when
// it was saved and loaded in between. Not safe for concurrent use.
//
// Time is that of the observations. Before one is taken, the time since the last is let pass in ticks: every second at first, then, as nothing
// comes, every sixteenth of the silence, and exactly at every moment that a
// monitor (or a heuristic with the method Due() int64) names, or a wait for a second voice ends. So a
// stall is found at the moment its bound passes, however late the next line comes, and a gap of a year costs some hundred ticks.
type Set struct {
	setup  Setup
	begun  bool
	now    int64 // the newest time
	heard  int64 // of the newest observation
	ticked int64 // of the last tick; never a second or more before heard
	swept  int64
	late   int64
	drill  bool
	woke   int64 // when somebody began to listen again, and for how long nobody had
	slept  int64

	chains []*watch // as they appeared
	nodes  int
	rules  []Heuristic
	dues   []interface{ Due() int64 }
	series *seriesSet
	voices *voices

	forks *book
	full  *book
	heirs []string // keys of chains that were not seen yet
	out   []chain.Finding
}

const (
	tickEvery  = 1000   // ms between ticks while observations come
	tickShare  = 16     // of the silence that may pass between two ticks
	sweepEvery = 15_000 // ms between looks for series that should have come
)

// Kinds of finding that a Set makes itself.
const (
	KindAnomaly     = "anomaly"      // a series is where its history does not put it
	KindWeakAnomaly = "weak_anomaly" // the same, but not rare enough for an alarm: for the review queue and for combination
	KindMissing     = "missing_data" // series that come regularly do not come
	KindCombined    = "combined"     // weak signs about one thing that hardly come together by chance
	KindFork        = "fork"         // two blocks at one height
	KindTooMany     = "too_many"     // more series, chains or nodes than there is room for
)

// NewSet makes a Set. Check the setup before.
func NewSet(c Setup) *Set {
	c = c.filled()
	s := &Set{setup: c, rules: All(c.Config), forks: newBook(KindFork), full: newBook(KindTooMany)}
	s.series = newSeriesSet(s)
	s.voices = newVoices(int64(c.VerificationWait), c.operators)
	for _, h := range s.rules {
		if d, ok := h.(interface{ Due() int64 }); ok {
			s.dues = append(s.dues, d)
		}
	}
	if !c.ChainsElsewhere {
		for _, f := range c.Chains {
			s.chain(f.Name)
		}
	}
	return s
}

// Observe takes what was seen. A time before the newest one is taken for the newest, and counted; only a sample keeps its own time towards the
// other samples of its series, since senders are never in step.
func (s *Set) Observe(o observation.Observation) []chain.Finding {
	own := o.At
	if s.begun && o.At < s.now {
		s.late++
		o.At = s.now
	}
	s.pass(o.At)
	s.now, s.heard = o.At, o.At
	s.drill = s.drill || o.Drill
	switch o.Kind {
	case observation.Sample:
		if len(o.Labels) == 0 {
			o.Labels = nil // as they are after a restart
		}
		switch {
		case o.Value == nil:
		case derivedSeries[o.Series]: // of a monitor elsewhere
			s.series.meanOnce(o.Series, o.Labels, own, o.At, *o.Value)
		default:
			s.series.late(o.Series, o.Labels, own, o.At, *o.Value)
		}
	case observation.Block, observation.Tip, observation.Node:
		s.onChain(o)
	}
	heard := s.voices.hear(o)
	s.emit(heard.told)
	for _, h := range s.rules {
		s.emit(s.voices.judged(h.Observe(o), heard))
	}
	return s.take()
}

// Tick lets time pass until at (unix ms). Call it about once a second where observations may stop coming.
func (s *Set) Tick(at int64) []chain.Finding {
	if at > s.now {
		s.pass(at)
		if s.now < at {
			s.tick(at)
		}
	}
	return s.take()
}

// Woke says that nobody has listened since the newest observation until at, as while a program was stopped: a silence of that time is not the
// senders'.
func (s *Set) Woke(at int64) {
	if s.begun && at > s.now {
		s.woke, s.slept = at, at-s.now
	}
}

// listened is the time at without the time that nobody listened since last.
func (s *Set) listened(last, at int64) int64 {
	if last >= s.woke {
		return at
	}
	return at - min(s.slept, max(at-last, 0))
}

// Late counts the observations whose time went backwards.
func (s *Set) Late() int64 { return s.late }

// Now is the newest time seen, unix ms.
func (s *Set) Now() int64 { return s.now }

// Open lists the keys of all open findings, sorted.
func (s *Set) Open() []string {
	out := slices.Concat(s.forks.open(), s.full.open(), s.series.open(), s.heirs)
	for _, w := range s.chains {
		out = append(out, w.mon.Open()...)
	}
	for _, h := range s.rules {
		out = append(out, h.Open()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Resume tells which keys the log holds open, so that those which are over get their end. Call it after Load, and before the first observation.
func (s *Set) Resume(keys []string) {
	open := s.Open()
	keys = slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return slices.Contains(open, k) })
	for _, w := range s.chains {
		w.mon.Resume(keys)
	}
	for _, h := range s.rules {
		h.Resume(keys)
	}
	s.forks.resume(keys)
	s.full.resume(keys)
	s.series.resume(keys)
	if s.setup.ChainsElsewhere {
		return
	}
	open = s.Open()
	for _, k := range keys {
		if len(s.heirs) < 4096 && !slices.Contains(open, k) {
			s.heirs = append(s.heirs, k)
		}
	}
}

// Views shows every chain at a time (unix ms), by name.
func (s *Set) Views(at int64) []chain.View {
	var out []chain.View
	for _, w := range s.chains {
		out = append(out, w.mon.View(at))
	}
	slices.SortFunc(out, func(a, b chain.View) int { return strings.Compare(a.Chain, b.Chain) })
	return out
}

// pass lets the time until at pass in ticks.
func (s *Set) pass(at int64) {
	if !s.begun {
		s.begun, s.now, s.heard, s.ticked, s.swept = true, at, at, at, at
		return
	}
	for next := s.next(); next <= at; next = s.next() {
		s.tick(next)
	}
	if at-s.ticked >= tickEvery {
		s.tick(at)
	}
}

// next is the time of the next tick while nothing is heard.
func (s *Set) next() int64 {
	next := s.ticked + max(tickEvery, (s.ticked-s.heard)/tickShare)
	take := func(due int64) {
		if due > s.ticked && due < next {
			next = due
		}
	}
	for _, w := range s.chains {
		take(w.due)
	}
	for _, d := range s.dues {
		take(d.Due())
	}
	take(s.voices.due())
	return next
}

func (s *Set) tick(at int64) {
	s.ticked, s.now = at, max(s.now, at)
	for _, w := range s.chains {
		s.outcome(w, w.mon.Tick(at))
	}
	for _, h := range s.rules {
		s.emit(s.voices.judged(h.Tick(at), heard{}))
	}
	s.emit(s.voices.tick(at))
	s.emit(s.forks.advance(at))
	s.emit(s.full.advance(at))
	if at-s.swept >= sweepEvery {
		s.swept = at
		s.series.sweep(at)
	}
	s.series.tick(at)
}

// emit gives findings out; those that are too weak to be an alarm are kept for combination.
func (s *Set) emit(list []chain.Finding) {
	for _, f := range list {
		f.Drill = f.Drill || s.drill
		s.out = append(s.out, f)
		s.series.indicate(f)
	}
}

func (s *Set) take() []chain.Finding {
	out := s.out
	s.out = nil
	return out
}

// tooMany tells once that there is no room for more.
func (s *Set) tooMany(what string, most int, newest string) {
	s.full.advance(s.now)
	s.emit(s.full.raise(chain.Finding{Key: "detect/" + KindTooMany + "/" + what, Kind: KindTooMany, Chain: "detect", Subject: what, Severity: "SEV4",
		Title:    "Too many " + what + " to watch them all",
		Reason:   "There are more than " + grouped(strconv.Itoa(most)) + " " + what + ": what came later is not watched. Leave out what nobody needs, or watch it from a second Tocsin.",
		Evidence: proof(map[string]any{"most": most, "first_left_out": cut(newest, subjectMax)}),
	}, life{lasts: 3_600_000, why: "For an hour nothing came that there was no room for."}))
}
