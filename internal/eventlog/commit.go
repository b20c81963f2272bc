package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/store"
)

// Bounds of one group's tries. A conflict means that another replica got its
// group in, so the log as a whole moves on; an uncertain error is tried again
// because the second Txn has the same condition: at most one of them happens.
const (
	maxConflicts = 100
	maxUncertain = 3
	maxHeads     = 4096 // cached stream heads; when full, the cache starts over
)

// write settles every request of the group. Only the leader calls it.
func (l *Log) write(ctx context.Context, group []*request) {
	open := group
	recheck := false // an earlier try may have happened: look every id up
	reread := false  // the store has a newer tree than anybody told us
	fresh := false   // the tree was read for this group, after its calls began
	conflicts, uncertain := 0, 0
	var lost error // the newest uncertain error
	fail := func(err error) {
		for _, r := range open {
			r.settle(nil, err)
		}
	}
	defer func() {
		if l.turn != 0 { // claimed, but nothing was left to append
			_ = l.endTurn(ctx, l.turn)
			l.turn = 0
		}
	}()
	for len(open) > 0 {
		if reread || l.behind() && !l.catchUp() {
			fresh, reread = true, false
			if err := l.inTurn(ctx, conflicts); err != nil {
				if lost != nil {
					err = fmt.Errorf("%w: %w: then %w", ErrUncertain, lost, err)
				}
				fail(err)
				return
			}
		}
		p := plan{log: l, tip: tip{size: l.tip.size, edge: maps.Clone(l.tip.edge)}, heads: map[string]int64{}, ids: map[string]bool{}, blanked: map[int64]bool{}}
		stale := false
		p.prefetch(ctx, open, recheck)
		for _, r := range open {
			err := p.decide(ctx, r, recheck)
			if stale = !fresh && ahead(err); stale {
				break
			}
			if err != nil {
				r.settle(nil, err)
			}
		}
		if stale {
			open = unsettled(open)
			reread = true
			continue
		}
		if uncertain >= maxUncertain || conflicts >= maxConflicts {
			// Who is found has its answer by now; the others are told.
			open = append(p.taken, p.later...)
			if lost != nil {
				lost = fmt.Errorf("%w: %w", ErrUncertain, lost)
			} else {
				lost = fmt.Errorf("%d conflicts with other replicas: %w", conflicts, ErrBusy)
			}
			fail(lost)
			return
		}
		open = p.later
		if len(p.taken) == 0 {
			recheck = true // of those that wait for one another
			continue
		}
		txn, head, err := p.txn()
		if err != nil {
			open = append(p.taken, open...)
			fail(err)
			return
		}
		rev, err := l.db.Commit(ctx, txn)
		switch {
		case err == nil:
			l.accept(&p, head, rev)
			for _, r := range p.taken {
				r.settle(r.events, nil)
			}
		case errors.Is(err, store.ErrTooLarge) && len(p.taken) > 1:
			// Nothing happened: one by one.
			for _, r := range p.taken {
				l.write(ctx, []*request{r})
			}
		case errors.Is(err, store.ErrTooLarge):
			p.taken[0].settle(nil, fmt.Errorf("%w: %w", ErrTooLarge, err))
		default:
			open = append(p.taken, open...)
			if errors.Is(err, store.ErrConflict) {
				conflicts++
			} else {
				uncertain++
				lost = err
			}
			// What is certain not to have happened needs no look at the ids. (Of an
			// id that the caller chose that is known anyway.)
			reread, recheck = true, lost != nil
			continue
		}
		recheck = recheck || len(open) > 0
	}
}

// ahead says that the caller knows more than the leader: another replica appended
// what the leader has not seen. (A caller who knows less is refused for good.)
func ahead(err error) bool {
	var c *ConflictError
	return errors.Is(err, ErrNotFound) || (errors.As(err, &c) && c.Expect > c.Head)
}

func unsettled(group []*request) (out []*request) {
	for _, r := range group {
		if !r.settled {
			out = append(out, r)
		}
	}
	return out
}

// behind says that followers have seen a newer tree than the leader built.
func (l *Log) behind() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rev != l.tip.rev
}

// accept makes a durable plan the state of the log.
func (l *Log) accept(p *plan, head Checkpoint, rev int64) {
	l.turn = 0
	before := l.tip.size
	l.tip = tip{rev: rev, size: p.tip.size, edge: p.tip.edge.trim(p.tip.size)}
	if len(l.heads)+len(p.heads) > maxHeads {
		clear(l.heads)
	}
	maps.Copy(l.heads, p.heads)
	events := make([]Event, 0, p.tip.size-before)
	for _, r := range p.taken {
		events = append(events, r.events...)
	}
	for i := range events {
		l.upcasters.apply(&events[i])
	}
	l.publish(head, rev, events, nil, len(p.blanked) > 0)
}

