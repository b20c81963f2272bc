package projection

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/room"
)

const (
	readAtOnce = 1024        // events in one page of the fold
	tellEvery  = time.Second // between two words of progress
)

// sketcher folds many events in a short time, before anybody looks: incidents
// without their timelines, of which only cards are left in the end.
type sketcher struct {
	log      Log
	most     int // sketches at once
	fold     *fold
	sketches map[int64]incident.Sketch // incidents that events came for
	progress func(done, of int64)
	redacted int64
}

// run folds through the event before to.
func (k *sketcher) run(ctx context.Context, to int64) error {
	first, began, told := k.fold.position+1, time.Now(), time.Now()
	err := ahead(ctx, k.log, first, to, func(ctx context.Context, page []item) error {
		for i := range page {
			if err := k.apply(ctx, &page[i]); err != nil {
				return err
			}
		}
		if k.progress != nil && time.Since(told) >= tellEvery {
			told = time.Now()
			k.progress(k.fold.position+1, to)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if k.progress != nil && time.Since(began) >= tellEvery {
		k.progress(to, to)
	}
	k.settle(true)
	k.fold.take()
	return nil
}

func (k *sketcher) apply(ctx context.Context, it *item) error {
	if it.redaction {
		k.redacted = it.offset
	}
	if it.incident == 0 {
		k.fold.other(it)
		k.fold.position = it.offset
		return nil
	}
	before, ok := k.sketches[it.incident]
	if !ok {
		if len(k.sketches) >= k.most {
			k.settle(false)
		}
		var err error
		if before, err = k.begin(ctx, it.incident); err != nil {
			return err
		}
	}
	after := before.Apply(it.fact)
	k.sketches[it.incident] = after
	k.fold.follow(it.incident, before.Signals(), after.Signals())
	k.fold.mark(it, !before.Declared() || before.Told() != after.Told())
	k.fold.position = it.offset
	return nil
}

// begin is the sketch of an incident as of the fold's position: a new one, or
// that of one that is a card by now, from its stream.
func (k *sketcher) begin(ctx context.Context, n int64) (incident.Sketch, error) {
	s := incident.NewSketch(n)
	if _, known := k.fold.cards[n]; !known {
		return s, nil
	}
	for seq := int64(1); ; {
		page, err := k.log.ReadStream(ctx, room.Stream(n), seq, 0)
		if err != nil {
			return s, fmt.Errorf("read incident %d from %d: %w", n, seq, err)
		}
		for _, e := range page {
			if e.Offset > k.fold.position {
				return s, nil
			}
			s = s.Apply(room.Decode(e))
		}
		if len(page) < eventlog.PageSize {
			return s, nil
		}
		seq = page[len(page)-1].Seq + 1
	}
}

// settle makes cards of the sketches: of all, or of those that are closed, and
// of all when that does not make room enough.
func (k *sketcher) settle(all bool) {
	for n, s := range k.sketches {
		if c := s.Card(); all || !c.Open() {
			k.fold.cards[n] = c
			delete(k.sketches, n)
		}
	}
	if len(k.sketches) > k.most/2 && !all {
		k.settle(true)
	}
}

// ahead reads the events [from, to) and calls do with page after page in order,
// while the next pages are read and decoded on all processors. It holds a few
// pages more than there are processors.
func ahead(ctx context.Context, log Log, from, to int64, do func(context.Context, []item) error) error {
	g, ctx := errgroup.WithContext(ctx)
	type ticket chan []item
	tickets := make(chan ticket, runtime.GOMAXPROCS(0)+1)
	g.Go(func() error {
		defer close(tickets)
		for at := from; at < to; at += readAtOnce {
			t := make(ticket, 1)
			select {
			case tickets <- t:
			case <-ctx.Done():
				return ctx.Err()
			}
			n := int(min(readAtOnce, to-at))
			g.Go(func() error {
				page, err := log.Read(ctx, at, n)
				if err == nil && len(page) != n {
					err = fmt.Errorf("%d events at %d, wanted %d: %w", len(page), at, n, eventlog.ErrCorrupt)
				}
				if err != nil {
					return err
				}
				t <- decode(page)
				return nil
			})
		}
		return nil
	})
	g.Go(func() error {
		for t := range tickets {
			select {
			case page := <-t:
				if err := do(ctx, page); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return g.Wait()
}
