package oncall

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

// Bounds of what is remembered.
const (
	maxSwaps   = 200
	maxNotes   = 200
	maxHistory = 200
)

// State is what the events say: the settings, and the newest changes of them for undo. The zero State is the empty one. Apply never changes a
// slice that it has handed out, so a copy of State.Settings stays as it was.
type State struct {
	Settings
	History []Done `json:"history,omitempty"` // the newest maxHistory, oldest first
}

// Done is one change.
type Done struct {
	Event
	Type   string `json:"type"`
	Undone bool   `json:"undone,omitempty"`
}

// Apply folds one event. It is total: what fits nothing changes nothing.
func (s *State) Apply(e Event) {
	s.Seq = max(s.Seq, e.Seq)
	e.Body.Policies = s.silence(e.Body)
	b := e.Body
	for _, d := range b.Schedules {
		s.schedule(d)
	}
	s.Teams = patch(s.Teams, b.Teams, func(t Team) string { return t.ID })
	s.Policies = patch(s.Policies, b.Policies, idOf)
	s.Swaps = newest(patch(s.Swaps, b.Swaps, func(x Swap) string { return x.ID }), maxSwaps)
	s.Notes = newest(patch(s.Notes, b.HandOvers, noteKey), maxNotes)
	for _, d := range b.Overrides {
		s.override(d)
	}
	if b.Rules != nil {
		s.Rules = nil
		if b.Rules.After != nil {
			s.Rules = *b.Rules.After
		}
	}
	s.History = slices.Clone(s.History)
	for i := range s.History {
		if b.Undoes != "" && s.History[i].ID == b.Undoes {
			s.History[i].Undone = true
		}
	}
	s.History = newest(append(s.History, Done{Event: e, Type: b.Type}), maxHistory)
}

// silence are the policies of an event, before and after. In one that says nothing of it, a time that somebody took away, and that nobody gave back since, is
// never; so it is kept in History, and taking the event back finds what it left, and leaves what was there.
func (s *State) silence(b Body) []Diff[escalation.Policy] {
	if b.Explicit {
		return b.Policies
	}
	out := slices.Clone(b.Policies)
	for i, d := range out {
		if d.Before == nil {
			continue
		}
		now, _ := s.Policy(d.Before.ID)
		if now.AckTimeout == escalation.Never && d.Before.AckTimeout == 0 {
			out[i].Before = silent(*d.Before)
		}
		if d.After != nil && d.After.AckTimeout == 0 && now.AckTimeout != 0 {
			out[i].After = silent(*d.After)
		}
	}
	return out
}

func silent(p escalation.Policy) *escalation.Policy {
	p.AckTimeout = escalation.Never
	return &p
}

func newest[T any](list []T, most int) []T { return list[max(0, len(list)-most):] }

// patch replaces, adds (last) and removes by key, in a new slice.
func patch[T any](list []T, diffs []Diff[T], key func(T) string) []T {
	if len(diffs) == 0 {
		return list
	}
	out := slices.Clone(list)
	for _, d := range diffs {
		k := ""
		switch {
		case d.After != nil:
			k = key(*d.After)
		case d.Before != nil:
			k = key(*d.Before)
		}
		i := slices.IndexFunc(out, func(v T) bool { return key(v) == k })
		switch {
		case d.After == nil && i >= 0:
			out = slices.Delete(out, i, i+1)
		case d.After != nil && i >= 0:
			out[i] = *d.After
		case d.After != nil:
			out = append(out, *d.After)
		}
	}
	return out
}

// schedule keeps the overrides, which have events of their own.
func (s *State) schedule(d Diff[Schedule]) {
	if d.After != nil {
		after := *d.After
		old, _ := s.Settings.Schedule(after.ID)
		after.Overrides = old.Overrides
		d.After = &after
	}
	s.Schedules = patch(s.Schedules, []Diff[Schedule]{d}, func(x Schedule) string { return x.ID })
}

func (s *State) override(d Diff[Placed]) {
	one := Diff[Override]{}
	where := ""
	if d.Before != nil {
		one.Before, where = &d.Before.Override, d.Before.Schedule
	}
	if d.After != nil {
		one.After, where = &d.After.Override, d.After.Schedule
	}
	i := slices.IndexFunc(s.Schedules, func(x Schedule) bool { return x.ID == where })
	if i < 0 {
		return
	}
	s.Schedules = slices.Clone(s.Schedules)
	s.Schedules[i].Overrides = patch(s.Schedules[i].Overrides, []Diff[Override]{one}, func(o Override) string { return o.ID })
	slices.SortStableFunc(s.Schedules[i].Overrides, func(x, y Override) int { return cmp.Compare(x.Order, y.Order) })
}

func noteKey(n HandOver) string { return n.Schedule + " " + strconv.FormatInt(n.At, 10) }
