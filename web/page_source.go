package web

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/heartbeat"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/views"
)

// pulses is what is thought of the heartbeats; without an answer of the store it is empty.
func (s *Server) pulses(c *call) (map[string]heartbeat.Verdict, map[string]heartbeat.Beat) {
	if s.Pulse == nil {
		return nil, nil
	}
	v, b, err := s.Pulse.Look(c.ctx())
	if err != nil {
		s.Logger.WarnContext(c.ctx(), "the beats cannot be read", "err", err)
		return nil, nil
	}
	return v, b
}

// sourceRow is a source as lists show it; what the signals say is filled in by the caller.
func (s *Server) sourceRow(src intake.Source, verdicts map[string]heartbeat.Verdict, beats map[string]heartbeat.Beat) views.SourceRow {
	d := s.Gate.Newest(src.ID)
	row := views.SourceRow{ID: src.ID, Name: src.Name, Kind: src.Kind, At: src.CreatedAt, LastAt: max(d.At, beats[src.ID].At), Refused: d.Refused, Revoked: src.RevokedAt}
	if d.ProblemAt == d.At {
		row.Problem = d.Problem
	}
	if v, ok := verdicts[src.ID]; ok && src.RevokedAt == 0 {
		row.State = string(v.State)
	}
	return row
}

func (s *Server) sourcePage(c *call) error { return s.showSource(c, nil, nil) }

// showSource shows a source; tried is a mapping that was typed, refused why something was not done.
func (s *Server) showSource(c *call, tried *views.Mapping, refused error) error {
	src, ok := s.Sources.ByID(c.Param("id"))
	if !ok {
		return errNoPage
	}
	verdicts, beats := s.pulses(c)
	d := s.Gate.Newest(src.ID)
	p := views.SourcePage{
		Source: s.sourceRow(src, verdicts, beats), Snippets: snippets(views.NewSource{Name: src.Name, Kind: src.Kind, Key: "KEY", URL: intakeURL(c.baseURL(), src.Kind, "KEY")}, c.baseURL()),
		Newest:  views.Arrived{At: d.At, Status: d.Status, Accepted: d.Accepted, Problem: d.Problem, ProblemAt: d.ProblemAt, Body: string(d.Body)},
		Signing: src.Kind == intake.Grafana, Signed: src.Signed,
	}
	s.World.Look(func(v projection.View) { p.Base = c.base(src.Name, "sources", v) })
	switch {
	case src.Kind == intake.Generic && tried != nil:
		p.Mapping = tried
	case src.Kind == intake.Generic:
		p.Mapping = s.mappingOf(src, d)
	case src.Kind == intake.Heartbeat:
		v := verdicts[src.ID]
		p.Pace = &views.Pace{Every: heartbeatSpan(src.Pace.Every), Grace: heartbeatSpan(src.Pace.Grace), Severities: severityChoices(cmp.Or(src.Pace.Severity, signal.DefaultSeverity)), State: string(v.State), Says: v.Reason, LastAt: beats[src.ID].At}
	}
	if p.Mapping != nil {
		p.Mapping.Undo = src.Undoable
	}
	code := http.StatusOK
	if refused != nil {
		r, known := describe(refused)
		if !known {
			return refused
		}
		p.Problem, code = r.Detail, r.Status
	}
	return c.page(code, views.SourceView(p))
}

func heartbeatSpan(ms int64) string { return (time.Duration(ms) * time.Millisecond).String() }

func severityChoices(on string) (out []views.Choice) {
	for _, sev := range []string{signal.SEV1, signal.SEV2, signal.SEV3, signal.SEV4, signal.SEV5} {
		out = append(out, views.Choice{Value: sev, Text: sev, On: sev == on})
	}
	return out
}

var mapHints = map[string]string{
	"key": "id", "title": `service + ": " + message`, "severity": `level <= 2 ? "critical" : "warning"`, "state": `ok ? "resolved" : "firing"`, "kind": "type",
	"subject": "host", "chain": "network", "component": "service", "group": "body.group", "reason": "message", "at": "timestamp", "labels": "tags", "links": `[{"text": "Graph", "url": url}]`,
}

func mapFields(m intake.Mapping) (out []views.MapField) {
	for _, name := range intake.MappedFields {
		out = append(out, views.MapField{Name: name, Hint: mapHints[name], Expression: m.Fields[name]})
	}
	return out
}

// madeUpSample is shown while nothing has come.
const madeUpSample = `{
  "key": "withdrawals-stuck",
  "title": "Withdrawals are stuck",
  "severity": "critical",
  "state": "firing",
  "component": "Withdrawals"
}`

func (s *Server) mappingOf(src intake.Source, d intake.Delivery) *views.Mapping {
	m := intake.Mapping{}
	if src.Mapping != nil {
		m = *src.Mapping
	}
	out := &views.Mapping{List: m.List, Fields: mapFields(m), Sample: madeUpSample}
	if len(d.Body) > 0 {
		out.Sample = string(d.Body)
		var b bytes.Buffer
		if json.Indent(&b, d.Body, "", "  ") == nil && b.Len() < 32<<10 {
			out.Sample = b.String()
		}
	}
	out.Result = s.tryMapping(m, out.Sample)
	return out
}

