package attention_test

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/attention"
)

// watcher is a desktop that checks everything it is told.
type watcher struct {
	*rapid.T
	desktop
	screen   map[string]attention.Notice
	facts    map[int64]int  // incident -> how often it was opened or changed its severity
	seen     map[int64]int  // incident -> that, when it was last told of
	paged    map[string]int // page -> that of its incident, when it was last told of
	sounded  int64          // when a page, or anything while one waits, sounded last
	calls    int
	repeated int
}

var mention = regexp.MustCompile(`\(#(\d+)\)`)

func (w *watcher) take(show []attention.Notice, back []string, again bool) {
	if len(show) > attention.MostNotices {
		w.Fatalf("%d notices at once", len(show))
	}
	keys := map[string]bool{}
	for i, n := range show {
		switch {
		case keys[n.Key]:
			w.Fatalf("%s twice in one step", n.Key)
		case i > 0 && n.Sound != attention.Silent:
			w.Fatalf("a second sound in one step: %s", told(n))
		case n.Title == "" || utf8.RuneCountInString(n.Title) > 120 || utf8.RuneCountInString(n.Body) > 240:
			w.Fatalf("its texts do not fit: %s", told(n))
		case !strings.HasPrefix(n.Path, "/"):
			w.Fatalf("it leads nowhere: %s", told(n))
		case strings.HasPrefix(n.Title, "DRILL") && n.Severity < "SEV3":
			w.Fatalf("a drill is too loud: %s", told(n))
		}
		keys[n.Key] = true
		w.screen[n.Key] = n
		var id string
		var number int64
		if _, err := fmt.Sscanf(n.Key, "page/%s", &id); err == nil {
			for _, p := range w.pages {
				if p.ID == id && !again {
					if at, known := w.paged[id]; known && at == w.facts[p.Incident] {
						w.Fatalf("told twice: %s", told(n))
					}
				}
				if p.ID == id {
					w.paged[id] = w.facts[p.Incident]
				}
			}
			continue
		}
		if _, err := fmt.Sscanf(n.Key, "room/%d", &number); err == nil {
			w.hears(number, n)
		}
		if n.Key == "summary" {
			for _, m := range mention.FindAllStringSubmatch(n.Body, -1) {
				fmt.Sscan(m[1], &number)
				w.hears(number, n)
			}
		}
	}
	for _, k := range back {
		if keys[k] {
			w.Fatalf("%s is shown and taken back in one step", k)
		}
		if _, there := w.screen[k]; !there {
			w.Fatalf("%s is taken back and was not there", k)
		}
		delete(w.screen, k)
	}
	if len(show) > 0 && show[0].Sound != attention.Silent {
		w.sounded = w.clock
	}
}

func (w *watcher) hears(n int64, by attention.Notice) {
	if at, known := w.seen[n]; known && at == w.facts[n] {
		w.Fatalf("#%d is told of twice: %s", n, told(by))
	}
	w.seen[n] = w.facts[n]
}

// hear hands the state over and judges what is on the screen then.
func (w *watcher) hear() {
	now := w.state()
	w.pos++
	mem, show, back := attention.Diff(w.mem, now, w.rules, w.clock)
	if _, show2, back2 := attention.Diff(w.mem, now, w.rules, w.clock); !reflect.DeepEqual(show, show2) || !reflect.DeepEqual(back, back2) {
		w.Fatal("the same question got two answers: the memory was changed")
	}
	w.mem = mem
	w.take(show, back, false)
	open := map[string]bool{}
	for _, i := range now.Incidents {
		open[fmt.Sprintf("room/%d", i.Number)] = true
	}
	for _, p := range now.Pages {
		open["page/"+p.ID], open["pages"] = true, true
		own, ok := w.screen["page/"+p.ID]
		if more, any := w.screen["pages"]; !ok && (!any || !more.Sticky) || ok && !own.Sticky {
			w.Fatalf("the page %s waits and nothing says so", p.ID)
		}
	}
	for k := range w.screen {
		if k != "summary" && !open[k] {
			w.Fatalf("%s is on the screen and over", k)
		}
	}
	if _, there := w.screen["summary"]; there && len(now.Incidents) == 0 {
		w.Fatal("nothing is open and a summary is on the screen")
	}
	if _, show, back := attention.Diff(mem, now, w.rules, w.clock); len(show)+len(back) > 0 {
		w.Fatalf("the same state says something again: %v, taken back %v", show, back)
	}
}

