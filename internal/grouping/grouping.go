// Package grouping owns our own rules of which signals belong together: what a rule is about and by which labels it joins,
// and which signals it must leave alone; it never reads a clock, never writes the log and never touches an incident.
package grouping

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-ops/tocsin/internal/signal"
)

// Stream is where its events stand in the log.
const Stream = "grouping"

// TypeSet is the name of the one event, as it stands in the log.
const TypeSet = "grouping.set"

// Bounds.
const (
	MaxRules  = 100
	MaxBy     = 5
	MaxExcept = 500 // signals that one rule leaves alone
	MaxName   = 80
	MaxWindow = 7 * 24 * 3600_000 // ms
)

// Rule joins signals that it matches and that say the same under every name in By.
type Rule struct {
	ID    string       `json:"id"`
	Name  string       `json:"name"`
	Match signal.Match `json:"match,omitzero"`
	// By are names of labels, or kind, subject, chain, component, group, source, severity.
	By []string `json:"by"`
	// Window is how long after an incident's last signal a new one joins, ms; 0 is the installation's.
	Window int64 `json:"window,omitempty"`
	// Except are identities of signals that a person took off for ever.
	Except  []string `json:"except,omitempty"`
	Removed bool     `json:"removed,omitempty"`
}

// Set is the fact that a rule is now like this. Before is how it was, nil for a new one.
type Set struct {
	Rule   Rule   `json:"rule"`
	Before *Rule  `json:"before,omitempty"`
	What   string `json:"what"` // added, changed, moved, removed, excepted, admitted or undone
	// Signal is the one that was excepted or admitted.
	Signal string `json:"signal,omitempty"`
	// Step is how a rule that was moved goes; nil when its place stays.
	Step *Step `json:"step,omitempty"`
}

// Step puts a rule directly before another one, or directly after it.
type Step struct {
	Past string `json:"past"`         // id of the other
	Up   bool   `json:"up,omitempty"` // before it: it is tried earlier
}

// Event is one fact of the stream.
type Event struct {
	ID    string
	At    int64
	Actor string
	Body  Set
}

// Decode reads an event of Stream. ok is false for what it does not know, and for a redacted one.
func Decode(typ string, data []byte) (b Set, ok bool, err error) {
	if data == nil || typ != TypeSet {
		return b, false, nil
	}
	if err := json.Unmarshal(data, &b); err != nil {
		return b, false, fmt.Errorf("decode %s: %w", typ, err)
	}
	return b, true, nil
}

// Entry is one rule with its newest change, which Undo takes back.
type Entry struct {
	Rule
	What      string
	Change    string // id of its event
	ChangedBy string // who changed it
	At        int64
	Step      *Step // of a move
	before    *Rule
	matcher   signal.Matcher
}

// State is what the log says of the rules, in the order in which they are tried: the oldest first, unless they were moved.
type State struct {
	Seq   int64
	rules []*Entry
}

// Apply folds one event. A rule that cannot be read joins nothing.
func (s *State) Apply(e Event) {
	b := e.Body
	if b.Rule.ID == "" {
		return
	}
	i := s.index(b.Rule.ID)
	if i < 0 {
		if gone := slices.IndexFunc(s.rules, func(x *Entry) bool { return x.Removed }); gone >= 0 && len(s.rules) >= 2*MaxRules {
			s.rules = slices.Delete(s.rules, gone, gone+1)
		}
		i = len(s.rules)
		s.rules = append(s.rules, &Entry{})
	}
	x := &Entry{Rule: b.Rule, What: b.What, Change: e.ID, ChangedBy: e.Actor, At: e.At, Step: b.Step, before: b.Before}
	var err error
	if x.matcher, err = b.Rule.Match.Compile(); err != nil {
		x.Removed = true
	}
	s.rules[i] = x
	if b.Step == nil || s.index(b.Step.Past) < 0 || b.Step.Past == x.ID {
		return
	}
	s.rules = slices.Delete(s.rules, i, i+1)
	to := s.index(b.Step.Past)
	if !b.Step.Up {
		to++
	}
	s.rules = slices.Insert(s.rules, to, x)
}

