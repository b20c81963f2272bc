package web

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// line types one line into the composer of incident 1.
func (v *visitor) line(id, text string) *answer {
	v.h.t.Helper()
	return v.json("POST", "/incidents/1/line", map[string]any{"id": id, "line": text})
}

func TestComposer(t *testing.T) {
	h := newHouse(t)
	h.declare(incident.Declare{Title: "Bridge", Severity: "SEV3"})
	h.member("li", auth.RoleResponder, "")
	h.member("sam", auth.RoleStakeholder, "clients")
	ana := h.ana()
	for text, typ := range map[string]string{
		"both nodes agree":               "incident.note_added",
		"/sev 1 funds are moving":        "incident.severity_set",
		"/role commander @ana":           "incident.role_assigned",
		"/role deputy me":                "incident.role_assigned",
		"/status mitigating":             "incident.status_set",
		"/task look at the mempool @li":  "incident.task_added",
		"/decide we pause the bridge":    "incident.decision_recorded",
		"/update public We are on it.":   "incident.update_drafted",
		"http://example.org is a note":   "incident.note_added",
		"//not a command but a note":     "incident.note_added",
		"/link https://example.org/runb": "incident.link_added",
	} {
		var d answerDoc
		ana.line(newID(), text).want(200).into(&d)
		if len(d.Events) == 0 || d.Events[0].Type != typ {
			t.Errorf("%q: %+v, want %s", text, d, typ)
		}
	}
	id := newID()
	first := ana.line(id, "said once").want(200).body
	if again := ana.line(id, "said once").want(200).body; again != first {
		t.Errorf("the same id:\n%s\n%s", first, again)
	}
	before := h.Log.Size()
	for text, code := range map[string]string{
		"/sev 2":                 incident.CodeReasonMissing,
		"/sev 9 x":               incident.CodeBadSeverity,
		"/stauts mitigating":     incident.CodeUnknownCommand,
		"/role commander @ghost": incident.CodeBadPerson,
		"/role comms @sam":       incident.CodeBadPerson, // a stakeholder only reads
		"/update martians hello": incident.CodeBadAudience,
		"/resolve":               incident.CodeNoValidation,
	} {
		p := ana.line(newID(), text).want(422).problem(code)
		if len(p.Detail) < 20 {
			t.Errorf("%q: %q helps nobody", text, p.Detail)
		}
	}
	ana.line("not-a-uuid", "x").want(400).problem("bad_id")
	ana.json("POST", "/incidents/99/line", map[string]any{"line": "x"}).want(404).problem("no_such_incident")
	ana.json("POST", "/incidents/x/line", map[string]any{"line": "x"}).want(404).problem("not_found")
	ana.json("POST", "/incidents/1/line", map[string]any{"lines": "x"}).want(400).problem("bad_json")
	if h.Log.Size() != before {
		t.Errorf("refusals wrote %d events", h.Log.Size()-before)
	}
	h.settle()
	ana.get("/incidents/1").want(200).has("both nodes agree", "funds are moving", "look at the mempool", "we pause the bridge")
}

func TestCompletion(t *testing.T) {
	h := newHouse(t)
	h.declare(incident.Declare{Title: "Bridge"})
	h.member("li", auth.RoleResponder, "")
	h.member("sam", auth.RoleStakeholder, "clients")
	for line, c := range map[string]struct{ has, not string }{
		"/st":               {"/status", "/task"},
		"/role commander @": {"li", "sam"},
		"/sev ":             {"1", "ghost"},
		"no command":        {"", "/status"},
	} {
		a := h.ana().get("/incidents/1/complete?line="+url.QueryEscape(line)).want(200).has(`"items":[`, c.has)
		a.hasNot(`"` + c.not)
	}
	for _, q := range []string{"", "?line=%2Fst&cursor=99", "?line=%2Fst&cursor=-1", "?line=%2Fst&cursor=x", "?line=%C3%A4%C3%A4&cursor=1", "?line=%FF%FE&cursor=1", "?line=" + strings.Repeat("x", 5000)} {
		h.ana().get("/incidents/1/complete" + q).want(200)
	}
	h.ana().get("/incidents/7/complete?line=x").want(404)
}

