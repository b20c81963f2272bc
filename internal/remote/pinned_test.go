package remote

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gorilla/websocket"
)

// TestPinnedRoom: a real room behind TLS that vouches for itself, trusted by its fingerprint: pages, sockets and what is kept go that way, and end the
// moment another certificate answers.
func TestPinnedRoom(t *testing.T) {
	h := newHouse(t)
	h.declare("Bridge drained")
	cert := issue(t, nil, nil)
	end := httptest.NewUnstartedServer(&httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(&url.URL{Scheme: "http", Host: h.app.Addr()})
		p.Out.Host = p.In.Host
	}})
	var now atomic.Pointer[tls.Certificate]
	now.Store(&cert)
	end.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return now.Load(), nil }}
	end.Config.ErrorLog = log.New(io.Discard, "", 0)
	end.StartTLS()
	defer end.Close()
	end.TLS.Certificates = nil
	h.base = parse(t, end.URL)
	if _, trouble := Probe(t.Context(), h.base, "", answerWithin); trouble == nil || trouble.Code != CodeSelfSigned || trouble.Fingerprint != fingerprint(cert.Leaf) {
		t.Fatalf("%+v", trouble)
	}
	if g, trouble := Probe(t.Context(), h.base, fingerprint(cert.Leaf), answerWithin); trouble != nil || g.Version != "test" {
		t.Fatalf("%+v %+v", g, trouble)
	}
	d := h.deskWith(Options{Base: h.base, Pin: fingerprint(cert.Leaf), Dir: t.TempDir(), Keep: true})
	d.signIn()
	until(t, "the board is followed", patience, func() bool {
		d.kept.mu.Lock()
		defer d.kept.mu.Unlock()
		b := d.kept.topics["board"]
		return b != nil && b.Whole > 0
	})
	page := d.live("topic=board&since=0")
	hear(t, page, func(m message, _ string) bool { return m.Type == "hello" })

	other := issue(t, nil, nil)
	now.Store(&other)
	end.CloseClientConnections()
	until(t, "the other certificate is noticed", patience, func() bool { // what was under way may only have been broken off
		r := d.Reach()
		return !r.Up && r.Trouble != nil && r.Trouble.Code == CodePinChanged && r.Trouble.Fingerprint == fingerprint(other.Leaf)
	})
	if res, body := d.get("/"); res.Header.Get(HeaderKept) == "" || !strings.Contains(body, "Bridge drained") {
		t.Errorf("%d", res.StatusCode)
	}
	if res, body := d.get("/chains"); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "WARNING") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	for {
		if _, _, err := page.ReadMessage(); err != nil {
			if websocket.IsCloseError(err, websocket.CloseNormalClosure) {
				t.Error("the page's socket ended as if the page had wanted it")
			}
			break
		}
	}
}
