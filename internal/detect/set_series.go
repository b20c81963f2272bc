package detect

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect/series"
)

// seriesSet are the series of a Set: one detector each, and what their verdicts come to.
type seriesSet struct {
	set    *Set
	tracks map[string]*track
	order  []*track // as they appeared
	ratios map[string]*ratioState
	means  map[string]*meanState
	forms  []Ratio

	anomalies, weak, missing *book
	absent                   map[string]map[string]bool // source -> series that do not come
	groups                   map[string]*group
	combined                 *book
	review                   allowance
}

// track is one series.
type track struct {
	id, name string
	labels   map[string]string
	scope    string // first part of keys: the chain, or "series"
	subject  string
	group    string // what it is about, for combination
	source   string // what it comes from, for missing data
	rule     SeriesRule
	derived  bool             // from a monitor, which judges itself that nothing comes
	counts   bool             // part of a ratio, which is judged instead
	det      *series.Detector // nil = it is not judged
	ranks    ranks

	last   int64
	every  float64 // ms between samples, smoothed
	n      int64
	over   bool   // an alarm is open
	weak   bool   // a weak finding is
	worst  string // severity it was told with
	told   int64
	calm   int   // samples in a row that are no alarm
	since  int64 // of those
	absent bool

	reviewed int64 // when it was last put up for review
}

const (
	calmSamples = 10             // samples in a row, and ...
	newLevel    = 3_600_000      // ms after the last news of an alarm after which what is not usual is taken for the new level
	calmTime    = 5 * 60_000     // ... ms without an alarm that end one
	signTail    = 1e-2           // verdicts rarer than this that are no alarm are signs for combination, after as many samples as that takes
	reviewRate  = 12             // findings an hour that are put up for review
	extreme     = 2.0            // an alarm whose score is so far above the threshold declares by itself
	goneAfter   = 24 * 3_600_000 // ms without a sample after which a series is taken as gone
	ratioLeast  = 100
)

func newSeriesSet(s *Set) *seriesSet {
	return &seriesSet{set: s, tracks: map[string]*track{}, ratios: map[string]*ratioState{}, means: map[string]*meanState{}, forms: s.setup.ratios(), absent: map[string]map[string]bool{}, groups: map[string]*group{},
		anomalies: newBook(KindAnomaly), weak: newBook(KindWeakAnomaly), missing: newBook(KindMissing), combined: newBook(KindCombined)}
}

func (q *seriesSet) books() []*book { return []*book{q.anomalies, q.weak, q.missing, q.combined} }

func (q *seriesSet) open() (out []string) {
	for _, b := range q.books() {
		out = append(out, b.open()...)
	}
	return out
}

func (q *seriesSet) resume(keys []string) {
	for _, b := range q.books() {
		b.resume(keys)
	}
}

// identity writes a series as people do: name{label="value"}.
func identity(name string, labels map[string]string) string {
	if len(labels) == 0 {
		return name
	}
	names := make([]string, 0, 8)
	for k := range labels {
		names = append(names, k)
	}
	sort.Strings(names)
	b := make([]byte, 0, 96)
	b = append(append(b, name...), '{')
	for i, k := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, k...), '=')
		b = strconv.AppendQuote(b, labels[k])
	}
	return string(append(b, '}'))
}

// first is the first of some labels that is set, as label=value.
func first(labels map[string]string, names ...string) string {
	for _, n := range names {
		if v := labels[n]; v != "" {
			return n + "=" + v
		}
	}
	return ""
}

