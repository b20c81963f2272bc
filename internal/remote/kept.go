package remote

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/tocsin-ops/tocsin/internal/whole"
)

// Bounds of what is kept.
const (
	mostPages     = 50
	mostKept      = 64 << 20 // bytes: pages, assets and frames together
	mostPage      = 4 << 20  // bytes of one; a larger one is not kept
	mostAsset     = 8 << 20
	mostFiles     = 100 // assets
	mostIncidents = 20  // rooms kept because they are open
	mostFollowed  = 32  // topics; the room takes no more on one socket
	mostEntries   = 300 // frames of a topic; beyond, its pages are fetched anew
	mostFrames    = 1 << 20
	mostNames     = 1 << 10         // bytes of what a frame says of its place
	hardEntries   = 4 * mostEntries // beyond, while pages are not fetched anew, the oldest go
	hardFrames    = 4 * mostFrames
)

// Why a page is kept, least first: what goes first when there is too much.
const (
	visited = iota
	openRoom
	standing
)

// kept is what is known of a room without asking it: pages, the frames that came after them, and what pages need. All of it is on disk, frames a few
// seconds late (flush). One person's pages are kept, never two persons'.
type kept struct {
	dir string
	log *slog.Logger

	mu     sync.Mutex
	handle string
	author string // who was signed in last, also when nothing is kept
	pages  map[string]*page
	topics map[string]*topic
	assets map[string]*asset
	why    map[string]int // pages that are kept for another reason than that they were visited
	dirty  bool           // the index is older than this
}

// page is a kept page. Its HTML is on disk only.
type page struct {
	Build   string    `json:"build"`
	Title   string    `json:"title"`
	Fetched int64     `json:"fetched"` // unix ms here, when it was asked for
	Now     int64     `json:"now"`     // unix ms of the server, when it was made
	Visited int64     `json:"visited"` // unix ms here
	Why     int       `json:"why"`
	Size    int64     `json:"size"`
	Topics  []topicAt `json:"topics"`
	Assets  []string  `json:"assets"`
	stale   bool      // is to be fetched anew
}

// topic is what came of a topic after the pages that show it.
type topic struct {
	Since int64 `json:"since"` // everything up to here is in the frames or in the pages
	Top   int64 `json:"top"`   // the newest frame; others of the same position may still come
	Whole int64 `json:"whole"` // unix ms here: when it was last known that nothing is missing; 0 = never

	frames []frame // in order of arrival, one a key
	bytes  int
	over   int  // frames that are void once the pages have been fetched anew; -1: none are
	broken bool // something is missing until then
	dirty  bool
}

type asset struct {
	Type  string   `json:"type"`
	Cache string   `json:"cache"`
	Size  int64    `json:"size"`
	Needs []string `json:"needs"`
}

type index struct {
	Version int               `json:"version"`
	Handle  string            `json:"handle"`
	Pages   map[string]*page  `json:"pages"`
	Topics  map[string]*topic `json:"topics"`
	Assets  map[string]*asset `json:"assets"`
}

const indexVersion = 1

// openKept reads what is there. What cannot be read is as if it had never been kept.
func openKept(dir string, log *slog.Logger) *kept {
	k := &kept{dir: dir, log: log}
	k.reset()
	b, err := readBounded(filepath.Join(dir, "index.json"), 8<<20)
	if err != nil {
		return k
	}
	x := parseIndex(b)
	k.author = x.Handle
	k.handle, k.pages, k.topics, k.assets = x.Handle, x.Pages, x.Topics, x.Assets
	maps.DeleteFunc(k.pages, func(key string, p *page) bool { return !k.there(fileOf("p", key), &p.Size) })
	maps.DeleteFunc(k.assets, func(key string, a *asset) bool { return !k.there(fileOf("a", key), &a.Size) })
	for name, t := range k.topics {
		b, err := readBounded(k.path(fileOf("t", name)), 2*hardFrames)
		if err != nil {
			t.Whole = 0 // nobody knows what was in it
			continue
		}
		t.frames = parseFrames(b, name)
		for _, f := range t.frames {
			t.bytes += len(f.HTML)
		}
	}
	k.tidy()
	return k
}

func (k *kept) reset() {
	k.handle, k.pages, k.topics, k.assets, k.dirty = "", map[string]*page{}, map[string]*topic{}, map[string]*asset{}, false
}

func (k *kept) path(file string) string { return filepath.Join(k.dir, file) }

