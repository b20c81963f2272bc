package incident

import "strings"

// decider is what every command of this package can do: judge itself against a
// state that admits it.
type decider interface {
	decide(s State, m Meta) ([]Body, error)
}

// Decide judges a command against a state. The answer is the bodies of the
// events to append, in order; or a *Refusal, and nothing else, as the error. No
// bodies and no error means that the wish is already fulfilled. It is pure: the
// same arguments give the same answer, and s is not changed. Whether the actor
// may give this command at all is judged elsewhere.
func Decide(s State, c Command, m Meta) ([]Body, error) {
	d, ok := c.(decider)
	if !ok {
		return nil, refuse(CodeUnknownCommand, "This command is not known here. Type /help to see what the room understands.")
	}
	if err := admit(s, c, m); err != nil {
		return nil, err
	}
	bodies, err := d.decide(s, m)
	if err != nil {
		return nil, err
	}
	return bodies, nil
}

// admit refuses what no command of that name may do in this state.
func admit(s State, c Command, m Meta) error {
	kind, who, _ := strings.Cut(m.Actor, ":")
	if who == "" || kind != "person" && kind != "token" && kind != "source" && kind != "system" {
		return refuse(CodeActorMissing, "Nobody is named as the one who gives this command. Sign in again.")
	}
	if m.At <= 0 {
		return refuse(CodeBadTime, "This command carries no time. Set the clock of the machine and try again.")
	}
	switch c.(type) {
	case Help:
		return nil
	case Declare:
		if s.Declared {
			return refuse(CodeAlreadyDeclared, "Incident #%d is declared already. Work in it, or declare another one.", s.Number)
		}
		return nil
	}
	if !s.Declared {
		return refuse(CodeNotDeclared, "There is no such incident yet. Declare it first.")
	}
	if s.MergedInto != 0 {
		switch c.(type) {
		case AddNote, Redact, Merge, Absorb:
		default:
			return refuse(CodeMerged, "Incident #%d was merged into #%d. Work there; here only notes can be added.", s.Number, s.MergedInto)
		}
	}
	if s.Timeline.Len() >= MaxTimeline {
		switch c.(type) {
		case Resolve, ReviewDone, Merge, Redact, SignalChanged, SignalsChanged, PublishUpdate, Acknowledge, DeclinePage, PageStep, ExpireAcknowledgement, Exhaust, Unsnooze, Route, PageReceipts, PageByHand, Escalate, Reassign:
		default:
			return refuse(CodeTooMany, "The timeline is full (%d entries). Resolve this incident, declare another and link it.", MaxTimeline)
		}
	}
	return nil
}

// PersonOf is the handle in an actor string, or "" when the actor is no person.
func PersonOf(actor string) string {
	h, ok := strings.CutPrefix(actor, "person:")
	if !ok {
		return ""
	}
	return h
}

func one(b Body) ([]Body, error) { return []Body{b}, nil }

func (Help) decide(State, Meta) ([]Body, error) { return nil, nil }
