package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// after is the page that a form which wrote something leads to, with each gap one space.
func (v *visitor) after(a *answer) string {
	v.h.t.Helper()
	return strings.Join(strings.Fields(v.get(a.want(http.StatusSeeOther).header.Get("Location")).want(http.StatusOK).body), " ")
}

func (v *visitor) rules() (list []ruleDoc, order string) {
	v.h.t.Helper()
	var all rulesAnswer
	v.get("/api/v1/grouping").want(http.StatusOK).into(&all)
	var names []string
	for _, r := range all.Rules {
		if !r.Removed {
			list, names = append(list, r), append(names, r.Name)
		}
	}
	return list, strings.Join(names, " ")
}

// TestGroupingByAProgram: what the page can do with rules, a program can.
func TestGroupingByAProgram(t *testing.T) {
	h := newHouse(t)
	robot, _ := h.token(auth.RoleResponder, "")
	const path = "/api/v1/grouping"
	var made ruleDoc
	for _, name := range []string{"a", "b", "c"} {
		robot.json("POST", path, map[string]any{"name": name, "by": []string{"chain"}, "match": map[string]any{"kinds": []string{"reorg"}}, "window": "90s"}).want(http.StatusCreated).into(&made)
		if made.ID == "" || made.Window != "1m30s" || made.What != "added" || !strings.HasPrefix(made.ChangedBy, "token:") || made.ChangedAt == "" {
			t.Errorf("%+v", made)
		}
	}
	robot.json("POST", path, map[string]any{"id": made.ID, "name": "d", "by": []string{"kind"}, "match": map[string]any{"sources": []string{"am-x"}}}).want(http.StatusOK).into(&made)
	if list, order := robot.rules(); order != "a b d" || !slices.Equal(list[2].By, []string{"kind"}) || len(list[2].Match.Kinds) != 0 || !slices.Equal(list[2].Match.Sources, []string{"am-x"}) || list[2].What != "changed" || made.What != "changed" {
		t.Errorf("%s %+v", order, list)
	}
	var described struct {
		Paths map[string]map[string]struct{ Responses map[string]any }
	}
	robot.get("/openapi.json").into(&described)
	if answers := described.Paths[path]["post"].Responses; answers["200"] == nil || answers["201"] == nil {
		t.Errorf("%v", answers)
	}
	robot.json("POST", path, map[string]any{"id": "nothing", "name": "d", "by": []string{"kind"}}).want(http.StatusNotFound).problem("not_found")
	robot.json("POST", path, map[string]any{"id": made.ID, "name": "d"}).want(http.StatusUnprocessableEntity).problem("by_missing")
	for _, step := range []struct{ act, order string }{{"up", "a d b"}, {"up", "d a b"}, {"up", "d a b"}, {"undo", "a d b"}, {"down", "a b d"}, {"remove", "a b"}, {"undo", "a b d"}, {"undo", "a b"}} {
		var all rulesAnswer
		robot.json("POST", path+"/"+made.ID+"/"+step.act, map[string]any{}).want(http.StatusOK).into(&all)
		if _, order := robot.rules(); order != step.order || len(all.Rules) != 3 {
			t.Errorf("%s: %s, want %s", step.act, order, step.order)
		}
	}
	robot.json("POST", path+"/"+made.ID+"/up", map[string]any{}).want(http.StatusNotFound).problem("not_found")
	robot.json("POST", path+"/"+made.ID+"/sideways", map[string]any{}).want(http.StatusNotFound)
	reader, _ := h.token(auth.RoleStakeholder, "clients")
	reader.json("POST", path+"/"+made.ID+"/undo", map[string]any{}).want(http.StatusForbidden)
}

