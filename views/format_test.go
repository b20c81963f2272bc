package views

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{grouped(0), "0"}, {grouped(9999), "9999"}, {grouped(15259101), "15\u202f259\u202f101"}, {grouped(-1234567), "-1\u202f234\u202f567"},
		{span(0), "0\u202fs"}, {span(59_999), "59\u202fs"}, {span(60_000), "1\u202fm"}, {span(4_980_000), "1\u202fh 23\u202fm"}, {span(7_200_000), "2\u202fh"}, {span(90_000_000), "1\u202fd 1\u202fh"}, {span(-5), "0\u202fs"},
		{clockSpan(2_467_000), "00:41:07"}, {clockSpan(183_600_000), "2\u202fd 03:00:00"},
		{short("0x88a69b4e698a4b090df6cf5bd7b2d47325ad30a3"), "0x88a69b…ad30a3"}, {short("abc"), "abc"},
		{string(outside("https://a.example/x?y=1")), "https://a.example/x?y=1"}, {string(outside("javascript:alert(1)")), ""}, {string(outside("data:text/html,x")), ""}, {string(outside("//evil.example")), ""}, {string(outside("http://")), ""},
		{string(local("/incidents/42")), "/incidents/42"}, {string(local("//evil.example")), "/"}, {string(local("/\\evil.example")), "/"}, {string(local("https://evil.example")), "/"}, {string(local("")), "/"},
		{args(map[string]any{"b": 1, "a": "x"}), `{"a":"x","b":1}`}, {args(nil), "{}"},
		{roleName("comms"), "Comms lead"}, {roleName("deputy"), "Deputy"}, {sev("nonsense"), "SEV5"},
		{asset("app.js", "v1 2"), "/assets/app.js?v=v1+2"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// A line never leaves its box, whatever the values are.
func TestSparkStaysInItsBox(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.OneOf(rapid.Float64(), rapid.Just(math.NaN()), rapid.Just(math.Inf(1))), 0, 100).Draw(t, "values")
		for _, point := range strings.Fields(sparkPoints(values)) {
			x, y, ok := strings.Cut(point, ",")
			if !ok || strings.HasPrefix(x, "-") || strings.HasPrefix(y, "-") || strings.Contains(point, "NaN") || strings.Contains(point, "Inf") || len(x) > 5 || len(y) > 4 {
				t.Fatalf("point %q of %v", point, values)
			}
		}
	})
}
