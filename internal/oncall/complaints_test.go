package oncall

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

// TestComplaints: what users of other programs met at a change of the clocks; each case names the thread.
func TestComplaints(t *testing.T) {
	at := func(zone *time.Location, text string) int64 {
		t.Helper()
		ms, _, err := Moment(text, zone)
		if err != nil {
			t.Fatal(err)
		}
		return ms
	}
	t.Run("oncall#3261: restricted hours stay where they are on the wall", func(t *testing.T) {
		z := location(t, "Europe/London")
		s := Schedule{Layers: []Layer{{ID: "L1", People: []string{"ana"}, Start: "2023-09-01T00:00", Unit: Weekly, Every: 1, Only: []Window{{From: "08:30", To: "17:30"}}}}}
		for _, day := range []string{"2023-10-28", "2023-10-29", "2023-10-30", "2024-03-30", "2024-03-31", "2024-04-01"} {
			d := s.At(at(z, day+"T12:00"), z)
			if d.Person != "ana" || d.From != at(z, day+"T08:30") || d.Until != at(z, day+"T17:30") {
				t.Errorf("%s: %+v", day, d)
			}
		}
	})
	t.Run("oncall#5247: a weekly rotation has no hole in autumn and no overlap in spring", func(t *testing.T) {
		z := location(t, "America/Chicago")
		s := Schedule{Layers: []Layer{{ID: "L1", People: []string{"ana", "ben"}, Start: "2024-10-01T09:00", Unit: Weekly, Every: 1}}}
		from, until := at(z, "2024-10-01T09:00"), at(z, "2025-04-01T09:00")
		if holes := s.Holes(from, until, z); len(holes) != 0 {
			t.Errorf("%+v", holes)
		}
		for i, d := range s.Shifts(from, until, z) {
			if local := time.UnixMilli(d.From).In(z); local.Hour() != 9 || local.Weekday() != time.Tuesday || d.Person != []string{"ana", "ben"}[i%2] {
				t.Errorf("%s %+v", local, d)
			}
		}
	})
	t.Run("oncall#5455: a turn over the spring change ends at its time on the wall, an hour shorter", func(t *testing.T) {
		z := location(t, "America/New_York")
		s := Schedule{Layers: []Layer{{ID: "L1", People: []string{"ana", "ben"}, Start: "2025-03-01T09:00", Unit: Daily, Every: 1}}}
		d := s.At(at(z, "2025-03-09T01:00"), z)
		if d.From != at(z, "2025-03-08T09:00") || d.Until != at(z, "2025-03-09T09:00") || d.Until-d.From != 23*3600_000 {
			t.Errorf("%+v", d)
		}
	})
	t.Run("oncall#2950, #3576: a time far ahead is said with the offset of then, local and UTC", func(t *testing.T) {
		z := location(t, "America/New_York")
		s := Schedule{Layers: []Layer{{ID: "L1", Name: "Primary", People: []string{"ana"}, Start: "2023-09-01T09:00", Unit: Daily, Every: 1}}}
		for day, want := range map[string]string{"2023-10-02": "until Tue 3 Oct 09:00 (Tue 13:00 UTC)", "2024-01-02": "until Wed 3 Jan 09:00 (Wed 14:00 UTC)"} {
			if d := s.At(at(z, day+"T12:00"), z); !strings.HasSuffix(d.Why, want) {
				t.Errorf("%s: %s", day, d.Why)
			}
		}
	})
	t.Run("OpsKnight PR#378: a time that does not exist is refused at entry, one that comes twice is settled in words", func(t *testing.T) {
		for _, c := range []struct{ zone, text, says string }{
			{"Europe/Berlin", "2026-03-29T02:30", "no: 2026-03-29T02:30 does not exist in Europe/Berlin: the clocks go from 02:00 straight to 03:00. Choose 2026-03-29T03:00 or another time."},
			{"Australia/Lord_Howe", "2026-10-04T02:15", "no: 2026-10-04T02:15 does not exist in Australia/Lord_Howe: the clocks go from 02:00 straight to 02:30. Choose 2026-10-04T02:30 or another time."},
			{"Africa/Cairo", "2026-04-24T00:10", "no: 2026-04-24T00:10 does not exist in Africa/Cairo: the clocks go from 00:00 straight to 01:00. Choose 2026-04-24T01:00 or another time."},
			{"Pacific/Apia", "2011-12-30T12:00", "no: 2011-12-30T12:00 does not exist in Pacific/Apia: the clocks go from 2011-12-30T00:00 straight to 2011-12-31T00:00. Choose 2011-12-31T00:00 or another time."},
			{"Europe/Berlin", "2026-10-25T02:30", "2026-10-25 00:30: 2026-10-25T02:30 comes twice in Europe/Berlin because the clocks go back; the first is meant, 2026-10-25 00:30 UTC. For the second write 2026-10-25T01:30Z."},
			{"Europe/Berlin", "2026-10-25T02:00", "2026-10-25 00:00: 2026-10-25T02:00 comes twice in Europe/Berlin because the clocks go back; the first is meant, 2026-10-25 00:00 UTC. For the second write 2026-10-25T01:00Z."},
			{"Europe/Berlin", "2026-10-25T03:00", "2026-10-25 02:00: "},
			{"Europe/Berlin", "2026-10-25T02:30:00+01:00", "2026-10-25 01:30: "},
			{"Europe/Berlin", "2026-10-25T01:30Z", "2026-10-25 01:30: "},
			{"Europe/Berlin", "tomorrow", `no: A time is local like 2026-11-20T09:00, or has an offset like 2026-11-20T09:00:00Z; "tomorrow" is neither.`},
		} {
			ms, says, err := Moment(c.text, location(t, c.zone))
			got := utc(ms) + ": " + says
			if r := new(Refusal); errors.As(err, &r) {
				got = "no: " + r.Sentence
			}
			if got != c.says {
				t.Errorf("%s in %s:\n%s\nwant\n%s", c.text, c.zone, got, c.says)
			}
		}
	})
	t.Run("a day that a zone left out takes its turn with it, and the order stays", func(t *testing.T) {
		z := location(t, "Pacific/Apia") // there was no 30 December 2011
		s := Schedule{Layers: []Layer{{ID: "L1", People: []string{"ana", "ben", "cy"}, Start: "2011-12-28T00:00", Unit: Daily, Every: 1}}}
		var got []string
		for _, d := range s.Shifts(at(z, "2011-12-28T00:00"), at(z, "2012-01-02T00:00"), z) {
			got = append(got, time.UnixMilli(d.From).In(z).Format("02 ")+d.Person)
		}
		if text := strings.Join(got, ", "); text != "28 ana, 29 ben, 31 ana, 01 ben" {
			t.Error(text)
		}
	})
	t.Run("the month's last day stands for one that it does not have", func(t *testing.T) {
		s := Schedule{Layers: []Layer{{ID: "L1", People: []string{"ana", "ben"}, Start: "2026-01-31T09:00", Unit: Monthly, Every: 1}}}
		var got []string
		for _, d := range s.Shifts(at(time.UTC, "2026-01-31T09:00"), at(time.UTC, "2026-05-01T09:00"), time.UTC) {
			got = append(got, time.UnixMilli(d.From).UTC().Format("01-02 ")+d.Person)
		}
		if text := strings.Join(got, ", "); text != "01-31 ana, 02-28 ben, 03-31 ana, 04-30 ben" {
			t.Error(text)
		}
	})
}

