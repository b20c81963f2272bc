package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/impact"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// publicPaths is everything that anybody may read of incidents.
var publicPaths = []string{
	"/status", "/api/v2/summary.json", "/api/v2/status.json", "/api/v2/components.json", "/api/v2/incidents.json", "/api/v2/incidents/unresolved.json",
	"/api/v2/scheduled-maintenances.json", "/status/history.atom",
}

// planter makes secrets that no page says by chance, and remembers them.
type planter struct{ planted []string }

func (p *planter) secret(where string) string {
	s := fmt.Sprintf("zq%dsecretof%s", len(p.planted), regexp.MustCompile(`\W`).ReplaceAllString(where, ""))
	p.planted = append(p.planted, s)
	return s
}

// fill puts a secret into every string of a command that is not a choice.
func (p *planter) fill(v reflect.Value, where string, choice func(field string) bool) {
	switch v.Kind() {
	case reflect.String:
		if v.String() == "" && !choice(where) {
			v.SetString(p.secret(where))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				p.fill(v.Field(i), v.Type().Field(i).Name, choice)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.String && v.Len() == 0 {
			v.Set(reflect.ValueOf([]string{p.secret(where)}))
		}
		for i := range v.Len() {
			p.fill(v.Index(i), where, choice)
		}
	}
}

// choices are the fields of commands that hold no words of anybody.
var choices = map[string]bool{
	"Severity": true, "Status": true, "Role": true, "Person": true, "To": true, "Assignee": true, "Audience": true, "Phase": true, "Update": true, "Task": true,
	"Link": true, "Signal": true, "State": true, "Event": true, "ID": true, "ImpactClock": true, "DetectedClock": true, "URL": true, "Source": true, "AttachedBy": true,
	"Team": true, "Policy": true, "For": true,
}

// TestNothingPrivateIsPublic plants a secret in every text of every command, in
// names and signals, tells each audience something of its own, and reads all
// that anybody may read, pushed frames included.
func TestNothingPrivateIsPublic(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	p := &planter{}
	sam := h.member("sam", auth.RoleStakeholder, "clients")
	reg := h.member("reg", auth.RoleStakeholder, "regulators")
	h.member("li", auth.RoleResponder, "")
	if err := h.Auth.Rename(ctx, h.admin, "ana", p.secret("person")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Sources.Create(ctx, h.admin.String(), intake.Order{Name: p.secret("source"), Kind: "generic"}); err != nil {
		t.Fatal(err)
	}
	h.chains.set(ChainSetting{ID: "eth", Name: p.secret("chain"), Family: "evm", Nodes: []string{p.secret("node")}})
	sig := h.fire("am", signal.Observation{Title: p.secret("signal"), Reason: p.secret("signalreason"), Subject: p.secret("subject"), Component: p.secret("component"), Labels: map[string]string{"l": p.secret("label")}, Evidence: json.RawMessage(`"` + p.secret("evidence") + `"`)})

	public := h.nobody().live(fmt.Sprintf("/status/live?since=%d", h.World.Position()))
	declare := incident.Declare{Severity: "SEV1", Attach: []incident.Signal{snapshot(sig)}}
	p.fill(reflect.ValueOf(&declare).Elem(), "Declare", func(f string) bool { return choices[f] })
	n := h.declare(declare)
	another := h.declare(incident.Declare{Title: p.secret("another"), Summary: p.secret("anothersummary")})
	h.tell(another, incident.DraftUpdate{Audience: "public", Text: "Something is slow."}) // no headline: the title must not stand in

	// What is needed around the secrets, so that every command is accepted.
	var note string
	given := map[string]bool{"declare": true}
	give := func(n int64, c incident.Command) {
		t.Helper()
		v := reflect.New(reflect.TypeOf(c))
		v.Elem().Set(reflect.ValueOf(c))
		p.fill(v.Elem(), c.Name(), func(f string) bool { return choices[f] })
		a := h.cmd(n, v.Elem().Interface().(incident.Command))
		if len(a.Events) == 0 {
			t.Errorf("%s changed nothing", c.Name())
			return
		}
		note = a.Events[0].ID
		given[c.Name()] = true
	}
	link := "https://example.org/" + p.secret("url")
	give(n, incident.Rename{})
	give(n, incident.SetSummary{})
	give(n, incident.SetSeverity{Severity: "SEV2"})
	give(n, incident.SetStatus{Status: "mitigating"})
	at := h.millis() - 60_000
	give(n, incident.SetTimes{ImpactBeganAt: &at})
	give(n, incident.SetComponents{})
	give(n, incident.SetChains{})
	give(n, incident.AssignRole{Role: "commander", Person: "ana"})
	give(n, incident.HandOverRole{Role: "commander", To: "li"})
	give(n, incident.DeclineHandOver{Role: "commander"})
	give(n, incident.ReleaseRole{Role: "commander", Person: "ana"})
	give(n, incident.RecordDecision{})
	give(n, incident.AddTask{Assignee: "ana"})
	give(n, incident.AssignTask{Task: "T1", Person: "li"})
	give(n, incident.CompleteTask{Task: "T1"})
	give(n, incident.ReopenTask{Task: "T1"})
	give(n, incident.AddLink{URL: link})
	give(n, incident.RemoveLink{Link: "L1"})
	give(n, incident.AddAddress{Chain: "ethereum", Kind: "attacker"})
	give(n, incident.RemoveAddress{Address: "A1", Chain: "ethereum"})
	give(n, incident.AddTransaction{Chain: "ethereum"})
	give(n, incident.RemoveTransaction{Tx: "X1", Chain: "ethereum"})
	policy := escalation.Policy{ID: "esc", Name: p.secret("policy"), Version: 1, Steps: []escalation.Step{{Wait: 60_000, Targets: []escalation.Target{{Kind: escalation.TargetTeam, Name: p.secret("target")}}}}}
	give(n, incident.Route{Team: "front", Tier: 1, Policy: &policy})
	give(n, incident.PageStep{Turn: escalation.Turn{Epoch: 1, Round: 1, Step: 1, People: []escalation.Callee{{Person: "ana"}}}})
	give(n, incident.PageReceipts{Receipts: []incident.PageReceipt{{Page: escalation.PageID(n, 1, 1, 1, "ana"), Person: "ana", Receipt: escalation.Receipt{Outcome: escalation.Failed}}}})
	give(n, incident.DeclinePage{})
	give(n, incident.Escalate{})
	give(n, incident.PageByHand{Person: "li"})
	give(n, incident.Reassign{Person: "ana"})
	give(n, incident.Snooze{For: "30m"})
	give(n, incident.Unsnooze{})
	give(n, incident.Acknowledge{})
	give(n, incident.ReleaseRole{Role: "commander", Person: "ana"})
	give(n, incident.Claim{})
	give(n, incident.HandOn{Team: p.secret("team")})
	give(n, incident.SetCategory{Category: p.secret("category")})
	give(n, incident.SetFact{Fact: impact.FactUsersAffected, Value: "12"})
	give(n, incident.ClearFact{Fact: impact.FactUsersAffected})
	give(n, incident.Score{Assessment: impact.Assessment{At: h.millis(), Known: true, Score: 70, Severity: "SEV1"}})
	give(n, incident.DeclineAdvice{})
	give(n, incident.FollowAdvice{})
	give(n, incident.DetachSignal{Signal: sig.ID})
	give(n, incident.AttachSignal{Signal: incident.Signal{ID: sig.ID, Source: "am", Severity: incident.SEV3, State: "open"}})
	give(n, incident.AttachSignals{Signals: []incident.Signal{{ID: "s2", Source: "am", Severity: incident.SEV3, State: "open"}}})
	give(n, incident.SignalChanged{Signal: incident.Signal{ID: "s2", Source: "am", Severity: incident.SEV1, State: "cleared"}})
	give(n, incident.DraftUpdate{Audience: "public", Components: map[string]string{p.secret("draftcomponent"): "major_outage"}})
	give(n, incident.EditUpdate{Update: "U1"})
	give(n, incident.DiscardUpdate{Update: "U1"})
	give(n, incident.DraftUpdate{Audience: "public"}) // approved, never published
	give(n, incident.ApproveUpdate{Update: "U2"})
	give(n, incident.AddNote{})
	give(n, incident.Redact{Event: note})
	was := len(p.planted)
	give(n, incident.DraftUpdate{Audience: "public"}) // told, then blanked
	draft, blanked := note, p.planted[was:]
	h.cmd(n, incident.ApproveUpdate{Update: "U3"})
	give(n, incident.PublishUpdate{Update: "U3"})
	give(n, incident.Redact{Event: draft})
	h.tell(n, incident.DraftUpdate{Audience: "public", Headline: "Withdrawals are delayed", Text: "We are working on it.", Phase: "investigating", Components: map[string]string{"Bridge": "partial_outage"}})
	clients, regulators := p.secret("clients"), p.secret("regulators")
	h.tell(n, incident.DraftUpdate{Audience: "clients", Headline: clients + "head", Text: clients + "text", Components: map[string]string{clients + "part": "major_outage"}})
	h.tell(n, incident.DraftUpdate{Audience: "regulators", Headline: regulators + "head", Text: regulators + "text"})
	give(n, incident.Resolve{})
	give(n, incident.ReviewDone{})
	give(n, incident.Reopen{})
	give(another, incident.Merge{Into: n})

	for _, name := range incident.Names() {
		switch name {
		case "accept_hand_over", "retract_update", "absorb", "signals_changed", "expire_acknowledgement", "exhaust": // without words, refused for what is out, given by merge, as signal_changed, without words
		default:
			if !given[name] {
				t.Errorf("the command %s is not tried here: plant a secret in it", name)
			}
		}
	}
	if len(p.planted) < 45 {
		t.Errorf("only %d secrets were planted", len(p.planted))
	}
	if page := h.ana().get(fmt.Sprintf("/incidents/%d?all=1", n)).want(200).body; strings.Count(page, "secretof") < 20 {
		t.Error("the room does not show the secrets; this test would prove nothing")
	}

	silent := func(what, body string, but ...string) {
		t.Helper()
		for _, s := range p.planted {
			if !slices.Contains(but, s) && strings.Contains(body, s) {
				t.Errorf("%s says %s", what, s)
			}
		}
	}
	for _, path := range append([]string{"/status/history/" + monthOf(h.millis())}, publicPaths...) {
		for i, v := range []*visitor{h.nobody(), h.ana(), sam, h.nobody(), h.nobody()} { // the public documents are the same for everybody
			if i > 2 {
				v.header.Set("Accept-Encoding", []string{"br", "gzip"}[i-3])
			}
			if i == 3 {
				for h.status.packNext() {
				}
			}
			a := v.get(path).want(200)
			a.body = unpacked(t, a)
			silent(a.what, a.body)
			if strings.HasPrefix(path, "/status") || strings.Contains(path, "incidents.json") {
				a.has("We are working on it.")
			}
		}
	}
	a := sam.get("/status/clients").want(200).has(clients + "text")
	silent(a.what, a.body, clients)
	a = reg.get("/status/regulators").want(200).has(regulators + "text").hasNot("We are working on it.")
	silent(a.what, a.body, regulators)
	sam.get("/status/regulators").want(403)

	h.tell(n, incident.DraftUpdate{Audience: "public", Text: "All is well again.", Phase: "resolved", Components: map[string]string{"Bridge": "operational"}})
	told := 0
	for _, f := range append(public.until(func(f frame) bool { return strings.Contains(f.HTML, "All is well again.") }), public.rest()...) {
		silent("a frame of the public page", f.HTML+f.Reason+f.Key, blanked...)
		if f.HTML != "" {
			told++
		}
		if f.Topic != "" && f.Topic != projection.TopicStatus {
			t.Errorf("the public page was sent a frame of %s", f.Topic)
		}
	}
	if told < 1 || told > 7 {
		t.Errorf("the public page was sent %d regions for 3 updates and one withdrawal", told)
	}
	// Errors that strangers provoke say nothing either.
	for _, path := range []string{"/", "/incidents/1", "/status/clients", "/api/v1/incidents/1", "/live?topic=board", "/nothing", "/join/x", "/wall/x"} {
		a := h.nobody().get(path)
		silent(a.what, a.body+fmt.Sprint(a.header))
	}
}

// TestDrillsStayInside: a drill is on no public page, except in a demo, where
// everything says that it is one.
func TestDrillsStayInside(t *testing.T) {
	for _, demo := range []bool{false, true} {
		h := newHouse(t, func(o *Options) { o.Demo = demo })
		m := h.meta()
		m.Drill = true
		a, err := h.Rooms.Declare(context.Background(), incident.Declare{Title: "Nomad", Severity: "SEV1"}, m)
		if err != nil {
			t.Fatal(err)
		}
		h.tell(a.Number, incident.DraftUpdate{Audience: "public", Headline: "The bridge is drained", Text: "Not really."})
		for _, path := range publicPaths {
			got := strings.Contains(h.nobody().get(path).want(200).body, "Not really.")
			want := demo && (strings.HasPrefix(path, "/status") || strings.Contains(path, "incident") || strings.Contains(path, "summary"))
			if got != want {
				t.Errorf("demo %v: %s shows the drill: %v", demo, path, got)
			}
		}
		if demo {
			h.nobody().get("/status").has("DRILL")
			h.nobody().get("/signin").has("DRILL")
		}
		h.ana().get("/incidents/1").want(200).has("DRILL")
	}
}

func (h *house) summary() (s struct {
	Status     struct{ Indicator, Description string }
	Components []struct{ Name, Status, Description string }
	Incidents  []spIncident
}) {
	h.t.Helper()
	h.nobody().get("/api/v2/summary.json").want(200).into(&s)
	return s
}

// TestStatusThroughAnIncident follows the public page from calm to calm.
func TestStatusThroughAnIncident(t *testing.T) {
	h := newHouse(t)
	bridge := func() string {
		for _, c := range h.summary().Components {
			if c.Name == "Bridge" {
				return c.Status
			}
		}
		return "missing"
	}
	check := func(when, indicator, component string, open int) {
		t.Helper()
		s := h.summary()
		if s.Status.Indicator != indicator || bridge() != component || len(s.Incidents) != open || s.Status.Description == "" {
			t.Errorf("%s: %+v, bridge %s, %d open; want %s, %s, %d", when, s.Status, bridge(), len(s.Incidents), indicator, component, open)
		}
		h.nobody().get("/status").want(200).has(s.Status.Description)
	}
	check("calm", "none", "operational", 0)
	n := h.declare(incident.Declare{Title: "internal name", Severity: "SEV1", Components: []string{"Bridge"}})
	check("declared, nothing told", "none", "operational", 0)
	h.tell(n, incident.DraftUpdate{Audience: "public", Headline: "Bridge is slow", Text: "We look.", Phase: "investigating", Components: map[string]string{"Bridge": "degraded_performance"}})
	check("told", "minor", "degraded_performance", 1)
	h.tell(n, incident.DraftUpdate{Audience: "public", Text: "It is worse.", Phase: "identified", Components: map[string]string{"Bridge": "major_outage"}})
	check("worse", "critical", "major_outage", 1)
	h.cmd(n, incident.Resolve{Validation: "internal"})
	check("resolved inside, nobody told", "critical", "major_outage", 1)
	h.tell(n, incident.DraftUpdate{Audience: "public", Text: "Over.", Phase: "resolved"})
	check("told that it is over", "none", "operational", 0)
	var all struct{ Incidents []spIncident }
	h.nobody().get("/api/v2/incidents.json").want(200).into(&all)
	if len(all.Incidents) != 1 || all.Incidents[0].Status != "resolved" || all.Incidents[0].ResolvedAt == nil || len(all.Incidents[0].Updates) != 3 || all.Incidents[0].Name != "Bridge is slow" || all.Incidents[0].Impact != "critical" {
		t.Errorf("%+v", all)
	}
	if u := all.Incidents[0].Updates[0]; u.Body != "Over." || u.Status != "resolved" {
		t.Errorf("the newest update does not come first: %+v", u)
	}
	// Published words can be taken back: the page then says that something was.
	var id string
	for _, e := range h.eventsOf(n) {
		if e.Type == "incident.update_drafted" {
			id = e.ID
			break
		}
	}
	h.cmd(n, incident.Redact{Event: id, Reason: "too much said"})
	for _, path := range []string{"/status", "/api/v2/incidents.json", "/status/history.atom"} {
		h.nobody().get(path).want(200).hasNot("We look.", "Bridge is slow").has("withdrawn")
	}
	// Two at once; the second is only told to others.
	two := h.declare(incident.Declare{Title: "two"})
	h.tell(two, incident.DraftUpdate{Audience: "clients", Text: "Only for you.", Components: map[string]string{"Trading": "major_outage"}})
	check("another audience's", "none", "operational", 0)
	h.member("sam", auth.RoleStakeholder, "clients").get("/status/clients").want(200).has("Only for you.").hasNot("Over.")
}

func (h *house) eventsOf(n int64) []apiEvent {
	h.t.Helper()
	var a eventsAnswer
	h.ana().get(fmt.Sprintf("/api/v1/incidents/%d/events", n)).want(200).into(&a)
	return a.Events
}

// TestStatusIsKept: validators, compression and what may be shared.
func TestStatusIsKept(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "x"})
	h.tell(n, incident.DraftUpdate{Audience: "public", Text: strings.Repeat("We are looking into it. ", 40)})
	for _, path := range publicPaths {
		v := h.nobody()
		plain := v.get(path).want(200)
		tag := plain.header.Get("ETag")
		if tag == "" || !strings.HasPrefix(plain.header.Get("Cache-Control"), "public") || !strings.Contains(plain.header.Get("Vary"), "Accept-Encoding") || plain.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %+v", plain.what, plain.header)
		}
		v.header.Set("If-None-Match", tag)
		if a := v.get(path).want(304); a.body != "" || a.header.Get("ETag") != tag {
			t.Errorf("%s: %q %v", a.what, a.body, a.header)
		}
		v = h.nobody()
		v.header.Set("Accept-Encoding", "gzip")
		zipped := v.get(path).want(200)
		if zipped.header.Get("Content-Encoding") == "gzip" {
			r, err := gzip.NewReader(strings.NewReader(zipped.body))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil || string(b) != plain.body {
				t.Errorf("%s: unpacked it differs, %v", path, err)
			}
			if zipped.header.Get("ETag") == tag && !strings.HasPrefix(tag, "W/") {
				t.Errorf("%s: two representations share the strong validator %s", path, tag)
			}
		} else if len(plain.body) > 2000 {
			t.Errorf("%s: %d bytes were not packed", path, len(plain.body))
		}
		v.header.Set("Accept-Encoding", "gzip;q=0, identity")
		if a := v.get(path).want(200); a.header.Get("Content-Encoding") != "" {
			t.Errorf("%s: packed for somebody who does not take it", path)
		}
		if strings.HasPrefix(path, "/api/") && plain.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: other sites' pages may not read it", path)
		}
		// An internal event does not make it new, a published one does.
		h.cmd(n, incident.AddNote{Text: "internal"})
		if a := h.nobody().get(path); a.header.Get("ETag") != tag {
			t.Errorf("%s changed by an internal event", path)
		}
	}
	before := h.nobody().get("/status").header.Get("ETag")
	h.tell(n, incident.DraftUpdate{Audience: "public", Text: "News."})
	if a := h.nobody().get("/status").has("News."); a.header.Get("ETag") == before {
		t.Error("news under an old validator")
	}
	sam := h.member("sam", auth.RoleStakeholder, "clients")
	if cc := sam.get("/status/clients").want(200).header.Get("Cache-Control"); !strings.HasPrefix(cc, "private") {
		t.Errorf("a gated page may be shared: %s", cc)
	}
	// Somebody who plays with the Host fills no memory and poisons nobody.
	for i := range 3 * maxStray {
		v := h.nobody()
		v.header.Set("Host", fmt.Sprintf("h%d.evil.example", i))
		v.get("/api/v2/summary.json").want(200).has("evil.example")
	}
	if got := len(*h.status.kept.Load()); got > maxStray+len(h.status.paths)+len(h.Audiences) {
		t.Errorf("%d documents kept", got)
	}
	h.nobody().get("/api/v2/summary.json").want(200).hasNot("evil.example")
	h.nobody().get("/status").want(200).hasNot("evil.example")
	h.nobody().get("/api/v2/nothing.json").want(404).problem("not_found")
}

// TestFeedIsAtom reads the feed back.
func TestFeedIsAtom(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "x"})
	h.tell(n, incident.DraftUpdate{Audience: "public", Headline: "A & <b>", Text: "1 < 2 & \"so\"", Phase: "investigating"})
	h.tell(n, incident.DraftUpdate{Audience: "public", Text: "Later.", Phase: "resolved"})
	a := h.nobody().get("/status/history.atom").want(200)
	var f atomFeed
	if err := xml.NewDecoder(bytes.NewReader([]byte(a.body))).Decode(&f); err != nil {
		t.Fatal(err)
	}
	if len(f.Entries) != 2 || f.Entries[0].Content != "Later." || f.Entries[1].Content != `1 < 2 & "so"` || f.Entries[1].Title != "A & <b>: investigating" || f.ID == "" || f.Updated != f.Entries[0].Updated {
		t.Errorf("%+v", f)
	}
	seen := map[string]bool{}
	for _, e := range f.Entries {
		if _, err := time.Parse(time.RFC3339Nano, e.Updated); err != nil || seen[e.ID] || e.Author == "" {
			t.Errorf("%+v", e)
		}
		seen[e.ID] = true
	}
}
