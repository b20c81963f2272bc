package auth

import (
	"context"
	"fmt"

	"github.com/tocsin-ops/tocsin/store"
)

const (
	ownLife  = 15 * minute // of a link that a person makes for another device of theirs
	ownLinks = 6           // such links at once, and then six a minute, for one person
)

// OwnLink makes a link by which the person who asks signs in on another device
// of theirs: good once, for 15 minutes, and only as long as the session that
// made it lasts. It is recorded. Only for people with a session.
func (s *Service) OwnLink(ctx context.Context, by Actor) (Link, error) {
	if err := allow(by, ManageAccount, Subject{Handle: by.ID}); err != nil {
		return Link{}, err
	}
	if by.SessionID == "" {
		return Link{}, refuse(CodeForbidden, "Only somebody who is signed in can make this link.")
	}
	if _, err := s.own.attempt(by.ID, s.clock()); err != nil {
		r := refuse(CodeTooMany, "You made several links just now. Use one of them, or wait a minute.")
		r.RetryAfter = minute
		return Link{}, r
	}
	link, _, err := s.newLink(linkSignIn, by.ID, ownLife)
	if err != nil {
		return Link{}, err
	}
	if err := s.record(ctx, by, SignInLinkCreated, stamp{at: s.clock()}, once(Fact{Handle: by.ID, Invitation: link.ID})); err != nil {
		return Link{}, err
	}
	r := linkRecord{Digest: digest(link.Token), Kind: linkSignIn, Handle: by.ID, CreatedAt: link.ExpiresAt - ownLife, ExpiresAt: link.ExpiresAt, By: by.SessionID}
	if _, err := s.db.Commit(ctx, store.Txn{Then: []store.Op{put(keyLinks+link.ID, r)}}); err != nil {
		return Link{}, fmt.Errorf("keep sign-in link %s: %w", link.ID, err)
	}
	return link, nil
}

// orphaned is true for a link whose maker's session has ended.
func (s *Service) orphaned(ctx context.Context, r linkRecord) (bool, error) {
	if r.By == "" || r.Use != nil {
		return false, nil
	}
	_, rev, err := load[sessionRecord](ctx, s.db, keySessions+r.By)
	if err != nil {
		return false, fmt.Errorf("look up the session that made a link: %w", err)
	}
	return rev == 0, nil
}
