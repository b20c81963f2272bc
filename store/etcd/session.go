package etcd

import (
	"context"
	"errors"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/tocsin-ops/tocsin/store"
)

// keptLeases is how many of our former leases are remembered, to know what was
// told under them as ours.
const keptLeases = 8

var errSession = errors.New("the lease in etcd was not renewed in time")

// session is the life of one lease. Its context ends by our own clock a tenth of
// the TTL before etcd can have let the lease end: it is counted from before the
// request that renewed it was sent.
type session struct {
	lease int64
	ctx   context.Context
	lose  context.CancelCauseFunc
}

// live returns the session, waiting for one as long as ctx allows. The first
// call begins to keep one.
func (d *DB) live(ctx context.Context) (*session, error) {
	for {
		d.mu.Lock()
		s, arrived := d.session, d.arrived
		if !d.keeping && !d.closed {
			d.keeping = true
			d.tasks.Go(d.keep)
		}
		d.mu.Unlock()
		if s != nil && s.ctx.Err() == nil {
			return s, nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-d.ctx.Done():
			return nil, store.ErrClosed
		}
	}
}

// keep holds one session after the other until Close.
func (d *DB) keep() {
	for pause := retryPause; d.ctx.Err() == nil; {
		sent := time.Now()
		lease, ttl, err := d.grant()
		if err != nil {
			d.opt.Log.Warn("no lease from etcd yet", "err", err)
			_ = wait(d.ctx, d.ctx, pause)
			pause = min(2*pause, time.Second)
			continue
		}
		pause = retryPause
		s := &session{lease: lease}
		s.ctx, s.lose = context.WithCancelCause(d.ctx)
		d.mu.Lock()
		d.session = s
		if d.leases = append(d.leases, lease); len(d.leases) > keptLeases {
			d.leases = d.leases[1:]
		}
		close(d.arrived)
		d.arrived = make(chan struct{})
		d.mu.Unlock()
		telling := make(chan struct{})
		go func() {
			defer close(telling)
			d.tellAgain(s)
		}()
		d.renew(s, sent, ttl)
		<-telling
		d.revoke(lease)
		if d.ctx.Err() == nil {
			d.opt.Log.Warn("the lease in etcd is lost; whatever this replica led, another may lead", "why", context.Cause(s.ctx))
		}
	}
}

func (d *DB) grant() (lease int64, ttl time.Duration, err error) {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(d.ctx), tryWithin)
	defer cancel()
	conn, err := d.connect(ctx)
	if err != nil {
		return 0, 0, err
	}
	r, err := pb.NewLeaseClient(conn).LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: int64(d.opt.TTL / time.Second)})
	if err != nil {
		d.shun(conn, err)
		return 0, 0, d.explain(err)
	}
	if r.Error != "" {
		return 0, 0, errors.New(r.Error)
	}
	return r.ID, time.Duration(r.TTL) * time.Second, nil
}

// revoke gives the lease back, and with it all keys that hang on it, once and if
// it can: else the lease ends by itself.
func (d *DB) revoke(lease int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), tryWithin)
	defer cancel()
	d.mu.Lock()
	m := d.members[d.current]
	d.mu.Unlock()
	if conn := m.now(); conn != nil {
		_, _ = pb.NewLeaseClient(conn).LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: lease})
	}
}

// renew keeps the session until it is lost or the DB closes.
func (d *DB) renew(s *session, sent time.Time, ttl time.Duration) {
	defer s.lose(errSession)
	ends := func() time.Duration { return time.Until(sent.Add(ttl - ttl/10)) }
	alarm := time.AfterFunc(ends(), func() { s.lose(errSession) })
	defer alarm.Stop()
	r := renewal{db: d, lease: s.lease}
	defer r.drop()
	pause := ttl / 3
	for wait(s.ctx, s.ctx, pause) == nil {
		at := time.Now()
		left, err := r.once(s.ctx, min(ttl/4, tryWithin))
		switch {
		case err != nil:
			pause = retryPause
			continue
		case left <= 0: // revoked, or ended while we slept
			return
		}
		// A timer that has gone off already has lost the session: what is reset
		// then goes off a second time, to no effect.
		sent, ttl, pause = at, left, left/3
		alarm.Reset(ends())
	}
}

// renewal holds the stream that renews a lease, as long as it works.
type renewal struct {
	db     *DB
	lease  int64
	conn   *grpc.ClientConn
	stream pb.Lease_LeaseKeepAliveClient
	cancel context.CancelFunc
}

func (r *renewal) drop() {
	if r.cancel != nil {
		r.cancel()
	}
	r.stream, r.cancel = nil, nil
}

// once renews and returns the time to live that etcd granted, 0 if the lease is
// no more. It takes at most patience.
func (r *renewal) once(ctx context.Context, patience time.Duration) (left time.Duration, err error) {
	defer func() {
		if err != nil {
			r.drop()
			if r.conn != nil {
				r.db.shun(r.conn, err)
			}
		}
	}()
	if r.stream == nil {
		within, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if r.conn, err = r.db.connect(within); err != nil {
			return 0, err
		}
		var lasting context.Context
		lasting, r.cancel = context.WithCancel(clientv3.WithRequireLeader(ctx))
		defer time.AfterFunc(patience, r.cancel).Stop()
		if r.stream, err = pb.NewLeaseClient(r.conn).LeaseKeepAlive(lasting); err != nil {
			return 0, err
		}
	} else {
		defer time.AfterFunc(patience, r.cancel).Stop()
	}
	if err := r.stream.Send(&pb.LeaseKeepAliveRequest{ID: r.lease}); err != nil {
		return 0, err
	}
	a, err := r.stream.Recv()
	if err != nil {
		return 0, err
	}
	return time.Duration(a.TTL) * time.Second, nil
}
