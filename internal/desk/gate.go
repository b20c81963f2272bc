package desk

import (
	"crypto/rand"
	"crypto/subtle"
	"html"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	gateCookie  = "tocsin_desk"
	enterPath   = "/.desk/enter/"
	entryLife   = 30 * time.Second
	mostEntries = 16
)

// gate decides who may talk to the front: only the window, which alone was ever given the cookie of this run. Other programs of this computer can reach the
// listener too, and other pages can make a browser send something there; both end here.
type gate struct {
	clock  func() time.Time
	cookie string
	mu     sync.Mutex
	host   string // exactly what the window asks for, 127.0.0.1:PORT
	passes []pass // the newest last
}

// pass is a single-use address that was handed to the window.
type pass struct {
	token string
	page  string
	until time.Time
}

func newGate(clock func() time.Time) *gate {
	return &gate{clock: clock, cookie: rand.Text() + rand.Text()}
}

func (g *gate) opens(host string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.host = host
}

// issue makes an address that works once, within entryLife. Of more than mostEntries the oldest are void.
func (g *gate) issue(page string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := pass{token: rand.Text() + rand.Text(), page: page, until: g.clock().Add(entryLife)}
	if g.passes = append(g.passes, p); len(g.passes) > mostEntries {
		g.passes = g.passes[1:]
	}
	return "http://" + g.host + enterPath + p.token
}

// use returns the page that a token leads to, once.
func (g *gate) use(token string) (page string, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock()
	for i, p := range g.passes {
		if subtle.ConstantTimeCompare([]byte(p.token), []byte(token)) == 1 {
			g.passes = append(g.passes[:i:i], g.passes[i+1:]...)
			return p.page, now.Before(p.until)
		}
	}
	return "", false
}

// admit reports whether a request comes from the window, for exactly this listener, and from a page of it. The listener is asked for by its number: a
// name that somebody else points at loopback is not ours.
func (g *gate) admit(r *http.Request, host string) bool {
	if host == "" || r.Host != host {
		return false
	}
	for _, k := range r.CookiesNamed(gateCookie) { // a page may have set others of this name for some paths
		if subtle.ConstantTimeCompare([]byte(k.Value), []byte(g.cookie)) == 1 {
			return g.ours(r)
		}
	}
	return false
}

// opened reports whether the pages of the front are at a host.
func (g *gate) opened(host string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.host != "" && host == g.host
}

// origin is that of the front's own pages.
func (g *gate) origin() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return "http://" + g.host
}

// ours reports whether what the browser says of the asking page allows it: everything but a plain navigation must name ourselves. A navigation may come
// from another port: of the front to the room, and back.
func (g *gate) ours(r *http.Request) bool {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	if site != "" && site != "same-origin" && site != "none" && !(site == "same-site" && navigation(r)) {
		return false
	}
	if origin != "" {
		return origin == "http://"+r.Host
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.Header.Get("Upgrade") != "" {
		return site == "same-origin" && r.Header.Get("Upgrade") == ""
	}
	return true
}

// navigation reports whether the browser says that the answer becomes the page in the window.
func navigation(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document" && r.Header.Get("Upgrade") == ""
}

// let gives the window its cookie and sends it to the page. It is a page and not a redirect: the one before it has another origin, and a browser that
// follows a redirect from there leaves a Strict cookie out.
func (g *gate) let(w http.ResponseWriter, page string) {
	http.SetCookie(w, &http.Cookie{Name: gateCookie, Value: g.cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	bridge(w, page)
}

// bridge writes a page that leads on at once. It has the ground of the pages and nothing on it: what is never shown for long cannot stay on the screen either.
func bridge(w http.ResponseWriter, to string) {
	w.Header().Set("Refresh", "0; url="+to)
	writePage(w, http.StatusOK, "Tocsin", `<noscript><p><a href="`+html.EscapeString(to)+`">Go on</a></p></noscript>`)
}

// localPage is a page of the front as an address that leads nowhere else; "/" for what is none.
func localPage(page string) string {
	u, err := url.Parse(page)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") ||
		strings.ContainsAny(page, "\\\r\n\t\x00") || strings.HasPrefix(page, enterPath) || len(page) > 4096 {
		return "/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery, Fragment: u.Fragment}).String()
}
