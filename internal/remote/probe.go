package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// How the way to the room is watched.
const (
	lookEvery   = 2 * time.Second        // while it answers, unless it has just said something
	lookAgain   = time.Second            // while it does not
	lookSlower  = 2 * time.Second        // when that has lasted for longWay
	longWay     = 2 * time.Minute        //
	lookLeast   = 200 * time.Millisecond // between two looks, whoever asks
	answerIn    = 3 * time.Second        // for one look, unless Options say otherwise
	probeIn     = 8 * time.Second        // for Probe altogether, if that is enough for two looks
	saveEvery   = 15 * time.Second
	sessionEach = time.Minute
)

// Greeting is what a Tocsin says of itself to strangers.
type Greeting struct{ Site, Version string }

// Probe finds out whether a Tocsin answers at base, without signing in. It takes at most 8 s. answer is as Options.AnswerIn; a longer one makes Probe wait
// for twice as long.
func Probe(ctx context.Context, base *url.URL, pin string, answer time.Duration) (Greeting, *Trouble) {
	if answer == 0 {
		answer = answerIn
	}
	if err := plainBase(base); err != nil {
		return Greeting{}, &Trouble{Code: "bad_address", Sentence: "This is not the address of a server.", Remedy: "It looks like https://tocsin.example.org, with a port when it has one of its own."}
	}
	ctx, cancel := context.WithTimeout(ctx, max(probeIn, 2*answer))
	defer cancel()
	wire := newTransport(pin, base.Hostname(), answer)
	defer wire.CloseIdleConnections()
	if t := look(ctx, wire, base, answer); t != nil {
		return Greeting{}, t
	}
	res, err := ask(ctx, wire, base, "/signin", "")
	if err != nil {
		return Greeting{}, Explain(err, base)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(io.LimitReader(res.Body, headMost))
	if err != nil {
		return Greeting{}, Explain(err, base)
	}
	h := parseHead(page)
	if res.StatusCode != http.StatusOK || !strings.HasSuffix(h.title, nameOfAll) {
		return Greeting{}, troubleForeign(base)
	}
	_, site, _ := strings.Cut(strings.TrimSuffix(h.title, nameOfAll), " · ")
	return Greeting{Site: said(site), Version: said(h.build)}, nil
}

// nameOfAll ends the title of every page.
const nameOfAll = " · Tocsin"

// ask gets one answer, with the given Cookie header. Redirects are not followed.
func ask(ctx context.Context, wire http.RoundTripper, base *url.URL, path, cookie string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.Scheme+"://"+base.Host+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", agent)
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	return wire.RoundTrip(req)
}

const agent = "Tocsin desktop"

// look asks whether the room answers. nil: it does.
func look(ctx context.Context, wire http.RoundTripper, base *url.URL, answer time.Duration) *Trouble {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	res, err := ask(ctx, wire, base, "/readyz", "")
	if err != nil {
		return Explain(err, base)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err != nil {
		return Explain(err, base)
	}
	return judge(res, body, base)
}

// judge says what an answer of /readyz means.
func judge(res *http.Response, body []byte, base *url.URL) *Trouble {
	var says struct {
		Ready *bool `json:"ready"`
	}
	switch {
	case res.StatusCode == http.StatusOK && media(res) == "application/json" && json.Unmarshal(body, &says) == nil && says.Ready != nil:
		return nil
	case problem(res):
		return troubleStarting(base)
	case gateway(res):
		return troubleGateway(base, res.StatusCode)
	case base.Scheme == "http" && res.StatusCode == http.StatusBadRequest && bytes.Contains(bytes.ToUpper(body), []byte("HTTPS")):
		return troubleNeedsTLS(base)
	case base.Scheme == "http" && res.StatusCode >= 300 && res.StatusCode < 400:
		if to, err := base.Parse(res.Header.Get("Location")); err == nil && to.Scheme == "https" && strings.EqualFold(to.Hostname(), base.Hostname()) {
			return troubleNeedsTLS(base)
		}
	}
	return troubleForeign(base)
}

func media(res *http.Response) string {
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return kind
}

func problem(res *http.Response) bool { return media(res) == "application/problem+json" }

// gateway reports whether an answer is of something in front of the room that does not reach it. What comes from the room itself carries its rules for
// browsers, or is a problem document.
func gateway(res *http.Response) bool {
	switch res.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return !ours(res) && !problem(res)
	}
	return false
}

// ours reports whether an answer carries what every answer of a Tocsin does.
func ours(res *http.Response) bool {
	policy := res.Header.Get("Content-Security-Policy")
	return strings.Contains(policy, "frame-ancestors 'none'") && strings.Contains(policy, "script-src 'self'")
}

// lured reports whether an answer leads to another server although it is not the room that says so: networks which want a sign-in first do that.
func lured(res *http.Response, base *url.URL) bool {
	if res.StatusCode < 300 || res.StatusCode >= 400 || res.StatusCode == http.StatusNotModified || ours(res) {
		return false
	}
	to, err := base.Parse(res.Header.Get("Location"))
	return err != nil || !same(to, base)
}
