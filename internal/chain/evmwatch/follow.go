package evmwatch

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// seen is a block that was read, with what it told.
type seen struct {
	height int64
	hash   common.Hash
	parent common.Hash
	events []observation.Observation
}

// missed is a block whose events could not be had, or not be trusted.
type missed struct {
	head  *header
	tries int
	next  time.Time
}

const (
	waitingMost = 1024 // blocks that wait; above, the oldest is lost
	triesMost   = 24   // about 20 minutes
	againMost   = 4    // blocks tried again in one look
	stuckMost   = 3    // connections that one block may break before it waits
)

// at is the block of the ring at a height, nil when it is not there.
func (w *Watcher) at(height int64) *seen {
	if len(w.ring) == 0 {
		return nil
	}
	i := height - w.ring[0].height
	if i < 0 || i >= int64(len(w.ring)) {
		return nil
	}
	return &w.ring[i]
}

func (w *Watcher) byHash(ctx context.Context, hash common.Hash) (*header, error) {
	var h *header
	if err := w.line.call(ctx, &h, "eth_getBlockByHash", hash, false); err != nil {
		return nil, err
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	if h.Hash != hash {
		return nil, errNoBlock
	}
	return h, nil
}

func (w *Watcher) byNumber(ctx context.Context, height int64) (*header, error) {
	var h *header
	if err := w.line.call(ctx, &h, "eth_getBlockByNumber", hexNumber(height), false); err != nil {
		return nil, err
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	if h.height != height {
		return nil, errNoBlock
	}
	return h, nil
}

// advance reads every block between what was read and a node's newest block. Blocks that left the chain are taken back first.
func (w *Watcher) advance(ctx context.Context, h *header) error {
	if len(w.ring) == 0 {
		if err := w.begin(ctx, h); err != nil {
			return err
		}
	}
	tip := w.ring[len(w.ring)-1]
	if h.Hash == tip.hash {
		w.low = lowHead{}
		return nil
	}
	known := w.at(h.height)
	if same := known != nil && known.hash == h.Hash; same || h.height < tip.height {
		// Behind one address there may be several servers, some behind: a lower head is believed only when it stays.
		if !w.stays(h.height) {
			return nil
		}
		if same {
			w.log.Info("the node went back", "from", tip.height, "to", h.height)
			w.cut(h.height)
			return nil
		}
	} else {
		w.low = lowHead{}
	}
	if h.height-tip.height > walkMost {
		if err := w.backfill(ctx, h); err != nil {
			return err
		}
		tip = w.ring[len(w.ring)-1]
	}
	branch := []*header{h}
	for {
		low := branch[len(branch)-1]
		parent := w.at(low.height - 1)
		if parent != nil && parent.hash == low.Parent {
			break
		}
		if low.height <= w.ring[0].height || len(branch) > ringMost+walkMost {
			w.log.Warn("the reorg is deeper than what is remembered; older events cannot be taken back", "depth", tip.height-low.height+1)
			break
		}
		p, err := w.byHash(ctx, low.Parent)
		if err != nil {
			return err
		}
		if p.height != low.height-1 {
			return errNoBlock
		}
		branch = append(branch, p)
	}
	w.cut(branch[len(branch)-1].height - 1)
	for _, b := range slices.Backward(branch) {
		if err := w.process(ctx, b); err != nil {
			return err
		}
	}
	w.sink.Samples([]chain.Sample{w.sample("tocsin_watch_height", float64(h.height))})
	return nil
}

// stays tells whether a lower head was shown long enough.
func (w *Watcher) stays(height int64) bool {
	if w.low.polls == 0 {
		w.low.since = time.Now()
	}
	w.low.polls++
	w.low.height = height
	if w.low.polls < lowPolls || time.Since(w.low.since) < w.cfg.Hold {
		return false
	}
	w.low = lowHead{}
	return true
}

// begin sets the block before the first that is read.
func (w *Watcher) begin(ctx context.Context, h *header) error {
	from := seen{height: h.height - 1, hash: h.Parent}
	if m := w.cfg.Resume; m.Hash != "" && m.Height <= h.height {
		b, err := w.byHash(ctx, common.HexToHash(m.Hash))
		on, nerr := w.byNumber(ctx, m.Height)
		switch {
		case down(err) || down(nerr):
			return first(err, nerr)
		case err == nil && nerr == nil && b.Hash == on.Hash:
			from = seen{height: b.height, hash: b.Hash, parent: b.Parent}
		case nerr == nil: // the block left the chain while nobody looked: begin a little before
			if b, err := w.byNumber(ctx, max(m.Height-walkMost, 0)); err == nil {
				from = seen{height: b.height, hash: b.Hash, parent: b.Parent}
			}
		}
	}
	w.ring = []seen{from}
	return nil
}

// cut takes back every block above a height.
func (w *Watcher) cut(height int64) {
	for len(w.ring) > 0 && w.ring[len(w.ring)-1].height > height {
		last := w.ring[len(w.ring)-1]
		w.ring = w.ring[:len(w.ring)-1]
		w.takeBack(last)
		w.waiting = slices.DeleteFunc(w.waiting, func(m missed) bool { return m.head.Hash == last.hash })
	}
	if len(w.ring) == 0 {
		w.ring = append(w.ring, seen{height: height})
	}
	w.lookedAt = common.Hash{}
}

// process reads one block whose parent was read. What cannot be had now waits; an error means that the node cannot be asked.
func (w *Watcher) process(ctx context.Context, h *header) error {
	list, err := w.gather(ctx, h)
	if down(err) {
		if w.stuck.hash != h.Hash {
			w.stuck.hash, w.stuck.times = h.Hash, 0
		}
		if w.stuck.times++; w.stuck.times < stuckMost || ctx.Err() != nil {
			return err
		}
		// whatever this block does to the connection, those after it are read
	}
	w.ring = append(w.ring, seen{height: h.height, hash: h.Hash, parent: h.Parent})
	if err != nil {
		w.wait(h, err)
	} else {
		w.tell(&w.ring[len(w.ring)-1], list)
	}
	if len(w.ring) > ringMost {
		w.events -= len(w.ring[0].events)
		w.ring = append([]seen(nil), w.ring[1:]...)
	}
	return nil
}

// gather reads the events of one block.
func (w *Watcher) gather(ctx context.Context, h *header) ([]observation.Observation, error) {
	logs, err := w.blockLogs(ctx, h)
	if err != nil {
		return nil, err
	}
	list, err := w.observations(ctx, logs)
	if err != nil {
		return nil, err
	}
	more, err := w.body(ctx, h)
	return append(list, more...), err
}

// wait puts a block into the ledger.
func (w *Watcher) wait(h *header, why error) {
	if len(w.waiting) >= waitingMost {
		w.waiting = w.waiting[1:]
		w.lose(1)
	}
	if errors.Is(why, errUntrusted) {
		w.untrusted++
	}
	w.waiting = append(w.waiting, missed{head: h, tries: 1, next: time.Now().Add(w.cfg.Poll)})
	w.log.Debug("a block waits", "height", h.height, "why", dial.Sentence(why, w.cfg.URL))
	w.tellLedger()
}

// again tries what waits and is due.
func (w *Watcher) again(ctx context.Context) error {
	if len(w.waiting) == 0 {
		return nil
	}
	tried, broken := 0, error(nil)
	defer w.tellLedger()
	for i := 0; i < len(w.waiting) && tried < againMost && broken == nil; i++ {
		m := &w.waiting[i]
		if time.Now().Before(m.next) {
			continue
		}
		tried++
		list, err := w.gather(ctx, m.head)
		if ctx.Err() != nil {
			return err
		}
		if down(err) {
			broken = err
		}
		e := w.at(m.head.height)
		on := e != nil && e.hash == m.head.Hash
		switch {
		case err == nil:
			if !on { // too old to be taken back later
				e = &seen{height: m.head.height, hash: m.head.Hash}
			}
			w.tell(e, list)
			if !on {
				w.events -= len(e.events)
			}
		case m.tries >= triesMost:
			w.lose(1)
			w.log.Warn("the events of a block could not be had from this node", "height", m.head.height, "why", dial.Sentence(err, w.cfg.URL))
		default:
			if errors.Is(err, errUntrusted) {
				w.untrusted++
			}
			m.tries++
			m.next = time.Now().Add(min(w.cfg.Poll<<min(m.tries, 10), time.Minute))
			continue
		}
		w.waiting = slices.Delete(w.waiting, i, i+1)
		i--
	}
	return broken
}

func (w *Watcher) lose(n int64) { w.lost += float64(n) }

func (w *Watcher) tellLedger() {
	w.sink.Samples([]chain.Sample{
		w.sample("tocsin_watch_blocks_waiting", float64(len(w.waiting))),
		w.sample("tocsin_watch_blocks_lost", w.lost),
		w.sample("tocsin_watch_answers_untrusted", w.untrusted),
	})
}

// backfill reads in ranges what a pause left out, up to walkMost blocks below a head; the rest is followed header by header. The events of
// these blocks are too old to be taken back, so they are not remembered.
func (w *Watcher) backfill(ctx context.Context, h *header) error {
	if err := w.agree(ctx); err != nil {
		return err
	}
	tip := w.ring[len(w.ring)-1].height
	to := h.height - walkMost
	from := tip + 1
	if n := to - from + 1 - backfillMost; n > 0 {
		w.lose(n)
		w.log.Warn("the pause was too long to read all of it", "blocks_lost", n, "from", from)
		from += n
	}
	most := int64(rangeMost) // what the provider has not refused
	for from <= to {
		end := min(from+w.span-1, to)
		logs, last, err := w.rangeLogs(ctx, from, end)
		if down(err) || errors.Is(err, errNoBlock) {
			return err // the next look goes on from here
		}
		if err != nil {
			if end > from {
				most = end - from
				w.span = max((end-from+1)/2, 1)
				continue
			}
			w.lose(1)
			w.log.Warn("the events of a block could not be had from this node", "height", from, "why", dial.Sentence(err, w.cfg.URL))
			if last, err = w.byNumber(ctx, end); err != nil {
				return err
			}
		}
		list, err := w.observations(ctx, logs)
		if err != nil {
			return err
		}
		for _, o := range list {
			o.At, o.Chain, o.Node = now(), w.cfg.Chain, w.cfg.Node
			w.note(&o)
			w.sink.Observe(o)
		}
		for i := range w.ring {
			w.events -= len(w.ring[i].events)
		}
		w.ring = []seen{{height: end, hash: last.Hash, parent: last.Parent}}
		from = end + 1
		w.span = min(w.span*2, most)
		w.tellMark()
		w.tellLedger()
	}
	return nil
}

// agree takes back what left the chain during a pause.
func (w *Watcher) agree(ctx context.Context) error {
	for len(w.ring) > 0 {
		tip := w.ring[len(w.ring)-1]
		on, err := w.byNumber(ctx, tip.height)
		if err != nil {
			return err
		}
		if on.Hash == tip.hash {
			return nil
		}
		if len(w.ring) == 1 {
			w.takeBack(tip)
			w.ring[0] = seen{height: tip.height, hash: on.Hash, parent: on.Parent}
			return nil
		}
		w.cut(tip.height - 1)
	}
	return nil
}

// rangeLogs asks for the logs of a range together with its last block, in one request to one server: a server that does not have the block
// yet answers with no logs and no error, which must not be taken for nothing.
func (w *Watcher) rangeLogs(ctx context.Context, from, to int64) ([]entry, *header, error) {
	var last *header
	filters := w.filters()
	if len(filters) == 0 {
		last, err := w.byNumber(ctx, to)
		return nil, last, err
	}
	got := make([][]entry, len(filters))
	var batch []rpc.BatchElem
	for i, f := range filters {
		q := f.at(map[string]any{"fromBlock": hexNumber(from), "toBlock": hexNumber(to)})
		batch = append(batch, rpc.BatchElem{Method: "eth_getLogs", Args: []any{q}, Result: &got[i]})
	}
	batch = append(batch, rpc.BatchElem{Method: "eth_getBlockByNumber", Args: []any{hexNumber(to), false}, Result: &last})
	if err := w.line.batch(ctx, batch); err != nil {
		return nil, nil, err
	}
	for i, b := range batch {
		if b.Error == nil {
			continue
		}
		if from == to && i < len(filters) && w.narrow(filters[i], b.Error) {
			return w.rangeLogs(ctx, from, to)
		}
		return nil, nil, b.Error
	}
	if err := last.check(); err != nil {
		return nil, nil, err
	}
	var logs []entry
	for i, f := range filters {
		for _, l := range got[i] {
			if int64(l.Number) >= from && int64(l.Number) <= to && !l.Removed && f.fits(l) {
				logs = append(logs, l)
			}
		}
	}
	return order(logs), last, nil
}
