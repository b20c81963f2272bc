package dial

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestLimited: a node that limits us is left alone as long as it asks, at most ten minutes, and 10 s when it does not say.
func TestLimited(t *testing.T) {
	for _, c := range []struct {
		err  error
		want time.Duration
	}{
		{nil, 0}, {errors.New("x"), 0}, {&StatusError{Status: 500}, 0}, {&StatusError{Status: 503}, 0}, {&StatusError{Status: 429}, 10 * time.Second},
		{fmt.Errorf("get: %w", &StatusError{Status: 429, After: 7 * time.Second}), 7 * time.Second}, {&StatusError{Status: 503, After: time.Hour}, 10 * time.Minute},
	} {
		if got := Limited(c.err); got != c.want {
			t.Errorf("Limited(%v) = %v, want %v", c.err, got, c.want)
		}
	}
}

// TestLimiting: how long a node asks us to wait is known whether it puts an error object beside the status or a library hides the headers.
func TestLimiting(t *testing.T) {
	for _, c := range []struct {
		status    int
		after     string
		call, got time.Duration
	}{{429, "7", 7 * time.Second, 7 * time.Second}, {429, "", 10 * time.Second, 10 * time.Second}, {503, "9", 0, 9 * time.Second}, {503, "", 0, 0}, {500, "9", 0, 0}, {200, "9", 0, 0}} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.after != "" {
				w.Header().Set("Retry-After", c.after)
			}
			w.WriteHeader(c.status)
			fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"limit"}}`)
		}))
		plain := Client(45 * time.Second)
		if got := Limited(Call(t.Context(), plain, srv.URL, "x", nil, nil)); got != c.call {
			t.Errorf("%d after %q: Call is limited for %v, want %v", c.status, c.after, got, c.call)
		}
		resp, err := Limiting(plain).Get(srv.URL)
		if err == nil {
			resp.Body.Close()
		}
		if got := Limited(err); got != c.got {
			t.Errorf("%d after %q: limited for %v, want %v", c.status, c.after, got, c.got)
		}
		Limiting(plain).CloseIdleConnections()
		srv.Close()
	}
}
