package notify

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Routes do not outlive rights: whatever was there before, what somebody is now decides at every attempt.
func TestRoutesDoNotOutliveRights(t *testing.T) {
	all := []Route{{Kind: Email}, {Kind: Webhook, Address: "http://10.0.0.1/hook", Private: true}, {Kind: Other, Address: "gotify://10.0.0.1/token", Private: true},
		{Kind: Webhook, Label: "hook outside", Address: "https://hook.example/x", Private: true}}
	for i := range all {
		all[i].Added = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() // when the clock of a bubble begins
		if i > 0 {
			all[i].After = 1000
		}
	}
	barred := "only administrators may use this address, and this person is none any more"
	for _, c := range []struct {
		name   string
		rights Rights
		says   []string // of the page
		test   int      // parcels of a test on the webhook inside
	}{
		{"an administrator", Rights{Here: true, Paged: true, Admin: true}, []string{"e-mail sent", "webhook sent", "other service sent", "hook outside sent"}, 1},
		{"demoted to responder", Rights{Here: true, Paged: true}, []string{"e-mail sent", "webhook suppressed 1: " + barred, "other service suppressed 1: " + barred, "hook outside sent"}, 0},
		{"demoted to stakeholder", Rights{Here: true}, []string{"suppressed 1: this person may not be paged any more"}, 0},
		{"removed", Rights{}, []string{"suppressed 1: this person has left"}, 0},
		{"removed and here again", Rights{Here: true, Paged: true, Admin: true, Since: all[0].Added + 1}, []string{"failed 1: no route is set up for this person: only a desktop program of theirs that is open can show it"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *house) {
				now := Rights{Here: true, Paged: true, Admin: true}
				h.routes("ana", append([]Route(nil), all...)...)
				h.stop()
				now = c.rights
				h.n.Rights = func(string) Rights { return now }
				h.run()
				h.submit(page(1, "ana"))
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				got := h.receipts()
				for _, line := range c.says {
					if !strings.Contains(got, line) {
						t.Errorf("no %q in\n%s", line, got)
					}
				}
				if n := strings.Count(got, "\n"); n != len(c.says) {
					t.Errorf("%d receipts:\n%s", n, got)
				}
				for _, p := range h.by[Webhook].parcels() {
					if p.Route.Private && !c.rights.Admin {
						t.Error("what an administrator made leads inside for somebody who is none")
					}
				}
				before := len(h.by[Webhook].parcels())
				h.submit(Message{ID: "t", Person: "ana", Kind: KindTest, Title: "x", Route: "r2"})
				time.Sleep(time.Minute)
				synctest.Wait()
				if n := len(h.by[Webhook].parcels()) - before; n != c.test || !h.empty() {
					t.Errorf("%d tests over a route inside, want %d", n, c.test)
				}
			})
		})
	}
}

// Who loses a right while messages wait gets none of them, also not what would go over their next route.
func TestRightsLostWhileMessagesWait(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		h.stop()
		now := Rights{Here: true, Paged: true}
		h.n.Rights = func(string) Rights { return now }
		h.routes("ana", Route{Kind: Email}, Route{Kind: SMS, After: 60_000}, Route{Kind: Telegram, After: 120_000})
		h.run()
		h.submit(page(1, "ana"))
		time.Sleep(90 * time.Second)
		synctest.Wait()
		h.stop()
		now.Paged = false
		h.run()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if len(h.by[SMS].parcels()) != 1 || len(h.by[Telegram].parcels()) != 0 || !strings.Contains(h.receipts(), "may not be paged any more") || !h.empty() {
			t.Error(h.receipts())
		}
	})
}
