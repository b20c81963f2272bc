package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/oncall"
)

// neverEnds is what the page of a policy warns of.
const neverEnds = "An acknowledgement never ends here"

// A policy that is made allows an hour of silence; "never" is a choice, and its page warns of it.
func TestPolicySilence(t *testing.T) {
	h := newHouse(t)
	ana := h.ana()
	ana.lands(ana.post("/oncall/policies", "name", "Front line")).has("silent for 1 h is paged again", `value="60"`).hasNot(neverEnds)
	id := h.OnCall.Settings().Policies[0].ID
	at := "/oncall/policies/" + id
	silence := func(want int64) {
		t.Helper()
		if p, _ := h.OnCall.Settings().Policy(id); p.AckTimeout != want {
			t.Errorf("a silence of %d, want %d", p.AckTimeout, want)
		}
	}
	silence(oncall.Silence)
	ana.lands(ana.post(at, "name", "Front", "repeat", "2", "ack", "0")).has(neverEnds, `name="ack" type="number" min="0" max="10080" value="0"`)
	ana.get("/oncall/policies").has("An acknowledgement never ends.")
	silence(escalation.Never)
	ana.lands(ana.post(at, "name", "Front", "repeat", "2", "ack", "")).has("silent for 1 h is paged again").hasNot(neverEnds)
	silence(0)
	ana.post(at, "name", "Front", "repeat", "2", "ack", "0.5").want(422).has("or never")
	ana.post(at, "name", "Front", "repeat", "2", "ack", "-1").want(422).has("number of minutes")
	ana.lands(ana.post(at, "name", "Front", "repeat", "2", "ack", "30")).has("silent for 30 m is paged again")
	ana.get("/oncall/policies").hasNot("An acknowledgement never ends.")
}

// TestPoliciesByForms makes a policy, changes its steps, and sees what would happen.
func TestPoliciesByForms(t *testing.T) {
	h := newHouse(t)
	ana, rita := h.ana(), h.member("rita", auth.RoleResponder, "")
	sched := h.schedule()
	page := ana.lands(ana.post("/oncall/policies", "name", "Front line"))
	page.has("At once", "everybody", "If an incident opened", "Ana Alvarez", "Undo")
	id := h.OnCall.Settings().Policies[0].ID
	at := "/oncall/policies/" + id
	version := func() string { p, _ := h.OnCall.Settings().Policy(id); return itoa(p.Version) }
	steps := func() []escalation.Step { p, _ := h.OnCall.Settings().Policy(id); return p.Steps }

	page = ana.lands(ana.post(at+"/step", "step", "0", "version", version(), "target", "schedule:"+sched, "target", "", "wait", "2.5", "need", "1", "severity", "SEV2",
		"hours", "out", "zone", "Europe/Zurich", "from", "09:00", "to", "18:00", "day", "1", "day", "5", "alerts", "3", "within", "10"))
	page.has("who is on call in Primary", "it is SEV2 or worse, and outside of Mon Fri 09:00 to 18:00 in Zurich, and 3 or more signals came within 10 m", "150 s")
	if st := steps(); len(st) != 2 || st[1].Wait != 150_000 || st[1].If == nil || !st[1].If.Hours.Not || st[1].If.Within != 600_000 {
		t.Fatalf("%+v", st)
	}
	stale := version()
	ana.lands(ana.post(at+"/step/up", "step", "2", "version", version())).has("Undo")
	if steps()[0].Targets[0].Kind != escalation.TargetSchedule {
		t.Error("the step did not move")
	}
	ana.post(at+"/step/remove", "step", "1", "version", stale).want(409).has("Somebody changed this policy meanwhile")
	page = ana.lands(ana.post(at+"/step/remove", "step", "1", "version", version()))
	if len(steps()) != 1 {
		t.Error("the step is still there")
	}
	ana.undo(page, at)
	if len(steps()) != 2 {
		t.Error("the step did not come back")
	}
	ana.post(at+"/step", "step", "7", "version", version(), "target", "person:ana", "wait", "5").want(404)
	ana.post(at+"/step", "step", "1", "version", version(), "target", "person:nobody-here", "wait", "5", "need", "1").want(422)
	ana.post(at+"/step", "step", "1", "version", version(), "target", "schedule:"+sched, "wait", "soon").want(422).has("number of minutes")
	ana.lands(ana.post(at, "name", "Front", "repeat", "2", "ack", "30")).has("silent for 30 m is paged again", "it begins again, 2 times")
	rita.get(at).want(200).has("If an incident opened").hasNot("Add a step", "<select name=\"target\"")

	// Routing, and its try-out.
	ana.post("/oncall/teams", "name", "Front line", "tier", "1").want(http.StatusSeeOther)
	ana.post("/oncall/teams", "name", "Protocol", "tier", "2").want(http.StatusSeeOther)
	team := h.OnCall.Settings().Teams[1].ID
	ana.lands(ana.post("/oncall/rules", "rule", "", "severity", "SEV3", "team", h.OnCall.Settings().Teams[0].ID, "policy", id)).has("SEV3 or worse", "by Front")
	ana.lands(ana.post("/oncall/rules", "rule", "", "severity", "SEV2", "component", "nomad, bridge", "team", team, "policy", "")).has("SEV2 or worse, component nomad or bridge")
	ana.get("/oncall/policies?try=1&severity=SEV2&component=nomad").has("It goes to Front line", "because", "this one fits").has("SEV2 is at least SEV3")
	second := h.OnCall.Settings().Rules[1].ID
	page = ana.lands(ana.post("/oncall/rules/up", "rule", second))
	ana.get("/oncall/policies?try=1&severity=SEV2&component=nomad").has("It goes to Protocol")
	ana.undo(page, "/oncall/policies")
	ana.get("/oncall/policies?try=1&severity=SEV2&component=nomad").has("It goes to Front line")
	ana.post("/oncall/rules/sideways", "rule", second).want(404)
	ana.lands(ana.post("/oncall/rules/remove", "rule", second)).hasNot("nomad or bridge</")
	ana.post(at + "/remove").want(409) // a rule uses it
}

