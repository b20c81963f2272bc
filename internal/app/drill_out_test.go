package app_test

import (
	"net/url"
	"strings"
	"testing"
)

// TestDrillIsLetOutThroughTheLog: what was chosen on the page is in the log with the signals of that drill, and in the log of no other.
func TestDrillIsLetOutThroughTheLog(t *testing.T) {
	for _, out := range []string{"", "1"} {
		a := start(t, t.TempDir())
		if code, said := a.post("/drills", url.Values{"scenario": {"nomad"}, "speed": {"1000"}, "out": {out}}); code >= 400 {
			t.Fatalf("%d %s", code, said)
		}
		until(t, "the drill has an incident", func() bool {
			code, said := a.call("GET", "/api/v1/incidents/1/events", "")
			return code == 200 && strings.Contains(said, "incident.signals_attached") && (out == "" || strings.Contains(said, "pages people for real"))
		})
		said := a.must("GET", "/api/v1/incidents/1/events", "")
		if is := strings.Contains(said, `"out_until":`); is != (out == "1") || strings.Contains(said, "pages people for real") != is {
			t.Errorf("with %q: let out %t: %s", out, is, said)
		}
		a.stop()
	}
}
