package watch

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestPriceOfTheLiving: when the node of one of two operators dies, the other's answers are the price after five minutes, and not the last one
// that both told for as long as that is fresh.
func TestPriceOfTheLiving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPrices()
		p.Feed("f", 24*time.Hour.Milliseconds())
		want := func(why string, value float64) {
			t.Helper()
			if v, ok := p.Price("f"); v != value || !ok {
				t.Errorf("%s: %v %t, want %v", why, v, ok, value)
			}
		}
		first := time.Now().UnixMilli()
		p.Answer("f", "a", 1, first)
		p.Answer("f", "b", 1, first)
		want("both tell it", 1)

		time.Sleep(time.Minute) // b is dead from here on
		second := time.Now().UnixMilli()
		p.Answer("f", "a", 2, second)
		want("b may still tell it", 1)
		for range 3 {
			time.Sleep(time.Minute)
			p.Answer("f", "a", 2, second)
		}
		want("b is silent for four minutes", 1)
		time.Sleep(61 * time.Second)
		p.Answer("f", "a", 2, second)
		want("b is silent for more than five", 2)
		third := time.Now().UnixMilli()
		p.Answer("f", "a", 3, third)
		want("a goes on alone", 3)

		p.Answer("f", "b", 9, third)
		want("b is back and tells another: what both told", 1)
		p.Answer("f", "b", 3, third)
		want("both tell it again", 3)
		time.Sleep(20 * time.Hour)
		want("nobody tells anything: what both told is fresh", 3)
		time.Sleep(28*time.Hour + time.Millisecond)
		if v, ok := p.Price("f"); ok {
			t.Errorf("after two heartbeats it is %v", v)
		}
	})
}

// TestPriceOneRoundApart: nodes of which one is always some rounds behind agree on a round that both told; one that tells again what it told
// before is there, one that tells rounds of long ago is not.
func TestPriceOneRoundApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPrices()
		p.Feed("f", time.Hour.Milliseconds())
		at := time.Now().UnixMilli()
		for n := range 30 {
			time.Sleep(time.Minute)
			p.Answer("f", "a", float64(1+n), at+int64(n))
			behind := n - (roundsKept - 1)
			if behind < 0 {
				continue
			}
			p.Answer("f", "b", float64(1+behind), at+int64(behind))
			if v, ok := p.Price("f"); v != float64(1+behind) || !ok {
				t.Fatalf("round %d and %d: %v %t", n, behind, v, ok)
			}
		}
		b := p.feeds["f"].told["b"]
		if len(b.rounds) != roundsKept {
			t.Errorf("%d rounds are kept", len(b.rounds))
		}
		for range 6 { // the newest that b told is the 27th: it hangs there, but it tells
			time.Sleep(time.Minute)
			p.Answer("f", "a", 30, at+29)
			p.Answer("f", "b", 26, at+25)
		}
		if v, _ := p.Price("f"); v != 27 {
			t.Errorf("one that lags has no say: %v", v)
		}
		for range 6 {
			time.Sleep(time.Minute)
			p.Answer("f", "a", 30, at+29)
			p.Answer("f", "b", 1, at)
		}
		if v, _ := p.Price("f"); v != 30 {
			t.Errorf("one that tells of long ago has a say: %v", v)
		}
	})
}
