package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// inspected is the page in the window of a desktop program that was built with
// the tag devtools, asked through WebKit's own inspector. The program that
// people get has no inspector; what it does is seen by its pixels.
type inspected struct {
	t  testing.TB
	ws *websocket.Conn

	mu      sync.Mutex
	next    int
	page    string                 // target of the page that is shown; it changes with the web process
	waiting map[int]chan inspector // by id
	console []string               // what the page complained about
	gone    error
}

// inspector is a message of the inspector in either direction.
type inspector struct {
	ID     int             `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  json.RawMessage `json:"error,omitempty"`
}

var inspectable = regexp.MustCompile(`/socket/\d+/\d+/WebPage`)

// inspect connects to the page of a program behind the address of WEBKIT_INSPECTOR_HTTP_SERVER.
func inspect(t testing.TB, run *child, addr string) *inspected {
	t.Helper()
	path := ""
	until(t, "the window can be inspected", patience, func() (bool, string) {
		select {
		case <-run.gone:
			t.Fatalf("%s ended before it had a window", run.name)
		default:
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+addr+"/", nil)
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, err.Error()
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		path = inspectable.FindString(string(b))
		return path != "", string(b)
	})
	p := &inspected{t: t, waiting: map[int]chan inspector{}}
	var err error
	p.ws, _, err = websocket.DefaultDialer.Dial("ws://"+addr+path, nil)
	must(t, err)
	t.Cleanup(func() { p.ws.Close() })
	go p.read()
	until(t, "the inspector has the page", patience, func() (bool, string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.page != "", fmt.Sprint(p.gone)
	})
	return p
}

func (p *inspected) read() {
	for {
		_, b, err := p.ws.ReadMessage()
		p.mu.Lock()
		if err != nil {
			p.gone = fmt.Errorf("the window is gone: %w", err)
			for id, c := range p.waiting {
				close(c)
				delete(p.waiting, id)
			}
			p.mu.Unlock()
			return
		}
		p.hear(b)
		p.mu.Unlock()
	}
}

// hear takes one message; p.mu is held.
func (p *inspected) hear(b []byte) {
	var m inspector
	if json.Unmarshal(b, &m) != nil {
		return
	}
	var about struct {
		TargetInfo struct {
			TargetID, Type string
			IsProvisional  bool
		}
		TargetID, Message        string
		NewTargetID, OldTargetID string
	}
	_ = json.Unmarshal(m.Params, &about)
	switch m.Method {
	case "Target.targetCreated":
		if about.TargetInfo.Type == "page" && !about.TargetInfo.IsProvisional {
			p.turn(about.TargetInfo.TargetID)
		}
	case "Target.didCommitProvisionalTarget":
		p.turn(about.NewTargetID)
	case "Target.targetDestroyed":
		if about.TargetID == p.page {
			p.page = ""
		}
		// Whoever waits for its answer asks the next one.
		for id, c := range p.waiting {
			close(c)
			delete(p.waiting, id)
		}
	case "Target.dispatchMessageFromTarget":
		p.hear([]byte(about.Message))
	case "Console.messageAdded":
		var said struct {
			Message struct{ Level, Text, URL, Source string }
		}
		_ = json.Unmarshal(m.Params, &said)
		if said.Message.Level == "error" || said.Message.Level == "warning" {
			p.console = append(p.console, said.Message.Source+": "+said.Message.Text+" "+said.Message.URL)
		}
	}
	if c := p.waiting[m.ID]; c != nil && m.Method == "" {
		c <- m
		delete(p.waiting, m.ID)
	}
}

// turn makes a target the page; p.mu is held.
func (p *inspected) turn(target string) {
	p.page = target
	p.send(target, "Console.enable", nil)
}

// send gives a message to a target and returns its id; p.mu is held.
func (p *inspected) send(target, method string, params any) int {
	p.next += 2
	inner, _ := json.Marshal(map[string]any{"id": p.next, "method": method, "params": params})
	outer, _ := json.Marshal(map[string]any{"id": p.next + 1, "method": "Target.sendMessageToTarget", "params": map[string]any{"targetId": target, "message": string(inner)}})
	_ = p.ws.WriteMessage(websocket.TextMessage, outer)
	return p.next
}

// ask sends one message to the page and waits for what it answers.
func (p *inspected) ask(method string, params any) (json.RawMessage, error) {
	p.mu.Lock()
	if p.gone != nil || p.page == "" {
		defer p.mu.Unlock()
		return nil, fmt.Errorf("there is no page now: %v", p.gone)
	}
	answer := make(chan inspector, 1)
	id := p.send(p.page, method, params)
	p.waiting[id] = answer
	p.mu.Unlock()
	select {
	case m, ok := <-answer:
		if !ok {
			return nil, errPageLeft
		}
		if m.Error != nil {
			return nil, fmt.Errorf("%s: %s", method, m.Error)
		}
		return m.Result, nil
	case <-time.After(patience):
		p.mu.Lock()
		delete(p.waiting, id)
		p.mu.Unlock()
		return nil, fmt.Errorf("%s: the page did not answer within %s", method, patience)
	}
}

var errPageLeft = errors.New("the page went away before it answered")

// remoteObject is what Runtime.evaluate gives.
type remoteObject struct {
	Result struct {
		Type, ClassName, ObjectID, Description string
		Value                                  json.RawMessage
	}
	WasThrown bool
}

// inspectedValue evaluates an expression in the page, and waits for a promise.
func inspectedValue[T any](p *inspected, expression string) (v T, err error) {
	r, err := p.ask("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": false})
	if err != nil {
		return v, err
	}
	var o remoteObject
	if err := json.Unmarshal(r, &o); err != nil {
		return v, err
	}
	if o.WasThrown {
		return v, fmt.Errorf("%s", o.Result.Description)
	}
	if o.Result.ObjectID != "" {
		if o.Result.ClassName == "Promise" {
			r, err = p.ask("Runtime.awaitPromise", map[string]any{"promiseObjectId": o.Result.ObjectID, "returnByValue": true})
		} else {
			r, err = p.ask("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true})
		}
		if err != nil {
			return v, err
		}
		if err := json.Unmarshal(r, &o); err != nil {
			return v, err
		}
		if o.WasThrown {
			return v, fmt.Errorf("%s", o.Result.Description)
		}
	}
	if len(o.Result.Value) == 0 {
		return v, nil
	}
	return v, json.Unmarshal(o.Result.Value, &v)
}

// in evaluates an expression that must succeed.
func in[T any](p *inspected, expression string) T {
	p.t.Helper()
	v, err := inspectedValue[T](p, expression)
	if errors.Is(err, errPageLeft) { // while it was asked
		v, err = inspectedValue[T](p, expression)
	}
	if err != nil {
		p.t.Fatalf("desktop window: %s: %v", cut(expression, "", 200), err)
	}
	return v
}

// sees waits until an expression is true in the page, whichever page that is.
func (p *inspected) sees(what, expression string, within time.Duration) time.Duration {
	p.t.Helper()
	return until(p.t, "desktop window: "+what, within, func() (bool, string) {
		ok, err := inspectedValue[bool](p, "Boolean("+expression+")")
		if err == nil && ok {
			return true, ""
		}
		text, _ := inspectedValue[string](p, `location.pathname+" ["+(document.querySelector("#live")?.innerText??"")+"] "+document.body.innerText.slice(0,1500)`)
		return false, fmt.Sprint(text, " ", err)
	})
}

// shows waits for words on the page.
func (p *inspected) shows(text string) {
	p.t.Helper()
	p.sees("shows “"+text+"”", fmt.Sprintf("document.body.innerText.includes(%s)", quote(text)), patience)
}

// live waits until the page says LIVE.
func (p *inspected) live() time.Duration {
	p.t.Helper()
	return p.sees("is LIVE", `/^LIVE/.test(document.querySelector("#live")?.innerText.trim() ?? "")`, patience)
}

// open goes to a path of the front, as a link on a page would.
func (p *inspected) open(path string) {
	p.t.Helper()
	in[bool](p, fmt.Sprintf("(window.isLeft = true, location.href = %s, true)", quote(path))) // it may be there already: then the page comes anew
	p.sees("is at "+path, fmt.Sprintf(`!window.isLeft && location.pathname + location.search === %s && document.readyState === "complete"`, quote(path)), patience)
}

// complaints are what the console said that is not allowed for, and forgets them.
func (p *inspected) complaints(allowed *regexp.Regexp) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := slices.DeleteFunc(p.console, func(s string) bool { return allowed != nil && allowed.MatchString(s) })
	p.console = nil
	return slices.DeleteFunc(out, func(s string) bool { return strings.TrimSpace(s) == "" })
}
