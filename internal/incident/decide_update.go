package incident

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Phases are what an update can say of the incident, in their order. The caller
// owns the slice.
func Phases() []string { return []string{"investigating", "identified", "monitoring", "resolved"} }

// ComponentStatuses are what an update can say of a component, best first. The
// caller owns the slice.
func ComponentStatuses() []string {
	return []string{"operational", "degraded_performance", "partial_outage", "major_outage", "under_maintenance"}
}

// PhaseOf is the phase that an update has by default at a status.
func PhaseOf(v Status) string {
	switch v {
	case StatusMitigating:
		return "identified"
	case StatusMonitoring:
		return "monitoring"
	case StatusResolved, StatusReviewed:
		return "resolved"
	}
	return "investigating"
}

func (c *check) phase(text string) string {
	p := lower(text)
	if p != "" && !slices.Contains(Phases(), p) {
		c.refuse(CodeBadArgument, "%s is not a phase of an update. Use %s.", shown(text), either(Phases()))
	}
	return p
}

func (c *check) statuses(given map[string]string) map[string]string {
	if len(given) > MaxNames {
		c.refuse(CodeTooMany, "At most %d components fit in one update. Name the most important ones.", MaxNames)
		return nil
	}
	var out map[string]string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		status := lower(given[name])
		name = c.need(c.line("component", name, MaxName), CodeMissingArgument, "A component of the update has no name. Name it.")
		if !slices.Contains(ComponentStatuses(), status) {
			c.refuse(CodeBadArgument, "%s is not a state of a component. Use %s.", shown(status), either(ComponentStatuses()))
		}
		if out == nil {
			out = make(map[string]string, len(given))
		}
		out[name] = status
	}
	return out
}

func (c DraftUpdate) decide(s State, m Meta) ([]Body, error) {
	var k check
	b := UpdateDrafted{
		Update:     "U" + strconv.Itoa(s.lastUpdate+1),
		Audience:   k.audience(c.Audience),
		Headline:   k.line("headline", c.Headline, MaxHeadline),
		Text:       k.need(k.prose("update", c.Text, MaxUpdateText), CodeMissingArgument, "The update is empty. Write what this audience needs to know: what is affected, what is being done, when they hear again."),
		Phase:      k.phase(c.Phase),
		Components: k.statuses(c.Components),
		NextDue:    k.due("the next update", c.NextDue, m),
	}
	if b.Phase == "" {
		b.Phase = PhaseOf(s.Status)
	}
	if k.err == nil && len(s.Updates) >= MaxUpdates {
		k.refuse(CodeTooMany, "%d updates were drafted, and no more fit. Edit a draft that is not published yet.", MaxUpdates)
	}
	if k.err != nil {
		return nil, k.err
	}
	return one(b)
}

// update finds the update that is meant: the one named, or, when none is named,
// the only one in state want.
func (s State) update(k *check, ref string, want UpdateState) Update {
	if strings.TrimSpace(ref) == "" {
		var found []string
		var u Update
		for _, x := range s.Updates {
			if x.State == want {
				u, found = x, append(found, x.ID)
			}
		}
		switch {
		case len(found) == 0:
			k.refuse(CodeMissingArgument, "Say which update, like U1. None is %s now.", want)
		case len(found) > 1:
			k.refuse(CodeMissingArgument, "Say which update: %s are %s now.", and(found), want)
		}
		return u
	}
	id := k.ref("U", "an update", ref)
	if k.err != nil {
		return Update{}
	}
	if i := s.updateAt(id); i >= 0 {
		return s.Updates[i]
	}
	k.refuse(CodeNoSuchUpdate, "There is no update %s in incident #%d. %s", id, s.Number, listed("The updates are", "U", len(s.Updates)))
	return Update{}
}

func (s State) updateAt(id string) int {
	return slices.IndexFunc(s.Updates, func(u Update) bool { return u.ID == id })
}

func published(u Update) error {
	return refuse(CodePublished, "%s is published and people have read it, so it stays. Publish a correction as a new update: /update %s …", u.ID, u.Audience)
}

func discarded(u Update) error {
	return refuse(CodeDiscarded, "%s was thrown away. Draft it again: /update %s …", u.ID, u.Audience)
}

