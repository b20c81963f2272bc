package e2e

import (
	"fmt"
	"net/url"
	"testing"
)

// TestImpactByKeys: a fact stated on the page of the impact raises the score, the
// room advises a severity, and one press of a key follows it; all without a pointer.
func TestImpactByKeys(t *testing.T) {
	s := start(t, exchange)
	link, err := url.Parse(s.link)
	must(t, err)
	w := desk(t, "keys", link.Scheme+"://"+link.Host, 1440, 900)
	w.signIn(s, "Ana Ruiz", "ana")
	n := s.declare("Outflow of the bridge", "SEV4", map[string]any{"components": []string{"Bridge"}})
	room := fmt.Sprintf("/incidents/%d", n)

	w.open(room)
	w.live()
	w.tabTo(fmt.Sprintf(`a[href="%s/impact"]`, room))
	w.press(enter)
	w.sees("is on the page of the impact", fmt.Sprintf(`location.pathname === "%s/impact" && document.readyState === "complete"`, room), patience)
	w.live()
	w.tabTo("#fact-name")
	w.press(key{"Home", "Home", 36, ""})
	for range 60 { // by arrows: what is typed into a list counts as one word only when the keys come close together
		if js[string](w, `document.querySelector("#fact-name").value`) == "money_moved_usd" {
			break
		}
		w.press(down)
	}
	w.sees("has chosen by keys", `document.querySelector("#fact-name").value === "money_moved_usd"`, patience)
	w.tabTo("#fact-value")
	w.types("$16.6M")
	w.tabTo("#fact-note")
	w.types("sum of the three addresses")
	w.anew("the page after the fact", func() { w.press(enter) }) // the page that is left is live too
	w.sees("has the fact, its author and why", `["$16.6 M", "sum of the three addresses", "Ana Ruiz"].every((x) => document.querySelector(".stated")?.innerText.includes(x))`, patience)
	w.sees("advises SEV1 by itself", `document.querySelector('button[data-command="follow_advice"]')?.dataset.args.includes("SEV1")`, patience)
	w.tabTo(`button[data-command="follow_advice"]`)
	w.press(enter)
	w.sees("has nothing to follow any more", `!document.querySelector('button[data-command="follow_advice"]')`, patience)
	w.open(room)
	w.live()
	w.sees("is SEV1, with the reason on the timeline", `document.querySelector("#incident-strip .strip-sev-word").innerText.includes("SEV1") && document.querySelector("#timeline").innerText.includes("$16.6 M")`, patience)
}
