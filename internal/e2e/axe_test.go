package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

var axeSource = sync.OnceValues(func() (string, error) {
	b, err := os.ReadFile(filepath.Join(root, "web/node_modules/axe-core/axe.min.js"))
	return string(b), err
})

type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		Target         []any
		FailureSummary string
	}
}

// axe checks the page that the window shows and reports what it finds. Scripts
// evaluated by the debugger are not subject to the page's policy.
func (w *window) axe(what string) (found int) {
	w.t.Helper()
	source, err := axeSource()
	must(w.t, err)
	js[bool](w, source+";true")
	raw := js[string](w, `axe.run(document, { resultTypes: ["violations"] }).then((r) => JSON.stringify({ v: r.violations, n: r.passes.length }))`)
	var result struct {
		V []violation
		N int
	}
	must(w.t, json.Unmarshal([]byte(raw), &result))
	if result.N < 3 {
		w.t.Errorf("axe on %s checked next to nothing: %d rules", what, result.N)
	}
	for _, v := range result.V {
		for _, n := range v.Nodes {
			found++
			w.t.Errorf("axe on %s: %s (%s): %s at %v: %s: %s", what, v.ID, v.Impact, v.Help, n.Target, cut(n.HTML, "", 200), strings.ReplaceAll(n.FailureSummary, "\n", " "))
		}
	}
	return found
}

// busy fills a tocsin with everything that pages can show.
func (s *tocsin) busy(person string) (number, resolved int64) {
	s.t.Helper()
	_, am, _ := s.source("Alertmanager", "alertmanager")
	s.asNobody("POST", am, mustJSON(s.t, webhook("g1", "firing",
		alert("WithdrawalsStuck", "aa01", map[string]any{"component": "Withdrawals", "instance": "w-1"}),
		alert("WithdrawalsStuck", "aa02", map[string]any{"component": "Withdrawals", "instance": "w-2"}),
		alert("CertificateEnds", "aa03", map[string]any{"severity": "info"}))))
	n := s.declare("Nomad bridge: outflow above its band", "SEV1", map[string]any{"summary": "A forged proof lets anybody withdraw.", "components": []string{"Bridge"}, "chains": []string{"ethereum"}})
	do := func(name string, args map[string]any) { s.t.Helper(); s.command(n, name, args) }
	do("assign_role", map[string]any{"role": "commander", "person": person})
	do("set_status", map[string]any{"status": "mitigating"})
	do("set_severity", map[string]any{"severity": "SEV2", "reason": "only one bridge"})
	do("add_note", map[string]any{"text": "Two addresses take most of it."})
	do("decide", map[string]any{"text": "Pause the bridge until both nodes agree."})
	do("add_task", map[string]any{"title": "Call the custodian", "assignee": person})
	do("add_task", map[string]any{"title": "Tell the exchanges"})
	do("complete_task", map[string]any{"task": "T2"})
	do("add_link", map[string]any{"url": "https://dash.example/bridge", "title": "Outflow"})
	do("draft_update", map[string]any{"audience": "public", "headline": "Bridge paused", "text": "The bridge is paused. Funds are being secured.", "components": map[string]string{"Bridge": "major_outage"}})
	publishLast(s, n, "public")
	do("draft_update", map[string]any{"audience": "public", "text": "A second update waits for approval."})
	var noted struct{ Events []event }
	s.api("GET", fmt.Sprintf("/api/v1/incidents/%d/events", n), nil, &noted)
	for _, e := range noted.Events {
		if e.Type == "incident.note_added" {
			do("redact", map[string]any{"event": e.ID, "reason": "named a customer"})
		}
	}
	do("add_note", map[string]any{"text": "Withdrawals are paused since 14:05 UTC."})
	for i, sev := range []string{"SEV3", "SEV4", "SEV5", "SEV1"} {
		m := s.declare(fmt.Sprintf("Another open incident of %s with a title that is long enough to need the whole width", sev), sev, nil)
		if i == 1 {
			s.command(m, "resolve", map[string]any{"validation": "Both nodes agree again."})
			resolved = m
		}
	}
	until(s.t, "the alerts are an incident", patience, func() (bool, string) {
		l := s.incidents()
		return len(l) >= 6, fmt.Sprint(len(l))
	})
	return n, resolved
}

