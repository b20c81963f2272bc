package oncall

import (
	"archive/zip"
	"fmt"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"
)

// zoneNames are all IANA zones that Go knows.
func zoneNames(t testing.TB) []string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var out []string
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, "/") {
			out = append(out, f.Name)
		}
	}
	if len(out) < 500 {
		t.Fatalf("only %d zones", len(out))
	}
	return out
}

func location(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

var (
	tenFrom  = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	tenUntil = time.Date(2034, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
)

// transitions are the moments (unix seconds) in [from, until) at which the clocks of a zone jump.
func transitions(zone *time.Location, from, until int64) (out []int64) {
	for t := time.Unix(from, 0).In(zone); ; {
		_, end := t.ZoneBounds()
		if end.IsZero() || end.Unix() >= until {
			return out
		}
		out = append(out, end.Unix())
		t = end.In(zone)
	}
}

// furthestShown is the latest local time that the clocks have shown until u. It is another way to say when a local time has come, and so
// judges what first works out.
func furthestShown(zone *time.Location, u int64) int64 {
	m := shown(zone, u)
	for _, x := range transitions(zone, u-50*3600, u+1) {
		m = max(m, shown(zone, x-1))
	}
	return m
}

// judge says who is on call by furthestShown alone: "override <id>", "<layer> <turn>", or "" for a hole.
func judge(s Schedule, zone *time.Location, ms int64) (key, person string) {
	for _, o := range slices.Backward(s.Overrides) {
		if o.From <= ms && ms < o.Until {
			return "override " + o.ID, o.Person
		}
	}
	m := furthestShown(zone, floor(ms, 1000))
	for _, l := range slices.Backward(s.Layers) {
		start, _ := wall(l.Start)
		end, ends := wall(l.End)
		if m < start || ends && m >= end {
			continue
		}
		var k int64
		switch unit := map[string]int64{Hourly: 3600, Daily: 86400, Weekly: 604800}[l.Unit] * int64(l.Every); unit {
		case 0:
			for monthsAfter(start, int(k+1)*l.Every) <= m {
				k++
			}
		default:
			k = (m - start) / unit
		}
		on := len(l.Only) == 0
		for _, w := range l.Only {
			f, _ := clock(w.From)
			t, _ := clock(w.To)
			if t <= f {
				t += 86400
			}
			for d := floor(m, 86400) - 2; d <= floor(m, 86400); d++ {
				day := int(time.Unix(d*86400, 0).UTC().Weekday())
				on = on || (len(w.Days) == 0 || slices.Contains(w.Days, day)) && d*86400+f <= m && m < d*86400+t
			}
		}
		if on {
			return fmt.Sprint(l.ID, " ", k+1), l.People[k%int64(len(l.People))]
		}
	}
	return "", ""
}

func monthsAfter(start int64, n int) int64 {
	t := time.Unix(start, 0).UTC()
	y, m := t.Year(), int(t.Month())+n
	last := time.Date(y, time.Month(m)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return time.Date(y, time.Month(m), min(t.Day(), last), t.Hour(), t.Minute(), 0, 0, time.UTC).Unix()
}

func keyOf(d Duty) string {
	switch {
	case d.Over != "":
		return "override " + d.Over
	case d.Layer != "":
		return fmt.Sprint(d.Layer, " ", d.Turn)
	}
	return ""
}

// TestEveryZone: in every zone there is, for ten years, the shifts of a rotation tile the time, turns go round in order, hand-overs are at the
// wall time stated wherever it exists (the first time where it comes twice) and at the first moment after it where it does not, and a turn
// is longer or shorter than its name says only by what the clocks jumped meanwhile.
func TestEveryZone(t *testing.T) {
	t.Parallel()
	names := zoneNames(t)
	var handOvers, odd, moved, turns int
	seen := map[string]bool{}
	for n, name := range names {
		zone := location(t, name)
		kinds := []Layer{
			{Unit: Weekly, Every: 1, Start: "2023-12-24T02:30"},
			{Unit: Daily, Every: 1 + n%3, Start: fmt.Sprintf("2023-12-27T%02d:%02d", n%4, n%2*30)},
			{Unit: Hourly, Every: 1 + n%11, Start: "2023-12-30T00:00"},
			{Unit: Monthly, Every: 1, Start: "2023-12-30T02:00"},
		}
		for i, l := range kinds {
			l.ID, l.People = "L1", []string{"ana", "ben", "cy"}
			from, until := tenFrom, tenUntil
			stretches := [][2]int64{{from, until}}
			if i == 1 || i == 2 { // many turns: of links to a zone only the first, and mostly around the transitions
				jumps := transitions(zone, from, until)
				key := fmt.Sprint(i, n%132, jumps)
				if seen[key] {
					continue
				}
				seen[key] = true
				if i == 2 || n%6 > 0 {
					stretches = [][2]int64{{from + 86400, from + 8*86400}}
					for _, x := range jumps {
						stretches = append(stretches, [2]int64{x - 3*86400, x + 3*86400})
					}
				}
			}
			s := Schedule{Layers: []Layer{l}}
			x, ok := spinOf(l, zone)
			if !ok {
				t.Fatal(l)
			}
			for _, st := range stretches {
				shifts := s.Shifts(st[0]*1000, st[1]*1000, zone)
				turns += len(shifts)
				if shifts[0].From > st[0]*1000 || shifts[len(shifts)-1].Until < st[1]*1000 {
					t.Fatalf("%s %v: the shifts do not cover the time", name, l)
				}
				for j, d := range shifts {
					if d.Person != l.People[(d.Turn-1)%3] || d.From >= d.Until {
						t.Fatalf("%s: %+v", name, d)
					}
					if j > 0 && (shifts[j-1].Until != d.From || shifts[j-1].Turn+1 != d.Turn && x.begin(d.Turn-2) != x.begin(d.Turn-1)) {
						t.Fatalf("%s: after %+v comes %+v", name, shifts[j-1], d)
					}
					want := x.start + (d.Turn-1)*x.unit
					if x.unit == 0 {
						want = monthsAfter(x.start, int(d.Turn-1)*l.Every)
					}
					got := d.From / 1000
					handOvers++
					if exact, exists := firstShown(zone, want); exists && got != exact {
						t.Fatalf("%s: the hand-over of turn %d is at %s, want %s", name, d.Turn, time.Unix(got, 0).In(zone), time.Unix(exact, 0).In(zone))
					} else if !exists {
						moved++
						if !(shown(zone, got-1) < want && shown(zone, got) > want) {
							t.Fatalf("%s: turn %d in a gap begins at %s", name, d.Turn, time.Unix(got, 0).In(zone))
						}
					} else if nominal := x.unit - (offset(zone, d.Until/1000) - offset(zone, got)); x.unit > 0 && shown(zone, d.Until/1000) == want+x.unit && (d.Until-d.From)/1000 != nominal {
						t.Fatalf("%s: turn %d lasts %d s, want %d", name, d.Turn, (d.Until-d.From)/1000, nominal)
					}
					if x.unit > 0 && (d.Until-d.From)/1000 != x.unit {
						odd++
						if len(transitions(zone, got-1, d.Until/1000+1)) == 0 {
							t.Fatalf("%s: turn %d lasts %d s and the clocks did not jump", name, d.Turn, (d.Until-d.From)/1000)
						}
					}
				}
			}
		}
	}
	t.Logf("%d zones, %d turns, %d hand-overs, of which %d moved out of a gap; %d turns longer or shorter", len(names), turns, handOvers, moved, odd)
	if moved < 100 || odd < 1000 {
		t.Error("too few transitions were met; this proves nothing")
	}
}

func offset(zone *time.Location, u int64) int64 { return shown(zone, u) - u }

// firstShown finds the first moment at which the clocks show a local time, by trying every offset in use around it.
func firstShown(zone *time.Location, w int64) (int64, bool) {
	best, ok := int64(0), false
	for _, near := range append(transitions(zone, w-2*furthest, w+2*furthest), w-2*furthest) {
		if u := w - offset(zone, near); shown(zone, u) == w && (!ok || u < best) {
			best, ok = u, true
		}
	}
	return best, ok
}

func drawSchedule(t *rapid.T) Schedule {
	s := Schedule{Name: "S"}
	people := rapid.SliceOfN(rapid.SampledFrom([]string{"ana", "ben", "cy", "dee", "eli"}), 1, 4)
	localTime := rapid.Custom(func(t *rapid.T) string {
		day := rapid.Int64Range(tenFrom/86400, tenFrom/86400+1500).Draw(t, "day")
		minute := rapid.SampledFrom([]int64{0, 60, 90, 120, 150, 179, 180, 540, 1380, 1439}).Draw(t, "minute")
		return time.Unix(day*86400+minute*60, 0).UTC().Format(wallLayout)
	})
	hm := rapid.SampledFrom([]string{"00:00", "01:00", "01:30", "02:00", "02:30", "03:00", "09:00", "17:30", "23:00"})
	for i := range rapid.IntRange(0, 3).Draw(t, "layers") {
		l := Layer{ID: fmt.Sprint("L", i+1), People: people.Draw(t, "people"), Start: localTime.Draw(t, "start"), Every: rapid.IntRange(1, 5).Draw(t, "every"),
			Unit: rapid.SampledFrom([]string{Hourly, Daily, Weekly, Monthly}).Draw(t, "unit")}
		if rapid.IntRange(0, 3).Draw(t, "ends") == 0 {
			l.End = localTime.Draw(t, "end")
		}
		for range rapid.IntRange(0, 3).Draw(t, "windows") {
			w := Window{From: hm.Draw(t, "w from"), To: rapid.OneOf(hm, rapid.Just("24:00")).Draw(t, "w to")}
			w.Days = rapid.SliceOfNDistinct(rapid.IntRange(0, 6), 0, 7, rapid.ID).Draw(t, "days")
			l.Only = append(l.Only, w)
		}
		s.Layers = append(s.Layers, l)
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "overrides") {
		from := rapid.Int64Range(tenFrom*1000, (tenFrom+4*365*86400)*1000).Draw(t, "o from")
		s.Overrides = append(s.Overrides, Override{ID: fmt.Sprint("o", i), Person: rapid.SampledFrom([]string{"", "zed", "yan"}).Draw(t, "o person"),
			From: from, Until: from + rapid.Int64Range(1, 400*86_400_000).Draw(t, "o long")})
	}
	return s
}

// TestAtAgreesWithTheClockOnTheWall: at any moment, above all around the jumps of the clocks, of any schedule in any zone, At says what another
// reckoning says; the stretch that it states is the same from within, and at both of its ends something else begins.
func TestAtAgreesWithTheClockOnTheWall(t *testing.T) {
	t.Parallel()
	names := zoneNames(t)
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom(names).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		s := drawSchedule(t)
		jumps := transitions(zone, tenFrom, tenUntil)
		for range 20 {
			look(t, s, zone, jumps)
		}
	})
}

// look judges one moment.
func look(t *rapid.T, s Schedule, zone *time.Location, jumps []int64) {
	var at int64
	if len(jumps) > 0 && rapid.Bool().Draw(t, "near a jump") {
		at = (rapid.SampledFrom(jumps).Draw(t, "jump") + rapid.Int64Range(-2*86400, 2*86400).Draw(t, "off")) * 1000
	} else {
		at = rapid.Int64Range(tenFrom*1000, tenUntil*1000).Draw(t, "at")
	}
	d := s.At(at, zone)
	same := func(ms int64) {
		if got := s.At(ms, zone); got.From != d.From || got.Until != d.Until || keyOf(got) != keyOf(d) || got.Person != d.Person {
			t.Fatalf("At(%d) = %+v, but At(%d) = %+v", at, d, ms, got)
		}
		if key, person := judge(s, zone, ms); key != keyOf(d) || person != d.Person {
			t.Fatalf("At(%d) says %q %q, the clock on the wall %q %q", ms, keyOf(d), d.Person, key, person)
		}
	}
	same(at)
	if d.From > 0 {
		same(d.From)
		if key, _ := judge(s, zone, d.From-1); key == keyOf(d) {
			t.Fatalf("%+v begins too late", d)
		}
	}
	if d.Until > 0 {
		same(d.Until - 1)
		if key, _ := judge(s, zone, d.Until); key == keyOf(d) {
			t.Fatalf("%+v ends too early", d)
		}
	}
	if lo, hi := max(d.From, at-400*86_400_000), at+400*86_400_000; d.Until == 0 || d.Until > at+1 {
		if d.Until > 0 {
			hi = d.Until
		}
		same(rapid.Int64Range(lo, hi-1).Draw(t, "within"))
	}
}

// TestShiftsAndHoles: shifts tile the time and say what At says; holes are exactly where nobody is.
func TestShiftsAndHoles(t *testing.T) {
	t.Parallel()
	names := zoneNames(t)
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom(names).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		s := drawSchedule(t)
		from := rapid.Int64Range(tenFrom*1000, tenUntil*1000).Draw(t, "from")
		until := from + 30*day
		shifts := s.Shifts(from, until, zone)
		var empty int64
		for i, d := range shifts {
			if i > 0 && shifts[i-1].Until != d.From || d.Until != 0 && d.Until <= d.From {
				t.Fatalf("%+v", shifts)
			}
			if !reflect.DeepEqual(s.At(max(d.From, from), zone), d) {
				t.Fatalf("%+v is not what At says", d)
			}
			if d.Person == "" {
				end := d.Until
				if end == 0 || end > until {
					end = until
				}
				empty += end - max(d.From, from)
			}
		}
		if first, last := shifts[0], shifts[len(shifts)-1]; first.From > from || last.Until != 0 && last.Until < until {
			t.Fatalf("%+v does not cover it", shifts)
		}
		for i, h := range s.Holes(from, until, zone) {
			if empty -= h.Until - h.From; h.From < from || h.Until > until || h.From >= h.Until {
				t.Fatalf("hole %d %+v", i, h)
			}
		}
		if empty != 0 {
			t.Fatalf("the holes miss %d ms", empty)
		}
	})
}
