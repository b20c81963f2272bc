package remote

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
)

// How long is waited for the parts of a connection, unless a look waits longer. How long for an answer is for the watch to judge: it looks by itself
// whether the room is there.
const (
	dialIn      = 5 * time.Second
	handshakeIn = 5 * time.Second
	idleFor     = 30 * time.Second
)

// errPin says that the server has another certificate than the one that was trusted.
type errPin struct {
	leaf    *x509.Certificate
	vouched bool // by an authority that this computer trusts
}

func (*errPin) Error() string { return "the server's certificate is not the one that was trusted" }

// fingerprint is how people compare certificates.
func fingerprint(leaf *x509.Certificate) string {
	sum := sha256.Sum256(leaf.Raw)
	return hex.EncodeToString(sum[:])
}

// newTransport speaks HTTP/1.1: websockets need it, and a connection that went dead takes nothing else with it.
func newTransport(pin, host string, answer time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: max(dialIn, answer), KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSClientConfig: trust(pin, host), TLSHandshakeTimeout: max(handshakeIn, answer),
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}, MaxIdleConnsPerHost: 16, IdleConnTimeout: idleFor,
		MaxResponseHeaderBytes: 64 << 10, ExpectContinueTimeout: time.Second,
	}
}

// trust is ordinary verification, or of a pinned certificate that it is this one: then neither its dates nor its name matter.
func trust(pin, host string) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if pin == "" {
		return c
	}
	c.InsecureSkipVerify = true // VerifyConnection judges
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("the server showed no certificate")
		}
		leaf := s.PeerCertificates[0]
		if strings.EqualFold(fingerprint(leaf), pin) {
			return nil
		}
		others := x509.NewCertPool()
		for _, c := range s.PeerCertificates[1:] {
			others.AddCert(c)
		}
		_, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Intermediates: others})
		return &errPin{leaf: leaf, vouched: err == nil}
	}
	return c
}

// errUnanswered is a request that got no answer; sent tells whether any of it may have arrived.
type errUnanswered struct {
	trouble *Trouble
	sent    bool
}

func (e *errUnanswered) Error() string { return e.trouble.Error() }

// carry is the transport of all that goes to the room for somebody: the request ends when the room is found to be away.
type carry struct{ r *Room }

func (c carry) RoundTrip(req *http.Request) (*http.Response, error) {
	r := c.r
	during := r.state.during()
	ctx, cancel := context.WithCancelCause(req.Context())
	stop := context.AfterFunc(during, func() { cancel(errAway) })
	var sent atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	res, err := r.wire.RoundTrip(req.WithContext(traced))
	if err == nil && gateway(res) {
		err = &errUnanswered{trouble: troubleGateway(r.o.Base, res.StatusCode), sent: sent.Load()}
		_ = res.Body.Close()
	} else if err == nil && lured(res, r.o.Base) {
		err = &errUnanswered{trouble: troubleForeign(r.o.Base), sent: sent.Load()}
		_ = res.Body.Close()
	}
	if err != nil {
		stop()
		own := req.Context().Err()
		if cause := context.Cause(ctx); errors.Is(cause, errAway) {
			err = cause
		}
		cancel(nil)
		return nil, r.unanswered(err, sent.Load(), own)
	}
	end := func() { stop(); cancel(nil) }
	if both, ok := res.Body.(io.ReadWriteCloser); ok && res.StatusCode == http.StatusSwitchingProtocols {
		res.Body = &switched{ReadWriteCloser: both, end: end}
		context.AfterFunc(ctx, func() { _ = both.Close() })
		return res, nil
	}
	res.Body = &streamed{ReadCloser: res.Body, end: end}
	return res, nil
}

// unanswered tells the watch what it may have to know. own is why the asker no longer waits, if so.
func (r *Room) unanswered(err error, sent bool, own error) error {
	var known *errUnanswered
	switch {
	case own != nil:
		return own // says nothing about the room
	case errors.Is(err, errAway):
		t := r.state.reach().Trouble
		if t == nil {
			t = troubleTimeout(r.o.Base)
		}
		return &errUnanswered{trouble: t, sent: sent}
	case !errors.As(err, &known):
		known = &errUnanswered{trouble: Explain(err, r.o.Base), sent: sent}
	}
	switch code := known.trouble.Code; {
	case code == codeUnclear: // perhaps the request is to blame: the watch finds out
	case !sent, code == codeGateway, code == CodeForeign:
		r.fell(known.trouble) // there is no way, or nobody at its end
	}
	poke(r.kick)
	return known
}

// fell notes that the room does not answer.
func (r *Room) fell(t *Trouble) {
	if r.state.lost(t) {
		r.log.Info("the room cannot be reached", "code", t.Code)
		r.wire.CloseIdleConnections()
		_ = r.state.save()
		poke(r.stir)
	}
}

type streamed struct {
	io.ReadCloser
	end func()
}

func (s *streamed) Close() error { defer s.end(); return s.ReadCloser.Close() }

type switched struct {
	io.ReadWriteCloser
	end func()
}

func (s *switched) Close() error { defer s.end(); return s.ReadWriteCloser.Close() }
