package attention

import (
	"encoding/binary"
	"math"
)

// Sound names one of the sounds; Silent is none.
type Sound string

// The sounds. They differ by their pattern, not only by their pitch.
const (
	Silent    Sound = ""
	SoundSEV1 Sound = "sev1"
	SoundSEV2 Sound = "sev2"
	SoundSEV3 Sound = "sev3"
	SoundSEV4 Sound = "sev4"
	SoundSEV5 Sound = "sev5"
	SoundPage Sound = "page" // somebody asks this person to come
)

// Sounds are all that can be heard, the loudest first.
var Sounds = []Sound{SoundPage, SoundSEV1, SoundSEV2, SoundSEV3, SoundSEV4, SoundSEV5}

// soundOf is the sound of a severity.
func soundOf(severity string) Sound {
	if r := rank(severity); r <= 5 {
		return Sounds[r]
	}
	return SoundSEV5
}

// WaveRate is how many samples a second a Wave has.
const WaveRate = 22050

// tone is one stroke of a bell: a pitch that sounds on while it fades.
type tone struct {
	at, long float64 // seconds
	hertz    float64
	loud     float64 // 0 to 1
}

// scores are the sounds: who cannot tell the pitches tells the rhythm.
var scores = map[Sound][]tone{
	// Two calls of three quick strokes each, rising: come.
	SoundPage: {{0, .22, 784, .8}, {.16, .22, 784, .8}, {.32, .4, 1175, .9}, {.9, .22, 784, .8}, {1.06, .22, 784, .8}, {1.22, .5, 1175, .9}},
	// Five even strokes, high and low by turns.
	SoundSEV1: {{0, .3, 988, .85}, {.25, .3, 659, .85}, {.5, .3, 988, .85}, {.75, .3, 659, .85}, {1, .6, 988, .85}},
	// Three falling strokes.
	SoundSEV2: {{0, .35, 880, .7}, {.28, .35, 698, .7}, {.56, .6, 587, .7}},
	// Two strokes, the second higher.
	SoundSEV3: {{0, .35, 587, .55}, {.22, .55, 740, .55}},
	// One long stroke.
	SoundSEV4: {{0, .7, 523, .4}},
	// One short tick.
	SoundSEV5: {{0, .16, 440, .28}},
}

// gain makes the loudest sound nearly as loud as a file can be; none is cut off.
const gain = 1.15

// Wave returns the sound as a WAV file: WaveRate samples a second, mono, 16
// bits, at most two seconds, the same bytes each time. It begins and ends in
// silence. It is nil for Silent and for unknown names.
func Wave(s Sound) []byte {
	score, ok := scores[s]
	if !ok {
		return nil
	}
	end := 0.
	for _, t := range score {
		end = max(end, t.at+t.long)
	}
	mix := make([]float64, int(end*WaveRate)+WaveRate/20)
	for _, t := range score {
		t.strike(mix)
	}
	const header = 44
	out := make([]byte, header+2*len(mix))
	copy(out, "RIFF")
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	copy(out[8:], "WAVEfmt ")
	binary.LittleEndian.PutUint32(out[16:], 16) // bytes of the format
	binary.LittleEndian.PutUint16(out[20:], 1)  // PCM
	binary.LittleEndian.PutUint16(out[22:], 1)  // channels
	binary.LittleEndian.PutUint32(out[24:], WaveRate)
	binary.LittleEndian.PutUint32(out[28:], 2*WaveRate)
	binary.LittleEndian.PutUint16(out[32:], 2) // bytes of a sample
	binary.LittleEndian.PutUint16(out[34:], 16)
	copy(out[36:], "data")
	binary.LittleEndian.PutUint32(out[40:], uint32(2*len(mix)))
	for i, v := range mix {
		binary.LittleEndian.PutUint16(out[header+2*i:], uint16(int16(math.Round(max(-1, min(1, gain*v))*math.MaxInt16))))
	}
	return out
}

// strike adds a stroke: a fundamental with two softer partials that fade faster,
// a few milliseconds of rise, and a fall to nothing at its end, so that no
// sample jumps.
func (t tone) strike(mix []float64) {
	from, n := int(t.at*WaveRate), int(t.long*WaveRate)
	const rise = WaveRate * 4 / 1000
	for i := range min(n, len(mix)-from) {
		at := float64(i) / WaveRate
		part := float64(i) / float64(n)
		shape := min(1, float64(i)/rise) * (1 + math.Cos(math.Pi*part)) / 2
		sum := 0.
		for _, p := range [...]struct{ times, loud, fade float64 }{{1, .62, 2}, {2.01, .2, 5}, {3.02, .1, 9}} {
			sum += p.loud * math.Exp(-p.fade*part) * math.Sin(2*math.Pi*t.hertz*p.times*at)
		}
		mix[from+i] += t.loud * shape * sum
	}
}
