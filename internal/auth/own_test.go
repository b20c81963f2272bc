package auth

import (
	"slices"
	"strings"
	"testing"
)

// A person lets their own other device in, and nobody else's.
func TestOwnLink(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	ana := h.founded()
	bo := h.member(ana.Actor, "bo", RoleStakeholder, "clients")

	link, err := h.OwnLink(ctx, bo.Actor)
	if err != nil || link.Handle != "bo" || link.ExpiresAt != h.now.Load()+15*minute {
		t.Fatalf("%+v %v", link, err)
	}
	if got := h.types(); got[len(got)-1] != SignInLinkCreated {
		t.Errorf("the log says %v", got)
	}
	o, err := h.Inspect(ctx, link.Token, h.visit())
	if err != nil || !o.Again || o.Handle != "bo" || o.Role != RoleStakeholder {
		t.Fatalf("%+v %v", o, err)
	}
	in := h.accept(link, Choice{})
	if h.holds(in.Cookie) != "person:bo" || in.Cookie == bo.Cookie || in.Actor.Role != RoleStakeholder {
		t.Fatalf("it let %+v in", in.Actor)
	}
	_, err = h.Accept(ctx, link.Token, Choice{}, h.visit())
	wantCode(t, err, CodeBadLink)
	if events, _ := h.log.ReadStream(ctx, Stream, 1, 512); strings.Contains(string(events[len(events)-2].Data), link.Token) || events[len(events)-2].Actor != "person:bo" {
		t.Errorf("the log says %+v", events[len(events)-2])
	}

	// Who has no session of their own makes none.
	tok, _, err := h.CreateToken(ctx, ana.Actor, TokenOrder{Name: "CI", Role: RoleAdministrator})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []Actor{{}, {Kind: KindNobody}, {Kind: KindToken, ID: tok.ID, Role: RoleAdministrator}, {Kind: KindWall, ID: "w", Role: RoleWall, SessionID: "x"},
		{Kind: KindPerson, ID: "bo", Role: RoleResponder}, SystemActor("desktop")} {
		size := h.log.Size()
		if _, err := h.OwnLink(ctx, a); err == nil || h.log.Size() != size {
			t.Errorf("%+v made a link: %v", a, err)
		}
	}

	// Expired.
	link, err = h.OwnLink(ctx, bo.Actor)
	if err != nil {
		t.Fatal(err)
	}
	h.now.Add(15 * minute)
	_, err = h.Accept(ctx, link.Token, Choice{}, h.visit())
	wantCode(t, err, CodeBadLink)
	if !strings.Contains(err.Error(), "your own page") {
		t.Errorf("nothing says what to do: %v", err)
	}

	// Void without the session that made it, whether it was signed out or ended by somebody.
	for _, end := range []func(Actor) error{
		func(a Actor) error { return h.SignOut(ctx, a) },
		func(a Actor) error { return h.RevokeSession(ctx, ana.Actor, a.SessionID) },
		func(a Actor) error { return h.Remove(ctx, ana.Actor, a.ID) },
	} {
		l, err := h.SignInLink(ctx, ana.Actor, "bo")
		if err != nil {
			t.Fatal(err)
		}
		again := h.accept(l, Choice{})
		link, err := h.OwnLink(ctx, again.Actor)
		if err != nil {
			t.Fatal(err)
		}
		if err := end(again.Actor); err != nil {
			t.Fatal(err)
		}
		_, err = h.Inspect(ctx, link.Token, h.visit())
		wantCode(t, err, CodeBadLink)
		_, err = h.Accept(ctx, link.Token, Choice{}, h.visit())
		wantCode(t, err, CodeBadLink)
	}
}

// Links are bounded for each person; one person's eagerness costs nobody else.
func TestOwnLinksAreBounded(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	ana := h.founded()
	bo := h.member(ana.Actor, "bo", RoleResponder, "")
	for range ownLinks {
		if _, err := h.OwnLink(ctx, bo.Actor); err != nil {
			t.Fatal(err)
		}
	}
	size := h.log.Size()
	_, err := h.OwnLink(ctx, bo.Actor)
	wantCode(t, err, CodeTooMany)
	if h.log.Size() != size || !slices.Contains(h.types(), SignInLinkCreated) {
		t.Error("a refused link is in the log")
	}
	if _, err := h.OwnLink(ctx, ana.Actor); err != nil {
		t.Errorf("bo's links cost ana: %v", err)
	}
	h.now.Add(minute)
	if _, err := h.OwnLink(ctx, bo.Actor); err != nil {
		t.Errorf("after a minute: %v", err)
	}
}
