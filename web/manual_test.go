package web

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	manualRequest = regexp.MustCompile("`((?:[A-Z]+ )+)(/[^`]*)`")
	manualChoice  = regexp.MustCompile(`\{([^{}|]+(?:\|[^{}|]+)+)\}`)
)

// addresses are the requests that the manual's table of the API names, with each choice written out.
func addresses(t *testing.T) (out []string) {
	t.Helper()
	manual, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(manual), "\n## 13. The API\n")
	section, _, _ = strings.Cut(section, "\n## 14.")
	if !ok {
		t.Fatal("the manual has no section 13 on the API")
	}
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|")
		if len(cells) < 3 {
			continue
		}
		for _, m := range manualRequest.FindAllStringSubmatch(strings.ReplaceAll(cells[1], "\x00", "|"), -1) {
			paths := []string{m[2]}
			if c := manualChoice.FindStringSubmatch(m[2]); c != nil {
				paths = nil
				for _, word := range strings.Split(c[1], "|") {
					paths = append(paths, strings.Replace(m[2], c[0], word, 1))
				}
			}
			for _, method := range strings.Fields(m[1]) {
				for _, path := range paths {
					out = append(out, method+" "+path)
				}
			}
		}
	}
	return out
}

// fits says whether a request of the manual is that of a template: GET /a/start fits GET /a/{act}.
func fits(request, template string) bool {
	a, b := strings.Split(request, "/"), strings.Split(template, "/")
	return slices.EqualFunc(a, b, func(word, part string) bool { return word == part || strings.HasPrefix(part, "{") })
}

// TestManualNamesTheAPI: the table of the manual and the description of the API name the same requests.
func TestManualNamesTheAPI(t *testing.T) {
	h := newHouse(t)
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	h.nobody().get("/openapi.json").want(200).into(&doc)
	var described []string
	for path, methods := range doc.Paths {
		for method := range methods {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	served := slices.Clone(described)
	for _, r := range h.Routes() {
		served = append(served, r.Method+" "+openAPIPath(r.Path))
	}
	named := addresses(t)
	if len(named) < 60 {
		t.Fatalf("only %d requests are found in the manual: %v", len(named), named)
	}
	for _, d := range described {
		if !slices.ContainsFunc(named, func(n string) bool { return fits(n, d) }) {
			t.Errorf("section 13 of docs/operations.md does not name %s", d)
		}
	}
	for _, n := range named {
		if !slices.ContainsFunc(served, func(d string) bool { return fits(n, d) }) {
			t.Errorf("section 13 of docs/operations.md names %s, and there is no such request", n)
		}
		switch rest, act := n[:strings.LastIndex(n, "/")], n[strings.LastIndex(n, "/")+1:]; {
		case rest == "POST /api/v1/maintenance/{id}" && windowCommand("x", act, "") == nil, rest == "POST /api/v1/grouping/{id}" && ruleCommand("x", act, "") == nil:
			t.Errorf("section 13 of docs/operations.md names %s, and nothing does it", n)
		}
	}
}
