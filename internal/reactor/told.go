package reactor

import (
	"encoding/json"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// Lengths, in runes, of what an incident is told of a signal. The signal's own
// stream has the whole.
const (
	titleLength  = 200
	reasonLength = 500
	nameLength   = incident.MaxName
)

// fact reads an event of a signal stream; what cannot be read is Unknown.
func fact(source string, e eventlog.Event) signal.Event {
	body, err := signal.Decode(e.Type, e.Version, e.Data)
	if err != nil {
		body = signal.Unknown{Name: e.Type}
	}
	return signal.Event{Source: source, Offset: e.Offset, EventID: e.ID, At: e.At, Actor: e.Actor, Drill: e.Drill, Body: body}
}

// asOpened is the signal as it was when it opened.
func asOpened(source string, e eventlog.Event, b signal.Opened) signal.Signal {
	s := signal.Apply(signal.State{}, signal.Event{Source: source, Offset: e.Offset, At: e.At, Actor: e.Actor, Drill: e.Drill, Body: b})
	sig, _ := s.Get(b.Key, e.Drill)
	return sig
}

// told is what an incident is told of a signal that joins it, which its event
// at offset opened says.
func told(s signal.Signal, opened int64, why string) incident.Signal {
	if s.OutUntil > 0 {
		why += " This drill pages people for real until it ends."
	}
	return incident.Signal{
		ID: s.ID, Source: s.Source, Kind: s.Kind, Title: signal.Line(s.Title, titleLength), Subject: s.Subject,
		Severity: incident.Severity(s.Severity), Reason: signal.Text(s.Reason, reasonLength),
		Chain: signal.Line(s.Chain, nameLength), Component: signal.Line(s.Component, nameLength),
		State: incident.SignalOpen, Count: 1, OpenedAt: s.OpenedAt, LastAt: s.LastAt, Correlation: why, Through: opened, OutUntil: s.OutUntil,
	}
}

// news lays one later event over what an incident knows of a signal. ok is
// false for events that incidents are not told, or that this one knows already.
func news(g incident.Signal, e signal.Event) (_ incident.Signal, ok bool) {
	if e.Offset <= g.Through && g.Through != 0 {
		return g, false
	}
	switch b := e.Body.(type) {
	case signal.Updated:
		g.Severity, g.Title = incident.Severity(b.Severity), signal.Line(b.Title, titleLength)
		if b.Reason != "" {
			g.Reason = signal.Text(b.Reason, reasonLength)
		}
	case signal.Acknowledged:
		g.Acknowledged = true
	case signal.Cleared:
		g.State, g.ClearedAt = incident.SignalCleared, e.At
		if b.Reason != "" {
			g.Reason = signal.Text(b.Reason, reasonLength)
		}
	default:
		return g, false
	}
	g.LastAt, g.Through = max(g.LastAt, e.At), e.Offset
	return g, true
}

// size is how many bytes the snapshot takes in an event, whatever its texts
// become as JSON.
func size(g incident.Signal) int {
	b, err := json.Marshal(g)
	if err != nil {
		return chunkBytes // strings and numbers: cannot happen
	}
	return len(b) + len(`,"what":"acknowledged"`) + len(",")
}
