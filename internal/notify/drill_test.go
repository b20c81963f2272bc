package notify

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Every text of a drill that is let out says DRILL, in its subject and in its short form; and what is real never reads like a drill.
func TestEveryTextOfADrillSaysDrill(t *testing.T) {
	drill, real := page(1, "ana"), page(2, "ana")
	drill.Drill, drill.Severity = true, "SEV1"
	other := page(3, "ana")
	other.Drill = true
	long := drill
	long.Title, long.AckURL = strings.Repeat("A long title. ", 30), "https://tocsin.example/page/"+strings.Repeat("x", 26)
	notice := drill
	notice.Kind = KindNotice
	for _, list := range [][]Message{{drill}, {drill, other}, {long}, {long, other}, {notice}, {notice, drill, other}} {
		for _, text := range []Text{compose(list, "https://tocsin.example"), compose(list, "")} {
			for _, said := range []string{text.Subject, text.Plain, text.Short, text.Quoted(strings.ToUpper)} {
				if !strings.HasPrefix(said, "DRILL ") {
					t.Errorf("%d messages: %q", len(list), said)
				}
			}
		}
	}
	for _, list := range [][]Message{{drill, real}, {real, drill, other}} {
		text := compose(list, "")
		if strings.HasPrefix(text.Subject, "DRILL") || !strings.Contains(text.Subject, "worst SEV2 #2") || !strings.Contains(text.Subject, "DRILL") || strings.Count(text.Body, "\nDRILL ") != len(list)-1 {
			t.Errorf("%q\n%s", text.Subject, text.Body)
		}
	}
}

// A drill that is let out is let out until its time is over: what would be sent later is not, also what an attempt was begun of.
func TestDrillIsOutForItsTimeOnly(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		h.routes("ana", Route{Kind: Email}, Route{Kind: SMS, After: 60_000}, Route{Kind: Telegram, After: 180_000})
		m := page(1, "ana")
		m.Drill, m.LeaveUntil = true, time.Now().Add(2*time.Minute).UnixMilli()
		h.submit(m)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		want(t, h.receipts(), "p1-ana e-mail sent 1: taken\np1-ana SMS sent 1: taken\np1-ana Telegram suppressed 1: it is a drill, and its time outside is over\n")
		late := page(2, "ana")
		late.Drill, late.LeaveUntil = true, m.LeaveUntil
		h.submit(late)
		synctest.Wait()
		if len(h.by[Email].parcels()) != 1 || len(h.by[Telegram].parcels()) != 0 || !h.empty() {
			t.Error("something of a drill left after its time")
		}
	})
}

// Of two pages of one person about one incident the older one ends and the newer goes on.
func TestCancelEndsAllButWhatIsNamed(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		h.routes("ana", Route{Kind: Email}, Route{Kind: SMS, After: 60_000})
		older, newer := page(1, "ana"), page(1, "ana")
		older.ID, newer.ID = "page-1-old", "page-1-new"
		h.submit(older)
		time.Sleep(10 * time.Second)
		h.submit(newer)
		if err := h.n.Cancel(t.Context(), 1, newer.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		got := h.by[SMS].parcels()
		if len(got) != 1 || len(got[0].Messages) != 1 || got[0].Messages[0].ID != newer.ID || !h.empty() {
			t.Errorf("%+v", got)
		}
	})
}
