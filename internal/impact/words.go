package impact

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Say is a fact as a sentence: "Users affected: 12,000."
func (f Fact) Say() string {
	k, ok := FactNamed(f.Name)
	if !ok {
		return f.Name + ": " + f.Value + "."
	}
	return k.Title + ": " + f.Show() + "."
}

// Show is a fact's value as people read it: "$190 M", "12 %", "2 h 10 m".
func (f Fact) Show() string {
	k, _ := FactNamed(f.Name)
	n, err := strconv.ParseFloat(f.Value, 64)
	if err != nil {
		return f.Value
	}
	switch k.Kind {
	case KindCount:
		return Count(n)
	case KindShare:
		return percent(n)
	case KindUSD:
		return USD(n)
	case KindMinutes:
		return minutes(n)
	}
	return f.Value
}

// USD is an amount of dollars, short: "$950", "$190,000", "$16.6 M", "$1.46 bn".
func USD(v float64) string {
	sign := ""
	if v < 0 {
		sign, v = "−", -v
	}
	for _, u := range []struct {
		from, by float64
		unit     string
	}{{999.5e9, 1e12, " tn"}, {999.5e6, 1e9, " bn"}, {999.5e3, 1e6, " M"}} {
		if v >= u.from {
			return sign + "$" + figures(v/u.by) + u.unit
		}
	}
	if v >= 100 || v == math.Trunc(v) {
		return sign + "$" + Count(v)
	}
	return sign + "$" + figures(v)
}

// figures writes three significant ones.
func figures(v float64) string {
	d := 2
	if v >= 99.95 {
		d = 0
	} else if v >= 9.995 {
		d = 1
	}
	t := strconv.FormatFloat(v, 'f', d, 64)
	if strings.Contains(t, ".") {
		t = strings.TrimRight(strings.TrimRight(t, "0"), ".")
	}
	return t
}

// Count is a whole number with commas between its thousands.
func Count(v float64) string {
	t := strconv.FormatFloat(math.Round(math.Abs(v)), 'f', 0, 64)
	for i := len(t) - 3; i > 0; i -= 3 {
		t = t[:i] + "," + t[i:]
	}
	if v <= -0.5 {
		t = "−" + t
	}
	return t
}

func percent(v float64) string { return figures(v) + " %" }

func minutes(v float64) string {
	if v < 60 {
		return figures(v) + " min"
	}
	h, m := int(v)/60, int(v)%60
	if h >= 48 {
		return fmt.Sprintf("%d d %d h", h/24, h%24)
	}
	return fmt.Sprintf("%d h %d m", h, m)
}
