package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// token is the one of the session that the room wants with every change.
type token struct {
	mu     sync.Mutex
	value  string
	handle string
	gen    uint64
}

// ErrSomebodyElse is the error of PostAs when somebody else is signed in now. Nothing was sent.
var ErrSomebodyElse = errors.New("somebody else is signed in")

// Session changes whenever another session is begun or one ends: what was asked under an older one says nothing of this one.
func (r *Room) Session() uint64 { return r.jar.session() }

// Handle is who is signed in, as far as pages have told; while the room is away, whose pages are kept. "" = not known.
func (r *Room) Handle() string {
	gen := r.jar.session()
	r.csrf.mu.Lock()
	who, fresh := r.csrf.handle, r.csrf.gen == gen
	r.csrf.mu.Unlock()
	if fresh && who != "" {
		return who
	}
	if r.kept == nil {
		return ""
	}
	r.kept.mu.Lock()
	defer r.kept.mu.Unlock()
	return r.kept.author
}

// Do sends a request to the room as the person signed in; only path and query of its URL count. Redirects are not followed. An error is a *Trouble, or that
// of the request's context: there was no answer. While the room is known to be away that is told at once. An answer that is being read ends with an error
// when the room is found to be away. The caller closes the body.
func (r *Room) Do(req *http.Request) (*http.Response, error) {
	if now := r.state.reach(); r.state.away() && now.Trouble != nil {
		return nil, now.Trouble
	}
	in := *req.URL
	out := r.dress(req.Clone(req.Context()), &in)
	out.RequestURI = ""
	res, err := carry{r}.RoundTrip(out)
	if err != nil {
		return nil, plainly(err)
	}
	r.takeCookies(res)
	res.Header.Del("Set-Cookie")
	switch {
	case signInAsked(res):
		poke(r.doubt)
	case ours(res) && res.StatusCode < 500:
		r.state.heard()
	}
	return res, nil
}

// plainly is an error as callers get it.
func plainly(err error) error {
	var none *errUnanswered
	if errors.As(err, &none) {
		return none.trouble
	}
	return err
}

// Post sends JSON to the room as its pages do, with the token of the session, and returns what it answered, at most 1 MiB. An error is a *Trouble, or that
// of ctx: whether the room took it is not known then.
func (r *Room) Post(ctx context.Context, path string, body any) (status int, answer []byte, err error) {
	return r.PostAs(ctx, "", path, body)
}

// PostAs is Post as long as it is this person who is signed in ("" is anybody), else the error is ErrSomebodyElse. The token of the session goes with what is
// sent, so the room refuses it when somebody else signs in meanwhile.
func (r *Room) PostAs(ctx context.Context, who, path string, body any) (status int, answer []byte, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return 0, nil, fmt.Errorf("encode what is to be sent: %w", err)
	}
	for again := false; ; again = true {
		var csrf string
		var is string
		if csrf, is, err = r.token(ctx, again); err != nil {
			return 0, nil, err
		}
		switch {
		case who == "" || who == is:
		case is == "":
			return 0, nil, errors.New("the room does not say who is signed in")
		default:
			return 0, nil, ErrSomebodyElse
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, path, bytes.NewReader(b))
		if err != nil {
			return 0, nil, fmt.Errorf("make a request: %w", err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json")
		req.Header.Set("X-Tocsin-CSRF", csrf)
		res, err := r.Do(req)
		if err != nil {
			return 0, nil, err
		}
		answer, err = io.ReadAll(io.LimitReader(res.Body, mostAnswer))
		_ = res.Body.Close()
		if err != nil {
			return 0, nil, r.brokenOff(ctx, err)
		}
		var says struct {
			Code string `json:"code"`
		}
		if !again && res.StatusCode == http.StatusForbidden && json.Unmarshal(answer, &says) == nil && says.Code == "form_expired" {
			continue
		}
		return res.StatusCode, answer, nil
	}
}

// brokenOff is an answer that ended in the middle.
func (r *Room) brokenOff(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	poke(r.kick)
	return Explain(err, r.o.Base)
}

// token fetches that of the session and whose it is, when it is not known or refused before. Both are "" for nobody.
func (r *Room) token(ctx context.Context, anew bool) (csrf, handle string, err error) {
	gen := r.jar.session()
	r.csrf.mu.Lock()
	known, who := r.csrf.value, r.csrf.handle
	fresh := r.csrf.gen == gen && known != ""
	r.csrf.mu.Unlock()
	if fresh && !anew {
		return known, who, nil
	}
	if now := r.state.reach(); r.state.away() && now.Trouble != nil {
		return "", "", now.Trouble
	}
	res, gen, err := r.get(ctx, "/me", "text/html", -1)
	if err != nil {
		return "", "", plainly(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, headMost))
	if err != nil {
		return "", "", r.brokenOff(ctx, err)
	}
	var found head
	if res.StatusCode == http.StatusOK {
		found = parseHead(body)
	}
	r.csrf.mu.Lock()
	r.csrf.value, r.csrf.handle, r.csrf.gen = found.csrf, found.handle, gen
	r.csrf.mu.Unlock()
	return found.csrf, found.handle, nil
}
