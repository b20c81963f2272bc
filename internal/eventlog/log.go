package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/tocsin-ops/tocsin/store"
)

// Options of Open. The zero value works.
type Options struct {
	// Origin names a log that is new; DefaultOrigin when empty. It is the first
	// line of every checkpoint and the name of the key. A log keeps the origin
	// that it was born with.
	Origin string
	// Upcasters are applied to every event that is read.
	Upcasters *Upcasters
	// Log is where Run says that it had to start over. Nil is silent.
	Log *slog.Logger
}

// Log is one log in one store. All methods may be called from any number of
// goroutines, and any number of Logs (replicas) may be open on one store.
type Log struct {
	db        store.DB
	shared    bool // by replicas, over a network
	signer    note.Signer
	verifier  string
	upcasters *Upcasters
	log       *slog.Logger

	// mu guards what is below; it is never held during a call to the store.
	mu          sync.Mutex
	pending     []*request    // waiting appends, at most MaxPending
	leading     bool          // somebody leads: exactly one, who alone uses tip and heads
	crowd       int           // appends of the last group and of those it left waiting
	full        chan struct{} // closed when as many wait as crowd; nil unless the leader waits for them
	took        time.Duration // of the last group
	head        Checkpoint    // newest durable checkpoint that this Log has seen
	rev         int64         // its revision
	grown       chan struct{} // closed and replaced when head grows
	tail        tail          // the newest events
	told        []growth      // what others appended and the leader has not taken up
	toldRecords int           // of told; at most maxGrowth

	// Owned by the leader.
	tip   tip
	heads map[string]int64 // heads of streams at tip; at most maxHeads
	turn  int64            // revision of the turn that this Log has claimed, or 0
}

// tip is the tree that the next append builds on.
type tip struct {
	rev  int64
	size int64
	edge edge
}

