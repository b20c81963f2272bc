package auth

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
	"github.com/tocsin-ops/tocsin/store/storetest"
)

// rivalDB lets a rival act between the decision of a call and its commit: the
// worst moment, every time.
type rivalDB struct {
	store.DB
	rival func() // called once, before the next commit that keeps a session
}

func keepsSession(txn store.Txn) bool {
	for _, op := range txn.Then {
		if strings.HasPrefix(string(op.Key), keySessions) && !op.Delete {
			return true
		}
	}
	return false
}

func (r *rivalDB) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	if f := r.rival; f != nil && keepsSession(txn) {
		r.rival = nil
		f()
	}
	return r.DB.Commit(ctx, txn)
}

func TestRivalBetweenDecisionAndCommit(t *testing.T) {
	type way func(h *house, v Visit) func(Visit) (SignIn, error)
	link := func(make func(h *house) (Link, error)) way {
		return func(h *house, _ Visit) func(Visit) (SignIn, error) {
			l, err := make(h)
			if err != nil {
				t.Fatal(err)
			}
			return func(v Visit) (SignIn, error) {
				return h.Accept(t.Context(), l.Token, Choice{Handle: "ana"}, v)
			}
		}
	}
	for name, w := range map[string]way{
		"sign-in link": link(func(h *house) (Link, error) {
			h.founded()
			return h.SignInLink(t.Context(), SystemActor("console"), "ana")
		}),
		"recovery": func(h *house, _ Visit) func(Visit) (SignIn, error) {
			codes, err := h.NewRecoveryCodes(t.Context(), h.founded().Actor)
			if err != nil {
				t.Fatal(err)
			}
			return func(v Visit) (SignIn, error) { return h.SignInWithRecovery(t.Context(), "ana", codes[0], v) }
		},
		"passkey": func(h *house, v Visit) func(Visit) (SignIn, error) {
			a := &authenticator{t: t, origin: v.Origin}
			h.addPasskey(a, h.founded().Actor)
			c, err := h.BeginLogin(t.Context(), v)
			if err != nil {
				t.Fatal(err)
			}
			signed := a.get(c)
			return func(v Visit) (SignIn, error) { return h.FinishLogin(t.Context(), c.ID, signed, v) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := &rivalDB{DB: mem.New()}
			h := newHouseOn(t, db)
			try := w(h, h.visit())
			sessions, err := h.Devices(t.Context(), KindPerson, "ana")
			if err != nil {
				t.Fatal(err)
			}
			var rival SignIn
			var rivalErr error
			db.rival = func() { rival, rivalErr = try(h.visit()) }
			_, err = try(h.visit())
			if rivalErr != nil || h.holds(rival.Cookie) != "person:ana" {
				t.Fatalf("the rival: %v", rivalErr)
			}
			var r *Refusal
			if !errors.As(err, &r) {
				t.Fatalf("the slower one: %v", err)
			}
			if now, _ := h.Devices(t.Context(), KindPerson, "ana"); len(now) != len(sessions)+1 {
				t.Fatalf("%d sessions more", len(now)-len(sessions))
			}
		})
	}
}

// TestSavedButFailedIsSuccess: the store says no and means yes; nobody has to
// press twice.
func TestSavedButFailedIsSuccess(t *testing.T) {
	db := storetest.Faulty(mem.New(), func(_ int, txn store.Txn) storetest.Fault {
		if keepsSession(txn) {
			return storetest.SaveAndFail()
		}
		return storetest.Pass()
	})
	h := newHouseOn(t, db)
	ana := h.founded()
	codes, err := h.NewRecoveryCodes(t.Context(), ana.Actor)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.SignInWithRecovery(t.Context(), "ana", codes[0], h.visit()); err != nil {
		t.Fatal(err)
	}
	a := &authenticator{t: t, origin: "http://localhost:8080"}
	h.addPasskey(a, ana.Actor)
	if _, err := h.login(a); err != nil {
		t.Fatal(err)
	}
}

