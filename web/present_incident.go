package web

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/views"
)

const shownEntries = 200 // timeline entries on a page; earlier ones are one link away

// person is a handle's display name.
func (s *Server) person(handle string) string {
	if handle == "" {
		return ""
	}
	if p, ok := s.Auth.Directory().Person(handle); ok && p.Name != "" {
		return p.Name
	}
	return handle
}

// actorName is how people read an actor string of the log.
func (s *Server) actorName(actor string) (name, kind, handle string) {
	kind, id, ok := strings.Cut(actor, ":")
	if !ok {
		return actor, "system", ""
	}
	switch kind {
	case "person":
		return s.person(id), kind, id
	case "source":
		return s.sourceName(id), kind, ""
	case "token":
		if t, ok := s.Auth.Directory().Token(id); ok {
			return t.Name, kind, ""
		}
		return "API token", kind, ""
	case "system":
		return "Tocsin", kind, ""
	}
	return actor, "system", ""
}

func (s *Server) name(actor string) string {
	n, _, _ := s.actorName(actor)
	return n
}

func (s *Server) presentStrip(st incident.State) views.Strip {
	out := views.Strip{
		Number: st.Number, Title: st.Title, Severity: string(st.Severity), Status: string(st.Status), Drill: st.Drill,
		ImpactAt: st.ImpactBeganAt, DetectedAt: st.DetectedAt, DeclaredAt: st.DeclaredAt, ResolvedAt: st.ResolvedAt,
		Commander: s.person(st.Commander()), MergedInto: st.MergedInto, Held: s.presentHeld(st),
	}
	if d := st.Holders(incident.RoleDeputy); len(d) > 0 {
		out.Deputy = s.person(d[0])
	}
	for _, r := range incident.Vacancies(st) {
		out.Vacant = append(out.Vacant, r.Title())
	}
	if merged(st) && out.ResolvedAt == 0 {
		out.ResolvedAt = mergedAt(st)
	}
	out.Actions = endActions(st)
	scoreOnStrip(st, &out)
	return out
}

// merged incidents take notes only: nothing on their page offers more.
func merged(st incident.State) bool { return st.MergedInto != 0 }

func mergedAt(st incident.State) int64 {
	for _, e := range st.Timeline.Newest() {
		if e.Type == (incident.Merged{}).Type() {
			return e.At
		}
	}
	return 0
}

// endActions is what can be done with an incident that is over.
func endActions(st incident.State) []views.Action {
	if merged(st) || st.Status.Rank() < incident.StatusResolved.Rank() {
		return nil
	}
	number := "#" + strconv.FormatInt(st.Number, 10)
	reopen := act("Reopen", "reopen", nil)
	reopen.Ask, reopen.Need, reopen.Tone = "What shows that "+number+" is not over? Write one sentence.", "reason", "grave"
	if st.Status == incident.StatusReviewed {
		return []views.Action{reopen}
	}
	done := act("Review done", "review_done", nil)
	done.Ask, done.Tone = "Is the review of "+number+" written and agreed? The incident is closed with it.", "main"
	return []views.Action{done, reopen}
}

func (s *Server) decisions(st incident.State, limit int) []views.Statement {
	var out []views.Statement
	for _, e := range st.Timeline.Newest() {
		if e.Kind == incident.KindDecision && e.Redacted == nil {
			out = append(out, views.Statement{At: e.At, By: s.name(e.Actor), Text: said(e)})
			if len(out) == limit {
				break
			}
		}
	}
	return out
}

// said is what a person typed in an entry, or its whole sentence when nobody typed.
func said(e incident.Entry) string {
	for _, p := range e.Parts {
		if p.Type == incident.PartQuote {
			return p.Text
		}
	}
	return e.Text()
}

func (s *Server) presentFacts(st incident.State) views.Facts {
	out := views.Facts{
		Number: st.Number, Summary: st.Summary, Moved: merged(st), Decisions: s.decisions(st, 3), Components: st.Components,
		ImpactAt: st.ImpactBeganAt, DetectedAt: st.DetectedAt, DeclaredAt: st.DeclaredAt, ResolvedAt: st.ResolvedAt, Validation: st.Validation,
	}
	for _, c := range st.Chains {
		out.Chains = append(out.Chains, s.chainName(c))
	}
	return out
}

func (s *Server) chainName(id string) string {
	for _, c := range s.Chains.List() {
		if c.ID == id {
			return c.Name
		}
	}
	return id
}

func act(label, command string, args map[string]any) views.Action {
	return views.Action{Label: label, Command: command, Args: args}
}

