package remote

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func keptIn(t *testing.T, dir string) *kept {
	t.Helper()
	return openKept(dir, slog.New(slog.DiscardHandler))
}

func size(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		st, err := e.Info()
		n += st.Size()
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return n
}

func (k *kept) keys() (list []string) {
	for _, l := range k.list() {
		list = append(list, l.Path)
	}
	return list
}

func put(t *testing.T, k *kept, key, page string, at int64, visit bool) {
	t.Helper()
	if took, err := k.store(key, []byte(page), at, visit); err != nil || !took {
		t.Fatalf("%s: %v %v", key, took, err)
	}
}

// TestFiftyPages: the least wanted go first, those of the incident that is open and the board last.
func TestFiftyPages(t *testing.T) {
	dir := t.TempDir()
	k := keptIn(t, dir)
	k.stand([]string{"/"}, []string{"/incidents/7"})
	put(t, k, "/", fakePage("ana", "board", 1, ""), 1, false)
	put(t, k, "/incidents/7", fakePage("ana", "incident/7", 1, ""), 2, false)
	for i := range 60 {
		put(t, k, fmt.Sprintf("/signals/%d", i), fakePage("ana", "", 1, "x"), int64(100+i), true)
	}
	keys := k.keys()
	if len(keys) != mostPages || keys[0] != "/" || keys[1] != "/incidents/7" || keys[2] != "/signals/59" || slices.Contains(keys, "/signals/11") || !slices.Contains(keys, "/signals/12") {
		t.Errorf("%d: %v", len(keys), keys)
	}
	if err := k.flush(); err != nil {
		t.Fatal(err)
	}
	if files, _ := os.ReadDir(dir); len(files) != mostPages+2+1 {
		t.Errorf("%d files for %d pages, 2 topics and the index", len(files), mostPages)
	}
	if again := keptIn(t, dir); !slices.Equal(again.keys(), keys) {
		t.Errorf("read again: %v", again.keys())
	}
}

// TestSixtyFourMegabytes are for pages, frames and assets together.
func TestSixtyFourMegabytes(t *testing.T) {
	dir := t.TempDir()
	k := keptIn(t, dir)
	k.stand([]string{"/"}, nil)
	big := strings.Repeat("x", mostPage-1000)
	put(t, k, "/", fakePage("ana", "board", 1, big), 1, false)
	for i := range 18 {
		put(t, k, fmt.Sprintf("/signals/%d", i), fakePage("ana", "", 1, big), int64(100+i), true)
		if n := size(t, dir); n > mostKept+1<<20 {
			t.Fatalf("after %d: %d bytes", i, n)
		}
	}
	if keys := k.keys(); len(keys) != 16 || !slices.Contains(keys, "/") {
		t.Errorf("%d kept: %v", len(keys), keys)
	}
	if took, err := k.store("/log", []byte(fakePage("ana", "", 1, big+big)), 1, true); took || err != nil {
		t.Errorf("a page of 8 MB: %v %v", took, err)
	}
	if err := k.wipe(); err != nil || size(t, dir) != 0 {
		t.Errorf("wiped: %v, %d bytes", err, size(t, dir))
	}
}

func frameOf(topic string, seq int64, key, html string) frame {
	return frame{Topic: topic, Seq: &seq, At: 1795213918373 + seq, Key: key, HTML: html}
}