// Open opens the log in db and, the first time, makes its key and an empty signed
// tree. It checks that the stored tree gives the signed root (not every leaf:
// that is Verify). It starts no goroutine.
func Open(ctx context.Context, db store.DB, o Options) (*Log, error) {
	if o.Origin == "" {
		o.Origin = DefaultOrigin
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Log{db: db, upcasters: o.Upcasters, log: o.Log, grown: make(chan struct{})}
	_, l.shared = db.(store.Ephemeral)
	key, err := db.Get(ctx, []byte(keySigner))
	if errors.Is(err, store.ErrNotFound) {
		if err = l.found(ctx, o.Origin); err == nil {
			key, err = db.Get(ctx, []byte(keySigner))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if l.signer, err = note.NewSigner(string(key.Value)); err != nil {
		return nil, fmt.Errorf("open log: signing key: %w", err)
	}
	verifier, err := db.Get(ctx, []byte(keyVerifier))
	if err != nil {
		return nil, fmt.Errorf("open log: verifier key: %w", err)
	}
	l.verifier = string(verifier.Value)
	public, err := note.NewVerifier(l.verifier)
	if err != nil {
		return nil, fmt.Errorf("open log: verifier key: %w", err)
	}
	if public.Name() != l.signer.Name() || public.KeyHash() != l.signer.KeyHash() {
		return nil, fmt.Errorf("open log: the signing key is not that of %s; restore both from one backup: %w", l.verifier, ErrCorrupt)
	}
	if err := l.reload(ctx); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return l, nil
}

// found makes key and empty tree, unless somebody else was faster.
func (l *Log) found(ctx context.Context, origin string) error {
	skey, vkey, err := newKey(origin)
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return err
	}
	root, err := tlog.TreeHash(0, edge{})
	if err != nil {
		return err
	}
	signed, err := seal(signer, 0, root)
	if err != nil {
		return err
	}
	_, err = l.db.Commit(ctx, store.Txn{
		If: []store.Cond{{Key: []byte(keySigner)}, {Key: []byte(keyHead)}},
		Then: []store.Op{
			{Key: []byte(keySigner), Value: []byte(skey)},
			{Key: []byte(keyVerifier), Value: []byte(vkey)},
			{Key: []byte(keyHead), Value: signed},
		},
	})
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}

// reload reads the tree head anew into tip and tells followers. When another
// replica appended little, that is one Get and one Scan of what is new; else the
// edge of the tree is read, and cached stream heads are forgotten. Only Open and
// the leader call it.
func (l *Log) reload(ctx context.Context) error {
	kv, err := l.db.Get(ctx, []byte(keyHead))
	if err != nil {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	c, err := ParseCheckpoint(kv.Value, l.verifier)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if kv.Rev == l.tip.rev {
		return nil
	}
	if events, ok := l.readGrowth(ctx, c, kv.Rev); ok {
		l.publish(c, kv.Rev, events, nil, true)
		return nil
	}
	e, err := readEdge(c.Size, stored{ctx, l.db})
	if err != nil {
		return fmt.Errorf("read tree of %d: %w", c.Size, err)
	}
	root, err := tlog.TreeHash(c.Size, e)
	if err != nil {
		return fmt.Errorf("hash tree of %d: %w", c.Size, err)
	}
	if root != c.Root {
		return fmt.Errorf("the stored tree of %d events does not give the signed root; run tocsin verify: %w", c.Size, ErrCorrupt)
	}
	l.tip = tip{rev: kv.Rev, size: c.Size, edge: e}
	l.heads = make(map[string]int64)
	l.publish(c, kv.Rev, nil, nil, true)
	return nil
}

// readGrowth brings tip to c by reading the events between.
func (l *Log) readGrowth(ctx context.Context, c Checkpoint, rev int64) ([]Event, bool) {
	from := l.tip.size
	if l.tip.edge == nil || c.Size <= from || c.Size-from > PageSize {
		return nil, false
	}
	g := growth{rev: rev, head: c}
	for kv, err := range l.db.Scan(ctx, store.Range{From: eventKey(from), To: eventKey(c.Size)}) {
		if err != nil {
			return nil, false
		}
		r, err := parseRecord(kv.Value)
		if err != nil {
			return nil, false
		}
		g.records = append(g.records, r)
	}
	if !whole(g.records, from, c.Size) {
		return nil, false
	}
	next, heads := tip{size: from, edge: l.tip.edge.trim(from)}, map[string]int64{}
	if !next.grow(g, heads) {
		return nil, false
	}
	l.follow(next, heads)
	return l.present(g.records), true
}

// publish makes a durable checkpoint known, with the events that it is new by, if
// they are at hand, and wakes followers. others is what the leader has to take up
// later; blanked says that a payload may have gone.
func (l *Log) publish(c Checkpoint, rev int64, events []Event, others *growth, blanked bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if rev <= l.rev {
		return
	}
	grew := c.Size > l.head.Size
	if blanked {
		l.tail = tail{}
	}
	if int64(len(events)) == c.Size-l.head.Size {
		l.tail.add(c.Size, events)
	} else {
		l.tail = tail{}
	}
	if others == nil || l.toldRecords+len(others.records) > maxGrowth {
		l.told, l.toldRecords = nil, 0
	}
	if others != nil {
		l.told, l.toldRecords = append(l.told, *others), l.toldRecords+len(others.records)
	}
	l.head, l.rev = c, rev
	if grew {
		close(l.grown)
		l.grown = make(chan struct{})
	}
}

// Size is the number of durable events that this Log has seen.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head.Size
}

// Checkpoint returns the newest signed checkpoint, for exactly Size events.
func (l *Log) Checkpoint(context.Context) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return []byte(l.head.Signed), nil
}

// Verifier returns the public key as a note verifier key, name+hash+key.
func (l *Log) Verifier() string { return l.verifier }

// Origin returns the name of the log, the first line of its checkpoints.
func (l *Log) Origin() string { return l.signer.Name() }

// Run watches the store for appends of other replicas, so that Size grows and
// followers wake here too. It returns nil when ctx ends, and an error when the
// store is closed or the stored checkpoint is not ours.
func (l *Log) Run(ctx context.Context) error {
	// A store of one process tells only what this one has written. One that is
	// shared sends what others append, so that nobody has to read it.
	prefix := []byte(keyHead)
	if l.shared {
		prefix = []byte(prefixAll)
	}
	for ctx.Err() == nil {
		from, err := l.look(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("watch log: %w", err)
		}
		for change, err := range l.db.Watch(ctx, prefix, from) {
			switch {
			case ctx.Err() != nil:
				return nil
			case errors.Is(err, store.ErrCompacted):
				l.log.Warn("log watch starts over", "from", from, "err", err)
			case err != nil:
				return fmt.Errorf("watch log: %w", err)
			default:
				if err := l.see(change); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// look reads the head and returns a revision to watch from. It is the
// store's newest one, asked for before the head is read: the head itself may
// have been written long before the oldest change that the store still keeps.
func (l *Log) look(ctx context.Context) (from int64, err error) {
	if r, ok := l.db.(store.Revisioner); ok {
		if from, err = r.Revision(ctx); err != nil {
			return 0, err
		}
	}
	kv, err := l.db.Get(ctx, []byte(keyHead))
	if err != nil {
		return 0, err
	}
	return max(from, kv.Rev), l.see(store.Change{Rev: kv.Rev, Ops: []store.Op{{Key: kv.Key, Value: kv.Value}}})
}
