package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
)

// unpacked is the body of an answer without its encoding.
func unpacked(t testing.TB, a *answer) string {
	t.Helper()
	var r io.Reader = strings.NewReader(a.body)
	switch coding := a.header.Get("Content-Encoding"); coding {
	case "":
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			t.Fatalf("%s: %v", a.what, err)
		}
		r = z
	case "br":
		r = brotli.NewReader(r)
	default:
		t.Fatalf("%s: Content-Encoding %q", a.what, coding)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", a.what, err)
	}
	return string(b)
}

func TestAcceptEncoding(t *testing.T) {
	for header, want := range map[string]string{
		"":                               "",
		"gzip":                           "gzip",
		"br":                             "br",
		"gzip, deflate, br, zstd":        "br",
		"GZIP;q=1.0, BR;q=0.5":           "gzip",
		"br;q=0, gzip":                   "gzip",
		"br;q=0.0, gzip;q=0.000":         "",
		"br ; q = 0.3 , gzip;Q=0.2":      "br",
		"gzip;q=0.5, identity":           "",
		"gzip;q=0.5, identity;q=0.5":     "gzip",
		"*":                              "br",
		"*;q=0":                          "none",
		"*;q=0, gzip":                    "gzip",
		"identity;q=0":                   "none",
		"identity;q=0, deflate":          "none",
		"identity;q=0, br":               "br",
		"identity;q=0, *":                "br",
		"br;q=0, *":                      "gzip",
		"gzip;q=0, *;q=0.1, identity":    "",
		"deflate":                        "",
		"x-gzip":                         "gzip",
		"gzip;q=x":                       "",
		"gzip;q=0.1234":                  "",
		"gzip;q=-1":                      "",
		"gzip;q=2":                       "",
		"gzip;q=1.5":                     "gzip",
		"gzip;level=9;q=0.7, br;q=0.699": "gzip",
		"gzip;;q=0":                      "",
		",,br,":                          "br",
		"brr, gzipp":                     "",
	} {
		c := newCodings([]byte(strings.Repeat("words ", 300)), nil)
		c.br = brotliOf(c.plain.body, nil)
		got := "none"
		if e := c.choose([]string{header}); e != nil {
			got = codingOf(e)
		}
		if got != want {
			t.Errorf("%q is answered with %q, want %q", header, got, want)
		}
	}
	c := newCodings([]byte("words"), nil)
	if c.choose(nil) != c.plain {
		t.Error("who says nothing gets it packed")
	}
	if got := codingOf(c.choose([]string{"gzip;q=0.1", "br"})); got != "gzip" {
		t.Errorf("two lines of the header, br not made yet: %q", got)
	}
	if got := codingOf(c.choose([]string{"gzip, identity"})); got != "" {
		t.Errorf("packing made it longer, and it was sent so: %q", got)
	}
}

func codingOf(e *encoded) string {
	for _, f := range e.full {
		if f.name == "Content-Encoding" {
			return f.value[0]
		}
	}
	return ""
}

// FuzzAcceptEncoding: whatever is sent, no form is chosen that was ruled out in
// so many words, and the one that is chosen is one of ours.
func FuzzAcceptEncoding(f *testing.F) {
	for _, s := range []string{"br;q=0", "gzip, *;q=0", "identity;q=0,br;q=1.000", ";;q=,=;", "\x00br"} {
		f.Add(s)
	}
	c := newCodings([]byte(strings.Repeat("words ", 300)), nil)
	c.br = brotliOf(c.plain.body, nil)
	f.Fuzz(func(t *testing.T, header string) {
		w := accepted([]string{header})
		for _, q := range []int{w.br, w.gzip, w.identity} {
			if q < 0 || q > 1000 {
				t.Fatalf("%q weighs %d", header, q)
			}
		}
		e := c.choose([]string{header})
		for _, no := range []struct {
			text string
			e    *encoded
		}{{"br;q=0", c.br}, {"gzip;q=0", c.gzip}, {"identity;q=0", c.plain}} {
			if header == no.text && e == no.e {
				t.Fatalf("%q and yet it was sent", header)
			}
		}
		if e == nil && (w.br > 0 || w.gzip > 0 || w.identity > 0) {
			t.Fatalf("%q takes something and was refused", header)
		}
	})
}

