// Package room is the only way to write an incident: it authorizes a command,
// loads the incident, lets the pure core decide, and appends what came out. It
// never renders, never notifies and never answers before the log is durable.
package room

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/store"
)

const (
	// StreamPrefix starts the name of every incident's stream.
	StreamPrefix = "incident/"

	// maxAttempts are the appends tried before giving up on conflicts. Each means
	// that another replica got something in; with three that write one incident
	// without a pause, two of three attempts are lost at worst, and 48 in a row in
	// one of 280 million batches.
	maxAttempts = 48
	maxPending  = 512                   // commands waiting for one incident; more are answered with ErrBusy
	maxCalls    = 128                   // commands decided for one append
	maxDrafts   = 256                   // events of one append, if the log takes as many; a single command may exceed it alone
	maxRecent   = 4096                  // ids that a desk keeps, to look fewer up
	keptDesks   = 512                   // incidents whose state stays in memory
	pageSize    = 512                   // events read at a time
	yields      = 16                    // times that a leader lets others run before it takes its batch
	gather      = 8                     // the part of the last batch's time that it then waits for those who were there
	gatherLeast = 20 * time.Microsecond // less is not worth a timer
	gatherMost  = 5 * time.Millisecond  // however long the last one took
	appendWait  = 30 * time.Second
)

var (
	// ErrNoIncident says that no incident has that number.
	ErrNoIncident = errors.New("no such incident")
	// ErrBusy says that too many commands wait for this incident; nothing was written.
	ErrBusy = errors.New("too many commands are waiting for this incident")
	// ErrContended says that other writers won every attempt; nothing was written.
	ErrContended = errors.New("the incident kept changing under this command")

	errUndecided = errors.New("the command was not decided")
	errStale     = errors.New("judged on what may be overtaken")
)

// errIDUsed refuses an id that stands for another command already.
func errIDUsed() error {
	return &incident.Refusal{Code: "id_used", Sentence: "This command id was already used for something else. Send the command with a new id."}
}

// Log is the part of the event log that rooms use.
type Log interface {
	Append(ctx context.Context, b eventlog.Batch) ([]eventlog.Event, error)
	Read(ctx context.Context, from int64, limit int) ([]eventlog.Event, error)
	ReadStream(ctx context.Context, stream string, fromSeq int64, limit int) ([]eventlog.Event, error)
	StreamHead(ctx context.Context, stream string) (int64, error)
	ByCausation(ctx context.Context, id string) ([]eventlog.Event, error)
	Redact(ctx context.Context, offset int64, d eventlog.Draft) (eventlog.Event, error)
}

// Answer is what a command led to. Position is the offset of its last event, or
// of the newest event of the incident when nothing had to change. The same
// command id always gets the same answer; Repeated says that it is one.
type Answer struct {
	Number   int64
	Position int64
	Events   []eventlog.Event
	Repeated bool
}

// Rooms writes incidents. It may be used from any number of goroutines:
// commands for one incident are decided one after the other and share an
// append, different incidents do not wait for each other.
type Rooms struct {
	log   Log
	limit int // events of one append

	merging sync.Mutex    // one merge at a time, so that two cannot cross
	elector store.Elector // also among replicas; nil: there are none

	mu    sync.Mutex // guards desks and next
	desks map[int64]*desk
	next  int64 // a number that was free when last looked at
}

// New returns rooms that write to log. It starts nothing. A log may say, with a
// method MaxDrafts, how many events it takes in one append.
func New(log Log) *Rooms {
	r := &Rooms{log: log, limit: maxDrafts, desks: map[int64]*desk{}, next: 1}
	if l, ok := log.(interface{ MaxDrafts() int }); ok {
		r.limit = min(maxDrafts, max(1, l.MaxDrafts()))
	}
	return r
}

// Among makes r one of several replicas' rooms, whose merges do not cross: e is
// the store's. Call it before anything else.
func (r *Rooms) Among(e store.Elector) *Rooms {
	r.elector = e
	return r
}

