package web

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/precedent"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/views"
)

// topicQueue carries the queue. It changes with the board, and is one of its own so that only those who look at the queue are sent it.
const topicQueue = "queue"

// listedQueue is how many rows the queue shows; the cheapest are left out.
const listedQueue = 200

func (s *Server) queuePage(c *call) error {
	p := views.QueuePage{Show: c.QueryParam("show"), Teams: s.teamsOf(c.actor.ID)}
	if p.Show != "mine" && p.Show != "team" && p.Show != "unclaimed" {
		p.Show = ""
	}
	s.World.Look(func(v projection.View) {
		p.Base = c.base("Queue", "queue", v, logTopic(topicQueue, v))
		p.Queue = s.presentQueue(v)
	})
	return c.page(http.StatusOK, views.QueueView(p))
}

// teamsOf are the ids of the teams that a person is in.
func (s *Server) teamsOf(handle string) (out []string) {
	if s.OnCall == nil {
		return nil
	}
	for _, t := range s.OnCall.Settings().Teams {
		if slices.Contains(t.Members, handle) {
			out = append(out, t.ID)
		}
	}
	return out
}

// queued is one item of the queue with what it is about.
type queued struct {
	precedent.Ranked
	incident *incident.State
	signal   *signal.Signal
}

// queue is everything open in its order.
func (s *Server) queue(v projection.View) []queued {
	now := s.now()
	of := map[string]queued{}
	var items []precedent.Item
	for _, st := range v.Open() {
		i := precedent.Item{ID: "incident-" + itoa(st.Number), Severity: st.Severity, Since: cmp.Or(st.ImpactBeganAt, st.DeclaredAt), Drill: st.Drill}
		if l := st.Impact.Loss; st.Impact.At > 0 && l.Known {
			i.PerMinute, i.CostKnown = l.PerMinute, true
		}
		if s.Past != nil && !st.Drill {
			i.Longer = s.Past.Recovery(st.Number, now)
		}
		items = append(items, i)
		of[i.ID] = queued{incident: &st}
	}
	for g := range v.Signals() {
		if !g.IsOpen() || g.Incident != 0 || g.Weak {
			continue
		}
		i := precedent.Item{ID: "signal-" + g.ID, Severity: incident.Severity(g.Severity), Since: g.OpenedAt, Drill: g.Drill}
		items = append(items, i)
		of[i.ID] = queued{signal: &g}
	}
	out := make([]queued, 0, len(items))
	for _, r := range precedent.Order(items) {
		q := of[r.ID]
		q.Ranked = r
		out = append(out, q)
	}
	return out
}

func (s *Server) presentQueue(v projection.View) views.CostQueue {
	list := s.queue(v)
	var out views.CostQueue
	known := 0.0
	for n, q := range list {
		if q.incident != nil {
			out.Incidents++
			if q.CostKnown && !q.Drill {
				known += q.PerMinute
			}
		} else {
			out.Signals++
		}
		if n < listedQueue {
			out.Rows = append(out.Rows, s.presentQueued(q))
		}
	}
	out.More = len(list) - len(out.Rows)
	if known > 0 {
		out.PerMinute = precedent.Money(known)
	}
	return out
}

func (s *Server) presentQueued(q queued) views.CostRow {
	r := views.CostRow{ID: "queue-" + q.ID, Severity: string(q.Severity), Drill: q.Drill, Since: q.Since, Reason: q.Reason, Assumed: q.Assumed}
	if !q.Drill {
		r.Cost = precedent.Money(q.Cost)
	}
	if q.signal != nil {
		r.Href, r.Title, r.Status = "/signals/"+q.signal.ID, q.signal.Title, "signal of "+s.sourceName(q.signal.Source)
		return r
	}
	st := *q.incident
	r.Number, r.Href, r.Title, r.Status = st.Number, "/incidents/"+itoa(st.Number), st.Title, string(st.Status)
	r.Team, r.TeamID, r.Claimed = cmp.Or(st.Triage.Name, st.Triage.Team), st.Triage.Team, s.person(st.Triage.ClaimedBy)
	r.Paging, r.Unmanned = s.pagingWords(st)
	r.Mine = mine(st)
	if st.Triage.ClaimedBy == "" {
		claim := act("Claim", "claim", nil)
		claim.On = st.Number
		r.Claim = &claim
	}
	if len(st.Paging.Has()) == 0 {
		have := act("I have it", "acknowledge", nil)
		have.On = st.Number
		r.Have = &have
	}
	return r
}

