package web

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/oncall"
)

// lands follows the redirect of a form.
func (v *visitor) lands(a *answer) *answer {
	v.h.t.Helper()
	a.want(http.StatusSeeOther)
	to, _, _ := strings.Cut(a.header.Get("Location"), "#")
	return v.get(to).want(http.StatusOK)
}

var didIn = regexp.MustCompile(`name="event" value="([^"]+)"`)

// undo presses the button of the bar on a page.
func (v *visitor) undo(a *answer, back string) *answer {
	v.h.t.Helper()
	m := didIn.FindStringSubmatch(a.body)
	if m == nil {
		v.h.t.Fatalf("%s offers no undo", a.what)
	}
	return v.lands(v.post("/oncall/undo", "event", m[1], "back", back))
}

func fieldOf(ms int64) string { return time.UnixMilli(ms).UTC().Format(fieldTime) }

// TestOnCallByForms goes through everything that a person sets, without scripts, and takes each back.
func TestOnCallByForms(t *testing.T) {
	h := newHouse(t)
	ana, rita := h.ana(), h.member("rita", auth.RoleResponder, "")
	ana.get("/oncall").want(200).has("No team yet", "There is no schedule yet")

	page := ana.lands(ana.post("/oncall/schedules", "name", "Primary", "zone", "Europe/Zurich"))
	page.has("You created schedule Primary", "None yet. A layer is one rotation", "nobody")
	sched := h.OnCall.Settings().Schedules[0].ID
	at := "/oncall/schedules/" + sched

	// A layer, which fills the hole.
	page = ana.lands(ana.post(at+"/layer", "name", "Weeks", "start", "2026-01-05T09:00", "unit", "week", "every", "1", "person", "ana", "person", "rita", "person", "", "back", at))
	page.has("Undo", "a week each", "week ")
	if n := strings.Count(page.body, `class="week-row"`); n < 4 {
		t.Errorf("%d rows are drawn", n)
	}
	ana.undo(page, at).has("None yet. A layer is one rotation")
	ana.post(at+"/layer", "name", "Weeks", "start", "2026-01-05T09:00", "unit", "week", "every", "1", "person", "ana", "person", "rita").want(http.StatusSeeOther)
	ana.post(at+"/layer", "name", "Half", "start", "soon", "unit", "week", "every", "1", "person", "ana").want(422).has("soon")

	// An override in two clicks: the shift, then the person.
	now := h.millis()
	link := regexp.MustCompile(`href="(` + regexp.QuoteMeta(at) + `\?from=\d+&amp;until=\d+)#pick"`).FindStringSubmatch(ana.get(at).body)
	if link == nil {
		t.Fatal("no shift can be clicked")
	}
	picked := ana.get(strings.ReplaceAll(link[1], "&amp;", "&")).want(200)
	picked.has(`id="pick"`, "who is on call instead?", `name="person" value="rita"`)
	page = ana.lands(ana.post(at+"/override", "person", "rita", "from", fieldOf(now+3_600_000), "until", fieldOf(now+7_200_000), "zone", "UTC", "note", "<b>swap</b>", "back", at+"?utc=1"))
	page.has("Overrides", "&lt;b&gt;swap&lt;/b&gt;", "Days in Europe/Zurich")
	ana.undo(page, at).hasNot("&lt;b&gt;swap")
	ana.post(at+"/override", "person", "?", "from", fieldOf(now), "until", fieldOf(now+1000), "zone", "UTC").want(422).has("Press the name")
	ana.post(at+"/override", "person", "rita", "from", fieldOf(now+7_200_000), "until", fieldOf(now+3_600_000), "zone", "UTC").want(422)

	// Nobody on call is a hole, said in words, with the way to fill it.
	ana.post(at+"/override", "person", "", "from", fieldOf(now+3_600_000), "until", fieldOf(now+7_200_000), "zone", "UTC").want(http.StatusSeeOther)
	ana.get("/oncall").has("Not covered in the next 30 days", "nobody from", "Override this time", "Put somebody there")
	ana.get(at).has("gap-word")
	ana.get(at+"?week=2026-10-19").has("clocks go back 03:00 → 02:00", "Today")
	over := regexp.MustCompile(`name="override" value="([^"]+)"`).FindStringSubmatch(ana.get(at).body)
	ana.lands(ana.post(at+"/override/remove", "override", over[1], "back", at))

	// Swap: who is on call asks the other one, who says yes.
	onCall, other := ana, rita
	turn := h.OnCall.Settings().Schedules[0].At(now, mustZone(t, h, "Europe/Zurich"))
	if turn.Person == "rita" {
		onCall, other = rita, ana
	}
	asked := map[bool]string{true: "ana", false: "rita"}[other == ana]
	onCall.post(at+"/swap", "with", asked+"|", "turn", time.UnixMilli(now).UTC().Format(time.RFC3339)).want(http.StatusSeeOther)
	other.get("/oncall").has("asks you to take Primary", "I take it")
	id := h.OnCall.Settings().Swaps[0].ID
	h.member("tom", auth.RoleResponder, "").post("/oncall/swaps/accept", "swap", id).want(403) // by the week it is ana who asks, and who sets schedules may say yes for others
	other.lands(other.post("/oncall/swaps/accept", "swap", id))
	if d := h.OnCall.Settings().Schedules[0].At(h.millis(), mustZone(t, h, "Europe/Zurich")); d.Person != asked {
		t.Errorf("after the swap %q is on call", d.Person)
	}
	ana.post("/oncall/swaps/steal", "swap", id).want(404)

	// The note for whoever comes next.
	until := h.OnCall.Settings().Schedules[0].At(h.millis(), mustZone(t, h, "Europe/Zurich")).Until
	ana.lands(ana.post(at+"/hand-over", "at", time.UnixMilli(until).UTC().Format(time.RFC3339), "text", "The node resyncs.", "back", at)).has("The node resyncs.")

	// A team, and what it becomes.
	ana.lands(ana.post("/oncall/teams", "name", "Front line", "tier", "1")).has("Front line", "nobody is in this team")
	team := h.OnCall.Settings().Teams[0].ID
	ana.lands(ana.post("/oncall/teams/save", "team", team, "name", "Front line", "tier", "1", "skill", "front-line", "schedule", sched, "policy", "", "member", "ana", "member", "rita")).has("tier 1, front-line", "swapped turn")
	ana.post("/oncall/schedules/" + sched + "/remove").want(409).has("Front line")

	// Calendars: shown once, revoked.
	made := ana.post(at+"/feed", "back", at).want(200).has("Google Calendar may lag by up to 24 hours", "/calendar/")
	feed := regexp.MustCompile(`/calendar/[^<"\s]+\.ics`).FindString(made.body)
	h.nobody().get(feed).want(200).has("BEGIN:VCALENDAR")
	ana.get(at).want(200).hasNot(feed)
	one := regexp.MustCompile(`name="feed" value="([^"]+)"`).FindStringSubmatch(ana.get(at).body)
	rita.post(at+"/feed/revoke", "feed", one[1]).want(404)
	ana.lands(ana.post(at+"/feed/revoke", "feed", one[1], "back", at)).has("Revoked")
	h.nobody().get(feed).want(404)
}

