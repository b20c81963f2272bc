package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/views"
)

const (
	listedIncidents = 50
	listedSignals   = 200
)

// logTopic names a topic driven by the log, as the page shows it.
func logTopic(name string, v projection.View) views.Topic {
	return views.Topic{Name: name, Since: v.Position()}
}

// chainTopic is the topic of chain cards and samples, as of just now: what
// changes in this very millisecond is sent once more than needed.
func (s *Server) chainTopic() views.Topic {
	return views.Topic{Name: topicChains, Since: max(s.now(), s.BaseOf(topicChains)) - 1, From: s.instance}
}

func (s *Server) boardPage(c *call) error {
	topic, chains := s.chainTopic(), s.presentChains()
	var p views.BoardPage
	s.World.Look(func(v projection.View) {
		p = views.BoardPage{
			Base: c.base("Board", "board", v, logTopic(projection.TopicBoard, v), topic), Setup: s.presentSetup(v),
			Incidents: s.presentBoardIncidents(v), Signals: s.presentBoardSignals(v), Chains: chains, Recent: s.presentRecent(v),
		}
	})
	return c.page(http.StatusOK, views.BoardView(p))
}

func (s *Server) wallPage(c *call) error {
	if c.actor.Kind == auth.KindWall && c.cookie != "" {
		c.setSession(c.cookie, wallCookie) // browsers forget cookies after 400 days; a wall never logs out
	}
	topic, chains := s.chainTopic(), s.presentChains()
	var p views.WallPage
	s.World.Look(func(v projection.View) {
		p = views.WallPage{
			Base: c.base("Wall", "wall", v, logTopic(projection.TopicWall, v), topic), Incident: s.presentWallIncident(v),
			Others: s.presentWallOthers(v), Summary: s.presentWallSummary(v), Chains: chains,
		}
	})
	return c.page(http.StatusOK, views.WallView(p))
}

func (s *Server) incidentsPage(c *call) error {
	f := views.IncidentFilter{
		Status: cmp.Or(c.QueryParam("status"), "open"), Severity: c.QueryParam("severity"),
		Drills: c.QueryParam("drills") != "", Text: strings.TrimSpace(c.QueryParam("text")),
	}
	before, _ := strconv.ParseInt(c.QueryParam("before"), 10, 64)
	var p views.IncidentsPage
	s.World.Look(func(v projection.View) {
		p = views.IncidentsPage{Base: c.base("Incidents", "incidents", v, logTopic(projection.TopicBoard, v)), Filter: f}
		found := slices.DeleteFunc(v.Cards(), func(k incident.Card) bool { return !matches(k, f) })
		p.Total = len(found)
		if f.Status == "open" {
			slices.SortStableFunc(found, worseCard)
		} else {
			slices.Reverse(found)
			if before > 0 {
				found = slices.DeleteFunc(found, func(k incident.Card) bool { return k.Number >= before })
			}
			if len(found) > listedIncidents {
				q := c.QueryParams()
				q.Set("before", strconv.FormatInt(found[listedIncidents-1].Number, 10))
				p.Next = "/incidents?" + q.Encode()
				found = found[:listedIncidents]
			}
		}
		for _, k := range found {
			p.Rows = append(p.Rows, s.presentRow(k))
		}
	})
	return c.page(http.StatusOK, views.IncidentsView(p))
}

func matches(k incident.Card, f views.IncidentFilter) bool {
	switch {
	case !k.Declared, k.Drill && !f.Drills && f.Status != "open":
		return false
	case f.Status == "open" && !k.Open(), f.Status == "closed" && k.Open():
		return false
	case f.Severity != "" && string(k.Severity) != f.Severity:
		return false
	case f.Text != "" && !strings.Contains(strings.ToLower(k.Title), strings.ToLower(f.Text)):
		return false
	}
	return true
}

func (s *Server) declareModel(c *call) views.DeclarePage {
	var p views.DeclarePage
	s.World.Look(func(v projection.View) { p.Base = c.base("Declare an incident", "incidents", v) })
	for _, ch := range s.Chains.List() {
		p.Chains = append(p.Chains, views.Choice{Value: ch.ID, Text: ch.Name})
	}
	for _, k := range s.Components {
		p.Components = append(p.Components, views.Choice{Value: k.Name, Text: k.Name, Hint: k.Description})
	}
	return p
}

func (s *Server) declarePage(c *call) error {
	return c.page(http.StatusOK, views.DeclareView(s.declareModel(c)))
}

func (s *Server) declareForm(c *call) error {
	form := c.Request().Form
	cmd := incident.Declare{Title: form.Get("title"), Severity: form.Get("severity"), Summary: form.Get("summary"), Chains: form["chains"], Components: form["components"]}
	m, err := c.meta(form.Get("id"))
	if err != nil {
		return err
	}
	cmd.DetectedAt = m.At
	a, err := s.Rooms.Declare(c.ctx(), cmd, m)
	if err != nil {
		p, known := describe(err)
		if !known {
			return err
		}
		page := s.declareModel(c)
		page.Title, page.Severity, page.Summary, page.Problem = cmd.Title, cmd.Severity, cmd.Summary, p.Detail
		if p.Status >= 500 {
			page.ID = m.ID // it may have been declared: sent once more it is the same
		}
		mark(page.Chains, form["chains"])
		mark(page.Components, form["components"])
		return c.page(p.Status, views.DeclareView(page))
	}
	c.settle(a.Position)
	return c.land("/incidents/" + itoa(a.Number))
}

func mark(choices []views.Choice, chosen []string) {
	for i := range choices {
		choices[i].On = slices.Contains(chosen, choices[i].Value)
	}
}

func (s *Server) signalsPage(c *call) error {
	show := c.QueryParam("show")
	if show != "cleared" && show != "all" && show != "quiet" {
		show = "open"
	}
	var p views.SignalsPage
	s.World.Look(func(v projection.View) {
		var topics []views.Topic
		if show == "open" {
			topics = append(topics, logTopic(projection.TopicSignals, v))
		}
		p = views.SignalsPage{Base: c.base("Signals", "signals", v, topics...), Show: show}
		p.List = views.SignalList{Show: show, Signals: s.signalList(v, show, listedSignals)}
	})
	return c.page(http.StatusOK, views.SignalsView(p))
}

// local returns a path on this server, or "/": a link must not lead elsewhere.
func local(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(path, "//") || strings.Contains(path, "\\") {
		return "/"
	}
	return path
}
