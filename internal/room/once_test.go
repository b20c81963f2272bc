package room

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/storetest"
)

// everyKind is one command of every way through the room.
var everyKind = []struct {
	name string
	do   func(h *house, n, other int64, id string) (Answer, error)
}{
	{"note", func(h *house, n, _ int64, id string) (Answer, error) {
		return h.Do(h.ctx, n, incident.AddNote{Text: "seen"}, meta(id))
	}},
	{"status", func(h *house, n, _ int64, id string) (Answer, error) {
		return h.Do(h.ctx, n, incident.SetStatus{Status: "mitigating"}, meta(id))
	}},
	{"declare", func(h *house, _, _ int64, id string) (Answer, error) {
		return h.Declare(h.ctx, incident.Declare{Title: "Another", Severity: "SEV3"}, meta(id))
	}},
	{"redact", func(h *house, n, _ int64, id string) (Answer, error) {
		return h.Do(h.ctx, n, incident.Redact{Event: "1", Reason: "names a client"}, meta(id))
	}},
	{"merge", func(h *house, n, other int64, id string) (Answer, error) {
		return h.Do(h.ctx, n, incident.Merge{Into: other}, meta(id))
	}},
}

// two makes two incidents; event 1 describes the first.
func two(h *house) (int64, int64) {
	return h.declared("Bridge drained"), h.declared("Bridge drained too")
}

func TestSameIDSameAnswer(t *testing.T) {
	for _, k := range everyKind {
		t.Run(k.name, func(t *testing.T) {
			h := open(t, memory())
			n, other := two(h)
			id := newID()
			first, err := k.do(h, n, other, id)
			if err != nil {
				t.Fatal(err)
			}
			if first.Repeated || len(first.Events) == 0 {
				t.Fatalf("first answer %s", tell(first))
			}
			size := h.log.Size()
			for range 3 {
				again, err := k.do(h, n, other, id)
				if err != nil {
					t.Fatal(err)
				}
				same(t, first, again)
				if !again.Repeated {
					t.Error("a repeated answer does not say so")
				}
				h = open(t, h.db) // restart
			}
			if h.log.Size() != size {
				t.Errorf("the log grew from %d to %d by repeating", size, h.log.Size())
			}
			// The id stands for this command now, whatever else comes with it.
			again, err := h.Do(h.ctx, first.Number, incident.RecordDecision{Text: "other words"}, meta(id))
			if err != nil {
				t.Fatal(err)
			}
			same(t, first, again)
			if _, err = h.Do(h.ctx, other, incident.AddNote{Text: "elsewhere"}, meta(id)); first.Number != other {
				wantCode(t, err, "id_used")
			}
			_, err = h.Do(h.ctx, other, incident.Redact{Event: "3", Reason: "elsewhere"}, meta(id))
			wantCode(t, err, "id_used")
			if k.name != "declare" {
				_, err = h.Declare(h.ctx, incident.Declare{Title: "With a used id", Severity: "SEV3"}, meta(id))
				wantCode(t, err, "id_used")
			}
			if h.log.Size() != size {
				t.Errorf("the log grew from %d to %d by a used id", size, h.log.Size())
			}
		})
	}
}

func TestSameIDAtOnce(t *testing.T) {
	for _, k := range everyKind {
		t.Run(k.name, func(t *testing.T) {
			h := open(t, memory())
			n, other := two(h)
			id := newID()
			size := h.log.Size()
			answers := make([]Answer, 40)
			var wg sync.WaitGroup
			for i := range answers {
				wg.Go(func() {
					var err error
					if answers[i], err = k.do(h, n, other, id); err != nil {
						t.Errorf("caller %d: %v", i, err)
					}
				})
			}
			wg.Wait()
			for _, a := range answers[1:] {
				same(t, answers[0], a)
			}
			want := int64(len(answers[0].Events))
			if k.name == "merge" {
				want++ // the other incident's absorbed
			}
			if grew := h.log.Size() - size; grew != want {
				t.Errorf("the log grew by %d events, want %d", grew, want)
			}
		})
	}
}

