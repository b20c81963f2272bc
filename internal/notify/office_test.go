package notify

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ops/tocsin/store/mem"
)

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Fatalf("got\n%swant\n%s", got, want)
	}
}

func TestPageIsSentAtOnceAndOnce(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		h.routes("ana", Route{Kind: Email}, Route{Kind: SMS})
		m := page(42, "ana")
		h.submit(m)
		h.submit(m, m)
		synctest.Wait()
		want(t, h.receipts(), "p42-ana e-mail sent 1: taken\n")
		if len(h.by[SMS].parcels()) != 0 || !h.empty() {
			t.Fatal("the second route was used, or the outbox is not empty")
		}
		h.submit(m) // over, and still known
		time.Sleep(time.Minute)
		if n := len(h.by[Email].parcels()); n != 1 {
			t.Fatalf("sent %d times", n)
		}
	})
}

func TestDeadRouteFailsOverAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		h.by[Email].says = func(context.Context, Parcel) (Answer, error) {
			return Answer{}, &Failure{Reason: "the mailbox does not exist", Permanent: true}
		}
		h.routes("ana", Route{Kind: Email}, Route{Kind: SMS})
		h.submit(page(1, "ana"))
		synctest.Wait()
		want(t, h.receipts(), "p1-ana e-mail failed 1: the mailbox does not exist\np1-ana SMS sent 1: taken\n")
	})
}

func TestTroubledRouteIsRetriedAndTheNextComesInParallel(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		began := time.Now()
		h.by[Email].says = func(context.Context, Parcel) (Answer, error) {
			if time.Since(began) < 40*time.Second {
				return Answer{}, &Failure{Reason: "the mail server is busy"}
			}
			return Answer{Detail: "taken"}, nil
		}
		h.routes("ana", Route{Kind: Email}, Route{Kind: SMS})
		h.submit(page(1, "ana"))
		time.Sleep(14 * time.Second)
		synctest.Wait()
		if len(h.by[SMS].parcels()) != 0 {
			t.Fatal("the second route did not wait for Patience")
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if len(h.by[SMS].parcels()) != 1 {
			t.Fatal("the second route is not used after Patience")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := h.receipts(); !strings.HasSuffix(got, "taken\n") || strings.Count(got, "e-mail sent") != 1 || strings.Count(got, "SMS sent") != 1 || !h.empty() {
			t.Fatal(got)
		}
	})
}

func TestRetryAfterIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		began := time.Now()
		h.by[Slack].says = func(context.Context, Parcel) (Answer, error) {
			if time.Since(began) < 30*time.Second {
				return Answer{}, &Failure{Reason: "too many", RetryAfter: 30 * time.Second}
			}
			return Answer{Detail: "taken"}, nil
		}
		h.routes("ana", Route{Kind: Slack})
		h.submit(page(1, "ana"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if at := h.by[Slack].at; len(at) != 2 || at[1].Sub(at[0]) != 30*time.Second {
			t.Fatal(at)
		}
	})
}

func TestAfterIsUsedUntilCancelled(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		h.routes("ana", Route{Kind: Push}, Route{Kind: SMS, After: 120_000}, Route{Kind: Telegram, After: 300_000})
		h.submit(page(1, "ana"), page(2, "ana"))
		time.Sleep(2*time.Minute + 10*time.Second)
		synctest.Wait()
		if n := len(h.by[SMS].parcels()); n != 1 {
			t.Fatalf("%d SMS after two minutes, want one for both incidents", n)
		}
		if err := h.n.Cancel(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if err := h.n.Cancel(t.Context(), 2, page(2, "ana").ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		got := h.by[Telegram].parcels()
		if len(got) != 1 || len(got[0].Messages) != 1 || got[0].Messages[0].Incident != 2 || !h.empty() {
			t.Fatalf("%+v", got)
		}
	})
}

func TestCancelledIsNotSent(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		hold := make(chan struct{})
		h.by[Email].says = func(context.Context, Parcel) (Answer, error) {
			<-hold
			return Answer{Detail: "taken"}, nil
		}
		h.routes("ana", Route{Kind: Email}, Route{Kind: SMS, After: 1000})
		h.submit(page(1, "ana"))
		synctest.Wait() // in flight
		if err := h.n.Cancel(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		close(hold)
		time.Sleep(time.Minute)
		synctest.Wait()
		want(t, h.receipts(), "p1-ana e-mail sent 1: taken\n") // it went out: that is told all the same
		if len(h.by[SMS].parcels()) != 0 || !h.empty() {
			t.Fatal("sent after it was cancelled")
		}
		h.submit(page(1, "ana"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(h.by[Email].parcels()) != 1 {
			t.Fatal("a cancelled message was sent when it was submitted again")
		}
	})
}

func TestStormIsOneDigest(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		h.routes("ana", Route{Kind: Push})
		h.submit(page(1, "ana"))
		synctest.Wait()
		var list []Message
		for i := int64(2); i <= 400; i++ {
			m := page(i, "ana")
			if i == 42 {
				m.Severity = "SEV1"
			}
			list = append(list, m)
		}
		h.submit(list...)
		time.Sleep(time.Minute)
		synctest.Wait()
		got := h.by[Push].parcels()
		if len(got) != 2 || got[1].Text.Subject != "⬣ 399 incidents page you, worst SEV1 #42" {
			t.Fatalf("%d parcels, the last says %q", len(got), got[len(got)-1].Text.Subject)
		}
		if n := strings.Count(h.receipts(), "sent 1: taken"); n != 400 || !h.empty() {
			t.Fatalf("%d receipts", n)
		}
		t.Logf("400 pages of one person in a minute: %d messages; the second:\n%s", len(got), got[1].Text.Plain)
	})
}