// TestAxeFindsNothing on any page, empty and busy.
func TestAxeFindsNothing(t *testing.T) {
	a := startAnvil(t)
	b := startBtcd(t)
	s := start(t, "organisation: Example Exchange\ncomponents: [{name: Withdrawals, group: Exchange}, {name: Trading, group: Exchange}, {name: Bridge}]\nstatus: {audiences: [regulators]}\nchains:\n"+
		watched("devnet", "evm", "ws://127.0.0.1:"+a.port)+watched("simnet", "bitcoin", b.url, "http://127.0.0.1:"+freePort(t)))
	link, err := url.Parse(s.link)
	must(t, err)
	base := link.Scheme + "://" + link.Host
	w := desk(t, "axe", base, 1440, 900)
	w.reduceMotion()
	outside := desk(t, "nobody", base, 390, 844)
	outside.reduceMotion()
	pages, found := 0, 0
	check := func(w *window, what, path string) {
		t.Helper()
		w.open(path)
		w.sees("has its page", `document.readyState === "complete" && document.fonts.status === "loaded" && document.getAnimations().every((a) => a.playState !== "running" || a.effect?.getTiming().iterations === Infinity)`, patience)
		if js[bool](w, `Boolean(document.querySelector('meta[name="topic"]'))`) {
			w.live()
		}
		found += w.axe(what)
		pages++
	}
	check(outside, "the link", link.Path)
	check(outside, "sign-in", "/signin")
	check(outside, "sign-in after a session ended", "/signin?ended=1&next=/chains")
	check(outside, "status, empty", "/status")
	outside.allow(errorPage)
	check(outside, "a dead link", "/join/join_nothing")
	outside.allow(nil)
	w.signIn(s, "Ana Ruiz", "ana")
	w.axe("account after the first sign-in")
	inside := [][2]string{{"board", "/"}, {"incidents", "/incidents"}, {"all incidents", "/incidents?status=all&drills=true"}, {"declare", "/incidents/new"}, {"signals", "/signals"}, {"on-call", "/oncall"}, {"escalation", "/oncall/policies"}, {"triage", "/queues"}, {"queue by cost", "/queue"}, {"learning", "/learning"}, {"maintenance", "/maintenance"}, {"my routes", "/me/notifications"}, {"cleared signals", "/signals?show=cleared"},
		{"detectors", "/detectors"}, {"wallets", "/wallets"}, {"an unknown wallet", "/wallets?around=ethereum%2F0x88a69b4e698a4b090df6cf5bd7b2d47325ad30a3"}, {"chains", "/chains"}, {"log", "/log"}, {"drills", "/drills"}, {"maintenance", "/maintenance"}, {"quiet signals", "/signals?show=quiet"}, {"people", "/people"}, {"sources", "/sources"}, {"tokens", "/tokens"}, {"account", "/me"}, {"wall", "/wall"}}
	for _, p := range inside {
		check(w, p[0]+", empty", p[1])
	}
	n, resolved := s.busy("ana")
	a.mine(3)
	b.do("generate", nil, 3)
	s.head("devnet", 3)
	until(t, "the second Bitcoin node is a finding", patience, func() (bool, string) {
		for _, g := range s.signals() {
			if g.Kind == "unreachable" {
				return true, ""
			}
		}
		return false, ""
	})
	s.quieted()
	for _, p := range s.sourcePages() {
		check(w, p[0], p[1])
	}
	schedule, policy := s.covered("ana")
	until(t, "somebody is paged", patience, func() (bool, string) {
		for _, e := range s.events() {
			if e.Type == "incident.paged" {
				return true, ""
			}
		}
		return false, "nobody"
	})
	inside = append(inside, [2]string{"a schedule", "/oncall/schedules/" + schedule}, [2]string{"a schedule in UTC", "/oncall/schedules/" + schedule + "?utc=1&week=2026-10-19"},
		[2]string{"a shift that is picked", fmt.Sprintf("/oncall/schedules/%s?from=%d&until=%d", schedule, time.Now().UnixMilli(), time.Now().Add(time.Hour).UnixMilli())},
		[2]string{"a policy", "/oncall/policies/" + policy}, [2]string{"routing tried out", "/oncall/policies?try=1&severity=SEV1&component=Bridge"},
		[2]string{"handing on", fmt.Sprintf("/queues?hand=%d#hand", n)}, [2]string{"the page signed in", fmt.Sprintf("/incidents/%d/page", n)}, [2]string{"impact", fmt.Sprintf("/incidents/%d/impact", n)})
	for _, p := range append(inside, [2]string{"commander", fmt.Sprintf("/incidents/%d", n)}, [2]string{"a resolved incident", fmt.Sprintf("/incidents/%d", resolved)}, [2]string{"all signals", "/signals?show=all"}, [2]string{"one stream of the log", fmt.Sprintf("/log?stream=incident/%d", n)}) {
		check(w, p[0]+", busy", p[1])
	}
	w.allow(errorPage)
	check(w, "error page, not found", "/nothing/here")
	check(w, "error page, no such incident", "/incidents/4711")
	w.allow(nil)
	// What opens on top of a page.
	w.open(fmt.Sprintf("/incidents/%d", n))
	w.live()
	w.press(letter("k"), ctrl)
	w.sees("has the palette", `document.querySelector("dialog.palette[open]")`, patience)
	found += w.axe("palette")
	w.press(escape)
	w.sees("closed it", `!document.querySelector("dialog")`, patience)
	w.types("?")
	w.sees("has the list of keys", `document.querySelector("dialog.keys[open]")`, patience)
	found += w.axe("list of keys")
	w.press(escape)
	w.sees("closed it", `!document.querySelector("dialog")`, patience)
	w.types("/")
	w.sees("has the composer under the hands", `document.activeElement.id === "composer-line"`, patience)
	w.types("/")
	w.sees("offers commands", `!document.querySelector("#composer-list").hidden`, patience)
	found += w.axe("completions")
	w.press(escape)
	// Forms that were refused, and secrets shown once.
	for _, f := range [][3]string{{"/people", "#i-name", "Li Wei"}, {"/sources", "#s-name", "Grafana"}, {"/tokens", "#t-name", "robot"}, {"/tokens", "#w-name", "Left wall"}} {
		w.open(f[0])
		js[bool](w, fmt.Sprintf(`(() => { const i = document.querySelector(%s); i.value = %s; i.form.requestSubmit(); return true; })()`, quote(f[1]), quote(f[2])))
		w.sees("shows it once", loaded+` && document.querySelector(".once")`, patience)
		found += w.axe("secret shown once on " + f[0])
		pages++
	}
	w.open("/me")
	js[bool](w, `(() => { const f = document.querySelector('form[action="/me/recovery"]'); f.dataset.asked = "true"; f.requestSubmit(); return true; })()`)
	w.sees("shows the codes", loaded+` && document.querySelector(".codes")`, patience)
	found += w.axe("recovery codes")
	// Phones.
	phone := w.another("phone", 390, 844)
	phone.reduceMotion()
	for _, p := range [][2]string{{"commander on a phone", fmt.Sprintf("/incidents/%d", n)}, {"board on a phone", "/"}, {"chains on a phone", "/chains"}, {"log on a phone", "/log"}, {"maintenance on a phone", "/maintenance"},
		{"impact on a phone", fmt.Sprintf("/incidents/%d/impact", n)}, {"on-call on a phone", "/oncall"}, {"a schedule on a phone", "/oncall/schedules/" + schedule}, {"policies on a phone", "/oncall/policies"},
		{"a policy on a phone", "/oncall/policies/" + policy}, {"triage on a phone", "/queues"}, {"queue on a phone", "/queue"}, {"my routes on a phone", "/me/notifications"}, {"sources on a phone", "/sources"}} {
		check(phone, p[0], p[1])
		if wide := js[int](phone, `document.documentElement.scrollWidth`); wide > 391 {
			t.Errorf("%s is %d wide on a phone of 390", p[0], wide)
		}
	}
	check(outside, "status, busy", "/status")
	check(w, "status of an audience", "/status/regulators")
	t.Logf("axe-core on %d pages, empty and busy, dialogs and phone widths included: %d findings", pages+5, found)
}

// errorPage is how the browser notes that a page itself came with an error status.
var errorPage = regexp.MustCompile(`status of (401|403|404|410)`)
