package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"

	"github.com/tocsin-ops/tocsin/store"
)

// The member in use is asked every probeEvery; when it gives no answer for
// probeWithin, nor for another probeEvery once another member has answered, it
// is left. Together they bound how long a dead member is held on to.
const (
	probeEvery  = 500 * time.Millisecond
	probeWithin = time.Second
)

// greetEvery is how old the pass of a member that has just started may be.
const greetEvery = 2 * time.Second

// maxAnswer bounds one message from etcd.
const maxAnswer = 32 << 20

// member is one member of the cluster: the connection to it, and the pass it
// gave. gRPC's own balancing over members is not used: it notices a member that
// is silent, but connected, only after 10 s and more.
type member struct {
	opt      *Options
	endpoint string
	ended    context.Context // of the DB
	tick     []byte          // a key to ask for
	pass     pass

	mu     sync.Mutex
	client *clientv3.Client
}

// dial returns the connection, made when there is none. It waits for nothing.
func (m *member) dial() (*grpc.ClientConn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ended.Err(); err != nil {
		return nil, err
	}
	if m.client == nil {
		endpoint := m.endpoint
		if m.opt.TLS != nil {
			endpoint = "https://" + endpoint
		}
		c, err := clientv3.New(clientv3.Config{ // without a user it only makes the connection
			Endpoints:            []string{endpoint},
			Context:              m.ended,
			TLS:                  m.opt.TLS,
			DialKeepAliveTime:    10 * time.Second, // gRPC takes no less
			DialKeepAliveTimeout: 2 * time.Second,  // also TCP's own patience
			MaxUnaryRetries:      1,                // a second try is ours to decide
			Logger:               zap.NewNop(),
			DialOptions: []grpc.DialOption{
				grpc.WithPerRPCCredentials(&m.pass),
				grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
				grpc.WithIdleTimeout(0),
				grpc.WithConnectParams(grpc.ConnectParams{
					Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
					MinConnectTimeout: tryWithin,
				}),
			},
		})
		if err != nil {
			return nil, err
		}
		m.client = c
	}
	return m.client.ActiveConnection(), nil
}

// now is the connection there is, nil if none.
func (m *member) now() *grpc.ClientConn {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.client == nil {
		return nil
	}
	return m.client.ActiveConnection()
}

// ready returns a connection that is up, and has a pass. It waits while one is
// being made, half of tryWithin at most, and fails at once, in gRPC's words,
// when that has just failed; a pass is waited for as long again.
func (m *member) ready(ctx context.Context) (*grpc.ClientConn, error) {
	conn, err := m.dial()
	if err != nil {
		return nil, err
	}
	conn.Connect()
	up, cancel := context.WithTimeout(ctx, tryWithin/2)
	defer cancel()
	for s := conn.GetState(); s != connectivity.Ready; s = conn.GetState() {
		switch {
		case s == connectivity.Shutdown:
			return nil, errNoConnection
		case s == connectivity.TransientFailure:
			_, err := pb.NewKVClient(conn).Range(up, &pb.RangeRequest{Key: m.tick, KeysOnly: true, Serializable: true})
			if conn.GetState() != connectivity.Ready {
				return nil, &failure{text: rpctypes.ErrorDesc(err), err: errNoConnection}
			}
		case !conn.WaitForStateChange(up, s):
			return nil, fmt.Errorf("%w: %w", errNoConnection, up.Err())
		}
	}
	within, done := context.WithTimeout(ctx, tryWithin)
	defer done()
	if err := m.pass.get(within, conn); err != nil {
		return nil, err
	}
	return conn, nil
}

// ask sends r to this member, a second time when it did not know us the first.
func (m *member) ask(ctx context.Context, r *pb.RangeRequest) (resp *pb.RangeResponse, conn *grpc.ClientConn, err error) {
	for again := false; ; again = true {
		if conn, err = m.ready(ctx); err != nil {
			return nil, nil, err
		}
		resp, err = pb.NewKVClient(conn).Range(ctx, r)
		if err == nil && resp.GetHeader() == nil {
			err = errAnswer
		}
		if err == nil || again || !m.pass.refused(err) {
			return resp, conn, err
		}
	}
}

// cut closes the connection, or any when conn is nil: whatever waits for an
// answer on it fails. The next dial makes a new one; the pass stays.
func (m *member) cut(conn *grpc.ClientConn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.client != nil && (conn == nil || m.client.ActiveConnection() == conn) {
		m.client.Close()
		m.client = nil
	}
}

