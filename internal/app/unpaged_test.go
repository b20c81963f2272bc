package app_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/observation"
)

// TestWhatInformsPagesNobody: an incident of SEV5, a signal of SEV5 and a finding that only one node has seen come to nobody's phone, while the SEV1
// declared after them is routed by the same pager.
func TestWhatInformsPagesNobody(t *testing.T) {
	a := start(t, t.TempDir())
	until(t, "the detectors lead", func() bool { return a.Collecting() })
	a.must("POST", "/api/v1/incidents", `{"title":"For information","severity":"SEV5"}`)
	var src struct{ Key string }
	if err := json.Unmarshal([]byte(a.must("POST", "/api/v1/sources", `{"name":"scripts","kind":"generic"}`)), &src); err != nil {
		t.Fatal(err)
	}
	a.must("POST", "/api/v1/intake/generic/"+src.Key, `{"key":"k","title":"Certificate ends in 30 days","severity":"SEV5","state":"firing"}`)
	a.Observe(observation.Observation{At: time.Now().UnixMilli(), Kind: observation.Admin, Chain: "ethereum", Node: "own-1", Tx: "0xabc",
		Contract: "0x1111111111111111111111111111111111111111", Change: "owner", Before: "0x2222222222222222222222222222222222222222", After: "0x3333333333333333333333333333333333333333"})
	until(t, "all are signals", func() bool {
		out := a.must("GET", "/api/v1/signals?open=true", "")
		return strings.Contains(out, `"verification":"one_node"`) && strings.Contains(out, "Certificate ends")
	})
	a.must("POST", "/api/v1/incidents", `{"title":"Bridge drains","severity":"SEV1"}`)
	until(t, "the SEV1 is routed", func() bool {
		return strings.Contains(a.must("GET", "/api/v1/incidents/2/events", ""), "incident.routed")
	})
	if out := a.must("GET", "/api/v1/incidents", ""); strings.Contains(out, `"number":3`) {
		t.Errorf("what only informs, or is held back, became an incident: %s", out)
	}
	if out := a.must("GET", "/api/v1/incidents/1/events", ""); strings.Contains(out, "incident.routed") || strings.Contains(out, "incident.paged") || strings.Contains(out, "receipted") {
		t.Errorf("an incident that informs reaches somebody: %s", out)
	}
	for _, n := range []string{"1", "2"} {
		if out := a.must("GET", "/api/v1/incidents/"+n, ""); strings.Contains(out, "owner") || strings.Contains(out, "Certificate ends") {
			t.Errorf("the held finding, or the SEV5, joined #%s: %s", n, out)
		}
	}
}
