package incident

// decider is what every command of this package can do: judge itself against a
// state that is known to take it.
type decider interface {
	decide(s State, m Meta) ([]Body, error)
}

// Decide judges a command against a state. The answer is the bodies of the
// events to append, in order; or a *Refusal, and nothing else, as the error. No
// bodies and no error means that the wish is already fulfilled. It is pure: the
// same arguments give the same answer, and s is not changed.
func Decide(s State, c Command, m Meta) ([]Body, error) {
	d, ok := c.(decider)
	if !ok {
		return nil, refuse(CodeUnknownCommand, "This command is not known here. Type /help to see what the room understands.")
	}
	return d.decide(s, m)
}
