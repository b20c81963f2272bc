package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The page that somebody opens at 3 a.m. is under 30 KB with its stylesheet, asks for no script and no font, and has its buttons as forms.
func TestPhonePageIsSmall(t *testing.T) {
	assets := 0
	for _, part := range []string{"css/page.css", "favicon.svg"} {
		body, err := os.ReadFile(filepath.Join("..", "..", "web", "assets", "src", part))
		if err != nil {
			t.Fatal(err)
		}
		assets += len(body)
	}
	for name := range pagingPages() {
		page := text(t, name)
		if size := len(page) + assets; size > 30_000 {
			t.Errorf("%s with its stylesheet: %d bytes, want at most 30000", name, size)
		}
		if strings.Contains(page, "<script") || strings.Contains(page, "woff2") {
			t.Errorf("%s asks for a script or a font", name)
		}
	}
	asks := text(t, "page-asks")
	for _, want := range []string{`action="/incidents/42/page/ack"`, `action="/incidents/42/page/decline"`, "I have it", "Not me", "Nobody has it yet", `name="_csrf"`} {
		if !strings.Contains(asks, want) {
			t.Errorf("page-asks: %q is missing", want)
		}
	}
	for name, no := range map[string]string{"page-over": "<form", "page-dead": "SEV", "page-expired": "<form", "page-link": `name="_csrf"`} {
		if strings.Contains(text(t, name), no) {
			t.Errorf("%s has %q", name, no)
		}
	}
}
