package send

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tocsin-ops/tocsin/internal/notify"
)

const (
	answerMost = 64 << 10 // bytes read of an answer
	waitMost   = 24 * time.Hour
)

// own speaks to hosts that the configuration names: any network, and the proxy of the environment. redirects are never followed.
var own = client(&http.Transport{
	Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, ForceAttemptHTTP2: true,
	TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 9 * time.Second, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 32 << 10,
})

// public speaks to addresses that people gave, and private to those that administrators gave. Both look at where a name leads when they connect to it,
// not before, so that a name that changes its mind leads nowhere; neither uses a proxy, which would hide it.
var (
	public  = guarded(func(ip netip.Addr) bool { return !inside(ip) })
	private = guarded(func(ip netip.Addr) bool { return !reserved(ip) })
)

func client(t *http.Transport) *http.Client {
	return &http.Client{Transport: t, Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func guarded(allowed func(netip.Addr) bool) *http.Client {
	d := &net.Dialer{Timeout: 5 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil || !allowed(at.Addr().Unmap()) {
			return errForbidden
		}
		return nil
	}}
	return client(&http.Transport{DialContext: d.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 9 * time.Second,
		MaxIdleConnsPerHost: 1, MaxIdleConns: 64, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 32 << 10})
}

var errForbidden = errors.New("the address is not allowed")

// special are ranges beyond loopback and private ones that are not the public Internet, or that stand for any IPv4 address (IANA Special-Purpose Address
// Registries): carriers' own networks, "this" network, protocols, documentation, benchmarks, reserved; NAT64, 6to4, Teredo, IPv4-compatible, discard, site-local.
var special = prefixes("100.64.0.0/10", "0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/23", "::/96", "100::/64", "fec0::/10")

// secretive are where clouds answer with their secrets although the address is not a link-local one: AWS over IPv6, Alibaba; and NAT64 of the link-local ones.
var secretive = prefixes("fd00:ec2::/32", "100.100.100.200/32", "64:ff9b::a9fe:0/112")

func prefixes(list ...string) (out []netip.Prefix) {
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func within(ip netip.Addr, list []netip.Prefix) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// reserved are addresses that no route may lead to: cloud providers answer with their secrets on the link-local ones.
func reserved(ip netip.Addr) bool {
	return ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || !ip.IsValid() || within(ip, secretive)
}

// inside are addresses that are not on the public Internet (RFC 1918, 4193, 6598, loopback).
func inside(ip netip.Addr) bool {
	return reserved(ip) || ip.IsLoopback() || ip.IsPrivate() || within(ip, special)
}

// clientFor is the client for an address that a person gave.
func clientFor(r notify.Route) *http.Client {
	if r.Private {
		return private
	}
	return public
}

// answer is what a server said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ask sends one request. The error is a *notify.Failure of a request that got no whole answer.
func ask(c *http.Client, req *http.Request) (answer, error) {
	req.Header.Set("User-Agent", "Tocsin")
	resp, err := c.Do(req)
	if err != nil {
		return answer{}, fault(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerMost))
	if err != nil && resp.StatusCode/100 == 2 {
		body = nil // it was taken; what it says besides is lost
	} else if err != nil {
		return answer{}, fault(err)
	}
	return answer{resp.StatusCode, resp.Header, body}, nil
}

// request makes a request with JSON; the address never gets into the error.
func request(ctx context.Context, method, address string, v any) (*http.Request, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, &notify.Failure{Reason: "the message cannot be written as JSON", Permanent: true}
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(raw))
	if err != nil {
		return nil, &notify.Failure{Reason: "the address is not one", Permanent: true}
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	return req, nil
}

// fault says in our own words why a request got no answer: what the library says holds addresses.
func fault(err error) *notify.Failure {
	var (
		f    *notify.Failure
		dial *net.OpError
		name *net.DNSError
		cert *tls.CertificateVerificationError
		wait net.Error
	)
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, errForbidden):
		return &notify.Failure{Reason: "the address leads into a network that may not be written to", Permanent: true}
	case errors.As(err, &name):
		return &notify.Failure{Reason: "the name of the server was not found"}
	case errors.As(err, &cert):
		return &notify.Failure{Reason: "the certificate of the server is not good"}
	case errors.As(err, &dial) && dial.Op == "dial":
		return &notify.Failure{Reason: "the server cannot be reached"}
	case errors.As(err, &wait) && wait.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return &notify.Failure{Reason: "the server did not answer in time", Unknown: true}
	}
	return &notify.Failure{Reason: "the connection broke", Unknown: true}
}

// judge turns a status that is no success into a failure. who is what people read, like "Telegram"; why is the provider's own word for it, made safe by code.
func judge(a answer, who, why string) *notify.Failure {
	reason := who + " answered " + strconv.Itoa(a.status)
	if why != "" {
		reason += ": " + why
	}
	f := &notify.Failure{Reason: reason}
	switch {
	case a.status == http.StatusTooManyRequests:
		f.Reason, f.RetryAfter = who+" wants fewer messages", retryAfter(a.header)
	case a.status == http.StatusRequestTimeout, a.status == http.StatusTooEarly:
	case a.status >= 500:
		f.RetryAfter = retryAfter(a.header)
	case a.status/100 == 3:
		f.Reason, f.Permanent = who+" answered with another address, which is not followed", true
	default:
		f.Permanent = true
	}
	return f
}

// retryAfter reads the header, seconds or a date (RFC 9110, 10.2.3).
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if n, err := strconv.ParseFloat(text, 64); err == nil && n >= 0 && n < waitMost.Seconds() {
		return time.Duration(n * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(time.Until(at), 0), waitMost)
	}
	return 0
}

// code keeps a provider's word for an error when it is a word, as documented ones are; anything else could repeat an address or a token.
func code(text string) string {
	if len(text) > 60 || strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") != "" {
		return ""
	}
	return text
}

// short is an id for a receipt, if it is one.
func short(id string) string {
	if len(id) > 120 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return id
}

func failure(format string, args ...any) *notify.Failure {
	return &notify.Failure{Reason: fmt.Sprintf(format, args...), Permanent: true}
}