// plan is one Txn in the making.
type plan struct {
	log     *Log
	tip     tip
	heads   map[string]int64 // heads after this plan
	ids     map[string]bool
	blanked map[int64]bool
	hashes  []byte
	ops     []store.Op
	taken   []*request // in this Txn
	later   []*request // have to wait for this Txn
	past    map[*request]lookedUp
	fetched []streamHead
}

type lookedUp struct {
	events []Event
	err    error
}

// asksOnce is how much is asked of a networked store at one time.
const asksOnce = 16

// prefetch asks at once for what decide would ask for one after the other. A
// store in this process answers faster than that.
func (p *plan) prefetch(ctx context.Context, open []*request, recheck bool) {
	if !p.log.shared || len(open) < 2 {
		return
	}
	var group errgroup.Group
	group.SetLimit(asksOnce)
	var mu sync.Mutex
	p.past = map[*request]lookedUp{}
	heads := map[string]bool{}
	for _, r := range open {
		if r.fixed || recheck {
			group.Go(func() error {
				events, err := p.log.lookup(ctx, r)
				mu.Lock()
				defer mu.Unlock()
				p.past[r] = lookedUp{events, err}
				return nil
			})
		}
		stream := r.batch.Stream
		if _, known := p.log.heads[stream]; known || heads[stream] || len(p.log.heads)+len(heads) >= maxHeads {
			continue
		}
		heads[stream] = true
		group.Go(func() error {
			head, err := p.log.StreamHead(ctx, stream)
			if err != nil {
				return nil // decide asks again, and says so
			}
			mu.Lock()
			defer mu.Unlock()
			p.fetched = append(p.fetched, streamHead{stream, head})
			return nil
		})
	}
	_ = group.Wait() // never an error
	for _, h := range p.fetched {
		p.log.heads[h.stream] = h.seq
	}
}

type streamHead struct {
	stream string
	seq    int64
}

// decide takes r into the plan, answers it from the log, or refuses it.
func (p *plan) decide(ctx context.Context, r *request, recheck bool) error {
	for _, d := range r.batch.Drafts {
		if p.ids[d.ID] {
			p.later = append(p.later, r) // the same batch twice in one group
			return nil
		}
	}
	if r.fixed || recheck {
		past, ok := p.past[r]
		if !ok {
			past.events, past.err = p.log.lookup(ctx, r)
		}
		found, err := past.events, past.err
		if err != nil {
			return err
		}
		if found != nil {
			r.settle(found, nil)
			return nil
		}
	}
	var blank []byte
	if r.target >= 0 {
		if p.blanked[r.target] {
			p.later = append(p.later, r)
			return nil
		}
		var err error
		if blank, err = p.log.blank(ctx, r, p.log.tip.size, p.tip.size); err != nil {
			return err
		}
	}
	stream := r.batch.Stream
	head, ok := p.heads[stream]
	if !ok {
		var err error
		if head, err = p.log.headAtTip(ctx, stream); err != nil {
			return err
		}
	}
	if r.batch.Expect != AnySeq && r.batch.Expect != head {
		return &ConflictError{Stream: stream, Expect: r.batch.Expect, Head: head}
	}
	if err := p.place(r, head); err != nil {
		return err
	}
	if blank != nil {
		p.blanked[r.target] = true
		p.ops = append(p.ops, store.Op{Key: eventKey(r.target), Value: blank})
	}
	return nil
}

// place gives the events of r their seqs and offsets and writes them down.
func (p *plan) place(r *request, head int64) error {
	first := p.tip.size
	p.ops = slices.Grow(p.ops, r.ops)
	// All keys and numbers are cut from one piece of memory; were it too small, append gets another.
	size := len(r.batch.Stream) + keyRoom
	for i := range r.batch.Drafts {
		size += len(r.batch.Drafts[i].ID) + len(r.batch.Drafts[i].Causation) + 3*keyRoom
	}
	memory := make([]byte, 0, size)
	cut := func(longer []byte) []byte {
		from := len(memory)
		memory = longer
		return longer[from:len(longer):len(longer)]
	}
	r.events = make([]Event, 0, len(r.batch.Drafts))
	put := func(key, value []byte) { p.ops = append(p.ops, store.Op{Key: key, Value: value}) }
	cause, causeAt := "", first
	endRun := func(to int64) {
		if cause != "" && to > causeAt {
			put(cut(appendRunKey(memory, prefixOf, cause, causeAt)), cut(appendNumber(memory, to-causeAt)))
		}
	}
	for i := range r.batch.Drafts {
		d, ready := &r.batch.Drafts[i], &r.ready[i]
		at := first + int64(i)
		h := header{
			ID: d.ID, Stream: r.batch.Stream, Seq: head + 1 + int64(i), Offset: at, At: d.At,
			Actor: d.Actor, Causation: d.Causation, Drill: d.Drill, Type: d.Type, Version: d.Version,
			Payload: ready.payload,
		}
		rec, leaf := newRecord(&h, ready.salt, d.Data)
		hashes, err := p.tip.edge.add(at, tlog.RecordHash(leaf))
		if err != nil {
			return fmt.Errorf("hash event %d: %w", at, err)
		}
		for _, hash := range hashes {
			p.hashes = append(p.hashes, hash[:]...)
		}
		put(cut(appendNumber(append(memory, prefixEvent...), at)), rec)
		put(cut(append(append(memory, prefixID...), d.ID...)), cut(appendNumber(memory, at)))
		p.ids[d.ID] = true
		if d.Causation != cause {
			endRun(at)
			cause, causeAt = d.Causation, at
		}
		r.events = append(r.events, h.event(d.Data))
	}
	n := int64(len(r.batch.Drafts))
	endRun(first + n)
	put(cut(appendRunKey(memory, prefixStream, r.batch.Stream, head+1)), cut(appendNumber(appendNumber(memory, first), n)))
	p.tip.size = first + n
	p.heads[r.batch.Stream] = head + n
	p.taken = append(p.taken, r)
	return nil
}

