package series

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A period is never longer than the truth, and at least half of it: blocks double with age.
func TestPastKnowsPeriods(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SliceOfN(rapid.Map(rapid.IntRange(-50, 50), func(i int) float64 { return float64(i) }), 1, 600).Draw(t, "v")
		var p past
		for _, x := range v {
			p.add(x)
		}
		y := rapid.Float64Range(-60, 60).Draw(t, "y")
		high, low := 0, 0
		for i := len(v) - 1; i >= 0 && y > v[i]; i-- {
			high++
		}
		for i := len(v) - 1; i >= 0 && y < v[i]; i-- {
			low++
		}
		if got, want := p.period(y, 0), max(high, low); int(got) > want || got < float64(want)/2-2*blockSize {
			t.Fatalf("%v after %v: period %v, in truth %d", y, v, got, want)
		}
	})
}

func TestPastForgetsOnlyTheOldest(t *testing.T) {
	var p past
	p.add(100)
	n := blockSize<<(pastLevels+1) + 1000
	for range n {
		p.add(1)
	}
	if got := p.period(2, 0); got < float64(n)/2 {
		t.Errorf("%v of %d samples kept", got, n)
	}
	if p.Ever.High < 50 || p.Ever.High >= 100 {
		t.Errorf("the highest ever, 100, is now taken for %v", p.Ever.High)
	}
}

func TestTailIsATail(t *testing.T) {
	for _, c := range []struct {
		name string
		draw func(u float64) float64 // by inversion
	}{
		{"exponential", func(u float64) float64 { return -math.Log(u) }},
		{"pareto", func(u float64) float64 { return math.Pow(u, -0.5) }},
	} {
		var x tail
		r := noise(1)
		for range 20000 {
			p := position(c.draw(1 - r.Float64()))
			x.add(p, x.score(p))
		}
		last := -1.0
		for d := 0.5; d < 9; d += 0.1 {
			got := x.score(position(c.draw(math.Pow(10, -d))))
			if got < last {
				t.Errorf("%s: the score falls at %v decades", c.name, d)
			}
			if last = got; d > 1.4 && d < 1.9 && math.Abs(got-d) > 0.3 {
				t.Errorf("%s: %.2f decades taken for %.2f", c.name, d, got)
			}
		}
		if last < 3 {
			t.Errorf("%s: nine decades taken for %.2f", c.name, last)
		}
	}
}

func TestClockFindsTheStep(t *testing.T) {
	r := noise(2)
	for _, c := range []struct {
		name string
		gap  func(i int) int64
		want func(step int64) bool
	}{
		{"even", func(int) int64 { return minute }, func(s int64) bool { return s == minute }},
		{"a gap first", func(i int) int64 {
			if i == 0 {
				return day
			}
			return minute
		}, func(s int64) bool { return s == minute }},
		{"jitter", func(int) int64 { return 15000 + r.Int64N(1500) }, func(s int64) bool { return s >= 15000 && s < 16500 }},
		{"repeats and jumps back", func(i int) int64 { return []int64{minute, 0, minute, -2 * hour, minute, minute}[i%6] }, func(s int64) bool { return s == minute }},
		{"uneven", func(i int) int64 { return []int64{5, 5, 10, 5, 15, 5, 10}[i%7] * minute }, func(s int64) bool { return s == 5*minute }},
		{"another pace", func(i int) int64 {
			if i < 400 {
				return minute
			}
			return 5 * minute
		}, func(s int64) bool { return s == 5*minute }},
	} {
		var x clock
		at, changes := monday, 0
		for i := range 1000 {
			if x.tick(at) {
				changes++
			}
			at += c.gap(i)
		}
		if !c.want(x.step()) || changes > 3 {
			t.Errorf("%s: step %d after %d changes", c.name, x.step(), changes)
		}
	}
}

func TestCounterIsJudgedByItsRise(t *testing.T) {
	d := New(Options{Unit: "requests"})
	r := noise(4)
	total, caught, others := 0.0, false, 0
	for i := range 4000 {
		rise := 100 + math.Round(10*r.NormFloat64())
		if i == 3000 {
			total = 0 // a restart is no anomaly
		}
		if i == 3500 {
			rise = 900
		}
		was := total
		total += rise
		o := d.Observe(monday+int64(i)*minute, total)
		if i == 3500 {
			caught = o.Score >= Threshold
			t.Log(o.Why)
			if math.Abs(o.Expected-was-100) > 20 {
				t.Errorf("%v was expected after %v", o.Expected, was)
			}
		} else if i > 1000 && o.Score >= Threshold {
			others++
			if i == 3000 {
				t.Error("a restart is an alert")
			}
		}
	}
	if others > 8 {
		t.Errorf("%d alerts in two days of noise", others)
	}
	if !caught || !d.s.Counter.On {
		t.Errorf("nine times the rise is missed; counter %v", d.s.Counter)
	}
	d.Observe(monday+4000*minute, total-1)
	if d.s.Counter.On || !d.s.Counter.Off {
		t.Error("what falls a little is no counter")
	}
}

