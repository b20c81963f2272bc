package native

import (
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/whole"
)

// Program is how the program is started.
type Program struct {
	Name  string // as people read it
	Entry string // "tocsin": the name under which it is known to the desktop
	Path  string // absolute
	Args  []string
}

// Itself is the file to start this program by: of a bundle that is unpacked for each run it is the bundle.
func Itself() (string, error) {
	if bundle := os.Getenv("APPIMAGE"); bundle != "" && filepath.IsAbs(bundle) {
		return bundle, nil
	}
	return os.Executable()
}

// replace gives a file of the user's settings its content, or takes it away when the content is "".
func replace(path, content string) error {
	if content == "" {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	return whole.Replace(path, func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	})
}

// desktopEntry is an XDG entry that starts p.
func desktopEntry(p Program) string {
	words := []string{quoteExec(p.Path)}
	for _, a := range p.Args {
		words = append(words, quoteExec(a))
	}
	return "[Desktop Entry]\nType=Application\nName=" + entryText(p.Name) + "\nExec=" + entryText(strings.Join(words, " ")) +
		"\nIcon=" + entryText(cmp.Or(p.Entry, "application-x-executable")) + "\nTerminal=false\nX-GNOME-Autostart-enabled=true\n"
}

// quoteExec writes an argument of Exec, which has rules of its own: quotes, then four characters by a backslash, and a percent sign twice.
func quoteExec(a string) string {
	r := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`, `%`, `%%`)
	return `"` + r.Replace(a) + `"`
}

// entryText writes a string value of an entry.
func entryText(s string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s)
}

// launchAgent is a property list that starts p when its user signs in to a Mac.
func launchAgent(label string, p Program) string {
	x := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n" +
		"<plist version=\"1.0\"><dict>\n<key>Label</key><string>" + x.Replace(label) + "</string>\n<key>ProgramArguments</key><array>\n")
	for _, a := range append([]string{p.Path}, p.Args...) {
		b.WriteString("<string>" + x.Replace(a) + "</string>\n")
	}
	b.WriteString("</array>\n<key>RunAtLoad</key><true/>\n<key>ProcessType</key><string>Interactive</string>\n</dict></plist>\n")
	return b.String()
}

// commandLine writes a command as Windows reads it.
func commandLine(p Program) string {
	words := make([]string, 0, 1+len(p.Args))
	for _, a := range append([]string{p.Path}, p.Args...) {
		words = append(words, quoteWindows(a))
	}
	return strings.Join(words, " ")
}

// quoteWindows quotes always; backslashes count only before a quote.
func quoteWindows(a string) string {
	var b strings.Builder
	b.WriteByte('"')
	slashes := 0
	for _, c := range a {
		switch c {
		case '\\':
			slashes++
			continue
		case '"':
			b.WriteString(strings.Repeat(`\`, 2*slashes+1))
		default:
			b.WriteString(strings.Repeat(`\`, slashes))
		}
		slashes = 0
		b.WriteRune(c)
	}
	b.WriteString(strings.Repeat(`\`, 2*slashes) + `"`)
	return b.String()
}
