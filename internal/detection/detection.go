// Package detection owns the running of the detectors on everything that is not a chain's head: samples and observations go in, findings are
// delivered until they are durable, and what was learned outlives a restart; it never judges anything itself and never writes the log.
package detection

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
	"github.com/tocsin-ops/tocsin/internal/whole"
)

const (
	inbox     = 4096            // batches waiting to be judged; full: samples go and are counted, observations wait
	outbox    = 4096            // findings waiting for delivery; full: the oldest goes, with an error in the log
	saveEvery = 5 * time.Minute // so much is judged again after a crash, from the stored samples and the watchers' marks
	saveFirst = 30 * time.Second
	backMost  = 6 * time.Hour // of stored samples that a start judges again
	overlap   = 10 * time.Minute
	aheadMost = time.Hour       // what was learned may be ahead of the clock
	stateMost = 4 << 30         // bytes of what was learned, unpacked
	lastWord  = 2 * time.Second // for findings still to be delivered at the end
	retryMost = 5 * time.Second
	overMost  = 4096 // ends remembered; full: they are forgotten, and what the log holds open of them ends an hour after a takeover
)

// Options of Detectors.
type Options struct {
	Setup detect.Setup // checked
	// Path is the file of what was learned; "" = it is learned anew at every start.
	Path string
	// Deliver hands findings over; when it returns an error the same findings are given again, so delivery is at least once, in order.
	Deliver func(ctx context.Context, list []chain.Finding) error
	// Leads says whether this process tells what it finds; others only learn along, so that they can take over. nil = yes.
	Leads func() bool
	// Open gives the keys of findings that the log holds open; nil = none.
	Open func(ctx context.Context) ([]string, error)
	// History gives the stored samples of a span (unix ms, from exclusive, to inclusive) in time order; nil = there are none.
	History func(ctx context.Context, from, to int64, each func([]chain.Sample)) error
	Clock   func() time.Time // nil = time.Now
	Log     *slog.Logger
}

// Detectors run one Set.
type Detectors struct {
	opt  Options
	set  *detect.Set
	in   chan batch
	lost atomic.Int64

	ended chan struct{}     // closed when nothing is judged any more
	marks map[string]func() // waiting for the next writing; as many as there are watchers

	writing chan error        // of the writing that goes on, capacity 1; nil = none does
	carried map[string]func() // what waits for that one

	mu   sync.Mutex
	open map[string]chain.Finding // as last given out
	over map[string]chain.Finding // what ended while others told, or before anybody did: the log may hold it open
	out  []chain.Finding
	gone int           // taken off the front of out so far
	wake chan struct{} // capacity 1
	led  bool
	seen atomic.Int64 // samples and observations judged
}

type batch struct {
	samples []chain.Sample
	one     *observation.Observation
	after   func()
	key     string // of after
}

// New makes detectors that do nothing until Run.
func New(o Options) *Detectors {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Leads == nil {
		o.Leads = func() bool { return true }
	}
	return &Detectors{opt: o, in: make(chan batch, inbox), ended: make(chan struct{}), marks: map[string]func(){}, open: map[string]chain.Finding{}, over: map[string]chain.Finding{}, wake: make(chan struct{}, 1)}
}

// Samples gives samples to judge. It never waits: when too much is waiting already, they are left out and counted in Lost.
func (s *Detectors) Samples(list []chain.Sample) {
	if len(list) == 0 {
		return
	}
	select {
	case s.in <- batch{samples: list}:
	default:
		if s.lost.Add(int64(len(list))) == int64(len(list)) {
			s.opt.Log.Warn("samples come faster than they are judged; some are left out", "count", len(list))
		}
	}
}

// Figures are what the detectors say of themselves: how much was judged, left out, waits, and is open.
type Figures struct{ Judged, Lost, Waiting, Open int64 }

// Figures gives them as they stand.
func (s *Detectors) Figures() Figures {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Figures{Judged: s.seen.Load(), Lost: s.lost.Load(), Waiting: int64(len(s.in)), Open: int64(len(s.open))}
}

// Run judges until ctx ends, delivers what is left, writes down what was learned, and returns when all of its goroutines have.
func (s *Detectors) Run(ctx context.Context) error {
	s.begin(ctx)
	last, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	closing := make(chan struct{})
	var delivery sync.WaitGroup
	delivery.Go(func() { s.deliver(last, closing) })
	s.judge(ctx)
	s.drain()
	defer time.AfterFunc(lastWord, stop).Stop()
	close(closing)
	delivery.Wait()
	s.wrote()
	s.save()
	s.wrote()
	return nil
}

