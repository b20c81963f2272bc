package web

import (
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
)

// TestReplicas: who is alive, which versions run and how the store does is on
// the Log page, in the API and in the figures; of one that is alone nothing is
// said on the page.
func TestReplicas(t *testing.T) {
	alone := newHouse(t)
	alone.ana().get("/log").want(200).hasNot("replicas-h")
	v, _ := alone.token(auth.RoleResponder, "")
	v.get("/metrics").want(200).has("tocsin_replicas 0").hasNot("tocsin_store_outages_total")

	r := Replication{
		Shared: true, Leads: map[string]bool{"collectors": true, "reactor/correlator": false}, Untold: 7, Outages: 2, Held: 90 * time.Second, Answered: time.Now(),
		Replicas: []Replica{
			{ID: "a", URL: "http://192.0.2.1:8080", Version: "1.0", Started: 1_795_000_000_000, Alive: true, Collects: true, This: true},
			{ID: "b", URL: "http://192.0.2.2:8080", Version: "1.0", Started: 1_795_000_000_000, Gone: 1_795_000_100_000},
			{ID: "c", URL: "http://192.0.2.3:8080", Version: "1.0", Started: 1_795_000_200_000, Alive: true},
		},
		Calls: []StoreCalls{{Kind: "commit", Counts: []int64{1, 2, 3}, Sum: 4.5}}, Bounds: []float64{0.5, 1},
	}
	h := newHouse(t, func(o *Options) { o.Replication = func() Replication { return r } })
	var got replicasAnswer
	v, _ = h.token(auth.RoleResponder, "")
	v.get("/api/v1/replicas").want(200).into(&got)
	if len(got.Replicas) != 3 || got.Replicas[0] != r.Replicas[0] || got.Replicas[1] != r.Replicas[1] {
		t.Errorf("%+v", got)
	}
	h.nobody().get("/api/v1/replicas").want(401)
	h.ana().get("/log").want(200).has("3 replicas", "answers and watches the chains; this page is from it", "stopped or cut off").hasNot("Different versions", "192.0.2.1")
	r.Replicas[2].Version = "1.1"
	h.ana().get("/log").want(200).has("Different versions run", "1.1")
	r.Replicas[2].Version, r.Replicas[1].Version = "1.0", "0.9" // who is gone runs nothing
	h.ana().get("/log").want(200).hasNot("Different versions")

	body := v.get("/metrics").want(200).body
	for _, line := range []string{
		"tocsin_replicas 2", "tocsin_collecting 1", `tocsin_leads{election="collectors"} 1`, `tocsin_leads{election="reactor/correlator"} 0`,
		"tocsin_samples_untold_total 7", "tocsin_store_outages_total 2", "tocsin_store_outage_seconds_total 90", "tocsin_store_answer_age_seconds 0",
		`tocsin_store_call_seconds_bucket{call="commit",le="1"} 3`, `tocsin_store_call_seconds_bucket{call="commit",le="+Inf"} 6`, `tocsin_store_call_seconds_count{call="commit"} 6`,
	} {
		if !strings.Contains(body, "\n"+line) {
			t.Errorf("no line %s", line)
		}
	}
}
