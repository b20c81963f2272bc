package room

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
)

// call is one command that waits for its incident. done is closed after answer
// and err are set; a value on lead makes the waiting caller the next leader.
type call struct {
	command incident.Command
	meta    incident.Meta
	done    chan struct{}
	lead    chan struct{}
	known   int64 // its id was looked up in the log after the desk had seen this seq
	answer  Answer
	err     error
}

func newCall(c incident.Command, m incident.Meta) *call {
	return &call{command: c, meta: m, done: make(chan struct{}), lead: make(chan struct{}, 1)}
}

// open says that c has no answer yet.
func (c *call) open() bool { return c.err == nil && c.answer.Number == 0 }

// desk serializes the commands of one incident. There is no goroutine: the
// first caller leads, decides everything that waits, appends it in one
// transaction, and hands the lead to a caller of the next batch.
type desk struct {
	log    Log
	number int64
	limit  int // events of one append; a single command may exceed it alone

	mu      sync.Mutex // guards pending, busy, crowd, seen
	pending []*call    // at most maxPending
	busy    bool       // somebody leads
	crowd   int        // calls of the last batch and of those it left waiting
	seen    int64      // seq, for who looks an id up

	// owned by the leader
	state  incident.State
	seq    int64
	recent map[string]bool // ids of the commands behind all events after since
	since  int64
}

func (d *desk) idle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.busy && len(d.pending) == 0
}

// at is the seq that the desk has seen.
func (d *desk) at() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seen
}

func (d *desk) do(ctx context.Context, c *call) (Answer, error) {
	d.mu.Lock()
	if len(d.pending) >= maxPending {
		d.mu.Unlock()
		return Answer{}, ErrBusy
	}
	d.pending = append(d.pending, c)
	leads := !d.busy
	d.busy = true
	d.mu.Unlock()

	if !leads {
		select {
		case <-c.done:
			return c.answer, c.err
		case <-c.lead:
		case <-ctx.Done():
			if d.withdraw(c) {
				return Answer{}, ctx.Err()
			}
			// Already being decided, or asked to lead: see it through.
			select {
			case <-c.done:
				return c.answer, c.err
			case <-c.lead:
			}
		}
	}
	d.leadOnce(ctx)
	<-c.done
	return c.answer, c.err
}

// withdraw takes c out of the queue if nobody has begun to decide it.
func (d *desk) withdraw(c *call) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(c.lead) > 0 {
		return false
	}
	for i, p := range d.pending {
		if p == c {
			d.pending = append(d.pending[:i:i], d.pending[i+1:]...)
			return true
		}
	}
	return false
}

// leadOnce decides one batch, in which the caller's own command is always the
// first, and passes the lead on.
func (d *desk) leadOnce(ctx context.Context) {
	d.mu.Lock()
	for i := 0; i < yields && len(d.pending) < min(d.crowd, maxCalls); i++ { // as the log does
		d.mu.Unlock()
		runtime.Gosched()
		d.mu.Lock()
	}
	n := min(len(d.pending), maxCalls)
	batch := d.pending[:n:n]
	d.pending = append([]*call(nil), d.pending[n:]...)
	d.mu.Unlock()

	// The leader acts for others too: its own impatience must not cut them off.
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), appendWait)
	defer cancel()
	defer d.passOn(n) // even if a decision panics, those who wait must not wait for ever
	d.decide(work, batch)
}

// passOn makes the longest waiting caller the leader.
func (d *desk) passOn(decided int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crowd = decided + len(d.pending)
	if len(d.pending) > 0 {
		d.pending[0].lead <- struct{}{}
	} else {
		d.busy = false
	}
}

