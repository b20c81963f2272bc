package room

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// far is a replica's hold on a shared store whose commits take a while.
type far struct{ *mem.Replica }

func (f far) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	time.Sleep(time.Millisecond)
	return f.Replica.Commit(ctx, txn)
}

// three are three replicas of small Txns, as etcd takes them, that watch one another.
func three(t *testing.T) (houses []*house, stop func()) {
	db := mem.Open(mem.Options{MaxOps: 127})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		h := open(t, far{db.Replica()})
		wg.Go(func() {
			if err := h.log.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		houses = append(houses, h)
	}
	return houses, func() {
		cancel()
		wg.Wait()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestThreeReplicasOneIncident: many people on three replicas write one incident
// without a pause. Notes never fail, each command happens once although every
// one is sent twice, to two replicas, and what is refused is refused for a reason.
func TestThreeReplicasOneIncident(t *testing.T) {
	for _, real := range []bool{false, true} { // the bubble's clock, and real interleaving
		t.Run(fmt.Sprintf("real=%v", real), func(t *testing.T) {
			body := func(t *testing.T) {
				houses, stop := three(t)
				defer stop()
				n := houses[0].declared("Contended")
				const writers, each = 12, 10
				var wg sync.WaitGroup
				for w := range writers {
					for r := range 2 { // the same ids on two replicas
						h := houses[(w+r)%3]
						wg.Go(func() {
							for i := range each {
								id := fmt.Sprintf("note-%d-%d", w, i)
								if _, err := h.Do(h.ctx, n, incident.AddNote{Text: id}, meta(id)); err != nil {
									t.Errorf("%s: %v", id, err)
								}
								_, err := h.Do(h.ctx, n, incident.AssignRole{Role: "commander", Person: fmt.Sprintf("p%d", w)}, meta(fmt.Sprintf("role-%d", w)))
								var refused *incident.Refusal
								if err != nil && (!errors.As(err, &refused) || refused.Code != incident.CodeUseHandOver) {
									t.Errorf("role %d: %v", w, err)
								}
							}
						})
					}
				}
				wg.Wait()
				notes, roles := map[string]int{}, 0
				for _, e := range houses[1].events() {
					switch e.Type {
					case (incident.NoteAdded{}).Type():
						notes[e.Causation]++
					case (incident.RoleAssigned{}).Type():
						roles++
					}
				}
				if len(notes) != writers*each || roles != 1 {
					t.Errorf("%d notes, want %d; %d commanders were assigned", len(notes), writers*each, roles)
				}
				for id, times := range notes {
					if times != 1 {
						t.Errorf("%s happened %d times", id, times)
					}
				}
			}
			if real {
				body(t)
			} else {
				synctest.Test(t, body)
			}
		})
	}
}

// TestRefusalIsOfTheNewestState: what another replica made possible a moment ago
// is not refused out of memory, also before any watch tells of it.
func TestRefusalIsOfTheNewestState(t *testing.T) {
	db := mem.New()
	a, b := open(t, db.Replica()), open(t, db.Replica())
	n := a.declared("Two replicas")
	b.must(n, incident.AddNote{Text: "b knows the incident"}, newID())
	for i := range 20 {
		task := a.must(n, incident.AddTask{Title: fmt.Sprint("task ", i)}, newID())
		if len(task.Events) != 1 {
			t.Fatal(tell(task))
		}
		b.must(n, incident.CompleteTask{Task: a.load(n).Tasks[i].ID}, newID())
		// And what it made void is not fulfilled out of memory.
		status := incident.SetStatus{Status: []string{"mitigating", "investigating"}[i%2], Reason: "it did not hold"}
		a.must(n, status, newID())
		b.must(n, incident.SetStatus{Status: []string{"investigating", "mitigating"}[i%2], Reason: "it did not hold"}, newID())
		if got := a.must(n, status, newID()); len(got.Events) == 0 {
			t.Fatalf("round %d: nothing to do, says %s, though the other replica undid it", i, tell(got))
		}
	}
}

// TestLargeBatchIsSplit: more commands wait than the store takes in one Txn; all
// are carried out, in order, and those that lean on others too.
func TestLargeBatchIsSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueueOn(t, mem.Open(mem.Options{MaxOps: 40}))
		for i := range 60 {
			q.give(context.Background(), incident.AddNote{Text: "waits"}, fmt.Sprint("w", i))
		}
		q.give(context.Background(), incident.AssignRole{Role: "commander", Person: "ana"}, "ana")
		q.give(context.Background(), incident.AssignRole{Role: "commander", Person: "ana"}, "again")
		q.give(context.Background(), incident.AssignRole{Role: "commander", Person: "ben"}, "ben")
		got := q.release()
		last := int64(-1)
		for i, o := range got[:62] {
			if o.err != nil || o.a.Position <= last {
				t.Fatalf("command %d: at %d after %d, %v", i, o.a.Position, last, o.err)
			}
			last = o.a.Position
		}
		if got[62].err != nil || len(got[62].a.Events) != 0 {
			t.Errorf("again: %s, %v", tell(got[62].a), got[62].err)
		}
		wantCode(t, got[63].err, incident.CodeUseHandOver)
	})
}

// strict fails the test when anything is read with leave to be stale.
type strict struct {
	store.DB
	t *testing.T
}

func (s strict) Get(ctx context.Context, key []byte) (store.KV, error) {
	if store.StaleAllowed(ctx) {
		s.t.Errorf("get %q may be stale", key)
	}
	return s.DB.Get(ctx, key)
}

func (s strict) MaxOps() int { return store.OpLimit(s.DB) }

// staleLog sees the contexts that the room reads with.
type staleLog struct {
	*eventlog.Log
	t *testing.T
}

func (l staleLog) look(ctx context.Context) {
	if store.StaleAllowed(ctx) {
		l.t.Error("decided on what may be stale")
	}
}

func (l staleLog) ByCausation(ctx context.Context, id string) ([]eventlog.Event, error) {
	l.look(ctx)
	return l.Log.ByCausation(ctx, id)
}

func (l staleLog) ReadStream(ctx context.Context, stream string, from int64, limit int) ([]eventlog.Event, error) {
	l.look(ctx)
	return l.Log.ReadStream(ctx, stream, from, limit)
}

func (l staleLog) StreamHead(ctx context.Context, stream string) (int64, error) {
	l.look(ctx)
	return l.Log.StreamHead(ctx, stream)
}

// TestNothingIsDecidedOnStaleState, although the page that asks may show it.
func TestNothingIsDecidedOnStaleState(t *testing.T) {
	h := open(t, strict{memory(), t})
	h.Rooms = New(staleLog{h.log, t})
	h.ctx = store.AllowStale(h.ctx)
	n, other := two(h)
	for _, k := range everyKind {
		if k.name == "merge" {
			continue
		}
		if _, err := k.do(h, n, other, newID()); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}
	if _, err := h.Do(h.ctx, n, incident.Merge{Into: other}, meta(newID())); err != nil {
		t.Error(err)
	}
}
