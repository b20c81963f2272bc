package e2e

import (
	"fmt"
	"net/url"
	"testing"
)

// TestPastAndQueue: forty incidents are declared, named and resolved; after that the program knows what a new one is like, says how good it is at
// that, and the queue is worked by keys alone while it changes.
func TestPastAndQueue(t *testing.T) {
	s := start(t, "organisation: Example Exchange\ncomponents: [{name: Ledger}, {name: Bridge}]\n")
	kinds := []struct{ title, component, category, cure string }{
		{"disk full on the ledger database", "Ledger", "infrastructure", "Added disk space"},
		{"bridge withdrawal waits for its proof", "Bridge", "bridge_fault", "Restarted the relayer"},
	}
	for n := range 40 {
		k := kinds[(n*7/3)%2]
		i := s.declare(fmt.Sprintf("%s %c", k.title, 'a'+n%26), "SEV3", map[string]any{"components": []string{k.component}})
		s.command(i, "decide", map[string]any{"text": k.cure})
		s.command(i, "set_category", map[string]any{"category": k.category})
		s.command(i, "resolve", map[string]any{"validation": "Figures are back"})
	}
	s.restart() // it trains at the start, and after ten more
	bridge := s.declare("A withdrawal over the bridge has no proof", "SEV2", map[string]any{"components": []string{"Bridge"}})
	disk := s.declare("Disk of the ledger is full", "SEV3", map[string]any{"components": []string{"Ledger"}})

	link, err := url.Parse(s.link)
	must(t, err)
	w := desk(t, "queue", link.Scheme+"://"+link.Host, 1440, 900)
	w.reduceMotion()
	w.signIn(s, "Ana Ruiz", "ana")

	// The queue: the dearer one first; claimed by keys.
	w.open("/queue")
	w.live()
	order := `[...document.querySelectorAll(".queue-row")].map((r) => r.id).join(" ")`
	row := func(n int64) string { return fmt.Sprintf("queue-incident-%d", n) }
	w.sees("has both in order", fmt.Sprintf(`%s === %q`, order, row(bridge)+" "+row(disk)), patience)
	w.shows("$1,000 a minute (assumed for SEV2)")
	w.axe("queue")
	w.types("j")
	w.types("j")
	w.sees("is at the second", fmt.Sprintf(`document.activeElement.closest(".queue-row").id === %q`, row(disk)), patience)
	w.types("c")
	w.sees("has claimed it", fmt.Sprintf(`document.getElementById(%q).innerText.includes("claimed by Ana Ruiz")`, row(disk)), patience)
	w.sees("marks it as hers", fmt.Sprintf(`document.getElementById(%q).classList.contains("mine")`, row(disk)), patience)
	w.press(key{"Shift", "ShiftLeft", 16, ""}) // a hand is there, from now on
	worst := s.declare("Hot wallet drained", "SEV1", nil)
	w.sees("keeps the order under the hand", fmt.Sprintf(`%s === %q && document.getElementById("queue").innerText.includes("The order waits")`, order, row(bridge)+" "+row(disk)+" "+row(worst)), patience)
	js[bool](w, `(() => { document.activeElement.blur(); return true; })()`)
	w.sees("takes the right order when left", fmt.Sprintf(`%s === %q`, order, row(worst)+" "+row(bridge)+" "+row(disk)), patience)
	shown := `[...document.querySelectorAll(".queue-row")].filter((r) => !r.hidden).map((r) => r.id).join(" ")`
	w.open("/queue?show=mine")
	w.sees("shows hers", fmt.Sprintf(`%s.split(" ").includes(%q)`, shown, row(disk)), patience)
	w.open("/queue?show=unclaimed")
	w.sees("shows only what nobody claimed", fmt.Sprintf(`%s === %q`, shown, row(worst)+" "+row(bridge)), patience)
	w.types("j")
	w.press(enter)
	w.sees("is in its room", fmt.Sprintf(`location.pathname === "/incidents/%d" && document.readyState === "complete"`, worst), patience)

	// The room: what it is like, and one key to say so.
	w.open(fmt.Sprintf("/incidents/%d", bridge))
	w.live()
	w.sees("knows what it is like", `/bridge withdrawal waits for its proof/.test(document.querySelector("#precedent").innerText) && /Restarted the relayer/.test(document.querySelector("#precedent").innerText)`, patience)
	w.axe("a room with precedents")
	w.tabTo(`#precedent button[data-command="set_category"]`)
	w.press(enter)
	w.sees("has the category", `document.querySelector("#timeline").innerText.includes("bridge_fault") && !document.querySelector('#precedent button[data-command="set_category"]')`, patience)

	// Declaring: the same while the title is typed.
	w.open("/incidents/new")
	w.tabTo("#d-title")
	w.types("Ledger database: disk nearly full")
	w.sees("is told of the past", `/% alike/.test(document.querySelector("#draft-past").innerText) && /infrastructure/.test(document.querySelector("#draft-past").innerText)`, patience)
	w.axe("declaring with precedents")

	w.open("/learning")
	w.shows("It foretold")
	w.axe("learning")
	phone := w.another("phone", 390, 844)
	phone.reduceMotion()
	for _, path := range []string{"/queue", "/learning", fmt.Sprintf("/incidents/%d", bridge)} {
		phone.open(path)
		if wide := js[int](phone, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
			t.Errorf("%s is %d px wider than a phone", path, wide)
		}
		phone.axe(path + " on a phone")
	}

	var learned struct {
		Resolved int
		Models   []struct {
			Target string
			Speaks bool
			Model  struct{ Share float64 }
			Base   struct{ Share float64 } `json:"baseline"`
		}
	}
	s.api("GET", "/api/v1/learning", nil, &learned)
	if learned.Resolved != 40 || len(learned.Models) != 2 || !learned.Models[0].Speaks || learned.Models[0].Model.Share <= learned.Models[0].Base.Share || learned.Models[1].Speaks {
		t.Errorf("%+v", learned)
	}
}
