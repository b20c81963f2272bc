package intake

import (
	"strings"
	"testing"
	"time"
)

const sampleBody = `{"status":"alarm","service":{"name":"bridge","chain":"ethereum"},"events":[
 {"uid":"e1","msg":"outflow high","level":2,"when":1785000000,"tags":["a","b"],"ok":false,"attrs":{"team":"treasury","n":3},"url":"https://x.example/1"},
 {"uid":"e2","msg":"outflow over","level":4,"when":1785000060,"tags":[],"ok":true}]}`

func try(t *testing.T, m Mapping, body string) string {
	t.Helper()
	c, err := m.Compile()
	if err != nil {
		return "compile: " + err.Error()
	}
	obs, err := c.Decode([]byte(body), 1_785_000_100_000, time.Now)
	var b strings.Builder
	for _, o := range obs {
		b.WriteString(strings.Join([]string{o.Key, o.Title, o.Severity, map[bool]string{true: "firing", false: "resolved"}[o.Firing], o.Kind, o.Component, o.Chain, o.Reason, o.Labels["team"], o.Labels["n"]}, "|") + "\n")
	}
	if err != nil {
		b.WriteString("error: " + err.Error())
	}
	return b.String()
}

func TestMappings(t *testing.T) {
	full := Mapping{List: "body.events", Fields: map[string]string{
		"key": `uid`, "title": `body.service.name + ": " + msg`, "severity": `level <= 2 ? "critical" : "warning"`, "state": `ok ? "resolved" : "firing"`,
		"component": "body.service.name", "chain": "body.service.chain", "reason": `join(tags, ", ")`, "labels": "attrs", "at": "when", "kind": `upper("out") + string(level)`,
	}}
	for name, c := range map[string]struct {
		m    Mapping
		body string
		want string
	}{
		"a list":           {full, sampleBody, "e1|bridge: outflow high|SEV2|firing|OUT2|bridge|ethereum|a, b|treasury|3\ne2|bridge: outflow over|SEV4|resolved|OUT4|bridge|ethereum|||\n"},
		"one item":         {Mapping{Fields: map[string]string{"key": "name", "title": `"x" + 1`}}, `{"name":"k","severity":"critical"}`, "k|x1|SEV2|firing||||||\n"},
		"syntax":           {Mapping{Fields: map[string]string{"key": "name +* 2"}}, `{}`, "compile: key, line 1, column 7: Unexpected token Operator(\"*\")."},
		"unknown function": {Mapping{Fields: map[string]string{"key": "now()"}}, `{}`, "compile: key, line 1, column 1: There is no function now."},
		"unknown field":    {Mapping{Fields: map[string]string{"colour": "a"}}, `{}`, "compile: colour: There is no such field. There are " + strings.Join(MappedFields, ", ") + "."},
		"nothing there":    {Mapping{Fields: map[string]string{"key": "a.b.c"}}, `{"x":1}`, "error: Item 1 of 1: key, line 1, column 3: Cannot fetch b from <nil>."},
		"optional":         {Mapping{Fields: map[string]string{"key": `a?.b ?? "none"`}}, `{"x":1}`, "none|none|SEV3|firing||||||\n"},
		"not a list":       {Mapping{List: "body", Fields: map[string]string{"key": "x"}}, `{"x":1}`, "error: list: It must give a list, and gives an object."},
		"steps":            {Mapping{Fields: map[string]string{"key": "string(count(1..2000, count(1..2000, # > 0) > 0))"}}, `{}`, "error: Item 1 of 1: key: It runs through more than 50000 elements."},
		"bytes":            {Mapping{Fields: map[string]string{"key": `join(map(1..20, item.x + item.x))`}}, `{"x":"` + strings.Repeat("y", 100_000) + `"}`, "error: Item 1 of 1: key: It makes more than 1048576 bytes of text."},
		"memory":           {Mapping{Fields: map[string]string{"key": `string(len(1..100000000))`}}, `{}`, "error: Item 1 of 1: key, line 1, column 13: Memory budget exceeded."},
		"nodes":            {Mapping{Fields: map[string]string{"key": strings.Repeat("1+", 250) + "1"}}, `{}`, "compile: key, line 1, column 202: Compilation failed: expression exceeds maximum allowed nodes."},
	} {
		if got := try(t, c.m, c.body); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
	}
}

func FuzzMapping(f *testing.F) {
	f.Add("body.events", `msg + "x"`, sampleBody)
	f.Add("", `map(1..10, #)`, `[1,2]`)
	f.Add("filter(body, true)", `date(at) ?? key`, `[{"key":1}]`)
	f.Fuzz(func(t *testing.T, list, field, body string) {
		c, err := Mapping{List: list, Fields: map[string]string{"key": field, "title": field, "labels": field}}.Compile()
		if err != nil {
			return
		}
		obs, _ := c.Decode([]byte(body), 1, time.Now)
		for _, o := range obs {
			if o.Key == "" || len(o.Key) > 600 {
				t.Fatalf("%+v", o)
			}
		}
	})
}