// TestFrames: the newest of each key, bounded; what a page that was fetched anew contains goes.
func TestFrames(t *testing.T) {
	dir := t.TempDir()
	k := keptIn(t, dir)
	page := fakePage("ana", "incident/7", 10, `<section id="facts">old</section><ol id="timeline"><li id="e-9" data-offset="9">nine</li></ol>`)
	put(t, k, "/incidents/7", page, 1000, true)
	shows := func(k *kept, want string) int64 {
		t.Helper()
		b, asOf, ok := k.page("/incidents/7", 5)
		_, body, _ := strings.Cut(string(b), "<body")
		_, body, _ = strings.Cut(body, ">")
		if !ok || body != want+"</body></html>" {
			t.Errorf("it shows\n%s\nwant\n%s", body, want)
		}
		return asOf
	}
	if asOf := shows(k, `<section id="facts">old</section><ol id="timeline"><li id="e-9" data-offset="9">nine</li></ol>`); asOf != 1000 {
		t.Errorf("as of %d", asOf)
	}
	k.take(frameOf("incident/7", 11, "facts", `<section id="facts">new</section>`), 2000)
	entry := frameOf("incident/7", 12, "e-12", `<li id="e-12" data-offset="12">twelve</li>`)
	entry.Into, entry.Place = "timeline", "end"
	k.take(entry, 2000)
	entry.HTML = `<li id="e-12" data-offset="12">twelve, redacted</li>`
	k.take(entry, 2000)
	gone := frameOf("incident/7", 12, "e-1", `<li id="e-1" data-offset="1">old and not shown</li>`)
	gone.Into, gone.Place = "timeline", "there"
	k.take(gone, 2000)
	k.take(frameOf("incident/7", 9, "facts", "late"), 2000)
	k.take(frameOf("incident/8", 99, "facts", "of another"), 2000)
	k.beat([]string{"incident/7"}, 3000)
	want := `<section id="facts">new</section><ol id="timeline"><li id="e-9" data-offset="9">nine</li><li id="e-12" data-offset="12">twelve, redacted</li></ol>`
	if asOf := shows(k, want); asOf != 3000 {
		t.Errorf("as of %d", asOf)
	}
	if at := k.followed(); len(at) != 1 || at[0] != (topicAt{Name: "incident/7", Since: 12}) {
		t.Errorf("follows %v", at)
	}
	if err := k.flush(); err != nil {
		t.Fatal(err)
	}
	again := keptIn(t, dir)
	if asOf := shows(again, want); asOf != 3000 {
		t.Errorf("after a restart as of %d", asOf)
	}
	// frames whose file is gone: it is shown as of when the page was fetched
	_ = os.Remove(filepath.Join(dir, fileOf("t", "incident/7")))
	if asOf := shows(keptIn(t, dir), `<section id="facts">old</section><ol id="timeline"><li id="e-9" data-offset="9">nine</li></ol>`); asOf != 1000 {
		t.Errorf("without its frames as of %d", asOf)
	}

	// something is missing: until the page is fetched anew it is not as of now
	k.resync("incident/7")
	k.take(frameOf("incident/7", 30, "facts", `<section id="facts">newest</section>`), 9000)
	if _, asOf, _ := k.page("/incidents/7", 5); asOf != 3000 {
		t.Errorf("with a hole as of %d", asOf)
	}
	if due := k.due(nil, 1000); !slices.Equal(due, []string{"/incidents/7"}) {
		t.Errorf("due: %v", due)
	}
	put(t, k, "/incidents/7", strings.Replace(page, `data-since="10"`, `data-since="29"`, 1), 9500, false)
	k.beat([]string{"incident/7"}, 9900)
	if asOf := shows(k, `<section id="facts">newest</section><ol id="timeline"><li id="e-9" data-offset="9">nine</li></ol>`); asOf != 9900 {
		t.Errorf("as of %d", asOf)
	}

	// very many
	for i := range 2 * hardEntries {
		f := frameOf("incident/7", int64(100+i), fmt.Sprintf("e-%d", 100+i), "<li>x</li>")
		f.Into = "timeline"
		k.take(f, 10_000)
		if i == mostEntries+1 && len(k.due(nil, 9600)) != 1 {
			t.Error("its page is not fetched anew")
		}
	}
	if n := len(k.topics["incident/7"].frames); n > hardEntries {
		t.Errorf("%d frames", n)
	}
	for i := range 8 {
		k.take(frameOf("incident/7", 5000, fmt.Sprintf("big%d", i), strings.Repeat("x", 1<<20)), 10_000)
	}
	if n := k.topics["incident/7"].bytes; n > hardFrames {
		t.Errorf("%d bytes", n)
	}
}

