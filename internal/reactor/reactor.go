// Package reactor owns the followers that act: each reads the log's tail from a
// stored cursor and gives commands whose ids follow from the events, so that
// acting twice is acting once. It never appends an event itself and never keeps
// anything that the log cannot give back.
package reactor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/store"
)

// Reactor acts on events. Handle may be called again for events that it has
// handled already, alone or in another page, after a crash or an error; it must
// then have no further effect. Calls come one at a time, in order of offset.
type Reactor interface {
	// Name is the cursor's and the leadership's; it never changes.
	Name() string
	// Wants says whether an event of this type is of any interest.
	Wants(typ string) bool
	// Handle acts on a page of wanted events. After an error the same page
	// comes again, later, for as long as it takes: no page is given up.
	Handle(ctx context.Context, page []eventlog.Event) error
}

// Log is what reactors need of the event log.
type Log interface {
	Follow(ctx context.Context, from int64) iter.Seq2[[]eventlog.Event, error]
	Read(ctx context.Context, from int64, limit int) ([]eventlog.Event, error)
	ReadStream(ctx context.Context, stream string, fromSeq int64, limit int) ([]eventlog.Event, error)
	Size() int64
}

// Backoff between attempts at one page, doubling from first to most.
const (
	firstWait = 50 * time.Millisecond
	mostWait  = 10 * time.Second
)

// idleSave is how many unwanted events may pass before the cursor is stored.
const idleSave = 4096

const cursorPrefix = "reactor/"

// errDeposed says that another replica moved the cursor: it leads now.
var errDeposed = errors.New("another replica has moved the cursor")

// Runner drives one reactor.
type Runner struct {
	reactor Reactor
	log     Log
	db      store.DB
	slog    *slog.Logger
}

// NewRunner returns the runner of r; Run starts it.
func NewRunner(r Reactor, log Log, db store.DB, logger *slog.Logger) *Runner {
	return &Runner{reactor: r, log: log, db: db, slog: logger.With("reactor", r.Name())}
}

// Run lets the reactor act on every wanted event since its cursor, and on new
// ones as they come, until ctx ends; then it returns nil. When the store is a
// store.Elector, only the leader acts. What fails is tried again.
func (r *Runner) Run(ctx context.Context) error {
	elector, elects := r.db.(store.Elector)
	wait := firstWait
	for ctx.Err() == nil {
		began := time.Now()
		var err error
		if elects {
			err = elector.Lead(ctx, cursorPrefix+r.reactor.Name(), r.follow)
			if errors.Is(err, errors.ErrUnsupported) {
				elects = false
				continue
			}
		} else {
			err = r.follow(ctx)
		}
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > mostWait {
			wait = firstWait
		}
		r.slog.Warn("following starts over", "err", err, "in", wait)
		pause(ctx, wait)
		wait = min(2*wait, mostWait)
	}
	return nil
}

// follow acts from the cursor on until ctx ends or something breaks.
func (r *Runner) follow(ctx context.Context) error {
	c, err := r.cursor(ctx)
	if err != nil {
		return err
	}
	for page, err := range r.log.Follow(ctx, c.next) {
		if err != nil {
			return fmt.Errorf("follow the log from %d: %w", c.next, err)
		}
		var wanted []eventlog.Event
		for _, e := range page {
			if r.reactor.Wants(e.Type) {
				wanted = append(wanted, e)
			}
		}
		if len(wanted) > 0 {
			if err := r.handle(ctx, wanted); err != nil {
				return err
			}
		}
		c.next = page[len(page)-1].Offset + 1
		if len(wanted) > 0 || c.next-c.saved >= idleSave {
			if err := r.save(ctx, &c); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// handle gives the page to the reactor until it is done or ctx ends.
func (r *Runner) handle(ctx context.Context, page []eventlog.Event) error {
	wait := firstWait
	for {
		err := r.reactor.Handle(ctx, page)
		if err == nil || ctx.Err() != nil {
			return err
		}
		r.slog.Warn("a page was not handled and is tried again", "from", page[0].Offset, "events", len(page), "err", err, "in", wait)
		pause(ctx, wait)
		wait = min(2*wait, mostWait)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// cursor is the first offset not handled yet, as stored and as reached.
type cursor struct {
	next, saved int64
	rev         int64 // of the stored one, 0 for none
}

func (r *Runner) key() []byte { return []byte(cursorPrefix + r.reactor.Name()) }

func (r *Runner) cursor(ctx context.Context) (cursor, error) {
	kv, err := r.db.Get(ctx, r.key())
	if errors.Is(err, store.ErrNotFound) {
		return cursor{}, nil
	}
	if err != nil {
		return cursor{}, fmt.Errorf("read the cursor of %s: %w", r.reactor.Name(), err)
	}
	if len(kv.Value) != 8 {
		return cursor{}, fmt.Errorf("read the cursor of %s: it has %d bytes, not 8; delete the key to act from the beginning", r.reactor.Name(), len(kv.Value))
	}
	next := int64(binary.BigEndian.Uint64(kv.Value))
	return cursor{next: next, saved: next, rev: kv.Rev}, nil
}

// save stores the cursor if nobody else has moved it meanwhile. After an error
// of the store the truth is read anew by the next follow.
func (r *Runner) save(ctx context.Context, c *cursor) error {
	value := binary.BigEndian.AppendUint64(nil, uint64(c.next))
	rev, err := r.db.Commit(ctx, store.Txn{
		If:   []store.Cond{{Key: r.key(), Rev: c.rev}},
		Then: []store.Op{{Key: r.key(), Value: value}},
	})
	if errors.Is(err, store.ErrConflict) {
		return errDeposed
	}
	if err != nil {
		return fmt.Errorf("store the cursor of %s: %w", r.reactor.Name(), err)
	}
	c.rev, c.saved = rev, c.next
	return nil
}

// space is the name space of the ids of commands that reactors give.
var space = uuid.MustParse("9a3e1f64-6f0e-5d5c-8a55-0d6c7a1b2e3f")

// CommandID is the id of what a reactor does about an event: the same event and
// the same purpose always give the same id.
func CommandID(event, purpose string) string {
	return uuid.NewSHA1(space, []byte(event+"\x00"+purpose)).String()
}
