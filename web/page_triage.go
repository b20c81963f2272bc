package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/views"
)

// showQueues is the page of triage; hand is the number of the incident whose form to hand it on stands open, 0: none.
func (s *Server) showQueues(c *call, hand int64, note string, refused error) error {
	var p views.QueuesPage
	s.World.Look(func(v projection.View) {
		p.Base = c.base("Triage", "triage", v, logTopic(projection.TopicBoard, v))
		p.Queues = s.presentQueues(openIncidents(v))
		if k, err := v.Card(hand); hand > 0 && err == nil && k.Open() {
			p.Hand = &views.HandForm{Number: hand, Title: k.Title, Note: note}
		}
	})
	if s.OnCall != nil {
		for _, t := range s.OnCall.Settings().Teams {
			if t.Tier > 0 {
				p.Teams = append(p.Teams, views.Choice{Value: t.ID, Text: t.Name})
			}
		}
	}
	code := http.StatusOK
	if refused != nil {
		d, known := describe(refused)
		if !known || p.Hand == nil {
			return refused
		}
		p.Hand.Problem, code = d.Detail, d.Status
	}
	if p.Hand != nil {
		p.Hand.Teams = p.Teams
	}
	return c.page(code, views.QueuesView(p))
}

func (s *Server) queuesPage(c *call) error {
	n, _ := strconv.ParseInt(c.QueryParam("hand"), 10, 64)
	return s.showQueues(c, n, "", nil)
}

// handOnForm gives an incident to another team; where it works without scripts, too.
func (s *Server) handOnForm(c *call) error {
	n, err := c.number()
	if err != nil {
		return err
	}
	if err := c.known(n); err != nil {
		return err
	}
	team, note := c.FormValue("team"), strings.TrimSpace(c.FormValue("note"))
	if note == "" {
		return s.showQueues(c, n, note, refusal("note_missing", "Write a sentence for whoever takes it: what is known, what was tried."))
	}
	m, err := c.meta("")
	if err != nil {
		return err
	}
	s.World.Look(func(v projection.View) {
		if k, err := v.Card(n); err == nil {
			m.Drill = m.Drill || k.Drill
		}
	})
	a, err := s.Rooms.Do(c.ctx(), n, incident.HandOn{Team: team, Note: note}, m)
	if err != nil {
		return s.showQueues(c, n, note, err)
	}
	c.settle(a.Position)
	name := team
	if s.OnCall != nil {
		if t, ok := s.OnCall.Settings().Team(team); ok {
			name = t.Name
		}
	}
	c.tell("done", "#"+strconv.FormatInt(n, 10)+" goes to "+name+", with your note.")
	return c.land("/queues")
}