// track finds a series or begins it; nil when there is no room.
func (q *seriesSet) track(name string, labels map[string]string, at int64, derived bool) *track {
	id := identity(name, labels)
	if t := q.tracks[id]; t != nil {
		return t
	}
	if len(q.tracks) >= MaxSeries || len(id) > maxName {
		q.set.tooMany("series", MaxSeries, id)
		return nil
	}
	t := &track{id: id, name: name, labels: labels, rule: q.set.setup.rule(name, labels), derived: derived, last: at}
	t.place()
	for _, r := range q.forms {
		t.counts = t.counts || name == r.Part || name == r.Whole
		t.rule.NoMissing = t.rule.NoMissing || name == r.Name // its parts tell
	}
	if !t.rule.Ignore {
		t.det = series.New(series.Options{})
	}
	t.over, t.weak = q.anomalies.is(key(t.scope, KindAnomaly, t.subject)), q.weak.is(key(t.scope, KindWeakAnomaly, t.subject))
	q.tracks[id] = t
	q.order = append(q.order, t)
	q.count(t.group, 1)
	return t
}

// place works out what only depends on name and labels.
func (t *track) place() {
	t.scope, t.subject = "series", t.id
	if c := t.labels["chain"]; c != "" {
		t.scope = strings.ReplaceAll(c, "/", "_")
	}
	if len(t.subject) > subjectMax {
		t.subject = cut(t.id, subjectMax-17) + "#" + digest(t.id)
	}
	t.group = first(t.labels, "component", "service", "bridge", "chain", "job", "instance", "host", "node")
	if t.group == "" {
		t.group = t.id
	}
	if t.source = first(t.labels, "instance", "node", "host", "pod", "job", "service", "component", "venue", "chain"); t.source == "" {
		t.source = t.id
	}
}

// repeatWithin is how far, in ms, a sample may be behind its series to be taken for one that was had before, as after a restart; further
// back, the sender's clock was set.
const repeatWithin = 3_600_000

// late judges a sample of a time of its own, at or before now.
func (q *seriesSet) late(name string, labels map[string]string, own, now int64, v float64) {
	if now-own > repeatWithin {
		own = now
	}
	if t := q.tracks[identity(name, labels)]; t != nil && own <= t.last && t.n > 0 && t.last-own <= repeatWithin {
		return
	}
	q.sample(name, labels, own, v, false)
}

// sample judges one value.
func (q *seriesSet) sample(name string, labels map[string]string, at int64, v float64, derived bool) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return
	}
	q.ratio(name, labels, at, v)
	t := q.track(name, labels, at, derived)
	if t == nil {
		return
	}
	if t.n > 0 {
		step := float64(at - t.last)
		if t.n == 1 {
			t.every = step
		}
		t.every += (step - t.every) / 16
	}
	t.last = at
	t.n++
	switch {
	case t.absent:
		q.leave(t, at, "All of its series come again; the last to come back is "+t.id+".")
	case t.n == 1 && q.absent[t.source] == nil: // a log may hold it open since before a restart
		q.missing.advance(at)
		q.set.emit(q.missing.settle(t.missingKey(), "Data come again.", 0))
	}
	if t.det == nil {
		return
	}
	x := t.det.Observe(at, v)
	tail := max(x.Tail, t.ranks.take(x.Score))
	if !t.counts {
		q.anomaly(t, at, v, x, tail)
	}
}

// anomaly judges a verdict; tail is how rare such a score is in this series.
func (q *seriesSet) anomaly(t *track, at int64, v float64, x series.Verdict, tail float64) {
	over := x.Score >= series.Threshold && !t.derived
	alarm := over && (t.over || t.rule.Severity != "" || tail <= t.weekly())
	weak := over && !alarm
	if tail <= signTail && (!alarm || t.severity(x.Score) == "SEV5") {
		q.part(part{Detector: "series", Name: t.name, Subject: t.id, Group: t.group, Chain: t.labels["chain"], Tail: tail, At: at, Every: t.every,
			Why: x.Why, Drill: q.set.drill}, at)
	}
	if !alarm && !weak && !t.over && !t.weak {
		return
	}
	if alarm || (weak && !t.over && (t.weak || q.room(t, at))) {
		t.calm = 0
		q.raise(t, alarm, at, v, x, tail)
		return
	}
	if weak {
		t.calm = 0
		return
	}
	if v < x.Low || v > x.High { // it says nothing new, but it is not back either
		if t.calm = 0; at-t.told >= newLevel {
			q.settle(t, at, fmt.Sprintf("It has been so for %s and is taken for the new level; the newest is %s.", lasting(at-t.told), figure(v)))
		}
		return
	}
	if t.calm++; t.calm == 1 {
		t.since = at
	}
	if t.calm < calmSamples || at-t.since < calmTime {
		return
	}
	q.settle(t, at, fmt.Sprintf("The last %d values, over %s, were as usual; the newest is %s.", t.calm, lasting(at-t.since), figure(v)))
}

