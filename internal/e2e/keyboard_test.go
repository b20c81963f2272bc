package e2e

import (
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// TestKeyboardOnly goes from the sign-in link to a resolved incident without a
// pointer: no click, no focus by script, only keys.
func TestKeyboardOnly(t *testing.T) {
	s := start(t, "organisation: Example Exchange\ncomponents: [{name: Withdrawals}]\n")
	link, err := url.Parse(s.link)
	must(t, err)
	w := desk(t, "keyboard", link.Scheme+"://"+link.Host, 1440, 900)
	_, err = chromedp.Call(w.ctx, webauthn.Enable, webauthn.EnableParams{})
	must(t, err)
	_, err = chromedp.Call(w.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}})
	must(t, err)

	// In by the link.
	w.open(link.Path)
	w.sees("has the form", `document.querySelector("#l-name")`, patience)
	w.tabTo("#l-name")
	w.types("Ana Ruiz")
	w.tabTo("#l-handle")
	w.types("ana")
	w.press(enter)
	w.sees("is in", `document.body.dataset.handle === "ana" && location.pathname === "/me" && document.readyState === "complete"`, patience)

	// A passkey, then out and in again with it.
	w.tabTo(`[data-passkey="register"]`)
	w.press(enter)
	w.sees("has the passkey", loaded+` && document.querySelector("#pk-h") && !document.body.innerText.includes("No passkey yet")`, patience)
	w.tabTo(`form[action="/signout"] button`)
	w.press(enter)
	w.sees("is out", `location.pathname === "/signin" && document.readyState === "complete"`, patience)
	w.tabTo(`[data-passkey="login"]`)
	w.press(enter)
	w.sees("is in again", `document.body.dataset.handle === "ana"`, patience)

	// Declare: the single key c, then the form.
	w.sees("has its page", `location.pathname === "/" && document.readyState === "complete"`, patience)
	w.live()
	w.types("c")
	w.sees("has the form", `location.pathname === "/incidents/new" && document.readyState === "complete"`, patience)
	w.tabTo("#d-title")
	w.types("Withdrawals leave the bridge")
	w.tabTo(`[name="severity"]`)
	w.press(up) // SEV3 to SEV2
	w.tabTo("#d-summary")
	w.types("Two addresses drain it.")
	w.tabTo(`[name="components"]`)
	w.press(space)
	w.tabTo(`.form button[type="submit"]`)
	w.press(enter)
	w.sees("is in the room", `/^\/incidents\/\d+$/.test(location.pathname) && document.readyState === "complete"`, patience)
	w.live()

	// The room: / goes into the composer, Escape out of it.
	w.types("/")
	w.sees("writes", `document.activeElement.id === "composer-line"`, patience)
	w.types("both nodes show the same block")
	w.press(enter)
	w.sees("has the note", `document.querySelector("#timeline").innerText.includes("both nodes show the same block")`, patience)

	// Completion: /ro -> /role, a role, a person; all by keys.
	w.types("/rol")
	w.sees("offers /role", `!document.querySelector("#composer-list").hidden && document.querySelector("#composer-list").innerText.includes("/role")`, patience)
	w.press(tab)
	w.sees("took /role", `document.querySelector("#composer-line").value === "/role "`, patience)
	w.types("comm")
	w.sees("offers the commander", `document.querySelector("#composer-list").innerText.includes("commander")`, patience)
	w.press(down)
	w.press(enter)
	w.sees("took a role", `/^\/role comm\w* $/.test(document.querySelector("#composer-line").value)`, patience)
	w.types("@a")
	w.sees("offers Ana", `document.querySelector("#composer-list").innerText.includes("@ana")`, patience)
	w.press(tab)
	w.sees("took Ana", `document.querySelector("#composer-line").value.includes("@ana ")`, patience)
	w.press(enter)
	w.sees("gave the role", `document.querySelector("#roles").innerText.includes("Ana Ruiz")`, patience)

	// A refusal is inline, keeps the line, and can be mended.
	w.allow(refused)
	w.types("/sev 1")
	w.press(enter)
	w.sees("is refused inline", `!document.querySelector("#composer-refusal").hidden && document.querySelector("#composer-line").value.startsWith("/sev 1")`, patience)
	w.allow(nil)
	w.types(" funds are moving")
	w.press(enter)
	w.sees("is SEV1", `document.querySelector("#incident-strip").innerText.includes("SEV1")`, patience)

	// The palette reaches pages and commands.
	w.press(letter("k"), ctrl)
	w.sees("has the palette", `document.querySelector("dialog.palette[open] input") === document.activeElement`, patience)
	w.types("/task")
	w.press(enter)
	w.sees("writes a task", `document.activeElement.id === "composer-line" && document.querySelector("#composer-line").value.startsWith("/task")`, patience)
	w.types("call the custodian")
	w.press(enter)
	w.sees("has the task", `document.querySelector("#tasks").innerText.includes("call the custodian")`, patience)
	w.press(escape)

	// Buttons: the task is ticked with the space bar.
	w.tabTo(`#tasks button[role="checkbox"]`)
	w.press(space)
	w.sees("ticked it", `document.querySelector('#tasks button[role="checkbox"]').getAttribute("aria-checked") === "true"`, patience)

	// j and k walk the timeline, ? lists the keys, g b goes to the board.
	w.types("j")
	w.sees("stands on an entry", `document.querySelector("#timeline .entry.here")`, patience)
	w.types("?")
	w.sees("lists the keys", `document.querySelector("dialog.keys[open]")`, patience)
	w.press(escape)
	w.sees("closed it", `!document.querySelector("dialog[open]")`, patience)
	w.types("/")
	w.types("/update public Withdrawals are paused.")
	w.press(enter)
	w.sees("has a draft", `document.querySelector("#comms .draft")`, patience)
	w.press(escape)
	w.tabTo(`#comms button, #waiting button[data-command="approve_update"]`)
	w.press(enter)
	w.sees("approved it", `document.querySelector("#comms").innerText.includes("approved by")`, patience)
	w.types("/")
	w.types("/publish")
	w.press(enter)
	w.sees("published it", `document.querySelector("#comms .told").innerText.includes("Withdrawals are paused.")`, patience)
	w.types("/resolve the usual rate since 14:20, both nodes checked")
	w.press(enter)
	w.sees("resolved it", `document.querySelector("#incident-strip").innerText.includes("resolved")`, patience)
	w.press(escape)
	w.goes("b")
	w.sees("is on the board", `location.pathname === "/" && document.readyState === "complete" && document.body.innerText.includes("Withdrawals leave the bridge")`, patience)

	// Every page can be reached and left by keys alone: palette, name, Enter.
	for _, p := range [][2]string{{"Incidents", "/incidents"}, {"Signals", "/signals"}, {"On-call", "/oncall"}, {"Escalation", "/oncall/policies"}, {"Triage", "/queues"}, {"Learning", "/learning"}, {"Maintenance", "/maintenance"}, {"Detectors", "/detectors"}, {"Wallets", "/wallets"}, {"Chains", "/chains"}, {"Log", "/log"}, {"Drills", "/drills"}, {"People", "/people"}, {"Sources", "/sources"}, {"Tokens", "/tokens"}, {"My account", "/me"}, {"Declare incident", "/incidents/new"}, {"Board", "/"}} {
		name, path := p[0], p[1]
		w.press(letter("k"), ctrl)
		w.sees("has the palette", `document.querySelector("dialog.palette[open] input") === document.activeElement`, patience)
		w.types(name)
		w.press(enter)
		w.sees("is at "+path, `location.pathname === `+quote(path)+` && document.readyState === "complete"`, patience)
		w.focusShows(name)
	}
	l := s.incidents()
	if len(l) != 1 || l[0].Status != "resolved" || l[0].Severity != "SEV1" || !strings.Contains(l[0].Title, "bridge") {
		t.Errorf("after all that: %+v", l)
	}
}

