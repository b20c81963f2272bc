package auth

import (
	"encoding/json"
	"fmt"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
)

// Stream is the stream of the log that people and tokens live in.
const Stream = "people"

// The events of the stream, all of version 1. None carries a secret, a digest
// of a secret, or a network address.
const (
	PersonInvited     = "person.invited"
	InvitationRevoked = "invitation.revoked"
	PersonJoined      = "person.joined"
	PersonRoleChanged = "person.role_changed"
	PersonRenamed     = "person.renamed"
	PersonRemoved     = "person.removed"
	SignInLinkCreated = "signin_link.created"
	SignInLinkUsed    = "signin_link.used"
	SessionRevoked    = "session.revoked"
	PasskeyAdded      = "passkey.added"
	PasskeyRemoved    = "passkey.removed"
	PasskeySuspected  = "passkey.suspected" // its counter went backwards: perhaps a copy exists
	RecoveryIssued    = "recovery.issued"
	RecoveryUsed      = "recovery.used"
	TokenCreated      = "token.created"
	TokenRevoked      = "token.revoked"
)

// Fact is the payload of every event of the stream; each type fills the fields
// that it needs and leaves the others out.
type Fact struct {
	Handle     string `json:"handle,omitempty"`
	Name       string `json:"name,omitempty"`
	Role       Role   `json:"role,omitempty"`
	Audience   string `json:"audience,omitempty"`
	Invitation string `json:"invitation,omitempty"` // public id of the invitation or link
	First      bool   `json:"first,omitempty"`      // joined through the first administrator's link
	ID         string `json:"id,omitempty"`         // public id of a token, session or passkey
	Kind       string `json:"kind,omitempty"`       // of a token: "api" or "wall"
	ExpiresAt  int64  `json:"expires_at,omitempty"` // unix ms; absent = never
	Remaining  *int   `json:"remaining,omitempty"`  // recovery codes left
}

func (f Fact) draft(typ string, by Actor, st stamp) (eventlog.Draft, error) {
	data, err := json.Marshal(f)
	if err != nil {
		return eventlog.Draft{}, fmt.Errorf("encode %s: %w", typ, err)
	}
	return eventlog.Draft{ID: st.id, At: st.at, Actor: by.String(), Causation: st.causation, Type: typ, Version: 1, Data: data}, nil
}
