package feedback_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/feedback"
)

type house struct {
	t    interface{ Fatalf(string, ...any) }
	s    feedback.State
	n    int
	at   int64
	news []any
}

func (h *house) do(c any) error {
	bodies, err := feedback.Decide(&h.s, c)
	h.news = bodies
	for _, b := range bodies {
		h.n++
		typ, data, err := feedback.Encode(b)
		if err != nil {
			h.t.Fatalf("%v", err)
		}
		back, err := feedback.Decode(typ, data)
		if err != nil || !reflect.DeepEqual(back, b) {
			h.t.Fatalf("%+v came back as %+v: %v", b, back, err)
		}
		h.s.Apply(feedback.Event{ID: fmt.Sprintf("e%d", h.n), At: h.at, Actor: "person:ana", Body: back})
	}
	return err
}

func (h *house) judge(signal string, v feedback.Verdict, weak bool) {
	score := 1e-5
	if weak {
		score = 2e-4 // below the threshold
	}
	if err := h.do(feedback.Judge{Signal: signal, Detector: "anomaly", Title: "T", Score: score, Bound: 1e-4, Weak: weak, Verdict: v}); err != nil {
		h.t.Fatalf("%v", err)
	}
}

func (h *house) summary() feedback.Summary {
	for _, d := range h.s.Summaries(h.at) {
		if d.Name == "anomaly" {
			return d
		}
	}
	h.t.Fatalf("the detector is not listed")
	return feedback.Summary{}
}

const day = 86_400_000

func TestLabelsMoveTheThresholdWithinItsBounds(t *testing.T) {
	h := &house{t: t, at: 20_000 * day}
	h.judge("a", feedback.False, false)
	h.judge("b", feedback.False, false)
	h.judge("b", feedback.False, false) // the same again is nothing
	if len(h.news) != 0 {
		t.Errorf("the same verdict made %v", h.news)
	}
	if h.s.Strictness()["anomaly"] != 0 {
		t.Error("two labels moved it")
	}
	h.judge("c", feedback.False, false)
	if got := h.s.Strictness()["anomaly"]; got != feedback.Step {
		t.Fatalf("strictness %v after three false alarms", got)
	}
	ch := h.news[1].(feedback.Changed)
	if ch.Before != 0 || ch.After != 0.25 || !strings.Contains(ch.Reason, "3 of 3 judged alerts") {
		t.Errorf("%+v", ch)
	}
	for i := range 100 {
		h.judge(fmt.Sprint("x", i), feedback.False, false)
	}
	if got := h.s.Strictness()["anomaly"]; got != feedback.Strictest {
		t.Errorf("strictness %v, want the bound %v", got, feedback.Strictest)
	}
	id := h.s.Changes[len(h.s.Changes)-1].ID
	var r *feedback.Refusal
	if err := h.do(feedback.Undo{Change: h.s.Changes[0].ID}); !errors.As(err, &r) || r.Code != "not_newest" {
		t.Errorf("taking back the first of many: %v", err)
	}
	if err := h.do(feedback.Undo{Change: id}); err != nil || h.s.Strictness()["anomaly"] != feedback.Strictest-feedback.Step {
		t.Errorf("undo: %v, %v", err, h.s.Strictness())
	}
	if err := h.do(feedback.Undo{Change: id}); !errors.As(err, &r) || r.Code != "already_undone" {
		t.Errorf("undo twice: %v", err)
	}
	if h.judge("y", feedback.False, false); len(h.news) != 1 {
		t.Errorf("labels from before the undo argue on: %v", h.news)
	}
}

func TestMissedOnesMakeItSensitive(t *testing.T) {
	h := &house{t: t, at: 20_000 * day}
	h.judge("a", feedback.True, false)
	h.judge("m1", feedback.True, true)
	h.judge("m2", feedback.True, true)
	if got := h.s.Strictness()["anomaly"]; got != -feedback.Step {
		t.Errorf("strictness %v", got)
	}
	m := h.summary()
	if m.Precision != 1 || m.Recall != 1.0/3 || m.Labelled != 1 || m.Low > 0.3 || m.High < 0.99 {
		t.Errorf("%+v", m)
	}
	// A verdict that is changed is counted once.
	h.judge("a", feedback.False, false)
	h.judge("u", feedback.Unsure, false)
	if m = h.summary(); m.True != 0 || m.False != 1 || m.Unsure != 1 || m.Precision != 0 || m.Recall != 0 {
		t.Errorf("%+v", m)
	}
}

