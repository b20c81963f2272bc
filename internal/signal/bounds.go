package signal

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is kept of one observation. What is longer is cut and ends
// with a mark; it is never refused, so that an alert is not lost for its form.
const (
	MaxKey        = 512 // bytes; longer keys must be hashed by the decoder
	MaxTitle      = 300 // runes
	MaxReason     = 4000
	MaxWord       = 200 // kind, subject, chain, component, a label's name
	MaxGroup      = 512
	MaxLabel      = 1000 // a label's value
	MaxLabels     = 64
	MaxLabelBytes = 32 << 10 // of all names and values
	MaxLinks      = 16
	MaxURL        = 1024
	MaxEvidence   = 32 << 10 // bytes; larger evidence is left out
	MaxSeen       = 32
	DroppedLabel  = "tocsin_labels_dropped"
	mark          = "…"
)

// Bounded returns the observation inside the bounds above: strings are valid
// UTF-8 without control characters, one-line fields are one line, a severity is
// SEV1 to SEV5, a title is never empty, links are http or https. Labels beyond
// MaxLabels are dropped, the first in sorted order stay, and DroppedLabel says
// how many went. It is idempotent.
func (o Observation) Bounded() Observation {
	o.Kind, o.Subject = Line(o.Kind, MaxWord), Line(o.Subject, MaxWord)
	o.Chain, o.Component = Line(o.Chain, MaxWord), Line(o.Component, MaxWord)
	o.Group = Line(o.Group, MaxGroup)
	o.Title, o.Reason = Line(o.Title, MaxTitle), Text(o.Reason, MaxReason)
	if o.Title == "" {
		o.Title = cmp.Or(o.Kind, o.Subject, "Signal without a title")
	}
	if Rank(o.Severity) == 0 {
		o.Severity = DefaultSeverity
	}
	o.Labels = boundLabels(o.Labels)
	o.Finding = o.bounded()
	o.Links = boundLinks(o.Links)
	if len(o.Evidence) > MaxEvidence || len(o.Evidence) > 0 && !json.Valid(o.Evidence) {
		o.Evidence = nil
	}
	return o
}

func (f Finding) bounded() Finding {
	f.Detector, f.Verification = Line(f.Detector, MaxWord), Line(f.Verification, MaxWord)
	if math.IsNaN(f.Score) || f.Score < 0 {
		f.Score = 0
	}
	if math.IsNaN(f.Bound) || f.Bound < 0 {
		f.Bound = 0
	}
	f.Score, f.Bound = min(f.Score, 1), min(f.Bound, 1)
	if len(f.Seen) > MaxSeen {
		f.Seen = f.Seen[:MaxSeen]
	}
	for i, n := range f.Seen {
		if short := Line(n, MaxWord); short != n {
			f.Seen = slices.Clone(f.Seen)
			f.Seen[i] = short
		}
	}
	return f
}

func boundLabels(in map[string]string) map[string]string {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]string, min(len(in), MaxLabels+1))
	note, dropped, kept, size := Line(in[DroppedLabel], MaxWord), 0, 0, 0
	for _, k := range slices.Sorted(maps.Keys(in)) {
		name, value := Line(k, MaxWord), Text(in[k], MaxLabel)
		_, twice := out[name]
		switch {
		case name == DroppedLabel || name == "":
		case twice || kept == MaxLabels || size+len(name)+len(value) > MaxLabelBytes:
			dropped++
		default:
			out[name] = value
			kept++
			size += len(name) + len(value)
		}
	}
	if dropped > 0 {
		note = fmt.Sprintf("%d labels dropped, %d kept", dropped, kept)
	}
	if note != "" {
		out[DroppedLabel] = note
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func boundLinks(in []Link) []Link {
	var out []Link
	for _, l := range in {
		if len(out) == MaxLinks {
			break
		}
		if len(l.URL) <= MaxURL && (strings.HasPrefix(l.URL, "https://") || strings.HasPrefix(l.URL, "http://")) && Line(l.URL, MaxURL) == l.URL {
			out = append(out, Link{Text: Line(l.Text, MaxWord), URL: l.URL})
		}
	}
	return out
}

// Line returns s as one line of at most limit runes, without control
// characters and outer space, valid UTF-8; a longer one is cut and ends in "…".
func Line(s string, limit int) string {
	return clean(s, limit, func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	})
}

// Text is Line with line breaks and tabs kept.
func Text(s string, limit int) string {
	return clean(s, limit, func(r rune) rune {
		if r == '\u2028' || r == '\u2029' {
			return '\n'
		}
		return r
	})
}

func clean(s string, limit int, m func(rune) rune) string {
	// A first cut in bytes keeps the work bounded: no rune has more than 4.
	if len(s) > limit*utf8.UTFMax+utf8.UTFMax {
		s = s[:limit*utf8.UTFMax+utf8.UTFMax]
	}
	s = strings.Map(func(r rune) rune {
		r = m(r)
		if r != '\n' && r != '\t' && unicode.IsControl(r) || hidden(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.TrimSpace(s)
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return strings.TrimSpace(string([]rune(s)[:limit-1])) + mark
}

// hidden says that nobody sees r, or that it changes the direction of what
// follows, which lets a sender make text read as something else. The incident
// core refuses the same.
func hidden(r rune) bool {
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || r == '\ufeff' || r == '\ufffe' || r == '\uffff'
}
