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
	for _, a := range s.Addresses {
		fmt.Fprintf(out, "address %s %s %s %s %q by %s\n", a.ID, a.Kind, a.Chain, a.Address, a.Label, a.By)
	}
	for _, x := range s.Transactions {
		fmt.Fprintf(out, "transaction %s %s %s %q by %s\n", x.ID, x.Chain, x.Tx, x.Note, x.By)
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
	if s.Category != "" {
		fmt.Fprintf(out, "category %s\n", s.Category)
	}
	for _, f := range s.Facts {
		fmt.Fprintf(out, "fact %s %q note %q by %s\n", f.Name, f.Value, f.Note, f.By)
	}
	if a := s.Impact; a.At != 0 {
		fmt.Fprintf(out, "impact %d of 100 severity=%s loss=%g reasons=%d changes=%q scores=%d\n", a.Score, a.Severity, a.Loss.PerMinute, len(a.Axes[0].Reasons), a.Changes, len(s.Scores))
		fmt.Fprintf(out, "advice %s since %s declined=%q by %q speaks=%v\n", s.Advice.Severity, clock(s.Advice.Since), s.Advice.Declined, s.Advice.DeclinedBy, s.Advice.Speaks(string(s.Severity), s.Impact.Moment))
	}
	if t := s.Triage; t.Team != "" {
		fmt.Fprintf(out, "team %s %q tier %d %s since %s claimed by %q note %q\n", t.Team, t.Name, t.Tier, t.Skill, clock(t.Since), t.ClaimedBy, t.Note)
		for _, p := range t.Past {
			fmt.Fprintf(out, "team before %s %q from %s until %s claimed by %q\n", p.Team, p.Name, clock(p.From), clock(p.Until), p.ClaimedBy)
		}
	}
	if p := s.Paging; p.Epoch > 0 || len(p.Pages)+len(p.Acks) > 0 {
		fmt.Fprintf(out, "paging %s epoch %d round %d step %d has %v\n", p.Phase, p.Epoch, p.Round, p.Step, p.Has())
		for _, g := range p.Pages {
			fmt.Fprintf(out, "page %s %s since %s until %s %q %v\n", g.ID, g.State, clock(g.At), clock(g.Until), g.Why, g.Receipts)
		}
	}
}