// TestWhosePages: of one person only, and none whose address is a secret.
func TestWhosePages(t *testing.T) {
	k := keptIn(t, t.TempDir())
	put(t, k, "/", fakePage("ana", "board", 1, ""), 1, false)
	put(t, k, "/wall", fakePage("", "wall", 1, ""), 1, false) // names nobody
	put(t, k, "/signals", fakePage("bo", "signals", 1, ""), 2, true)
	if keys := k.keys(); !slices.Equal(keys, []string{"/signals"}) {
		t.Errorf("bo has %v", keys)
	}
	for _, no := range []string{"/signin", "/signin?next=%2F", "/join/join_x", "/page/x", "/wall/x", "/calendar/x", "/api/v1/log", "/me", "/me/x", "/tokens", "/.desk/start", "//evil", "x", "/assets/app.js", "/live?topic=board", "/" + strings.Repeat("x", 3000)} {
		if keepable(no) {
			t.Errorf("%.40s is kept", no)
		}
	}
	for _, yes := range []string{"/", "/wall", "/wall?x=1", "/incidents/7", "/incidents?status=all", "/meals", "/people", "/signals/x", "/log"} {
		if !keepable(yes) {
			t.Errorf("%s is not kept", yes)
		}
	}
	if key := keyOf(parse(t, "/incidents/7?since=12&all=1")); key != "/incidents/7?all=1" {
		t.Errorf("%s", key)
	}
	if took, _ := k.store("/x", []byte("<html><head></head><body>It works!</body></html>"), 3, true); took {
		t.Error("a page of another program is kept")
	}
}

// TestOpenIncidents: the newest twenty.
func TestOpenIncidents(t *testing.T) {
	var list []string
	for i := range 30 {
		list = append(list, fmt.Sprintf(`{"number":%d}`, i+1))
	}
	rooms := parseOpen([]byte(`{"incidents":[` + strings.Join(list, ",") + `]}`))
	if len(rooms) != mostIncidents || rooms[0] != "/incidents/30" || rooms[19] != "/incidents/11" {
		t.Errorf("%v", rooms)
	}
}

// TestBrokenDirectory: whatever is on the disk, the Room opens, and what makes no sense is as if it were not there.
func TestBrokenDirectory(t *testing.T) {
	dir := t.TempDir()
	k := keptIn(t, filepath.Join(dir, "kept"))
	put(t, k, "/", fakePage("ana", "board", 1, ""), 1, false)
	if err := k.flush(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(k.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range files {
		if err := os.WriteFile(filepath.Join(k.dir, e.Name()), []byte("\x00garbage"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"session.json", "heard.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Open(Options{Base: parse(t, "http://127.0.0.1:1"), Dir: dir, Keep: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Reach(); got != (Reach{}) || len(r.kept.keys()) != 0 {
		t.Errorf("%+v %v", got, r.kept.keys())
	}
	for _, o := range []Options{{}, {Base: parse(t, "ftp://x")}, {Base: parse(t, "https://x/y")}, {Base: parse(t, "https://u:p@x")}, {Base: parse(t, "https://x"), Pin: "abc"}} {
		if o.Dir = t.TempDir(); true {
			if _, err := Open(o); err == nil {
				t.Errorf("%+v opens", o)
			}
		}
	}
}

// TestJar: as browsers keep cookies, and not more of them than a server has a use for.
func TestJar(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	path := filepath.Join(t.TempDir(), "session.json")
	j := openJar(path, false, func() time.Time { return now })
	set := func(c ...*http.Cookie) {
		t.Helper()
		if err := j.set(c); err != nil {
			t.Fatal(err)
		}
	}
	is := func(at, want string) {
		t.Helper()
		if got, _ := j.header(at, ""); got != want {
			t.Errorf("%s: %q, want %q", at, got, want)
		}
	}
	set(&http.Cookie{Name: "a", Value: "1"}, &http.Cookie{Name: "b", Value: "2", Path: "/incidents", MaxAge: 600}, &http.Cookie{Name: "c", Value: "3", Secure: true})
	is("/", "a=1")
	is("/incidents", "a=1; b=2")
	is("/incidents/7", "a=1; b=2")
	is("/incidentsx", "a=1")
	j.secure = true
	is("/", "a=1; c=3")
	j = openJar(path, false, func() time.Time { return now })
	is("/incidents/", "a=1; b=2")
	now = now.Add(time.Hour)
	is("/incidents", "a=1")
	set(&http.Cookie{Name: "a", Expires: now.Add(-time.Second)})
	is("/", "")
	for i := range 100 {
		set(&http.Cookie{Name: fmt.Sprintf("n%d", i), Value: strings.Repeat("x", 200), MaxAge: 5})
	}
	set(&http.Cookie{Name: "big", Value: strings.Repeat("x", mostCookie)})
	if n := len(j.cookies); n > mostCookies {
		t.Errorf("%d cookies", n)
	}
	if b, _ := os.ReadFile(path); strings.Contains(string(b), "n1") {
		t.Error("what passes in a moment is on the disk")
	}
}
