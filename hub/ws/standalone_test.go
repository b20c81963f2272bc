package ws

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	_ "net/http/pprof" // on the control address of a test process only
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tocsin-ops/tocsin/hub"
)

// standaloneEnv makes a process of the test binary that serves a hub and
// nothing else: "addr control-addr". The control address takes what
// internal/e2e/fanout.sh drives the other servers with, and has pprof.
const standaloneEnv = "TOCSIN_BENCH_HUB"

// source publishes numbered frames of an exact size at a fixed rate.
type source struct {
	h       *hub.Hub
	seq     int64
	busy    atomic.Bool
	sent    atomic.Int64
	late    atomic.Int64
	endLast context.CancelFunc
}

func (s *source) run(ctx context.Context, start time.Time, rate float64, size int, lasts time.Duration) {
	defer s.busy.Store(false)
	for i := range int(rate*lasts.Seconds() + 0.5) {
		due := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			return
		}
		lag := time.Since(due)
		s.late.Store(max(s.late.Load(), int64(lag)))
		if lag > 5*time.Second {
			return // hopelessly behind
		}
		s.seq++
		body := fmt.Appendf(nil, `{"seq":%d,"ts":%d,"html":"`, s.seq, due.UnixNano())
		body = append(body, strings.Repeat("x", max(0, size-len(body)-2))...)
		// A key of its own, as entries of a timeline have: nothing is replaced.
		s.h.Publish(hub.Frame{Topic: "room", Seq: s.seq, Key: strconv.FormatInt(s.seq, 10), Body: append(body, `"}`...)})
		s.sent.Add(1)
	}
}

func standalone(spec string) {
	addr, control, _ := strings.Cut(spec, " ")
	workers, _ := strconv.Atoi(os.Getenv(standaloneEnv + "_WORKERS")) // 0: as the product
	h := hub.New(hub.Options{Workers: workers})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	src := &source{h: h}
	reply := func(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }
	mux := http.DefaultServeMux
	mux.HandleFunc("POST /run", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		rate, _ := strconv.ParseFloat(q.Get("rate"), 64)
		size, _ := strconv.Atoi(q.Get("size"))
		lasts, _ := time.ParseDuration(q.Get("dur"))
		if rate <= 0 || size <= 0 || lasts <= 0 || lasts > 10*time.Minute {
			http.Error(w, "rate, size, dur", http.StatusBadRequest)
			return
		}
		if !src.busy.CompareAndSwap(false, true) {
			http.Error(w, "a run is under way", http.StatusConflict)
			return
		}
		src.sent.Store(0)
		src.late.Store(0)
		run, end := context.WithCancel(ctx)
		src.endLast = end
		start := time.Now().Add(20 * time.Millisecond)
		first := src.seq + 1
		go src.run(run, start, rate, size, lasts)
		reply(w, map[string]any{"t0": start.UnixNano(), "first_seq": first})
	})
	mux.HandleFunc("GET /run", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"running": src.busy.Load(), "published": src.sent.Load(), "late_ns": src.late.Load()})
	})
	mux.HandleFunc("POST /stop", func(http.ResponseWriter, *http.Request) {
		if src.endLast != nil {
			src.endLast()
		}
	})
	mux.HandleFunc("POST /gc", func(w http.ResponseWriter, _ *http.Request) { debug.FreeOSMemory() })
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		st := h.Stats()
		reply(w, map[string]any{"conns": st.Connections, "dropped": st.Conflated, "closed_slow": st.ClosedSlow, "stalls": st.Stalls,
			"goroutines": runtime.NumGoroutine(), "heap_inuse": m.HeapInuse, "stack_inuse": m.StackInuse, "num_gc": m.NumGC})
	})
	go func() { _ = http.ListenAndServe(control, mux) }()
	srv := &http.Server{Addr: addr, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = Serve(w, r, h, Request{Topics: []hub.TopicSince{{Topic: "room", Since: -1}}})
	})}
	go func() {
		if err := srv.ListenAndServe(); err != http.ErrServerClosed {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}()
	done := make(chan error, 1)
	running, end := context.WithCancel(context.Background())
	go func() { done <- h.Run(running) }()
	<-ctx.Done()
	short, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = h.Stop(short)
	_ = srv.Close()
	end()
	<-done
}