// raise opens or renews what is open about a series. What only brings newer figures is passed on once a minute, so a storm costs little.
func (q *seriesSet) raise(t *track, alarm bool, at int64, v float64, x series.Verdict, tail float64) {
	f := chain.Finding{Chain: t.scope, Subject: t.subject, Score: max(x.Tail, tail), Bound: t.weekly(), Reason: x.Why}
	if t.rule.Severity != "" {
		f.Score, f.Bound = x.Tail, bound(x)
	} else if alarm {
		f.Score = min(f.Score, f.Bound) // while it is open every new value makes its like less rare
	}
	b := q.weak
	if alarm {
		b = q.anomalies
		f.Kind, f.Severity, f.Title = KindAnomaly, t.severity(x.Score), t.id+" is not as usual"
	} else {
		f.Kind, f.Severity, f.Title, f.Weak = KindWeakAnomaly, "SEV5", t.id+" is somewhat unusual", true
	}
	if f.Reason == "" {
		f.Reason = fmt.Sprintf("It is %s; %s was expected, and between %s and %s is usual. Values so unusual are %s.", figure(v), figure(x.Expected), figure(x.Low), figure(x.High), odds(x.Tail))
	}
	if (t.over || (t.weak && !alarm)) && f.Severity >= t.worst && at-t.told < again {
		return
	}
	b.advance(at)
	if alarm && t.weak {
		q.weak.advance(at)
		q.set.emit(q.weak.settle(key(t.scope, KindWeakAnomaly, t.subject), "It is an alarm now.", 0))
		t.weak, t.worst = false, ""
	}
	if t.worst == "" || f.Severity < t.worst {
		t.worst = f.Severity
	}
	t.over, t.weak, t.told = alarm, !alarm, at
	f.Key = key(t.scope, f.Kind, t.subject)
	f.Evidence = proof(map[string]any{"series": t.name, "labels": t.labels, "value": v, "expected": x.Expected, "low": x.Low, "high": x.High,
		"score": x.Score, "tail": x.Tail})
	q.set.emit(b.raise(f, life{}))
}

// bound is the tail probability at which a value like this would just be an alarm. An alarm is a matter of the score, which counts decades too:
// so a detector that is to be s decades stricter alarms exactly at scores from Threshold + s on.
func bound(x series.Verdict) float64 {
	return min(max(x.Tail*math.Pow(10, x.Score-series.Threshold), leastTail*leastTail), 1)
}

// settle ends what is open about a series.
func (q *seriesSet) settle(t *track, at int64, why string) {
	b, kind := q.weak, KindWeakAnomaly
	if t.over {
		b, kind = q.anomalies, KindAnomaly
	}
	b.advance(at)
	q.set.emit(b.settle(key(t.scope, kind, t.subject), why, 0))
	t.over, t.weak, t.calm, t.worst = false, false, 0, ""
}

func (t *track) severity(score float64) string {
	switch {
	case t.rule.Severity != "":
		return t.rule.Severity
	case score >= series.Threshold+extreme:
		return "SEV4"
	}
	return "SEV5"
}

// weekly is the share of values that comes once in a week of this series, or once in all that was seen of it so far. The detector's threshold
// finds what is worth a look; of thousands of series that nobody chose, only what is the rarest of a week may speak for itself.
func (t *track) weekly() float64 {
	if t.every <= 0 {
		return 1
	}
	return 1.0001 / max(min(7*24*3_600_000/t.every, float64(t.ranks.N)), 1)
}