// TestEveryFormIsTheSame asks for each kept document in each form, by the fast
// way and by the route.
func TestEveryFormIsTheSame(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.PublicURL = "https://room.example.org" })
	furnishStatus(h)
	paths := append([]string{"/assets/status.css", "/assets/app.js?v=test", "/assets/favicon.svg", "/assets/inter.woff2"}, publicPaths...)
	for _, path := range paths {
		h.nobody().get(path).want(200)
	}
	for h.status.packNext() {
	}
	for _, path := range paths {
		plain := h.nobody().get(path).want(200)
		seen := map[string]string{plain.header.Get("ETag"): "identity"}
		for _, form := range []string{"br", "gzip", "identity"} {
			v := h.nobody()
			v.header.Set("Accept-Encoding", form)
			a := v.get(path).want(200)
			got := a.header.Get("Content-Encoding")
			if got != form && form != "identity" && !strings.HasSuffix(path, ".woff2") {
				t.Errorf("%s as %s: %q", path, form, got)
			}
			if unpacked(t, a) != plain.body {
				t.Errorf("%s as %s says something else", path, form)
			}
			tag := a.header.Get("ETag")
			if !strings.HasPrefix(tag, `"`) || got != "" && seen[tag] != "" {
				t.Errorf("%s as %s: validator %s, as for %s", path, form, tag, seen[tag])
			}
			seen[tag] = form
			if a.header.Get("Content-Length") != itoa(int64(len(a.body))) || a.header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s as %s: %v for %d bytes", path, form, a.header, len(a.body))
			}
			// HEAD, and the route, which answers when a body is sent along.
			for what, b := range map[string]*answer{"HEAD": v.do("HEAD", path, "", nil).want(200), "the route": v.do("GET", path, "text/plain", strings.NewReader("x")).want(200)} {
				if what == "HEAD" && b.body != "" || what != "HEAD" && b.body != a.body {
					t.Errorf("%s of %s: %d bytes", what, path, len(b.body))
				}
				for _, x := range []http.Header{a.header, b.header} {
					x.Del("Date")
					x.Del("X-Request-Id")
					x.Del("Connection")
				}
				for name := range union(a.header, b.header) {
					if a.header.Get(name) != b.header.Get(name) {
						t.Errorf("%s of %s: %s is %q, the fast way %q", what, path, name, b.header.Get(name), a.header.Get(name))
					}
				}
			}
			for _, f := range append([]field{strict}, safety...) {
				if a.header.Get(f.name) != f.value[0] {
					t.Errorf("%s: %s is %q", path, f.name, a.header.Get(f.name))
				}
			}
			// A cache between us may list tags, weaken them, or have another form.
			for _, named := range []string{tag, "W/" + tag, `"x", ` + tag, `"x",W/"y" , W/` + tag, "*", plain.header.Get("ETag")} {
				c := h.nobody()
				c.header.Set("Accept-Encoding", form)
				c.header.Set("If-None-Match", named)
				if a := c.get(path).want(304); a.body != "" || a.header.Get("Content-Type") != "" || a.header.Get("ETag") == "" || a.header.Get("Cache-Control") == "" || a.header.Get("Vary") == "" {
					t.Errorf("%s: %v", a.what, a.header)
				}
			}
			for _, named := range []string{`"x"`, strings.Trim(tag, `"`), `"x` + strings.TrimPrefix(tag, `"`), ""} {
				v.header.Set("If-None-Match", named)
				v.get(path).want(200)
			}
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		h.nobody().do(method, "/status", "", nil).want(404, 405)
	}
	// What nobody has ready: brotli is made when nothing else will do, and who
	// takes nothing of ours is told so.
	v := h.nobody()
	v.header.Set("Accept-Encoding", "identity;q=0")
	v.get("/api/v2/status.json").want(406).problem("not_acceptable")
	h.late.Add(day)
	v.header.Set("Accept-Encoding", "br, *;q=0")
	if a := v.get("/status").want(200); a.header.Get("Content-Encoding") != "br" {
		t.Errorf("%v", a.header)
	}
}

func union(a, b http.Header) map[string]bool {
	out := map[string]bool{}
	for k := range a {
		out[k] = true
	}
	for k := range b {
		out[k] = true
	}
	return out
}