func (s *Server) presentWaiting(st incident.State) views.Waiting {
	var out views.Waiting
	for _, w := range incident.WaitingFor(st, s.now()) {
		item := views.WaitingItem{ID: string(w.Kind) + "-" + w.Ref, Text: w.Text, DueAt: w.Due}
		if slices.Contains(incident.Roles(), incident.Role(w.For)) {
			item.Roles = []string{w.For}
		} else if w.For != "" {
			item.For = []string{w.For}
		}
		switch w.Kind {
		case incident.WaitingHandOver:
			item.Kind = "handover"
			accept := act("Accept", "accept_hand_over", map[string]any{"role": w.Ref})
			accept.Tone = "main"
			item.Actions = []views.Action{accept, act("Decline", "decline_hand_over", map[string]any{"role": w.Ref})}
		case incident.WaitingApproval:
			item.Kind = "approval"
			item.Actions = []views.Action{act("Approve", "approve_update", map[string]any{"update": w.Ref})}
		case incident.WaitingPublish:
			item.Kind = "approval"
			publish := act("Publish", "publish_update", map[string]any{"update": w.Ref})
			publish.Ask, publish.Tone = "Publish "+w.Ref+"? What is published cannot be taken back.", "main"
			item.Actions = []views.Action{publish}
		case incident.WaitingTask:
			item.Kind = "task"
			item.Actions = []views.Action{act("Done", "complete_task", map[string]any{"task": w.Ref})}
		case incident.WaitingUpdateDue:
			item.Kind = "clock"
		case incident.WaitingVacancy:
			item.Kind = "role"
			take := act("I take it", "assign_role", map[string]any{"role": w.Ref, "person": "me"})
			take.Tone = "main"
			item.Actions = []views.Action{take}
		case incident.WaitingSignal:
			item.Kind = "signal"
		case incident.WaitingPage:
			item.Kind = "page"
			if w.Ref != "" {
				have := act("I have it", "acknowledge", nil)
				have.Tone = "main"
				item.Actions = append([]views.Action{have}, mayDecline(st.Paging, w.For)...)
			}
			item.Text = strings.Replace(item.Text, "@"+w.For, s.person(w.For), 1)
		}
		out.Items = append(out.Items, item)
	}
	return out
}

// entryKinds gives the views' kind for what the core calls otherwise.
func entryKind(e incident.Entry) string {
	switch e.Type {
	case "incident.declared":
		return "declared"
	case "incident.resolved":
		return "resolved"
	case "incident.merged", "incident.absorbed":
		return "merged"
	case "log.redacted":
		return "redaction"
	}
	switch e.Kind {
	case incident.KindTimes, incident.KindSystem:
		return "other"
	}
	return string(e.Kind)
}

func (s *Server) presentEntry(st incident.State, e incident.Entry) views.Entry {
	name, kind, handle := s.actorName(e.Actor)
	out := views.Entry{
		Offset: e.Offset, At: e.At, WrittenAt: e.WrittenAt, Actor: name, ActorKind: kind, Handle: handle, Kind: entryKind(e), Drill: e.Drill && !st.Drill, // a drill's room is marked as a whole
		EventID: e.EventID, CommandID: e.CommandID,
	}
	if e.Redacted != nil {
		out.Redacted = &views.Redacted{By: s.name(e.Redacted.By), At: e.Redacted.At, Reason: e.Redacted.Reason}
		return out
	}
	for _, r := range st.Roles {
		if r.Person == handle && handle != "" && r.Since <= e.At {
			out.Role = string(r.Role)
			break
		}
	}
	var text strings.Builder
	for _, p := range e.Parts {
		switch p.Type {
		case incident.PartPerson:
			text.WriteString(s.person(p.Ref))
			continue
		case incident.PartTime:
			text.WriteString(clockText(p))
			continue
		case incident.PartLink:
			out.Link = &views.Link{Text: p.Text, URL: p.Ref}
			continue // drawn beside the words
		case incident.PartSeverity, incident.PartStatus:
			if e.Kind == incident.KindSignal {
				break // severities of signals, perhaps of several
			}
			if out.From == "" && out.To == "" {
				out.To = p.Ref
			} else if out.From == "" {
				out.From, out.To = out.To, p.Ref
			}
		case incident.PartSignal:
			if e.Type == "incident.signals_attached" && len(out.Actions) < 1 && !merged(st) && attached(st, p.Ref) && signalParts(e) == 1 {
				detach := act("Detach", "detach_signal", map[string]any{"signal": p.Ref})
				undo := act("Attach again", "attach_signal", map[string]any{"signal": p.Ref})
				detach.Undo = &undo
				out.Actions = append(out.Actions, detach)
			}
		}
		text.WriteString(p.Text)
	}
	out.Text = text.String()
	if rest, ok := strings.CutPrefix(out.Text, out.From+" → "+out.To); ok && out.From != "" && (out.Kind == "severity" || out.Kind == "status") {
		out.Text = strings.TrimPrefix(rest, ": ") // the pair is drawn, not written
	}
	return out
}

