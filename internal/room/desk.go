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

	verdict verdict // of the newest attempt
	from    int     // drafts[from:to] of its judgement are its own
	to      int
	refused error // leaning and bare calls: why, or nil when nothing is to do
}

// verdict is what one attempt made of a call. It is true only once the drafts of
// its judgement are in the log.
type verdict int

const (
	unjudged verdict = iota
	drafted          // has drafts
	leaning          // none, judged on drafts of calls before it
	bare             // none, judged on the log alone
)

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
	stream string
	limit  int // events of one append; a single command may exceed it alone

	mu      sync.Mutex    // guards what follows, up to the leader's
	pending []*call       // at most maxPending
	busy    bool          // somebody leads
	crowd   int           // calls of the last batch and of those it left waiting, at most maxCalls
	took    time.Duration // of the last batch
	full    chan struct{} // closed when as many wait as crowd; nil unless the leader waits for them
	seen    int64         // seq, for who looks an id up

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
	if d.full != nil && len(d.pending) >= d.crowd {
		close(d.full)
		d.full = nil
	}
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
	for i := 0; i < yields && len(d.pending) < d.crowd; i++ { // as the log does
		d.mu.Unlock()
		runtime.Gosched()
		d.mu.Lock()
	}
	if wait := min(d.took/gather, gatherMost); wait >= gatherLeast && len(d.pending) < d.crowd {
		full := make(chan struct{})
		d.full = full
		d.mu.Unlock()
		late := time.NewTimer(wait)
		select {
		case <-full:
		case <-late.C:
		}
		late.Stop()
		d.mu.Lock()
		d.full = nil
	}
	n := min(len(d.pending), maxCalls)
	batch := d.pending[:n:n]
	d.pending = append([]*call(nil), d.pending[n:]...)
	d.mu.Unlock()

	begin := time.Now()
	defer func() { d.passOn(n, time.Since(begin)) }() // even if a decision panics, those who wait must not wait for ever
	// The leader acts for others too: its own impatience must not cut them off.
	d.decide(context.WithoutCancel(ctx), batch)
}

// passOn makes the longest waiting caller the leader.
func (d *desk) passOn(decided int, took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crowd, d.took = min(decided+len(d.pending), maxCalls), took
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
		if _, bounded := ctx.Deadline(); read && !bounded { // what does not read is bounded by the log
			var cancel func()
			ctx, cancel = context.WithTimeout(ctx, appendWait)
			defer cancel()
		}
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
	j, err := d.judge(ctx, batch, read)
	if err != nil {
		return j, err
	}
	if j.bare && !read {
		return j, errStale
	}
	d.tell(batch, bare)
	var events []eventlog.Event
	if len(j.drafts) > 0 {
		events, err = d.log.Append(ctx, eventlog.Batch{Stream: d.stream, Expect: d.seq, Drafts: j.drafts})
		if err != nil {
			return j, fmt.Errorf("append to incident %d at %d: %w", d.number, d.seq, err)
		}
		for i := range events {
			j.events[i].Offset, j.events[i].EventID = events[i].Offset, events[i].ID
		}
		d.take(j.events, events[len(events)-1].Seq)
	}
	for _, c := range batch {
		if c.verdict == drafted {
			c.answer = answer(d.number, events[c.from:c.to])
		}
	}
	d.tell(batch, leaning)
	return j, nil
}

// tell answers the calls of this verdict, which have no events.
func (d *desk) tell(batch []*call, v verdict) {
	for _, c := range batch {
		if c.verdict != v {
			continue
		}
		if c.err = c.refused; c.err == nil {
			c.answer = Answer{Number: d.number, Position: d.state.Position}
		}
	}
}

// read brings the state up to the newest event.
func (d *desk) read(ctx context.Context) error {
	first := d.seq == 0
	if first {
		d.state = incident.New(d.number, "")
	}
	for {
		page, err := d.log.ReadStream(ctx, d.stream, d.seq+1, pageSize)
		if err != nil {
			return fmt.Errorf("read incident %d from %d: %w", d.number, d.seq+1, err)
		}
		if len(page) > 0 {
			events := make([]incident.Event, len(page))
			for i, e := range page {
				events[i] = Decode(e)
			}
			d.take(events, page[len(page)-1].Seq)
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

// take makes events of the stream, all those after seq up to head, part of what
// is known.
func (d *desk) take(events []incident.Event, head int64) {
	if len(d.recent) > maxRecent || d.recent == nil {
		d.recent, d.since = map[string]bool{}, d.seq
	}
	for _, e := range events {
		d.state = incident.Apply(d.state, e)
		d.recent[e.Meta.ID] = true
	}
	d.seq = head
	d.mu.Lock()
	d.seen = head
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
	events []incident.Event // of the drafts, in the end with their places
	bare   bool             // there are bare calls
	more   bool             // there are calls for another append
}

// judge decides the calls of the batch that have no answer yet, each on the
// state that the ones before it leave behind, until an append is full.
// errStale says that something has to be looked up and read is not set.
func (d *desk) judge(ctx context.Context, batch []*call, read bool) (judgement, error) {
	var j judgement
	state, applied := d.state, 0 // j.events[:applied] are in state
	var ids map[string]*call
	if len(batch) > 1 {
		ids = make(map[string]*call, len(batch))
	}
	for _, c := range batch {
		c.verdict = unjudged
	}
	for _, c := range batch {
		if !c.open() {
			continue
		}
		if c.known < d.since || d.recent[c.meta.ID] { // it may be in the log since it was looked up
			if !read {
				return j, errStale
			}
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
			c.verdict, c.from, c.to, c.refused = twin.verdict, twin.from, twin.to, twin.refused
			c.answer, c.err = twin.answer, twin.err
			continue
		}
		if ids != nil {
			ids[c.meta.ID] = c
		}
		for ; applied < len(j.events); applied++ {
			state = incident.Apply(state, j.events[applied])
		}
		c.meta.Drill = c.meta.Drill || state.Drill // whatever is done about a drill is part of it
		bodies, err := incident.Decide(state, c.command, c.meta)
		if err != nil || len(bodies) == 0 {
			c.verdict, c.refused = leaning, err
			if len(j.drafts) == 0 {
				c.verdict, j.bare = bare, true
			}
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
		c.verdict, c.from, c.to = drafted, len(j.drafts), len(j.drafts)+len(more)
		j.drafts = append(j.drafts, more...)
		for i, b := range bodies { // their places are a guess until they are appended
			j.events = append(j.events, incident.Event{Meta: c.meta, Offset: state.Position + 1 + int64(i), Body: b})
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
