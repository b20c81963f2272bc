package incident_test

import (
	"testing"

	"github.com/tocsin-ops/tocsin/internal/incident"
)

func TestWhoWasToldOfItWaitsToHearThatItIsOver(t *testing.T) {
	s := incident.State{Declared: true, Status: incident.StatusResolved,
		Updates:   []incident.Update{{ID: "U1", Audience: "public", Phase: "identified", State: incident.UpdateIsPublished}},
		Audiences: []incident.Audience{{Name: "public", LastUpdate: "U1"}}}
	waits := func(what string) {
		t.Helper()
		got := ""
		for _, w := range incident.WaitingFor(s, 1) {
			got += w.Text
		}
		if got != what {
			t.Errorf("%q waits, want %q", got, what)
		}
	}
	waits("Nobody has told public that it is over")
	s.Updates = append(s.Updates, incident.Update{ID: "U2", Audience: "public", Phase: "resolved", State: incident.UpdateDraft})
	waits("U2 for public waits for approval")
	s.Updates[1].State, s.Audiences[0].LastUpdate = incident.UpdateIsPublished, "U2"
	waits("")
	s.Audiences[0].LastUpdate = "U1"
	s.Status = incident.StatusInvestigating
	if len(incident.WaitingFor(s, 1)) != 1 { // the commander's place is vacant
		t.Error("an open incident waits to be called over")
	}
}
