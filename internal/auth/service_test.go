package auth

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
)

func TestSessionLife(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	in := h.founded()
	begin := h.now.Load()
	seen := func() int64 {
		list, err := h.Devices(ctx, KindPerson, "ana")
		if err != nil || len(list) != 1 || list[0].Name != "Firefox on Linux" || list[0].CreatedAt != begin {
			t.Fatalf("%+v %v", list, err)
		}
		return list[0].SeenAt
	}
	h.now.Add(minute - 1)
	if h.holds(in.Cookie) != "person:ana" || seen() != begin {
		t.Fatal("last seen is written more than once a minute")
	}
	h.now.Add(1)
	a, err := h.Session(ctx, in.Cookie)
	if err != nil || seen() != begin+minute || a.Until != begin+minute+idleLimit {
		t.Fatalf("%+v %v", a, err)
	}
	h.now.Add(idleLimit - 1)
	if h.holds(in.Cookie) != "person:ana" {
		t.Fatal("ended early")
	}
	h.now.Add(idleLimit)
	if h.holds(in.Cookie) != "nobody" {
		t.Fatal("an idle session lives on")
	}
	if err := h.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if !h.takeEnded()["session:"+in.Actor.SessionID] {
		t.Fatal("nobody was told that the session ended")
	}
	for _, cookie := range []string{"", "session_", in.Cookie + "x", strings.Replace(in.Cookie, "session_", "tocsin_", 1), in.Cookie[:len(in.Cookie)-1] + "_"} {
		if h.holds(cookie) != "nobody" {
			t.Errorf("cookie %q is somebody", cookie)
		}
	}
}

func TestRevokeSessions(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	ana := h.founded()
	bo := h.member(ana.Actor, "bo", RoleResponder, "")
	more := func(handle string) SignIn {
		link, err := h.SignInLink(ctx, SystemActor("console"), handle)
		if err != nil {
			t.Fatal(err)
		}
		return h.accept(link, Choice{})
	}
	bo2, bo3, ana2 := more("bo"), more("bo"), more("ana")
	h.takeEnded()
	wantCode(t, h.RevokeSession(ctx, bo.Actor, ana.Actor.SessionID), CodeUnknown) // does not even tell that it exists
	wantCode(t, h.RevokeSession(ctx, bo.Actor, "nonsense"), CodeUnknown)
	if err := h.RevokeSession(ctx, bo.Actor, bo2.Actor.SessionID); err != nil {
		t.Fatal(err)
	}
	if h.holds(bo2.Cookie) != "nobody" || h.holds(bo.Cookie) != "person:bo" || !h.takeEnded()["session:"+bo2.Actor.SessionID] {
		t.Fatal("wrong session ended")
	}
	if err := h.RevokeSessions(ctx, ana.Actor, "bo"); err != nil { // an administrator
		t.Fatal(err)
	}
	ended := h.takeEnded()
	if h.holds(bo.Cookie) != "nobody" || h.holds(bo3.Cookie) != "nobody" || len(ended) != 2 {
		t.Fatal(ended)
	}
	if err := h.RevokeSessions(ctx, ana.Actor, "ana"); err != nil {
		t.Fatal(err)
	}
	if h.holds(ana.Cookie) != "person:ana" || h.holds(ana2.Cookie) != "nobody" {
		t.Fatal("revoking all others must spare the one that asks")
	}
	wantCode(t, h.RevokeSessions(ctx, bo3.Actor, "ana"), CodeForbidden)
	if err := h.SignOut(ctx, ana.Actor); err != nil || h.holds(ana.Cookie) != "nobody" {
		t.Fatal("still signed in", err)
	}
	if count(h.types(), SessionRevoked) != 4 {
		t.Fatal(h.types())
	}
}