// TestJustDeclared: what was answered is there, though pages follow the log.
func TestJustDeclared(t *testing.T) {
	h := newHouse(t)
	v, _ := h.token(auth.RoleResponder, "")
	for range 30 {
		var d declareAnswer
		v.json("POST", "/api/v1/incidents", map[string]any{"title": "Now", "severity": "SEV3"}).want(201).into(&d)
		v.get(fmt.Sprintf("/incidents/%d", d.Number)).want(200)
		v.json("POST", "/api/v1/incidents", map[string]any{"title": "Now", "severity": "SEV3"}).want(201).into(&d)
		if s, res := v.dial(fmt.Sprintf("/live?topic=incident/%d&since=%d", d.Number, d.Position)); s == nil {
			t.Fatalf("incident %d: %s", d.Number, res.Status)
		}
	}
}

func TestDeclareForm(t *testing.T) {
	h := newHouse(t)
	h.chains.set(ChainSetting{ID: "eth", Name: "Ethereum"}, ChainSetting{ID: "btc", Name: "Bitcoin"})
	ana := h.ana()
	ana.get("/incidents/new").want(200).has("Ethereum", "Trading")
	long := strings.Repeat("x", 300)
	a := ana.post("/incidents", "title", long, "severity", "SEV1", "summary", "what we know", "chains", "btc", "components", "Bridge", "components", "Trading").want(422)
	a.has(long, "what we know", `role="alert"`)
	for _, name := range []string{"btc", "Bridge", "Trading"} {
		if !regexp.MustCompile(`value="` + name + `"[^>]* checked`).MatchString(a.body) {
			t.Errorf("%s is no longer chosen", name)
		}
	}
	if regexp.MustCompile(`value="eth"[^>]* checked`).MatchString(a.body) || !regexp.MustCompile(`value="SEV1"[^>]* (checked|selected)`).MatchString(a.body) {
		t.Error("the form does not hold what was chosen")
	}
	ana.post("/incidents", "title", "", "severity", "").want(422)
	loc := ana.post("/incidents", "title", "Bridge drained", "severity", "SEV1", "summary", "s", "chains", "eth", "components", "Bridge").want(303).header.Get("Location")
	if loc != "/incidents/1?since="+itoa(h.Log.Size()-1) {
		t.Fatal(loc)
	}
	ana.get(loc).want(200).has("Bridge drained", "Ethereum") // at once, though pages follow the log
	var d apiIncidentDoc
	ana.get("/api/v1/incidents/1").want(200).into(&d)
	if d.Severity != "SEV1" || len(d.Chains) != 1 || d.DetectedAt == nil || d.ImpactBeganAt != nil {
		t.Errorf("%+v", d)
	}
}

func TestSourcesFlow(t *testing.T) {
	h := newHouse(t)
	ana := h.ana()
	ana.post("/sources", "name", "", "kind", "generic").want(422).has(`role="alert"`)
	ana.post("/sources", "name", "x", "kind", "fax").want(422)
	for kind, snippet := range map[string]string{intake.Alertmanager: "webhook_configs", intake.Generic: "curl", intake.PagerDuty: "routing_key"} {
		a := ana.post("/sources", "name", "the "+kind, "kind", kind).want(200).has("the "+kind, snippet)
		key := regexp.MustCompile(`\b[a-z0-9]{32}\b`).FindString(a.body)
		if key == "" {
			t.Fatalf("%s: no key is shown", kind)
		}
		if kind != intake.PagerDuty {
			a.has(h.srv.URL + "/api/v1/intake/" + kind + "/" + key)
		} else {
			a.has(h.srv.URL + "/v2/enqueue")
		}
		ana.get("/sources").want(200).hasNot(key)
		if kind == intake.Generic {
			to := "/api/v1/intake/generic/" + key
			h.nobody().json("POST", to, map[string]any{"key": "k", "title": "t", "state": "firing"}).want(202)
			id := ""
			for _, s := range h.Sources.Known() {
				if s.Kind == kind {
					id = s.ID
				}
			}
			ana.post("/sources/" + id + "/revoke").want(303)
			ana.get("/sources").want(200).has("revoked")
			h.nobody().json("POST", to, map[string]any{"key": "k", "title": "t", "state": "firing"}).want(401)
		}
	}
	ana.post("/sources/nothing/revoke").want(404, 422).has(`role="alert"`)
	h.member("rita", auth.RoleResponder, "").get("/sources").want(403)
}

