package web

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/grouping"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/views"
)

// longestSnooze of one signal.
const longestSnooze = 31 * 24 * time.Hour

// signalQuiet is the part of a signal's page about where it belongs.
func (s *Server) signalQuiet(c *call, v projection.View, g signal.Signal) views.SignalQuiet {
	q := views.SignalQuiet{May: c.can(auth.ManageQuiet) && s.Direct != nil, Undo: s.signalUndo(c, v, g)}
	if g.Quiet != nil {
		q.Quiet, q.Snoozed = g.Quiet.Sentence(), g.Quiet.By == signal.QuietSnooze && g.IsOpen()
	}
	if g.Joint != nil {
		q.Joint, q.Rule = "“"+g.Joint.Name+"”: "+g.Joint.By, g.Joint.Rule
	}
	if g.IsOpen() && g.Incident == 0 {
		q.Declare, q.Attach, q.ID = c.can(auth.DeclareIncident), c.can(auth.CommandIncident), commandID()
		for _, x := range incident.Severities() {
			q.Severities = append(q.Severities, views.Choice{Value: string(x), Text: string(x), On: string(x) == cmp.Or(g.Severity, "SEV3")})
		}
	}
	for _, st := range v.Open() {
		if q.Attach && st.Drill == g.Drill {
			q.Open = append(q.Open, views.Choice{Value: itoa(st.Number), Text: "#" + itoa(st.Number) + " " + st.Title})
		}
		if st.Number != g.Incident {
			continue
		}
		for _, k := range st.Signals {
			if k.ID == g.ID {
				q.Why = k.Correlation
			}
		}
	}
	return q
}

// oneSignal finds the signal of an address.
func (s *Server) oneSignal(c *call) (g signal.Signal, err error) {
	s.World.Look(func(v projection.View) { g, err = v.Signal(c.Param("id")) })
	return g, err
}

// snooze marks a signal as quiet for a time, or with "0" wakes it.
func (s *Server) snooze(c *call, length, until, reason string) (*signal.Quiet, error) {
	if s.Direct == nil {
		return nil, errNoUpkeep
	}
	g, err := s.oneSignal(c)
	if err != nil {
		return nil, err
	}
	q := &signal.Quiet{By: signal.QuietSnooze, Name: c.actor.Name, Reason: signal.Line(reason, 300)}
	if q.Name == "" {
		q.Name = c.actor.String()
	}
	now := time.UnixMilli(s.now())
	switch {
	case until != "":
		t, err := time.Parse(time.RFC3339, until)
		if err != nil {
			return nil, refusal("bad_time", "until is a time as RFC 3339 writes it, like 2026-11-30T02:00:00Z.")
		}
		q.Until = t.UnixMilli()
	case length == "0":
		q = nil
	case length == "change":
	default:
		d, err := time.ParseDuration(strings.TrimSpace(length))
		if err != nil {
			return nil, refusal("bad_length", "Say for how long, like 30m or 8h, or change: until it changes.")
		}
		q.Until = now.Add(d).UnixMilli()
	}
	if q != nil && q.Until != 0 && (q.Until <= now.UnixMilli() || q.Until > now.Add(longestSnooze).UnixMilli()) {
		return nil, refusal("bad_length", "A snooze ends in the future, and within 31 days.")
	}
	err = s.Direct(c.ctx(), g, c.actor.String(), q, reason)
	if errors.Is(err, signal.ErrNotOpen) {
		return nil, refusal("not_open", "The signal is cleared by now; there is nothing to quiet.")
	}
	return q, err
}

func (s *Server) snoozeForm(c *call) error {
	q, err := s.snooze(c, c.FormValue("for"), "", c.FormValue("reason"))
	if err != nil {
		return s.showSignal(c, err)
	}
	if q == nil {
		c.tell("done", "The signal is awake; it is placed now.")
	} else {
		c.tell("done", q.Sentence()+".")
	}
	return c.land("/signals/" + c.Param("id"))
}

// takeOff detaches a signal from its incident and, when asked, takes it out of
// the rule that joined it, for ever.
func (s *Server) takeOff(c *call) error {
	g, err := s.oneSignal(c)
	if err != nil {
		return err
	}
	if c.FormValue("never") != "" {
		switch {
		case s.Upkeep == nil:
			return errNoUpkeep
		case g.Joint == nil:
			return s.badSignal(c, refusal("no_rule", "No rule joined this signal."))
		}
		if err := c.allow(auth.ManageQuiet, auth.Subject{}); err != nil {
			return err
		}
		if _, err := s.Upkeep.Do(c.ctx(), commandID(), c.actor.String(), grouping.Except{ID: g.Joint.Rule, Identity: g.Identity(), Signal: g.ID}); err != nil {
			return s.badSignal(c, err)
		}
	}
	did := ""
	if g.Incident > 0 {
		m, err := c.meta("")
		if err != nil {
			return err
		}
		m.Drill, did = g.Drill || m.Drill, m.ID
		if _, err := s.Rooms.Do(c.ctx(), g.Incident, incident.DetachSignal{Signal: g.ID}, m); err != nil {
			return s.badSignal(c, err)
		}
	}
	if c.wantsJSON() {
		return c.JSON(http.StatusOK, struct{}{})
	}
	return c.redirect("/signals/" + url.PathEscape(g.ID) + "?since=" + itoa(s.Log.Size()-1) + "&did=" + did + "&never=" + url.QueryEscape(c.FormValue("never")))
}