// TestTheLogDecides: the store loses every removal, so sessions, keys and
// tokens stay behind; they open nothing, not even when the person comes back.
func TestTheLogDecides(t *testing.T) {
	var broken bool
	db := storetest.Faulty(mem.New(), func(_ int, txn store.Txn) storetest.Fault {
		for _, op := range txn.Then {
			if broken && op.Delete && strings.HasPrefix(string(op.Key), "auth/") {
				return storetest.Lose()
			}
		}
		return storetest.Pass()
	})
	h := newHouseOn(t, db)
	ctx := t.Context()
	ana := h.founded().Actor
	bo := h.member(ana, "bo", RoleResponder, "")
	a := &authenticator{t: t, origin: "http://localhost:8080"}
	h.addPasskey(a, bo.Actor)
	codes, err := h.NewRecoveryCodes(ctx, bo.Actor)
	if err != nil {
		t.Fatal(err)
	}
	login, err := h.BeginLogin(ctx, Visit{Origin: a.origin})
	if err != nil {
		t.Fatal(err)
	}
	signed := a.get(login)
	_, wall, err := h.CreateWallToken(ctx, ana, "Wall")
	if err != nil {
		t.Fatal(err)
	}
	screen, err := h.OpenWall(ctx, wall, h.visit())
	if err != nil {
		t.Fatal(err)
	}
	back, err := h.SignInLink(ctx, ana, "bo")
	if err != nil {
		t.Fatal(err)
	}
	broken = true
	if err := h.Remove(ctx, ana, "bo"); err == nil {
		t.Fatal("the loss was not reported")
	}
	if err := h.RevokeToken(ctx, ana, screen.Actor.ID); err == nil {
		t.Fatal("the loss was not reported")
	}
	void := func() {
		t.Helper()
		if h.holds(bo.Cookie) != "nobody" || h.holds(screen.Cookie) != "nobody" {
			t.Error("a session lives on")
		}
		_, err := h.Token(ctx, wall)
		wantCode(t, err, CodeNotSignedIn)
		_, err = h.FinishLogin(ctx, login.ID, signed, Visit{Origin: a.origin})
		wantCode(t, err, CodeBadPasskey)
		_, err = h.SignInWithRecovery(ctx, "bo", codes[0], Visit{})
		wantCode(t, err, CodeBadCode)
		_, err = h.Accept(ctx, back.Token, Choice{}, h.visit())
		wantCode(t, err, CodeBadLink)
	}
	void()
	h.now.Add(1)
	link, err := h.Invite(ctx, ana, Invitation{Handle: "bo", Name: "Bo", Role: RoleResponder})
	if err != nil {
		t.Fatal(err)
	}
	void()
	h.accept(link, Choice{})
	void()
	broken = false
	if err := h.RevokeToken(ctx, ana, screen.Actor.ID); err != nil { // again, to clean up
		t.Fatal(err)
	}
	if err := h.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if list, _ := h.Devices(ctx, KindPerson, "bo"); len(list) != 1 {
		t.Fatalf("%d sessions of bo after sweeping", len(list))
	}
}

// TestRemoveForgets: nothing of a removed person stays in the store.
func TestRemoveForgets(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	ana := h.founded().Actor
	bo := h.member(ana, "bo-remembered", RoleResponder, "").Actor
	h.addPasskey(&authenticator{t: t, origin: "http://localhost:8080"}, bo)
	if _, err := h.NewRecoveryCodes(ctx, bo); err != nil {
		t.Fatal(err)
	}
	if _, err := h.SignInLink(ctx, ana, bo.ID); err != nil {
		t.Fatal(err)
	}
	if err := h.Remove(ctx, ana, bo.ID); err != nil {
		t.Fatal(err)
	}
	for kv, err := range h.db.Scan(ctx, store.Range{From: []byte("auth/"), To: []byte("auth0")}) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(kv.Key)+string(kv.Value), bo.ID) {
			t.Errorf("%s is still there", kv.Key)
		}
	}
}