// clockText is a time in an entry as people read it; all times on pages are UTC.
func clockText(p incident.Part) string {
	ms, err := strconv.ParseInt(p.Ref, 10, 64)
	if err != nil {
		return p.Text
	}
	return time.UnixMilli(ms).UTC().Format("2 Jan 15:04 UTC")
}

func signalParts(e incident.Entry) (n int) {
	for _, p := range e.Parts {
		if p.Type == incident.PartSignal {
			n++
		}
	}
	return n
}

func attached(st incident.State, signal string) bool {
	return slices.ContainsFunc(st.Signals, func(g incident.Signal) bool { return g.ID == signal })
}

func (s *Server) presentTimeline(st incident.State, limit int) views.Timeline {
	out := views.Timeline{Incident: st.Number}
	for _, e := range st.Timeline.Last(limit) {
		out.Entries = append(out.Entries, s.presentEntry(st, e))
	}
	return out
}

const shownSignals = 100 // signals listed in a room; the rest are counted

func (s *Server) presentRoomSignals(st incident.State) views.RoomSignals {
	out := views.RoomSignals{Number: st.Number}
	sorted := slices.Clone(st.Signals)
	slices.SortStableFunc(sorted, func(a, b incident.Signal) int {
		ao, bo := a.State == incident.SignalCleared, b.State == incident.SignalCleared
		if ao != bo {
			if ao {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(a.Severity.Rank(), b.Severity.Rank()), cmp.Compare(b.OpenedAt, a.OpenedAt))
	})
	if len(sorted) > shownSignals {
		sorted = sorted[:shownSignals]
	}
	for _, g := range sorted {
		detach := act("Detach", "detach_signal", map[string]any{"signal": g.ID})
		undo := act("Attach again", "attach_signal", map[string]any{"signal": g.ID})
		detach.Undo = &undo
		acts := []views.Action{detach}
		if byItself(g) {
			acts[0].Label = "Not this one"
		}
		if joinedBy(g) != "" {
			at := "/signals/" + url.PathEscape(g.ID)
			acts = append(acts, views.Action{Label: "Never by this rule", Post: at + "/detach?never=1", Undo: &views.Action{Label: "Attach again", Post: at + "/attach?admit=1&incident=" + itoa(st.Number)}})
		}
		out.Signals = append(out.Signals, views.Signal{
			ID: g.ID, Source: s.sourceName(g.Source), Kind: g.Kind, Subject: g.Subject, Title: cmp.Or(g.Title, g.ID), Reason: cmp.Or(g.Reason, g.Correlation),
			Severity: string(g.Severity), State: cmp.Or(g.State, "open"), Acknowledged: g.Acknowledged, OpenedAt: g.OpenedAt, ClearedAt: g.ClearedAt,
			LastAt: g.LastAt, Count: int(g.Count), Incident: st.Number, Drill: st.Drill, Actions: unlessMerged(st, acts...), Why: joinedBy(g),
			Plain: g.State == incident.SignalCleared, // its page is there for a week only
		})
	}
	return out
}

func (s *Server) presentTasks(st incident.State) views.Tasks {
	out := views.Tasks{Number: st.Number}
	for _, done := range []bool{false, true} {
		for _, t := range st.Tasks {
			if t.Done != done {
				continue
			}
			v := views.Task{ID: t.ID, Title: t.Title, Handle: t.Assignee, Assignee: s.person(t.Assignee), AddedAt: t.At, DoneAt: t.DoneAt}
			if t.Redacted {
				v.Title = "[redacted]"
			}
			if merged(st) {
				out.Tasks = append(out.Tasks, v)
				continue
			}
			complete, reopen := act("Done", "complete_task", map[string]any{"task": t.ID}), act("Reopen", "reopen_task", map[string]any{"task": t.ID})
			if done {
				v.Action = reopen
				v.Action.Undo = &complete
			} else {
				v.Action = complete
				v.Action.Undo = &reopen
			}
			out.Tasks = append(out.Tasks, v)
		}
	}
	return out
}

func (s *Server) presentRoles(st incident.State) views.Roles {
	out := views.Roles{Number: st.Number}
	vacant := incident.Vacancies(st)
	for _, r := range incident.Roles() {
		role := views.Role{Key: string(r), Name: title(r.Title()), Needed: slices.Contains(vacant, r)}
		for _, a := range st.Roles {
			if a.Role != r {
				continue
			}
			release := act("Release", "release_role", map[string]any{"role": string(r), "person": a.Person})
			again := act("Assign again", "assign_role", map[string]any{"role": string(r), "person": a.Person})
			release.Undo = &again
			holder := views.Holder{Handle: a.Person, Name: s.person(a.Person), Since: a.Since}
			if !merged(st) {
				holder.Release = &release
			}
			role.Holders = append(role.Holders, holder)
		}
		for _, h := range st.PendingHandovers {
			if h.Role == r {
				role.Holders = append(role.Holders, views.Holder{Handle: h.To, Name: s.person(h.To), Since: h.At, Pending: true})
			}
		}
		if !merged(st) && (len(role.Holders) == 0 || !r.Single()) {
			take := act("I take it", "assign_role", map[string]any{"role": string(r), "person": "me"})
			role.Take = &take
		}
		out.Roles = append(out.Roles, role)
	}
	return out
}

func unlessMerged(st incident.State, list ...views.Action) []views.Action {
	if merged(st) {
		return nil
	}
	return list
}

func (s *Server) presentLinks(st incident.State) views.Links {
	out := views.Links{Number: st.Number}
	for _, l := range st.Links {
		if !l.Redacted {
			out.Links = append(out.Links, views.Link{Text: l.Title, URL: l.URL})
		}
	}
	return out
}

func (s *Server) presentComms(st incident.State) views.Comms {
	out := views.Comms{Number: st.Number}
	audiences := append([]string{"public"}, s.Audiences...)
	for _, u := range st.Updates {
		if !slices.Contains(audiences, u.Audience) {
			audiences = append(audiences, u.Audience)
		}
	}
	for _, a := range audiences {
		line := views.AudienceLine{Audience: a, NextDueAt: incident.NextUpdateDue(st, a)}
		for _, u := range st.Updates {
			if u.Audience != a {
				continue
			}
			switch u.State {
			case incident.UpdateIsPublished:
				line.Last, line.LastAt = u.Text, u.PublishedAt
				if u.Redacted {
					line.Last = "[redacted]"
				}
			case incident.UpdateDraft, incident.UpdateIsApproved:
				d := views.Draft{ID: u.ID, Text: u.Text, By: s.name(u.Author), At: max(u.DraftedAt, u.EditedAt), Approved: s.name(u.ApprovedBy)}
				if u.State == incident.UpdateDraft {
					d.Actions = append(d.Actions, act("Approve", "approve_update", map[string]any{"update": u.ID}))
				} else {
					publish := act("Publish", "publish_update", map[string]any{"update": u.ID})
					publish.Ask, publish.Tone = "Publish "+u.ID+" to “"+a+"”? What is published cannot be taken back.", "main"
					d.Actions = append(d.Actions, publish)
				}
				discard := act("Discard", "discard_update", map[string]any{"update": u.ID})
				discard.Ask, discard.Tone = "Discard the draft "+u.ID+"?", "grave"
				d.Actions = unlessMerged(st, append(d.Actions, discard)...)
				line.Drafts = append(line.Drafts, d)
			}
		}
		out.Lines = append(out.Lines, line)
	}
	return out
}

func (s *Server) presentRow(k incident.Card) views.IncidentRow {
	row := views.IncidentRow{
		Number: k.Number, Title: k.Title, Severity: string(k.Severity), Status: string(k.Status), Drill: k.Drill,
		Since: cmp.Or(k.ImpactBeganAt, k.DeclaredAt), ResolvedAt: k.ResolvedAt, Commander: s.person(k.Commander), LastAt: k.LastAt,
		Signals: k.OpenSignals, NextDueAt: k.NextDue, Held: s.heldOf(k), Claimed: s.person(k.ClaimedBy),
	}
	for _, c := range k.Chains {
		row.Chains = append(row.Chains, s.chainName(c))
	}
	if last := k.Last; last != nil {
		row.LastText = "[redacted]"
		if last.Redacted == nil {
			row.LastText = cmp.Or(s.presentEntry(incident.State{}, *last).Text, last.Text()) // the words need no state
		}
	}
	return row
}

func title(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func taskCount(st incident.State) string {
	open := 0
	for _, t := range st.Tasks {
		if !t.Done {
			open++
		}
	}
	return strconv.Itoa(open)
}
