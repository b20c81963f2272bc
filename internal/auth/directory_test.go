package auth

import (
	"encoding/json"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
)

func FuzzDirectoryApply(f *testing.F) {
	for _, typ := range []string{PersonInvited, InvitationRevoked, PersonJoined, PersonRoleChanged, PersonRenamed, PersonRemoved, TokenCreated, TokenRevoked, "person.future"} {
		f.Add(typ, `{"handle":"ana","name":"Ana","role":"administrator","invitation":"i","id":"t","kind":"api"}`)
		f.Add(typ, `{"handle":7}`)
		f.Add(typ, `null`)
	}
	f.Fuzz(func(t *testing.T, typ, data string) {
		d := NewDirectory()
		if !json.Valid([]byte(data)) {
			return
		}
		for seq := int64(1); seq < 4; seq++ {
			d.Apply(eventlog.Event{Stream: Stream, Seq: seq, At: 5, Type: typ, Data: json.RawMessage(data)})
			if d.Seq() != seq {
				t.Fatal("the position did not move")
			}
		}
		for _, p := range d.People() {
			if p.Handle == "" {
				t.Fatal("a person without a handle")
			}
		}
		for _, k := range d.Tokens() {
			if k.ID == "" {
				t.Fatal("a token without an id")
			}
		}
	})
}

func TestDirectoryIgnoresOthersRepeatsAndBlanks(t *testing.T) {
	d := NewDirectory()
	ana := json.RawMessage(`{"handle":"ana","name":"Ana","role":"administrator","invitation":"i"}`)
	d.Apply(eventlog.Event{Stream: "incident/1", Seq: 1, Type: PersonJoined, Data: ana})
	if d.Seq() != 0 || d.Founded() {
		t.Fatal("an event of another stream counts")
	}
	d.Apply(eventlog.Event{Stream: Stream, Seq: 1, At: 9, Type: PersonJoined, Data: ana})
	d.Apply(eventlog.Event{Stream: Stream, Seq: 1, At: 9, Type: PersonRemoved, Data: ana})
	d.Apply(eventlog.Event{Stream: Stream, Seq: 2, Type: PersonRemoved, Redacted: &eventlog.Redaction{By: "person:ana"}})
	p, ok := d.Person("ana")
	if !ok || p.Standing != Joined || p.JoinedAt != 9 || d.Seq() != 2 || !d.Founded() {
		t.Fatalf("%+v %d", p, d.Seq())
	}
	list := d.People()
	list[0].Name = "changed by a reader"
	if p, _ := d.Person("ana"); p.Name != "Ana" {
		t.Fatal("a reader changed the directory")
	}
}
