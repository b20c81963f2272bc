package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// click presses the first element that matches.
func (w *window) click(selector string) {
	w.t.Helper()
	w.sees("has "+selector, fmt.Sprintf(loaded+" && document.querySelector(%s)", quote(selector)), patience)
	must(w.t, chromedp.Do(w.ctx, chromedp.Click(chromedp.CSS(selector))))
}

// fill writes into a field.
func (w *window) fill(selector, text string) {
	w.t.Helper()
	w.sees("has "+selector, fmt.Sprintf(loaded+" && document.querySelector(%s)", quote(selector)), patience)
	js[bool](w, fmt.Sprintf(`(() => { const f = document.querySelector(%s); f.focus(); f.select?.(); return true; })()`, quote(selector)))
	w.types(text)
}

// TestFirstSteps: an empty room says what to do next, and each step works: a
// chain is recognised before it is watched, a source's own example sends, an
// invited person gets in, a drill is offered.
func TestFirstSteps(t *testing.T) {
	a := startAnvil(t)
	a.mine(5)
	other := startBtcd(t)
	other.do("generate", nil, 2)
	s := start(t, "status: {audiences: [regulators]}\n")
	link, err := url.Parse(s.link)
	must(t, err)
	base := link.Scheme + "://" + link.Host
	w := desk(t, "administrator", base, 1440, 900)
	w.signIn(s, "Ana Ruiz", "ana")
	board := w.another("board", 1440, 900)
	board.open("/")
	board.live()
	steps := js[int](board, `document.querySelectorAll("#board-setup .step[data-done=false]").length`)
	if steps < 3 || !js[bool](board, `Boolean(document.querySelector('#board-setup a[href="/drills"], a[href^="/drills"]'))`) {
		t.Errorf("%d steps are offered: %s", steps, js[string](board, "document.body.innerText"))
	}

	// A chain: what is wrong is said in a sentence, and nothing is saved.
	w.open("/chains")
	dead := freePort(t)
	for address, want := range map[string]string{
		"http://127.0.0.1:" + dead:               "refused",
		"carrier-pigeon://x":                     "http",
		"http://127.0.0.1:" + other.port:         "",
		"http://u:wrong@127.0.0.1:" + other.port: "",
	} {
		w.fill("#chain-url-1", address)
		w.click("[data-chain-test]")
		w.sees("says what is wrong with "+address, `document.querySelector("#chain-test").dataset.result === "bad"`, patience)
		says := js[string](w, `document.querySelector("#chain-test .test-says").innerText`)
		if !strings.Contains(says, want) || !strings.HasSuffix(says, ".") || strings.Contains(says, "wrong@") || strings.Contains(says, "goroutine") {
			t.Errorf("%s: %q", address, says)
		}
		t.Logf("%s: %s", address, says)
	}
	w.fill("#chain-url-1", "ws://127.0.0.1:"+a.port)
	w.click("[data-chain-test]")
	w.sees("recognises the chain", `document.querySelector("#chain-test").dataset.result === "ok" && document.querySelector("#chain-test").innerText.includes("31337")`, patience)
	w.fill("#chain-name", "My devnet")
	w.click("[data-chain-form] button.main")
	w.sees("watches it", `[...document.querySelectorAll(".chain-name")].some((n) => n.textContent.includes("My devnet"))`, patience)
	board.sees("shows the chain without being loaded again", `document.querySelector("#chains").innerText.includes("My devnet") && document.querySelector("#chains .chain-head-no")?.textContent.trim() === "5"`, patience)
	a.mine(1)
	board.sees("follows it", `document.querySelector("#chains .chain-head-no").textContent.trim() === "6"`, patience)
	w.open("/chains")
	w.fill("#chain-url-1", "http://u:p@127.0.0.1:"+other.port)
	w.fill("#chain-name", "Simnet")
	w.click("[data-chain-form] button.main")
	w.sees("watches Bitcoin", `document.querySelector("#chains").innerText.includes("Simnet")`, patience)
	if js[bool](w, `document.documentElement.outerHTML.includes("u:p@")`) {
		t.Error("the page shows the password of a node")
	}

	// A source: the example that the page gives is sent as it stands.
	w.open("/sources")
	w.fill("#s-name", "Scripts")
	js[bool](w, `(() => { document.querySelector('input[name="kind"][value="generic"]').checked = true; return true; })()`)
	w.press(enter)
	w.sees("shows the example", `[...document.querySelectorAll("pre")].some((p) => p.innerText.includes("curl"))`, patience)
	example := js[string](w, `[...document.querySelectorAll("pre")].find((p) => p.innerText.includes("curl")).innerText`)
	_, body, ok := strings.Cut(example, "-d '")
	body, _, _ = strings.Cut(body, "'")
	i := strings.Index(example, "/api/v1/intake/")
	if !ok || i < 0 {
		t.Fatalf("no example: %s", example)
	}
	path := strings.Fields(example[i:])[0]
	if code, b := s.asNobody("POST", path, []byte(body)); code != 202 {
		t.Errorf("the example of the page: %d %s", code, b)
	}
	board.sees("has the incident that came of it", `document.querySelector("#board-incidents .row-title")?.innerText.length > 3`, patience)

	// Somebody is invited and comes in, in a browser of their own.
	w.open("/people")
	w.fill("#i-name", "Li Wei")
	w.press(enter)
	w.sees("shows the invitation", `document.querySelector(".secret")`, patience)
	invitation, err := url.Parse(strings.TrimSpace(js[string](w, `document.querySelector(".secret").textContent`)))
	must(t, err)
	li := desk(t, "responder", base, 1440, 900)
	li.open(invitation.Path)
	li.click(`.form button[type="submit"]`)
	li.sees("is in", `document.body.dataset.handle === "li" && document.readyState === "complete"`, patience)
	if js[bool](li, `Boolean(document.querySelector('.nav a[href="/tokens"]'))`) {
		t.Error("a responder is offered the tokens")
	}
	li.open("/incidents/1")
	li.live()
	li.writes("I am here")
	li.shows("I am here")
	li.allow(errorPage)
	li.open("/tokens")
	li.shows("role does not allow")
	li.open(invitation.Path)
	li.shows("used up")
	li.open("/incidents/1")
	li.live()

	// Locked out: every window of theirs ends at once, and nothing can be sent any more.
	w.open("/people")
	js[bool](w, `(() => { const f = document.querySelector('form[action="/people/li/disable"]'); f.dataset.asked = "true"; f.requestSubmit(); return true; })()`)
	li.sees("is signed out at once", `document.querySelector("#live").innerText.includes("SIGNED OUT")`, patience)
	js[bool](li, `(() => { document.querySelector("#composer-line").focus(); return true; })()`)
	li.types("I should not be able to say this")
	li.press(enter)
	li.sees("is refused and keeps what was typed", `!document.querySelector("#composer-refusal").hidden && document.querySelector("#composer-line").value.includes("should not")`, patience)

	// A wall key that is revoked ends the wall.
	w.open("/tokens")
	w.fill("#w-name", "Lobby")
	w.press(enter)
	w.sees("shows the key of the wall", `document.querySelector(".secret")`, patience)
	key, err := url.Parse(strings.TrimSpace(js[string](w, `document.querySelector(".secret").textContent`)))
	must(t, err)
	wall := desk(t, "wall", base, 1920, 1080)
	wall.open(key.Path)
	wall.live()
	wall.allow(errorPage)
	if code := js[int](wall, `fetch("/incidents/1").then((r) => r.status)`); code != 403 {
		t.Errorf("a wall gets %d from a room, want 403", code)
	}
	w.open("/tokens")
	js[bool](w, `(() => { const f = document.querySelector('form[action^="/tokens/"][action$="/revoke"]'); f.dataset.asked = "true"; f.requestSubmit(); return true; })()`)
	wall.sees("says that its key is revoked", `document.querySelector("#live").innerText.includes("KEY REVOKED")`, patience)
}
