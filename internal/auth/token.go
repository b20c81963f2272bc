package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tocsin-ops/tocsin/store"
)

// Kinds of token.
const (
	TokenAPI  = "api"
	TokenWall = "wall"
)

// bootstrapID is the id of the administrator token given by the environment.
const bootstrapID = "bootstrap"

// TokenOrder is what a new API token shall be.
type TokenOrder struct {
	Name     string
	Role     Role // administrator, responder or stakeholder
	Audience string
	// ExpiresAt is the unix millisecond when it ends; 0 = never.
	ExpiresAt int64
}

// CreateToken makes an API token. The secret, "tocsin_" and 54 letters and
// digits, is returned this once and kept only as a digest. Administrators only.
func (s *Service) CreateToken(ctx context.Context, by Actor, o TokenOrder) (Token, string, error) {
	if err := checkRole(o.Role, o.Audience); err != nil {
		return Token{}, "", err
	}
	if o.ExpiresAt != 0 && o.ExpiresAt <= s.clock() {
		return Token{}, "", refuse(CodeInvalid, "The token would have expired already. Choose a time in the future.")
	}
	return s.createToken(ctx, by, Fact{Name: o.Name, Kind: TokenAPI, Role: o.Role, Audience: o.Audience, ExpiresAt: o.ExpiresAt})
}

// CreateWallToken makes a token for screens: read-only, for the wall and the
// live topics on it, without expiry, revocable. Administrators only.
func (s *Service) CreateWallToken(ctx context.Context, by Actor, name string) (Token, string, error) {
	return s.createToken(ctx, by, Fact{Name: name, Kind: TokenWall, Role: RoleWall})
}

func (s *Service) createToken(ctx context.Context, by Actor, f Fact) (Token, string, error) {
	if err := allow(by, ManageTokens, Subject{}); err != nil {
		return Token{}, "", err
	}
	name, err := cleanName("the token", f.Name)
	if err != nil {
		return Token{}, "", err
	}
	text, id, err := s.mint(tokenPrefix)
	if err != nil {
		return Token{}, "", err
	}
	f.Name, f.ID = name, id
	// The digest first: without its event it opens nothing.
	if _, err := s.db.Commit(ctx, store.Txn{If: []store.Cond{cond(keyTokens+id, 0)}, Then: []store.Op{put(keyTokens+id, tokenRecord{Digest: digest(text)})}}); err != nil {
		return Token{}, "", fmt.Errorf("keep token %s: %w", id, err)
	}
	if err := s.record(ctx, by, TokenCreated, stamp{at: s.clock()}, once(f)); err != nil {
		return Token{}, "", err
	}
	t, _ := s.dir.Token(id)
	return t, text, nil
}

// RevokeToken ends a token, its wall sessions and their sockets, at once. The
// log decides: a token whose revocation is recorded opens nothing, whatever the
// store still holds. Revoking twice is fine.
func (s *Service) RevokeToken(ctx context.Context, by Actor, id string) error {
	if err := allow(by, ManageTokens, Subject{}); err != nil {
		return err
	}
	if err := s.record(ctx, by, TokenRevoked, stamp{at: s.clock()}, func() (Fact, bool, error) {
		t, ok := s.dir.Token(id)
		if !ok {
			return Fact{}, true, refuse(CodeUnknownToken, "There is no such token. Reload the list of tokens.")
		}
		return Fact{ID: id, Name: t.Name}, t.RevokedAt != 0, nil
	}); err != nil {
		return err
	}
	list, err := s.Devices(ctx, KindWall, id)
	if err != nil {
		return err
	}
	gone := []string{keyTokens + id}
	for _, d := range list {
		gone = append(gone, keySessions+d.ID)
	}
	return s.removeAll(ctx, gone)
}

