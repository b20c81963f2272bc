package incident

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

func itoa(n int) string { return strconv.Itoa(n) }

func (b Acknowledged) apply(s *State, e Event) {
	s.Paging = s.Paging.Acknowledge(b.Person, b.Have >= b.Need, e.At)
	parts := []Part{person(b.Person), say(" has it")}
	switch {
	case b.Have < b.Need:
		parts = append(parts, say("; "+itoa(b.Have)+" of the "+itoa(b.Need)+" needed, the others are still asked"))
	case b.Need > 1:
		parts = append(parts, say("; "+itoa(b.Have)+" of the "+itoa(b.Need)+" needed, paging stops"))
	default:
		parts = append(parts, say("; paging stops"))
	}
	s.say(e, KindPaging, parts...)
}

func (b PageDeclined) apply(s *State, e Event) {
	s.Paging = s.Paging.Decline(b.Person, e.At)
	s.say(e, KindPaging, person(b.Person), say(": not me"))
}

func (b AcknowledgementWithdrawn) apply(s *State, e Event) {
	s.Paging = s.Paging.Withdraw(b.Person, b.Step, e.At)
	parts := []Part{person(b.Person), say(": not me after all; ")}
	switch left := len(b.Left); {
	case left == 0 && b.Step > 0:
		parts = append(parts, say("nobody has it, so paging goes on at step "+itoa(b.Step)))
	case left == 0 && s.Paging.Phase == escalation.Running:
		parts = append(parts, say("nobody has it, paging goes on"))
	case left == 0 && s.Paging.Phase == escalation.Snoozed:
		parts = append(parts, say("nobody has it, and paging is quiet until "), moment(s.Paging.SnoozedUntil))
	case left == 0:
		parts = append(parts, say("nobody has it"))
	case b.Need > 1 && b.Step > 0:
		parts = append(parts, say(itoa(b.Have)+" of the "+itoa(b.Need)+" needed, so step "+itoa(b.Step)+" asks the others again"))
	case b.Need > 1 && s.Paging.Phase == escalation.Running:
		parts = append(parts, say(itoa(b.Have)+" of the "+itoa(b.Need)+" needed, the others are still asked"))
	case left == 1:
		parts = append(append(parts, peopleOf(b.Left)...), say(" has it still"))
	default:
		parts = append(append(parts, peopleOf(b.Left)...), say(" have it still"))
	}
	s.say(e, KindPaging, parts...)
}

func (b Escalated) apply(s *State, e Event) {
	if b.Worse {
		words := "it is worse than when the steps were through, so paging begins again"
		if s.Paging.Phase == escalation.Running {
			words = "step " + itoa(b.Step) + " is for this severity and has paged nobody, so it is due now"
		}
		s.Paging = s.Paging.Worsen(b.Step, e.At)
		s.say(e, KindPaging, say(words))
		return
	}
	s.Paging = s.Paging.Escalate(b.Step, e.At)
	s.say(e, KindPaging, say("escalated to step "+itoa(b.Step)))
}

func (b PagedByHand) apply(s *State, e Event) {
	s.Paging = s.Paging.Hand(b.Callee, b.Number, e.At)
	s.say(e, KindPaging, say("paged "), person(b.Person), say(" by hand"))
}

func (b PageWanted) apply(s *State, e Event) {
	s.Paging = s.Paging.Want(escalation.Ask{Number: b.Number, Team: b.Team, Policy: b.Policy, By: e.Actor, At: e.At})
	if b.Team != "" {
		s.say(e, KindPaging, say("asked to page the team "), quote(b.Team))
		return
	}
	s.say(e, KindPaging, say("asked to page by "), quote(b.Policy), say(" as it is now"))
}

func (b Reassigned) apply(s *State, e Event) {
	s.Paging = s.Paging.Reassign(b.Callee, b.Number, e.At)
	s.say(e, KindPaging, say("gave the paging to "), person(b.Person), say("; nobody else is asked to come"))
}

func (b Snoozed) apply(s *State, e Event) {
	s.Paging = s.Paging.Snooze(b.Until, e.At)
	s.say(e, KindPaging, say("paging is quiet until "), moment(b.Until))
}

func (b Unsnoozed) apply(s *State, e Event) {
	s.Paging = s.Paging.Wake(b.Over, b.Step, e.At)
	switch {
	case b.Over:
		s.say(e, KindPaging, say("the snooze is over, paging goes on"))
		return
	case b.Worse:
		s.say(e, KindPaging, say("it is worse than what was snoozed, so the snooze ends"))
		return
	}
	s.say(e, KindPaging, say("ended the snooze"))
}

func (b StepPaged) apply(s *State, e Event) {
	has := s.Paging.Has()
	s.Paging = s.Paging.Take(b.Turn, e.At)
	s.say(e, KindPaging, b.parts(has)...)
}

