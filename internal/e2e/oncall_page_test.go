package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// covered gives a tocsin a schedule in which people take weeks, a policy and two teams with queues.
func (s *tocsin) covered(people ...string) (schedule, policy string) {
	s.t.Helper()
	schedule = s.oncall("create_schedule", map[string]any{"name": "Primary", "zone": "Europe/Zurich", "layers": []any{
		map[string]any{"name": "Weeks", "people": people, "start": "2026-01-05T09:00", "unit": "week", "every": 1},
		map[string]any{"name": "Nights", "people": people[:1], "start": "2026-01-05T09:00", "unit": "week", "every": 1, "only": []any{map[string]any{"days": []int{5, 6}, "from": "22:00", "to": "06:00"}}},
	}}, "Primary")
	policy = s.oncall("create_policy", map[string]any{"policy": map[string]any{"name": "Front line", "repeat": 1, "steps": []any{
		map[string]any{"targets": []any{map[string]any{"kind": "schedule", "name": schedule}}, "wait": 300_000},
		map[string]any{"targets": []any{person(people[0]), map[string]any{"kind": "role", "name": "commander"}}, "wait": 600_000, "if": map[string]any{"severity": "SEV2"}},
	}}}, "Front line")
	front := s.oncall("create_team", map[string]any{"name": "First", "tier": 1, "skill": "front-line", "members": people, "schedule": schedule, "policy": policy}, "First")
	s.oncall("create_team", map[string]any{"name": "Protocol", "tier": 2, "skill": "protocol", "members": people[:1]}, "Protocol")
	s.oncall("add_rule", map[string]any{"rule": map[string]any{"severity": "SEV2", "components": []string{"Bridge"}, "team": front}}, "")
	return schedule, policy
}

// TestOnCallByKeys: an override, a claim and an acknowledgement with nothing but keys.
func TestOnCallByKeys(t *testing.T) {
	s := start(t, "organisation: Example Exchange\ncomponents: [{name: Bridge}]\n")
	link, err := url.Parse(s.link)
	must(t, err)
	w := desk(t, "keys", link.Scheme+"://"+link.Host, 1440, 900)
	w.signIn(s, "Ana Ruiz", "ana")
	schedule, _ := s.covered("ana")

	w.goes("n")
	w.sees("is on the on-call page", `location.pathname === "/oncall" && document.readyState === "complete" && document.body.innerText.includes("Primary")`, patience)
	w.tabTo(fmt.Sprintf(`main a[href="/oncall/schedules/%s"]`, schedule))
	w.press(enter)
	w.sees("has the calendar", `location.pathname.startsWith("/oncall/schedules/") && document.readyState === "complete" && document.querySelectorAll(".week").length === 4`, patience)
	w.tabTo(".week-bars a")
	w.press(enter)
	w.sees("has the form", `document.querySelector("#pick") && document.readyState === "complete" && location.hash === "#pick"`, patience)
	w.tabTo(`#pick button[name="person"][value=""]`)
	w.anew("the page after the change", func() { w.press(enter) })
	w.sees("says what was done and offers to take it back", `document.querySelector(".undo")?.innerText.includes("put nobody on call") && document.querySelector("#over-h") && document.body.innerText.includes("Nobody is on call now")`, patience)
	w.tabTo(".undo button")
	w.press(enter)
	w.sees("has taken it back", `document.readyState === "complete" && !document.querySelector("#over-h") && !document.body.innerText.includes("Nobody is on call now")`, patience)

	// Triage: j goes to the incident, c claims it, h opens the form that hands it on.
	n := s.declare("Outflow of the bridge", "SEV2", map[string]any{"components": []string{"Bridge"}})
	s.tells(n, "incident.paged", func(string) bool { return true })
	w.goes("r")
	w.sees("is in triage", `location.pathname === "/queues" && document.readyState === "complete"`, patience)
	w.live()
	w.sees("has it in the queue", fmt.Sprintf(`document.querySelector("#item-%d")?.closest(".queue").innerText.includes("First")`, n), patience)
	w.types("j")
	w.sees("stands on it", fmt.Sprintf(`document.activeElement.id === "item-%d"`, n), patience)
	w.types("c")
	w.sees("has claimed it", fmt.Sprintf(`document.querySelector("#item-%d").innerText.includes("claimed by")`, n), patience)
	w.types("j")
	w.types("h")
	w.sees("has the form", `document.querySelector("dialog[open] select") === document.activeElement`, patience)
	w.press(escape)
	w.sees("closed it", `!document.querySelector("dialog")`, patience)

	// The room: it is paged, and taken.
	w.open(fmt.Sprintf("/incidents/%d", n))
	w.live()
	w.sees("says that nobody has it", `document.querySelector("#incident-strip .nobody") && document.querySelector("#paging").innerText.includes("Step 1 of 2")`, patience)
	w.tabTo(`#paging button[data-command="acknowledge"]`)
	w.press(enter)
	w.sees("says who has it", `!document.querySelector("#incident-strip .nobody") && document.querySelector("#incident-strip").innerText.includes("has it") && document.querySelector("#paging").innerText.includes("has it") && document.querySelector('#paging button[data-command="acknowledge"]').hidden`, patience)

	// Taken back: what is said is what stood on the button that was pressed, though a frame makes another of it before the answer is there.
	js[bool](w, `(() => { window.toasted = ""; const toasts = document.querySelector("#toasts"); new MutationObserver(() => { window.toasted += toasts.innerText; }).observe(toasts, { childList: true }); return true; })()`) // a toast goes by itself
	w.tabTo(`#paging button[data-command="decline_page"]`)
	w.press(enter)
	w.sees("says who is paged next", `window.toasted.includes("You do not have it any more. Nobody else is there to page now. Paged at ")`, patience)
	w.sees("has nobody again", `document.querySelector("#incident-strip .nobody")`, patience)
}

