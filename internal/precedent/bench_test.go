package precedent_test

import (
	"math"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/precedent"
	"github.com/tocsin-ops/tocsin/internal/precedent/precedenttest"
)

// What a room, a queue and a training cost with as many incidents as are kept.
func BenchmarkFiveThousand(b *testing.B) {
	list := precedenttest.Years(1, 5000)
	cases := precedenttest.Cases(list)
	x := precedent.NewIndex(cases)
	open := list[2500]
	open.Events = open.Events[:5]
	st, _ := open.State(math.MaxInt64)
	c := precedent.Of(st)
	b.Run("case", func(b *testing.B) {
		for b.Loop() {
			precedent.Of(st)
		}
	})
	b.Run("similar", func(b *testing.B) {
		for b.Loop() {
			x.Similar(c, 3)
		}
	})
	b.Run("recovery", func(b *testing.B) {
		for b.Loop() {
			x.Recovery(c, 60_000, c.DeclaredAt+60_000)
		}
	})
	b.Run("put", func(b *testing.B) {
		for b.Loop() {
			x.Put(c)
		}
	})
	b.Run("train", func(b *testing.B) {
		for b.Loop() {
			precedent.Train(cases, precedent.TargetCategory)
		}
	})
}
