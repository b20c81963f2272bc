package oncall

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// turnAt is the whole turn that a moment lies in.
func (d *deciding) turnAt(s Schedule, zone *time.Location, text string) (Turn, error) {
	at, says, err := Moment(text, zone)
	if err != nil {
		return Turn{}, err
	}
	if says != "" {
		d.body.Notes = append(d.body.Notes, says)
	}
	duty := s.At(at, zone)
	switch {
	case duty.Person == "":
		return Turn{}, refuse(CodeNotFound, "Nobody is on call in %s at %s. Choose a time within the turn.", s.Name, said(at, zone))
	case duty.Until == 0 || duty.From == 0:
		return Turn{}, refuse(CodeBadTime, "The turn at %s has no end, so it cannot be swapped. Set an override instead.", said(at, zone))
	case duty.Until <= d.m.At:
		return Turn{}, refuse(CodeOver, "The turn at %s is over.", said(at, zone))
	}
	return Turn{duty.Person, duty.From, duty.Until}, nil
}

func (d *deciding) offerSwap(c OfferSwap) error {
	s, zone, err := d.scheduleOf(c.Schedule)
	if err != nil {
		return err
	}
	x := Swap{ID: d.id("swap-"), Schedule: s.ID, State: Offered, At: d.m.At}
	if x.Mine, err = d.turnAt(s, zone, c.Turn); err != nil {
		return err
	}
	if !d.m.Manage && !d.is(x.Mine.Person) {
		return refuse(CodeNotYours, "The turn until %s is of %s. You may offer turns of your own.", said(x.Mine.Until, zone), x.Mine.Person)
	}
	if err := d.person(c.Person); err != nil {
		return err
	}
	if c.Person == x.Mine.Person {
		return refuse(CodeBadPerson, "A swap needs two people.")
	}
	if x.Note, err = line("The note", c.Note, maxNote); err != nil {
		return err
	}
	x.Theirs.Person = c.Person
	if c.Return != "" {
		if x.Theirs, err = d.turnAt(s, zone, c.Return); err != nil {
			return err
		}
		if x.Theirs.Person != c.Person {
			return refuse(CodeBadPerson, "The turn until %s is of %s, not of %s. Choose a turn of theirs.", said(x.Theirs.Until, zone), x.Theirs.Person, c.Person)
		}
	}
	d.body.Swaps = []Diff[Swap]{{After: &x}}
	d.did(swapOffered, "offered %s the turn of %s in %s until %s", c.Person, x.Mine.Person, s.Name, said(x.Mine.Until, zone))
	return nil
}

// open finds a swap that waits for an answer.
func (d *deciding) open(id string) (Swap, error) {
	x, ok := d.s.Swap(id)
	switch {
	case !ok:
		return x, refuse(CodeNotFound, "There is no such swap any more. Reload the schedule.")
	case x.State != Offered:
		return x, refuse(CodeOver, "This swap was %s already.", x.State)
	}
	return x, nil
}

func (d *deciding) answer(was Swap, state, reason string) {
	x := was
	x.State, x.Reason, x.At = state, reason, d.m.At
	d.body.Swaps = []Diff[Swap]{{&was, &x}}
}

