package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/observation"
)

// TestAHeldFindingOutlivesAStop: one node tells, and before a second one or the end of the wait the program is killed with what it had
// learned. What nobody waits for any more is told as not confirmed, and declares.
func TestAHeldFindingOutlivesAStop(t *testing.T) {
	dir := t.TempDir()
	a := start(t, dir)
	until(t, "the detectors lead", func() bool { return a.Collecting() })
	a.Observe(observation.Observation{At: time.Now().UnixMilli(), Kind: observation.Admin, Chain: "ethereum", Node: "own-1", Tx: "0xabc",
		Contract: "0x1111111111111111111111111111111111111111", Change: "owner", Before: "0x2222222222222222222222222222222222222222", After: "0x3333333333333333333333333333333333333333"})
	until(t, "one node's word is a signal", func() bool {
		return strings.Contains(a.must("GET", "/api/v1/signals?open=true", ""), `"verification":"one_node"`)
	})
	a.stop()
	if err := os.RemoveAll(filepath.Join(dir, "detection")); err != nil {
		t.Fatal(err)
	}
	a = start(t, dir)
	until(t, "it declares", func() bool { return strings.Contains(a.must("GET", "/api/v1/incidents", ""), `"number":1`) })
	if out := a.must("GET", "/api/v1/signals?open=true", ""); !strings.Contains(out, `"verification":"waited"`) || !strings.Contains(out, "was stopped: it counts as not confirmed") {
		t.Error(out)
	}
}
