package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// chats answers as Telegram, Slack and a Matrix homeserver were recorded to; it stands for all three.
type chats struct {
	*httptest.Server
	t    testing.TB
	mu   sync.Mutex
	says map[string]recorded // by the kind of route
	got  map[string][]chatted
}

// recorded is an answer of internal/notify/send/testdata.
type recorded struct {
	status int
	file   string
	header map[string]string
}

type chatted struct {
	path, authorization, text, to string
}

func newChats(t testing.TB) *chats {
	c := &chats{t: t, got: map[string][]chatted{}, says: map[string]recorded{"telegram": {200, "telegram-ok", nil}, "slack": {200, "slack-ok", nil}, "matrix": {200, "matrix-ok", nil}}}
	c.Server = httptest.NewServer(http.HandlerFunc(c.answer))
	t.Cleanup(c.Close)
	return c
}

func (c *chats) answer(w http.ResponseWriter, r *http.Request) {
	var body struct {
		ChatID  string `json:"chat_id"`
		Channel string `json:"channel"`
		Text    string `json:"text"`
		Body    string `json:"body"`
	}
	raw, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(raw, &body); err != nil {
		c.t.Errorf("%s %s: %s: %v", r.Method, r.URL.Path, raw, err)
	}
	kind, to := "", ""
	switch {
	case r.Method == "POST" && strings.HasPrefix(r.URL.Path, "/bot") && strings.HasSuffix(r.URL.Path, "/sendMessage"):
		kind, to = "telegram", body.ChatID
	case r.Method == "POST" && r.URL.Path == "/api/chat.postMessage":
		kind, to = "slack", body.Channel
	case r.Method == "PUT" && strings.HasPrefix(r.URL.Path, "/_matrix/client/v3/rooms/"):
		kind, to = "matrix", strings.Split(r.URL.Path, "/")[5]
	default:
		c.t.Errorf("nobody documented %s %s", r.Method, r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
		return
	}
	c.mu.Lock()
	c.got[kind] = append(c.got[kind], chatted{r.URL.Path, r.Header.Get("Authorization"), body.Text + body.Body, to})
	says := c.says[kind]
	c.mu.Unlock()
	b, err := os.ReadFile(filepath.Join(root, "internal/notify/send/testdata", says.file+".json"))
	if err != nil {
		c.t.Error(err)
	}
	w.Header().Set("Content-Type", "application/json")
	for name, value := range says.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(says.status)
	_, _ = w.Write(b)
}

func (c *chats) say(kind string, r recorded) { c.mu.Lock(); c.says[kind] = r; c.mu.Unlock() }

func (c *chats) all(kind string) []chatted {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]chatted(nil), c.got[kind]...)
}

func (c *chats) code(kind string) string {
	all := c.all(kind)
	return sixDigits.FindString(all[len(all)-1].text)
}

// TestPagesArriveByChat: routes over Telegram, Slack and Matrix are confirmed by the code that comes; a page goes over the first, and over the next when
// one refuses or wants to be left alone; the timeline has the receipt of each. The other ends answer what the real ones were recorded to.
func TestPagesArriveByChat(t *testing.T) {
	c := newChats(t)
	s := start(t, fmt.Sprintf("notify:\n  telegram: {url: %q, token: '123456:telegram-secret'}\n  slack: {url: %q, token: xoxb-slack-secret}\n  matrix: {url: %q, token: matrix-secret}\n", c.URL, c.URL, c.URL))
	w := administrator(t, s)
	const chat, member, room = "987654321", "U012AB3CD", "!YUwRidLecu:example.com"
	w.addRoute("telegram", chat, func() string { return c.code("telegram") })
	w.addRoute("slack", member, func() string { return c.code("slack") })
	w.addRoute("matrix", room, func() string { return c.code("matrix") })

	paged := func(title, severity string) (words string) {
		t.Helper()
		n := s.declare(title, severity, nil)
		s.command(n, "page", map[string]any{"person": "ana", "reason": "nobody else can pause it"})
		return fmt.Sprintf("%s #%d", severity, n)
	}
	arrives := func(kind, words, to, path, authorization string) {
		t.Helper()
		until(t, words+" arrives by "+kind, patience, func() (bool, string) {
			for _, m := range c.all(kind) {
				if strings.Contains(m.text, words) && m.to == to && strings.HasPrefix(m.path, path) && m.authorization == authorization {
					return true, ""
				}
			}
			return false, fmt.Sprint(c.all(kind))
		})
	}
	telegram := func(words string) {
		t.Helper()
		arrives("telegram", words, chat, "/bot123456:telegram-secret/sendMessage", "")
	}
	slack := func(words string) {
		t.Helper()
		arrives("slack", words, member, "/api/chat.postMessage", "Bearer xoxb-slack-secret")
	}
	matrix := func(words string) {
		t.Helper()
		arrives("matrix", words, room, "/_matrix/client/v3/rooms/"+room+"/send/m.room.message/", "Bearer matrix-secret")
	}
	receipt := func(words ...string) {
		t.Helper()
		until(t, "the log has the receipts "+strings.Join(words, ", "), patience, func() (bool, string) {
			text := s.receipts()
			for _, x := range words {
				if !strings.Contains(text, x) {
					return false, text
				}
			}
			return true, ""
		})
	}
	telegram(paged("Bridge outflow is 5.4 % of TVL", "SEV1"))
	receipt("Telegram took it")
	c.say("telegram", recorded{403, "telegram-403", nil})
	slack(paged("Withdrawals are stuck", "SEV2"))
	receipt("the bot was blocked in this chat", "Slack took it")
	c.say("slack", recorded{429, "slack-limited", map[string]string{"Retry-After": "60"}})
	last := paged("Oracle is stale", "SEV1")
	matrix(last)
	receipt("the homeserver took it")

	w.open("/incidents/" + strings.TrimPrefix(last, "SEV1 #"))
	w.sees("has every way on its timeline", `["the bot was blocked in this chat", "Slack", "the homeserver took it"].every((x) => document.querySelector("#timeline").innerText.includes(x))`, patience)
	for _, secret := range []string{"telegram-secret", "slack-secret", "matrix-secret", member, chat, room} {
		if strings.Contains(s.receipts(), secret) || strings.Contains(fmt.Sprint(s.run.out), secret) {
			t.Errorf("%s was told", secret)
		}
	}
}