// Stream returns the name of the stream of one incident.
func Stream(number int64) string { return StreamPrefix + strconv.FormatInt(number, 10) }

// Number returns the incident's number when stream is an incident's.
func Number(stream string) (int64, bool) {
	rest, ok := strings.CutPrefix(stream, StreamPrefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(rest, 10, 64)
	return n, err == nil && n > 0
}

// Do decides c on incident number and appends the outcome. The error is a
// *incident.Refusal, ErrNoIncident, ErrBusy, ErrContended, or a fault of the
// log, after which the command may have happened: repeating it with the same
// id tells.
func (r *Rooms) Do(ctx context.Context, number int64, c incident.Command, m incident.Meta) (Answer, error) {
	ctx = exact{ctx}
	switch c := c.(type) {
	case incident.Declare:
		return Answer{}, &incident.Refusal{Code: incident.CodeAlreadyDeclared, Sentence: "An incident is declared on its own address, not inside another one."}
	case incident.Redact:
		return r.redact(ctx, number, c, m)
	case incident.Merge:
		return r.merge(ctx, number, c, m)
	}
	return r.do(ctx, number, c, m)
}

func (r *Rooms) do(ctx context.Context, number int64, c incident.Command, m incident.Meta) (Answer, error) {
	d, err := r.desk(ctx, number)
	if err != nil {
		return Answer{}, err
	}
	call := newCall(c, m)
	call.known = d.at() // before the look-up: what comes after it, the desk will have seen
	if past, ok, err := r.repeated(ctx, m, number); err != nil || ok {
		return past, err
	}
	return d.do(ctx, call)
}

// merge tells the other incident first: if it refuses, nothing has happened;
// if we die in between, repeating the command finishes the merge.
func (r *Rooms) merge(ctx context.Context, number int64, c incident.Merge, m incident.Meta) (Answer, error) {
	r.merging.Lock()
	defer r.merging.Unlock()
	if r.elector == nil {
		return r.mergeAlone(ctx, number, c, m)
	}
	var a Answer
	err := r.elector.Lead(ctx, "merge", func(ctx context.Context) (err error) {
		a, err = r.mergeAlone(exact{ctx}, number, c, m)
		return err
	})
	return a, err
}

func (r *Rooms) mergeAlone(ctx context.Context, number int64, c incident.Merge, m incident.Meta) (Answer, error) {
	s, err := r.Load(ctx, number)
	if err != nil {
		return Answer{}, err
	}
	if past, ok, err := r.repeated(ctx, m, number); err != nil || ok {
		return past, err
	}
	if _, err := incident.Decide(s, c, m); err != nil {
		return Answer{}, err
	}
	absorb := m
	absorb.ID = m.ID + ".absorb"
	if _, err := r.do(ctx, c.Into, incident.Absorb{From: number}, absorb); err != nil {
		if errors.Is(err, ErrNoIncident) {
			return Answer{}, &incident.Refusal{Code: "no_such_incident", Sentence: fmt.Sprintf("There is no incident #%d. Look up the number on the board.", c.Into)}
		}
		return Answer{}, err
	}
	if err := r.hand(ctx, s, c.Into, m); err != nil {
		return Answer{}, err
	}
	return r.do(ctx, number, c, m)
}

// hand tells the incident that stays which addresses and transactions the other one knows. What it refuses, as its list is full, stays where
// it is and can be read there.
func (r *Rooms) hand(ctx context.Context, s incident.State, into int64, m incident.Meta) error {
	if len(s.Addresses)+len(s.Transactions) == 0 {
		return nil
	}
	stays, err := r.Load(ctx, into)
	if err != nil {
		return err
	}
	id := m.ID
	for _, c := range incident.Missing(stays, s) {
		m.ID = uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "%s %s %v", id, c.Name(), c)).String() // what was told before a crash is not told again
		var refused *incident.Refusal
		if _, err := r.do(ctx, into, c, m); err != nil && !errors.As(err, &refused) {
			return err
		}
	}
	return nil
}

