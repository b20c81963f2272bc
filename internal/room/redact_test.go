package room

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/storetest"
)

const secret = "hunter2-the-seed-phrase"

// written makes an incident with the secret in every kind of words and returns
// the events that hold it.
func written(h *house) (n int64, targets []eventlog.Event) {
	a, err := h.Declare(h.ctx, incident.Declare{Title: "Drain " + secret, Severity: "SEV3", Summary: secret}, meta(newID()))
	if err != nil {
		h.t.Fatal(err)
	}
	n = a.Number
	for _, c := range []incident.Command{
		incident.AddNote{Text: secret}, incident.RecordDecision{Text: secret}, incident.SetSeverity{Severity: "SEV1", Reason: secret},
		incident.AddTask{Title: secret, Assignee: "ben"}, incident.CompleteTask{Task: "T1"}, incident.AddLink{URL: "https://example.org/" + secret, Title: secret},
		incident.DraftUpdate{Audience: "clients", Text: secret, Headline: secret, Components: map[string]string{"Bridge": "major_outage"}},
		incident.AttachSignals{Signals: []incident.Signal{{ID: "s1", Source: "x", Title: secret, Severity: incident.SEV1, State: "open"}}},
		incident.SetStatus{Status: "mitigating", Reason: secret}, incident.Resolve{Validation: secret}, incident.Reopen{Reason: secret},
	} {
		h.must(n, c, newID())
	}
	for _, e := range h.events() {
		if strings.Contains(string(e.Data), secret) {
			targets = append(targets, e)
		}
	}
	return n, targets
}

func stored(t *testing.T, db store.DB) string {
	t.Helper()
	var b strings.Builder
	for kv, err := range db.Scan(t.Context(), store.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		b.Write(kv.Value)
	}
	return b.String()
}

func TestRedactTakesWordsAndKeepsFacts(t *testing.T) {
	db := memory()
	h := open(t, db)
	n, targets := written(h)
	if len(targets) < 10 {
		t.Fatalf("only %d events hold the secret", len(targets))
	}
	if !strings.Contains(stored(t, db), secret) {
		t.Fatal("the store does not show the secret even before; this test would prove nothing")
	}
	before := h.load(n)
	for _, e := range targets {
		a := h.must(n, incident.Redact{Event: e.ID, Reason: "a seed phrase"}, newID())
		if len(a.Events) != 1 || a.Events[0].Type != eventlog.RedactedType {
			t.Fatalf("redacting %s: %s", e.Type, tell(a))
		}
	}
	after := h.load(n)
	if text := fmt.Sprintf("%+v", after); strings.Contains(text, secret) {
		t.Errorf("the state still says it: %s", text)
	}
	if strings.Contains(stored(t, db), secret) {
		t.Error("the store still holds it")
	}
	facts := func(s incident.State) string {
		out := fmt.Sprint(s.Severity, s.Status, s.DeclaredAt, s.ResolvedAt, len(s.Tasks), s.Tasks[0].Done, s.Tasks[0].Assignee, len(s.Links), len(s.Signals), s.Signals[0].State, len(s.Updates))
		return out
	}
	if facts(before) != facts(after) {
		t.Errorf("facts changed:\n%s\n%s", facts(before), facts(after))
	}
	report, err := eventlog.Verify(h.ctx, eventlog.Stored(db, "here"), eventlog.VerifyOptions{})
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	if !strings.Contains(report.String(), "redacted") {
		t.Errorf("the report does not tell of redactions: %s", report)
	}
	// The running room has forgotten too: a cached state would bring the words back.
	h.must(n, incident.AddNote{Text: "after"}, newID())
	if text := fmt.Sprintf("%+v", h.Rooms.desks[n].state); strings.Contains(text, secret) {
		t.Error("the desk's cache still says it")
	}
	// Again, by another command: fulfilled. What does not exist: refused.
	if a := h.must(n, incident.Redact{Event: targets[0].ID, Reason: "again"}, newID()); len(a.Events) != 0 || a.Position < 0 {
		t.Errorf("redacting twice: %s", tell(a))
	}
	_, err = h.Do(h.ctx, n, incident.Redact{Event: "999", Reason: "?"}, meta(newID()))
	wantCode(t, err, incident.CodeNoSuchEvent)
}

// TestRedactUndoesNothing: commands given while an event is being blanked keep
// their effect, though its facts are said again.
func TestRedactUndoesNothing(t *testing.T) {
	h := open(t, memory())
	n := h.declared("Race")
	for round := range 30 {
		a := h.must(n, incident.SetSeverity{Severity: "SEV1", Reason: secret}, newID())
		var wg sync.WaitGroup
		wg.Go(func() {
			h.must(n, incident.SetSeverity{Severity: "SEV4", Reason: "calmer"}, newID())
		})
		wg.Go(func() {
			if _, err := h.Do(h.ctx, n, incident.Redact{Event: a.Events[0].ID, Reason: "a seed phrase"}, meta(newID())); err != nil {
				t.Errorf("redact: %v", err)
			}
		})
		wg.Wait()
		if s := h.load(n); s.Severity != incident.SEV4 {
			t.Fatalf("round %d: severity %s, but SEV4 was set last", round, s.Severity)
		}
	}
}

// TestRedactDiesInBetween: a crash after the facts are said again and before the
// words go; repeating the command finishes it and says nothing twice.
func TestRedactDiesInBetween(t *testing.T) {
	var dead bool
	inner := memory()
	db := storetest.Faulty(inner, func(int, store.Txn) storetest.Fault {
		if dead {
			return storetest.Lose()
		}
		return storetest.Pass()
	})
	h := open(t, db)
	n := h.declared("Crash")
	a := h.must(n, incident.SetSeverity{Severity: "SEV1", Reason: secret}, newID())
	cmd, id := incident.Redact{Event: a.Events[0].ID, Reason: "a seed phrase"}, newID()

	log := &dying{Log: h.log, die: func() { dead = true }}
	crashed := New(log)
	if _, err := crashed.Do(h.ctx, n, cmd, meta(id)); err == nil {
		t.Fatal("the crash did not happen")
	}
	dead = false
	h = open(t, inner)
	if s := h.load(n); s.Severity != incident.SEV1 {
		t.Errorf("after the crash: %s", s.Severity)
	}
	h.must(n, cmd, id)
	h.once("incident.restated", 1, id+".restate")
	h.once(eventlog.RedactedType, 1, id)
	if s := h.load(n); s.Severity != incident.SEV1 {
		t.Errorf("after the repeat: %s", s.Severity)
	}
	if strings.Contains(stored(t, inner), secret) {
		t.Error("the store still holds it")
	}
}

// dying lets one append through and then the process dies.
type dying struct {
	*eventlog.Log
	die func()
}

func (d *dying) Append(ctx context.Context, b eventlog.Batch) ([]eventlog.Event, error) {
	e, err := d.Log.Append(ctx, b)
	d.die()
	return e, err
}