// parts is the sentence of a step's beginning; has are those who have it then.
func (b StepPaged) parts(has []string) []Part {
	head := "step " + itoa(b.Step)
	if b.Round > 1 {
		head += ", round " + itoa(b.Round)
	}
	if b.Ask != 0 {
		head = "by hand"
	}
	parts := []Part{say(head)}
	switch {
	case b.Unmet != "":
		return append(parts, say(" is passed over: "), quote(b.Unmet))
	case len(b.People) == 0 && len(b.Already)+len(b.Declined) > 0:
		parts = append(parts, say(" is passed over: "))
		var have, asked []string
		for _, h := range b.Already {
			if slices.Contains(has, h) {
				have = append(have, h)
			} else {
				asked = append(asked, h)
			}
		}
		first := true
		for _, x := range []struct {
			who      []string
			one, any string
		}{{have, " has it", " have it"}, {asked, " was paged in this round already", " were paged in this round already"}, {b.Declined, " said “not me”", " said “not me”"}} {
			if len(x.who) == 0 {
				continue
			}
			if !first {
				parts = append(parts, say("; "))
			}
			first = false
			if parts = append(parts, peopleOf(x.who)...); len(x.who) > 1 {
				x.one = x.any
			}
			parts = append(parts, say(x.one))
		}
		return holes(parts, b.Holes)
	case len(b.People) == 0:
		return append(parts, say(" pages nobody: "), quote(strings.Join(b.Holes, "; ")))
	}
	parts = append(parts, say(" pages "))
	for i, p := range b.People[:min(len(b.People), named)] {
		if i > 0 {
			parts = append(parts, say(", "))
		}
		parts = append(parts, person(p.Person))
		if p.Why != "" {
			parts = append(parts, say(" ("), quote(p.Why), say(")"))
		}
	}
	if more := len(b.People) - named; more > 0 {
		parts = append(parts, say(" and "+itoa(more)+" more"))
	}
	return holes(parts, b.Holes)
}

func peopleOf(handles []string) []Part {
	var out []Part
	for i, h := range handles[:min(len(handles), named)] {
		if i > 0 {
			out = append(out, say(", "))
		}
		out = append(out, person(h))
	}
	if more := len(handles) - named; more > 0 {
		out = append(out, say(" and "+itoa(more)+" more"))
	}
	return out
}

func holes(parts []Part, list []string) []Part {
	for _, h := range list {
		parts = append(parts, say("; "), quote(h))
	}
	return parts
}

func (b PagesReceipted) apply(s *State, e Event) {
	var parts []Part
	for i, r := range b.Receipts {
		s.Paging = s.Paging.Tell(r.Page, r.Receipt)
		if i >= named {
			continue
		}
		if i > 0 {
			parts = append(parts, say("\n"))
		}
		parts = append(parts, say("page to "), person(r.Person), say(": "+r.Outcome))
		if by := route(r.Receipt); by != "" {
			parts = append(parts, say(" by "), quote(by))
		}
		if r.Detail != "" && r.Outcome != escalation.Delivered {
			parts = append(parts, say(", "), quote(r.Detail))
		}
	}
	if more := len(b.Receipts) - named; more > 0 {
		parts = append(parts, say("\nand "+itoa(more)+" more receipts"))
	}
	s.say(e, KindPaging, parts...)
}

// route is what people call a way to be reached; "" for all of them.
func route(r escalation.Receipt) string {
	if r.Label != "" {
		return r.Label
	}
	return strings.ReplaceAll(r.Route, "_", " ")
}

func (b AcknowledgementExpired) apply(s *State, e Event) {
	s.Paging = s.Paging.Expire(b.Step, e.At)
	parts := []Part{say("nobody did anything for " + lasting(b.Silent) + ", so the acknowledgement")}
	if len(b.People) > 0 {
		parts = append(append(parts, say(" of ")), peopleOf(b.People)...)
	}
	s.say(e, KindPaging, append(parts, say(" no longer counts; step "+itoa(b.Step)+" pages again"))...)
}

// lasting is how long something lasted, for people: "25 min", "3 h 10 min", "2 d 4 h".
func lasting(ms int64) string {
	m := ms / minute
	switch {
	case m < 1:
		return "less than a minute"
	case m < 60:
		return strconv.FormatInt(m, 10) + " min"
	case m < 24*60:
		return strconv.FormatInt(m/60, 10) + " h" + tail(m%60, " min")
	}
	return strconv.FormatInt(m/(24*60), 10) + " d" + tail(m/60%24, " h")
}

func tail(n int64, unit string) string {
	if n == 0 {
		return ""
	}
	return " " + strconv.FormatInt(n, 10) + unit
}

func (b PagingExhausted) apply(s *State, e Event) {
	s.Paging = s.Paging.Exhaust(b.Again, b.Unanswered, e.At)
	if len(b.People) > 0 {
		s.say(e, KindPaging, append(append([]Part{say("all steps are through; only ")}, peopleOf(b.People)...), say(" acknowledged"))...)
		return
	}
	if b.Reached && b.Again > 0 {
		s.say(e, KindPaging, say("nobody answered; all are paged again at "), moment(b.Again))
		return
	}
	if b.Reached {
		s.say(e, KindPaging, say("all steps are through and nobody has acknowledged; nobody else is paged"))
		return
	}
	s.say(e, KindPaging, say("nobody could be paged: no step has anybody to page; it is looked up again every 5 min"))
}

func (b ReasonGiven) apply(s *State, e Event) {
	if b.Of == (HandOn{}).Name() {
		s.Triage.Note, s.Triage.noteFrom = b.Text, e.Offset
	}
	if b.Of == (DeclineAdvice{}).Name() {
		s.Advice.Reason, s.adviceFrom = b.Text, e.Offset
	}
	s.say(e, KindNote, quote(b.Text))
}
