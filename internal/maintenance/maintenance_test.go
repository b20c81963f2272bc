package maintenance_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/maintenance"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

func zones(name string) *time.Location {
	l, err := time.LoadLocation(name)
	if err != nil || name == "" {
		return nil
	}
	return l
}

func at(text string) int64 {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t.UnixMilli()
}

type house struct {
	t   *testing.T
	s   maintenance.State
	now int64
	n   int
}

// do carries a command out and returns what was said.
func (h *house) do(command any) string {
	h.t.Helper()
	b, err := maintenance.Decide(&h.s, command, h.now, zones)
	var r *maintenance.Refusal
	switch {
	case errors.As(err, &r):
		return r.Code
	case err != nil:
		h.t.Fatal(err)
	case b == nil:
		return "nothing"
	}
	h.n++
	h.s.Apply(maintenance.Event{ID: fmt.Sprint(h.n), At: h.now, Actor: "person:ana", Body: *b})
	return b.What
}

var bridge = signal.Signal{Source: "am", Component: "Bridge", Severity: "SEV3", Labels: map[string]string{"env": "prod"}}

func TestLifeOfAWindow(t *testing.T) {
	h := &house{t: t, now: at("2026-11-20 12:00")}
	w := maintenance.Window{ID: "w", Name: "Upgrade", Reason: "new validators", Match: signal.Match{Components: []string{"bridge"}}, From: at("2026-11-20 14:00"), Until: at("2026-11-20 15:00"), Loud: "SEV1"}
	quiet := func(g signal.Signal) bool { return h.s.Quiet(g, h.now, zones) != nil }
	step := func(clock string, command any, said string, hushed bool) {
		t.Helper()
		h.now = at("2026-11-20 " + clock)
		if command != nil {
			if got := h.do(command); got != said {
				t.Errorf("%s: %s, want %s", clock, got, said)
			}
		}
		if quiet(bridge) != hushed {
			t.Errorf("%s: quiet is %v", clock, !hushed)
		}
	}
	step("12:00", maintenance.Plan{Window: w}, "planned", false)
	step("12:00", maintenance.Plan{Window: w}, "nothing", false) // the same again
	step("12:01", maintenance.Stop{ID: "w"}, "not_active", false)
	step("13:59", nil, "", false)
	step("14:00", nil, "", true)
	step("14:59", maintenance.Start{ID: "w"}, "active", true)
	step("15:00", nil, "", false)
	step("15:00", maintenance.Stop{ID: "w"}, "over", false)
	step("13:00", maintenance.Start{ID: "w"}, "started", true)
	step("13:05", maintenance.Stop{ID: "w"}, "stopped", false)
	step("13:06", maintenance.Undo{ID: "w"}, "undone", true)
	step("13:07", maintenance.Cancel{ID: "w"}, "cancelled", false)
	step("13:08", maintenance.Cancel{ID: "w"}, "over", false)
	step("13:09", maintenance.Undo{ID: "w"}, "undone", true)
	later := w
	later.From, later.Until = at("2026-11-21 14:00"), at("2026-11-21 15:00")
	step("13:10", maintenance.Edit{Window: later}, "changed", false)
	step("13:11", maintenance.Undo{ID: "w", Change: "1"}, "not_newest", false)
	step("13:11", maintenance.Undo{ID: "w", Change: fmt.Sprint(h.n)}, "undone", true)
	worst := bridge
	worst.Severity = "SEV1"
	other := bridge
	other.Component = "Trading"
	drill := bridge
	drill.Drill = true
	for name, g := range map[string]signal.Signal{"what is loud": worst, "another component": other, "a drill": drill} {
		if quiet(g) {
			t.Errorf("%s is quiet", name)
		}
	}
	q := h.s.Quiet(bridge, h.now, zones)
	if got := q.Sentence(); got != "Quiet for maintenance “Upgrade” until 2026-11-20 15:00 UTC: new validators" {
		t.Error(got)
	}
}

func TestRefusals(t *testing.T) {
	h := &house{t: t, now: at("2026-11-20 12:00")}
	good := maintenance.Window{ID: "w", Name: "N", Reason: "R", Match: signal.Match{Kinds: []string{"x"}}, From: h.now, Until: h.now + 1000}
	weekly := good
	weekly.Until, weekly.Weekly = 0, &maintenance.Weekly{Zone: "Europe/Zurich", Days: []int{1}, Hour: 2, Minutes: 60}
	for want, change := range map[string]func(w *maintenance.Window){
		"name_missing":   func(w *maintenance.Window) { w.Name = " " },
		"reason_missing": func(w *maintenance.Window) { w.Reason = "" },
		"text_too_long":  func(w *maintenance.Window) { w.Reason = strings.Repeat("x", 301) },
		"scope_missing":  func(w *maintenance.Window) { w.Match = signal.Match{} },
		"bad_match":      func(w *maintenance.Window) { w.Match.Labels = []string{"a=~("} },
		"bad_severity":   func(w *maintenance.Window) { w.Loud = "loud" },
		"time_missing":   func(w *maintenance.Window) { w.Until = 0 },
		"bad_time":       func(w *maintenance.Window) { w.Until = w.From },
		"past":           func(w *maintenance.Window) { w.From, w.Until = 1, 2 },
		"too_long":       func(w *maintenance.Window) { w.Until = w.From + 91*24*3600_000 },
		"bad_zone":       func(w *maintenance.Window) { *w = weekly; k := *w.Weekly; k.Zone = "Mars/Olympus"; w.Weekly = &k },
		"days_missing":   func(w *maintenance.Window) { *w = weekly; k := *w.Weekly; k.Days = nil; w.Weekly = &k },
		"bad_day":        func(w *maintenance.Window) { *w = weekly; k := *w.Weekly; k.Days = []int{7}; w.Weekly = &k },
		"bad_length":     func(w *maintenance.Window) { *w = weekly; k := *w.Weekly; k.Minutes = 0; w.Weekly = &k },
		"bad_id":         func(w *maintenance.Window) { w.ID = "" },
	} {
		w := good
		change(&w)
		if got := h.do(maintenance.Plan{Window: w}); got != want {
			t.Errorf("%s: %s", want, got)
		}
	}
	for _, c := range []any{maintenance.Stop{ID: "x"}, maintenance.Start{ID: "x"}, maintenance.Undo{ID: "x"}, maintenance.Cancel{ID: "x"}} {
		if got := h.do(c); got != "not_found" {
			t.Errorf("%T: %s", c, got)
		}
	}
	if got := h.do(maintenance.Plan{Window: weekly}); got != "planned" {
		t.Error(got)
	}
	if got := h.do(maintenance.Start{ID: "w"}); got != "weekly" {
		t.Error(got)
	}
}

