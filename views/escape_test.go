package views_test

import (
	"strings"
	"testing"

	"github.com/a-h/templ"
	"golang.org/x/net/html"

	"github.com/tocsin-ops/tocsin/views"
)

// filled is every page with the same text in every string of its model.
func filled(text string) map[string]templ.Component {
	return map[string]templ.Component{
		"board":     views.BoardView(fill[views.BoardPage](text)),
		"wall":      views.WallView(fill[views.WallPage](text)),
		"incident":  views.IncidentView(fill[views.IncidentPage](text)),
		"incidents": views.IncidentsView(fill[views.IncidentsPage](text)),
		"declare":   views.DeclareView(fill[views.DeclarePage](text)),
		"queue":     views.QueueView(fill[views.QueuePage](text)),
		"learning":  views.LearningView(fill[views.LearningPage](text)),
		"signals":   views.SignalsView(fill[views.SignalsPage](text)),
		"chains":    views.ChainsView(fill[views.ChainsPage](text)),
		"people":    views.PeopleView(fill[views.PeoplePage](text)),
		"reach":     views.ReachView(fill[views.ReachPage](text)),
		"me":        views.MeView(fill[views.MePage](text)),
		"signin":    views.SignInView(fill[views.SignInPage](text)),
		"link":      views.LinkView(fill[views.LinkPage](text)),
		"tokens":    views.TokensView(fill[views.TokensPage](text)),
		"sources":   views.SourcesView(fill[views.SourcesPage](text)),
		"log":       views.LogView(fill[views.LogPage](text)),
		"drills":    views.DrillsView(fill[views.DrillsPage](text)),
		"error":     views.ErrorView(fill[views.ErrorPage](text)),
		"status":    views.StatusView(fill[views.StatusPage](text)),
		"history":   views.StatusHistoryView(fill[views.StatusHistory](text)),
	}
}

// Whatever people, robots and nodes write stays text.
func TestNothingWrittenBecomesMarkup(t *testing.T) {
	for _, evil := range []string{
		`"><script>alert(1)</script><img src=x onerror=alert(1)>`,
		`'><svg onload=alert(1)>`,
		`</textarea></title></template><iframe src=//evil.example></iframe>`,
		`javascript:alert(1)`,
	} {
		for name, page := range filled(evil) {
			text := render(t, page)
			if strings.Contains(evil, "<") && strings.Contains(text, evil) {
				t.Errorf("%s: %q stands raw in the page", name, evil)
			}
			doc, err := html.Parse(strings.NewReader(text))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			walk(doc, func(n *html.Node) {
				switch n.Data {
				case "script":
					if attribute(n, "src") == "" || !strings.HasPrefix(attribute(n, "src"), "/assets/") {
						t.Errorf("%s: a script that is not ours", name)
					}
				case "img", "iframe", "object", "embed", "base":
					t.Errorf("%s: <%s> came out of %q", name, n.Data, evil)
				case "a", "form", "link":
					for _, key := range []string{"href", "action", "formaction"} {
						if v := attribute(n, key); strings.HasPrefix(strings.ToLower(strings.TrimSpace(v)), "javascript:") {
							t.Errorf("%s: %s=%q", name, key, v)
						}
					}
				}
				for _, a := range n.Attr {
					if strings.HasPrefix(a.Key, "on") {
						t.Errorf("%s: attribute %s on <%s>", name, a.Key, n.Data)
					}
				}
			})
		}
	}
}

// The content security policy forbids inline style and script: no page may need them. Ids are unique, buttons say
// what they are, fields have labels, forms carry the token.
func TestPagesAreWellMade(t *testing.T) {
	for name, page := range filled(plain) {
		doc, err := html.Parse(strings.NewReader(render(t, page)))
		if err != nil {
			t.Fatal(err)
		}
		labelled := map[string]bool{}
		walk(doc, func(n *html.Node) {
			if n.Data == "label" && attribute(n, "for") != "" {
				labelled[attribute(n, "for")] = true
			}
		})
		h1 := 0
		walk(doc, func(n *html.Node) {
			for _, a := range n.Attr {
				if a.Key == "style" {
					t.Errorf("%s: inline style on <%s>", name, n.Data)
				}
			}
			switch n.Data {
			case "h1":
				h1++
			case "style":
				t.Errorf("%s: a <style> element", name)
			case "button":
				if kind := attribute(n, "type"); kind != "button" && kind != "submit" {
					t.Errorf("%s: a button without type: %v", name, n.Attr)
				}
			case "form":
				if attribute(n, "method") == "post" && !has(n, func(c *html.Node) bool { return c.Data == "input" && attribute(c, "name") == "_csrf" }) {
					t.Errorf("%s: form %s carries no token", name, attribute(n, "action"))
				}
			case "input", "select", "textarea":
				kind := attribute(n, "type")
				if kind == "hidden" || attribute(n, "aria-label") != "" || labelled[attribute(n, "id")] || inside(n, "label") {
					return
				}
				t.Errorf("%s: field %s has no label", name, attribute(n, "name"))
			}
		})
		if h1 != 1 {
			t.Errorf("%s: %d headings of the first level, want 1", name, h1)
		}
	}
}

func walk(n *html.Node, visit func(*html.Node)) {
	if n.Type == html.ElementNode {
		visit(n)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		walk(c, visit)
	}
}

func has(n *html.Node, want func(*html.Node) bool) bool {
	found := false
	walk(n, func(c *html.Node) { found = found || want(c) })
	return found
}

func inside(n *html.Node, name string) bool {
	for p := n.Parent; p != nil; p = p.Parent {
		if p.Data == name {
			return true
		}
	}
	return false
}
