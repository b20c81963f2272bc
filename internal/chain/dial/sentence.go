package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"syscall"

	"github.com/ethereum/go-ethereum/rpc"
)

// Redact writes an address without what may be secret: user, password, query, and every path segment that looks like a key. It is what may
// be logged, shown and stored outside of the settings.
func Redact(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "an unreadable address"
	}
	segments := strings.Split(u.EscapedPath(), "/")
	for i, s := range segments {
		if len(s) > 12 || (len(s) > 7 && strings.ContainsAny(s, "0123456789")) {
			segments[i] = "…"
		}
	}
	return u.Scheme + "://" + u.Host + strings.Join(segments, "/")
}

// scrub takes the secrets of an address out of a text that a node or a library wrote.
func scrub(text, address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	text = strings.ReplaceAll(text, address, Redact(address))
	secrets := strings.Split(u.Path, "/")
	if u.User != nil {
		p, _ := u.User.Password()
		secrets = append(secrets, u.User.Username(), p)
	}
	for _, v := range u.Query() {
		secrets = append(secrets, v...)
	}
	for _, s := range secrets {
		if len(s) > 3 && !harmless.MatchString(s) {
			text = strings.ReplaceAll(text, s, "…")
		}
	}
	return keyish.ReplaceAllString(text, "…")
}

var (
	harmless = regexp.MustCompile(`^(rpc|mainnet|ethereum|http|https|bitcoin|json-rpc|jsonrpc)$`)
	keyish   = regexp.MustCompile(`\b[0-9a-zA-Z_-]{24,}\b`)
)

// Sentence says in one plain sentence why a node could not be asked. It holds no secret of the address and no text of the node that looks
// like a key.
func Sentence(err error, address string) string {
	host := "the node"
	u, perr := url.Parse(address)
	if perr == nil && u.Host != "" {
		host = u.Host
	}
	var (
		refused  *Refused
		distrust *Untrusted
		dns      *net.DNSError
		netErr   net.Error
		status   *StatusError
		gstatus  rpc.HTTPError
		rpcErr   rpc.Error
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		syntax   *json.SyntaxError
		types    *json.UnmarshalTypeError
	)
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refused):
		return refused.Sentence
	case errors.As(err, &distrust):
		return distrust.Why
	case errors.Is(err, ErrTooLarge):
		return "It sent an answer larger than 8 MiB."
	case strings.Contains(text, "read limit exceeded"):
		return "It sent a websocket message that is too large: nothing of it is trusted."
	case errors.As(err, &types) && types.Field != "":
		return fmt.Sprintf("It answers, but with %s in the field %s, where that cannot be: the answer is not trusted.", clip(types.Value, 40), clip(types.Field, 40))
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("The connection was refused: nothing listens at %s.", host)
	case errors.As(err, &dns):
		return fmt.Sprintf("The name %s was not found.", u.Hostname())
	case errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &invalid):
		return fmt.Sprintf("The certificate of %s is not trusted or is for another name.", host)
	case errors.As(err, &record), strings.Contains(text, "server gave HTTP response to HTTPS client"), strings.Contains(text, "first record does not look like a TLS handshake"):
		return fmt.Sprintf("%s does not speak https: write http:// (or ws://).", host)
	case strings.Contains(text, "HTTP request to an HTTPS server"), strings.Contains(text, "malformed HTTP response"):
		return fmt.Sprintf("%s does not speak plain http: write https:// (or wss://), or it is another port.", host)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return fmt.Sprintf("%s did not answer in time.", upper(host))
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), strings.Contains(text, "EOF"):
		return fmt.Sprintf("%s closed the connection.", upper(host))
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Sprintf("There is no network route to %s.", host)
	case errors.As(err, &status):
		return statusSentence(status.Status, status.Body, host)
	case errors.As(err, &gstatus):
		return statusSentence(gstatus.StatusCode, string(gstatus.Body), host)
	case strings.Contains(text, "bad handshake"):
		return fmt.Sprintf("%s does not offer websockets at this address.", upper(host))
	case errors.As(err, &rpcErr):
		said := rpcErr.Error()
		if own := (*RPCError)(nil); errors.As(err, &own) {
			said = own.Message
		}
		said = strings.TrimRight(clip(scrub(said, address), 160), ". ")
		if rpcErr.ErrorCode() == -32601 {
			return "It does not know a method that was asked for: " + said + "."
		}
		return fmt.Sprintf("It answered with error %d: %s.", rpcErr.ErrorCode(), said)
	case errors.Is(err, ErrNotJSON), errors.As(err, &syntax), errors.As(err, &types), strings.Contains(text, "invalid character"):
		return fmt.Sprintf("%s answers, but not with JSON-RPC: it is not a node's RPC address.", upper(host))
	}
	return "It could not be asked: " + clip(scrub(text, address), 160) + "."
}

func statusSentence(status int, body, host string) string {
	switch {
	case strings.Contains(body, "HTTP request to an HTTPS server"):
		return fmt.Sprintf("%s does not speak plain http: write https:// (or wss://).", host)
	case status == 401 || status == 403:
		return fmt.Sprintf("%s refused the user, password or key (HTTP %d).", upper(host), status)
	case status == 404 || status == 405:
		return fmt.Sprintf("There is no RPC at this address of %s (HTTP %d).", host, status)
	case status == 429:
		return fmt.Sprintf("%s limits our requests (HTTP 429).", upper(host))
	case status >= 300 && status < 400:
		return fmt.Sprintf("%s sends us to another address (HTTP %d): write that one.", upper(host), status)
	case status >= 500:
		return fmt.Sprintf("%s has an error of its own (HTTP %d).", upper(host), status)
	}
	return fmt.Sprintf("%s answered with HTTP %d.", upper(host), status)
}

func upper(s string) string {
	if s == "the node" {
		return "The node"
	}
	return s
}

// Refused is an error whose text is the sentence for people.
type Refused struct{ Sentence string }

func (r *Refused) Error() string { return r.Sentence }

// Refuse makes the sentence of an error an error.
func Refuse(err error, address string) error { return &Refused{Sentence(err, address)} }

// Check reads an address and says what is wrong with it as text. It returns the address trimmed.
func Check(address string, schemes ...string) (string, error) {
	address = strings.TrimSpace(address)
	u, err := url.Parse(address)
	if err != nil || address == "" {
		return "", &Refused{"This is not an address: write it like http://127.0.0.1:8545."}
	}
	for _, s := range schemes {
		if u.Scheme == s {
			if u.Hostname() == "" {
				return "", &Refused{"The address has no host: write it like " + s + "://127.0.0.1:8545."}
			}
			return address, nil
		}
	}
	return "", &Refused{"The address must begin with " + strings.Join(schemes, "://, ") + "://."}
}
