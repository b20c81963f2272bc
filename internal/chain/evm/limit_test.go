package evm

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

func TestLimits(t *testing.T) {
	n := newNode(t, 30)
	well := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // a block comes with every look
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if strings.Contains(string(body), `"latest",false`) {
			n.mine("a", false)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		n.rpc.ServeHTTP(w, r)
	})
	hostile.TryLimits(t, hostile.Limited{
		Subject: hostile.Subject{Family: chain.EVM, ChainID: "1", RPC: true, Well: well,
			Run: func(node, address string, sink func(chain.Observation)) func(context.Context) error {
				return New(Config{Chain: "x", Node: node, ChainID: "1", URL: address, WS: "none", Poll: 80 * time.Millisecond, Slow: 30 * time.Millisecond, Timeout: hostile.Patience, Rate: 1e6}, sink, nil).Run
			}},
		Head: func(request string) bool { return strings.Contains(request, `"latest",false`) }})
}

// TestLimitsByCode: over a websocket a limit is an error code; other errors are none.
func TestLimitsByCode(t *testing.T) {
	for code, want := range map[int]time.Duration{-32005: 10 * time.Second, 429: 10 * time.Second, -32000: 0, -32601: 0} {
		if got := dial.Limited(saidLimit(&dial.RPCError{Code: code})); got != want {
			t.Errorf("code %d: %v, want %v", code, got, want)
		}
	}
}

// TestLimitedBatch: a server that limits batches is asked for one header after the other, and the gap is filled all the same.
func TestLimitedBatch(t *testing.T) {
	n := newNode(t, 10)
	var refused atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && bytes.HasPrefix(body, []byte("[")) {
			refused.Add(1)
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		n.rpc.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	w := watch(t, Config{URL: srv.URL, ChainID: "1", WS: "none"})
	w.until("first head", head(n.tip[9]))
	n.mu.Lock()
	for range 40 {
		h := int64(len(n.tip))
		hash := "0xa" + strings.Repeat("0", 60) + hexNumber(0x100 + h)[2:]
		n.all[hash] = [2]any{h, n.tip[h-1]}
		n.tip = append(n.tip, hash)
	}
	tip := n.tip[49]
	n.mu.Unlock()
	if o := w.until("head after the gap", head(tip)); len(o.Branch) != 39 || o.Cut {
		t.Errorf("%d headers, cut %t", len(o.Branch), o.Cut)
	}
	if k := refused.Load(); k != 1 {
		t.Errorf("%d batches were sent", k)
	}
}