// Tokens lists the tokens, oldest first, with when each was last used.
// Administrators only.
func (s *Service) Tokens(ctx context.Context, by Actor) ([]Token, error) {
	if err := allow(by, ManageTokens, Subject{}); err != nil {
		return nil, err
	}
	list := s.dir.Tokens()
	for i, t := range list {
		r, _, err := load[tokenRecord](ctx, s.db, keyTokens+t.ID)
		if err != nil {
			return nil, err
		}
		list[i].LastUsedAt = r.UsedAt
	}
	return list, nil
}

// Token returns who holds the Bearer token: a program, or a wall. When it is
// nobody, the error is a Refusal with CodeNotSignedIn.
func (s *Service) Token(ctx context.Context, bearer string) (Actor, error) {
	nobody := Actor{Kind: KindNobody}
	unknown := refuse(CodeNotSignedIn, "This token is not valid. Ask an administrator for a new one.")
	if s.bootstrap != nil && matches(bearer, s.bootstrap) {
		return Actor{Kind: KindToken, ID: bootstrapID, Name: "TOCSIN_BOOTSTRAP_TOKEN", Role: RoleAdministrator}, nil
	}
	id, ok := split(bearer, tokenPrefix)
	if !ok {
		return nobody, unknown
	}
	key := keyTokens + id
	r, rev, err := load[tokenRecord](ctx, s.db, key)
	if err != nil {
		return nobody, fmt.Errorf("look up token %s: %w", id, err)
	}
	if rev == 0 || !matches(bearer, r.Digest) {
		return nobody, unknown
	}
	t, ok := s.dir.Token(id)
	if !ok { // perhaps this process has not yet heard of it
		if err := s.refresh(ctx); err != nil {
			return nobody, err
		}
		t, ok = s.dir.Token(id)
	}
	now := s.clock()
	if !ok || t.RevokedAt != 0 {
		return nobody, unknown
	}
	if t.ExpiresAt != 0 && now >= t.ExpiresAt {
		return nobody, refuse(CodeNotSignedIn, "This token has expired. Ask an administrator for a new one.")
	}
	if now-r.UsedAt >= seenEvery {
		r.UsedAt = now
		brief, cancel := context.WithTimeout(ctx, seenWithin)
		_, err := s.db.Commit(brief, store.Txn{If: []store.Cond{cond(key, rev)}, Then: []store.Op{put(key, r)}})
		cancel()
		if err != nil && !errors.Is(err, store.ErrConflict) {
			s.slog.Debug("write when a token was last used", "token", id, "error", err)
		}
	}
	a := Actor{Kind: KindToken, ID: t.ID, Name: t.Name, Role: t.Role, Audience: t.Audience, Until: t.ExpiresAt}
	if t.Kind == TokenWall {
		a.Kind, a.Role = KindWall, RoleWall
	}
	return a, nil
}

// OpenWall exchanges a wall token for the cookie of one screen. The session has
// no end but the token's revocation.
func (s *Service) OpenWall(ctx context.Context, token string, v Visit) (SignIn, error) {
	giveBack, err := s.signIns.attempt(v.Address, s.clock())
	if err != nil {
		return SignIn{}, err
	}
	a, err := s.Token(ctx, strings.TrimSpace(token))
	if err != nil && errors.Is(err, &Refusal{Code: CodeNotSignedIn}) || err == nil && a.Kind != KindWall {
		return SignIn{}, refuse(CodeBadLink, "This wall link is not valid any more. Make a new one under Tokens.")
	}
	if err != nil {
		return SignIn{}, err
	}
	giveBack()
	cookie, id, op, err := s.entry(KindWall, a.ID, v.Device, token, v.Txn, s.clock())
	if err != nil {
		return SignIn{}, err
	}
	if err := s.settle(ctx, store.Txn{Then: []store.Op{op}}, s.sessionThere(id, cookie)); err != nil {
		return SignIn{}, fmt.Errorf("open the wall of token %s: %w", a.ID, err)
	}
	return s.welcome(ctx, cookie)
}

// sessionThere looks whether the session is kept.
func (s *Service) sessionThere(id, cookie string) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		r, rev, err := load[sessionRecord](ctx, s.db, keySessions+id)
		return rev != 0 && matches(cookie, r.Digest), err
	}
}
