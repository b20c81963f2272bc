package remote

import (
	"bytes"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// TestSplice: as the script of the page would.
func TestSplice(t *testing.T) {
	page := `<html><head><meta name="now" content="5"><meta name="topic" content="board" data-since="3" data-from=""><meta name="topic" content="chains" data-since="9" data-from="me"></head>` +
		`<body><section id="a"><p>one<br>two</p><section>in</section></section><div id="b">bee <i id="c">sea</i></div><ol id="l"><li id="e-2" data-offset="2">2</li><li id="e-6" data-offset="6"><ol><li>x</li></ol></li></ol><script>"<section id='a'>"</script></body></html>`
	f := func(key, text string) frame { return frame{Key: key, HTML: text} }
	into := func(key, place, text string) frame { return frame{Key: key, HTML: text, Into: "l", Place: place} }
	for _, c := range []struct {
		name   string
		frames []frame
		want   [2]string // what of the page becomes what
	}{
		{"none", nil, [2]string{}},
		{"a region with its like inside", []frame{f("a", `<section id="a">new</section>`)}, [2]string{`<section id="a"><p>one<br>two</p><section>in</section></section>`, `<section id="a">new</section>`}},
		{"one that the page has not", []frame{f("z", `<p id="z">new</p>`)}, [2]string{}},
		{"inner, then outer", []frame{f("c", `<i id="c">new</i>`), f("b", `<div id="b">whole</div>`)}, [2]string{`<div id="b">bee <i id="c">sea</i></div>`, `<div id="b">whole</div>`}},
		{"outer, then inner", []frame{f("b", `<div id="b"><i id="c">x</i></div>`), f("c", `<i id="c">new</i>`)}, [2]string{`<div id="b">bee <i id="c">sea</i></div>`, `<div id="b"><i id="c">new</i></div>`}},
		{"entries in order", []frame{into("e-9", "end", `<li id="e-9" data-offset="9">9</li>`), into("e-4", "end", `<li id="e-4" data-offset="4">4</li>`), into("e-8", "end", `<li id="e-8" data-offset="8">8</li>`), into("e-3", "end", `<li id="e-3" data-offset="3">3</li>`)},
			[2]string{`<li id="e-6" data-offset="6"><ol><li>x</li></ol></li>`, `<li id="e-3" data-offset="3">3</li><li id="e-4" data-offset="4">4</li><li id="e-6" data-offset="6"><ol><li>x</li></ol></li><li id="e-8" data-offset="8">8</li><li id="e-9" data-offset="9">9</li>`}},
		{"an entry that is there", []frame{into("e-2", "there", `<li id="e-2" data-offset="2">redacted</li>`)}, [2]string{`<li id="e-2" data-offset="2">2</li>`, `<li id="e-2" data-offset="2">redacted</li>`}},
		{"one that is not", []frame{into("e-1", "there", `<li id="e-1" data-offset="1">1</li>`)}, [2]string{}},
		{"at the start", []frame{into("s", "start", `<li id="s">s</li>`)}, [2]string{`<li id="e-2"`, `<li id="s">s</li><li id="e-2"`}},
		{"at the end", []frame{into("s", "end", `<li id="s">s</li>`)}, [2]string{`</li></ol></li></ol>`, `</li></ol></li><li id="s">s</li></ol>`}},
		{"twice, then anew", []frame{f("a", `<section id="a">1</section>`), f("a", `<section id="a">2</section>`)}, [2]string{`<section id="a"><p>one<br>two</p><section>in</section></section>`, `<section id="a">2</section>`}},
	} {
		want := page
		if c.want[0] != "" {
			if strings.Count(page, c.want[0]) != 1 {
				t.Fatalf("%s: the test is wrong", c.name)
			}
			want = strings.Replace(page, c.want[0], c.want[1], 1)
		}
		want = strings.NewReplacer(`<meta name="now" content="5">`, `<meta name="now" content="77">`, `content="board" data-since="3"`, `content="board" data-since="8"`).Replace(want)
		if got := string(splice([]byte(page), c.frames, map[string]int64{"board": 8, "chains": 100}, 77)); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, want)
		}
	}
}

func FuzzSplice(f *testing.F) {
	f.Add([]byte(`<ol id="l"><li id="a" data-offset="1">x</li></ol><p id="b"><p id="b">`), "a", `<li id="a" data-offset="7">`, "l", "end")
	f.Add([]byte(`<svg><title id="a"></svg></title></p><a id=l>`), "l", `</ol>`, "l", "start")
	f.Fuzz(func(t *testing.T, page []byte, key, text, into, place string) {
		frames := []frame{{Key: key, HTML: text, Into: into, Place: place}, {Key: into, HTML: text}, {Key: key + "2", HTML: text, Into: into}, {Key: key, HTML: "<b>"}}
		out := splice(page, frames, map[string]int64{key: 1 << 40}, 1)
		if len(out) > (len(page)+1)*4+len(frames)*(len(text)+100) {
			t.Fatalf("%d bytes became %d", len(page), len(out))
		}
		if len(frames) > 0 && !bytes.Contains(page, []byte("<meta")) && !bytes.Contains(bytes.ToLower(page), []byte("id")) && !bytes.Equal(page, out) {
			t.Fatalf("%q became %q", page, out)
		}
	})
}

