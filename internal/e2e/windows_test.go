package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// house is a running tocsin with somebody in it and three windows on it.
type house struct {
	*tocsin
	people  *visitor
	wall    *window // wall session
	command *window // ana, administrator
	public  *window // nobody
	wire    *cable  // between the windows and the server
}

func openHouse(t *testing.T) *house {
	t.Helper()
	s := start(t, "organisation: Example Exchange\ncomponents: [{name: Withdrawals, group: Exchange}, {name: Trading, group: Exchange}]\nstatus: {audiences: [regulators]}\n")
	h := &house{tocsin: s, wire: newCable(t, s.addr)}
	base := "http://" + strings.Replace(h.wire.addr(), "127.0.0.1", "localhost", 1)
	h.command = desk(t, "commander", base, 1440, 900)
	h.command.signIn(s, "Ana Ruiz", "ana")
	h.wall = desk(t, "wall", base, 1920, 1080)
	h.public = desk(t, "status", base, 390, 844)
	return h
}

// walls makes a wall key with the administrator's own window and opens it.
func (h *house) openWall() {
	h.wall.t.Helper()
	h.command.open("/tokens")
	must(h.wall.t, chromedp.Do(h.command.ctx, chromedp.SendKeys(chromedp.CSS("#w-name"), "Operations room\r")))
	h.command.sees("shows the key of the wall", `document.querySelector(".secret")`, patience)
	link := js[string](h.command, `document.querySelector(".secret").textContent`)
	u, err := url.Parse(strings.TrimSpace(link))
	must(h.wall.t, err)
	h.wall.open(u.Path)
	h.wall.sees("is the wall", `location.pathname === "/wall"`, patience)
}

func (h *house) room(n int64) string { return fmt.Sprintf("/incidents/%d", n) }

// writes types a line into the composer as a person would, and sends it.
func (w *window) writes(line string) {
	w.t.Helper()
	w.sees("is loaded", loaded, patience)
	must(w.t, chromedp.Do(w.ctx, chromedp.Focus(chromedp.CSS("#composer-line"))))
	w.types(line)
	w.press(enter)
	w.sees("has sent “"+line+"”", `document.querySelector("#pending").children.length === 0 || !document.querySelector("#composer-refusal").hidden`, patience)
	if said := js[string](w, `document.querySelector("#composer-refusal").hidden ? "" : document.querySelector("#composer-refusal").innerText`); said != "" {
		w.t.Errorf("“%s” was refused: %s", line, said)
	}
}

