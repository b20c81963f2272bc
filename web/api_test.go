package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/store"
)

// apiDoc is the API's description, read back.
type apiDoc struct {
	t       *testing.T
	OpenAPI string                               `json:"openapi"`
	Info    map[string]any                       `json:"info"`
	Paths   map[string]map[string]map[string]any `json:"paths"`
	Parts   struct {
		Schemas map[string]any `json:"schemas"`
	} `json:"components"`
}

func describedAPI(t *testing.T, h *house) *apiDoc {
	t.Helper()
	d := &apiDoc{t: t}
	h.nobody().get("/openapi.json").want(200).into(d)
	return d
}

// check holds a value against a schema of the subset that the document uses.
func (d *apiDoc) check(where string, schema any, v any) error {
	m, ok := schema.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: the schema is %T", where, schema)
	}
	if ref, ok := m["$ref"].(string); ok {
		return d.check(where, d.Parts.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")], v)
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if list, ok := m[key].([]any); ok {
			var last error
			for _, one := range list {
				if last = d.check(where, one, v); last == nil {
					return nil
				}
			}
			return last
		}
	}
	if list, ok := m["enum"].([]any); ok && !slices.Contains(list, v) {
		return fmt.Errorf("%s: %v is none of %v", where, v, list)
	}
	is := "null"
	switch x := v.(type) {
	case string:
		is = "string"
	case bool:
		is = "boolean"
	case float64:
		is = "number"
		if x == float64(int64(x)) {
			is = "integer"
		}
	case []any:
		is = "array"
		for i, one := range x {
			if m["items"] != nil {
				if err := d.check(fmt.Sprintf("%s[%d]", where, i), m["items"], one); err != nil {
					return err
				}
			}
		}
	case map[string]any:
		is = "object"
		props, _ := m["properties"].(map[string]any)
		if required, ok := m["required"].([]any); ok {
			for _, r := range required {
				if _, there := x[r.(string)]; !there {
					return fmt.Errorf("%s: %v is missing", where, r)
				}
			}
		}
		for k, one := range x {
			s, described := props[k]
			if !described {
				if s = m["additionalProperties"]; s == nil && props != nil {
					return fmt.Errorf("%s: %s is not described", where, k)
				}
			}
			if s != nil {
				if err := d.check(where+"."+k, s, one); err != nil {
					return err
				}
			}
		}
	}
	var types []any
	switch t := m["type"].(type) {
	case string:
		types = []any{t}
	case []any:
		types = t
	default:
		return nil
	}
	if !slices.Contains(types, any(is)) && (is != "integer" || !slices.Contains(types, any("number"))) {
		return fmt.Errorf("%s: %s, want %v", where, is, types)
	}
	return nil
}

// answers holds an answer against what the document says of the operation.
func (d *apiDoc) answers(operation string, a *answer) {
	d.t.Helper()
	method, path, _ := strings.Cut(operation, " ")
	responses, _ := d.Paths[path][strings.ToLower(method)]["responses"].(map[string]any)
	r, ok := responses[fmt.Sprint(a.status)].(map[string]any)
	if !ok {
		if r, ok = responses["default"].(map[string]any); !ok || a.status < 400 {
			d.t.Errorf("%s: %s does not describe %d", a.what, operation, a.status)
			return
		}
	}
	content, _ := r["content"].(map[string]any)
	kind, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	media, ok := content[kind].(map[string]any)
	if !ok {
		d.t.Errorf("%s: %d as %s is not described", a.what, a.status, kind)
		return
	}
	var v any
	a.into(&v)
	if err := d.check(operation, media["schema"], v); err != nil {
		d.t.Errorf("%s: %v\n%s", a.what, err, head(a.body))
	}
}