// tryMapping says what a mapping makes of a sample.
func (s *Server) tryMapping(m intake.Mapping, sample string) views.MapResult {
	r := views.MapResult{Tried: true}
	c, err := m.Compile()
	if err != nil {
		r.Wrong = lines(err)
		return r
	}
	o, n, err := c.First([]byte(sample), s.now(), time.Now)
	if err != nil {
		r.Wrong = lines(err)
	}
	if n == 0 {
		return r
	}
	r.Count, r.Title, r.Sev, r.State = n, o.Title, o.Severity, "resolved"
	if o.Ack {
		r.State = "acknowledged"
	} else if o.Firing {
		r.State = "firing"
	}
	add := func(name, v string) {
		if v != "" {
			r.Signal = append(r.Signal, views.Pair{Name: name, Value: v})
		}
	}
	add("key", o.Key)
	add("kind", o.Kind)
	add("subject", o.Subject)
	add("chain", o.Chain)
	add("component", o.Component)
	add("group", o.Group)
	add("reason", o.Reason)
	add("began", rfc3339(o.StartsAt))
	add("ended", rfc3339(o.EndsAt))
	for _, k := range slices.Sorted(maps.Keys(o.Labels)) {
		add("label "+k, o.Labels[k])
	}
	for _, l := range o.Links {
		add("link "+l.Text, l.URL)
	}
	return r
}

// lines are the parts of a joined error, at most five.
func lines(err error) (out []string) {
	for _, l := range strings.Split(err.Error(), "\n") {
		if len(out) < 5 {
			out = append(out, signal.Line(l, 300))
		}
	}
	return out
}

func typedMapping(c *call) (m intake.Mapping, sample string) {
	m = intake.Mapping{List: strings.TrimSpace(c.FormValue("list")), Fields: map[string]string{}}
	for _, name := range intake.MappedFields {
		if v := strings.TrimSpace(c.FormValue("f_" + name)); v != "" {
			m.Fields[name] = v
		}
	}
	return m, c.FormValue("sample")
}

// tryMappingForm tries what is typed. A script gets the result alone.
func (s *Server) tryMappingForm(c *call) error {
	if src, ok := s.Sources.ByID(c.Param("id")); !ok || src.Kind != intake.Generic {
		return errNoPage
	}
	m, sample := typedMapping(c)
	r := s.tryMapping(m, sample)
	if c.Request().Header.Get("X-Tocsin-Part") != "" {
		return c.page(http.StatusOK, views.MapResultRegion(r))
	}
	return s.showSource(c, &views.Mapping{List: m.List, Fields: mapFields(m), Sample: sample, Result: r}, nil)
}

func (s *Server) saveMapping(c *call) error {
	m, sample := typedMapping(c)
	if err := mappingRefusal(s.Sources.Map(c.ctx(), c.actor.String(), c.Param("id"), m)); err != nil {
		return s.showSource(c, &views.Mapping{List: m.List, Fields: mapFields(m), Sample: sample, Result: s.tryMapping(m, sample)}, err)
	}
	c.tell("done", "The mapping is saved. It counts from the next delivery on.")
	return c.land("/sources/" + c.Param("id"))
}

// mappingRefusal says what is wrong with a mapping; every other error stays.
func mappingRefusal(err error) error {
	var wrong *intake.BadMapping
	if errors.As(err, &wrong) {
		return refusal("bad_mapping", "The mapping is not saved. "+strings.Join(lines(err), " "))
	}
	return err
}

func (s *Server) undoMapping(c *call) error {
	if err := s.Sources.UndoMap(c.ctx(), c.actor.String(), c.Param("id")); err != nil {
		return s.showSource(c, nil, err)
	}
	c.tell("done", "The mapping is as it was before.")
	return c.land("/sources/" + c.Param("id"))
}

// typedPace reads the fields of a heartbeat; empty ones are the usual.
func typedPace(c *call) (heartbeat.Pace, error) {
	return readPace(c.FormValue("every"), c.FormValue("grace"), c.FormValue("severity"))
}

// readPace reads a heartbeat as people write it: 60s, and the usual grace, when nothing is said.
func readPace(every, grace, severity string) (p heartbeat.Pace, err error) {
	read := func(name, text, usual string) int64 {
		d, wrong := time.ParseDuration(strings.ReplaceAll(cmp.Or(strings.TrimSpace(text), usual), " ", ""))
		if wrong != nil {
			err = refusal("bad_pace", "The "+name+" of a heartbeat is written like 60s, 5m or 24h.")
		}
		return d.Milliseconds()
	}
	p.Every, p.Grace, p.Severity = read("every", every, "60s"), read("grace", grace, "0s"), severity
	return p, err
}

func (s *Server) setPace(c *call) error {
	p, err := typedPace(c)
	if err == nil {
		err = s.Sources.SetPace(c.ctx(), c.actor.String(), c.Param("id"), p)
	}
	if err != nil {
		return s.showSource(c, nil, err)
	}
	c.tell("done", "The heartbeat is expected so from now on.")
	return c.land("/sources/" + c.Param("id"))
}

func (s *Server) setSecret(c *call) error {
	secret := c.FormValue("secret")
	if err := s.Sources.Sign(c.ctx(), c.actor.String(), c.Param("id"), secret); err != nil {
		return s.showSource(c, nil, err)
	}
	if secret == "" {
		c.tell("done", "Deliveries are taken unsigned.")
	} else {
		c.tell("done", "Only signed deliveries are taken from now on.")
	}
	return c.land("/sources/" + c.Param("id"))
}
