package etcd

import (
	"context"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// passSettles is how long a new token is kept though it is refused: what was
// sent with the one before comes back that late.
const passSettles = time.Second

// pass is the token that one member gave for user and password. It is the
// member's, not a connection's: it outlives every cut. Asking for one needs the
// quorum, using it does not, so one is held for every member before it is
// needed. A member that restarts forgets it, and so does one that sees it
// unused for 5 min (etcd's --auth-token-ttl).
type pass struct {
	user, password string        // no user: nothing is ever asked for
	asking         chan struct{} // one slot, held by who asks the member

	mu    sync.Mutex
	token string
	since time.Time // zero = none is held
}

func (p *pass) held() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.user == "" || !p.since.IsZero()
}

// get makes sure that there is a token, for as long as ctx allows. One caller
// asks at a time. A cluster without users needs none.
func (p *pass) get(ctx context.Context, conn *grpc.ClientConn) error {
	if p.held() {
		return nil
	}
	select {
	case p.asking <- struct{}{}:
		defer func() { <-p.asking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if p.held() {
		return nil
	}
	// A member that knows no leader says so at once instead of waiting for one.
	r, err := pb.NewAuthClient(conn).Authenticate(clientv3.WithRequireLeader(ctx), &pb.AuthenticateRequest{Name: p.user, Password: p.password})
	if err != nil && !is(err, rpctypes.ErrGRPCAuthNotEnabled) {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.token, p.since = r.GetToken(), time.Now()
	return nil
}

// refused reports whether err says that the token is no good; it is then
// forgotten, and the next get asks for another.
func (p *pass) refused(err error) bool {
	if p.user == "" || !unknown(err) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.since) > passSettles {
		p.token, p.since = "", time.Time{}
	}
	return true
}

// unknown reports whether etcd does not know, or no longer, who asks. A watch
// says so in words only.
func unknown(err error) bool {
	for _, e := range []error{rpctypes.ErrGRPCInvalidAuthToken, rpctypes.ErrGRPCUserEmpty, rpctypes.ErrGRPCAuthOldRevision} {
		if strings.Contains(errText(err), rpctypes.ErrorDesc(e)) {
			return true
		}
	}
	return false
}

// GetRequestMetadata is gRPC's PerRPCCredentials.
func (p *pass) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.token == "" {
		return nil, nil
	}
	return map[string]string{rpctypes.TokenFieldNameGRPC: p.token}, nil
}

// RequireTransportSecurity is false: whether etcd is reached over TLS is its
// operator's to decide.
func (p *pass) RequireTransportSecurity() bool { return false }
