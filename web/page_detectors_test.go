package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/feedback"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

func finding(key string, weak bool) signal.Observation {
	return signal.Observation{Key: key, Kind: "anomaly", Subject: key, Title: "Finding " + key, Reason: "It is odd.", Severity: "SEV3", Firing: true,
		Evidence: json.RawMessage(`{"ratio":0.054}`), Labels: map[string]string{"job": "wallet"},
		Finding: signal.Finding{Detector: "anomaly", Score: 5e-5, Bound: 1e-4, Weak: weak, Verification: "one_node", Seen: []string{"node-1"}}}
}

func (h *house) submit(list ...signal.Observation) {
	h.t.Helper()
	if _, err := h.desk.Submit(h.t.(*testing.T).Context(), "chains", "system:telemetry", list); err != nil {
		h.t.Fatal(err)
	}
	h.settle()
	var no *feedback.Refusal
	if err := h.Findings.Do(h.t.Context(), newID(), "person:ana", h.millis(), feedback.Undo{Change: "none"}); !errors.As(err, &no) { // who refuses has read all of the log
		h.t.Fatalf("a change that never was is taken back: %v", err)
	}
}

func (h *house) signals(v *visitor) []apiSignal {
	h.t.Helper()
	var out signalsAnswer
	if err := json.Unmarshal([]byte(v.get("/api/v1/signals").body), &out); err != nil {
		h.t.Fatal(err)
	}
	return out.Signals
}

// TestFindingsAreJudged: from the review queue to the figures and the threshold, and back by one click.
func TestFindingsAreJudged(t *testing.T) {
	h := newHouse(t)
	ana, rita := h.ana(), h.member("rita", auth.RoleResponder, "")
	h.submit(finding("a", false), finding("b", false), finding("c", false), finding("w", true), signal.Observation{Key: "out", Title: "From outside", Severity: "SEV2", Firing: true})
	queue := rita.get("/detectors").body
	for _, want := range []string{"Finding a", "Finding w", "weak: waits for review", "seen by one node only, node-1"} {
		if !strings.Contains(queue, want) {
			t.Errorf("the review queue lacks %q", want)
		}
	}
	if strings.Contains(queue, "From outside") {
		t.Error("the review queue shows what is not ours to judge")
	}
	if strings.Index(queue, "Finding w") > strings.Index(queue, "Finding a") {
		t.Error("weak findings do not come first")
	}
	var ids []string
	for _, g := range h.signals(rita) {
		if g.Detector != "" && !g.Weak {
			ids = append(ids, g.ID)
		}
		if g.Title == "From outside" {
			if a := rita.post("/signals/"+g.ID+"/verdict", "verdict", "true"); a.status != 422 || !strings.Contains(a.body, "sent from outside") {
				t.Errorf("%d %s", a.status, head(a.body))
			}
		}
	}
	for _, id := range ids {
		if a := rita.post("/signals/"+id+"/verdict", "verdict", "false", "note", "a planned restart <b>", "back", "/signals/"+id); a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), "/signals/"+id) {
			t.Fatalf("%d %s %s", a.status, a.header.Get("Location"), head(a.body))
		}
	}
	page := rita.get("/signals/" + ids[0]).body
	for _, want := range []string{"Judged false by", "a planned restart &lt;b&gt;", "1 in 20\u2009000", "&#34;ratio&#34;: 0.054", "node-1", "wallet"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page of the signal lacks %q", want)
		}
	}
	page = ana.get("/detectors").body
	for _, want := range []string{"3 of 3 judged alerts since the last change were false", "1.78 times rarer", "0 %", "Undo"} {
		if !strings.Contains(page, want) {
			t.Errorf("/detectors lacks %q", want)
		}
	}
	if strings.Contains(page, "Finding a") {
		t.Error("what is judged is still in the queue")
	}
	if strings.Contains(rita.get("/detectors").body, "Undo the change") {
		t.Error("a responder is offered what they may not do")
	}
	var change string
	h.Findings.Look(func(s *feedback.State) { change = s.Changes[0].ID })
	if a := rita.post("/detectors/undo", "change", change); a.status != http.StatusForbidden {
		t.Errorf("a responder takes back a change: %d", a.status)
	}
	if a := ana.post("/detectors/undo", "change", change); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, head(a.body))
	}
	if a := ana.post("/detectors/undo", "change", change); a.status != http.StatusConflict || !strings.Contains(a.body, "taken back already") {
		t.Errorf("twice: %d %s", a.status, head(a.body))
	}
	if a := ana.post("/detectors/threshold", "detector", "anomaly", "strictness", "7", "reason", "noise"); a.status != 422 || !strings.Contains(a.body, "between -1") {
		t.Errorf("%d %s", a.status, head(a.body))
	}
	if a := ana.post("/detectors/threshold", "detector", "anomaly", "strictness", "0.5", "reason", "noise at night"); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, head(a.body))
	}
	var doc detectorsAnswer
	if err := json.Unmarshal([]byte(rita.get("/api/v1/detectors").body), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Detectors) != 1 || doc.Detectors[0].Strictness != 0.5 || doc.Detectors[0].False != 3 || *doc.Detectors[0].Precision != 0 || len(doc.Changes) != 3 || doc.Changes[0].Reason != "noise at night" {
		t.Errorf("%+v", doc)
	}
	if d := doc.Detectors[0]; d.OneNode != 3 || d.Confirmed != 0 || d.Unverifiable != 0 {
		t.Errorf("%+v", d)
	}
	// A second node shows one; another cannot be asked about: neither is the same as being seen by one.
	sure, blind := finding("a", false), finding("b", false)
	sure.Verification, sure.Seen, blind.Verification = "confirmed", []string{"node-1", "node-2"}, "unverifiable"
	h.submit(sure, blind)
	rita.get("/detectors").want(200).has(`data-certain="confirmed">1<`, `data-certain="one-node">1<`, `data-certain="unverifiable">1<`)
	rita.get("/api/v1/detectors").want(200).has(`"confirmed":1,"one_node":1,"unverifiable":1`)
}

// TestVerdictByAPI: the same id is done once, and what a stranger to the log says of a finding does not count.
func TestVerdictByAPI(t *testing.T) {
	h := newHouse(t)
	robot, _ := h.token(auth.RoleResponder, "")
	h.submit(finding("a", false))
	id := h.signals(robot)[0].ID
	body := fmt.Sprintf(`{"id":"%s","verdict":"true","note":"n"}`, newID())
	before := h.Log.Size()
	for range 3 {
		if a := robot.do("POST", "/api/v1/signals/"+id+"/verdict", "application/json", strings.NewReader(body)); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if n := h.Log.Size() - before; n != 1 {
		t.Errorf("three times the same id: %d events", n)
	}
	for path, code := range map[string]int{"/api/v1/signals/none/verdict": 404, "/api/v1/signals/" + id + "/verdict": 422} {
		if a := robot.do("POST", path, "application/json", strings.NewReader(`{"verdict":"maybe"}`)); a.status != code {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := robot.do("POST", "/api/v1/signals/"+id+"/verdict", "application/json", strings.NewReader(`{"verdict":"true","detector":"other"}`)); a.status != 400 {
		t.Errorf("a field of one's own: %d", a.status)
	}
}
