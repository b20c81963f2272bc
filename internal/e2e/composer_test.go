package e2e

import (
	"fmt"
	"testing"
)

// TestChosenCompletionStays: what the arrow chose in the list under the line is taken by Enter, also when the list is brought up to date between the two
// keys.
func TestChosenCompletionStays(t *testing.T) {
	s := start(t, "")
	w := administrator(t, s)
	w.open(fmt.Sprintf("/incidents/%d", s.declare("Withdrawals wait", "SEV3", nil)))
	w.live()
	w.types("/")
	w.types("/role c")
	first := `document.querySelector("#composer-list").firstElementChild`
	w.sees("offers the commander", first+`?.innerText.includes("commander")`, patience)
	js[bool](w, `(() => { const real = window.fetch; window.fetch = async (...what) => { const answer = await real(...what); if (!String(what[0]).includes("/complete")) return answer; await new Promise((go) => { window.letGo = go; }); return answer; }; return true; })()`)
	w.types("o")
	w.sees("has the answer to what was typed last, and holds it", `window.letGo`, patience)
	w.press(down)
	w.sees("has chosen", first+`.getAttribute("aria-selected") === "true" && `+first+`.innerText.includes("commander")`, patience)
	js[bool](w, `(() => { `+first+`.isOld = true; window.letGo(); return true; })()`)
	w.sees("has the newer list", first+` && !`+first+`.isOld`, patience)
	w.press(enter)
	w.sees("has taken what was chosen", `document.querySelector("#composer-line").value === "/role commander "`, patience)
}
