package app

import (
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/drill"
	"github.com/tocsin-ops/tocsin/internal/telemetry"
	"github.com/tocsin-ops/tocsin/store/mem"
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

// TestDrillsAreKnownFromTheStart: what a drill stored before a restart, or on another replica, is not taken for real.
func TestDrillsAreKnownFromTheStart(t *testing.T) {
	c, err := newChains(t.Context(), &App{db: mem.New()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &detectors{app: &App{chain: c}}
	for _, s := range drill.All() {
		for _, x := range s.Chains {
			if d.isReal(map[string]string{"chain": x.ID}) {
				t.Errorf("%s is taken for real", x.ID)
			}
		}
	}
	if !d.isReal(map[string]string{"chain": "ethereum"}) || !d.isReal(nil) {
		t.Error("what is real is taken for a drill")
	}
}

// TestPollOfTheFile: how often nodes are asked is what the file says, and the family's own pace where it says nothing.
func TestPollOfTheFile(t *testing.T) {
	for _, want := range []time.Duration{0, time.Second} {
		c, err := fromConfig(config.Chain{Name: "e", Family: "evm", Poll: config.Duration(want), Nodes: []config.Node{{Name: "a", URL: config.NewAddress("http://127.0.0.1:1")}}})
		if err != nil || c.Poll != want {
			t.Errorf("%s, %v, want %s", c.Poll, err, want)
		}
	}
}
