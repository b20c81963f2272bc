package remote

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
	"golang.org/x/net/html"

	"github.com/tocsin-ops/tocsin/internal/outbox"
	"github.com/tocsin-ops/tocsin/views"
)

// region is an element of a page as it stands in the document.
func region(t *testing.T, page, id string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for n := range doc.Descendants() {
		for _, a := range n.Attr {
			if a.Key == "id" && a.Val == id {
				if err := html.Render(&out, n); err != nil {
					t.Fatal(err)
				}
				return out.String()
			}
		}
	}
	return ""
}

var roomRegions = []string{views.RegionStrip, views.RegionFacts, views.RegionWaiting, views.RegionTimeline, views.RegionTasks, views.RegionRoles, views.RegionLinks, views.RegionComms,
	views.RegionImpact, views.RegionPaging, views.RegionPresence, views.RegionReadOnly}

// TestServerDies in the middle of an incident: what was kept is what was shown last, notes wait, all else is refused, and it is all there after a restart
// without a network. When the server is back it is used within seconds.
func TestServerDies(t *testing.T) {
	began := time.Now().Truncate(time.Millisecond)
	h := newHouse(t)
	dir := t.TempDir()
	first, second := h.declare("Bridge drained"), h.declare("Validator offline")
	d := h.desk(dir, true)
	d.signIn()
	room := fmt.Sprintf("/incidents/%d", first)
	keeps := func(path, text string) func() bool {
		return func() bool {
			body, _, ok := d.kept.page(path, time.Now().UnixMilli())
			return ok && strings.Contains(string(body), text)
		}
	}
	for _, path := range []string{"/", "/wall", "/incidents", room, fmt.Sprintf("/incidents/%d", second)} {
		until(t, path+" is kept", patience, keeps(path, "</html>"))
	}
	if _, body := d.get("/signals"); !strings.Contains(body, `<meta name="desk" content="joined">`) {
		t.Error("a page through the proxy lacks what is put into it")
	}
	until(t, "a visited page is kept", patience, keeps("/signals", "</html>"))

	topic := fmt.Sprintf("incident/%d", first)
	until(t, "the room is followed", patience, func() bool {
		d.kept.mu.Lock()
		defer d.kept.mu.Unlock()
		return d.kept.topics[topic].Whole > 0 && d.kept.topics[topic].over < 0
	})

	// It goes on while the pages are kept: nothing of this is in them but by frames.
	page := d.live("topic=board&since=-1")
	hear(t, page, func(m message, _ string) bool { return m.Type == "hello" })
	for i := range 5 {
		h.note(first, fmt.Sprintf("note number %d", i))
	}
	h.call("POST", fmt.Sprintf("/api/v1/incidents/%d/commands", first), `{"command":"set_severity","args":{"severity":"SEV1","reason":"funds are moving"}}`)
	h.call("POST", fmt.Sprintf("/api/v1/incidents/%d/commands", first), `{"command":"add_task","args":{"title":"Pause the bridge"}}`)
	third := h.declare("Explorer lags")
	hear(t, page, func(m message, _ string) bool { return strings.Contains(m.HTML, "Explorer lags") }) // through the proxy
	until(t, "frames are kept", patience, func() bool {
		return keeps(room, "Pause the bridge")() && keeps(room, "note number 4")() && keeps("/", "Explorer lags")() && keeps("/wall", "SEV1")()
	})
	until(t, "a new incident's room is kept", patience, keeps(fmt.Sprintf("/incidents/%d", third), "Explorer lags"))
	truth := func(path string) string { // past the Room, so that it keeps nothing of it
		cookie, _ := d.jar.header("/", sessionCookie)
		_, page := fetch(t, http.DefaultClient, request(t, "GET", "http://"+h.app.Addr()+path, "", "Accept", "text/html", "Cookie", cookie))
		return page
	}
	regions := map[string][]string{
		room:    roomRegions,
		"/":     {views.RegionBoardIncidents, views.RegionBoardSignals, views.RegionBoardRecent, views.RegionReadOnly},
		"/wall": {views.RegionWallIncident, views.RegionWallOthers, views.RegionWallSummary},
	}
	live := map[string]string{}
	alike := func() bool {
		for path, ids := range regions {
			live[path] = truth(path)
			kept, _, ok := d.kept.page(path, time.Now().UnixMilli())
			for _, id := range ids {
				if !ok || region(t, live[path], id) != region(t, string(kept), id) {
					return false
				}
			}
		}
		return true
	}
	until(t, "what is kept is what the server shows, which does something of its own after all that was asked of it", 2*patience, func() bool {
		log := h.call("GET", "/api/v1/log?follow=false", "")
		if !alike() {
			return false
		}
		time.Sleep(2 * time.Second) // nothing tells when it will do no more
		return h.call("GET", "/api/v1/log?follow=false", "") == log && alike()
	})
	if strings.Contains(region(t, live[room], views.RegionPresence), `data-handle="ana"`) {
		t.Error("who only keeps pages is shown as present")
	}
	until(t, "the wall's frames are here", patience, keeps("/wall", "Explorer lags"))

	until(t, "stylesheet and font are kept", patience, func() bool {
		_, _, css := d.kept.asset("/assets/app.css")
		_, _, font := d.kept.asset("/assets/inter.woff2")
		return css && font
	})
	if r := d.Reach(); !r.Up {
		t.Errorf("away before its end: %+v", r)
	}
	h.line.cut()
	took := until(t, "it is known to be away", patience, func() bool { // what was under way may only have been broken off
		r := d.Reach()
		return !r.Up && r.Trouble != nil && r.Trouble.Code == CodeRefused
	})
	died := time.Now()
	t.Logf("known to be away after %v", took)
	if r := d.Reach(); !r.SignedIn || r.Heard.Before(began) {
		t.Errorf("%+v", r)
	}
	for path, ids := range regions {
		res, got := d.get(path)
		at, err := strconv.ParseInt(res.Header.Get(HeaderKept), 10, 64)
		if res.StatusCode != 200 || err != nil || time.UnixMilli(at).Before(began) || time.UnixMilli(at).After(died) {
			t.Errorf("%s: %d, kept %v", path, res.StatusCode, res.Header.Get(HeaderKept))
		}
		if !strings.Contains(got, fmt.Sprintf(`<meta name="kept" content="%d"><meta name="desk" content="joined"></head>`, at)) {
			t.Errorf("%s does not say that it was kept", path)
		}
		for _, id := range ids {
			was, is := region(t, live[path], id), region(t, got, id)
			if was == "" || was != is {
				t.Errorf("%s: region %s was\n%s\nand is kept as\n%s", path, id, was, is)
			}
		}
	}
	if res, css := d.get("/assets/app.css"); res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/css; charset=utf-8" || len(css) < 1000 {
		t.Errorf("the stylesheet: %d %v", res.StatusCode, res.Header)
	}
	if res, _ := d.get("/assets/inter.woff2"); res.StatusCode != 200 {
		t.Errorf("the font: %d", res.StatusCode)
	}
	res, body := d.get("/chains")
	if res.StatusCode != 503 || !strings.Contains(body, "This page was not kept") || !strings.Contains(body, `href="`+room+`"`) || !strings.Contains(body, "Bridge drained") || !strings.Contains(body, "no program listens") {
		t.Errorf("not kept: %d %s", res.StatusCode, body)
	}

	// The page's socket: of one that holds less than is kept, and of one that holds a little less than all.
	page = d.live("topic=board&since=0")
	hear(t, page, func(m message, raw string) bool { return m.Type == "resync" && m.Topic == "board" })
	page = d.live("topic=" + topic + "&since=" + strconv.FormatInt(d.kept.pages[room].Topics[0].Since, 10) + "&topic=chains&since=5&from=x")
	var since int64
	heard := hear(t, page, func(m message, raw string) bool {
		if _, err := fmt.Sscanf(raw, `{"type":"kept","since":%d,`, &since); err != nil {
			t.Errorf("the first word is %s", raw)
		}
		return true
	})
	if heard.Type != "kept" || time.UnixMilli(since).Before(began) || time.UnixMilli(since).After(died) {
		t.Errorf("since %v", time.UnixMilli(since))
	}
	hear(t, page, func(m message, raw string) bool {
		return strings.Contains(m.HTML, "Pause the bridge") && !strings.Contains(raw, `"at"`)
	})

	// What is said.
	id := "01a1fb1d-14e5-7ea8-a4eb-c38708c8a7dd"
	if status, answer := d.post(room+"/line", `{"id":"`+id+`","line":"hello from the train"}`); status != 202 || !strings.Contains(answer, `"queued":true,"written_at":1`) {
		t.Errorf("a note: %d %s", status, answer)
	}
	if n := d.box.all(); len(n) != 1 || n[0].ID != id || n[0].Incident != first || n[0].Line != "hello from the train" || n[0].WrittenAt < died.UnixMilli() || n[0].WrittenAt > time.Now().UnixMilli() {
		t.Errorf("queued: %+v", n)
	}
	for path, body := range map[string]string{room + "/line": `{"id":"` + id + `","line":"/sev 1 worse"}`, room + "/commands": `{"command":"resolve"}`} {
		if status, answer := d.post(path, body); status != 503 || !strings.Contains(answer, `"code":"unreachable"`) || !strings.Contains(answer, "Nothing was sent") {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	d.box.mu.Lock()
	d.box.err = fmt.Errorf("add: %w", &outbox.Unkept{Code: "full", Sentence: "1,000 notes wait already."})
	d.box.mu.Unlock()
	if status, answer := d.post(room+"/line", `{"id":"`+id+`","line":"one more"}`); status != 503 || !strings.Contains(answer, "1,000 notes wait already.") {
		t.Errorf("a full outbox: %d %s", status, answer)
	}

	// Another start, still without a network.
	was := d.Reach().Heard
	_, before := d.get(room)
	d.stop()
	again := h.desk(dir, true)
	if !again.Reach().Heard.Equal(was.Truncate(time.Millisecond)) {
		t.Errorf("last heard %v, was %v", again.Reach().Heard, was)
	}
	res, after := again.get(room)
	for _, id := range roomRegions {
		if a, b := region(t, before, id), region(t, after, id); a == "" || a != b {
			t.Errorf("after a restart %s was\n%s\nand is\n%s", id, a, b)
		}
	}
	if res.Header.Get(HeaderKept) != strconv.FormatInt(since, 10) {
		t.Errorf("after a restart kept at %s, was %d", res.Header.Get(HeaderKept), since)
	}

	// The server is back.
	page = again.live("topic=board&since=0")
	hear(t, page, func(m message, _ string) bool { return m.Type == "kept" })
	h.line.connect()
	took = until(t, "it is known to be back", patience, func() bool { return again.Reach().Up })
	t.Logf("known to be back after %v", took)
	for {
		if _, _, err := page.ReadMessage(); err != nil {
			if !websocket.IsCloseError(err, websocket.CloseServiceRestart) {
				t.Errorf("the page's socket ended with %v", err)
			}
			break
		}
	}
	if status, answer := again.post(room+"/line", `{"id":"`+id+`","line":"hello again"}`); status != 200 || !strings.Contains(answer, `"position"`) {
		t.Errorf("a note when it is back: %d %s", status, answer)
	}
	until(t, "it is kept", patience, func() bool {
		b, _, ok := again.kept.page(room, 0)
		return ok && strings.Contains(string(b), "hello again")
	})

	// Forgotten.
	again.stop()
	if err := again.Forget(); err != nil {
		t.Fatal(err)
	}
	var left []string
	_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, _ error) error {
		if !e.IsDir() {
			left = append(left, path)
		}
		return nil
	})
	if len(left) != 0 || again.Reach().SignedIn || !again.Reach().Heard.IsZero() {
		t.Errorf("forgotten, but there is %v, %+v", left, again.Reach())
	}
}