// TestTwoTaps: on a phone the notification's link is the first tap, the button the second; nothing else is between.
func TestTwoTaps(t *testing.T) {
	s := start(t, "organisation: Example Exchange\n")
	ana := s.enter("ana", "Ana Ruiz")
	box := newInbox(t)
	ana.reads(box)
	s.covered("ana")
	n := s.declare("Outflow of the bridge", "SEV1", map[string]any{"summary": "A forged proof lets anybody withdraw."})
	letter := box.about(n)
	at, err := url.Parse(letter.AckURL)
	must(t, err)
	phone := desk(t, "phone", ana.base, 390, 844)
	phone.open(at.Path) // tap one
	phone.sees("says what it is", `document.body.innerText.includes("SEV1") && document.body.innerText.includes("A forged proof") && document.body.innerText.includes("Nobody has it yet")`, patience)
	if js[int](phone, `document.scripts.length`) != 0 {
		t.Error("the page brings a script")
	}
	place := js[map[string]float64](phone, `(() => { const r = document.querySelector(".thumb button").getBoundingClientRect(); return { top: r.top, bottom: r.bottom, width: r.width, height: r.height }; })()`)
	if place["top"] < 844/2 || place["bottom"] > 844 || place["height"] < 56 || place["width"] < 300 {
		t.Errorf("the button is not under the thumb: %v", place)
	}
	if wide := js[float64](phone, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("the page is %v px wide", wide)
	}
	phone.axe("the page on a phone")
	began := time.Now()
	must(t, chromedp.Do(phone.ctx, chromedp.Click(chromedp.CSS(".thumb button")))) // tap two
	phone.sees("has it", loaded+` && document.body.innerText.includes("You have it")`, patience)
	t.Logf("acknowledged in two taps; the second took %v to be shown", time.Since(began).Round(time.Millisecond))
	phone.axe("the page after it was taken")
	e := s.tells(n, "incident.acknowledged", func(string) bool { return true })
	if !strings.Contains(string(e.Data)+e.Actor, "ana") {
		t.Errorf("somebody else acknowledged: %s %s", e.Actor, e.Data)
	}
	// The page of somebody who is not asked any more, and of a link that is none.
	phone.open(at.Path)
	phone.sees("still has it", `document.body.innerText.includes("You have it")`, patience)
	phone.allow(errorPage)
	phone.open("/page/nothing-of-ours")
	phone.sees("says so", `document.body.innerText.includes("This link is not good")`, patience)
	phone.axe("a link that is none")
	phone.allow(nil)
}