// pass lets the clock go on.
func (w *watcher) pass(seconds int) {
	for range seconds {
		w.clock += 1000
		mem, show, back := attention.Due(w.mem, w.rules, w.clock)
		w.mem = mem
		w.take(show, back, true)
		if len(show) > 0 {
			w.repeated++
		}
		waits := false
		for _, p := range w.pages {
			for _, i := range w.room {
				waits = waits || i.Number == p.Incident
			}
		}
		if silent := w.rules.Quiet == attention.NoSound && (w.rules.Until == 0 || w.clock < w.rules.Until); silent || !waits {
			w.sounded = max(w.sounded, w.clock-attention.RepeatEvery)
		}
		if w.clock-w.sounded > attention.RepeatEvery {
			w.Fatalf("a page waits and nothing was heard for %d ms", w.clock-w.sounded)
		}
	}
}

// A desktop that is told anything at all is never flooded, never misses a page
// to its person, and hears no fact twice.
func TestWhateverHappens(t *testing.T) {
	severity := rapid.SampledFrom([]string{"SEV1", "SEV2", "SEV3", "SEV4", "SEV5"})
	rapid.Check(t, func(rt *rapid.T) {
		w := &watcher{T: rt, desktop: desktop{who: "ana", pos: 10}, screen: map[string]attention.Notice{}, facts: map[int64]int{}, seen: map[int64]int{}, paged: map[string]int{}}
		most := rapid.SampledFrom([]int{5, 70}).Draw(rt, "most")
		next := int64(1)
		change := func() {
			switch what := rapid.IntRange(0, 7).Draw(rt, "what"); {
			case what <= 1 && len(w.room) < most || len(w.room) == 0:
				w.room = append(w.room, attention.Incident{Number: next, Title: rapid.StringN(0, 200, -1).Draw(rt, "title"), Severity: severity.Draw(rt, "severity"), Status: "declared", Drill: rapid.Bool().Draw(rt, "drill")})
				w.facts[next]++
				next++
			case what == 2:
				i := rapid.IntRange(0, len(w.room)-1).Draw(rt, "which")
				n := w.room[i].Number
				w.room = append(w.room[:i:i], w.room[i+1:]...)
				kept := w.pages[:0:0]
				for _, p := range w.pages {
					if p.Incident != n {
						kept = append(kept, p)
					}
				}
				w.pages = kept
			case what == 3 && len(w.room) < most: // reopened, when it is not there
				n := rapid.Int64Range(1, next-1).Draw(rt, "again")
				for _, i := range w.room {
					if i.Number == n {
						return
					}
				}
				w.room = append(w.room, attention.Incident{Number: n, Title: "again", Severity: severity.Draw(rt, "severity"), Status: "declared"})
				w.facts[n]++
			case what == 4:
				i := rapid.IntRange(0, len(w.room)-1).Draw(rt, "which")
				w.room = append([]attention.Incident(nil), w.room...)
				if s := severity.Draw(rt, "to"); s != w.room[i].Severity {
					w.room[i].Severity = s
					w.facts[w.room[i].Number]++
				}
			case what == 5 && len(w.pages) > 0:
				i := rapid.IntRange(0, len(w.pages)-1).Draw(rt, "answered")
				w.pages = append(w.pages[:i:i], w.pages[i+1:]...)
			case len(w.pages) < attention.MostPages:
				i := w.room[rapid.IntRange(0, len(w.room)-1).Draw(rt, "paged")]
				w.calls++
				w.pages = append(w.pages, attention.Page{ID: fmt.Sprintf("p%d", w.calls), Incident: i.Number, Reason: "on call", PagedAt: w.clock})
			}
		}
		for range rapid.IntRange(0, 20).Draw(rt, "before") {
			change()
		}
		w.hear()
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			for range rapid.SampledFrom([]int{0, 1, 1, 2, 30}).Draw(rt, "changes") {
				change()
			}
			switch rapid.IntRange(0, 6).Draw(rt, "then") {
			case 0:
				w.rules = attention.Rules{Floor: rapid.SampledFrom([]string{"", "SEV1", "SEV3"}).Draw(rt, "floor"),
					Quiet: rapid.SampledFrom([]attention.Quiet{attention.Loud, attention.NoSound, attention.PagesOnly}).Draw(rt, "quiet")}
				if rapid.Bool().Draw(rt, "until") {
					w.rules.Until = w.clock + 45_000
				}
				w.hear()
			case 1: // asleep
				w.clock += 600_000
				w.sounded = w.clock - attention.RepeatEvery
				w.hear()
				w.pass(1)
			default:
				w.hear()
				w.pass(rapid.IntRange(0, 70).Draw(rt, "seconds"))
			}
		}
	})
}
