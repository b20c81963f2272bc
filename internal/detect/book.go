package detect

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// Bounds of a book.
const (
	mostOpen     = 1000      // findings of one detector, open or about to open; the rest is counted
	mostTurned   = 4000      // different ones among the rest; more, and the count says "at least"
	turnedFor    = 3_600_000 // ms without a further one until the count ends
	inheritedFor = 3_600_000 // ms until a finding from before a restart that nothing shows any more is over
	pendingFor   = 3_600_000 // ms until what was raised once and never again is forgotten
	evidenceMax  = 16 << 10  // bytes
	subjectMax   = 120       // bytes
)

// life says how a finding lives.
type life struct {
	hold  int64  // ms that it must be raised for before it opens; 0 = it opens at once
	lasts int64  // ms after the last time it was raised until it is over by itself; 0 = until it is settled
	why   string // the reason of that end
}

// entry is one finding's life so far.
type entry struct {
	Finding   chain.Finding // as it stands
	Open      bool
	First     int64 // raised since
	Told      int64
	Fresh     bool // it stands otherwise than it was told
	Calm      int64
	CalmFor   int64
	Why       string
	Until     int64 // 0 = not by itself
	Inherited bool
	Raised    int // times
}

// book keeps the findings of one detector: it opens, repeats at most once a minute (at once when worse), and ends them, so that no rule has
// to. Every key that a log holds open gets its end. It holds at most mostOpen; what comes beyond is counted into one finding.
type book struct {
	Now     int64
	Entries map[string]*entry
	Turned  map[string]bool
	Beyond  int // turned away when Turned was full
	Started int64

	detector string
	kinds    []string
	due      int64 // nothing ends before
}

func newBook(detector string, kinds ...string) *book {
	return &book{Entries: map[string]*entry{}, Turned: map[string]bool{}, detector: detector, kinds: append(kinds, detector)}
}

// advance moves time, never back, and ends what is over.
func (b *book) advance(at int64) (out []chain.Finding) {
	first := b.Now == 0
	b.Now = max(b.Now, at)
	if !first && b.Now < b.due {
		return nil
	}
	b.due = math.MaxInt64 // and no later than what the loop finds
	for _, k := range slices.Sorted(maps.Keys(b.Entries)) {
		e := b.Entries[k]
		if e.Inherited && e.Until == 0 && e.Calm == 0 {
			e.Until, e.Why = b.Now+inheritedFor, "Nothing has shown this since the restart an hour ago."
		}
		switch {
		case e.Calm > 0 && b.Now-e.Calm >= e.CalmFor, e.Until > 0 && b.Now >= e.Until:
			out = append(out, b.end(k, e.Why)...)
			continue
		case e.Open && e.Fresh && e.Calm == 0 && b.Now-e.Told >= again:
			out = append(out, b.tell(e))
		}
		b.watch(e)
	}
	return out
}

// watch sees to it that advance looks when something of this entry is due.
func (b *book) watch(e *entry) {
	if e.Until > 0 {
		b.due = min(b.due, e.Until)
	}
	switch {
	case e.Calm > 0:
		b.due = min(b.due, e.Calm+e.CalmFor)
	case e.Open && e.Fresh:
		b.due = min(b.due, e.Told+again)
	}
}

// raise says that something is wrong now. The key, the kind, the title and the reason must be set.
func (b *book) raise(f chain.Finding, l life) []chain.Finding {
	f.At, f.Firing, f.Detector = b.Now, true, b.detector
	if f.Since == 0 {
		f.Since = b.Now
	}
	e := b.Entries[f.Key]
	if e == nil {
		if len(b.Entries) >= mostOpen {
			return b.turn(f)
		}
		e = &entry{First: b.Now}
		b.Entries[f.Key] = e
	}
	sure := e.Finding.Verification.Held() && f.Verification == chain.Confirmed // what one alone said does not make it as bad as at its worst
	worse := e.Open && (rank(f.Severity) < rank(e.Finding.Severity) || e.Finding.Weak && !f.Weak || sure)
	if e.Open && !e.Inherited {
		f.Since, f.Weak = min(e.Finding.Since, f.Since), f.Weak && e.Finding.Weak
		if rank(e.Finding.Severity) < rank(f.Severity) && !sure {
			f.Severity = e.Finding.Severity // it is as bad as it was at its worst
		}
		if was := e.Finding; was.Bound > 0 && !was.Weak && was.Score <= was.Bound && (f.Bound <= 0 || f.Score > f.Bound) {
			f.Score, f.Bound = was.Score, was.Bound // and as rare as when it alarmed: it does not become weak while it calms down
		}
	}
	e.Fresh = e.Fresh || f.Title != e.Finding.Title || f.Reason != e.Finding.Reason
	e.Finding, e.Calm, e.Inherited, e.Until, e.Why = f, 0, false, 0, l.why
	e.Raised++
	if l.lasts > 0 {
		e.Until = b.Now + l.lasts
	}
	if !e.Open && e.Until == 0 {
		e.Until = b.Now + max(pendingFor, 2*l.hold)
	}
	defer b.watch(e)
	if !e.Open && b.Now-e.First >= l.hold {
		e.Open = true
		if l.lasts == 0 {
			e.Until = 0
		}
		return []chain.Finding{b.tell(e)}
	}
	if e.Open && (worse || e.Fresh && b.Now-e.Told >= again) {
		return []chain.Finding{b.tell(e)}
	}
	return nil
}

