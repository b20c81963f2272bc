package series

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const minute = 60_000

// monday is a Monday, 00:00 UTC.
var monday = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// noise is reproducible.
func noise(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// scores feeds a series with a fixed step.
func scores(d *Detector, from, step int64, v []float64) []Verdict {
	out := make([]Verdict, len(v))
	for i, x := range v {
		out[i] = d.Observe(from+int64(i)*step, x)
	}
	return out
}

// made is n samples of f at a step from monday on.
func made(n int, step int64, f func(i int, hour float64) float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = f(i, math.Mod(float64(int64(i)*step)/hour, 24))
	}
	return v
}

func alerts(out []Verdict, from, to int) (n int) {
	for _, o := range out[from:to] {
		if o.Score >= Threshold {
			n++
		}
	}
	return n
}

func best(out []Verdict, from, to int) Verdict {
	b := out[from]
	for _, o := range out[from:to] {
		if o.Score > b.Score {
			b = o
		}
	}
	return b
}

// mixed is a series with everything in it: a day, noise, spikes, a level shift, a flat line, zeros and a ramp.
func mixed(n int) []float64 {
	r := noise(1)
	return made(n, 5*minute, func(i int, h float64) float64 {
		v := 50 + 20*math.Sin(h/24*2*math.Pi) + r.NormFloat64()*2
		switch {
		case i%701 == 700:
			v *= 3
		case i > n/2 && i < n/2+40:
			v = 50
		case i > n*2/3:
			v += 80
		case i%997 < 3:
			v = 0
		}
		return v
	})
}

func TestScoresDoNotDependOnWhatComes(t *testing.T) {
	v := mixed(4000)
	whole := scores(New(Options{}), monday, 5*minute, v)
	for _, n := range []int{1, 2, 25, 1000, 3999} {
		for i, o := range scores(New(Options{}), monday, 5*minute, v[:n]) {
			if o != whole[i] {
				t.Fatalf("of %d samples, sample %d is %+v; of all it is %+v", n, i, o, whole[i])
			}
		}
	}
}

func TestRestartChangesNoBit(t *testing.T) {
	v := mixed(4000)
	whole := scores(New(Options{}), monday, 5*minute, v)
	d := New(Options{})
	for i, x := range v {
		if i%397 == 0 {
			b, err := d.MarshalBinary()
			if err != nil || len(b) != BytesPerSeries {
				t.Fatalf("%d bytes, %v", len(b), err)
			}
			d = New(Options{})
			if err := d.UnmarshalBinary(b); err != nil {
				t.Fatal(err)
			}
		}
		if o := d.Observe(monday+int64(i)*5*minute, x); o != whole[i] {
			t.Fatalf("sample %d is %+v after a restart, %+v without", i, o, whole[i])
		}
	}
}

func TestUnitAndYearChangeNothing(t *testing.T) {
	v := mixed(6000)
	want := scores(New(Options{}), monday, 5*minute, v)
	for _, c := range []struct {
		name  string
		times float64
		move  int64
	}{{"37 times", 37, 0}, {"a thousandth", 1e-3, 0}, {"negated", -1, 0}, {"1e90 times", 1e90, 0}, {"a year later", 1, 365 * day}, {"before 1970", 37, -60 * 365 * day}} {
		w := make([]float64, len(v))
		for i := range v {
			w[i] = v[i] * c.times
		}
		for i, o := range scores(New(Options{}), monday+c.move, 5*minute, w) {
			if math.Abs(o.Score-want[i].Score) > 1e-9 {
				t.Fatalf("%s: sample %d scores %v, not %v", c.name, i, o.Score, want[i].Score)
			}
		}
	}
}

