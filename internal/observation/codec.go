package observation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MaxLine is how many bytes one observation may have in a recording.
const MaxLine = 1 << 20

// layout is RFC 3339 with milliseconds, UTC.
const layout = "2006-01-02T15:04:05.000Z07:00"

// Time is a moment, unix ms. In JSON it is RFC 3339; a number is taken as unix seconds, and as unix ms above 1e11.
type Time int64

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(`"` + time.UnixMilli(int64(t)).UTC().Format(layout) + `"`), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	if len(b) > 1 && b[0] == '"' {
		at, err := time.Parse(time.RFC3339Nano, string(b[1:len(b)-1]))
		if err != nil {
			return fmt.Errorf("%s is not a time like 2026-01-31T12:00:00.000Z", clip(string(b)))
		}
		*t = Time(at.UnixMilli())
		return nil
	}
	n, err := strconv.ParseFloat(string(b), 64)
	if err != nil || n < 0 || n > 1e14 {
		return fmt.Errorf("%s is not a time like 2026-01-31T12:00:00.000Z", clip(string(b)))
	}
	if n < 1e11 {
		n *= 1000
	}
	*t = Time(n)
	return nil
}

// Span is a length of time in ms. In JSON it is text like "1m" or "24h", or a number of seconds.
type Span int64

// MarshalJSON implements json.Marshaler.
func (s Span) MarshalJSON() ([]byte, error) {
	return json.Marshal((time.Duration(s) * time.Millisecond).String())
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Span) UnmarshalJSON(b []byte) error {
	var text string
	switch {
	case string(b) == "null":
		return nil
	case json.Unmarshal(b, &text) == nil:
		text = strings.TrimSpace(text)
		if n, ok := strings.CutSuffix(text, "d"); ok {
			if days, err := strconv.ParseFloat(n, 64); err == nil && days >= 0 && days < 1e6 {
				*s = Span(days * 86_400_000)
				return nil
			}
		}
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return fmt.Errorf("%s is not a length of time like 1m", clip(text))
		}
		*s = Span(d.Milliseconds())
		return nil
	}
	n, err := strconv.ParseFloat(string(b), 64)
	if err != nil || n < 0 || n > 1e10 {
		return fmt.Errorf("%s is not a number of seconds", clip(string(b)))
	}
	*s = Span(n * 1000)
	return nil
}

// UnmarshalText takes what UnmarshalJSON takes, for forms that have no numbers of their own.
func (s *Span) UnmarshalText(b []byte) error {
	if _, err := strconv.ParseFloat(string(b), 64); err == nil {
		return s.UnmarshalJSON(b)
	}
	quoted, err := json.Marshal(string(b))
	if err != nil {
		return err
	}
	return s.UnmarshalJSON(quoted)
}

type plain Observation

type wire struct {
	At *Time `json:"at"`
	plain
}

// MarshalJSON implements json.Marshaler.
func (o Observation) MarshalJSON() ([]byte, error) {
	at := Time(o.At)
	return json.Marshal(wire{&at, plain(o)})
}

// UnmarshalJSON implements json.Unmarshaler. It takes any object that has "at"; Check says whether the rest makes sense.
func (o *Observation) UnmarshalJSON(b []byte) error {
	var w wire
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*o = Observation(w.plain)
	if w.At == nil {
		return fmt.Errorf(`"at" is missing`)
	}
	o.At = int64(*w.At)
	return nil
}

// Decode reads one line of a recording. The error is a sentence about that line.
func Decode(line []byte) (Observation, error) {
	var o Observation
	if len(line) > MaxLine {
		return o, fmt.Errorf("the line is longer than %d bytes", MaxLine)
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	if err := dec.Decode(&o); err != nil {
		return o, err
	}
	if len(bytes.TrimSpace(line[dec.InputOffset():])) > 0 {
		return o, fmt.Errorf("there is more than one JSON value")
	}
	return o, o.Check()
}

// Check says as a sentence what an observation of its kind lacks. A kind that this program does not know is no error: it is passed over.
func (o Observation) Check() error {
	lacks := func(name string, missing bool) error {
		if missing {
			return fmt.Errorf("a %s needs %q", o.Kind, name)
		}
		return nil
	}
	first := func(list ...error) error {
		for _, err := range list {
			if err != nil {
				return err
			}
		}
		return nil
	}
	amount := func() error {
		if !Decimal(o.Amount) {
			return fmt.Errorf("a %s needs \"amount\" as decimal text, not %q", o.Kind, clip(o.Amount))
		}
		return nil
	}
	switch o.Kind {
	case "":
		return fmt.Errorf(`"kind" is missing`)
	case Sample:
		return first(lacks("series", o.Series == ""), lacks("value", o.Value == nil))
	case Block:
		return first(lacks("chain", o.Chain == ""), lacks("node", o.Node == ""), lacks("hash", o.Hash == ""), lacks("height", o.Height < 0))
	case Tip:
		return first(lacks("chain", o.Chain == ""), lacks("node", o.Node == ""), lacks("hash", o.Hash == ""), lacks("status", o.Status == ""))
	case Node:
		if o.State != "up" && o.State != "down" && o.State != "syncing" {
			return fmt.Errorf(`a node needs "state" up, down or syncing, not %q`, clip(o.State))
		}
		return first(lacks("chain", o.Chain == ""), lacks("node", o.Node == ""))
	case Transfer:
		return first(lacks("chain", o.Chain == ""), lacks("from or to", o.From == "" && o.To == ""), amount())
	case Deposit, Withdrawal:
		return first(lacks("bridge", o.Bridge == ""), amount())
	case Price:
		return first(lacks("asset", o.Asset == ""), lacks("close", o.Close == nil))
	case Admin:
		return first(lacks("chain", o.Chain == ""), lacks("contract", o.Contract == ""), lacks("change", o.Change == ""))
	case Spend:
		return first(lacks("chain", o.Chain == ""), lacks("tx", o.Tx == ""), lacks("inputs", len(o.Inputs) == 0))
	case Feed:
		return first(lacks("feed", o.Feed == ""), lacks("answer", o.Answer == nil))
	}
	return nil
}

// Decimal tells whether s is a number of at most 100 digits without sign or exponent, such as 202440.725413.
func Decimal(s string) bool {
	digits := strings.Count(s, ".") <= 1 && len(s) <= 101 && strings.Trim(s, ".") != ""
	for i := 0; digits && i < len(s); i++ {
		digits = s[i] == '.' || (s[i] >= '0' && s[i] <= '9')
	}
	return digits
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