func TestTokensFlow(t *testing.T) {
	h := newHouse(t)
	ana := h.ana()
	secret := regexp.MustCompile(`tocsin_[A-Za-z0-9]{54}`)
	ana.post("/tokens", "name", "", "scope", "responder").want(422).has(`role="alert"`)
	ana.post("/tokens", "name", "x", "scope", "wall").want(422)
	for scope, may := range map[string]map[string]int{
		"responder":           {"/api/v1/incidents": 200, "/api/v1/sources": 403, "/status/clients": 200},
		"administrator":       {"/api/v1/incidents": 200, "/api/v1/sources": 200, "/status/clients": 200},
		"stakeholder:clients": {"/api/v1/incidents": 403, "/api/v1/sources": 403, "/status/clients": 200, "/status/regulators": 403},
	} {
		a := ana.post("/tokens", "name", "for "+scope, "scope", scope).want(200)
		v := h.visitor("token of " + scope)
		if v.bearer = secret.FindString(a.body); v.bearer == "" {
			t.Fatalf("%s: no token is shown", scope)
		}
		for path, status := range may {
			v.get(path).want(status)
		}
		ana.get("/tokens").want(200).has("for " + scope).hasNot(v.bearer)
		v.post("/signout").want(303) // does nothing to a token
		v.get("/status").want(200)
	}
	a := ana.post("/tokens/wall", "name", "kitchen").want(200)
	path := regexp.MustCompile(`/wall/tocsin_[A-Za-z0-9]{54}`).FindString(a.body)
	if path == "" {
		t.Fatal("no wall address is shown")
	}
	in := h.nobody().get(path).want(303)
	if in.header.Get("Location") != "/wall" {
		t.Error(in.header.Get("Location"))
	}
	wall := h.visitor("wall")
	wall.cookie = in.setCookie(cookieSession).Value
	wall.get("/wall").want(200)
	wall.get("/").want(403)
	id := ""
	for _, k := range h.Auth.Directory().Tokens() {
		if k.Name == "kitchen" {
			id = k.ID
		}
	}
	ana.post("/tokens/" + id + "/revoke").want(303)
	wall.get("/wall").want(303)
	h.nobody().get(path).want(410)
	ana.post("/tokens/nothing/revoke").want(404)
	// An API token opens no wall, and a link none either.
	h.nobody().get("/wall/" + secret.FindString(ana.post("/tokens", "name", "api", "scope", "responder").body)).want(410)
}

func TestWaysIn(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	link, err := h.Auth.Invite(ctx, h.admin, auth.Invitation{Handle: "li", Name: "Li", Role: auth.RoleResponder})
	if err != nil {
		t.Fatal(err)
	}
	v := h.nobody()
	for range 3 { // previews and scanners use nothing up
		v.get(link.Path()).want(200).has("responder")
	}
	in := v.post(link.Path(), "name", "Li Wei", "txn", "a-form-that-was-sent").want(303)
	first := in.setCookie(cookieSession)
	if in.header.Get("Location") != "/me" || first == nil {
		t.Fatalf("%+v", in.header)
	}
	// The answer got lost: the same form again is the same session.
	if again := v.post(link.Path(), "name", "Li Wei", "txn", "a-form-that-was-sent").want(303).setCookie(cookieSession); again == nil || again.Value != first.Value {
		t.Errorf("sent again: %+v", again)
	}
	v.post(link.Path(), "name", "Somebody", "txn", "another-form-of-this").want(410).has("used")
	v.get("/join/tocsin_made_up").want(410)
	li := h.visitor("li")
	li.cookie = first.Value
	li.get("/me").want(200).has("Li Wei", "Add a passkey")
	li.get("/me").want(200).hasNot("Add a passkey now") // what was told is told once

	codes, err := h.Auth.NewRecoveryCodes(ctx, h.admin)
	if err != nil {
		t.Fatal(err)
	}
	bad := v.post("/signin/recovery", "handle", "ana", "code", "wrong-wrong", "next", "/incidents").want(401)
	bad.has(`value="ana"`, `role="alert"`, "/incidents").hasNot("wrong-wrong")
	v.post("/signin/recovery", "handle", "nobody", "code", codes[0]).want(401)
	ok := v.post("/signin/recovery", "handle", "ana", "code", codes[0], "next", "/incidents").want(303)
	if ok.header.Get("Location") != "/incidents" {
		t.Error(ok.header.Get("Location"))
	}
	v.post("/signin/recovery", "handle", "ana", "code", codes[0]).want(401) // used up
	var limited *answer
	for range 100 {
		if limited = v.post("/signin/recovery", "handle", "ana", "code", "guess"); limited.status == 429 {
			break
		}
	}
	if limited.status != 429 {
		t.Errorf("100 guesses: %d", limited.status)
	}
	// A dead cookie is told, not looped.
	dead := h.visitor("dead")
	dead.cookie = "tocsin_s_dead"
	dead.get("/").want(303)
	dead.get("/signin").want(200).has("ended")
	// Signed in already.
	if loc := h.ana().get("/signin").want(303).header.Get("Location"); loc != "/" {
		t.Error(loc)
	}
}

