package web

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/intake"
)

type sourcesAnswer struct {
	Sources []intake.Source `json:"sources"`
}

// apiSources and apiCreateSource are the same for robots.
func (s *Server) apiSources(c *call) error {
	list, err := s.Sources.List(c.ctx())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, sourcesAnswer{nonNil(list)})
}

// sourceRequest is the body of POST /api/v1/sources.
type sourceRequest struct {
	Name string `json:"name"`
	Kind string `json:"kind" enum:"alertmanager,grafana,pagerduty,cloudevents,generic,heartbeat,metrics"`
	// Every and Grace are of a heartbeat.
	Every string `json:"every,omitempty" doc:"of a heartbeat: like 60s"`
	Grace string `json:"grace,omitempty" doc:"of a heartbeat: how much longer until it is dead; half of every, at least 15s, when left out"`
	Level string `json:"severity,omitempty" doc:"of a heartbeat's signal"`
}

// sourceAnswer is the answer to it; the key is shown this once.
type sourceAnswer struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Kind string `json:"kind"`
	Key  string `json:"key" doc:"shown this once; for PagerDuty it is the routing key"`
	URL  string `json:"url"`
}

func (s *Server) apiCreateSource(c *call) error {
	var in sourceRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	pace, err := readPace(in.Every, in.Grace, in.Level)
	if err != nil {
		return err
	}
	src, key, err := s.Sources.Create(c.ctx(), c.actor.String(), intake.Order{Name: in.Name, Kind: in.Kind, Pace: pace})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, sourceAnswer{src.ID, src.Name, src.Kind, key, intakeURL(c.baseURL(), src.Kind, key)})
}

var errNoSource = refusal("not_found", "There is no source with this id. GET /api/v1/sources lists them.")

// onSource carries a change of the source of an address out and answers the source as it is now; its key and its secret are never in it.
func (s *Server) onSource(c *call, do func(id string) error) error {
	src, err := s.source(c)
	if err != nil {
		return err
	}
	if err := do(src.ID); err != nil {
		return mappingRefusal(err)
	}
	if src, err = s.source(c); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, src)
}

// source is that of an address, as the log has it.
func (s *Server) source(c *call) (intake.Source, error) {
	if err := s.Sources.Refresh(c.ctx()); err != nil {
		return intake.Source{}, err
	}
	src, ok := s.Sources.ByID(c.Param("id"))
	if !ok {
		return intake.Source{}, errNoSource
	}
	return src, nil
}

func (s *Server) apiSetMapping(c *call) error {
	var in intake.Mapping
	if err := c.decode(&in); err != nil {
		return err
	}
	return s.onSource(c, func(id string) error { return s.Sources.Map(c.ctx(), c.actor.String(), id, in) })
}

func (s *Server) apiUndoMapping(c *call) error {
	return s.onSource(c, func(id string) error { return s.Sources.UndoMap(c.ctx(), c.actor.String(), id) })
}

// tryRequest is the body of POST /api/v1/sources/{id}/mapping/try.
type tryRequest struct {
	Mapping *intake.Mapping `json:"mapping,omitempty" doc:"left out: the one that is set"`
	Sample  json.RawMessage `json:"sample,omitempty" doc:"what a sender would deliver; left out: the newest delivery"`
}

// tryAnswer is what a mapping makes of a sample. Nothing is kept of it.
type tryAnswer struct {
	OK       bool     `json:"ok" doc:"the sample would be taken whole"`
	Signals  int      `json:"signals" doc:"how many it makes"`
	Title    string   `json:"title,omitempty" doc:"of the first signal, as all that follows"`
	Severity string   `json:"severity,omitempty"`
	State    string   `json:"state,omitempty" enum:"firing,resolved,acknowledged"`
	Fields   []tried  `json:"fields"`
	Wrong    []string `json:"wrong" doc:"sentences, each with the field, line and column; at most five"`
}

type tried struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (s *Server) apiTryMapping(c *call) error {
	var in tryRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	src, err := s.source(c)
	switch {
	case err != nil:
		return err
	case src.Kind != intake.Generic:
		return refusal("wrong_kind", "Only sources of kind generic have a mapping, and the source is of kind "+src.Kind+".")
	}
	var m intake.Mapping
	if in.Mapping != nil {
		m = *in.Mapping
	} else if src.Mapping != nil {
		m = *src.Mapping
	}
	sample := []byte(in.Sample)
	if len(sample) == 0 {
		sample = s.Gate.Newest(src.ID).Body
	}
	if len(sample) == 0 {
		return refusal("no_sample", "Nothing has come from this source since the start. Give a sample to try the mapping on.")
	}
	r := s.tryMapping(m, string(sample))
	out := tryAnswer{OK: len(r.Wrong) == 0, Signals: r.Count, Title: r.Title, Severity: r.Sev, State: r.State, Fields: []tried{}, Wrong: nonNil(r.Wrong)}
	for _, f := range r.Signal {
		out.Fields = append(out.Fields, tried{f.Name, f.Value})
	}
	return c.JSON(http.StatusOK, out)
}

// paceRequest is the body of POST /api/v1/sources/{id}/pace.
type paceRequest struct {
	Every string `json:"every" doc:"like 60s, 5m or 24h"`
	Grace string `json:"grace,omitempty" doc:"how much longer until it is dead; half of every, at least 15s, when left out"`
	Level string `json:"severity,omitempty" doc:"of the signal; SEV3 when left out"`
}

func (s *Server) apiSetPace(c *call) error {
	var in paceRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	if strings.TrimSpace(in.Every) == "" {
		return refusal("bad_pace", "Say in every how often it is heard from, like 60s, 5m or 24h.")
	}
	p, err := readPace(in.Every, in.Grace, in.Level)
	if err != nil {
		return err
	}
	return s.onSource(c, func(id string) error { return s.Sources.SetPace(c.ctx(), c.actor.String(), id, p) })
}

// secretRequest is the body of POST /api/v1/sources/{id}/secret.
type secretRequest struct {
	Secret *string `json:"secret" doc:"16 to 200 characters; it cannot be read again. Empty: deliveries are taken unsigned"`
}

func (s *Server) apiSetSecret(c *call) error {
	var in secretRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	if in.Secret == nil {
		return refusal("bad_secret", "Give the secret. An empty one takes deliveries unsigned.")
	}
	return s.onSource(c, func(id string) error { return s.Sources.Sign(c.ctx(), c.actor.String(), id, *in.Secret) })
}

func (s *Server) apiRevokeSource(c *call) error {
	return s.onSource(c, func(id string) error { return s.Sources.Revoke(c.ctx(), c.actor.String(), id) })
}
