package desk

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/attention"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/views"
)

// What can be chosen of a few.
var (
	quiets = []attention.Quiet{attention.Loud, attention.NoSound, attention.PagesOnly}
	floors = []string{"", "SEV4", "SEV3", "SEV2", "SEV1"}
	zooms  = []float64{0.5, 0.67, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3}
)

// zoom is the factor of the page.
func (s Settings) zoom() float64 {
	if s.Zoom == 0 {
		return 1
	}
	return s.Zoom
}

// zoomed is the next factor in a direction.
func (s Settings) zoomed(step int) float64 {
	at, there := slices.BinarySearch(zooms, s.zoom())
	if !there && step > 0 {
		at--
	}
	return zooms[max(0, min(at+step, len(zooms)-1))]
}

var line = Item{Separator: true}

func checked(on bool) *bool { return &on }

func goTo(label, href, keys string) Item { return Item{ID: "page:" + href, Label: label, Page: keys} }

// Menu is the menu bar: everything that pages and composer know, with their keys. It is made of the same lists.
func (d *Desk) Menu() []Menu {
	s := d.book.read()
	open := s.Mode != Unchosen
	menus := []Menu{
		{"File", d.fileMenu(s)},
		{"Go", goMenu()},
		{"Incident", lineMenu()},
		{"Rooms", roomsMenu(s)},
		{"View", []Item{
			{ID: "zoom.in", Label: "Larger", Key: "CmdOrCtrl+="},
			{ID: "zoom.out", Label: "Smaller", Key: "CmdOrCtrl+-"},
			{ID: "zoom.reset", Label: fmt.Sprintf("Actual size (now %d %%)", int(s.zoom()*100+0.5)), Key: "CmdOrCtrl+0"},
			line,
			{ID: "fullscreen", Label: "Full screen", Key: "F11"},
			{ID: "kiosk", Label: "Wall on the full screen", Key: "CmdOrCtrl+Shift+K", Checked: checked(d.Kiosk())},
			line,
			{ID: "reload", Label: "Reload the page", Key: "CmdOrCtrl+R"},
			{ID: "back", Label: "Back", Key: "CmdOrCtrl+["},
			{ID: "forward", Label: "Forward", Key: "CmdOrCtrl+]"},
			{ID: "zone", Label: "Switch between UTC and local time", Page: "t"},
		}},
		{"Help", []Item{
			{ID: "keys", Label: "Show all keys", Page: "?"},
			{ID: "docs", Label: "Documentation"},
			line,
			{ID: "page:/.desk/about", Label: "About Tocsin"},
		}},
	}
	if !open {
		for i, m := range menus {
			if m.Label == "Go" || m.Label == "Incident" {
				disable(menus[i].Items)
			}
		}
	}
	return menus
}

func disable(items []Item) {
	for i := range items {
		items[i].Disabled = true
		disable(items[i].Items)
	}
}

func (d *Desk) fileMenu(s Settings) []Item {
	quiet := s.quietAt(d.millis())
	return []Item{
		{ID: "page:/incidents/new", Label: "Declare incident", Key: "CmdOrCtrl+N", Page: "c", Disabled: s.Mode == Unchosen},
		line,
		{ID: "print", Label: "Print…", Key: "CmdOrCtrl+P"},
		{ID: "pdf", Label: "Save as PDF…", Key: "CmdOrCtrl+Shift+P"},
		line,
		{Label: "Quiet", Items: []Item{
			{ID: "quiet:", Label: "Off", Checked: checked(quiet.Mode == attention.Loud)},
			{ID: "quiet:no-sound", Label: "No sound", Checked: checked(quiet.Mode == attention.NoSound)},
			{ID: "quiet:pages-only", Label: "Only pages to me", Checked: checked(quiet.Mode == attention.PagesOnly)},
			line,
			{ID: "quiet:no-sound:1", Label: "No sound for 1 hour"},
			{ID: "quiet:no-sound:8", Label: "No sound for 8 hours"},
		}},
		{ID: "page:/.desk/notes", Label: "Notes that are not sent"},
		{ID: "page:/.desk/settings", Label: "Settings…", Key: "CmdOrCtrl+,"},
		line,
		{ID: "quit", Label: "Quit", Key: "CmdOrCtrl+Q"},
	}
}

