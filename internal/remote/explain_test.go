package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// secured is a Tocsin behind TLS that counts what reaches it.
func secured(t *testing.T, c tls.Certificate, change func(*tls.Config)) (*url.URL, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	s := httptest.NewUnstartedServer(asTocsin(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, strings.Replace(fakePage("", "", 0, ""), "Board", "Sign in", 1))
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{c}}
	if change != nil {
		change(s.TLS)
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return parse(t, s.URL), &asked
}

func parse(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestCertificatesInWords: every way in which a certificate can be wrong, with certificates that are.
func TestCertificatesInWords(t *testing.T) {
	stranger := newSigner("Somebody Else's Authority", nil)
	for _, c := range []struct {
		name, code string
		cert       tls.Certificate
		change     func(*tls.Config)
		says       []string
	}{
		{"expired", CodeExpired, issue(t, authority, func(c *x509.Certificate) {
			c.NotAfter = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
			c.NotBefore = c.NotAfter.Add(-time.Hour)
		}), nil, []string{"ran out on 2 March 2026", "clock"}},
		{"not yet", CodeNotYet, issue(t, authority, func(c *x509.Certificate) {
			c.NotBefore = time.Date(2126, 3, 2, 1, 0, 0, 0, time.UTC)
			c.NotAfter = c.NotBefore.Add(time.Hour)
		}), nil, []string{"valid only from 2 March 2126", "clock"}},
		{"another's name", CodeWrongName, issue(t, authority, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"tocsin.example.org"} }), nil, []string{"belongs to somebody else", "tocsin.example.org"}},
		{"unknown authority", CodeUnknown, issue(t, stranger, nil), nil, []string{"signed by Somebody Else's Authority", "compare the fingerprint"}},
		{"self-signed", CodeSelfSigned, issue(t, nil, nil), nil, []string{"vouches for itself", "compare the fingerprint"}},
		{"too old", CodeTLSVersion, issue(t, authority, nil), func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, []string{"before TLS 1.2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			base, asked := secured(t, c.cert, c.change)
			_, got := Probe(t.Context(), base, "", answerWithin)
			if got == nil || got.Code != c.code {
				t.Fatalf("%+v, want %s", got, c.code)
			}
			for _, want := range c.says {
				if !strings.Contains(got.Sentence+" "+got.Remedy, want) {
					t.Errorf("%q %q lacks %q", got.Sentence, got.Remedy, want)
				}
			}
			if strings.Contains(got.Sentence+got.Remedy, "x509") || got.Remedy == "" {
				t.Errorf("not for people: %q %q", got.Sentence, got.Remedy)
			}
			if c.code != CodeTLSVersion && (got.Fingerprint != fingerprint(c.cert.Leaf) || got.Subject == "") {
				t.Errorf("the certificate cannot be compared: %+v", got)
			}
			if asked.Load() != 0 {
				t.Error("something was sent to a server that nobody vouches for")
			}
			if c.code == CodeTLSVersion {
				return
			}
			if g, got := Probe(t.Context(), base, fingerprint(c.cert.Leaf), answerWithin); got != nil || g != (Greeting{"Acme", "v1"}) {
				t.Errorf("trusted by its fingerprint: %+v %+v", g, got)
			}
		})
	}
	base, _ := secured(t, issue(t, authority, nil), nil)
	if g, got := Probe(t.Context(), base, "", answerWithin); got != nil || g != (Greeting{"Acme", "v1"}) {
		t.Errorf("a good certificate: %+v %+v", g, got)
	}
}

// TestPinnedCertificateChanged: a loud warning, whoever vouches for the new one, and not a byte is sent.
func TestPinnedCertificateChanged(t *testing.T) {
	pin := fingerprint(issue(t, nil, nil).Leaf)
	for name, cert := range map[string]tls.Certificate{"self-signed": issue(t, nil, nil), "vouched for": issue(t, authority, nil)} {
		base, asked := secured(t, cert, nil)
		_, got := Probe(t.Context(), base, pin, answerWithin)
		if got == nil || got.Code != CodePinChanged || !strings.Contains(got.Sentence, "WARNING") || got.Fingerprint != fingerprint(cert.Leaf) {
			t.Errorf("%s: %+v", name, got)
		}
		if vouched := strings.Contains(got.Remedy, "vouches for the new one"); vouched != (name == "vouched for") {
			t.Errorf("%s: %q", name, got.Remedy)
		}
		r, err := Open(Options{Base: base, Pin: pin, Dir: t.TempDir(), AnswerIn: answerWithin})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.SetCookie(&http.Cookie{Name: sessionCookie, Value: "secret", Path: "/"}); err != nil {
			t.Fatal(err)
		}
		_, err = r.Do(httptest.NewRequest("GET", "/", nil))
		var trouble *Trouble
		if !errors.As(err, &trouble) || trouble.Code != CodePinChanged {
			t.Errorf("%s: Do says %v", name, err)
		}
		if asked.Load() != 0 {
			t.Errorf("%s: the session was sent to another server", name)
		}
	}
}