// signalUndo offers who has just taken the signal off its incident to put it back, and under the rule again when it was taken out of that too.
func (s *Server) signalUndo(c *call, v projection.View, g signal.Signal) *views.UndoBar {
	did := c.QueryParam("did")
	if did == "" || g.Incident != 0 || !c.can(auth.CommandIncident) {
		return nil
	}
	for _, st := range v.Open() {
		for _, e := range st.Timeline.Newest() {
			if s.now()-e.At > undoFor {
				break
			}
			if e.CommandID != did || e.Type != (incident.SignalDetached{}).Type() || e.Actor != c.actor.String() || !slices.ContainsFunc(e.Parts, func(p incident.Part) bool { return p.Ref == g.ID }) {
				continue
			}
			path := "/signals/" + url.PathEscape(g.ID)
			bar := &views.UndoBar{Says: "You took the signal off #" + itoa(st.Number) + " " + st.Title + ".", To: path + "/attach?incident=" + itoa(st.Number), Back: path}
			if c.QueryParam("never") != "" && g.Joint != nil {
				bar.Says += " The rule “" + g.Joint.Name + "” leaves it alone from now on."
				bar.To += "&admit=1"
			}
			return bar
		}
	}
	return nil
}

// badSignal answers what cannot be done with a signal in the kind that was asked for.
func (s *Server) badSignal(c *call, err error) error {
	if c.wantsJSON() {
		return err
	}
	return s.showSignal(c, err)
}

// putOn attaches an open signal to an incident; with admit, the rule that it was
// taken out of may join it again.
func (s *Server) putOn(c *call) error {
	g, err := s.oneSignal(c)
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(strings.TrimSpace(c.FormValue("incident")), "#"), 10, 64)
	if err != nil || n < 1 || c.known(n) != nil {
		return s.badSignal(c, refusal("no_such_incident", "Say to which incident, by its number."))
	}
	if c.FormValue("admit") != "" && g.Joint != nil && s.Upkeep != nil {
		if err := c.allow(auth.ManageQuiet, auth.Subject{}); err != nil {
			return err
		}
		if _, err := s.Upkeep.Do(c.ctx(), commandID(), c.actor.String(), grouping.Admit{ID: g.Joint.Rule, Identity: g.Identity(), Signal: g.ID}); err != nil {
			return s.badSignal(c, err)
		}
	}
	m, err := c.meta("")
	if err != nil {
		return err
	}
	cmd, err := s.complete(c, n, incident.AttachSignal{Signal: incident.Signal{ID: g.ID}})
	if err != nil {
		return s.badSignal(c, err)
	}
	m.Drill = m.Drill || s.isDrill(n)
	if _, err := s.Rooms.Do(c.ctx(), n, cmd, m); err != nil {
		return s.badSignal(c, err)
	}
	if c.wantsJSON() {
		return c.JSON(http.StatusOK, struct{}{})
	}
	c.tell("done", "Attached to #"+itoa(n)+". “Not this one” in its room takes it off again.")
	return c.land("/signals/" + url.PathEscape(g.ID))
}

// declareOf declares an incident of a signal that is in none.
func (s *Server) declareOf(c *call) error {
	g, err := s.oneSignal(c)
	if err != nil {
		return err
	}
	m, err := c.meta(c.FormValue("id"))
	if err != nil {
		return err
	}
	switch {
	case g.Incident != 0:
		return s.badSignal(c, refusal("signal_elsewhere", "This signal belongs to incident #"+itoa(g.Incident)+" already."))
	case !g.IsOpen():
		return s.badSignal(c, refusal("not_open", "The signal is cleared by now. Declare an incident of your own if it is not over."))
	}
	m.Drill = m.Drill || g.Drill
	a, err := s.Rooms.Declare(c.ctx(), incident.Declare{
		Title: signal.Line(g.Title, incident.MaxTitle), Severity: cmp.Or(c.FormValue("severity"), g.Severity), DetectedAt: m.At, Signal: g.ID, Attach: []incident.Signal{snapshot(g)},
	}, m)
	if err != nil {
		return s.badSignal(c, err)
	}
	c.settle(a.Position)
	return c.land("/incidents/" + itoa(a.Number))
}

// isDrill is true when the incident is one.
func (s *Server) isDrill(n int64) (drill bool) {
	s.World.Look(func(v projection.View) {
		k, err := v.Card(n)
		drill = err == nil && k.Drill
	})
	return drill
}

// snoozeRequest is the body of POST /api/v1/signals/{id}/snooze.
type snoozeRequest struct {
	For    string `json:"for,omitempty" doc:"like 30m or 8h; change: until it changes; 0: wake it"`
	Until  string `json:"until,omitempty" doc:"RFC 3339, instead of for"`
	Reason string `json:"reason,omitempty"`
}

type snoozeAnswer struct {
	Signal string `json:"signal"`
	Quiet  bool   `json:"quiet"`
	Until  string `json:"until,omitempty"`
	Says   string `json:"says"`
}

func (s *Server) apiSnooze(c *call) error {
	var in snoozeRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	q, err := s.snooze(c, in.For, in.Until, in.Reason)
	if err != nil {
		return err
	}
	out := snoozeAnswer{Signal: c.Param("id"), Says: "Awake."}
	if q != nil {
		out = snoozeAnswer{c.Param("id"), true, rfc3339(q.Until), q.Sentence() + "."}
	}
	return c.JSON(http.StatusOK, out)
}
