package auth

import (
	"errors"
	"fmt"
)

// Refusal is a "no" that a person can read: what is wrong and what to do. Code
// is stable and meant for programs and for the table that picks the HTTP status.
type Refusal struct {
	Code     string
	Sentence string
	// RetryAfter is the number of milliseconds after which trying again makes
	// sense; 0 when waiting does not help.
	RetryAfter int64
}

// The codes of refusals.
const (
	CodeNotSignedIn   = "not_signed_in"         // 401
	CodeForbidden     = "forbidden"             // 403
	CodeTooMany       = "too_many_attempts"     // 429
	CodeBadLink       = "link_not_valid"        // 410: unknown, revoked, used or expired
	CodeLinkBusy      = "link_in_use"           // 409
	CodeBadCode       = "recovery_not_accepted" // 401
	CodeBadPasskey    = "passkey_not_accepted"  // 401
	CodePasskeyHost   = "passkey_host"          // 422: this address cannot have passkeys
	CodeInvalid       = "invalid"               // 422
	CodeHandleTaken   = "handle_taken"          // 409
	CodeUnknownPerson = "unknown_person"        // 404
	CodeUnknownToken  = "unknown_token"         // 404
	CodeUnknown       = "unknown"               // 404
	CodeLastAdmin     = "last_administrator"    // 422
	CodeLastWayIn     = "last_way_in"           // 422
	CodeBusy          = "busy"                  // 409: others changed people at the same time
)

// Error returns the sentence.
func (r *Refusal) Error() string { return r.Sentence }

// Is reports equal codes, so errors.Is(err, &Refusal{Code: CodeForbidden}) works.
func (r *Refusal) Is(target error) bool {
	var t *Refusal
	return errors.As(target, &t) && t.Code == r.Code
}

func refuse(code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Sentence: fmt.Sprintf(format, args...)}
}

// allow returns nil when by may do the action, else the refusal that says so.
func allow(by Actor, action Action, subject Subject) error {
	if Can(by, action, subject) {
		return nil
	}
	if !by.SignedIn() {
		return refuse(CodeNotSignedIn, "You are not signed in. Sign in and try again.")
	}
	return refuse(CodeForbidden, "Your role does not allow this. Ask an administrator.")
}