// TestGroupingForm: the form shows all that a rule says, so that sending it changes only what was changed in it.
func TestGroupingForm(t *testing.T) {
	h := newHouse(t)
	ana := h.ana()
	src, _, err := h.Sources.Create(t.Context(), h.admin.String(), intake.Order{Name: "Alertmanager eu-1", Kind: intake.Alertmanager})
	if err != nil {
		t.Fatal(err)
	}
	robot, _ := h.token(auth.RoleResponder, "")
	var made ruleDoc
	robot.json("POST", "/api/v1/grouping", map[string]any{"name": "same bridge", "by": []string{"bridge"}, "window": "90s",
		"match": map[string]any{"kinds": []string{"reorg", "HeadLag"}, "sources": []string{src.ID, "gone"}, "chains": []string{"ethereum"}}}).want(http.StatusCreated).into(&made)
	body := strings.Join(strings.Fields(ana.get("/maintenance?rule="+made.ID).want(http.StatusOK).body), " ")
	for _, want := range []string{`name="kinds" type="text" value="reorg, HeadLag"`, `value="` + src.ID + `" checked`, `value="gone" checked`, `value="ethereum"`, `name="minutes" type="number" min="1" max="10080" value="1"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the form lacks %s", want)
		}
	}
	edit := func(pairs ...string) ruleDoc {
		t.Helper()
		ana.form("/grouping", append([]string{"id", made.ID, "by", "bridge", "chains", "ethereum"}, pairs...)...).want(http.StatusSeeOther)
		list, _ := ana.rules()
		return list[0]
	}
	if r := edit("name", "renamed", "kinds", "reorg, HeadLag", "source", src.ID, "source", "gone", "minutes", "1"); r.Name != "renamed" || r.Window != "1m30s" || !slices.Equal(r.Match.Kinds, []string{"reorg", "HeadLag"}) || !slices.Equal(r.Match.Sources, []string{src.ID, "gone"}) {
		t.Errorf("what was not touched is not the same: %+v", r)
	}
	if r := edit("name", "renamed", "kinds", "reorg", "minutes", "45"); r.Window != "45m0s" || !slices.Equal(r.Match.Kinds, []string{"reorg"}) || len(r.Match.Sources) != 0 {
		t.Errorf("what was taken away is there: %+v", r)
	}
	for _, minutes := range []string{"soon", "NaN", "1e300", "-5"} {
		ana.form("/grouping", "id", made.ID, "name", "x", "by", "bridge", "minutes", minutes, "source", src.ID, "kinds", "typed").want(http.StatusUnprocessableEntity).has(`value="typed"`)
	}
	if r, _ := ana.rules(); r[0].Name != "renamed" {
		t.Errorf("%+v", r)
	}
}

// crossing is an Upkeep where somebody else is quicker to change the same again than the page is to look.
type crossing struct {
	Upkeep
	then func()
}

func (x *crossing) Do(ctx context.Context, id, actor string, command any) (bool, error) {
	changed, err := x.Upkeep.Do(ctx, id, actor, command)
	if then := x.then; then != nil {
		x.then = nil
		then()
	}
	return changed, err
}

// TestChangedSinceIsNotUnchanged: what was done and changed again by somebody else at once is not called unchanged.
func TestChangedSinceIsNotUnchanged(t *testing.T) {
	x := &crossing{}
	h := newHouse(t, func(o *Options) { x.Upkeep, o.Upkeep = o.Upkeep, x })
	ana, rita := h.ana(), h.member("rita", auth.RoleResponder, "")
	for _, name := range []string{"first", "second", "third"} {
		ana.form("/grouping", "name", name, "by", "chain").want(http.StatusSeeOther)
	}
	list, _ := ana.rules()
	x.then = func() { rita.form("/grouping/" + list[2].ID + "/up").want(http.StatusSeeOther) }
	body := ana.after(ana.form("/grouping/" + list[2].ID + "/up"))
	if _, order := ana.rules(); order != "third first second" {
		t.Fatal(order)
	}
	if strings.Contains(body, "nothing was changed") || !strings.Contains(body, "It is done, and somebody else has changed the same since.") || strings.Contains(body, `class="undo"`) {
		t.Error(head(body))
	}
	if body := ana.after(ana.form("/grouping/" + list[2].ID + "/up")); !strings.Contains(body, "It is so already; nothing was changed.") {
		t.Error("a move beyond the end")
	}
	ana.form("/grouping/" + list[0].ID + "/remove").want(http.StatusSeeOther)
	body = ana.after(ana.form("/grouping/" + list[2].ID + "/down"))
	_, tried, _ := strings.Cut(body, `<ol class="lines">`)
	tried, below, _ := strings.Cut(tried, "</ol>")
	if strings.Count(tried, "<li") != 2 || strings.Contains(tried, list[0].ID) || !strings.Contains(below, `<ul class="lines" aria-label="Removed rules"> <li id="rule-`+list[0].ID) && !strings.Contains(below, `<ul class="lines" aria-label="Removed rules"><li id="rule-`+list[0].ID) {
		t.Errorf("the removed rule is numbered: %s", tried)
	}
}

// TestUndoAfterMaintenance: a change of a window or a rule ends in a bar that takes back that very change, for who made it.
func TestUndoAfterMaintenance(t *testing.T) {
	h := newHouse(t)
	ana, rita := h.ana(), h.member("rita", auth.RoleResponder, "")
	undo := func(v *visitor, body string) *answer {
		t.Helper()
		_, rest, ok := strings.Cut(body, `<div class="undo" role="status">`)
		_, to, _ := strings.Cut(rest, `action="`)
		to, _, _ = strings.Cut(to, `"`)
		_, event, _ := strings.Cut(rest, `name="event" value="`)
		event, _, _ = strings.Cut(event, `"`)
		if !ok || event == "" {
			t.Fatalf("no bar:\n%s", head(body))
		}
		return v.form(to, "event", event)
	}
	says := func(body, want string) {
		t.Helper()
		_, bar, _ := strings.Cut(body, `<div class="undo" role="status">`)
		if bar, _, _ = strings.Cut(bar, "</p>"); !strings.Contains(bar, want) {
			t.Errorf("the bar says %q, want %q", bar, want)
		}
	}
	a := ana.form("/maintenance", "name", "Upgrade", "reason", "r", "repeat", "once", "from", localTime(h.millis()-60_000), "until", localTime(h.millis()+3600_000), "components", "Bridge")
	place := a.header.Get("Location")
	body := ana.after(a)
	says(body, "You added the window “Upgrade”.")
	if strings.Contains(rita.get(place).body, `class="undo"`) {
		t.Error("another is offered to take it back")
	}
	body = ana.after(undo(ana, body))
	says(body, "You took the newest change of the window “Upgrade” back.")
	if !strings.Contains(body, "No window is active") {
		t.Error("the window is active still")
	}
	body = ana.after(undo(ana, body)) // and it stands again
	id := ""
	var windows windowsAnswer
	if ana.get("/api/v1/maintenance").into(&windows); len(windows.Windows) == 1 && windows.Windows[0].Active {
		id = windows.Windows[0].ID
	}
	body = ana.after(ana.form("/maintenance/" + id + "/stop"))
	says(body, "You stopped “Upgrade”: what is still open is placed now.")
	// What somebody else did since is not taken back.
	rita.form("/maintenance/" + id + "/undo").want(http.StatusSeeOther)
	if a := undo(ana, body).want(http.StatusConflict); !strings.Contains(a.body, "The window was changed again since.") {
		t.Error(head(a.body))
	}
	if strings.Contains(ana.get(place).body, `class="undo"`) {
		t.Error("a change that is not the newest any more is offered")
	}

	for _, name := range []string{"first", "second"} {
		body = ana.after(ana.form("/grouping", "name", name, "by", "chain"))
		says(body, "You added the rule “"+name+"”.")
	}
	list, order := ana.rules()
	if order != "first second" {
		t.Fatal(order)
	}
	if !strings.Contains(body, `<button class="act" type="submit" disabled aria-label="Up: first">`) || !strings.Contains(body, `<button class="act" type="submit" aria-label="Up: second">`) || !strings.Contains(body, `<button class="act" type="submit" disabled aria-label="Down: second">`) {
		t.Error("the buttons to move a rule")
	}
	body = ana.after(ana.form("/grouping/" + list[1].ID + "/up"))
	says(body, "You moved the rule “second” up: it is tried before “first”. It counts for signals that open from now on.")
	h.fires(signal.Observation{Key: "k", Title: "Reorg", Severity: "SEV4", Firing: true, Chain: "ethereum"})
	if g, _, _ := h.desk.Known(t.Context(), "am-x", "k"); g.Joint == nil || g.Joint.Name != "second" {
		t.Errorf("%+v", g.Joint)
	}
	body = ana.after(undo(ana, body))
	if _, order := ana.rules(); order != "first second" {
		t.Error(order)
	}
	says(ana.after(undo(ana, body)), "You took the newest change of the rule “second” back.")
	if body := ana.after(ana.form("/grouping/" + list[1].ID + "/up")); !strings.Contains(body, "It is so already; nothing was changed.") || strings.Contains(body, `class="undo"`) {
		t.Error("a move beyond the end")
	}
	place = ana.form("/grouping/" + list[1].ID + "/down").header.Get("Location")
	says(ana.get(place).body, "You moved the rule “second” down: it is tried after “first”.")
	h.late.Add(undoFor + 1000)
	if strings.Contains(ana.get(place).want(http.StatusOK).body, `class="undo"`) {
		t.Error("an old change is offered")
	}
}
