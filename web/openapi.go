package web

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/intake"
)

// operation describes one route of the API. The shapes are the very structs
// that the handlers read and write, so the document cannot drift from them.
type operation struct {
	summary  string
	request  any // nil = no body
	answer   any // nil = described by media
	refusal  any // nil = problem details alone
	status   string
	media    string // of the answer when it is not JSON
	query    [][2]string
	publicly bool
}

var operations = map[string]operation{
	"GET /api/v1/incidents":                    {summary: "List incidents by number", answer: incidentsAnswer{}, query: append([][2]string{{"status", "open, closed, or one status"}}, pageQuery(mostIncidents)...)},
	"POST /api/v1/incidents":                   {summary: "Declare an incident", request: declareRequest{}, answer: declareAnswer{}, status: "201"},
	"GET /api/v1/incidents/{number}":           {summary: "One incident as of its newest durable event", answer: apiIncidentDoc{}},
	"GET /api/v1/incidents/{number}/events":    {summary: "The events of one incident", answer: eventsAnswer{}, query: [][2]string{{"from", "first sequence number in the stream"}}},
	"POST /api/v1/incidents/{number}/commands": {summary: "Give a command; the answer is durable and idempotent by id", request: commandRequest{}, answer: answerDoc{}},
	"GET /api/v1/signals":                      {summary: "List signals by the time at which they opened", answer: signalsAnswer{}, query: append([][2]string{{"open", "true: only open ones"}}, pageQuery(mostSignals)...)},
	"GET /api/v1/chains":                       {summary: "What is seen of the watched chains", answer: chainsAnswer{}},
	"GET /api/v1/sources":                      {summary: "List sources", answer: sourcesAnswer{}},
	"POST /api/v1/sources":                     {summary: "Make a source; its key is shown this once", request: sourceRequest{}, answer: sourceAnswer{}, status: "201"},
	"GET /api/v1/log":                          {summary: "The log as NDJSON, one event a line", media: "application/x-ndjson", query: [][2]string{{"from", "first offset"}, {"follow", "false: stop at the end"}}},
	"GET /api/v1/replicas":                     {summary: "The replicas that are alive, or were in the last hour, as this one knows them", answer: replicasAnswer{}},
	"GET /api/v1/backup":                       {summary: "A backup of everything, secrets included, for tocsin restore; the log says who took it", media: "application/vnd.tocsin.backup"},
	"POST /api/v1/intake/{kind}/{key}":         {summary: "Deliver alerts (Alertmanager webhook v4, generic JSON); durable when answered 202", request: json.RawMessage{}, answer: intake.Accepted{}, status: "202", publicly: true},
	"POST /v2/enqueue":                         {summary: "PagerDuty Events v2; the routing key is in the body", request: json.RawMessage{}, answer: intake.PagerDutyReply{}, refusal: intake.PagerDutyReply{}, status: "202", publicly: true},
	"GET /api/v2/{document}":                   {summary: "Statuspage-compatible documents: summary.json, status.json, components.json, incidents.json, scheduled-maintenances.json", answer: map[string]any{}, publicly: true},
	"GET /api/v2/incidents/unresolved.json":    {summary: "Statuspage-compatible open incidents", answer: map[string]any{}, publicly: true},
}

var pathParam = regexp.MustCompile(`:(\w+)`)

// openAPIPath is a route's path as OpenAPI writes it.
func openAPIPath(path string) string { return pathParam.ReplaceAllString(path, "{$1}") }

