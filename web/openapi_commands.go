package web

import (
	"reflect"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/incident"
)

// commandDocs says in words what the type of an argument does not.
var commandDocs = map[string]string{
	"severity":        "SEV1 (funds moving) to SEV5 (information)",
	"status":          "declared, investigating, mitigating or monitoring",
	"role":            "commander, deputy, scribe, comms, operations, expert or decider",
	"person":          "a handle, or “me”",
	"to":              "a handle, or “me”",
	"assignee":        "a handle, or “me”",
	"audience":        "public, or an audience that is configured",
	"phase":           "investigating, identified, monitoring or resolved",
	"components":      "names; of an update: name to operational, degraded_performance, partial_outage, major_outage or under_maintenance",
	"impact_began_at": "unix milliseconds; 0: unknown",
	"detected_at":     "unix milliseconds; 0: unknown",
	"due":             "unix milliseconds",
	"written_at":      "unix milliseconds; when a note was written that could not be sent then. At most 30 days ago; kept when it is more than 10 s ago",
	"next_due":        "unix milliseconds; when the next update is promised",
	"task":            "like T1",
	"update":          "like U1; empty: the only one there is to choose",
	"link":            "like L1",
	"signal":          "id of a signal; what else is known of it comes from the signal itself",
	"address":         "whole, as the explorer shows it; to take it off, also its number, like A1",
	"chain":           "id of the chain, like ethereum",
	"tx":              "hash of the transaction, whole; to take it off, also its number, like X1",
	"kind":            "of an address: attacker, victim, ours, exchange, mixer, bridge, contract or other",
	"into":            "number of the incident that stays",
	"event":           "id of the event, or its offset in the log",
	"validation":      "how it was checked that recovery worked",
	"summary":         "what is known now; empty clears it",
	"team":            "id of a team, or its name",
	"policy":          "id of an escalation policy; it begins anew, as it is now",
	"step":            "number of the policy's step, from 1; left out: the next one",
	"for":             "how long: 30m, 2h, 1d",
	"until":           "unix milliseconds, at most 7 days ahead; instead of “for”",
	"category":        "one lower-case word, like bridge-drain; empty clears it",
	"fact":            "name of a fact of the catalogue, like users_affected",
	"value":           "of the fact, as people write it: 12000, 3.5 %, 2m USD",
}

// outsideCommands are the names of the commands that the API takes inside an
// incident: declare has an address of its own, and followers keep some for themselves.
func outsideCommands() []string {
	return slices.DeleteFunc(incident.Names(), func(name string) bool {
		return incident.Internal(name) || name == incident.Declare{}.Name()
	})
}

// commandSchema describes the body of a command: one of all of them, each with
// the arguments of the very struct that the core reads.
func commandSchema(schemas map[string]any) any {
	const ref = "#/components/schemas/"
	var each []any
	mapping := map[string]any{}
	for _, name := range outsideCommands() {
		id := commandTitle(name)
		schemas[id] = oneCommand(name, schemas)
		each = append(each, map[string]any{"$ref": ref + id})
		mapping[name] = ref + id
	}
	schemas["CommandRequest"] = map[string]any{"oneOf": each, "discriminator": map[string]any{"propertyName": "command", "mapping": mapping}}
	return map[string]any{"$ref": ref + "CommandRequest"}
}

// commandTitle is SetSeverityCommand for set_severity.
func commandTitle(name string) string {
	var b strings.Builder
	for _, w := range strings.Split(name, "_") {
		b.WriteString(strings.ToUpper(w[:1]) + w[1:])
	}
	return b.String() + "Command"
}

func oneCommand(name string, schemas map[string]any) any {
	c, _ := incident.Blueprint(name)
	props := map[string]any{}
	var required []string
	arguments(reflect.TypeOf(c), incident.Arguments(name), props, &required, schemas)
	args := map[string]any{"type": "object", "properties": props, "additionalProperties": false}
	top := []string{"command"}
	if len(required) > 0 {
		args["required"] = required
		top = append(top, "args")
	}
	return map[string]any{"type": "object", "required": top, "properties": map[string]any{
		"id":      map[string]any{"type": "string", "format": "uuid", "description": "UUID of the command; the same id gets the same answer"},
		"command": map[string]any{"const": name},
		"args":    args,
	}}
}

// arguments describes those fields of a command that can be given; embedded
// structs lie flat, as they do in JSON.
func arguments(t reflect.Type, given []string, props map[string]any, required *[]string, schemas map[string]any) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			arguments(f.Type, given, props, required, schemas)
			continue
		}
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || !slices.Contains(given, name) {
			continue
		}
		schema := schemaOf(f.Type, schemas)
		if m, ok := schema.(map[string]any); ok && commandDocs[name] != "" {
			m["description"] = commandDocs[name]
		}
		props[name] = schema
		if !strings.Contains(opts, "omitempty") {
			*required = append(*required, name)
		}
	}
}
