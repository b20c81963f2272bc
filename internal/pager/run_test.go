package pager

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// replica is one process that takes part in the election of who pages.
type replica struct {
	hold *mem.Replica
	log  *eventlog.Log
	end  context.CancelFunc
	wg   sync.WaitGroup
	led  chan struct{} // closed when it leads
}

func (h *house) replica(t *testing.T) *replica {
	hold := h.db.Replica()
	log, err := eventlog.Open(t.Context(), hold, eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &replica{hold: hold, log: log, end: cancel, led: make(chan struct{})}
	clock := time.Now
	p := New(Options{
		Log: log, Room: rooms{room.New(log)}, OnCall: h.duty, Courier: h.post, DB: hold, Links: NewLinks(hold, func() int64 { return clock().UnixMilli() }),
		Open: func() ([]int64, int64) { return nil, 0 }, URL: func() string { return "https://tocsin.example" }, Clock: clock, Logger: slog.New(slog.DiscardHandler),
	})
	r.wg.Go(func() { _ = log.Run(ctx) })
	r.wg.Go(func() {
		var once sync.Once
		for ctx.Err() == nil {
			_ = hold.Lead(ctx, "pager", func(ctx context.Context) error {
				once.Do(func() { close(r.led) })
				return p.Run(ctx)
			})
			pause(ctx, nil, 100*time.Millisecond)
		}
	})
	return r
}

func (r *replica) kill() {
	r.end()
	r.wg.Wait()
}

// Two replicas on one store: the one that leads dies in the middle of an escalation, the other one goes on at its time, and everybody is paged once.
// The timers are real ones, on the clock of the bubble.
func TestTwoReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, t.Context())
		h.now = time.Now().UnixMilli()
		a, b := h.replica(t), h.replica(t)
		synctest.Wait()
		lead, other := a, b
		select {
		case <-b.led:
			lead, other = b, a
		default:
		}
		n := h.declare("SEV2")
		synctest.Wait()
		if got := h.pages(n); len(got) != 1 || got[0] != escalation.PageID(n, 1, 1, 1, "ana") {
			t.Fatalf("at once: %v", got)
		}
		h.agree(n)
		time.Sleep(4 * time.Minute)
		lead.kill()
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if got := h.pages(n); len(got) != 3 {
			t.Fatalf("after the leader died: %v", got)
		}
		h.agree(n)
		h.now = time.Now().UnixMilli()
		h.do(n, "cy", incident.Acknowledge{})
		synctest.Wait()
		h.agree(n)
		if got := h.post.alive(n); len(got) != 0 || len(h.post.sent()) != 3 {
			t.Errorf("acknowledged: %v, in all %v", got, h.post.sent())
		}
		// It stays so for an hour, and then it pages again by itself.
		time.Sleep(59 * time.Minute)
		if len(h.post.sent()) != 3 {
			t.Errorf("%v", h.post.sent())
		}
		time.Sleep(time.Minute + time.Second)
		if len(h.post.alive(n)) == 0 {
			t.Error("the acknowledgement did not expire")
		}
		// A store that fails for a while holds it up, and ends nothing.
		h.post.mu.Lock()
		h.post.reject = errors.New("disk full")
		h.post.mu.Unlock()
		m := h.declare("SEV1")
		time.Sleep(time.Minute)
		if len(h.post.alive(m)) != 0 || len(h.pages(m)) != 1 {
			t.Errorf("%v wait, %v are sent", h.pages(m), h.post.alive(m))
		}
		h.post.mu.Lock()
		h.post.reject = nil
		h.post.mu.Unlock()
		time.Sleep(mostWait)
		synctest.Wait()
		h.agree(m)
		other.kill()
	})
}