// begin takes up what was learned, and judges what was stored since.
func (s *Detectors) begin(ctx context.Context) {
	s.set = detect.NewSet(s.opt.Setup)
	if s.opt.Path != "" {
		b, err := read(s.opt.Path)
		if err == nil {
			err = s.set.Load(b)
		}
		if now := s.opt.Clock().UnixMilli(); err == nil && s.set.Now() > now+aheadMost.Milliseconds() {
			err = errors.New("it is of a time to come: the clock was set back")
		}
		if err != nil {
			s.set = detect.NewSet(s.opt.Setup)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.opt.Log.Warn("what the detectors had learned cannot be used; they learn anew", "path", s.opt.Path, "err", err)
		}
	}
	now := s.opt.Clock().UnixMilli()
	if s.opt.History != nil {
		// What was judged already is passed over. When nothing was written down, as after a crash within the first minutes, all is learned from.
		from := max(s.set.Now()-overlap.Milliseconds(), now-backMost.Milliseconds())
		err := s.opt.History(ctx, from, now, func(list []chain.Sample) { s.take(s.samples(list)) })
		if err != nil && ctx.Err() == nil {
			s.opt.Log.Warn("the samples since the last stop were not judged", "err", err)
		}
	}
	s.set.Woke(now) // nobody listened since: that is no silence of the senders
}

// judge is the only goroutine that touches the set while it runs.
func (s *Detectors) judge(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	saved := s.opt.Clock().Add(saveFirst - saveEvery)
	for {
		select {
		case <-ctx.Done():
			return
		case b := <-s.in:
			s.one(b)
		case err := <-s.writing:
			s.kept(err)
		case <-tick.C:
			s.take(s.set.Tick(s.opt.Clock().UnixMilli()))
			s.lead(ctx)
			if s.opt.Clock().Sub(saved) >= saveEvery && s.writing == nil {
				saved = s.opt.Clock()
				s.save()
			}
		}
	}
}

// samples judges samples. A sender's clock may run ahead; time here does not, or what all others send would seem to come late.
func (s *Detectors) samples(list []chain.Sample) (out []chain.Finding) {
	now := s.opt.Clock().UnixMilli()
	for _, x := range list {
		if !Judged(x.Name) {
			continue
		}
		s.seen.Add(1)
		v := x.Value
		out = append(out, s.set.Observe(observation.Observation{At: min(x.At, now), Kind: observation.Sample, Series: x.Name, Labels: x.Labels, Value: &v})...)
	}
	return out
}

// take keeps what is open and queues what is new.
func (s *Detectors) take(list []chain.Finding) {
	if len(list) == 0 {
		return
	}
	s.mu.Lock()
	for _, f := range list {
		if f.Firing {
			s.open[f.Key] = f
			delete(s.over, f.Key)
			continue
		}
		delete(s.open, f.Key)
		if !s.led {
			if len(s.over) >= overMost {
				clear(s.over)
			}
			s.over[f.Key] = f
		}
	}
	if s.led {
		s.queue(list)
	}
	s.mu.Unlock()
}