// decide answers every call of the batch, in one append or, when the log takes
// no such large ones, in several.
//
// What the desk remembers is the incident unless another replica wrote, and
// then the log refuses the append; so nothing is read before. A refusal, or an
// answer without events, has no append to stand on: it is told only when it was
// judged on what was read for this batch.
func (d *desk) decide(ctx context.Context, batch []*call) {
	defer func() {
		for _, c := range batch {
			if c.open() { // nothing may ever look like a success by accident
				c.err = errUndecided
			}
			close(c.done)
		}
	}()
	read := d.seq == 0
	for conflicts := 0; ; {
		j, err := d.attempt(ctx, batch, read)
		read = false
		switch {
		case errors.Is(err, errStale):
			read = true
			continue
		case errors.Is(err, eventlog.ErrConflict):
			conflicts++
			if conflicts == maxAttempts || ctx.Err() != nil {
				err = ErrContended
				break
			}
			backOff(ctx, conflicts)
			read = true
			continue
		}
		if err != nil {
			d.forget()
			for _, c := range batch {
				if c.open() {
					c.err = err
				}
			}
			return
		}
		if !j.more {
			return
		}
		conflicts = 0
	}
}

// attempt judges the open calls and appends what came out. errStale asks for
// another one that reads first, ErrConflict says that another replica wrote.
func (d *desk) attempt(ctx context.Context, batch []*call, read bool) (judgement, error) {
	if read {
		if err := d.read(ctx); err != nil {
			return judgement{}, err
		}
	}
	j, err := d.judge(ctx, batch)
	if err != nil {
		return j, err
	}
	if len(j.bare) > 0 && !read {
		return j, errStale
	}
	for c, o := range j.bare {
		c.answer, c.err = o.answer, o.err
	}
	if len(j.drafts) == 0 {
		return j, nil
	}
	events, err := d.log.Append(ctx, eventlog.Batch{Stream: Stream(d.number), Expect: d.seq, Drafts: j.drafts})
	if err != nil {
		return j, fmt.Errorf("append to incident %d at %d: %w", d.number, d.seq, err)
	}
	d.take(events)
	for c, s := range j.spans {
		c.answer = answer(d.number, events[s.from:s.to])
	}
	for c, err := range j.leaning {
		if c.err = err; err == nil {
			c.answer = Answer{Number: d.number, Position: d.state.Position}
		}
	}
	return j, nil
}

// read brings the state up to the newest event.
func (d *desk) read(ctx context.Context) error {
	first := d.seq == 0
	if first {
		d.state = incident.New(d.number, "")
	}
	for {
		page, err := d.log.ReadStream(ctx, Stream(d.number), d.seq+1, pageSize)
		if err != nil {
			return fmt.Errorf("read incident %d from %d: %w", d.number, d.seq+1, err)
		}
		if len(page) > 0 {
			d.take(page)
		}
		if len(page) < pageSize {
			break
		}
	}
	if first { // its ids are in the log; nobody has to keep them twice
		d.recent, d.since = map[string]bool{}, d.seq
	}
	return nil
}

// take makes events of the stream, the ones after seq, part of what is known.
func (d *desk) take(events []eventlog.Event) {
	d.state, d.seq = apply(d.state, events), events[len(events)-1].Seq
	if len(d.recent) > maxRecent || d.recent == nil {
		d.recent, d.since = map[string]bool{}, events[0].Seq-1
	}
	for _, e := range events {
		d.recent[e.Causation] = true
	}
	d.mu.Lock()
	d.seen = d.seq
	d.mu.Unlock()
}

// forget makes the next batch begin with reading.
func (d *desk) forget() {
	d.seq, d.state, d.recent = 0, incident.New(d.number, ""), nil
}

// backOff lets other replicas go on after the n-th conflict in a row: not at all
// at first, then for a random time below 1, 2, 4 … 32 ms.
func backOff(ctx context.Context, n int) {
	if n < 3 {
		return
	}
	limit := time.Millisecond << min(n-3, 5)
	wait := time.NewTimer(rand.N(limit))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}

// judgement is what one attempt decided and is only true once its drafts are in the log.
type judgement struct {
	drafts []eventlog.Draft
	spans  map[*call]span
	// leaning are the calls without events that were judged on drafts: refused
	// with an error, or fulfilled (nil) by what stands before them in the batch.
	leaning map[*call]error
	// bare are those that were judged on the log alone.
	bare map[*call]result
	more bool // there are calls for another append
}

type span struct{ from, to int }

type result struct {
	answer Answer
	err    error
}

