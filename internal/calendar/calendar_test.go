package calendar

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/store/mem"
)

var update = flag.Bool("update", false, "write the golden files")

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMilli()

var crowd = []Person{{"ana", "Ana Alvarez"}, {"ben", "Ben Berg"}, {"cy", "Cy Chen"}}

func berlin(t testing.TB) *time.Location {
	t.Helper()
	l, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -update and read the difference\n%s", path, got)
	}
}

// TestRead: what Outlook and Google write, with the times, the people and the refusals that come of it.
func TestRead(t *testing.T) {
	for _, name := range []string{"outlook", "google"} {
		t.Run(name, func(t *testing.T) {
			file, err := os.ReadFile(filepath.Join("testdata", name+".ics"))
			if err != nil {
				t.Fatal(err)
			}
			var last string
			for _, end := range []string{"\n", "\r\n"} {
				times, refused, err := Read(t.Context(), bytes.ReplaceAll(file, []byte("\n"), []byte(end)), berlin(t), time.LoadLocation, noon)
				if err != nil {
					t.Fatal(err)
				}
				p := NewPlan(times, refused, crowd, nil)
				var b strings.Builder
				for _, a := range p.Add {
					fmt.Fprintf(&b, "%s %s until %s UTC  %s (%s)\n", a.Person, stamp(a.From), stamp(a.Until), a.Summary, a.UID)
				}
				for _, r := range p.Refused {
					fmt.Fprintf(&b, "refused %s %q: %s\n", r.UID, r.Summary, r.Why)
				}
				fmt.Fprintf(&b, "unmatched %q\n", p.Unmatched)
				if last != "" && b.String() != last {
					t.Errorf("line ends change what is read:\n%s\n%s", last, b.String())
				}
				last = b.String()
			}
			golden(t, name+".txt", last)
		})
	}
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04") }

// TestDefinedZone: a zone that a file defines as Outlook does gives the same moments as the zone of that name, every hour for ten years.
func TestDefinedZone(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("testdata", "outlook.ics"))
	if err != nil {
		t.Fatal(err)
	}
	r := &reading{zone: time.LoadLocation, zones: map[string]clocks{}, local: time.UTC}
	if r.cal, err = parse(file); err != nil {
		t.Fatal(err)
	}
	got, err := r.clocksOf("W. Europe Standard Time")
	if err != nil {
		t.Fatal(err)
	}
	want := place{berlin(t)}
	for u := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Unix(); u < time.Date(2034, 1, 1, 0, 0, 0, 0, time.UTC).Unix(); u += 1800 {
		if got.at(u) != want.at(u) {
			t.Fatalf("%s is %s, want %s", time.Unix(u, 0).UTC(), stamp(got.at(u)), stamp(want.at(u)))
		}
		if got.wall(u*1000) != want.wall(u*1000) {
			t.Fatalf("at %s the clocks show another time", time.Unix(u, 0).UTC())
		}
	}
}

func week() oncall.Settings {
	return oncall.Settings{Seq: 3, Schedules: []oncall.Schedule{{ID: "sched-1", Name: "Primary, all", Zone: "Europe/Berlin",
		Layers: []oncall.Layer{{ID: "L1", Name: "Week", People: []string{"ana", "ben"}, Start: "2026-03-02T09:00", End: "2026-04-13T09:00", Unit: oncall.Weekly, Every: 1}},
		Overrides: []oncall.Override{{ID: "ov-1", Person: "cy", From: noon + 40*3600_000, Until: noon + 50*3600_000, By: "ana"},
			{ID: "ov-2", From: noon + 60*3600_000, Until: noon + 61*3600_000, By: "ana"}}}},
		Notes: []oncall.HandOver{{Schedule: "sched-1", At: time.Date(2026, 3, 9, 8, 0, 0, 0, time.UTC).UnixMilli(), By: "ana", Text: "The relayer is slow; see the room."}}}
}

// TestFeed: the bytes of a feed are those of the golden file, and our own reader reads them back as the same shifts.
func TestFeed(t *testing.T) {
	s := week()
	entries := Entries(s, time.LoadLocation, OfSchedule, "sched-1", noon)
	body := Publish("On call: Primary", "https://tocsin.example", noon, entries)
	golden(t, "feed.ics", string(body))
	for line := range strings.SplitSeq(string(body), "\r\n") {
		if len(line) > 75 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("a line of %d octets: %q", len(line), line)
		}
	}
	times, refused, err := Read(t.Context(), body, time.UTC, time.LoadLocation, noon-Back.Milliseconds())
	if err != nil || len(refused) > 0 || len(times) != len(entries) {
		t.Fatalf("%d of %d came back, %v %v", len(times), len(entries), refused, err)
	}
	seen := map[string]bool{}
	for i, x := range times {
		if x.From != entries[i].From || x.Until != entries[i].Until || x.UID != entries[i].UID || seen[x.UID] {
			t.Errorf("%+v, want %+v", x, entries[i])
		}
		seen[x.UID] = true
	}
	if again := Publish("On call: Primary", "https://tocsin.example", noon, Entries(s, time.LoadLocation, OfSchedule, "sched-1", noon)); !bytes.Equal(body, again) {
		t.Error("the same settings give other bytes")
	}
	mine := Entries(s, time.LoadLocation, OfPerson, "cy", noon)
	if len(mine) != 1 || mine[0].Summary != "On call: Primary, all" || !mine[0].Alarm {
		t.Errorf("%+v", mine)
	}
}

