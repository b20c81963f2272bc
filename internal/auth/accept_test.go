package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
	"github.com/tocsin-ops/tocsin/store/storetest"
)

func TestBootstrapOnce(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	first, needed, err := h.Bootstrap(ctx)
	if err != nil || !needed || first.ExpiresAt != h.now.Load()+day || first.Path() != "/join/"+first.Token {
		t.Fatalf("%+v %v %v", first, needed, err)
	}
	if h.log.Size() != 0 {
		t.Fatal("the bootstrap link is in the log")
	}
	var second Link
	links := []Link{first}
	for range keptFirst {
		if second, _, err = h.Bootstrap(ctx); err != nil {
			t.Fatal(err)
		}
		links = append(links, second)
	}
	_, err = h.Accept(ctx, first.Token, Choice{Handle: "eve"}, h.visit())
	wantCode(t, err, CodeBadLink) // there are newer ones enough
	for _, l := range links[1:] {
		if o, err := h.Inspect(ctx, l.Token, h.visit()); err != nil || !o.First {
			t.Fatalf("one of the newest links: %+v %v", o, err)
		}
	}
	_, err = h.Accept(ctx, second.Token, Choice{Handle: "Not A Handle"}, h.visit())
	wantCode(t, err, CodeInvalid) // and the link still works
	o, err := h.Inspect(ctx, second.Token, h.visit())
	if err != nil || !o.First || o.Role != RoleAdministrator {
		t.Fatalf("%+v %v", o, err)
	}
	in := h.accept(second, Choice{Handle: "ana", Name: "Ana Alvarez"})
	if in.Actor.String() != "person:ana" || in.Actor.Role != RoleAdministrator || in.Actor.Name != "Ana Alvarez" || in.Actor.SessionID == "" {
		t.Fatalf("%+v", in.Actor)
	}
	if _, needed, err := h.Bootstrap(ctx); err != nil || needed {
		t.Fatal("a second first administrator")
	}
	_, err = h.Accept(ctx, second.Token, Choice{Handle: "eve"}, h.visit())
	wantCode(t, err, CodeBadLink)
	for _, l := range links {
		_, err = h.Accept(ctx, l.Token, Choice{Handle: "eve"}, Visit{Address: l.ID, Txn: l.ID})
		wantCode(t, err, CodeBadLink)
	}
	if n := len(h.People()); n != 1 {
		t.Fatalf("%d people", n)
	}
	// A restart knows all of it again.
	again, err := New(ctx, h.db, h.log, Options{Clock: h.now.Load})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := again.Session(ctx, in.Cookie); err != nil || a != in.Actor {
		t.Fatalf("after a restart: %+v %v", a, err)
	}
}

func TestLinksExpire(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	first, _, err := h.Bootstrap(ctx)
	if err != nil {
		t.Fatal(err)
	}
	h.now.Add(day)
	_, err = h.Accept(ctx, first.Token, Choice{Handle: "ana"}, h.visit())
	wantCode(t, err, CodeBadLink)
	ana := h.founded().Actor
	link, err := h.Invite(ctx, ana, Invitation{Handle: "bo", Name: "Bo", Role: RoleResponder})
	if err != nil {
		t.Fatal(err)
	}
	h.now.Add(invitationLife - 1)
	if _, err := h.Inspect(ctx, link.Token, h.visit()); err != nil {
		t.Fatal(err)
	}
	h.now.Add(1)
	_, err = h.Accept(ctx, link.Token, Choice{}, h.visit())
	wantCode(t, err, CodeBadLink)
	if err := h.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := h.db.Get(ctx, []byte(keyLinks+link.ID)); !errors.Is(err, store.ErrNotFound) {
		t.Fatal("an expired link is not swept")
	}
	// Asked again: a new one.
	link, err = h.Resend(ctx, ana, "bo")
	if err != nil {
		t.Fatal(err)
	}
	h.accept(link, Choice{Name: "Bo B."})
	if p, _ := h.Directory().Person("bo"); p.Name != "Bo B." || p.Standing != Joined || p.Role != RoleResponder {
		t.Fatalf("%+v", p)
	}
}