// TestCheck: each warning, and nothing where all is well.
func TestCheck(t *testing.T) {
	p := &play{t: t, at: noon}
	must := func(actor string, c Command) *Body {
		t.Helper()
		b, err := p.do(actor, c)
		if err != nil || b == nil {
			t.Fatalf("%s: %v", c.Name(), err)
		}
		return b
	}
	codes := func() string {
		var out []string
		for _, w := range Check(p.Settings, testWorld(), noon) {
			out = append(out, w.Code)
		}
		return strings.Join(out, " ")
	}
	if codes() != WarnNothing {
		t.Error(codes())
	}
	layer := Layer{People: []string{"ana", "ben"}, Start: "2026-02-23T09:00", Unit: Weekly, Every: 1}
	s := must("ana", CreateSchedule{Title: "S", Zone: "UTC", Layers: []Layer{layer}}).Schedules[0].After.ID
	pol := must("ana", CreatePolicy{policyOf("P", targeted{"schedule", s})}).Policies[0].After.ID
	must("ana", CreateTeam{Title: "T", Members: []string{"ana", "ben"}, Tier: 1, Schedule: s, Policy: pol})
	if codes() != "" {
		t.Errorf("all is well, and still: %s", codes())
	}
	must("ana", AddOverride{Schedule: s, From: "2026-03-04T09:00", Until: "2026-03-04T10:00"})
	if codes() != WarnHole {
		t.Error(codes())
	}
	must("ana", Undo{p.History[len(p.History)-1].ID})
	swap := must("ana", OfferSwap{Schedule: s, Turn: "2026-03-10T09:00", Person: "ben", Return: "2026-03-03T09:00"}).Swaps[0].After.ID
	must("ben", AcceptSwap{swap})
	if codes() != "" {
		t.Error(codes())
	}
	moved := layer
	moved.ID, moved.Start = "L1", "2026-02-23T08:00"
	must("ana", EditLayer{s, moved})
	if codes() != WarnSwapMoved+" "+WarnSwapMoved {
		t.Error(codes())
	}
	must("ana", Undo{p.History[len(p.History)-1].ID})
	moved.Start, moved.End = layer.Start, "2026-03-20T09:00"
	must("ana", EditLayer{s, moved})
	if got := codes(); got != WarnHole {
		t.Error(got)
	}
	must("ana", Undo{p.History[len(p.History)-1].ID})
	must("ana", CreatePolicy{policyOf("Q", targeted{"person", "ana"})})
	if codes() != WarnAlone {
		t.Error(codes())
	}
	// ana leaves.
	w := testWorld()
	was := w.Person
	w.Person = func(h string) (string, bool) { n, ok := was(h); return n, ok && h != "ana" }
	var said []string
	for _, x := range Check(p.Settings, w, noon) {
		said = append(said, x.Code)
	}
	// S names ana, T has ana; P now reaches only ben; Q names ana, its step and itself reach nobody.
	if got := strings.Join(said, " "); got != strings.Join([]string{WarnLeft, WarnLeft, WarnAlone, WarnLeft, WarnNobody, WarnNobody}, " ") {
		t.Error(got)
	}
}

// targeted is whom a policy of a test pages.
type targeted struct{ kind, name string }

func policyOf(name string, t targeted) escalation.Policy {
	return escalation.Policy{Name: name, Steps: []escalation.Step{{Wait: minute, Targets: []escalation.Target{{Kind: t.kind, Name: t.name}}}}}
}