func (d *deciding) acceptSwap(c AcceptSwap) error {
	x, err := d.open(c.Swap)
	if err != nil {
		return err
	}
	s, zone, err := d.scheduleOf(x.Schedule)
	if err != nil {
		return err
	}
	if !d.m.Manage && !d.is(x.Theirs.Person) {
		return refuse(CodeNotYours, "This swap is offered to %s, who alone can accept it.", x.Theirs.Person)
	}
	d.answer(x, Accepted, "")
	for i, t := range []struct {
		turn Turn
		to   string
	}{{x.Mine, x.Theirs.Person}, {x.Theirs, x.Mine.Person}} {
		if t.turn.From == 0 {
			continue
		}
		duty := s.At(t.turn.From, zone)
		switch {
		case t.turn.Until <= d.m.At:
			return refuse(CodeOver, "The turn of %s until %s is over.", t.turn.Person, said(t.turn.Until, zone))
		case duty.Person != t.turn.Person || duty.From != t.turn.From || duty.Until != t.turn.Until:
			return refuse(CodeChanged, "The schedule has changed since: %s does not have the turn until %s any more. Offer the swap anew.", t.turn.Person, said(t.turn.Until, zone))
		}
		if err := d.person(t.to); err != nil {
			return err
		}
		o := Override{ID: d.id("ov-"), Person: t.to, From: max(t.turn.From, d.m.At), Until: t.turn.Until, By: d.by(), Note: x.Note, Swap: x.ID, Order: (d.s.Seq+1)*1000 + int64(i)}
		d.body.Overrides = append(d.body.Overrides, Diff[Placed]{After: &Placed{s.ID, o}})
	}
	if len(s.Overrides)+2 > MaxOverrides {
		return refuse(CodeTooMany, "Schedule %s has %d overrides. Remove some first.", s.Name, len(s.Overrides))
	}
	d.did(swapAccepted, "accepted the swap with %s in %s: %s takes the turn until %s", x.Mine.Person, s.Name, x.Theirs.Person, said(x.Mine.Until, zone))
	return nil
}

func (d *deciding) declineSwap(c DeclineSwap) error {
	x, err := d.open(c.Swap)
	if err != nil {
		return err
	}
	if !d.m.Manage && !d.is(x.Theirs.Person) {
		return refuse(CodeNotYours, "This swap is offered to %s, who alone can decline it.", x.Theirs.Person)
	}
	reason, err := line("The reason", c.Reason, maxNote)
	if err != nil {
		return err
	}
	d.answer(x, Declined, reason)
	d.did(swapDeclined, "declined the swap with %s", x.Mine.Person)
	return nil
}

func (d *deciding) withdrawSwap(c WithdrawSwap) error {
	x, err := d.open(c.Swap)
	if err != nil {
		return err
	}
	if !d.m.Manage && !d.is(x.Mine.Person) {
		return refuse(CodeNotYours, "This swap was offered by %s, who alone can withdraw it.", x.Mine.Person)
	}
	d.answer(x, Withdrawn, "")
	d.did(swapWithdrawn, "withdrew the swap offered to %s", x.Theirs.Person)
	return nil
}

func (d *deciding) noteHandOver(c NoteHandOver) error {
	s, zone, err := d.scheduleOf(c.Schedule)
	if err != nil {
		return err
	}
	at, says, err := Moment(c.At, zone)
	if err != nil {
		return err
	}
	comes := s.At(at, zone)
	if comes.From != at {
		next := "there is none after it"
		if comes.Until > 0 {
			next = "the next one is at " + said(comes.Until, zone)
		}
		return refuse(CodeBadTime, "There is no hand-over in %s at %s: %s.", s.Name, said(at, zone), next)
	}
	goes := s.At(at-1, zone)
	if !d.m.Manage && !d.is(goes.Person) && !d.is(comes.Person) {
		return refuse(CodeNotYours, "The note of this hand-over is written by %s or %s.", someone(goes.Person), someone(comes.Person))
	}
	text := strings.TrimSpace(strings.ReplaceAll(c.Text, "\r\n", "\n"))
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
		return refuse(CodeBadArgument, "The note is plain text.")
	case utf8.RuneCountInString(text) > maxText:
		return refuse(CodeTextTooLong, "The note is longer than %d characters. Shorten it.", maxText)
	}
	diff := Diff[HandOver]{}
	if was, ok := d.s.Note(s.ID, at); ok {
		diff.Before = &was
	}
	if text != "" {
		diff.After = &HandOver{Schedule: s.ID, At: at, By: d.by(), Text: text, Written: d.m.At}
	}
	if diff.Before == nil && diff.After == nil || diff.Before != nil && diff.After != nil && diff.Before.Text == text {
		return nil
	}
	if says != "" {
		d.body.Notes = append(d.body.Notes, says)
	}
	d.body.HandOvers = []Diff[HandOver]{diff}
	d.did(handOverNoted, "wrote the note for the hand-over in %s at %s", s.Name, said(at, zone))
	return nil
}