// TestWeakByRule: what is weak for another reason than its score argues for no change, since none would make it an alarm.
func TestWeakByRule(t *testing.T) {
	h := &house{t: t, at: 20_000 * day}
	h.judge("a", feedback.True, false)
	for _, id := range []string{"m1", "m2", "m3"} {
		if err := h.do(feedback.Judge{Signal: id, Detector: "anomaly", Title: "T", Score: 1e-6, Bound: 1e-4, Weak: true, Verdict: feedback.True}); err != nil {
			t.Fatal(err)
		}
	}
	if m := h.summary(); m.Missed != 3 || h.s.Strictness()["anomaly"] != 0 {
		t.Errorf("%+v, strictness %v", m, h.s.Strictness())
	}
}

func TestRates(t *testing.T) {
	h := &house{t: t}
	for d := range 40 {
		for range d % 3 {
			h.at = int64(20_000+d) * day
			h.s.Apply(feedback.Event{At: h.at, Body: feedback.Opened{Detector: "anomaly", Scored: true}})
			h.s.Apply(feedback.Event{At: h.at, Drill: true, Body: feedback.Opened{Detector: "anomaly"}})
		}
	}
	h.at = 20_039 * day
	if m := h.summary(); m.PerDay != 1 || len(m.Last) != feedback.Days || m.Last[29] != 0 || m.Last[28] != 2 || m.Precision != -1 {
		t.Errorf("%+v", m)
	}
	h.at = 20_100 * day
	if m := h.summary(); m.PerDay != 0 {
		t.Errorf("two quiet months later: %v a day", m.PerDay)
	}
}

// TestCertaintiesAreCounted: each alert once, as it stood last, on the day on which it was raised.
func TestCertaintiesAreCounted(t *testing.T) {
	for _, c := range []struct {
		verification string
		before, want feedback.Certainty
	}{
		{"", feedback.OneNode, feedback.NoMatter},
		{"confirmed", feedback.Unverifiable, feedback.Confirmed},
		{"one_node", feedback.Unverifiable, feedback.OneNode},
		{"unverifiable", feedback.OneNode, feedback.Unverifiable},
		{"waited", feedback.OneNode, feedback.OneNode},
		{"waited", feedback.Unverifiable, feedback.Unverifiable},
		{"waited", feedback.NoMatter, feedback.OneNode},
		{"something new", feedback.NoMatter, feedback.NoMatter},
	} {
		if got := feedback.CertaintyOf(c.verification, c.before); got != c.want {
			t.Errorf("%s after %d: %d, want %d", c.verification, c.before, got, c.want)
		}
	}
	h := &house{t: t, at: 20_000 * day}
	counts := func(confirmed, one, un int) {
		t.Helper()
		if m := h.summary(); m.Sure != confirmed || m.Alone != one || m.Unsettled != un {
			t.Errorf("confirmed %d, one node %d, unverifiable %d; want %d %d %d", m.Sure, m.Alone, m.Unsettled, confirmed, one, un)
		}
	}
	raise := func(c feedback.Certainty, weak, drill bool) {
		h.s.Apply(feedback.Event{At: h.at, Drill: drill, Body: feedback.Opened{Detector: "anomaly", Weak: weak, Scored: true, Certain: c}})
	}
	raised := h.at
	for _, c := range []feedback.Certainty{feedback.NoMatter, feedback.Confirmed, feedback.OneNode, feedback.OneNode, feedback.Unverifiable} {
		raise(c, false, false)
		raise(c, true, false)
		raise(c, false, true)
	}
	counts(1, 2, 1)
	move := func(before, after feedback.Certainty) {
		h.s.Apply(feedback.Event{At: h.at, Body: feedback.Verified{Detector: "anomaly", RaisedAt: raised, Before: before, After: after}})
	}
	h.at += 3 * day
	move(feedback.OneNode, feedback.Confirmed)
	counts(2, 1, 1)
	h.at = raised + 29*day
	move(feedback.Unverifiable, feedback.OneNode)
	counts(2, 2, 0)
	h.at = raised + 30*day
	counts(0, 0, 0)
	move(feedback.OneNode, feedback.Confirmed) // raised before what is remembered
	counts(0, 0, 0)
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		command any
		code    string
	}{
		{feedback.Judge{Signal: "s", Detector: "d", Verdict: "maybe"}, "invalid"},
		{feedback.Judge{Signal: "s", Detector: "d", Verdict: feedback.True, Drill: true}, "drill"},
		{feedback.Judge{Signal: "s", Verdict: feedback.True}, "not_ours"},
		{feedback.Judge{Signal: "s", Detector: "d", Verdict: feedback.True, Note: strings.Repeat("x", 3000)}, "text_too_long"},
		{feedback.Undo{Change: "none"}, "not_found"},
		{feedback.Set{Detector: "none"}, "not_found"},
		{feedback.Set{Detector: "rule", Strictness: 1, Reason: "r"}, "no_threshold"},
		{feedback.Set{Detector: "anomaly", Strictness: 9, Reason: "r"}, "out_of_bounds"},
		{feedback.Set{Detector: "anomaly", Strictness: 1}, "reason_needed"},
		{42, "unknown_command"},
	} {
		h := &house{t: t, at: day}
		h.s.Apply(feedback.Event{At: day, Body: feedback.Opened{Detector: "rule"}})
		h.s.Apply(feedback.Event{At: day, Body: feedback.Opened{Detector: "anomaly", Scored: true}})
		var r *feedback.Refusal
		if err := h.do(c.command); !errors.As(err, &r) || r.Code != c.code || r.Sentence == "" {
			t.Errorf("%+v: %v, want %s", c.command, err, c.code)
		}
	}
}