// connect returns a connection that is up, of the member in use if it can, else
// of another, which is then in use. It waits for one as long as ctx allows.
func (d *DB) connect(ctx context.Context) (*grpc.ClientConn, error) {
	why := make([]error, len(d.members)) // the newest that is more than silence
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		d.mu.Lock()
		from := d.current
		d.mu.Unlock()
		for i := range d.members {
			at := (from + i) % len(d.members)
			conn, err := d.members[at].ready(ctx)
			if err == nil {
				if i > 0 {
					d.use(from, at)
				}
				return conn, nil
			}
			if why[at] == nil || ctx.Err() == nil {
				why[at] = err
			}
		}
		if err := wait(ctx, d.ctx, pause); err != nil {
			return nil, d.unreachable(ctx, why)
		}
	}
}

// use makes the member at the one in use, unless that is no longer from.
func (d *DB) use(from, at int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current == from && from != at {
		d.current = at
		d.opt.Log.Info("another member of etcd is asked from now on", "left", d.members[from].endpoint, "now", d.members[at].endpoint)
	}
}

// shun leaves the member of conn, which did not answer but with err, for the
// next one. If it only did not know us, it is asked for another pass instead.
func (d *DB) shun(conn *grpc.ClientConn, err error) {
	for at, m := range d.members {
		if m.now() == conn {
			if !m.pass.refused(err) {
				d.use(at, (at+1)%len(d.members))
			}
			return
		}
	}
}

// unreachable is the sentence for when no member could be connected to, and why.
func (d *DB) unreachable(ctx context.Context, why []error) error {
	if d.isClosed() {
		return store.ErrClosed
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	words := make([]string, len(why))
	for i, err := range why {
		words[i] = d.members[i].endpoint + ": " + errText(d.explain(err))
	}
	return &failure{
		text: fmt.Sprintf("no member of etcd can be reached (%s); check that etcd runs and that the address names its client ports", strings.Join(words, ", ")),
		err:  context.Cause(ctx),
	}
}

// watchOver leaves a member that is silent while another is not: one that is
// stopped, cut off, or has lost its leader. It is asked again after the other
// has answered, because a quorum that was lost may be back since it was asked
// first, and to leave it fails every Commit under way on it.
func (d *DB) watchOver() {
	ask := func(m *member, within time.Duration) (*grpc.ClientConn, error) {
		ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(d.ctx), within)
		defer cancel()
		_, conn, err := m.ask(ctx, &pb.RangeRequest{Key: d.tick(), KeysOnly: true})
		if err == nil {
			d.stale.Store(false)
		}
		return conn, err
	}
	for wait(d.ctx, d.ctx, probeEvery) == nil {
		d.mu.Lock()
		at := d.current
		d.mu.Unlock()
		conn, err := ask(d.members[at], probeWithin)
		if err == nil || d.ctx.Err() != nil || !d.fleeting(err) {
			continue
		}
		for i := 1; i < len(d.members); i++ {
			to := (at + i) % len(d.members)
			if _, err := ask(d.members[to], probeEvery); err == nil {
				if _, err := ask(d.members[at], probeEvery); err == nil {
					break
				}
				d.use(at, to)
				if conn != nil {
					d.members[at].cut(conn)
				}
				break
			}
		}
	}
}

// greetAll greets every member now and every greetEvery.
func (d *DB) greetAll() {
	for {
		d.greet()
		if wait(d.ctx, d.ctx, greetEvery) != nil {
			return
		}
	}
}

// greet has a connection to every member and a pass from it, and keeps both
// fresh: when the quorum is lost it is too late to ask for a pass.
func (d *DB) greet() {
	ctx, cancel := context.WithTimeout(d.ctx, 2*tryWithin)
	defer cancel()
	var all sync.WaitGroup
	for _, m := range d.members {
		all.Go(func() { _, _, _ = m.ask(ctx, &pb.RangeRequest{Key: d.tick(), KeysOnly: true, Serializable: true}) })
	}
	all.Wait()
}

// wait sleeps, and fails when one of the two contexts ends first.
func wait(a, b context.Context, t time.Duration) error {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-a.Done():
		return a.Err()
	case <-b.Done():
		return b.Err()
	}
}