func TestWhatIsAnomalous(t *testing.T) {
	daily := func(h float64) float64 { return 100 + 40*math.Sin(h/24*2*math.Pi) }
	const week = 2016 // five-minute samples
	for _, c := range []struct {
		name string
		n    int
		f    func(r *rand.Rand, i int, h float64) float64
		from int // the anomaly
		to   int
	}{
		{"a spike", 3 * week, func(r *rand.Rand, i int, h float64) float64 {
			if i == 5000 {
				return 400
			}
			return daily(h) + r.NormFloat64()*3
		}, 5000, 5001},
		{"a level shift", 3 * week, func(r *rand.Rand, i int, h float64) float64 {
			v := 100 + r.NormFloat64()*3
			if i >= 5000 {
				v += 40
			}
			return v
		}, 5000, 5006},
		{"a burst of noise", 3 * week, func(r *rand.Rand, i int, h float64) float64 {
			v := r.NormFloat64() * 3
			if i >= 5000 && i < 5050 {
				v *= 5
			}
			return 100 + v
		}, 5000, 5050},
		{"a dip at the wrong hour", 3 * week, func(r *rand.Rand, i int, h float64) float64 {
			v := daily(h) + r.NormFloat64()*3
			if h >= 3 && h < 4 || i >= 5000 && i < 5012 {
				v = 20 + r.NormFloat64()*3
			}
			return v
		}, 5000, 5012},
		{"a daily peak that does not come", 3 * week, func(r *rand.Rand, i int, h float64) float64 {
			v := 20 + r.NormFloat64()
			if h >= 9 && h < 17 && (i < 4992 || i >= 4992+288) {
				v += 60
			}
			return v
		}, 4992, 4992 + 288},
		{"a flat line", 3 * week, func(r *rand.Rand, i int, h float64) float64 {
			if i >= 5000 && i < 5060 {
				return 100.123
			}
			return 100 + r.NormFloat64()*3
		}, 5000, 5060},
		{"a first value other than zero", 2000, func(r *rand.Rand, i int, h float64) float64 {
			if i == 1500 {
				return 1
			}
			return 0
		}, 1500, 1501},
	} {
		t.Run(c.name, func(t *testing.T) {
			caught, early := 0, 0
			const runs = 10
			for seed := range uint64(runs) {
				r := noise(seed)
				out := scores(New(Options{}), monday, 5*minute, made(c.n, 5*minute, func(i int, h float64) float64 { return c.f(r, i, h) }))
				if alerts(out, c.from, c.to) > 0 {
					caught++
				}
				early += alerts(out, 1000, c.from)
			}
			if caught < runs {
				t.Errorf("caught in %d of %d runs", caught, runs)
			}
			if early > 5*runs {
				t.Errorf("%d alerts in %d samples before", early, runs*(c.from-1000))
			}
		})
	}
}

func TestWhatIsNot(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func(r *rand.Rand, i int, h float64) float64
		most int // alerts in two weeks
	}{
		{"white noise", func(r *rand.Rand, _ int, _ float64) float64 { return r.NormFloat64() }, 6},
		{"heavy tails", func(r *rand.Rand, _ int, _ float64) float64 { return math.Exp(2 * r.NormFloat64()) }, 8},
		{"zeros with some counts", func(r *rand.Rand, _ int, _ float64) float64 { return float64(int(r.ExpFloat64() * 0.7)) }, 6},
		{"two values", func(r *rand.Rand, _ int, _ float64) float64 { return float64(r.IntN(2)) }, 4},
		{"a constant", func(*rand.Rand, int, float64) float64 { return 3.7 }, 0},
		{"a day", func(r *rand.Rand, _ int, h float64) float64 {
			return 100 + 40*math.Sin(h/24*2*math.Pi) + r.NormFloat64()
		}, 6},
		{"a dip every night", func(r *rand.Rand, _ int, h float64) float64 {
			if h >= 3 && h < 4 {
				return 20 + r.NormFloat64()
			}
			return 100 + r.NormFloat64()
		}, 6},
		{"a trend", func(r *rand.Rand, i int, _ float64) float64 { return float64(i)*0.1 + r.NormFloat64()*3 }, 12},
		{"a ramp", func(_ *rand.Rand, i int, _ float64) float64 { return float64(i) }, 0},
		{"a counter that is reset now and then", func(r *rand.Rand, i int, _ float64) float64 { return float64(i%1500)*10 + r.Float64() }, 4},
		{"a count that rises by day", func(r *rand.Rand, i int, h float64) float64 { return float64(i)*500 + 20000*math.Sin(h/24*2*math.Pi) }, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := noise(3)
			v := made(3*2016, 5*minute, func(i int, h float64) float64 { return c.f(r, i, h) })
			if n := alerts(scores(New(Options{}), monday, 5*minute, v), 2016, len(v)); n > c.most {
				t.Errorf("%d alerts in two weeks", n)
			}
		})
	}
}

func TestWhySaysWhatAndSinceWhen(t *testing.T) {
	r := noise(5)
	v := made(4000, 5*minute, func(i int, h float64) float64 {
		if i == 3900 {
			return 300
		}
		return 100 + 20*math.Sin(h/24*2*math.Pi) + r.NormFloat64()
	})
	o := scores(New(Options{Unit: "ms"}), monday, 5*minute, v)[3900]
	if o.Score < Threshold || !strings.HasPrefix(o.Why, "300 ms is ") || !strings.Contains(o.Why, " above ") {
		t.Errorf("%+v", o)
	}
	if !(o.Low < o.Expected && o.Expected < o.High && o.High < 300 && o.Low > 60 && o.Tail > 0 && o.Tail < 1e-3) {
		t.Errorf("%+v", o)
	}
	t.Log(o.Why)
}

