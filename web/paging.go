package web

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// Lists of the API come in pages, oldest first: what is new while somebody reads
// comes at the end, so nothing is passed over and nothing comes twice.
// An incident is read whole for its entry, a signal is small.
const (
	mostIncidents = 500
	mostSignals   = 10_000
)

func pageQuery(most int) [][2]string {
	n := strconv.Itoa(most)
	return [][2]string{{"limit", "how many at most: 1 to " + n + ", by default " + n}, {"after", "go on where a page ended: the next of its answer"}}
}

// pageLimit reads how many entries the caller wants at most.
func (c *call) pageLimit(most int) (int, error) {
	text := c.QueryParam("limit")
	if text == "" {
		return most, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, refusal("bad_limit", "limit is a whole number from 1 to "+strconv.Itoa(most)+".")
	}
	return n, nil
}

var errBadAfter = refusal("bad_after", "after is the next of an earlier answer, unchanged. Leave it out to begin at the beginning.")

type incidentsAnswer struct {
	Incidents []apiIncidentDoc `json:"incidents"`
	Next      string           `json:"next,omitempty" doc:"there are more: ask again with after=<this>"`
}

type signalsAnswer struct {
	Signals []apiSignal `json:"signals"`
	Next    string      `json:"next,omitempty" doc:"there are more: ask again with after=<this>"`
}

// apiIncidents lists incidents by number.
func (s *Server) apiIncidents(c *call) error {
	limit, err := c.pageLimit(mostIncidents)
	if err != nil {
		return err
	}
	after := int64(0)
	if text := c.QueryParam("after"); text != "" {
		if after, err = strconv.ParseInt(text, 10, 64); err != nil || after < 0 {
			return errBadAfter
		}
	}
	status := c.QueryParam("status")
	var found []int64
	out := incidentsAnswer{Incidents: []apiIncidentDoc{}}
	s.World.Look(func(v projection.View) {
		for _, k := range v.Cards() {
			if !k.Declared || k.Number <= after || status == "open" && !k.Open() || status == "closed" && k.Open() ||
				status != "" && status != "open" && status != "closed" && string(k.Status) != status {
				continue
			}
			if len(found) == limit {
				out.Next = itoa(found[limit-1])
				break
			}
			found = append(found, k.Number)
		}
	})
	for _, n := range found {
		err := s.World.LookInto(c.ctx(), n, func(_ projection.View, st incident.State) {
			out.Incidents = append(out.Incidents, newAPIIncident(st, s.now()))
		})
		if err != nil && !errors.Is(err, projection.ErrUnknown) {
			return err
		}
	}
	return c.JSON(http.StatusOK, out)
}

// apiSignals lists signals by the time at which they opened.
func (s *Server) apiSignals(c *call) error {
	limit, err := c.pageLimit(mostSignals)
	if err != nil {
		return err
	}
	opened, id := int64(-1), ""
	if text := c.QueryParam("after"); text != "" {
		ms, rest, ok := strings.Cut(text, "_")
		if opened, err = strconv.ParseInt(ms, 10, 64); err != nil || !ok || opened < 0 {
			return errBadAfter
		}
		id = rest
	}
	only := c.QueryParam("open") == "true"
	order := func(a, b signal.Signal) int {
		return cmp.Or(cmp.Compare(a.OpenedAt, b.OpenedAt), cmp.Compare(a.ID, b.ID))
	}
	var found []signal.Signal
	s.World.Look(func(v projection.View) {
		for g := range v.Signals() {
			if (!only || g.IsOpen()) && order(g, signal.Signal{OpenedAt: opened, ID: id}) > 0 {
				found = append(found, g)
			}
		}
	})
	slices.SortFunc(found, order)
	out := signalsAnswer{Signals: []apiSignal{}}
	if len(found) > limit {
		found = found[:limit]
		out.Next = itoa(found[limit-1].OpenedAt) + "_" + found[limit-1].ID
	}
	for _, g := range found {
		out.Signals = append(out.Signals, newAPISignal(g))
	}
	return c.JSON(http.StatusOK, out)
}
