package web

import (
	"net/http"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/grouping"
	"github.com/tocsin-ops/tocsin/internal/heartbeat"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/maintenance"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/internal/upkeep"
)

// windowRequest is the body of POST /api/v1/maintenance.
type windowRequest struct {
	ID     string              `json:"id,omitempty" doc:"of the window to change; leave it out to make one"`
	Name   string              `json:"name"`
	Reason string              `json:"reason"`
	Match  signal.Match        `json:"match"`
	From   string              `json:"from,omitempty" doc:"RFC 3339"`
	Until  string              `json:"until,omitempty" doc:"RFC 3339"`
	Weekly *maintenance.Weekly `json:"weekly,omitempty" doc:"days from 0, Sunday; times in the zone"`
	Loud   string              `json:"loud,omitempty" doc:"the severity that is heard all the same, and all that is worse"`
}

type windowDoc struct {
	windowRequest
	Cancelled bool   `json:"cancelled,omitempty"`
	Active    bool   `json:"active"`
	Next      string `json:"next,omitempty" doc:"beginning of the active or next time"`
	NextEnd   string `json:"next_end,omitempty"`
	ChangedBy string `json:"changed_by"`
	ChangedAt string `json:"changed_at"`
	What      string `json:"what"`
}

type windowsAnswer struct {
	Windows []windowDoc `json:"windows"`
}

func (s *Server) windowDoc(x maintenance.Entry) windowDoc {
	d := windowDoc{windowRequest: windowRequest{x.ID, x.Name, x.Reason, x.Match, rfc3339(x.From), rfc3339(x.Until), x.Weekly, x.Loud}, Cancelled: x.Cancelled, ChangedBy: x.ChangedBy, ChangedAt: rfc3339(x.ChangedAt), What: x.What}
	_, d.Active = x.At(s.now(), upkeep.Zone)
	if span, ok := x.Next(s.now(), upkeep.Zone); ok {
		d.Next, d.NextEnd = rfc3339(span.From), rfc3339(span.Until)
	}
	return d
}

func (s *Server) apiWindows(c *call) error {
	out := windowsAnswer{Windows: []windowDoc{}}
	if s.Upkeep != nil {
		s.Upkeep.Look(func(w *maintenance.State, _ *grouping.State) {
			for _, x := range w.Windows() {
				out.Windows = append(out.Windows, s.windowDoc(x))
			}
		})
	}
	return c.JSON(http.StatusOK, out)
}

func (s *Server) answerWindow(c *call, code int, id string) error {
	var d windowDoc
	s.Upkeep.Look(func(w *maintenance.State, _ *grouping.State) {
		if x, ok := w.Get(id); ok {
			d = s.windowDoc(x)
		}
	})
	return c.JSON(code, d)
}

func (s *Server) apiSetWindow(c *call) error {
	var in windowRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	w := maintenance.Window{ID: in.ID, Name: in.Name, Reason: in.Reason, Match: in.Match, Weekly: in.Weekly, Loud: in.Loud}
	for _, t := range []struct {
		text string
		to   *int64
	}{{in.From, &w.From}, {in.Until, &w.Until}} {
		if t.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, t.text)
		if err != nil {
			return refusal("bad_time", "from and until are times as RFC 3339 writes them, like 2026-11-30T02:00:00Z.")
		}
		*t.to = at.UnixMilli()
	}
	code := http.StatusOK
	if w.ID == "" {
		code = http.StatusCreated
	}
	if _, err := s.keepWindow(c, &w); err != nil {
		return err
	}
	return s.answerWindow(c, code, w.ID)
}

func (s *Server) apiMoveWindow(c *call) error {
	if _, err := s.manage(c, windowCommand(c.Param("id"), c.Param("act"), "")); err != nil {
		return err
	}
	return s.answerWindow(c, http.StatusOK, c.Param("id"))
}

// ruleRequest is the body of POST /api/v1/grouping.
type ruleRequest struct {
	ID     string       `json:"id,omitempty" doc:"of the rule to change; leave it out to add one"`
	Name   string       `json:"name"`
	Match  signal.Match `json:"match"`
	By     []string     `json:"by" doc:"labels, or kind, subject, chain, component, group, source, severity"`
	Window string       `json:"window,omitempty" doc:"like 30m; how long after the last signal a new one joins"`
}

