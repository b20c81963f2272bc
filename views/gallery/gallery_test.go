package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/tocsin-ops/tocsin/views"
)

func text(t *testing.T, name string) string {
	t.Helper()
	var b bytes.Buffer
	if err := Pages()[name].Render(context.Background(), &b); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b.String()
}

var inline = regexp.MustCompile(`\s(style|on[a-z]+)=`)

// Every page in every state is whole HTML with unique ids and nothing inline.
func TestEveryPageOfTheGallery(t *testing.T) {
	for name := range Pages() {
		page := text(t, name)
		if m := inline.FindString(page); m != "" {
			t.Errorf("%s: inline attribute %q", name, m)
		}
		doc, err := html.Parse(strings.NewReader(page))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ids := map[string]bool{}
		var walk func(n *html.Node)
		walk = func(n *html.Node) {
			for _, a := range n.Attr {
				if a.Key != "id" {
					continue
				}
				if ids[a.Val] {
					t.Errorf("%s: id %q stands twice", name, a.Val)
				}
				ids[a.Val] = true
			}
			for c := n.FirstChild; c != nil; c = c.NextSibling {
				walk(c)
			}
		}
		walk(doc)
		if !ids["main"] && !ids["status"] {
			t.Errorf("%s: no main part", name)
		}
	}
}

// The public page with its stylesheet stays under 30 KB, script included.
func TestPublicPageIsSmall(t *testing.T) {
	var assets int
	for _, part := range []string{"css/status.css", "js/status.js", "favicon.svg"} {
		body, err := os.ReadFile(filepath.Join("..", "..", "web", "assets", "src", part))
		if err != nil {
			t.Fatal(err)
		}
		assets += len(body)
	}
	for _, name := range []string{"status-calm", "status-busy", "status-empty"} {
		if size := len(text(t, name)) + assets; size > 30_000 {
			t.Errorf("%s with stylesheet, script and icon: %d bytes, want at most 30000", name, size)
		}
	}
	many := statusBusy()
	many.Groups = []views.ComponentGroup{{Name: "All"}}
	for range 20 {
		many.Groups[0].Components = append(many.Groups[0].Components, component("A component with a name", "operational", "99.9 %", bad(80, "partial", 10), bad(40, "major", 30), bad(3, "degraded", 5)))
	}
	var b bytes.Buffer
	if err := views.StatusView(statusPage(many)).Render(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	if size := b.Len() + assets; size > 40_000 {
		t.Errorf("20 components: %d bytes before compression, want at most 40000", size)
	}
}

// The public page needs no script, and says every bar in words.
func TestPublicPageWorksWithoutScript(t *testing.T) {
	page := text(t, "status-calm")
	if strings.Contains(page, "<script") {
		t.Error("the page asks for a script although it is not live")
	}
	for _, want := range []string{"Everything works", "Last 90 days: trouble on 2 days", "2 days with trouble", "All times are UTC", `aria-label="Last 31 days: no trouble"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
}
