package native

import (
	"strings"
	"testing"
)

func TestCommandLinesAreQuoted(t *testing.T) {
	for _, c := range []struct{ arg, exec, windows string }{
		{`/opt/tocsin/tocsin-desktop`, `"/opt/tocsin/tocsin-desktop"`, `"/opt/tocsin/tocsin-desktop"`},
		{`C:\Program Files\Tocsin\`, `"C:\\Program Files\\Tocsin\\"`, `"C:\Program Files\Tocsin\\"`},
		{`50% "$HOME" ` + "`id`", `"50%% \"\$HOME\" ` + "\\`id\\`\"", `"50% \"$HOME\" ` + "`id`\""},
		{``, `""`, `""`},
	} {
		if got := quoteExec(c.arg); got != c.exec {
			t.Errorf("Exec of %s: %s, want %s", c.arg, got, c.exec)
		}
		if got := quoteWindows(c.arg); got != c.windows {
			t.Errorf("Windows' of %s: %s, want %s", c.arg, got, c.windows)
		}
	}
}

func TestLaunchAgentIsProperty(t *testing.T) {
	got := launchAgent("io.example.tocsin", Program{Path: "/Applications/A & B.app/tocsin", Args: []string{"--kiosk", "<x>"}})
	for _, want := range []string{"<string>io.example.tocsin</string>", "<string>/Applications/A &amp; B.app/tocsin</string>\n<string>--kiosk</string>\n<string>&lt;x&gt;</string>"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
