package auth

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
)

// addPasskey registers a key of the authenticator for the person.
func (h *house) addPasskey(a *authenticator, by Actor) Passkey {
	h.t.Helper()
	c, err := h.BeginRegistration(h.t.Context(), by, Visit{Origin: a.origin})
	if err != nil {
		h.t.Fatal(err)
	}
	p, err := h.FinishRegistration(h.t.Context(), by, c.ID, "Laptop", a.create(c), Visit{Origin: a.origin})
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *house) login(a *authenticator) (SignIn, error) {
	h.t.Helper()
	v := Visit{Origin: a.origin, Address: "192.0.2.9", Device: "Safari"}
	c, err := h.BeginLogin(h.t.Context(), v)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.FinishLogin(h.t.Context(), c.ID, a.get(c), v)
}

func TestPasskeyRoundTrip(t *testing.T) {
	for _, c := range []struct {
		name, url, origin string
		packed, synced    bool
	}{
		{"localhost", "", "http://localhost:8080", false, false},
		{"packed", "", "http://localhost:8080", true, false},
		{"public", "https://Tocsin.example.org:8443/", "https://tocsin.example.org:8443", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, func(o *Options) { o.PublicURL = c.url })
			ana := h.founded().Actor
			a := &authenticator{t: t, origin: c.origin, packed: c.packed, synced: c.synced}
			p := h.addPasskey(a, ana)
			if p.Name != "Laptop" || p.Synced != c.synced || p.CreatedAt != h.now.Load() {
				t.Fatalf("%+v", p)
			}
			h.now.Add(minute)
			for range 3 {
				in, err := h.login(a)
				if err != nil || in.Actor.String() != "person:ana" || in.Actor.SessionID == ana.SessionID {
					t.Fatalf("%+v %v", in.Actor, err)
				}
				if h.holds(in.Cookie) != "person:ana" {
					t.Fatal("not signed in")
				}
			}
			list, err := h.Passkeys(t.Context(), "ana")
			if err != nil || len(list) != 1 || list[0].UsedAt != h.now.Load() || list[0].Suspected {
				t.Fatalf("%+v %v", list, err)
			}
		})
	}
}

