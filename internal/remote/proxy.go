package remote

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// ServeHTTP passes a request on to the room as the person signed in, or answers for it while it is away. Whoever calls it has judged who asks. What the
// browser sends of cookies and credentials stays here, and no cookie of the room leaves.
func (r *Room) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.takesNote(w, req) {
		return
	}
	if r.state.away() {
		r.answerAway(w, req, false)
		return
	}
	r.proxy.ServeHTTP(w, req)
}

func (r *Room) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:        func(p *httputil.ProxyRequest) { p.Out = r.dress(p.Out, p.In.URL) },
		Transport:      carry{r},
		FlushInterval:  -1,                         // whoever follows hears at once
		ErrorLog:       log.New(io.Discard, "", 0), // addresses may be secrets
		ModifyResponse: r.undress,
		ErrorHandler: func(w http.ResponseWriter, req *http.Request, err error) {
			var none *errUnanswered
			if !errors.As(err, &none) {
				if req.Context().Err() == nil {
					poke(r.kick)
					r.answerAway(w, req, true)
				}
				return // nobody waits
			}
			r.answerAway(w, req, none.sent)
		},
	}
}

// dress makes a request of ours out of one of the browser's: to the address in at the room, with our session.
func (r *Room) dress(out *http.Request, in *url.URL) *http.Request {
	base := r.o.Base
	out.URL.Scheme, out.URL.Host, out.Host = base.Scheme, base.Host, base.Host
	out.URL.User = nil
	h := out.Header
	for _, name := range []string{"Cookie", "Authorization", "Proxy-Authorization", "Accept-Encoding", "X-Real-Ip"} {
		h.Del(name) // the transport unpacks what it asked for packed by itself
	}
	for name := range h {
		if strings.HasPrefix(name, "X-Forwarded-") || name == "Forwarded" {
			h.Del(name)
		}
	}
	if from := h.Get("Origin"); from != "" && from != "null" {
		h.Set("Origin", origin(base))
	}
	if ref := h.Get("Referer"); ref != "" {
		if u, err := url.Parse(ref); err == nil && u.Host != "" {
			u.Scheme, u.Host, u.User = base.Scheme, base.Host, nil
			h.Set("Referer", u.String())
		} else {
			h.Del("Referer")
		}
	}
	if _, own := h["User-Agent"]; !own {
		h.Set("User-Agent", agent)
	}
	cookie, gen := r.jar.header(in.Path, "")
	if cookie != "" {
		h.Set("Cookie", cookie)
	}
	return out.WithContext(withAsked(out.Context(), asked{gen: gen, at: r.o.Clock()}))
}

// undress keeps what of an answer is ours, and makes it one of the front's.
func (r *Room) undress(res *http.Response) error {
	a := askedOf(res.Request)
	h := res.Header
	r.takeCookies(res)
	for _, name := range []string{"Set-Cookie", "Set-Cookie2", "Strict-Transport-Security", "Alt-Svc", "Clear-Site-Data", "Public-Key-Pins", "Expect-Ct", "Nel", "Report-To", "Reporting-Endpoints"} {
		h.Del(name)
	}
	if to := h.Get("Location"); to != "" {
		h.Set("Location", homeward(to, r.o.Base))
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		r.state.heard()
		return nil
	}
	switch {
	case signInAsked(res):
		poke(r.doubt)
	case ours(res) && res.StatusCode < 500:
		r.state.heard()
	case !ours(res) && media(res) == "text/html":
		poke(r.kick) // whose page is that?
	}
	if media(res) != "text/html" || res.Request.Method == http.MethodHead {
		return nil
	}
	h.Del("Content-Length")
	h.Del("Etag")
	h.Del("Last-Modified")
	h.Del("Accept-Ranges")
	res.ContentLength = -1
	var tee *visit
	if key := keyOf(res.Request.URL); r.kept != nil && res.StatusCode == http.StatusOK && res.Request.Method == http.MethodGet && keepable(key) && ours(res) {
		tee = &visit{r: r, key: key, asked: a}
	}
	res.Body = &onItsWay{ReadCloser: res.Body, insert: r.o.Insert, tee: tee}
	return nil
}

