package oncall

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

var update = flag.Bool("update", false, "write the golden files")

// noon is 2026-03-01 12:00 UTC.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMilli()

// testWorld has ana, ben, cy and dee; eve has left.
func testWorld() World {
	return World{
		Zone: time.LoadLocation,
		Person: func(h string) (string, bool) {
			switch h {
			case "ana", "ben", "cy", "dee":
				return strings.ToUpper(h), true
			}
			return "", false
		},
		Role: func(r string) bool { return r == "commander" },
	}
}

// play is a state with what was done to it; every event passes the codec.
type play struct {
	t interface {
		Helper()
		Fatal(...any)
		Fatalf(string, ...any)
	}
	State
	n  int
	at int64
}

func (p *play) do(actor string, c Command) (*Body, error) {
	p.t.Helper()
	p.n++
	m := Meta{ID: fmt.Sprintf("c%d", p.n), At: p.at, Actor: "person:" + actor, Manage: actor == "ana"}
	before, _ := json.Marshal(p.State)
	b, err := Decide(&p.State, c, testWorld(), m)
	if after, _ := json.Marshal(p.State); string(after) != string(before) {
		p.t.Fatalf("judging %s changed the state", c.Name())
	}
	if err != nil {
		var r *Refusal
		if !errors.As(err, &r) || r.Code == "" || !strings.HasSuffix(r.Sentence, ".") {
			p.t.Fatalf("%s: %v is no sentence", c.Name(), err)
		}
		return nil, err
	}
	if b == nil {
		return nil, nil
	}
	typ, ver, data, err := Encode(*b)
	if err != nil {
		p.t.Fatal(err)
	}
	back, ok, err := Decode(typ, ver, data)
	if err != nil || !ok {
		p.t.Fatal(ok, err)
	}
	p.Apply(Event{ID: m.ID + ".0", Seq: p.Seq + 1, At: m.At, Actor: m.Actor, Body: back})
	return &back, nil
}

// TestScript plays commands and compares what was said with the golden file: the words are part of the product.
func TestScript(t *testing.T) {
	p := &play{t: t, at: noon}
	var out strings.Builder
	// step is: actor, command, arguments. {x} stands for the id that was kept under x by "=x" before the actor.
	kept, names := map[string]string{}, []string{}
	for _, line := range strings.Split(script, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			fmt.Fprintln(&out, line)
			continue
		}
		for k, v := range kept {
			line = strings.ReplaceAll(line, "{"+k+"}", v)
		}
		keep := ""
		if strings.HasPrefix(line, "=") {
			keep, line, _ = strings.Cut(line[1:], " ")
		}
		actor, rest, _ := strings.Cut(line, " ")
		name, args, _ := strings.Cut(rest, " ")
		show := fmt.Sprintf("%s: %s %s", actor, name, args)
		for _, k := range names {
			show = strings.ReplaceAll(show, kept[k], k)
		}
		fmt.Fprintln(&out, show)
		c, err := ParseCommand(name, []byte(args))
		var b *Body
		if err == nil {
			b, err = p.do(actor, c)
		}
		switch {
		case err != nil:
			var r *Refusal
			errors.As(err, &r)
			say := r.Sentence
			for _, k := range names {
				say = strings.ReplaceAll(say, kept[k], k)
			}
			fmt.Fprintf(&out, "    no (%s): %s\n", r.Code, say)
			continue
		case b == nil:
			fmt.Fprintln(&out, "    (nothing to change)")
			continue
		}
		fmt.Fprintf(&out, "    %s: %s\n", b.Type, b.Says)
		for _, n := range b.Notes {
			fmt.Fprintf(&out, "    note: %s\n", n)
		}
		if keep != "" {
			kept["event-"+keep] = fmt.Sprintf("c%d.0", p.n)
			switch {
			case len(b.Teams) > 0:
				kept[keep] = b.Teams[0].After.ID
			case len(b.Swaps) > 0:
				kept[keep] = b.Swaps[0].After.ID
			case len(b.Overrides) > 0:
				kept[keep] = b.Overrides[0].After.Override.ID
			case len(b.Schedules) > 0:
				kept[keep] = b.Schedules[0].After.ID
			case len(b.Policies) > 0:
				kept[keep] = b.Policies[0].After.ID
			case b.Rules != nil:
				kept[keep] = (*b.Rules.After)[len(*b.Rules.After)-1].ID
			}
			names = append(names, keep, "event-"+keep)
		}
	}
	fmt.Fprintln(&out, "\n# at the end")
	for _, w := range Check(p.Settings, testWorld(), p.at) {
		fmt.Fprintf(&out, "    %s: %s\n", w.Code, w.Sentence)
	}
	for _, sc := range p.Schedules {
		zone, _ := time.LoadLocation(sc.Zone)
		for _, d := range sc.Shifts(p.at, p.at+21*day, zone) {
			fmt.Fprintf(&out, "    %s %s  %s\n", utc(d.From), someone(d.Person), d.Why)
		}
	}
	golden := filepath.Join("testdata", "script.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != string(want) {
		t.Errorf("what was said differs from %s; run with -update and read the difference\n%s", golden, got)
	}
}

