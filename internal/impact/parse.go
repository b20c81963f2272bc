package impact

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Error is a sentence for people, which says what to do instead.
type Error string

func (e Error) Error() string { return string(e) }

func wrong(format string, args ...any) error { return Error(fmt.Sprintf(format, args...)) }

// ParseFact reads what a person typed for a fact and writes it in the one form that the log keeps: numbers without separators and units, choices
// and codes in one case, lists sorted, without doubles, joined by ", " ("none" for the empty one). Numbers take thousands separators, $, %, k, M,
// bn; durations as well as minutes. Parsing its own answer gives the same again. The error is always an Error.
func ParseFact(name, value string) (string, error) {
	k, ok := FactNamed(name)
	if !ok {
		return "", wrong("There is no fact %q. Known are: %s.", shorten(name, 40), strings.Join(names(), ", "))
	}
	value = strings.TrimSpace(value)
	if value == "" {
		return "", wrong("%s needs a value, such as %s.", k.Title, k.Example)
	}
	if len(value) > MaxFactValue || !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) }) {
		return "", wrong("%s takes one line of at most %d characters, such as %s.", k.Title, MaxFactValue, k.Example)
	}
	switch k.Kind {
	case KindChoice:
		v := strings.ToLower(value)
		if !slices.Contains(k.Choices, v) {
			return "", wrong("%s is one of %s.", k.Title, strings.Join(k.Choices, ", "))
		}
		return v, nil
	case KindList:
		return parseList(k, value)
	}
	n, ok := number(k.Kind, value)
	switch {
	case !ok:
		return "", wrong("%s: %q is not a number that can be read. Write it as %s.", k.Title, shorten(value, 40), k.Example)
	case n < 0 || n > k.Max:
		return "", wrong("%s lies between 0 and %s.", k.Title, strconv.FormatFloat(k.Max, 'f', -1, 64))
	}
	if k.Kind == KindCount {
		n = math.Round(n)
	}
	return strconv.FormatFloat(n, 'f', -1, 64), nil
}

func names() []string {
	out := make([]string, len(catalogue))
	for i, k := range catalogue {
		out[i] = k.Name
	}
	return out
}

// scales are endings of numbers, the longer before those that they end with, and the exponents that they stand for: "16.6M" is read as "16.6e6",
// since 16.6 times a million is not the float64 next to 16,600,000.
var scales = []struct{ end, exponent string }{
	{"billion", "e9"}, {"million", "e6"}, {"thousand", "e3"}, {"bn", "e9"}, {"mn", "e6"}, {"b", "e9"}, {"m", "e6"}, {"k", "e3"},
}

// number reads "12,000", "$1.46 bn", "12 %", "2h10m". A comma separates thousands and never decimals: "1,5" is refused rather than guessed.
func number(kind, text string) (float64, bool) {
	t := strings.ToLower(strings.NewReplacer(" ", "", "\u00a0", "", "\u202f", "", "_", "").Replace(text))
	if kind == KindMinutes {
		if d, err := time.ParseDuration(t); err == nil {
			return d.Minutes(), true
		}
		t = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(t, "utes"), "min"), "ute")
	}
	if kind == KindShare {
		t = strings.TrimSuffix(t, "%")
	}
	exponent := ""
	if kind == KindUSD {
		t = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(t, "$"), "usd"), "$")
	}
	if kind == KindUSD || kind == KindCount {
		for _, s := range scales {
			if rest, ok := strings.CutSuffix(t, s.end); ok {
				t, exponent = strings.TrimSuffix(rest, "$"), s.exponent
				break
			}
		}
	}
	t, ok := ungroup(t)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseFloat(t+exponent, 64)
	return n, err == nil && !math.IsInf(n, 0) && !math.IsNaN(n)
}

// ungroup takes the commas out of a plain decimal number; each must stand before exactly three digits.
func ungroup(t string) (string, bool) {
	whole, rest, _ := strings.Cut(t, ".")
	if strings.Trim(t, "0123456789.,") != "" || strings.Contains(rest, ",") || strings.Contains(rest, ".") || t == "" || t == "." {
		return "", false
	}
	parts := strings.Split(whole, ",")
	for _, p := range parts[1:] {
		if len(p) != 3 {
			return "", false
		}
	}
	if len(parts) > 1 && (parts[0] == "" || len(parts[0]) > 3) {
		return "", false
	}
	return strings.ReplaceAll(t, ",", ""), true
}

// memberStates are the codes of the 27 member states of the European Union (ISO 3166-1; EL is written GR).
const memberStates = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"

func parseList(k FactKind, value string) (string, error) {
	if strings.EqualFold(value, "none") {
		return "none", nil
	}
	var out []string
	for _, p := range strings.Split(value, ",") {
		p = strings.Join(strings.Fields(p), " ")
		if k.Name == FactMemberStates {
			p = strings.ToUpper(p)
			if p == "EL" {
				p = "GR"
			}
			if len(p) != 2 || !strings.Contains(" "+memberStates+" ", " "+p+" ") {
				return "", wrong("%q is no member state of the European Union. Write two-letter codes, such as %s, or none.", shorten(p, 20), k.Example)
			}
		}
		switch {
		case p == "" || strings.EqualFold(p, "none"):
			return "", wrong("%s: write names with commas between them, such as %s, or none alone.", k.Title, k.Example)
		case utf8.RuneCountInString(p) > maxListName:
			return "", wrong("%s: a name has at most %d characters.", k.Title, maxListName)
		}
		out = append(out, p)
	}
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) > MaxListNames {
		return "", wrong("%s takes at most %d names.", k.Title, MaxListNames)
	}
	return strings.Join(out, ", "), nil
}

func shorten(s string, most int) string {
	r := []rune(strings.ToValidUTF8(s, "?"))
	if len(r) <= most {
		return string(r)
	}
	return string(r[:most-1]) + "…"
}