func fileOf(kind, key string) string {
	sum := sha256.Sum256([]byte(key))
	return kind + "-" + hex.EncodeToString(sum[:12])
}

func (k *kept) there(file string, size *int64) bool {
	st, err := os.Stat(k.path(file))
	if err != nil || st.Size() > max(mostPage, mostAsset) {
		return false
	}
	*size = st.Size()
	return true
}

func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("read %s: it is larger than anything written there", filepath.Base(path))
	}
	return b, err
}

// parseIndex takes any bytes; what makes no sense is left out.
func parseIndex(b []byte) index {
	var x index
	if json.Unmarshal(b, &x) != nil || x.Version != indexVersion {
		x = index{}
	}
	if x.Pages == nil || x.Topics == nil || x.Assets == nil {
		x = index{Pages: map[string]*page{}, Topics: map[string]*topic{}, Assets: map[string]*asset{}}
	}
	maps.DeleteFunc(x.Pages, func(key string, p *page) bool {
		return p == nil || !keepable(key) || len(p.Topics) > mostTopics || len(p.Assets) > mostAssets || p.Why < visited || p.Why > standing
	})
	maps.DeleteFunc(x.Topics, func(_ string, t *topic) bool { return t == nil })
	maps.DeleteFunc(x.Assets, func(key string, a *asset) bool {
		return a == nil || !strings.HasPrefix(key, "/assets/") || len(a.Needs) > mostAssets
	})
	for _, t := range x.Topics {
		t.over = -1
	}
	return x
}

// parseFrames takes any bytes.
func parseFrames(b []byte, name string) []frame {
	var list []frame
	if json.Unmarshal(b, &list) != nil {
		return nil
	}
	return slices.DeleteFunc(list, func(f frame) bool { return f.Topic != name || f.Key == "" })
}

// keyOf names a page by its address; where a form led here from does not count.
func keyOf(u *url.URL) string {
	q := u.Query()
	q.Del("since")
	if len(q) == 0 {
		return u.Path
	}
	return u.Path + "?" + q.Encode()
}

// keepable tells pages that may be kept from those whose address is a secret, and from what is no page.
func keepable(key string) bool {
	if !strings.HasPrefix(key, "/") || strings.HasPrefix(key, "//") || len(key) > 2000 {
		return false
	}
	if strings.HasPrefix(key, "/wall/") || strings.HasPrefix(key, "/.") {
		return false
	}
	return !slices.ContainsFunc(unkept, func(no string) bool {
		rest, is := strings.CutPrefix(key, no)
		return is && (rest == "" || rest[0] == '/' || rest[0] == '?')
	})
}

var unkept = []string{"/signin", "/signout", "/join", "/page", "/auth", "/calendar", "/api", "/assets", "/live", "/prometheus", "/ledger", "/metrics", "/tokens", "/me"}

