// Package dial owns how collectors reach nodes: bounded HTTP, plain JSON-RPC, failures as sentences, and addresses without their secrets;
// it never judges what they say.
package dial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// MaxAnswer is the largest answer taken from a node, in bytes.
const MaxAnswer = 8 << 20

// ErrTooLarge is returned while reading an answer above MaxAnswer.
var ErrTooLarge = errors.New("answer larger than 8 MiB")

// Client makes an HTTP client for one node: at most four connections, no redirects (a node has no reason to send us elsewhere with our
// credentials), and only answers that guard lets through. An answer is read whole before the client returns it.
func Client(timeout time.Duration) *http.Client {
	return &http.Client{Timeout: timeout, Transport: guard{transport(timeout)}, CheckRedirect: stay}
}

// Stream makes an HTTP client for answers that do not end, like server-sent events: as Client, but the answer is not bounded in time nor
// size: the reader has to.
func Stream(timeout time.Duration) *http.Client {
	return &http.Client{Transport: transport(timeout), CheckRedirect: stay}
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func transport(timeout time.Duration) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost, t.IdleConnTimeout = 4, 2, 60*time.Second
	t.ResponseHeaderTimeout, t.MaxResponseHeaderBytes = timeout, 64<<10
	return t
}

// RPCError is an error object in a JSON-RPC answer.
type RPCError struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"` // what the node adds, as it came
}

func (e *RPCError) Error() string { return fmt.Sprintf("json-rpc error %d: %s", e.Code, e.Message) }

// ErrorCode is the JSON-RPC code; it is the method go-ethereum's rpc errors have too.
func (e *RPCError) ErrorCode() int { return e.Code }

// StatusError is an HTTP answer that is no JSON-RPC.
type StatusError struct {
	Status int
	Body   string        // its beginning
	After  time.Duration // Retry-After, at most an hour; 0 = it does not say
}

func (e *StatusError) Error() string { return fmt.Sprintf("http status %d", e.Status) }

// ErrNotJSON is an answer with status 200 that is no JSON-RPC.
var ErrNotJSON = errors.New("answer is not JSON-RPC")

// Call does one JSON-RPC call over HTTP with the credentials in the address, and decodes the result into out (which may be nil). An error
// object is returned as *RPCError also when it comes with another status than 200, as Bitcoin Core sends it.
func Call(ctx context.Context, c *http.Client, address, method string, params []any, out any) error {
	return call(ctx, c, address, "1.0", method, params, out)
}

// CallStrict is Call in JSON-RPC 2.0, for servers that refuse a request of another version, as Solana's does.
func CallStrict(ctx context.Context, c *http.Client, address, method string, params []any, out any) error {
	return call(ctx, c, address, "2.0", method, params, out)
}

func call(ctx context.Context, c *http.Client, address, version, method string, params []any, out any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": version, "id": 1, "method": method, "params": params})
	if err != nil {
		return fmt.Errorf("encode %s: %w", method, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("call %s: %w", method, bare(err))
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return fmt.Errorf("call %s: %w", method, bare(err))
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("call %s: %w", method, err)
	}
	var a struct {
		Result json.RawMessage `json:"result"`
		Error  *RPCError       `json:"error"`
	}
	bad := json.Unmarshal(raw, &a)
	switch {
	case resp.StatusCode == http.StatusTooManyRequests: // providers put an error object beside it, which does not say for how long
		return fmt.Errorf("call %s: %w", method, &StatusError{resp.StatusCode, clip(string(raw), 200), retryAfter(resp.Header)})
	case bad == nil && a.Error != nil:
		return fmt.Errorf("call %s: %w", method, a.Error)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("call %s: %w", method, &StatusError{resp.StatusCode, clip(string(raw), 200), retryAfter(resp.Header)})
	case bad != nil || a.Result == nil:
		return fmt.Errorf("call %s: %w", method, ErrNotJSON)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(a.Result, out); err != nil {
		return fmt.Errorf("decode %s: %w: %w", method, ErrNotJSON, err)
	}
	return nil
}

// Get asks a REST address: path (with its query) is put behind the address, whose own query and credentials stay. The answer must be JSON with
// status 200, else it is a *StatusError or ErrNotJSON. out may be nil.
func Get(ctx context.Context, c *http.Client, address, path string, out any) error {
	req, err := Request(ctx, address, path)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return fmt.Errorf("get %s: %w", path, bare(err))
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return fmt.Errorf("get %s: %w", path, err)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("get %s: %w", path, &StatusError{resp.StatusCode, clip(string(raw), 200), retryAfter(resp.Header)})
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("decode %s: %w: %w", path, ErrNotJSON, err)
	}
	return nil
}

// Request makes a GET request for a path below an address, with its credentials and its query.
func Request(ctx context.Context, address, path string) (*http.Request, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("get %s: an unreadable address", path)
	}
	path, query, _ := strings.Cut(path, "?")
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/")+path, ""
	if u.RawQuery != "" && query != "" {
		query = "&" + query
	}
	u.RawQuery += query
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", path, bare(err))
	}
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// retryAfter reads Retry-After in seconds, the form that rate limits use (RFC 9110 10.2.3).
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(strings.TrimSpace(h.Get("Retry-After")))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, 3600)) * time.Second
}

// bare takes the address out of an error: it may hold a key.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}
