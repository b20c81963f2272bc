package app_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// TestObservationsBecomeIncidents: what a watcher sees is judged, waits for the second node, becomes an incident, is judged by people, and all of
// it outlives a restart.
func TestObservationsBecomeIncidents(t *testing.T) {
	dir := t.TempDir()
	known := filepath.Join(dir, "detection.yaml")
	if err := os.WriteFile(known, []byte("verification_wait: 1h\nwatched: [{address: \"0x1111111111111111111111111111111111111111\", label: Vault, kind: contract}]\nservices: [{name: Withdrawals, depends_on: [ethereum]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(c *config.Config) { c.Detection = known }
	a := start(t, filepath.Join(dir, "data"), with)
	seen := func(node string) {
		a.Observe(observation.Observation{At: time.Now().UnixMilli(), Kind: observation.Admin, Chain: "ethereum", Node: node, Tx: "0xabc",
			Contract: "0x1111111111111111111111111111111111111111", Change: "owner", Before: "0x2222222222222222222222222222222222222222", After: "0x3333333333333333333333333333333333333333"})
	}
	until(t, "the detectors lead", func() bool { return a.Collecting() })
	seen("own-1")
	until(t, "one node's word is a signal", func() bool {
		return strings.Contains(a.must("GET", "/api/v1/signals?open=true", ""), `"verification":"one_node"`)
	})
	if list := a.must("GET", "/api/v1/incidents", ""); !strings.Contains(list, `"incidents":[]`) {
		t.Fatalf("one node's word declared an incident: %s", list)
	}
	seen("provider")
	until(t, "the second node's word declares", func() bool {
		return strings.Contains(a.must("GET", "/api/v1/incidents", ""), `"number":1`) && strings.Contains(a.must("GET", "/api/v1/signals?open=true", ""), `"verification":"confirmed"`)
	})
	until(t, "it is said where it will be felt", func() bool { return strings.Contains(a.must("GET", "/detectors", ""), "It depends on ethereum") })
	var id string
	for _, part := range strings.Split(a.must("GET", "/api/v1/signals?open=true", ""), `"id":"`) {
		if strings.HasPrefix(part, "detect-") {
			id = part[:strings.Index(part, `"`)]
		}
	}
	a.must("POST", "/api/v1/signals/"+id+"/verdict", `{"verdict":"true","note":"seen on the explorer"}`)
	a.stop()
	a = start(t, filepath.Join(dir, "data"), with)
	until(t, "the verdict is remembered", func() bool { return strings.Contains(a.must("GET", "/api/v1/detectors", ""), `"true":1`) })
	before := a.must("GET", "/api/v1/signals", "")
	until(t, "the detectors lead again", func() bool { return a.Collecting() })
	seen("own-1")
	seen("provider")
	a.stop() // what was seen is judged and told before the end
	a = start(t, filepath.Join(dir, "data"), with)
	if after := a.must("GET", "/api/v1/signals", ""); strings.Count(after, `"id"`) != strings.Count(before, `"id"`) {
		t.Errorf("the restart doubled or ended what is open:\n%s\n%s", before, after)
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "detection", "state")); err != nil {
		t.Error(err)
	}
	until(t, "somebody looks at the disk", func() bool {
		return strings.Contains(a.must("GET", "/prometheus/api/v1/query?query=tocsin_disk_free_bytes", ""), `"instance":"this"`)
	})
}

func TestAWrongDetectionFileIsRefusedAtStart(t *testing.T) {
	dir := t.TempDir()
	known := filepath.Join(dir, "detection.yaml")
	if err := os.WriteFile(known, []byte("brigdes: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Addr, c.Data, c.Detection = "127.0.0.1:0", dir, known
	if _, err := app.New(t.Context(), app.Options{Config: c, Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "brigdes") || !strings.Contains(err.Error(), "docs/replay.md") {
		t.Errorf("%v", err)
	}
}
