package incident

import (
	"slices"

	"github.com/tocsin-ops/tocsin/internal/impact"
)

// redactable are the types of events that hold words somebody wrote.
var redactable = map[string]bool{
	"incident.described": true, "incident.renamed": true, "incident.summary_set": true, "incident.severity_set": true, "incident.status_set": true,
	"incident.times_set": true, "incident.resolved": true, "incident.reopened": true, "incident.reviewed": true,
	"incident.hand_over_offered": true, "incident.note_added": true, "incident.decision_recorded": true,
	"incident.task_added": true, "incident.link_added": true,
	"incident.address_added": true, "incident.address_removed": true, "incident.transaction_added": true, "incident.transaction_removed": true,
	"incident.update_drafted": true, "incident.update_edited": true,
	"incident.signals_attached": true, "incident.signal_updated": true, "incident.signals_updated": true,
	"incident.signal_detached": true,
	"incident.reason_given":    true, "incident.fact_set": true, "incident.scored": true,
}

// Redactable is true for the types of events whose payload Redact blanks: those
// with words that a person or a source wrote. Others carry only facts that the
// state stands on.
func Redactable(typ string) bool { return redactable[typ] }

var kinds = map[string]Kind{
	"incident.severity_set": KindSeverity, "incident.status_set": KindStatus, "incident.times_set": KindTimes,
	"incident.resolved": KindStatus, "incident.reopened": KindStatus, "incident.reviewed": KindStatus,
	"incident.role_assigned": KindRole, "incident.role_released": KindRole, "incident.hand_over_offered": KindRole,
	"incident.handed_over": KindRole, "incident.hand_over_declined": KindRole,
	"incident.note_added": KindNote, "incident.decision_recorded": KindDecision,
	"incident.task_added": KindTask, "incident.task_assigned": KindTask, "incident.task_completed": KindTask,
	"incident.task_reopened": KindTask, "incident.link_added": KindLink, "incident.link_removed": KindLink,
	"incident.address_added": KindAddress, "incident.address_removed": KindAddress, "incident.transaction_added": KindAddress, "incident.transaction_removed": KindAddress,
	"incident.update_drafted": KindUpdate, "incident.update_edited": KindUpdate, "incident.update_approved": KindUpdate,
	"incident.update_published": KindUpdate, "incident.update_discarded": KindUpdate,
	"incident.signals_attached": KindSignal, "incident.signal_updated": KindSignal, "incident.signals_updated": KindSignal,
	"incident.signal_detached": KindSignal,
	"incident.reason_given":    KindNote, "incident.fact_set": KindImpact, "incident.scored": KindImpact,
}

// apply does what the event did as far as its type and its envelope tell; what
// else it carried is said again by Restated.
func (b Blank) apply(s *State, e Event) {
	switch b.EventType {
	case "incident.declared":
		s.Declared, s.Drill, s.DeclaredAt, s.DeclaredBy = true, e.Drill, e.At, e.Actor
		s.Severity, s.Status = SEV1, StatusDeclared // unknown: the worst, until somebody says otherwise
	case "incident.described":
		s.Title, s.Summary, s.titleFrom, s.summaryFrom = RedactedText, "", e.Offset, e.Offset
	case "incident.renamed":
		s.Title, s.titleFrom = RedactedText, e.Offset
	case "incident.summary_set":
		s.Summary, s.summaryFrom = "", e.Offset
	case "incident.resolved":
		s.Status, s.ResolvedAt, s.Validation, s.validatedFrom = StatusResolved, e.At, RedactedText, e.Offset
		s.Paging = s.Paging.Stop(e.At)
	case "incident.reopened":
		s.Status, s.ResolvedAt, s.ReviewedAt, s.Validation, s.validatedFrom = StatusInvestigating, 0, 0, "", e.Offset
		s.Paging = s.Paging.Restart(e.At)
	case "incident.reviewed":
		s.Status, s.ReviewedAt = StatusReviewed, e.At
	case "incident.task_added":
		s.addTask(Task{ID: id("T", s.lastTask+1), Title: RedactedText, At: e.At, By: e.Actor, Offset: e.Offset, Redacted: true})
	case "incident.link_added":
		s.addLink(Link{ID: id("L", s.lastLink+1), Title: RedactedText, At: e.At, By: e.Actor, Offset: e.Offset, Redacted: true})
	case "incident.address_added": // what it said is gone, and its place on the list with it
		s.lastAddress++
	case "incident.transaction_added":
		s.lastTransaction++
	case "incident.update_drafted":
		u := Update{ID: id("U", s.lastUpdate+1), State: UpdateDraft, DraftedBy: e.Actor, DraftedAt: e.At, Author: e.Actor, Offset: e.Offset, textFrom: e.Offset}
		u.wipe()
		s.addUpdate(u)
	}
	kind, ok := kinds[b.EventType]
	if !ok {
		kind = KindSystem
	}
	s.say(e, kind, blanked()...)
	if e.Redacted == nil {
		s.blank(e.Offset, Redaction{})
	}
}