func TestPasskeyRefusals(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	ana := h.founded().Actor
	bo := h.member(ana, "bo", RoleResponder, "").Actor
	a := &authenticator{t: t, origin: "http://localhost:8080"}
	v := Visit{Origin: a.origin}

	begin := func() Ceremony {
		t.Helper()
		c, err := h.BeginRegistration(ctx, ana, v)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := begin()
	answer := a.create(c)
	_, err := h.FinishRegistration(ctx, bo, c.ID, "x", answer, v)
	wantCode(t, err, CodeBadPasskey) // somebody else's ceremony
	other := ana
	other.SessionID = "other"
	_, err = h.FinishRegistration(ctx, other, c.ID, "x", answer, v)
	wantCode(t, err, CodeBadPasskey) // another session's
	_, err = h.FinishRegistration(ctx, ana, c.ID, "x", []byte(`{"id":1}`), v)
	wantCode(t, err, CodeBadPasskey)
	_, err = h.FinishRegistration(ctx, ana, c.ID, "x", bytes.Repeat([]byte("x"), responseMost+1), v)
	wantCode(t, err, CodeBadPasskey)
	if _, err = h.FinishRegistration(ctx, ana, c.ID, "x", answer, v); err != nil {
		t.Fatal(err)
	}
	_, err = h.FinishRegistration(ctx, ana, c.ID, "x", answer, v)
	wantCode(t, err, CodeBadPasskey) // twice
	late := begin()
	answer = a.create(late)
	h.now.Add(ceremonyLife)
	_, err = h.FinishRegistration(ctx, ana, late.ID, "x", answer, v)
	wantCode(t, err, CodeBadPasskey)
	unproven := &authenticator{t: t, origin: a.origin, unproven: true}
	c = begin()
	_, err = h.FinishRegistration(ctx, ana, c.ID, "x", unproven.create(c), v)
	wantCode(t, err, CodeBadPasskey) // without user verification
	phish := &authenticator{t: t, origin: "http://localhost:9090"}
	c = begin()
	_, err = h.FinishRegistration(ctx, ana, c.ID, "x", phish.create(c), v)
	wantCode(t, err, CodeBadPasskey) // made on another origin
	_, err = h.BeginRegistration(ctx, Actor{Kind: KindToken, ID: "ana", Role: RoleAdministrator}, v)
	wantCode(t, err, CodeForbidden)
	_, err = h.BeginRegistration(ctx, Actor{}, v)
	wantCode(t, err, CodeNotSignedIn)

	a.keys = a.keys[:1]
	l, err := h.BeginLogin(ctx, v)
	if err != nil {
		t.Fatal(err)
	}
	signed := a.get(l)
	tampered := bytes.Replace(signed, []byte(`"signature":"M`), []byte(`"signature":"N`), 1)
	_, err = h.FinishLogin(ctx, l.ID, tampered, v)
	wantCode(t, err, CodeBadPasskey)
	if _, err = h.FinishLogin(ctx, l.ID, signed, v); err != nil {
		t.Fatal(err)
	}
	_, err = h.FinishLogin(ctx, l.ID, signed, v)
	wantCode(t, err, CodeBadPasskey) // replayed
	l, _ = h.BeginLogin(ctx, v)
	signed = a.get(l)
	h.now.Add(ceremonyLife)
	_, err = h.FinishLogin(ctx, l.ID, signed, v)
	wantCode(t, err, CodeBadPasskey) // late
	if err := h.Remove(ctx, ana, "bo"); err != nil {
		t.Fatal(err)
	}
	if err := h.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	left, _, _, err := loadAll[ceremonyRecord](ctx, h.db, keyCeremonies)
	if err != nil || len(left) != 0 {
		t.Fatalf("ceremonies left: %v %v", left, err)
	}
	if count(h.types(), PasskeyAdded) != 1 {
		t.Fatal(h.types())
	}
}

func TestPasskeyOfRemovedPerson(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	ana := h.founded().Actor
	bo := h.member(ana, "bo", RoleResponder, "")
	a := &authenticator{t: t, origin: "http://localhost:8080"}
	h.addPasskey(a, bo.Actor)
	if err := h.Remove(ctx, ana, "bo"); err != nil {
		t.Fatal(err)
	}
	_, err := h.login(a)
	wantCode(t, err, CodeBadPasskey)
	h.now.Add(1)
	h.member(ana, "bo", RoleResponder, "") // came back: old keys stay void
	_, err = h.login(a)
	wantCode(t, err, CodeBadPasskey)
}

func TestClonedPasskeyIsRefusedAndRecorded(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	ana := h.founded().Actor
	a := &authenticator{t: t, origin: "http://localhost:8080"}
	p := h.addPasskey(a, ana)
	for range 2 {
		if _, err := h.login(a); err != nil {
			t.Fatal(err)
		}
	}
	a.keys[0].counter, a.keys[0].frozen = 1, true
	_, err := h.login(a)
	wantCode(t, err, CodeBadPasskey)
	list, _ := h.Passkeys(ctx, "ana")
	if !list[0].Suspected || count(h.types(), PasskeySuspected) != 1 {
		t.Fatalf("%+v %v", list, h.types())
	}
	a.keys[0].frozen, a.keys[0].counter = false, 10 // the real one is ahead and still works
	if _, err := h.login(a); err != nil {
		t.Fatal(err)
	}
	if list, _ = h.Passkeys(ctx, "ana"); !list[0].Suspected {
		t.Fatal("the warning is gone")
	}
	wantCode(t, h.RemovePasskey(ctx, ana, "ana", p.ID), CodeLastWayIn)
	if _, err := h.NewRecoveryCodes(ctx, ana); err != nil {
		t.Fatal(err)
	}
	if err := h.RemovePasskey(ctx, ana, "ana", p.ID); err != nil {
		t.Fatal(err)
	}
	wantCode(t, h.RemovePasskey(ctx, ana, "ana", p.ID), CodeUnknown)
	_, err = h.login(a)
	wantCode(t, err, CodeBadPasskey)
}

func TestConcurrentFinishLoginOneSession(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	ana := h.founded().Actor
	a := &authenticator{t: t, origin: "http://localhost:8080"}
	h.addPasskey(a, ana)
	v := Visit{Origin: a.origin}
	c, err := h.BeginLogin(ctx, v)
	if err != nil {
		t.Fatal(err)
	}
	signed := a.get(c)
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = h.FinishLogin(ctx, c.ID, signed, Visit{Origin: a.origin, Address: fmt.Sprintf("10.1.1.%d", i)})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, &Refusal{Code: CodeBadPasskey}) {
			t.Error(err)
		}
	}
	if list, _ := h.Devices(ctx, KindPerson, "ana"); won != 1 || len(list) != 2 {
		t.Fatalf("%d won, %d sessions", won, len(list))
	}
	if count(h.types(), PasskeySuspected) != 0 {
		t.Fatal("a replay counts as a copy")
	}
}

func TestWherePasskeysWork(t *testing.T) {
	for _, c := range []struct{ url, origin, host string }{
		{"", "http://localhost:8080", "localhost"},
		{"", "http://room.localhost", "room.localhost"},
		{"", "http://127.0.0.1:8080", ""},
		{"", "http://[::1]:8080", ""},
		{"", "http://192.0.2.1", ""},
		{"", "https://evil.example", ""},
		{"", "", ""},
		{"", "::", ""},
		{"https://tocsin.example.org", "https://tocsin.example.org", "tocsin.example.org"},
		{"https://tocsin.example.org", "https://TOCSIN.example.org", "tocsin.example.org"},
		{"https://tocsin.example.org", "https://tocsin.example.org:444", ""},
		{"https://tocsin.example.org", "http://tocsin.example.org", ""},
		{"https://tocsin.example.org", "http://localhost:8080", ""},
		{"http://tocsin.example.org", "http://tocsin.example.org", ""},
		{"http://localhost:9000", "http://localhost:9000", "localhost"},
		{"https://192.0.2.1", "https://192.0.2.1", ""},
	} {
		st, err := newSite(c.url, "Org")
		if err != nil {
			t.Fatal(err)
		}
		w, host, err := st.relyingParty(c.origin)
		if c.host == "" {
			wantCode(t, err, CodePasskeyHost)
			continue
		}
		if err != nil || host != c.host || w.Config.RPID != c.host || w.Config.RPDisplayName != "Org" {
			t.Errorf("%+v: %q %v", c, host, err)
		}
	}
	for _, bad := range []string{"tocsin.example.org", "ftp://x", "https://", "://", "%"} {
		if _, err := newSite(bad, ""); err == nil {
			t.Errorf("public_url %q is taken", bad)
		}
	}
}
