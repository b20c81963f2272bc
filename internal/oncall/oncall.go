// Package oncall owns who is on call at a moment and why: teams, schedules with their layers, rotations, overrides and swaps, the policies and the
// routing of incidents to them, and the commands that change these. It never reads a clock or a calendar file and never pages anybody.
package oncall

import (
	"slices"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

// Team is people who answer for something together. A team with a queue takes incidents: the front line has tier 1, specialists tier 2.
type Team struct {
	ID       string   `json:"id"`   // "team-…"
	Name     string   `json:"name"` // what people read
	Members  []string `json:"members,omitempty"`
	Tier     int      `json:"tier,omitempty"`     // 0: takes no incidents
	Skill    string   `json:"skill,omitempty"`    // one lower-case word: front-line, forensics, protocol, treasury, legal, …
	Schedule string   `json:"schedule,omitempty"` // who of it is on call
	Policy   string   `json:"policy,omitempty"`   // how it is paged
}

// Schedule says who is on call, at any moment, in a zone. Of the layers the last one that has somebody on duty wins; an override wins over all.
type Schedule struct {
	ID        string     `json:"id"` // "sched-…"
	Name      string     `json:"name"`
	Zone      string     `json:"zone"` // IANA name; hand-overs and restricted hours are in its local time
	Layers    []Layer    `json:"layers,omitempty"`
	Overrides []Override `json:"overrides,omitempty"`
}

// Units of a rotation.
const (
	Hourly  = "hour"
	Daily   = "day"
	Weekly  = "week"
	Monthly = "month"
)

// Layer is one rotation of people.
type Layer struct {
	ID     string   `json:"id"` // "L1"
	Name   string   `json:"name,omitempty"`
	People []string `json:"people"` // handles, in the order of their turns
	Start  string   `json:"start"`  // the first hand-over, local: 2006-01-02T15:04
	End    string   `json:"end,omitempty"`
	Unit   string   `json:"unit"`           // of the rotation
	Every  int      `json:"every"`          // so many units a turn
	Only   []Window `json:"only,omitempty"` // restricted hours; none: always
}

// Window is local hours of a week. From after To runs over midnight, and belongs to the day that it begins on.
type Window struct {
	Days []int  `json:"days,omitempty"` // 0 is Sunday; none: every day
	From string `json:"from"`           // 15:04
	To   string `json:"to"`
}

// Override puts somebody else on call for a time.
type Override struct {
	ID     string `json:"id"`
	Person string `json:"person"` // "" leaves nobody on call
	From   int64  `json:"from"`   // unix ms
	Until  int64  `json:"until"`
	Note   string `json:"note,omitempty"`
	By     string `json:"by,omitempty"`   // who set it: a handle, or an actor as the log writes it
	Swap   string `json:"swap,omitempty"` // of an accepted swap: its id
	Order  int64  `json:"order"`          // of overrides for the same time the highest wins: the newest
}

// Turn is one whole turn of a person.
type Turn struct {
	Person string `json:"person"`
	From   int64  `json:"from"` // unix ms
	Until  int64  `json:"until"`
}

// States of a Swap.
const (
	Offered   = "offered"
	Accepted  = "accepted"
	Declined  = "declined"
	Withdrawn = "withdrawn"
)

// Swap is two people taking each other's turns. Nothing changes until the other one accepts; then both turns change in one event.
type Swap struct {
	ID       string `json:"id"`
	Schedule string `json:"schedule"`
	Mine     Turn   `json:"mine"`   // of who offers
	Theirs   Turn   `json:"theirs"` // of who is asked; From 0: nothing is taken in return
	Note     string `json:"note,omitempty"`
	State    string `json:"state"`
	Reason   string `json:"reason,omitempty"` // of declining
	At       int64  `json:"at"`               // of the newest change
}

// HandOver is the note that belongs to one hand-over: what who comes must know.
type HandOver struct {
	Schedule string `json:"schedule"`
	At       int64  `json:"at"` // the hand-over, unix ms
	By       string `json:"by"`
	Text     string `json:"text"`
	Written  int64  `json:"written"`
}

// Duty is who is on call at one moment, and why.
type Duty struct {
	Person string `json:"person"` // "" is nobody: a hole
	Layer  string `json:"layer,omitempty"`
	Why    string `json:"why"`                // one sentence: "week 3 of Primary", "override by ana until 18:00 UTC"
	From   int64  `json:"from"`               // of this turn, unix ms; 0: since ever
	Until  int64  `json:"until"`              // 0: without end
	Turn   int64  `json:"turn,omitempty"`     // of a layer: its number, from 1
	Over   string `json:"override,omitempty"` // of an override: its id
}

// Rule sends incidents to a team. Of the rules in order the first that fits counts; none: the first tier-1 team.
type Rule struct {
	ID         string   `json:"id"`
	Severity   string   `json:"severity,omitempty"` // at least as bad as this
	Components []string `json:"components,omitempty"`
	Chains     []string `json:"chains,omitempty"`
	Kinds      []string `json:"kinds,omitempty"` // of a signal of the incident
	Team       string   `json:"team"`
	Policy     string   `json:"policy,omitempty"` // instead of the team's
}

// Settings is all of on-call as the events say. The zero Settings is the empty one.
type Settings struct {
	Teams     []Team              `json:"teams,omitempty"`
	Schedules []Schedule          `json:"schedules,omitempty"`
	Policies  []escalation.Policy `json:"policies,omitempty"`
	Rules     []Rule              `json:"rules,omitempty"`
	Swaps     []Swap              `json:"swaps,omitempty"` // the newest maxSwaps, oldest first
	Notes     []HandOver          `json:"notes,omitempty"` // the newest maxNotes, oldest first
	Seq       int64               `json:"seq"`             // of the stream's newest event
}

// Team finds a team by its id.
func (s Settings) Team(id string) (Team, bool) {
	if id == Everybody {
		return EverybodyTeam(), true
	}
	return find(s.Teams, func(t Team) bool { return t.ID == id })
}

// Schedule finds a schedule by its id.
func (s Settings) Schedule(id string) (Schedule, bool) {
	return find(s.Schedules, func(x Schedule) bool { return x.ID == id })
}

// Policy finds a policy by its id.
func (s Settings) Policy(id string) (escalation.Policy, bool) {
	return find(s.Policies, func(p escalation.Policy) bool { return p.ID == id })
}

// Swap finds a swap by its id.
func (s Settings) Swap(id string) (Swap, bool) {
	return find(s.Swaps, func(x Swap) bool { return x.ID == id })
}

// Note finds the note of a hand-over.
func (s Settings) Note(schedule string, at int64) (HandOver, bool) {
	return find(s.Notes, func(n HandOver) bool { return n.Schedule == schedule && n.At == at })
}

func find[T any](list []T, is func(T) bool) (T, bool) {
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i], true
	}
	var none T
	return none, false
}
