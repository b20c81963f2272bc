package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/impact"
	"github.com/tocsin-ops/tocsin/internal/incident"
)

// Who acknowledges by the API has it, ends all pages in the same commit and becomes commander; the document of the incident tells all of it.
func TestAcknowledgedByTheAPI(t *testing.T) {
	h := newHouse(t)
	rita := h.member("rita", "responder", "")
	n := h.declare(incident.Declare{Title: "Bridge"})
	policy := escalation.Policy{ID: "esc-1", Name: "Front line", Version: 4, AckTimeout: 1_800_000, Steps: []escalation.Step{{Wait: 60_000}}}
	h.cmd(n, incident.Route{Team: "team-front", TeamName: "Front line", Tier: 1, Skill: "front-line", Policy: &policy, Why: "the first team"})
	h.cmd(n, incident.PageStep{Turn: escalation.Turn{Epoch: 1, Round: 1, Step: 1, People: []escalation.Callee{{Person: "bo", Why: "on call in primary"}}}})
	h.cmd(n, incident.PageReceipts{Receipts: []incident.PageReceipt{{Page: escalation.PageID(n, 1, 1, 1, "bo"), Person: "bo", Receipt: escalation.Receipt{Route: "mail", Outcome: escalation.Delivered, At: 1}}}})
	h.cmd(n, incident.SetFact{Fact: impact.FactUsersAffected, Value: "12000"})
	h.cmd(n, incident.SetCategory{Category: "bridge-drain"})
	h.cmd(n, incident.Score{Assessment: impact.Assessment{At: h.millis(), Preset: "bridge", Known: true, Score: 70, High: 80, Severity: "SEV1", Loss: impact.Loss{Known: true, PerMinute: 20_000},
		Rule: "funds_moving", RuleReason: &impact.Reason{Sentence: "Money moves."}, Blast: []impact.Affected{{Service: "Withdrawals", Now: true, Likelihood: 1}}, Changes: []string{"Worse."}, Major: &impact.Major{}}})

	token, _ := h.token("responder", "")
	if a := token.command(n, "acknowledge", nil); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a token acknowledges: %d %s", a.status, a.body)
	}
	if a := rita.command(n, "page_step", map[string]any{"epoch": 1, "round": 1, "step": 1}); a.status < 400 {
		t.Errorf("an internal command is taken: %d", a.status)
	}
	rita.command(n, "acknowledge", nil).want(http.StatusOK)
	rita.command(n, "claim", nil).want(http.StatusOK)
	rita.command(n, "decline_advice", map[string]any{"reason": "the vault holds it"}).want(http.StatusOK)

	var d apiIncidentDoc
	rita.get(fmt.Sprintf("/api/v1/incidents/%d", n)).want(http.StatusOK).into(&d)
	if p := d.Paging; p.Phase != "acknowledged" || len(p.Acknowledged) != 1 || p.Acknowledged[0].Person != "rita" || p.ExpiresAt == "" || p.PolicyVersion != 4 || p.Steps != 1 {
		t.Errorf("paging: %+v", p)
	}
	if g := d.Paging.Pages; len(g) != 1 || g[0].Person != "bo" || g[0].State != "ended" || g[0].Until == "" || len(g[0].Receipts) != 1 || g[0].Receipts[0].Outcome != "delivered" {
		t.Errorf("pages: %+v", g)
	}
	if d.Roles["commander"][0] != "rita" || d.Category != "bridge-drain" || len(d.Facts) != 1 || d.Facts[0].Value != "12000" {
		t.Errorf("%+v", d)
	}
	if d.Impact == nil || d.Impact.Score != 70 || d.Impact.Loss.PerMinute != 20_000 || d.Impact.Severity != "SEV1" || len(d.Impact.Axes) != impact.AxisCount {
		t.Errorf("impact: %+v", d.Impact)
	}
	if i := d.Impact; i == nil || i.Rule != "funds_moving" || i.RuleReason == nil || i.Major == nil || len(i.Blast) != 1 || len(i.Changes) != 1 || i.Declined != "SEV1" || i.DeclinedWhy != "the vault holds it" {
		t.Errorf("impact: %+v", i)
	}
	h.settle()
	if body := rita.get(fmt.Sprintf("/incidents/%d", n)).body; !strings.Contains(body, "declined SEV1; the vault holds it") {
		t.Error("the panel does not say why the advice was declined")
	}
	if d.Triage == nil || d.Triage.Team != "team-front" || d.Triage.ClaimedBy != "rita" {
		t.Errorf("triage: %+v", d.Triage)
	}
}