func (c EditUpdate) decide(s State, m Meta) ([]Body, error) {
	var k check
	u := s.update(&k, c.Update, UpdateDraft)
	b := UpdateEdited{
		Update: u.ID, Audience: u.Audience, Headline: k.line("headline", c.Headline, MaxHeadline),
		Text: k.prose("update", c.Text, MaxUpdateText), Phase: k.phase(c.Phase), Components: k.statuses(c.Components),
		NextDue: k.due("the next update", c.NextDue, m),
	}
	if k.err != nil {
		return nil, k.err
	}
	switch u.State {
	case UpdateIsPublished:
		return nil, published(u)
	case UpdateIsDiscarded:
		return nil, discarded(u)
	}
	if u.Redacted && b.Text == "" {
		return nil, refuse(CodeMissingArgument, "The words of %s were blanked. Write its text anew: /edit %s …", u.ID, u.ID)
	}
	b.Headline, b.Text, b.Phase = cmp.Or(b.Headline, u.Headline), cmp.Or(b.Text, u.Text), cmp.Or(b.Phase, u.Phase)
	if b.Components == nil {
		b.Components = u.Components
	}
	if b.NextDue == 0 {
		b.NextDue = u.NextDue
	}
	if b.Headline == u.Headline && b.Text == u.Text && b.Phase == u.Phase && b.NextDue == u.NextDue && maps.Equal(b.Components, u.Components) {
		return nil, nil
	}
	return one(b)
}

func (c ApproveUpdate) decide(s State, m Meta) ([]Body, error) {
	var k check
	u := s.update(&k, c.Update, UpdateDraft)
	if k.err != nil {
		return nil, k.err
	}
	switch {
	case u.State == UpdateIsApproved, u.State == UpdateIsPublished:
		return nil, nil
	case u.State == UpdateIsDiscarded:
		return nil, discarded(u)
	case u.Redacted:
		return nil, refuse(CodeNeedsApproval, "The words of %s were blanked. Edit it first, then somebody can approve it.", u.ID)
	}
	b := UpdateApproved{Update: u.ID, Audience: u.Audience, SelfApproved: u.Author == m.Actor}
	if people := s.People(); b.SelfApproved && len(people) > 1 {
		others := slices.DeleteFunc(people, func(p string) bool { return p == PersonOf(m.Actor) })
		return nil, refuse(CodeNeedsAnother, "You wrote %s, so somebody else has to approve it. Ask %s.", u.ID, at(others))
	}
	return one(b)
}

func (c PublishUpdate) decide(s State, m Meta) ([]Body, error) {
	var k check
	u := s.update(&k, c.Update, UpdateIsApproved)
	due := k.due("the next update", c.NextDue, m)
	if k.err != nil {
		return nil, k.err
	}
	switch u.State {
	case UpdateIsPublished:
		return nil, nil
	case UpdateIsDiscarded:
		return nil, discarded(u)
	case UpdateDraft:
		return nil, refuse(CodeNeedsApproval, "%s is not approved yet. Somebody other than who wrote it has to read it and give /approve %s.", u.ID, u.ID)
	}
	if due == 0 && u.NextDue != 0 {
		if due = k.due("the next update", u.NextDue, m); k.err != nil {
			return nil, refuse(CodeBadTime, "%s promises the next update for %s, and that has passed. Give another next_due.", u.ID, stamp(u.NextDue))
		}
	}
	if c := Cadence(s.Severity); due == 0 && c != 0 && Open(s) && u.Phase != "resolved" {
		due = m.At + c
	}
	return one(UpdatePublished{Update: u.ID, Audience: u.Audience, NextDue: due})
}

func (c DiscardUpdate) decide(s State, _ Meta) ([]Body, error) {
	var k check
	u := s.update(&k, c.Update, UpdateDraft)
	switch {
	case k.err != nil || u.State == UpdateIsDiscarded:
		return nil, k.err
	case u.State == UpdateIsPublished:
		return nil, published(u)
	}
	return one(UpdateDiscarded{Update: u.ID})
}

func (c RetractUpdate) decide(s State, m Meta) ([]Body, error) {
	return DiscardUpdate(c).decide(s, m)
}

// at is "@ana, @li or @bo", at most three.
func at(handles []string) string {
	if len(handles) == 0 {
		return "somebody with a role"
	}
	list := make([]string, 0, 3)
	for _, h := range handles[:min(3, len(handles))] {
		list = append(list, "@"+h)
	}
	return either(list)
}