// store takes a page that was asked for at fetched (unix ms), by a person (visit) or to be kept. It reports whether it is kept now.
func (k *kept) store(key string, body []byte, fetched int64, visit bool) (bool, error) {
	h := parseHead(body)
	if !keepable(key) || len(body) > mostPage || h.now == 0 || h.handle == "" && len(h.topics) == 0 {
		return false, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if h.handle != "" && h.handle != k.handle { // a wall names nobody
		if k.handle != "" {
			if err := k.remove(); err != nil {
				return false, err
			}
		}
		k.handle, k.author = h.handle, h.handle
	}
	old := k.pages[key]
	if old != nil && old.Fetched > fetched {
		return false, nil
	}
	p := &page{Build: h.build, Title: strings.TrimSuffix(h.title, nameOfAll), Fetched: fetched, Now: h.now, Why: k.why[key], Size: int64(len(body)), Topics: h.followed(), Assets: h.assets}
	if old != nil {
		p.Visited = old.Visited
	}
	if visit {
		p.Visited = fetched
	}
	err := whole.Replace(k.path(fileOf("p", key)), func(w io.Writer) error { _, err := w.Write(body); return err })
	if err != nil {
		return false, fmt.Errorf("keep a page: %w", err)
	}
	k.pages[key], k.dirty = p, true
	for _, at := range p.Topics {
		k.settle(at.Name)
	}
	k.tidy()
	return k.pages[key] != nil, nil
}

// settle drops the frames that all pages of a topic contain. The caller holds k.mu.
func (k *kept) settle(name string) {
	t := k.topics[name]
	if t == nil {
		t = &topic{Since: -1, Top: -1, over: -1}
		k.topics[name] = t
	}
	since, now, fresh := int64(1)<<62, int64(1)<<62, true
	for _, p := range k.pages {
		for _, at := range p.Topics {
			if at.Name == name {
				since, now, fresh = min(since, at.Since), min(now, p.Now), fresh && !p.stale
			}
		}
	}
	if t.broken || t.over >= 0 {
		if !fresh {
			return // the others of its pages are still to come
		}
		t.frames = slices.Clone(t.frames[max(t.over, 0):])
		t.over, t.broken = -1, false
		t.Since, t.Top = since, since
		for _, f := range t.frames {
			if f.Seq != nil {
				t.Top = max(t.Top, *f.Seq)
			}
		}
	}
	t.frames = slices.DeleteFunc(t.frames, func(f frame) bool {
		if f.Seq == nil || *f.Seq == since {
			return f.At < now
		}
		return *f.Seq < since
	})
	t.bytes = 0
	for _, f := range t.frames {
		t.bytes += len(f.HTML)
	}
	t.Since = max(t.Since, since)
	t.Top = max(t.Top, t.Since)
	t.dirty, k.dirty = true, true
}

// tidy keeps the bounds. The caller holds k.mu.
func (k *kept) tidy() {
	used := func() (n int64) {
		for _, p := range k.pages {
			n += p.Size
		}
		for _, a := range k.assets {
			n += a.Size
		}
		for _, t := range k.topics {
			n += int64(t.bytes)
		}
		return n
	}
	for k.loose(); len(k.pages) > mostPages || len(k.pages) > 0 && used() > mostKept; k.loose() {
		worst := slices.MinFunc(slices.Collect(maps.Keys(k.pages)), func(a, b string) int {
			p, q := k.pages[a], k.pages[b]
			return cmp.Or(cmp.Compare(p.Why, q.Why), cmp.Compare(p.Visited, q.Visited), cmp.Compare(p.Fetched, q.Fetched), cmp.Compare(a, b))
		})
		k.drop(worst)
	}
}

// drop forgets one page. The caller holds k.mu.
func (k *kept) drop(key string) {
	delete(k.pages, key)
	k.dirty = true
	k.discard(fileOf("p", key))
}

func (k *kept) discard(file string) {
	if err := os.Remove(k.path(file)); err != nil && !os.IsNotExist(err) {
		k.log.Warn("what is kept no longer could not be removed", "err", err)
	}
}

// loose forgets topics and assets that no page has. The caller holds k.mu.
func (k *kept) loose() {
	topics, assets := map[string]bool{}, map[string]bool{}
	for _, p := range k.pages {
		for _, at := range p.Topics {
			topics[at.Name] = true
		}
		for _, a := range p.Assets {
			assets[a] = true
			if known := k.assets[a]; known != nil {
				for _, need := range known.Needs {
					assets[need] = true
				}
			}
		}
	}
	for name := range k.topics {
		if !topics[name] {
			delete(k.topics, name)
			k.discard(fileOf("t", name))
			k.dirty = true
		}
	}
	for name := range k.assets {
		if !assets[name] {
			delete(k.assets, name)
			k.discard(fileOf("a", name))
			k.dirty = true
		}
	}
}

// remove takes everything off the disk. The caller holds k.mu.
func (k *kept) remove() error {
	k.reset()
	if err := os.RemoveAll(k.dir); err != nil {
		return fmt.Errorf("remove the kept pages: %w", err)
	}
	return nil
}

func (k *kept) wipe() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.remove()
}

// flush writes what is not on disk yet.
func (k *kept) flush() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.dirty {
		return nil
	}
	for name, t := range k.topics {
		if !t.dirty {
			continue
		}
		err := whole.Replace(k.path(fileOf("t", name)), func(w io.Writer) error { return json.NewEncoder(w).Encode(t.frames) })
		if err != nil {
			return fmt.Errorf("keep the frames of a topic: %w", err)
		}
		t.dirty = false
	}
	err := whole.Replace(k.path("index.json"), func(w io.Writer) error {
		return json.NewEncoder(w).Encode(index{indexVersion, k.handle, k.pages, k.topics, k.assets})
	})
	if err != nil {
		return fmt.Errorf("keep the list of kept pages: %w", err)
	}
	k.dirty = false
	return nil
}
