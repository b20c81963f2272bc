package dial

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"http://127.0.0.1:8545":                                     "http://127.0.0.1:8545",
		"https://user:pass@node.example/rpc":                        "https://node.example/rpc",
		"https://mainnet.example.io/v3/9aa3d95b3bc440fa88ea12eaa44": "https://mainnet.example.io/v3/…",
		"wss://x.example/ws/abc1234?key=secret#frag":                "wss://x.example/ws/abc1234",
		"wss://x.example/ws/abcd12345?key=secret":                   "wss://x.example/ws/…",
		"https://x.example/averylongwordwithoutdigits":              "https://x.example/…",
		"::bad": "an unreadable address",
		"":      "an unreadable address",
	} {
		if got := Redact(in); got != want {
			t.Errorf("Redact(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestSentences asks real listeners that are wrong in every way people get wrong.
func TestSentences(t *testing.T) {
	answer := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if status == 302 {
				w.Header().Set("Location", "http://127.0.0.1:1/")
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(tls.Close)
	hold := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(hold) })
	for _, c := range []struct{ name, address, want string }{
		{"refused", "http://127.0.0.1:1", "The connection was refused: nothing listens at"},
		{"401", answer(401, ""), "refused the user, password or key (HTTP 401)."},
		{"404", answer(404, "not here"), "There is no RPC at this address"},
		{"429", answer(429, ""), "limits our requests (HTTP 429)."},
		{"500", answer(500, "oops"), "has an error of its own (HTTP 500)."},
		{"redirect", answer(302, ""), "sends us to another address (HTTP 302)"},
		{"html", answer(200, "<html>hello</html>"), "answers, but not with JSON-RPC"},
		{"json but no rpc", answer(200, `{"hello":1}`), "answers, but not with JSON-RPC"},
		{"error object", answer(500, `{"result":null,"error":{"code":-5,"message":"Block not found"},"id":1}`), "It answered with error -5: Block not found."},
		{"no method", answer(404, `{"result":null,"error":{"code":-32601,"message":"Method not found"},"id":1}`), "It does not know a method that was asked for: Method not found."},
		{"large", answer(200, `{"result":"`+strings.Repeat("x", MaxAnswer)+`"}`), "It sent an answer larger than 8 MiB."},
		{"https on http", strings.Replace(answer(200, "x"), "http:", "https:", 1), "does not speak https: write http://"},
		{"http on https", strings.Replace(tls.URL, "https:", "http:", 1), "does not speak plain http: write https://"},
		{"unknown certificate", tls.URL, "The certificate of"},
		{"slow", slow.URL, "did not answer in time."},
	} {
		t.Run(c.name, func(t *testing.T) {
			timeout := 45 * time.Second
			if c.name == "slow" {
				timeout = 50 * time.Millisecond
			}
			address := strings.Replace(c.address, "://", "://user:hunter2222@", 1) + "/key0123456789abcdef"
			err := Call(context.Background(), Client(timeout), address, "getblockchaininfo", nil, nil)
			if err == nil {
				t.Fatal("no error")
			}
			got := Sentence(err, address)
			if !strings.Contains(got, c.want) || !strings.HasSuffix(got, ".") && !strings.Contains(got, "write") {
				t.Errorf("%v\n got %q\nwant %q", err, got, c.want)
			}
			for _, text := range []string{got, err.Error()} {
				if strings.Contains(text, "hunter") || strings.Contains(text, "key0123") {
					t.Errorf("secret in %q", text)
				}
			}
		})
	}
}

// TestNoSecretInSentence: whatever a node or a library says, no secret of the address comes through.
func TestNoSecretInSentence(t *testing.T) {
	word := rapid.StringMatching(`[a-z]{2}[A-Z0-9]{4,20}[a-z]`)
	rapid.Check(t, func(t *rapid.T) {
		pass, key, query := word.Draw(t, "pass"), word.Draw(t, "key"), word.Draw(t, "query")
		address := "https://u:" + pass + "@host.example/v3/" + key + "?token=" + query
		texts := []error{
			errors.New("dial " + address + ": strange"),
			&RPCError{Code: -32000, Message: "project " + key + " with " + query + " is over its limit, password " + pass},
			fmt.Errorf("x %s: %w", pass, errors.New(key)),
		}
		for _, err := range texts {
			got := Sentence(err, address)
			for _, s := range []string{pass, key, query} {
				if strings.Contains(got, s) {
					t.Fatalf("%q in %q", s, got)
				}
			}
		}
	})
}

func TestCheck(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:8545": "not an address", "": "not an address", "ftp://x": "must begin with http://, ws://.", "http://": "has no host", " http://x ": "",
	} {
		_, err := Check(in, "http", "ws")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("Check(%q) = %v, want %q", in, err, want)
		}
	}
}

func TestBackoff(t *testing.T) {
	for n := range 100 {
		if d := Backoff(n, 500*time.Millisecond, 5*time.Second); d < 250*time.Millisecond || d > 5*time.Second {
			t.Fatalf("Backoff(%d) = %v", n, d)
		}
	}
}
