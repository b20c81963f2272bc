package detection_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/detection"
	"github.com/tocsin-ops/tocsin/internal/forecast"
)

// TestBoundsAhead tells the life of a forecast: far, near, told, renewed, a restart in between, over.
func TestBoundsAhead(t *testing.T) {
	d := &desk{}
	now := time.UnixMilli(1_795_000_000_000)
	balance := func(at time.Time) float64 { return 1000 }
	fails := false
	a := &detection.Ahead{
		Bounds: []detection.Bound{{Title: "Hot wallet", Query: "balance", Value: 0}},
		Query: func(_ context.Context, _ string, from, to time.Time, step time.Duration) ([]detection.Series, error) {
			if fails {
				return nil, errors.New("no")
			}
			var p []forecast.Point
			for at := from; !at.After(to); at = at.Add(step) {
				p = append(p, forecast.Point{At: at.UnixMilli(), Value: balance(at)})
			}
			return []detection.Series{{Labels: map[string]string{"__name__": "balance", "wallet": "hot-2"}, Points: p}}, nil
		},
		Deliver: d.deliver, Clock: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}
	look := func(minutes int) []string {
		for range minutes {
			now = now.Add(time.Minute)
			a.Look(t.Context())
		}
		return d.story()
	}
	if got := look(5); len(got) != 0 {
		t.Fatalf("a flat balance: %q", got)
	}
	start := now
	balance = func(at time.Time) float64 { return 1000 - max(at.Sub(start).Hours(), 0)*150 } // empty in 6 h 40 min
	got := look(5 * 60)
	key := "ahead/forecast/Hot wallet/wallet=hot-2"
	if len(got) != 1 || got[0] != key+" open" {
		t.Fatalf("five hours of a falling balance: %q", got)
	}
	d.mu.Lock()
	first := d.got[0]
	d.mu.Unlock()
	if lead := start.Add(400 * time.Minute).Sub(time.UnixMilli(first.At)); lead > 5*time.Hour || lead < time.Hour {
		t.Errorf("told %s before it is empty; the warning is 4 h", lead)
	}
	if !strings.Contains(first.Reason, "below 0 in about") || !strings.Contains(first.Title, "Hot wallet (wallet=hot-2): the bound of 0 comes near") {
		t.Errorf("%q, %q", first.Title, first.Reason)
	}
	fails = true
	look(30)
	fails = false
	if got := d.story(); len(got) != 1 {
		t.Fatalf("what cannot be asked is not over: %q", got)
	}
	// Refilled, with a restart in between: the log knows what is open.
	refill := now
	balance = func(at time.Time) float64 {
		if at.Before(refill) {
			return 1000 - max(at.Sub(start).Hours(), 0)*150
		}
		return 5000
	}
	b := &detection.Ahead{Bounds: a.Bounds, Query: a.Query, Deliver: d.deliver, Clock: a.Clock, Log: a.Log, Open: func(context.Context) ([]string, error) { return []string{key}, nil }}
	a = b
	d.down.Store(true)
	look(30)
	d.down.Store(false)
	if got := look(10 * 60); len(got) != 2 || got[1] != key+" over" {
		t.Errorf("refilled: %q", got)
	}
	if len(a.Outlooks()) != 1 || a.Outlooks()[0].Near {
		t.Errorf("%+v", a.Outlooks())
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ text, err string }{
		{"", ""},
		{"bridges: [{name: nomad, tvl_usd: 190700000}]\nforecasts: [{title: Queue, query: withdrawals_pending, value: 5000, above: true, warn: 2h}]\nservices: [{name: Withdrawals, depends_on: [Bridge, ethereum]}]\n", ""},
		{"forecasts: [{title: Queue}]", "give a title"},
		{"forecasts: [{title: Q, query: x, window: 1m}]", "between 10m and 30d"},
		{"forecasts: [{title: Q, query: x, severity: SEV9}]", "none of SEV1 to SEV5"},
		{"services: [{depends_on: [x]}]", "give a name"},
		{"brigdes: []", "brigdes"},
	} {
		name := filepath.Join(dir, "detection.yaml")
		if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := detection.ReadFile(name)
		if (err == nil) != (c.err == "") || (err != nil && !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%q: %v, want %q", c.text, err, c.err)
		}
		if strings.Contains(c.text, "nomad") && (len(f.Graph()) != 2 || f.Forecasts[0].Warn != 2*3_600_000 || len(f.Bounds()) < 3) {
			t.Errorf("%+v", f)
		}
	}
}
