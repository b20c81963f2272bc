package incident_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/incident"
)

func code(err error) string {
	var r *incident.Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return fmt.Sprint(err)
}

// TestCounts fills each list to its bound: the last fits, one more is refused.
func TestCounts(t *testing.T) {
	batch := func(from, n int) []incident.Signal {
		out := make([]incident.Signal, n)
		for i := range out {
			out[i].ID = fmt.Sprintf("s-%d", from+i)
		}
		return out
	}
	for name, c := range map[string]struct {
		most int
		make func(i int) incident.Command
	}{
		"tasks":   {incident.MaxTasks, func(int) incident.Command { return incident.AddTask{Title: "x"} }},
		"updates": {incident.MaxUpdates, func(int) incident.Command { return incident.DraftUpdate{Audience: "public", Text: "x"} }},
		"links": {incident.MaxLinks, func(i int) incident.Command {
			return incident.AddLink{URL: fmt.Sprintf("https://example.com/%d", i)}
		}},
		"addresses": {incident.MaxAddresses, func(i int) incident.Command {
			return incident.AddAddress{Chain: "ethereum", Address: fmt.Sprintf("0x%040x", i), Kind: "attacker"}
		}},
		"transactions": {incident.MaxTransactions, func(i int) incident.Command {
			return incident.AddTransaction{Chain: "ethereum", Tx: fmt.Sprintf("0x%064x", i)}
		}},
		"roles": {incident.MaxAssignments, func(i int) incident.Command {
			return incident.AssignRole{Role: "expert", Person: fmt.Sprintf("p%d", i)}
		}},
		"absorbed": {incident.MaxAbsorbed, func(i int) incident.Command { return incident.Absorb{From: int64(100 + i)} }},
		"signals": {incident.MaxSignals / incident.MaxBatch, func(i int) incident.Command {
			return incident.AttachSignals{Signals: batch(i*incident.MaxBatch, incident.MaxBatch)}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := declared(t)
			for i := range c.most {
				if done, err := r.do(c.make(i), "person:ana"); err != nil || len(done) != 1 {
					t.Fatalf("%d: %v %v", i, done, err)
				}
			}
			if _, err := r.do(c.make(c.most), "person:ana"); code(err) != incident.CodeTooMany {
				t.Fatalf("one more: %v", err)
			}
		})
	}
	r := declared(t)
	if _, err := r.do(incident.AttachSignals{Signals: batch(0, incident.MaxBatch+1)}, "person:ana"); code(err) != incident.CodeTooMany {
		t.Fatalf("a batch too large: %v", err)
	}
	all := batch(0, incident.MaxBatch)
	if _, err := r.do(incident.AttachSignals{Signals: all}, "person:ana"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.do(incident.SignalsChanged{Signals: batch(0, incident.MaxBatch+1)}, "person:ana"); code(err) != incident.CodeTooMany {
		t.Fatalf("too many changes: %v", err)
	}
	for i := range all {
		all[i].State, all[i].Reason = incident.SignalCleared, strings.Repeat("<", 100) // six bytes each in the log
	}
	if _, err := r.do(incident.SignalsChanged{Signals: all}, "person:ana"); code(err) != incident.CodeTooMany {
		t.Fatalf("changes too large: %v", err)
	}
	done, err := r.do(incident.SignalsChanged{Signals: all[:300]}, "person:ana")
	if err != nil || len(done) != 1 {
		t.Fatalf("changes that fit: %d events, %v", len(done), err)
	}
	if _, _, data, _ := incident.Encode(done[0].Body); len(data) > incident.MaxBatchBytes {
		t.Fatalf("an event of %d bytes", len(data))
	}
	r.replayed(t)
}

// TestFullTimeline: a full timeline still lets the incident end.
func TestFullTimeline(t *testing.T) {
	r := declared(t)
	for r.state.Timeline.Len() < incident.MaxTimeline {
		r.state = incident.Apply(r.state, incident.Event{Offset: r.state.Position + 1, Body: incident.NoteAdded{Text: "x"}})
	}
	if _, err := r.do(incident.AddNote{Text: "x"}, "person:ana"); code(err) != incident.CodeTooMany {
		t.Fatalf("one more: %v", err)
	}
	if _, err := r.do(incident.Resolve{Validation: "checked"}, "person:ana"); err != nil {
		t.Fatal(err)
	}
}

// TestTimeline: appending keeps order over pages and leaves older lists alone.
func TestTimeline(t *testing.T) {
	s := incident.New(1, "")
	var older []incident.Timeline
	for i := range int64(200) {
		older = append(older, s.Timeline)
		s = incident.Apply(s, incident.Event{Offset: i, Body: incident.NoteAdded{Text: fmt.Sprint(i)}})
	}
	for n, l := range older {
		if l.Len() != n {
			t.Fatalf("list %d has %d entries", n, l.Len())
		}
		for i, e := range l.All() {
			if e.Offset != int64(i) || e.Text() != fmt.Sprint(i) || l.Find(e.Offset) != i {
				t.Fatalf("list %d: entry %d is %+v", n, i, e)
			}
		}
	}
	last := s.Timeline.Last(3)
	if len(last) != 3 || last[0].Offset != 197 || len(s.Timeline.Last(999)) != 200 || len(s.Timeline.Last(-1)) != 0 {
		t.Fatalf("last %+v", last)
	}
	for i, e := range s.Timeline.Newest() {
		if i != 199 || e.Offset != 199 {
			t.Fatalf("newest is %d", i)
		}
		break
	}
	if s.Timeline.Find(1000) != -1 {
		t.Fatal("found what is not there")
	}
}

// TestCodec: every body that Decide makes has a decoder; blanks and strangers
// are no errors; a broken payload is one, and still a body.
func TestCodec(t *testing.T) {
	for _, c := range []struct {
		typ     string
		version int
		data    string
		want    incident.Body
		fails   bool
	}{
		{"incident.note_added", 1, `{"text":"x","new":true}`, incident.NoteAdded{Text: "x"}, false},
		{"incident.note_added", 1, ``, incident.Blank{EventType: "incident.note_added"}, false},
		{"incident.note_added", 2, `{}`, incident.Unknown{EventType: "incident.note_added", Version: 2, Raw: []byte(`{}`)}, false},
		{"incident.later", 1, `{}`, incident.Unknown{EventType: "incident.later", Version: 1, Raw: []byte(`{}`)}, false},
		{"incident.note_added", 1, `{"text":1}`, incident.Unknown{EventType: "incident.note_added", Version: 1, Raw: []byte(`{"text":1}`)}, true},
	} {
		got, err := incident.Decode(c.typ, c.version, []byte(c.data))
		if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", c.want) || (err != nil) != c.fails {
			t.Errorf("%s %s: %#v %v", c.typ, c.data, got, err)
		}
		if typ, version, data, err := incident.Encode(got); !c.fails && (err != nil || typ != c.typ || len(data) > 0 && version != c.version) {
			t.Errorf("%s: encoded %s %d %v", c.typ, typ, version, err)
		}
	}
	if _, _, _, err := incident.Encode(nil); err == nil {
		t.Error("nothing was encoded")
	}
}

