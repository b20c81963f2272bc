package desk

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/views"
)

func flat(menus []Menu) (all []Item) {
	var walk func(items []Item)
	walk = func(items []Item) {
		for _, it := range items {
			all = append(all, it)
			walk(it.Items)
		}
	}
	for _, m := range menus {
		walk(m.Items)
	}
	return all
}

// TestMenuHoldsEverything: each page of the navigation with its keys, each word of the composer, everything that the palette offers, each room.
func TestMenuHoldsEverything(t *testing.T) {
	h := start(t, t.TempDir())
	if s := h.d.set(func(s *Settings) {
		s.Mode = Here
		s.Rooms = []Remote{{ID: "a", Name: "Meridian", URL: "https://a.example", LastUsed: 1}, {ID: "b", Name: "Harbour", URL: "https://b.example", LastUsed: 2}}
	}); s != "" {
		t.Fatal(s)
	}
	all := flat(h.d.Menu())
	by := map[string]Item{}
	keys := map[string]string{}
	for _, it := range all {
		switch {
		case it.Separator:
			continue
		case it.Label == "":
			t.Errorf("an item without a label: %+v", it)
		case it.ID == "" && len(it.Items) == 0, it.ID != "" && len(it.Items) > 0:
			t.Errorf("%q is neither an item nor a submenu", it.Label)
		}
		if it.ID != "" {
			if other, ok := by[it.ID]; ok {
				t.Errorf("%q and %q have the same id", it.Label, other.Label)
			}
			by[it.ID] = it
		}
		if it.Key != "" {
			if other, ok := keys[it.Key]; ok {
				t.Errorf("%q and %q have the same key", it.Label, other)
			}
			keys[it.Key] = it.Label
		}
	}
	words := 0
	for _, u := range incident.Grammar() {
		if it, ok := by["line:"+u.Name]; !ok || u.Name != "" && it.Page != u.Name {
			t.Errorf("%s is not in the menu", u.Usage)
		}
		words++
	}
	if words < 40 {
		t.Errorf("only %d words", words)
	}
	for _, g := range groups {
		for _, w := range g.words {
			if _, ok := by["line:"+w]; !ok {
				t.Errorf("%s stands under %s and is no word of the composer", w, g.label)
			}
		}
	}
	for _, g := range views.Pages() {
		for _, p := range g.Pages {
			if it := by["page:"+p.Href]; it.Label != p.Text || it.Page != p.Keys {
				t.Errorf("%s is in the menu as %+v", p.Text, it)
			}
		}
	}
	palette, err := os.ReadFile("../../web/assets/src/js/palette.js")
	if err != nil {
		t.Fatal(err)
	}
	offers := regexp.MustCompile(`text: "([^"]+)"`).FindAllStringSubmatch(string(palette), -1)
	if len(offers) < 5 {
		t.Fatalf("only %d offers of the palette", len(offers))
	}
	for _, o := range offers {
		if !slices.ContainsFunc(all, func(it Item) bool { return it.Label == o[1] }) {
			t.Errorf("the palette offers %q and the menu does not", o[1])
		}
	}
	if a, b := slices.IndexFunc(all, func(it Item) bool { return it.ID == "room:a" }), slices.IndexFunc(all, func(it Item) bool { return it.ID == "room:b" }); a < 0 || b < 0 || a < b {
		t.Errorf("the rooms stand at %d and %d, want the newest first", a, b)
	}
	if c := by["room:"].Checked; c == nil || !*c {
		t.Error("the room in this computer is not ticked")
	}
}

// TestMenuActs: what each sort of item does.
func TestMenuActs(t *testing.T) {
	h := start(t, t.TempDir())
	w := h.found()
	for id, call := range map[string]string{
		"page:/wall": "go /wall", "print": "print", "quit": "quit", "docs": "browse " + docsAddress,
		"line:/sev": `run document.dispatchEvent(new CustomEvent('tocsin:desk',{detail:{"do":"compose","text":"/sev "}}))`,
		"palette":   `run document.dispatchEvent(new CustomEvent('tocsin:desk',{detail:{"do":"palette"}}))`,
	} {
		h.d.Do(id)
		h.shell.until(t, id, h.shell.said(call))
	}
	before := h.shell.told()
	for _, id := range []string{"", "nothing", "page:https://evil.example", "page://evil.example", "page:/\\evil"} {
		h.d.Do(id)
	}
	for _, call := range h.shell.told()[len(before):] {
		if !strings.HasPrefix(call, "title ") { // the room may say something meanwhile
			t.Errorf("ids that are none did %q", call)
		}
	}
	w.get("/incidents").want(t, 200, "")
	h.d.Do("pdf")
	h.shell.until(t, "a PDF", func(s *shell) bool {
		return slices.ContainsFunc(s.calls, func(c string) bool { return strings.HasPrefix(c, "pdf Tocsin incidents 20") })
	})
	h.d.Do("quiet:no-sound:8")
	h.d.Do("zoom.in")
	h.d.Do("kiosk")
	h.shell.until(t, "the wall", h.shell.said("kiosk"))
	s := h.d.book.read()
	if s.Quiet.Mode != "no-sound" || s.Quiet.Until-h.d.millis() < 7*3600_000 || s.Zoom != 1.1 || !s.Kiosk || h.d.home() != "/wall" {
		t.Errorf("the settings are %+v", s)
	}
	if s := w.send("/.desk/do", `{"id":"quit"}`); s.status != 422 {
		t.Errorf("a page may quit: %d", s.status)
	}
	if s := w.send("/.desk/do", `{"id":"zoom.reset"}`); s.status != 200 {
		t.Errorf("a page may not zoom: %d", s.status)
	}
}