// Declare opens a new incident under the next free number.
func (r *Rooms) Declare(ctx context.Context, c incident.Declare, m incident.Meta) (Answer, error) {
	ctx = exact{ctx}
	if a, ok, err := r.repeated(ctx, m, 0); err != nil || ok {
		return a, err
	}
	r.mu.Lock()
	number := r.next
	r.mu.Unlock()
	for {
		number, err := r.free(ctx, number)
		if err != nil {
			return Answer{}, err
		}
		bodies, err := incident.Decide(incident.New(number, m.ID), c, m)
		if err != nil {
			return Answer{}, err
		}
		drafts, err := draft(bodies, m)
		if err != nil {
			return Answer{}, err
		}
		// The ids follow from the command's, so that the log itself refuses the
		// same declaration under a second number, whichever replica writes it.
		for i := range drafts {
			drafts[i].ID = uuid.NewSHA1(uuid.NameSpaceOID, []byte(m.ID+"/"+strconv.Itoa(i))).String()
		}
		events, err := r.log.Append(ctx, eventlog.Batch{Stream: Stream(number), Expect: 0, Drafts: drafts})
		if errors.Is(err, eventlog.ErrConflict) || errors.Is(err, eventlog.ErrDuplicate) {
			// Somebody else took the number, or this very command came twice at once.
			if a, ok, err := r.repeated(ctx, m, 0); err != nil || ok {
				return a, err
			}
			continue
		}
		if err != nil {
			return Answer{}, fmt.Errorf("append the declaration of incident %d: %w", number, err)
		}
		r.mu.Lock()
		r.next = max(r.next, number+1)
		r.mu.Unlock()
		return answer(number, events), nil
	}
}

// free returns the first number from number on that no incident has. Numbers are
// given without gaps, so it strides, doubling, and then halves: after a restart
// a log of a million incidents is asked forty times, not a million.
func (r *Rooms) free(ctx context.Context, number int64) (int64, error) {
	taken, open := number-1, int64(0) // every number up to taken has an incident; open has none, 0 = not found yet
	for at, stride := number, int64(1); open == 0 || open-taken > 1; {
		head, err := r.log.StreamHead(ctx, Stream(at))
		if err != nil {
			return 0, fmt.Errorf("look for a free incident number at %d: %w", at, err)
		}
		if head == 0 {
			open = at
		} else {
			taken = at
		}
		if open == 0 {
			at += stride
			stride *= 2
		} else {
			at = taken + (open-taken)/2
		}
	}
	return open, nil
}

// Load returns the incident as of its newest durable event.
func (r *Rooms) Load(ctx context.Context, number int64) (incident.State, error) {
	s, _, err := fold(ctx, r.log, number, incident.New(number, ""), 0)
	if err == nil && !s.Declared {
		return s, ErrNoIncident
	}
	return s, err
}

// redact blanks the payload of one event for ever; the event's leaf stays and
// says by whom and why. Facts that the event carried are said again before it
// goes, so that a crash in between loses none.
func (r *Rooms) redact(ctx context.Context, number int64, c incident.Redact, m incident.Meta) (Answer, error) {
	if past, ok, err := r.repeated(ctx, m, number); err != nil || ok {
		return past, err
	}
	s, err := r.Load(ctx, number)
	if err != nil {
		return Answer{}, err
	}
	m.Drill = m.Drill || s.Drill
	bodies, err := incident.Decide(s, c, m)
	if err != nil {
		return Answer{}, err
	}
	if len(bodies) == 0 { // blanked already, perhaps an instant ago by this very command
		if past, ok, err := r.repeated(ctx, m, number); err != nil || ok {
			return past, err
		}
		return Answer{Number: number, Position: s.Position}, nil
	}
	var target incident.LogRedacted
	var facts []incident.Body
	for _, b := range bodies {
		if t, ok := b.(incident.LogRedacted); ok {
			target = t
		} else {
			facts = append(facts, b)
		}
	}
	if len(facts) > 0 {
		if err := r.restate(ctx, number, c, m); err != nil {
			return Answer{}, err
		}
	}
	drafts, err := draft([]incident.Body{target}, m)
	if err != nil {
		return Answer{}, err
	}
	ev, err := r.log.Redact(ctx, target.Offset, drafts[0])
	if errors.Is(err, eventlog.ErrRedacted) { // perhaps by this very command, sent twice at once
		if past, ok, err := r.repeated(ctx, m, number); err != nil || ok {
			return past, err
		}
	}
	if err != nil {
		return Answer{}, fmt.Errorf("redact event %d of incident %d: %w", target.Offset, number, err)
	}
	return answer(number, []eventlog.Event{ev}), nil
}

