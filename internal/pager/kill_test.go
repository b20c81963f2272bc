package pager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/notify"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/store"
)

// Outcomes of whatever a pager asks of others.
const (
	done      = iota
	lost      // nothing happened, an error came back
	saved     // it happened, an error came back: or the process was killed right after
	half      // of a list a part happened, an error came back
	countless // how many outcomes there are
)

var errKilled = errors.New("killed")

// fate hands out outcomes as planned; beyond the plan all is well.
type fate struct {
	mu   sync.Mutex
	plan []int
}

func (f *fate) next() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.plan) == 0 {
		return done
	}
	o := f.plan[0]
	f.plan = f.plan[1:]
	return o
}

// around does something as fate has it.
func (f *fate) around(do func() error) error {
	o := f.next()
	if o == lost {
		return errKilled
	}
	if err := do(); o == done || err != nil {
		return err
	}
	return errKilled
}

type faultyRoom struct {
	Room
	*fate
}

func (f faultyRoom) Do(ctx context.Context, n int64, c incident.Command, m incident.Meta) error {
	return f.around(func() error { return f.Room.Do(ctx, n, c, m) })
}

type faultyPost struct {
	Courier
	*fate
}

func (f faultyPost) Submit(ctx context.Context, list []notify.Message) error {
	o := f.next()
	switch o {
	case lost:
		return errKilled
	case half:
		list = list[:len(list)/2]
	}
	if err := f.Courier.Submit(ctx, list); o == done || err != nil {
		return err
	}
	return errKilled
}

func (f faultyPost) Cancel(ctx context.Context, n int64, but ...string) error {
	return f.around(func() error { return f.Courier.Cancel(ctx, n, but...) })
}

type faultyDB struct {
	store.DB
	*fate
}

func (f faultyDB) Commit(ctx context.Context, t store.Txn) (rev int64, err error) {
	err = f.around(func() (err error) { rev, err = f.DB.Commit(ctx, t); return err })
	return rev, err
}

// Whatever is killed, lost, answered with an error though it was kept, or led by two at once: what a room waits for is being sent, under one id, and
// what it waits for no more is not; no step is left out, none comes twice.
func TestKilledAnywhere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := open(rt, t.Context())
		f := &fate{}
		h.lag = func(size int64) int64 { return rapid.Int64Range(0, size).Draw(rt, "lag") }
		h.wrapRoom = func(r Room) Room { return faultyRoom{r, f} }
		h.wrapPost = func(c Courier) Courier { return faultyPost{c, f} }
		h.wrapDB = func(d store.DB) store.DB { return faultyDB{d, f} }
		alive := []*Pager{h.pager()}
		var numbers []int64
		people := []string{"ana", "bo", "cy", "dee"}
		step := func(i int) {
			_, err := alive[i].Step(h.ctx)
			switch {
			case err == nil:
			case errors.Is(err, errDeposed), errors.Is(err, errKilled):
				if errors.Is(err, errDeposed) || rapid.Bool().Draw(rt, "kill") {
					alive[i] = h.pager()
				}
			default:
				rt.Fatalf("%v", err)
			}
		}
		for range rapid.IntRange(5, 40).Draw(rt, "moves") {
			switch rapid.IntRange(0, 9).Draw(rt, "move") {
			case 0:
				numbers = append(numbers, h.declare(rapid.SampledFrom([]incident.Severity{"SEV1", "SEV2", "SEV3", "SEV5"}).Draw(rt, "severity")))
			case 1, 2:
				h.now += rapid.Int64Range(1, 20*minute).Draw(rt, "pass")
			case 3:
				f.plan = append(f.plan, rapid.SliceOfN(rapid.IntRange(0, countless-1), 0, 10).Draw(rt, "fate")...)
			case 4:
				if len(alive) < 3 {
					alive = append(alive, h.pager()) // another one believes to lead
				} else {
					alive = alive[1:]
				}
			case 5, 6, 7:
				step(rapid.IntRange(0, len(alive)-1).Draw(rt, "who steps"))
			default:
				if len(numbers) == 0 {
					continue
				}
				n, who := rapid.SampledFrom(numbers).Draw(rt, "incident"), rapid.SampledFrom(people).Draw(rt, "person")
				c := rapid.SampledFrom([]incident.Command{
					incident.Acknowledge{}, incident.Acknowledge{}, incident.DeclinePage{}, incident.Snooze{For: "30m"}, incident.Unsnooze{}, incident.Escalate{}, incident.Resolve{Validation: "checked"},
					incident.Reopen{Reason: "it is back"}, incident.HandOn{Team: "team-treasury"}, incident.PageByHand{Person: "bo"}, incident.PageByHand{Team: "team-front"},
					incident.PageByHand{Policy: "esc-treasury"}, incident.Reassign{Person: "cy"}, incident.SetSeverity{Severity: "SEV1", Reason: "worse"}, incident.SetSeverity{Severity: "SEV5", Reason: "better"},
				}).Draw(rt, "command")
				var refusal *incident.Refusal
				if err := h.try(n, who, c); err != nil && !errors.As(err, &refusal) {
					rt.Fatalf("%v", err)
				}
			}
		}
		f.plan = nil
		last := h.pager()
		for range 3 { // it may be deposed by nobody any more
			h.step(last)
		}
		for _, n := range numbers {
			h.agreeOnPeople(n)
			h.onceEach(n)
			s := h.load(n)
			acts, next := escalation.Due(s.Paging, s.Situation(), last.look(&known{state: s}, h.duty.settings), h.now)
			if s.Severity == incident.SEV5 { // no step of it begins by itself, and so nothing that follows one
				if i := slices.IndexFunc(acts, func(a escalation.Act) bool { return a.Do == escalation.DoPage && a.Turn.Ask == 0 }); i >= 0 {
					acts, next = acts[:i], 0
				}
			}
			if len(acts) > 0 || next > 0 && next <= h.now {
				rt.Fatalf("incident %d: %+v is due still", n, acts)
			}
			if unrouted(s) {
				rt.Fatalf("incident %d was sent to nobody", n)
			}
		}
	})
}