// TestThreeWindows: wall, commander and public status on one incident.
func TestThreeWindows(t *testing.T) {
	h := openHouse(t)
	h.openWall()
	n := h.declare("Withdrawals leave the bridge", "SEV3", map[string]any{"summary": "Two addresses drain it.", "components": []string{"Withdrawals"}})
	h.command.open(h.room(n))
	h.public.open("/status")
	for _, w := range []*window{h.command, h.wall, h.public} {
		w.live()
	}
	h.wall.shows("Withdrawals leave the bridge") // declared after the wall was opened

	// A command in one is on the others.
	h.command.writes("/sev 1 funds are moving")
	h.wall.sees("shows SEV1", `document.querySelector("#wall-incident .wall-sev").innerText.includes("SEV1")`, patience)
	h.command.sees("shows SEV1", `document.querySelector("#incident-strip .strip-sev-word").innerText.includes("SEV1")`, patience)
	h.command.writes("/role commander @ana")
	h.wall.shows("Ana Ruiz")
	h.command.writes("/decide pause withdrawals until both nodes agree")
	h.wall.shows("pause withdrawals until both nodes agree")
	h.command.writes("/update public Withdrawals are paused. Funds are safe.")
	h.command.sees("has a draft", `document.querySelector("#comms .draft")`, patience)
	if js[bool](h.public, `document.body.innerText.includes("Funds are safe")`) {
		t.Error("the public reads a draft")
	}
	h.command.writes("/approve")
	h.command.shows("approved by")
	h.command.writes("/publish")
	h.public.shows("Withdrawals are paused. Funds are safe.")
	took := map[string]time.Duration{}
	text := "measured: from one window to another"
	js[bool](h.wall, fmt.Sprintf(`(() => { const o = new MutationObserver(() => { if (document.body.innerText.includes(%s)) { window.seenAt ??= Date.now(); } }); o.observe(document.body, {subtree: true, childList: true, characterData: true}); return true; })()`, quote(text)))
	began := time.Now()
	h.note(n, text)
	h.wall.sees("has the note", `window.seenAt`, patience)
	took["note to wall"] = time.Duration(js[int64](h.wall, "window.seenAt")-began.UnixMilli()) * time.Millisecond

	// A half-typed note survives the updates around it.
	const half = "half a thought about the hot wal"
	must(t, chromedp.Do(h.command.ctx, chromedp.Focus(chromedp.CSS("#composer-line"))))
	h.command.types(half)
	js[bool](h.command, `(() => { const f = document.querySelector("#composer-line"); f.setSelectionRange(5, 5); window.field = f; return true; })()`)
	kept := func(when string) {
		t.Helper()
		if got := js[string](h.command, `(() => { const f = document.querySelector("#composer-line"); return [f.value, document.activeElement === f, f.selectionStart, f === window.field].join("|"); })()`); got != half+"|true|5|true" {
			t.Errorf("%s the half-typed note is %q", when, got)
		}
	}
	for i := range 25 {
		h.note(n, fmt.Sprintf("update around the typing, %d", i))
	}
	h.tocsin.command(n, "set_severity", map[string]any{"severity": "SEV2", "reason": "less than feared"})
	h.tocsin.command(n, "add_task", map[string]any{"title": "Call the custodian"})
	h.command.shows("update around the typing, 24")
	h.command.shows("Call the custodian")
	kept("after 27 updates")
	all := []*window{h.wall, h.command, h.public}
	for _, w := range all {
		w.right()
		w.allow(unreachable)
	}

	// Right after the server was killed and came back.
	h.kill()
	for _, w := range all {
		w.stale()
	}
	h.up()
	up := time.Now()
	h.note(n, "the first words after the restart")
	h.tocsin.command(n, "draft_update", map[string]any{"audience": "public", "text": "We were away for a moment."})
	publishLast(h.tocsin, n, "public")
	for _, w := range []*window{h.wall, h.command} {
		w.shows("the first words after the restart")
	}
	h.public.shows("We were away for a moment.")
	for _, w := range all {
		w.live()
		w.right()
	}
	took["restart to all windows right"] = time.Since(up)
	kept("after the restart")

	// A minute without network: nothing arrives, nothing is refused, nobody is told.
	h.wire.pull()
	pulled := time.Now()
	for i := range 12 {
		h.note(n, fmt.Sprintf("said while they were offline, %d", i))
	}
	h.tocsin.command(n, "set_severity", map[string]any{"severity": "SEV4", "reason": "it is over"})
	h.tocsin.command(n, "set_status", map[string]any{"status": "monitoring"})
	h.tocsin.command(n, "draft_update", map[string]any{"audience": "public", "text": "Withdrawals are open again.", "phase": "monitoring"})
	publishLast(h.tocsin, n, "public")
	for _, w := range all {
		w.stale()
	}
	took["network gone to STALE"] = time.Since(pulled)
	const unsent = "typed and sent while offline"
	js[bool](h.command, `(() => { const f = document.querySelector("#composer-line"); f.select(); return true; })()`)
	h.command.types(unsent)
	h.command.press(enter)
	h.command.types(half)
	js[bool](h.command, `(() => { document.querySelector("#composer-line").setSelectionRange(5, 5); return true; })()`)
	h.command.sees("says that it is not sent", `document.querySelector("#pending")?.innerText.includes(`+quote(unsent)+`)`, patience)
	for left := time.Minute - time.Since(pulled); left > 0; left = time.Minute - time.Since(pulled) {
		time.Sleep(left) // the minute itself is what is tested
	}
	for _, w := range all {
		w.stale()
	}
	h.wire.plug()
	back := time.Now()
	h.wall.sees("shows the new status", `document.querySelector("#wall-incident .status").innerText.includes("monitoring")`, patience)
	h.command.shows("said while they were offline, 11")
	h.public.shows("Withdrawals are open again.")
	h.command.sees("has sent what was written offline", `[...document.querySelectorAll("#timeline .entry")].filter(e => e.innerText.includes(`+quote(unsent)+`)).length === 1`, patience)
	for _, w := range all {
		w.live()
		w.right()
	}
	took["network back to all windows right"] = time.Since(back)
	kept("after a minute offline")
	said := 0
	for _, e := range h.events() {
		if strings.Contains(string(e.Data), unsent) {
			said++
		}
	}
	if said != 1 {
		t.Errorf("what was sent offline is in the log %d times", said)
	}
	for what, d := range took {
		t.Logf("%s: %s", what, d.Round(time.Millisecond))
	}
	for _, w := range all {
		t.Logf("the browser said %d times in the %s window that the server cannot be reached, and nothing else", w.ignored, w.name)
	}
}

// right compares every region that the window shows with the page as the server
// makes it now. Running clocks are left out.
func (w *window) right() {
	w.t.Helper()
	until(w.t, w.name+" window: shows what the server knows", patience, func() (bool, string) {
		diff, err := eval[string](w, `(async () => {
			const fresh = new DOMParser().parseFromString(await (await fetch(location.pathname, { cache: "no-store" })).text(), "text/html");
			const words = (node) => { const c = node.cloneNode(true); for (const t of c.querySelectorAll("time, progress, .spark, .plot, [data-last], .chain-head-no, .chain-age, .node-head, #pending, [data-mine-count], .when, li.fold")) t.remove(); return c.textContent.replace(/\s+/g, " ").trim(); };
			const ids = ["wall-incident", "wall-others", "wall-summary", "incident-strip", "incident-facts", "waiting", "timeline", "room-signals", "tasks", "roles", "links", "comms", "status"];
			const out = [];
			let compared = 0;
			for (const id of ids) {
				const a = document.getElementById(id), b = fresh.getElementById(id);
				if (!a && !b) continue;
				compared++;
				if (!a || !b || words(a) !== words(b)) out.push(id + ": shown " + (a ? words(a) : "nothing") + " | server " + (b ? words(b) : "nothing"));
			}
			return compared === 0 ? "nothing to compare" : out.join("\n");
		})()`)
		if err != nil {
			return false, err.Error()
		}
		return diff == "", diff
	})
}
