// Package etcd owns the engine of store that several replicas share: the whole
// contract on an etcd cluster, with its leases and elections; it never starts an
// etcd, and it never sends a transaction twice that may have happened.
package etcd

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/internal/seat"
)

// Limits of one Txn. etcd takes 128 conditions and 128 changes (counted apart,
// --max-txn-ops) in a request of 1.5 MiB (--max-request-bytes) unless its
// operator says otherwise; one change is kept for the engine's own.
const (
	maxOps   = 127
	maxKey   = 32 << 10
	maxBytes = 1<<20 + 480<<10 // of the whole request; 32 KiB below etcd's limit
	perOp    = 48              // bytes that encoding adds to a key or a value, at most
)

// Patience of one try, after which another member is asked. What may be asked
// again is, until Options.Timeout.
const (
	tryWithin   = 1500 * time.Millisecond
	staleAfter  = time.Second     // then a context of AllowStale gets what there is
	closeWithin = 2 * time.Second // for leaders to return
)

// DB implements store.DB, store.Elector, store.Revisioner and store.Ephemeral.
//
// The keys of its caller lie in etcd below PREFIX/keys/, its own (elections, and
// a key that is written when a Txn changes nothing, because etcd's revision does
// not grow then) below PREFIX/self/.
type DB struct {
	opt     Options
	data    string // what the caller's keys begin with
	self    string // what its own begin with
	members []*member
	seats   seat.Seats // one contender of this process for each name
	ctx     context.Context
	end     context.CancelFunc
	tasks   sync.WaitGroup
	stale   atomic.Bool   // the quorum was silent: AllowStale does not wait for it
	shown   atomic.Int32  // index of the member that last answered without the quorum
	seen    atomic.Int64  // revision that this process knows of; what is shown without the quorum is not older if it can
	telling chan struct{} // held by who writes what was told; guards told

	mu      sync.Mutex
	current int // index of the member in use
	closed  bool
	calls   int           // commits and leaders in flight
	idle    chan struct{} // made by Close, closed when calls is 0
	session *session      // nil until somebody needs one
	arrived chan struct{} // closed and replaced when session is
	keeping bool          // a task keeps sessions
	told    map[string][]byte
	leases  []int64       // those this DB had, newest last, few
	again   chan struct{} // one slot: what was told must be told again
}

// Open connects to the cluster and makes sure that its quorum answers, within
// Options.DialTimeout. Its goroutines (they watch over the connections, and over
// the lease once there is one) end in Close. Errors say what to do and never
// hold the password.
func Open(ctx context.Context, o Options) (*DB, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("open %s: %w", o, err)
	}
	d := &DB{
		opt:     o,
		data:    o.Prefix + "keys/",
		self:    o.Prefix + "self/",
		telling: make(chan struct{}, 1),
		arrived: make(chan struct{}),
		told:    map[string][]byte{},
		again:   make(chan struct{}, 1),
	}
	d.ctx, d.end = context.WithCancel(context.Background())
	for _, e := range o.Endpoints {
		d.members = append(d.members, &member{
			opt: &d.opt, endpoint: e, ended: d.ctx, tick: d.tick(),
			pass: pass{user: o.User, password: o.Password, asking: make(chan struct{}, 1)},
		})
	}
	d.current = o.first(len(d.members))
	d.shown.Store(int32(d.current))
	ctx, cancel := context.WithTimeout(ctx, o.DialTimeout)
	defer cancel()
	if _, err := d.Revision(ctx); err != nil {
		d.shut()
		return nil, fmt.Errorf("open %s: %w", o, err)
	}
	d.tasks.Go(d.watchOver)
	d.tasks.Go(d.greetAll)
	return d, nil
}

// MaxOps is the number of conditions, and of changes, taken in one Txn.
func (d *DB) MaxOps() int { return maxOps }

// enter counts a call in that Close has to wait for.
func (d *DB) enter() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return store.ErrClosed
	}
	d.calls++
	return nil
}

func (d *DB) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.calls--; d.calls == 0 && d.idle != nil {
		close(d.idle)
		d.idle = nil
	}
}

func (d *DB) isClosed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// Get is store.DB.Get, linearizable.
func (d *DB) Get(ctx context.Context, key []byte) (store.KV, error) {
	r, err := d.read(ctx, &pb.RangeRequest{Key: d.key(key)})
	if err == nil && len(r.Kvs) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.KV{}, fmt.Errorf("get %q: %w", key, err)
	}
	return d.kv(r.Kvs[0]), nil
}

// Revision is store.Revisioner.Revision: that of the cluster, which also grows
// with what others keep in it.
func (d *DB) Revision(ctx context.Context) (int64, error) {
	r, err := d.read(ctx, &pb.RangeRequest{Key: d.tick(), KeysOnly: true})
	if err != nil {
		return 0, fmt.Errorf("revision: %w", err)
	}
	return r.Header.Revision, nil
}

// tick is the key that a Txn which changes nothing writes.
func (d *DB) tick() []byte { return []byte(d.self + "tick") }

func (d *DB) key(key []byte) []byte { return append([]byte(d.data), key...) }

// Close is store.DB.Close: it waits for commits in flight, ends leaderships and
// gives them 2 s to return, and revokes the lease, so that another replica leads
// at once and what was told is gone.
func (d *DB) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return fmt.Errorf("close: %w", store.ErrClosed)
	}
	d.closed = true
	var idle chan struct{}
	if d.calls > 0 {
		idle = make(chan struct{})
		d.idle = idle
	}
	d.mu.Unlock()
	d.seats.Close()
	if idle != nil {
		patience := time.NewTimer(d.opt.Timeout + closeWithin)
		defer patience.Stop()
		select {
		case <-idle:
		case <-patience.C:
		}
	}
	d.shut()
	return nil
}

// shut ends what runs and closes the connections.
func (d *DB) shut() {
	d.end()
	d.tasks.Wait()
	for _, m := range d.members {
		m.cut(nil)
	}
}