// agreeOnPeople holds when all that waits is being sent, and nothing to anybody else. A page that was repeated may go on beside the newer one of the
// same person when somebody took over in between: a courier takes back by person, and the newer one may be there already.
func (h *house) agreeOnPeople(n int64) {
	h.t.Helper()
	s, alive := h.load(n), h.post.alive(n)
	for _, g := range s.Paging.Waits() {
		if !slices.Contains(alive, g.ID) {
			h.t.Fatalf("incident %d: %s waits and is not sent: %v", n, g.ID, alive)
		}
	}
	for _, id := range alive {
		if !s.Paging.WaitsFor(h.post.known[id].Person) {
			h.t.Fatalf("incident %d: %s is sent still", n, id)
		}
	}
}

// onceEach reads the whole stream: every page has an id of its own, each step begins once in a round, and whoever the courier has was paged.
func (h *house) onceEach(n int64) {
	h.t.Helper()
	list, err := h.log.ReadStream(h.ctx, room.Stream(n), 1, 4096)
	if err != nil {
		h.t.Fatalf("%v", err)
	}
	pages, steps := map[string]bool{}, map[string]bool{}
	for _, e := range list {
		var people []escalation.Callee
		switch b := room.Decode(e).Body.(type) {
		case incident.StepPaged:
			people = b.People
			key := fmt.Sprintf("%d %d %d ask %d", b.Epoch, b.Round, b.Step, b.Ask)
			if steps[key] && b.Ask == 0 {
				h.t.Fatalf("incident %d: step %s began twice", n, key)
			}
			steps[key] = true
		case incident.PagedByHand:
			people = []escalation.Callee{b.Callee}
		case incident.Reassigned:
			people = []escalation.Callee{b.Callee}
		}
		for _, c := range people {
			if pages[c.Page] {
				h.t.Fatalf("incident %d: the page %s was made twice", n, c.Page)
			}
			pages[c.Page] = true
		}
	}
	for id, m := range h.post.known {
		if m.Incident == n && !pages[id] {
			h.t.Fatalf("%s was sent and never made", id)
		}
		if !strings.HasSuffix(id, "-"+m.Person) {
			h.t.Fatalf("%s went to %s", id, m.Person)
		}
	}
}

// What a courier told until it was taken stands in the room, as it was told last, and once.
func TestReceiptsArriveOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := open(rt, t.Context())
		f := &fate{}
		h.wrapRoom = func(r Room) Room { return faultyRoom{r, f} }
		p := h.pager()
		n := h.declare("SEV1")
		h.step(p)
		h.now += 6 * minute
		h.step(p)
		pages := h.load(n).Paging.Pages
		last := map[string]notify.Receipt{} // by page and route
		for i := range rapid.IntRange(1, 12).Draw(rt, "told") {
			f.plan = rapid.SliceOfN(rapid.IntRange(0, half-1), 0, 6).Draw(rt, "fate")
			var list []notify.Receipt
			for range rapid.IntRange(1, 5).Draw(rt, "together") {
				g := rapid.SampledFrom(pages).Draw(rt, "page")
				h.now++
				r := notify.Receipt{Message: g.ID, Incident: n, Person: g.Person, Route: rapid.SampledFrom([]string{"r1", "r2"}).Draw(rt, "route"), Attempt: i + 1, At: h.now,
					Outcome: rapid.SampledFrom([]string{notify.Sent, notify.Delivered, notify.Failed, notify.Suppressed}).Draw(rt, "outcome")}
				r.Label = r.Route
				list = append(list, r)
				last[g.ID+" "+r.Route] = r
			}
			for p.Receipts(h.ctx, list) != nil {
				if rapid.Bool().Draw(rt, "another process") {
					p = h.pager()
				}
			}
			f.plan = nil
			before := h.events()
			if err := p.Receipts(h.ctx, list); err != nil || h.events() != before {
				rt.Fatalf("told once more: %d events more, %v", h.events()-before, err)
			}
		}
		got := 0
		for _, g := range h.load(n).Paging.Pages {
			for _, r := range g.Receipts {
				got++
				if w := last[g.ID+" "+r.Route]; w.Outcome != r.Outcome || w.At != r.At {
					rt.Fatalf("%s over %s: %+v, told %+v", g.ID, r.Route, r, w)
				}
			}
		}
		if got != len(last) {
			rt.Fatalf("%d receipts of %d", got, len(last))
		}
	})
}
