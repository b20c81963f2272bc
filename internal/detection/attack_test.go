package detection_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detection"
	"github.com/tocsin-ops/tocsin/internal/forecast"
	"github.com/tocsin-ops/tocsin/internal/metrics"
)

// TestAttackCostAhead: a falling cost of an attack is told before it is below what is open in deposits, by the bounds that are known without being
// told; a chain without open deposits, and one that is far from it, is not.
func TestAttackCostAhead(t *testing.T) {
	db, err := metrics.Open(t.TempDir(), metrics.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	now := time.Now().Truncate(time.Minute)
	for at := now.Add(-20 * time.Hour); !at.After(now); at = at.Add(time.Minute) {
		left := now.Sub(at).Hours()
		add := func(name, c string, v float64) {
			if err := db.Append([]metrics.Sample{{Name: name, Labels: map[string]string{"chain": c}, At: at.UnixMilli(), Value: v}}); err != nil {
				t.Fatal(err)
			}
		}
		add("tocsin_chain_attack_cost_usd", "etc", 150_000+20_000*left) // 20,000 an hour: the 100,000 that are open are reached in 2.5 h
		add("tocsin_chain_open_deposits_usd", "etc", 100_000)
		add("tocsin_chain_attack_cost_usd", "btc", 9_000_000+20_000*left)
		add("tocsin_chain_open_deposits_usd", "btc", 100_000)
		add("tocsin_chain_attack_cost_usd", "zec", 1000)
		add("tocsin_chain_open_deposits_usd", "zec", 0)
		add("tocsin_chain_attack_cost_usd", "dcr", 1000) // nobody says what is open
	}
	var told []chain.Finding
	a := &detection.Ahead{
		Bounds: detection.File{}.Bounds(), Clock: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		Query: func(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]detection.Series, error) {
			r, err := db.QueryRange(ctx, expr, from, to, step)
			if err != nil {
				return nil, err
			}
			var out []detection.Series
			for _, s := range r.Series {
				points := make([]forecast.Point, len(s.At))
				for i := range s.At {
					points[i] = forecast.Point{At: s.At[i], Value: s.Values[i]}
				}
				out = append(out, detection.Series{Labels: s.Labels, Points: points})
			}
			return out, nil
		},
		Deliver: func(_ context.Context, list []chain.Finding) error { told = append(told, list...); return nil },
	}
	a.Look(t.Context())
	if len(told) != 1 || told[0].Chain != "etc" || !strings.HasPrefix(told[0].Title, "Cost of an attack to open deposits (chain=etc): the bound of 1 comes near") {
		t.Fatalf("%+v", told)
	}
	for _, o := range a.Outlooks() {
		if o.Labels["chain"] == "etc" {
			if h := time.UnixMilli(o.Cross.At).Sub(now).Hours(); h < 1.5 || h > 4 {
				t.Errorf("in %.1f h; it is crossed in 2.5", h)
			}
		}
	}
}
