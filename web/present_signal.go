package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/views"
)

// sourceName is how people know a source.
func (s *Server) sourceName(id string) string {
	switch {
	case id == sourceChains:
		return "Chain telemetry"
	case id == sourceDetect:
		return "Detectors"
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

// sourceDetect is the id of the source that the findings of all other detectors come from.
const sourceDetect = "detect"

func (s *Server) presentSignal(g signal.Signal) views.Signal {
	out := views.Signal{
		ID: g.ID, Source: s.sourceName(g.Source), Kind: g.Kind, Subject: g.Subject, Title: g.Title, Reason: g.Reason, Severity: g.Severity,
		State: g.State, Acknowledged: g.Acknowledged, OpenedAt: g.OpenedAt, ClearedAt: g.ClearedAt, LastAt: g.LastAt, Count: g.Count,
		Incident: g.Incident, Drill: g.Drill, Certainty: certainty(g.Finding), Doubtful: g.Held() || g.Weak, Weak: g.Weak,
	}
	if g.Quiet != nil && g.IsOpen() {
		out.Quiet = g.Quiet.Sentence()
	}
	if g.Detector != "" {
		out.Detector, out.Verdict = g.Detector, s.verdict(g.ID)
	}
	for _, l := range g.Links {
		out.Links = append(out.Links, views.Link{Text: l.Text, URL: l.URL})
	}
	return out
}

// joinedBy is the reason why a signal is in its incident, when a grouping rule of
// ours joined it; people may not see that coming.
func joinedBy(g incident.Signal) string {
	if strings.Contains(g.Correlation, "the rule “") {
		return g.Correlation
	}
	return ""
}

// byItself is true when nobody attached the signal: the correlation or a rule did.
func byItself(g incident.Signal) bool {
	return g.Correlation != "" && !strings.HasPrefix(g.Correlation, attachedBy)
}

// attachedBy begins the reason why a signal is in an incident when a person attached it.
const attachedBy = "Attached by "

// certainty says how far a finding is confirmed.
func certainty(f signal.Finding) string {
	switch {
	case f.Weak:
		return "weak: waits for review"
	case f.Verification == "confirmed" && len(f.Seen) > 1:
		return fmt.Sprintf("confirmed by %d nodes", len(f.Seen))
	case f.Verification == "confirmed":
		return "confirmed"
	case f.Verification == "one_node" && len(f.Seen) == 1:
		return "seen by one node only, " + f.Seen[0]
	case f.Verification == "one_node":
		return "seen by one node only"
	case f.Verification == "unverifiable":
		return "could not verify: no second node answers"
	case f.Verification == "waited":
		return "not confirmed by a second node within the wait"
	}
	return ""
}

// signals lists what show asks for: worst first when open, newest first otherwise.
func (s *Server) signalList(v projection.View, show string, limit int) []views.Signal {
	var all []signal.Signal
	for g := range v.Signals() {
		if show == "all" || show == "quiet" && g.IsOpen() && g.Quiet != nil || show != "quiet" && (show == "cleared") != g.IsOpen() {
			all = append(all, g)
		}
	}
	slices.SortFunc(all, func(a, b signal.Signal) int {
		if show == "open" || show == "quiet" {
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

// looseSignals are open signals that belong to no incident, worst first; weak ones wait for review elsewhere.
func (s *Server) looseSignals(v projection.View) []views.Signal {
	out := s.signalList(v, "open", 10_000)
	return slices.DeleteFunc(out, func(g views.Signal) bool { return g.Incident != 0 || g.Weak })
}
