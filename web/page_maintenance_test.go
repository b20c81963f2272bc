package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/heartbeat"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

func (h *house) fires(list ...signal.Observation) {
	h.t.Helper()
	if _, err := h.desk.Submit(context.Background(), "am-x", "source:am-x", list); err != nil {
		h.t.Fatal(err)
	}
	h.settle()
}

func (v *visitor) form(path string, pairs ...string) *answer {
	v.h.t.Helper()
	f := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		f.Add(pairs[i], pairs[i+1])
	}
	f.Set("_csrf", v.csrf)
	return v.do("POST", path, "application/x-www-form-urlencoded", strings.NewReader(f.Encode()))
}

func TestMaintenancePage(t *testing.T) {
	h := newHouse(t)
	ana := h.ana()
	if a := ana.get("/maintenance").want(http.StatusOK); !strings.Contains(a.body, "No window is active") || !strings.Contains(a.body, "Nothing is planned.") {
		t.Errorf("empty: %s", head(a.body))
	}
	from, until := localTime(h.millis()-60_000), localTime(h.millis()+3600_000)
	a := ana.form("/maintenance", "name", "", "reason", "new validators", "repeat", "once", "from", from, "until", until, "components", "Bridge, Trading", "loud", "SEV1").want(http.StatusUnprocessableEntity)
	if !strings.Contains(a.body, "Give the window a name") || !strings.Contains(a.body, `value="Bridge, Trading"`) || !strings.Contains(a.body, "new validators") {
		t.Errorf("what was typed is gone: %s", head(a.body))
	}
	ana.form("/maintenance", "name", "Upgrade", "reason", "new validators", "repeat", "once", "from", from, "until", until, "components", "Bridge, Trading", "loud", "SEV1").want(http.StatusSeeOther)
	days, named := []string{"1", "4"}, "Monday, Thursday"
	zurich, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	if today := time.UnixMilli(h.millis()).In(zurich).Weekday(); today == time.Monday || today == time.Thursday { // whatever the hour, it is not active now
		days, named = []string{"2", "5"}, "Tuesday, Friday"
	}
	ana.form("/maintenance", "name", "Backups", "reason", "every night", "repeat", "weekly", "day", days[0], "day", days[1], "time", "02:30", "minutes", "90", "zone", "Europe/Zurich", "labels", "env=test", "loud", "").want(http.StatusSeeOther)
	ana.form("/maintenance", "name", "On the hour", "reason", "r", "repeat", "once", "from", "2099-01-01T10:00", "until", "2099-01-01T20:00", "kinds", "x").want(http.StatusSeeOther)
	ana.form("/maintenance", "name", "No time", "reason", "r", "repeat", "once", "from", "tomorrow", "until", "2099-01-01T20:00", "kinds", "x").want(http.StatusUnprocessableEntity)
	h.fires(signal.Observation{Key: "k", Title: "Bridge is slow", Severity: "SEV3", Firing: true, Component: "Bridge"}, signal.Observation{Key: "l", Title: "Loud", Severity: "SEV1", Firing: true, Component: "Bridge"})
	body := ana.get("/maintenance").want(http.StatusOK).body
	for _, want := range []string{"Upgrade", "1 signal is", "Bridge is slow", "components Bridge, Trading", "SEV1 and worse is heard all the same", "every " + named + " 02:30 for 90 min (Europe/Zurich)", "labels env=test", "Stop now", "Quiet for maintenance “Upgrade”"} {
		if !strings.Contains(strings.Join(strings.Fields(body), " "), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	ana.form("/maintenance", "name", "Rotation", "reason", "r", "repeat", "once", "from", localTime(h.millis()+7200_000), "until", localTime(h.millis()+9000_000), "kinds", "y").want(http.StatusSeeOther)
	board := strings.Join(strings.Fields(ana.get("/").want(http.StatusOK).body), " ")
	for _, want := range []string{"1 maintenance window</a> until", "keeps 1 signal quiet.", ">Rotation</a> from"} {
		if !strings.Contains(board, want) {
			t.Errorf("the board lacks %q", want)
		}
	}
	if body := ana.get("/signals?show=quiet").body; !strings.Contains(body, "Bridge is slow") || strings.Contains(body, ">Loud<") {
		t.Error("the list of quiet signals")
	}
	var list windowsAnswer
	ana.get("/api/v1/maintenance").want(http.StatusOK).into(&list)
	if len(list.Windows) != 4 {
		t.Fatalf("%+v", list)
	}
	id := ""
	for _, w := range list.Windows {
		if w.Name == "Upgrade" {
			id = w.ID
			if !w.Active || w.What != "planned" || w.ChangedBy != h.admin.String() {
				t.Errorf("%+v", w)
			}
		}
	}
	if body := ana.get("/maintenance?edit=" + id).body; !strings.Contains(body, "Change Upgrade") || !strings.Contains(body, `value="`+until+`"`) {
		t.Error("the form to change it")
	}
	ana.form("/maintenance/" + id + "/stop").want(http.StatusSeeOther)
	if body := ana.get("/maintenance").body; !strings.Contains(body, "stopped by Ana Alvarez") {
		t.Error("it is not stopped")
	}
	ana.form("/maintenance/" + id + "/stop").want(http.StatusUnprocessableEntity)
	ana.form("/maintenance/" + id + "/undo").want(http.StatusSeeOther)
	ana.form("/maintenance/" + id + "/explode").want(http.StatusNotFound)
	rita := h.member("rita", auth.RoleResponder, "")
	rita.form("/maintenance/" + id + "/cancel").want(http.StatusSeeOther)
	h.member("sam", auth.RoleStakeholder, "clients").form("/maintenance/" + id + "/undo").want(http.StatusForbidden)
	// By a program.
	robot, _ := h.token(auth.RoleResponder, "")
	robot.json("POST", "/api/v1/maintenance", map[string]any{"name": "R", "reason": "r", "match": map[string]any{"labels": []string{"a=~("}}, "until": rfc3339(h.millis() + 60_000), "from": rfc3339(h.millis())}).want(http.StatusUnprocessableEntity).problem("bad_match")
	var made windowDoc
	robot.json("POST", "/api/v1/maintenance", map[string]any{"name": "R", "reason": "r", "match": map[string]any{"chains": []string{"x"}}, "until": rfc3339(h.millis() + 60_000), "from": rfc3339(h.millis())}).want(http.StatusCreated).into(&made)
	robot.json("POST", "/api/v1/maintenance/"+made.ID+"/cancel", map[string]any{}).want(http.StatusOK).into(&made)
	if !made.Cancelled || made.Active {
		t.Errorf("%+v", made)
	}
}

func TestSnoozeAndGroupingPages(t *testing.T) {
	h := newHouse(t)
	ana := h.ana()
	ana.form("/grouping", "name", "same bridge", "by", "").want(http.StatusUnprocessableEntity)
	ana.form("/grouping", "name", "same bridge", "by", "bridge", "minutes", "30").want(http.StatusSeeOther)
	h.fires(signal.Observation{Key: "k", Title: "Outflow", Severity: "SEV4", Firing: true, Labels: map[string]string{"bridge": "nomad"}})
	g, _, _ := h.desk.Known(context.Background(), "am-x", "k")
	page := "/signals/" + g.ID
	if body := ana.get(page).want(http.StatusOK).body; !strings.Contains(body, "Grouping rule “same bridge”: bridge=nomad") || !strings.Contains(body, "Snooze") {
		t.Errorf("%s", head(body))
	}
	ana.form(page+"/snooze", "for", "nonsense").want(http.StatusUnprocessableEntity)
	ana.form(page+"/snooze", "for", "-5m").want(http.StatusUnprocessableEntity)
	ana.form(page+"/snooze", "for", "2h", "reason", "known").want(http.StatusSeeOther)
	h.settle()
	if body := ana.get(page).body; !strings.Contains(body, "Snoozed by Ana Alvarez until") || !strings.Contains(body, "known") || !strings.Contains(body, "Wake it now") {
		t.Errorf("%s", head(body))
	}
	ana.form(page+"/snooze", "for", "0").want(http.StatusSeeOther)
	h.settle()
	robot, _ := h.token(auth.RoleResponder, "")
	var said snoozeAnswer
	robot.json("POST", "/api/v1/signals/"+g.ID+"/snooze", map[string]any{"for": "change"}).want(http.StatusOK).into(&said)
	if !said.Quiet || said.Until != "" || !strings.Contains(said.Says, "until it changes") {
		t.Errorf("%+v", said)
	}
	robot.json("POST", "/api/v1/signals/nothing/snooze", map[string]any{"for": "1h"}).want(http.StatusNotFound)
	ana.form(page+"/detach", "never", "1").want(http.StatusSeeOther)
	var rules rulesAnswer
	ana.get("/api/v1/grouping").into(&rules)
	if len(rules.Rules) != 1 || len(rules.Rules[0].Except) != 1 || rules.Rules[0].Window != "30m0s" {
		t.Errorf("%+v", rules)
	}
	if body := ana.get("/maintenance?rule=" + rules.Rules[0].ID).body; !strings.Contains(body, "Change same bridge") || !strings.Contains(body, `name="minutes" type="number" min="1" max="10080" value="30"`) {
		t.Error("the form to change the rule")
	}
	ana.form("/grouping", "id", rules.Rules[0].ID, "name", "same bridge", "by", "").want(http.StatusUnprocessableEntity).has("Change same bridge")
	ana.form("/grouping", "id", rules.Rules[0].ID, "name", "same bridge and chain", "by", "bridge, chain").want(http.StatusSeeOther)
	ana.form("/grouping", "id", "nothing", "name", "x", "by", "bridge").want(http.StatusNotFound)
	rules = rulesAnswer{}
	ana.get("/api/v1/grouping").into(&rules)
	if len(rules.Rules) != 1 || rules.Rules[0].Name != "same bridge and chain" || len(rules.Rules[0].By) != 2 || len(rules.Rules[0].Except) != 1 || rules.Rules[0].Window != "" {
		t.Errorf("%+v", rules)
	}
	ana.form("/grouping/" + rules.Rules[0].ID + "/remove").want(http.StatusSeeOther)
	if body := ana.get("/maintenance").body; !strings.Contains(body, "removed by Ana Alvarez") {
		t.Error("the removed rule is not shown for undo")
	}
}

func TestSourcePages(t *testing.T) {
	h := newHouse(t)
	ana := h.ana()
	ctx := context.Background()
	for _, kind := range intake.Kinds {
		a := ana.form("/sources", "name", "a "+kind, "kind", kind, "every", "60s").want(http.StatusOK)
		if !strings.Contains(a.body, "is ready") {
			t.Errorf("%s: %s", kind, head(a.body))
		}
	}
	ana.form("/sources", "name", "x", "kind", intake.Heartbeat, "every", "often").want(http.StatusUnprocessableEntity)
	var src, beat, signed intake.Source
	list, _ := h.Sources.List(ctx)
	for _, s := range list {
		switch s.Kind {
		case intake.Generic:
			src = s
		case intake.Heartbeat:
			beat = s
		case intake.Grafana:
			signed = s
		}
		if body := ana.get("/sources/" + s.ID).want(http.StatusOK).body; !strings.Contains(body, "KEY") {
			t.Errorf("%s: no configuration", s.Kind)
		}
	}
	// A mapping is tried, refused with its place, saved, used, undone.
	path := "/sources/" + src.ID + "/mapping"
	sample := `{"alerts":[{"uid":7,"text":"slow"},{"uid":8,"text":"slower"}]}`
	a := ana.form(path+"/try", "sample", sample, "list", "body.alerts", "f_key", "string(uid)", "f_title", `"Node: " + text`).want(http.StatusOK)
	if !strings.Contains(a.body, "Node: slow") || !strings.Contains(a.body, "and 1 more signal") {
		t.Errorf("%s", head(a.body))
	}
	part := h.ana()
	part.header.Set("X-Tocsin-Part", "mapping-result")
	if a := part.form(path+"/try", "sample", sample, "f_key", "uid +"); strings.Contains(a.body, "<html") || !strings.Contains(a.body, "key, line 1, column") {
		t.Errorf("%s", a.body)
	}
	a = ana.form(path, "sample", sample, "f_key", "uid +").want(http.StatusUnprocessableEntity)
	if !strings.Contains(a.body, "The mapping is not saved.") || !strings.Contains(a.body, `value="uid +"`) {
		t.Errorf("%s", head(a.body))
	}
	ana.form(path, "sample", sample, "list", "body.alerts", "f_key", "string(uid)", "f_title", `"Node: " + text`).want(http.StatusSeeOther)
	if s, _ := h.Sources.ByID(src.ID); s.Mapping == nil || s.Mapping.List != "body.alerts" {
		t.Errorf("%+v", s.Mapping)
	}
	ana.form(path + "/undo").want(http.StatusSeeOther)
	ana.form(path + "/undo").want(http.StatusUnprocessableEntity)
	ana.form("/sources/"+beat.ID+"/pace", "every", "5m", "grace", "1m", "severity", "SEV2").want(http.StatusSeeOther)
	if s, _ := h.Sources.ByID(beat.ID); s.Pace != (heartbeat.Pace{Every: 300_000, Grace: 60_000, Severity: "SEV2"}) {
		t.Errorf("%+v", s.Pace)
	}
	ana.form("/sources/"+signed.ID+"/secret", "secret", "short").want(http.StatusUnprocessableEntity)
	ana.form("/sources/"+signed.ID+"/secret", "secret", "long-enough-for-everybody").want(http.StatusSeeOther)
	if body := ana.get("/sources/" + signed.ID).body; !strings.Contains(body, "Only deliveries with the right HMAC signature") || strings.Contains(body, "long-enough") {
		t.Error("the secret's part of the page")
	}
	ana.get("/sources/nothing").want(http.StatusNotFound)
}

func TestWaysInOfEveryKind(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	key := map[string]string{}
	for _, kind := range intake.Kinds {
		var err error
		if _, key[kind], err = h.Sources.Create(ctx, h.admin.String(), intake.Order{Name: kind, Kind: kind, Pace: heartbeat.Pace{Every: 60_000}}); err != nil {
			t.Fatal(err)
		}
	}
	n := h.nobody()
	n.get("/api/v1/intake/heartbeat/" + key[intake.Heartbeat]).want(http.StatusAccepted)
	n.do("POST", "/api/v1/intake/heartbeat/"+key[intake.Heartbeat], "", nil).want(http.StatusAccepted)
	n.do("POST", "/api/v1/intake/heartbeat/"+key[intake.Heartbeat], "application/json", strings.NewReader(`{"state":"failing","reason":"disk"}`)).want(http.StatusAccepted)
	n.get("/api/v1/intake/heartbeat/" + strings.Repeat("x", 32)).want(http.StatusUnauthorized)
	var beats pulsesAnswer
	h.ana().get("/api/v1/heartbeats").want(http.StatusOK).into(&beats)
	if len(beats.Heartbeats) != 1 || beats.Heartbeats[0].State != "failing" || beats.Heartbeats[0].Reason != "disk" {
		t.Errorf("%+v", beats)
	}
	if body := h.ana().get("/sources").body; !strings.Contains(body, "FAILING") {
		t.Error("the list of sources does not say that a heartbeat fails")
	}
	bearer := h.nobody()
	bearer.header.Set("Authorization", "Bearer "+key[intake.CloudEvents])
	bearer.do("POST", "/api/v1/intake/cloudevents", "application/cloudevents+json", strings.NewReader(`{"specversion":"1.0","id":"1","source":"s","type":"t"}`)).want(http.StatusAccepted)
	bearer.do("POST", "/api/v1/intake/cloudevents", "application/json", strings.NewReader(`{}`)).want(http.StatusUnsupportedMediaType)
	n.do("POST", "/api/v1/intake/cloudevents", "application/json", strings.NewReader(`{}`)).want(http.StatusUnauthorized)
	hook := h.nobody()
	hook.header.Set("WebHook-Request-Origin", "sender.example")
	hook.header.Set("WebHook-Request-Rate", "120")
	a := hook.do("OPTIONS", "/api/v1/intake/cloudevents/"+key[intake.CloudEvents], "", nil).want(http.StatusOK)
	if a.header.Get("WebHook-Allowed-Origin") != "sender.example" || a.header.Get("WebHook-Allowed-Rate") != fmt.Sprint(intake.AllowedRate) || !strings.Contains(a.header.Get("Allow"), "POST") {
		t.Errorf("%v", a.header)
	}
	if a := hook.do("OPTIONS", "/api/v1/intake/cloudevents/"+strings.Repeat("x", 32), "", nil); a.header.Get("WebHook-Allowed-Origin") != "" {
		t.Error("a handshake without a key")
	}
	n.do("POST", "/v2/change/enqueue", "application/json", strings.NewReader(`{"routing_key":"`+key[intake.PagerDuty]+`","payload":{"summary":"deployed"}}`)).want(http.StatusAccepted)
	n.do("POST", "/api/v1/intake/grafana/"+key[intake.Grafana], "application/json", strings.NewReader(`{"alerts":[]}`)).want(http.StatusAccepted)
}