// backTo presses Shift and Tab until what matches has the focus; at once when it has.
func (w *window) backTo(selector string) {
	w.t.Helper()
	for range 120 {
		if ok, err := eval[bool](w, "Boolean(document.activeElement?.matches("+quote(selector)+"))"); err == nil && ok {
			return
		}
		w.press(tab, shift)
	}
	w.t.Fatalf("%s window: Shift and Tab never reach %s", w.name, selector)
}

// focusShows walks through everything that takes the focus and checks that each
// stop is visible, says where it is, and is no trap.
func (w *window) focusShows(page string) {
	w.t.Helper()
	stops := map[string]bool{}
	for range 400 {
		w.press(tab)
		state := js[[]string](w, `(() => {
			const e = document.activeElement;
			if (!e || e === document.body) return ["end", ""];
			window.stops ??= new Map();
			if (!window.stops.has(e)) window.stops.set(e, String(window.stops.size));
			const r = e.getBoundingClientRect(), c = getComputedStyle(e);
			const seen = r.width > 0 && r.height > 0 && c.visibility !== "hidden" && r.bottom > 0 && r.top < innerHeight;
			const ring = c.outlineStyle !== "none" && parseFloat(c.outlineWidth) > 0 || c.boxShadow !== "none" || e.closest(":focus-within")?.matches("label, .choice, .sev-choice");
			return [window.stops.get(e), seen && ring ? "" : (e.outerHTML.slice(0, 160) + (seen ? " has no focus ring" : " cannot be seen"))];
		})()`)
		if state[1] != "" {
			w.t.Errorf("on %s the focus goes to %s", page, state[1])
		}
		if state[0] == "end" || stops[state[0]] {
			return
		}
		stops[state[0]] = true
	}
	w.t.Errorf("on %s the focus never comes to an end", page)
}
