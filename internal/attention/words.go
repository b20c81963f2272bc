package attention

import (
	"strconv"
	"strings"
	"unicode"
)

// How long the texts of a notice are at most, in characters.
const (
	mostTitle = 120
	mostBody  = 240
)

// Keys of notices that tell of several things.
const (
	keySummary   = "summary"
	keyMorePages = "pages"
)

func keyIncident(n int64) string { return "room/" + strconv.FormatInt(n, 10) }
func keyPage(id string) string   { return "page/" + id }

// clean is a text on one line without what could steer a screen, and not longer
// than most characters.
func clean(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "�"))
	r := []rune(strings.Join(strings.Fields(text), " "))
	if len(r) > most {
		r = append([]rune(strings.TrimRight(string(r[:most-1]), " ")), '…')
	}
	return string(r)
}

func drill(is bool) string {
	if is {
		return "DRILL · "
	}
	return ""
}

func number(n int64) string { return "#" + strconv.FormatInt(n, 10) }

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func (i Incident) notice(body string) Notice {
	s := loud(i.Severity, i.Drill)
	return Notice{Key: keyIncident(i.Number), Severity: s, Sound: soundOf(s), Path: "/incidents/" + strconv.FormatInt(i.Number, 10),
		Title: clean(drill(i.Drill)+i.Severity+" · "+i.Title, mostTitle), Body: clean(number(i.Number)+" "+body, mostBody)}
}

func (p Page) notice(before string) Notice {
	s := loud(p.Severity, p.Drill)
	n := Notice{Key: keyPage(p.ID), Severity: s, Sound: SoundPage, Path: "/incidents/" + strconv.FormatInt(p.Incident, 10) + "/page", Sticky: true, Ack: p.Incident,
		Title: clean(drill(p.Drill)+"You are paged · "+p.Severity+" · "+p.Title, mostTitle), Body: clean(before+number(p.Incident)+" · "+p.Reason, mostBody)}
	if p.Drill {
		n.Sound = soundOf(s)
	}
	return n
}

// morePages tells of pages that have no notice of their own.
func morePages(pages []Page) Notice {
	w := pages[0]
	n := w.notice("")
	all := true
	for _, p := range pages {
		all = all && p.Drill
	}
	n.Key, n.Path, n.Ack = keyMorePages, "/", 0
	n.Title = clean(drill(all)+count(len(pages), "more page waits", "more pages wait")+" for your answer", mostTitle)
	n.Body = clean("The worst: "+drill(w.Drill)+w.Severity+" · "+w.Title+" ("+number(w.Incident)+")", mostBody)
	return n
}

// summary tells of several incidents in one notice; more are open and not listed.
func summary(list []Incident, more int, title string) Notice {
	n := Notice{Key: keySummary, Severity: "SEV5", Path: "/"}
	all, words := true, []string(nil)
	for _, i := range list {
		all = all && i.Drill
		if s := loud(i.Severity, i.Drill); rank(s) < rank(n.Severity) {
			n.Severity = s
		}
		if len(words) < 3 {
			words = append(words, clean(drill(i.Drill)+i.Severity+" · "+i.Title, 60)+" ("+number(i.Number)+")")
		}
	}
	n.Body = strings.Join(words, "; ")
	if rest := len(list) + more - len(words); rest > 0 {
		n.Body += "; and " + strconv.Itoa(rest) + " more"
	}
	n.Sound, n.Title, n.Body = soundOf(n.Severity), clean(drill(all && more == 0)+title, mostTitle), clean(n.Body, mostBody)
	return n
}