// queue is called with mu held.
func (s *Detectors) queue(list []chain.Finding) {
	s.out = append(s.out, list...)
	if lost := len(s.out) - outbox; lost > 0 {
		s.out = slices.Clone(s.out[lost:])
		s.gone += lost
		s.opt.Log.Error("findings were lost: they could not be delivered for too long", "count", lost)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// lead takes over the telling, or lets go of it. Who takes over tells all that is open, and ends what the log holds open and is over: the desk
// that takes it logs nothing twice.
func (s *Detectors) lead(ctx context.Context) {
	leads := s.opt.Leads()
	s.mu.Lock()
	was := s.led
	s.mu.Unlock()
	if leads == was {
		return
	}
	var held []string
	if leads && s.opt.Open != nil {
		var err error
		if held, err = s.opt.Open(ctx); err != nil {
			s.opt.Log.Error("open findings could not be read; trying again", "err", err)
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.led = leads
	if !leads {
		s.out, s.gone = nil, s.gone+len(s.out)
		return
	}
	held = slices.DeleteFunc(held, func(k string) bool {
		f, ended := s.over[k]
		if ended {
			s.queue([]chain.Finding{f})
		}
		return ended
	})
	clear(s.over)
	s.set.Resume(held)
	for _, k := range slices.Sorted(maps.Keys(s.open)) {
		s.queue([]chain.Finding{s.open[k]})
	}
}

// deliver hands findings over in order; what was refused is given again with growing waits.
func (s *Detectors) deliver(ctx context.Context, closing <-chan struct{}) {
	wait, ending := 100*time.Millisecond, false
	for {
		s.mu.Lock()
		f, upTo := slices.Clone(s.out), s.gone+len(s.out)
		s.mu.Unlock()
		if len(f) == 0 && ending {
			return
		}
		var again <-chan time.Time
		if len(f) > 0 {
			err := s.opt.Deliver(ctx, f)
			if err == nil {
				wait = 100 * time.Millisecond
				s.mu.Lock()
				s.out, s.gone = s.out[min(max(upTo-s.gone, 0), len(s.out)):], max(upTo, s.gone)
				s.mu.Unlock()
				continue
			}
			if wait == 100*time.Millisecond {
				s.opt.Log.Error("findings could not be delivered, trying again", "err", err)
			}
			again = time.After(wait)
			wait = min(2*wait, retryMost)
		}
		select {
		case <-ctx.Done():
			return
		case <-again:
		case <-s.wake:
			if again != nil { // a new finding does not hurry a log that does not answer
				select {
				case <-again:
				case <-ctx.Done():
					return
				}
			}
		case <-closing:
			ending, closing = true, nil
		}
	}
}

// save writes down what was learned, whole or not at all. Only taking the state holds up the judging (some 50 ms of 2,000 series): the disk is
// waited for beside it, by one writing at a time.
func (s *Detectors) save() {
	if s.opt.Path == "" {
		s.written()
		return
	}
	b, err := s.set.Save()
	s.carried, s.marks = s.marks, map[string]func(){}
	s.writing = make(chan error, 1)
	if err != nil {
		s.writing <- err
		return
	}
	go func(done chan<- error) { done <- replace(s.opt.Path, b) }(s.writing)
}

// wrote waits for the writing that goes on.
func (s *Detectors) wrote() {
	if s.writing != nil {
		s.kept(<-s.writing)
	}
}

// kept takes how a writing ended. What waits for one that failed waits for the next.
func (s *Detectors) kept(err error) {
	newer, done := s.marks, s.carried
	s.writing, s.carried = nil, nil
	if err != nil {
		s.opt.Log.Error("what the detectors learned was not written down; is there room on the disk?", "path", s.opt.Path, "err", err)
		maps.Copy(done, newer)
		s.marks = done
		return
	}
	s.marks = done
	s.written()
	s.marks = newer
}

// read gives what replace wrote.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	packed, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(packed, stateMost))
	return b, errors.Join(err, packed.Close())
}

func replace(path string, b []byte) error {
	return whole.Replace(path, func(f io.Writer) error {
		packed, err := gzip.NewWriterLevel(f, gzip.BestSpeed) // the series of a quiet room have much in common
		if err != nil {
			return err
		}
		_, err = packed.Write(b)
		return errors.Join(err, packed.Close())
	})
}

// Judged tells whether a series is one that a detector of its own makes sense for. Of Tocsin's own series those are left out that only count
// up, that say who answers, or that a rule of the field judges better.
func Judged(name string) bool {
	if !strings.HasPrefix(name, "tocsin_") {
		// What rules record of themselves ends with each alert; what a scrape says of itself is not what was scraped.
		return name != "ALERTS" && name != "ALERTS_FOR_STATE" && name != "up" && !strings.HasPrefix(name, "scrape_")
	}
	return levels[name]
}

// levels are Tocsin's own series that have a level of their own.
var levels = map[string]bool{
	"tocsin_chain_block_interval_seconds": true, "tocsin_chain_gas_ratio": true, "tocsin_chain_base_fee_gwei": true, "tocsin_chain_block_txs": true,
	"tocsin_chain_txpool_pending": true, "tocsin_chain_mempool_bytes": true, "tocsin_chain_fee_rate_sat_vb": true, "tocsin_chain_peers": true,
	"tocsin_chain_hash_rate": true, "tocsin_beacon_participation_ratio": true, "tocsin_comet_missing_power_ratio": true,
	"tocsin_solana_skip_ratio": true, "tocsin_solana_slots_per_minute": true, "tocsin_solana_nonvote_per_second": true,
	"tocsin_watch_balance": true, "tocsin_watch_view": true, "tocsin_feed_answer": true,
}
