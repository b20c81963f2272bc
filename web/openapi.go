package web

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/attention"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/roster"
)

// operation describes one route of the API. The shapes are the very structs
// that the handlers read and write, so the document cannot drift from them.
type operation struct {
	summary  string
	request  any // nil = no body
	answer   any // nil = described by media
	refusal  any // nil = problem details alone
	status   string
	edits    bool   // with an id in the body something is changed instead of made: 200
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
	"POST /api/v1/signals/{id}/verdict":        {summary: "Say whether a finding was right; idempotent by id", request: verdictRequest{}, answer: verdictAnswer{}},
	"POST /api/v1/signals/{id}/snooze":         {summary: "Keep a signal quiet for a time, or wake it", request: snoozeRequest{}, answer: snoozeAnswer{}},
	"GET /api/v1/maintenance":                  {summary: "The maintenance windows", answer: windowsAnswer{}},
	"POST /api/v1/maintenance":                 {summary: "Make or change a maintenance window", request: windowRequest{}, answer: windowDoc{}, status: "201", edits: true},
	"POST /api/v1/maintenance/{id}/{act}":      {summary: "start, stop, cancel or undo a window", answer: windowDoc{}},
	"GET /api/v1/grouping":                     {summary: "The grouping rules, in the order in which they are tried", answer: rulesAnswer{}},
	"POST /api/v1/grouping":                    {summary: "Add or change a grouping rule", request: ruleRequest{}, answer: ruleDoc{}, status: "201", edits: true},
	"POST /api/v1/grouping/{id}/{act}":         {summary: "up, down, remove or undo a rule; the first that fits counts", answer: rulesAnswer{}},
	"GET /api/v1/heartbeats":                   {summary: "What is thought of every heartbeat", answer: pulsesAnswer{}},
	"GET /api/v1/watchdog":                     {summary: "How the heartbeats fare that go out from here (dead-man switch)", answer: beatsAnswer{}},
	"POST /api/v1/watchdog/send":               {summary: "Send one heartbeat now; it is held back like every other while something here does not work", request: beatRequest{}, answer: beatDoc{}},
	"GET /api/v1/detectors":                    {summary: "The detectors: alerts a day, precision, recall, thresholds and their changes", answer: detectorsAnswer{}},
	"GET /api/v1/queue":                        {summary: "Everything open by what it is likely to cost, with the reason for its place", answer: queueAnswer{}},
	"GET /api/v1/learning":                     {summary: "What past incidents taught, and how often that was right", answer: learningAnswer{}},
	"GET /api/v1/chains":                       {summary: "What is seen of the watched chains", answer: chainsAnswer{}},
	"GET /api/v1/sources":                      {summary: "List sources", answer: sourcesAnswer{}},
	"POST /api/v1/sources":                     {summary: "Make a source; its key is shown this once", request: sourceRequest{}, answer: sourceAnswer{}, status: "201"},
	"POST /api/v1/sources/{id}/mapping":        {summary: "Set how the JSON of a generic source is read; without fields it is as it comes", request: intake.Mapping{}, answer: intake.Source{}},
	"POST /api/v1/sources/{id}/mapping/try":    {summary: "What a mapping makes of a sample; nothing is kept", request: tryRequest{}, answer: tryAnswer{}},
	"POST /api/v1/sources/{id}/mapping/undo":   {summary: "Give a source the mapping back that it had before", answer: intake.Source{}},
	"POST /api/v1/sources/{id}/pace":           {summary: "Change what a heartbeat promises", request: paceRequest{}, answer: intake.Source{}},
	"POST /api/v1/sources/{id}/secret":         {summary: "Set or take away the secret with which Grafana signs; it is never answered back", request: secretRequest{}, answer: intake.Source{}},
	"POST /api/v1/sources/{id}/revoke":         {summary: "End a source: its key opens nothing any more, its signals stay", answer: intake.Source{}},
	"GET /api/v1/oncall":                       {summary: "The on-call settings, what is wrong with them, and their newest changes", answer: onCallAnswer{}},
	"GET /api/v1/oncall/now":                   {summary: "Who is on call in each schedule, why and until when", answer: onCallNowAnswer{}},
	"POST /api/v1/oncall/commands":             {summary: "Change the settings, or swap a turn; the answer is durable and idempotent by id", request: onCallCommand{}, answer: roster.Answer{}},
	"GET /api/v1/oncall/schedules/{id}/shifts": {summary: "Who is on call, without a gap", answer: shiftsAnswer{}, query: shiftQuery},
	"GET /api/v1/oncall/schedules/{id}/holes":  {summary: "When nobody is on call", answer: shiftsAnswer{}, query: shiftQuery},
	"GET /api/v1/oncall/feeds":                 {summary: "Calendars that were given out", answer: feedsAnswer{}},
	"POST /api/v1/oncall/feeds":                {summary: "Make a calendar address; it is shown this once", request: feedRequest{}, answer: feedDoc{}, status: "201"},
	"POST /api/v1/oncall/feeds/{id}/revoke":    {summary: "End a calendar address", answer: struct{}{}},
	"POST /api/v1/oncall/import/preview":       {summary: "What a calendar file would add, and what of it is refused and why", request: importRequest{}, answer: importAnswer{}},
	"POST /api/v1/oncall/import/apply":         {summary: "Add what the preview says; idempotent by id", request: importRequest{}, answer: roster.Answer{}},
	"GET /api/v1/me/routes":                    {summary: "How I am reached, in order; for the session of a person, not for tokens", answer: routesAnswer{}},
	"POST /api/v1/me/routes":                   {summary: "Add a route; it counts once a test was confirmed by its code", request: routeRequest{}, answer: routeAnswer{}, status: "201"},
	"POST /api/v1/me/routes/{id}/set":          {summary: "Set name, wait, floor and quiet hours of a route", request: routeAct{}, answer: routeAnswer{}},
	"POST /api/v1/me/routes/{id}/move":         {summary: "Move a route up or down", request: routeAct{}, answer: routeAnswer{}},
	"POST /api/v1/me/routes/{id}/remove":       {summary: "Remove a route; it can be restored for a quarter of an hour", request: routeAct{}, answer: routeAnswer{}},
	"POST /api/v1/me/routes/{id}/restore":      {summary: "Bring a removed route back", request: routeAct{}, answer: routeAnswer{}},
	"POST /api/v1/me/routes/{id}/secret":       {summary: "Give a webhook a new secret; the one before signs as well", request: routeAct{}, answer: routeAnswer{}},
	"POST /api/v1/me/routes/{id}/test":         {summary: "Send a test over a route; what became of it is in the list", request: routeAct{}, answer: routeAnswer{}},
	"POST /api/v1/me/routes/{id}/confirm":      {summary: "Confirm an address with the code of the test", request: routeAct{}, answer: routeAnswer{}},
	"GET /api/v1/me/attention":                 {summary: "What whoever asks must see and hear: what is open, and the pages that wait for them (a person's session; walls and tokens have no pages)", answer: attention.State{}, query: [][2]string{{"follow", "true: NDJSON, one such object a line at each change and every ten seconds"}}},
	"POST /api/v1/me/attention/shown":          {summary: "These pages stand on the screen of the person whose session this is; their rooms are told", request: shownRequest{}, answer: shownAnswer{}},
	"GET /api/v1/log":                          {summary: "The log as NDJSON, one event a line", media: "application/x-ndjson", query: [][2]string{{"from", "first offset"}, {"follow", "false: stop at the end"}}},
	"GET /api/v1/replicas":                     {summary: "The replicas that are alive, or were in the last hour, as this one knows them", answer: replicasAnswer{}},
	"GET /api/v1/backup":                       {summary: "A backup of everything, secrets included, for tocsin restore; the log says who took it", media: "application/vnd.tocsin.backup"},
	"POST /api/v1/intake/{kind}/{key}":         {summary: "Deliver alerts (Alertmanager webhook v4, Grafana, CloudEvents 1.0, JSON) or a heartbeat; durable when answered 202", request: json.RawMessage{}, answer: intake.Accepted{}, status: "202", publicly: true},
	"POST /api/v1/intake/{kind}":               {summary: "Deliver with the key as Bearer token", request: json.RawMessage{}, answer: intake.Accepted{}, status: "202", publicly: true},
	"GET /api/v1/intake/heartbeat/{key}":       {summary: "One beat of a heartbeat", answer: intake.Heard{}, status: "202", publicly: true},
	"OPTIONS /api/v1/intake/{kind}/{key}":      {summary: "Whether a CloudEvents webhook may deliver here: WebHook-Allowed-Origin and WebHook-Allowed-Rate", media: "text/plain", publicly: true},
	"POST /v2/change/enqueue":                  {summary: "PagerDuty change events; kept as a signal of SEV5 that is over at once", request: json.RawMessage{}, answer: intake.PagerDutyReply{}, refusal: intake.PagerDutyReply{}, status: "202", publicly: true},
	"POST /v2/enqueue":                         {summary: "PagerDuty Events v2; the routing key is in the body", request: json.RawMessage{}, answer: intake.PagerDutyReply{}, refusal: intake.PagerDutyReply{}, status: "202", publicly: true},
	"POST /api/v1/write":                       {summary: "Prometheus remote write 1.0 or 2.0 (snappy, protobuf); the key of a source of kind metrics is the Bearer token. Samples are in the write-ahead log when answered 204", media: "text/plain", status: "204", publicly: true},
	"POST /api/v1/write/{key}":                 {summary: "Prometheus remote write with the key in the address", media: "text/plain", status: "204", publicly: true},
	"POST /v1/metrics":                         {summary: "OTLP/HTTP metrics (protobuf or JSON, gzip or plain); the key of a source of kind metrics is the Bearer token", answer: map[string]any{}, publicly: true},
	"POST /v1/metrics/{key}":                   {summary: "OTLP/HTTP metrics with the key in the address", answer: map[string]any{}, publicly: true},
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
		responses := map[string]any{
			status:    map[string]any{"description": "done", "content": content},
			"default": map[string]any{"description": "a refusal or a fault, in a sentence", "content": refusals},
		}
		if op.edits {
			responses["200"] = map[string]any{"description": "changed", "content": content}
		}
		o["responses"] = responses
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
		if t.Name() == "" {
			return structSchema(t, schemas)
		}
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
	for _, f := range reflect.VisibleFields(t) { // with those of embedded structs, as encoding/json has them
		if f.Anonymous && f.Tag.Get("json") == "" {
			continue
		}
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
		if !strings.Contains(opts, "omitempty") && !strings.Contains(opts, "omitzero") {
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