// Every rule has its sentence.
func TestEveryCauseHasItsSentence(t *testing.T) {
	r := noise(9)
	usual := func(i int, h float64) float64 {
		v := 100 + 40*math.Sin(h/24*2*math.Pi) + r.NormFloat64()
		if h < 1 {
			v += 200 // a daily peak, so that little is outside of everything
		}
		return v
	}
	for _, c := range []struct {
		want string
		f    func(i int, h float64) float64
		from int
		to   int
	}{
		{"500 ms is the highest in 14 days; it was never above 3", func(i int, h float64) float64 {
			if i == 4000 {
				return 500
			}
			return usual(i, h)
		}, 4000, 4001},
		{"-50 ms is the lowest in 14 days; it was never below ", func(i int, h float64) float64 {
			if i == 4000 {
				return -50
			}
			return usual(i, h)
		}, 4000, 4001},
		{" % below what is usual ", func(i int, h float64) float64 {
			if i >= 4032 && i < 4044 {
				return 90 + r.NormFloat64()
			}
			return usual(i, h)
		}, 4032, 4044},
		{"The mean of the last 2 hours, ", func(i int, h float64) float64 {
			if i >= 4000 && i < 4030 {
				return 55 + 45*r.Float64()
			}
			return 100 * r.Float64()
		}, 4000, 4030},
		{"It has stood at 77.7 ms for 60 minutes; it never stood still for longer than 5 minutes.", func(i int, h float64) float64 {
			if i >= 4002 && i < 4040 {
				return 77.7
			}
			return 80 + 20*r.NormFloat64()
		}, 4000, 4040},
	} {
		out := scores(New(Options{Unit: "ms"}), monday, 5*minute, made(4100, 5*minute, c.f))
		found := false
		var said []string
		for _, o := range out[c.from:c.to] {
			if o.Why != "" {
				said = append(said, o.Why)
				found = found || strings.Contains(o.Why, c.want)
			}
		}
		if !found {
			t.Errorf("want %q; said %q", c.want, said)
		}
	}
}

func TestDueKnowsTheRhythm(t *testing.T) {
	d := New(Options{})
	if _, ok := d.Due(monday); ok {
		t.Error("nothing is due before the first sample")
	}
	at := monday
	for i := range 200 {
		at += minute
		if i == 100 {
			at += 10 * minute // a gap that was
		}
		d.Observe(at, float64(i%7))
	}
	for _, c := range []struct {
		late int64
		want bool
	}{{1, false}, {12, false}, {20, true}, {600, true}} {
		v, ok := d.Due(at + c.late*minute)
		if ok != c.want || ok && (v.Score < Threshold || v.Why == "") {
			t.Errorf("%d minutes late: %+v, %v", c.late, v, ok)
		}
	}
	d.Observe(at+900*minute, 3)
	if _, ok := d.Due(at + 901*minute); ok {
		t.Error("data is back")
	}
}

func TestNothingBreaksIt(t *testing.T) {
	extremes := []float64{0, math.Copysign(0, -1), 1, -1, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1e-310, 1e308, math.NaN(), math.Inf(1), math.Inf(-1), 1e16, 1e16 + 2}
	rapid.Check(t, func(t *rapid.T) {
		d := New(Options{})
		at := rapid.Int64().Draw(t, "start")
		for range rapid.IntRange(1, 400).Draw(t, "n") {
			at += rapid.SampledFrom([]int64{0, 1, 1000, minute, -minute, hour, day, 1 << 40, -1 << 50}).Draw(t, "gap")
			v := rapid.OneOf(rapid.SampledFrom(extremes), rapid.Float64()).Draw(t, "v")
			o := d.Observe(at, v)
			for _, x := range []float64{o.Score, o.Tail, o.Expected, o.Low, o.High} {
				if math.IsNaN(x) || math.IsInf(x, 0) {
					t.Fatalf("%v at %d gives %+v", v, at, o)
				}
			}
			if o.Score < 0 || o.Tail <= 0 || o.Tail > 1 || o.Low > o.High || (o.Why != "") != (o.Score >= Threshold) {
				t.Fatalf("%v at %d gives %+v", v, at, o)
			}
		}
		d.Due(at + rapid.Int64Range(0, 1<<50).Draw(t, "late"))
	})
}

func FuzzUnmarshal(f *testing.F) {
	d := New(Options{})
	scores(d, monday, minute, mixed(300))
	b, err := d.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		d := New(Options{})
		if d.UnmarshalBinary(b) != nil {
			return
		}
		for i, x := range mixed(50) {
			d.Observe(monday+int64(i)*minute, x) // whatever was loaded, nothing panics
		}
	})
}

func BenchmarkDetect(b *testing.B) {
	v := mixed(20000)
	d := New(Options{})
	scores(d, monday, 5*minute, v)
	i := 0
	at := monday + int64(len(v))*5*minute
	for b.Loop() {
		d.Observe(at, v[i%len(v)])
		at += 5 * minute
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "points/s")
	b.ReportMetric(float64(BytesPerSeries), "bytes/series")
}
