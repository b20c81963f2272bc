package pager

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/store"
)

const keyCursor = "pager/cursor"

// settled is how old an incident is, in ms, that is not paged by itself when paging first begins on a log: people work on it, or have left it open for
// months, and nobody wants to be woken by all of those because the program was replaced.
const settled = 15 * 60_000

// errDeposed says that another replica moved the cursor: it leads now.
var errDeposed = errors.New("another replica has moved the pager's cursor")

// cursor says up to which offset all pages are with the courier, and when somebody last led.
type cursor struct {
	next, at int64
	rev      int64 // of the stored one, 0 for none
}

// start takes up where whoever led before has ended: all open incidents, and what happened since the cursor to any.
func (p *Pager) start(ctx context.Context) error {
	c, err := readCursor(ctx, p.o.DB)
	if err != nil {
		return err
	}
	open, next := p.o.Open()
	for _, n := range open {
		if p.rooms[n], err = p.load(ctx, n); err != nil {
			return err
		}
		p.dirty[n] = true
		if c.rev == 0 {
			s := p.rooms[n].state
			p.rooms[n].before = p.now()-s.DeclaredAt >= settled && s.Severity != incident.SEV5
		}
		if c.rev > 0 && p.rooms[n].state.Position < c.next {
			p.rooms[n].has() // all of it was handed over before
		} else {
			p.rooms[n].cancel = true
		}
	}
	for at := c.next; c.rev > 0 && at < next; {
		page, err := p.o.Log.Read(ctx, at, readAtOnce)
		if err != nil {
			return fmt.Errorf("read the log from %d: %w", at, err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			if n, ok := room.Number(e.Stream); ok {
				p.dirty[n] = true
			}
			at = e.Offset + 1
		}
	}
	if p.unseen, err = p.o.Log.StreamHead(ctx, oncall.Stream); err != nil {
		return fmt.Errorf("look up the settings of on-call: %w", err)
	}
	// From here on whoever led before hands over nothing more; see leads.
	if c.rev, err = p.store(ctx, c, c.next, c.at); err != nil {
		return err
	}
	p.cursor, p.next, p.started = c, next, true
	return nil
}

// has notes that the courier has every page that waits.
func (k *known) has() {
	for _, g := range k.state.Paging.Pages {
		if waits(g) {
			k.told[g.ID] = true
		}
	}
}

func (p *Pager) load(ctx context.Context, n int64) (*known, error) {
	s, err := p.o.Room.Load(ctx, n)
	if err != nil {
		return nil, fmt.Errorf("read incident %d: %w", n, err)
	}
	k := &known{told: map[string]bool{}}
	k.set(s, p.now())
	return k, nil
}

// catchUp folds all that is durable now, also what other replicas wrote and this one was not told of yet.
func (p *Pager) catchUp(ctx context.Context) error {
	for {
		page, err := p.o.Log.Read(ctx, p.next, readAtOnce)
		if err != nil {
			return fmt.Errorf("read the log from %d: %w", p.next, err)
		}
		for _, e := range page {
			p.apply(e)
			p.next = e.Offset + 1
		}
		if len(page) < readAtOnce {
			return nil
		}
	}
}

func (p *Pager) apply(e eventlog.Event) {
	if e.Stream == oncall.Stream {
		p.unseen = max(p.unseen, e.Seq)
		return
	}
	n, ok := room.Number(e.Stream)
	if !ok {
		return
	}
	p.dirty[n] = true // one that is not at hand is read when it is attended to
	if k := p.rooms[n]; k != nil && e.Offset > k.state.Position {
		k.set(incident.Apply(k.state, room.Decode(e)), p.now())
	}
}

// errBehind says that what is known of on-call is older than the log.
var errBehind = errors.New("the settings of on-call are not folded yet")

// current holds steps back for a moment while who is on call is not known up to the newest change: at a start, or right after a change. For longer
// than patience nobody waits: who was on call is better than nobody.
func (p *Pager) current() error {
	now := p.now()
	if p.o.OnCall.Settings().Seq >= p.unseen {
		p.behind = 0
		return nil
	}
	if p.behind == 0 {
		p.behind = now
	}
	if now-p.behind < patience {
		return errBehind
	}
	return nil
}

func readCursor(ctx context.Context, db store.DB) (cursor, error) {
	kv, err := db.Get(ctx, []byte(keyCursor))
	if errors.Is(err, store.ErrNotFound) {
		return cursor{}, nil
	}
	if err != nil {
		return cursor{}, fmt.Errorf("read the pager's cursor: %w", err)
	}
	if len(kv.Value) != 16 {
		return cursor{}, fmt.Errorf("read the pager's cursor: it has %d bytes, not 16; delete the key %s to hand over the pages of all open incidents again", len(kv.Value), keyCursor)
	}
	return cursor{next: int64(binary.BigEndian.Uint64(kv.Value)), at: int64(binary.BigEndian.Uint64(kv.Value[8:])), rev: kv.Rev}, nil
}

// keepCursor stores how far all is handed over, if anything was, or when it is time to say that somebody leads. One that is behind costs whoever
// comes next a little reading, and nothing else.
func (p *Pager) keepCursor(ctx context.Context) error {
	now := p.now()
	if !p.handed && p.cursor.at > 0 && now >= p.cursor.at && now-p.cursor.at < beat.Milliseconds() {
		return nil
	}
	rev, err := p.store(ctx, p.cursor, p.next, now)
	if err != nil {
		return err
	}
	p.cursor, p.handed = cursor{p.next, now, rev}, false
	return nil
}

// store writes the cursor if nobody else has since it was read. After an error of the store the truth is read anew by the next Run.
func (p *Pager) store(ctx context.Context, was cursor, next, at int64) (rev int64, err error) {
	value := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(next)), uint64(at))
	rev, err = p.o.DB.Commit(ctx, store.Txn{
		If:   []store.Cond{{Key: []byte(keyCursor), Rev: was.rev}},
		Then: []store.Op{{Key: []byte(keyCursor), Value: value}},
	})
	if errors.Is(err, store.ErrConflict) {
		return 0, errDeposed
	}
	if err != nil {
		return 0, fmt.Errorf("store the pager's cursor: %w", err)
	}
	return rev, nil
}

// leads is asked before anything is handed over or taken back: one that was deposed without having noticed would take back what the other one has
// handed over since.
func (p *Pager) leads(ctx context.Context) error {
	c, err := readCursor(ctx, p.o.DB)
	if err == nil && c.rev != p.cursor.rev {
		err = errDeposed
	}
	return err
}

// LastLed returns when some replica last had done all that was due, unix ms; 0: never.
func LastLed(ctx context.Context, db store.DB) (int64, error) {
	c, err := readCursor(ctx, db)
	return c.at, err
}
