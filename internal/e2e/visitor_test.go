package e2e

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"testing"
)

// visitor is somebody with a cookie jar and no scripts.
type visitor struct {
	t      testing.TB
	base   string
	handle string
	client *http.Client
}

// enter uses the printed sign-in link up as a person without a browser would.
func (s *tocsin) enter(handle, name string) *visitor {
	s.t.Helper()
	if s.link == "" {
		s.t.Fatal("no sign-in link was printed")
	}
	u, err := url.Parse(s.link)
	if err != nil {
		s.t.Fatal(err)
	}
	jar, _ := cookiejar.New(nil)
	v := &visitor{t: s.t, base: u.Scheme + "://" + u.Host, handle: handle, client: &http.Client{Jar: jar}}
	code, page := v.post(u.Path, url.Values{"handle": {handle}, "name": {name}})
	if code != 200 {
		s.t.Fatalf("sign in by the link: %d %s", code, page)
	}
	return v
}

var csrfField = regexp.MustCompile(`name="(?:csrf)" content="([^"]*)"`)

func (v *visitor) get(path string) (int, string) {
	v.t.Helper()
	r, err := v.client.Get(v.base + path)
	if err != nil {
		v.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// post sends a form as a page would, with the token against forgery.
func (v *visitor) post(path string, form url.Values) (int, string) {
	v.t.Helper()
	if m := csrfField.FindStringSubmatch(second(v.get("/me"))); m != nil {
		form.Set("_csrf", m[1])
	}
	r, err := v.client.PostForm(v.base+path, form)
	if err != nil {
		v.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func second(_ int, s string) string { return s }

var wallAddress = regexp.MustCompile(`https?://[^\s"<]+(/wall/[^\s"<]+)`)

// wallLink makes a key for a wall and returns the path that opens it.
func (v *visitor) wallLink(name string) string {
	v.t.Helper()
	code, page := v.post("/tokens/wall", url.Values{"name": {name}})
	m := wallAddress.FindStringSubmatch(page)
	if m == nil {
		v.t.Fatalf("no wall key: %d %s", code, page)
	}
	return m[1]
}