// takeCookies keeps the cookies of an answer here.
func (r *Room) takeCookies(res *http.Response) {
	list := res.Cookies()
	if len(list) == 0 {
		return
	}
	before := r.jar.session()
	if err := r.jar.set(list); err != nil {
		r.log.Error("the session could not be kept: after a restart one signs in again", "err", err)
	}
	if r.jar.session() == before {
		return
	}
	in := r.jar.has()
	r.state.signed(in)
	if !in && r.kept != nil {
		if err := r.kept.wipe(); err != nil {
			r.log.Warn("the kept pages of a session that ended could not be removed", "err", err)
		}
	}
	poke(r.stir)
}

// signInAsked reports whether an answer wants somebody to sign in.
func signInAsked(res *http.Response) bool {
	if res.StatusCode == http.StatusUnauthorized {
		return true
	}
	to, err := url.Parse(res.Header.Get("Location"))
	return err == nil && res.StatusCode >= 300 && res.StatusCode < 400 && to.Path == "/signin"
}

// homeward is a redirect as the front gives it: within the room without its address, elsewhere as it is.
func homeward(to string, base *url.URL) string {
	u, err := url.Parse(to)
	if err != nil || u.Host == "" || !same(u, base) {
		return to
	}
	u.Scheme, u.Host, u.User = "", "", nil
	if !strings.HasPrefix(u.Path, "/") {
		u.Path = "/" + u.Path
	}
	if strings.HasPrefix(u.Path, "//") || strings.HasPrefix(u.Path, `/\`) {
		return "/" // would lead elsewhere without the address before it
	}
	return u.String()
}

// same reports whether two addresses are of the same server.
func same(a, b *url.URL) bool {
	scheme := a.Scheme
	if scheme == "" {
		scheme = b.Scheme
	}
	return strings.EqualFold(scheme, b.Scheme) && strings.EqualFold(a.Hostname(), b.Hostname()) && portOf(a, scheme) == portOf(b, b.Scheme)
}

func portOf(u *url.URL, scheme string) string {
	if p := u.Port(); p != "" {
		return p
	}
	if scheme == "https" {
		return "443"
	}
	return "80"
}

func origin(base *url.URL) string { return base.Scheme + "://" + base.Host }

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// asked is what is remembered of a request until its answer.
type asked struct {
	gen uint64
	at  time.Time
}

// onItsWay is a page on its way to the browser: text is put into its head, and what the room wrote goes to whoever keeps it.
type onItsWay struct {
	io.ReadCloser
	insert string
	tee    *visit
	ahead  []byte // read, but not handed on
	found  bool   // the head is behind us
	err    error
}

func (p *onItsWay) Read(b []byte) (int, error) {
	for !p.found && p.err == nil {
		chunk := make([]byte, 16<<10)
		n, err := p.ReadCloser.Read(chunk)
		p.saw(chunk[:n], err)
		p.ahead, p.err = append(p.ahead, chunk[:n]...), err
		if i := bytes.Index(p.ahead, endOfHead); i >= 0 && i < headMost {
			p.ahead, p.found = insertHead(p.ahead, p.insert), true
		} else if len(p.ahead) > headMost || err != nil {
			p.found = true
		}
	}
	if len(p.ahead) > 0 {
		n := copy(b, p.ahead)
		p.ahead = p.ahead[n:]
		return n, nil
	}
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.ReadCloser.Read(b)
	p.saw(b[:n], err)
	return n, err
}

func (p *onItsWay) saw(b []byte, err error) {
	if p.tee != nil && !p.tee.saw(b, err) {
		p.tee = nil
	}
}

// visit collects a page that somebody looks at.
type visit struct {
	r     *Room
	key   string
	asked asked
	body  []byte
}

// saw takes the next part; io.EOF is the end of it all. It reports whether more is wanted.
func (v *visit) saw(b []byte, err error) bool {
	v.body = append(v.body, b...)
	if len(v.body) > mostPage || err != nil && err != io.EOF {
		return false
	}
	if err == nil {
		return true
	}
	if v.r.jar.session() == v.asked.gen {
		if took, err := v.r.kept.store(v.key, v.body, v.asked.at.UnixMilli(), true); err != nil {
			v.r.log.Warn("a page could not be kept", "err", err)
		} else if took {
			poke(v.r.stir)
		}
	}
	return false
}
