package attention

import "strconv"

// Title is what the window is called: "SEV1 · 2 open — Acme — Tocsin", with
// "PAGED" before it while a page waits for the person, and "DRILL" when the worst
// that is open is a drill.
func Title(s State) string {
	out := "Tocsin"
	if site := clean(s.Site, 60); site != "" && site != out {
		out = site + " — " + out
	}
	if s.Open == 0 && len(s.Pages) == 0 {
		return out
	}
	head := s.Worst
	if len(s.Incidents) > 0 && s.Incidents[0].Drill {
		head = drill(true) + head
	}
	if len(s.Pages) > 0 {
		head = "PAGED · " + head
	}
	return head + " · " + strconv.Itoa(s.Open) + " open — " + out
}
