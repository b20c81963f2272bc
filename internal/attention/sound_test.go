package attention_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/attention"
)

// samples takes a WAV file apart as a player does.
func samples(t *testing.T, name attention.Sound, b []byte) []float64 {
	t.Helper()
	le := binary.LittleEndian
	switch {
	case len(b) < 44 || string(b[:4]) != "RIFF" || string(b[8:16]) != "WAVEfmt " || string(b[36:40]) != "data":
		t.Fatalf("%s: no WAV file", name)
	case int(le.Uint32(b[4:])) != len(b)-8 || int(le.Uint32(b[40:])) != len(b)-44:
		t.Fatalf("%s: the header's lengths are %d and %d of %d", name, le.Uint32(b[4:]), le.Uint32(b[40:]), len(b))
	case le.Uint32(b[16:]) != 16 || le.Uint16(b[20:]) != 1 || le.Uint16(b[22:]) != 1 || le.Uint32(b[24:]) != 22050 || le.Uint32(b[28:]) != 44100 || le.Uint16(b[32:]) != 2 || le.Uint16(b[34:]) != 16:
		t.Fatalf("%s: not 22,050 Hz, mono, 16 bits", name)
	}
	out := make([]float64, (len(b)-44)/2)
	for i := range out {
		out[i] = float64(int16(le.Uint16(b[44+2*i:]))) / 32768
	}
	return out
}

// strokes counts how often the loudness rises anew: the rhythm, whatever the pitch.
func strokes(v []float64) (n int, beats []int) {
	const window = attention.WaveRate / 50 // 20 ms
	last, low := 0., 0.
	for i := 0; i+window <= len(v); i += window {
		e := 0.
		for _, x := range v[i : i+window] {
			e += x * x
		}
		e = math.Sqrt(e / window)
		low = min(low, e)
		if e > low+.05 && e > 1.25*low && e > last {
			if n == 0 || i/window-beats[n-1] > 3 {
				n, beats = n+1, append(beats, i/window)
			}
			low = e
		}
		if e < last {
			low = e
		}
		last = e
	}
	return n, beats
}

// power is how much of a frequency there is (Goertzel).
func power(v []float64, hertz float64) float64 {
	w := 2 * math.Cos(2*math.Pi*hertz/attention.WaveRate)
	var a, b float64
	for _, x := range v {
		a, b = x+w*a-b, a
	}
	return (a*a + b*b - w*a*b) / float64(len(v))
}

func TestSounds(t *testing.T) {
	seen := map[string]attention.Sound{}
	loudness := 2.
	for _, name := range attention.Sounds {
		b := attention.Wave(name)
		if !bytes.Equal(b, attention.Wave(name)) {
			t.Errorf("%s: not the same bytes each time", name)
		}
		v := samples(t, name, b)
		if s := float64(len(v)) / attention.WaveRate; s < .1 || s > 2 {
			t.Errorf("%s lasts %.2f s", name, s)
		}
		peak, jump, energy, mean := 0., 0., 0., 0.
		for i, x := range v {
			peak, energy, mean = max(peak, math.Abs(x)), energy+x*x, mean+x/float64(len(v))
			if i > 0 {
				jump = max(jump, math.Abs(x-v[i-1]))
			}
		}
		if peak > .95 || peak < .1 {
			t.Errorf("%s: its peak is %.2f", name, peak)
		}
		if math.Abs(v[0]) > 1e-3 || math.Abs(v[len(v)-1]) > 1e-3 || math.Abs(mean) > 1e-3 {
			t.Errorf("%s begins at %.4f, ends at %.4f and lies at %.4f: it clicks", name, v[0], v[len(v)-1], mean)
		}
		// The steepest slope of its pitches; a click would be steeper.
		if most := peak * 2 * math.Pi * 2500 / attention.WaveRate; jump > most {
			t.Errorf("%s jumps by %.2f, more than %.2f: it clicks", name, jump, most)
		}
		if low, high := power(v, 30), power(v, 9000); low > .01*energy || high > .01*energy {
			t.Errorf("%s rumbles (%.4f) or hisses (%.4f) at energy %.4f", name, low, high, energy)
		}
		n, beats := strokes(v)
		rhythm := ""
		for i := 1; i < len(beats); i++ {
			rhythm += string(rune('a' + (beats[i]-beats[i-1])/4))
		}
		rhythm += string(rune('0' + n))
		if n == 1 && len(v) < attention.WaveRate/2 {
			rhythm += " short"
		}
		t.Logf("%s: %d strokes, rhythm %s, %.2f s, peak %.2f, rms %.3f", name, n, rhythm, float64(len(v))/attention.WaveRate, peak, math.Sqrt(energy/float64(len(v))))
		if other, same := seen[rhythm]; same {
			t.Errorf("%s has the rhythm of %s", name, other)
		}
		seen[rhythm] = name
		if name != attention.SoundPage {
			if peak >= loudness {
				t.Errorf("%s is not softer than what is worse: %.2f after %.2f", name, peak, loudness)
			}
			loudness = peak
		}
	}
	if attention.Wave(attention.Silent) != nil || attention.Wave("gong") != nil {
		t.Error("what is no sound sounds")
	}
}