const script = `
# Teams.
=front ana create_team {"name":"Front line","members":["ana","ben"],"tier":1,"skill":"front-line"}
=treasury ana create_team {"name":"Treasury","members":["cy"],"tier":2,"skill":"treasury"}
ana create_team {"name":"front LINE"}
ana create_team {"name":"Everybody"}
ana create_team {"name":"Ghosts","members":["eve"]}
ana create_team {"name":"Twice","members":["ben","ben"]}
ana set_tier {"team":"{front}","tier":12}
ana set_skill {"team":"{front}","skill":"Front Line"}
ana rename_team {"team":"{front}","name":"Front line"}
=front ana rename_team {"team":"{front}","name":"100% front"}
ben rename_team {"team":"{front}","name":"Mine"}
ana rename_team {"team":"everybody","name":"Mine"}
ana fly {}
ana set_tier {"team":"{front}","level":1}

# Schedules: times at entry.
=primary ana create_schedule {"name":"Primary","zone":"Europe/Berlin","layers":[{"name":"Week","people":["ana","ben","cy"],"start":"2026-02-23T09:00","unit":"week","every":1}]}
ana create_schedule {"name":"Mars","zone":"Mars/Olympus"}
ana create_schedule {"name":"Local","zone":"Local"}
ana create_schedule {"name":"Gap","zone":"Europe/Berlin","layers":[{"people":["ana"],"start":"2026-03-29T02:30","unit":"day","every":1}]}
ana add_layer {"schedule":"{primary}","layer":{"name":"Night","people":["dee"],"start":"2026-10-25T02:30","unit":"day","every":1,"only":[{"from":"22:00","to":"06:00"}]}}
ana add_layer {"schedule":"{primary}","layer":{"people":["eve"],"start":"2026-03-02T09:00","unit":"day"}}
ana add_layer {"schedule":"{primary}","layer":{"people":["ana"],"start":"9 am","unit":"day"}}
ana add_layer {"schedule":"{primary}","layer":{"people":["ana"],"start":"2026-03-02T09:00","unit":"fortnight"}}
ana add_layer {"schedule":"{primary}","layer":{"people":["ana"],"start":"2026-03-02T09:00","end":"2026-03-01T09:00","unit":"day"}}
ana add_layer {"schedule":"{primary}","layer":{"people":["ana"],"start":"2026-03-02T09:00","unit":"day","only":[{"from":"25:00","to":"26:00"}]}}
ana edit_layer {"schedule":"{primary}","layer":{"id":"L7","people":["ana"],"start":"2026-03-02T09:00","unit":"day"}}
ana move_layer {"schedule":"{primary}","layer":"L2","up":true}
ana move_layer {"schedule":"{primary}","layer":"L2"}

# Overrides.
=cover ana add_override {"schedule":"{primary}","person":"dee","from":"2026-03-03T09:00","until":"2026-03-04T09:00","note":"dentist"}
ana add_override {"schedule":"{primary}","person":"cy","from":"2026-03-03T20:00","until":"2026-03-04T08:00:00Z"}
ana add_override {"schedule":"{primary}","person":"cy","from":"2026-03-29T02:30","until":"2026-03-29T09:00"}
ana add_override {"schedule":"{primary}","person":"cy","from":"2026-10-25T02:30","until":"2026-10-25T09:00"}
ana add_override {"schedule":"{primary}","person":"cy","from":"2026-03-05T09:00","until":"2026-03-05T08:00"}
ana add_override {"schedule":"{primary}","person":"cy","from":"2026-02-05T09:00","until":"2026-02-05T10:00"}
ana add_override {"schedule":"{primary}","person":"cy","from":"2026-03-05T09:00","until":"2029-03-05T08:00"}
ben add_override {"schedule":"{primary}","person":"cy","from":"2026-03-05T09:00","until":"2026-03-05T10:00"}
=own ben add_override {"schedule":"{primary}","person":"ben","from":"2026-03-05T09:00","until":"2026-03-05T10:00"}
ben remove_override {"schedule":"{primary}","override":"{cover}"}
ben remove_override {"schedule":"{primary}","override":"{own}"}
ben remove_override {"schedule":"{primary}","override":"{own}"}

# Swaps.
=first ben offer_swap {"schedule":"{primary}","turn":"2026-03-02T12:00","person":"cy","return":"2026-03-10T12:00"}
ana offer_swap {"schedule":"{primary}","turn":"2026-03-15T12:00","person":"cy","return":"2026-03-10T12:00"}
ben offer_swap {"schedule":"{primary}","turn":"2026-03-15T12:00","person":"cy"}
ana offer_swap {"schedule":"{primary}","turn":"2026-02-24T12:00","person":"cy"}
=swap ana offer_swap {"schedule":"{primary}","turn":"2026-03-20T12:00","person":"cy","return":"2026-03-10T12:00"}
ben accept_swap {"swap":"{swap}"}
=swap cy accept_swap {"swap":"{swap}"}
cy accept_swap {"swap":"{swap}"}
=gift cy offer_swap {"schedule":"{primary}","turn":"2026-03-30T12:00","person":"ben"}
ben decline_swap {"swap":"{gift}","reason":"I am on a plane"}
cy withdraw_swap {"swap":"{gift}"}

# Hand-over notes.
ana note_hand_over {"schedule":"{primary}","at":"2026-03-09T10:00","text":"x"}
dee note_hand_over {"schedule":"{primary}","at":"2026-03-09T09:00","text":"x"}
ben note_hand_over {"schedule":"{primary}","at":"2026-03-09T09:00","text":"The bridge relayer is slow."}
ben note_hand_over {"schedule":"{primary}","at":"2026-03-09T09:00","text":"The bridge relayer is slow."}

# Policies.
=policy ana create_policy {"policy":{"name":"Now","steps":[{"targets":[{"kind":"schedule","name":"{primary}"}],"wait":300000},{"targets":[{"kind":"team","name":"{front}"},{"kind":"role","name":"commander"}],"wait":300000}],"repeat":2}}
ana create_policy {"policy":{"name":"Nobody","steps":[]}}
ana create_policy {"policy":{"name":"Hasty","steps":[{"targets":[{"kind":"person","name":"ana"}],"wait":1}]}}
ana create_policy {"policy":{"name":"Ghost","steps":[{"targets":[{"kind":"person","name":"eve"}],"wait":60000}]}}
ana create_policy {"policy":{"name":"No role","steps":[{"targets":[{"kind":"role","name":"king"}],"wait":60000}]}}
ana create_policy {"policy":{"name":"No team","steps":[{"targets":[{"kind":"team","name":"team-x"}],"wait":60000}]}}
ana create_policy {"policy":{"name":"Signers","steps":[{"targets":[{"kind":"signers","name":"{front}"}],"wait":60000,"need":3}]}}
ana create_policy {"policy":{"name":"Zone","steps":[{"targets":[{"kind":"person","name":"ana"}],"wait":60000,"if":{"hours":{"zone":"Mars/X","from":"09:00","to":"17:00"}}}]}}
ana create_policy {"policy":{"name":"Alerts","steps":[{"targets":[{"kind":"person","name":"ana"}],"wait":60000,"if":{"alerts":3}}]}}
=alone ana create_policy {"policy":{"name":"Only ana","steps":[{"targets":[{"kind":"person","name":"ana"}],"wait":60000}]}}
ana set_team_policy {"team":"{front}","policy":"{policy}"}
ana set_team_schedule {"team":"{front}","schedule":"{primary}"}

# Routing.
=r1 ana add_rule {"rule":{"severity":"SEV2","components":["Hot wallet"],"team":"{treasury}"}}
=r2 ana add_rule {"rule":{"chains":["ethereum"],"team":"{front}","policy":"{alone}"}}
ana add_rule {"rule":{"severity":"SEV9","team":"{front}"}}
ana add_rule {"rule":{"team":"nowhere"}}
ana move_rule {"rule":"{r2}","up":true}
ana move_rule {"rule":"{r2}","up":true}

# What is in use stays.
ana remove_team {"team":"{treasury}"}
ana remove_schedule {"schedule":"{primary}"}
ana remove_policy {"policy":"{policy}"}
ana remove_policy {"policy":"esc-everybody"}

# Undo.
ana undo {"event":"{event-front}"}
ana undo {"event":"{event-front}"}
ana undo {"event":"{event-r1}"}
ben undo {"event":"{event-cover}"}
ana undo {"event":"{event-primary}"}
ana undo {"event":"{event-policy}"}
cy undo {"event":"{event-swap}"}
`

