package incident_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
)

func FuzzDecode(f *testing.F) {
	f.Add("incident.note_added", 1, []byte(`{"text":"x","later":1}`))
	f.Add("incident.note_added", 1, []byte(`{"text":"x","written_at":-9223372036854775808}`))
	f.Add("incident.signals_attached", 1, []byte(`{"signals":[{"signal":"a"},{"signal":"a","count":-1}]}`))
	f.Add("incident.restated", 1, []byte(`{"tasks":[{"task":""}],"detached":["a"]}`))
	f.Add("incident.update_edited", 1, []byte(`{"update":"U1","components":{}}`))
	f.Add("incident.task_added", 1, []byte(`{"task":"é"}`))
	f.Add("incident.note_added", 2, []byte(`{}`))
	f.Add("incident.note_added", 1, []byte(``))
	f.Add("incident.routed", 1, []byte(`{"team":"a","policy":{"id":"p","repeat":-1,"ack_timeout":-9,"steps":[{"wait":-1,"need":9,"targets":[{"kind":"x"}],"if":{"hours":{"zone":"?"}}}]}}`))
	f.Add("incident.paged", 1, []byte(`{"epoch":-1,"round":9,"step":-7,"people":[{"person":"a"}]}`))
	f.Add("incident.acknowledgement_withdrawn", 1, []byte(`{"person":"a","left":["b"],"have":-1,"need":9,"step":99}`))
	f.Add("incident.paging_exhausted", 1, []byte(`{"reached":true,"again":-9223372036854775808,"unanswered":9223372036854775807}`))
	f.Add("incident.escalated", 1, []byte(`{"step":-3}`))
	f.Add("incident.pages_receipted", 1, []byte(`{"receipts":[{"page":"x"}]}`))
	f.Add("incident.scored", 1, []byte(`{"assessment":{"at":1,"known":true,"axes":[{},{}]}}`))
	f.Add("incident.restated", 1, []byte(`{"judged":{"scores":[]},"unknown":["x"]}`))
	f.Add("other", 1, []byte(`{`))
	f.Fuzz(func(t *testing.T, typ string, version int, data []byte) {
		b, err := incident.Decode(typ, version, data)
		if b == nil || b.Type() != typ {
			t.Fatalf("body %v of %q", b, typ)
		}
		r := declared(t)
		s := incident.Apply(r.state, incident.Event{Offset: 9, Body: b})
		incident.Apply(s, incident.Event{Offset: 10, Body: b})
		incident.WaitingFor(s, 1)
		s.Card()
		if _, next := escalation.Due(s.Paging, s.Situation(), nobody{}, 1); next != 0 && next <= 1 {
			t.Fatalf("ask again at %d", next)
		}
		if err != nil {
			return
		}
		_, _, once, err := incident.Encode(b)
		if err != nil {
			t.Fatal(err)
		}
		again, err := incident.Decode(typ, version, once)
		if err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		if _, _, twice, err := incident.Encode(again); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s then %s: %v", once, twice, err)
		}
	})
}

// nobody is a house without people.
type nobody struct{}

func (nobody) OnCall(string, int64) ([]string, string) { return nil, "" }
func (nobody) Team(id string) ([]string, string)       { return nil, id }
func (nobody) Role(string) []string                    { return nil }
func (nobody) Here(string) bool                        { return true }

func FuzzParseCommand(f *testing.F) {
	for _, n := range incident.Names() {
		f.Add(n, []byte(`{"severity":"1","reason":"x","title":"t","text":"y","task":"T1","update":"U1","role":"comms","person":"ana"}`))
		f.Add(n, []byte(`{}`))
	}
	f.Add("add_task", []byte(`{"title":"x","due":1e99}`))
	f.Add("attach_signals", []byte(`{"signals":[{"signal":"a","state":"open"},null]}`))
	f.Fuzz(func(t *testing.T, name string, args []byte) {
		c, err := incident.ParseCommand(name, json.RawMessage(args))
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if c.Name() != name {
			t.Fatalf("%q read as %q", name, c.Name())
		}
		judge(t, c)
	})
}

func FuzzParseLine(f *testing.F) {
	for _, u := range incident.Grammar() {
		f.Add(u.Example, 3)
		f.Add(u.Name, 0)
	}
	f.Add("// x", 1)
	f.Add("/sev\u00a01 é", 5)
	f.Add("\x80/ \xff", 1)
	f.Fuzz(func(t *testing.T, line string, cursor int) {
		r := declared(t)
		for _, c := range incident.Complete(line, cursor, []string{"ana"}, nil, r.state) {
			if c.From < 0 || c.From > c.To || c.To > len(line) {
				t.Fatalf("completion %+v of %q", c, line)
			}
			if utf8.ValidString(line) && !utf8.ValidString(line[:c.From]+c.Text+line[c.To:]) {
				t.Fatalf("completion %+v cuts a character of %q", c, line)
			}
		}
		c, err := incident.ParseLine(line)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		judge(t, c)
	})
}

// judge gives a command to an incident: no panic, and every text that gets into
// an event can be written down and read again.
func judge(t *testing.T, c incident.Command) {
	t.Helper()
	r := declared(t)
	if _, err := r.do(c, "person:ana"); err != nil {
		checkRefusal(t, err)
		return
	}
	r.replayed(t)
}