func TestOwnAccount(t *testing.T) {
	h := newHouse(t)
	rita := h.member("rita", auth.RoleResponder, "")
	rita.post("/me/recovery").want(200).has("Shown once")
	codes := regexp.MustCompile(`<li[^>]*><code>([^<]+)</code>`).FindAllStringSubmatch(rita.post("/me/recovery").body, -1)
	if len(codes) < 8 {
		t.Errorf("%d codes are shown", len(codes))
	}
	rita.get("/me").want(200).hasNot("Shown once")
	// Her sessions are hers: she ends one of her own, not somebody else's.
	devices, err := h.Auth.Devices(context.Background(), auth.KindPerson, "ana")
	if err != nil || len(devices) == 0 {
		t.Fatal(err)
	}
	rita.post("/me/sessions/" + devices[0].ID + "/revoke").want(404)
	h.ana().get("/").want(200)
	rita.post("/me/passkeys/nothing/remove").want(404)
	own, err := h.Auth.Devices(context.Background(), auth.KindPerson, "rita")
	if err != nil || len(own) != 1 {
		t.Fatalf("%v %v", own, err)
	}
	rita.post("/me/sessions/" + own[0].ID + "/revoke").want(303)
	rita.get("/me").want(303)
}

func TestChainsFlow(t *testing.T) {
	h := newHouse(t)
	ana := h.ana()
	ana.post("/chains/test", "url", "ws://good:8546").want(200).has("This is Fakenet.")
	ana.json("POST", "/chains/test", map[string]any{"url": "ws://good:8546"}).want(200).has(`"ok":true`)
	ana.post("/chains/test", "url", "ws://bad:1").want(200).has("Nobody answers at this address.")
	ana.post("/chains", "name", "Test").want(422).has(`role="alert"`)
	ana.post("/chains", "name", "Test", "url", "ws://bad:1").want(422).has("Nobody answers", "ws://bad:1", "Test")
	ana.json("POST", "/chains", map[string]any{"name": "Test", "urls": []string{"ws://bad:1"}}).want(422).problem("node_unusable")
	ana.post("/chains", "name", "Test", "url", strings.Repeat("ws://x:1 ", 17)).want(422)
	ana.post("/chains", "name", "Test", "url", "ws://good:8546").want(303)
	ana.get("/chains").want(200).has("chain-test", "being watched")
	ana.json("POST", "/chains", map[string]any{"name": "Two", "urls": []string{"ws://good:1"}}).want(201)
	ana.post("/chains", "name", "Three", "url", "ws://good:1", "operator", "us", "url", "ws://bad:2", "operator", "Example RPC", "url", "ws://good:3").want(303)
	ana.get("/chains").want(200).has("Who runs the nodes of Three", `value="Example RPC"`, `placeholder="host:1"`)
	ana.post("/chains/three/operators", "node", "n1", "operator", "them", "node", "n2", "operator", "", "node", "n3", "operator", "us too").want(303)
	ana.get("/chains").want(200).has(`value="them"`, `value="us too"`).hasNot("Example RPC")
	ana.json("POST", "/chains/three/operators", map[string]any{"operators": map[string]string{"n2": "Example RPC"}}).want(200)
	ana.get("/chains").want(200).has("Example RPC").hasNot(`value="them"`)
	ana.post("/chains/nothing/operators", "node", "n1", "operator", "x").want(404).has("This chain is not watched.")
	ana.json("POST", "/chains/nothing/operators", map[string]any{}).want(404).problem("not_found")
	ana.post("/chains", "name", "x", "url", "ws://bad:1", "operator", "who was typed").want(422).has(`value="who was typed"`)
	h.member("ruth", auth.RoleResponder, "").post("/chains/three/operators", "node", "n1", "operator", "x").want(403)
	ana.post("/chains/test/remove").want(303)
	ana.post("/chains/test/remove").want(404)
	h.member("rita", auth.RoleResponder, "").post("/chains", "name", "x", "url", "ws://good:1").want(403)
}