func TestRoute(t *testing.T) {
	var s Settings
	check := func(wantTeam, wantPolicy, wantWhy, severity string, components, chains, kinds []string) {
		t.Helper()
		team, p, why := s.Route(severity, components, chains, kinds)
		if team.Name != wantTeam || p.Name != wantPolicy || why != wantWhy {
			t.Errorf("%q %q %q, want %q %q %q", team.Name, p.Name, why, wantTeam, wantPolicy, wantWhy)
		}
		if len(p.Steps) == 0 {
			t.Errorf("policy %q pages nobody", p.Name)
		}
	}
	check("Everybody", "Everybody", "no team takes incidents: everybody is paged", "SEV1", nil, nil, nil)
	s.Teams = []Team{{ID: "t0", Name: "Quiet"}, {ID: "t1", Name: "Front", Tier: 1, Members: []string{"ana"}, Schedule: "s"}, {ID: "t2", Name: "Vault", Tier: 2, Policy: "p"}}
	s.Policies = []escalation.Policy{{ID: "p", Name: "P", Steps: Default().Steps}, {ID: "q", Name: "Q", Steps: Default().Steps}}
	check("Front", "Built-in for Front", "no rule fits: the front line is Front", "SEV1", nil, nil, nil)
	if p := s.PolicyOf(s.Teams[1]); len(p.Steps) != 3 || p.Steps[0].Targets[0].Name != "s" || p.Steps[2].Targets[0].Name != Everybody {
		t.Errorf("%+v", p)
	}
	s.Rules = []Rule{{ID: "gone", Team: "t9"}, {ID: "a", Severity: "SEV2", Components: []string{"Vault"}, Chains: []string{"eth"}, Team: "t2"}, {ID: "b", Kinds: []string{"reorg"}, Team: "t1", Policy: "q"}}
	check("Vault", "P", "rule 2: SEV1 is at least SEV2, component vault, chain eth goes to Vault", "SEV1", []string{"x", "vault"}, []string{"eth"}, nil)
	check("Front", "Built-in for Front", "no rule fits: the front line is Front", "SEV3", []string{"vault"}, []string{"eth"}, nil)
	check("Front", "Q", "rule 3: signal reorg goes to Front, paged by Q", "SEV5", nil, nil, []string{"x", "reorg"})
}

