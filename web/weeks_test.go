package web

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/views"
)

func zurich(t *testing.T) *time.Location {
	t.Helper()
	z, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func share100(text string) float64 {
	var v float64
	_, _ = fmt.Sscanf(text, "%f%%", &v)
	return v
}

// weeksWhole draws eight weeks and checks what must hold of every drawing: each week of the row on call is filled without a gap or an overlap.
func weeksWhole(t *testing.T, a *almanac, begin time.Time, n int) []views.CalendarWeek {
	t.Helper()
	weeks := a.weeks(begin, n)
	for i, w := range weeks {
		at := 0.0
		for _, b := range w.Rows[0].Bars {
			if d := share100(b.X) - at; d > 0.001 || d < -0.001 {
				t.Errorf("week %d: a bar begins at %s, the one before ends at %.4f", i, b.X, at)
			}
			at = share100(b.X) + share100(b.W)
		}
		if at < 99.999 || at > 100.001 {
			t.Errorf("week %d is filled to %.4f", i, at)
		}
		if len(w.Days) != 7 || len(w.Rows) != len(weeks[0].Rows) {
			t.Errorf("week %d has %d days and %d rows", i, len(w.Days), len(w.Rows))
		}
	}
	return weeks
}

func TestWeeks(t *testing.T) {
	z := zurich(t)
	x := oncall.Schedule{ID: "s", Name: "Primary", Zone: z.String(), Layers: []oncall.Layer{
		{ID: "L1", Name: "Weeks", People: []string{"ana", "bo", "jonas"}, Start: "2022-10-03T09:00", Unit: oncall.Weekly, Every: 1},
		{ID: "L2", Name: "Nights", People: []string{"li"}, Start: "2022-10-03T09:00", Unit: oncall.Weekly, Every: 1, Only: []oncall.Window{{Days: []int{6}, From: "22:00", To: "04:00"}}},
	}, Overrides: []oncall.Override{{ID: "o1", From: time.Date(2022, 10, 19, 6, 0, 0, 0, time.UTC).UnixMilli(), Until: time.Date(2022, 10, 20, 6, 0, 0, 0, time.UTC).UnixMilli(), Order: 1}}}
	now := time.Date(2022, 10, 19, 12, 0, 0, 0, z)
	a := &almanac{of: x, zone: z, shown: z, now: now.UnixMilli(), name: strings.ToUpper, marks: everybodyOf(x), href: func(d oncall.Duty) string { return "/x" }}
	begin := monday(now, z)
	if got := begin.Format(time.RFC3339); got != "2022-10-17T00:00:00+02:00" {
		t.Fatalf("the week begins %s", got)
	}
	weeks := weeksWhole(t, a, begin, 4)
	var rows []string
	for _, r := range weeks[0].Rows {
		rows = append(rows, r.Name)
	}
	if got := strings.Join(rows, ", "); got != "On call, Overrides, Nights, Weeks" {
		t.Errorf("rows: %s", got)
	}
	if !weeks[0].Days[2].Today || weeks[0].Now == "" || weeks[1].Now != "" {
		t.Errorf("today: %+v, now at %q", weeks[0].Days[2], weeks[0].Now)
	}
	if got := weeks[1].Days[6].Turn; got != "clocks go back 03:00 → 02:00" {
		t.Errorf("Sunday 30 October: %q", got)
	}
	if weeks[2].Days[1].Month != "Nov" || weeks[0].Days[0].Month != "Oct" {
		t.Errorf("months: %+v", weeks[2].Days[1])
	}
	var holes int
	for _, b := range weeks[0].Rows[0].Bars {
		if b.Hole {
			holes++
			if b.Name != "nobody" || !strings.Contains(b.Says, "Wed 19 Oct 08:00 to Thu 20 Oct 08:00") {
				t.Errorf("the hole: %+v", b)
			}
		}
	}
	if holes != 1 {
		t.Errorf("%d holes", holes)
	}
	// The night over the end of summer time is an hour longer, and stands where the clocks say.
	for _, b := range weeks[1].Rows[2].Bars {
		if !strings.Contains(b.Says, "Sat 29 Oct 22:00 to Sun 30 Oct 04:00") {
			t.Errorf("the long night: %+v", b)
		}
	}
	utc := *a
	utc.shown = time.UTC
	weeksWhole(t, &utc, monday(now, time.UTC), 4)
	// In spring an hour is missing.
	spring := *a
	spring.now = time.Date(2023, 3, 24, 0, 0, 0, 0, z).UnixMilli()
	if got := weeksWhole(t, &spring, monday(time.UnixMilli(spring.now), z), 4)[0].Days[6].Turn; got != "clocks go forward 02:00 → 03:00" {
		t.Errorf("Sunday 26 March: %q", got)
	}
	// Nothing set: one row, a hole from end to end.
	empty := &almanac{of: oncall.Schedule{Zone: z.String()}, zone: z, shown: z, now: now.UnixMilli(), name: strings.ToUpper}
	if w := weeksWhole(t, empty, begin, 1)[0]; len(w.Rows) != 1 || len(w.Rows[0].Bars) != 1 || !w.Rows[0].Bars[0].Hole {
		t.Errorf("an empty schedule: %+v", w.Rows)
	}
}

// Days that begin late or come twice draw as well as others, in zones that turn at midnight or by half an hour.
func TestWeeksOfOddZones(t *testing.T) {
	for _, name := range []string{"America/Sao_Paulo", "Asia/Beirut", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia", "Africa/Casablanca", "Asia/Kathmandu"} {
		z, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		x := oncall.Schedule{Zone: name, Layers: []oncall.Layer{{ID: "L1", People: []string{"ana", "bo"}, Start: "2010-01-01T00:30", Unit: oncall.Daily, Every: 1}}}
		a := &almanac{of: x, zone: z, shown: z, name: strings.ToUpper, marks: everybodyOf(x)}
		for _, year := range []int{2011, 2018, 2024} {
			weeksWhole(t, a, monday(time.Date(year, 1, 1, 12, 0, 0, 0, z), z), 53)
		}
	}
}

func TestWordsOfOnCall(t *testing.T) {
	for in, want := range map[string]string{"Ana Ruiz": "AR", "tove wolodarski-hammarskjöld": "TH", "li": "L", "": "", "Émile": "É", "王 小明": "王小"} {
		if got := initials(in); got != want {
			t.Errorf("initials of %q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[int64]string{5_000: "5 s", 90_000: "90 s", 300_000: "5 m", 3_600_000: "1 h", 5_400_000: "1 h 30 m"} {
		if got := length(in); got != want {
			t.Errorf("%d ms: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[[2]string]string{{"2026-11-20T09:00", "Europe/Zurich"}: "2026-11-20T09:00", {"2026-11-20T09:00:00", "UTC"}: "2026-11-20T09:00:00Z", {"", "UTC"}: "", {"soon", "UTC"}: "soon:00Z"} {
		if got := moment(in[0], in[1]); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
