package etcd

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tocsin-ops/tocsin/store"
)

const retryPause = 50 * time.Millisecond

// Patience of a read that need not be the quorum's.
const (
	showOthers = 50 * time.Millisecond // of the member asked first
	showAgain  = 100 * time.Millisecond
	showBehind = 250 * time.Millisecond // of an answer that others may know better
	showWithin = 2 * time.Second
)

// Pages of a Scan hold about pageBytes, and at most maxPage keys.
const (
	firstPage = 128
	maxPage   = 512
	pageBytes = 1 << 20
)

func (d *DB) tooLong(t time.Duration) error {
	return fmt.Errorf("etcd (%s) gave no answer within %s; check that a majority of its members run and reach each other (etcdctl endpoint status --cluster)", strings.Join(d.opt.Endpoints, ", "), t)
}

// read answers r from the quorum, or, when ctx comes from AllowStale and the
// quorum does not answer for a second, from what a member has: from then on at
// once, until the quorum answers anything.
func (d *DB) read(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if !store.StaleAllowed(ctx) {
		return d.ask(ctx, r, d.opt.Timeout)
	}
	if !d.stale.Load() {
		answer, err := d.ask(ctx, r, staleAfter)
		if err == nil || ctx.Err() != nil || d.isClosed() {
			return answer, err
		}
		if c := status.Code(err); c == codes.PermissionDenied || c == codes.OutOfRange || tooLarge(err) {
			return nil, err // the quorum's own word
		}
		d.stale.Store(true)
	}
	store.MarkStale(ctx)
	r = proto.CloneOf(r)
	r.Serializable = true
	return d.show(ctx, r)
}

// saw notes that this process knows of what was durable at rev.
func (d *DB) saw(rev int64) {
	for {
		seen := d.seen.Load()
		if rev <= seen || d.seen.CompareAndSwap(seen, rev) {
			return
		}
	}
}

// show answers r, which is serializable, from the member that answered the last
// one; when that says nothing at once, from whichever does first. A member that
// has just come back may not have what this process knows of: its answer is taken
// only when no other gives a newer one within showBehind, and from then on at
// once. None of this depends on the member in use, which those who need the
// quorum change. No answer within showWithin is an error: then nobody has one.
func (d *DB) show(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if d.isClosed() {
		return nil, store.ErrClosed
	}
	patience := min(d.opt.Timeout, showWithin)
	within, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no member of etcd (%s) gave an answer within %s, with a quorum or without; check that one runs", strings.Join(d.opt.Endpoints, ", "), patience))
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	defer context.AfterFunc(d.ctx, cancel)()
	type answer struct {
		at   int
		resp *pb.RangeResponse
		err  error
	}
	answers := make(chan answer, len(d.members)) // each has one request at a time
	ask := func(at int, pause time.Duration) {
		all.Go(func() {
			err := wait(within, d.ctx, pause)
			var resp *pb.RangeResponse
			if err == nil {
				resp, _, err = d.members[at].ask(within, r)
			}
			answers <- answer{at, resp, err}
		})
	}
	last := int(d.shown.Load())
	for at := range d.members {
		pause := showOthers
		if at == last {
			pause = 0
		}
		ask(at, pause)
	}
	var newest error
	var behind *answer
	var settled <-chan time.Time // runs from the first answer that is behind
	take := func(a *answer) (*pb.RangeResponse, error) {
		d.shown.Store(int32(a.at))
		return a.resp, nil
	}
	seen := d.seen.Load()
	for {
		select {
		case a := <-answers:
			switch {
			case a.err == nil && a.resp.Header.Revision >= seen:
				d.saw(a.resp.Header.Revision)
				return take(&a)
			case a.err == nil:
				if behind == nil {
					timer := time.NewTimer(showBehind)
					defer timer.Stop()
					settled = timer.C
				}
				if behind == nil || a.resp.Header.Revision > behind.resp.Header.Revision {
					behind = &a
				}
				continue
			case within.Err() != nil:
			case !d.fleeting(a.err) && !unknown(a.err):
				return nil, d.explain(a.err)
			default:
				newest = a.err
				ask(a.at, showAgain)
				continue
			}
		case <-settled:
			d.seen.CompareAndSwap(seen, behind.resp.Header.Revision)
			return take(behind)
		case <-within.Done():
		}
		switch {
		case ctx.Err() == nil && d.isClosed():
			return nil, store.ErrClosed
		case ctx.Err() == nil && behind != nil:
			return take(behind)
		}
		return nil, d.because(ctx, within, newest)
	}
}

// ask sends r to one member after the other until one answers.
func (d *DB) ask(ctx context.Context, r *pb.RangeRequest, patience time.Duration) (*pb.RangeResponse, error) {
	if d.isClosed() {
		return nil, store.ErrClosed
	}
	within, cancel := context.WithTimeoutCause(ctx, patience, d.tooLong(patience))
	defer cancel()
	var last error // the newest that is more than silence
	for {
		conn, err := d.connect(within)
		if err != nil {
			return nil, err
		}
		try, done := context.WithTimeout(within, tryWithin)
		if !r.Serializable {
			try = clientv3.WithRequireLeader(try)
		}
		resp, err := pb.NewKVClient(conn).Range(try, r)
		done()
		if last == nil || status.Code(err) != codes.DeadlineExceeded {
			last = err
		}
		switch {
		case err == nil && resp.GetHeader() != nil:
			if !r.Serializable {
				d.stale.Store(false)
			}
			d.saw(resp.Header.Revision)
			return resp, nil
		case err == nil:
			return nil, errAnswer
		case d.fleeting(err) && within.Err() == nil && d.ctx.Err() == nil:
			d.shun(conn, err)
			if wait(within, d.ctx, retryPause) == nil {
				continue
			}
		}
		if ctx.Err() == nil && d.isClosed() {
			return nil, store.ErrClosed
		}
		return nil, d.because(ctx, within, last)
	}
}

