package web

import (
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/detection"
	"github.com/tocsin-ops/tocsin/views"
)

// tally counts what the server answered, by method, route and status. Routes
// are fixed and methods that no route has are one, so the table is bounded.
type tally struct {
	mu      sync.Mutex
	answers map[string]int64
	regions map[string]*load // by kind of region
	began   time.Time
}

// load is what was rendered for live pages, once for all who look.
type load struct{ frames, bytes int64 }

func newTally() *tally {
	return &tally{answers: map[string]int64{}, regions: map[string]*load{}, began: time.Now()}
}

func (l *tally) seen(method, route string, status int) {
	if route == "" {
		route = "none"
	}
	if method != http.MethodGet && method != http.MethodPost && method != http.MethodHead {
		method = "other"
	}
	key := answerKey(method, route, status)
	l.mu.Lock()
	l.answers[key]++
	l.mu.Unlock()
}

func answerKey(method, route string, status int) string {
	return fmt.Sprintf("method=%q,route=%q,status=\"%d\"", method, route, status)
}

// rendered counts a frame of n bytes. Entries of timelines, chains and charts
// count as one kind each, so the table is bounded.
func (l *tally) rendered(key string, n int) {
	kind := key
	switch {
	case strings.HasPrefix(key, views.SampleKey("")):
		kind = "samples"
	case strings.HasPrefix(key, views.RegionChain("")):
		kind = "chain"
	case strings.HasPrefix(key, "e-"):
		kind = "entry"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.regions[kind]
	if r == nil {
		r = &load{}
		l.regions[kind] = r
	}
	r.frames++
	r.bytes += int64(n)
}

// ownMetrics serves Tocsin's own counters in the Prometheus text format.
func (s *Server) ownMetrics(c *call) error {
	var b strings.Builder
	metric := func(name, kind, help string, value any) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n%s %v\n", name, help, name, kind, name, value)
	}
	kept := s.Metrics.Stats()
	metric("tocsin_samples_stored_total", "counter", "samples that the store took, of whoever", kept.Stored)
	metric("tocsin_samples_late_total", "counter", "samples too old, or a second value for the same time", kept.Dropped)
	metric("tocsin_samples_refused_total", "counter", "samples of senders and targets beyond a limit", kept.Refused)
	metric("tocsin_series", "gauge", "series written to within the last hours", kept.Series)
	if d, ok := s.Ahead.(interface{ Figures() detection.Figures }); ok {
		f := d.Figures()
		metric("tocsin_detection_judged_total", "counter", "samples and observations that the detectors judged", f.Judged)
		metric("tocsin_detection_lost_total", "counter", "samples left out because they came faster than they were judged", f.Lost)
		metric("tocsin_detection_waiting", "gauge", "batches waiting to be judged", f.Waiting)
		metric("tocsin_detection_open", "gauge", "findings open", f.Open)
	}
	st := s.Hub.Stats()
	metric("tocsin_live_connections", "gauge", "open live sockets", st.Connections)
	metric("tocsin_live_topics", "gauge", "open topics", st.Topics)
	metric("tocsin_live_frames_published_total", "counter", "frames taken for an open topic", st.Published)
	metric("tocsin_live_frames_delivered_total", "counter", "frames handed to connections", st.Delivered)
	metric("tocsin_live_frames_conflated_total", "counter", "frames replaced by a newer one before they were sent", st.Conflated)
	metric("tocsin_live_resyncs_total", "counter", "times a page was told to load anew", st.Resyncs)
	metric("tocsin_live_stalls_total", "counter", "times a connection did not take what was offered", st.Stalls)
	metric("tocsin_live_connections_stalled", "gauge", "live sockets that do not take what is offered now", st.Stalled)
	metric("tocsin_live_late_total", "counter", "frames published with a lower position than their topic had", st.Late)
	metric("tocsin_live_closed_slow_total", "counter", "connections closed because the peer did not read", st.ClosedSlow)
	fmt.Fprint(&b, "# HELP tocsin_live_write_seconds time from publishing a frame to handing it to the connection\n# TYPE tocsin_live_write_seconds histogram\n")
	var sum uint64
	for i, n := range st.Latency.Counts {
		sum += n
		le := "+Inf"
		if i < len(st.Latency.Bounds) {
			le = fmt.Sprint(st.Latency.Bounds[i])
		}
		fmt.Fprintf(&b, "tocsin_live_write_seconds_bucket{le=%q} %d\n", le, sum)
	}
	fmt.Fprintf(&b, "tocsin_live_write_seconds_sum %v\ntocsin_live_write_seconds_count %d\n", st.Latency.Sum, sum)
	s.tally.regionMetrics(&b)
	metric("tocsin_log_events", "gauge", "events in the log", s.Log.Size())
	metric("tocsin_projection_position", "gauge", "offset of the newest event that pages show", s.World.Position())
	health := s.Health()
	metric("tocsin_read_only", "gauge", "1 while the store takes no writes", map[bool]int{true: 1}[health.ReadOnly])
	s.replicaMetrics(&b, metric)
	s.pagingMetrics(&b, metric)
	metric("tocsin_goroutines", "gauge", "goroutines", runtime.NumGoroutine())
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	metric("tocsin_heap_bytes", "gauge", "bytes of live heap", mem.HeapAlloc)
	metric("tocsin_uptime_seconds", "counter", "time since start", int64(time.Since(s.tally.began).Seconds()))
	fmt.Fprint(&b, "# HELP tocsin_http_answers_total answers by route and status\n# TYPE tocsin_http_answers_total counter\n")
	s.tally.mu.Lock()
	answers := maps.Clone(s.tally.answers)
	s.tally.mu.Unlock()
	s.fastCounts(func(method, route string, status int, n int64) { answers[answerKey(method, route, status)] += n })
	for _, k := range sortedKeys(answers) {
		fmt.Fprintf(&b, "tocsin_http_answers_total{%s} %d\n", k, answers[k])
	}
	return c.Blob(http.StatusOK, "text/plain; version=0.0.4; charset=utf-8", []byte(b.String()))
}

func (l *tally) regionMetrics(b *strings.Builder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kinds := sortedKeys(l.regions)
	fmt.Fprint(b, "# HELP tocsin_live_region_frames_total frames rendered, each once for all who look, by kind of region\n# TYPE tocsin_live_region_frames_total counter\n")
	for _, k := range kinds {
		fmt.Fprintf(b, "tocsin_live_region_frames_total{region=%q} %d\n", k, l.regions[k].frames)
	}
	fmt.Fprint(b, "# HELP tocsin_live_region_bytes_total bytes of these frames\n# TYPE tocsin_live_region_bytes_total counter\n")
	for _, k := range kinds {
		fmt.Fprintf(b, "tocsin_live_region_bytes_total{region=%q} %d\n", k, l.regions[k].bytes)
	}
}
