package auth

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// actors are one of each sort, in the order of the columns of policy.
var actors = []struct {
	name  string
	actor Actor
}{
	{"nobody", Actor{}},
	{"wall", Actor{Kind: KindWall, ID: "w", Role: RoleWall}},
	{"stakeholder", Actor{Kind: KindPerson, ID: "sam", Role: RoleStakeholder, Audience: "exchanges"}},
	{"responder", Actor{Kind: KindPerson, ID: "rita", Role: RoleResponder}},
	{"administrator", Actor{Kind: KindPerson, ID: "ana", Role: RoleAdministrator}},
	{"system", SystemActor("detector")},
}

// policy is written a second time, by hand, so that a slip in the table shows.
const policy = `
view_status       nobody wall stakeholder responder administrator system
view_wall         wall responder administrator system
view_chains       wall responder administrator system
view_board        responder administrator system
view_room         responder administrator system
view_signals      responder administrator system
view_people       responder administrator system
view_log          responder administrator system
view_metrics      responder administrator system
view_on_call      responder administrator system
manage_account    system
judge_finding     responder administrator system
manage_quiet      responder administrator system
manage_detectors  administrator system
manage_on_call    administrator system
swap_shift        responder administrator system
declare_incident  responder administrator system
command_incident  responder administrator system
approve_update    responder administrator system
start_drill       responder administrator system
redact            administrator system
manage_people     administrator system
manage_tokens     administrator system
manage_sources    administrator system
manage_chains     administrator system
take_backup       administrator system
`

func TestCanEveryRoleAndAction(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(policy), "\n")
	if len(lines) != len(Actions) || len(table) != len(Actions) {
		t.Fatalf("policy has %d lines, Actions %d, table %d: list every action in all three", len(lines), len(Actions), len(table))
	}
	for i, line := range lines {
		fields := strings.Fields(line)
		action := Actions[i]
		if fields[0] != string(action) {
			t.Fatalf("line %d is %s, want %s", i, fields[0], action)
		}
		for _, a := range actors {
			if got, want := Can(a.actor, action, Subject{}), slices.Contains(fields[1:], a.name); got != want {
				t.Errorf("Can(%s, %s) = %v, want %v", a.name, action, got, want)
			}
			// A program with a token may what a person of the role may.
			if a.actor.Kind == KindPerson {
				robot := a.actor
				robot.Kind = KindToken
				if got, want := Can(robot, action, Subject{}), Can(a.actor, action, Subject{}); got != want {
					t.Errorf("Can(token of %s, %s) = %v, want %v", a.name, action, got, want)
				}
			}
		}
	}
}

func TestCanOwn(t *testing.T) {
	audiences := map[string]map[string]bool{
		"nobody":        {"": true, "public": true},
		"wall":          {"": true, "public": true},
		"stakeholder":   {"": true, "public": true, "exchanges": true},
		"responder":     {"": true, "public": true, "exchanges": true, "regulator": true},
		"administrator": {"": true, "public": true, "exchanges": true, "regulator": true},
	}
	for _, a := range actors[:5] {
		for _, audience := range []string{"", "public", "exchanges", "regulator"} {
			if got := Can(a.actor, ViewStatus, Subject{Audience: audience}); got != audiences[a.name][audience] {
				t.Errorf("Can(%s, view_status %q) = %v", a.name, audience, got)
			}
		}
		for _, handle := range []string{"", "sam", "rita", "ana"} {
			want := a.actor.Kind == KindPerson && handle == a.actor.ID
			if got := Can(a.actor, ManageAccount, Subject{Handle: handle}); got != want {
				t.Errorf("Can(%s, manage_account %q) = %v", a.name, handle, got)
			}
		}
	}
	if Can(Actor{Kind: KindToken, ID: "ana", Role: RoleAdministrator}, ManageAccount, Subject{Handle: "ana"}) {
		t.Error("a token with the id of a person manages that person's account")
	}
}

func TestCanDeniesWhatItDoesNotKnow(t *testing.T) {
	for _, a := range []Actor{
		{Kind: "god", Role: RoleAdministrator},
		{Kind: KindNobody, Role: RoleAdministrator, Audience: "exchanges"},
		{Kind: KindPerson, ID: "x", Role: "owner"},
		{Kind: KindWall, ID: "x", Role: RoleAdministrator},
		{Kind: KindPerson, ID: "x", Role: RoleWall},
	} {
		for _, action := range Actions {
			if action.Changes() && Can(a, action, Subject{}) {
				t.Errorf("%+v may %s", a, action)
			}
		}
		if Can(a, ViewStatus, Subject{Audience: "exchanges"}) {
			t.Errorf("%+v reads the status of an audience", a)
		}
	}
	if Can(Actor{Kind: KindPerson, Role: RoleAdministrator}, "fly", Subject{}) || Can(SystemActor("x"), "fly", Subject{}) {
		t.Error("an unknown action is allowed")
	}
}

func TestReadersChangeNothing(t *testing.T) {
	for _, a := range actors[:3] {
		for _, action := range Actions {
			if action.Changes() && Can(a.actor, action, Subject{}) {
				t.Errorf("%s may %s", a.name, action)
			}
		}
	}
}

func TestForTopic(t *testing.T) {
	want := map[string]string{ // topic -> who may subscribe
		"wall":             "wall responder administrator system",
		"chains":           "wall responder administrator system",
		"board":            "responder administrator system",
		"incident/12":      "responder administrator system",
		"status":           "nobody wall stakeholder responder administrator system",
		"status/exchanges": "stakeholder responder administrator system",
		"status/regulator": "responder administrator system",
		"incident":         "", "incident/": "", "status/": "", "wall/": "", "": "", "log": "", "wall2": "",
	}
	for topic, names := range want {
		action, subject, ok := ForTopic(topic)
		if ok != (names != "") {
			t.Errorf("ForTopic(%q) ok = %v", topic, ok)
		}
		for _, a := range actors {
			if got := ok && Can(a.actor, action, subject); got != slices.Contains(strings.Fields(names), a.name) {
				t.Errorf("%s subscribes to %q: %v", a.name, topic, got)
			}
		}
	}
}

func TestActorStrings(t *testing.T) {
	for _, c := range []struct {
		a           Actor
		text, owner string
		in          bool
	}{
		{Actor{}, "nobody", "", false},
		{Actor{Kind: KindNobody}, "nobody", "", false},
		{Actor{Kind: KindPerson, ID: "ana", SessionID: "s1"}, "person:ana", "session:s1", true},
		{Actor{Kind: KindToken, ID: "t1"}, "token:t1", "token:t1", true},
		{Actor{Kind: KindWall, ID: "t2", SessionID: "s2"}, "token:t2", "session:s2", true},
		{SystemActor("detector"), "system:detector", "", true},
	} {
		if got := fmt.Sprint(c.a); got != c.text || c.a.Owner() != c.owner || c.a.SignedIn() != c.in {
			t.Errorf("%+v: %s %s %v", c.a, got, c.a.Owner(), c.a.SignedIn())
		}
	}
}
