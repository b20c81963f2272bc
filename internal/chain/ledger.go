package chain

import (
	"encoding/json"
	"slices"
	"strings"
)

// ledger keeps which findings are open, so that each opens once, is updated sparingly, and always ends.
type ledger struct {
	open      map[string]*Finding
	told      map[string]int64 // when a finding was last given out
	since     map[string]int64 // when a condition began to hold
	first     map[string]int64 // when a finding was first given out
	inherited map[string]bool  // open in the log since before this monitor began
	out       []Finding
}

const (
	updateEvery = 60000 // ms between updates that only bring newer numbers
	calmFor     = 10000 // ms that a cause must be gone before the finding is over: nothing is triggered and resolved within two seconds
)

func newLedger() *ledger {
	return &ledger{open: map[string]*Finding{}, told: map[string]int64{}, since: map[string]int64{}, first: map[string]int64{}, inherited: map[string]bool{}}
}

// held tells whether a condition has now been true for at least hold ms.
func (l *ledger) held(name string, cond bool, at, hold int64) bool {
	if !cond {
		delete(l.since, name)
		return false
	}
	from, ok := l.since[name]
	if !ok {
		l.since[name], from = at, at
	}
	return at-from >= hold
}

// fire opens a finding or updates it. An update is given out at once when title, severity or verification changed (or urgent), else once a
// minute.
func (l *ledger) fire(f Finding, evidence any, urgent bool) {
	f.Firing = true
	delete(l.since, "calm/"+f.Key)
	have, ok := l.open[f.Key]
	if ok {
		f.Since = have.Since
		if have.Verification == Confirmed && f.Verification.Held() {
			l.first[f.Key] = f.At // it became worse: that waits anew
		}
		if !urgent && have.Title == f.Title && have.Severity == f.Severity && standing(have.Verification) == standing(f.Verification) &&
			(f.Reason == have.Reason || f.At-l.told[f.Key] < updateEvery) {
			return
		}
	} else {
		l.first[f.Key] = f.At
	}
	f.Evidence = marshal(evidence)
	delete(l.inherited, f.Key)
	l.open[f.Key], l.told[f.Key] = &f, f.At
	l.out = append(l.out, f)
}

// clear ends a finding, also one that only the log knows to be open. It does nothing when there is none.
func (l *ledger) clear(key string, at int64, reason string) {
	f, ok := l.open[key]
	if !ok {
		return
	}
	g := *f
	g.Firing, g.At, g.Reason = false, at, reason
	delete(l.open, key)
	delete(l.told, key)
	delete(l.first, key)
	delete(l.since, "calm/"+key)
	l.out = append(l.out, g)
}

// calmAt is when the cause of a finding was gone; at, when that is news.
func (l *ledger) calmAt(key string, at int64) int64 {
	if from, ok := l.since["calm/"+key]; ok {
		return from
	}
	return at
}

// calm ends a finding once its cause has been gone for calmFor ms: call it as long as the cause is gone. A fire in between begins the count
// anew.
func (l *ledger) calm(key string, at int64, reason string) {
	if l.open[key] != nil && l.held("calm/"+key, true, at, calmFor) {
		l.clear(key, at, reason)
	}
}

func (l *ledger) take() []Finding {
	out := l.out
	l.out = nil
	return out
}

// sorted lists the open findings, worst first, then by key.
func (l *ledger) sorted() []Finding {
	out := make([]Finding, 0, len(l.open))
	for _, f := range l.open {
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b Finding) int {
		if c := strings.Compare(a.Severity, b.Severity); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	})
	return out
}

func marshal(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage(`{}`)
	}
	return b
}
