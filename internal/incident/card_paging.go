package incident

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

// CardPaging is how far the paging is, for lists.
type CardPaging struct {
	Phase escalation.Phase `json:"phase,omitempty"`
	Has   []string         `json:"has,omitempty"`   // who acknowledged and still has it
	Asked []string         `json:"asked,omitempty"` // whose pages wait, at most MaxCardAsked
	Since int64            `json:"since,omitempty"` // of the oldest page that waits, else of the phase
	// Nobody is true when all steps are through and nobody has it: nobody could be paged, or nobody answered.
	Nobody       bool  `json:"nobody,omitempty"`
	Again        int64 `json:"again,omitempty"` // when all are paged again, because nobody answered; 0: they are not
	SnoozedUntil int64 `json:"snoozed_until,omitempty"`
}

// MaxCardAsked bounds CardPaging.Asked.
const MaxCardAsked = 20

func (s State) cardPaging() CardPaging {
	p := s.Paging
	c := CardPaging{Phase: p.Phase, Has: p.Has(), Since: p.Since, Nobody: p.Phase == escalation.Exhausted && Open(s), SnoozedUntil: p.SnoozedUntil}
	if at, ok := s.PagedAgain(s.LastAt); ok && p.AgainAt > 0 { // a card knows no clock: only what an event says
		c.Again = at
	}
	for i, w := range p.Waits() {
		if i == 0 {
			c.Since = w.At
		}
		if len(c.Asked) < MaxCardAsked {
			c.Asked = append(c.Asked, w.Person)
		}
	}
	return c
}

// PagedAgain is when all are paged again because nobody answered; ok is false when they are not, as of now (unix ms).
func (s State) PagedAgain(now int64) (at int64, ok bool) {
	at, ok = s.Paging.Resumes(string(s.Severity), now)
	return at, ok && at > 0 && Open(s)
}

// Unanswered is since when (unix ms) nobody has answered although everybody was paged, or nobody could be; ok is false when somebody has, or may still, when it
// is not grave, or over, as of now. A drill is never unanswered: nobody outside is to hear of it.
func (s State) Unanswered(now int64) (since int64, ok bool) {
	if since, ok = s.Paging.Silent(string(s.Severity), now); !ok || !Open(s) || s.Drill {
		return 0, false
	}
	return since, true
}

// SilentAfter is how long, in ms, somebody may have an incident in silence before the waiting list says so; half of the policy's time when that is less.
const SilentAfter = 15 * minute

// waitingPages are those who are asked to come and have not answered, those who have it and are silent, and that nobody could be reached.
func waitingPages(s State, now int64) (out []Waiting) {
	if !Open(s) {
		return nil
	}
	p := s.Paging
	waits := p.Waits()
	if len(waits) <= named {
		for _, w := range waits {
			out = append(out, Waiting{Kind: WaitingPage, Text: fmt.Sprintf("@%s is paged since %s, not acknowledged", w.Person, hourOf(w.At)), For: w.Person, Ref: w.ID})
		}
	} else {
		out = append(out, Waiting{Kind: WaitingPage, Text: fmt.Sprintf("%d people are paged, the first since %s, not acknowledged", len(waits), hourOf(waits[0].At)), Ref: waits[0].ID})
	}
	switch p.Phase {
	case escalation.Exhausted:
		text := fmt.Sprintf("Nobody has acknowledged, and since %s nobody else is paged", hourOf(p.Since))
		if at, ok := s.PagedAgain(now); ok {
			text = "Nobody has answered; all are paged again at " + hourOf(at)
		}
		if !p.Reached {
			text = "Nobody could be paged: no step has anybody"
		}
		out = append(out, Waiting{Kind: WaitingPage, Text: text, For: s.duty(RoleCommander, "")})
	case escalation.Snoozed:
		out = append(out, Waiting{Kind: WaitingPage, Text: "Paging is quiet until " + hourOf(p.SnoozedUntil), Due: p.SnoozedUntil})
	case escalation.Acknowledged:
		after := SilentAfter
		if t := p.Policy.AckTimeout; t > 0 {
			after = min(after, t/2)
		}
		if silent := now - p.Quiet(); silent >= after {
			w := Waiting{Kind: WaitingPage, Text: fmt.Sprintf("%s acknowledged and silent for %s", strings.Join(handles(p.Has()), ", "), lasting(silent))}
			if h := p.Has(); len(h) == 1 {
				w.For = h[0]
			}
			if at, ok := p.Expiry(); ok {
				w.Text += "; paging goes on at " + hourOf(at)
			}
			out = append(out, w)
		}
	}
	return out
}

// hourOf is a time of day for people, UTC.
func hourOf(ms int64) string { return time.UnixMilli(ms).UTC().Format("15:04") + " UTC" }