// TestOtherTroubles: the network and the wrong kind of server.
func TestOtherTroubles(t *testing.T) {
	says := func(status int, header http.Header, body string) *url.URL {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for k, v := range header {
				w.Header()[k] = v
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(s.Close)
		return parse(t, s.URL)
	}
	tlsBase, _ := secured(t, issue(t, authority, nil), nil)
	raw := func(answer string) *url.URL {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				if !strings.HasPrefix(answer, "SSH") { // that one speaks first
					_, _ = c.Read(make([]byte, 64<<10))
				}
				if answer != "" {
					_, _ = c.Write([]byte(answer))
				}
				_ = c.Close()
			}
		}()
		return parse(t, "http://"+l.Addr().String())
	}
	swap := func(u *url.URL, scheme string) *url.URL { v := *u; v.Scheme = scheme; return &v }
	for _, c := range []struct {
		name string
		base *url.URL
		code string
	}{
		{"plain HTTP where https is expected", swap(says(200, nil, "hello"), "https"), CodePlain},
		{"https where plain HTTP is expected", swap(tlsBase, "http"), CodeNeedsTLS},
		{"the same as an alert", raw("\x15\x03\x01\x00\x02\x02\x16"), CodeNeedsTLS},
		{"a redirect to https", says(301, http.Header{"Location": {"https://127.0.0.1/"}}, ""), CodeNeedsTLS},
		{"nobody listens", parse(t, "http://127.0.0.1:1"), CodeRefused},
		{"hangs up", raw(""), CodeBroken},
		{"no HTTP at all", raw("SSH-2.0-OpenSSH_9\r\n"), CodeForeign},
		{"a captive portal", says(302, http.Header{"Location": {"http://portal.example/"}}, ""), CodeForeign},
		{"another program", says(200, http.Header{"Content-Type": {"text/html"}}, "<h1>It works!</h1>"), CodeForeign},
		{"another program with JSON", says(200, http.Header{"Content-Type": {"application/json"}}, `{"status":"UP"}`), CodeForeign},
		{"nothing at this address", says(404, nil, "not found"), CodeForeign},
		{"a load balancer", says(502, nil, "<h1>502 Bad Gateway</h1>"), codeGateway},
		{"a Tocsin that starts", says(503, http.Header{"Content-Type": {"application/problem+json"}}, `{"code":"unavailable"}`), CodeStarting},
		{"no address", parse(t, "https:///x"), "bad_address"},
	} {
		if _, got := Probe(t.Context(), c.base, "", answerWithin); got == nil || got.Code != c.code || got.Sentence == "" || got.Remedy == "" {
			t.Errorf("%s: %+v, want %s", c.name, got, c.code)
		}
	}
	if _, got := Probe(t.Context(), parse(t, "http://no-such-host.invalid"), "", answerWithin); got == nil || got.Code != CodeNoName && got.Code != CodeNoLookup {
		t.Errorf("a name that does not exist: %+v", got)
	}

	base := parse(t, "https://tocsin.example.org")
	for _, c := range []struct {
		err  error
		code string
	}{
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}, CodeNoName},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsTemporary: true}}, CodeNoLookup},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}, CodeNoWay},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connectex", wsaRefused)}, CodeRefused},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}, CodeNoWay},
		{&net.OpError{Op: "proxyconnect", Err: errors.New("no")}, CodeProxy},
		{context.DeadlineExceeded, CodeTimeout},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, CodeBroken},
		{io.ErrUnexpectedEOF, CodeBroken},
		{errors.New("odd"), codeUnclear},
		{&tls.CertificateVerificationError{Err: errors.New("odd")}, CodeCertificate},
	} {
		if got := Explain(fmt.Errorf("get: %w", c.err), base); got == nil || got.Code != c.code || got.Sentence == "" || strings.Contains(got.Sentence, "odd") {
			t.Errorf("%v: %+v, want %s", c.err, got, c.code)
		}
	}
	if Explain(nil, base) != nil {
		t.Error("no error is a trouble")
	}
}

// TestSilentServer: one that takes the connection and says nothing is given up after seconds.
func TestSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes the connection, nobody else does
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, got := Probe(t.Context(), parse(t, "https://"+l.Addr().String()), "", 0); got == nil || got.Code != CodeTimeout {
		t.Errorf("%+v", got)
	}
}

// TestSaid: what a certificate or a page names cannot reorder, break or flood a sentence.
func TestSaid(t *testing.T) {
	for in, want := range map[string]string{"Acme": "Acme", "a\x00\u202eb\n\u2066c": "abc", "\xff\xfe": "", strings.Repeat("x", 500): strings.Repeat("x", 119) + "…"} {
		if got := said(in); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
}
