package main

import (
	"errors"
	"math"
	"strconv"
	"time"
)

// instant reads `2006-01-02 15:04:05` (UTC), RFC 3339 or unix seconds as unix milliseconds. It takes exactly what time.Parse and strconv.ParseInt
// take; the plain forms are read by hand, because time.Parse alone would cost half of the throughput.
func instant(b []byte) (ms int64, ok bool) {
	if t, ok := plainSeconds(b); ok {
		return t, true
	}
	if t, ok := plainStamp(b); ok {
		return t, true
	}
	s := string(b)
	if u, err := strconv.ParseInt(s, 10, 64); err == nil {
		if u > math.MaxInt64/1000 || u < math.MinInt64/1000 {
			return 0, false
		}
		return u * 1000, true
	}
	for _, layout := range [...]string{time.DateTime, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMilli(), true
		}
	}
	return 0, false
}

// plainSeconds reads up to 15 digits.
func plainSeconds(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 15 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n * 1000, true
}

// plainStamp reads exactly `2006-01-02 15:04:05` and `2006-01-02T15:04:05Z`, with the days that every month has.
func plainStamp(b []byte) (int64, bool) {
	switch {
	case len(b) == 19 && b[10] == ' ':
	case len(b) == 20 && b[10] == 'T' && b[19] == 'Z':
	default:
		return 0, false
	}
	if b[4] != '-' || b[7] != '-' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	bad := false
	two := func(i int) int {
		x, y := b[i]-'0', b[i+1]-'0'
		bad = bad || x > 9 || y > 9
		return int(x)*10 + int(y)
	}
	y, mo, d := two(0)*100+two(2), two(5), two(8)
	h, mi, s := two(11), two(14), two(17)
	if bad || mo < 1 || mo > 12 || d < 1 || d > 28 || h > 23 || mi > 59 || s > 59 {
		return 0, false
	}
	return (civil(y, mo, d)*86400 + int64(h)*3600 + int64(mi)*60 + int64(s)) * 1000, true
}

// civil counts the days from 1970-01-01 to a date of the proleptic Gregorian calendar (Howard Hinnant, days_from_civil).
func civil(y, m, d int) int64 {
	if m <= 2 {
		y--
	}
	era := y / 400
	if y < 0 {
		era = (y - 399) / 400
	}
	yoe := y - era*400
	doy := (153*((m+9)%12)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return int64(era)*146097 + int64(doe) - 719468
}

// powers of ten that a float64 holds exactly.
var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// decimal reads a number as strconv.ParseFloat does, to the last bit: when both the digits and the power of ten are exact in a float64, one division rounds
// once and so correctly (Clinger 1990); everything else goes to strconv. A number that is too large is an infinity.
func decimal(b []byte) (float64, bool) {
	i, neg := 0, false
	if len(b) > 0 && b[0] == '-' {
		neg, i = true, 1
	}
	var n uint64
	digits, frac, dot := 0, 0, false
	for ; i < len(b); i++ {
		c := b[i]
		if c == '.' && !dot {
			dot = true
			continue
		}
		if c < '0' || c > '9' || digits == 19 {
			digits = -1
			break
		}
		n = n*10 + uint64(c-'0')
		digits++
		if dot {
			frac++
		}
	}
	if digits > 0 && n < 1<<53 {
		v := float64(n) / powers[frac]
		if neg {
			v = -v
		}
		return v, true
	}
	v, err := strconv.ParseFloat(string(b), 64)
	return v, err == nil || errors.Is(err, strconv.ErrRange)
}
