//go:build desktop

package main

import (
	"cmp"
	"os"
	"strings"
)

// speak gives WebKitGTK a language that exists. Under the locale C.UTF-8, usual
// on kiosks and in containers, it tells pages that the language is "C"; Intl
// refuses that, and the script of the page dies at its first line. Where
// en_US.UTF-8 is not installed, GTK says so and goes on in plain C, which
// WebKit knows as English. It must run before the window is made.
func speak() error {
	locale := cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG"))
	if !strings.HasPrefix(locale, "C.") {
		return nil
	}
	return os.Setenv("LC_ALL", "en_US.UTF-8")
}
