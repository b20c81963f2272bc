package notify

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// What waits is counted while nobody has it, with its age; what is with a provider waits no more, also when routes with a wait of their own follow.
func TestFigures(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		open := false
		h.by[Email].says = func(context.Context, Parcel) (Answer, error) {
			if !open {
				return Answer{}, &Failure{Reason: "it does not answer"}
			}
			return Answer{Detail: "taken"}, nil
		}
		h.routes("ana", Route{Kind: Email}, Route{Kind: SMS, Floor: "SEV1"}, Route{Kind: Telegram, After: 3_600_000})
		h.routes("cy", Route{Kind: Email})
		time.Sleep(2 * time.Second)
		if f := h.n.Figures(); !f.Leads || f.Waiting != 0 || f.Oldest != 0 {
			t.Errorf("%+v", f)
		}
		h.submit(page(1, "cy"), page(1, "bo"))
		time.Sleep(20*time.Minute + 100*time.Millisecond)
		synctest.Wait()
		f := h.n.Figures()
		if age := time.Duration(f.Oldest) * time.Millisecond; f.Waiting != 1 || age < 20*time.Minute || age > 20*time.Minute+2*time.Second {
			t.Errorf("%+v", f)
		}
		if f.Told[Tally{"none", Failed}] != 1 || f.Told[Tally{Email, Failed}] < 5 {
			t.Errorf("%+v", f.Told)
		}
		open = true
		h.submit(page(2, "ana"))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if f := h.n.Figures(); f.Waiting != 0 || f.Oldest != 0 || f.Told[Tally{Email, Sent}] != 2 {
			t.Errorf("%+v", f)
		}
		drill := page(3, "ana")
		drill.Drill = true
		h.submit(drill)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if f := h.n.Figures(); f.Waiting != 0 || f.Told[Tally{"none", Suppressed}] != 1 {
			t.Errorf("%+v", f)
		}
		h.stop()
		if f := h.n.Figures(); f.Leads || f.Waiting != 0 || f.Told[Tally{Email, Sent}] != 2 {
			t.Errorf("%+v", f)
		}
		h.run()
	})
}
