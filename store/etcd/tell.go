package etcd

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/tocsin-ops/tocsin/store"
)

// Bounds of what one process tells.
const (
	maxTold      = 1024     // keys
	maxToldBytes = 64 << 10 // of one value
)

// tellLater is how long after a trouble all that is told is written once more:
// by then a request that was on its way has arrived or never will.
const tellLater = 8 * time.Second

// Tell is store.Ephemeral.Tell: the key hangs on this process's lease. One key
// is written at a time. An error other than ErrTooLarge, ErrInvalid and
// ErrClosed means that others may not see it yet; it is written again when etcd
// is back. What another process tells under the same key replaces ours; taking
// away takes away only what is ours. At most 1024 keys of at most 64 KiB.
func (d *DB) Tell(ctx context.Context, key, value []byte) error {
	if err := d.tell(ctx, bytes.Clone(key), bytes.Clone(value)); err != nil {
		return fmt.Errorf("tell %q: %w", key, err)
	}
	return nil
}

func (d *DB) tell(ctx context.Context, key, value []byte) error {
	if err := store.Check(store.Txn{Then: []store.Op{{Key: key, Value: value}}}, 1, maxKey, maxToldBytes); err != nil {
		return err
	}
	if err := d.enter(); err != nil {
		return err
	}
	defer d.leave()
	ctx, cancel := context.WithTimeout(ctx, tryWithin)
	defer cancel()
	select {
	case d.telling <- struct{}{}:
		defer func() { <-d.telling }()
	case <-ctx.Done():
		return ctx.Err()
	case <-d.ctx.Done():
		return store.ErrClosed
	}
	if _, known := d.told[string(key)]; value != nil && !known && len(d.told) >= maxTold {
		return fmt.Errorf("%w: %d keys are told already", store.ErrTooLarge, maxTold)
	}
	if d.told[string(key)] = value; value == nil {
		delete(d.told, string(key))
	}
	s, err := d.live(ctx)
	if err != nil {
		return err
	}
	r := &pb.TxnRequest{Success: []*pb.RequestOp{opPut(d.key(key), value, s.lease)}}
	if value == nil {
		r.Compare, r.Success = []*pb.Compare{leaseIs(d.key(key), s.lease)}, []*pb.RequestOp{opDelete(d.key(key))}
	}
	if _, err = d.txn(ctx, r); err != nil {
		d.troubled()
	}
	return err
}

// troubled has all told again, later.
func (d *DB) troubled() {
	select {
	case d.again <- struct{}{}:
	default: // it will be
	}
}

func leaseIs(key []byte, lease int64) *pb.Compare {
	return &pb.Compare{
		Key: key, Target: pb.Compare_LEASE, Result: pb.Compare_EQUAL,
		TargetUnion: &pb.Compare_Lease{Lease: lease},
	}
}

// tellAgain writes all that is told under the session, when it begins and after
// every trouble, until it ends.
func (d *DB) tellAgain(s *session) {
	for {
		if err := d.tellAll(s); err != nil && s.ctx.Err() == nil {
			d.troubled()
		}
		select {
		case <-d.again:
		case <-s.ctx.Done():
			return
		}
		if wait(s.ctx, s.ctx, tellLater) != nil {
			return
		}
	}
}

func (d *DB) tellAll(s *session) error {
	select {
	case d.telling <- struct{}{}:
		defer func() { <-d.telling }()
	case <-s.ctx.Done():
		return nil
	}
	d.mu.Lock()
	ours := slices.Clone(d.leases)
	d.mu.Unlock()
	for key, value := range d.told {
		if err := d.retell(s, ours, []byte(key), value); err != nil {
			return err
		}
	}
	return nil
}

// retell writes one key unless somebody else has told it since: then it is no
// longer ours to tell.
func (d *DB) retell(s *session, ours []int64, key, value []byte) error {
	ctx, cancel := context.WithTimeout(s.ctx, tryWithin)
	defer cancel()
	at := d.key(key)
	r, err := d.txn(ctx, &pb.TxnRequest{
		Compare: []*pb.Compare{createdAt(at, 0)},
		Success: []*pb.RequestOp{opPut(at, value, s.lease)},
		Failure: []*pb.RequestOp{{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: at}}}},
	})
	if err != nil || r.Succeeded {
		return err
	}
	if len(r.Responses) != 1 || len(r.Responses[0].GetResponseRange().GetKvs()) != 1 {
		return errAnswer
	}
	kv := r.Responses[0].GetResponseRange().Kvs[0]
	switch {
	case !slices.Contains(ours, kv.Lease):
		delete(d.told, string(key))
		return nil
	case kv.Lease == s.lease && bytes.Equal(kv.Value, value):
		return nil
	}
	_, err = d.txn(ctx, &pb.TxnRequest{
		Compare: []*pb.Compare{leaseIs(at, kv.Lease)},
		Success: []*pb.RequestOp{opPut(at, value, s.lease)},
	})
	return err
}
