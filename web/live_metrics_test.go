package web

import (
	"fmt"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/incident"
)

// TestLiveFigures: what was delivered can be read from /metrics, by region, and
// how many entries there are makes the table no longer.
func TestLiveFigures(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Nodes fell behind", Severity: "SEV3"})
	ana := h.ana()
	live := ana.watch(fmt.Sprint("incident/", n))
	for i := range 3 {
		text := fmt.Sprintf("note <%d> & more", i)
		h.cmd(n, incident.AddNote{Text: text})
		live.until(func(f frame) bool { return f.Into == "timeline" && f.Place == "end" })
	}
	ana.get("/metrics").want(200).has(
		"tocsin_live_connections 1\n", "tocsin_live_connections_stalled 0\n", "tocsin_live_late_total 0\n",
		"tocsin_live_frames_published_total ", "tocsin_live_frames_delivered_total ", "tocsin_live_frames_conflated_total ",
		"tocsin_live_resyncs_total ", "tocsin_live_stalls_total 0\n", "tocsin_live_closed_slow_total 0\n",
		"tocsin_live_write_seconds_count ", "tocsin_live_write_seconds_sum ",
		`tocsin_live_region_frames_total{region="entry"} `, `tocsin_live_region_bytes_total{region="entry"} `,
	)
}
