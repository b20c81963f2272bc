package incident

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// check reads arguments and keeps the first refusal; after one, its methods
// return zero values.
type check struct{ err error }

func (c *check) refuse(code, format string, args ...any) {
	if c.err == nil {
		c.err = refuse(code, format, args...)
	}
}

// line is one line of plain text, trimmed.
func (c *check) line(what, text string, most int) string {
	return c.text(what, text, most, false)
}

// prose is plain text with line breaks and tabs, trimmed.
func (c *check) prose(what, text string, most int) string {
	return c.text(what, text, most, true)
}

func (c *check) text(what, text string, most int, breaks bool) string {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	if !utf8.ValidString(text) {
		c.refuse(CodeTextNotPlain, "The %s is not readable text (UTF-8). Paste it again as plain text.", what)
		return ""
	}
	if n := utf8.RuneCountInString(text); n > most {
		c.refuse(CodeTextTooLong, "The %s has %d characters; at most %d fit. Shorten it, or put the rest in a note or behind a link.", what, n, most)
		return ""
	}
	for _, r := range text {
		if breaks && (r == '\n' || r == '\t') {
			continue
		}
		if r == '\n' {
			c.refuse(CodeTextNotPlain, "The %s is one line. Take out the line breaks, or write a note.", what)
			return ""
		}
		if hidden(r) {
			c.refuse(CodeTextNotPlain, "The %s holds a control character (U+%04X). Paste it again as plain text.", what, r)
			return ""
		}
	}
	return text
}

// hidden is true for characters that change how others look or that nobody
// sees: controls, line separators, bidirectional overrides and isolates.
func hidden(r rune) bool {
	return r < 0x20 || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029 ||
		r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff || r == 0xfffe || r == 0xffff
}

// need refuses an empty text.
func (c *check) need(text, code, sentence string) string {
	if text == "" {
		c.refuse(code, "%s", sentence)
	}
	return text
}

func (c *check) severity(text string) Severity {
	v, ok := ParseSeverity(text)
	if !ok {
		c.refuse(CodeBadSeverity, "%s is not a severity. Use SEV1 (funds moving) to SEV5 (information).", shown(text))
	}
	return v
}

func (c *check) role(text string) Role {
	v, ok := ParseRole(text)
	if !ok {
		c.refuse(CodeBadRole, "%s is not a role. The roles are commander, deputy, scribe, comms, operations, expert and decider.", shown(text))
	}
	return v
}

// person is a handle, with or without @; "me" is the person who gives the
// command.
func (c *check) person(text string, m Meta) string {
	h := strings.ToLower(strings.TrimPrefix(strings.TrimSpace(text), "@"))
	if me := PersonOf(m.Actor); h == "me" && me != "" {
		h = me
	}
	if !isHandle(h) {
		c.refuse(CodeBadPerson, "%s is not a person's handle. Write it like @ana.", shown(text))
		return ""
	}
	return h
}

func isHandle(h string) bool {
	if h == "" || len(h) > 64 {
		return false
	}
	for i, r := range h {
		ok := r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || i > 0 && (r == '-' || r == '_' || r == '.')
		if !ok {
			return false
		}
	}
	return true
}

func (c *check) audience(text string) string {
	a := strings.ToLower(strings.TrimSpace(text))
	if !isHandle(a) || len(a) > 40 {
		c.refuse(CodeBadAudience, "%s is not an audience. Name one in small letters, such as public or partners.", shown(text))
		return ""
	}
	return a
}

// names is a list of components or chains without duplicates; nil when empty.
func (c *check) names(what string, list []string) []string {
	var out []string
	for _, n := range list {
		if n = c.line(what, n, MaxName); n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
		if len(out) > MaxNames {
			c.refuse(CodeTooMany, "At most %d %ss fit. Name the most important ones.", MaxNames, what)
			return nil
		}
	}
	return out
}

// past is a time that something happened; 0 is unknown.
func (c *check) past(what string, t int64, m Meta) int64 {
	switch {
	case t < 0:
		c.refuse(CodeBadTime, "The time of %s lies before 1970. Give it in milliseconds since then, or 0 when it is unknown.", what)
	case t > m.At+ClockSkew:
		c.refuse(CodeBadTime, "The time of %s lies in the future. Give the time when it happened, or 0 when it is unknown.", what)
	case t > 0 && t < m.At/500:
		c.refuse(CodeBadTime, "The time of %s looks like seconds. Give it in milliseconds since 1970.", what)
	}
	return t
}

// written is when a note was written; 0 when it is as good as now.
func (c *check) written(t int64, m Meta) int64 {
	switch {
	case t < 0:
		c.refuse(CodeBadTime, "The time when the note was written lies before 1970. Give it in milliseconds since then, or leave it out.")
	case t > m.At+NoteSkew:
		c.refuse(CodeBadTime, "This note says it was written at %s, and that is still to come. Set the clock of the computer it was written on, and write the note anew.", stamp(t))
	case t > 0 && t < m.At/500:
		c.refuse(CodeBadTime, "The time when the note was written looks like seconds. Give it in milliseconds since 1970.")
	case t > 0 && t < m.At-OldestNote:
		c.refuse(CodeBadTime, "This note was written at %s, more than 30 days ago. Write it anew, and say in it when it was.", stamp(t))
	case t >= m.At-promptly:
		return 0
	}
	return t
}

// due is a time ahead; 0 is none.
func (c *check) due(what string, t int64, m Meta) int64 {
	switch {
	case t == 0:
	case t <= m.At:
		c.refuse(CodeBadTime, "The time that %s is due has passed already. Give one that is still to come (milliseconds since 1970).", what)
	case t > m.At+farthest:
		c.refuse(CodeBadTime, "The time that %s is due is more than a year away. Give a nearer one (milliseconds since 1970).", what)
	}
	return t
}

// ref reads "T3", "t3" or "3" as "T3".
func (c *check) ref(prefix, what, text string) string {
	t := strings.ToUpper(strings.TrimSpace(text))
	n, err := strconv.ParseUint(strings.TrimPrefix(t, prefix), 10, 31)
	if err != nil || n == 0 {
		c.refuse(CodeBadArgument, "%s does not name %s. Write it like %s1.", shown(text), what, prefix)
		return ""
	}
	return prefix + strconv.FormatUint(n, 10)
}

func (c *check) url(text string) string {
	u := c.line("address", text, MaxURL)
	low := strings.ToLower(u)
	rest, ok := strings.CutPrefix(low, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(low, "http://")
	}
	host, _, _ := strings.Cut(rest, "/")
	if !ok || host == "" || strings.ContainsAny(u, " \t<>\"`{}|\\^") || strings.Contains(host, "@") {
		c.refuse(CodeBadLink, "%s is not a web address. Give one that starts with https:// or http://.", shown(text))
		return ""
	}
	return u
}

// clip is what a program wrote, as one line of plain text that fits: nothing of paging waits for somebody to write it again.
func clip(text string, most int) string {
	r := []rune(strings.ToValidUTF8(strings.TrimSpace(text), "?"))
	for i := range r {
		if hidden(r[i]) {
			r[i] = ' '
		}
	}
	if len(r) > most {
		r = append(r[:most-1:most-1], '…')
	}
	return string(r)
}

// shown is a person's text, quoted and short enough for a sentence.
func shown(text string) string {
	if text = strings.TrimSpace(text); text == "" {
		return "An empty text"
	}
	if r := []rune(text); len(r) > 40 {
		text = string(r[:40]) + "…"
	}
	return strconv.Quote(text)
}
