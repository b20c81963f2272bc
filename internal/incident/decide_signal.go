package incident

import (
	"cmp"
	"slices"
	"strings"
)

// signal checks a snapshot.
func (c *check) signal(g Signal, m Meta) Signal {
	g.ID = c.need(c.line("signal", g.ID, MaxURL), CodeMissingArgument, "Say which signal, by its id.")
	g.Source, g.Kind = c.line("source", g.Source, MaxURL), c.line("kind", g.Kind, MaxURL)
	g.Title, g.Subject = c.line("title", g.Title, MaxSignalText), c.line("subject", g.Subject, MaxSignalText)
	g.Chain, g.Component = c.line("chain", g.Chain, MaxSignalText), c.line("component", g.Component, MaxSignalText)
	g.Reason, g.Correlation = c.prose("reason", g.Reason, MaxReason), c.prose("reason", g.Correlation, MaxReason)
	if g.Severity != "" {
		g.Severity = c.severity(string(g.Severity))
	}
	if g.State != "" && g.State != SignalOpen && g.State != SignalCleared {
		c.refuse(CodeBadArgument, "%s is not a state of a signal. It is open or cleared.", shown(g.State))
	}
	for _, t := range []int64{g.OpenedAt, g.LastAt, g.ClearedAt, g.Count} {
		if t < 0 {
			c.refuse(CodeBadArgument, "A time or a count of the signal is below zero. Send what the source said.")
		}
	}
	g.AttachedAt, g.AttachedBy, g.Offset, g.textFrom = 0, "", 0, 0
	if !strings.HasPrefix(m.Actor, "system:") {
		g.OutUntil = 0 // nobody lets a drill out by attaching something to it
	}
	return g
}

// signals checks snapshots to attach and leaves out what is attached already.
func (c *check) signals(s State, given []Signal, m Meta) []Signal {
	if len(given) > MaxBatch {
		c.refuse(CodeTooMany, "%d signals are too many for one command. Attach at most %d at a time.", len(given), MaxBatch)
		return nil
	}
	seen := make(map[string]bool, len(s.Signals)+len(given))
	for _, g := range s.Signals {
		seen[g.ID] = true
	}
	var out []Signal
	for _, g := range given {
		if g = c.signal(g, m); c.err != nil {
			return nil
		}
		if seen[g.ID] {
			continue
		}
		seen[g.ID] = true
		if g.State == "" {
			g.State = SignalOpen
		}
		out = append(out, g)
	}
	if len(s.Signals)+len(out) > MaxSignals {
		c.refuse(CodeTooMany, "%d signals are attached, and at most %d fit. Detach some, or declare another incident for the new ones.", len(s.Signals), MaxSignals)
		return nil
	}
	return out
}

func (c AttachSignal) decide(s State, m Meta) ([]Body, error) {
	return AttachSignals{Signals: []Signal{c.Signal}}.decide(s, m)
}

func (c AttachSignals) decide(s State, m Meta) ([]Body, error) {
	var k check
	if len(c.Signals) == 0 {
		return nil, refuse(CodeMissingArgument, "Say which signals, by their ids.")
	}
	signals := k.signals(s, c.Signals, m)
	if k.err != nil || len(signals) == 0 {
		return nil, k.err
	}
	return one(SignalsAttached{Signals: signals})
}

func (s State) signalAt(id string) int {
	return slices.IndexFunc(s.Signals, func(g Signal) bool { return g.ID == id })
}

func (c SignalChanged) decide(s State, m Meta) ([]Body, error) {
	var k check
	g := k.signal(c.Signal, m)
	if k.err != nil {
		return nil, k.err
	}
	i := s.signalAt(g.ID)
	if i < 0 {
		return nil, s.notAttached(g)
	}
	b, ok := g.since(s.Signals[i], m)
	if !ok {
		return nil, nil
	}
	return one(b)
}

func (s State) notAttached(g Signal) error {
	return refuse(CodeNotAttached, "Signal %s is not attached to incident #%d. Attach it first.", shown(g.ID), s.Number)
}

