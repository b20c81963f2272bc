package web

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/notify"
	"github.com/tocsin-ops/tocsin/internal/watchdog"
)

// pagingMetrics tells of the pager, if this replica has it, and of the heartbeats to others.
func (s *Server) pagingMetrics(b *strings.Builder, metric func(name, kind, help string, value any)) {
	if s.Pager != nil {
		f := s.Pager.Figures()
		metric("tocsin_pager_leads", "gauge", "1 on the replica that sees to the pages; the others say 0 of them", map[bool]int{true: 1}[f.Leads])
		metric("tocsin_pager_open_incidents", "gauge", "open incidents that are seen to", f.Open)
		metric("tocsin_pager_pages_open", "gauge", "pages that ask somebody to come", f.Waiting)
		metric("tocsin_pager_pages_owed", "gauge", "pages that the courier has not taken yet", f.Owed)
		metric("tocsin_pager_oldest_unsent_seconds", "gauge", "age of the oldest open page of which no route has said anything", float64(f.Unheard)/1000)
		metric("tocsin_pager_failures", "gauge", "times in a row that not all that was due could be done", f.Failing)
	}
	if s.Notify != nil {
		f := s.Notify.Figures()
		metric("tocsin_notify_leads", "gauge", "1 on the replica that sends", map[bool]int{true: 1}[f.Leads])
		metric("tocsin_notify_waiting", "gauge", "messages that no provider has taken yet", f.Waiting)
		metric("tocsin_notify_oldest_waiting_seconds", "gauge", "age of the oldest of them", float64(f.Oldest)/1000)
		fmt.Fprint(b, "# HELP tocsin_notify_outcomes_total attempts by kind of route and outcome, and messages that came to none\n# TYPE tocsin_notify_outcomes_total counter\n")
		for _, t := range slices.SortedFunc(maps.Keys(f.Told), func(x, y notify.Tally) int {
			return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Outcome, y.Outcome))
		}) {
			fmt.Fprintf(b, "tocsin_notify_outcomes_total{kind=%q,outcome=%q} %d\n", t.Kind, t.Outcome, f.Told[t])
		}
	}
	if s.Watchdog == nil {
		return
	}
	states := s.Watchdog.States()
	for _, m := range []struct {
		name, help string
		of         func(watchdog.State) int64
	}{
		{"sent", "heartbeats that were taken", func(w watchdog.State) int64 { return w.Sent }},
		{"held", "heartbeats held back because something here does not work", func(w watchdog.State) int64 { return w.Held }},
		{"failed", "heartbeats that nobody took", func(w watchdog.State) int64 { return w.Failed }},
	} {
		fmt.Fprintf(b, "# HELP tocsin_watchdog_%s_total %s\n# TYPE tocsin_watchdog_%s_total counter\n", m.name, m.help, m.name)
		for _, w := range states {
			fmt.Fprintf(b, "tocsin_watchdog_%s_total{beat=%q} %d\n", m.name, w.Name, m.of(w))
		}
	}
}