// TestChainsSayWhoRunsTheNodes: nodes of one operator are named as such, and that nothing can be confirmed when there is no other.
func TestChainsSayWhoRunsTheNodes(t *testing.T) {
	h := newHouse(t)
	h.chains.set(ChainSetting{ID: "one", Name: "One"}, ChainSetting{ID: "some", Name: "Some"}, ChainSetting{ID: "own", Name: "Own"})
	node := func(name, operator string) chain.NodeView {
		return chain.NodeView{Name: name, Operator: operator, State: chain.Up, Height: 5, Client: "geth-" + name}
	}
	h.telemetry.set(
		chain.View{Chain: "one", Height: 5, Nodes: []chain.NodeView{node("a", "Acme"), node("b", "acme")}},
		chain.View{Chain: "some", Height: 5, Nodes: []chain.NodeView{node("c", "10.0.0.7:80"), node("d", "us"), node("e", "us")}},
		chain.View{Chain: "own", Height: 5, Nodes: []chain.NodeView{node("f", "f"), node("g", "hidden")}})
	h.ana().get("/chains").want(200).has("2 nodes, 1 operator: nothing can be confirmed.", "of Acme, geth-a", "of acme, geth-b",
		"3 nodes, 2 operators; d, e are of us and count as one.", "of us, geth-d", ">geth-c<", ">geth-f<").hasNot("of 10.0.0.7", "of hidden", "2 nodes, 2")
}

func TestDrillsFlow(t *testing.T) {
	h := newHouse(t)
	ana := h.ana()
	ana.get("/drills").want(200).has("Bridge drain", "190 M$")
	for _, speed := range []string{"", "0", "-1", "1001", "NaN", "Inf", "x"} {
		ana.post("/drills", "scenario", "nomad", "speed", speed).want(422)
	}
	ana.post("/drills", "scenario", "nothing", "speed", "60").want(422).has("no such drill")
	ana.post("/drills", "scenario", "nomad", "speed", "60").want(303)
	ana.get("/drills").want(200).has("60 times", "pages nobody")
	if h.drills.Running().Out {
		t.Error("a drill leaves the building although nobody said so")
	}
	ana.post("/drills/nomad/stop").want(303)
	ana.get("/drills").want(200).has("Page people for real", "nothing leaves the building")
	ana.post("/drills", "scenario", "nomad", "speed", "60", "out", "1").want(303)
	ana.get("/drills").want(200).has("pages people for real")
	if !h.drills.Running().Out {
		t.Error("the choice was lost")
	}
	ana.post("/drills/nomad/stop").want(303)
}

func TestBoardsAndLists(t *testing.T) {
	h := newHouse(t)
	ana := h.ana()
	ana.get("/").want(200).has("Add a chain", "Connect your alerts") // nothing configured: what to do next
	for i := range 60 {
		n := h.declare(incident.Declare{Title: fmt.Sprintf("Incident number %d", i), Severity: []string{"SEV1", "SEV4"}[i%2]})
		if i < 55 {
			h.cmd(n, incident.Resolve{Validation: "checked"})
		}
	}
	ana.get("/incidents").want(200).has("number 59").hasNot("number 54")
	page := ana.get("/incidents?status=closed").want(200).has("number 54", "before=").hasNot("number 4<")
	next := regexp.MustCompile(`/incidents\?before=\d+&amp;status=closed`).FindString(page.body)
	if next == "" {
		t.Fatal("no way to the older ones")
	}
	ana.get(strings.ReplaceAll(next, "&amp;", "&")).want(200).has("number 0").hasNot("number 54")
	ana.get("/incidents?status=all&severity=SEV4&text=NUMBER+59").want(200).has("number 59").hasNot("number 57")
	ana.get("/incidents?status=all&text=nothing+like+it").want(200)
	h.fire("am", signal.Observation{Title: "a loose one", Severity: "SEV1"})
	ana.get("/").want(200).has("a loose one")
	ana.get("/signals").want(200).has("a loose one")
	ana.get("/signals?show=cleared").want(200).hasNot("a loose one")
	ana.get("/log").want(200).has("signal.opened", "before=", h.Log.Verifier())
	ana.get("/log?before=5").want(200).hasNot("signal.opened")
	ana.get("/log?stream=incident/3").want(200)
	ana.get("/incidents/999").want(404)
	ana.get("/wall").want(200).has("number 56") // the worst open one that runs longest
}
