package hostile

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// Polled is a family's collector with a node that is well, polls, and limits nobody.
type Polled struct {
	Well  http.Handler
	User  string        // "user:password@" to put into addresses
	Usual time.Duration // between looks at the head when nothing is set
	// Begin is called within the clock of the test, which begins elsewhere than that of the machine. May be nil.
	Begin func()
	// Run makes a collector that has the rate and the other intervals that the program gives it.
	Run func(address string, poll time.Duration, sink func(chain.Observation)) func(context.Context) error
	// Head tells whether a request (its path, or its JSON) is what asks for the head once in each interval.
	Head func(request string) bool
}

const looks = 300 // in a row that must be one interval apart: at the shortest one, a round of a minute comes between

// TryPoll holds a collector to asking for the head once in each interval that is set, to the nanosecond of a clock that stands still while somebody
// works: the other questions, and the bound of calls a second, may not hold it up. Not for tests that run beside others: it takes the place of the
// machine's network.
func TryPoll(t *testing.T, p Polled) {
	t.Helper()
	for _, set := range []time.Duration{0, 250 * time.Millisecond, time.Second, 10 * time.Second} {
		want := set
		if set == 0 {
			want = p.Usual
		}
		t.Run(fmt.Sprintf("set to %s", set), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { p.try(t, set, want) })
		})
	}
}

func (p Polled) try(t *testing.T, set, want time.Duration) {
	if p.Begin != nil {
		p.Begin()
	}
	asked := make(chan time.Time, 4*looks)
	serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if p.Head(r.URL.Path + " " + string(body)) {
			select {
			case asked <- time.Now():
			default: // the test is over
			}
		}
		p.Well.ServeHTTP(w, r)
	}))
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	run := p.Run("http://"+p.User+"node.test:80", set, func(o chain.Observation) {
		if o.State == chain.Down || o.State == chain.WrongChain {
			t.Errorf("%s: %s", o.State, o.Reason)
		}
	})
	go func() { ended <- run(ctx) }()
	<-asked // the session begins with a look, and then the other questions, which may take a while
	last := <-asked
	for i := range looks {
		at := <-asked
		if got := at.Sub(last); got != want {
			t.Errorf("look %d: %s after the one before, want %s", i, got, want)
		}
		last = at
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// Still runs f where the clock stands still while somebody works, so that nothing is ever too late, with a network of one server at every address.
// Not for tests that run beside others: it takes the place of the machine's network.
func Still(t *testing.T, well http.Handler, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		serve(t, well)
		f(t)
	})
}

// serve is the network until the test ends.
func serve(t *testing.T, h http.Handler) {
	wire := pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	usual := http.DefaultTransport
	http.DefaultTransport = &http.Transport{DialContext: wire.dial}
	srv, served := &http.Server{Handler: h}, make(chan error, 1)
	go func() { served <- srv.Serve(wire) }()
	t.Cleanup(func() {
		http.DefaultTransport = usual
		_ = srv.Close()
		<-served
	})
}

// pipes is a network of one server, without the machine's, of which the clock of a test would not know that it waits.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { close(p.closed); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }
