package web

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/views"
)

// sourceName is how people know a source.
func (s *Server) sourceName(id string) string {
	switch {
	case id == sourceChains:
		return "Chain telemetry"
	case strings.HasPrefix(id, "drill"):
		return "Drill"
	}
	if src, ok := s.Sources.ByID(id); ok {
		return src.Name
	}
	return id
}

// sourceChains is the id of the source that telemetry's findings come from.
const sourceChains = "chains"

func (s *Server) presentSignal(g signal.Signal) views.Signal {
	out := views.Signal{
		ID: g.ID, Source: s.sourceName(g.Source), Kind: g.Kind, Subject: g.Subject, Title: g.Title, Reason: g.Reason, Severity: g.Severity,
		State: g.State, Acknowledged: g.Acknowledged, OpenedAt: g.OpenedAt, ClearedAt: g.ClearedAt, LastAt: g.LastAt, Count: g.Count,
		Incident: g.Incident, Drill: g.Drill,
	}
	for _, l := range g.Links {
		out.Links = append(out.Links, views.Link{Text: l.Text, URL: l.URL})
	}
	return out
}

// signals lists what show asks for: worst first when open, newest first otherwise.
func (s *Server) signalList(v projection.View, show string, limit int) []views.Signal {
	var all []signal.Signal
	for g := range v.Signals() {
		if show == "all" || (show == "cleared") != g.IsOpen() {
			all = append(all, g)
		}
	}
	slices.SortFunc(all, func(a, b signal.Signal) int {
		if show == "open" {
			if c := cmp.Compare(signal.Rank(a.Severity), signal.Rank(b.Severity)); c != 0 {
				return c
			}
		}
		return cmp.Or(cmp.Compare(b.OpenedAt, a.OpenedAt), cmp.Compare(a.ID, b.ID))
	})
	if len(all) > limit {
		all = all[:limit]
	}
	out := make([]views.Signal, 0, len(all))
	for _, g := range all {
		p := s.presentSignal(g)
		if k, err := v.Card(g.Incident); g.Incident > 0 && err == nil {
			p.IncidentName = k.Title
		}
		out = append(out, p)
	}
	return out
}

// looseSignals are open signals that belong to no incident, worst first.
func (s *Server) looseSignals(v projection.View) []views.Signal {
	out := s.signalList(v, "open", 10_000)
	return slices.DeleteFunc(out, func(g views.Signal) bool { return g.Incident != 0 })
}
