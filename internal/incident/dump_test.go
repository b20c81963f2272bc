package incident_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/incident"
)

func clock(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format("15:04:05")
}

// dump prints what a state holds, one line a fact, empty ones left out.
func dump(out *strings.Builder, s incident.State) {
	fmt.Fprintf(out, "#%d %s %s %q open=%v position=%d\n", s.Number, s.Severity, s.Status, s.Title, incident.Open(s), s.Position)
	if s.Summary != "" {
		fmt.Fprintf(out, "summary %q\n", s.Summary)
	}
	if len(s.Components)+len(s.Chains) > 0 {
		fmt.Fprintf(out, "components %q chains %q\n", s.Components, s.Chains)
	}
	fmt.Fprintf(out, "impact %s detected %s declared %s resolved %s reviewed %s\n", clock(s.ImpactBeganAt), clock(s.DetectedAt), clock(s.DeclaredAt), clock(s.ResolvedAt), clock(s.ReviewedAt))
	if s.Validation != "" {
		fmt.Fprintf(out, "validation %q\n", s.Validation)
	}
	if s.MergedInto != 0 || len(s.Absorbed) > 0 {
		fmt.Fprintf(out, "merged into %d absorbed %v\n", s.MergedInto, s.Absorbed)
	}
	for _, a := range s.Roles {
		fmt.Fprintf(out, "role %s @%s since %s by %s\n", a.Role, a.Person, clock(a.Since), a.By)
	}
	for _, h := range s.PendingHandovers {
		fmt.Fprintf(out, "offered %s from %q to %q by %s note %q\n", h.Role, h.From, h.To, h.By, h.Note)
	}
	for _, t := range s.Tasks {
		fmt.Fprintf(out, "task %s %q for %q due %s done=%v by %q redacted=%v\n", t.ID, t.Title, t.Assignee, clock(t.Due), t.Done, t.DoneBy, t.Redacted)
	}
	for _, l := range s.Links {
		fmt.Fprintf(out, "link %s %s %q\n", l.ID, l.URL, l.Title)
	}
	for _, u := range s.Updates {
		fmt.Fprintf(out, "update %s %s %s phase=%s %q %q author=%s approved=%q self=%v published=%q next %s %v\n", u.ID, u.Audience, u.State, u.Phase, u.Headline, u.Text, u.Author, u.ApprovedBy, u.SelfApproved, u.PublishedBy, clock(u.NextDue), u.Components)
	}
	for _, g := range s.Signals {
		fmt.Fprintf(out, "signal %s %s %s %q %q ack=%v count=%d opened %s last %s cleared %s why %q\n", g.ID, g.State, g.Severity, g.Title, g.Subject, g.Acknowledged, g.Count, clock(g.OpenedAt), clock(g.LastAt), clock(g.ClearedAt), g.Correlation)
	}
	for _, a := range s.Audiences {
		fmt.Fprintf(out, "audience %s heard %s at %s next %s\n", a.Name, a.LastUpdate, clock(a.LastAt), clock(a.NextDue))
	}
}