// TestAsLayer: a rotation comes back as the layer that it was made from, over a change of the clocks; what is none says why.
func TestAsLayer(t *testing.T) {
	s := week()
	s.Schedules[0].Overrides = nil
	times, refused, err := Read(t.Context(), Publish("x", "", noon, Entries(s, time.LoadLocation, OfSchedule, "sched-1", noon)), time.UTC, time.LoadLocation, noon)
	if err != nil {
		t.Fatal(err)
	}
	p := NewPlan(times, refused, crowd, nil)
	var turns Plan
	for _, a := range p.Add {
		if a.Person != "" {
			turns.Add = append(turns.Add, a)
		}
	}
	l, why := turns.AsLayer(berlin(t))
	if why != "" || l.Start != "2026-03-02T09:00" || l.Unit != oncall.Weekly || l.Every != 1 || strings.Join(l.People, " ") != "ana ben" {
		t.Errorf("%+v %q", l, why)
	}
	turns.Add[2].From += 60_000
	if _, why := turns.AsLayer(berlin(t)); why == "" {
		t.Error("a gap makes a rotation")
	}
	if _, why := (Plan{}).AsLayer(berlin(t)); why == "" {
		t.Error("nothing makes a rotation")
	}
}

func TestPeople(t *testing.T) {
	times := []Time{{UID: "1", Summary: "J. Doe", Who: []string{"J. Doe"}, From: 1, Until: 2}}
	p := NewPlan(times, nil, crowd, nil)
	if len(p.Add) != 0 || len(p.Unmatched) != 1 || p.Unmatched[0] != "J. Doe" {
		t.Errorf("%+v", p)
	}
	if p = NewPlan(times, nil, crowd, map[string]string{" j. doe ": "cy"}); len(p.Add) != 1 || p.Add[0].Person != "cy" || len(p.Unmatched) != 0 {
		t.Errorf("%+v", p)
	}
}

