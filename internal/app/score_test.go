package app_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/config"
)

// TestAnIncidentIsScored goes through the whole program: a figure that is pushed, a fact that is stated, and the advice that follows; the severity stays
// with people.
func TestAnIncidentIsScored(t *testing.T) {
	s := start(t, t.TempDir(), func(c *config.Config) {
		c.Impact.Services = []config.ImpactService{{Name: "Withdrawals", Criticality: "critical", Users: 40000, LossPerMinute: config.ImpactLoss{USD: 2000, Low: 1000, High: 5000}}}
		c.Impact.Metrics = []config.ImpactMetric{{Fact: "users_affected", Query: "max(tocsin_disk_size_bytes) * 0 + 1200"}}
	})
	s.must("POST", "/api/v1/incidents", `{"title": "Withdrawals wait", "severity": "SEV3", "components": ["Withdrawals"]}`)
	type scored struct {
		Severity string
		Impact   *struct {
			Severity string
			Score    int
			Loss     struct {
				PerMinute  float64 `json:"per_minute"`
				Assumption string
			}
		}
	}
	look := func() (out scored) {
		raw := s.must("GET", "/api/v1/incidents/1", "")
		if err := json.Unmarshal([]byte(raw), &out); err != nil {
			t.Fatalf("%v in %s", err, raw)
		}
		return out
	}
	wait := func(what string, is func(scored) bool) scored {
		t.Helper()
		for end := time.Now().Add(40 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			if got := look(); got.Impact != nil && is(got) {
				return got
			} else if time.Now().After(end) {
				t.Fatalf("%s never came: %+v", what, got.Impact)
			}
		}
	}
	got := wait("the first score", func(v scored) bool { return v.Impact.Score > 0 })
	if got.Impact.Loss.PerMinute != 2000 || !strings.HasPrefix(got.Impact.Loss.Assumption, "Assumed: $2,000 a minute while Withdrawals is affected") {
		t.Errorf("%+v", got.Impact.Loss)
	}
	s.must("POST", "/api/v1/incidents/1/commands", `{"command": "set_fact", "args": {"fact": "funds_moving", "value": "yes"}}`)
	got = wait("SEV1", func(v scored) bool { return v.Impact.Severity == "SEV1" })
	if got.Severity != "SEV3" {
		t.Errorf("the score changed the severity to %s", got.Severity)
	}
	s.must("POST", "/api/v1/incidents/1/commands", `{"command": "follow_advice", "args": {}}`)
	wait("the severity that was followed", func(v scored) bool { return v.Severity == "SEV1" })
	s.stop()
}

func TestAQueryThatIsNoneStopsTheStart(t *testing.T) {
	c := config.Default()
	c.Addr, c.Data = "127.0.0.1:0", t.TempDir()
	c.Impact.HeldQuery = "sum((balance"
	_, err := app.New(context.Background(), app.Options{Config: c, Logger: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "mend the query in the configuration") || !strings.Contains(err.Error(), "sum((balance") {
		t.Fatalf("%v", err)
	}
}
