package app

import (
	"math"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/metrics"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

func TestTellingIsBounded(t *testing.T) {
	q := &telling{}
	for i := range 3 {
		list := make([]metrics.Sample, tellMost/2)
		for j := range list {
			list[j].At = int64(i)
		}
		q.add(list)
	}
	if len(q.wait) != tellMost || q.lost != tellMost/2 || q.wait[0].At != 1 {
		t.Errorf("%d wait, %d lost, the oldest of %d", len(q.wait), q.lost, q.wait[0].At)
	}
	n := 0
	for got := q.take(); len(got) > 0; got = q.take() {
		if n += len(got); len(got) > tellAtAll {
			t.Fatalf("%d at a time", len(got))
		}
	}
	if n != tellMost || q.wait != nil {
		t.Errorf("%d taken", n)
	}
}

func TestRuleSeverity(t *testing.T) {
	for word, want := range map[string]string{
		"critical": "SEV2", "Page": "SEV2", " warning ": "SEV3", "info": "SEV5", "SEV1": "SEV1", "sev4": "SEV4", "": "SEV3", "whatever": "SEV3", "p1": "SEV1", "none": "SEV5",
	} {
		if got := ruleSeverity(word); got != want {
			t.Errorf("%q is %s, want %s", word, got, want)
		}
	}
}

// TestEndOfAlerts: what is open ends only when it is known that it is over. The
// naive way, to end what is not among the alerts, ends everything at each start.
func TestEndOfAlerts(t *testing.T) {
	fresh := metrics.Standing{Rules: map[string]bool{"A": false}}
	settled := metrics.Standing{Rules: map[string]bool{"A": true}}
	many := metrics.Standing{Rules: map[string]bool{"A": true}, Beyond: 1}
	for _, c := range []struct {
		key  string
		s    metrics.Standing
		want string
	}{
		{"rules/A/0123", fresh, ""},
		{"rules/A/0123", many, ""}, // it may be among those that are not shown
		{"rules/A/0123", settled, "no longer holds"},
		{"rules/B/0123", fresh, "B is no longer in the rule files"},
		{"rules/odd", settled, "no longer in the rule files"},
		{keyFiles, settled, "can be used again"},
		{keyFailing + "g/A", settled, "can be evaluated again"},
		{keyBeyond, settled, "fewer alerts"},
	} {
		if got := endOf(c.key, c.s); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.key, got, c.want)
		}
	}
}

func TestTroublesWithRules(t *testing.T) {
	list := ruleTroubles(metrics.Standing{Broken: "r.yml:3: no", Beyond: 7, Failing: []metrics.Failure{{Rule: "A", Group: "g", Why: "timeout"}, {Rule: "A", Group: "g", Why: "twice"}, {Rule: strings.Repeat("x", 600), Group: "g"}}})
	if len(list) != 3 {
		t.Fatalf("%+v", list)
	}
	for i, want := range []string{"The rules before the change go on. r.yml:3: no", "7 more are not", "timeout"} {
		if !strings.Contains(list[i].Reason, want) || list[i].Severity != signal.SEV4 {
			t.Errorf("%+v, want %s", list[i], want)
		}
	}
	o := alertObservation(metrics.Alert{Name: "A", Key: "A/1", Labels: map[string]string{"alertname": "A"}, Value: math.Inf(1)})
	if o.Title != "A" || o.Subject != "A" || !strings.HasPrefix(o.Reason, "The condition of the rule A was met at ") || len(o.Evidence) == 0 {
		t.Errorf("%+v", o)
	}
}
