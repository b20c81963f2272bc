package room

import (
	"testing"

	"github.com/tocsin-ops/tocsin/internal/incident"
)

// TestDrillStaysADrill: whatever is done about a drill is part of it in the log, whether who does it says so or not.
func TestDrillStaysADrill(t *testing.T) {
	for _, k := range everyKind {
		if k.name == "declare" {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			h := open(t, memory())
			var n [2]int64
			for i := range n {
				m := meta(newID())
				m.Drill = true
				a, err := h.Declare(h.ctx, incident.Declare{Title: "Bridge drained", Summary: "as it was", Severity: "SEV3"}, m)
				if err != nil {
					t.Fatal(err)
				}
				n[i] = a.Number
			}
			if _, err := k.do(h, n[0], n[1], newID()); err != nil {
				t.Fatal(err)
			}
			for _, e := range h.events() {
				if !e.Drill {
					t.Errorf("event %d %s is not marked", e.Offset, e.Type)
				}
			}
		})
	}
}
