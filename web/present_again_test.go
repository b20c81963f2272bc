package web

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/internal/pager"
)

// Nobody answered: everywhere it is said when all are paged again, or, for what is not grave, that nobody is.
func TestNobodyAnsweredIsSaid(t *testing.T) {
	h, links := pagedHouse(t)
	ana := h.ana()
	policy := oncall.Default()
	policy.Repeat = 0
	exhausted := func(severity string) int64 {
		t.Helper()
		n := h.declare(incident.Declare{Title: "Bridge drains", Severity: severity})
		give := func(c incident.Command) {
			t.Helper()
			if _, err := h.Rooms.Do(t.Context(), n, c, incident.Meta{ID: uuid.NewString(), At: h.millis(), Actor: pager.Actor}); err != nil {
				t.Fatal(err)
			}
		}
		give(incident.Route{Team: oncall.Everybody, TeamName: "Everybody", Policy: &policy, Why: "a test"})
		for range 2 {
			st, err := h.Rooms.Load(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			acts, _ := escalation.Due(st.Paging, st.Situation(), nobodyYet{h.OnCall}, h.millis())
			for _, a := range acts {
				give(incident.CommandOf(a))
			}
			h.late.Add(policy.Steps[0].Wait)
		}
		h.settle()
		return n
	}
	grave := exhausted("SEV1")
	st, err := h.Rooms.Load(t.Context(), grave)
	if err != nil || st.Paging.Phase != escalation.Exhausted || st.Paging.AgainAt == 0 {
		t.Fatalf("%v: %+v", err, st.Paging)
	}
	again := time.UnixMilli(st.Paging.AgainAt).UTC().Format("15:04")
	room := ana.get("/incidents/1").has("nobody answered, all are paged again at", ">"+again+"</time>", "Nobody has answered; all are paged again at "+again+" UTC", ">Page all again now<").hasNot("nobody is left to page")
	room.has("nobody answered; all are paged again at ")
	ana.get("/").has("nobody answered, all are paged again at")
	ana.get("/queue").has("nobody came, all are paged again at " + again + " UTC")
	path := links.give("T0", "ana", grave)
	h.nobody().get(path).want(200).has("Nobody has it,", "and nobody answered. All are paged again at", ">"+again+"</time>", "Next, in", haveIt)
	var d apiIncidentDoc
	ana.get("/api/v1/incidents/1").want(200).into(&d)
	if d.Paging.PagedAgainAt != rfc3339(st.Paging.AgainAt) {
		t.Errorf("the API says %q", d.Paging.PagedAgainAt)
	}

	exhausted("SEV3")
	ana.get("/incidents/2").has("nobody answered, nobody is left to page", "and nobody has acknowledged; nobody else is paged").hasNot("paged again")
	h.nobody().get(links.give("T1", "ana", 2)).want(200).has("nobody is left to page").hasNot("paged again")

	ana.post("/oncall/policies", "name", "Front line").want(303)
	at := "/oncall/policies/" + h.OnCall.Settings().Policies[0].ID
	ana.get(at+"?severity=SEV2").has("SEV1 and SEV2 page all again 30 minutes later", "All are paged again at ")
	ana.get(at + "?severity=SEV3").hasNot("All are paged again at ")
}
