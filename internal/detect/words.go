package detect

import (
	"fmt"
	"strings"
)

// percent writes a share with one decimal.
func percent(v float64) string { return fmt.Sprintf("%.1f %%", v*100) }

// dollars writes an amount of money short, as people say it.
func dollars(v float64) string {
	switch a := max(v, -v); {
	case a >= 999_950:
		return fmt.Sprintf("%.1f M$", v/1e6)
	case a >= 999.5:
		return fmt.Sprintf("%.0f k$", v/1e3)
	}
	return fmt.Sprintf("%.0f $", v)
}

// grouped puts commas between the thousands of a decimal number.
func grouped(s string) string {
	whole, rest, has := strings.Cut(s, ".")
	var b strings.Builder
	for i, r := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	if has {
		b.WriteByte('.')
		b.WriteString(rest)
	}
	return b.String()
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
