package metrics

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// shown is a target whose answer a test changes.
type shown struct {
	*target
	t      *testing.T
	store  *Store
	answer atomic.Pointer[http.HandlerFunc]
	log    *bytes.Buffer
	at     time.Time // of the next time it is asked
	token  string
}

func show1(t *testing.T, limit int) *shown {
	t.Helper()
	s := &shown{at: time.Now().Add(-time.Minute), t: t, store: open(t, t.TempDir()), log: &bytes.Buffer{}, token: filepath.Join(t.TempDir(), "token")}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*s.answer.Load())(w, r) }))
	t.Cleanup(srv.Close)
	if err := os.WriteFile(s.token, []byte("geheim-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	x, err := s.store.Scraping([]Target{{Name: "pay", URL: srv.URL + "/metrics?token=geheim-2", TokenFile: s.token, Interval: 5 * time.Second, Limit: limit, Labels: map[string]string{"team": "treasury"}}},
		slog.New(slog.NewTextHandler(s.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s.target = x.targets[0]
	t.Cleanup(s.http.CloseIdleConnections)
	t.Cleanup(func() {
		if strings.Contains(s.log.String(), "geheim") {
			t.Errorf("the log holds a secret:\n%s", s.log)
		}
	})
	return s
}

func (s *shown) ask(f http.HandlerFunc) {
	s.t.Helper()
	s.answer.Store(&f)
	s.at = s.at.Add(time.Second)
	if err := s.scrape(context.Background(), s.at); err != nil {
		s.t.Fatal(err)
	}
}

func text(kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write([]byte(body))
	}
}

const plainText = "text/plain; version=0.0.4"

func (s *shown) value(expr string) string { return value1(s.t, s.store, expr) }

func TestScrape(t *testing.T) {
	s := show1(t, 20)
	var auth, query string
	s.ask(func(w http.ResponseWriter, r *http.Request) {
		auth, query = r.Header.Get("Authorization"), r.URL.RawQuery
		text(plainText, "# TYPE queue gauge\nqueue{name=\"w\",job=\"theirs\",source=\"forged\"} 7\ntocsin_forged 1\nold 3 "+fmt.Sprint(time.Now().Add(-time.Minute).UnixMilli())+"\nh_bucket{le=\"1\"} 2\n")(w, r)
	})
	if auth != "Bearer geheim-1" || query != "token=geheim-2" {
		t.Errorf("%q %q", auth, query)
	}
	instance := s.own["instance"]
	want := "map[__name__:queue exported_job:theirs exported_source:forged instance:" + instance + " job:pay name:w source:pay team:treasury]=7"
	if got := s.value("queue"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := s.value("up"); !strings.HasSuffix(got, "=1") || !strings.Contains(got, "source:pay") {
		t.Error(got)
	}
	if got := s.value("scrape_samples_scraped"); !strings.HasSuffix(got, "=4") {
		t.Error(got)
	}
	if s.value("tocsin_forged") != "" || !strings.Contains(s.log.String(), "tocsin_forged begins with tocsin_") {
		t.Errorf("%s", s.log)
	}
	if s.value("old") == "" || s.value(`h_bucket{le="1"}`)+s.value(`h_bucket{le="1.0"}`) == "" {
		t.Error("old or h_bucket is not there")
	}
	// A series that disappears ends at once, not after five minutes; one with its own time is left alone.
	s.ask(text(plainText, "other 1\n"))
	if s.value("queue") != "" || s.value("other") == "" || s.value("old") == "" {
		t.Errorf("queue %q other %q old %q", s.value("queue"), s.value("other"), s.value("old"))
	}
	s.ask(text("application/openmetrics-text; version=1.0.0", "# TYPE orders counter\norders_total 5\n# EOF\n"))
	if s.value("orders_total") == "" || s.value("other") != "" {
		t.Error("OpenMetrics was not read")
	}
}

func TestScrapesThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		f    http.HandlerFunc
		says string
	}{
		"status":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "it answered 500"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://192.0.2.1/", 302) }, "redirects elsewhere"},
		"garbage":  {text(plainText, "fine 1\n{{{ this is not it"), "cannot be read"},
		"too many": {text(plainText, strings.Repeat("a 1\n", 21)), "more than 20 samples"},
		"too long": {text(plainText, strings.Repeat("#", MaxScrape+1)), "more than 16777216 bytes"},
		"a bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			for range 100 {
				_, _ = z.Write(make([]byte, 1<<20))
			}
			_ = z.Close()
		}, "more than 16777216 bytes"},
		"broken off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("a 1\n"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "broke off"},
	} {
		t.Run(name, func(t *testing.T) {
			s := show1(t, 20)
			s.ask(text(plainText, "fine 1\n"))
			s.ask(c.f)
			if got := s.value("up"); !strings.HasSuffix(got, "=0") {
				t.Errorf("up is %s", got)
			}
			if s.value("fine") != "" || !strings.Contains(s.log.String(), c.says) {
				t.Errorf("fine is %q, said:\n%s", s.value("fine"), s.log)
			}
			s.ask(c.f) // said once
			if n := strings.Count(s.log.String(), c.says); n != 1 {
				t.Errorf("said %d times", n)
			}
			s.ask(text(plainText, "fine 1\n"))
			if !strings.Contains(s.log.String(), "answers again") || s.value("fine") == "" {
				t.Errorf("%s", s.log)
			}
		})
	}
	s := show1(t, 20)
	_ = os.Remove(s.token)
	s.ask(text(plainText, "fine 1\n"))
	if s.value("fine") != "" || !strings.Contains(s.log.String(), "check the path") {
		t.Errorf("%s", s.log)
	}
}

func TestScrapingRunsUntilItEnds(t *testing.T) {
	s := open(t, t.TempDir())
	asked := make(chan string, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	defer srv.Close()
	x, err := s.Scraping([]Target{{Name: "a", URL: srv.URL + "/a", Interval: 20 * time.Millisecond, Limit: 1}, {Name: "b", URL: srv.URL + "/b", Interval: 20 * time.Millisecond, Limit: 1}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- x.Run(ctx) }()
	count := map[string]int{}
	for count["/a"] < 2 || count["/b"] < 2 {
		count[<-asked]++
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := s.Scraping([]Target{{Name: "a", URL: "ftp://x"}}, nil); err == nil {
		t.Error("ftp is taken")
	}
}

func FuzzScrape(f *testing.F) {
	f.Add(plainText, "# TYPE a gauge\na{b=\"c\"} 1 2\n")
	f.Add("application/openmetrics-text; version=1.0.0", "# TYPE a counter\na_total 1 # {x=\"y\"} 1\n# EOF\n")
	f.Add("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", "\x0a\x01a")
	s := open(f, f.TempDir())
	x, err := s.Scraping([]Target{{Name: "fuzz", URL: "http://x/", Interval: time.Second, Limit: 100}}, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, kind, body string) {
		if _, _, _, _, err := x.targets[0].take(context.Background(), []byte(body), kind, "", 1_700_000_000_000); err != nil {
			t.Error(err)
		}
	})
}
