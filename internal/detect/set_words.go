package detect

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"
)

// digest is a short name for a long text.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// lasting writes milliseconds for people.
func lasting(ms int64) string {
	d := time.Duration(max(ms, 0)) * time.Millisecond
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

// chosen writes a duration that somebody chose.
func chosen(ms int64) string {
	if ms >= 60_000 && ms%60_000 == 0 {
		return fmt.Sprintf("%d min", ms/60_000)
	}
	return lasting(ms)
}

// figure writes a value short.
func figure(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// odds writes a small probability as people say it.
func odds(p float64) string {
	switch {
	case p <= 0:
		return "nearly 0"
	case p < 1e-6:
		return fmt.Sprintf("1 in 10^%d", int(math.Round(-math.Log10(p))))
	}
	return "1 in " + grouped(strconv.FormatFloat(math.Round(1/p), 'f', 0, 64))
}
