package etcd

import (
	"context"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Use makes the member with this index the one in use.
func (d *DB) Use(i int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.current = i
}

// Lease is that of the session, 0 when there is none.
func (d *DB) Lease() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session == nil {
		return 0
	}
	return d.session.lease
}

// Expire makes the session end as if the lease had not been renewed.
func (d *DB) Expire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.session.lose(errSession)
}

// Known returns how many members have given a pass.
func (d *DB) Known() (n int) {
	for _, m := range d.members {
		if m.pass.held() {
			n++
		}
	}
	return n
}

// Forget drops all passes.
func (d *DB) Forget() {
	for _, m := range d.members {
		m.pass.mu.Lock()
		m.pass.token, m.pass.since = "", time.Time{}
		m.pass.mu.Unlock()
	}
}

// Show is how many keys below key there are for who takes what may be old, and
// which member said so.
func (d *DB) Show(ctx context.Context, key string) (n int64, at int, err error) {
	r, err := d.show(ctx, &pb.RangeRequest{Key: d.key([]byte(key)), CountOnly: true, Serializable: true})
	return r.GetCount(), int(d.shown.Load()), err
}

// SetShown makes the member with this index the one that is asked first without
// the quorum.
func (d *DB) SetShown(i int) { d.shown.Store(int32(i)) }