// A weekly window over the nights on which the clocks change: it begins at the
// local time, once a day, and lasts by the clock that never changes.
func TestWeeklyOverClockChanges(t *testing.T) {
	w := maintenance.Window{ID: "w", From: at("2026-01-01 00:00"), Weekly: &maintenance.Weekly{Zone: "Europe/Zurich", Days: []int{0, 1, 2, 3, 4, 5, 6}, Hour: 2, Minute: 30, Minutes: 60}}
	for now, want := range map[string]string{
		"2026-03-28 00:00": "2026-03-28 01:30 to 2026-03-28 02:30", // winter
		"2026-03-29 00:00": "2026-03-29 01:30 to 2026-03-29 02:30", // 02:30 does not exist on this day: an hour later by the clock on the wall
		"2026-03-29 12:00": "2026-03-30 00:30 to 2026-03-30 01:30", // summer
		"2026-10-24 12:00": "2026-10-25 00:30 to 2026-10-25 01:30", // 02:30 comes twice: the first
		"2026-10-25 12:00": "2026-10-26 01:30 to 2026-10-26 02:30",
	} {
		s, ok := w.Next(at(now), zones)
		got := time.UnixMilli(s.From).UTC().Format("2006-01-02 15:04") + " to " + time.UnixMilli(s.Until).UTC().Format("2006-01-02 15:04")
		if !ok || got != want {
			t.Errorf("after %s: %s, want %s", now, got, want)
		}
	}
	h := &house{t: t, now: at("2026-11-23 01:00")} // a Monday
	w = maintenance.Window{ID: "w", Name: "N", Reason: "R", Match: signal.Match{Components: []string{"Bridge"}}, From: at("2026-11-01 00:00"), Weekly: &maintenance.Weekly{Zone: "UTC", Days: []int{1}, Hour: 2, Minutes: 120}}
	h.do(maintenance.Plan{Window: w})
	h.now = at("2026-11-23 03:00")
	if h.s.Quiet(bridge, h.now, zones) == nil {
		t.Error("the weekly window is not active")
	}
	if got := h.do(maintenance.Stop{ID: "w"}); got != "stopped" || h.s.Quiet(bridge, h.now, zones) != nil {
		t.Errorf("stopping: %s", got)
	}
	if h.s.Quiet(bridge, at("2026-11-30 03:00"), zones) == nil {
		t.Error("a stopped weekly window does not come again")
	}
}

// At any time, a window is active exactly when its next span has begun; and undo of anything gives back what was.
func TestWindowsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := at("2026-10-01 00:00")
		w := maintenance.Window{ID: "w", From: base + rapid.Int64Range(0, 40*24*60).Draw(t, "from")*60_000}
		if rapid.Bool().Draw(t, "weekly") {
			w.Weekly = &maintenance.Weekly{Zone: rapid.SampledFrom([]string{"UTC", "Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"}).Draw(t, "zone"),
				Days: rapid.SliceOfNDistinct(rapid.IntRange(0, 6), 1, 7, rapid.ID).Draw(t, "days"), Hour: rapid.IntRange(0, 23).Draw(t, "h"), Minute: rapid.IntRange(0, 59).Draw(t, "m"), Minutes: rapid.IntRange(1, 10080).Draw(t, "len")}
		} else {
			w.Until = w.From + rapid.Int64Range(1, 3*24*60).Draw(t, "len")*60_000
		}
		now := base + rapid.Int64Range(0, 60*24*60).Draw(t, "now")*60_000
		next, comes := w.Next(now, zones)
		span, active := w.At(now, zones)
		if active != (comes && next.From <= now) || active && (!reflect.DeepEqual(span, next) || now >= span.Until) {
			t.Fatalf("next %v %v, at %v %v", next, comes, span, active)
		}
		if w.Weekly != nil && (!comes || next.From > max(now, w.From)+8*24*3600_000) {
			t.Fatalf("a weekly window does not come within eight days: %v", next)
		}
	})
}