func TestSessionsAreBounded(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	ana := h.founded()
	_, secret, err := h.CreateWallToken(ctx, ana.Actor, "Wall")
	if err != nil {
		t.Fatal(err)
	}
	var first SignIn
	for i := range wallsOf + 3 {
		h.now.Add(1)
		in, err := h.OpenWall(ctx, secret, Visit{Address: "192.0.2.1", Txn: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = in
		}
	}
	list, err := h.Devices(ctx, KindWall, first.Actor.ID)
	if err != nil || len(list) != wallsOf || h.holds(first.Cookie) != "nobody" || h.holds(ana.Cookie) == "nobody" {
		t.Fatalf("%d sessions, %v", len(list), err)
	}
}

func TestTokens(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.BootstrapToken = "a bootstrap token that is long enough" })
	ctx := t.Context()
	boot, err := h.Token(ctx, "a bootstrap token that is long enough")
	if err != nil || boot.Role != RoleAdministrator || boot.String() != "token:bootstrap" || boot.Owner() != "token:bootstrap" {
		t.Fatalf("%+v %v", boot, err)
	}
	tok, secret, err := h.CreateToken(ctx, boot, TokenOrder{Name: "CI", Role: RoleResponder, ExpiresAt: h.now.Load() + day})
	if err != nil || !strings.HasPrefix(secret, "tocsin_") || tok.CreatedBy != "token:bootstrap" || tok.Kind != TokenAPI {
		t.Fatalf("%+v %v", tok, err)
	}
	a, err := h.Token(ctx, secret)
	if err != nil || a != (Actor{Kind: KindToken, ID: tok.ID, Name: "CI", Role: RoleResponder, Until: h.now.Load() + day}) {
		t.Fatalf("%+v %v", a, err)
	}
	used := func() int64 {
		list, err := h.Tokens(ctx, boot)
		if err != nil {
			t.Fatal(err)
		}
		return list[0].LastUsedAt
	}
	at := h.now.Load()
	h.now.Add(minute - 1)
	h.Token(ctx, secret)
	if used() != at {
		t.Fatal("last used is written more than once a minute")
	}
	h.now.Add(1)
	h.Token(ctx, secret)
	if used() != at+minute {
		t.Fatal("last used is not written")
	}
	for _, bad := range []string{"", secret + "x", secret[:len(secret)-1] + "_", "tocsin_" + strings.Repeat("0", 54), "a bootstrap token that is long enougH"} {
		_, err := h.Token(ctx, bad)
		wantCode(t, err, CodeNotSignedIn)
	}
	for _, o := range []TokenOrder{{Name: "", Role: RoleResponder}, {Name: "x", Role: RoleWall}, {Name: "x", Role: "root"}, {Name: "x", Role: RoleResponder, ExpiresAt: 1}} {
		_, _, err := h.CreateToken(ctx, boot, o)
		wantCode(t, err, CodeInvalid)
	}
	_, _, err = h.CreateToken(ctx, a, TokenOrder{Name: "x", Role: RoleAdministrator})
	wantCode(t, err, CodeForbidden)
	_, err = h.Tokens(ctx, a)
	wantCode(t, err, CodeForbidden)
	wantCode(t, h.RevokeToken(ctx, a, tok.ID), CodeForbidden)
	wantCode(t, h.RevokeToken(ctx, boot, "nonsense"), CodeUnknownToken)
	h.now.Store(at + day)
	_, err = h.Token(ctx, secret)
	wantCode(t, err, CodeNotSignedIn)
	h.now.Store(at)
	for range 2 {
		if err := h.RevokeToken(ctx, boot, tok.ID); err != nil {
			t.Fatal(err)
		}
	}
	_, err = h.Token(ctx, secret)
	wantCode(t, err, CodeNotSignedIn)
	if !h.takeEnded()["token:"+tok.ID] || count(h.types(), TokenRevoked) != 1 {
		t.Fatal(h.types())
	}
	none := newHouse(t)
	_, err = none.Token(ctx, "")
	wantCode(t, err, CodeNotSignedIn)
}

func TestWallNeverLogsOut(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	ana := h.founded()
	tok, secret, err := h.CreateWallToken(ctx, ana.Actor, "Wall in Zug")
	if err != nil {
		t.Fatal(err)
	}
	bearer, err := h.Token(ctx, secret)
	if err != nil || bearer.Kind != KindWall || bearer.Role != RoleWall {
		t.Fatalf("%+v %v", bearer, err)
	}
	in, err := h.OpenWall(ctx, secret, h.visit())
	if err != nil || in.Actor.Kind != KindWall || in.Actor.Until != 0 || in.Actor.Owner() != "session:"+in.Actor.SessionID {
		t.Fatalf("%+v %v", in.Actor, err)
	}
	h.now.Add(3650 * day)
	if err := h.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if h.holds(in.Cookie) != "token:"+tok.ID {
		t.Fatal("the wall logged out")
	}
	_, api, err := h.CreateToken(ctx, ana.Actor, TokenOrder{Name: "x", Role: RoleAdministrator})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{api, "", secret[:20]} {
		_, err := h.OpenWall(ctx, bad, h.visit())
		wantCode(t, err, CodeBadLink)
	}
	h.takeEnded()
	if err := h.RevokeToken(ctx, ana.Actor, tok.ID); err != nil {
		t.Fatal(err)
	}
	if ended := h.takeEnded(); h.holds(in.Cookie) != "nobody" || !ended["session:"+in.Actor.SessionID] || !ended["token:"+tok.ID] {
		t.Fatal(ended)
	}
	_, err = h.OpenWall(ctx, secret, h.visit())
	wantCode(t, err, CodeBadLink)
}