// normal sorts what has no order.
func normal(s Settings) Settings {
	byID := func(a, b string) bool { return a < b }
	s.Teams = sorted(s.Teams, func(a, b Team) bool { return byID(a.ID, b.ID) })
	s.Schedules = sorted(s.Schedules, func(a, b Schedule) bool { return byID(a.ID, b.ID) })
	s.Policies = sorted(s.Policies, func(a, b escalation.Policy) bool { return byID(a.ID, b.ID) })
	s.Notes = sorted(s.Notes, func(a, b HandOver) bool { return a.At < b.At })
	for i := range s.Schedules {
		if len(s.Schedules[i].Overrides) == 0 {
			s.Schedules[i].Overrides = nil
		}
	}
	if len(s.Rules) == 0 {
		s.Rules = nil
	}
	return s
}

func sorted[T any](list []T, less func(a, b T) bool) []T {
	out := append([]T(nil), list...)
	for i := range out {
		for j := i; j > 0 && less(out[j], out[j-1]); j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return out
}

func mustJSON(v any) []byte { b, _ := json.Marshal(v); return b }

func drawCommand(t *rapid.T, s Settings) Command {
	pick := func(label string, ids []string) string {
		if len(ids) == 0 {
			return "none"
		}
		return rapid.SampledFrom(ids).Draw(t, label)
	}
	var teams, scheds, pols, rules, swaps, overs []string
	for _, x := range s.Teams {
		teams = append(teams, x.ID)
	}
	for _, x := range s.Schedules {
		scheds = append(scheds, x.ID)
		for _, o := range x.Overrides {
			overs = append(overs, o.ID)
		}
	}
	for _, x := range s.Policies {
		pols = append(pols, x.ID)
	}
	for _, x := range s.Rules {
		rules = append(rules, x.ID)
	}
	for _, x := range s.Swaps {
		swaps = append(swaps, x.ID)
	}
	team, sched, pol := pick("team", teams), pick("sched", scheds), pick("pol", pols)
	name := rapid.StringMatching(`[a-d]{1,2}`).Draw(t, "name")
	people := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"ana", "ben", "cy", "dee"}), 1, 3, rapid.ID).Draw(t, "people")
	layer := Layer{People: people, Start: "2026-02-23T09:00", Unit: Daily, Every: 1}
	d := rapid.IntRange(2, 20).Draw(t, "day")
	on := func(n int) string { return time.UnixMilli(noon).AddDate(0, 0, n).UTC().Format(time.RFC3339) }
	policy := escalation.Policy{Name: name, Steps: []escalation.Step{{Wait: 60_000, Targets: []escalation.Target{rapid.SampledFrom([]escalation.Target{
		{Kind: "person", Name: "ana"}, {Kind: "team", Name: team}, {Kind: "schedule", Name: sched}}).Draw(t, "target")}}}}
	edited := policy
	edited.ID = pol
	moved := Rule{ID: pick("rule", rules), Team: team, Chains: []string{name}}
	return rapid.SampledFrom([]Command{
		CreateTeam{Title: name, Members: people, Tier: 1}, RenameTeam{team, name}, SetMembers{team, people}, SetTier{team, 2}, SetSkill{team, name}, SetTeamSchedule{team, sched},
		SetTeamPolicy{team, pol}, RemoveTeam{team}, CreateSchedule{Title: name, Zone: "Europe/Berlin", Layers: []Layer{layer}}, EditSchedule{Schedule: sched, Title: &name}, RemoveSchedule{sched},
		AddLayer{sched, layer}, EditLayer{sched, Layer{ID: "L1", People: people, Start: "2026-02-23T10:00", Unit: Weekly, Every: 2}}, MoveLayer{sched, "L1", true}, RemoveLayer{sched, "L2"},
		AddOverride{Schedule: sched, Person: "dee", From: on(d), Until: on(d + 1)}, RemoveOverride{sched, pick("over", overs)},
		OfferSwap{Schedule: sched, Turn: on(d), Person: people[0]}, AcceptSwap{pick("swap", swaps)}, DeclineSwap{Swap: pick("swap", swaps)}, WithdrawSwap{pick("swap", swaps)},
		NoteHandOver{sched, time.UnixMilli(noon).AddDate(0, 0, d).UTC().Format("2006-01-02T") + "09:00", name}, CreatePolicy{policy}, EditPolicy{edited}, RemovePolicy{pol},
		AddRule{Rule{Team: team, Severity: "SEV2"}}, EditRule{moved}, MoveRule{pick("rule", rules), true}, RemoveRule{pick("rule", rules)},
	}).Draw(t, "command")
}