// TestDescriptionCoversTheAPI: exactly the routes of /api/ and /v2/, each with
// what OpenAPI 3.1 asks for.
func TestDescriptionCoversTheAPI(t *testing.T) {
	h := newHouse(t)
	d := describedAPI(t, h)
	if !strings.HasPrefix(d.OpenAPI, "3.1.") || d.Info["title"] == "" || d.Info["version"] == "" {
		t.Errorf("%s %v", d.OpenAPI, d.Info)
	}
	want := map[string]Route{}
	for _, r := range h.Routes() {
		if strings.HasPrefix(r.Path, "/api/") || strings.HasPrefix(r.Path, "/v1/") || strings.HasPrefix(r.Path, "/v2/") {
			want[r.Method+" "+openAPIPath(r.Path)] = r
		}
	}
	ids := map[string]bool{}
	param := regexp.MustCompile(`\{(\w+)\}`)
	for path, methods := range d.Paths {
		for method, op := range methods {
			key := strings.ToUpper(method) + " " + path
			r, ok := want[key]
			if !ok {
				t.Errorf("%s is described and does not exist", key)
				continue
			}
			delete(want, key)
			id, _ := op["operationId"].(string)
			if id == "" || ids[id] || op["summary"] == "" {
				t.Errorf("%s: operationId %q, summary %v", key, id, op["summary"])
			}
			ids[id] = true
			if _, opened := op["security"]; opened != (r.Action == "") {
				t.Errorf("%s: described as public %v, and the route's right is %q", key, opened, r.Action)
			}
			named := map[string]bool{}
			params, _ := op["parameters"].([]any)
			for _, p := range params {
				p := p.(map[string]any)
				if p["in"] == "path" {
					named[p["name"].(string)] = p["required"] == true
				}
			}
			for _, m := range param.FindAllStringSubmatch(path, -1) {
				if !named[m[1]] {
					t.Errorf("%s: {%s} is not a required parameter", key, m[1])
				}
			}
			if responses, _ := op["responses"].(map[string]any); len(responses) < 2 || responses["default"] == nil {
				t.Errorf("%s: responses %v", key, responses)
			}
		}
	}
	for key := range want {
		t.Errorf("%s is not described", key)
	}
}

// TestAnswersAreAsDescribed calls the API as a robot would and holds every
// answer against the document.
func TestAnswersAreAsDescribed(t *testing.T) {
	h := newHouse(t)
	d := describedAPI(t, h)
	v, _ := h.token(auth.RoleAdministrator, "")
	h.telemetry.set(chain.View{Chain: "eth", Family: chain.EVM, Height: 100, Status: "live", Nodes: []chain.NodeView{{Name: "n1", State: chain.Up}}, Intervals: []chain.Interval{{Height: 1}}})
	g := h.fire("am", signal.Observation{Title: "withdrawals stuck", Labels: map[string]string{"job": "x"}})

	d.answers("POST /api/v1/incidents", v.json("POST", "/api/v1/incidents", map[string]any{"id": newID(), "title": "Bridge", "severity": "SEV1", "summary": "s", "components": []string{"Bridge"}, "chains": []string{"eth"}, "impact_began_at": "2026-03-01T10:00:00Z", "signal": g.ID}).want(201))
	d.answers("POST /api/v1/incidents", v.json("POST", "/api/v1/incidents", map[string]any{"title": ""}).want(422))
	const commands = "POST /api/v1/incidents/{number}/commands"
	d.answers(commands, v.command(1, "add_note", map[string]any{"text": "a"}).want(200))
	d.answers(commands, v.command(1, "assign_role", map[string]any{"role": "commander", "person": "ana"}).want(200))
	d.answers(commands, v.command(1, "add_task", map[string]any{"title": "look", "assignee": "ana"}).want(200))
	d.answers(commands, v.command(1, "add_link", map[string]any{"url": "https://example.org"}).want(200))
	d.answers(commands, v.command(1, "draft_update", map[string]any{"audience": "public", "text": "We look.", "components": map[string]string{"Bridge": "major_outage"}}).want(200))
	d.answers(commands, v.command(1, "approve_update", map[string]any{"update": "U1"}).want(200))
	d.answers(commands, v.command(1, "publish_update", map[string]any{"update": "U1"}).want(200))
	d.answers(commands, v.command(1, "resolve", nil).want(422))
	d.answers(commands, v.command(99, "add_note", map[string]any{"text": "a"}).want(404))
	h.settle()
	for _, path := range []string{"/api/v1/incidents", "/api/v1/incidents?status=open", "/api/v1/incidents?status=closed", "/api/v1/incidents?status=declared"} {
		d.answers("GET /api/v1/incidents", v.get(path).want(200))
	}
	one := v.get("/api/v1/incidents/1").want(200)
	d.answers("GET /api/v1/incidents/{number}", one)
	d.answers("GET /api/v1/incidents/{number}", v.get("/api/v1/incidents/99").want(404))
	d.answers("GET /api/v1/incidents/{number}/events", v.get("/api/v1/incidents/1/events").want(200))
	d.answers("GET /api/v1/signals", v.get("/api/v1/signals?open=true").want(200))
	d.answers("GET /api/v1/chains", v.get("/api/v1/chains").want(200))
	made := v.json("POST", "/api/v1/sources", map[string]any{"name": "scripts", "kind": "generic"}).want(201)
	d.answers("POST /api/v1/sources", made)
	d.answers("POST /api/v1/sources", v.json("POST", "/api/v1/sources", map[string]any{"name": "", "kind": "fax"}).want(422))
	d.answers("GET /api/v1/sources", v.get("/api/v1/sources").want(200))
	var src sourceAnswer
	made.into(&src)
	const in = "POST /api/v1/intake/{kind}/{key}"
	at := strings.TrimPrefix(src.URL, h.srv.URL)
	d.answers(in, h.nobody().json("POST", at, map[string]any{"key": "k", "title": "t", "state": "firing"}).want(202))
	d.answers(in, h.nobody().json("POST", "/api/v1/intake/generic/wrong", map[string]any{"key": "k"}).want(401))
	d.answers("POST /v2/enqueue", h.nobody().json("POST", "/v2/enqueue", map[string]any{"routing_key": "x"}).want(400))
	for _, doc := range []string{"summary.json", "status.json", "components.json", "incidents.json", "scheduled-maintenances.json"} {
		d.answers("GET /api/v2/{document}", h.nobody().get("/api/v2/"+doc).want(200))
	}
	d.answers("GET /api/v2/incidents/unresolved.json", h.nobody().get("/api/v2/incidents/unresolved.json").want(200))

	// What others build on, by name.
	var doc map[string]any
	one.into(&doc)
	for _, k := range []string{"number", "id", "title", "severity", "status", "roles", "signals", "tasks", "updates", "impact_began_at", "detected_at", "declared_at", "position"} {
		if _, ok := doc[k]; !ok {
			t.Errorf("an incident has no %s", k)
		}
	}
	if doc["impact_began_at"] != "2026-03-01T10:00:00.000Z" || doc["detected_at"] == "" {
		t.Errorf("times %v, %v", doc["impact_began_at"], doc["detected_at"])
	}
	if r, _ := json.Marshal(doc["roles"]); string(r) != `{"commander":["ana"]}` {
		t.Errorf("roles %s", r)
	}
}

