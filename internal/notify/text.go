package notify

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Text is what a parcel says, for senders to lay out.
type Text struct {
	Subject string // one line: shape, severity, number, title
	Body    string // sentence and cost, lines
	URL     string // of the page to open; empty: none
	AckURL  string // of the page that takes it; empty: none
	Short   string // all of it for SMS: at most 160 characters of GSM 03.38, 7 bit
	Plain   string // all of it, lines
}

// shapes are those of the screens: a severity is told by shape and word, never by colour alone.
var shapes = map[string]string{"SEV1": "⬣", "SEV2": "▲", "SEV3": "◆", "SEV4": "■", "SEV5": "●"}

// headline is "⬣ SEV1 #42 Nomad bridge: outflow".
func headline(m Message) string {
	var parts []string
	if m.Drill {
		parts = append(parts, "DRILL")
	}
	if m.Severity != "" {
		parts = append(parts, strings.TrimSpace(shapes[m.Severity]+" "+m.Severity))
	}
	if m.Incident > 0 {
		parts = append(parts, fmt.Sprintf("#%d", m.Incident))
	}
	return strings.Join(append(parts, oneLine(m.Title, 200)), " ")
}

// compose writes what these messages say together. base is the address of this server, for the link of a digest.
func compose(list []Message, base string) Text {
	list = distinct(list)
	if len(list) == 1 {
		return single(list[0])
	}
	worst := list[0]
	pages := 0
	for _, m := range list {
		if m.Kind == KindPage {
			pages++
		}
	}
	var t Text
	switch {
	case pages == len(list):
		t.Subject = fmt.Sprintf("%s %d incidents page you, worst %s", shapes[worst.Severity], pages, short(worst))
	case pages > 0:
		t.Subject = fmt.Sprintf("%s %d incidents page you, worst %s; %d other messages", shapes[worst.Severity], pages, short(worst), len(list)-pages)
	default:
		t.Subject = fmt.Sprintf("%s %d messages, worst %s", shapes[worst.Severity], len(list), short(worst))
	}
	t.Subject = strings.TrimSpace(t.Subject)
	switch drills := drillsOf(list); {
	case drills == len(list):
		t.Subject = "DRILL " + t.Subject
	case drills > 0:
		t.Subject += fmt.Sprintf(" (%d of them DRILL)", drills)
	}
	const shown = 10
	var lines []string
	for _, m := range list[:min(len(list), shown)] {
		line := headline(m)
		if m.Cost != "" {
			line += " (" + oneLine(m.Cost, 60) + ")"
		}
		lines = append(lines, line)
	}
	if more := len(list) - shown; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	t.Body = strings.Join(lines, "\n")
	if t.URL = base + "/"; base == "" {
		t.URL = worst.URL
	}
	return t.fill()
}

func single(m Message) Text {
	t := Text{Subject: headline(m), URL: m.URL, AckURL: m.AckURL}
	var lines []string
	if s := oneLine(m.Sentence, 600); s != "" {
		lines = append(lines, s)
	}
	if m.Cost != "" {
		lines = append(lines, "Cost: "+oneLine(m.Cost, 60))
	}
	t.Body = strings.Join(lines, "\n")
	return t.fill()
}

// Quoted is Plain for a chat that reads marks and names in what it is sent: quote is applied to what people and alerts have written, not to our links.
func (t Text) Quoted(quote func(string) string) string {
	t.Subject, t.Body = quote(t.Subject), quote(t.Body)
	return t.fill().Plain
}

// fill derives the forms for channels that have one text only.
func (t Text) fill() Text {
	lines := []string{t.Subject}
	if t.Body != "" {
		lines = append(lines, t.Body)
	}
	if t.AckURL != "" {
		lines = append(lines, "I have it / not me: "+t.AckURL)
	}
	if t.URL != "" {
		lines = append(lines, "Open: "+t.URL)
	}
	t.Plain = strings.Join(lines, "\n")
	t.Short = t.sms()
	return t
}

func drillsOf(list []Message) (n int) {
	for _, m := range list {
		if m.Drill {
			n++
		}
	}
	return n
}

func short(m Message) string {
	if m.Incident > 0 {
		return strings.TrimSpace(fmt.Sprintf("%s #%d", m.Severity, m.Incident))
	}
	return strings.TrimSpace(m.Severity + " " + oneLine(m.Title, 60))
}

// distinct keeps the newest message of each incident and kind: what is real before drills, worst first, then the lower number.
func distinct(list []Message) []Message {
	out := make([]Message, 0, len(list))
	at := map[string]int{}
	for _, m := range list {
		k := m.Kind + outOf(m.Incident)
		if i, double := at[k]; double && m.Incident > 0 {
			if m.At >= out[i].At {
				out[i] = m
			}
			continue
		}
		at[k] = len(out)
		out = append(out, m)
	}
	slices.SortStableFunc(out, func(a, b Message) int {
		if a.Drill != b.Drill {
			if a.Drill {
				return 1
			}
			return -1
		}
		if d := rank(a.Severity) - rank(b.Severity); d != 0 {
			return d
		}
		return int(max(-1, min(1, a.Incident-b.Incident)))
	})
	return out
}

// smsMost is what one SMS holds in the 7 bit alphabet (3GPP TS 23.038).
const smsMost = 160

// sms is subject, body and link in the 7 bit alphabet; the text is cut, never the link. A link that leaves no room for words is left out.
func (t Text) sms() string {
	link := t.AckURL
	if link == "" {
		link = t.URL
	}
	if link = gsm(link); septets(link) > smsMost-60 {
		link = ""
	}
	var said []string
	for _, line := range append([]string{t.Subject}, strings.Split(t.Body, "\n")...) {
		if line = strings.TrimRight(strings.Join(strings.Fields(gsm(line)), " "), ". "); line != "" {
			said = append(said, line)
		}
	}
	words := strings.Join(said, ". ")
	room := smsMost
	if link != "" {
		room -= septets(link) + 1
	}
	if septets(words) > room {
		n, end := 0, 0
		for i, r := range words {
			if n += septets(string(r)); n > room-2 {
				break
			}
			end = i + len(string(r))
		}
		words = strings.TrimRight(words[:end], " ,.") + ".."
	}
	return strings.TrimSpace(words + " " + link)
}

// gsmBasic are the characters of one septet, gsmTwo those of two. Of the alphabet's letters beyond Latin none is needed.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmTwo   = "^{}\\[~]|€"
)

var toGSM = strings.NewReplacer("–", "-", "—", "-", "’", "'", "‘", "'", "“", "\"", "”", "\"", "…", "..", "→", "->", "×", "x", "\u00a0", " ", "\u202f", " ",
	"⬣ ", "", "▲ ", "", "◆ ", "", "■ ", "", "● ", "", "`", "'")

// gsm writes text in the 7 bit alphabet; what has no place in it becomes a question mark.
func gsm(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(gsmBasic, r) || strings.ContainsRune(gsmTwo, r) {
			return r
		}
		return '?'
	}, toGSM.Replace(text))
}

func septets(text string) int {
	n := 0
	for _, r := range text {
		if n++; strings.ContainsRune(gsmTwo, r) {
			n++
		}
	}
	return n
}

// oneLine puts text into one line of at most so many characters.
func oneLine(text string, most int) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	text = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Bidi_Control, r) { // they would turn around what stands beside them
			return -1
		}
		return r
	}, text)
	if r := []rune(text); len(r) > most {
		return strings.TrimSpace(string(r[:most-1])) + "…"
	}
	return text
}