func TestWords(t *testing.T) {
	for text, want := range map[string]incident.Severity{"1": "SEV1", " sev-5 ": "SEV5", "Sev 3": "SEV3", "SEV2": "SEV2", "0": "", "sev": "", "11": "", "": ""} {
		if got, ok := incident.ParseSeverity(text); got != want || ok != (want != "") {
			t.Errorf("severity %q: %q %v", text, got, ok)
		}
	}
	for text, want := range map[string]incident.Role{"Comms Lead": "comms", "subject_expert": "expert", "ops": "operations", "IC": "commander", "pilot": ""} {
		if got, _ := incident.ParseRole(text); got != want {
			t.Errorf("role %q: %q", text, got)
		}
	}
	if incident.Cadence(incident.SEV1) != 1_800_000 || incident.Cadence(incident.SEV2) != 3_600_000 || incident.Cadence(incident.SEV3) != 0 {
		t.Error("cadence")
	}
	s := incident.State{ImpactBeganAt: 1, DeclaredAt: 3, ResolvedAt: 9}
	if got := incident.ElapsedBases(s); !slices.Equal(got, []incident.Elapsed{{Since: "impact", From: 1, To: 9}, {Since: "declared", From: 3, To: 9}}) {
		t.Errorf("elapsed %+v", got)
	}
}
