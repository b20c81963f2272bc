//go:build unix

package web

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/incident"
)

// Load of the benchmark: keep-alive connections, and turns that the two servers
// take one after the other, so that a busy machine is busy for both.
const (
	benchConnections = 64
	benchTurns       = 5
	benchTurn        = time.Second
)

// BenchmarkStatusPage holds the public page, as the whole server answers it over
// loopback, against a bare net/http server whose handler writes the same headers
// and the same bytes, both kept ready. The load comes from another process: wrk
// when it is installed, else this program again. cpu-ratio is requests for each
// CPU second of the server, of ours to those of the bare one.
func BenchmarkStatusPage(b *testing.B) {
	h := newHouse(b)
	furnishStatus(h)
	for h.status.packNext() { // the page exists and has brotli
	}
	ours := serveOn(b, &http.Server{Handler: h.Server, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute})
	for _, form := range []string{"br", "gzip", "identity", "not-modified"} {
		b.Run(form, func(b *testing.B) {
			asked := http.Header{"Accept-Encoding": {form}}
			if form == "not-modified" {
				asked = http.Header{"Accept-Encoding": {"gzip, deflate, br"}, "If-None-Match": {ask(b, ours, http.Header{"Accept-Encoding": {"br"}}).Header.Get("ETag")}}
			}
			like := ask(b, ours, asked)
			if got := like.Header.Get("Content-Encoding"); form != "not-modified" && form != "identity" && got != form || form == "not-modified" && like.StatusCode != http.StatusNotModified {
				b.Fatalf("%s: %d in %q", form, like.StatusCode, got)
			}
			bare := serveOn(b, &http.Server{Handler: bareHandler(b, like)})
			for b.Loop() {
				var a, z turn
				for range benchTurns {
					a.add(measure(b, ours, asked))
					z.add(measure(b, bare, asked))
				}
				b.ReportMetric(a.rate()/z.rate(), "ratio")
				b.ReportMetric(a.perCPU()/z.perCPU(), "cpu-ratio")
				b.ReportMetric(a.rate(), "requests/s")
				b.ReportMetric(z.rate(), "bare-requests/s")
				b.ReportMetric(a.perCPU(), "requests/cpu-s")
				b.ReportMetric(z.perCPU(), "bare-requests/cpu-s")
			}
		})
	}
}

// furnishStatus makes a page as on a bad day: an open incident and some of the past.
func furnishStatus(h *house) {
	for i := range 6 {
		n := h.declare(incident.Declare{Title: "internal"})
		h.tell(n, incident.DraftUpdate{Audience: "public", Headline: fmt.Sprintf("Withdrawals are delayed %d", i), Text: "We are looking into delayed withdrawals. Deposits and trading work.", Phase: "investigating", Components: map[string]string{"Bridge": "degraded_performance"}})
		if i < 5 {
			h.tell(n, incident.DraftUpdate{Audience: "public", Text: "A node was replaced; what waited has been sent.", Phase: "resolved", Components: map[string]string{"Bridge": "operational"}})
		}
	}
	h.nobody().get("/status").want(200)
}

func serveOn(b *testing.B, s *http.Server) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	b.Cleanup(func() { _ = s.Close(); <-done })
	return "http://" + l.Addr().String() + "/status"
}

func ask(b *testing.B, url string, header http.Header) *http.Response {
	r := httptest.NewRequest(http.MethodGet, url, nil)
	r.RequestURI, r.Header = "", header
	t := &http.Transport{DisableCompression: true}
	defer t.CloseIdleConnections()
	res, err := t.RoundTrip(r)
	if err != nil {
		b.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.Fatal(err)
	}
	res.Body.Close()
	res.Body = io.NopCloser(strings.NewReader(string(body)))
	return res
}

// bareHandler writes what an answer was and nothing else; it decides nothing.
func bareHandler(b *testing.B, like *http.Response) http.HandlerFunc {
	body, err := io.ReadAll(like.Body)
	if err != nil {
		b.Fatal(err)
	}
	header := like.Header.Clone()
	header.Del("Date") // net/http writes it
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for k, v := range header {
			h[k] = v
		}
		w.WriteHeader(like.StatusCode)
		_, _ = w.Write(body)
	}
}

type turn struct {
	requests  int
	wall, cpu time.Duration
}

func (t *turn) add(o turn) {
	t.requests += o.requests
	t.wall += o.wall
	t.cpu += o.cpu
}

func (t turn) rate() float64   { return float64(t.requests) / t.wall.Seconds() }
func (t turn) perCPU() float64 { return float64(t.requests) / t.cpu.Seconds() }

var wrkTotal = regexp.MustCompile(`(\d+) requests in`)

// measure lets another process ask for a turn and counts the CPU of this one.
func measure(b *testing.B, url string, header http.Header) turn {
	var cmd *exec.Cmd
	if wrk, err := exec.LookPath("wrk"); err == nil {
		args := []string{"-t1", "-c" + strconv.Itoa(benchConnections), "-d1s"}
		for k := range header {
			args = append(args, "-H", k+": "+header.Get(k))
		}
		cmd = exec.Command(wrk, append(args, url)...)
	} else {
		cmd = exec.Command(os.Args[0], "-test.run", "^TestLoadOfBenchmark$")
		cmd.Env = append(os.Environ(), "TOCSIN_LOAD="+url)
		for k := range header {
			cmd.Env = append(cmd.Env, "TOCSIN_LOAD_HEADER_"+k+"="+header.Get(k))
		}
	}
	before, began := cpuTime(b), time.Now()
	out, err := cmd.CombinedOutput()
	t := turn{wall: time.Since(began), cpu: cpuTime(b) - before}
	found := wrkTotal.FindSubmatch(out)
	if err != nil || found == nil || strings.Contains(string(out), "Non-2xx") || strings.Contains(string(out), "Socket errors") {
		b.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	t.requests, _ = strconv.Atoi(string(found[1]))
	return t
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestLoadOfBenchmark is the other process of BenchmarkStatusPage where there is
// no wrk; by itself it does nothing.
func TestLoadOfBenchmark(t *testing.T) {
	url := os.Getenv("TOCSIN_LOAD")
	if url == "" {
		return
	}
	header := http.Header{}
	for _, e := range os.Environ() {
		if k, v, ok := strings.Cut(strings.TrimPrefix(e, "TOCSIN_LOAD_HEADER_"), "="); ok && strings.HasPrefix(e, "TOCSIN_LOAD_HEADER_") {
			header.Set(k, v)
		}
	}
	var n atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(benchTurn)
	for range benchConnections {
		wg.Go(func() {
			tr := &http.Transport{DisableCompression: true}
			defer tr.CloseIdleConnections()
			for time.Now().Before(end) {
				r, _ := http.NewRequest(http.MethodGet, url, nil)
				r.Header = header
				res, err := tr.RoundTrip(r)
				if err != nil || res.StatusCode >= 400 {
					t.Errorf("%v %v", res, err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				n.Add(1)
			}
		})
	}
	wg.Wait()
	fmt.Printf("%d requests in %s\n", n.Load(), benchTurn)
}
