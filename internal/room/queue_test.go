package room

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
	"github.com/tocsin-ops/tocsin/store/storetest"
)

// queue is an incident whose next append is held, so that what comes after
// waits and is decided in one batch.
type queue struct {
	*house
	n    int64
	held chan struct{}
	lose atomic.Bool // commits after the held one are lost
	done []chan outcome
	hold atomic.Bool
}

type outcome struct {
	a   Answer
	err error
}

// newQueue must be called in a synctest bubble.
func newQueue(t *testing.T) *queue { return newQueueOn(t, memory()) }

func newQueueOn(t *testing.T, on store.DB) *queue {
	q := &queue{held: make(chan struct{})}
	db := storetest.Faulty(on, func(int, store.Txn) storetest.Fault {
		if q.hold.CompareAndSwap(true, false) {
			return storetest.Hold(q.held)
		}
		if q.lose.Load() {
			return storetest.Lose()
		}
		return storetest.Pass()
	})
	q.house = open(t, db)
	q.n = q.declared("Queue")
	q.hold.Store(true)
	q.give(context.Background(), incident.AddNote{Text: "held"}, newID())
	return q
}

// give starts a command and returns once it waits.
func (q *queue) give(ctx context.Context, c incident.Command, id string) int {
	done := make(chan outcome, 1)
	q.done = append(q.done, done)
	go func() {
		a, err := q.Do(ctx, q.n, c, meta(id))
		done <- outcome{a, err}
	}()
	synctest.Wait()
	return len(q.done) - 1
}

// release lets the held append through and returns all outcomes.
func (q *queue) release() []outcome {
	close(q.held)
	out := make([]outcome, len(q.done))
	for i, d := range q.done {
		out[i] = <-d
	}
	return out
}

func TestBatchAnswersAreTrue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		// Another stream grows meanwhile, so that guessed offsets would be wrong.
		q.give(context.Background(), incident.SetStatus{Status: "mitigating"}, "a")
		q.give(context.Background(), incident.SetStatus{Status: "mitigating"}, "b") // fulfilled by a
		q.give(context.Background(), incident.SetStatus{Status: "mitigating"}, "a") // a again
		q.give(context.Background(), incident.SetStatus{Status: "mitigating"}, "b")
		q.give(context.Background(), incident.AssignRole{Role: "commander", Person: "ana"}, "c")
		q.give(context.Background(), incident.AssignRole{Role: "commander", Person: "ben"}, "d") // refused because of c
		got := q.release()
		a, b := got[1], got[2]
		if a.err != nil || len(a.a.Events) != 1 {
			t.Fatalf("a: %s, %v", tell(a.a), a.err)
		}
		if b.err != nil || len(b.a.Events) != 0 || b.a.Position < a.a.Position {
			t.Errorf("b is fulfilled by a at %d, but answered %s, %v", a.a.Position, tell(b.a), b.err)
		}
		same(t, a.a, got[3].a)
		if got[4].err != nil || len(got[4].a.Events) != 0 {
			t.Errorf("b again: %s, %v", tell(got[4].a), got[4].err)
		}
		wantCode(t, got[6].err, incident.CodeUseHandOver)
	})
}

// TestNobodyLeansOnALostAppend: what was only true because of an earlier
// command of the batch must not be answered when that command was not saved.
func TestNobodyLeansOnALostAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		q.give(context.Background(), incident.AssignRole{Role: "commander", Person: "ana"}, "a")
		q.give(context.Background(), incident.AssignRole{Role: "commander", Person: "ana"}, "b")
		q.give(context.Background(), incident.AssignRole{Role: "commander", Person: "ben"}, "c")
		held := q.held // is past its fault already
		q.held = make(chan struct{})
		q.lose.Store(true)
		close(held)
		got := q.release()
		q.lose.Store(false)
		if q.load(q.n).Commander() != "" {
			t.Fatal("the fault did nothing; this test would prove nothing")
		}
		for i, o := range got[1:] {
			var r *incident.Refusal
			if o.err == nil || errors.As(o.err, &r) {
				t.Errorf("command %d was answered %s, %v, though nothing was saved", i, tell(o.a), o.err)
			}
		}
		// Afterwards the room is well.
		if a := q.must(q.n, incident.AssignRole{Role: "commander", Person: "ben"}, "c"); len(a.Events) != 1 {
			t.Errorf("after the fault: %s", tell(a))
		}
	})
}

