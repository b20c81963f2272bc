package signal_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/signal"
)

// deliver plays observations in this order, one second apart, and returns the
// end state and what was logged.
func deliver(obs []signal.Observation) (signal.State, []signal.Event) {
	s := signal.State{Source: "am"}
	var log []signal.Event
	for i, o := range obs {
		o.At = 1_000_000 + int64(i)*1000
		for _, b := range signal.Decide(s, o) {
			e := signal.Event{Source: "am", Offset: int64(len(log)), At: o.At, Drill: o.Drill, Body: b}
			log = append(log, e)
			s = signal.Apply(s, e)
		}
		s = signal.Heard(s, o)
	}
	return s, log
}

func openKeys(s signal.State) []string {
	var keys []string
	for sig := range s.All() {
		if sig.IsOpen() {
			keys = append(keys, sig.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

// story draws, for a few keys, episodes that the sender lived through, and what
// it sent of them.
func story(t *rapid.T) []signal.Observation {
	var obs []signal.Observation
	for _, key := range []string{"a", "b", "c"} {
		at := int64(1000)
		for range rapid.IntRange(0, 4).Draw(t, "episodes") {
			start := at + rapid.Int64Range(1, 50).Draw(t, "pause")
			end := start + rapid.Int64Range(0, 50).Draw(t, "length")
			sev := rapid.SampledFrom([]string{"SEV1", "SEV2", ""}).Draw(t, "sev")
			if rapid.IntRange(0, 5).Draw(t, "sent") > 0 {
				obs = append(obs, signal.Observation{Key: key, Firing: true, StartsAt: start, Severity: sev, Title: key})
			}
			if rapid.IntRange(0, 3).Draw(t, "over") > 0 {
				obs = append(obs, signal.Observation{Key: key, StartsAt: start, EndsAt: end})
			}
			at = end
		}
	}
	return obs
}

// Any order and any duplication of a delivery ends with the same keys open.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		obs := story(t)
		if len(obs) == 0 {
			return
		}
		want, _ := deliver(obs)
		shuffled := rapid.Permutation(obs).Draw(t, "order")
		for range rapid.IntRange(0, 8).Draw(t, "duplicates") {
			o := rapid.SampledFrom(obs).Draw(t, "again")
			shuffled = slices.Insert(slices.Clone(shuffled), rapid.IntRange(0, len(shuffled)).Draw(t, "where"), o)
		}
		got, _ := deliver(shuffled)
		if !slices.Equal(openKeys(got), openKeys(want)) {
			t.Fatalf("open %v, in order of sending %v", openKeys(got), openKeys(want))
		}
	})
}

// Whatever is sent: a key is opened only when it is not open, cleared only when
// it is, every episode has its own id, a second delivery of everything logs
// nothing but what the sender's newer starts bring, and the fold of the log is
// the state.
func TestLogIsWellFormed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		obs := rapid.SliceOfN(rapid.Custom(anyObservation), 0, 60).Draw(t, "obs")
		s, log := deliver(obs)
		open := map[string]string{}
		seen := map[string]bool{}
		for _, e := range log {
			switch b := e.Body.(type) {
			case signal.Opened:
				k := key(b.Key, e.Drill)
				if open[k] != "" || seen[b.Signal] {
					t.Fatalf("%s opened twice", k)
				}
				open[k], seen[b.Signal] = b.Signal, true
			case signal.Cleared:
				k := key(b.Key, e.Drill)
				if open[k] != b.Signal {
					t.Fatalf("%s cleared but not open", k)
				}
				delete(open, k)
			}
		}
		if s.Len() != len(open) || len(openKeys(s)) != len(open) {
			t.Fatalf("%d open in the log, Len %d", len(open), s.Len())
		}
		again := signal.State{Source: "am"}
		for _, e := range log {
			typ, ver, data, err := signal.Encode(e.Body)
			if err != nil {
				t.Fatal(err)
			}
			if e.Body, err = signal.Decode(typ, ver, data); err != nil {
				t.Fatal(err)
			}
			again = signal.Apply(again, e)
		}
		if !reflect.DeepEqual(sorted(again), sorted(s)) {
			t.Fatal("the log read back gives another state")
		}
	})
}

