package web

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/oncall"
)

// duty gives one on-call command.
func (v *visitor) duty(name string, args any) *answer {
	v.h.t.Helper()
	return v.json("POST", "/api/v1/oncall/commands", map[string]any{"command": name, "args": args})
}

// schedule makes one in which ana and rita take turns of a day, from yesterday on.
func (h *house) schedule() (id string) {
	h.t.Helper()
	start := time.UnixMilli(h.millis()).UTC().AddDate(0, 0, -1).Format("2006-01-02T15:04")
	h.ana().duty("create_schedule", map[string]any{"name": "Primary", "zone": "UTC", "layers": []any{
		map[string]any{"people": []string{"ana", "rita"}, "start": start, "unit": "day", "every": 1}}}).want(http.StatusOK)
	return h.OnCall.Settings().Schedules[0].ID
}

func parsed[T any](a *answer) (out T) {
	a.t.Helper()
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		a.t.Fatalf("%s: %v\n%s", a.what, err, head(a.body))
	}
	return out
}

func TestOnCallAPI(t *testing.T) {
	h := newHouse(t)
	ana, rita := h.ana(), h.member("rita", auth.RoleResponder, "")
	if now := parsed[onCallNowAnswer](rita.get("/api/v1/oncall/now").want(200)); len(now.Schedules) != 0 || strings.Join(now.Everybody, " ") != "ana rita" || now.Says == "" {
		t.Errorf("fresh: %+v", now)
	}
	id := h.schedule()
	now := parsed[onCallNowAnswer](rita.get("/api/v1/oncall/now").want(200))
	if len(now.Schedules) != 1 || now.Schedules[0].Duty.Person != "rita" || now.Schedules[0].Next.Person != "ana" || now.Schedules[0].Duty.Why == "" {
		t.Errorf("%+v", now)
	}
	shifts := parsed[shiftsAnswer](rita.get("/api/v1/oncall/schedules/" + id + "/shifts?from=2030-01-01T00:00&until=2030-01-03T00:00:00Z").want(200))
	if len(shifts.Shifts) < 2 || shifts.Shifts[0].Until != shifts.Shifts[1].From {
		t.Errorf("%+v", shifts)
	}
	if holes := parsed[shiftsAnswer](rita.get("/api/v1/oncall/schedules/" + id + "/holes").want(200)); len(holes.Shifts) != 0 {
		t.Errorf("%+v", holes)
	}
	rita.get("/api/v1/oncall/schedules/nothing/shifts").want(404)
	rita.get("/api/v1/oncall/schedules/" + id + "/shifts?from=2030-01-01T00:00&until=2032-01-01T00:00").want(422)
	rita.get("/api/v1/oncall/schedules/" + id + "/shifts?from=yesterday").want(422).problem("bad_time")

	// The same id, the same answer.
	body := map[string]any{"id": uuid.NewString(), "command": "create_team", "args": map[string]any{"name": "Front line", "members": []string{"rita"}, "tier": 1, "schedule": id}}
	first := ana.json("POST", "/api/v1/oncall/commands", body).want(200)
	if again := ana.json("POST", "/api/v1/oncall/commands", body).want(200); again.body != first.body {
		t.Errorf("%s then %s", first.body, again.body)
	}
	all := parsed[onCallAnswer](rita.get("/api/v1/oncall").want(200))
	if len(all.Teams) != 1 || len(all.Schedules) != 1 || len(all.Changes) != 2 || all.Changes[0].Type != "oncall.team_created" || len(all.Warnings) == 0 {
		t.Errorf("%+v", all)
	}
	// A responder has their own turns, and nothing else.
	rita.duty("remove_team", map[string]any{"team": all.Teams[0].ID}).want(403).problem("not_yours")
	in := func(h int) string { return time.Now().Add(time.Duration(h) * time.Hour).UTC().Format(time.RFC3339) }
	rita.duty("add_override", map[string]any{"schedule": id, "person": "ana", "from": in(30), "until": in(31)}).want(403).problem("not_yours")
	rita.duty("add_override", map[string]any{"schedule": id, "person": "rita", "from": in(30), "until": in(31)}).want(200).has("put rita on call")
	rita.duty("offer_swap", map[string]any{"schedule": id, "turn": in(1), "person": "ana", "return": in(20)}).want(200, 422)
	ana.duty("undo", map[string]any{"event": all.Changes[0].Event}).want(200).has("took back")
	ana.duty("undo", map[string]any{"event": all.Changes[0].Event}).want(409)
	ana.duty("fly", nil).want(422).problem("unknown_command")
	ana.duty("create_team", map[string]any{"name": "x", "colour": "red"}).want(422).has("colour")
	// A program may do what its role may.
	robot, _ := h.token(auth.RoleAdministrator, "")
	robot.duty("create_team", map[string]any{"name": "By a robot"}).want(200)
}