func (d *DB) kv(kv *mvccpb.KeyValue) store.KV {
	return store.KV{Key: kv.Key[len(d.data):], Value: kv.Value, Rev: kv.ModRevision}
}

// Scan is store.DB.Scan. It reads page by page, all at the revision of the
// first, and holds nothing open meanwhile. A page that etcd has compacted away
// meanwhile is an error.
//
// Reverse is dear on etcd, which sorts the whole range for each page. A Limit of
// few keys is cheap all the same when the highest lie near To, as numbers do.
func (d *DB) Scan(ctx context.Context, r store.Range) iter.Seq2[store.KV, error] {
	from, to := d.key(r.From), upper(d.data)
	if len(r.To) > 0 {
		to = d.key(r.To)
	}
	return func(yield func(store.KV, error) bool) {
		p := pages{db: d, from: from, to: to, reverse: r.Reverse, limit: firstPage}
		for left := r.Limit; ; {
			kvs, more, err := p.next(ctx, left)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(store.KV{}, fmt.Errorf("scan from %q: %w", r.From, err))
				return
			}
			for _, kv := range kvs {
				if err := ctx.Err(); err != nil {
					yield(store.KV{}, fmt.Errorf("scan from %q: %w", r.From, err))
					return
				}
				if !yield(d.kv(kv), nil) {
					return
				}
			}
			if left -= len(kvs); !more || r.Limit > 0 && left <= 0 {
				return
			}
		}
	}
}

// pages reads a range piece by piece.
type pages struct {
	db       *DB
	from, to []byte // what is left
	reverse  bool
	rev      int64
	limit    int
}

// next returns at most left keys (0 = any number) and whether there are more.
func (p *pages) next(ctx context.Context, left int) (kvs []*mvccpb.KeyValue, more bool, err error) {
	if bytes.Compare(p.from, p.to) >= 0 {
		return nil, false, nil
	}
	limit := p.limit
	if left > 0 {
		limit = min(limit, left)
	}
	if p.reverse && left > 0 && left <= few {
		kvs, err = p.near(ctx, limit)
		more = len(kvs) > 0
	}
	if len(kvs) == 0 && err == nil {
		var r *pb.RangeResponse
		for {
			if r, err = p.ask(ctx, p.from, limit, p.reverse); !tooLarge(err) || limit == 1 {
				break
			}
			limit = max(1, limit/8)
		}
		kvs, more = r.GetKvs(), r.GetMore()
	}
	if err != nil || len(kvs) == 0 {
		return nil, false, err
	}
	size := 0
	for _, kv := range kvs {
		size += len(kv.Key) + len(kv.Value)
	}
	p.limit = min(max(8, len(kvs)*pageBytes/max(size, 1)), maxPage)
	if last := kvs[len(kvs)-1].Key; p.reverse {
		p.to = bytes.Clone(last)
	} else {
		p.from = append(bytes.Clone(last), 0)
	}
	return kvs, more, nil
}

func (p *pages) ask(ctx context.Context, from []byte, limit int, reverse bool) (*pb.RangeResponse, error) {
	q := &pb.RangeRequest{Key: from, RangeEnd: p.to, Limit: int64(limit), Revision: p.rev}
	if reverse {
		q.SortTarget, q.SortOrder = pb.RangeRequest_KEY, pb.RangeRequest_DESCEND
	}
	r, err := p.db.read(ctx, q)
	if err == nil && p.rev == 0 {
		p.rev = r.Header.Revision
	}
	return r, err
}

// few is the Limit up to which the end of a range is looked for near it.
const few = 16

// near looks for the highest keys a short way below the end of what is left, as
// keys that end in a number lie; it returns none if they are not there.
func (p *pages) near(ctx context.Context, limit int) ([]*mvccpb.KeyValue, error) {
	for _, gap := range []uint64{1 << 6, 1 << 13} {
		from := minus(p.to, gap)
		if bytes.Compare(from, p.from) <= 0 {
			return nil, nil
		}
		r, err := p.ask(ctx, from, 1<<6, false)
		if err == nil && r.More {
			r, err = p.ask(ctx, from, limit, true)
		} else if err == nil {
			for i, j := 0, len(r.Kvs)-1; i < j; i, j = i+1, j-1 {
				r.Kvs[i], r.Kvs[j] = r.Kvs[j], r.Kvs[i]
			}
		}
		if err != nil {
			return nil, err
		}
		if len(r.Kvs) > 0 {
			return r.Kvs[:min(limit, len(r.Kvs))], nil
		}
	}
	return nil, nil
}

// minus is the key that lies n below, read as a number; nil if there is none.
func minus(key []byte, n uint64) []byte {
	out := bytes.Clone(key)
	for i := len(out) - 1; i >= 0; i-- {
		take := n & 0xff
		n >>= 8
		if uint64(out[i]) < take {
			n++ // borrowed
		}
		out[i] -= byte(take)
		if n == 0 {
			return out
		}
	}
	return nil
}

// upper is the smallest key above all that begin with prefix, which ends in '/'.
func upper(prefix string) []byte {
	b := []byte(prefix)
	b[len(b)-1]++
	return b
}