// TestBounds: what is too large, too deep, too many or too long is refused at once.
func TestBounds(t *testing.T) {
	event := func(i int, more string) string {
		return fmt.Sprintf("BEGIN:VEVENT\r\nUID:u%d\r\nSUMMARY:ana\r\nDTSTART:20260302T090000Z\r\nDTEND:20260302T100000Z\r\n%sEND:VEVENT\r\n", i, more)
	}
	file := func(body string) []byte {
		return []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n" + body + "END:VCALENDAR\r\n")
	}
	var many, daily strings.Builder
	for i := range maxEvents + 1 {
		many.WriteString(event(i, ""))
	}
	for i := range 50 {
		daily.WriteString(event(i, "RRULE:FREQ=DAILY\r\n"))
	}
	for name, f := range map[string][]byte{
		"nothing": nil, "prose": []byte("Dear all,"), "empty": file(""), "large": append(file(event(0, "")), make([]byte, MaxFile)...),
		"deep": file(strings.Repeat("BEGIN:VEVENT\r\n", 50)), "many": file(many.String()), "cut": file(event(0, ""))[:60],
	} {
		if _, _, err := Read(t.Context(), f, time.UTC, time.LoadLocation, noon); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	times, refused, err := Read(t.Context(), file(daily.String()), time.UTC, time.LoadLocation, noon)
	if err != nil || len(times) != maxTimes || len(refused) == 0 {
		t.Errorf("%d times, %d refused, %v", len(times), len(refused), err)
	}
	if p := NewPlan(times, nil, crowd, nil); len(p.Add) != oncall.MaxImport || len(p.Refused) != 1 {
		t.Errorf("%d planned, %+v", len(p.Add), p.Refused)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if times, refused, err := Read(done, file(daily.String()), time.UTC, time.LoadLocation, noon); err != nil || len(times) != 0 || len(refused) != 1 {
		t.Errorf("out of time: %d times, %+v, %v", len(times), refused, err)
	}
	for _, rule := range []string{"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31", "FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2"} {
		if times, _, err := Read(t.Context(), file(event(0, "RRULE:"+rule+"\r\n")), time.UTC, time.LoadLocation, noon); err != nil || len(times) != 1 {
			t.Errorf("%s: %d times, %v", rule, len(times), err)
		}
	}
}

func TestFeeds(t *testing.T) {
	ctx, f := t.Context(), NewFeeds(mem.Open(mem.Options{}))
	feed, token, err := f.Create(ctx, Feed{Owner: "ana", Kind: OfPerson, Subject: "ana", CreatedAt: noon})
	if err != nil || strings.Contains(fmt.Sprint(feed), token[13:]) {
		t.Fatal(feed, err)
	}
	if got, err := f.Open(ctx, token, "a", noon); err != nil || got != feed {
		t.Errorf("%+v %v", got, err)
	}
	for _, bad := range []string{"", "x", feed.ID, feed.ID + "-", feed.ID + "-" + token[13:len(token)-1], "../" + token, strings.ToUpper(token), strings.Repeat("a", 12) + token[12:]} {
		if _, err := f.Open(ctx, bad, "b", noon); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	// Who guesses is shut out, others are not, and after a minute it may go on.
	var err2 error
	for range perPlace + 1 {
		_, err2 = f.Open(ctx, "nonsense", "guesser", noon)
	}
	if !errors.Is(err2, ErrTooOften) {
		t.Errorf("guessing: %v", err2)
	}
	if _, err := f.Open(ctx, token, "guesser", noon); !errors.Is(err, ErrTooOften) {
		t.Errorf("who guesses reads on: %v", err)
	}
	if _, err := f.Open(ctx, token, "a", noon); err != nil {
		t.Error(err)
	}
	if _, err := f.Open(ctx, token, "guesser", noon+60_000); err != nil {
		t.Error(err)
	}
	for range perFeed {
		_, err2 = f.Open(ctx, token, "a", noon+60_000)
	}
	if !errors.Is(err2, ErrTooOften) {
		t.Errorf("reading too often: %v", err2)
	}
	if err := f.Revoke(ctx, "ben", feed.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("another's feed: %v", err)
	}
	if list, err := f.List(ctx, "ben"); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	if err := f.Revoke(ctx, "ana", feed.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Open(ctx, token, "a", noon+200_000); !errors.Is(err, ErrUnknown) {
		t.Errorf("a revoked feed: %v", err)
	}
	for i := range maxFeeds {
		if _, _, err := f.Create(ctx, Feed{Owner: "ana", Kind: OfPerson}); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, _, err := f.Create(ctx, Feed{Owner: "ana", Kind: OfPerson}); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"outlook.ics", "google.ics", "feed.ics"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260302T090000\nDURATION:P1DT2H\nRRULE:FREQ=MONTHLY;BYMONTHDAY=-1\nRDATE:20260401T000000/PT1H\nEND:VEVENT\nEND:VCALENDAR"))
	zone := berlin(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		times, refused, err := Read(ctx, file, zone, time.LoadLocation, noon)
		if err != nil {
			if !errors.Is(err, ErrUnreadable) {
				t.Fatal(err)
			}
			return
		}
		if len(times) > maxTimes {
			t.Fatal(len(times))
		}
		for _, x := range times {
			if x.From >= x.Until || x.Until <= noon || x.From > noon+Horizon.Milliseconds() {
				t.Fatalf("%+v", x)
			}
		}
		p := NewPlan(times, refused, crowd, nil)
		p.AsLayer(zone)
		for _, o := range p.Overrides() {
			if _, _, err := oncall.Moment(o.From, zone); err != nil {
				t.Fatalf("%+v: %v", o, err)
			}
		}
	})
}

// FuzzRule: no rule of repetition makes the reading fall over or go on for ever.
func FuzzRule(f *testing.F) {
	for _, r := range []string{"FREQ=DAILY", "FREQ=MONTHLY;BYDAY=-6MO", "FREQ=MONTHLY;BYDAY=-5MO", "FREQ=YEARLY;BYDAY=5SU;BYMONTH=2", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,-1WE;WKST=SU",
		"FREQ=YEARLY;INTERVAL=1000;BYMONTHDAY=-31;BYMONTH=2", "FREQ=DAILY;COUNT=0;BYMONTH=13", "FREQ=DAILY;UNTIL=20260417T035959Z", "FREQ=WEEKLY;BYMONTHDAY=31;BYMONTH=2", "FREQ=MONTHLY;BYMONTHDAY=0"} {
		f.Add(r, int64(1772442000))
	}
	zone := berlin(f)
	f.Fuzz(func(t *testing.T, text string, start int64) {
		if strings.ContainsAny(text, "\r\n") || start < 0 || start > 7_000_000_000 {
			return
		}
		file := "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:ana\r\nDTSTART:" + time.Unix(start, 0).UTC().Format("20060102T150405") + "\r\nDURATION:PT1H\r\nRRULE:" + text + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
		if _, _, err := Read(t.Context(), []byte(file), zone, time.LoadLocation, noon); err != nil && !errors.Is(err, ErrUnreadable) {
			t.Fatal(err)
		}
	})
}