// TestCalendarFeed: the address is the key; it is shown once, it can be revoked, and it ends with its owner.
func TestCalendarFeed(t *testing.T) {
	h := newHouse(t)
	ana, rita := h.ana(), h.member("rita", auth.RoleResponder, "")
	id := h.schedule()
	mine := parsed[feedDoc](rita.json("POST", "/api/v1/oncall/feeds", feedRequest{Kind: "person", Subject: "ana"}).want(201))
	all := parsed[feedDoc](rita.json("POST", "/api/v1/oncall/feeds", feedRequest{Kind: "schedule", Subject: id}).want(201))
	if mine.Subject != "rita" || mine.URL == "" { // always oneself
		t.Fatalf("%+v", mine)
	}
	path := func(d feedDoc) string { return d.URL[strings.Index(d.URL, "/calendar/"):] }
	nobody := h.nobody()
	a := nobody.get(path(mine)).want(200).has("BEGIN:VCALENDAR", "METHOD:PUBLISH", "SUMMARY:On call: Primary", "BEGIN:VALARM")
	if kind := a.header.Get("Content-Type"); kind != "text/calendar; charset=utf-8" || strings.Contains(a.body, "ana") {
		t.Errorf("%s\n%s", kind, head(a.body))
	}
	nobody.get(path(all)).want(200).has("SUMMARY:ana: Primary", "SUMMARY:rita: Primary")
	again := h.nobody()
	again.header.Set("If-None-Match", a.header.Get("ETag"))
	if got := again.get(path(mine)).want(304); got.body != "" {
		t.Error(got.body)
	}
	for _, bad := range []string{"/calendar/nothing.ics", strings.TrimSuffix(path(mine), ".ics"), strings.Replace(path(mine), ".ics", "x.ics", 1)} {
		nobody.get(bad).want(404)
	}
	// The list shows what there is, without the addresses; another's is not mine to end.
	list := rita.get("/api/v1/oncall/feeds").want(200)
	if strings.Contains(list.body, "/calendar/") || len(parsed[feedsAnswer](list).Feeds) != 2 {
		t.Error(list.body)
	}
	tom := h.member("tom", auth.RoleResponder, "")
	if len(parsed[feedsAnswer](tom.get("/api/v1/oncall/feeds").want(200)).Feeds) != 0 {
		t.Error("tom sees calendars of rita")
	}
	tom.json("POST", "/api/v1/oncall/feeds/"+mine.ID+"/revoke", struct{}{}).want(404)
	rita.json("POST", "/api/v1/oncall/feeds/"+mine.ID+"/revoke", struct{}{}).want(200)
	nobody.get(path(mine)).want(404)
	nobody.get(path(all)).want(200)
	ana.post("/people/rita/disable").want(http.StatusSeeOther)
	nobody.get(path(all)).want(404)
	robot, _ := h.token(auth.RoleAdministrator, "")
	robot.json("POST", "/api/v1/oncall/feeds", feedRequest{Kind: "schedule", Subject: id}).want(403)
	if strings.Contains(h.slog.String(), strings.TrimSuffix(strings.TrimPrefix(path(all), "/calendar/"), ".ics")) {
		t.Error("the operator's log holds the address of a calendar")
	}
}

func TestCalendarImport(t *testing.T) {
	h := newHouse(t)
	ana := h.ana()
	h.member("rita", auth.RoleResponder, "")
	id := h.schedule()
	day := func(n int) string { return time.Now().UTC().AddDate(0, 0, n).Format("20060102") }
	event := func(uid, who string, from, until int) string {
		return "BEGIN:VEVENT\r\nUID:" + uid + "\r\nSUMMARY:" + who + "\r\nDTSTART:" + day(from) + "T090000Z\r\nDTEND:" + day(until) + "T090000Z\r\nEND:VEVENT\r\n"
	}
	file := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n" + event("1", "Person rita", 2, 3) + event("2", "ana", 3, 4) + event("3", "J. Doe", 4, 5) + "END:VCALENDAR\r\n"
	in := importRequest{Schedule: id, ICS: file}
	p := parsed[importAnswer](ana.json("POST", "/api/v1/oncall/import/preview", in).want(200))
	if len(p.Add) != 2 || p.Add[0].Person != "rita" || len(p.Refused) != 1 || strings.Join(p.Unmatched, "") != "J. Doe" {
		t.Errorf("%+v", p)
	}
	if len(h.OnCall.Settings().Schedules[0].Overrides) != 0 {
		t.Error("the preview changed something")
	}
	in.ID, in.People = uuid.NewString(), map[string]string{"J. Doe": "ana"}
	first := ana.json("POST", "/api/v1/oncall/import/apply", in).want(200).has("added 3 overrides")
	if again := ana.json("POST", "/api/v1/oncall/import/apply", in).want(200); again.body != first.body || len(h.OnCall.Settings().Schedules[0].Overrides) != 3 {
		t.Errorf("%s then %s", first.body, again.body)
	}
	in.ID, in.As = "", "layer"
	ana.json("POST", "/api/v1/oncall/import/apply", in).want(200).has("added a layer")
	ana.json("POST", "/api/v1/oncall/import/preview", importRequest{Schedule: id, ICS: "Dear all"}).want(422).problem("unreadable")
	ana.json("POST", "/api/v1/oncall/import/preview", importRequest{Schedule: "nothing", ICS: file}).want(404)
	ana.json("POST", "/api/v1/oncall/import/apply", importRequest{Schedule: id, ICS: strings.ReplaceAll(file, "SUMMARY:", "SUMMARY:X")}).want(422).problem("nothing_to_import")
}

// TestOnCallCommandsAreDescribed: the operator's manual names every command that the API takes.
func TestOnCallCommandsAreDescribed(t *testing.T) {
	manual, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(manual), ". On-call\n")
	if !ok {
		t.Fatal("there is no section on on-call")
	}
	words := strings.FieldsFunc(section, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') })
	for _, name := range oncall.Names() {
		if !slices.Contains(words, name) {
			t.Errorf("docs/operations.md does not name %s", name)
		}
	}
}