// restate says the facts again that the event to be blanked carried, on the
// very head that they were read at, so that no change in between is undone.
func (r *Rooms) restate(ctx context.Context, number int64, c incident.Redact, m incident.Meta) error {
	said := m
	said.ID = m.ID + ".restate"
	for attempt := range maxAttempts {
		backOff(ctx, attempt)
		if _, done, err := r.repeated(ctx, said, number); err != nil || done {
			return err
		}
		s, head, err := fold(ctx, r.log, number, incident.New(number, ""), 0)
		if err != nil {
			return err
		}
		bodies, err := incident.Decide(s, c, m)
		if err != nil {
			return err
		}
		facts := slices.DeleteFunc(bodies, func(b incident.Body) bool { _, is := b.(incident.LogRedacted); return is })
		if len(facts) == 0 {
			return nil
		}
		drafts, err := draft(facts, said)
		if err != nil {
			return err
		}
		_, err = r.log.Append(ctx, eventlog.Batch{Stream: Stream(number), Expect: head, Drafts: drafts})
		if errors.Is(err, eventlog.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("restate the facts of incident %d: %w", number, err)
		}
		return nil
	}
	return ErrContended
}

// repeated returns the first answer of a command that was already carried out
// on incident number; 0 asks for the declaration of any incident. An id that
// stands for something else is refused.
func (r *Rooms) repeated(ctx context.Context, m incident.Meta, number int64) (Answer, bool, error) {
	events, err := r.log.ByCausation(ctx, m.ID)
	if err != nil {
		return Answer{}, false, fmt.Errorf("look up command %s: %w", m.ID, err)
	}
	a, found, err := repeats(events, m, number)
	return a, found && err == nil, err
}

// repeats reads what an id led to as the answer to its command; see repeated.
func repeats(events []eventlog.Event, m incident.Meta, number int64) (Answer, bool, error) {
	if len(events) == 0 {
		return Answer{}, false, nil
	}
	n, ok := Number(events[0].Stream)
	if !ok || events[0].Actor != m.Actor || number != 0 && n != number || number == 0 && events[0].Type != (incident.Declared{}).Type() {
		return Answer{}, true, errIDUsed()
	}
	a := answer(n, events)
	a.Repeated = true
	return a, true, nil
}

func (r *Rooms) desk(ctx context.Context, number int64) (*desk, error) {
	r.mu.Lock()
	d := r.desks[number]
	r.mu.Unlock()
	if d != nil {
		return d, nil
	}
	head, err := r.log.StreamHead(ctx, Stream(number))
	if err != nil {
		return nil, fmt.Errorf("look up incident %d: %w", number, err)
	}
	if head == 0 {
		return nil, ErrNoIncident
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.desks[number]; d != nil {
		return d, nil
	}
	if len(r.desks) >= keptDesks {
		for n, old := range r.desks { // any idle desk may go: it is only a cache
			if old.idle() {
				delete(r.desks, n)
				break
			}
		}
	}
	d = &desk{log: r.log, number: number, stream: Stream(number), limit: r.limit}
	r.desks[number] = d
	return d, nil
}

// exact hides what a request's context may allow its pages: answers from a store
// that has lost its quorum. Nothing is decided on those.
type exact struct{ context.Context }

func (exact) Value(any) any { return nil }

func answer(number int64, events []eventlog.Event) Answer {
	a := Answer{Number: number, Position: -1, Events: events}
	if len(events) > 0 {
		a.Position = events[len(events)-1].Offset
	}
	return a
}