func blanked() []Part { return []Part{{Type: PartRedacted, Text: RedactedText}} }

func (u *Update) wipe() {
	u.Headline, u.Text, u.Components, u.Redacted = "", RedactedText, nil, true
}

// blank marks the entry of the event at offset, if it has one.
func (s *State) blank(offset int64, r Redaction) {
	if i := s.Timeline.Find(offset); i >= 0 {
		x := s.Timeline.At(i)
		x.Parts, x.WrittenAt, x.Redacted = blanked(), 0, &r
		s.Timeline = s.Timeline.set(i, x)
	}
}

// apply takes the words of the blanked event out of everything that shows them.
func (b LogRedacted) apply(s *State, e Event) {
	s.blank(b.Offset, Redaction{By: e.Actor, At: e.At, Reason: b.Reason})
	if s.titleFrom == b.Offset && s.Title != "" {
		s.Title = RedactedText
	}
	if s.summaryFrom == b.Offset {
		s.Summary = ""
	}
	if s.validatedFrom == b.Offset && s.Validation != "" {
		s.Validation = RedactedText
	}
	s.forget(b.Offset)
	for i, h := range s.PendingHandovers {
		if h.Offset == b.Offset && h.Note != "" {
			s.PendingHandovers = edit(s.PendingHandovers, i, func(h *HandOver) { h.Note = RedactedText })
		}
	}
	for i, t := range s.Tasks {
		if t.Offset == b.Offset {
			s.Tasks = edit(s.Tasks, i, func(t *Task) { t.Title, t.Redacted = RedactedText, true })
		}
	}
	for i, l := range s.Links {
		if l.Offset == b.Offset {
			s.Links = edit(s.Links, i, func(l *Link) { l.URL, l.Title, l.Redacted = "", RedactedText, true })
		}
	}
	s.Addresses = without(s.Addresses, func(a Address) bool { return a.Offset == b.Offset })
	s.Transactions = without(s.Transactions, func(x Transaction) bool { return x.Offset == b.Offset })
	for i, u := range s.Updates {
		if u.textFrom == b.Offset {
			s.Updates = edit(s.Updates, i, (*Update).wipe)
		}
	}
	for i, g := range s.Signals {
		if g.textFrom == b.Offset {
			s.Signals = edit(s.Signals, i, (*Signal).wipe)
		}
	}
	s.say(e, KindSystem, because([]Part{say("blanked an entry")}, b.Reason)...)
}

func (g *Signal) wipe() {
	g.Title, g.Subject, g.Reason, g.Correlation, g.Chain, g.Component = RedactedText, "", "", "", "", ""
}

