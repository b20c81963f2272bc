package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// planted makes secrets that cannot be anywhere by chance and remembers where
// each was put.
type planted map[string]string

func (p planted) in(field string) string {
	s := fmt.Sprintf("zq%02dSECRETx%s", len(p), strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(field)))
	p[s] = field
	return s
}

// found lists the fields whose secret shows in text, also in its usual wrappings.
func (p planted) found(text string) (out []string) {
	low := strings.ToLower(text)
	for s, field := range p {
		for _, form := range []string{s, url.QueryEscape(s), base64.StdEncoding.EncodeToString([]byte(s))} {
			if strings.Contains(text, form) || strings.Contains(low, strings.ToLower(s)) {
				out = append(out, field)
				break
			}
		}
	}
	return out
}

// TestPublicPageShowsNoSecret plants a secret in every private field there is
// and then reads everything that anybody may read.
func TestPublicPageShowsNoSecret(t *testing.T) {
	p := planted{}
	low := func(field string) string { return strings.ToLower(p.in(field)) }
	dead := freePort(t)
	chain := "c-" + low("chain name")[:20]
	p[chain] = "chain name, configured"
	s := start(t, fmt.Sprintf(`
organisation: Example Exchange
components:
  - {name: Withdrawals, group: Exchange}
  - {name: Bridge}
chains:
  - name: %s
    family: evm
    nodes: [{name: %s, url: "http://%s:%s@127.0.0.1:%s/%s"}]
status: {audiences: [regulators]}
`, chain, low("node name"), p.in("node user"), p.in("node password"), dead, p.in("node path")))

	// Before anything is planted in incidents: what shows now must be nothing.
	live, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.url, "http")+"/status/live?since=-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	frames := make(chan string, 4096)
	go func() {
		defer close(frames)
		for {
			_, b, err := live.ReadMessage()
			if err != nil {
				return
			}
			frames <- string(b)
		}
	}()

	// People: the administrator of the first link, a responder who is invited.
	jar := s.enter(low("administrator handle")[:24], p.in("administrator name"))
	p[jar.handle] = "administrator handle"
	jar.post("/people/invite", url.Values{"name": {p.in("invited person")}, "role": {"responder"}})
	srcID, am, key := s.source(p.in("source name"), "alertmanager")
	p[key] = "source key"

	a := alert(p.in("alert name"), "5ec3e7", map[string]any{p.in("label name"): p.in("label value"), "instance": p.in("alert subject"), "component": "Withdrawals", "severity": "critical"})
	a["annotations"] = map[string]any{"summary": p.in("alert title"), "description": p.in("alert reason"), "runbook_url": "https://" + low("runbook host") + ".example/x", p.in("annotation"): p.in("annotation value")}
	a["generatorURL"] = "https://" + low("generator host") + ".example/graph"
	s.asNobody("POST", am, mustJSON(t, webhook(p.in("group key"), "firing", a)))
	until(t, "the alert declared an incident", patience, func() (bool, string) {
		l := s.incidents()
		return len(l) == 1, fmt.Sprint(l)
	})

	n := s.declare(p.in("title"), "SEV2", map[string]any{"summary": p.in("summary"), "components": []string{"Withdrawals", p.in("private component")}, "chains": []string{low("chain of incident")}})
	do := func(name string, args map[string]any) answer { return s.command(n, name, args) }
	do("add_note", map[string]any{"text": p.in("note")})
	do("decide", map[string]any{"text": p.in("decision")})
	do("add_task", map[string]any{"title": p.in("task"), "assignee": jar.handle})
	do("add_link", map[string]any{"url": "https://" + low("link host") + ".example/" + p.in("link path"), "title": p.in("link title")})
	do("add_address", map[string]any{"chain": "ethereum", "address": p.in("address"), "kind": "attacker", "label": p.in("label of an address")})
	do("add_transaction", map[string]any{"chain": "ethereum", "tx": p.in("transaction"), "note": p.in("note of a transaction")})
	do("remove_transaction", map[string]any{"tx": "X1", "reason": p.in("reason to take a transaction off")})
	do("assign_role", map[string]any{"role": "commander", "person": jar.handle})
	do("set_severity", map[string]any{"severity": "SEV1", "reason": p.in("severity reason")})
	do("set_status", map[string]any{"status": "mitigating", "reason": p.in("status reason")})
	do("set_times", map[string]any{"impact_began_at": time.Now().Add(-time.Hour).UnixMilli(), "reason": p.in("reason of times")})
	do("draft_update", map[string]any{"audience": "public", "text": p.in("public draft, not published"), "headline": p.in("headline of a draft")})
	do("draft_update", map[string]any{"audience": "regulators", "text": p.in("update for regulators"), "headline": p.in("headline for regulators")})
	told := publishLast(s, n, "regulators")
	const publicText = "We paused withdrawals while we check a deposit address."
	do("draft_update", map[string]any{"audience": "public", "text": publicText, "headline": "Withdrawals are paused", "components": map[string]string{"Withdrawals": "major_outage"}})
	publishLast(s, n, "public")
	do("rename", map[string]any{"title": p.in("second title")})
	for _, g := range s.signals() {
		p[g.ID] = "signal id"
	}
	p[srcID+"/"] = "source id"
	do("resolve", map[string]any{"validation": p.in("validation")})
	do("reopen", map[string]any{"reason": p.in("reason to reopen")})
	m := s.declare(p.in("title of a duplicate"), "SEV4", nil)
	s.command(m, "merge", map[string]any{"into": n})
	_ = told

	// Everything that nobody in particular may read.
	pages := map[string]string{}
	read := func(path string, want ...int) string {
		t.Helper()
		code, b := s.asNobody("GET", path, nil)
		if len(want) > 0 && code != want[0] {
			t.Errorf("GET %s as nobody: %d, want %d", path, code, want[0])
		}
		pages[path] = string(b)
		return string(b)
	}
	until(t, "the public page shows what was published", patience, func() (bool, string) {
		page := read("/status", 200)
		return strings.Contains(page, publicText) && strings.Contains(page, "Withdrawals are paused"), page
	})
	for _, d := range []string{"summary.json", "status.json", "components.json", "incidents.json", "incidents/unresolved.json", "scheduled-maintenances.json"} {
		read("/api/v2/"+d, 200)
	}
	if !strings.Contains(pages["/api/v2/summary.json"], publicText) {
		t.Errorf("the JSON does not show what was published: %s", pages["/api/v2/summary.json"])
	}
	read("/status/history.atom", 200)
	for _, path := range []string{"/ledger/checkpoint", "/ledger/verifier", "/ledger/tile/0/000.p/1", "/openapi.json", "/healthz", "/readyz", "/signin", "/join/nothing", "/wall/nothing",
		"/status/regulators", "/status/nobody", "/status/public", "/assets/status.css", "/assets/status.js", "/assets/app.js", "/favicon.ico", "/robots.txt", "/.git/config"} {
		read(path)
	}
	for _, path := range []string{"/", "/wall", "/incidents", fmt.Sprintf("/incidents/%d", n), "/signals", "/log", "/chains", "/people", "/tokens", "/sources", "/me", "/drills",
		"/api/v1/incidents", fmt.Sprintf("/api/v1/incidents/%d", n), fmt.Sprintf("/api/v1/incidents/%d/events", n), "/api/v1/signals", "/api/v1/chains", "/api/v1/log?from=0&follow=false", "/metrics",
		"/ledger/tile/entries/000.p/5", "/prometheus/api/v1/labels", "/live?topic=board&since=0"} {
		if code, _ := s.asNobody("GET", path, nil); code < 300 && code >= 200 {
			t.Errorf("GET %s as nobody: %d", path, code)
		}
		read(path)
	}
	for _, audience := range []string{"regulators", "public", "../board", "board"} {
		header := http.Header{}
		c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.url, "http")+"/status/live?since=0&audience="+url.QueryEscape(audience), header)
		if err == nil {
			_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
			for {
				_, b, err := c.ReadMessage()
				if err != nil {
					break
				}
				pages["live "+audience] += string(b)
			}
			c.Close()
			if audience != "public" {
				t.Errorf("nobody may follow %s", audience)
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	seen := false
	for !seen {
		select {
		case f, ok := <-frames:
			if !ok {
				t.Fatal("the live part of the status page ended")
			}
			pages["/status/live"] += f
			seen = strings.Contains(f, publicText)
		case <-ctx.Done():
			t.Fatalf("what was published did not come live; frames: %s", pages["/status/live"])
		}
	}
	live.Close()
	for f := range frames {
		pages["/status/live"] += f
	}
	if !strings.Contains(pages["/status/live"], `"html"`) {
		t.Error("no region came live, so nothing was tested there")
	}
	bytes := 0
	for path, text := range pages {
		bytes += len(text)
		if leaks := p.found(text); len(leaks) > 0 {
			t.Errorf("GET %s as nobody shows %s:\n%s", path, strings.Join(leaks, ", "), cut(text, "", 1500))
		}
	}
	// The audience sees its own update and nothing else that is private.
	_, page := jar.get("/status/regulators")
	leaks := p.found(page)
	for _, l := range leaks {
		if l != "update for regulators" && l != "headline for regulators" {
			t.Errorf("the page of the regulators shows %s", l)
		}
	}
	if len(leaks) < 1 {
		t.Errorf("the page of the regulators does not show their update: %s", page)
	}
	// The secrets are really there for those who may see them.
	whole := ""
	for _, e := range s.events() {
		whole += string(e.Data) + e.Actor
	}
	if k := len(p.found(whole)); k < 30 {
		t.Errorf("only %d of %d secrets are in the log: the test planted badly", k, len(p))
	}
	if raw, _ := os.ReadFile(s.config); strings.Contains(whole, p.secretOf("node password")) || !strings.Contains(string(raw), p.secretOf("node password")) {
		t.Error("the password of a node is in the log")
	}
	if out := s.run.out.String(); strings.Contains(out, p.secretOf("node password")) || strings.Contains(out, key) {
		t.Error("a credential is in what the server prints")
	}
	t.Logf("%d secrets planted, %d public documents and frames (%d KiB) read as nobody: none shows", len(p), len(pages), bytes>>10)
}

func (p planted) secretOf(field string) string {
	for s, f := range p {
		if f == field {
			return s
		}
	}
	return "no such secret"
}

// publishLast approves and publishes the newest draft for an audience.
func publishLast(s *tocsin, n int64, audience string) string {
	s.t.Helper()
	id := ""
	for _, u := range s.incident(n).Updates {
		if u.Audience == audience && u.State != "published" {
			id = u.ID
		}
	}
	s.command(n, "approve_update", map[string]any{"update": id})
	s.command(n, "publish_update", map[string]any{"update": id})
	return id
}
