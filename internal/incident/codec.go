package incident

import (
	"encoding/json"
	"fmt"
)

// Version is the version of every payload that Encode writes.
const Version = 1

type decode func(data []byte) (Body, error)

func decodeAs[T Body](data []byte) (Body, error) {
	var b T
	err := json.Unmarshal(data, &b)
	return b, err
}

func known[T Body](m map[string]decode) {
	var b T
	m[b.Type()] = decodeAs[T]
}

var decoders = func() map[string]decode {
	m := map[string]decode{}
	known[Declared](m)
	known[Described](m)
	known[Renamed](m)
	known[SummarySet](m)
	known[SeveritySet](m)
	known[StatusSet](m)
	known[TimesSet](m)
	known[ComponentsSet](m)
	known[ChainsSet](m)
	known[Merged](m)
	known[Absorbed](m)
	known[Resolved](m)
	known[Reopened](m)
	known[Reviewed](m)
	known[LogRedacted](m)
	known[Restated](m)
	known[RoleAssigned](m)
	known[RoleReleased](m)
	known[HandOverOffered](m)
	known[HandedOver](m)
	known[HandOverDeclined](m)
	known[NoteAdded](m)
	known[DecisionRecorded](m)
	known[TaskAdded](m)
	known[TaskAssigned](m)
	known[TaskCompleted](m)
	known[TaskReopened](m)
	known[LinkAdded](m)
	known[LinkRemoved](m)
	known[AddressAdded](m)
	known[AddressRemoved](m)
	known[TransactionAdded](m)
	known[TransactionRemoved](m)
	known[UpdateDrafted](m)
	known[UpdateEdited](m)
	known[UpdateApproved](m)
	known[UpdatePublished](m)
	known[UpdateDiscarded](m)
	known[SignalsAttached](m)
	known[SignalUpdated](m)
	known[SignalsUpdated](m)
	known[SignalDetached](m)
	known[Acknowledged](m)
	known[PageDeclined](m)
	known[AcknowledgementWithdrawn](m)
	known[Escalated](m)
	known[PagedByHand](m)
	known[PageWanted](m)
	known[Reassigned](m)
	known[Snoozed](m)
	known[Unsnoozed](m)
	known[StepPaged](m)
	known[PagesReceipted](m)
	known[AcknowledgementExpired](m)
	known[PagingExhausted](m)
	known[ReasonGiven](m)
	known[Routed](m)
	known[Claimed](m)
	known[HandedOn](m)
	known[CategorySet](m)
	known[FactSet](m)
	known[FactCleared](m)
	known[Scored](m)
	known[AdviceDeclined](m)
	return m
}()

// Encode writes a body as the log keeps it: its type, the version of the
// payload and the payload as JSON. Unknown is written as it was read; Blank has
// no payload (nil).
func Encode(b Body) (typ string, version int, data []byte, err error) {
	switch b := b.(type) {
	case nil:
		return "", 0, nil, fmt.Errorf("encode event: no body")
	case Blank:
		return b.EventType, Version, nil, nil
	case Unknown:
		return b.EventType, b.Version, b.Raw, nil
	}
	data, err = json.Marshal(b)
	if err != nil {
		return "", 0, nil, fmt.Errorf("encode %s: %w", b.Type(), err)
	}
	return b.Type(), Version, data, nil
}

// Decode reads what Encode wrote. No payload gives Blank; a type or a version
// that is not known here gives Unknown; both without an error. Fields that are
// not known are passed over. A known payload that is not readable gives Unknown
// together with an error, so that a reader can report it and go on.
func Decode(typ string, version int, data []byte) (Body, error) {
	if len(data) == 0 {
		return Blank{EventType: typ}, nil
	}
	read, ok := decoders[typ]
	if !ok || version != Version {
		return Unknown{EventType: typ, Version: version, Raw: data}, nil
	}
	b, err := read(data)
	if err != nil {
		return Unknown{EventType: typ, Version: version, Raw: data}, fmt.Errorf("decode %s version %d: %w", typ, version, err)
	}
	return b, nil
}
