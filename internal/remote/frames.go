package remote

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/whole"
)

// message is anything that the room says on its socket.
type message struct {
	frame
	Type    string          `json:"type"`
	Build   string          `json:"build"`
	Samples json.RawMessage `json:"samples"`
}

// take keeps a frame that came at now (unix ms here).
func (k *kept) take(f frame, now int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.topics[f.Topic]
	if t == nil || f.Key == "" || f.From != "" || len(f.Key)+len(f.Into)+len(f.Place) > mostNames {
		return
	}
	if f.Seq != nil {
		if *f.Seq < t.Since {
			return // older than what the pages show, or what came before
		}
		if *f.Seq > t.Top { // with a newer one come, all of the one before are here
			t.Since, t.Top = max(t.Since, t.Top), *f.Seq
		}
	}
	if i := slices.IndexFunc(t.frames, func(g frame) bool { return g.Key == f.Key }); i >= 0 {
		t.cut(i)
	}
	t.frames = append(t.frames, f)
	t.bytes += len(f.HTML)
	t.Whole = k.truth(t, now)
	t.dirty, k.dirty = true, true
	entries := 0
	for _, g := range t.frames {
		if g.Into != "" {
			entries++
		}
	}
	if entries > mostEntries || t.bytes > mostFrames {
		k.renew(f.Topic)
	}
	for len(t.frames) > hardEntries || t.bytes > hardFrames {
		t.cut(0)
		t.broken = true
	}
}

func (t *topic) cut(i int) {
	t.bytes -= len(t.frames[i].HTML)
	t.frames = slices.Delete(t.frames, i, i+1)
	if i < t.over {
		t.over--
	}
}

// truth is until when a topic is known whole, now that something of it came.
func (k *kept) truth(t *topic, now int64) int64 {
	if t.broken || t.over >= 0 {
		return t.Whole
	}
	return max(t.Whole, now)
}

// beat says that all which was published of these topics before now has come.
func (k *kept) beat(names []string, now int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, name := range names {
		if t := k.topics[name]; t != nil {
			t.Since = max(t.Since, t.Top)
			t.Whole = k.truth(t, now)
			k.dirty = true
		}
	}
}

// resync says that frames of a topic are missing: its pages are fetched anew, and what came before now is void then.
func (k *kept) resync(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if t := k.topics[name]; t != nil {
		t.over = len(t.frames)
		k.renew(name)
	}
}

// renew marks the pages of a topic to be fetched anew. The caller holds k.mu.
func (k *kept) renew(name string) {
	for _, p := range k.pages {
		p.stale = p.stale || slices.ContainsFunc(p.Topics, func(at topicAt) bool { return at.Name == name })
	}
}

// renewAll marks all pages, since the room may show them otherwise now.
func (k *kept) renewAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.pages {
		p.stale = true
	}
}

// stand sets which pages are kept whatever happens, and which because their incident is open.
func (k *kept) stand(always, rooms []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.why = map[string]int{}
	for _, key := range rooms {
		k.why[key] = openRoom
	}
	for _, key := range always {
		k.why[key] = standing
	}
	for key, p := range k.pages {
		if p.Why != k.why[key] {
			p.Why, k.dirty = k.why[key], true
		}
	}
}

