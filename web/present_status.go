package web

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/views"
)

const (
	day     = int64(24 * 3600_000)
	barDays = 90

	// The page itself shows so many days and incidents of the past; months of
	// history show the rest.
	historyDays    = 14
	historyEntries = 50

	// ongoing is how often a page counts the minutes of trouble that goes on.
	ongoing = int64(5 * 60_000)
)

// telling is all that one audience was told.
type telling struct {
	at    int64 // position of the last change that is in it for certain
	all   []publication
	first int64 // midnight of the day from which there is history
}

func (s *Server) telling(v projection.View, audience string) telling {
	return telling{all: s.publications(v, audience), first: s.firstDay(v)}
}

// until is when a page of now stops being true by the clock alone: at midnight
// UTC, or soon when it counts the minutes of something that goes on.
func (t telling) until(now int64) int64 {
	for _, p := range t.all {
		for _, sp := range p.components {
			if sp.to == 0 {
				return min(now+ongoing, now-now%day+day)
			}
		}
	}
	return now - now%day + day
}

// publication is one incident as one audience was told: made only of published
// updates. Nothing else of the incident may enter it, so that nothing internal
// can reach a status page. The times are those of the updates.
type publication struct {
	id, title, phase, impact   string
	beganAt, updatedAt, endsAt int64 // endsAt 0 = open
	updates                    []told
	components                 []span90
	drill                      bool
}

// told is one published update.
type told struct {
	id, phase, text string
	at              int64
	components      map[string]string
}

// span90 is a time in which a component was not operational.
type span90 struct {
	component, state string
	from, to         int64 // to 0 = still
}

// componentStates are the field's words (Statuspage), from best to worst, with the page's own.
var componentStates = []struct{ wire, view, impact string }{
	{"operational", "operational", "none"}, {"under_maintenance", "maintenance", "none"}, {"degraded_performance", "degraded", "minor"},
	{"partial_outage", "partial", "major"}, {"major_outage", "major", "critical"},
}

func stateRank(wire string) int {
	for i, c := range componentStates {
		if c.wire == wire {
			return i
		}
	}
	return 0
}

// publications are all incidents that an audience was told of, newest first.
func (s *Server) publications(v projection.View, audience string) []publication {
	audience = cmp.Or(audience, auth.PublicAudience)
	var out []publication
	for _, st := range v.Cards() {
		if st.Drill && !s.Demo {
			continue // a drill never leaves the building
		}
		if p, ok := publish(st, audience); ok {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b publication) int { return cmp.Compare(b.beganAt, a.beganAt) })
	return out
}

func publish(st incident.Card, audience string) (publication, bool) {
	if !slices.ContainsFunc(st.Updates, func(u incident.Update) bool { return u.State == incident.UpdateIsPublished && u.Audience == audience }) {
		return publication{}, false // of thousands, most
	}
	sum := sha256.Sum256([]byte(audience + "\x00" + st.ID))
	p := publication{id: hex.EncodeToString(sum[:6]), title: "Service incident", drill: st.Drill}
	for _, u := range st.Updates {
		if u.State != incident.UpdateIsPublished || u.Audience != audience {
			continue
		}
		t := told{id: p.id + "-" + u.ID, phase: u.Phase, text: u.Text, at: u.PublishedAt, components: u.Components}
		if u.Redacted {
			t.text, t.components = "This update was withdrawn.", nil
		} else if u.Headline != "" {
			p.title = u.Headline
		}
		p.updates = append(p.updates, t)
	}
	slices.SortStableFunc(p.updates, func(a, b told) int { return cmp.Compare(a.at, b.at) })
	p.impact = "none"
	now := map[string]span90{}
	for _, u := range p.updates {
		p.phase, p.updatedAt = cmp.Or(u.phase, p.phase), u.at
		p.endsAt = 0
		if p.phase == "resolved" {
			p.endsAt = u.at
		}
		for name, state := range u.components {
			if i := componentStates[stateRank(state)].impact; impactRank(i) > impactRank(p.impact) {
				p.impact = i
			}
			if old, ok := now[name]; ok {
				old.to = u.at
				p.components = append(p.components, old)
				delete(now, name)
			}
			if stateRank(state) > 0 {
				now[name] = span90{component: name, state: state, from: u.at}
			}
		}
	}
	p.beganAt = p.updates[0].at
	for _, name := range sortedKeys(now) {
		sp := now[name]
		sp.to = p.endsAt
		p.components = append(p.components, sp)
	}
	return p, true
}

var impacts = []string{"none", "minor", "major", "critical"}

func impactRank(i string) int { return slices.Index(impacts, i) }

// componentNow is the worst that any open publication says of a component.
func componentNow(all []publication, name string) string {
	worst := 0
	for _, p := range all {
		for _, sp := range p.components {
			if sp.component == name && sp.to == 0 {
				worst = max(worst, stateRank(sp.state))
			}
		}
	}
	return componentStates[worst].wire
}

func pageIndicator(all []publication) string {
	worst := 0
	for _, p := range all {
		if p.endsAt != 0 {
			continue
		}
		worst = max(worst, impactRank(p.impact))
		for _, sp := range p.components {
			if sp.to == 0 {
				worst = max(worst, impactRank(componentStates[stateRank(sp.state)].impact))
			}
		}
		worst = max(worst, 1)
	}
	return impacts[worst]
}

