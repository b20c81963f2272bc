package auth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/store"
)

// Times of sessions, in milliseconds.
const (
	day        int64 = 24 * 3600 * 1000
	minute     int64 = 60 * 1000
	idleLimit        = 30 * day // a person's session ends when not seen for so long; a wall's never
	seenEvery        = minute   // how often "last seen" is written, at most
	sessionsOf       = 50       // sessions one person may have; the longest unseen one goes
	wallsOf          = 200      // likewise browsers of one wall token
)

// seenWithin is how long a page waits for "last seen" to be written. Every page
// tries while the store takes nothing, and none may stand still for it.
const seenWithin = 250 * time.Millisecond

// Visit is what is known of the browser that calls.
type Visit struct {
	// Address is the network address that attempts are counted for.
	Address string
	// Device is what the person sees in the list of sessions: "Firefox on Linux".
	Device string
	// Origin is the scheme and host of the request, "http://localhost:8080";
	// only passkeys need it.
	Origin string
	// Txn is random text that the page drew for this form or button. The same
	// call with the same Txn within ten minutes gives the same answer; "" means
	// that a lost answer cannot be asked for again.
	Txn string
}

// SignIn is the answer to a successful way in. Cookie is the only copy of the
// session's secret.
type SignIn struct {
	Cookie string
	Actor  Actor
}

// Device is one session as its owner sees it.
type Device struct {
	ID        string `json:"id"`
	Kind      Kind   `json:"kind"`
	Name      string `json:"name"`
	CreatedAt int64  `json:"created_at"`
	SeenAt    int64  `json:"seen_at"` // exact to the minute
}

// holder returns the actor that a session record stands for now, and whether
// it still stands for anybody.
func (s *Service) holder(r sessionRecord, now int64) (Actor, bool) {
	switch r.Kind {
	case KindPerson:
		p, ok := s.dir.Person(r.Owner)
		// A session from before the person was removed and came back is void.
		if !ok || p.Standing != Joined || r.CreatedAt < p.JoinedAt || now-r.SeenAt >= idleLimit {
			return Actor{}, false
		}
		return Actor{Kind: KindPerson, ID: p.Handle, Name: p.Name, Role: p.Role, Audience: p.Audience, Until: r.SeenAt + idleLimit}, true
	case KindWall:
		t, ok := s.dir.Token(r.Owner)
		if !ok || t.RevokedAt != 0 {
			return Actor{}, false
		}
		return Actor{Kind: KindWall, ID: t.ID, Name: t.Name, Role: RoleWall}, true
	}
	return Actor{}, false
}

// Session returns who holds the cookie. When it is nobody, because it is empty,
// made up, revoked or 30 days idle, the error is a Refusal with CodeNotSignedIn
// and the actor is nobody. Rights are always those of now. Live sockets should
// ask again every few minutes, which also keeps the session from idling.
func (s *Service) Session(ctx context.Context, cookie string) (Actor, error) {
	nobody := Actor{Kind: KindNobody}
	notIn := refuse(CodeNotSignedIn, "You are not signed in. Sign in to continue.")
	id, ok := split(cookie, sessionPrefix)
	if !ok {
		return nobody, notIn
	}
	key := keySessions + id
	r, rev, err := load[sessionRecord](ctx, s.db, key)
	if err != nil {
		return nobody, fmt.Errorf("look up session %s: %w", id, err)
	}
	if rev == 0 || !matches(cookie, r.Digest) {
		return nobody, notIn
	}
	now := s.clock()
	a, ok := s.holder(r, now)
	if !ok {
		// Perhaps this process has not yet heard of the person.
		if err := s.refresh(ctx); err != nil {
			return nobody, err
		}
		if a, ok = s.holder(r, now); !ok {
			return nobody, notIn
		}
	}
	if now-r.SeenAt >= seenEvery {
		r.SeenAt = now
		// The condition keeps a session that is being revoked from coming back.
		brief, cancel := context.WithTimeout(ctx, seenWithin)
		_, err := s.db.Commit(brief, store.Txn{If: []store.Cond{cond(key, rev)}, Then: []store.Op{put(key, r)}})
		cancel()
		if err != nil && !errors.Is(err, store.ErrConflict) {
			s.slog.Debug("write when a session was last seen", "session", id, "error", err)
		}
		if r.Kind == KindPerson {
			a.Until = now + idleLimit
		}
	}
	a.SessionID = id
	return a, nil
}

// entry builds the cookie, the operation that keeps its session, and the id.
// With secret and txn the cookie is derived and the same each time.
func (s *Service) entry(kind Kind, owner, device, secret, txn string, now int64) (cookie, id string, op store.Op, err error) {
	if txn != "" {
		cookie, id = deriveSession(s.key, secret, txn)
	} else if cookie, id, err = s.mint(sessionPrefix); err != nil {
		return "", "", store.Op{}, err
	}
	return cookie, id, put(keySessions+id, sessionRecord{Digest: digest(cookie), Kind: kind, Owner: owner,
		Device: shorten(device, 80), CreatedAt: now, SeenAt: now}), nil
}