func TestInvitations(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	ana := h.founded().Actor
	for _, i := range []Invitation{
		{Handle: "", Name: "X", Role: RoleResponder},
		{Handle: "Bo", Name: "X", Role: RoleResponder},
		{Handle: "bo", Name: " ", Role: RoleResponder},
		{Handle: "bo", Name: "X\nY", Role: RoleResponder},
		{Handle: "bo", Name: "X", Role: "god"},
		{Handle: "bo", Name: "X", Role: RoleWall},
		{Handle: "bo", Name: "X", Role: RoleResponder, Audience: "exchanges"},
		{Handle: "bo", Name: "X", Role: RoleStakeholder, Audience: "Ex changes"},
	} {
		_, err := h.Invite(ctx, ana, i)
		wantCode(t, err, CodeInvalid)
	}
	_, err := h.Invite(ctx, ana, Invitation{Handle: "ana", Name: "Other", Role: RoleResponder})
	wantCode(t, err, CodeHandleTaken)
	old, err := h.Invite(ctx, ana, Invitation{Handle: "sam", Name: "Sam", Role: RoleStakeholder, Audience: "exchanges"})
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := h.Resend(ctx, ana, "sam")
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Accept(ctx, old.Token, Choice{}, h.visit())
	wantCode(t, err, CodeBadLink)
	o, err := h.Inspect(ctx, fresh.Token, h.visit())
	if err != nil || o.Handle != "sam" || o.Name != "Sam" || o.Audience != "exchanges" || o.First || o.Again {
		t.Fatalf("%+v %v", o, err)
	}
	if err := h.RevokeInvitation(ctx, ana, "sam"); err != nil {
		t.Fatal(err)
	}
	_, err = h.Accept(ctx, fresh.Token, Choice{}, h.visit())
	wantCode(t, err, CodeBadLink)
	wantCode(t, h.RevokeInvitation(ctx, ana, "sam"), CodeUnknownPerson)
	_, err = h.Resend(ctx, ana, "sam")
	wantCode(t, err, CodeUnknownPerson)
	// The handle is free again for the same human being; the choice of a handle
	// is not theirs.
	link, err := h.Invite(ctx, ana, Invitation{Handle: "sam", Name: "Sam", Role: RoleStakeholder, Audience: "exchanges"})
	if err != nil {
		t.Fatal(err)
	}
	in := h.accept(link, Choice{Handle: "root"})
	if in.Actor.String() != "person:sam" || in.Actor.Audience != "exchanges" {
		t.Fatalf("%+v", in.Actor)
	}
	// What is no link at all is refused like what is unknown.
	for _, token := range []string{"", "join_", link.Token[:len(link.Token)-1] + "_", link.Token + "0", in.Cookie, "join_" + in.Cookie[len(sessionPrefix):]} {
		_, err := h.Accept(ctx, token, Choice{}, Visit{Address: fmt.Sprint("addr ", token)})
		wantCode(t, err, CodeBadLink)
	}
}

func TestConcurrentClicksOneWins(t *testing.T) {
	for _, kind := range []string{linkFirst, linkJoin, linkSignIn} {
		t.Run(kind, func(t *testing.T) {
			h := newHouse(t)
			ctx := t.Context()
			var link Link
			var err error
			switch kind {
			case linkFirst:
				link, _, err = h.Bootstrap(ctx)
			case linkJoin:
				link, err = h.Invite(ctx, h.founded().Actor, Invitation{Handle: "bo", Name: "Bo", Role: RoleResponder})
			case linkSignIn:
				h.founded()
				link, err = h.SignInLink(ctx, SystemActor("console"), "ana")
			}
			if err != nil {
				t.Fatal(err)
			}
			const clicks = 8
			ins, errs := make([]SignIn, clicks), make([]error, clicks)
			var wg sync.WaitGroup
			for i := range clicks {
				wg.Go(func() {
					ins[i], errs[i] = h.Accept(ctx, link.Token, Choice{Handle: fmt.Sprintf("first%d", i), Name: "First"}, Visit{Address: fmt.Sprintf("10.0.0.%d", i), Txn: fmt.Sprint(i)})
				})
			}
			wg.Wait()
			won := 0
			for i := range clicks {
				if errs[i] == nil {
					won++
					if h.holds(ins[i].Cookie) == "nobody" {
						t.Error("the winner is not signed in")
					}
				} else if !errors.Is(errs[i], &Refusal{Code: CodeBadLink}) && !errors.Is(errs[i], &Refusal{Code: CodeLinkBusy}) {
					t.Errorf("click %d: %v", i, errs[i])
				}
			}
			if won != 1 {
				t.Fatalf("%d of %d clicks won", won, clicks)
			}
			if kind == linkFirst && len(h.People()) != 1 {
				t.Fatalf("%d people", len(h.People()))
			}
		})
	}
}

func TestSameTransactionSameAnswer(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	ana := h.founded().Actor
	link, err := h.Invite(ctx, ana, Invitation{Handle: "bo", Name: "Bo", Role: RoleResponder})
	if err != nil {
		t.Fatal(err)
	}
	v := h.visit()
	one, err := h.Accept(ctx, link.Token, Choice{}, v)
	if err != nil {
		t.Fatal(err)
	}
	h.now.Add(retryWindow - 1)
	two, err := h.Accept(ctx, link.Token, Choice{}, v)
	if err != nil || two.Cookie != one.Cookie {
		t.Fatalf("asked again: %v", err)
	}
	other := v
	other.Txn = "another"
	_, err = h.Accept(ctx, link.Token, Choice{}, other)
	wantCode(t, err, CodeBadLink)
	h.now.Add(1)
	_, err = h.Accept(ctx, link.Token, Choice{}, v)
	wantCode(t, err, CodeBadLink)
	// Signed out is signed out: the transaction does not bring it back.
	link, err = h.SignInLink(ctx, ana, "bo")
	if err != nil {
		t.Fatal(err)
	}
	v = h.visit()
	three, err := h.Accept(ctx, link.Token, Choice{}, v)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.SignOut(ctx, three.Actor); err != nil {
		t.Fatal(err)
	}
	_, err = h.Accept(ctx, link.Token, Choice{}, v)
	wantCode(t, err, CodeNotSignedIn)
	if count(h.types(), PersonJoined) != 2 || count(h.types(), SignInLinkUsed) != 1 {
		t.Fatal(h.types())
	}
}

