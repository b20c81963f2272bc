package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// redacted is what a secret looks like wherever it is printed.
const redacted = "[redacted]"

// Secret is text that prints as "[redacted]" through fmt, JSON, YAML and slog,
// also inside other values. The zero Secret is empty and prints as "".
type Secret struct {
	text *string // a pointer, so that even reflection-based printers show no text
}

// NewSecret makes a Secret of a text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal returns the text. Hand it on at once; never keep or print it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Empty reports whether there is no secret.
func (s Secret) Empty() bool { return s.text == nil }

// String returns "[redacted]", or "" for the empty Secret.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return redacted
}

// GoString redacts %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// Format redacts every verb of fmt.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText redacts JSON and every other encoder that asks for text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML redacts YAML.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// LogValue redacts slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

func (s *Secret) set(text string) error {
	*s = NewSecret(text)
	return nil
}

// Address is the address of a node. Providers put keys into user, path and
// query, so it prints scheme and host only.
type Address struct{ secret Secret }

// NewAddress makes an Address of a text; Validate judges it.
func NewAddress(text string) Address { return Address{NewSecret(text)} }

// Reveal returns the whole address.
func (a Address) Reveal() string { return a.secret.Reveal() }

// Empty reports whether there is no address.
func (a Address) Empty() bool { return a.secret.Empty() }

// String returns scheme and host, and "/[redacted]" for whatever else there is.
func (a Address) String() string {
	text := a.Reveal()
	if text == "" || text == "none" {
		return text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return redacted
	}
	rest := ""
	if u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		rest = "/" + redacted
	}
	return u.Scheme + "://" + u.Host + rest
}

// GoString redacts %#v.
func (a Address) GoString() string { return strconv.Quote(a.String()) }

// Format redacts every verb of fmt.
func (a Address) Format(f fmt.State, _ rune) { fmt.Fprint(f, a.String()) }

// MarshalText redacts JSON and every other encoder that asks for text.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// MarshalYAML redacts YAML.
func (a Address) MarshalYAML() (any, error) { return a.String(), nil }

// LogValue redacts slog.
func (a Address) LogValue() slog.Value { return slog.StringValue(a.String()) }

func (a *Address) set(text string) error {
	*a = NewAddress(text)
	return nil
}

// Endpoint returns the address of the node with its user and password inside,
// ready to dial. It is a secret.
func (n Node) Endpoint() string { return n.withUser(n.URL) }

// Socket returns WS likewise; "" and "none" stay what they are.
func (n Node) Socket() string {
	if n.WS.Empty() || n.WS.Reveal() == "none" {
		return n.WS.Reveal()
	}
	return n.withUser(n.WS)
}

func (n Node) withUser(a Address) string {
	u, err := url.Parse(a.Reveal())
	if err != nil || n.User == "" {
		return a.Reveal()
	}
	u.User = url.UserPassword(n.User, n.Password.Reveal())
	return u.String()
}

// Duration is a length of time in nanoseconds, written like 90s, 12h, 15d or 8w.
type Duration time.Duration

// Units of Duration.
const (
	Second = Duration(time.Second)
	Hour   = Duration(time.Hour)
	Day    = 24 * Hour
	Week   = 7 * Day
)

// Milliseconds returns the whole milliseconds.
func (d Duration) Milliseconds() int64 { return time.Duration(d).Milliseconds() }

// Std returns the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String writes whole days as "15d" and the rest as time.Duration does.
func (d Duration) String() string {
	if d != 0 && d%Day == 0 {
		return fmt.Sprintf("%dd", d/Day)
	}
	return time.Duration(d).String()
}

// MarshalText writes as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d *Duration) set(text string) error {
	parsed, err := ParseDuration(text)
	if err == nil {
		*d = parsed
	}
	return err
}

// ParseDuration reads what Go's time.ParseDuration reads, and whole or decimal
// days and weeks, alone: 15d, 1.5d, 8w. It refuses negative lengths.
func ParseDuration(text string) (Duration, error) {
	bad := errors.New("is not a length of time; write it like 90s, 12h, 15d or 8w")
	unit := Duration(0)
	number, isDays := strings.CutSuffix(text, "d")
	if isDays {
		unit = Day
	} else if n, isWeeks := strings.CutSuffix(text, "w"); isWeeks {
		number, unit = n, Week
	}
	if unit > 0 {
		f, err := strconv.ParseFloat(number, 64)
		if err != nil || !(f >= 0 && f*float64(unit) < math.MaxInt64) || strings.Trim(number, "0123456789.") != "" {
			return 0, bad
		}
		return Duration(f * float64(unit)), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, bad
	}
	return Duration(d), nil
}