type ruleDoc struct {
	ruleRequest
	Except    []string `json:"except" doc:"signals that it leaves alone"`
	Removed   bool     `json:"removed,omitempty"`
	What      string   `json:"what" doc:"the newest change, which undo takes back: added, changed, moved, removed, excepted, admitted or undone"`
	ChangedBy string   `json:"changed_by"`
	ChangedAt string   `json:"changed_at"`
}

type rulesAnswer struct {
	Rules []ruleDoc `json:"rules"`
}

func newRuleDoc(x grouping.Entry) ruleDoc {
	d := ruleDoc{ruleRequest: ruleRequest{ID: x.ID, Name: x.Name, Match: x.Match, By: x.By}, Except: nonNil(x.Except), Removed: x.Removed, What: x.What, ChangedBy: x.ChangedBy, ChangedAt: rfc3339(x.At)}
	if x.Window > 0 {
		d.Window = (time.Duration(x.Window) * time.Millisecond).String()
	}
	return d
}

func (s *Server) apiRules(c *call) error {
	out := rulesAnswer{Rules: []ruleDoc{}}
	if s.Upkeep != nil {
		s.Upkeep.Look(func(_ *maintenance.State, r *grouping.State) {
			for _, x := range r.Rules() {
				out.Rules = append(out.Rules, newRuleDoc(x))
			}
		})
	}
	return c.JSON(http.StatusOK, out)
}

func (s *Server) apiSetRule(c *call) error {
	var in ruleRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	r := grouping.Rule{ID: in.ID, Name: in.Name, Match: in.Match, By: in.By}
	if in.Window != "" {
		d, err := time.ParseDuration(in.Window)
		if err != nil {
			return refusal("bad_window", "The window is written like 30m or 2h.")
		}
		r.Window = d.Milliseconds()
	}
	code := http.StatusOK
	if r.ID == "" {
		code = http.StatusCreated
	}
	if _, err := s.keepRule(c, &r); err != nil {
		return err
	}
	var d ruleDoc
	s.Upkeep.Look(func(_ *maintenance.State, all *grouping.State) {
		for _, x := range all.Rules() {
			if x.ID == r.ID {
				d = newRuleDoc(x)
			}
		}
	})
	return c.JSON(code, d)
}

func (s *Server) apiMoveRule(c *call) error {
	if _, err := s.manage(c, ruleCommand(c.Param("id"), c.Param("act"), "")); err != nil {
		return err
	}
	return s.apiRules(c)
}

// takeInBearer is takeIn with the key as Bearer token, so that it stands in no address.
func (s *Server) takeInBearer(c *call) error {
	scheme, key, _ := strings.Cut(c.Request().Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		key = ""
	}
	return s.gate(c, c.Param("kind"), strings.TrimSpace(key))
}

// takeBeat takes a beat that comes as GET, as many schedulers send it.
func (s *Server) takeBeat(c *call) error { return s.gate(c, intake.Heartbeat, c.Param("key")) }

func (s *Server) takeInChange(c *call) error { return s.gate(c, intake.Change, "") }

// handshake answers whether a webhook may deliver here (CloudEvents, HTTP 1.1 Web Hooks 1.0.2, section 4).
func (s *Server) handshake(c *call) error {
	h := c.Response().Header()
	h.Set("Allow", "POST, OPTIONS")
	if origin, rate, ok := s.Gate.Handshake(c.ctx(), c.Param("kind"), c.Param("key"), c.Request().Header.Get("WebHook-Request-Origin")); ok {
		h.Set("WebHook-Allowed-Origin", origin)
		h.Set("WebHook-Allowed-Rate", rate)
	}
	return c.NoContent(http.StatusOK)
}

// pulseDoc is one heartbeat on the wire.
type pulseDoc struct {
	Source string `json:"source"`
	State  string `json:"state" enum:"new,alive,waiting,late,dead,failing"`
	Reason string `json:"reason"`
	LastAt string `json:"last_at,omitempty"`
	Every  string `json:"expected_every"`
}

type pulsesAnswer struct {
	Heartbeats []pulseDoc `json:"heartbeats"`
}

func (s *Server) apiPulses(c *call) error {
	verdicts, beats := s.pulses(c)
	out := pulsesAnswer{Heartbeats: []pulseDoc{}}
	for _, src := range s.sources() {
		if v, ok := verdicts[src.ID]; ok {
			out.Heartbeats = append(out.Heartbeats, pulseDoc{src.ID, string(v.State), v.Reason, rfc3339(beats[src.ID].At), heartbeat.Span(src.Pace.Every)})
		}
	}
	return c.JSON(http.StatusOK, out)
}
