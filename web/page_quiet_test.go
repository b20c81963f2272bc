package web

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// TestNotThisOne: what a rule joined is taken off in the room, once or for ever, and both are undone.
func TestNotThisOne(t *testing.T) {
	h := newHouse(t)
	ana := h.ana()
	ana.form("/grouping", "name", "same bridge", "by", "bridge").want(http.StatusSeeOther)
	h.fires(signal.Observation{Key: "k", Title: "Outflow", Severity: "SEV4", Firing: true, Labels: map[string]string{"bridge": "nomad"}})
	g, _, _ := h.desk.Known(context.Background(), "am-x", "k")
	joined := snapshot(g)
	joined.Correlation = "Joined by the rule “same bridge”: bridge=nomad."
	n := h.declare(incident.Declare{Title: "Bridge", Signal: g.ID, Attach: []incident.Signal{joined}})
	h.settle()
	rules := func() rulesAnswer {
		var out rulesAnswer
		ana.get("/api/v1/grouping").into(&out)
		return out
	}
	attached := func() int {
		h.settle()
		st, err := h.Rooms.Load(context.Background(), n)
		if err != nil {
			t.Fatal(err)
		}
		return len(st.Signals)
	}
	body := ana.get("/incidents/1").want(http.StatusOK).body
	never, again := "/signals/"+g.ID+"/detach?never=1", "/signals/"+g.ID+"/attach?admit=1&incident=1"
	for _, want := range []string{">Not this one<", ">Never by this rule<", `data-post="` + never + `"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the room lacks %s", want)
		}
	}
	rita := h.member("rita", auth.RoleResponder, "")
	rita.command(n, "detach_signal", map[string]any{"signal": g.ID}).want(http.StatusOK)
	if attached() != 0 {
		t.Error("it is not taken off")
	}
	rita.command(n, "attach_signal", map[string]any{"signal": g.ID}).want(http.StatusOK)
	if attached() != 1 {
		t.Error("it is not attached again")
	}
	rita.json("POST", never, map[string]any{}).want(http.StatusOK)
	if r := rules(); attached() != 0 || len(r.Rules[0].Except) != 1 {
		t.Errorf("%d signals, %+v", attached(), r)
	}
	rita.json("POST", again, map[string]any{}).want(http.StatusOK)
	if r := rules(); attached() != 1 || len(r.Rules[0].Except) != 0 {
		t.Errorf("%d signals, %+v", attached(), r)
	}
	sam := h.member("sam", auth.RoleStakeholder, "clients")
	for _, path := range []string{never, again, "/signals/" + g.ID + "/declare"} {
		sam.json("POST", path, map[string]any{}).want(http.StatusForbidden)
	}
	rita.form("/signals/"+g.ID+"/attach", "incident", "77").want(http.StatusUnprocessableEntity).has("by its number")
	if r := rules(); attached() != 1 || len(r.Rules[0].Except) != 0 {
		t.Errorf("%d signals, %+v", attached(), r)
	}
}

// TestSignalBecomesAnIncident: an open signal without an incident is declared or attached from its page; detaching undoes the latter.
func TestSignalBecomesAnIncident(t *testing.T) {
	h := newHouse(t)
	rita := h.member("rita", auth.RoleResponder, "")
	h.fires(signal.Observation{Key: "k", Title: "Outflow", Severity: "SEV4", Firing: true}, signal.Observation{Key: "l", Title: "Stall", Severity: "SEV5", Firing: true})
	page := func(key string) string {
		g, _, _ := h.desk.Known(context.Background(), "am-x", key)
		return "/signals/" + g.ID
	}
	body := rita.get(page("k")).want(http.StatusOK).body
	if !strings.Contains(body, "Declare an incident") || strings.Contains(body, `id="attach-to"`) {
		t.Errorf("%s", head(body))
	}
	if loc := rita.form(page("k")+"/declare", "severity", "SEV2").want(http.StatusSeeOther).header.Get("Location"); !strings.HasPrefix(loc, "/incidents/1?") {
		t.Errorf("lands on %s", loc)
	}
	h.settle()
	st, err := h.Rooms.Load(context.Background(), 1)
	if err != nil || st.Title != "Outflow" || st.Severity != incident.SEV2 || len(st.Signals) != 1 {
		t.Fatalf("%+v %v", st, err)
	}
	rita.form(page("k")+"/declare", "severity", "SEV2").want(http.StatusUnprocessableEntity).has("#1 already")
	if body := rita.get(page("k")).body; strings.Contains(body, "Declare an incident") {
		t.Error("what is in an incident is offered again")
	}
	if body := rita.get(page("l")).body; !strings.Contains(body, "#1 Outflow") {
		t.Error("the open incident is not offered")
	}
	rita.form(page("l")+"/attach", "incident", "1").want(http.StatusSeeOther)
	h.settle()
	if st, _ = h.Rooms.Load(context.Background(), 1); len(st.Signals) != 2 {
		t.Fatalf("%d signals", len(st.Signals))
	}
	rita.form(page("l") + "/detach").want(http.StatusSeeOther)
	h.settle()
	if st, _ = h.Rooms.Load(context.Background(), 1); len(st.Signals) != 1 {
		t.Errorf("%d signals", len(st.Signals))
	}
	if body := h.member("sam", auth.RoleStakeholder, "clients").get(page("l")).body; strings.Contains(body, "Declare an incident") {
		t.Error("who only reads is offered to declare")
	}
}

// TestTakenOffAndBack: who takes a signal off on its own page puts it back with one button, and under the rule again.
func TestTakenOffAndBack(t *testing.T) {
	h := newHouse(t)
	ana, rita := h.ana(), h.member("rita", auth.RoleResponder, "")
	ana.form("/grouping", "name", "same bridge", "by", "bridge").want(http.StatusSeeOther)
	h.fires(signal.Observation{Key: "k", Title: "Outflow", Severity: "SEV4", Firing: true, Labels: map[string]string{"bridge": "nomad"}})
	g, _, _ := h.desk.Known(context.Background(), "am-x", "k")
	n := h.declare(incident.Declare{Title: "Bridge <drained>", Attach: []incident.Signal{snapshot(g)}})
	h.settle()
	is := func(what string, attached, excepted int) {
		t.Helper()
		h.settle()
		st, err := h.Rooms.Load(context.Background(), n)
		if err != nil {
			t.Fatal(err)
		}
		if rules, _ := ana.rules(); len(st.Signals) != attached || len(rules[0].Except) != excepted {
			t.Errorf("%s: %d signals, %v", what, len(st.Signals), rules[0].Except)
		}
	}
	page := "/signals/" + g.ID
	for _, x := range []struct {
		never, says, to string
		excepted        int
	}{
		{"", "You took the signal off #1 Bridge &lt;drained&gt;.</p>", page + "/attach?incident=1", 0},
		{"1", "You took the signal off #1 Bridge &lt;drained&gt;. The rule “same bridge” leaves it alone from now on.</p>", page + "/attach?incident=1&amp;admit=1", 1},
	} {
		place := ana.form(page+"/detach", "never", x.never).want(http.StatusSeeOther).header.Get("Location")
		is("taken off", 0, x.excepted)
		ana.get(place).want(http.StatusOK).has(x.says, `action="`+x.to+`"`)
		for _, other := range []*answer{rita.get(place), ana.get(page), ana.get(page + "?did=0198f6a0-0000-7000-8000-000000000001")} {
			if strings.Contains(other.body, `class="undo"`) {
				t.Errorf("%s offers it", other.what)
			}
		}
		ana.form(strings.ReplaceAll(x.to, "&amp;", "&")).want(http.StatusSeeOther)
		is("put back", 1, 0)
		if strings.Contains(ana.get(place).body, `class="undo"`) {
			t.Error("it is offered again once it is back")
		}
	}
	place := ana.form(page + "/detach").want(http.StatusSeeOther).header.Get("Location")
	h.settle()
	h.late.Add(undoFor + 1000)
	if strings.Contains(ana.get(place).body, `class="undo"`) {
		t.Error("it is offered too long")
	}
}
