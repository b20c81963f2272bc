package app_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/config"
)

// process is what one process alone counts and names on a page.
var process = regexp.MustCompile(`content="chains" data-since="\d*"|data-from="[A-Z0-9]*"`)

// TestStartsAreTheSame: the pages after a start that read the whole log, one
// with a snapshot, and one whose snapshots are damaged are the same, those of
// incidents that were closed long ago too.
func TestStartsAreTheSame(t *testing.T) {
	dir := t.TempDir()
	writeYears(t, dir, 20_000)
	now := time.Now().UTC()
	settle(t, dir, func() time.Time { return now })
	files := []string{filepath.Join(dir, app.SnapshotDir, "world"), filepath.Join(dir, app.SnapshotDir, "correlator")}
	pages := func() (map[string]string, int64) {
		t.Helper()
		var said bytes.Buffer
		c := config.Default()
		c.Addr, c.Data = "127.0.0.1:0", dir
		s := startWith(t, app.Options{Config: c, Version: "test", Logger: slog.New(slog.NewJSONHandler(&said, nil)), BootstrapToken: bootstrap, Clock: func() time.Time { return now }})
		out := map[string]string{}
		for _, p := range []string{"/", "/wall", "/status", "/signals", "/incidents?status=closed", "/incidents?status=all", "/incidents/3", "/incidents/80", "/api/v1/incidents", "/api/v1/incidents?status=closed&before=9", "/api/v1/signals"} {
			code, body := s.call("GET", p, "")
			for wait := time.Now().Add(45 * time.Second); strings.Contains(body, "Past incidents are being read.") && time.Now().Before(wait); {
				code, body = s.call("GET", p, "") // it is told apart, so a page may come first
			}
			if code != 200 {
				t.Errorf("%s: %d", p, code)
			}
			out[p] = process.ReplaceAllString(strings.ReplaceAll(body, s.Addr(), ""), "")
		}
		s.stop()
		for line := range strings.Lines(said.String()) {
			var l struct {
				Msg      string
				Snapshot int64
			}
			if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "the log is read" {
				return out, l.Snapshot
			}
		}
		t.Fatalf("nobody says how the log was read: %s", &said)
		return nil, 0
	}
	cold, from := pages()
	if from != 0 {
		t.Errorf("the first start found a snapshot of %d events", from)
	}
	for _, words := range []string{"At minute 7 the queue holds", "Look at the logs of signer 7", "https://grafana.example.org/d/3", "Rotate one signer at a time", "Latency is above two seconds"} {
		if !strings.Contains(cold["/incidents/3"], words) {
			t.Errorf("the room of a closed incident does not show %q", words)
		}
	}
	again := func(name string, want bool) {
		t.Helper()
		got, from := pages()
		if (from >= 20_000) != want {
			t.Errorf("%s: began with a snapshot of %d events", name, from)
		}
		for p := range cold {
			if got[p] != cold[p] {
				t.Errorf("%s: %s differs:\n%s", name, p, difference(got[p], cold[p]))
			}
		}
	}
	again("with a snapshot", true)
	for _, f := range files {
		if err := os.Truncate(f, 1000); err != nil {
			t.Fatal(err)
		}
	}
	again("with damaged snapshots", false)
	again("with new snapshots", true)
}

// settle runs the program until a whole run of it adds nothing to the log: then those who act on open incidents have done all that they do by themselves. It
// leaves no snapshot.
func settle(t *testing.T, dir string, clock func() time.Time) {
	t.Helper()
	run := func() string {
		c := config.Default()
		c.Addr, c.Data = "127.0.0.1:0", dir
		s := startWith(t, app.Options{Config: c, Version: "test", Logger: slog.New(slog.DiscardHandler), BootstrapToken: bootstrap, Clock: clock})
		defer s.stop()
		size := func() string {
			_, body := s.call("GET", "/metrics", "")
			_, rest, _ := strings.Cut(body, "\ntocsin_log_events ")
			n, _, _ := strings.Cut(rest, "\n")
			return n
		}
		now := size()
		for was := ""; was != now; was, now = now, size() {
			time.Sleep(2 * time.Second) // nothing tells when nobody will act any more
		}
		return now
	}
	for was, now := "", run(); was != now; was, now = now, run() {
	}
	if err := os.RemoveAll(filepath.Join(dir, app.SnapshotDir)); err != nil {
		t.Fatal(err)
	}
}

// difference is where two texts begin to differ.
func difference(a, b string) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return a[max(0, n-100):min(len(a), n+100)] + "\n" + b[max(0, n-100):min(len(b), n+100)]
}