func TestManyPagesSlowDown(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		h.routes("ana", Route{Kind: SMS})
		for i := range int64(60) { // one a second
			h.submit(page(i+1, "ana"))
			time.Sleep(time.Second)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		sum := 0
		for _, p := range h.by[SMS].parcels() {
			sum += len(p.Messages)
		}
		if n := len(h.by[SMS].parcels()); n > 8 || sum != 60 {
			t.Fatalf("%d messages for %d pages", n, sum)
		}
	})
}

func TestGate(t *testing.T) {
	night := &Quiet{From: "22:00", To: "07:00", Zone: "Europe/Zurich"}
	strict := &Quiet{From: "22:00", To: "07:00", Zone: "Europe/Zurich", Pages: true}
	noon, late := time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC), time.Date(2026, 7, 1, 20, 30, 0, 0, time.UTC) // 22:30 in Zurich
	ok := Route{Verified: 1}
	for _, c := range []struct {
		name  string
		m     Message
		r     Route
		at    time.Time
		opens bool
	}{
		{"a page", Message{Kind: KindPage, Severity: "SEV3"}, ok, noon, true},
		{"a drill", Message{Kind: KindPage, Severity: "SEV1", Drill: true}, ok, noon, false},
		{"a test of a drill", Message{Kind: KindTest, Drill: true}, ok, noon, false},
		{"a drill that leaves", Message{Kind: KindPage, Drill: true, LeaveUntil: noon.UnixMilli() + 1}, ok, noon, true},
		{"a drill whose time outside is over", Message{Kind: KindPage, Drill: true, LeaveUntil: noon.UnixMilli()}, ok, noon, false},
		{"a test of a drill whose time outside is over", Message{Kind: KindTest, Drill: true, LeaveUntil: noon.UnixMilli()}, ok, noon, false},
		{"not confirmed", Message{Kind: KindPage, Severity: "SEV1"}, Route{}, noon, false},
		{"a test of what is not confirmed", Message{Kind: KindTest}, Route{}, noon, true},
		{"below the floor", Message{Kind: KindPage, Severity: "SEV3"}, Route{Verified: 1, Floor: "SEV2"}, noon, false},
		{"at the floor", Message{Kind: KindPage, Severity: "SEV2"}, Route{Verified: 1, Floor: "SEV2"}, noon, true},
		{"no severity, with a floor", Message{Kind: KindNotice}, Route{Verified: 1, Floor: "SEV4"}, noon, false},
		{"by day", Message{Kind: KindPage, Severity: "SEV3"}, Route{Verified: 1, Quiet: night}, noon, true},
		{"by night", Message{Kind: KindPage, Severity: "SEV3"}, Route{Verified: 1, Quiet: night}, late, false},
		{"a bad page by night", Message{Kind: KindPage, Severity: "SEV2"}, Route{Verified: 1, Quiet: night}, late, true},
		{"a bad notice by night", Message{Kind: KindNotice, Severity: "SEV1"}, Route{Verified: 1, Quiet: night}, late, false},
		{"a bad page by a strict night", Message{Kind: KindPage, Severity: "SEV1"}, Route{Verified: 1, Quiet: strict}, late, false},
		{"a test by night", Message{Kind: KindTest}, Route{Verified: 1, Quiet: strict}, late, true},
	} {
		if why := gate(c.m, c.r, c.at.UnixMilli()); (why == "") != c.opens {
			t.Errorf("%s: %q", c.name, why)
		}
	}
}

func TestNothingOfADrillLeaves(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		var all []Route
		for _, k := range Kinds {
			all = append(all, Route{Kind: k})
		}
		h.routes("ana", all...)
		for i, k := range []string{KindPage, KindNotice, KindTest} {
			m := page(int64(i+1), "ana")
			m.Kind, m.Drill = k, true
			h.submit(m)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		for k, p := range h.by {
			if len(p.parcels()) != 0 {
				t.Errorf("%s sent something of a drill", k)
			}
		}
		if got := h.receipts(); strings.Count(got, "suppressed 1: it is a drill") != 3 || !h.empty() {
			t.Fatal(got)
		}
		m := page(9, "ana")
		m.Drill, m.LeaveUntil = true, time.Now().UnixMilli()+60_000
		h.submit(m)
		synctest.Wait()
		if got := h.by[Push].parcels(); len(got) != 1 || !strings.HasPrefix(got[0].Text.Subject, "DRILL ") {
			t.Fatalf("%+v", got)
		}
	})
}

