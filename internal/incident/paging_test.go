package incident_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/impact"
	"github.com/tocsin-ops/tocsin/internal/incident"
)

// paged is an incident of which li is paged.
func paged(t *testing.T) *room {
	t.Helper()
	r := declared(t)
	p := escalation.Policy{ID: "p", Steps: []escalation.Step{{Wait: 60_000}, {Wait: 60_000}}}
	for _, c := range []incident.Command{incident.Route{Team: "ops", Policy: &p}, incident.PageStep{Turn: escalation.Turn{Epoch: 1, Round: 1, Step: 1, People: []escalation.Callee{{Person: "li"}}}}} {
		if done, err := r.do(c, "system:pager"); err != nil || len(done) != 1 {
			t.Fatalf("%s: %v %v", c.Name(), done, err)
		}
	}
	return r
}

func TestBoundsOfPaging(t *testing.T) {
	var many []escalation.Callee
	for i := range escalation.MaxPeople + 1 {
		many = append(many, escalation.Callee{Person: fmt.Sprint("p", i)})
	}
	var receipts []incident.PageReceipt
	for i := range incident.MaxReceiptBatch + 1 {
		receipts = append(receipts, incident.PageReceipt{Page: "page-42-1-1-1-li", Person: "li", Receipt: escalation.Receipt{Route: fmt.Sprint("mail", i), Outcome: escalation.Sent}})
	}
	long := impact.Assessment{At: 1, Changes: []string{strings.Repeat("x", 3*impact.MaxBytes)}}
	odd := impact.Assessment{At: 1, Loss: impact.Loss{PerMinute: math.Inf(1)}}
	steps := &escalation.Policy{Steps: make([]escalation.Step, escalation.MaxSteps+1)}
	targets := &escalation.Policy{Steps: []escalation.Step{{Targets: make([]escalation.Target, escalation.MaxTargets+1)}}}
	for _, c := range []incident.Command{
		incident.PageStep{Turn: escalation.Turn{Epoch: 1, Round: 1, Step: 2, People: many}}, incident.PageReceipts{Receipts: receipts},
		incident.Score{Assessment: long}, incident.Score{Assessment: odd}, incident.Route{Team: "x", Policy: steps}, incident.Route{Team: "x", Policy: targets},
	} {
		if _, err := paged(t).do(c, "system:pager"); code(err) != incident.CodeTooMany {
			t.Errorf("%s: %v", c.Name(), err)
		}
	}
	r := paged(t)
	if done, err := r.do(incident.PageReceipts{Receipts: receipts[1:]}, "system:pager"); err != nil || len(done) != 1 || len(r.state.Paging.Pages[0].Receipts) != escalation.MaxReceipts {
		t.Errorf("receipts that fit: %v, %d are kept", err, len(r.state.Paging.Pages[0].Receipts))
	}
	for i := range escalation.MaxAsks {
		if _, err := r.do(incident.PageByHand{Team: fmt.Sprint("t", i)}, "person:ana"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.do(incident.PageByHand{Team: "more"}, "person:ana"); code(err) != incident.CodeTooMany {
		t.Errorf("one wish more: %v", err)
	}
	for i := range incident.MaxScores + 5 {
		if _, err := r.do(incident.Score{Assessment: impact.Assessment{At: int64(i + 1), Known: true}}, "system:assess"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range incident.MaxStays + 5 {
		if _, err := r.do(incident.HandOn{Team: fmt.Sprint("team", i%2)}, "person:ana"); err != nil {
			t.Fatal(err)
		}
	}
	if n, m := len(r.state.Scores), len(r.state.Triage.Past); n != incident.MaxScores || m != incident.MaxStays || r.state.Scores[n-1].At != int64(n+5) {
		t.Errorf("%d scores and %d teams are kept", n, m)
	}
	r.replayed(t)
}

// Pages that do not wait are forgotten from the oldest on; those that wait never are.
func TestPagesThatWaitAreKept(t *testing.T) {
	r := paged(t)
	for i := range escalation.MaxPages + 20 {
		who := fmt.Sprint("p", i)
		if _, err := r.do(incident.PageByHand{Person: who}, "person:ana"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.do(incident.DeclinePage{}, "person:"+who); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.state.Paging.Pages); n != escalation.MaxPages+1 || !r.state.Paging.WaitsFor("li") {
		t.Errorf("%d pages are kept, li is among them: %v", n, r.state.Paging.WaitsFor("li"))
	}
	r.replayed(t)
}

// A full timeline neither keeps anybody from acknowledging nor a step from beginning.
func TestAFullTimelineStillPages(t *testing.T) {
	r := paged(t)
	for r.state.Timeline.Len() < incident.MaxTimeline {
		r.state = incident.Apply(r.state, incident.Event{Offset: r.state.Position + 1, Body: incident.NoteAdded{Text: "x"}})
	}
	r.now = r.now.Add(2 * 60_000_000_000)
	if done, err := r.do(incident.PageStep{Turn: escalation.Turn{Epoch: 1, Round: 1, Step: 2, People: []escalation.Callee{{Person: "bo"}}}}, "system:pager"); err != nil || len(done) != 1 {
		t.Errorf("the next step: %v", err)
	}
	if done, err := r.do(incident.Acknowledge{}, "person:bo"); err != nil || len(done) != 2 || len(r.state.Paging.Waits()) != 0 {
		t.Errorf("acknowledge: %v", err)
	}
}

// What a fact, a reason or an assessment said is nowhere in the state after it was blanked.
func TestBlankedWordsAreGone(t *testing.T) {
	const secret = "Meyer"
	r := paged(t)
	do := func(c incident.Command) {
		t.Helper()
		if _, err := r.do(c, "person:ana"); err != nil {
			t.Fatal(err)
		}
	}
	do(incident.PageByHand{Person: "bo", Reason: secret})
	do(incident.HandOn{Team: "keys", Note: secret})
	do(incident.SetFact{Fact: "users_affected", Value: "12", Note: secret})
	a := impact.Assessment{At: 1, Known: true, Score: 9, Severity: "SEV4", Changes: []string{secret}, RuleReason: &impact.Reason{Sentence: secret}, Blast: []impact.Affected{{Reason: secret}}, Missing: []string{"x"},
		Major: &impact.Major{Sentence: secret}, Loss: impact.Loss{Assumption: secret, From: impact.From{Name: secret}, Parts: []impact.LossPart{{Service: secret}}}}
	a.Axes[1].Reasons = []impact.Reason{{Sentence: secret}}
	do(incident.Score{Assessment: a})
	do(incident.DeclineAdvice{Reason: secret})
	for _, e := range r.events {
		if _, _, data, _ := incident.Encode(e.Body); strings.Contains(string(data), secret) {
			do(incident.Redact{Event: e.EventID, Reason: "a name"})
		}
	}
	judged, err := json.Marshal(r.state.Impact)
	if err != nil {
		t.Fatal(err)
	}
	if kept := fmt.Sprintf("%+v", r.state) + string(judged); strings.Contains(kept, secret) {
		t.Errorf("%q is still there: %s", secret, kept)
	}
	for _, e := range r.events {
		if b, ok := e.Body.(incident.Restated); ok {
			if _, _, data, _ := incident.Encode(b); strings.Contains(string(data), secret) {
				t.Errorf("said again: %s", data)
			}
		}
	}
	if r.state.Impact.Score != 9 || len(r.state.Scores) != 1 || !r.state.Paging.WaitsFor("bo") {
		t.Error("what happened is gone with the words")
	}
	r.replayed(t)
}
