package app

import (
	"testing"

	"github.com/tocsin-ops/tocsin/internal/telemetry"
)

func TestChainOfADrillStaysOneAfterItsEnd(t *testing.T) {
	c := &chains{drills: map[string]bool{"drill-a": true}, added: []telemetry.Chain{{Name: "real"}}}
	for id, want := range map[string]bool{"drill-a": true, "real": false, "other": false} {
		if got := c.isDrill(id); got != want {
			t.Errorf("isDrill(%q) is %v, want %v", id, got, want)
		}
	}
	c.added = append(c.added, telemetry.Chain{Name: "drill-a"})
	if c.isDrill("drill-a") {
		t.Error("a chain that is watched for real is taken for a drill's")
	}
}