// TestPreviewIsWhatWouldHappen: the page plays the policy with the code that pages.
func TestPreviewIsWhatWouldHappen(t *testing.T) {
	h := newHouse(t)
	h.member("rita", auth.RoleResponder, "")
	sched := h.schedule()
	set := h.OnCall.Settings()
	p := escalation.Policy{ID: "esc-x", Name: "X", Repeat: 1, Steps: []escalation.Step{
		{Targets: []escalation.Target{{Kind: escalation.TargetSchedule, Name: sched}}, Wait: 5 * minuteMs},
		{Targets: []escalation.Target{{Kind: escalation.TargetRole, Name: string(incident.RoleCommander)}}, Wait: 5 * minuteMs},
		{Targets: []escalation.Target{{Kind: escalation.TargetPerson, Name: "rita"}, {Kind: escalation.TargetPerson, Name: "ana"}}, Wait: 10 * minuteMs, If: &escalation.Condition{Severity: "SEV1"}},
	}}
	at := h.millis()
	tell := func(severity string) (out []string) {
		v := h.foresee(set, p, severity, at)
		for _, r := range v.Rows {
			var who []string
			for _, w := range r.Who {
				who = append(who, w.Name)
			}
			out = append(out, r.After+" "+r.Step+": "+strings.Join(who, ", ")+r.Gap)
		}
		return append(out, v.End)
	}
	first := h.person(set.Schedules[0].At(at, time.UTC).Person)
	got := strings.Join(tell("SEV1"), "\n")
	for _, want := range []string{"at once step 1: " + first, "after 5 m step 2: whoever has the role then", "after 5 m step 3: ", "round 2", "nobody is left"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if got := strings.Join(tell("SEV3"), "\n"); !strings.Contains(got, "step 3: skipped: ") {
		t.Errorf("the condition does not show:\n%s", got)
	}
}
