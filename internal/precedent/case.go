// Package precedent owns what the log of past incidents says about one that is open: which were like it, how long such ones took, which category
// and severity they ended with, and in which order open ones are worked on; it never reads the log itself, and never says more than its own
// back-test supports.
package precedent

import (
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/incident"
)

// Bounds of one case, so that thousands of them stay small. What is beyond is passed over.
const (
	maxWords = 80  // distinct words of one case
	maxNames = 20  // of each other kind of feature
	maxDone  = 6   // things done
	maxText  = 160 // runes of each of them, and of a title
)

const minute = int64(60_000)

// opening is how long after its declaration an incident is at its beginning, in ms: what came later is not used to foretell it.
const opening = 10 * minute

// Features are what one incident has that another may have, too. No list has duplicates.
type Features struct {
	Words      []string `json:"words,omitempty"`
	Kinds      []string `json:"kinds,omitempty"`      // of signals; a detector's findings have a kind of their own
	Sources    []string `json:"sources,omitempty"`    // of signals
	Components []string `json:"components,omitempty"` // of the incident and of its signals
	Chains     []string `json:"chains,omitempty"`     // of the incident and of its signals
	Addresses  []string `json:"addresses,omitempty"`  // kinds of addresses
}

// Case is one incident as a precedent: what it was, what was done, how long it took. Times are unix ms, 0 is unknown.
type Case struct {
	Number   int64             `json:"number"`
	Title    string            `json:"title,omitempty"`
	Category string            `json:"category,omitempty"` // "" = nobody said
	Severity incident.Severity `json:"severity,omitempty"` // as it stands, or ended
	First    incident.Severity `json:"first,omitempty"`    // as it was declared
	Open     bool              `json:"open,omitempty"`
	Drill    bool              `json:"drill,omitempty"`
	Merged   bool              `json:"merged,omitempty"` // goes on in another one, and is no precedent

	Began Features `json:"began"` // what was there when it was declared, or within ten minutes
	All   Features `json:"all"`
	Done  []string `json:"done,omitempty"` // decisions, completed tasks, how recovery was checked; in their order

	ImpactAt       int64 `json:"impact_at,omitempty"`
	DetectedAt     int64 `json:"detected_at,omitempty"`
	DeclaredAt     int64 `json:"declared_at,omitempty"`
	AcknowledgedAt int64 `json:"acknowledged_at,omitempty"` // somebody said they have it, or took a role
	MitigatedAt    int64 `json:"mitigated_at,omitempty"`    // it was last set to monitoring
	ResolvedAt     int64 `json:"resolved_at,omitempty"`

	Position int64 `json:"position"` // of the newest event that it is made of
}

// Closed says that the case is over and may teach: a whole incident, resolved, no drill.
func (c Case) Closed() bool { return c.over() && !c.Drill }

func (c Case) over() bool { return !c.Open && !c.Merged && c.ResolvedAt > c.DeclaredAt }

// Took is from declaration to resolution in ms, 0 while it is open.
func (c Case) Took() int64 { return max(0, c.ResolvedAt-c.DeclaredAt) }

