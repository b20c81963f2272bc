package etcd

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/tocsin-ops/tocsin/store"
)

// Commit is store.DB.Commit, one Txn of etcd. It waits for a connection, and for
// a leader, but what was sent is never sent again: when the answer does not come
// within Options.Timeout, or the connection breaks, the Txn may have happened.
func (d *DB) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	rev, err := d.commit(ctx, txn)
	if err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	return rev, nil
}

func (d *DB) commit(ctx context.Context, txn store.Txn) (int64, error) {
	if err := store.Check(txn, maxOps, maxKey, maxBytes); err != nil {
		return 0, err
	}
	if n := d.size(txn); n > maxBytes {
		return 0, fmt.Errorf("%w: about %d bytes with the conditions, the limit is %d", store.ErrTooLarge, n, maxBytes)
	}
	if err := d.enter(); err != nil {
		return 0, err
	}
	defer d.leave()
	r, err := d.txn(ctx, d.request(txn))
	switch {
	case tooLarge(err):
		return 0, fmt.Errorf("%w: %w; let etcd keep its default --max-request-bytes and --max-txn-ops, or more", store.ErrTooLarge, d.explain(err))
	case err != nil:
		return 0, err
	case !r.Succeeded:
		return 0, store.ErrConflict
	}
	return r.Header.Revision, nil
}

// size is what the request weighs, at most.
func (d *DB) size(txn store.Txn) int {
	n := 0
	for _, c := range txn.If {
		n += len(d.data) + len(c.Key) + perOp
	}
	for _, op := range txn.Then {
		n += len(d.data) + len(op.Key) + len(op.Value) + 2*perOp
	}
	return n
}

func (d *DB) request(txn store.Txn) *pb.TxnRequest {
	r := &pb.TxnRequest{
		Compare: make([]*pb.Compare, 0, len(txn.If)),
		Success: make([]*pb.RequestOp, 0, len(txn.Then)+1),
	}
	for _, c := range txn.If {
		r.Compare = append(r.Compare, &pb.Compare{
			Key: d.key(c.Key), Target: pb.Compare_MOD, Result: pb.Compare_EQUAL,
			TargetUnion: &pb.Compare_ModRevision{ModRevision: c.Rev},
		})
	}
	grows := false
	for _, op := range txn.Then {
		if op.Delete {
			r.Success = append(r.Success, opDelete(d.key(op.Key)))
		} else {
			r.Success = append(r.Success, opPut(d.key(op.Key), op.Value, 0))
			grows = true
		}
	}
	if !grows { // deletes of missing keys would not give it a revision of its own
		r.Success = append(r.Success, opPut(d.tick(), nil, 0))
	}
	return r
}

func opPut(key, value []byte, lease int64) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: key, Value: value, Lease: lease}}}
}

func opDelete(key []byte) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: key}}}
}

// txn sends one request at most once to a leader. Its errors are in words.
func (d *DB) txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	within, cancel := context.WithTimeoutCause(ctx, d.opt.Timeout, d.tooLong(d.opt.Timeout))
	defer cancel()
	for {
		conn, err := d.connect(within)
		if err != nil {
			return nil, err
		}
		resp, err := pb.NewKVClient(conn).Txn(clientv3.WithRequireLeader(within), r)
		switch {
		case err == nil && resp.GetHeader() != nil:
			d.stale.Store(false)
			d.saw(resp.Header.Revision)
			return resp, nil
		case err == nil:
			return nil, errAnswer
		case d.refused(err):
			d.shun(conn, err)
			if wait(within, d.ctx, retryPause) == nil {
				continue
			}
		case d.fleeting(err):
			d.shun(conn, err)
		}
		return nil, d.because(ctx, within, err)
	}
}

// because is the error of a call: that of the caller's ctx if it ended, or of
// our patience, or etcd's own.
func (d *DB) because(ctx, within context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return context.Cause(ctx)
	case ctx.Err() != nil:
		return fmt.Errorf("%w (%w)", context.Cause(ctx), d.explain(err))
	case within.Err() != nil:
		return fmt.Errorf("%w (%w)", context.Cause(within), d.explain(err))
	}
	return d.explain(err)
}
