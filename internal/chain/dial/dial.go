// Package dial owns how collectors reach nodes: bounded HTTP, plain JSON-RPC, failures as sentences, and addresses without their secrets;
// it never retries and never logs.
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
	"strings"
	"time"
)

// MaxAnswer is the largest answer taken from a node, in bytes.
const MaxAnswer = 8 << 20

// ErrTooLarge is returned while reading an answer above MaxAnswer.
var ErrTooLarge = errors.New("answer larger than 8 MiB")

// Client makes an HTTP client for one node: at most four connections, no redirects (a node has no reason to send us elsewhere with our
// credentials), answers up to MaxAnswer.
func Client(timeout time.Duration) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost, t.IdleConnTimeout = 4, 2, 60*time.Second
	t.ResponseHeaderTimeout = timeout
	return &http.Client{Timeout: timeout, Transport: bounded{t},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

type bounded struct{ *http.Transport }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(r)
	if err == nil {
		resp.Body = &limited{resp.Body, MaxAnswer}
	}
	return resp, err
}

type limited struct {
	io.ReadCloser
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	n, err := l.ReadCloser.Read(p)
	l.left -= int64(n)
	return n, err
}

// RPCError is an error object in a JSON-RPC answer.
type RPCError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *RPCError) Error() string { return fmt.Sprintf("json-rpc error %d: %s", e.Code, e.Message) }

// ErrorCode is the JSON-RPC code; it is the method go-ethereum's rpc errors have too.
func (e *RPCError) ErrorCode() int { return e.Code }

// StatusError is an HTTP answer that is no JSON-RPC.
type StatusError struct {
	Status int
	Body   string // its beginning
}

func (e *StatusError) Error() string { return fmt.Sprintf("http status %d", e.Status) }

// ErrNotJSON is an answer with status 200 that is no JSON-RPC.
var ErrNotJSON = errors.New("answer is not JSON-RPC")

// Call does one JSON-RPC call over HTTP with the credentials in the address, and decodes the result into out (which may be nil). An error
// object is returned as *RPCError also when it comes with another status than 200, as Bitcoin Core sends it.
func Call(ctx context.Context, c *http.Client, address, method string, params []any, out any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "1.0", "id": 1, "method": method, "params": params})
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
	case bad == nil && a.Error != nil:
		return fmt.Errorf("call %s: %w", method, a.Error)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("call %s: %w", method, &StatusError{resp.StatusCode, clip(string(raw), 200)})
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