// TestSilentNetwork: bytes that go nowhere are noticed in seconds, and whoever waits is answered from what was kept.
func TestSilentNetwork(t *testing.T) {
	h := newHouse(t)
	n := h.declare("Bridge drained")
	d := h.desk(t.TempDir(), true)
	d.signIn()
	room := fmt.Sprintf("/incidents/%d", n)
	until(t, "the room is kept", patience, func() bool { _, _, ok := d.kept.page(room, 0); return ok })
	page := d.live("topic=board&since=0")
	hear(t, page, func(m message, _ string) bool { return m.Type == "hello" })
	h.line.hush(true, true)
	res, body := d.get(room)
	if res.Header.Get(HeaderKept) == "" || !strings.Contains(body, "Bridge drained") {
		t.Errorf("%d", res.StatusCode)
	}
	if r := d.Reach(); r.Up || r.Trouble.Code != CodeTimeout {
		t.Errorf("%+v", r)
	}
	_ = page.SetReadDeadline(time.Now().Add(patience))
	for {
		if _, _, err := page.ReadMessage(); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the page's socket stays open into nowhere")
			}
			break
		}
	}
	h.line.mend()
	until(t, "it is back", patience, func() bool { return d.Reach().Up })
}

// TestLostAnswer: the room took a note and its answer got lost. It is queued, and may be sent again: the id makes that harmless. Of a command nobody
// says that nothing was sent.
func TestLostAnswer(t *testing.T) {
	h := newHouse(t)
	n := h.declare("Bridge drained")
	d := h.desk(t.TempDir(), false)
	d.signIn()
	room := fmt.Sprintf("/incidents/%d", n)
	_, page := d.get(room)
	csrf := parseHead([]byte(page)).csrf
	type told struct {
		*http.Response
		body string
	}
	say := func(line string) told {
		res, body := fetch(t, d.c, request(t, "POST", d.s.URL+room+"/line", `{"id":"`+uuid.NewString()+`","line":"`+line+`"}`,
			"Content-Type", "application/json", "X-Tocsin-CSRF", csrf, "Origin", d.s.URL))
		return told{res, body}
	}
	events := func() string { return h.call("GET", "/api/v1"+room+"/events", "") }
	lost := func(line, has string) told { // as when a look finds out, once the room has it
		h.line.hush(false, true)
		said := make(chan told, 1)
		go func() { defer close(said); said <- say(line) }()
		until(t, "the room has it", patience, func() bool { return strings.Contains(events(), has) })
		d.fell(troubleTimeout(h.base))
		res, ok := <-said
		if !ok {
			t.FailNow() // say has told why
		}
		return res
	}
	if res := lost("hello", "hello"); res.StatusCode != 202 || len(d.box.all()) != 1 {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
	if events := events(); strings.Count(events, "hello") != 1 {
		t.Errorf("the room has %s", events)
	}
	h.line.mend()
	until(t, "it is back", patience, func() bool { return d.Reach().Up })
	q := d.box.all()[0]
	status, answer, err := d.Post(t.Context(), fmt.Sprintf("/incidents/%d/line", q.Incident), map[string]any{"id": q.ID, "line": q.Line})
	if err != nil || status != 200 {
		t.Errorf("%d %s %v", status, answer, err)
	}
	if events := events(); strings.Count(events, "hello") != 1 {
		t.Errorf("the room has it twice: %s", events)
	}
	if res := lost("/sev 1 worse", "worse"); res.StatusCode != 503 || !strings.Contains(res.body, `"code":"uncertain"`) || strings.Contains(res.body, "Nothing was sent") {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
	h.line.mend()
	until(t, "it is back", patience, func() bool { return d.Reach().Up })
}

// TestSessionEnds: the room's no, and only that, signs somebody out here; what that session was shown goes too.
func TestSessionEnds(t *testing.T) {
	h := newHouse(t)
	h.declare("Bridge drained")
	d := h.desk(t.TempDir(), true)
	d.signIn()
	until(t, "pages are kept", patience, func() bool { return len(d.kept.list()) >= 3 })
	cookie := d.jar.cookies[sessionCookie]
	other, s, c := front(t, Options{Base: h.base})
	if err := other.SetCookie(&http.Cookie{Name: sessionCookie, Value: cookie.Value, Path: "/"}); err != nil {
		t.Fatal(err)
	}
	res, page := fetch(t, c, request(t, "GET", s.URL+"/me", "", "Accept", "text/html"))
	if res.StatusCode != 200 {
		t.Fatalf("%d", res.StatusCode)
	}
	seen, err := d.Reach(), error(nil)
	if res, body := fetch(t, c, request(t, "POST", s.URL+"/signout", "_csrf="+parseHead([]byte(page)).csrf, "Content-Type", "application/x-www-form-urlencoded", "Origin", s.URL)); res.StatusCode != 303 {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	for seen.SignedIn {
		if seen, err = d.Reached(t.Context(), seen); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the room itself is still there", patience, func() bool { r := d.Reach(); return r.Up && !r.SignedIn })
	until(t, "its pages are gone", patience, func() bool { return len(d.kept.list()) == 0 })
	if res, _ := d.get("/"); res.StatusCode != 303 || !strings.HasPrefix(res.Header.Get("Location"), "/signin") {
		t.Errorf("%d to %s", res.StatusCode, res.Header.Get("Location"))
	}
}
