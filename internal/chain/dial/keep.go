package dial

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// ErrOther is a node that serves another chain than the one that was configured.
var ErrOther = errors.New("another chain")

const (
	limitedFor  = 10 * time.Second // that a node which limits us is left alone when it does not say for how long: it is asked again before its silence counts
	limitedMost = 10 * time.Minute
	otherWait   = 30 * time.Second // until a node of another chain is asked again
	steady      = time.Minute      // a session that lasted this long makes the next failure the first again
)

// Limited is how long a node that limits our requests (HTTP 429, or any answer with Retry-After) is to be left alone, at most ten minutes; 0 = it does not.
func Limited(err error) time.Duration {
	var status *StatusError
	switch {
	case !errors.As(err, &status):
	case status.After > 0:
		return min(status.After, limitedMost)
	case status.Status == http.StatusTooManyRequests:
		return limitedFor
	}
	return 0
}

// Limiting makes an HTTP client of which an answer with status 429, or 503 with Retry-After, is a *StatusError of the request: for libraries that
// do not hand on how long we are to wait.
func Limiting(c *http.Client) *http.Client {
	copied := *c
	copied.Transport = limiting{c.Transport}
	return &copied
}

type limiting struct{ http.RoundTripper }

func (l limiting) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusTooManyRequests && (resp.StatusCode != http.StatusServiceUnavailable || retryAfter(resp.Header) == 0) {
		return resp, err
	}
	_ = resp.Body.Close()
	return nil, &StatusError{Status: resp.StatusCode, After: retryAfter(resp.Header)}
}

func (l limiting) CloseIdleConnections() {
	(&http.Client{Transport: l.RoundTripper}).CloseIdleConnections()
}

// Keep runs sessions with one node, one after the other, until ctx ends. Each one that fails is told, as the first of a row or not, and followed by
// a rest: 0.5 s, doubling to 5 s, or as long as the node asks for; half a minute when it serves another chain.
func Keep(ctx context.Context, session func(context.Context) error, told func(err error, first bool)) {
	fails := 0
	for ctx.Err() == nil {
		began := time.Now()
		err := session(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > steady {
			fails = 0
		}
		fails++
		told(err, fails == 1)
		rest := max(Backoff(fails, 500*time.Millisecond, 5*time.Second), Limited(err))
		if errors.Is(err, ErrOther) {
			fails, rest = 0, otherWait
		}
		select {
		case <-ctx.Done():
		case <-time.After(rest):
		}
	}
}

// KeepDown is Keep for who tells the state of the node: down is given a sentence after each session that failed, but of another chain, which
// the session tells itself; and for how long the node is left alone because it limits us, 0 = it does not.
func KeepDown(ctx context.Context, log *slog.Logger, address string, session func(context.Context) error, down func(sentence string, limited time.Duration)) {
	address = strings.TrimSpace(address)
	Keep(ctx, session, func(err error, first bool) {
		if errors.Is(err, ErrOther) {
			return
		}
		sentence := Sentence(err, address)
		if first {
			log.Warn("node cannot be asked", "address", Redact(address), "why", sentence)
		}
		down(sentence, Limited(err))
	})
}
