package web

import (
	"strconv"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// TestMergedPage: a merged incident says where it went and offers nothing that
// would be refused; notes are taken, all else is refused in a sentence.
func TestMergedPage(t *testing.T) {
	h := newHouse(t)
	stays := h.declare(incident.Declare{Title: "The one that stays"})
	n := h.declare(incident.Declare{Title: "The duplicate"})
	g := h.fire("am", signal.Observation{Title: "NodeDown"})
	h.cmd(n, incident.AssignRole{Role: "commander", Person: "ana"})
	h.cmd(n, incident.AddTask{Title: "call the custodian"})
	h.cmd(n, incident.DraftUpdate{Audience: "public", Text: "We look into it."})
	h.cmd(n, incident.AttachSignal{Signal: incident.Signal{ID: g.ID, Title: g.Title}})
	ana := h.ana()
	path := "/incidents/" + strconv.FormatInt(n, 10)
	buttons := []string{`data-command="assign_role"`, `data-command="release_role"`, `data-command="complete_task"`, `data-command="approve_update"`, `data-command="detach_signal"`}
	ana.get(path).want(200).has(buttons...).has("Write a note, or / for a command").hasNot("merged into")

	h.cmd(n, incident.Merge{Into: stays})
	to := "#" + strconv.FormatInt(stays, 10)
	ana.get(path).want(200).has("merged into "+to, `href="/incidents/`+strconv.FormatInt(stays, 10)+`"`, `data-open="false"`, "Write a note; for anything else go to "+to).
		hasNot("data-command=\"", "no commander", "/summary</code>", `data-command="reopen"`)
	ana.get("/incidents/" + strconv.FormatInt(stays, 10)).want(200).has("was merged into this one")

	ana.json("POST", path+"/line", map[string]any{"line": "seen here too"}).want(200)
	says := ana.json("POST", path+"/line", map[string]any{"line": "/sev 1 funds"}).want(422).problem(incident.CodeMerged).Detail
	if !strings.Contains(says, to) || !strings.Contains(says, "only notes") {
		t.Errorf("refused with %q", says)
	}
	for _, line := range []string{"/summary x", "/resolve looked", "/reopen x", "/role comms @ana", "/done T1", "/merge " + to + "9"} {
		ana.json("POST", path+"/line", map[string]any{"line": line}).want(422)
	}
	h.settle()
	ana.get(path).want(200).has("seen here too")
}

// TestOverPage: a resolved incident shows how that was checked and offers what
// can follow, each asking first.
func TestOverPage(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Bridge"})
	ana, path := h.ana(), "/incidents/"+strconv.FormatInt(n, 10)
	ana.get(path).want(200).has("/summary").hasNot(`data-command="reopen"`, `data-command="review_done"`)
	h.cmd(n, incident.SetSummary{Summary: "The <relayer> signed twice."})
	h.cmd(n, incident.Resolve{Validation: "rate back to normal since 14:20"})
	ana.get(path).want(200).has("The &lt;relayer&gt; signed twice.", "Validated", "rate back to normal since 14:20", `data-need="reason"`,
		`data-command="reopen"`, `data-command="review_done"`, "Review done", "What shows that #"+strconv.FormatInt(n, 10)+" is not over?").hasNot("Nobody has written")
	ana.command(n, "review_done", map[string]any{}).want(200)
	h.settle()
	ana.get(path).want(200).has(`data-status="reviewed"`, `data-command="reopen"`).hasNot(`data-command="review_done"`)
	ana.command(n, "reopen", map[string]any{}).want(422).has(incident.CodeReasonMissing)
	ana.command(n, "reopen", map[string]any{"reason": "it started again"}).want(200)
	h.settle()
	ana.get(path).want(200).has(`data-status="investigating"`).hasNot(`data-command="reopen"`, "Validated")
}

// TestSignalsOfSeveralSeverities: an entry about several signals is no change of
// severity of the incident.
func TestSignalsOfSeveralSeverities(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Flood", Attach: []incident.Signal{{ID: "a", Title: "A"}, {ID: "b", Title: "B"}}})
	h.cmd(n, incident.SignalsChanged{Signals: []incident.Signal{{ID: "a", Severity: "SEV1"}, {ID: "b", Severity: "SEV3"}}})
	st, err := h.Rooms.Load(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	entries := h.presentTimeline(st, 10).Entries
	last := entries[len(entries)-1]
	if last.Kind != "signal" || last.From != "" || last.To != "" || !strings.Contains(last.Text, "signal A is SEV1") || !strings.Contains(last.Text, "signal B is SEV3") {
		t.Errorf("%+v", last)
	}
}