func pageSentence(indicator string, open int) string {
	switch {
	case indicator == "none":
		return "All systems work"
	case open > 1 && indicator == "minor":
		return "Some systems are affected by incidents"
	}
	return map[string]string{"minor": "Some systems are affected", "major": "Partial outage", "critical": "Major outage"}[indicator]
}

// presentStatus is the body of a status page; audience "" is the public.
func (s *Server) presentStatus(v projection.View, audience string) views.StatusBody {
	return s.presentTold(s.telling(v, audience), audience, s.now())
}

func (s *Server) presentTold(told telling, audience string, now int64) views.StatusBody {
	all := told.all
	out := views.StatusBody{Indicator: pageIndicator(all)}
	for _, p := range all {
		out.At = max(out.At, p.updatedAt)
		if p.endsAt == 0 {
			out.Open = append(out.Open, presentPublication(p))
		}
	}
	out.Sentence = pageSentence(out.Indicator, len(out.Open))
	out.Groups = s.componentGroups(all, now, told.first)
	midnight, shown := now-now%day, 0
	for d := range int64(historyDays) {
		h := views.HistoryDay{Day: midnight - d*day}
		for shown < len(all) && shown < historyEntries && all[shown].beganAt >= h.Day {
			i := presentPublication(all[shown])
			if all[shown].endsAt == 0 {
				i.ID, i.Updates = "", nil // they stand above, where it is open
			}
			h.Incidents = append(h.Incidents, i)
			shown++
		}
		out.History = append(out.History, h)
		if shown == historyEntries {
			break
		}
	}
	if shown < len(all) {
		older := historyLink(audience, monthOf(all[shown].beganAt), 1)
		older.Text = "Older incidents: " + older.Text
		out.Older = older
	}
	if audience == "" {
		out.Subscribe = []views.Link{{Text: "Atom feed", URL: "/status/history.atom"}, {Text: "JSON", URL: "/api/v2/summary.json"}}
	}
	return out
}

// firstDay is when there is history from: the first incident of this log, or today.
func (s *Server) firstDay(v projection.View) int64 {
	first := s.now()
	for _, st := range v.Cards() {
		if st.DeclaredAt != 0 {
			first = min(first, st.DeclaredAt)
		}
	}
	return first - first%day
}

func presentPublication(p publication) views.PublicIncident {
	out := views.PublicIncident{ID: p.id, Title: p.title, Status: p.phase, Impact: p.impact, BeganAt: p.beganAt, ResolvedAt: p.endsAt, Drill: p.drill}
	for _, sp := range p.components {
		if !slices.Contains(out.Components, sp.component) {
			out.Components = append(out.Components, sp.component)
		}
	}
	for i := len(p.updates) - 1; i >= 0; i-- {
		out.Updates = append(out.Updates, views.PublicUpdate{At: p.updates[i].at, Status: p.updates[i].phase, Text: p.updates[i].text})
	}
	return out
}

// publicComponents are the configured components and any other that was
// published and is or was in trouble as far back as the bars go, so that nothing
// told of them is left out.
func (s *Server) publicComponents(all []publication, now int64) []Component {
	out := slices.Clone(s.Components)
	for _, p := range all {
		for _, sp := range p.components {
			if sp.inBars(now) && !slices.ContainsFunc(out, func(c Component) bool { return c.Name == sp.component }) {
				out = append(out, Component{Name: sp.component})
			}
		}
	}
	return out
}

func (sp span90) inBars(now int64) bool { return sp.to == 0 || sp.to > now-(barDays+1)*day }

func (s *Server) componentGroups(all []publication, now, first int64) []views.ComponentGroup {
	spans := map[string][]span90{}
	for _, p := range all {
		for _, sp := range p.components {
			if sp.inBars(now) {
				spans[sp.component] = append(spans[sp.component], sp)
			}
		}
	}
	var groups []views.ComponentGroup
	for _, c := range s.publicComponents(all, now) {
		v := views.Component{Name: c.Name, State: componentStates[stateRank(componentNow(all, c.Name))].view}
		v.Days = int(min(barDays, (now-first)/day+1))
		v.Bad = badDays(spans[c.Name], now, v.Days)
		i := slices.IndexFunc(groups, func(g views.ComponentGroup) bool { return g.Name == c.Group })
		if i < 0 {
			groups = append(groups, views.ComponentGroup{Name: c.Group})
			i = len(groups) - 1
		}
		groups[i].Components = append(groups[i].Components, v)
	}
	return groups
}

// badDays are the days on which one component was in trouble; spans are its own.
func badDays(spans []span90, now int64, days int) []views.BadDay {
	midnight := now - now%day
	var out []views.BadDay
	for ago := days - 1; ago >= 0 && len(spans) > 0; ago-- {
		from := midnight - int64(ago)*day
		to := min(from+day, now)
		worst, ms := 0, int64(0)
		for _, sp := range spans {
			end := cmp.Or(sp.to, now)
			if end <= from || sp.from >= to {
				continue
			}
			worst = max(worst, stateRank(sp.state))
			ms += min(end, to) - max(sp.from, from)
		}
		if worst > 0 {
			out = append(out, views.BadDay{Ago: ago, Day: from, State: componentStates[worst].view, Minutes: int((min(ms, day) + 59_999) / 60_000)})
		}
	}
	return out
}