// settle says that it is well now; when that has lasted for calm ms the finding is over.
func (b *book) settle(key, why string, calm int64) []chain.Finding {
	e := b.Entries[key]
	if e == nil {
		return nil
	}
	if !e.Open {
		delete(b.Entries, key)
		return nil
	}
	if e.Calm == 0 {
		e.Calm = b.Now
	}
	e.CalmFor, e.Why = calm, why
	b.watch(e)
	if b.Now-e.Calm >= calm {
		return b.end(key, why)
	}
	return nil
}

// is tells whether a finding is open.
func (b *book) is(key string) bool { e := b.Entries[key]; return e != nil && e.Open }

func (b *book) tell(e *entry) chain.Finding {
	e.Told, e.Fresh = b.Now, false
	f := e.Finding
	f.At = b.Now
	return f
}

// end ends a finding at once; one that never opened is dropped without a word.
func (b *book) end(key, why string) []chain.Finding {
	e := b.Entries[key]
	if e == nil {
		return nil
	}
	delete(b.Entries, key)
	if !e.Open {
		return nil
	}
	if key == b.moreKey() {
		b.Turned, b.Beyond = map[string]bool{}, 0
	}
	f := e.Finding
	f.Firing, f.Reason, f.At, f.Detector = false, why, b.Now, b.detector
	return []chain.Finding{f}
}

func (b *book) moreKey() string { return "all/" + b.detector + "/and_more" }

// turn counts what there is no room for; the count is as severe as the worst of them.
func (b *book) turn(f chain.Finding) []chain.Finding {
	switch {
	case b.Turned[f.Key]:
	case len(b.Turned) >= mostTurned:
		b.Beyond++
	default:
		b.Turned[f.Key] = true
	}
	n, about := len(b.Turned), ""
	if b.Beyond > 0 {
		about = "at least "
	}
	key := b.moreKey()
	if b.Entries[key] == nil {
		b.Entries[key] = &entry{First: b.Now}
	}
	words := strings.ReplaceAll(b.detector, "_", " ")
	return b.raise(chain.Finding{Key: key, Kind: b.detector, Chain: "all", Subject: "and_more", Severity: f.Severity, Weak: f.Weak, Drill: f.Drill,
		Title:  fmt.Sprintf("%s: and %s%d more", words, about, n),
		Reason: fmt.Sprintf("%d findings of this kind are open, which is as many as are kept; %s%d more were found and are only counted. The newest: %s", mostOpen, about, n, f.Title),
	}, life{lasts: turnedFor, why: "For an hour nothing more was found than there is room for."})
}

// open lists the keys of open findings, sorted.
func (b *book) open() []string {
	var keys []string
	for k, e := range b.Entries {
		if e.Open {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// resume takes over the keys of this book's kinds.
func (b *book) resume(keys []string) {
	for _, k := range keys {
		p := strings.SplitN(k, "/", 3)
		if len(p) != 3 || !slices.Contains(b.kinds, p[1]) || b.is(k) {
			continue
		}
		b.Entries[k] = &entry{Open: true, Inherited: true, First: b.Now, Finding: chain.Finding{Key: k, Kind: p[1], Chain: p[0], Subject: p[2],
			Severity: "SEV5", Title: strings.ReplaceAll(p[1], "_", " ") + ": " + p[2], Since: b.Now}}
	}
	b.due = 0
}

// rank is 1 for SEV1 to 5 for SEV5.
func rank(severity string) int {
	if len(severity) == 4 && severity[3] >= '1' && severity[3] <= '5' {
		return int(severity[3] - '0')
	}
	return 6
}

// key builds a finding's key; without a chain, scope stands in its place.
func key(scope, kind, subject string) string {
	return cut(scope, subjectMax) + "/" + kind + "/" + cut(subject, subjectMax)
}

func cut(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "")
	}
	return s
}

// proof writes evidence within its bound.
func proof(v map[string]any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil || len(b) > evidenceMax {
		return json.RawMessage(`{"left_out":"the evidence could not be written within its bound"}`)
	}
	return b
}

// stir says that it is neither wrong nor well: a calm that had begun is none.
func (b *book) stir(key string) {
	e := b.Entries[key]
	switch {
	case e == nil:
	case !e.Open:
		delete(b.Entries, key)
	case e.Calm > 0:
		e.Calm, b.due = 0, 0
	}
}

// text reads a field of evidence.
func text(evidence json.RawMessage, field string) string {
	var m map[string]any
	if json.Unmarshal(evidence, &m) != nil {
		return ""
	}
	s, _ := m[field].(string)
	return s
}