// welcome turns a kept session into the answer, and lets go of the longest
// unseen sessions of the same owner when there are too many.
func (s *Service) welcome(ctx context.Context, cookie string) (SignIn, error) {
	a, err := s.Session(ctx, cookie)
	if err != nil {
		return SignIn{}, err
	}
	most := sessionsOf
	if a.Kind == KindWall {
		most = wallsOf
	}
	list, err := s.Devices(ctx, a.Kind, a.ID)
	if err != nil {
		return SignIn{}, err
	}
	var gone, owners []string
	for _, d := range list[min(most, len(list)):] {
		if d.ID != a.SessionID {
			gone, owners = append(gone, keySessions+d.ID), append(owners, "session:"+d.ID)
		}
	}
	if err := s.removeAll(ctx, gone); err != nil {
		return SignIn{}, err
	}
	s.revoked(owners...)
	return SignIn{Cookie: cookie, Actor: a}, nil
}

// Devices lists the sessions of a person (KindPerson, handle) or of a wall token
// (KindWall, token id), the most recently seen first.
func (s *Service) Devices(ctx context.Context, kind Kind, owner string) ([]Device, error) {
	ids, records, _, err := loadAll[sessionRecord](ctx, s.db, keySessions)
	if err != nil {
		return nil, err
	}
	var list []Device
	for i, r := range records {
		if r.Kind == kind && r.Owner == owner {
			list = append(list, Device{ID: ids[i], Kind: r.Kind, Name: r.Device, CreatedAt: r.CreatedAt, SeenAt: r.SeenAt})
		}
	}
	slices.SortFunc(list, func(a, b Device) int {
		return cmp.Or(cmp.Compare(b.SeenAt, a.SeenAt), cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// SignOut ends the session of the actor itself. Signing out twice is fine.
func (s *Service) SignOut(ctx context.Context, a Actor) error {
	if a.SessionID == "" {
		return nil
	}
	if err := s.removeAll(ctx, []string{keySessions + a.SessionID}); err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	s.revoked("session:" + a.SessionID)
	return nil
}

// RevokeSession ends one session: one's own, or anybody's for an administrator.
// It is recorded, and its sockets close at once.
func (s *Service) RevokeSession(ctx context.Context, by Actor, id string) error {
	r, rev, err := load[sessionRecord](ctx, s.db, keySessions+id)
	if err != nil {
		return err
	}
	if rev == 0 || r.Kind == KindPerson && !s.mayManage(by, r.Owner) || r.Kind == KindWall && !Can(by, ManageTokens, Subject{}) {
		return refuse(CodeUnknown, "There is no such session any more. Reload the list.")
	}
	f := Fact{ID: id}
	if r.Kind == KindPerson {
		f.Handle = r.Owner
	}
	if err := s.record(ctx, by, SessionRevoked, stamp{at: s.clock()}, once(f)); err != nil {
		return err
	}
	if err := s.removeAll(ctx, []string{keySessions + id}); err != nil {
		return fmt.Errorf("revoke session %s: %w", id, err)
	}
	s.revoked("session:" + id)
	return nil
}

// RevokeSessions ends every session of a person but the one that asks.
func (s *Service) RevokeSessions(ctx context.Context, by Actor, handle string) error {
	if !s.mayManage(by, handle) {
		return allow(by, ManagePeople, Subject{})
	}
	list, err := s.Devices(ctx, KindPerson, handle)
	if err != nil {
		return err
	}
	for _, d := range list {
		if d.ID == by.SessionID {
			continue
		}
		if err := s.RevokeSession(ctx, by, d.ID); err != nil && !errors.Is(err, &Refusal{Code: CodeUnknown}) {
			return err
		}
	}
	return nil
}

// mayManage reports whether by may manage the account of the person.
func (s *Service) mayManage(by Actor, handle string) bool {
	return Can(by, ManageAccount, Subject{Handle: handle}) || Can(by, ManagePeople, Subject{})
}

// announce calls the OnRevoke functions for what one event ends or changes.
func (s *Service) announce(ctx context.Context, e eventlog.Event) error {
	var f Fact
	if e.Data == nil || json.Unmarshal(e.Data, &f) != nil {
		return nil
	}
	kind, owner := KindPerson, f.Handle
	switch e.Type {
	case SessionRevoked:
		s.revoked("session:" + f.ID)
		return nil
	case TokenRevoked:
		s.revoked("token:" + f.ID)
		kind, owner = KindWall, f.ID
	case PersonRoleChanged, PersonRemoved, PersonInvited:
	default:
		return nil
	}
	list, err := s.Devices(ctx, kind, owner)
	for _, d := range list {
		s.revoked("session:" + d.ID)
	}
	return err
}

// CSRF returns the token that forms of this session carry; it is bound to the
// session and needs no storage. Empty for actors without a session.
func (s *Service) CSRF(a Actor) string {
	if a.SessionID == "" {
		return ""
	}
	return base62(seal(s.key, "csrf", a.SessionID), secretDigits)
}

// CheckCSRF compares in constant time.
func (s *Service) CheckCSRF(a Actor, token string) bool {
	want := s.CSRF(a)
	return want != "" && matches(token, digest(want))
}
