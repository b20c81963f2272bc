package precedent

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// stopped are words that tell nothing in an incident's text.
var stopped = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`about above after again all also am an and any are as at be because been before being below between both but by can could did
		do does doing done down during each few for from further had has have having he her here him his how if in into is it its just let more most my new no nor
		not now of off on once only or other our out over own per same she should so some such than that the their them then there these they this those through to
		too under until up us very was we were what when where which while who why will with would you your
		incident alert issue please see seen sev sev1 sev2 sev3 sev4 sev5 redacted http https www com`) {
		m[w] = true
	}
	return m
}()

// addWords adds the words of a text that may tell something: lower case, three letters or more, no figures, no addresses and hashes, without the
// s of the plural. Words that were there are not added again; at most maxWords.
func addWords(list []string, text string) []string {
	for _, w := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if len(list) >= maxWords {
			break
		}
		if n := utf8.RuneCountInString(w); n < 3 || n > 24 || stopped[w] || strings.IndexFunc(w, unicode.IsLetter) < 0 || mostlyFigures(w) {
			continue
		}
		if len(w) > 4 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") && !strings.HasSuffix(w, "us") {
			w = w[:len(w)-1]
		}
		if !slices.Contains(list, w) {
			list = append(list, w)
		}
	}
	return list
}

// mostlyFigures is true of hashes, addresses, sums and times.
func mostlyFigures(w string) bool {
	n := 0
	for _, r := range w {
		if unicode.IsDigit(r) {
			n++
		}
	}
	return n*3 > len(w)
}

// addNames adds names as they are, in lower case.
func addNames(list []string, names ...string) []string {
	for _, n := range names {
		if n = strings.ToLower(cut(strings.TrimSpace(n))); n != "" && len(list) < maxNames && !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list
}

// cut is the text in one line, not longer than maxText.
func cut(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) <= maxText {
		return text
	}
	r := []rune(text)
	return strings.TrimSpace(string(r[:maxText-1])) + "…"
}