func TestPeopleChange(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	ana := h.founded()
	wantCode(t, h.ChangeRole(ctx, ana.Actor, "ana", RoleResponder, ""), CodeLastAdmin)
	wantCode(t, h.Remove(ctx, ana.Actor, "ana"), CodeLastAdmin)
	bo := h.member(ana.Actor, "bo", RoleResponder, "")
	for _, err := range []error{
		h.ChangeRole(ctx, bo.Actor, "bo", RoleAdministrator, ""), h.Remove(ctx, bo.Actor, "ana"), h.Rename(ctx, bo.Actor, "ana", "X"),
		h.RevokeInvitation(ctx, bo.Actor, "x"),
	} {
		wantCode(t, err, CodeForbidden)
	}
	_, err := h.Invite(ctx, bo.Actor, Invitation{Handle: "x", Name: "X", Role: RoleResponder})
	wantCode(t, err, CodeForbidden)
	_, err = h.SignInLink(ctx, bo.Actor, "ana")
	wantCode(t, err, CodeForbidden)
	_, err = h.Resend(ctx, bo.Actor, "ana")
	wantCode(t, err, CodeForbidden)
	wantCode(t, h.ChangeRole(ctx, ana.Actor, "zoe", RoleResponder, ""), CodeUnknownPerson)
	wantCode(t, h.ChangeRole(ctx, ana.Actor, "bo", RoleWall, ""), CodeInvalid)
	_, err = h.SignInLink(ctx, ana.Actor, "zoe")
	wantCode(t, err, CodeUnknownPerson)

	h.takeEnded()
	if err := h.ChangeRole(ctx, ana.Actor, "bo", RoleStakeholder, "regulator"); err != nil {
		t.Fatal(err)
	}
	a, err := h.Session(ctx, bo.Cookie)
	if err != nil || a.Role != RoleStakeholder || a.Audience != "regulator" || !h.takeEnded()["session:"+bo.Actor.SessionID] {
		t.Fatalf("%+v %v", a, err)
	}
	events := h.log.Size()
	if err := h.ChangeRole(ctx, ana.Actor, "bo", RoleStakeholder, "regulator"); err != nil || h.log.Size() != events {
		t.Fatal("nothing changed and something was recorded", err)
	}
	if err := h.Rename(ctx, a, "bo", "  Bo Berg "); err != nil {
		t.Fatal(err)
	}
	if p, _ := h.Directory().Person("bo"); p.Name != "Bo Berg" {
		t.Fatalf("%+v", p)
	}
	wantCode(t, h.Rename(ctx, a, "bo", "a\x00b"), CodeInvalid)

	if err := h.ChangeRole(ctx, ana.Actor, "bo", RoleAdministrator, ""); err != nil {
		t.Fatal(err)
	}
	if err := h.ChangeRole(ctx, ana.Actor, "ana", RoleResponder, ""); err != nil {
		t.Fatal(err)
	}
	a, _ = h.Session(ctx, bo.Cookie)
	wantCode(t, h.Remove(ctx, a, "bo"), CodeLastAdmin)
	h.takeEnded()
	if err := h.Remove(ctx, a, "ana"); err != nil {
		t.Fatal(err)
	}
	if h.holds(ana.Cookie) != "nobody" || !h.takeEnded()["session:"+ana.Actor.SessionID] {
		t.Fatal("a removed person is still here")
	}
	wantCode(t, h.Remove(ctx, a, "ana"), CodeUnknownPerson)
	if p, ok := h.Directory().Person("ana"); !ok || p.Standing != Removed {
		t.Fatal("the record forgot a person")
	}
}

// TestLastAdministratorUnderRace: two administrators demote each other at once.
func TestLastAdministratorUnderRace(t *testing.T) {
	for range 20 {
		h := newHouse(t)
		ctx := t.Context()
		ana := h.founded().Actor
		bo := h.member(ana, "bo", RoleAdministrator, "").Actor
		var wg sync.WaitGroup
		wg.Go(func() { h.ChangeRole(ctx, ana, "bo", RoleResponder, "") })
		wg.Go(func() { h.Remove(ctx, bo, "ana") })
		wg.Wait()
		if n := h.Directory().now.Load().admins; n != 1 {
			t.Fatalf("%d administrators", n)
		}
	}
}

