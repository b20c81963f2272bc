package web

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/incident"
)

// read asks the server itself, without a connection.
func read(h *house, path, coding string) *answer {
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Accept-Encoding", coding)
	w := httptest.NewRecorder()
	h.Server.ServeHTTP(w, r)
	return &answer{h.t, coding + " of " + path, w.Code, w.Header(), w.Body.String()}
}

func tagOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`
}

// TestReadersDuringPublishes: a thousand people read, in every form, while two
// hundred updates are published. Everybody sees whole pages under their own
// validators, and nobody one that is older than what was published before they asked.
func TestReadersDuringPublishes(t *testing.T) {
	const readers, publishes = 1000, 200
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Bridge"})
	var published atomic.Int64
	var newest sync.Map // tag -> newest update on the page
	var pages, reads atomic.Int64
	news := regexp.MustCompile(`News (\d+)\.`)
	count := func(a *answer) int64 {
		tag := a.header.Get("ETag")
		if n, ok := newest.Load(tag); ok {
			return n.(int64)
		}
		page := unpacked(t, a)
		if !strings.HasPrefix(strings.ToLower(page), "<!doctype html>") || !strings.HasSuffix(strings.TrimSpace(page), "</html>") {
			t.Errorf("half a page: %s", head(page))
		}
		n := int64(0)
		if m := news.FindStringSubmatch(page); m != nil { // the newest comes first
			n, _ = strconv.ParseInt(m[1], 10, 64)
		}
		if strings.Count(page, `<span class="text">`) != int(n) {
			t.Errorf("the page of update %d shows %d", n, strings.Count(page, `<span class="text">`))
		}
		pages.Add(1)
		newest.Store(tag, n)
		return n
	}
	// Each reader asks during every fifth publish: readers who ask without end
	// would leave the publisher nothing of a small machine.
	begun := make([]chan struct{}, publishes)
	for i := range begun {
		begun[i] = make(chan struct{})
	}
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() {
			coding := []string{"br", "gzip", "identity", "br, gzip"}[i%4]
			for round := i % 5; round < publishes; round += 5 {
				<-begun[round]
				before := published.Load()
				a := read(h, "/status", coding)
				if a.status != 200 || a.header.Get("Content-Length") != strconv.Itoa(len(a.body)) || a.header.Get("ETag") != tagOf(a.body) {
					t.Errorf("%d, %d bytes under %v", a.status, len(a.body), a.header)
				} else if got := count(a); got < before {
					t.Errorf("asked after update %d and got the page of %d", before, got)
				}
				reads.Add(1)
			}
		})
	}
	for i := range publishes {
		close(begun[i])
		h.tell(n, incident.DraftUpdate{Audience: "public", Headline: "Bridge", Text: fmt.Sprintf("News %d.", i+1)})
		published.Add(1)
	}
	wg.Wait()
	if a := read(h, "/status", "gzip"); count(a) != publishes {
		t.Errorf("the last page is of update %d", count(a))
	}
	t.Logf("%d reads of %d pages", reads.Load(), pages.Load())
}

// TestValidatorChangesWithTheBytes: one form, one validator, however often it is
// made anew; other bytes, another.
func TestValidatorChangesWithTheBytes(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "x"})
	body, tag := map[string]string{}, map[string]string{}
	changed := 0
	look := func() {
		t.Helper()
		for _, path := range publicPaths {
			for _, coding := range []string{"br", "gzip", "identity"} {
				a := read(h, path, coding).want(200)
				got, k := a.header.Get("ETag"), path+" "+a.header.Get("Content-Encoding")
				if (got == tag[k]) != (a.body == body[k]) {
					t.Errorf("%s: the bytes changed: %v, the validator: %v", k, a.body != body[k], got != tag[k])
				}
				if got != tag[k] {
					changed++
				}
				body[k], tag[k] = a.body, got
			}
		}
	}
	look()
	h.tell(n, incident.DraftUpdate{Audience: "public", Text: "One.", Components: map[string]string{"Bridge": "major_outage"}})
	look()
	if changed < 2*len(publicPaths) {
		t.Errorf("only %d forms changed", changed)
	}
	for h.status.packNext() {
	}
	look()
	changed = 0
	h.cmd(n, incident.AddNote{Text: "internal"})
	h.cmd(n, incident.SetStatus{Status: "mitigating"})
	h.tell(n, incident.DraftUpdate{Audience: "clients", Text: "Not for everybody."}) // made anew, and the same but for its position
	h.declare(incident.Declare{Title: "another"})
	for h.status.packNext() {
	}
	look()
	for k := range tag {
		if strings.HasPrefix(k, "/api/") && changed > 3 {
			t.Errorf("%d forms changed though the public was told nothing", changed)
			break
		}
	}
	// The clock alone: minutes of what goes on, then the day.
	was := tag["/status "]
	h.late.Add(2 * ongoing)
	look()
	if tag["/status "] == was {
		t.Error("ten minutes of an outage later the page counts the same")
	}
	was = tag["/status "]
	h.late.Add(day)
	look()
	if tag["/status "] == was {
		t.Error("the page is of yesterday")
	}
}

// TestKeptIsBounded walks through everything that strangers can make the server keep.
func TestKeptIsBounded(t *testing.T) {
	h := newHouse(t)
	furnishStatus(h)
	for i := range 3 * maxStray {
		v := h.nobody()
		v.header.Set("Host", fmt.Sprintf("h%d.example", i))
		for _, path := range []string{"/status", "/api/v2/summary.json", "/status/history.atom", "/status/history/" + monthOf(h.millis())} {
			v.get(path).want(200)
		}
		v.get(fmt.Sprintf("/status/history/%04d-01", 1000+i)).want(404) // no month of ours, in whatever year this runs
	}
	h.nobody().get("/status/history/nonsense").want(404)
	kept := *h.status.kept.Load()
	strays := 0
	for k, d := range kept {
		if !k.fixed() {
			strays++
			if d.br != nil {
				t.Errorf("a stranger ordered the packing of %s for %s", k.kind.name, k.host)
			}
		}
	}
	if strays > maxStray || len(kept) > maxStray+len(h.status.paths)+len(h.Audiences) {
		t.Errorf("%d documents kept, %d of strangers", len(kept), strays)
	}
	page := key{kind: h.status.paths["/status"]}
	if kept[page] == nil {
		t.Error("strangers pushed the public page out")
	}
	// By size: two documents that are too large together.
	big := &document{codings: codings{plain: &encoded{body: make([]byte, maxStrayBytes*2/3)}}}
	h.status.mu.Lock()
	h.status.keep(key{kind: monthKind, part: "a"}, big)
	h.status.keep(key{kind: monthKind, part: "b"}, big)
	h.status.mu.Unlock()
	kept = *h.status.kept.Load()
	if kept[key{kind: monthKind, part: "a"}] != nil || kept[key{kind: monthKind, part: "b"}] == nil || kept[page] == nil {
		t.Error("the bound in bytes does not hold")
	}
}

// TestFastAnswersAreCounted: what goes past the router is on /metrics all the same.
func TestFastAnswersAreCounted(t *testing.T) {
	h := newHouse(t)
	for range 3 {
		h.nobody().get("/status").want(200)
	}
	v := h.nobody()
	v.header.Set("If-None-Match", "*")
	v.get("/api/v2/status.json").want(304)
	v.do("HEAD", "/assets/status.css", "", nil).want(304)
	h.ana().get("/metrics").want(200).has(
		`tocsin_http_answers_total{method="GET",route="/status",status="200"} 3`,
		`tocsin_http_answers_total{method="GET",route="/api/v2/:document",status="304"} 1`,
		`tocsin_http_answers_total{method="HEAD",route="/assets/*",status="304"} 1`)
}