// mine are the people who have an incident, or are asked to come.
func mine(st incident.State) []string {
	out := st.People()
	add := func(p string) {
		if p != "" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	out = slices.Clone(out)
	add(st.Triage.ClaimedBy)
	for _, p := range st.Paging.Has() {
		add(p)
	}
	for _, p := range st.Paging.Waits() {
		add(p.Person)
	}
	return out
}

// pagingWords tell how far paging is; unmanned is true when nobody is left to be asked.
func (s *Server) pagingWords(st incident.State) (text string, unmanned bool) {
	p := st.Paging
	if has := p.Has(); len(has) > 0 {
		return s.twoNames(has) + " has it", false
	}
	switch p.Phase {
	case escalation.Exhausted:
		if at, ok := st.PagedAgain(s.now()); ok {
			return "nobody came, all are paged again at " + time.UnixMilli(at).UTC().Format("15:04") + " UTC", true
		}
		return "paged everybody, nobody came", true
	case escalation.Snoozed:
		return "paging snoozed", false
	}
	var asked []string
	for _, w := range p.Waits() {
		if !slices.Contains(asked, w.Person) {
			asked = append(asked, w.Person)
		}
	}
	if len(asked) > 0 {
		return "paging " + s.twoNames(asked), false
	}
	if p.Phase == escalation.Running {
		return "paging", false
	}
	return "nobody paged", false
}

// twoNames names two people, and says how many more there are.
func (s *Server) twoNames(handles []string) string {
	var names []string
	for _, h := range handles[:min(2, len(handles))] {
		names = append(names, s.person(h))
	}
	text := strings.Join(names, " and ")
	if more := len(handles) - len(names); more > 0 {
		text = strings.Join(names, ", ") + " and " + strconv.Itoa(more) + " more"
	}
	return text
}

type queueAnswer struct {
	Items []queueDoc `json:"items"`
}

type queueDoc struct {
	Incident    int64    `json:"incident,omitempty"`
	Signal      string   `json:"signal,omitempty"`
	Title       string   `json:"title"`
	Severity    string   `json:"severity"`
	Drill       bool     `json:"drill,omitempty"`
	Since       string   `json:"since"`
	PerMinute   *float64 `json:"loss_per_minute" doc:"USD; null = not known"`
	Longer      *int64   `json:"likely_ms" doc:"how much longer it is likely to last, in milliseconds; null = too few incidents to say"`
	Cost        float64  `json:"cost" doc:"USD that it is likely to cost from now on; a drill costs nothing"`
	Assumed     bool     `json:"assumed" doc:"loss or duration is taken from the severity"`
	Reason      string   `json:"reason"`
	Team        string   `json:"team,omitempty"`
	ClaimedBy   string   `json:"claimed_by,omitempty"`
	Having      []string `json:"acknowledged_by,omitempty"`
	Asked       []string `json:"paged,omitempty" doc:"people whose page waits for an answer"`
	PagingPhase string   `json:"paging,omitempty"`
}

func (s *Server) apiQueue(c *call) error {
	out := queueAnswer{Items: []queueDoc{}}
	s.World.Look(func(v projection.View) {
		for _, q := range s.queue(v) {
			d := queueDoc{Severity: string(q.Severity), Drill: q.Drill, Since: rfc3339(q.Since), Cost: q.Cost, Assumed: q.Assumed, Reason: q.Reason}
			if q.CostKnown {
				d.PerMinute = &q.PerMinute
			}
			if q.Longer.Known {
				d.Longer = &q.Longer.Likely
			}
			if st := q.incident; st != nil {
				d.Incident, d.Title, d.Team, d.ClaimedBy = st.Number, st.Title, st.Triage.Team, st.Triage.ClaimedBy
				d.Having, d.PagingPhase = st.Paging.Has(), string(st.Paging.Phase)
				for _, w := range st.Paging.Waits() {
					d.Asked = append(d.Asked, w.Person)
				}
			} else {
				d.Signal, d.Title = q.signal.ID, q.signal.Title
			}
			out.Items = append(out.Items, d)
		}
	})
	return c.JSON(http.StatusOK, out)
}
