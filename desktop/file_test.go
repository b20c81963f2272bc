package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNamesOfFilesLeadNowhere(t *testing.T) {
	for suggested, want := range map[string]string{
		"review.pdf":                      "review.pdf",
		"../../.bashrc":                   "bashrc",
		`..\..\boot.ini`:                  "boot.ini",
		"/etc/passwd":                     "passwd",
		"":                                "tocsin",
		"..":                              "tocsin",
		"a\x00b\nc.txt":                   "a_b_c.txt",
		"Überblick: 14:02?.pdf":           "Überblick_ 14_02_.pdf",
		strings.Repeat("ä", 400) + ".pdf": strings.Repeat("ä", 146) + ".pdf",
	} {
		if got := safe(suggested); got != want {
			t.Errorf("%q: %q, want %q", suggested, got, want)
		}
	}
}

func TestFilesAreNeverReplaced(t *testing.T) {
	dir := t.TempDir()
	for _, want := range []string{"log.tar.gz", "log.tar (2).gz", "log.tar (3).gz"} {
		path, err := fresh(dir, "log.tar.gz")
		if err != nil || path != filepath.Join(dir, want) {
			t.Fatalf("%s %v, want %s", path, err, want)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A link that leads nowhere is a file that is there.
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if path, err := fresh(dir, "link"); err != nil || path != filepath.Join(dir, "link (2)") {
		t.Errorf("%s %v", path, err)
	}
}
