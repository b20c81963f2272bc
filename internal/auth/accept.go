package auth

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-ops/tocsin/store"
)

// Choice is what the person behind a link says of themselves. Name may be left
// empty when the invitation gave one; Handle counts for the first administrator
// only.
type Choice struct {
	Handle string
	Name   string
}

// Accept uses a link and signs its holder in. It happens in two durable steps:
//
//  1. "person.joined" (or "signin_link.used") is appended, once for each link;
//  2. one store transaction marks the link used and keeps the session, on the
//     condition that the link was still unused: of two concurrent clicks one
//     wins, the other is told so.
//
// Nobody is locked out by a crash or a lost answer. Before step 2 the link still
// works, for the person that step 1 recorded. After it, the same Visit.Txn gets
// the same cookie for ten minutes, because the cookie is derived from link and
// transaction. Without Txn, or later, an administrator makes a SignInLink.
func (s *Service) Accept(ctx context.Context, token string, c Choice, v Visit) (SignIn, error) {
	giveBack, err := s.signIns.attempt(v.Address, s.clock())
	if err != nil {
		return SignIn{}, err
	}
	if v.Txn == "" {
		if v.Txn, err = s.publicID(); err != nil {
			return SignIn{}, err
		}
	}
	for range 5 {
		id, r, rev, err := s.openLink(ctx, token)
		if err != nil {
			return SignIn{}, err
		}
		now := s.clock()
		txn := seal(s.key, "txn", id, v.Txn)
		if r.Use != nil {
			if r.Use.again(txn, now) {
				giveBack()
				cookie, _ := deriveSession(s.key, token, v.Txn)
				return s.welcome(ctx, cookie)
			}
			return SignIn{}, errLinkUsed()
		}
		handle, err := s.join(ctx, id, r, c, base62(txn[:8], idDigits), now)
		if err != nil {
			return SignIn{}, err
		}
		// Created not before the person joined, whatever the clock did since.
		p, _ := s.dir.Person(handle)
		now = max(now, p.JoinedAt)
		cookie, sid, op, err := s.entry(KindPerson, handle, v.Device, token, v.Txn, now)
		if err != nil {
			return SignIn{}, err
		}
		r.Use = &use{Txn: txn, At: now, Session: sid}
		commit := store.Txn{If: []store.Cond{cond(keyLinks+id, rev)}, Then: []store.Op{put(keyLinks+id, r), op}}
		if r.Kind != linkSignIn {
			// A new member begins with a new user handle and no recovery codes.
			raw, err := s.draw(64)
			if err != nil {
				return SignIn{}, err
			}
			commit.Then = append(commit.Then, put(keyPersons+handle, personRecord{UserHandle: raw}))
		}
		err = s.settle(ctx, commit, s.sessionThere(sid, cookie))
		if errors.Is(err, store.ErrConflict) {
			continue // somebody, perhaps this very call an instant ago, used the link: look again
		}
		if err != nil {
			return SignIn{}, fmt.Errorf("use link %s: %w", id, err)
		}
		giveBack()
		s.slog.Info("signed in by link", "person", handle, "link", id, "kind", r.Kind)
		return s.welcome(ctx, cookie)
	}
	return SignIn{}, errBusyLink()
}

func errBusyLink() error {
	return refuse(CodeLinkBusy, "This link is being used at this moment. Wait half a minute and try again.")
}

// again reports whether a used secret may answer: to its own transaction, for a
// while.
func (u *use) again(txn []byte, now int64) bool {
	return now < u.At+retryWindow && matches(string(txn), digest(string(u.Txn)))
}

// join appends what using the link means, once, and returns whom it signs in.
func (s *Service) join(ctx context.Context, id string, r linkRecord, c Choice, causation string, now int64) (string, error) {
	if r.Kind == linkSignIn {
		a := Actor{Kind: KindPerson, ID: r.Handle}
		return r.Handle, s.record(ctx, a, SignInLinkUsed, stamp{at: now, id: s.onceID("link", id)}, once(Fact{Handle: r.Handle, Invitation: id}))
	}
	handle := r.Handle
	if r.Kind == linkFirst {
		handle = c.Handle
	}
	if j, ok := s.dir.now.Load().joins[id]; ok {
		handle = j.handle // step 1 happened before
	} else if err := checkHandle(handle); err != nil {
		return "", err
	}
	by := Actor{Kind: KindPerson, ID: handle}
	err := s.record(ctx, by, PersonJoined, stamp{at: now, causation: causation}, func() (Fact, bool, error) {
		d := s.dir.now.Load()
		if j, ok := d.joins[id]; ok {
			// Recorded already. Another transaction may be between its two steps.
			if j.causation != causation && now < j.at+busyWindow {
				return Fact{}, true, errBusyLink()
			}
			handle = j.handle
			return Fact{}, true, nil
		}
		if r.Kind == linkFirst && d.anybody {
			return Fact{}, true, refuse(CodeBadLink, "Somebody has become administrator already. Ask them for an invitation.")
		}
		p := d.people[handle]
		if r.Kind == linkJoin && (p.Standing != Invited || p.Invitation != id) {
			return Fact{}, true, refuse(CodeBadLink, "This invitation was withdrawn. Ask an administrator for a new one.")
		}
		f := Fact{Handle: handle, Name: p.Name, Role: p.Role, Audience: p.Audience, Invitation: id}
		if r.Kind == linkFirst {
			f.Name, f.Role, f.First = handle, RoleAdministrator, true
		}
		if c.Name != "" {
			name, err := cleanName("yourself", c.Name)
			if err != nil {
				return Fact{}, true, err
			}
			f.Name = name
		}
		return f, false, nil
	})
	return handle, err
}
