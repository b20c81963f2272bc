package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tocsin-ops/tocsin/store"
)

// Kinds of link.
const (
	linkFirst  = "first"  // to become the first administrator
	linkJoin   = "join"   // an invitation
	linkSignIn = "signin" // to sign in again without a passkey
)

const (
	invitationLife = 7 * day
	shortLife      = day         // of the first administrator's and of sign-in links
	retryWindow    = 10 * minute // how long a used secret answers its own transaction
	busyWindow     = minute / 2  // how long a half-finished use keeps others out
)

// Link is a single-use link. Token is its secret part and exists nowhere else.
type Link struct {
	ID        string // public
	Token     string
	Handle    string // empty for the first administrator
	ExpiresAt int64  // unix ms
}

// Path is what follows the public address: "/join/<token>". The page there
// shows Inspect and asks for a button press; only the press calls Accept, so
// that mail scanners and previews do not use the link up.
func (l Link) Path() string { return "/join/" + l.Token }

// Offer is what a link offers, as the page behind it shows it.
type Offer struct {
	// First: whoever accepts becomes the first administrator and chooses a handle.
	First bool
	// Again: the person is a member already and signs in once more.
	Again     bool
	Handle    string
	Name      string
	Role      Role
	Audience  string
	ExpiresAt int64
}

// Invitation is whom to invite. The handle is for ever.
type Invitation struct {
	Handle   string
	Name     string
	Role     Role
	Audience string // only for stakeholders
}

// Bootstrap returns a link for the first administrator while nobody has ever
// joined; else needed is false. Each call makes a new link, good for 24 hours and
// until somebody has joined; the newest keptFirst are good at a time, because
// replicas that start together each print one. Nothing of it is in the log.
func (s *Service) Bootstrap(ctx context.Context) (link Link, needed bool, err error) {
	if err := s.refresh(ctx); err != nil {
		return Link{}, false, err
	}
	if s.dir.Founded() {
		return Link{}, false, nil
	}
	for range 5 {
		old, rev, err := load[firstLinks](ctx, s.db, keyFirst)
		if err != nil {
			return Link{}, false, err
		}
		link, op, err := s.newLink(linkFirst, "", shortLife)
		if err != nil {
			return Link{}, false, err
		}
		txn := store.Txn{If: []store.Cond{cond(keyFirst, rev)}, Then: []store.Op{op}}
		for len(old) >= keptFirst {
			txn.Then = append(txn.Then, remove(keyLinks+old[0]))
			old = old[1:]
		}
		txn.Then = append(txn.Then, put(keyFirst, append(old, link.ID)))
		switch _, err = s.db.Commit(ctx, txn); {
		case err == nil:
			return link, true, nil
		case !errors.Is(err, store.ErrConflict):
			return Link{}, false, fmt.Errorf("keep the first administrator's link: %w", err)
		}
	}
	return Link{}, false, refuse(CodeBusy, "Another process makes the first sign-in link at this moment. Try again.")
}

const keptFirst = 4

// firstLinks are the ids of the first administrator's links, the newest last.
// Once there was one, written as a string.
type firstLinks []string

func (l *firstLinks) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*l = firstLinks{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(l))
}

func (s *Service) newLink(kind, handle string, life int64) (Link, store.Op, error) {
	text, id, err := s.mint(linkPrefix)
	if err != nil {
		return Link{}, store.Op{}, err
	}
	now := s.clock()
	l := Link{ID: id, Token: text, Handle: handle, ExpiresAt: now + life}
	return l, put(keyLinks+id, linkRecord{Digest: digest(text), Kind: kind, Handle: handle, CreatedAt: now, ExpiresAt: l.ExpiresAt}), nil
}