// judge decides the calls of the batch that have no answer yet, each on the
// state that the ones before it leave behind, until an append is full.
func (d *desk) judge(ctx context.Context, batch []*call) (judgement, error) {
	state, ahead := d.state, []incident.Event(nil)
	j := judgement{spans: map[*call]span{}, leaning: map[*call]error{}, bare: map[*call]result{}}
	ids := map[string]*call{}
	for _, c := range batch {
		if !c.open() {
			continue
		}
		if c.known < d.since || d.recent[c.meta.ID] { // it may be in the log since it was looked up
			past, err := d.log.ByCausation(ctx, c.meta.ID)
			if err != nil {
				return j, fmt.Errorf("look up command %s: %w", c.meta.ID, err)
			}
			if a, found, err := repeats(past, c.meta, d.number); found {
				c.answer, c.err = a, err
				continue
			}
		}
		if twin := ids[c.meta.ID]; twin != nil { // the same command twice in one batch
			if s, ok := j.spans[twin]; ok {
				j.spans[c] = s
			} else if err, ok := j.leaning[twin]; ok {
				j.leaning[c] = err
			} else if o, ok := j.bare[twin]; ok {
				j.bare[c] = o
			} else {
				c.answer, c.err = twin.answer, twin.err
			}
			continue
		}
		ids[c.meta.ID] = c
		for _, e := range ahead {
			state = incident.Apply(state, e)
		}
		ahead = ahead[:0]
		bodies, err := incident.Decide(state, c.command, c.meta)
		switch {
		case err == nil && len(bodies) > 0:
		case len(j.drafts) > 0:
			j.leaning[c] = err
			continue
		case err != nil:
			j.bare[c] = result{err: err}
			continue
		default:
			j.bare[c] = result{answer: Answer{Number: d.number, Position: state.Position}}
			continue
		}
		more, err := draft(bodies, c.meta)
		if err != nil {
			c.err = err
			continue
		}
		if len(j.drafts) > 0 && len(j.drafts)+len(more) > d.limit {
			j.more = true // order is kept: whoever comes after waits too
			break
		}
		j.spans[c] = span{len(j.drafts), len(j.drafts) + len(more)}
		j.drafts = append(j.drafts, more...)
		for i, b := range bodies {
			ahead = append(ahead, incident.Event{Meta: c.meta, Offset: state.Position + 1 + int64(i), Body: b})
		}
	}
	return j, nil
}

// draft encodes what the core decided.
func draft(bodies []incident.Body, m incident.Meta) ([]eventlog.Draft, error) {
	drafts := make([]eventlog.Draft, 0, len(bodies))
	for _, b := range bodies {
		typ, version, data, err := incident.Encode(b)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", b.Type(), err)
		}
		drafts = append(drafts, eventlog.Draft{At: m.At, Actor: m.Actor, Causation: m.ID, Drill: m.Drill, Type: typ, Version: version, Data: data})
	}
	return drafts, nil
}

// fold reads what the stream has after seq and applies it to s.
func fold(ctx context.Context, log Log, number int64, s incident.State, seq int64) (incident.State, int64, error) {
	for {
		page, err := log.ReadStream(ctx, Stream(number), seq+1, pageSize)
		if err != nil {
			return s, seq, fmt.Errorf("read incident %d from %d: %w", number, seq+1, err)
		}
		if len(page) > 0 {
			s, seq = apply(s, page), page[len(page)-1].Seq
		}
		if len(page) < pageSize {
			return s, seq, nil
		}
	}
}

func apply(s incident.State, events []eventlog.Event) incident.State {
	for _, e := range events {
		s = incident.Apply(s, Decode(e))
	}
	return s
}

// Decode turns an event of the log into the core's. It never fails: what cannot
// be read becomes a body that the core keeps as unknown.
func Decode(e eventlog.Event) incident.Event {
	out := incident.Event{
		Meta:   incident.Meta{ID: e.Causation, At: e.At, Actor: e.Actor, Drill: e.Drill},
		Offset: e.Offset, EventID: e.ID,
	}
	if e.Redacted != nil {
		out.Redacted = &incident.Redaction{By: e.Redacted.By, At: e.Redacted.At, Reason: e.Redacted.Reason}
	}
	body, err := incident.Decode(e.Type, e.Version, e.Data)
	if err != nil {
		body = incident.Unknown{EventType: e.Type, Version: e.Version, Raw: e.Data}
	}
	out.Body = body
	return out
}
