package incident

import (
	"cmp"
	"slices"
	"strconv"
)

func (b UpdateDrafted) apply(s *State, e Event) {
	s.addUpdate(Update{
		ID: b.Update, Audience: b.Audience, Headline: b.Headline, Text: b.Text, Phase: b.Phase,
		Components: b.Components, NextDue: b.NextDue,
		State: UpdateDraft, DraftedBy: e.Actor, DraftedAt: e.At, Author: e.Actor,
		Offset: e.Offset, textFrom: e.Offset,
	})
	s.say(e, KindUpdate, words(b.Update, " drafted for ", b.Audience, b.Headline, b.Text)...)
}

func (s *State) addUpdate(u Update) {
	if s.updateAt(u.ID) < 0 {
		s.Updates = with(s.Updates, u)
	}
	s.lastUpdate = max(s.lastUpdate, number(u.ID))
}

func words(id, did, audience, headline, text string) []Part {
	parts := []Part{updateOf(id), say(did + audience + ": ")}
	if headline != "" {
		parts = append(parts, quote(headline), say("\n"))
	}
	return append(parts, quote(text))
}

func (b UpdateEdited) apply(s *State, e Event) {
	s.Updates = edit(s.Updates, s.updateAt(b.Update), func(u *Update) {
		u.Audience, u.Headline, u.Text, u.Phase = b.Audience, b.Headline, b.Text, b.Phase
		u.Components, u.NextDue = b.Components, b.NextDue
		u.Author, u.EditedAt, u.Redacted = e.Actor, e.At, false
		u.ApprovedBy, u.ApprovedAt, u.SelfApproved = "", 0, false
		u.textFrom = e.Offset
		if u.State == UpdateIsApproved {
			u.State = UpdateDraft
		}
	})
	s.say(e, KindUpdate, words(b.Update, " edited for ", b.Audience, b.Headline, b.Text)...)
}

func (b UpdateApproved) apply(s *State, e Event) {
	s.Updates = edit(s.Updates, s.updateAt(b.Update), func(u *Update) {
		u.Audience = b.Audience
		u.ApprovedBy, u.ApprovedAt, u.SelfApproved = e.Actor, e.At, b.SelfApproved
		if u.State == UpdateDraft {
			u.State = UpdateIsApproved
		}
	})
	did := " approved for "
	if b.SelfApproved {
		did = " self-approved (nobody else held a role) for "
	}
	s.say(e, KindUpdate, updateOf(b.Update), say(did+b.Audience))
}

func (b UpdatePublished) apply(s *State, e Event) {
	s.Updates = edit(s.Updates, s.updateAt(b.Update), func(u *Update) {
		u.Audience = b.Audience
		u.State, u.PublishedBy, u.PublishedAt = UpdateIsPublished, e.Actor, e.At
	})
	heard := Audience{Name: b.Audience, LastUpdate: b.Update, LastAt: e.At, NextDue: b.NextDue}
	i := -1
	for j, a := range s.Audiences {
		if a.Name == b.Audience {
			i = j
		}
	}
	if i < 0 {
		s.Audiences = with(s.Audiences, heard)
	} else {
		s.Audiences = edit(s.Audiences, i, func(a *Audience) { *a = heard })
	}
	parts := []Part{updateOf(b.Update), say(" published for " + b.Audience)}
	if b.NextDue != 0 {
		parts = append(parts, say(", next update due "), moment(b.NextDue))
	}
	s.say(e, KindUpdate, parts...)
}

func (b UpdateDiscarded) apply(s *State, e Event) {
	s.Updates = edit(s.Updates, s.updateAt(b.Update), func(u *Update) {
		u.State, u.DiscardedBy, u.DiscardedAt = UpdateIsDiscarded, e.Actor, e.At
		u.ApprovedBy, u.ApprovedAt, u.SelfApproved = "", 0, false
	})
	s.say(e, KindUpdate, updateOf(b.Update), say(" thrown away"))
}

// named is how many signals of one batch an entry names.
const named = 5