// TestAnyHistory: whatever people say, counts are never negative, thresholds stay in bounds, and a state written down and read again goes on
// as if it had not been.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &house{t: t, at: 20_000 * day}
		names := []string{"a", "b"}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			h.at += rapid.Int64Range(0, day).Draw(t, "later")
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				h.s.Apply(feedback.Event{At: h.at, Body: feedback.Opened{Detector: rapid.SampledFrom(names).Draw(t, "d"), Weak: rapid.Bool().Draw(t, "weak"), Scored: true}})
			case 1, 2:
				_ = h.do(feedback.Judge{Signal: rapid.SampledFrom([]string{"1", "2", "3", "4", "5", "6", "7"}).Draw(t, "s"), Detector: rapid.SampledFrom(names).Draw(t, "d"), Score: 1e-4, Bound: 1e-3,
					Weak: rapid.Bool().Draw(t, "weak"), Verdict: rapid.SampledFrom([]feedback.Verdict{feedback.True, feedback.False, feedback.Unsure}).Draw(t, "v")})
			case 4:
				h.s.Apply(feedback.Event{At: h.at, Body: feedback.Verified{Detector: rapid.SampledFrom(names).Draw(t, "d"), RaisedAt: h.at - rapid.Int64Range(-day, 40*day).Draw(t, "ago"),
					Before: feedback.Certainty(rapid.IntRange(0, 3).Draw(t, "before")), After: feedback.Certainty(rapid.IntRange(0, 3).Draw(t, "after"))}})
			case 3:
				if n := len(h.s.Changes); n > 0 {
					_ = h.do(feedback.Undo{Change: h.s.Changes[rapid.IntRange(0, n-1).Draw(t, "i")].ID})
				}
			}
			for _, d := range h.s.Summaries(h.at) {
				if d.True < 0 || d.False < 0 || d.Unsure < 0 || d.Missed < 0 || d.Calm < 0 || d.Strictness < feedback.MostSensitive || d.Strictness > feedback.Strictest ||
					d.Low > d.High || d.SinceTrue < 0 || d.SinceFalse < 0 || d.SinceMissed < 0 || d.Sure < 0 || d.Alone < 0 || d.Unsettled < 0 {
					t.Fatalf("%+v", d)
				}
			}
			b, err := json.Marshal(&h.s)
			if err != nil {
				t.Fatal(err)
			}
			var back feedback.State
			if err := json.Unmarshal(b, &back); err != nil {
				t.Fatal(err)
			}
			if again, _ := json.Marshal(&back); string(again) != string(b) {
				t.Fatalf("%s\ncame back as\n%s", b, again)
			}
			h.s = back
		}
	})
}