// txn finishes the plan: hashes and signed checkpoint, on condition that the tree
// is still the one the plan began with.
func (p *plan) txn() (store.Txn, Checkpoint, error) {
	l := p.log
	root, err := tlog.TreeHash(p.tip.size, p.tip.edge)
	if err != nil {
		return store.Txn{}, Checkpoint{}, fmt.Errorf("hash tree of %d: %w", p.tip.size, err)
	}
	signed, err := seal(l.signer, p.tip.size, root)
	if err != nil {
		return store.Txn{}, Checkpoint{}, err
	}
	first := tlog.StoredHashIndex(0, l.tip.size)
	ops := append(p.ops,
		store.Op{Key: numKey(prefixHash, first), Value: p.hashes},
		store.Op{Key: []byte(keyHead), Value: signed})
	head := Checkpoint{Origin: l.signer.Name(), Size: p.tip.size, Root: root, Verifier: l.verifier, Signed: string(signed)}
	if l.turn != 0 {
		ops = append(ops, store.Op{Key: []byte(keyTurn), Delete: true})
	}
	return store.Txn{If: []store.Cond{{Key: []byte(keyHead), Rev: l.tip.rev}, {Key: []byte(keyTurn), Rev: l.turn}}, Then: ops}, head, nil
}

// event is what readers see of a header with its payload.
func (h *header) event(data json.RawMessage) Event {
	return Event{
		Offset: h.Offset, ID: h.ID, Stream: h.Stream, Seq: h.Seq, Type: h.Type, Version: h.Version,
		At: h.At, Actor: h.Actor, Causation: h.Causation, Drill: h.Drill, Data: data,
	}
}

// headAtTip is the head of a stream for the leader, cached.
func (l *Log) headAtTip(ctx context.Context, stream string) (int64, error) {
	if head, ok := l.heads[stream]; ok {
		return head, nil
	}
	head, err := l.StreamHead(ctx, stream)
	if err != nil {
		return 0, err
	}
	if len(l.heads) >= maxHeads {
		clear(l.heads)
	}
	l.heads[stream] = head
	return head, nil
}

// lookup finds out whether r is in the log already: its events if so, nil if none
// of its ids is.
func (l *Log) lookup(ctx context.Context, r *request) ([]Event, error) {
	at := int64(-1)
	for i, d := range r.batch.Drafts {
		kv, err := l.db.Get(ctx, nameKey(prefixID, d.ID))
		if errors.Is(err, store.ErrNotFound) {
			if at >= 0 {
				return nil, fmt.Errorf("event %d, %s, is new, those before are not: %w", i, d.ID, ErrDuplicate)
			}
			at = -1
			if i == 0 && !r.fixed {
				return nil, nil // ids of our own making come all or none
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up %s: %w", d.ID, err)
		}
		offset, err := number(kv.Value)
		if err != nil {
			return nil, fmt.Errorf("look up %s: %w", d.ID, err)
		}
		if i == 0 {
			at = offset
		}
		if at < 0 || offset != at+int64(i) {
			return nil, fmt.Errorf("%s is event %d: %w", d.ID, offset, ErrDuplicate)
		}
	}
	if at < 0 {
		return nil, nil
	}
	events, err := l.Read(ctx, at, len(r.batch.Drafts))
	if err != nil {
		return nil, err
	}
	for i, e := range events {
		if e.Stream != r.batch.Stream || e.ID != r.batch.Drafts[i].ID {
			return nil, fmt.Errorf("%s is event %d of %s: %w", e.ID, e.Offset, e.Stream, ErrDuplicate)
		}
	}
	return events, nil
}
