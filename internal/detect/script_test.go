package detect_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// step is one observation, or a tick, and what must come of it: "opened", "updated" or "over", then the severity (with ~ before it when weak),
// then the key; says must be in the first finding's reason.
type step struct {
	why  string
	o    observation.Observation
	want []string
	says string
}

func tick(at int64) observation.Observation { return observation.Observation{At: at} }

// days is a moment far from zero, so that no rule can live on small numbers.
const start = int64(1_700_000_000_000)

func give(h detect.Heuristic, o observation.Observation) []chain.Finding {
	o.At += start
	if o.Kind == "" {
		return h.Tick(o.At)
	}
	return h.Observe(o)
}

// bounded tells whether a finding's bound is one that a threshold can be moved by: what alarms is at or below it.
func bounded(f chain.Finding) bool {
	return f.Bound >= 0 && f.Bound <= 1 && (f.Bound == 0 || f.Score > 0 && (f.Weak || f.Score <= f.Bound))
}

// lives follows findings and says what breaks the life cycle.
type lives map[string]chain.Finding

func (l lives) take(f chain.Finding) (string, error) {
	was, open := l[f.Key]
	parts := strings.SplitN(f.Key, "/", 3)
	switch {
	case len(parts) != 3 || f.Kind != parts[1]:
		return "", fmt.Errorf("key %s of kind %s", f.Key, f.Kind)
	case !open && !f.Firing:
		return "", fmt.Errorf("%s ended without having opened", f.Key)
	case f.Title == "" || f.Reason == "" || f.Severity == "" || f.Detector == "":
		return "", fmt.Errorf("%s says too little: %+v", f.Key, f)
	case f.Firing && (!json.Valid(f.Evidence) && f.Evidence != nil || len(f.Evidence) > 16<<10):
		return "", fmt.Errorf("%s has evidence %s", f.Key, f.Evidence)
	case open && f.Firing && f.At-was.At < 60_000 && f.Severity >= was.Severity && f.Weak == was.Weak && f.Kind != detect.KindBridgeDrain &&
		(f.Verification != chain.Confirmed || !was.Verification.Held()): // that a second voice confirms it is told at once
		return "", fmt.Errorf("%s was repeated after %d ms", f.Key, f.At-was.At)
	case f.Firing && !bounded(f):
		return "", fmt.Errorf("%s is weak %v with score %v and bound %v", f.Key, f.Weak, f.Score, f.Bound)
	case f.Since > f.At || f.Score < 0 || f.Score > 1:
		return "", fmt.Errorf("%s since %d at %d, score %v", f.Key, f.Since, f.At, f.Score)
	}
	weak := ""
	if f.Weak {
		weak = "~"
	}
	if !f.Firing {
		delete(l, f.Key)
		return "over " + f.Key, nil
	}
	l[f.Key] = f
	if open {
		return "updated " + weak + f.Severity + " " + f.Key, nil
	}
	return "opened " + weak + f.Severity + " " + f.Key, nil
}

// play runs a script as it stands, then with a restart at every step, then with everything told twice, and at last forgets the state: what the
// log holds open must get its end.
func play(t *testing.T, build func() detect.Heuristic, script []step) {
	t.Helper()
	h, l := build(), lives{}
	var all [][]chain.Finding
	for i, s := range script {
		found := give(h, s.o)
		all = append(all, found)
		var got []string
		for _, f := range found {
			what, err := l.take(f)
			if err != nil {
				t.Errorf("%d %s: %v", i, s.why, err)
			}
			got = append(got, what)
		}
		if !slices.Equal(got, s.want) {
			t.Errorf("%d %s: got %q, want %q", i, s.why, got, s.want)
		}
		if s.says != "" && (len(found) == 0 || !strings.Contains(found[0].Reason, s.says)) {
			t.Errorf("%d %s: %+v does not say %q", i, s.why, found, s.says)
		}
	}
	open := h.Open()

	h = build()
	for i, s := range script {
		if i%13 == 0 || i >= len(script)-60 { // of a long script the beginning is only history
			b, err := h.Save()
			if err != nil {
				t.Fatal(err)
			}
			h = build()
			if err := h.Load(b); err != nil {
				t.Fatal(err)
			}
		}
		if found := give(h, s.o); !reflect.DeepEqual(texts(found), texts(all[i])) {
			t.Errorf("%d %s: after a restart %s, without %s", i, s.why, texts(found), texts(all[i]))
		}
	}
	if !slices.Equal(h.Open(), open) {
		t.Errorf("after restarts %v are open, without %v", h.Open(), open)
	}

	h = build()
	for i, s := range script {
		found := give(h, s.o)
		if s.o.Tx != "" {
			found = append(found, give(h, s.o)...)
		}
		if !reflect.DeepEqual(texts(found), texts(all[i])) {
			t.Errorf("%d %s: told twice %s, once %s", i, s.why, texts(found), texts(all[i]))
		}
	}

	h = build()
	h.Resume(append([]string{"c/something_else/x", "nonsense"}, open...))
	if !slices.Equal(h.Open(), open) {
		t.Errorf("resumed %v, open are %v", open, h.Open())
	}
	at := script[len(script)-1].o.At
	ended := append(h.Tick(start+at), h.Tick(start+at+2*3_600_000)...)
	if len(h.Open()) > 0 || len(ended) != len(open) {
		t.Errorf("what the log holds open does not end: %v, ended %v", h.Open(), ended)
	}
	if err := build().Load([]byte(`{"name":"other","version":1}`)); err == nil {
		t.Error("the state of another detector was taken")
	}
}

func texts(f []chain.Finding) []string {
	var out []string
	for _, x := range f {
		b, _ := json.Marshal(x)
		out = append(out, string(b))
	}
	return out
}

func usd(v float64) *float64 { return &v }