// index of a rule, removed ones too; -1 when there is none.
func (s *State) index(id string) int {
	return slices.IndexFunc(s.rules, func(x *Entry) bool { return x.ID == id })
}

// Rules lists all, removed ones too, in the order in which they are tried.
func (s *State) Rules() []Entry {
	out := make([]Entry, len(s.rules))
	for i, x := range s.rules {
		out[i] = *x
	}
	return out
}

// Joint is the first rule that a signal falls under, nil for none. A signal that lacks one of a rule's names does not fall under it.
func (s *State) Joint(g signal.Signal) *signal.Joint {
	for _, x := range s.rules {
		if x.Removed || !x.matcher.Matches(g) || slices.Contains(x.Except, g.Identity()) {
			continue
		}
		parts := make([]string, 0, len(x.By))
		for _, name := range x.By {
			v := g.Field(name)
			if v == "" {
				break
			}
			parts = append(parts, name+"="+signal.Line(v, signal.MaxWord))
		}
		if len(parts) == len(x.By) {
			return &signal.Joint{Rule: x.ID, Name: x.Name, By: strings.Join(parts, ", "), Window: x.Window}
		}
	}
	return nil
}

// Refusal says as a sentence why a command is not done. It is not an error of the program.
type Refusal struct{ Code, Sentence string }

func (r *Refusal) Error() string { return r.Sentence }

// Add makes a rule. Its ID is given by the caller.
type Add struct{ Rule Rule }

// Edit replaces what a rule says; what it leaves alone stays.
type Edit struct{ Rule Rule }

// Move lets a rule change places with the one that is tried before it, or after it; at the end it stays.
type Move struct {
	ID string
	Up bool
}

// Remove ends a rule.
type Remove struct{ ID string }

// Except takes a signal out of a rule for ever: its identity, not only this episode.
type Except struct{ ID, Identity, Signal string }

// Admit lets a signal that was taken out of a rule be under it again.
type Admit struct{ ID, Identity, Signal string }

// Undo takes the newest change of a rule back; undone again, it stands again. Change, when given, is the id of the event that
// must still be the newest.
type Undo struct{ ID, Change string }

func no(code, format string, args ...any) error { return &Refusal{code, fmt.Sprintf(format, args...)} }

