package etcd

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/tocsin-ops/tocsin/store"
)

// Watch is store.DB.Watch. It outlives members and leaders: it goes on at the
// next member where it was. It reads from the connection only as fast as the
// loop body does, and at most one message ahead; who is slow is held up by etcd,
// and told ErrCompacted if etcd compacts what was not read yet.
func (d *DB) Watch(ctx context.Context, prefix []byte, from int64) iter.Seq2[store.Change, error] {
	key := d.key(prefix)
	return func(yield func(store.Change, error) bool) {
		w := watch{db: d, key: key, end: above(key), next: max(from, 0) + 1, yield: func(rev int64, events []*mvccpb.Event) bool {
			c := store.Change{Rev: rev, Ops: make([]store.Op, len(events))}
			for i, e := range events {
				c.Ops[i] = store.Op{Key: e.Kv.Key[len(d.data):], Value: e.Kv.Value, Delete: e.Type == mvccpb.Event_DELETE}
			}
			return yield(c, nil)
		}}
		if err := w.run(ctx); err != nil {
			yield(store.Change{}, fmt.Errorf("watch %q: %w", prefix, err))
		}
	}
}

// above is the end of the range of all keys that begin with prefix. It is above
// every key of ours when the prefix ends in 0xff bytes only.
func above(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for len(end) > 0 && end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	if len(end) > 0 {
		end[len(end)-1]++
	}
	return end
}

// watch yields the events of a range by revision, from next on.
type watch struct {
	db       *DB
	key, end []byte
	next     int64
	yield    func(rev int64, events []*mvccpb.Event) bool
}

var errLeft = errors.New("the loop was left")

// run returns nil when ctx ends or yield returned false.
func (w *watch) run(ctx context.Context) error {
	d := w.db
	pause := retryPause
	for ctx.Err() == nil {
		if d.isClosed() {
			return store.ErrClosed
		}
		before := w.next
		within, cancel := context.WithTimeout(ctx, d.opt.Timeout)
		conn, err := d.connect(within)
		cancel()
		if err == nil {
			err = w.stream(ctx, conn)
			switch {
			case err == errLeft:
				return nil
			case errors.Is(err, store.ErrCompacted):
				return err
			case is(err, rpctypes.ErrGRPCPermissionDenied), is(err, rpctypes.ErrGRPCAuthFailed):
				return d.explain(err)
			case ctx.Err() == nil && !d.isClosed():
				d.shun(conn, err)
			}
		}
		if pause = min(2*pause, time.Second); w.next > before {
			pause = retryPause
		}
		_ = wait(ctx, d.ctx, pause)
	}
	return nil
}

// stream watches on one connection until that fails.
func (w *watch) stream(ctx context.Context, conn *grpc.ClientConn) error {
	streaming, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	defer context.AfterFunc(w.db.ctx, cancel)()
	s, err := pb.NewWatchClient(conn).Watch(streaming)
	if err != nil {
		return err
	}
	err = s.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{
		Key: w.key, RangeEnd: w.end, StartRevision: w.next, ProgressNotify: true, Fragment: true,
	}}})
	if err != nil {
		return err
	}
	var whole []*mvccpb.Event // of one revision, which may come in several messages
	deliver := func() bool {
		events := whole
		if whole = nil; len(events) == 0 {
			return true
		}
		rev := events[0].Kv.ModRevision
		w.next = rev + 1
		w.db.saw(rev)
		return ctx.Err() == nil && w.yield(rev, events)
	}
	for {
		r, err := s.Recv()
		switch {
		case err != nil:
			return err
		case r.CompactRevision != 0:
			return fmt.Errorf("%w: etcd keeps revisions from %d on, not %d", store.ErrCompacted, r.CompactRevision, w.next)
		case r.Canceled:
			return errors.New(r.CancelReason)
		}
		for _, e := range r.Events {
			if len(whole) > 0 && whole[0].Kv.ModRevision != e.Kv.ModRevision && !deliver() {
				return errLeft
			}
			if e.Kv.ModRevision >= w.next {
				whole = append(whole, e)
			}
		}
		if r.Fragment {
			continue
		}
		if !deliver() {
			return errLeft
		}
		if len(r.Events) == 0 && !r.Created && r.Header != nil {
			w.next = max(w.next, r.Header.Revision+1) // all up to there was seen
		}
	}
}