// TestConflictJudgesAnew: another replica wins the held append; what leaned on
// the first judgement is judged again on the new state.
func TestConflictJudgesAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		q.give(context.Background(), incident.AssignRole{Role: "commander", Person: "ana"}, "a")
		q.give(context.Background(), incident.AssignRole{Role: "commander", Person: "ana"}, "b")
		// The held append stands first in line of the store; the replica writes
		// around it, so that the held one and all after it meet a conflict.
		replica := open(t, q.db.(*storetest.FaultyDB).DB)
		replica.must(q.n, incident.AssignRole{Role: "commander", Person: "ben"}, "z")
		got := q.release()
		if got[0].err != nil {
			t.Errorf("the held note: %v", got[0].err)
		}
		for _, o := range got[1:] {
			wantCode(t, o.err, incident.CodeUseHandOver)
		}
		if c := q.load(q.n).Commander(); c != "ben" {
			t.Errorf("commander %q", c)
		}
	})
}

func TestCancelledWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		ctx, cancel := context.WithCancel(context.Background())
		waiting := q.give(ctx, incident.AddNote{Text: "impatient"}, "a")
		q.give(context.Background(), incident.AddNote{Text: "patient"}, "b")
		cancel()
		synctest.Wait()
		select {
		case o := <-q.done[waiting]:
			if !errors.Is(o.err, context.Canceled) {
				t.Errorf("cancelled while waiting: %v", o.err)
			}
			q.done[waiting] <- o
		default:
			t.Fatal("a cancelled command still waits")
		}
		got := q.release()
		if got[2].err != nil {
			t.Errorf("the one behind it: %v", got[2].err)
		}
		q.once("incident.note_added", 0, "a")
		q.once("incident.note_added", 1, "b")
	})
}

// TestCancelledLeader: the one who decides for others is not cut off.
func TestCancelledLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		ctx, cancel := context.WithCancel(context.Background())
		// Fill the next batch so that its leader decides for others too.
		q.hold.Store(true)
		leader := q.give(ctx, incident.AddNote{Text: "leads"}, "a")
		q.give(context.Background(), incident.AddNote{Text: "follows"}, "b")
		first := q.held
		q.held = make(chan struct{})
		close(first)
		synctest.Wait() // the second batch is held now
		cancel()
		synctest.Wait()
		got := q.release()
		for _, i := range []int{leader, leader + 1} {
			if got[i].err != nil {
				t.Errorf("command %d: %v", i, got[i].err)
			}
		}
		q.once("incident.note_added", 1, "a", "b")
	})
}

func TestTooManyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		for i := range maxPending {
			q.give(context.Background(), incident.AddNote{Text: "waits"}, fmt.Sprint("w", i))
		}
		if _, err := q.Do(q.ctx, q.n, incident.AddNote{Text: "one too many"}, meta("x")); !errors.Is(err, ErrBusy) {
			t.Errorf("with %d waiting: %v", maxPending, err)
		}
		for i, o := range q.release() {
			if o.err != nil {
				t.Fatalf("command %d: %v", i, o.err)
			}
		}
		q.once("incident.note_added", 0, "x")
		q.must(q.n, incident.AddNote{Text: "later"}, "x")
	})
}