// Apply never changes a State that somebody holds.
func TestApplyKeepsOldStates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		obs := rapid.SliceOfN(rapid.Custom(anyObservation), 1, 40).Draw(t, "obs")
		_, log := deliver(obs)
		s := signal.State{Source: "am"}
		var states []signal.State
		var want [][]signal.Signal
		for _, e := range log {
			s = signal.Apply(s, e)
			states, want = append(states, s), append(want, sorted(s))
		}
		for i := range states {
			if !reflect.DeepEqual(sorted(states[i]), want[i]) {
				t.Fatalf("state %d changed afterwards", i)
			}
		}
	})
}

func key(k string, drill bool) string {
	if drill {
		return "drill " + k
	}
	return k
}

func sorted(s signal.State) []signal.Signal {
	return slices.SortedFunc(s.All(), func(a, b signal.Signal) int { return strings.Compare(a.Identity(), b.Identity()) })
}

func anyObservation(t *rapid.T) signal.Observation {
	return signal.Observation{
		Key:      rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "key"),
		Firing:   rapid.Bool().Draw(t, "firing"),
		Ack:      rapid.IntRange(0, 5).Draw(t, "ack") == 0,
		Drill:    rapid.IntRange(0, 3).Draw(t, "drill") == 0,
		StartsAt: rapid.SampledFrom([]int64{0, 0, 10, 20, 1_005_000, 1 << 60}).Draw(t, "start"),
		EndsAt:   rapid.SampledFrom([]int64{0, 0, 15, 25, 1_006_000}).Draw(t, "end"),
		Severity: rapid.SampledFrom([]string{"SEV1", "SEV5", "nonsense"}).Draw(t, "sev"),
		Title:    rapid.StringN(0, 5, 20).Draw(t, "title"),
		Labels:   map[string]string{"l": rapid.StringN(0, 3, 9).Draw(t, "label")},
	}
}

func TestBoundedIsIdempotentAndBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := signal.Observation{
			Title: rapid.StringN(0, 700, -1).Draw(t, "title"), Reason: strings.Repeat(rapid.String().Draw(t, "reason"), 300),
			Chain: string(rapid.SliceOfN(rapid.Byte(), 0, 900).Draw(t, "chain")), Severity: rapid.String().Draw(t, "sev"),
			Labels:   rapid.MapOfN(rapid.String(), rapid.String(), 0, 100).Draw(t, "labels"),
			Links:    []signal.Link{{URL: rapid.SampledFrom([]string{"javascript:x", "https://a\nb", "https://ok"}).Draw(t, "url")}},
			Evidence: rapid.SampledFrom([]json.RawMessage{nil, json.RawMessage("{"), json.RawMessage("{}")}).Draw(t, "evidence"),
		}
		b := o.Bounded()
		if !reflect.DeepEqual(b, b.Bounded()) {
			t.Fatalf("not idempotent: %+v, %+v", b, b.Bounded())
		}
		if n := len([]rune(b.Title)); n == 0 || n > signal.MaxTitle || strings.ContainsAny(b.Title, "\n\r\t\x00") {
			t.Fatalf("title %q", b.Title)
		}
		if len([]rune(b.Reason)) > signal.MaxReason || len([]rune(b.Chain)) > signal.MaxWord || len(b.Labels) > signal.MaxLabels+1 || signal.Rank(b.Severity) == 0 {
			t.Fatalf("out of bounds: %+v", b)
		}
		for _, l := range b.Links {
			if l.URL != "https://ok" {
				t.Fatalf("link %q", l.URL)
			}
		}
		if _, _, _, err := signal.Encode(signal.Opened{Evidence: b.Evidence}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestDroppedLabelsAreSaid(t *testing.T) {
	o := signal.Observation{Labels: map[string]string{}}
	for i := range 10_000 {
		o.Labels["l"+string(rune('0'+i/1000))+string(rune('0'+i/100%10))+string(rune('0'+i/10%10))+string(rune('0'+i%10))] = "v"
	}
	b := o.Bounded()
	if got := b.Labels[signal.DroppedLabel]; got != "9936 labels dropped, 64 kept" || b.Labels["l0063"] != "v" || b.Labels["l0064"] != "" {
		t.Fatalf("%q, %d labels", got, len(b.Labels))
	}
}

// The largest opening fits the log.
func TestLargestOpening(t *testing.T) {
	o := signal.Observation{Key: strings.Repeat("k", signal.MaxKey), Firing: true, Labels: map[string]string{}}
	long := strings.Repeat("\"<😀", 50_000)
	o.Kind, o.Subject, o.Chain, o.Component, o.Group, o.Title, o.Reason = long, long, long, long, long, long, long
	o.Evidence = json.RawMessage(`"` + strings.Repeat("<", signal.MaxEvidence-2) + `"`)
	for i := range 100 {
		o.Labels[long[:5*i]] = long
		o.Links = append(o.Links, signal.Link{Text: long, URL: "https://a/" + strings.Repeat("\"", signal.MaxURL-10)})
	}
	_, _, data, err := signal.Encode(signal.Decide(signal.State{}, o)[0])
	if err != nil || len(data) > 200<<10 || len(data) < 100<<10 {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(signal.TypeOpened, 1, []byte(`{"signal":"x","key":"k","severity":"SEV1"}`))
	f.Add(signal.TypeCleared, 1, []byte(`{"reach":"x"}`))
	f.Add("other", 7, []byte(`null`))
	f.Fuzz(func(t *testing.T, typ string, ver int, data []byte) {
		b, err := signal.Decode(typ, ver, data)
		if err != nil {
			return
		}
		s := signal.Apply(signal.State{}, signal.Event{At: 5, Body: b})
		signal.Judge(s, signal.Observation{Key: "k", Firing: true})
	})
}

func TestForeignEvents(t *testing.T) {
	for _, tt := range []struct {
		typ  string
		ver  int
		data []byte
		want signal.Body
	}{
		{signal.TypeOpened, 1, nil, signal.Blank{Name: signal.TypeOpened}},
		{signal.TypeOpened, 2, []byte(`{}`), signal.Unknown{Name: signal.TypeOpened, Data: []byte(`{}`)}},
		{"signal.merged", 1, []byte(`{}`), signal.Unknown{Name: "signal.merged", Data: []byte(`{}`)}},
	} {
		got, err := signal.Decode(tt.typ, tt.ver, tt.data)
		if err != nil || !reflect.DeepEqual(got, tt.want) || got.Type() != tt.typ {
			t.Errorf("%s: %#v, %v", tt.typ, got, err)
		}
	}
	if _, err := signal.Decode(signal.TypeOpened, 1, []byte(`[]`)); err == nil {
		t.Error("a list is not an opening")
	}
}

// TestWhatIsHeldSaysWhoShowsIt: as long as a finding waits for a second voice, one more node that shows it is news, and who is known already is none.
func TestWhatIsHeldSaysWhoShowsIt(t *testing.T) {
	say := func(verification, reason string, seen ...string) signal.Observation {
		return signal.Observation{Key: "k", Firing: true, Severity: "SEV2", Title: "t", Reason: reason, StartsAt: 1000, Finding: signal.Finding{Verification: verification, Seen: seen}}
	}
	s, log := deliver([]signal.Observation{say("one_node", "a", "a"), say("one_node", "a again", "a"), say("one_node", "a and b", "a", "b"), say("one_node", "a and b again", "a", "b"),
		say("confirmed", "all", "a", "b", "c"), say("confirmed", "and d", "a", "b", "c", "d")})
	var got []string
	for _, e := range log {
		if u, ok := e.Body.(signal.Updated); ok {
			got = append(got, u.Reason)
		}
	}
	if !slices.Equal(got, []string{"a and b", "all"}) {
		t.Errorf("%q", got)
	}
	for sig := range s.All() {
		if sig.Reason != "all" || len(sig.Seen) != 3 {
			t.Errorf("%+v", sig)
		}
	}
}
