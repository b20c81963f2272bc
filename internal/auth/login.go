package auth

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/tocsin-ops/tocsin/store"
)

// BeginLogin begins a sign-in with whatever passkey the device offers; the
// person types nothing. The challenge is kept for five minutes.
func (s *Service) BeginLogin(ctx context.Context, v Visit) (Ceremony, error) {
	if _, err := s.begins.attempt(v.Address, s.clock()); err != nil {
		return Ceremony{}, err
	}
	w, host, err := s.site.relyingParty(v.Origin)
	if err != nil {
		return Ceremony{}, err
	}
	options, data, err := w.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return Ceremony{}, fmt.Errorf("begin sign-in: %w", err)
	}
	return s.keepCeremony(ctx, ceremonyRecord{Host: host, Data: *data}, options)
}

// FinishLogin checks the authenticator's answer and signs its person in. One
// store transaction uses the challenge up, keeps the counter and keeps the
// session; when its answer is lost, the person simply signs in again. A counter
// that went backwards means that a copy of the key may exist: the sign-in is
// refused and recorded, other passkeys, recovery codes and links still work.
func (s *Service) FinishLogin(ctx context.Context, ceremony string, response []byte, v Visit) (SignIn, error) {
	giveBack, err := s.signIns.attempt(v.Address, s.clock())
	if err != nil {
		return SignIn{}, err
	}
	w, host, err := s.site.relyingParty(v.Origin)
	if err != nil {
		return SignIn{}, err
	}
	bad := refuse(CodeBadPasskey, "This passkey is not known here. Use another one, a recovery code, or ask an administrator for a sign-in link.")
	if len(response) > responseMost {
		return SignIn{}, bad
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return SignIn{}, bad
	}
	id := passkeyID(parsed.RawID)
	for range 5 {
		c, crev, err := s.openCeremony(ctx, ceremony, "", "")
		if err != nil {
			return SignIn{}, err
		}
		r, prev, err := load[passkeyRecord](ctx, s.db, keyPasskeys+id)
		if err != nil {
			return SignIn{}, err
		}
		if err := s.refresh(ctx); err != nil {
			return SignIn{}, err
		}
		p, _ := s.dir.Person(r.Handle)
		if prev == 0 || p.Standing != Joined || r.CreatedAt < p.JoinedAt || r.Host != host || c.Host != host {
			return SignIn{}, bad
		}
		person, _, err := load[personRecord](ctx, s.db, keyPersons+r.Handle)
		if err != nil {
			return SignIn{}, err
		}
		k := keyholder{id: person.UserHandle, handle: p.Handle, name: p.Name, credentials: []webauthn.Credential{r.Credential}}
		warned := r.Credential.Authenticator.CloneWarning
		k.credentials[0].Authenticator.CloneWarning = false
		_, credential, err := w.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return k, nil }, c.Data, parsed)
		if err != nil {
			return SignIn{}, bad
		}
		now := s.clock()
		r.Credential, r.UsedAt = *credential, now
		if credential.Authenticator.CloneWarning {
			return SignIn{}, s.suspect(ctx, ceremony, id, r, crev, prev)
		}
		r.Credential.Authenticator.CloneWarning = warned
		cookie, sid, op, err := s.entry(KindPerson, r.Handle, v.Device, "", "", now)
		if err != nil {
			return SignIn{}, err
		}
		err = s.settle(ctx, store.Txn{
			If:   []store.Cond{cond(keyCeremonies+ceremony, crev), cond(keyPasskeys+id, prev)},
			Then: []store.Op{remove(keyCeremonies + ceremony), put(keyPasskeys+id, r), op},
		}, s.sessionThere(sid, cookie))
		if errors.Is(err, store.ErrConflict) {
			continue // the challenge was used, or the passkey on another device: look again
		}
		if err != nil {
			return SignIn{}, fmt.Errorf("sign in %s: %w", r.Handle, err)
		}
		giveBack()
		s.slog.Info("signed in by passkey", "person", r.Handle, "passkey", id)
		return s.welcome(ctx, cookie)
	}
	return SignIn{}, refuse(CodeBusy, "This passkey is being used elsewhere at this moment. Try again.")
}

// suspect records that a copy of the passkey may exist and refuses the sign-in.
func (s *Service) suspect(ctx context.Context, ceremony, id string, r passkeyRecord, crev, prev int64) error {
	s.slog.Warn("the counter of a passkey went backwards: a copy may exist", "person", r.Handle, "passkey", id)
	by := SystemActor("auth")
	if err := s.record(ctx, by, PasskeySuspected, stamp{at: s.clock(), id: s.onceID("suspected", ceremony)}, once(Fact{Handle: r.Handle, ID: id, Name: r.Name})); err != nil {
		return err
	}
	_, err := s.db.Commit(ctx, store.Txn{
		If:   []store.Cond{cond(keyCeremonies+ceremony, crev), cond(keyPasskeys+id, prev)},
		Then: []store.Op{remove(keyCeremonies + ceremony), put(keyPasskeys+id, r)},
	})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("mark passkey %s: %w", id, err)
	}
	return refuse(CodeBadPasskey, "A copy of this passkey may exist, so it is not accepted. Sign in another way, then remove it under Account.")
}
