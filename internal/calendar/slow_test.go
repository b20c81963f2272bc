package calendar

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// What would make the parser's time, or the rule's, grow with the square of the file is refused before it is parsed.
func TestWhatWouldTakeForEverIsRefused(t *testing.T) {
	one := func(rest string) []byte {
		return []byte("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\nDTSTART:20260302T090000\nDURATION:PT1H\n" + rest + "\nEND:VEVENT\nEND:VCALENDAR\n")
	}
	for name, rest := range map[string]string{
		"parameters":        "SUMMARY;" + strings.Repeat("A=b;", 200_000) + "X=Y:z",
		"values":            "SUMMARY;A=" + strings.Repeat("\"b\",", 200_000) + "c:z",
		"quoted colons":     "SUMMARY;A=" + strings.Repeat("\":\",", 200_000) + "c:z",
		"folded parameters": "SUMMARY;A=b" + strings.Repeat("\n ;A=b", 100_000) + ":z",
		"no value":          strings.Repeat("A=b;", 200_000),
	} {
		if _, _, err := Read(t.Context(), one(rest), berlin(t), time.LoadLocation, noon); !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), "parameters") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, rest := range map[string]string{
		"days of the month": "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30" + strings.Repeat(",30", 200_000),
		"days of the week":  "RRULE:FREQ=YEARLY;BYDAY=5MO" + strings.Repeat(",5MO", 200_000),
	} {
		times, refused, err := Read(t.Context(), one(rest), berlin(t), time.LoadLocation, noon)
		if err != nil || len(times) != 0 || len(refused) != 1 || !strings.Contains(refused[0].Why, "longer than is read") {
			t.Errorf("%s: %d times, %+v, %v", name, len(times), refused, err)
		}
	}
	// Long values and many lines are no harm.
	for name, rest := range map[string]string{
		"a long summary": "SUMMARY;LANGUAGE=de:" + strings.Repeat("a:\"b;", 100_000),
		"folds":          "SUMMARY:" + strings.Repeat("\n x", 200_000),
		"people":         strings.Repeat("ATTENDEE;CN=\"ana: b\";X-A=b:mailto:ana@example.org\n", 10_000) + "SUMMARY:x",
	} {
		if times, _, err := Read(t.Context(), one(rest), berlin(t), time.LoadLocation, noon); err != nil || len(times) != 1 {
			t.Errorf("%s: %d times, %v", name, len(times), err)
		}
	}
}

// The turns of a zone say at every moment what its observances say one by one.
func TestTurnsOfAZone(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var list []observance
		for range 1 + r.IntN(4) {
			o := observance{offset: int64(r.IntN(5)), before: int64(r.IntN(5))}
			for range 1 + r.IntN(6) {
				o.onsets = append(o.onsets, int64(r.IntN(40)))
			}
			list = append(list, o)
		}
		d := newDefined(list)
		for u := int64(-10); u < 60; u++ {
			best, want := int64(math.MinInt64), list[0].before
			for _, o := range list {
				for _, w := range o.onsets {
					if at := w - o.before; at <= u && at > best {
						best, want = at, o.offset
					}
				}
			}
			if got := d.offset(u); got != want {
				t.Fatalf("%+v at %d: %d, want %d", list, u, got, want)
			}
		}
	}
}
