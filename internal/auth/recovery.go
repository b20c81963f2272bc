package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"github.com/tocsin-ops/tocsin/store"
)

const (
	recoveryCodes = 10
	recoveryChars = 16 // of 5 bits each
)

// digits32 are Crockford's: no I, L, O, U, so that a code survives paper.
const digits32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// normalCode undoes what paper and people do to a code.
func normalCode(code string) string {
	var b strings.Builder
	for _, c := range strings.ToUpper(shorten(code, 64)) {
		switch c {
		case 'I', 'L':
			c = '1'
		case 'O':
			c = '0'
		}
		if strings.ContainsRune(digits32, c) {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// NewRecoveryCodes makes ten single-use codes for the actor's own account and
// voids the old ones. They are shown this once; HMACs under the store's key are
// kept. 80 bits each: guessing is hopeless even without the rate limit.
func (s *Service) NewRecoveryCodes(ctx context.Context, by Actor) ([]string, error) {
	if err := allow(by, ManageAccount, Subject{Handle: by.ID}); err != nil {
		return nil, err
	}
	raw, err := s.draw(recoveryCodes * recoveryChars)
	if err != nil {
		return nil, err
	}
	codes, kept := make([]string, recoveryCodes), make([]recoveryCode, recoveryCodes)
	for i := range codes {
		var b strings.Builder
		for j, r := range raw[i*recoveryChars : (i+1)*recoveryChars] {
			if j > 0 && j%4 == 0 {
				b.WriteByte('-')
			}
			b.WriteByte(digits32[r&31])
		}
		codes[i] = b.String()
		kept[i].Digest = seal(s.key, "recovery", by.ID, normalCode(codes[i]))
	}
	left := recoveryCodes
	if err := s.record(ctx, by, RecoveryIssued, stamp{at: s.clock()}, once(Fact{Handle: by.ID, Remaining: &left})); err != nil {
		return nil, err
	}
	key := keyPersons + by.ID
	for range 5 {
		p, rev, err := load[personRecord](ctx, s.db, key)
		if err != nil {
			return nil, err
		}
		if rev == 0 {
			return nil, fmt.Errorf("keep recovery codes of %s: there is no account record", by.ID)
		}
		p.Recovery = kept
		err = s.settle(ctx, store.Txn{If: []store.Cond{cond(key, rev)}, Then: []store.Op{put(key, p)}}, func(ctx context.Context) (bool, error) {
			p, _, err := load[personRecord](ctx, s.db, key)
			return len(p.Recovery) > 0 && subtle.ConstantTimeCompare(p.Recovery[0].Digest, kept[0].Digest) == 1, err
		})
		if err == nil {
			return codes, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return nil, fmt.Errorf("keep recovery codes of %s: %w", by.ID, err)
		}
	}
	return nil, refuse(CodeBusy, "Your account is being changed elsewhere at this moment. Try again.")
}

// RecoveryCodesLeft returns how many unused codes a person has.
func (s *Service) RecoveryCodesLeft(ctx context.Context, handle string) (int, error) {
	p, _, err := load[personRecord](ctx, s.db, keyPersons+handle)
	return p.left(), err
}

func (p personRecord) left() (n int) {
	for _, c := range p.Recovery {
		if c.Use == nil {
			n++
		}
	}
	return n
}

// SignInWithRecovery uses a recovery code up and signs its person in. The event
// is appended first, once for each code; then one store transaction uses the
// code up and keeps the session. So a failure never costs the code, and a lost
// answer is asked for again with the same Visit.Txn, for ten minutes.
func (s *Service) SignInWithRecovery(ctx context.Context, handle, code string, v Visit) (SignIn, error) {
	giveBack, err := s.signIns.attempt(v.Address, s.clock())
	if err != nil {
		return SignIn{}, err
	}
	if v.Txn == "" {
		if v.Txn, err = s.publicID(); err != nil {
			return SignIn{}, err
		}
	}
	// One sentence for every failure: it must not tell who exists.
	bad := refuse(CodeBadCode, "This handle and recovery code do not belong together, or the code has been used. Check both.")
	handle = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(handle), "@"))
	if checkHandle(handle) != nil {
		return SignIn{}, bad
	}
	if err := s.refresh(ctx); err != nil {
		return SignIn{}, err
	}
	key := keyPersons + handle
	secret := string(seal(s.key, "recovery", handle, normalCode(code)))
	for range 5 {
		p, rev, err := load[personRecord](ctx, s.db, key)
		if err != nil {
			return SignIn{}, err
		}
		found := -1
		for i, c := range p.Recovery {
			if subtle.ConstantTimeCompare([]byte(secret), c.Digest) == 1 {
				found = i
			}
		}
		member, _ := s.dir.Person(handle)
		if found < 0 || member.Standing != Joined {
			return SignIn{}, bad
		}
		now := s.clock()
		txn := seal(s.key, "txn", secret, v.Txn)
		if u := p.Recovery[found].Use; u != nil {
			if !u.again(txn, now) {
				return SignIn{}, bad
			}
			giveBack()
			cookie, _ := deriveSession(s.key, secret, v.Txn)
			return s.welcome(ctx, cookie)
		}
		left := p.left() - 1
		by := Actor{Kind: KindPerson, ID: handle}
		if err := s.record(ctx, by, RecoveryUsed, stamp{at: now, id: s.onceID("recovery", secret)}, once(Fact{Handle: handle, Remaining: &left})); err != nil {
			return SignIn{}, err
		}
		cookie, sid, op, err := s.entry(KindPerson, handle, v.Device, secret, v.Txn, now)
		if err != nil {
			return SignIn{}, err
		}
		p.Recovery[found].Use = &use{Txn: txn, At: now, Session: sid}
		err = s.settle(ctx, store.Txn{If: []store.Cond{cond(key, rev)}, Then: []store.Op{put(key, p), op}}, s.sessionThere(sid, cookie))
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			return SignIn{}, fmt.Errorf("use a recovery code of %s: %w", handle, err)
		}
		giveBack()
		s.slog.Info("signed in by recovery code", "person", handle, "left", left)
		return s.welcome(ctx, cookie)
	}
	return SignIn{}, refuse(CodeBusy, "Your account is being changed elsewhere at this moment. Try again.")
}