func TestNoIncident(t *testing.T) {
	h := open(t, memory())
	if _, err := h.Do(h.ctx, 7, incident.AddNote{Text: "?"}, meta("a")); !errors.Is(err, ErrNoIncident) {
		t.Error(err)
	}
	if _, err := h.Load(h.ctx, 7); !errors.Is(err, ErrNoIncident) {
		t.Error(err)
	}
	if _, err := h.Do(h.ctx, 7, incident.Redact{Event: "0", Reason: "?"}, meta("a")); !errors.Is(err, ErrNoIncident) {
		t.Error(err)
	}
	n := h.declared("One")
	_, err := h.Do(h.ctx, n, incident.Merge{Into: 7}, meta("b"))
	wantCode(t, err, "no_such_incident")
	_, err = h.Do(h.ctx, n, incident.Declare{Title: "Inside", Severity: "SEV1"}, meta("c"))
	wantCode(t, err, incident.CodeAlreadyDeclared)
	if h.log.Size() > 3 {
		t.Errorf("refusals wrote: %d events", h.log.Size())
	}
}

func TestNumberOfStream(t *testing.T) {
	for stream, want := range map[string]int64{"incident/42": 42, "incident/0": 0, "incident/-1": 0, "incident/x": 0, "signal/1": 0, "incident/": 0, "incident/1/2": 0} {
		if n, ok := Number(stream); n != want && ok || ok != (want != 0) {
			t.Errorf("Number(%q) = %d, %v", stream, n, ok)
		}
	}
	if Stream(42) != "incident/42" {
		t.Error(Stream(42))
	}
}

// TestMergesDoNotCross: two duplicates merged into each other at once, again and
// again: one stays, whatever the order.
func TestMergesDoNotCross(t *testing.T) {
	db := mem.Open(mem.Options{MaxOps: 4096})
	h, replica := open(t, db), open(t, db)
	h.Among(db)
	replica.Among(db)
	for i := range 40 {
		a, b := two(h)
		var wg sync.WaitGroup
		errs := make([]error, 2)
		other := []*house{h, replica}[i%2]
		wg.Go(func() { _, errs[0] = h.Do(h.ctx, a, incident.Merge{Into: b}, meta(newID())) })
		wg.Go(func() { _, errs[1] = other.Do(h.ctx, b, incident.Merge{Into: a}, meta(newID())) })
		wg.Wait()
		x, y := h.load(a), h.load(b)
		if (errs[0] == nil) == (errs[1] == nil) || (x.MergedInto == 0) == (y.MergedInto == 0) || len(x.Absorbed)+len(y.Absorbed) != 1 {
			t.Fatalf("#%d into #%d: %v and %v; merged into %d and %d, absorbed %v and %v", a, b, errs[0], errs[1], x.MergedInto, y.MergedInto, x.Absorbed, y.Absorbed)
		}
	}
}

// TestMergeHandsOver: the incident that stays learns what the other knew of chains, keeps what it says itself, and a repeated merge tells nothing twice.
func TestMergeHandsOver(t *testing.T) {
	h := open(t, memory())
	a, b := two(h)
	const ours, theirs = "0xb5c55f76f90cc528b2609109ca14d8d84593590e", "0x88a69b4e698a4b090df6cf5bd7b2d47325ad30a3"
	for i, address := range []string{ours, theirs} {
		h.must(a, incident.AddAddress{Chain: "ethereum", Address: address, Kind: "attacker", Label: "seen first"}, newID())
		if i == 0 {
			h.must(b, incident.AddAddress{Chain: "ethereum", Address: address, Kind: "ours"}, newID())
		}
	}
	h.must(a, incident.AddTransaction{Chain: "ethereum", Tx: "0xa5fe9d044e4f3e5aa5bc4c0709333cd2190cba0f4e7f16bcf73f49f83e4a5460"}, newID())
	id := newID()
	h.must(a, incident.Merge{Into: b}, id)
	h.must(a, incident.Merge{Into: b}, id)
	s := h.load(b)
	if len(s.Addresses) != 2 || s.Addresses[0].Kind != incident.AddressOurs || s.Addresses[1].Address != theirs || s.Addresses[1].Label != "seen first" || len(s.Transactions) != 1 {
		t.Errorf("%+v %+v", s.Addresses, s.Transactions)
	}
	if old := h.load(a); len(old.Addresses) != 2 || len(old.Transactions) != 1 || old.MergedInto != b {
		t.Errorf("%+v", old.Addresses)
	}
}
