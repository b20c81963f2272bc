package views

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
)

const thin = "\u202f" // U+202F narrow no-break space, between digits and units

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// iso is the machine-readable form of a time in <time datetime>.
func iso(ms int64) string { return at(ms).Format("2006-01-02T15:04:05.000Z") }

func num(n int64) string { return strconv.FormatInt(n, 10) }

func count(n int) string { return strconv.Itoa(n) }

// plural gives "1 signal", "2 signals".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// grouped writes an integer with thin groups of three: 39 599 624.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	if len(s) <= 4 {
		return sign + s
	}
	var b strings.Builder
	b.WriteString(sign)
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteString(thin)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// span writes a duration in the two largest units: 1 h 23 m, 3 d 4 h, 41 s.
func span(ms int64) string {
	if ms < 0 {
		ms = 0
	}
	s := ms / 1000
	switch {
	case s < 60:
		return num(s) + thin + "s"
	case s < 3600:
		return num(s/60) + thin + "m"
	case s < 86400:
		if m := s % 3600 / 60; m > 0 {
			return num(s/3600) + thin + "h " + num(m) + thin + "m"
		}
		return num(s/3600) + thin + "h"
	default:
		if h := s % 86400 / 3600; h > 0 {
			return num(s/86400) + thin + "d " + num(h) + thin + "h"
		}
		return num(s/86400) + thin + "d"
	}
}

// clockSpan writes a duration as hh:mm:ss, with days in front when there are any.
func clockSpan(ms int64) string {
	if ms < 0 {
		ms = 0
	}
	s := ms / 1000
	two := func(n int64) string {
		if n < 10 {
			return "0" + num(n)
		}
		return num(n)
	}
	t := two(s%86400/3600) + ":" + two(s%3600/60) + ":" + two(s%60)
	if d := s / 86400; d > 0 {
		return num(d) + thin + "d " + t
	}
	return t
}

// short cuts a hash or address in the middle; short ones stay whole.
func short(h string) string {
	if len(h) <= 16 {
		return h
	}
	head := 6
	if strings.HasPrefix(h, "0x") {
		head = 8
	}
	return h[:head] + "…" + h[len(h)-6:]
}

// outside is the address of a link that may be followed; anything but http and https gives "".
func outside(raw string) templ.SafeURL {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return ""
	}
	return templ.SafeURL(u.String())
}

// local is an address inside this server; anything that could leave it gives "/".
func local(path string) templ.SafeURL {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.HasPrefix(path, "/\\") {
		return "/"
	}
	return templ.SafeURL(path)
}

func linkText(l Link) string {
	if l.Text != "" {
		return l.Text
	}
	return l.URL
}

// asset is the address of a bundled file; the build id makes it cacheable for ever.
func asset(name, build string) string {
	if build == "" {
		return "/assets/" + name
	}
	return "/assets/" + name + "?v=" + url.QueryEscape(build)
}

// args is the JSON of a command's arguments; keys are sorted, so the same action is always the same bytes.
func args(m map[string]any) string {
	if len(m) == 0 {
		return "{}"
	}
	b, err := json.Marshal(m)
	if err != nil {
		return "{}"
	}
	return string(b)
}

func undo(a *Action) string {
	if a == nil {
		return ""
	}
	b, err := json.Marshal(struct {
		Label   string         `json:"label"`
		Command string         `json:"command"`
		Args    map[string]any `json:"args"`
		Post    string         `json:"post,omitempty"`
	}{a.Label, a.Command, a.Args, a.Post})
	if err != nil {
		return ""
	}
	return string(b)
}

// sev is the severity as a class and word; unknown ones read as SEV5.
func sev(s string) string {
	switch s {
	case "SEV1", "SEV2", "SEV3", "SEV4", "SEV5":
		return s
	}
	return "SEV5"
}

func sevClass(s string) string { return "sev" + sev(s)[3:] }

// sevSays is the meaning of a severity in words.
func sevSays(s string) string {
	switch sev(s) {
	case "SEV1":
		return "critical"
	case "SEV2":
		return "major"
	case "SEV3":
		return "degraded"
	case "SEV4":
		return "minor"
	}
	return "information"
}

func open(status string) bool { return status != "resolved" && status != "reviewed" }

// roleName is the word on screen for a role key.
func roleName(key string) string {
	switch key {
	case "comms":
		return "Comms lead"
	case "expert":
		return "Subject expert"
	case "decider":
		return "Decision maker"
	case "":
		return ""
	}
	return strings.ToUpper(key[:1]) + key[1:]
}

// title makes the first letter of an ASCII word upper case.
func title(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func join(parts []string) string { return strings.Join(parts, ", ") }

func words(parts []string) string { return strings.Join(parts, " ") }

func yes(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

func either(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func float(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }

func lines(parts []string) string { return strings.Join(parts, "\n") }

// firstLine is what a place with one line shows of a text; an ellipsis says that more follows.
func firstLine(text string) string {
	line, more, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if strings.TrimSpace(more) != "" {
		line = strings.TrimRight(line, " .,;:") + " …"
	}
	return line
}