func (c SignalsChanged) decide(s State, m Meta) ([]Body, error) {
	if len(c.Signals) == 0 {
		return nil, refuse(CodeMissingArgument, "Say which signals, by their ids.")
	}
	if len(c.Signals) > MaxBatch {
		return nil, refuse(CodeTooMany, "%d signals are too many for one command. Tell of at most %d at a time.", len(c.Signals), MaxBatch)
	}
	var k check
	news, order := map[string]Signal{}, []string{}
	for _, g := range c.Signals {
		if g = k.signal(g, m); k.err != nil {
			return nil, k.err
		}
		if _, twice := news[g.ID]; !twice {
			order = append(order, g.ID)
		}
		news[g.ID] = g
	}
	known := make(map[string]int, len(order))
	for i, old := range s.Signals {
		if _, ok := news[old.ID]; ok {
			known[old.ID] = i
		}
	}
	if len(known) == 0 {
		return nil, s.notAttached(news[order[0]])
	}
	var out []SignalUpdated
	for _, id := range order {
		i, ok := known[id]
		if !ok {
			continue
		}
		if b, ok := news[id].since(s.Signals[i], m); ok {
			out = append(out, b)
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	b := SignalsUpdated{Signals: out}
	if _, _, data, err := Encode(b); err != nil || len(data) > MaxBatchBytes {
		return nil, refuse(CodeTooMany, "The news of %d signals has %d bytes; at most %d fit into one command. Tell of fewer at a time.", len(out), len(data), MaxBatchBytes)
	}
	return one(b)
}

// since is what became of a signal that was known as old; ok is false when g
// says nothing new, or something older.
func (g Signal) since(old Signal, m Meta) (b SignalUpdated, ok bool) {
	if g.Through != 0 && old.Through != 0 {
		if g.Through < old.Through {
			return b, false
		}
	} else if g.LastAt != 0 && g.LastAt < old.LastAt {
		return b, false
	}
	g = g.over(old)
	if g.State == SignalCleared && g.ClearedAt == 0 {
		g.ClearedAt = m.At
	}
	old.AttachedAt, old.AttachedBy, old.Offset, old.textFrom = 0, "", 0, 0
	what := changed(old, g)
	return SignalUpdated{Signal: g, What: what}, what != ""
}

// over fills what g leaves empty from the snapshot before it.
func (g Signal) over(old Signal) Signal {
	g.Source, g.Kind, g.Title, g.Subject = cmp.Or(g.Source, old.Source), cmp.Or(g.Kind, old.Kind), cmp.Or(g.Title, old.Title), cmp.Or(g.Subject, old.Subject)
	g.Chain, g.Component = cmp.Or(g.Chain, old.Chain), cmp.Or(g.Component, old.Component)
	g.Reason, g.Correlation = cmp.Or(g.Reason, old.Reason), cmp.Or(g.Correlation, old.Correlation)
	g.Severity, g.State = Severity(cmp.Or(string(g.Severity), string(old.Severity))), cmp.Or(g.State, old.State)
	for _, t := range [][2]*int64{{&g.Count, &old.Count}, {&g.OpenedAt, &old.OpenedAt}, {&g.LastAt, &old.LastAt}, {&g.Through, &old.Through}, {&g.OutUntil, &old.OutUntil}} {
		if *t[0] == 0 {
			*t[0] = *t[1]
		}
	}
	if g.State == SignalOpen {
		g.ClearedAt = 0
	} else if g.ClearedAt == 0 {
		g.ClearedAt = old.ClearedAt
	}
	return g
}

// changed names what people care about most, or "" when nothing changed.
func changed(old, g Signal) string {
	switch {
	case old == g:
		return ""
	case old.State != g.State && g.State == SignalCleared:
		return "cleared"
	case old.State != g.State:
		return "reopened"
	case old.Severity != g.Severity:
		return "severity"
	case !old.Acknowledged && g.Acknowledged:
		return "acknowledged"
	case old.Title != g.Title || old.Subject != g.Subject || old.Reason != g.Reason:
		return "updated"
	}
	return "repeated"
}

func (c DetachSignal) decide(s State, _ Meta) ([]Body, error) {
	var k check
	b := SignalDetached{
		Signal: k.need(k.line("signal", c.Signal, MaxURL), CodeMissingArgument, "Say which signal, by its id."),
		Reason: k.prose("reason", c.Reason, MaxReason),
	}
	if k.err != nil || s.signalAt(b.Signal) < 0 {
		return nil, k.err
	}
	return one(b)
}