// A weekend that is quiet every week is usual; a Monday that is as quiet is not.
func TestWeekIsFoundFromTheSteps(t *testing.T) {
	for _, step := range []int64{15 * minute, hour} {
		r := noise(6)
		perDay := int(day / step)
		value := func(i int, h float64) float64 {
			v := 20 + r.NormFloat64()*2
			if wd := i / perDay % 7; wd < 5 && h >= 8 && h < 18 && i/perDay != 42 {
				v += 100
			}
			return v
		}
		out := scores(New(Options{Unit: "req/s"}), monday, step, made(44*perDay, step, value))
		if n := alerts(out, 28*perDay, 42*perDay); n > 2 {
			t.Errorf("step %d min: %d alerts in two usual weeks", step/minute, n)
		}
		if o := best(out, 42*perDay, 43*perDay); o.Score < Threshold {
			t.Errorf("step %d min: a Monday without work scores %.2f", step/minute, o.Score)
		} else {
			t.Log(o.Why)
		}
	}
}

func TestFigureAndSpan(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1.0 / 3: "0.3333", -1234.56: "-1235", 48213.7: "48,210", 1e9: "1,000,000,000", -12345678: "-12,350,000", 1e-9: "1e-09", 9999.6: "10000", 1e20: "1e+20", 0.1: "0.1"} {
		if got := figure(v); got != want {
			t.Errorf("figure(%v) = %q, want %q", v, got, want)
		}
	}
	for ms, want := range map[int64]string{0: "0 seconds", 1000: "1 second", 5 * minute: "5 minutes", 30 * hour: "30 hours", 12 * day: "12 days"} {
		if got := span(ms); got != want {
			t.Errorf("span(%d) = %q, want %q", ms, got, want)
		}
	}
}

// A state that the version before saved is read: its drifts of sixteen begin as wide as those of two dozen.
func TestStateOfTheVersionBeforeIsRead(t *testing.T) {
	d := New(Options{})
	scores(d, monday, 5*minute, mixed(3000))
	d.s.Version = 3
	b, err := d.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	old := slices.Clone(b[:before-crc32.Size])
	old = binary.LittleEndian.AppendUint32(old, crc32.ChecksumIEEE(old))
	got := New(Options{})
	if err := got.UnmarshalBinary(old); err != nil {
		t.Fatal(err)
	}
	want := d.s
	want.Version, want.Drift16 = stateVersion, want.Drift
	if got.s != want {
		t.Error("what was learned is not what was saved")
	}
	now := old[:len(old)-crc32.Size]
	binary.LittleEndian.PutUint32(now, stateVersion)
	if err := got.UnmarshalBinary(binary.LittleEndian.AppendUint32(now, crc32.ChecksumIEEE(now))); err == nil {
		t.Error("a state of this version without its end is taken")
	}
	if err := got.UnmarshalBinary(b); err == nil {
		t.Error("a state of the version before with something behind it is taken")
	}
}

// What is far out for its series, but not the furthest ever, is an alert after some weeks, however many samples those have.
func TestTheTailIsBelievedAfterWeeks(t *testing.T) {
	for _, c := range []struct {
		step int64
		n    int
		want bool
	}{{minute, 12000, false}, {5 * minute, 12000, true}, {minute, 60000, true}} {
		r := noise(8)
		out := scores(New(Options{}), monday, c.step, made(c.n, c.step, func(i int, h float64) float64 {
			v := 100 + r.NormFloat64()
			switch {
			case i == c.n/2:
				v += 60
			case i == c.n-200:
				v += 30
			case h < 1:
				v += 800 * h * (1 - h) // so that the value is not the highest either
			}
			return v
		}))
		if got := out[c.n-200]; (got.Score >= Threshold) != c.want {
			t.Errorf("%d samples of %d min: %.2f, %s", c.n, c.step/minute, got.Score, got.Why)
		}
	}
}

// A long stretch is a drift when it is more than any stretch was, long or short; a stretch that a short one was already above is none.
func TestADriftIsARecordOverBothLengths(t *testing.T) {
	for _, c := range []struct {
		by   float64
		want bool
	}{{60, false}, {90, true}} {
		r := noise(11)
		out := scores(New(Options{}), monday, 5*minute, made(4100, 5*minute, func(i int, _ float64) float64 {
			v := 100 + r.NormFloat64()
			switch {
			case i >= 1000 && i < 1012:
				v += 100
			case i >= 4000 && i < 4024:
				v += c.by
			}
			return v
		}))
		got := false
		for _, o := range out[4000:4030] {
			got = got || strings.HasPrefix(o.Why, "The mean of the last 2 hours, ")
		}
		if got != c.want {
			t.Errorf("two hours that are %v higher: a drift %v", c.by, got)
		}
	}
}