// Of makes the case of an incident from its state. What was redacted from the state is not in the case.
func Of(st incident.State) Case {
	c := Case{
		Number: st.Number, Title: cut(st.Title), Category: st.Category, Severity: st.Severity, First: st.Severity,
		Open: incident.Open(st), Drill: st.Drill, Merged: st.MergedInto != 0,
		ImpactAt: st.ImpactBeganAt, DetectedAt: st.DetectedAt, DeclaredAt: st.DeclaredAt, ResolvedAt: st.ResolvedAt, Position: st.Position,
	}
	// The words of the beginning come first in both, so that a long room cannot push them out.
	var late []string
	began, parts := false, [2]bool{} // components, chains were changed after the beginning: what they were at first is not known
	for _, e := range st.Timeline.All() {
		early := e.At <= st.DeclaredAt+opening
		if e.Redacted != nil {
			continue
		}
		switch e.Type {
		case "incident.declared":
			for _, p := range e.Parts {
				if p.Type == incident.PartSeverity {
					c.First = incident.Severity(p.Ref)
				}
			}
		case "incident.described", "incident.renamed", "incident.summary_set":
			if early {
				began = true
				c.Began.Words = addWords(c.Began.Words, quoted(e))
			} else {
				late = append(late, quoted(e))
			}
		case "incident.components_set":
			parts[0] = parts[0] || !early
		case "incident.chains_set":
			parts[1] = parts[1] || !early
		case "incident.note_added":
			if person(e) {
				late = append(late, quoted(e))
			}
		case "incident.decision_recorded":
			c.Done = append(c.Done, cut(quoted(e)))
			late = append(late, quoted(e))
		case "incident.status_set":
			if to := last(e, incident.PartStatus); to == string(incident.StatusMonitoring) {
				c.MitigatedAt = e.At
			}
		case "incident.reopened":
			c.MitigatedAt = 0
		case "incident.acknowledged", "incident.role_assigned":
			if c.AcknowledgedAt == 0 && person(e) {
				c.AcknowledgedAt = e.At
			}
		}
	}
	if !began {
		c.Began.Words = addWords(nil, st.Title)
	}
	c.features(st, parts)
	c.All.Words = slices.Clone(c.Began.Words)
	for _, text := range append([]string{st.Title, st.Summary}, late...) {
		c.All.Words = addWords(c.All.Words, text)
	}
	for _, t := range st.Tasks {
		if t.Done && !t.Redacted {
			c.Done = append(c.Done, cut(t.Title))
		}
	}
	if over := st.Validation; over != "" && over != incident.RedactedText {
		c.Done = append(c.Done, cut("Checked: "+over))
	}
	c.Done = c.Done[max(0, len(c.Done)-maxDone):]
	return c
}

// features takes what stands on lists; later says which of components and chains were changed after the beginning.
func (c *Case) features(st incident.State, later [2]bool) {
	a, b := &c.All, &c.Began
	a.Components, a.Chains = addNames(nil, st.Components...), addNames(nil, st.Chains...)
	if !later[0] {
		b.Components = a.Components
	}
	if !later[1] {
		b.Chains = a.Chains
	}
	for _, g := range st.Signals {
		of := []*Features{a}
		if g.AttachedAt <= st.DeclaredAt+opening {
			of = append(of, b)
		}
		for _, f := range of {
			f.Kinds, f.Sources = addNames(f.Kinds, g.Kind), addNames(f.Sources, g.Source)
			f.Components, f.Chains = addNames(f.Components, g.Component), addNames(f.Chains, g.Chain)
		}
	}
	for _, x := range st.Addresses {
		a.Addresses = addNames(a.Addresses, string(x.Kind))
		if x.At <= st.DeclaredAt+opening {
			b.Addresses = addNames(b.Addresses, string(x.Kind))
		}
	}
}

// Typed is the case of what somebody is typing and has not declared yet.
func Typed(title, summary string, components, chains []string) Case {
	f := Features{Words: addWords(addWords(nil, title), summary), Components: addNames(nil, components...), Chains: addNames(nil, chains...)}
	return Case{Title: cut(title), Open: true, Began: f, All: f}
}

// quoted is what people or sources typed in an entry.
func quoted(e incident.Entry) string {
	var b strings.Builder
	for _, p := range e.Parts {
		if p.Type == incident.PartQuote {
			b.WriteString(p.Text)
			b.WriteByte(' ')
		}
	}
	return strings.TrimSpace(b.String())
}

func last(e incident.Entry, t incident.PartType) (ref string) {
	for _, p := range e.Parts {
		if p.Type == t {
			ref = p.Ref
		}
	}
	return ref
}

func person(e incident.Entry) bool { return strings.HasPrefix(e.Actor, "person:") }
