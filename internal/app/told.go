package app

import (
	"context"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/metrics"
)

// What senders write comes in bursts, and the other replicas are told of samples
// at a steady rate only. So it waits here; full, the oldest go and are counted.
const (
	tellMost  = 20_000 // samples that wait
	tellAtAll = 500    // at a time, about half of what peers pass on
	tellPause = 500 * time.Millisecond
)

// telling passes samples from outside on to the other replicas.
type telling struct {
	to func([]chain.Sample)

	mu   sync.Mutex
	wait []metrics.Sample
	lost int64
}

// add never blocks.
func (t *telling) add(list []metrics.Sample) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wait = append(t.wait, list...)
	if over := len(t.wait) - tellMost; over > 0 {
		t.lost += int64(over)
		t.wait = append([]metrics.Sample(nil), t.wait[over:]...)
	}
}

func (t *telling) take() []metrics.Sample {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(t.wait), tellAtAll)
	list := t.wait[:n:n]
	if t.wait = t.wait[n:]; len(t.wait) == 0 {
		t.wait = nil
	}
	return list
}

// run tells until ctx ends.
func (t *telling) run(ctx context.Context) error {
	tick := time.NewTicker(tellPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		list := t.take()
		out := make([]chain.Sample, len(list))
		for i, s := range list {
			out[i] = chain.Sample{Name: s.Name, Labels: s.Labels, At: s.At, Value: s.Value}
		}
		if len(out) > 0 {
			t.to(out)
		}
	}
}
