package web

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/impact"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/views"
)

// impactChanges are the newest recorded scores that one page lists.
const impactChanges = 500

// impactPage is every reason there is and ever was.
func (s *Server) impactPage(c *call) error { return s.showImpact(c, incident.SetFact{}, nil) }

func (s *Server) showImpact(c *call, typed incident.SetFact, refused error) error {
	n, err := c.number()
	if err != nil {
		return err
	}
	if err := c.known(n); err != nil {
		return err
	}
	var p views.ImpactPage
	err = s.World.LookInto(c.ctx(), n, func(v projection.View, st incident.State) {
		p.Base = c.base("Impact of #"+strconv.FormatInt(n, 10), "incidents", v, logTopic(room.Stream(n), v))
		p.Base.Drill = p.Base.Drill || st.Drill
		p.Title, p.Status, p.Impact = st.Title, string(st.Status), s.presentImpact(st, true)
		p.State = !merged(st)
	})
	if errors.Is(err, projection.ErrUnknown) {
		err = room.ErrNoIncident
	}
	if err != nil {
		return err
	}
	if p.Impact.Changes, p.More, err = s.scoresOf(c, n); err != nil {
		return err
	}
	for _, k := range impact.Facts() {
		p.Choices = append(p.Choices, views.FactChoice{Name: k.Name, Title: k.Title, Help: k.Help, Example: k.Example, Chosen: k.Name == cmp.Or(typed.Fact, c.QueryParam("fact"))})
	}
	code := http.StatusOK
	if refused != nil {
		d, known := describe(refused)
		if !known {
			return refused
		}
		p.Problem, code, p.Value, p.Note = d.Detail, d.Status, typed.Value, typed.Note
	}
	return c.page(code, views.ImpactView(p))
}

// scoresOf reads every recorded score of an incident from the log, the newest first, and how many more there are.
func (s *Server) scoresOf(c *call, n int64) (out []views.ImpactEvent, more int, err error) {
	typ := incident.Scored{}.Type()
	for seq := int64(1); ; {
		page, err := s.Log.ReadStream(c.ctx(), room.Stream(n), seq, 512)
		if err != nil {
			return nil, 0, err
		}
		for _, e := range page {
			if e.Type == typ {
				out = append(out, presentScored(e))
			}
		}
		if len(out) > 2*impactChanges {
			more += len(out) - impactChanges
			out = slices.Clone(out[len(out)-impactChanges:])
		}
		if len(page) == 0 {
			break
		}
		seq = page[len(page)-1].Seq + 1
	}
	more += max(0, len(out)-impactChanges)
	out = out[max(0, len(out)-impactChanges):]
	slices.Reverse(out)
	return out, more, nil
}

func presentScored(e eventlog.Event) views.ImpactEvent {
	b, ok := room.Decode(e).Body.(incident.Scored)
	if !ok {
		return views.ImpactEvent{At: e.At, Redacted: true}
	}
	a := b.Assessment
	out := views.ImpactEvent{At: e.At, Score: a.Range(), Severity: a.Severity, Changes: a.Changes}
	if a.Loss.Known {
		out.PerMinute = impact.USD(a.Loss.PerMinute)
	}
	if len(out.Changes) == 0 {
		for _, r := range a.Top(6) {
			out.Changes = append(out.Changes, r.Sentence)
		}
	}
	return out
}

// factForm states a fact.
func (s *Server) factForm(c *call) error {
	n, err := c.number()
	if err != nil {
		return err
	}
	if err := c.known(n); err != nil {
		return err
	}
	cmd := incident.SetFact{Fact: c.FormValue("fact"), Value: c.FormValue("value"), Note: c.FormValue("note")}
	m, err := c.meta(commandID())
	if err != nil {
		return err
	}
	s.World.Look(func(v projection.View) {
		if k, err := v.Card(n); err == nil {
			m.Drill = m.Drill || k.Drill
		}
	})
	a, err := s.Rooms.Do(c.ctx(), n, cmd, m)
	if err != nil {
		return s.showImpact(c, cmd, err)
	}
	c.wrote(a.Position)
	c.tell("done", "Stated. The score follows within seconds.")
	return c.land("/incidents/" + strconv.FormatInt(n, 10) + "/impact")
}