func TestRecovery(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	ana := h.founded()
	codes, err := h.NewRecoveryCodes(ctx, ana.Actor)
	if err != nil || len(codes) != recoveryCodes {
		t.Fatal(codes, err)
	}
	in, err := h.SignInWithRecovery(ctx, " @Ana", strings.ToLower(strings.ReplaceAll(codes[4], "-", " ")), h.visit())
	if err != nil || in.Actor.String() != "person:ana" {
		t.Fatal(err)
	}
	v := h.visit()
	v.Address = "198.51.100.1"
	bo := h.member(ana.Actor, "bo", RoleResponder, "")
	for _, try := range [][2]string{{"ana", codes[4]}, {"ana", ""}, {"bo", codes[5]}, {"zoe", codes[5]}, {"", codes[5]}, {"ANA!", codes[5]}, {"ana", strings.Repeat("A", 16)}} {
		_, err := h.SignInWithRecovery(ctx, try[0], try[1], v)
		wantCode(t, err, CodeBadCode)
	}
	for range attemptsPerAddress {
		_, err = h.SignInWithRecovery(ctx, "ana", "WRON-GWRO-NGWR-ONGW", v)
	}
	wantCode(t, err, CodeTooMany)
	_, err = h.SignInWithRecovery(ctx, "ana", codes[5], v)
	wantCode(t, err, CodeTooMany) // also for who now knows the right one
	if left, _ := h.RecoveryCodesLeft(ctx, "ana"); left != recoveryCodes-1 {
		t.Fatalf("%d left", left)
	}
	fresh, err := h.NewRecoveryCodes(ctx, ana.Actor)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.SignInWithRecovery(ctx, "ana", codes[5], h.visit())
	wantCode(t, err, CodeBadCode)
	if _, err := h.SignInWithRecovery(ctx, "ana", fresh[0], h.visit()); err != nil {
		t.Fatal(err)
	}
	boCodes, err := h.NewRecoveryCodes(ctx, bo.Actor)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Remove(ctx, ana.Actor, "bo"); err != nil {
		t.Fatal(err)
	}
	_, err = h.SignInWithRecovery(ctx, "bo", boCodes[0], h.visit())
	wantCode(t, err, CodeBadCode)
}

func TestConcurrentRecoveryOneWins(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	codes, err := h.NewRecoveryCodes(ctx, h.founded().Actor)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = h.SignInWithRecovery(ctx, "ana", codes[0], Visit{Address: fmt.Sprintf("10.2.2.%d", i)})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wantCode(t, err, CodeBadCode)
		}
	}
	if won != 1 || count(h.types(), RecoveryUsed) != 1 {
		t.Fatalf("%d won, %v", won, h.types())
	}
}

func TestCSRF(t *testing.T) {
	h := newHouse(t)
	ana := h.founded().Actor
	bo := h.member(ana, "bo", RoleResponder, "").Actor
	if !h.CheckCSRF(ana, h.CSRF(ana)) || h.CheckCSRF(ana, h.CSRF(bo)) || h.CheckCSRF(ana, "") || h.CheckCSRF(Actor{}, "") || h.CheckCSRF(Actor{}, h.CSRF(Actor{})) {
		t.Fatal("CSRF tokens are not bound to their session")
	}
}

// TestAnotherReplica: what one process changes ends sockets in another.
func TestAnotherReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		ana := h.founded()
		bo := h.member(ana.Actor, "bo", RoleResponder, "")
		ctx, stop := context.WithCancel(t.Context())
		otherLog, err := eventlog.Open(ctx, h.db, eventlog.Options{})
		if err != nil {
			t.Fatal(err)
		}
		other, err := New(ctx, h.db, otherLog, Options{Clock: h.now.Load, Logger: h.Service.slog})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		ended := map[string]bool{}
		other.OnRevoke(func(owner string) { mu.Lock(); ended[owner] = true; mu.Unlock() })
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := otherLog.Run(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if err := other.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		// Somebody whom the other process has not heard of yet is let in at once.
		cleo := h.member(ana.Actor, "cleo", RoleResponder, "")
		if a, err := other.Session(ctx, cleo.Cookie); err != nil || a.ID != "cleo" {
			t.Fatal(a, err)
		}
		_, secret, err := h.CreateToken(ctx, ana.Actor, TokenOrder{Name: "x", Role: RoleResponder})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Token(ctx, secret); err != nil {
			t.Fatal(err)
		}
		if err := h.ChangeRole(ctx, ana.Actor, "bo", RoleStakeholder, ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		mu.Lock()
		if !ended["session:"+bo.Actor.SessionID] {
			t.Error("the other process was not told")
		}
		mu.Unlock()
		if a, err := other.Session(ctx, bo.Cookie); err != nil || a.Role != RoleStakeholder {
			t.Error(a, err)
		}
		// No event tells of a sign-out, and the record of who was removed is gone before anybody reads it.
		if err := h.SignOut(ctx, cleo.Actor); err != nil {
			t.Fatal(err)
		}
		dan := h.member(ana.Actor, "dan", RoleResponder, "")
		if err := h.Remove(ctx, ana.Actor, "dan"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		mu.Lock()
		for _, gone := range []SignIn{cleo, dan} {
			if !ended["session:"+gone.Actor.SessionID] {
				t.Errorf("the other process was not told that %s left", gone.Actor.ID)
			}
		}
		mu.Unlock()
		stop()
		wg.Wait()
	})
}
