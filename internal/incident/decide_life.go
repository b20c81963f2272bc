package incident

import (
	"slices"
	"strconv"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

func (c Declare) decide(s State, m Meta) ([]Body, error) {
	var k check
	title := k.need(k.line("title", c.Title, MaxTitle), CodeMissingArgument, "An incident needs a title. Say in a few words what is wrong.")
	b := Declared{
		Number: s.Number, ID: s.ID, Severity: k.severity(c.Severity),
		Components: k.names("component", c.Components), Chains: k.names("chain", c.Chains),
		ImpactBeganAt: k.past("the beginning of impact", c.ImpactBeganAt, m),
		DetectedAt:    k.past("detection", c.DetectedAt, m),
		Signal:        k.line("signal", c.Signal, MaxURL),
	}
	summary := k.prose("summary", c.Summary, MaxSummary)
	attach := c.Attach
	if b.Signal != "" && !slices.ContainsFunc(attach, func(g Signal) bool { return g.ID == b.Signal }) {
		attach = append([]Signal{{ID: b.Signal}}, attach...)
	}
	signals := k.signals(s, attach, m)
	if k.err != nil {
		return nil, k.err
	}
	out := []Body{b, Described{Title: title, Summary: summary}}
	if len(signals) > 0 {
		out = append(out, SignalsAttached{Signals: signals})
	}
	return out, nil
}

func (c Rename) decide(s State, _ Meta) ([]Body, error) {
	var k check
	title := k.need(k.line("title", c.Title, MaxTitle), CodeMissingArgument, "Give the new title after /title.")
	if k.err != nil || title == s.Title {
		return nil, k.err
	}
	return one(Renamed{Title: title})
}

func (c SetSummary) decide(s State, _ Meta) ([]Body, error) {
	var k check
	summary := k.prose("summary", c.Summary, MaxSummary)
	if k.err != nil || summary == s.Summary {
		return nil, k.err
	}
	return one(SummarySet{Summary: summary})
}

func (c SetSeverity) decide(s State, _ Meta) ([]Body, error) {
	var k check
	sev, reason := k.severity(c.Severity), k.prose("reason", c.Reason, MaxReason)
	if k.err != nil || sev == s.Severity {
		return nil, k.err
	}
	if reason == "" {
		return nil, refuse(CodeReasonMissing, "A severity changes with a reason. Write one sentence: what was learned that makes it %s?", sev)
	}
	out := []Body{SeveritySet{From: s.Severity, Severity: sev, Reason: reason}}
	if step, ok := s.Paging.Missed(string(s.Severity), string(sev)); ok && Open(s) {
		out = append(out, Escalated{Step: step, Worse: true})
	}
	if s.Paging.Phase == escalation.Snoozed && Open(s) && sev < s.Severity { // nobody asked for quiet about this
		out = append(out, Unsnoozed{Worse: true, Step: s.Paging.Again(string(sev))})
	}
	return out, nil
}

func (c SetStatus) decide(s State, _ Meta) ([]Body, error) {
	var k check
	reason := k.prose("reason", c.Reason, MaxReason)
	if k.err != nil {
		return nil, k.err
	}
	to := Status(lower(c.Status))
	switch {
	case to.Rank() < 0:
		return nil, refuse(CodeBadStatus, "%s is not a status. Use declared, investigating, mitigating or monitoring; /resolve ends the incident.", shown(c.Status))
	case to == s.Status:
		return nil, nil
	case to == StatusResolved && s.Status != StatusReviewed:
		return nil, refuse(CodeUseResolve, "An incident is resolved with a validation note. Use /resolve and write how you checked that recovery worked.")
	case to == StatusReviewed:
		return nil, refuse(CodeUseReview, "A review is closed with review_done, after the incident is resolved.")
	case s.Status.Rank() >= StatusResolved.Rank():
		return nil, refuse(CodeUseReopen, "Incident #%d is %s. Use /reopen and say why it is not over.", s.Number, s.Status)
	case to.Rank() < s.Status.Rank() && reason == "":
		return nil, refuse(CodeReasonMissing, "Going back from %s to %s needs a reason. Write one sentence: what did not hold?", s.Status, to)
	}
	return one(StatusSet{From: s.Status, Status: to, Reason: reason})
}

func (c SetTimes) decide(s State, m Meta) ([]Body, error) {
	var k check
	b := TimesSet{ImpactBeganAt: s.ImpactBeganAt, DetectedAt: s.DetectedAt, Reason: k.prose("reason", c.Reason, MaxReason)}
	for _, t := range []struct {
		what  string
		given *int64
		clock string
		to    *int64
	}{
		{"the beginning of impact", c.ImpactBeganAt, c.ImpactClock, &b.ImpactBeganAt},
		{"detection", c.DetectedAt, c.DetectedClock, &b.DetectedAt},
	} {
		if t.clock != "" {
			*t.to = k.clock(t.clock, m)
		}
		if t.given != nil {
			*t.to = k.past(t.what, *t.given, m)
		}
	}
	if k.err != nil || b.ImpactBeganAt == s.ImpactBeganAt && b.DetectedAt == s.DetectedAt {
		return nil, k.err
	}
	return one(b)
}

func (c SetComponents) decide(s State, _ Meta) ([]Body, error) {
	var k check
	names := k.names("component", c.Components)
	if k.err != nil || slices.Equal(names, s.Components) {
		return nil, k.err
	}
	return one(ComponentsSet{Components: names})
}

func (c SetChains) decide(s State, _ Meta) ([]Body, error) {
	var k check
	names := k.names("chain", c.Chains)
	if k.err != nil || slices.Equal(names, s.Chains) {
		return nil, k.err
	}
	return one(ChainsSet{Chains: names})
}

func (c Merge) decide(s State, _ Meta) ([]Body, error) {
	switch {
	case c.Into <= 0:
		return nil, refuse(CodeMissingArgument, "Say which incident this one goes on in, like /merge #12.")
	case c.Into == s.Number:
		return nil, refuse(CodeMergeSelf, "Incident #%d cannot be merged into itself. Name the incident that stays.", s.Number)
	case c.Into == s.MergedInto:
		return nil, nil
	case s.MergedInto != 0:
		return nil, refuse(CodeMerged, "Incident #%d was merged into #%d already. Merge #%d if that is the duplicate.", s.Number, s.MergedInto, s.MergedInto)
	case len(s.Absorbed) > 0:
		return nil, refuse(CodeMergeChain, "Incident #%d was merged into this one, and merges do not chain. Merge #%d into #%d instead, so that this one stays.", s.Absorbed[0], c.Into, s.Number)
	}
	return one(Merged(c))
}

func (c Absorb) decide(s State, _ Meta) ([]Body, error) {
	switch {
	case c.From <= 0:
		return nil, refuse(CodeMissingArgument, "Say which incident is merged into this one.")
	case c.From == s.Number:
		return nil, refuse(CodeMergeSelf, "Incident #%d cannot be merged into itself. Name the incident that stays.", s.Number)
	case slices.Contains(s.Absorbed, c.From):
		return nil, nil
	case s.MergedInto != 0:
		return nil, refuse(CodeMergeChain, "Incident #%d was itself merged into #%d. Merge into #%d instead.", s.Number, s.MergedInto, s.MergedInto)
	case len(s.Absorbed) >= MaxAbsorbed:
		return nil, refuse(CodeTooMany, "%d incidents were merged into #%d, and no more fit. Link this one instead.", MaxAbsorbed, s.Number)
	}
	return one(Absorbed(c))
}

func (c Resolve) decide(s State, _ Meta) ([]Body, error) {
	var k check
	note := k.prose("validation note", c.Validation, MaxNote)
	if k.err != nil {
		return nil, k.err
	}
	if note == "" {
		return nil, refuse(CodeNoValidation, "Say how you checked that recovery worked before you resolve: which figures are back to normal, since when, and who looked. For example: /resolve withdrawals at the usual rate since 14:20, both nodes agree, @li checked.")
	}
	if s.Status.Rank() >= StatusResolved.Rank() {
		if note == s.Validation {
			return nil, nil
		}
		return nil, refuse(CodeAlreadyResolved, "Incident #%d is %s already. Add a note, or /reopen it if it is not over.", s.Number, s.Status)
	}
	return one(Resolved{Validation: note})
}

func (c Reopen) decide(s State, _ Meta) ([]Body, error) {
	var k check
	reason := k.prose("reason", c.Reason, MaxReason)
	if k.err != nil || s.Status.Rank() < StatusResolved.Rank() {
		return nil, k.err
	}
	if reason == "" {
		return nil, refuse(CodeReasonMissing, "Reopening needs a reason. Write one sentence: what shows that it is not over?")
	}
	return one(Reopened{Reason: reason})
}

func (c ReviewDone) decide(s State, _ Meta) ([]Body, error) {
	var k check
	note := k.prose("note", c.Note, MaxNote)
	if k.err != nil || s.Status == StatusReviewed {
		return nil, k.err
	}
	if s.Status != StatusResolved {
		return nil, refuse(CodeNotResolved, "Incident #%d is still %s. Resolve it first; the review comes after.", s.Number, s.Status)
	}
	return one(Reviewed{Note: note})
}

func (c Redact) decide(s State, _ Meta) ([]Body, error) {
	var k check
	reason := k.prose("reason", c.Reason, maxRedactReason)
	event := k.need(k.line("event", c.Event, MaxURL), CodeMissingArgument, "Say which event to blank, by its id.")
	if k.err != nil {
		return nil, k.err
	}
	if reason == "" {
		return nil, refuse(CodeReasonMissing, "Blanking words for ever needs a reason. Write one sentence without the words themselves.")
	}
	e, ok := s.entry(event)
	if !ok {
		return nil, refuse(CodeNoSuchEvent, "There is no event %s in incident #%d. Take its id from the timeline.", shown(event), s.Number)
	}
	if e.Redacted != nil {
		return nil, nil
	}
	if !redactable[e.Type] {
		return nil, refuse(CodeNothingToRedact, "This event has no text that can be blanked: it holds facts, and names of components or chains. Redact the event that carries the words; names are changed with set_components and set_chains.")
	}
	for _, h := range s.PendingHandovers {
		if h.Offset == e.Offset {
			return nil, refuse(CodeNothingToRedact, "The offer of %s to @%s is still open. Withdraw it first, then blank its note.", h.Role.Title(), h.To)
		}
	}
	gone := LogRedacted{Offset: e.Offset, Event: e.EventID, Reason: reason}
	if r, ok := restate(s, e); ok {
		return []Body{gone, r}, nil
	}
	return one(gone)
}

// entry finds a timeline entry by the id or the offset of its event.
func (s State) entry(event string) (Entry, bool) {
	offset, err := strconv.ParseInt(event, 10, 64)
	for _, e := range s.Timeline.Newest() {
		if e.EventID == event || err == nil && e.Offset == offset {
			return e, true
		}
	}
	return Entry{}, false
}