func (b SignalsAttached) apply(s *State, e Event) {
	var parts []Part
	list := make([]Signal, 0, len(b.Signals))
	for n, g := range b.Signals {
		g.AttachedAt, g.AttachedBy, g.Offset, g.textFrom = e.At, e.Actor, e.Offset, e.Offset
		list = append(list, g)
		if n >= named {
			continue
		}
		if n > 0 {
			parts = append(parts, say("\n"))
		}
		parts = append(parts, because([]Part{say("signal "), signalOf(g.ID, g.name())}, g.Correlation)...)
	}
	if more := len(b.Signals) - named; more > 0 {
		parts = append(parts, say("\nand "+strconv.Itoa(more)+" more signals"))
	}
	s.Signals = attached(s.Signals, list...)
	s.say(e, KindSignal, parts...)
}

// attached is the list and more, in memory of its own: newer ones replace those
// of the same id, and all are in the order of attaching, by id within one event.
func attached(list []Signal, more ...Signal) []Signal {
	at := make(map[string]int, len(list)+len(more))
	out := make([]Signal, 0, len(list)+len(more))
	for _, g := range slices.Concat(list, more) {
		if i, ok := at[g.ID]; ok {
			out[i] = g
			continue
		}
		at[g.ID] = len(out)
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b Signal) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func (g Signal) name() string {
	if g.Title != "" {
		return g.Title
	}
	return g.ID
}

func (b SignalUpdated) apply(s *State, e Event) {
	s.renew(e, b)
	if parts := b.parts(); parts != nil {
		s.say(e, KindSignal, parts...)
	}
}

func (b SignalsUpdated) apply(s *State, e Event) {
	s.renew(e, b.Signals...)
	var parts []Part
	said := 0
	more := map[string]int{}
	for _, u := range b.Signals {
		line := u.parts()
		if line == nil {
			continue
		}
		if said++; said > named {
			more[u.What]++
			continue
		}
		if said > 1 {
			parts = append(parts, say("\n"))
		}
		parts = append(parts, line...)
	}
	for _, w := range noted {
		if n := more[w.what]; n > 0 {
			parts = append(parts, say("\nand "+strconv.Itoa(n)+" more "+w.of(n)))
		}
	}
	if said > 0 {
		s.say(e, KindSignal, parts...)
	}
}

// renew lays the snapshots over those that are known, in one pass. One that is
// not there was attached by an event that is blanked: Restated says when.
func (s *State) renew(e Event, list ...SignalUpdated) {
	at := make(map[string]int, len(list))
	for i, b := range list {
		at[b.ID] = i
	}
	news := make([]Signal, len(list))
	for i, b := range list {
		g := b.Signal
		g.AttachedAt, g.AttachedBy, g.Offset, g.textFrom = e.At, e.Actor, e.Offset, e.Offset
		news[i] = g
	}
	for _, old := range s.Signals {
		if i, ok := at[old.ID]; ok {
			news[i].AttachedAt, news[i].AttachedBy, news[i].Offset = old.AttachedAt, old.AttachedBy, old.Offset
		}
	}
	s.Signals = attached(s.Signals, news...)
}

// noted is what the timeline tells of a signal, and how of several.
var noted = []struct {
	what string
	of   func(n int) string
}{
	{"cleared", func(n int) string { return signalsAre(n) + "cleared" }},
	{"reopened", func(n int) string { return signalsAre(n) + "open again" }},
	{"acknowledged", func(n int) string { return signalsAre(n) + "acknowledged" }},
	{"severity", func(n int) string { return signalsAre(n) + "of another severity" }},
}

func signalsAre(n int) string {
	if n == 1 {
		return "signal is "
	}
	return "signals are "
}

// parts is the sentence about one change; nil for those that nobody reads.
func (b SignalUpdated) parts() []Part {
	parts := []Part{say("signal "), signalOf(b.ID, b.name())}
	switch b.What {
	case "cleared", "reopened", "acknowledged":
		return append(parts, say(" "+b.What))
	case "severity":
		return because(append(parts, say(" is "), severity(b.Severity)), b.Reason)
	}
	return nil
}

func (b SignalDetached) apply(s *State, e Event) {
	s.Signals = without(s.Signals, func(g Signal) bool { return g.ID == b.Signal })
	s.say(e, KindSignal, because([]Part{say("signal "), signalOf(b.Signal, b.Signal), say(" detached")}, b.Reason)...)
}
