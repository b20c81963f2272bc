package web

import (
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/impact"
	"github.com/tocsin-ops/tocsin/internal/incident"
)

// score records what the follower would, by the facts of the incident.
func (h *house) score(n int64, in impact.Input) {
	h.t.Helper()
	in.At = h.millis()
	m := impact.Model{Preset: impact.Bridge, Services: []impact.Service{{Name: "Bridge", Criticality: impact.Critical, PerMinute: 2000, Low: 1000, High: 5000}}}
	h.cmd(n, incident.Score{Assessment: impact.Assess(m, in)})
}

func TestImpactPage(t *testing.T) {
	h := newHouse(t)
	ana := h.ana()
	n := h.declare(incident.Declare{Title: "Bridge drained", Severity: "SEV3", Components: []string{"Bridge"}})
	room, page := "/incidents/"+itoa(n), "/incidents/"+itoa(n)+"/impact"
	ana.get(room).want(200).has("Nothing is known yet: set facts or connect metrics", `data-command="set_fact"`)
	ana.get(page).want(200).has("It has not been scored yet", "State a fact")

	ana.post("/incidents/"+itoa(n)+"/facts", "fact", "money_moved_usd", "value", "1,5").want(422).has("is not a number that can be read", `value="1,5"`, `value="money_moved_usd" selected`)
	ana.post("/incidents/"+itoa(n)+"/facts", "fact", "money_moved_usd", "value", "$16.6M", "note", "Etherscan").want(303)
	ana.get(page).want(200).has("$16.6 M", "Etherscan", "Take back")

	h.score(n, impact.Input{Began: h.millis() - 600_000, Components: []string{"Bridge"}, Facts: []impact.Fact{{Name: "money_moved_usd", Value: "16600000", By: "person:ana", At: h.millis()}}})
	seen := ana.get(room).want(200).has("The score stands for SEV1; SEV3 is set.", `data-command="follow_advice"`, `data-command="decline_advice"`, "$16.6 M was taken and is not back.",
		"a minute, assumed", "Assumed: $2,000 a minute while Bridge is affected", "$1,000 to $5,000", "not known", "said by")
	if !strings.Contains(seen.body, "<dd>$2,000</dd>") {
		t.Error("the strip does not say what a minute costs")
	}
	ana.get(page).want(200).has("1 change", "at least 8", "money")

	h.cmd(n, incident.DeclineAdvice{Reason: "a test network"})
	ana.get(room).has("declined SEV1; a test network").hasNot(`data-command="follow_advice"`)
	h.cmd(n, incident.Resolve{Validation: "Paused"})
	ana.get(room).want(200).hasNot(`data-command="decline_advice"`).hasNot("Would tell more")
}

// TestTooLittleIsKnownToAdviseMilder: when the signals have cleared and nobody has said anything, no page and no line of the timeline says that something
// milder is advised, and who lowers the severity is not asked to raise it again.
func TestTooLittleIsKnownToAdviseMilder(t *testing.T) {
	h := newHouse(t)
	ana := h.ana()
	n := h.declare(incident.Declare{Title: "No new blocks", Severity: "SEV2"})
	room := "/incidents/" + itoa(n)
	m := impact.Model{Preset: impact.Bridge}
	s := impact.Signal{ID: "s", Kind: "stall", Severity: "SEV2", Title: "No node has a new block", Chain: "ethereum", Open: true, OpenedAt: h.millis(), At: h.millis()}
	first := impact.Assess(m, impact.Input{At: h.millis(), Signals: []impact.Signal{s}})
	h.cmd(n, incident.Score{Assessment: first})
	ana.get(room).want(200).has("The score agrees with SEV2.")

	s.Open = false
	h.late.Add(20 * 60_000)
	second := impact.Assess(m, impact.Input{At: h.millis(), Signals: []impact.Signal{s}, Before: &first})
	h.cmd(n, incident.Score{Assessment: second})
	const why = "What is known would be SEV5, but too little is known to advise it; not known: users, money, regulatory, sentiment."
	ana.get(room).want(200).has("SEV2 stays advised. "+why, "impact 0 of 100").hasNot("which stands for SEV5", "SEV5 is advised", "The score agrees")
	ana.get(room + "/impact").want(200).has("SEV2 stays advised. " + why).hasNot("SEV5 is advised")
	h.cmd(n, incident.SetSeverity{Severity: "SEV4", Reason: "blocks come again"})
	ana.get(room).want(200).has("SEV2 was advised last; SEV4 is set. " + why).hasNot(`data-command="follow_advice"`)

	h.late.Add(20 * 60_000)
	third := impact.Assess(m, impact.Input{At: h.millis(), Signals: []impact.Signal{s}, Before: &second, Facts: []impact.Fact{{Name: impact.FactMoneyMoved, Value: "0", By: "person:ana", At: h.millis()}}})
	h.cmd(n, incident.Score{Assessment: third})
	ana.get(room).want(200).has("By what is known it is SEV5 now; SEV4 is set.", `data-command="follow_advice"`, "SEV5 is advised, it was SEV2: it has been milder for ten minutes.")
}

// TestWhatClearedAsksForItsAnswer: a reorg that has cleared keeps its severity, and the first button states what would answer it.
func TestWhatClearedAsksForItsAnswer(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Reorg", Severity: "SEV1"})
	s := impact.Signal{ID: "s", Kind: "reorg", Severity: "SEV1", Title: "Reorg of 157 blocks", Chain: "polygon", OpenedAt: h.millis() - 60_000, At: h.millis()}
	h.cmd(n, incident.Score{Assessment: impact.Assess(impact.Model{Preset: impact.Exchange}, impact.Input{At: h.millis(), Signals: []impact.Signal{s}})})
	page := h.ana().get("/incidents/"+itoa(n)).want(200).has("The score agrees with SEV1.", "Reorg of 157 blocks. It has cleared, but what was credited or released on the branch that is gone has not been counted.", "Would tell more").body
	_, asks, _ := strings.Cut(page, "Would tell more")
	money, moving := strings.Index(asks, "Money moved …"), strings.Index(asks, "Funds are moving …")
	if money < 0 || moving < money {
		t.Errorf("the room does not ask first what would answer it: money moved at %d, funds are moving at %d", money, moving)
	}
}

func TestImpactIsForTheRoom(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Bridge drained", Severity: "SEV3"})
	guest := h.member("guest", auth.RoleStakeholder, "clients")
	for _, p := range []string{"/incidents/" + itoa(n) + "/impact"} {
		guest.get(p).want(403)
	}
	guest.post("/incidents/"+itoa(n)+"/facts", "fact", "funds_moving", "value", "yes").want(403)
	h.ana().get("/incidents/99/impact").want(404)
	h.ana().post("/incidents/99/facts", "fact", "funds_moving", "value", "yes").want(404)
	h.ana().command(n, "score", map[string]any{"assessment": map[string]any{"score": 1}}).want(422).has("internal_command")
}