func TestCommandsOverTheAPI(t *testing.T) {
	h := newHouse(t)
	v, _ := h.token(auth.RoleResponder, "")
	id := newID()
	var a, b declareAnswer
	v.json("POST", "/api/v1/incidents", map[string]any{"id": id, "title": "Bridge", "severity": "SEV2"}).want(201).into(&a)
	v.json("POST", "/api/v1/incidents", map[string]any{"id": strings.ToUpper(id), "title": "Other words", "severity": "SEV5"}).want(201).into(&b)
	if a != b || a.Number != 1 || a.ID != id {
		t.Errorf("the same id: %+v and %+v", a, b)
	}
	note := map[string]any{"id": newID(), "command": "add_note", "args": map[string]any{"text": "once"}}
	first := v.json("POST", "/api/v1/incidents/1/commands", note).want(200).body
	if again := v.json("POST", "/api/v1/incidents/1/commands", note).want(200).body; again != first {
		t.Errorf("the same id:\n%s\n%s", first, again)
	}
	v.json("POST", "/api/v1/incidents", map[string]any{"id": note["id"], "title": "Bridge", "severity": "SEV2"}).want(409).problem("id_used")
	v.json("POST", "/api/v1/incidents", map[string]any{"id": "7", "title": "Bridge", "severity": "SEV2"}).want(400).problem("bad_id")
	v.json("POST", "/api/v1/incidents", map[string]any{"title": "Bridge", "severity": "SEV2", "detected_at": "yesterday"}).want(422).problem(incident.CodeBadTime)
	v.json("POST", "/api/v1/incidents", map[string]any{"title": "Bridge", "severity": "SEV2", "signal": "nothing"}).want(422).problem("no_such_signal")
	v.json("POST", "/api/v1/incidents", map[string]any{"title": "Bridge", "severity": "SEV9"}).want(422).problem(incident.CodeBadSeverity)
	for _, c := range []struct {
		name string
		args any
		code string
	}{
		{"set_severity", map[string]any{"severity": "SEV1"}, incident.CodeReasonMissing},
		{"resolve", map[string]any{}, incident.CodeNoValidation},
		{"dance", nil, incident.CodeUnknownCommand},
		{"add_note", map[string]any{"txt": "a"}, incident.CodeUnknownArgument},
		{"assign_role", map[string]any{"role": "commander", "person": "nobody"}, incident.CodeBadPerson},
		{"assign_role", map[string]any{"role": "commander", "person": "me"}, incident.CodeBadPerson},
		{"draft_update", map[string]any{"audience": "martians", "text": "a"}, incident.CodeBadAudience},
		{"attach_signals", map[string]any{"signals": []any{}}, "internal_command"},
		{"signal_changed", map[string]any{"signal": "x"}, "internal_command"},
		{"absorb", map[string]any{"from": 1}, "internal_command"},
		{"declare", map[string]any{"title": "x", "severity": "SEV1"}, incident.CodeAlreadyDeclared},
		{"merge", map[string]any{"into": 7}, "no_such_incident"},
	} {
		v.command(1, c.name, c.args).want(422).problem(c.code)
	}
	// Blanking words is for administrators.
	v.command(1, "redact", map[string]any{"event": "3", "reason": "private"}).want(403).problem(auth.CodeForbidden)
	for _, path := range []string{"0", "-1", "x", "1.5", "99999999999999999999"} {
		v.get("/api/v1/incidents/" + path).want(404).problem("not_found")
	}
	// A drill and the real thing do not merge.
	m := h.meta()
	m.Drill = true
	drill, err := h.Rooms.Declare(context.Background(), incident.Declare{Title: "Drill", Severity: "SEV2"}, m)
	if err != nil {
		t.Fatal(err)
	}
	h.settle()
	v.command(1, "merge", map[string]any{"into": drill.Number}).want(422).problem("drill_and_real")
}

