package web

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/incident"
)

type commandDoc struct {
	Required   []string `json:"required"`
	Properties struct {
		Command struct {
			Const string `json:"const"`
		} `json:"command"`
		Args struct {
			Required   []string       `json:"required"`
			Properties map[string]any `json:"properties"`
		} `json:"args"`
	} `json:"properties"`
}

func describedCommands(t *testing.T, h *house) map[string]commandDoc {
	t.Helper()
	var doc struct {
		Components struct {
			Schemas map[string]json.RawMessage `json:"schemas"`
		} `json:"components"`
	}
	h.nobody().get("/openapi.json").want(200).into(&doc)
	var all struct {
		OneOf []struct {
			Ref string `json:"$ref"`
		} `json:"oneOf"`
		Discriminator struct {
			Mapping map[string]string `json:"mapping"`
		} `json:"discriminator"`
	}
	read := func(name string, v any) {
		t.Helper()
		if err := json.Unmarshal(doc.Components.Schemas[name], v); err != nil {
			t.Fatalf("schema %s: %v", name, err)
		}
	}
	read("CommandRequest", &all)
	out := map[string]commandDoc{}
	for _, o := range all.OneOf {
		var c commandDoc
		read(o.Ref[len("#/components/schemas/"):], &c)
		name := c.Properties.Command.Const
		if all.Discriminator.Mapping[name] != o.Ref {
			t.Errorf("%s is mapped to %q, not %q", name, all.Discriminator.Mapping[name], o.Ref)
		}
		out[name] = c
	}
	if len(out) != len(all.OneOf) || len(out) != len(all.Discriminator.Mapping) {
		t.Errorf("%d commands in %d schemas, %d mapped", len(out), len(all.OneOf), len(all.Discriminator.Mapping))
	}
	return out
}

// Every command that the API takes is described with the arguments it takes, and
// no other: the document is held against what the server answers.
func TestEveryCommandIsDescribed(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Bridge"})
	described := describedCommands(t, h)
	ana := h.ana()
	code := func(name string, args map[string]any) string {
		t.Helper()
		a := ana.command(n, name, args)
		if a.status < 300 {
			return ""
		}
		var p problem
		a.into(&p)
		return p.Code
	}
	for _, name := range incident.Names() {
		c, ok := described[name]
		refused := code(name, nil)
		if taken := refused != "internal_command" && refused != incident.CodeAlreadyDeclared && refused != incident.CodeUnknownCommand; taken != ok {
			t.Errorf("%s: described %v, and the answer is %q", name, ok, refused)
		}
		if !ok {
			continue
		}
		if got := code(name, map[string]any{"no_such_argument": 1}); got != incident.CodeUnknownArgument {
			t.Errorf("%s takes anything: %q", name, got)
		}
		props := c.Properties.Args.Properties
		for arg := range props {
			if got := code(name, map[string]any{arg: map[string]any{"no": []int{1}}}); got == incident.CodeUnknownArgument || got == "" {
				t.Errorf("%s does not take %s: %q", name, arg, got)
			}
		}
		for _, arg := range incident.Arguments(name) {
			if props[arg] == nil {
				t.Errorf("%s: %s is not described", name, arg)
			}
		}
		for _, arg := range c.Properties.Args.Required {
			if props[arg] == nil {
				t.Errorf("%s requires %s, which is not described", name, arg)
			}
		}
		if needsArgs := slices.Contains(c.Required, "args"); needsArgs != (len(c.Properties.Args.Required) > 0) {
			t.Errorf("%s: args required %v", name, needsArgs)
		}
	}
	for name := range described {
		if !slices.Contains(incident.Names(), name) {
			t.Errorf("%s is described and does not exist", name)
		}
	}
	if props := described["attach_signal"].Properties.Args.Properties; props["signal"] == nil || props["through"] != nil || props["offset"] != nil {
		t.Errorf("attach_signal: %v", props)
	}
}

// What the document refers to is in it.
func TestReferencesResolve(t *testing.T) {
	h := newHouse(t)
	var doc map[string]any
	h.nobody().get("/openapi.json").want(200).into(&doc)
	schemas, _ := doc["components"].(map[string]any)["schemas"].(map[string]any)
	used := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				used++
				if name, _ := strings.CutPrefix(ref, "#/components/schemas/"); schemas[name] == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, x := range v {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(doc)
	if used < len(schemas) {
		t.Errorf("%d references to %d schemas", used, len(schemas))
	}
}
