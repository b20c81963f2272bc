package notify

import (
	"strings"
	"testing"
)

func TestTexts(t *testing.T) {
	m := page(42, "ana")
	m.AckURL = "https://tocsin.example/page/abcdefghijklmnopqrstuvwxyz"
	one := compose([]Message{m}, "https://tocsin.example")
	want(t, one.Plain+"\n", "▲ SEV2 #42 Withdrawals are stuck\nNothing has left the hot wallet for 9 minutes.\nCost: $1,200 a minute\n"+
		"I have it / not me: https://tocsin.example/page/abcdefghijklmnopqrstuvwxyz\nOpen: https://tocsin.example/incidents/42\n")
	want(t, one.Short+"\n", "SEV2 #42 Withdrawals are stuck. Nothing has left the hot wallet for 9 minutes. Cost: $1,200 a minute https://tocsin.example/page/abcdefghijklmnopqrstuvwxyz\n")
	drill := m
	drill.Drill = true
	if s := compose([]Message{drill}, "").Subject; !strings.HasPrefix(s, "DRILL ▲ SEV2") {
		t.Error(s)
	}
	other := page(43, "ana")
	other.Severity = "SEV1"
	later := page(42, "ana")
	later.ID, later.At, later.Title = "again", m.At+1, "Withdrawals are still stuck"
	notice := Message{ID: "n", Person: "ana", Kind: KindNotice, Title: "Your watch begins"}
	many := compose([]Message{m, other, later, notice}, "https://tocsin.example")
	want(t, many.Plain+"\n", "⬣ 2 incidents page you, worst SEV1 #43; 1 other messages\n⬣ SEV1 #43 Withdrawals are stuck ($1,200 a minute)\n▲ SEV2 #42 Withdrawals are still stuck ($1,200 a minute)\nYour watch begins\n"+
		"Open: https://tocsin.example/\n")
}

// An SMS is one SMS: at most 160 septets of the 7 bit alphabet, with the link whole or not at all.
func FuzzSMS(f *testing.F) {
	f.Add("⬣ SEV1 #42 Nomad bridge: outflow 5.4 % of TVL", "Nothing — “left” €[x]", "https://tocsin.example/page/abc")
	f.Add(strings.Repeat("{", 200), "", strings.Repeat("h", 300))
	f.Fuzz(func(t *testing.T, subject, body, link string) {
		s := Text{Subject: oneLine(subject, 200), Body: body, URL: link}.fill().Short
		if septets(s) > smsMost || gsm(s) != s {
			t.Fatalf("%d septets: %q", septets(s), s)
		}
		if link := gsm(link); link != "" && septets(link) <= smsMost-60 && link == strings.TrimSpace(link) && !strings.HasSuffix(s, link) {
			t.Fatalf("the link was cut: %q", s)
		}
	})
}
