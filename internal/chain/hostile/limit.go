package hostile

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// Limited is a collector whose node limits it. Its polls must be some ten milliseconds apart.
type Limited struct {
	Subject
	// Head tells whether a request (its path, or its JSON) asks for the head.
	Head func(request string) bool
	// Beside tells whether a request is another part's, or another server's: it is not counted when the head is refused. May be nil.
	Beside func(request string) bool
	// Alone is how many parts ask by themselves, and may each be refused once.
	Alone int
}

const (
	headsOn   = 15          // heads that must come while all else is refused
	headAfter = time.Second // Retry-After of the refused head
)

// TryLimits lets a node answer with HTTP 429: to all questions but the head's, which must go on while the rest waits; and to every question, after
// which nothing may be asked for as long as the node says, and the head must be the first that comes back.
func TryLimits(t *testing.T, l Limited) {
	t.Helper()
	t.Run("all but the head", l.allButHead)
	t.Run("the head too", l.headToo)
}

// limiter serves a node that is well until limit says otherwise of a request.
type limiter struct {
	well  http.Handler
	rpc   bool
	mu    sync.Mutex
	limit func(request string) (after string) // "" = answered
}

func (l *limiter) set(f func(request string) string) { l.mu.Lock(); l.limit = f; l.mu.Unlock() }

func (l *limiter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	after := ""
	l.mu.Lock()
	if l.limit != nil {
		after = l.limit(r.URL.Path + " " + string(body))
	}
	l.mu.Unlock()
	if after == "" {
		l.well.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Retry-After", after)
	w.WriteHeader(http.StatusTooManyRequests)
	if l.rpc { // as providers do it
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"too many requests"}}`)
	}
}

// start runs a collector against the limiter and gives what it tells.
func (l Limited) start(t *testing.T) (*limiter, func(what string, fits func(chain.Observation) bool) chain.Observation) {
	n := &limiter{well: l.Well, rpc: l.RPC}
	srv := httptest.NewServer(n)
	ctx, cancel := context.WithCancel(context.Background())
	seen := make(chan chain.Observation, 256)
	run := l.Run("a", strings.Replace(srv.URL, "://", "://"+l.User, 1), func(o chain.Observation) {
		select {
		case seen <- o:
		case <-ctx.Done():
		}
	})
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		srv.CloseClientConnections()
		srv.Close()
	})
	return n, func(what string, fits func(chain.Observation) bool) chain.Observation {
		t.Helper()
		limit := time.After(60 * time.Second)
		for {
			select {
			case o := <-seen:
				if fits(o) {
					return o
				}
			case <-limit:
				t.Fatalf("never came: %s", what)
			}
		}
	}
}

func isHead(o chain.Observation) bool { return o.Kind == chain.KindHead }

func (l Limited) allButHead(t *testing.T) {
	n, until := l.start(t)
	until("the head", isHead)
	until("something else", func(o chain.Observation) bool { return !isHead(o) && o.Kind != chain.KindState })
	refused := 0
	n.set(func(request string) string {
		if l.Head(request) {
			return ""
		}
		refused++
		return "600"
	})
	heads := 0
	until("the heads", func(o chain.Observation) bool {
		if o.State == chain.Down {
			t.Fatalf("the node is given up: %s", o.Reason)
		}
		if isHead(o) {
			heads++
		}
		return heads == headsOn
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	if refused == 0 || refused > 1+l.Alone {
		t.Errorf("%d questions while the node limits us for ten minutes; at most %d may be on their way", refused, 1+l.Alone)
	}
}

func (l Limited) headToo(t *testing.T) {
	n, until := l.start(t)
	until("the head", isHead)
	var refusedAt time.Time
	early, others := 0, 0 // questions before the time is over; others than the head's before twice the time
	n.set(func(request string) string {
		switch {
		case refusedAt.IsZero() && l.Head(request):
			refusedAt = time.Now()
			return "1"
		case refusedAt.IsZero():
			return ""
		case l.Beside != nil && l.Beside(request):
			return ""
		case time.Since(refusedAt) < headAfter:
			early++
			return "1"
		case !l.Head(request) && !identifies(request) && time.Since(refusedAt) < 2*headAfter:
			others++
		}
		return ""
	})
	if o := until("that it is limited", func(o chain.Observation) bool { return o.State == chain.Down }); !strings.Contains(o.Reason, "limits our requests (HTTP 429)") || o.Limited != headAfter.Milliseconds() {
		t.Errorf("%q, for %d ms", o.Reason, o.Limited)
	}
	for range headsOn {
		until("the head again", isHead)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if early > 0 || others > 0 {
		t.Errorf("%d questions before the time was over, %d others than the head's within as long again", early, others)
	}
}

// identifies tells whether a request asks what every session begins with: which chain it is.
func identifies(request string) bool {
	for _, part := range []string{"eth_chainId", "getblockchaininfo", "optimism_rollupConfig", "optimism_version", "getGenesisHash", "/eth/v1/config/spec", "/eth/v1/beacon/genesis"} {
		if strings.Contains(request, part) {
			return true
		}
	}
	return false
}