// Invite records the invitation and returns its link, good for seven days. A
// handle that somebody has, or is invited under, is refused; a removed person
// may be invited again under the same handle, and must be the same human being.
// Administrators only.
func (s *Service) Invite(ctx context.Context, by Actor, i Invitation) (Link, error) {
	if err := allow(by, ManagePeople, Subject{}); err != nil {
		return Link{}, err
	}
	if err := checkHandle(i.Handle); err != nil {
		return Link{}, err
	}
	if err := checkRole(i.Role, i.Audience); err != nil {
		return Link{}, err
	}
	name, err := cleanName("the person", i.Name)
	if err != nil {
		return Link{}, err
	}
	return s.invite(ctx, by, i.Handle, func() (Fact, bool, error) {
		if p, ok := s.dir.Person(i.Handle); ok && p.Standing != Removed {
			return Fact{}, true, refuse(CodeHandleTaken, "The handle %s belongs to %s. Choose another one.", p.Handle, p.Name)
		}
		return Fact{Handle: i.Handle, Name: name, Role: i.Role, Audience: i.Audience}, false, nil
	})
}

// Resend makes a new link for somebody who is invited and has not joined; the
// old one is void. Administrators only.
func (s *Service) Resend(ctx context.Context, by Actor, handle string) (Link, error) {
	if err := allow(by, ManagePeople, Subject{}); err != nil {
		return Link{}, err
	}
	return s.invite(ctx, by, handle, func() (Fact, bool, error) {
		p, err := s.invited(handle)
		return Fact{Handle: handle, Name: p.Name, Role: p.Role, Audience: p.Audience}, false, err
	})
}

func (s *Service) invite(ctx context.Context, by Actor, handle string, check func() (Fact, bool, error)) (Link, error) {
	link, op, err := s.newLink(linkJoin, handle, invitationLife)
	if err != nil {
		return Link{}, err
	}
	if err := s.refresh(ctx); err != nil {
		return Link{}, err
	}
	if _, _, err := check(); err != nil {
		return Link{}, err
	}
	// The secret first: without its event the link opens nothing.
	if _, err := s.db.Commit(ctx, store.Txn{Then: []store.Op{op}}); err != nil {
		return Link{}, fmt.Errorf("keep invitation %s: %w", link.ID, err)
	}
	var old string
	if err := s.record(ctx, by, PersonInvited, stamp{at: s.clock()}, func() (Fact, bool, error) {
		p, _ := s.dir.Person(handle)
		old = p.Invitation
		f, done, err := check()
		f.Invitation = link.ID
		return f, done, err
	}); err != nil {
		return Link{}, err
	}
	if old != "" {
		return link, s.removeAll(ctx, []string{keyLinks + old})
	}
	return link, nil
}

func (s *Service) invited(handle string) (Person, error) {
	p, ok := s.dir.Person(handle)
	if !ok || p.Standing != Invited {
		return p, refuse(CodeUnknownPerson, "Nobody with the handle %s is waiting to join. Check the list of people.", shorten(handle, handleMost))
	}
	return p, nil
}

// RevokeInvitation voids the invitation of somebody who has not joined.
// Administrators only.
func (s *Service) RevokeInvitation(ctx context.Context, by Actor, handle string) error {
	if err := allow(by, ManagePeople, Subject{}); err != nil {
		return err
	}
	var old string
	if err := s.record(ctx, by, InvitationRevoked, stamp{at: s.clock()}, func() (Fact, bool, error) {
		p, err := s.invited(handle)
		old = p.Invitation
		return Fact{Handle: handle, Invitation: old}, false, err
	}); err != nil {
		return err
	}
	return s.removeAll(ctx, []string{keyLinks + old})
}

// SignInLink makes a link, good for 24 hours, by which a member signs in again
// without a passkey: the way back for somebody who lost everything. It is
// recorded who made it. Administrators and the system (the command line on the
// server) only.
func (s *Service) SignInLink(ctx context.Context, by Actor, handle string) (Link, error) {
	if err := allow(by, ManagePeople, Subject{}); err != nil {
		return Link{}, err
	}
	link, op, err := s.newLink(linkSignIn, handle, shortLife)
	if err != nil {
		return Link{}, err
	}
	if err := s.record(ctx, by, SignInLinkCreated, stamp{at: s.clock()}, func() (Fact, bool, error) {
		p, ok := s.dir.Person(handle)
		if !ok || p.Standing != Joined {
			return Fact{}, true, refuse(CodeUnknownPerson, "Nobody with the handle %s has joined. Check the list of people.", shorten(handle, handleMost))
		}
		return Fact{Handle: handle, Invitation: link.ID}, false, nil
	}); err != nil {
		return Link{}, err
	}
	if _, err := s.db.Commit(ctx, store.Txn{Then: []store.Op{op}}); err != nil {
		return Link{}, fmt.Errorf("keep sign-in link %s: %w", link.ID, err)
	}
	return link, nil
}

// Inspect says what a link offers and uses nothing up.
func (s *Service) Inspect(ctx context.Context, token string, v Visit) (Offer, error) {
	giveBack, err := s.signIns.attempt(v.Address, s.clock())
	if err != nil {
		return Offer{}, err
	}
	id, r, _, err := s.openLink(ctx, token)
	if err != nil {
		return Offer{}, err
	}
	giveBack()
	if r.Use != nil {
		return Offer{}, errLinkUsed()
	}
	o := Offer{First: r.Kind == linkFirst, Again: r.Kind == linkSignIn, Handle: r.Handle, ExpiresAt: r.ExpiresAt, Role: RoleAdministrator}
	if o.First {
		if j, ok := s.dir.now.Load().joins[id]; ok {
			o.Handle = j.handle
		}
	}
	if p, ok := s.dir.Person(o.Handle); ok {
		o.Name, o.Role, o.Audience = p.Name, p.Role, p.Audience
	}
	return o, nil
}

func errLinkUsed() error {
	return refuse(CodeBadLink, "This link has been used. Sign in with your passkey, or ask an administrator for a new link.")
}

// openLink finds the record of a link that may still be used, or whose use may
// still be asked for again, and has the directory current.
func (s *Service) openLink(ctx context.Context, token string) (id string, r linkRecord, rev int64, err error) {
	bad := refuse(CodeBadLink, "This link is not valid. It may have been replaced or withdrawn: ask an administrator for a new one.")
	id, ok := split(token, linkPrefix)
	if !ok {
		return "", r, 0, bad
	}
	if r, rev, err = load[linkRecord](ctx, s.db, keyLinks+id); err != nil {
		return "", r, 0, fmt.Errorf("look up link %s: %w", id, err)
	}
	if rev == 0 || !matches(token, r.Digest) {
		return "", r, 0, bad
	}
	if r.Use == nil && s.clock() >= r.ExpiresAt {
		if r.Kind == linkFirst {
			return "", r, 0, refuse(CodeBadLink, "This link has expired. Restart Tocsin and use the link that it prints.")
		}
		if r.By != "" {
			return "", r, 0, refuse(CodeBadLink, "This link has expired. Make a new one on your own page, where you are signed in.")
		}
		return "", r, 0, refuse(CodeBadLink, "This link has expired. Ask an administrator for a new one.")
	}
	if err := s.refresh(ctx); err != nil {
		return "", r, 0, err
	}
	d := s.dir.now.Load()
	_, joined := d.joins[id]
	p := d.people[r.Handle]
	switch {
	case r.Kind == linkFirst && d.anybody && !joined,
		r.Kind == linkJoin && !joined && (p.Standing != Invited || p.Invitation != id),
		r.Kind == linkJoin && joined && p.Standing != Joined,
		r.Kind == linkSignIn && (p.Standing != Joined || r.CreatedAt < p.JoinedAt):
		return "", r, 0, bad
	}
	void, err := s.orphaned(ctx, r)
	switch {
	case err != nil:
		return "", r, 0, err
	case void:
		return "", r, 0, bad
	}
	return id, r, rev, nil
}