// TestLogAsLines reads the log whole, from the middle, and as it grows.
func TestLogAsLines(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Bridge"})
	for range 600 { // more than a page
		if _, err := h.Rooms.Do(context.Background(), n, incident.AddNote{Text: "x"}, h.meta()); err != nil {
			t.Fatal(err)
		}
	}
	v, _ := h.token(auth.RoleResponder, "")
	a := v.get("/api/v1/log?from=0&follow=false").want(200)
	if ct := a.header.Get("Content-Type"); ct != "application/x-ndjson" {
		t.Error(ct)
	}
	lines := strings.Split(strings.TrimSpace(a.body), "\n")
	if int64(len(lines)) != h.Log.Size() {
		t.Fatalf("%d lines of %d events", len(lines), h.Log.Size())
	}
	for i, line := range lines {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil || e["offset"] != float64(i) {
			t.Fatalf("line %d: %v %s", i, err, line)
		}
		for _, k := range []string{"offset", "id", "stream", "seq", "type", "at", "actor", "data"} {
			if _, ok := e[k]; !ok {
				t.Fatalf("line %d has no %s", i, k)
			}
		}
	}
	if part := strings.Count(v.get("/api/v1/log?from=600&follow=false").want(200).body, "\n"); int64(part) != h.Log.Size()-600 {
		t.Errorf("%d lines from 600", part)
	}
	v.get("/api/v1/log?from=99999&follow=false").want(200)

	// From a store that fails nobody gets a part that looks like all of it.
	var good atomic.Int64
	good.Store(1 << 40)
	ill := replicaOn(t, silentAfter{h.db, &good})
	v = v.at(ill)
	for pages, says := range map[int64]string{0: "503", 1: "cut off"} {
		good.Store(1 << 40)
		ill.settle()
		v.get("/api/v1/log?from=600&follow=false").want(200)
		good.Store(pages)
		r, err := http.NewRequest("GET", ill.srv.URL+"/api/v1/log?from=0&follow=false", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+v.bearer)
		a, err := v.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, a.Body)
		a.Body.Close()
		if got := fmt.Sprint(a.StatusCode); says == "503" && got != says || says == "cut off" && err == nil {
			t.Errorf("a store that fails after %d pages: %s, %v", pages, got, err)
		}
	}
	good.Store(1 << 40)

	v.get("/api/v1/log?from=-1").want(422).problem("bad_from")
	v.get("/api/v1/log?from=x").want(422).problem("bad_from")
}

// silentAfter is a store that answers requests with this many pages of the log and is silent then.
type silentAfter struct {
	store.DB
	left *atomic.Int64
}

func (s silentAfter) Scan(ctx context.Context, r store.Range) iter.Seq2[store.KV, error] {
	return func(yield func(store.KV, error) bool) {
		n := 0
		for kv, err := range s.DB.Scan(ctx, r) {
			if n++; n == 1 && ctx.Value(http.ServerContextKey) != nil && bytes.HasPrefix(kv.Key, []byte("log/event/")) && s.left.Add(-1) < 0 {
				yield(store.KV{}, store.ErrUnavailable)
				return
			}
			if !yield(kv, err) {
				return
			}
		}
	}
}

// TestFollowingEndsWithTheToken: a follower gets what comes, and is cut off when
// its token is revoked.
func TestFollowingEndsWithTheToken(t *testing.T) {
	h := newHouse(t)
	v, id := h.token(auth.RoleResponder, "")
	r, err := http.NewRequest("GET", fmt.Sprintf("%s/api/v1/log?from=%d", h.srv.URL, h.Log.Size()), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "bearer "+v.bearer) // the scheme's case does not matter
	res, err := v.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	h.declare(incident.Declare{Title: "while following"})
	for lines.Scan() && !strings.Contains(lines.Text(), "while following") {
	}
	time.Sleep(3 * h.recheck) // several looks at a good token must not end it
	h.declare(incident.Declare{Title: "still following"})
	found := false
	for !found && lines.Scan() {
		found = strings.Contains(lines.Text(), "still following")
	}
	if !found {
		t.Fatalf("a good token was cut off: %v", lines.Err())
	}
	h.ana().post("/tokens/" + id + "/revoke").want(303)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines.Scan() {
		}
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("still following with a revoked token")
	}
}
