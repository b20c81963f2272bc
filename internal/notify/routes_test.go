package notify

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		kind, address string
		admin, ok     bool
	}{
		{Email, "ana@example.org", false, true}, {Email, "Ana <ana@example.org>", false, false}, {Email, "ana", false, false}, {Email, "a@b.c\r\nBcc: x@y.z", false, false},
		{SMS, "+41 79 123 45 67", false, true}, {SMS, "079 123 45 67", false, false},
		{Telegram, "123456789", false, true}, {Telegram, "-100123", false, true}, {Telegram, "ana smith", false, false},
		{Slack, "U012ABCDEF", false, true}, {Slack, "#general", false, false}, {Mattermost, "@ana", false, true}, {Mattermost, "../x", false, false},
		{Matrix, "!abc:example.org", false, true}, {Matrix, "!abc/../x:example.org", false, false}, {Matrix, "#room:example.org", false, false},
		{Webhook, "https://example.org/hook", false, true}, {Webhook, "http://example.org/hook", false, false}, {Webhook, "http://10.0.0.1/hook", true, true}, {Webhook, "https://u:p@example.org", false, false},
		{Webhook, "file:///etc/passwd", true, false},
		{Other, "pushover://shoutrrr:token@user", false, true}, {Other, "ntfy://ntfy.sh/topic", false, false}, {Other, "ntfy://ntfy.sh/topic", true, true}, {Other, "generic://127.0.0.1", true, false},
		{Other, "logger://", true, false}, {Other, "smtp://x", true, false}, {"fax", "1", true, false},
	} {
		r := Route{Kind: c.kind, Address: c.address, Private: c.admin}
		err := r.check()
		var no *Refusal
		if (err == nil) != c.ok || err != nil && !errors.As(err, &no) {
			t.Errorf("%s %q: %v", c.kind, c.address, err)
		}
	}
}

