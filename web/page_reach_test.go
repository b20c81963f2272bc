package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/notify"
)

// hollow is a sender that nothing is handed to here.
type hollow struct{ notify.Sender }

func (hollow) Kind() string { return notify.Email }

func withMail(o *Options) {
	db := o.Notify.DB
	o.Notify = notify.New(notify.Options{DB: db, Clock: o.Clock, PushKey: "BGpublic", Senders: []notify.Sender{hollow{}}, Off: map[string]string{notify.SMS: "An administrator sets notify.sms.url."}})
}

func TestMyRoutes(t *testing.T) {
	h := newHouse(t, withMail)
	ana := h.ana()
	page := ana.get("/me/notifications")
	for _, text := range []string{"No route is set up: only a desktop program of yours that is open can show you a page.", `href="#add-h"`, "An administrator sets notify.sms.url.", `data-key="BGpublic"`} {
		if !strings.Contains(page.body, text) {
			t.Errorf("no %q in the page", text)
		}
	}
	add := ana.json(http.MethodPost, "/api/v1/me/routes", json.RawMessage(`{"kind":"email","address":"ana@example.org"}`))
	var made routeAnswer
	if err := json.Unmarshal([]byte(add.body), &made); err != nil || add.status != 201 || made.ID == "" {
		t.Fatal(add.status, add.body, err)
	}
	for body, want := range map[string]string{`{"kind":"email","address":"nobody"}`: "This is no e-mail address", `{"kind":"sms","address":"+41791234567"}`: "notify.sms.url", `{"kind":"email","address":"ana@example.org"}`: "on your list already"} {
		if a := ana.json(http.MethodPost, "/api/v1/me/routes", json.RawMessage(body)); a.status != 422 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	page = ana.get("/me/notifications")
	if !strings.Contains(page.body, "ana@example.org") || !strings.Contains(page.body, "No route is confirmed: until one is, only a desktop program of yours that is open can show you a page.") || !strings.Contains(page.body, "Send code") {
		t.Error("the new route is not shown as not confirmed")
	}
	// Nobody else sees or touches it, an administrator included.
	for _, v := range []*visitor{h.member("rita", auth.RoleResponder, "")} {
		if a := v.get("/me/notifications"); strings.Contains(a.body, "ana@example.org") {
			t.Error("somebody else's address is shown")
		}
		if a := v.json(http.MethodPost, "/api/v1/me/routes/"+made.ID+"/remove", json.RawMessage(`{}`)); a.status != 422 {
			t.Errorf("somebody else's route was removed: %d", a.status)
		}
	}
	robot, _ := h.token(auth.RoleAdministrator, "")
	if a := robot.get("/api/v1/me/routes"); a.status != http.StatusForbidden {
		t.Errorf("a token has routes: %d", a.status)
	}
	for path, body := range map[string]string{"/set": `{"label":"mail","after_minutes":2,"floor":"SEV2","quiet_from":"22:00","quiet_to":"07:00","quiet_zone":"Europe/Zurich"}`, "/test": `{}`} {
		if a := ana.json(http.MethodPost, "/api/v1/me/routes/"+made.ID+path, json.RawMessage(body)); a.status != 200 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := ana.json(http.MethodPost, "/api/v1/me/routes/"+made.ID+"/confirm", json.RawMessage(`{"code":"12"}`)); a.status != 422 || !strings.Contains(a.body, "not the code") {
		t.Errorf("%d %s", a.status, a.body)
	}
	page = ana.get("/me/notifications")
	if !strings.Contains(page.body, "quiet") || strings.Contains(page.body, `data-route-code hidden`) {
		t.Error("the settings or the field for the code are not shown")
	}
	if a := ana.post("/me/notifications/" + made.ID + "/remove"); a.status != 303 || !strings.Contains(a.header.Get("Location"), "removed="+made.ID) {
		t.Errorf("%d %v", a.status, a.header)
	}
	page = ana.get("/me/notifications?removed=" + made.ID)
	if !strings.Contains(page.body, "The route is removed.") || strings.Contains(page.body, "ana@example.org") {
		t.Error("no way back after a removal")
	}
	if a := ana.post("/me/notifications/" + made.ID + "/restore"); a.status != 303 {
		t.Errorf("restore: %d", a.status)
	}
	if a := ana.get("/me/notifications"); !strings.Contains(a.body, "ana@example.org") {
		t.Error("it did not come back")
	}
}

// Links to inside a network are for administrators only; what a person adds is judged again when it is dialled.
func TestOnlyAdministratorsReachInside(t *testing.T) {
	h := newHouse(t, func(o *Options) {
		o.Notify = notify.New(notify.Options{DB: o.Notify.DB, Clock: o.Clock, Senders: []notify.Sender{hook{}}})
	})
	body := `{"kind":"webhook","address":"http://10.0.0.7/hook"}`
	if a := h.member("rita", auth.RoleResponder, "").json(http.MethodPost, "/api/v1/me/routes", json.RawMessage(body)); a.status != 422 {
		t.Errorf("a responder: %d %s", a.status, a.body)
	}
	a := h.ana().json(http.MethodPost, "/api/v1/me/routes", json.RawMessage(body))
	if a.status != 201 || !strings.Contains(a.body, `"secret":"`) {
		t.Errorf("an administrator: %d %s", a.status, a.body)
	}
}

type hook struct{ notify.Sender }

func (hook) Kind() string { return notify.Webhook }

func TestServiceWorkerComesFromTheRoot(t *testing.T) {
	h := newHouse(t)
	a := h.nobody().get("/sw.js")
	if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/javascript") || a.header.Get("Service-Worker-Allowed") != "/" || a.header.Get("Cache-Control") != "no-cache" ||
		!strings.Contains(a.body, "showNotification") {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := h.nobody().do(http.MethodPost, "/push/seen/00000000000000000000000000000000", "", strings.NewReader("")); a.status != 204 {
		t.Errorf("a token that is not known: %d", a.status)
	}
}

// TestOnCallWithoutARoute: who is on call and has no route is named, with what can still show a page, and the way to mend
// it for whoever can mend it.
func TestOnCallWithoutARoute(t *testing.T) {
	h := newHouse(t, withMail)
	ana, rita := h.ana(), h.member("rita", auth.RoleResponder, "")
	ana.post("/oncall/schedules", "name", "Primary", "zone", "UTC").want(http.StatusSeeOther)
	sched := h.OnCall.Settings().Schedules[0].ID
	ana.post("/oncall/schedules/"+sched+"/layer", "name", "Weeks", "start", "2026-01-05T09:00", "unit", "week", "every", "1", "person", "rita").want(http.StatusSeeOther)
	ana.post("/oncall/teams", "name", "Front line", "tier", "1").want(http.StatusSeeOther)
	ana.post("/oncall/teams/save", "team", h.OnCall.Settings().Teams[0].ID, "name", "Front line", "tier", "1", "schedule", sched, "policy", "", "member", "rita").want(http.StatusSeeOther)

	const desktop = ": only a desktop program that is open can show a page"
	theirs := "They add one under My account, How I am reached, and confirm it."
	own := "Add a route on your notifications page and confirm it."
	ana.get("/oncall").want(200).has("rita is on call in Primary, and no route is set up"+desktop+".", `<span class="gap-word">no route is set up`+desktop+`</span>`, theirs).hasNot(own, `href="/me/notifications"`, "reach nobody")
	rita.get("/oncall").want(200).has("and no route is set up"+desktop+".", own, `<a href="/me/notifications">Add a route</a>`, `<a class="act" href="/me/notifications">Fix it</a>`).hasNot(theirs)

	var made routeAnswer
	rita.json(http.MethodPost, "/api/v1/me/routes", map[string]any{"kind": "email", "address": "rita@example.org"}).want(201).into(&made)
	rita.get("/oncall").want(200).has("and no route is confirmed"+desktop+".", own).hasNot("no route is set up")
}
