package web

import (
	"fmt"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// Pages of any size hold everything once and in order, also while more comes.
func TestListsComeInPages(t *testing.T) {
	h := newHouse(t)
	for i := range 12 {
		n := h.declare(incident.Declare{Title: fmt.Sprint("incident ", i)})
		if i%3 == 0 {
			h.cmd(n, incident.Resolve{Validation: "checked"})
		}
		h.fire("am", signal.Observation{Title: fmt.Sprint("signal ", i)})
	}
	v := h.ana()
	walk := func(path, query string) (incidents []int64, signals []string) {
		t.Helper()
		after := ""
		for pages := 0; ; pages++ {
			if pages > 40 {
				t.Fatal("no end of pages")
			}
			var doc struct {
				incidentsAnswer
				Signals []apiSignal
			}
			v.get(path + "?" + query + "&after=" + after).want(200).into(&doc)
			for _, d := range doc.Incidents {
				incidents = append(incidents, d.Number)
			}
			for _, d := range doc.Signals {
				signals = append(signals, d.ID)
			}
			if after = doc.Next; after == "" {
				return incidents, signals
			}
		}
	}
	for _, limit := range []int{1, 4, 5, 12, 500} {
		found, _ := walk("/api/v1/incidents", fmt.Sprint("limit=", limit))
		if fmt.Sprint(found) != "[1 2 3 4 5 6 7 8 9 10 11 12]" {
			t.Errorf("%d a page: %v", limit, found)
		}
		open, _ := walk("/api/v1/incidents", fmt.Sprint("status=open&limit=", limit))
		if fmt.Sprint(open) != "[2 3 5 6 8 9 11 12]" {
			t.Errorf("%d a page: %v open", limit, open)
		}
		_, signals := walk("/api/v1/signals", fmt.Sprint("limit=", limit))
		seen := map[string]bool{}
		for _, id := range signals {
			seen[id] = true
		}
		if len(signals) != 12 || len(seen) != 12 {
			t.Errorf("%d a page: signals %v", limit, signals)
		}
	}
	for _, bad := range []string{"limit=0", "limit=10001", "limit=-1", "limit=all"} {
		v.get("/api/v1/incidents?" + bad).want(422).problem("bad_limit")
		v.get("/api/v1/signals?" + bad).want(422).problem("bad_limit")
	}
	v.get("/api/v1/incidents?after=x").want(422).problem("bad_after")
	v.get("/api/v1/incidents?after=-1").want(422).problem("bad_after")
	for _, bad := range []string{"x", "5", "-5_a", "x_y"} {
		v.get("/api/v1/signals?after=" + bad).want(422).problem("bad_after")
	}
	var doc incidentsAnswer
	v.get("/api/v1/incidents?limit=4").want(200).into(&doc)
	if len(doc.Incidents) != 4 || doc.Next != "4" {
		t.Errorf("%d, next %q", len(doc.Incidents), doc.Next)
	}
}
