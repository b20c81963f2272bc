package incident_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/tocsin-ops/tocsin/internal/incident"
)

func FuzzDecode(f *testing.F) {
	f.Add("incident.note_added", 1, []byte(`{"text":"x","later":1}`))
	f.Add("incident.signals_attached", 1, []byte(`{"signals":[{"signal":"a"},{"signal":"a","count":-1}]}`))
	f.Add("incident.restated", 1, []byte(`{"tasks":[{"task":""}],"detached":["a"]}`))
	f.Add("incident.update_edited", 1, []byte(`{"update":"U1","components":{}}`))
	f.Add("incident.task_added", 1, []byte(`{"task":"é"}`))
	f.Add("incident.note_added", 2, []byte(`{}`))
	f.Add("incident.note_added", 1, []byte(``))
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
		for _, c := range incident.Complete(line, cursor, []string{"ana"}, r.state) {
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
