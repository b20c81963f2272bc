package hostile

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// Most is what a collector may add to the heap while its node misbehaves, garbage included, in bytes. It holds twice an answer of the
// largest size, its copy for decoding, and what the runtime has not swept yet.
const Most = 96 << 20

// Subject is a family's collector with a node that is well.
type Subject struct {
	Family  chain.Family
	ChainID string
	RPC     bool // it speaks JSON-RPC
	Well    http.Handler
	User    string // "user:password@" to put into addresses
	// Run makes a collector of chain "x"; its calls must time out after Within(node), and after Patience where no node is slow.
	Run func(node, address string, sink func(chain.Observation)) func(context.Context) error
	Own []Case // of this family only
}

// Timeout of one call to a node that misbehaves.
const Timeout = 2 * time.Second

// Patience is the time-out of calls that nothing delays but the machine, however late that is.
const Patience = 45 * time.Second

// Within is the time-out of one call to a node of Try, for the collectors under test: only node a is slow on purpose.
func Within(node string) time.Duration {
	if node == "b" {
		return Patience
	}
	return Timeout
}

// Again asks until there is no error, five times at most: for what gives up by itself after some seconds, in which a machine may stand still.
func Again[T any](ask func() (T, error, error)) (answer T, raw, err error) {
	for range 5 {
		if answer, raw, err = ask(); err == nil {
			break
		}
	}
	return answer, raw, err
}

// Try lets node a misbehave in every way while node b is well, and holds the collector to: it tells why a is not taken, in a sentence; it
// stays within Most; b goes on undisturbed and nothing is found about it; and when a is well again its head comes.
func Try(t *testing.T, s Subject) {
	t.Helper()
	var strangers atomic.Int64
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strangers.Add(1) }))
	t.Cleanup(func() {
		stranger.Close()
		if n := strangers.Load(); n > 0 {
			t.Errorf("%d requests followed a redirect to another host", n)
		}
	})
	for _, c := range append(cases(s.RPC, stranger.URL), s.Own...) {
		t.Run(c.Name, func(t *testing.T) {
			if c.Light {
				t.Parallel()
			}
			s.try(t, c)
		})
	}
}

func (s Subject) try(t *testing.T, c Case) {
	var bad atomic.Bool
	bad.Store(true)
	a := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if bad.Load() {
			c.Serve(w, r)
			return
		}
		s.Well.ServeHTTP(w, r)
	}))
	b := httptest.NewServer(s.Well)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer func() {
		cancel()
		running.Wait()
		a.CloseClientConnections()
		a.Close()
		b.CloseClientConnections()
		b.Close()
	}()
	seen := make(chan chain.Observation, 256)
	sink := func(o chain.Observation) {
		select {
		case seen <- o:
		case <-ctx.Done():
		}
	}
	peak := Heap()
	base := peak
	for node, url := range map[string]string{"a": a.URL, "b": b.URL} {
		run := s.Run(node, strings.Replace(url, "://", "://"+s.User, 1), sink)
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("collector of %s ended: %v", node, err)
			}
		})
	}
	mon := chain.NewMonitor(chain.Config{Chain: "x", Family: s.Family, ChainID: s.ChainID, Nodes: []string{"a", "b"}})
	reasons := map[string]bool{}
	told, words := false, 0 // words of the good node
	limit, look := time.NewTimer(120*time.Second), time.NewTicker(5*time.Millisecond)
	defer limit.Stop()
	defer look.Stop()
	for back := false; !told || !back || words < 3; {
		select {
		case o := <-seen:
			switch {
			case o.Node == "b" && o.State == chain.Down:
				t.Fatalf("the good node was disturbed: %s", o.Reason)
			case o.Node == "b":
				words++
			case o.Node == "a" && o.Kind == chain.KindState && o.Reason != "":
				reasons[o.Reason] = true
				for _, says := range c.Says {
					if strings.Contains(o.Reason, says) && !told {
						told = true
						bad.Store(false)
						a.CloseClientConnections()
					}
				}
			case o.Node == "a" && o.Kind == chain.KindHead:
				back = told
			}
			for _, f := range mon.Observe(o).Findings {
				if f.Subject == "b" || f.Subject == "a~b" {
					t.Fatalf("found of the good node: %s %s", f.Key, f.Reason)
				}
			}
		case <-look.C:
			if !c.Light {
				peak = max(peak, Heap())
			}
		case <-limit.C:
			t.Fatalf("told %v, back %v, %d words of the good node; reasons %v, want %q", told, back, words, reasons, c.Says)
		}
	}
	if !c.Light {
		t.Logf("heap %+d KiB", (int64(peak)-int64(base))>>10)
		if peak > base+Most {
			t.Errorf("the heap grew by %d MiB, more than %d", (peak-base)>>20, Most>>20)
		}
	}
	for r := range reasons {
		if strings.Contains(r, "password") || !strings.HasSuffix(r, ".") && !strings.Contains(r, "write") {
			t.Errorf("reason %q", r)
		}
	}
}

// Heap is what the heap holds now, garbage included, in bytes.
func Heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
