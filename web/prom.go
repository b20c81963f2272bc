package web

import (
	"time"

	"github.com/tocsin-ops/tocsin/internal/metrics"
)

// Prometheus' query API (prometheus.io/docs, "HTTP API"), for Grafana and
// promtool: the same paths below /prometheus, the same forms, refusals too.

// promAnswer writes what a query returned, or why it was refused.
func promAnswer(c *call, body []byte, err error) error {
	status := 200
	if err != nil {
		status, body = metrics.EncodeError(err)
	}
	return c.JSONBlob(status, body)
}

// span reads start and end; absent they are the last hour.
func (c *call) span() (start, end time.Time, err error) {
	end = c.s.time()
	start = end.Add(-time.Hour)
	if t := c.FormValue("start"); t != "" {
		if start, err = metrics.ParseTime(t); err != nil {
			return
		}
	}
	if t := c.FormValue("end"); t != "" {
		end, err = metrics.ParseTime(t)
	}
	return
}

func (s *Server) promQuery(c *call) error {
	at := s.time()
	if t := c.FormValue("time"); t != "" {
		var err error
		if at, err = metrics.ParseTime(t); err != nil {
			return promAnswer(c, nil, err)
		}
	}
	r, err := s.Metrics.Query(c.ctx(), c.FormValue("query"), at)
	if err != nil {
		return promAnswer(c, nil, err)
	}
	return promAnswer(c, metrics.EncodeResult(r), nil)
}

func (s *Server) promQueryRange(c *call) error {
	start, end, err := c.span()
	if err != nil {
		return promAnswer(c, nil, err)
	}
	step, err := metrics.ParseStep(c.FormValue("step"))
	if err != nil {
		return promAnswer(c, nil, err)
	}
	r, err := s.Metrics.QueryRange(c.ctx(), c.FormValue("query"), start, end, step)
	if err != nil {
		return promAnswer(c, nil, err)
	}
	return promAnswer(c, metrics.EncodeResult(r), nil)
}

func (s *Server) promSeries(c *call) error {
	start, end, err := c.span()
	if err != nil {
		return promAnswer(c, nil, err)
	}
	list, err := s.Metrics.Series(c.ctx(), c.matchers(), start, end)
	return promAnswer(c, metrics.EncodeSeries(list), err)
}

func (s *Server) promLabels(c *call) error {
	start, end, err := c.span()
	if err != nil {
		return promAnswer(c, nil, err)
	}
	names, err := s.Metrics.LabelNames(c.ctx(), c.matchers(), start, end)
	return promAnswer(c, metrics.EncodeNames(names), err)
}

func (s *Server) promLabelValues(c *call) error {
	start, end, err := c.span()
	if err != nil {
		return promAnswer(c, nil, err)
	}
	names, err := s.Metrics.LabelValues(c.ctx(), c.Param("name"), c.matchers(), start, end)
	return promAnswer(c, metrics.EncodeNames(names), err)
}

// matchers are the series selectors of a request.
func (c *call) matchers() []string {
	if form, err := c.FormParams(); err == nil {
		return form["match[]"]
	}
	return nil
}
