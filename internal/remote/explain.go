package remote

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// Trouble is a problem in words for people.
type Trouble struct {
	Code        string
	Sentence    string // what is the matter
	Remedy      string // what to do about it
	Fingerprint string // SHA-256 of the certificate that is the problem, lower-case hex
	Subject     string // whom that certificate names
}

// Error is for logs; people see Sentence and Remedy.
func (t *Trouble) Error() string { return t.Code + ": " + t.Sentence }

// Again is the sentence of a Remedy that holds for rooms that were joined: nobody has to do anything. Probe tries once.
const Again = "It is tried again by itself."

// Codes of a Trouble.
const (
	CodePinChanged  = "pin_changed"
	CodeExpired     = "certificate_expired"
	CodeNotYet      = "certificate_not_yet_valid"
	CodeWrongName   = "certificate_wrong_name"
	CodeSelfSigned  = "certificate_self_signed"
	CodeUnknown     = "certificate_unknown_authority"
	CodeCertificate = "certificate_broken"
	CodeTLSVersion  = "tls_version"
	CodePlain       = "plain_http"  // https was tried, plain HTTP answers
	CodeNeedsTLS    = "needs_https" // http was tried, the server wants https
	CodeNoName      = "no_such_name"
	CodeNoLookup    = "names_unavailable"
	CodeRefused     = "refused"
	CodeNoWay       = "no_network"
	CodeTimeout     = "timeout"
	CodeBroken      = "connection_broken"
	CodeProxy       = "proxy"
	CodeForeign     = "not_tocsin"
	CodeStarting    = "starting"
	codeGateway     = "gateway"
	codeUnclear     = "unreachable"
)

// Winsock's numbers for what the syscall package names only elsewhere.
const (
	wsaNetUnreach  = syscall.Errno(10051)
	wsaReset       = syscall.Errno(10054)
	wsaTimedOut    = syscall.Errno(10060)
	wsaRefused     = syscall.Errno(10061)
	wsaHostUnreach = syscall.Errno(10065)
)