// OpenAPI returns the description of the API as an OpenAPI 3.1 document.
func (s *Server) OpenAPI() ([]byte, error) {
	schemas := map[string]any{}
	ref := func(v any) any { return schemaOf(reflect.TypeOf(v), schemas) }
	problemRef := ref(problem{})
	paths := map[string]map[string]any{}
	for key, op := range operations {
		method, path, _ := strings.Cut(key, " ")
		o := map[string]any{"summary": op.summary, "operationId": strings.ToLower(method) + strings.Map(idRune, path)}
		if op.publicly {
			o["security"] = []any{}
		}
		var params []any
		for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(path, -1) {
			typ := "string"
			if m[1] == "number" {
				typ = "integer"
			}
			params = append(params, map[string]any{"name": m[1], "in": "path", "required": true, "schema": map[string]any{"type": typ}})
		}
		for _, q := range op.query {
			params = append(params, map[string]any{"name": q[0], "in": "query", "description": q[1], "schema": map[string]any{"type": "string"}})
		}
		if len(params) > 0 {
			o["parameters"] = params
		}
		if op.request != nil {
			o["requestBody"] = map[string]any{"required": true, "content": map[string]any{"application/json": map[string]any{"schema": ref(op.request)}}}
		}
		status := op.status
		if status == "" {
			status = "200"
		}
		content := map[string]any{}
		if op.media != "" {
			content[op.media] = map[string]any{"schema": map[string]any{"type": "string"}}
		} else {
			content["application/json"] = map[string]any{"schema": ref(op.answer)}
		}
		refusals := map[string]any{"application/problem+json": map[string]any{"schema": problemRef}}
		if op.refusal != nil {
			refusals["application/json"] = map[string]any{"schema": ref(op.refusal)}
		}
		o["responses"] = map[string]any{
			status:    map[string]any{"description": "done", "content": content},
			"default": map[string]any{"description": "a refusal or a fault, in a sentence", "content": refusals},
		}
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(method)] = o
	}
	return json.MarshalIndent(map[string]any{
		"openapi":  "3.1.0",
		"info":     map[string]any{"title": "Tocsin", "version": s.Version, "description": "Everything a person can do, with the same commands.", "license": map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		"security": []any{map[string]any{"token": []any{}}},
		"paths":    paths,
		"components": map[string]any{
			"schemas":         schemas,
			"securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer", "description": "an API token from the Tokens page"}},
		},
	}, "", " ")
}

func idRune(r rune) rune {
	if r == '/' || r == '{' || r == '}' || r == '.' {
		return '_'
	}
	return r
}

// schemaOf describes a Go type as JSON Schema 2020-12; named structs go into schemas.
func schemaOf(t reflect.Type, schemas map[string]any) any {
	switch t {
	case reflect.TypeFor[json.RawMessage]():
		return map[string]any{}
	case reflect.TypeFor[commandRequest]():
		return commandSchema(schemas)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return map[string]any{"anyOf": []any{schemaOf(t.Elem(), schemas), map[string]any{"type": "null"}}}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Uint64:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": []any{"array", "null"}, "items": schemaOf(t.Elem(), schemas)}
	case reflect.Map:
		return map[string]any{"type": []any{"object", "null"}, "additionalProperties": schemaOf(t.Elem(), schemas)}
	case reflect.Interface:
		return map[string]any{}
	case reflect.Struct:
		name := strings.TrimPrefix(t.Name(), "api")
		name = strings.ToUpper(name[:1]) + name[1:]
		if pkg := t.PkgPath(); !strings.HasSuffix(pkg, "/web") {
			last := pkg[strings.LastIndex(pkg, "/")+1:]
			name = strings.ToUpper(last[:1]) + last[1:] + name
		}
		if _, done := schemas[name]; !done {
			schemas[name] = nil // stops recursion
			schemas[name] = structSchema(t, schemas)
		}
		return map[string]any{"$ref": "#/components/schemas/" + name}
	}
	return map[string]any{}
}

func structSchema(t reflect.Type, schemas map[string]any) any {
	props := map[string]any{}
	required := []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || tag == "-" {
			continue
		}
		if tag == "" {
			tag = f.Name
		}
		schema := schemaOf(f.Type, schemas)
		if m, ok := schema.(map[string]any); ok {
			if d := f.Tag.Get("doc"); d != "" {
				m["description"] = d
			}
			if e := f.Tag.Get("enum"); e != "" {
				m["enum"] = strings.Split(e, ",")
			}
		}
		props[tag] = schema
		if !strings.Contains(opts, "omitempty") {
			required = append(required, tag)
		}
	}
	return map[string]any{"type": "object", "properties": props, "required": required}
}

func (s *Server) openapi(c *call) error {
	b, err := s.OpenAPI()
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, "application/json", b)
}