func TestSuppressedRoutesLeadToTheNext(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		h.routes("ana", Route{Kind: Email, Verified: -1}, Route{Kind: SMS, Floor: "SEV1"}, Route{Kind: Matrix})
		h.submit(page(1, "ana"))
		synctest.Wait()
		h.submit(page(1, "bo"))
		synctest.Wait()
		want(t, h.receipts(), "p1-ana e-mail suppressed 1: the address was never confirmed\np1-ana SMS suppressed 1: this route takes SEV1 and worse only\n"+
			"p1-ana Matrix sent 1: taken\np1-bo  failed 1: no route is set up for this person: only a desktop program of theirs that is open can show it\n")
	})
}

func TestReceiptsAreToldUntilTaken(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		h.mu.Lock()
		h.deaf = true
		h.mu.Unlock()
		h.routes("ana", Route{Kind: Email})
		h.submit(page(1, "ana"))
		time.Sleep(time.Minute)
		h.mu.Lock()
		h.deaf = false
		h.mu.Unlock()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		want(t, h.receipts(), "p1-ana e-mail sent 1: taken\n")
		if n := len(h.by[Email].parcels()); n != 1 || !h.empty() {
			t.Fatalf("sent %d times", n)
		}
	})
}

// The process dies after an attempt was marked, before its outcome is known: whoever leads next sends it again, under the same key.
func TestDeathInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := mem.New()
		defer db.Close()
		h := newHouse(t, db)
		h.by[Email].says = func(ctx context.Context, _ Parcel) (Answer, error) {
			<-ctx.Done() // the process ends while the provider thinks
			return Answer{}, ctx.Err()
		}
		h.routes("ana", Route{Kind: Email})
		h.run()
		h.submit(page(1, "ana"), page(2, "ana"), page(3, "ana"))
		synctest.Wait()
		h.stop()
		next := newHouse(t, db)
		next.submit(page(4, "ana")) // a new one does not change what goes out again
		next.run()
		defer func() { next.stop() }()
		time.Sleep(time.Minute)
		synctest.Wait()
		before, after := h.by[Email].parcels(), next.by[Email].parcels()
		if len(before) != 1 || len(after) != 2 || before[0].Key != after[0].Key || len(after[0].Messages) != 3 || after[1].Messages[0].Incident != 4 {
			t.Fatalf("before %d, after %d", len(before), len(after))
		}
		if got := next.receipts(); strings.Count(got, " sent ") != 4 || !strings.Contains(got, "p1-ana e-mail sent 2: taken (in one with 2 others)") || !next.empty() {
			t.Fatal(got)
		}
	})
}

// The process dies between any two writes: nothing is forgotten, and what is sent twice has the same key.
func TestDeathAtEveryWrite(t *testing.T) {
	for at := range 12 {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := mem.New()
				defer db.Close()
				dying := &mortal{DB: db, left: at}
				h := newHouse(t, dying)
				h.by[Email].says = func(context.Context, Parcel) (Answer, error) {
					return Answer{}, &Failure{Reason: "no such mailbox", Permanent: true}
				}
				seed := newHouse(t, db)
				seed.routes("ana", Route{Kind: Email}, Route{Kind: SMS}, Route{Kind: Push, After: 60_000})
				seed.submit(page(1, "ana"))
				h.run()
				time.Sleep(2 * time.Minute)
				h.stop()
				next := newHouse(t, db)
				next.by[Email].says = h.by[Email].says
				next.run()
				defer func() { next.stop() }()
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				keys := map[string]map[string]bool{}
				for _, x := range []*house{h, next} {
					for k, p := range x.by {
						for _, parcel := range p.parcels() {
							if keys[k] == nil {
								keys[k] = map[string]bool{}
							}
							keys[k][parcel.Key] = true
						}
					}
				}
				if len(keys[Email]) != 1 || len(keys[SMS]) != 1 || len(keys[Push]) != 1 || !next.empty() {
					t.Fatalf("dead after %d writes: keys %v, outbox empty: %v", at, keys, next.empty())
				}
				all := h.receipts() + next.receipts()
				for _, line := range []string{"p1-ana e-mail failed", "p1-ana SMS sent", "p1-ana push to browser sent"} {
					if !strings.Contains(all, line) {
						t.Fatalf("dead after %d writes: no receipt %q in\n%s", at, line, all)
					}
				}
			})
		})
	}
}

func TestOnlyOneOfTwoReplicasSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := mem.New()
		defer db.Close()
		a, b := newHouse(t, db), newHouse(t, db)
		a.run()
		synctest.Wait()
		b.run()
		a.routes("ana", Route{Kind: Email})
		for i := range int64(20) {
			b.submit(page(i+1, "ana"))
			time.Sleep(10 * time.Second)
		}
		synctest.Wait()
		if len(b.by[Email].parcels()) != 0 {
			t.Fatal("both send")
		}
		a.stop()
		b.submit(page(100, "ana"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if !strings.Contains(b.receipts(), "p100-ana e-mail sent 1") || !b.empty() {
			t.Fatal("the other one did not take over")
		}
		b.stop()
	})
}