func TestRoutesOfAPerson(t *testing.T) {
	db := mem.New()
	defer db.Close()
	h := newHouse(t, db)
	ctx := t.Context()
	add := func(r Route) string {
		t.Helper()
		id, err := h.n.AddRoute(ctx, "ana", r, false)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	mail, phone := add(Route{Kind: Email, Address: "ana@example.org"}), add(Route{Kind: SMS, Address: "+41791234567", Label: "work phone"})
	order := func() string {
		t.Helper()
		list, err := h.n.Routes(ctx, "ana")
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, r := range list {
			out += r.Label + " " + r.Shown + "\n"
		}
		return out
	}
	want(t, order(), "e-mail ana@example.org\nwork phone +41791234567\n")
	refused := func(err error, code string) {
		t.Helper()
		var no *Refusal
		if !errors.As(err, &no) || no.Code != code {
			t.Fatalf("%v, want %s", err, code)
		}
	}
	_, err := h.n.AddRoute(ctx, "ana", Route{Kind: Email, Address: "ana@example.org"}, false)
	refused(err, "route_there")
	for _, step := range []error{h.n.MoveRoute(ctx, "ana", phone, true), h.n.MoveRoute(ctx, "ana", phone, true), h.n.RemoveRoute(ctx, "ana", mail)} {
		if step != nil {
			t.Fatal(step)
		}
	}
	want(t, order(), "work phone +41791234567\n")
	refused(h.n.RemoveRoute(ctx, "ana", mail), "unknown_route")
	refused(h.n.RemoveRoute(ctx, "bo", phone), "unknown_route")
	if err := h.n.RestoreRoute(ctx, "ana", mail); err != nil {
		t.Fatal(err)
	}
	want(t, order(), "work phone +41791234567\ne-mail ana@example.org\n")
	refused(h.n.SetRoute(ctx, "ana", mail, Setting{Quiet: &Quiet{From: "22:00", To: "7", Zone: "UTC"}}), "bad_quiet")
	refused(h.n.SetRoute(ctx, "ana", mail, Setting{Quiet: &Quiet{From: "22:00", To: "07:00", Zone: "Mars"}}), "bad_zone")
	refused(h.n.SetRoute(ctx, "ana", mail, Setting{Floor: "SEV9"}), "bad_floor")
	if err := h.n.SetRoute(ctx, "ana", mail, Setting{Label: "mail", After: 120_000, Floor: "SEV3"}); err != nil {
		t.Fatal(err)
	}
	hook, err := h.n.AddRoute(ctx, "ana", Route{Kind: Webhook, Address: "https://example.org/secret-path"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.n.RotateSecret(ctx, "ana", hook); err != nil {
		t.Fatal(err)
	}
	list, _ := h.n.Routes(ctx, "ana")
	if r := list[2]; len(r.Secrets) != 2 || r.Shown != "https://example.org/…" || r.Private {
		t.Fatalf("%+v", r)
	}
	reach, err := h.n.Reach(ctx, "ana")
	if err != nil || len(reach) != 3 || reach[0].Verified || reach[0].Label != "work phone" {
		t.Fatalf("%+v %v", reach, err)
	}
	for i := range MaxRoutes - 3 {
		add(Route{Kind: Telegram, Address: strings.Repeat("1", i+1)})
	}
	_, err = h.n.AddRoute(ctx, "ana", Route{Kind: Matrix, Address: "!a:b"}, false)
	refused(err, "too_many_routes")
}

var sixDigits = regexp.MustCompile(`[0-9]{6}`)

func TestAddressIsConfirmedByItsCode(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		id, err := h.n.AddRoute(ctx, "ana", Route{Kind: Email, Address: "ana@example.org"}, false)
		if err != nil {
			t.Fatal(err)
		}
		h.submit(page(1, "ana"))
		synctest.Wait()
		if len(h.by[Email].parcels()) != 0 {
			t.Fatal("an address that was not confirmed was paged")
		}
		if err := h.n.Confirm(ctx, "ana", id, "000000"); err == nil {
			t.Fatal("confirmed without a code")
		}
		if err := h.n.Test(ctx, "ana", id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got := h.by[Email].parcels()
		code := sixDigits.FindString(got[len(got)-1].Text.Plain)
		if code == "" {
			t.Fatal(got[len(got)-1].Text.Plain)
		}
		wrong := "000000"
		if code == wrong {
			wrong = "000001"
		}
		for range codeTries - 1 {
			if h.n.Confirm(ctx, "ana", id, wrong) == nil {
				t.Fatal("a wrong code was taken")
			}
		}
		if err := h.n.Confirm(ctx, "bo", id, code); err == nil {
			t.Fatal("somebody else confirmed it")
		}
		if err := h.n.Confirm(ctx, "ana", id, " "+code[:3]+" "+code[3:]); err != nil {
			t.Fatal(err)
		}
		if h.n.Confirm(ctx, "ana", id, code) == nil {
			t.Fatal("a code was taken twice")
		}
		list, _ := h.n.Routes(ctx, "ana")
		if list[0].Verified == 0 || list[0].Last.Outcome != Sent || list[0].Last.OK == 0 {
			t.Fatalf("%+v", list[0])
		}
		h.submit(page(2, "ana"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(h.by[Email].parcels()); n != 2 {
			t.Fatalf("%d messages", n)
		}
		for range testsMost - 1 {
			if err := h.n.Test(ctx, "ana", id); err != nil {
				t.Fatal(err)
			}
		}
		if h.n.Test(ctx, "ana", id) == nil {
			t.Fatal("tests have no limit")
		}
	})
}

func TestFiveWrongCodesEndIt(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		id, _ := h.n.AddRoute(ctx, "ana", Route{Kind: Email, Address: "ana@example.org"}, false)
		if err := h.n.Test(ctx, "ana", id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		code := sixDigits.FindString(h.by[Email].parcels()[0].Text.Plain)
		for range codeTries {
			_ = h.n.Confirm(ctx, "ana", id, "x"+code)
		}
		if h.n.Confirm(ctx, "ana", id, code) == nil {
			t.Fatal("the code was taken after five wrong ones")
		}
		if err := h.n.Test(ctx, "ana", id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got := h.by[Email].parcels()
		time.Sleep(16 * time.Minute)
		if h.n.Confirm(ctx, "ana", id, sixDigits.FindString(got[1].Text.Plain)) == nil {
			t.Fatal("an old code was taken")
		}
	})
}

func TestDeviceSaysThatItShowedIt(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		h.routes("ana", Route{Kind: Push})
		h.submit(page(1, "ana"), page(2, "ana"))
		synctest.Wait()
		token := strings.TrimPrefix(h.by[Push].parcels()[0].Seen, SeenPath)
		for range 2 { // the second time is nothing
			if err := h.n.Seen(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.n.Seen(t.Context(), "guess"); err != nil {
			t.Fatal(err)
		}
		got := h.receipts()
		if strings.Count(got, "push to browser delivered 1: the device showed it") != 2 {
			t.Fatal(got)
		}
		list, _ := h.n.Routes(t.Context(), "ana")
		if list[0].Last.Outcome != Delivered {
			t.Fatalf("%+v", list[0].Last)
		}
	})
}

func TestSubmitIsBounded(t *testing.T) {
	db := mem.New()
	defer db.Close()
	h := newHouse(t, db)
	if err := h.n.Submit(t.Context(), make([]Message, 1)); err == nil {
		t.Fatal("a message without ID was taken")
	}
	var list []Message
	for i := range int64(MaxOutbox) {
		list = append(list, page(i+1, "ana"))
	}
	h.submit(list[:MaxOutbox/2]...)
	h.submit(list[MaxOutbox/2:]...)
	if err := h.n.Submit(t.Context(), list[:1]); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
}

func FuzzJob(f *testing.F) {
	f.Add([]byte(`{"id":"p1","person":"ana","kind":"page","planned":true,"legs":[{"route":"r1","state":"marked","first":1},{"route":"r2"}]}`), int64(5))
	f.Fuzz(func(t *testing.T, raw []byte, now int64) {
		j, err := decodeJob("k", raw, 1)
		if err != nil {
			return
		}
		ready, next := j.due(now, 15_000)
		for _, i := range ready {
			if i < 0 || i >= len(j.Legs) {
				t.Fatal(ready)
			}
		}
		if j.over() && j.Planned && next != 0 && len(ready) == 0 {
			for _, l := range j.Legs {
				if l.State == again {
					t.Fatalf("over, and a leg is to be tried again: %s", raw)
				}
			}
		}
	})
}