// FuzzRead: what comes from the room or from the disk can be anything.
func FuzzRead(f *testing.F) {
	f.Add([]byte(fakePage("ana", "board", 7, "x")))
	f.Add([]byte(`{"version":1,"pages":{"/":{"topics":[{"Name":"board","Since":1}],"assets":["/assets/x"]},"/x":null},"topics":{"board":{"since":1}},"assets":{"/assets/x":{"needs":[]}}}`))
	f.Add([]byte(`[{"topic":"board","key":"x","seq":1}]`))
	f.Add([]byte(`{"type":"resync","topic":"board"}`))
	f.Add([]byte(`{"topic":"board","seq":5,"key":"e-1","into":"timeline","html":"<li>"}`))
	f.Add([]byte(`{"id":"01a1fb1d-14e5-7ea8-a4eb-c38708c8a7dd","line":"/note x","written_at":5}`))
	f.Add([]byte(`{"heard":99}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		h := parseHead(b)
		if len(h.topics) > mostTopics || len(h.assets) > mostAssets {
			t.Fatal("unbounded")
		}
		for key, p := range parseIndex(b).Pages {
			if p == nil || !keepable(key) {
				t.Fatal("a page that cannot be kept")
			}
		}
		for _, g := range parseFrames(b, "board") {
			if g.Topic != "board" || g.Key == "" {
				t.Fatal("a frame of nothing")
			}
		}
		parseOpen(b)
		parseHeard(b)
		styleAssets(b)
		if len(parseJar(b)) > mostCookies {
			t.Fatal("unbounded")
		}
		if n, ok := parseNote(b); ok && (n.ID == "" || strings.TrimSpace(n.Line) == "") {
			t.Fatal("a note of nothing")
		}
		if q, err := url.ParseQuery(string(b)); err == nil && len(topicsAsked(q)) > mostFollowed {
			t.Fatal("unbounded")
		}
		r, err := Open(Options{Base: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, Dir: t.TempDir(), Keep: true})
		if err != nil {
			t.Fatal(err)
		}
		r.kept.topics["board"] = &topic{over: -1}
		r.hearOne(b, []string{"board"}, make(chan struct{}, 1))
	})
}

// FuzzHomeward: no redirect leads elsewhere by having its address taken away.
func FuzzHomeward(f *testing.F) {
	for _, s := range []string{"/x", "https://tocsin.example.org//evil.example", `https://tocsin.example.org/\evil`, "//tocsin.example.org", "https://tocsin.example.org@evil.example/", "\thttps://x"} {
		f.Add(s)
	}
	base := &url.URL{Scheme: "https", Host: "tocsin.example.org"}
	f.Fuzz(func(t *testing.T, to string) {
		got := homeward(to, base)
		if got == to {
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.HasPrefix(got, `/\`) {
			t.Fatalf("%q became %q", to, got)
		}
	})
}

func TestParseNote(t *testing.T) {
	id := `"01a1fb1d-14e5-7ea8-a4eb-c38708c8a7dd"`
	for body, note := range map[string]bool{
		`{"id":` + id + `,"line":"hello"}`: true, `{"id":` + id + `,"line":"/note hello"}`: true, `{"id":` + id + `,"line":"//not a command"}`: true,
		`{"id":` + id + `,"line":" hello ","written_at":7}`: true, `{"id":` + id + `,"line":"/sev 1 x"}`: false, `{"id":` + id + `,"line":"/decide x"}`: false,
		`{"id":` + id + `,"line":""}`: false, `{"line":"hello"}`: false, `{"id":"7","line":"hello"}`: false, `["hello"]`: false, "": false, `{"id":` + id + `,"line":" /sev 1"}`: false,
	} {
		if _, ok := parseNote([]byte(body)); ok != note {
			t.Errorf("%s is a note: %v", body, ok)
		}
	}
}

// TestHead of a page that the house wrote is read as a browser would.
func TestHead(t *testing.T) {
	h := parseHead([]byte(fakePage("ana", "board", 7, `<meta name="topic" content="late" data-since="1">`)))
	if h.title != "Board · Acme · Tocsin" || h.csrf != "token-of-ana" || h.build != "v1" || h.handle != "ana" || h.now != 1795213918373 ||
		len(h.topics) != 1 || h.topics[0] != (topicAt{"board", 7, ""}) || strings.Join(h.assets, " ") != "/assets/app.css?v=v1 /assets/app.js?v=v1" {
		t.Errorf("%+v", h)
	}
	if got := strings.Join(styleAssets([]byte(`@font-face{src:url(inter.woff2)}a{b:url("/assets/x.svg?v=1") url(data:image/png;base64,x) url( './y.png' ) url(https://e.example/z.png)}`)), " "); got != "/assets/inter.woff2 /assets/x.svg?v=1 /assets/y.png" {
		t.Errorf("%s", got)
	}
	if _, err := html.Parse(strings.NewReader(fakePage("a", "b", 1, ""))); err != nil {
		t.Fatal(err)
	}
}
