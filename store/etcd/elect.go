package etcd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/tocsin-ops/tocsin/store"
)

// Lead is store.Elector.Lead. Who comes first leads first. The context of run
// ends when the lease was not renewed in time, before another may lead by any
// clock that runs as fast as ours, and when the DB closes. When run returns, the
// next leads at once. A process that is stopped by its host and goes on later
// finds its context ended, but what it does in the moment before, only
// conditions of a Txn can refuse.
func (d *DB) Lead(ctx context.Context, name string, run func(context.Context) error) error {
	return d.seats.Lead(ctx, name, func(ctx context.Context) error {
		if err := d.enter(); err != nil {
			return fmt.Errorf("lead %s: %w", name, err)
		}
		defer d.leave()
		for pause := retryPause; ; pause = min(2*pause, time.Second) {
			s, err := d.live(ctx)
			if err != nil {
				return fmt.Errorf("lead %s: %w", name, err)
			}
			c := candidate{db: d, session: s, prefix: d.self + "lead/" + url.PathEscape(name) + "/"}
			err = c.stand(ctx)
			if err == nil {
				return c.lead(ctx, run)
			}
			c.resign()
			if ctx.Err() != nil {
				return fmt.Errorf("lead %s: %w", name, context.Cause(ctx))
			}
			if s.ctx.Err() == nil {
				d.opt.Log.Warn("an election waits for etcd", "name", name, "err", err)
			}
			_ = wait(ctx, d.ctx, pause)
		}
	})
}

// candidate is one key that hangs on the lease. Whose key was created first
// leads; every other waits for the one before it.
type candidate struct {
	db      *DB
	session *session
	prefix  string
	created int64 // revision of the key; 0 = not known to exist
	unsure  bool  // whether it was put is not known
}

func (c *candidate) key() []byte { return []byte(c.prefix + strconv.FormatInt(c.session.lease, 16)) }

// stand returns nil when c leads.
func (c *candidate) stand(ctx context.Context) error {
	if err := c.put(); err != nil {
		return err
	}
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.session.ctx, cancel)()
	for {
		before, rev, err := c.before(both)
		if err != nil || before == nil {
			return err
		}
		gone := watch{db: c.db, key: before, next: rev + 1, yield: func(_ int64, events []*mvccpb.Event) bool {
			return events[len(events)-1].Type != mvccpb.Event_DELETE
		}}
		if err := gone.run(both); err != nil && !errors.Is(err, store.ErrCompacted) {
			return err
		}
		if err := both.Err(); err != nil {
			return err
		}
	}
}

// put makes the key. It does not heed the caller's ctx, so that whether the key
// is there is known as a rule.
func (c *candidate) put() error {
	ctx, cancel := context.WithTimeout(c.session.ctx, tryWithin)
	defer cancel()
	c.unsure = true
	r, err := c.db.txn(ctx, &pb.TxnRequest{
		Compare: []*pb.Compare{createdAt(c.key(), 0)},
		Success: []*pb.RequestOp{opPut(c.key(), nil, c.session.lease)},
	})
	if err != nil {
		return err
	}
	c.unsure = false
	if !r.Succeeded { // nobody else has this lease: it can only be a bug
		return fmt.Errorf("%s exists already", c.key())
	}
	c.created = r.Header.Revision
	return nil
}

// before returns the key that c has to wait for, nil when it leads.
func (c *candidate) before(ctx context.Context) (key []byte, rev int64, err error) {
	r, err := c.db.ask(ctx, &pb.RangeRequest{
		Key: []byte(c.prefix), RangeEnd: upper(c.prefix), KeysOnly: true, MaxCreateRevision: c.created,
		SortTarget: pb.RangeRequest_CREATE, SortOrder: pb.RangeRequest_DESCEND, Limit: 2,
	}, c.db.opt.Timeout)
	if err != nil {
		return nil, 0, err
	}
	if len(r.Kvs) == 0 || r.Kvs[0].CreateRevision != c.created {
		c.session.lose(errors.New("etcd has ended the lease"))
		return nil, 0, errSession
	}
	if len(r.Kvs) == 1 {
		return nil, 0, c.session.ctx.Err()
	}
	return r.Kvs[1].Key, r.Header.Revision, nil
}

func (c *candidate) lead(ctx context.Context, run func(context.Context) error) error {
	leading, lose := context.WithCancelCause(ctx)
	defer c.resign()
	defer lose(nil)
	defer context.AfterFunc(c.session.ctx, func() { lose(context.Cause(c.session.ctx)) })()
	return run(leading)
}

// resign takes the key away. When that is not known to have happened, the whole
// session ends instead: a key left behind would hold the others up as long as
// this process lives.
func (c *candidate) resign() {
	if c.created == 0 && !c.unsure || c.session.ctx.Err() != nil {
		return
	}
	err := errors.New("it is not known whether a candidate is in etcd")
	if !c.unsure {
		ctx, cancel := context.WithTimeout(c.session.ctx, tryWithin)
		defer cancel()
		_, err = c.db.txn(ctx, &pb.TxnRequest{
			Compare: []*pb.Compare{createdAt(c.key(), c.created)},
			Success: []*pb.RequestOp{opDelete(c.key())},
		})
	}
	if err != nil {
		c.session.lose(err)
	}
}

func createdAt(key []byte, rev int64) *pb.Compare {
	return &pb.Compare{
		Key: key, Target: pb.Compare_CREATE, Result: pb.Compare_EQUAL,
		TargetUnion: &pb.Compare_CreateRevision{CreateRevision: rev},
	}
}