// TestManyAtOnce gives 200 commands at once, on one incident and on many, each
// sent twice: every answered command is there, none is there twice.
func TestManyAtOnce(t *testing.T) {
	engines(t, func(t *testing.T, db store.DB) {
		h := open(t, db)
		var numbers []int64
		for range 20 {
			numbers = append(numbers, h.declared("Flood"))
		}
		for _, rooms := range []int{1, len(numbers)} {
			ids := make([]string, 200)
			var wg sync.WaitGroup
			for i := range ids {
				ids[i] = newID()
				for range 2 {
					wg.Go(func() {
						text := fmt.Sprintf("note %d", i)
						a, err := h.Do(h.ctx, numbers[i%rooms], incident.AddNote{Text: text}, meta(ids[i]))
						if err != nil || len(a.Events) != 1 || a.Position != a.Events[0].Offset {
							t.Errorf("note %d: %s, %v", i, tell(a), err)
						}
					})
				}
			}
			wg.Wait()
			h.once("incident.note_added", 1, ids...)
		}
		notes := 0
		for _, n := range numbers {
			s := h.load(n)
			for _, e := range s.Timeline.Last(s.Timeline.Len()) {
				if e.Kind == incident.KindNote {
					notes++
				}
			}
		}
		if notes != 400 {
			t.Errorf("%d notes on the timelines, want 400", notes)
		}
	})
}

func TestNumbersHaveNoGap(t *testing.T) {
	db := memory()
	replicas := []*house{open(t, db), open(t, db)}
	const each = 40
	var mu sync.Mutex
	got := map[int64]bool{}
	var wg sync.WaitGroup
	for _, h := range replicas {
		for range each {
			wg.Go(func() {
				a, err := h.Declare(h.ctx, incident.Declare{Title: "At once", Severity: "SEV3"}, meta(newID()))
				mu.Lock()
				defer mu.Unlock()
				if err != nil || got[a.Number] {
					t.Errorf("number %d twice, or %v", a.Number, err)
				}
				got[a.Number] = true
			})
		}
	}
	wg.Wait()
	for n := int64(1); n <= 2*each; n++ {
		if !got[n] {
			t.Errorf("nobody got number %d", n)
		}
	}
	if n := open(t, db).declared("after a restart"); n != 2*each+1 {
		t.Errorf("after a restart the next number is %d, want %d", n, 2*each+1)
	}
}

// TestReplicas lets two processes write the same incident: conflicts are tried
// again, and whoever loses too often is told and has written nothing.
func TestReplicas(t *testing.T) {
	db := memory()
	a, b := open(t, db), open(t, db)
	n := a.declared("Two processes")
	b.must(n, incident.AddNote{Text: "b has it cached"}, newID())
	a.must(n, incident.SetStatus{Status: "mitigating"}, newID())
	if got := b.must(n, incident.SetStatus{Status: "mitigating"}, newID()); len(got.Events) != 0 || got.Position != a.log.Size()-1 {
		t.Errorf("b decides on an old state: %s, log size %d", tell(got), a.log.Size())
	}
	ids := make([]string, 120)
	var wg sync.WaitGroup
	for i := range ids {
		ids[i] = newID()
		h := []*house{a, b}[i%2]
		wg.Go(func() {
			for {
				_, err := h.Do(h.ctx, n, incident.AddNote{Text: "both"}, meta(ids[i]))
				if err == nil {
					return
				}
				if !errors.Is(err, ErrContended) {
					t.Errorf("command %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	a.once("incident.note_added", 1, ids...)
}

// TestUncertainStore fails commits in every way; a caller that repeats its
// command until it is answered has it exactly once.
func TestUncertainStore(t *testing.T) {
	faults := map[string]func() storetest.Fault{"lost": storetest.Lose, "saved but failed": storetest.SaveAndFail, "saved later": storetest.SaveLater}
	for name, fault := range faults {
		for _, k := range everyKind {
			t.Run(name+"/"+k.name, func(t *testing.T) {
				for at := range 3 { // which of the commits fails
					begun, seen := false, 0
					db := storetest.Faulty(memory(), func(int, store.Txn) storetest.Fault {
						if seen++; begun && seen == at+1 {
							return fault()
						}
						return storetest.Pass()
					})
					h := open(t, db)
					n, other := two(h)
					id := newID()
					begun, seen = true, 0
					var a Answer
					var err error
					for range 8 {
						if a, err = k.do(h, n, other, id); err == nil {
							break
						}
						db.Settle(h.ctx) // what was on its way arrives before the next try
						var r *incident.Refusal
						if errors.As(err, &r) {
							t.Fatalf("commit %d: refused after a fault: %v", at, err)
						}
					}
					if err != nil {
						t.Fatalf("commit %d: never answered: %v", at, err)
					}
					db.Settle(h.ctx)
					restarted := open(t, db)
					again, err := k.do(restarted, n, other, id)
					if err != nil {
						t.Fatal(err)
					}
					same(t, a, again)
					restarted.once(a.Events[0].Type, 1, id)
					if k.name == "merge" {
						restarted.once("incident.absorbed", 1, id+".absorb")
						if s := restarted.load(other); len(s.Absorbed) != 1 {
							t.Errorf("absorbed %v", s.Absorbed)
						}
					}
				}
			})
		}
	}
}
