package e2e

import (
	"fmt"
	"net/url"
	"os"
	"testing"
)

// TestUpkeepPages: a mapping is tried while it is typed, a window is added and stopped with the keyboard alone, on a phone too; axe finds nothing.
func TestUpkeepPages(t *testing.T) {
	s := start(t, "organisation: Example Exchange\ncomponents: [{name: Withdrawals}, {name: Bridge}]\n")
	link, err := url.Parse(s.link)
	must(t, err)
	w := desk(t, "upkeep", link.Scheme+"://"+link.Host, 1440, 900)
	w.reduceMotion()
	w.signIn(s, "Ana Ruiz", "ana")
	s.quieted()
	pages := s.sourcePages()
	w.open(pages[0][1])
	js[bool](w, `(() => { const a = document.querySelector("#map-sample"); a.value = '{"events":[{"uid":7,"text":"slow"}]}'; a.dispatchEvent(new Event("input", {bubbles:true})); document.querySelector("#map-list").focus(); return true; })()`)
	w.types("body.events")
	js[bool](w, `(document.querySelector("#map-key").focus(), true)`)
	w.types("string(uid")
	w.sees("says where the expression is wrong", `document.querySelector("#mapping-result").dataset.result === "bad" && document.querySelector("#mapping-result").innerText.includes("key, line 1, column")`, patience)
	w.types(")")
	js[bool](w, `(document.querySelector("#map-title").focus(), true)`)
	w.types(`"Node: " + text`)
	w.sees("shows the signal as it is typed", `document.querySelector("#mapping-result").dataset.result === "ok" && document.querySelector("#mapping-result").innerText.includes("Node: slow")`, patience)
	w.axe("a mapping that is tried")
	shoot := func(w *window, name string) {
		if os.Getenv("TOCSIN_SCREENSHOTS") != "" {
			w.picture(name)
		}
	}
	shoot(w, "source")
	w.open("/maintenance")
	js[bool](w, `(document.querySelector("#w-name").focus(), true)`)
	w.types("Bridge pause")
	js[bool](w, `(document.querySelector("#w-reason").focus(), true)`)
	w.types("audit")
	js[bool](w, `(document.querySelector("#w-components").focus(), true)`)
	w.types("Bridge")
	w.anew("the page after the window was added", func() { w.press(enter) })
	w.sees("has the window", `document.querySelector("#active-h").innerText.includes("2") && document.body.innerText.includes("Bridge pause")`, patience)
	w.axe("maintenance")
	shoot(w, "maintenance")
	js[bool](w, `([...document.querySelectorAll("button")].find((b) => b.getAttribute("aria-label") === "Stop now: Bridge pause").focus(), true)`)
	w.anew("the page after the window was stopped", func() { w.press(enter) })
	w.sees("has it among those that are over", `document.querySelector("#window-form") && [...document.querySelectorAll("section")].some((x) => x.querySelector("#past-h") && x.innerText.includes("Bridge pause") && x.innerText.includes("stopped by Ana Ruiz"))`, patience)
	const order = `[...document.querySelectorAll('#rules ol > li:not([data-off="true"]) b')].map((x) => x.innerText).join(", ")`
	s.api("POST", "/api/v1/grouping", map[string]any{"name": "same chain", "by": []string{"chain"}}, nil)
	w.open("/maintenance")
	w.sees("has the rules in their order", order+` === "same bridge, same chain"`, patience)
	js[bool](w, `([...document.querySelectorAll("button")].find((b) => b.getAttribute("aria-label") === "Up: same chain").focus(), true)`)
	w.anew("the page after the rule was moved", func() { w.press(enter) })
	w.sees("has moved the rule", order+` === "same chain, same bridge" && document.querySelector(".undo").innerText.includes("tried before “same bridge”")`, patience)
	w.axe("a rule that was moved")
	shoot(w, "maintenance-undo")
	js[bool](w, `(document.querySelector(".undo button").focus(), true)`)
	w.anew("the page after the change was taken back", func() { w.press(enter) })
	w.sees("has it back where it was", order+` === "same bridge, same chain" && document.querySelector(".undo").innerText.includes("You took the newest change")`, patience)
	phone := w.another("phone", 390, 844)
	phone.reduceMotion()
	for i, path := range []string{"/maintenance", pages[0][1], pages[1][1], "/sources", "/signals?show=quiet"} {
		phone.open(path)
		phone.sees("is no wider than the phone", `document.documentElement.scrollWidth <= 391`, patience)
		phone.axe(path + " on a phone")
		shoot(phone, fmt.Sprint("upkeep-phone-", i))
	}
	for _, p := range pages {
		w.open(p[1])
		w.axe(p[0])
	}
	w.open("/signals?show=quiet")
	w.axe("quiet signals")
	shoot(w, "quiet")
	js[bool](w, `(document.querySelector(".signal-title a").click(), true)`)
	w.sees("is on the page of the signal", loaded+` && document.querySelector("#where-h")`, patience)
	w.axe("a quiet signal")
	shoot(w, "signal-quiet")
	w.open("/sources")
	shoot(w, "sources")
}
