package attention

import (
	"slices"
	"strconv"
)

// Bounds of what one step tells.
const (
	// MostNotices is how many notices one step shows at most.
	MostNotices = 6
	// RepeatEvery is how often pages that wait are heard again (ms).
	RepeatEvery = 60_000

	mostOwnPages  = 4         // pages with a notice of their own in one step; the others share one
	mostOwnNews   = 3         // incidents likewise
	awayAfter     = 2 * 60e3  // ms without a state after which news is gathered in one summary
	lostAfter     = 10 * 60e3 // ms without a state after which nobody knows whether pages still wait
	behindAllowed = 30 * 1000 // ms for which an older position is a replica that lags, and is not believed
)

// Diff takes the newest state at the time at (unix ms, this computer's clock)
// and says what to show, the most urgent first and at most MostNotices, of which
// only the first sounds, and which keys to take back. The first state of a
// Memory, and the first after a long time without one, is one summary beside
// the pages that wait. A fact is shown once.
func Diff(before Memory, now State, rules Rules, at int64) (after Memory, show []Notice, withdraw []string) {
	t := before.copy()
	if before.told != nil {
		switch gap := at - t.at; {
		case now.Position < t.last.Position && gap >= 0 && gap < behindAllowed:
			return before, nil, nil
		case now.Handle != t.last.Handle: // somebody else is signed in
			for k := range t.keys() {
				withdraw = append(withdraw, k)
			}
			slices.Sort(withdraw)
			after, show, _ = Diff(Memory{}, now, rules, at)
			return after, show, slices.DeleteFunc(withdraw, func(k string) bool {
				return slices.ContainsFunc(show, func(n Notice) bool { return n.Key == k })
			})
		}
	}
	s := step{told: t, now: now, rules: rules, at: at, first: before.told == nil}
	s.away = !s.first && at-t.at > awayAfter
	onScreen := t.keys()
	s.takeBack()
	s.tellPages()
	s.tellNews()
	t.last, t.at = now, at
	for _, i := range now.Incidents {
		t.newest = max(t.newest, i.Number)
	}
	return Memory{t}, s.order(), t.gone(onScreen)
}

// Due is to be called every second or so: it says what the clock alone makes
// due, which are pages that wait unanswered, every RepeatEvery, and what a quiet
// that has ended held back. After ten minutes without a state it repeats nothing:
// the pages may be answered.
func Due(before Memory, rules Rules, at int64) (after Memory, show []Notice, withdraw []string) {
	if before.told == nil {
		return before, nil, nil
	}
	if before.told.heard > at { // the clock was set back
		t := before.copy()
		t.heard = at
		before = Memory{t}
	}
	repeats := len(before.told.last.Pages) > 0 && rules.quiet(at) != NoSound && at-before.told.heard >= RepeatEvery && at-before.told.at <= lostAfter
	over := len(before.told.missed) > 0 && rules.quiet(at) != PagesOnly
	if !repeats && !over {
		return before, nil, nil
	}
	t := before.copy()
	s := step{told: t, now: t.last, rules: rules, at: at}
	onScreen := t.keys()
	if repeats {
		s.repeatPages()
	}
	s.tellNews()
	return Memory{t}, s.order(), t.gone(onScreen)
}

// step is one call's work.
type step struct {
	*told
	now         State
	rules       Rules
	at          int64
	first, away bool
	show        []Notice
	milder      []Notice // shown when there is room
}

// takeBack forgets what is over. Of more incidents than are listed, those that
// are not listed any more are over, or among the mildest.
func (s *step) takeBack() {
	for n := range s.shown {
		if _, open := s.now.incident(n); !open {
			s.forget(n)
		}
	}
	for n := range s.missed {
		if _, open := s.now.incident(n); !open {
			delete(s.missed, n)
		}
	}
	for id := range s.pages {
		if _, waits := s.now.page(id); !waits {
			delete(s.pages, id)
		}
	}
}

// tellPages tells of pages that are new, or whose severity changed.
func (s *step) tellPages() {
	var fresh []Page
	before := map[string]string{} // what is said before a page's reason
	for _, p := range s.now.Pages {
		was, known := s.last.page(p.ID)
		switch key := s.pages[p.ID]; {
		case key == "":
			fresh = append(fresh, p)
		case known && rank(p.Severity) < rank(was.Severity):
			fresh, before[p.ID] = append(fresh, p), "Raised from "+was.Severity+". "
		case known && rank(p.Severity) > rank(was.Severity) && key != keyMorePages:
			s.milder = append(s.milder, p.notice("Lowered from "+was.Severity+". "))
		}
	}
	slices.SortStableFunc(fresh, func(a, b Page) int { return loudness(a.notice("")) - loudness(b.notice("")) })
	own := fresh
	if len(fresh) > mostOwnPages+1 {
		own = fresh[:mostOwnPages]
		for _, p := range fresh[mostOwnPages:] {
			s.pages[p.ID] = keyMorePages
		}
	}
	for _, p := range own {
		s.pages[p.ID] = keyPage(p.ID)
		s.show = append(s.show, p.notice(before[p.ID]))
	}
	if len(own) < len(fresh) {
		s.show = append(s.show, s.others())
	}
	if len(fresh) > 0 && s.rules.quiet(s.at) != NoSound {
		s.heard = s.at
	}
	// A page tells of its incident, too.
	for _, p := range s.now.Pages {
		if _, listed := s.now.incident(p.Incident); listed {
			s.forget(p.Incident)
		}
	}
}