// Explain says in words what stands between this computer and base, nil for no error. It never repeats what an error says of itself.
func Explain(err error, base *url.URL) *Trouble {
	var (
		known *Trouble
		none  *errUnanswered
		pin   *errPin
		bad   *tls.CertificateVerificationError
		alert tls.AlertError
		head  tls.RecordHeaderError
		dns   *net.DNSError
		op    *net.OpError
		errno syscall.Errno
		late  net.Error
	)
	host := base.Host
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.As(err, &none):
		return none.trouble
	case errors.As(err, &pin):
		return explainPin(pin, host)
	case errors.As(err, &bad):
		return explainCertificate(bad, base)
	case errors.As(err, &op) && op.Op == "proxyconnect" || strings.Contains(err.Error(), "Proxy Authentication Required"):
		return &Trouble{Code: CodeProxy, Sentence: "The proxy of this network did not let the connection to " + host + " through.",
			Remedy: "Ask whoever runs the network to allow it, or leave the proxy out for this server (NO_PROXY)."}
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &head):
		return &Trouble{Code: CodePlain, Sentence: host + " speaks plain HTTP at this port, not HTTPS.",
			Remedy: "Look whether the port is right. Where the server really has no encryption, everything said there can be read on the way: use http:// only in a network you trust."}
	case strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`):
		return troubleNeedsTLS(base)
	case strings.Contains(err.Error(), "malformed HTTP"), strings.Contains(err.Error(), "readLoopPeekFailLocked: %!w(<nil>)"): // it spoke before it was asked
		return troubleForeign(base)
	case errors.As(err, &alert) && (alert == 70 || alert == 40), strings.Contains(err.Error(), "tls: server selected unsupported protocol version"), strings.Contains(err.Error(), "protocol version not supported"):
		return &Trouble{Code: CodeTLSVersion, Sentence: host + " offers only encryption that is too old to be safe (before TLS 1.2), or none that both sides know.",
			Remedy: "Its administrator has to allow TLS 1.2 or newer there, or on the proxy in front of it."}
	case errors.As(err, &dns):
		return explainName(dns, base)
	}
	if errors.As(err, &errno) {
		switch errno {
		case syscall.ECONNREFUSED, wsaRefused:
			return &Trouble{Code: CodeRefused, Sentence: "The computer at " + host + " answers, but no program listens at this port.",
				Remedy: "Tocsin may be stopped there, or the port may be another. " + Again}
		case syscall.ENETUNREACH, syscall.EHOSTUNREACH, wsaNetUnreach, wsaHostUnreach:
			return &Trouble{Code: CodeNoWay, Sentence: "There is no way from this computer to " + host + ".",
				Remedy: "Look whether this computer has a network, and whether the room needs a VPN. " + Again}
		case syscall.ETIMEDOUT, wsaTimedOut:
			return troubleTimeout(base)
		case syscall.ECONNRESET, syscall.EPIPE, wsaReset:
			return troubleBroken(base)
		}
	}
	switch {
	case errors.As(err, &late) && late.Timeout():
		return troubleTimeout(base)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(err.Error(), "server closed idle connection"), errors.Is(err, net.ErrClosed):
		return troubleBroken(base)
	case strings.Contains(err.Error(), "tls: "):
		return &Trouble{Code: CodeTLSVersion, Sentence: "No encrypted connection to " + host + " came about: the two sides found nothing they both speak.",
			Remedy: "Look whether the port is right. Else its administrator has to allow TLS 1.2 or newer with a usual cipher."}
	}
	return &Trouble{Code: codeUnclear, Sentence: host + " cannot be reached.", Remedy: "Look at the network of this computer and at the address. " + Again}
}

func explainName(e *net.DNSError, base *url.URL) *Trouble {
	if e.IsNotFound {
		return &Trouble{Code: CodeNoName, Sentence: "There is no server by the name " + base.Hostname() + ", as far as this network knows.",
			Remedy: "Look at the spelling. Some names exist only inside a company's network or VPN."}
	}
	return &Trouble{Code: CodeNoLookup, Sentence: "The name " + base.Hostname() + " could not be looked up.",
		Remedy: "Most often this computer has no network just now. " + Again}
}

func explainPin(e *errPin, host string) *Trouble {
	t := &Trouble{Code: CodePinChanged, Fingerprint: fingerprint(e.leaf), Subject: named(e.leaf),
		Sentence: "WARNING: " + host + " shows another certificate than the one you trusted. Somebody may stand between you and the server; nothing was sent.",
		Remedy:   "Ask the server's administrator, by another way than this one, whether the certificate was replaced, and compare the fingerprint before you trust it."}
	if e.vouched {
		t.Remedy += " An authority that this computer trusts vouches for the new one: it may be an ordinary certificate that was put in place of the old."
	}
	return t
}

// explainCertificate tells the worst first: what else is wrong with it comes after.
func explainCertificate(e *tls.CertificateVerificationError, base *url.URL) *Trouble {
	host := base.Hostname()
	if len(e.UnverifiedCertificates) == 0 {
		return &Trouble{Code: CodeCertificate, Sentence: host + " shows no certificate.", Remedy: "Its administrator has to give the server one."}
	}
	leaf := e.UnverifiedCertificates[0]
	t := &Trouble{Code: CodeCertificate, Fingerprint: fingerprint(leaf), Subject: named(leaf),
		Sentence: "The certificate of " + host + " cannot be used to tell who the server is.", Remedy: "Its administrator has to replace it."}
	var (
		name    x509.HostnameError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(e, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		day := func(at time.Time) string { return at.UTC().Format("2 January 2006") }
		of := "The certificate of " + host
		if !invalid.Cert.Equal(leaf) {
			of = "A certificate that vouches for " + host
		}
		if first := invalid.Cert.NotBefore; invalid.Cert.NotAfter.After(first) && strings.Contains(invalid.Detail, "is before") {
			t.Code, t.Sentence = CodeNotYet, of+" is valid only from "+day(first)+"."
			t.Remedy = "Look at the clock and the date of this computer first. If they are right, the server's administrator has to look at it."
		} else {
			t.Code, t.Sentence = CodeExpired, of+" ran out on "+day(invalid.Cert.NotAfter)+"."
			t.Remedy = "The server's administrator has to renew it. If many servers say so, look at the clock and the date of this computer."
		}
	case errors.As(e, &name):
		t.Code, t.Sentence = CodeWrongName, fmt.Sprintf("The certificate that answers at %s belongs to somebody else: it names %s.", host, either(t.Subject, "nobody"))
		t.Remedy = "Look at the address: the server may be meant to be reached by that name. Otherwise something stands in between."
	case errors.As(e, &unknown):
		if string(leaf.RawIssuer) == string(leaf.RawSubject) {
			t.Code, t.Sentence = CodeSelfSigned, "The server at "+host+" vouches for itself: nobody this computer trusts has signed its certificate."
		} else {
			t.Code, t.Sentence = CodeUnknown, fmt.Sprintf("The certificate of %s is signed by %s, which this computer does not know.", host, either(said(leaf.Issuer.CommonName), either(said(strings.Join(leaf.Issuer.Organization, ", ")), "an authority without a name")))
		}
		t.Remedy = "If you expect that, compare the fingerprint with the one that the server's administrator reads to you, and trust this certificate only when they are the same."
	}
	return t
}

// named is whom a certificate names, at most three.
func named(c *x509.Certificate) string {
	var all []string
	all = append(all, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 && c.Subject.CommonName != "" {
		all = append(all, c.Subject.CommonName)
	}
	more := ""
	if len(all) > 3 {
		all, more = all[:3], " and others"
	}
	return said(strings.Join(all, ", ")) + more
}

// said makes text of a stranger fit for a sentence: printable, and short.
func said(text string) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == 0xfffd || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return -1
		}
		return c
	}, strings.ToValidUTF8(text, ""))
	if r := []rune(text); len(r) > 120 {
		text = string(r[:119]) + "…"
	}
	return strings.TrimSpace(text)
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func troubleTimeout(base *url.URL) *Trouble {
	return &Trouble{Code: CodeTimeout, Sentence: base.Host + " does not answer.",
		Remedy: "Look whether this computer has a network, and whether the room needs a VPN or is kept behind a firewall. " + Again}
}

func troubleBroken(base *url.URL) *Trouble {
	return &Trouble{Code: CodeBroken, Sentence: base.Host + " broke the connection off.", Remedy: Again + " If that stays so, look whether the port is right."}
}

func troubleNeedsTLS(base *url.URL) *Trouble {
	return &Trouble{Code: CodeNeedsTLS, Sentence: base.Host + " wants an encrypted connection at this port.", Remedy: "Use the address with https:// in place of http://."}
}

func troubleForeign(base *url.URL) *Trouble {
	return &Trouble{Code: CodeForeign, Sentence: "Something answers at " + base.Host + ", but it is not Tocsin.",
		Remedy: "Look at the address and the port. In a hotel, a train or an office a network may ask you to sign in first: open any page in your browser."}
}

func troubleGateway(base *url.URL, status int) *Trouble {
	return &Trouble{Code: codeGateway, Sentence: fmt.Sprintf("Something in front of the room answers at %s (%d %s), the room behind it does not.", base.Host, status, http.StatusText(status)),
		Remedy: Again + " If that stays so, its administrator has to look whether Tocsin runs."}
}

func troubleStarting(base *url.URL) *Trouble {
	return &Trouble{Code: CodeStarting, Sentence: "The room at " + base.Host + " is starting or stopping.", Remedy: Again}
}