func mustZone(t *testing.T, h *house, name string) *time.Location {
	t.Helper()
	z, err := h.OnCall.Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// upload sends a form with one file.
func (v *visitor) upload(path, name, content string, pairs ...string) *answer {
	v.h.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_ = w.WriteField("_csrf", v.csrf)
	for i := 0; i < len(pairs); i += 2 {
		_ = w.WriteField(pairs[i], pairs[i+1])
	}
	f, err := w.CreateFormFile("file", name)
	if err != nil {
		v.h.t.Fatal(err)
	}
	_, _ = f.Write([]byte(content))
	_ = w.Close()
	return v.do("POST", path, w.FormDataContentType(), &b)
}

// TestImportIsLookedAtFirst: a calendar file changes nothing before somebody says so.
func TestImportIsLookedAtFirst(t *testing.T) {
	h := newHouse(t)
	ana := h.ana()
	h.member("rita", auth.RoleResponder, "")
	at := "/oncall/schedules/" + h.schedule()
	day := time.UnixMilli(h.millis()).UTC().AddDate(0, 0, 3)
	ics := strings.ReplaceAll(fmt.Sprintf(`BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//x//EN
BEGIN:VEVENT
UID:1@x
DTSTAMP:%[1]sT000000Z
DTSTART:%[1]sT080000Z
DTEND:%[1]sT180000Z
SUMMARY:rita
END:VEVENT
BEGIN:VEVENT
UID:2@x
DTSTAMP:%[1]sT000000Z
DTSTART:%[1]sT080000Z
DTEND:%[1]sT180000Z
SUMMARY:Team lunch <script>
END:VEVENT
END:VCALENDAR
`, day.Format("20060102")), "\n", "\r\n")
	ana.upload(at+"/import", "x.ics", ics, "back", at).want(200).has("1 override from x.ics: nothing is changed yet", "Left out", "Team lunch &lt;script&gt;", "Take 1 override")
	if n := len(h.OnCall.Settings().Schedules[0].Overrides); n != 0 {
		t.Fatalf("looking made %d overrides", n)
	}
	ana.lands(ana.post(at+"/import/take", "text", ics, "back", at)).has("Overrides", "Undo")
	if n := len(h.OnCall.Settings().Schedules[0].Overrides); n != 1 {
		t.Fatalf("%d overrides", n)
	}
	ana.upload(at+"/import", "x.ics", "no calendar", "back", at).want(422).has("cannot be read")
	ana.post(at+"/import", "back", at).want(422).has("Choose a calendar file")
	ana.upload(at+"/import", "x.ics", strings.Repeat("x", mostCalendar+1)).want(413)
}

// TestTriage: queues, claiming, handing on with a note, without scripts.
func TestTriage(t *testing.T) {
	h := newHouse(t)
	ana, rita := h.ana(), h.member("rita", auth.RoleResponder, "")
	ana.get("/queues").want(200).has("No team has a queue")
	n := h.declare(incident.Declare{Title: "Withdrawals <wait>", Severity: "SEV2"})
	ana.post("/oncall/teams", "name", "Front line", "tier", "1").want(http.StatusSeeOther)
	ana.post("/oncall/teams", "name", "Protocol", "tier", "2").want(http.StatusSeeOther)
	set := h.OnCall.Settings()
	rita.get("/queues").has("In no queue", "Withdrawals &lt;wait&gt;", "unclaimed", "Nothing waits here.")
	pol := set.PolicyOf(set.Teams[0])
	h.internal(n, incident.Route{Team: set.Teams[0].ID, TeamName: "Front line", Tier: 1, Policy: &pol, Why: "no rule fits"})
	rita.get("/queues").hasNot("In no queue").has(fmt.Sprintf(`id="item-%d"`, n), "nobody has it")
	rita.command(n, "claim", nil).want(200)
	h.settle()
	rita.get("/queues").has("claimed by")
	rita.get(fmt.Sprintf("/queues?hand=%d", n)).has(`action="/queues/` + itoa(n) + `/hand-on"`)
	rita.post(fmt.Sprintf("/queues/%d/hand-on", n), "team", set.Teams[1].ID, "note", " ").want(422).has("Write a sentence")
	rita.lands(rita.post(fmt.Sprintf("/queues/%d/hand-on", n), "team", set.Teams[1].ID, "note", "It is the <pruner>.")).has("goes to Protocol, with your note")
	rita.post("/queues/4711/hand-on", "team", set.Teams[1].ID, "note", "x").want(404)
	// The room says it too, for everybody alike.
	rita.get(fmt.Sprintf("/incidents/%d", n)).has(`id="paging"`)
}

// internal gives a command that only the program gives.
func (h *house) internal(n int64, c incident.Command) {
	h.t.Helper()
	m := h.meta()
	m.Actor = "system:pager"
	if _, err := h.Rooms.Do(h.t.(*testing.T).Context(), n, c, m); err != nil {
		h.t.Fatal(err)
	}
	h.settle()
}

// TestHeldInRoomAndOnBoard: who has an incident stands in the strip, in its row and on the wall, and what nobody has is in abnormal ink.
func TestHeldInRoomAndOnBoard(t *testing.T) {
	h := newHouse(t)
	ana, rita := h.ana(), h.member("rita", auth.RoleResponder, "")
	n := h.declare(incident.Declare{Title: "Outflow", Severity: "SEV1"})
	room, board := fmt.Sprintf("/incidents/%d", n), "/"
	rita.get(room).has("Nobody was paged.")
	p := oncall.Default()
	h.internal(n, incident.Route{Team: oncall.Everybody, TeamName: "Everybody", Tier: 1, Policy: &p, Why: "no team takes incidents"})
	h.internal(n, incident.PageStep{Turn: escalation.Turn{Epoch: 1, Round: 1, Step: 1, People: []escalation.Callee{{Page: escalation.PageID(n, 1, 1, 1, "rita"), Person: "rita", Why: "everybody"}}}})
	wall, _ := h.wall()
	for _, page := range []*answer{rita.get(room), rita.get(board), wall.get("/wall"), rita.get("/queues")} {
		page.want(200).has(`class="nobody"`, "nobody has it")
	}
	ana.get(room).has("Step 1 of 1", "I have it", "Not me", "Page somebody", "Snooze 30 m", "no answer yet")
	rita.command(n, "acknowledge", nil).want(200)
	h.settle()
	for _, page := range []*answer{ana.get(room), ana.get(board), wall.get("/wall"), ana.get("/queues")} {
		page.want(200).has("has it").hasNot(`class="nobody"`)
	}
	ana.get(room).has("has it", "Paging stopped at step 1 of 1")
	ana.command(n, "page", map[string]any{"person": "@rita"}).want(200)
	ana.command(n, "page", map[string]any{"person": "@nobody-here"}).want(422).has("Nobody here has the handle")
	ana.command(n, "reassign", map[string]any{"person": "me"}).want(200)
}

// TestOnCallIsForThoseWhoMay: outsiders are turned away, responders only look and swap, forged forms change nothing.
func TestOnCallIsForThoseWhoMay(t *testing.T) {
	h := newHouse(t)
	ana, rita := h.ana(), h.member("rita", auth.RoleResponder, "")
	sched := h.schedule()
	sam := h.member("sam", auth.RoleStakeholder, "clients")
	for _, path := range []string{"/oncall", "/oncall/schedules/" + sched, "/oncall/policies", "/queues"} {
		h.nobody().get(path).want(http.StatusSeeOther)
		sam.get(path).want(403)
		rita.get(path).want(200)
	}
	rita.get("/oncall").hasNot("New schedule", "New team")
	rita.get("/oncall/schedules/"+sched).hasNot("Add a layer", "Remove the schedule")
	for _, path := range []string{"/oncall/teams", "/oncall/schedules", "/oncall/schedules/" + sched + "/layer", "/oncall/policies", "/oncall/rules"} {
		rita.post(path, "name", "Mine", "zone", "UTC").want(403)
	}
	before := h.OnCall.Settings().Seq
	forger := *ana
	forger.csrf = "wrong"
	for _, path := range []string{"/oncall/teams", "/oncall/schedules", "/oncall/undo", "/oncall/schedules/" + sched + "/override", "/oncall/policies", "/oncall/rules", "/oncall/swaps/accept"} {
		forger.post(path, "name", "Forged", "zone", "UTC").want(403)
	}
	if h.OnCall.Settings().Seq != before {
		t.Error("a forged form changed the settings")
	}
	// A form leads back only to a page of on-call.
	a := ana.post("/oncall/schedules/"+sched+"/save", "name", "Second", "zone", "UTC", "back", "https://evil.example/oncall")
	if to := a.want(http.StatusSeeOther).header.Get("Location"); !strings.HasPrefix(to, "/oncall/schedules/"+sched) {
		t.Errorf("it leads to %s", to)
	}
	a = ana.post("/oncall/schedules/"+sched+"/save", "name", "Third", "zone", "UTC", "back", "/oncall/../../evil")
	if to := a.want(http.StatusSeeOther).header.Get("Location"); !strings.HasPrefix(to, "/oncall") {
		t.Errorf("it leads to %s", to)
	}
}