// due says which pages should be fetched now: those that are wanted and not there, those that are stale, and those that are older than they may be.
func (k *kept) due(wanted []string, now int64) (list []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range wanted {
		if k.pages[key] == nil {
			list = append(list, key)
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(k.pages), func(a, b string) int {
		return cmp.Or(cmp.Compare(k.pages[b].Why, k.pages[a].Why), cmp.Compare(a, b))
	}) {
		p := k.pages[key]
		age := now - p.Fetched
		if p.stale || age > refetchVisited || p.Why == openRoom && age > refetchRoom || p.Why == standing && age > refetchStanding {
			list = append(list, key)
		}
	}
	return list
}

// How often pages are fetched anew although nothing says that they must, ms: parts of a page are on no topic that is followed.
const (
	refetchStanding = 60_000
	refetchRoom     = 5 * 60_000
	refetchVisited  = 30 * 60_000
)

// gone forgets a page that the room no longer shows.
func (k *kept) gone(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.pages[key]
	if p == nil {
		return
	}
	k.drop(key)
	k.loose()
	for _, at := range p.Topics {
		if k.topics[at.Name] != nil {
			k.settle(at.Name)
		}
	}
}

// followed says which topics to follow and from where, the most important first.
func (k *kept) followed() []topicAt {
	k.mu.Lock()
	defer k.mu.Unlock()
	type rank struct {
		why  int
		last int64
	}
	best := map[string]rank{}
	for _, p := range k.pages {
		for _, at := range p.Topics {
			if b, had := best[at.Name]; !had || p.Why > b.why || p.Why == b.why && p.Visited > b.last {
				best[at.Name] = rank{p.Why, p.Visited}
			}
		}
	}
	names := slices.SortedFunc(maps.Keys(best), func(a, b string) int {
		return cmp.Or(cmp.Compare(best[b].why, best[a].why), cmp.Compare(best[b].last, best[a].last), cmp.Compare(a, b))
	})
	list := make([]topicAt, 0, mostFollowed)
	for _, name := range names[:min(len(names), mostFollowed)] {
		list = append(list, topicAt{Name: name, Since: k.topics[name].Since})
	}
	return list
}

// missing lists assets that pages need and that are not there.
func (k *kept) missing() (list []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	need := map[string]bool{}
	for _, p := range k.pages {
		for _, a := range p.Assets {
			need[a] = true
			if known := k.assets[a]; known != nil {
				for _, b := range known.Needs {
					need[b] = true
				}
			}
		}
	}
	for _, a := range slices.Sorted(maps.Keys(need)) {
		if k.assets[a] == nil && len(k.assets)+len(list) < mostFiles {
			list = append(list, a)
		}
	}
	return list
}

// storeAsset takes a file that pages need.
func (k *kept) storeAsset(key, kind, cache string, body []byte) error {
	if len(body) > mostAsset || !strings.HasPrefix(key, "/assets/") {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	err := whole.Replace(k.path(fileOf("a", key)), func(w io.Writer) error { _, err := w.Write(body); return err })
	if err != nil {
		return fmt.Errorf("keep an asset: %w", err)
	}
	a := &asset{Type: kind, Cache: cache, Size: int64(len(body))}
	if strings.HasPrefix(kind, "text/css") {
		a.Needs = styleAssets(body)
	}
	k.assets[key], k.dirty = a, true
	k.tidy()
	return nil
}

// asset finds a file that was kept; one of another build is better than none.
func (k *kept) asset(key string) (a asset, body []byte, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	found := k.assets[key]
	if found == nil {
		name, _, _ := strings.Cut(key, "?")
		for other := range k.assets {
			if base, _, _ := strings.Cut(other, "?"); base == name {
				key, found = other, k.assets[other]
			}
		}
	}
	if found == nil {
		return a, nil, false
	}
	body, err := os.ReadFile(k.path(fileOf("a", key)))
	return *found, body, err == nil
}

// page is a kept page as of the last word, and when that was (unix ms here).
func (k *kept) page(key string, now int64) (body []byte, asOf int64, ok bool) {
	k.mu.Lock()
	p := k.pages[key]
	if p == nil {
		k.mu.Unlock()
		return nil, 0, false
	}
	body, err := os.ReadFile(k.path(fileOf("p", key)))
	frames, since, asOf := k.since(p.Topics)
	asOf = max(asOf, p.Fetched)
	k.mu.Unlock()
	if err != nil {
		return nil, 0, false
	}
	return splice(body, frames, since, now), asOf, true
}

// since collects what came of topics, and until when all of them are whole. The caller holds k.mu.
func (k *kept) since(topics []topicAt) (frames []frame, since map[string]int64, asOf int64) {
	since = map[string]int64{}
	for i, at := range topics {
		t := k.topics[at.Name]
		if t == nil {
			return frames, since, 0
		}
		if i == 0 || t.Whole < asOf {
			asOf = t.Whole
		}
		since[at.Name] = t.Since
		for _, f := range t.frames {
			if f.Seq == nil || *f.Seq >= at.Since {
				frames = append(frames, f)
			}
		}
	}
	return frames, since, asOf
}

// replay is what a page that holds these topics still has to hear, and until when that is whole (unix ms here); 0 when nothing is known of one of them.
// behind names topics of which the page holds less than can be made up for by frames: it has to load the kept page.
func (k *kept) replay(topics []topicAt) (frames []frame, behind []string, asOf int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	frames, _, asOf = k.since(topics)
	for _, at := range topics {
		least, fetched := int64(-1), int64(0)
		for _, p := range k.pages {
			for _, x := range p.Topics {
				if x.Name == at.Name && (fetched == 0 || x.Since < least) {
					least, fetched = x.Since, p.Fetched
				}
			}
		}
		asOf = max(asOf, fetched) // whatever was fetched of it is known as of then
		if fetched > 0 && at.Since < least {
			behind = append(behind, at.Name)
		}
	}
	return frames, behind, asOf
}

// list names what is kept, by title, the most important first.
func (k *kept) list() (list []listed) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range slices.SortedFunc(maps.Keys(k.pages), func(a, b string) int {
		p, q := k.pages[a], k.pages[b]
		return cmp.Or(cmp.Compare(q.Why, p.Why), cmp.Compare(q.Visited, p.Visited), cmp.Compare(a, b))
	}) {
		list = append(list, listed{key, said(k.pages[key].Title)})
	}
	return list
}

type listed struct{ Path, Title string }

// style is the address of a stylesheet that is kept; "" when there is none.
func (k *kept) style() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(k.assets)) {
		if strings.HasPrefix(key, "/assets/app.css") {
			return key
		}
	}
	return ""
}

// newest is the highest position that is known of; -1 when none is.
func (k *kept) newest() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	top := int64(-1)
	for _, t := range k.topics {
		top = max(top, t.Top)
	}
	return top
}

// built reports whether some page is of another build than this.
func (k *kept) built(build string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.pages {
		if p.Build != build {
			return true
		}
	}
	return false
}