// restate says again the facts that are lost when entry x is blanked, as they
// stand without its words. ok is false when its type alone tells all of them.
func restate(s State, x Entry) (r Restated, ok bool) {
	after := Apply(s, Event{Offset: s.Position, Body: LogRedacted{Offset: x.Offset}})
	r = Restated{Severity: s.Severity, Status: s.Status, ImpactBeganAt: s.ImpactBeganAt, DetectedAt: s.DetectedAt}
	switch x.Type {
	case "incident.severity_set", "incident.status_set", "incident.times_set":
		return r, true
	case "incident.task_added":
		r.Tasks = slices.DeleteFunc(slices.Clone(after.Tasks), func(t Task) bool { return t.Offset != x.Offset })
		return r, len(r.Tasks) > 0
	case "incident.update_drafted", "incident.update_edited":
		for i, u := range s.Updates {
			if u.textFrom == x.Offset {
				r.Updates = append(r.Updates, after.Updates[i])
			}
		}
		return r, len(r.Updates) > 0
	case "incident.signals_attached", "incident.signal_updated", "incident.signals_updated":
		for i, g := range s.Signals {
			switch {
			case g.textFrom == x.Offset:
				r.Signals = append(r.Signals, after.Signals[i])
			case g.Offset == x.Offset:
				r.Signals = append(r.Signals, Signal{ID: g.ID, AttachedAt: g.AttachedAt, AttachedBy: g.AttachedBy, Offset: g.Offset})
			}
		}
		return r, len(r.Signals) > 0
	case "incident.signal_detached":
		for _, p := range x.Parts {
			if p.Type == PartSignal && s.signalAt(p.Ref) < 0 {
				r.Detached = append(r.Detached, p.Ref)
			}
		}
		return r, len(r.Detached) > 0
	case "incident.address_removed", "incident.transaction_removed":
		for _, p := range x.Parts {
			if p.Type == PartAddress {
				r.Removed = append(r.Removed, p.Ref)
			}
		}
		return r, len(r.Removed) > 0
	case "incident.fact_set":
		for _, f := range s.Facts {
			if f.Offset == x.Offset {
				r.Unknown = append(r.Unknown, f.Name)
			}
		}
		return r, len(r.Unknown) > 0
	case "incident.scored":
		r.Judged = &Judged{Scores: s.Scores, Advice: s.Advice}
		r.Judged.Advice.Reason = ""
		if s.impactFrom == x.Offset {
			r.Judged.Impact = &after.Impact
		}
		return r, true
	}
	return r, false
}

func (b Restated) apply(s *State, e Event) {
	s.Severity, s.Status, s.ImpactBeganAt, s.DetectedAt = b.Severity, b.Status, b.ImpactBeganAt, b.DetectedAt
	for _, t := range b.Tasks {
		s.Tasks = edit(s.Tasks, s.taskAt(t.ID), func(x *Task) { *x = t })
	}
	for _, u := range b.Updates {
		u.textFrom = e.Offset
		s.Updates = edit(s.Updates, s.updateAt(u.ID), func(x *Update) { *x = u })
	}
	for _, g := range b.Signals {
		g.textFrom = e.Offset
		if i := s.signalAt(g.ID); g.State == "" && i >= 0 {
			old := s.Signals[i]
			old.AttachedAt, old.AttachedBy, old.Offset = g.AttachedAt, g.AttachedBy, g.Offset
			g = old
		}
		s.Signals = attached(s.Signals, g)
	}
	s.Signals = without(s.Signals, func(g Signal) bool { return slices.Contains(b.Detached, g.ID) })
	s.unlist(b.Removed)
	s.Facts = without(s.Facts, func(f impact.Fact) bool { return slices.Contains(b.Unknown, f.Name) })
	if j := b.Judged; j != nil {
		why := s.Advice.Reason
		s.Scores, s.Advice = j.Scores, j.Advice
		if s.Advice.Declined != "" {
			s.Advice.Reason = why
		}
		if j.Impact != nil {
			s.Impact, s.impactFrom = *j.Impact, e.Offset
		}
	}
}

// forget takes the words of the event at offset out of what is known of the impact and of the teams.
func (s *State) forget(offset int64) {
	s.Facts = without(s.Facts, func(f impact.Fact) bool { return f.Offset == offset })
	if s.adviceFrom == offset && s.Advice.Reason != "" {
		s.Advice.Reason, s.adviceFrom = "", 0
	}
	if s.Triage.noteFrom == offset {
		s.Triage.Note, s.Triage.noteFrom = "", 0
	}
	if s.impactFrom == offset && s.Impact.At != 0 {
		s.Impact = wordless(s.Impact)
	}
}

// wordless is the assessment's figures without its sentences.
func wordless(a impact.Assessment) impact.Assessment {
	a.RuleReason, a.Blast, a.Major, a.Changes, a.Loss.Assumption, a.Loss.Parts = nil, nil, nil, nil, "", nil
	a.Loss.From = impact.From{}
	for i := range a.Axes {
		a.Axes[i].Reasons = nil
	}
	return a
}
