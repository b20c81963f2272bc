package web

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/tocsin-ops/tocsin/internal/grouping"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/maintenance"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/upkeep"
	"github.com/tocsin-ops/tocsin/views"
)

// openIncidents are those people work on, worst first, then longest running.
func openIncidents(v projection.View) []incident.State {
	out := v.Open()
	slices.SortStableFunc(out, worse)
	return out
}

func worse(a, b incident.State) int { return worseCard(a.Card(), b.Card()) }

func worseCard(a, b incident.Card) int {
	if a.Drill != b.Drill { // what is real comes before any drill
		if a.Drill {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(a.Severity.Rank(), b.Severity.Rank()),
		cmp.Compare(cmp.Or(a.ImpactBeganAt, a.DeclaredAt), cmp.Or(b.ImpactBeganAt, b.DeclaredAt)), cmp.Compare(a.Number, b.Number))
}

func openWorst(v projection.View) (n int, worst string) {
	open := openIncidents(v)
	if len(open) > 0 {
		worst = string(open[0].Severity)
	}
	return len(open), worst
}

func (s *Server) presentBoardIncidents(v projection.View) views.BoardIncidents {
	var out views.BoardIncidents
	for _, st := range openIncidents(v) {
		out.Rows = append(out.Rows, s.presentRow(st.Card()))
	}
	return out
}

const shownLoose = 12

func (s *Server) presentBoardSignals(v projection.View) views.BoardSignals {
	loose := s.looseSignals(v)
	out := views.BoardSignals{Signals: loose, Silence: s.silence(v)}
	if len(loose) > shownLoose {
		out.Signals, out.More = loose[:shownLoose], len(loose)-shownLoose
	}
	return out
}

// silence is what is kept quiet now, and by which window next within a day.
func (s *Server) silence(v projection.View) (out views.Silence) {
	for g := range v.Signals() {
		switch {
		case !g.IsOpen() || g.Quiet == nil:
		case g.Quiet.Window != "":
			out.Signals++
		default:
			out.Snoozed++
		}
	}
	if s.Upkeep == nil {
		return out
	}
	now := s.now()
	s.Upkeep.Look(func(w *maintenance.State, _ *grouping.State) {
		for _, x := range w.Windows() {
			switch span, comes := x.Next(now, upkeep.Zone); {
			case !comes:
			case span.From <= now:
				out.Windows, out.Until = out.Windows+1, max(out.Until, span.Until)
			case span.From <= now+soon && (out.NextAt == 0 || span.From < out.NextAt):
				out.Next, out.NextAt = x.Name, span.From
			}
		}
	})
	return out
}

// soon is how long before a window begins the board says so, in ms.
const soon = 24 * 3600_000

func (s *Server) presentRecent(v projection.View) views.Recent {
	var closed []incident.Card
	var out views.Recent
	for _, st := range v.Cards() {
		if st.Drill && st.ResolvedAt > out.LastDrill {
			out.LastDrill, out.DrillText = st.ResolvedAt, st.Title
		}
		if st.Declared && st.MergedInto == 0 && st.ResolvedAt != 0 {
			closed = append(closed, st)
		}
	}
	slices.SortFunc(closed, func(a, b incident.Card) int { return cmp.Compare(b.ResolvedAt, a.ResolvedAt) })
	for _, st := range closed[:min(len(closed), 5)] {
		out.Rows = append(out.Rows, s.presentRow(st))
	}
	return out
}

func (s *Server) presentSetup(v projection.View) views.Setup {
	chains := s.Chains.List()
	nodes := 0
	for _, c := range chains {
		nodes += len(c.Nodes)
	}
	sources, people := s.activeSources(), len(s.actingPeople())
	drills := 0
	for _, st := range v.Cards() {
		if st.Drill {
			drills++
		}
	}
	steps := []views.SetupStep{
		{Key: "chain", Text: "Add a chain", Why: "Give the address of a node; Tocsin recognises the chain and watches its head, reorgs and stalls.", Href: "/chains", Verb: "Add a chain", Done: len(chains) > 0, Note: strconv.Itoa(len(chains)) + " " + plural(len(chains), "chain", "chains") + ", " + strconv.Itoa(nodes) + " " + plural(nodes, "node", "nodes")},
		{Key: "source", Text: "Connect your alerts", Why: "Alertmanager, anything that speaks PagerDuty Events v2, or plain JSON becomes signals and incidents.", Href: "/sources", Verb: "Make an address", Done: sources > 0, Note: strconv.Itoa(sources) + " " + plural(sources, "source", "sources")},
		{Key: "people", Text: "Invite people", Why: "A link each, a passkey to come back; no login provider that may be down.", Href: "/people", Verb: "Invite", Done: people > 1, Note: strconv.Itoa(people) + " people"},
		{Key: "drill", Text: "Play a drill", Why: "See the whole room on a real incident of the past, fenced off from everything real.", Href: "/drills", Verb: "Choose one", Done: drills > 0, Note: strconv.Itoa(drills) + " played"},
	}
	for _, st := range steps {
		if !st.Done {
			return views.Setup{Steps: steps}
		}
	}
	return views.Setup{}
}

// incidentOfChain names the worst open incident of each chain.
func (s *Server) incidentOfChain() map[string]int64 {
	out := map[string]int64{}
	s.World.Look(func(v projection.View) {
		for _, st := range openIncidents(v) {
			for _, c := range st.Chains {
				if _, ok := out[c]; !ok {
					out[c] = st.Number
				}
			}
		}
	})
	return out
}

// The wall.

func (s *Server) presentWallIncident(v projection.View) views.WallIncident {
	open := openIncidents(v)
	if len(open) == 0 {
		return views.WallIncident{}
	}
	st := open[0]
	out := views.WallIncident{Number: st.Number, Strip: s.presentStrip(st), Know: s.decisions(st, 3)}
	if len(out.Know) == 0 && st.Summary != "" {
		out.Know = []views.Statement{{At: st.DeclaredAt, By: s.name(st.DeclaredBy), Text: st.Summary}}
	}
	for _, g := range st.Signals {
		if len(out.Know) >= 3 {
			break
		}
		if g.State != incident.SignalCleared {
			out.Know = append(out.Know, views.Statement{At: g.OpenedAt, By: s.sourceName(g.Source), Text: cmp.Or(g.Reason, g.Title)})
		}
	}
	row := s.presentRow(st.Card())
	out.Figures = []views.Figure{
		{Label: "open signals", Value: strconv.Itoa(row.Signals), Tone: tone(row.Signals > 0), Note: strconv.Itoa(len(st.Signals)) + " in all"},
		{Label: "open tasks", Value: taskCount(st), Note: strconv.Itoa(len(st.Tasks)) + " in all"},
	}
	for _, a := range st.Audiences {
		if d := incident.NextUpdateDue(st, a.Name); d != 0 {
			out.Clocks = append(out.Clocks, views.Clock{Label: title(a.Name) + " update", DueAt: d})
			if a.Name == "public" {
				out.NextDueAt, out.NextSpan = d, d-a.LastAt
			}
		}
	}
	for _, t := range st.Tasks {
		if !t.Done && t.Due != 0 && len(out.Clocks) < 4 {
			out.Clocks = append(out.Clocks, views.Clock{Label: t.ID + " " + t.Title, DueAt: t.Due})
		}
	}
	if charts := s.incidentCharts(st); len(charts) > 0 {
		out.Chart = &charts[0]
	}
	last := st.Timeline.Last(5)
	slices.Reverse(last)
	for _, e := range last {
		entry := s.presentEntry(st, e)
		entry.Actions = nil
		out.Last = append(out.Last, entry)
	}
	return out
}

func tone(bad bool) string {
	if bad {
		return "bad"
	}
	return ""
}

func (s *Server) presentWallOthers(v projection.View) views.WallOthers {
	var out views.WallOthers
	open := openIncidents(v)
	for i, st := range open {
		if i > 0 {
			out.Rows = append(out.Rows, s.presentRow(st.Card()))
		}
	}
	return out
}

func (s *Server) presentWallSummary(v projection.View) views.WallSummary {
	recent := s.presentRecent(v)
	out := views.WallSummary{Signals: len(s.looseSignals(v)), LastDrill: recent.LastDrill, DrillText: recent.DrillText, Drill: s.Demo}
	for _, st := range openIncidents(v) {
		out.Open++
		out.Drill = out.Drill || st.Drill
		for _, u := range st.Updates {
			if u.State == incident.UpdateDraft {
				out.Approvals++
			}
		}
	}
	return out
}