// TestFaultsLockNobodyOut fails each commit of each way in, one after the other,
// in each manner, and presses the button again with the same transaction.
func TestFaultsLockNobodyOut(t *testing.T) {
	faults := map[string]storetest.Fault{"lost": storetest.Lose(), "saved but failed": storetest.SaveAndFail(), "saved later": storetest.SaveLater()}
	for _, way := range []string{linkFirst, linkJoin, linkSignIn, "recovery"} {
		for name, fault := range faults {
			for at := range 4 {
				t.Run(fmt.Sprintf("%s/%s/%d", way, name, at), func(t *testing.T) {
					var begin int
					plan := func(n int, _ store.Txn) storetest.Fault {
						if begin > 0 && n == begin+at {
							return fault
						}
						return storetest.Pass()
					}
					db := storetest.Faulty(mem.New(), plan)
					h := newHouseOn(t, db)
					ctx := t.Context()
					var token, code string
					switch way {
					case linkFirst:
						l, _, err := h.Bootstrap(ctx)
						if err != nil {
							t.Fatal(err)
						}
						token = l.Token
					case linkJoin:
						l, err := h.Invite(ctx, h.founded().Actor, Invitation{Handle: "bo", Name: "Bo", Role: RoleResponder})
						if err != nil {
							t.Fatal(err)
						}
						token = l.Token
					case linkSignIn:
						h.founded()
						l, err := h.SignInLink(ctx, SystemActor("console"), "ana")
						if err != nil {
							t.Fatal(err)
						}
						token = l.Token
					case "recovery":
						codes, err := h.NewRecoveryCodes(ctx, h.founded().Actor)
						if err != nil {
							t.Fatal(err)
						}
						code = codes[3]
					}
					try := func(v Visit) (SignIn, error) {
						if way == "recovery" {
							return h.SignInWithRecovery(ctx, "ana", code, v)
						}
						return h.Accept(ctx, token, Choice{Handle: "ana", Name: "Ana"}, v)
					}
					begin = db.Commits()
					v := h.visit()
					in := stubborn(ctx, t, func(context.Context) (SignIn, error) {
						in, err := try(v)
						db.Settle(ctx) // what was on its way arrives now at the latest
						return in, err
					})
					if h.holds(in.Cookie) == "nobody" {
						t.Fatal("not signed in")
					}
					v.Txn = "somebody else"
					if _, err := try(v); err == nil {
						t.Fatal("used twice")
					}
					types := h.types()
					for _, typ := range []string{PersonJoined, SignInLinkUsed, RecoveryUsed} {
						want := 0
						switch {
						case typ == PersonJoined && way == linkJoin:
							want = 2
						case typ == PersonJoined, typ == SignInLinkUsed && way == linkSignIn, typ == RecoveryUsed && way == "recovery":
							want = 1
						}
						if count(types, typ) != want {
							t.Errorf("%d times %s, want %d", count(types, typ), typ, want)
						}
					}
				})
			}
		}
	}
}

// TestHalfUsedLinkStillWorks: the process died between the two steps and the
// person lost the page, so comes with another transaction.
func TestHalfUsedLinkStillWorks(t *testing.T) {
	var arm bool
	db := storetest.Faulty(mem.New(), func(_ int, txn store.Txn) storetest.Fault {
		if arm {
			for _, op := range txn.Then {
				if len(op.Key) > len(keySessions) && string(op.Key[:len(keySessions)]) == keySessions {
					return storetest.Lose()
				}
			}
		}
		return storetest.Pass()
	})
	h := newHouseOn(t, db)
	ctx := t.Context()
	link, _, err := h.Bootstrap(ctx)
	if err != nil {
		t.Fatal(err)
	}
	arm = true
	if _, err := h.Accept(ctx, link.Token, Choice{Handle: "ana"}, h.visit()); err == nil {
		t.Fatal("the fault did not strike")
	}
	arm = false
	_, err = h.Accept(ctx, link.Token, Choice{Handle: "eve"}, h.visit())
	wantCode(t, err, CodeLinkBusy) // perhaps the first is still at it
	h.now.Add(busyWindow)
	in, err := h.Accept(ctx, link.Token, Choice{Handle: "eve"}, h.visit())
	if err != nil || in.Actor.String() != "person:ana" || len(h.People()) != 1 {
		t.Fatalf("%+v %v %v", in.Actor, err, h.People())
	}
}
