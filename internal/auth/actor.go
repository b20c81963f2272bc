// Package auth owns who may do what: people, roles, invitations, sessions,
// passkeys, recovery codes, API and wall tokens, and the one table Can. People
// and tokens are known from the log's stream "people"; secrets live, hashed,
// under "auth/" in the store. It never puts a secret into the log or into slog,
// and never speaks HTTP.
package auth

// Kind says what sort of actor acts.
type Kind string

// The kinds of actor.
const (
	// KindNobody is a visitor who has not signed in.
	KindNobody Kind = "nobody"
	// KindPerson is a person with a session.
	KindPerson Kind = "person"
	// KindToken is a program with an API token.
	KindToken Kind = "token"
	// KindWall is a screen with a wall token: it sees the wall and changes nothing.
	KindWall Kind = "wall"
	// KindSystem is a part of Tocsin itself, never anything that came over the wire.
	KindSystem Kind = "system"
)

// Role is what a person or a token is allowed to be. Rights follow from the
// role alone; see Can.
type Role string

// The roles, from most to least.
const (
	RoleAdministrator Role = "administrator"
	RoleResponder     Role = "responder"
	RoleStakeholder   Role = "stakeholder"
	// RoleWall is the role of wall tokens; no person has it.
	RoleWall Role = "wall"
)

// Actor is who is acting in one request or on one socket. The zero Actor is
// nobody. Actors are comparable values.
type Actor struct {
	Kind Kind
	// ID is the immutable handle of a person, the id of a token (of a wall too),
	// or the name of a part of the system.
	ID string
	// Name is what people read: the display name, or the name of the token.
	Name string
	Role Role
	// Audience is the audience whose status page a stakeholder may read.
	Audience string
	// SessionID is the public id of the session; empty for Bearer tokens.
	SessionID string
	// Until is the unix millisecond at which the credential ends at the latest;
	// 0 means that it has no fixed end. A live socket must not outlive it.
	Until int64
}

// SystemActor returns the actor for the part of Tocsin with this name.
func SystemActor(name string) Actor { return Actor{Kind: KindSystem, ID: name, Name: name} }

// String returns the actor as the log writes it: "person:ana", "token:<id>"
// (for walls too), "system:<name>" or "nobody".
func (a Actor) String() string {
	switch a.Kind {
	case KindPerson:
		return "person:" + a.ID
	case KindToken, KindWall:
		return "token:" + a.ID
	case KindSystem:
		return "system:" + a.ID
	}
	return string(KindNobody)
}

// SignedIn reports whether the actor is anybody at all.
func (a Actor) SignedIn() bool { return a.Kind != "" && a.Kind != KindNobody }

// Owner names the credential that a live socket hangs on: "session:<id>" for
// cookies, "token:<id>" for Bearer tokens, "" for nobody and the system. The
// same string is given to the functions registered with OnRevoke.
func (a Actor) Owner() string {
	switch {
	case a.SessionID != "":
		return "session:" + a.SessionID
	case a.Kind == KindToken || a.Kind == KindWall:
		return "token:" + a.ID
	}
	return ""
}