// Decide judges a command: the event it makes, nil for none, or a *Refusal.
func Decide(s *State, command any) (*Set, error) {
	switch c := command.(type) {
	case Add:
		live := 0
		for _, x := range s.rules {
			if x.ID == c.Rule.ID {
				return nil, nil // the same command again
			}
			if !x.Removed {
				live++
			}
		}
		if live >= MaxRules {
			return nil, no("too_many", "There are %d rules already. Remove one that is not needed.", MaxRules)
		}
		r := c.Rule
		r.Except, r.Removed = nil, false
		if err := check(&r); err != nil {
			return nil, err
		}
		return &Set{Rule: r, What: "added"}, nil
	case Edit:
		x, err := s.live(c.Rule.ID)
		if err != nil {
			return nil, err
		}
		r := c.Rule
		r.Except, r.Removed = x.Except, false
		if err := check(&r); err != nil {
			return nil, err
		}
		return x.to(r, "changed", ""), nil
	case Move:
		x, err := s.live(c.ID)
		if err != nil {
			return nil, err
		}
		if past := s.neighbour(c.ID, c.Up); past != "" {
			return x.step(Step{past, c.Up}, "moved"), nil
		}
		return nil, nil
	case Remove:
		x, err := s.live(c.ID)
		if err != nil {
			return nil, err
		}
		r := x.Rule
		r.Removed = true
		return x.to(r, "removed", ""), nil
	case Except:
		x, err := s.live(c.ID)
		if err != nil {
			return nil, err
		}
		if slices.Contains(x.Except, c.Identity) {
			return nil, nil
		}
		if len(x.Except) >= MaxExcept {
			return nil, no("too_many", "This rule leaves %d signals alone already. Make its match narrower.", MaxExcept)
		}
		r := x.Rule
		r.Except = append(slices.Clone(x.Except), c.Identity)
		return x.to(r, "excepted", c.Signal), nil
	case Admit:
		x, err := s.live(c.ID)
		if err != nil {
			return nil, err
		}
		r := x.Rule
		r.Except = slices.DeleteFunc(slices.Clone(x.Except), func(identity string) bool { return identity == c.Identity })
		if len(r.Except) == len(x.Except) {
			return nil, nil
		}
		return x.to(r, "admitted", c.Signal), nil
	case Undo:
		i := s.index(c.ID)
		if i < 0 {
			return nil, no("not_found", "There is no such rule.")
		}
		x := s.rules[i]
		r := x.Rule
		switch {
		case c.Change != "" && c.Change != x.Change:
			return nil, no("not_newest", "The rule was changed again since. Look at it, and undo its newest change if that is wrong.")
		case x.Step != nil:
			past := s.index(x.Step.Past)
			if past < 0 || (i < past) != x.Step.Up {
				return nil, no("nothing_to_undo", "The rules were moved since; this move is undone already.")
			}
			return x.step(Step{x.Step.Past, !x.Step.Up}, "undone"), nil
		case x.before != nil:
			r = *x.before
		default:
			r.Removed = !r.Removed
		}
		return x.to(r, "undone", ""), nil
	}
	return nil, no("unknown_command", "There is no such command.")
}

func (x *Entry) to(r Rule, what, id string) *Set {
	if reflect.DeepEqual(r, x.Rule) {
		return nil
	}
	before := x.Rule
	return &Set{Rule: r, Before: &before, What: what, Signal: id}
}

func (x *Entry) step(p Step, what string) *Set {
	before := x.Rule
	return &Set{Rule: x.Rule, Before: &before, What: what, Step: &p}
}

// neighbour is the rule that counts next before a rule, or after it; "" at the end.
func (s *State) neighbour(id string, up bool) string {
	step := 1
	if up {
		step = -1
	}
	for i := s.index(id) + step; i >= 0 && i < len(s.rules); i += step {
		if !s.rules[i].Removed {
			return s.rules[i].ID
		}
	}
	return ""
}

func (s *State) live(id string) (*Entry, error) {
	i := s.index(id)
	if i < 0 || s.rules[i].Removed {
		return nil, no("not_found", "There is no such rule, or it was removed.")
	}
	return s.rules[i], nil
}

func check(r *Rule) error {
	r.Name = signal.Line(r.Name, MaxName+1)
	switch {
	case r.ID == "":
		return no("bad_id", "The rule has no id.")
	case r.Name == "":
		return no("name_missing", "Give the rule a name; timelines say it.")
	case utf8.RuneCountInString(r.Name) > MaxName:
		return no("text_too_long", "The name has more than %d characters. Shorten it.", MaxName)
	case len(r.By) == 0:
		return no("by_missing", "Name at least one label that must be the same, for example bridge.")
	case len(r.By) > MaxBy:
		return no("by_too_many", "At most %d names are compared.", MaxBy)
	case r.Window < 0 || r.Window > MaxWindow:
		return no("bad_window", "The time between two signals is at most a week.")
	}
	for i, name := range r.By {
		if r.By[i] = signal.Line(name, signal.MaxWord); r.By[i] == "" || slices.Contains(r.By[:i], r.By[i]) {
			return no("by_bad", "Every name to compare by is given once, and none is empty.")
		}
	}
	if _, err := r.Match.Compile(); err != nil {
		return no("bad_match", "%s.", strings.ToUpper(err.Error()[:1])+err.Error()[1:])
	}
	return nil
}