// room says whether a series may put one more finding up for review: a series once a day, all together reviewRate an hour.
func (q *seriesSet) room(t *track, at int64) bool {
	if t.reviewed != 0 && at-t.reviewed < 24*3_600_000 {
		return false
	}
	q.review.Left = min(q.review.Left+float64(at-q.review.At)*reviewRate/3_600_000, reviewRate)
	q.review.At = at
	if q.review.Left < 1 {
		return false
	}
	q.review.Left--
	t.reviewed = at
	return true
}

// allowance is how many findings may be put up for review now.
type allowance struct {
	Left float64 `json:"left"`
	At   int64   `json:"at"`
}

// sweep looks for series that should have come.
func (q *seriesSet) sweep(at int64) {
	gone := false
	for _, t := range q.order {
		silent := at - t.last
		if silent >= goneAfter && float64(silent) >= 20*t.every {
			gone = true
			continue
		}
		if t.derived || t.det == nil || t.absent || t.rule.NoMissing {
			continue
		}
		if x, due := t.det.Due(q.set.listened(t.last, at)); due {
			q.gap(t, at, x)
		}
	}
	if !gone {
		return
	}
	q.order = slices.DeleteFunc(q.order, func(t *track) bool {
		if silent := at - t.last; silent < goneAfter || float64(silent) < 20*t.every {
			return false
		}
		q.forget(t, at)
		return true
	})
}

// forget ends what is open about a series that is gone.
func (q *seriesSet) forget(t *track, at int64) {
	why := fmt.Sprintf("Nothing came for %s: the series is taken as gone, and is learned anew when it comes back.", lasting(at-t.last))
	if t.over || t.weak {
		q.settle(t, at, why)
	}
	q.leave(t, at, why)
	delete(q.tracks, t.id)
	q.count(t.group, -1)
}

// gap opens or renews the finding that a source is silent: what comes from one place and stops together is one thing.
func (q *seriesSet) gap(t *track, at int64, x series.Verdict) {
	t.absent = true
	if q.absent[t.source] == nil {
		q.absent[t.source] = map[string]bool{}
	}
	q.absent[t.source][t.id] = true
	q.missing.advance(at)
	n := len(q.absent[t.source])
	f := chain.Finding{Key: t.missingKey(), Kind: KindMissing, Chain: t.scope, Subject: cut(t.source, subjectMax), Severity: "SEV5", Since: t.last, // a source that was taken down looks the same
		Score: x.Tail, Title: "No data: " + t.id, Reason: x.Why}
	if t.rule.Severity != "" {
		f.Severity = t.rule.Severity
	}
	if f.Reason == "" {
		f.Reason = fmt.Sprintf("Nothing came for %s; a value is usual every %s.", lasting(at-t.last), lasting(int64(t.every)))
	}
	if n > 1 {
		f.Title = fmt.Sprintf("No data from %s: %d series", t.source, n)
		f.Reason = fmt.Sprintf("%d series of %s do not come any more. The last to stop is %s: %s", n, t.source, t.id, f.Reason)
	}
	names := make([]string, 0, n)
	for id := range q.absent[t.source] {
		names = append(names, id)
	}
	sort.Strings(names)
	f.Evidence = proof(map[string]any{"source": t.source, "count": n, "series": names[:min(n, 20)], "last_at": t.last, "usual_every_ms": int64(t.every)})
	q.set.emit(q.missing.raise(f, life{}))
}

func (t *track) missingKey() string { return key(t.scope, KindMissing, t.source) }

// leave takes a series off those that do not come.
func (q *seriesSet) leave(t *track, at int64, why string) {
	if !t.absent {
		return
	}
	t.absent = false
	delete(q.absent[t.source], t.id)
	if len(q.absent[t.source]) > 0 {
		return
	}
	delete(q.absent, t.source)
	q.missing.advance(at)
	q.set.emit(q.missing.settle(t.missingKey(), why, 0))
}

func (q *seriesSet) tick(at int64) {
	for _, b := range q.books()[:3] {
		q.set.emit(b.advance(at))
	}
	q.combineTick(at)
}
