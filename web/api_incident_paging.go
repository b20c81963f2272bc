package web

import (
	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/impact"
	"github.com/tocsin-ops/tocsin/internal/incident"
)

// apiFact is one fact that people stated.
type apiFact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Note  string `json:"note,omitempty"`
	By    string `json:"by"`
	At    string `json:"at"`
}

// apiImpact is the newest assessment.
type apiImpact struct {
	At       string        `json:"at"`
	Preset   string        `json:"preset"`
	Known    bool          `json:"known"`
	Score    int           `json:"score" doc:"0 to 100, and at least this: what is not known adds nothing"`
	High     int           `json:"high" doc:"what it would be if all that is not known were the worst"`
	Severity string        `json:"severity,omitempty" doc:"the one advised"`
	Declined string        `json:"declined,omitempty" doc:"the advice that somebody declined"`
	Axes     []impact.Axis `json:"axes"`
	Loss     impact.Loss   `json:"loss"`
	Missing  []string      `json:"missing,omitempty" doc:"facts that would narrow the range"`

	DeclinedWhy string            `json:"declined_why,omitempty" doc:"the reason that was given"`
	Rule        string            `json:"rule,omitempty" doc:"the rule that sets the least severity whatever the axes say"`
	RuleReason  *impact.Reason    `json:"rule_reason,omitempty" doc:"why it holds"`
	Major       *impact.Major     `json:"major,omitempty" doc:"whether it is a major incident by (EU) 2024/1772; only when that is asked for"`
	Blast       []impact.Affected `json:"blast" doc:"services that are affected, or are likely to be"`
	Changes     []string          `json:"changes" doc:"what is different from the assessment before"`
}

// apiTriage is which team has the incident.
type apiTriage struct {
	Team      string          `json:"team"`
	Name      string          `json:"name,omitempty"`
	Tier      int             `json:"tier,omitempty"`
	Skill     string          `json:"skill,omitempty"`
	Since     string          `json:"since"`
	ClaimedBy string          `json:"claimed_by,omitempty"`
	ClaimedAt string          `json:"claimed_at,omitempty"`
	Note      string          `json:"note,omitempty"`
	Past      []apiTriagePast `json:"past,omitempty"`
}

type apiTriagePast struct {
	Team      string `json:"team"`
	Name      string `json:"name,omitempty"`
	From      string `json:"from"`
	Until     string `json:"until"`
	ClaimedBy string `json:"claimed_by,omitempty"`
}

// apiPaging is who is asked to come, and what they said.
type apiPaging struct {
	Phase         string        `json:"phase" enum:"idle,running,acknowledged,snoozed,exhausted,stopped"`
	Policy        string        `json:"policy,omitempty"`
	PolicyName    string        `json:"policy_name,omitempty"`
	PolicyVersion int64         `json:"policy_version,omitempty" doc:"the one that this escalation began with"`
	Epoch         int           `json:"epoch"`
	Round         int           `json:"round"`
	Step          int           `json:"step"`
	Steps         int           `json:"steps"`
	Acknowledged  []apiPagedAck `json:"acknowledged" doc:"who has it, the first one first"`
	SnoozedUntil  string        `json:"snoozed_until,omitempty"`
	ExpiresAt     string        `json:"expires_at,omitempty" doc:"when the acknowledgement stops counting if nobody does anything"`
	PagedAgainAt  string        `json:"paged_again_at,omitempty" doc:"when all are paged again, because nobody answered"`
	Pages         []apiPage     `json:"pages" doc:"those that wait, and the newest of the others"`
}

type apiPagedAck struct {
	Person string `json:"person"`
	At     string `json:"at"`
}

type apiPage struct {
	ID       string           `json:"id"`
	Person   string           `json:"person"`
	Step     int              `json:"step,omitempty" doc:"0: by hand"`
	Round    int              `json:"round,omitempty"`
	Why      string           `json:"why"`
	At       string           `json:"at"`
	State    string           `json:"state" enum:"waiting,acknowledged,declined,ended"`
	Until    string           `json:"until,omitempty"`
	Receipts []apiPageReceipt `json:"receipts,omitempty"`
}

type apiPageReceipt struct {
	Route   string `json:"route"`
	Label   string `json:"label,omitempty"`
	Outcome string `json:"outcome" enum:"sent,delivered,failed,suppressed"`
	Detail  string `json:"detail,omitempty"`
	Attempt int    `json:"attempt,omitempty"`
	At      string `json:"at"`
}

// judged adds what is known of the impact, the team and the pages.
func (d *apiIncidentDoc) judged(st incident.State, now int64) {
	d.Category, d.Facts = st.Category, []apiFact{}
	for _, f := range st.Facts {
		d.Facts = append(d.Facts, apiFact{Name: f.Name, Value: f.Value, Note: f.Note, By: f.By, At: rfc3339(f.At)})
	}
	if a := st.Impact; a.At != 0 {
		d.Impact = &apiImpact{At: rfc3339(a.At), Preset: a.Preset, Known: a.Known, Score: a.Score, High: a.High, Severity: st.Advice.Severity, Declined: st.Advice.Declined,
			Axes: a.Axes[:], Loss: a.Loss, Missing: a.Missing,
			DeclinedWhy: st.Advice.Reason, Rule: a.Rule, RuleReason: a.RuleReason, Major: a.Major, Blast: nonNil(a.Blast), Changes: nonNil(a.Changes)}
	}
	if t := st.Triage; t.Team != "" {
		d.Triage = &apiTriage{Team: t.Team, Name: t.Name, Tier: t.Tier, Skill: t.Skill, Since: rfc3339(t.Since), ClaimedBy: t.ClaimedBy, ClaimedAt: rfc3339(t.ClaimedAt), Note: t.Note}
		for _, p := range t.Past {
			d.Triage.Past = append(d.Triage.Past, apiTriagePast{Team: p.Team, Name: p.Name, From: rfc3339(p.From), Until: rfc3339(p.Until), ClaimedBy: p.ClaimedBy})
		}
	}
	d.Paging = newAPIPaging(st.Paging)
	if at, ok := st.PagedAgain(now); ok {
		d.Paging.PagedAgainAt = rfc3339(at)
	}
}

func newAPIPaging(p escalation.State) apiPaging {
	out := apiPaging{Phase: string(p.Phase), Policy: p.Policy.ID, PolicyName: p.Policy.Name, PolicyVersion: p.Policy.Version, Epoch: p.Epoch, Round: p.Round, Step: p.Step,
		Steps: len(p.Policy.Steps), Acknowledged: []apiPagedAck{}, SnoozedUntil: rfc3339(p.SnoozedUntil), Pages: []apiPage{}}
	if p.Phase == escalation.Idle {
		out.Phase = "idle"
	}
	if at, ok := p.Expiry(); ok {
		out.ExpiresAt = rfc3339(at)
	}
	for _, a := range p.Acks {
		if a.Expired == 0 {
			out.Acknowledged = append(out.Acknowledged, apiPagedAck{Person: a.Person, At: rfc3339(a.At)})
		}
	}
	for _, g := range p.Pages {
		page := apiPage{ID: g.ID, Person: g.Person, Step: g.Step, Round: g.Round, Why: g.Why, At: rfc3339(g.At), State: string(g.State), Until: rfc3339(g.Until)}
		for _, r := range g.Receipts {
			page.Receipts = append(page.Receipts, apiPageReceipt{Route: r.Route, Label: r.Label, Outcome: r.Outcome, Detail: r.Detail, Attempt: r.Attempt, At: rfc3339(r.At)})
		}
		out.Pages = append(out.Pages, page)
	}
	return out
}
