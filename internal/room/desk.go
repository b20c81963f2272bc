package room

import (
	"context"
	"errors"
	"fmt"
	"sync"

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
	answer  Answer
	err     error
}

// desk serializes the commands of one incident. There is no goroutine: the
// first caller leads, decides everything that waits, appends it in one
// transaction, and hands the lead to a caller of the next batch.
type desk struct {
	log    Log
	number int64

	mu      sync.Mutex // guards pending, busy
	pending []*call    // at most maxPending
	busy    bool       // somebody leads

	// owned by the leader
	state incident.State
	seq   int64
}

func (d *desk) idle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.busy && len(d.pending) == 0
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
	n := min(len(d.pending), maxCalls)
	batch := d.pending[:n:n]
	d.pending = append([]*call(nil), d.pending[n:]...)
	d.mu.Unlock()

	// The leader acts for others too: its own impatience must not cut them off.
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), appendWait)
	defer cancel()
	defer d.passOn() // even if a decision panics, those who wait must not wait for ever
	d.decide(work, batch)
}

// passOn makes the longest waiting caller the leader.
func (d *desk) passOn() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.pending) > 0 {
		d.pending[0].lead <- struct{}{}
	} else {
		d.busy = false
	}
}

func (d *desk) decide(ctx context.Context, batch []*call) {
	defer func() {
		for _, c := range batch {
			if c.err == nil && c.answer.Number == 0 { // nothing may ever look like a success by accident
				c.err = errUndecided
			}
			close(c.done)
		}
	}()
	fail := func(err error) {
		d.seq, d.state = 0, incident.New(d.number, "")
		for _, c := range batch {
			if c.err == nil && c.answer.Number == 0 {
				c.err = err
			}
		}
	}
	for range maxAttempts {
		var err error
		if d.state, d.seq, err = fold(ctx, d.log, d.number, d.state, d.seq); err != nil {
			fail(err)
			return
		}
		j, err := d.judge(ctx, batch)
		if err != nil {
			fail(err)
			return
		}
		if len(j.drafts) == 0 {
			return
		}
		events, err := d.log.Append(ctx, eventlog.Batch{Stream: Stream(d.number), Expect: d.seq, Drafts: j.drafts})
		if errors.Is(err, eventlog.ErrConflict) {
			continue
		}
		if err != nil {
			fail(fmt.Errorf("append to incident %d at %d: %w", d.number, d.seq, err))
			return
		}
		d.state, d.seq = apply(d.state, events), events[len(events)-1].Seq
		for c, s := range j.spans {
			c.answer = answer(d.number, events[s.from:s.to])
		}
		for c, err := range j.leaning {
			if c.err = err; err == nil {
				c.answer = Answer{Number: d.number, Position: d.state.Position}
			}
		}
		return
	}
	fail(ErrContended)
}

// judgement is what one attempt decided and is only true once its drafts are in the log.
type judgement struct {
	drafts []eventlog.Draft
	spans  map[*call]span
	// leaning are the calls without events that were judged on drafts: refused
	// with an error, or fulfilled (nil) by what stands before them in the batch.
	leaning map[*call]error
}

type span struct{ from, to int }

// judge decides every call of the batch that has no answer yet, each on the
// state that the ones before it leave behind. Calls that lean on no draft are
// answered at once.
func (d *desk) judge(ctx context.Context, batch []*call) (judgement, error) {
	state := d.state
	j := judgement{spans: map[*call]span{}, leaning: map[*call]error{}}
	ids := map[string]*call{}
	settle := func(c *call, err error) {
		switch {
		case len(j.drafts) > 0:
			j.leaning[c] = err
		case err != nil:
			c.err = err
		default:
			c.answer = Answer{Number: d.number, Position: state.Position}
		}
	}
	for _, c := range batch {
		if c.err != nil || c.answer.Number != 0 {
			continue
		}
		past, err := d.log.ByCausation(ctx, c.meta.ID)
		if err != nil {
			return j, fmt.Errorf("look up command %s: %w", c.meta.ID, err)
		}
		if len(past) > 0 {
			if past[0].Stream != Stream(d.number) || past[0].Actor != c.meta.Actor {
				c.err = errIDUsed()
				continue
			}
			c.answer = answer(d.number, past)
			c.answer.Repeated = true
			continue
		}
		if twin := ids[c.meta.ID]; twin != nil { // the same command twice in one batch
			if s, ok := j.spans[twin]; ok {
				j.spans[c] = s
			} else if err, ok := j.leaning[twin]; ok {
				j.leaning[c] = err
			} else {
				c.answer, c.err = twin.answer, twin.err
			}
			continue
		}
		ids[c.meta.ID] = c
		bodies, err := incident.Decide(state, c.command, c.meta)
		if err != nil || len(bodies) == 0 {
			settle(c, err)
			continue
		}
		more, err := draft(bodies, c.meta)
		if err != nil {
			c.err = err
			continue
		}
		if len(j.drafts) > 0 && len(j.drafts)+len(more) > maxDrafts {
			c.err = ErrBusy
			continue
		}
		j.spans[c] = span{len(j.drafts), len(j.drafts) + len(more)}
		j.drafts = append(j.drafts, more...)
		for _, b := range bodies {
			state = incident.Apply(state, incident.Event{Meta: c.meta, Offset: state.Position + 1, Body: b})
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
		page, err := log.ReadStream(ctx, Stream(number), seq+1, 512)
		if err != nil {
			return s, seq, fmt.Errorf("read incident %d from %d: %w", number, seq+1, err)
		}
		if len(page) == 0 {
			return s, seq, nil
		}
		s, seq = apply(s, page), page[len(page)-1].Seq
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
