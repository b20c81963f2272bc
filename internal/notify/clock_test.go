package notify

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A clock that is set back by an hour keeps nobody from being reached: not what is tried again, nor what comes next.
func TestClockIsSetBack(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		var by atomic.Int64
		h.stop()
		h.n.Clock = func() int64 { return time.Now().UnixMilli() - by.Load() }
		h.run()
		fails := true
		h.by[Email].says = func(context.Context, Parcel) (Answer, error) {
			if fails {
				return Answer{}, &Failure{Reason: "the mail server is busy"}
			}
			return Answer{Detail: "taken"}, nil
		}
		h.routes("ana", Route{Kind: Email})
		h.routes("bo", Route{Kind: SMS})
		h.submit(page(1, "ana"), page(1, "bo"))
		synctest.Wait()
		fails = false
		by.Store(time.Hour.Milliseconds())
		m := page(2, "bo")
		h.submit(m)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := h.receipts(); !strings.Contains(got, "p1-ana e-mail sent 2") || !strings.Contains(got, "p2-bo SMS sent 1") || !h.empty() {
			t.Fatal(got)
		}
	})
}

// Nothing is sent to who is not one of us any more, also not what waited when they left.
func TestWhoHasLeft(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		var gone atomic.Bool
		h.stop()
		h.n.Rights = func(person string) Rights { return Rights{Here: person != "ana" || !gone.Load(), Paged: true} }
		h.run()
		h.routes("ana", Route{Kind: Email}, Route{Kind: SMS, After: time.Minute.Milliseconds()})
		h.submit(page(1, "ana"))
		synctest.Wait()
		gone.Store(true)
		h.submit(page(2, "ana"))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if len(h.by[Email].parcels()) != 1 || len(h.by[SMS].parcels()) != 0 || strings.Count(h.receipts(), "suppressed 1: this person has left") != 2 || !h.empty() {
			t.Fatal(h.receipts())
		}
	})
}

func TestWordsStayInTheirLine(t *testing.T) {
	got := compose([]Message{{Title: "a\r\nBcc: x\u2028y\u0085z \u202egnp.exe\u2066 👩‍💻", Kind: KindPage, Severity: "SEV1", Incident: 7}}, "").Subject
	want(t, got, "⬣ SEV1 #7 a Bcc: x y z gnp.exe 👩‍💻")
}

// Of who has left no address is kept.
func TestForgotten(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		h.routes("ana", Route{Kind: Email, Address: "ana@example.org"})
		h.routes("bo", Route{Kind: Email, Address: "bo@example.org"})
		if err := h.n.Test(t.Context(), "ana", "r1"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := h.n.Forget(t.Context(), "ana"); err != nil {
			t.Fatal(err)
		}
		for kv, err := range h.db.Scan(t.Context(), prefixRange("notify/")) {
			if k := string(kv.Key); err != nil || strings.Contains(k, digest("ana")) || strings.Contains(string(kv.Value), "ana@") {
				t.Errorf("%s %v", k, err)
			}
		}
		if list, err := h.n.Routes(t.Context(), "bo"); err != nil || len(list) != 1 {
			t.Error(list, err)
		}
	})
}