// others is the notice of all pages without one of their own.
func (s *step) others() Notice {
	var list []Page
	for _, p := range s.now.Pages {
		if s.pages[p.ID] == keyMorePages {
			list = append(list, p)
		}
	}
	return morePages(list)
}

// repeatPages makes the pages that wait heard again.
func (s *step) repeatPages() {
	more := false
	for _, p := range s.now.Pages {
		if s.pages[p.ID] == keyMorePages {
			more = true
		} else if len(s.show) < mostOwnPages {
			s.show = append(s.show, p.notice("Still waiting for your answer. "))
		}
	}
	if more {
		s.show = append(s.show, s.others())
	}
	s.heard = s.at
}

// news is an incident with what happened to it.
type news struct {
	Incident
	body string
}

// tellNews tells of incidents that are new, reopened, or changed in severity.
func (s *step) tellNews() {
	held := s.rules.quiet(s.at) == PagesOnly
	gather := s.first || s.away
	title, late := "since the room was last heard", 0
	var list []news
	for _, i := range s.now.Incidents {
		if _, paged := s.now.waits(i.Number); paged {
			continue
		}
		body, lowered := s.happened(i)
		switch {
		case body == "" && s.missed[i.Number] && !held:
			body = "is open: " + i.Status + ". This was held back while it was quiet."
			late++
		case lowered != "":
			if key := s.shown[i.Number]; key == keyIncident(i.Number) {
				delete(s.shown, i.Number)
				if s.rules.shows(i.Severity) && !held {
					s.milder = append(s.milder, i.notice(lowered))
				}
			}
			continue
		}
		switch {
		case body == "" || !s.rules.shows(i.Severity):
		case held:
			s.missed[i.Number] = true
		default:
			list = append(list, news{i, body})
		}
		if !held {
			delete(s.missed, i.Number)
		}
	}
	if late > 0 && !gather {
		gather = true
		title = "held back while it was quiet"
		if late < len(list) {
			title = "that are news to you"
		}
	}
	s.tell(list, gather, title)
	for _, n := range s.milder {
		if len(s.show) == MostNotices {
			break
		}
		n.Sound = Silent
		s.show = append(s.show, n)
		for _, i := range s.now.Incidents {
			if n.Key == keyIncident(i.Number) {
				s.shown[i.Number] = n.Key
			}
		}
	}
}

// happened says what became of an incident since the last state; lowered is
// what to say when it became milder.
func (s *step) happened(i Incident) (body, lowered string) {
	was, listed := s.last.incident(i.Number)
	switch {
	case s.first:
		return "is open: " + i.Status + ".", ""
	case !listed && i.Number > s.newest:
		return "was declared.", ""
	case !listed && !s.last.truncated():
		return "was reopened.", ""
	case !listed && s.last.listed(i):
		return "was reopened or raised.", ""
	case listed && rank(i.Severity) < rank(was.Severity):
		return "was raised from " + was.Severity + " to " + i.Severity + ".", ""
	case listed && rank(i.Severity) > rank(was.Severity):
		return "", "was lowered from " + was.Severity + " to " + i.Severity + "."
	}
	return "", ""
}

// tell shows news: each by itself, or what is too much for that in a summary.
func (s *step) tell(list []news, gather bool, title string) {
	more := 0
	if s.first && s.rules.Floor == "" && s.rules.quiet(s.at) != PagesOnly {
		more = s.now.Open - len(s.now.Incidents)
	}
	if len(list) == 0 {
		return
	}
	own := min(len(list), mostOwnNews, MostNotices-len(s.show))
	switch {
	case gather && len(list)+more > 1:
		own = 0
	case own < len(list):
		own = max(0, min(own, MostNotices-len(s.show)-1))
	}
	for _, i := range list[:own] {
		n := i.notice(i.body)
		s.shown[i.Number] = n.Key
		s.show = append(s.show, n)
	}
	if own == len(list) {
		return
	}
	var rest []Incident
	for _, i := range list[own:] {
		rest = append(rest, i.Incident)
		s.shown[i.Number] = keySummary
	}
	words := strconv.Itoa(len(rest)+more) + " incidents"
	switch {
	case s.first && len(s.now.Pages) > 0:
		words = count(len(rest)+more, "more incident is open", "more incidents are open")
	case s.first:
		words = count(len(rest)+more, "incident is open", "incidents are open")
	case gather:
		words += " " + title
	default:
		words = count(len(rest), "more incident", "more incidents")
	}
	if !s.first && s.now.truncated() {
		words = "At least " + words
	}
	s.show = append(s.show, summary(rest, more, words))
}

// order puts the loudest first and leaves only its sound.
func (s *step) order() []Notice {
	slices.SortStableFunc(s.show, func(a, b Notice) int { return loudness(a) - loudness(b) })
	quiet := s.rules.quiet(s.at)
	for i := range s.show {
		if i > 0 || quiet == NoSound {
			s.show[i].Sound = Silent
		}
	}
	return s.show
}

// loudness orders notices: a page that is no drill first, then by severity,
// what has a sound before what has none.
func loudness(n Notice) int {
	if n.Sound == SoundPage {
		return 0
	}
	l := 2 * rank(n.Severity)
	if n.Sound == Silent {
		l += 20
	}
	return l
}