func goMenu() []Item {
	items := []Item{{ID: "palette", Label: "Go to or do…", Key: "CmdOrCtrl+K"}, line}
	for _, g := range views.Pages() {
		var pages []Item
		for _, p := range g.Pages {
			pages = append(pages, goTo(p.Text, p.Href, p.Keys))
		}
		if g.Text == "" {
			items = append(items, pages...)
			items = append(items, goTo("Wall", "/wall", "g w"), line)
		} else {
			items = append(items, Item{Label: g.Text, Items: pages})
		}
	}
	return append(items, line, goTo("Public status page", "/status", ""), goTo("My account", "/me", ""))
}

// groups say under which heading of the menu a word of the composer stands; what has no place here stands under More, so none can be missing.
var groups = []struct {
	label string
	words []string
}{
	{"People", []string{"/role", "/release", "/handover", "/accept", "/decline", "/claim", "/handon"}},
	{"Paging", []string{"/ack", "/page", "/escalate", "/reassign", "/snooze", "/unsnooze"}},
	{"State", []string{"/sev", "/status", "/category", "/fact", "/unfact", "/follow", "/keep", "/impact", "/detected", "/components", "/chains", "/title", "/summary"}},
	{"Work", []string{"/decide", "/task", "/give", "/done", "/undone"}},
	{"Updates", []string{"/update", "/edit", "/approve", "/publish", "/discard"}},
	{"Evidence", []string{"/link", "/unlink", "/addr", "/unaddr", "/tx", "/untx", "/detach"}},
	{"End", []string{"/resolve", "/reopen", "/reviewed", "/merge"}},
}

// lineMenu is the grammar of the composer.
func lineMenu() []Item {
	items := []Item{{ID: "line:", Label: "Write a note", Page: "/"}, line}
	submenus := make([]Item, len(groups)+1)
	for i, g := range groups {
		submenus[i].Label = g.label
	}
	submenus[len(groups)].Label = "More"
	for _, u := range incident.Grammar() {
		if u.Name == "" {
			continue // plain text is the first item
		}
		at := slices.IndexFunc(groups, func(g struct {
			label string
			words []string
		}) bool {
			return slices.Contains(g.words, u.Name)
		})
		if at < 0 {
			at = len(groups)
		}
		submenus[at].Items = append(submenus[at].Items, Item{ID: "line:" + u.Name, Label: strings.TrimSuffix(u.Hint, "."), Page: u.Name})
	}
	for _, m := range submenus {
		if len(m.Items) > 0 {
			items = append(items, m)
		}
	}
	return items
}

// mostRecent rooms stand in the menu; the others are on the page.
const mostRecent = 12

func roomsMenu(s Settings) []Item {
	items := []Item{{ID: "room:", Label: "The room in this computer", Checked: checked(s.Mode == Here)}}
	rooms := slices.Clone(s.Rooms)
	slices.SortStableFunc(rooms, func(a, b Remote) int { return cmp.Compare(b.LastUsed, a.LastUsed) })
	if len(rooms) > 0 {
		items = append(items, line)
	}
	for _, r := range rooms[:min(len(rooms), mostRecent)] {
		label := r.Name
		if host := hostOf(r.URL); host != label {
			label += " (" + host + ")"
		}
		items = append(items, Item{ID: "room:" + r.ID, Label: label, Checked: checked(s.Mode == Joined && s.Room == r.ID)})
	}
	return append(items, line, goTo("Join a room…", "/.desk/join", ""), goTo("All rooms…", "/.desk/start", ""))
}

func hostOf(address string) string {
	u, err := baseOf(address)
	if err != nil {
		return address
	}
	return u.Host
}