func TestEveryCommandHasANameAndIsJudged(t *testing.T) {
	for _, name := range Names() {
		c, ok := Blueprint(name)
		if !ok || c.Name() != name || reflect.TypeOf(c).Kind() != reflect.Struct {
			t.Errorf("%s: %v", name, c)
		}
		if _, err := Decide(&State{}, c, testWorld(), Meta{ID: "x", Actor: "person:ana", Manage: true}); err == nil {
			t.Errorf("%s without arguments is carried out", name)
		} else if r := new(Refusal); errors.As(err, &r) && r.Code == CodeUnknownCommand {
			t.Errorf("%s is not judged", name)
		}
		if _, err := Decide(&State{}, c, testWorld(), Meta{ID: "x", Actor: "person:rita"}); !Own(c) {
			if r := new(Refusal); !errors.As(err, &r) || r.Code != CodeNotYours {
				t.Errorf("%s by somebody who may not: %v", name, err)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("oncall.team_created", []byte(`{"says":"x","teams":[{"after":{"id":"team-1","name":"A"}}]}`))
	f.Add("oncall.override_added", []byte(`{"overrides":[{"after":{"schedule":"s","override":{"id":"o","from":1,"until":2}}}]}`))
	f.Add("oncall.rules_changed", []byte(`{"rules":{"after":[{"id":"r","team":"x"}]}}`))
	f.Add("oncall.schedule_changed", []byte(`{"schedules":[{"after":{"id":"s","zone":"UTC","layers":[{"people":["a"],"start":"2026-01-01T00:00","unit":"hour","every":1}]}}]}`))
	f.Fuzz(func(t *testing.T, typ string, data []byte) {
		b, ok, err := Decode(typ, 1, data)
		if err != nil || !ok {
			return
		}
		var s State
		s.Apply(Event{ID: "e", Seq: 1, Body: b})
		s.Route("SEV1", nil, nil, nil)
		for _, x := range s.Schedules {
			x.At(noon, time.UTC)
		}
		if _, _, _, err := Encode(b); err != nil {
			t.Fatal(err)
		}
	})
}
