package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"

	"github.com/tocsin-ops/tocsin/store"
)

// The member in use is asked every probeEvery; when it gives no answer for
// probeWithin while another does, it is left. Together they bound how long a
// dead member is held on to.
const (
	probeEvery  = 500 * time.Millisecond
	probeWithin = 1500 * time.Millisecond
)

// maxAnswer bounds one message from etcd.
const maxAnswer = 32 << 20

// member is the connection to one member of the cluster. gRPC's own balancing
// over members is not used: it notices a member that is silent, but connected,
// only after 10 s and more.
type member struct {
	opt      *Options
	endpoint string
	ended    context.Context // of the DB

	mu     sync.Mutex
	client *clientv3.Client
}

// dial returns the connection, made when there is none. With a user it asks the
// member for a token first, for at most tryWithin.
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
		c, err := clientv3.New(clientv3.Config{
			Endpoints:            []string{endpoint},
			Context:              m.ended,
			Username:             m.opt.User,
			Password:             m.opt.Password,
			TLS:                  m.opt.TLS,
			DialTimeout:          tryWithin,
			DialKeepAliveTime:    10 * time.Second, // gRPC takes no less
			DialKeepAliveTimeout: 2 * time.Second,  // also TCP's own patience
			MaxUnaryRetries:      1,                // a second try is ours to decide
			Logger:               zap.NewNop(),
			DialOptions: []grpc.DialOption{
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

// ready returns a connection that is up. It waits while one is being made, and
// fails at once when that has just failed.
func (m *member) ready(ctx context.Context) (*grpc.ClientConn, error) {
	conn, err := m.dial()
	if err != nil {
		return nil, err
	}
	conn.Connect()
	for {
		switch s := conn.GetState(); {
		case s == connectivity.Ready:
			return conn, nil
		case s == connectivity.TransientFailure, s == connectivity.Shutdown:
			return nil, fmt.Errorf("%s: %w", m.endpoint, errNoConnection)
		case !conn.WaitForStateChange(ctx, s):
			return nil, fmt.Errorf("%s: %w: %w", m.endpoint, errNoConnection, ctx.Err())
		}
	}
}

// cut closes the connection, or any when conn is nil: whatever waits for an
// answer on it fails. The next dial makes a new one.
func (m *member) cut(conn *grpc.ClientConn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.client != nil && (conn == nil || m.client.ActiveConnection() == conn) {
		m.client.Close()
		m.client = nil
	}
}

// why tells what keeps the member from answering, in gRPC's words.
func (m *member) why(ctx context.Context, key []byte) error {
	conn, err := m.dial()
	if err == nil {
		_, err = pb.NewKVClient(conn).Range(ctx, &pb.RangeRequest{Key: key, KeysOnly: true, Serializable: true})
	}
	return err
}

// connect returns a connection that is up, of the member in use if it can, else
// of another, which is then in use. It waits for one as long as ctx allows.
func (d *DB) connect(ctx context.Context) (*grpc.ClientConn, error) {
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		d.mu.Lock()
		from := d.current
		d.mu.Unlock()
		for i := range d.members {
			at := (from + i) % len(d.members)
			within, cancel := context.WithTimeout(ctx, tryWithin/2)
			conn, err := d.members[at].ready(within)
			cancel()
			if err == nil {
				if i > 0 {
					d.use(from, at)
				}
				return conn, nil
			}
		}
		if err := wait(ctx, d.ctx, pause); err != nil {
			return nil, d.unreachable(ctx)
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

// shun leaves the member of conn, which gave no answer, for the next one.
func (d *DB) shun(conn *grpc.ClientConn) {
	d.mu.Lock()
	at := d.current
	d.mu.Unlock()
	m := d.members[at]
	m.mu.Lock()
	same := m.client != nil && m.client.ActiveConnection() == conn
	m.mu.Unlock()
	if same {
		d.use(at, (at+1)%len(d.members))
	}
}

// unreachable is the sentence for when no member could be connected to.
func (d *DB) unreachable(ctx context.Context) error {
	if d.isClosed() {
		return store.ErrClosed
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	why := make([]string, len(d.members))
	var each sync.WaitGroup
	within, cancel := context.WithTimeout(d.ctx, tryWithin)
	defer cancel()
	for i, m := range d.members {
		each.Go(func() {
			if err := m.why(within, d.tick()); err != nil {
				why[i] = m.endpoint + ": " + d.explain(err).Error()
			}
		})
	}
	each.Wait()
	return &failure{
		text: fmt.Sprintf("no member of etcd can be reached (%s); check that etcd runs and that the address names its client ports", strings.Join(why, ", ")),
		err:  context.Cause(ctx),
	}
}

// watchOver leaves a member that is silent while another is not: one that is
// stopped, cut off, or has lost its leader.
func (d *DB) watchOver() {
	ask := func(m *member, within time.Duration) (*grpc.ClientConn, error) {
		ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(d.ctx), within)
		defer cancel()
		conn, err := m.ready(ctx)
		if err == nil {
			_, err = pb.NewKVClient(conn).Range(ctx, &pb.RangeRequest{Key: d.tick(), KeysOnly: true})
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
				d.use(at, to)
				if conn != nil {
					d.members[at].cut(conn)
				}
				break
			}
		}
	}
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
