package chain

import (
	"fmt"
	"testing"
)

// layers is a rollup for tests: L2 every 2 s, L1 every 12 s.
type layers struct {
	*slots
	l1, unsafe, safe, window int64
	settled                  bool
	batch                    *Batch
	stop                     bool // the sequencer
	nodes                    []string
}

func newLayers(t *testing.T, nodes ...string) *layers {
	if len(nodes) == 0 {
		nodes = []string{"a"}
	}
	s := &slots{t: t, m: NewMonitor(Config{Chain: "cl", Family: Rollup, ChainID: "10", Nodes: nodes}), last: map[string]Block{}, at: 1_000_000_000}
	return &layers{slots: s, nodes: nodes, l1: 5000, unsafe: 100000, safe: 99900, window: 3600, settled: true}
}

// run lets seconds pass, told every 12 s; the safe head follows every so many seconds, 0 = never.
func (l *layers) run(seconds, every int64) {
	for s := int64(12); s <= seconds; s += 12 {
		l.pass(12000)
		l.l1++
		if !l.stop {
			l.unsafe += 6
		}
		if every > 0 && s%every == 0 {
			l.safe = l.unsafe - 30
		}
		level := func(h int64) Level {
			return Level{Height: h, Hash: "0x1", Time: 1_000_000_000 + (h-100000)*2000, Origin: 5000 + (h-100000)/6}
		}
		o := Observation{Kind: KindHead, Head: &Block{Height: l.unsafe, Hash: fmt.Sprint("0xh", l.unsafe), Parent: "0xp", Time: s}}
		for _, n := range l.nodes {
			l.tell(n, o)
			l.tell(n, Observation{Kind: KindRollup, Rollup: &Layers{Unsafe: level(l.unsafe), Safe: level(l.safe), Finalized: level(l.safe - 400), Settled: l.settled, Window: l.window,
				HeadL1: Level{Height: l.l1, Time: l.at}, CurrentL1: Level{Height: l.l1 - 4, Time: l.at - 48000}, Batch: l.batch}})
		}
	}
}

// TestBatcher: a safe head that stands longer than its own rhythm explains, while the unsafe head goes on.
func TestBatcher(t *testing.T) {
	l := newLayers(t)
	const key = "cl/batcher"
	l.run(3600, 300)
	l.want(key, "", "")
	l.batch = &Batch{Height: l.l1 - 10, Time: l.at - 120000, Upto: l.l1}
	l.run(660, 0)
	l.want(key, "", "")
	l.batch.Upto = l.l1
	l.run(360, 0)
	l.want(key, "OPEN SEV3", "It moved at least every 5 min 0 s before.")
	l.want(key, "OPEN SEV3", "The newest batch on L1 is 1")
	l.batch = nil
	l.run(6*3600, 0)
	l.want(key, "OPEN SEV2", "% of the sequencer window are used")
	l.run(4*3600, 0)
	l.want(key, "OPEN SEV1", "unsafe blocks are thrown away")
	l.safe = l.unsafe - 30
	l.batch = &Batch{Height: l.l1, Time: l.at, Upto: l.l1}
	l.run(60, 60)
	l.want(key, "OVER", "The safe head advances again")
	l.want("cl/sequencer", "", "")
	l.want("cl/stall", "", "")
}

// TestBatchesArrive: when L1 shows batches and the safe head stands all the same, the sentence says so and does not blame the batcher.
func TestBatchesArrive(t *testing.T) {
	l := newLayers(t)
	l.run(3600, 300)
	for range 120 {
		l.batch = &Batch{Height: l.l1, Time: l.at, Upto: l.l1}
		l.run(12, 0)
	}
	l.want("cl/batcher", "OPEN SEV3", "batches come, but are not valid or not derived")
}

// TestBatchAge: the batcher stops while the safe head still has what to derive: L1 tells first.
func TestBatchAge(t *testing.T) {
	l := newLayers(t)
	l.run(3600, 300)
	l.batch = &Batch{Height: l.l1, Time: l.at, Upto: l.l1}
	for range 90 {
		l.batch.Upto = l.l1
		l.run(12, 12)
	}
	l.want("cl/batcher", "OPEN SEV3", "the batcher has stopped")
}

// TestSequencer: an unsafe head that stands is the sequencer, and not also a stall or the batcher.
func TestSequencer(t *testing.T) {
	l := newLayers(t)
	l.run(600, 60)
	l.stop = true
	l.run(24, 0)
	l.want("cl/sequencer", "", "")
	l.run(36, 0)
	l.want("cl/sequencer", "OPEN SEV2", "a block is due every 2.0 s")
	l.run(700, 0)
	l.want("cl/sequencer", "OPEN SEV1", "stands at")
	l.run(7200, 0)
	l.want("cl/batcher", "", "")
	l.want("cl/stall", "", "")
	l.stop = false
	l.run(12, 0)
	l.want("cl/sequencer", "OVER", "advances again")
}

// TestRestartHeld: after a restart a node does not know the finalized L1 block, and its levels begin anew: nothing is said of it.
func TestRestartHeld(t *testing.T) {
	l := newLayers(t)
	l.run(3600, 300)
	l.settled = false
	safe, unsafe := l.safe, l.unsafe
	l.safe, l.unsafe = 90000, 90000
	l.run(3600, 0)
	l.want("cl/batcher", "", "")
	l.want("cl/sequencer", "", "")
	l.settled, l.safe, l.unsafe = true, safe+2000, unsafe+2000
	l.run(60, 12)
	l.want("cl/batcher", "", "")
	l.want("cl/sequencer", "", "")
}

func TestDerivation(t *testing.T) {
	l := newLayers(t)
	tell := func(behind int64) {
		l.tell("a", Observation{Kind: KindRollup, Rollup: &Layers{Settled: true, HeadL1: Level{Height: 9000}, CurrentL1: Level{Height: 9000 - behind}, Safe: Level{Height: 5, Origin: 8999}, Unsafe: Level{Height: 9}}})
		l.pass(1000)
	}
	tell(100)
	l.want("cl/derivation/a", "", "")
	for range 7 {
		l.pass(20000)
		tell(100)
	}
	l.want("cl/derivation/a", "OPEN SEV4", "100 behind the L1 head 9000")
	tell(5)
	l.want("cl/derivation/a", "OVER", "")
}

// TestBatcherOfOne: one node whose safe head stands alone is its own matter; one that claims an advancing safe head while the others stand
// does not hide it.
func TestBatcherOfOne(t *testing.T) {
	s := &slots{t: t, m: NewMonitor(Config{Chain: "cl", Family: Rollup, ChainID: "10", Nodes: []string{"a", "b", "c"}}), last: map[string]Block{}, at: 1_000_000_000}
	const key = "cl/batcher"
	safe := map[string]int64{"a": 900, "b": 900, "c": 900}
	unsafe, l1 := int64(1000), int64(5000)
	run := func(minutes int64, moving ...string) {
		for range minutes * 5 {
			s.pass(12000)
			unsafe, l1 = unsafe+6, l1+1
			for _, n := range moving {
				safe[n] = unsafe - 30
			}
			for _, n := range []string{"a", "b", "c"} {
				s.tell(n, Observation{Kind: KindHead, Head: &Block{Height: unsafe, Hash: fmt.Sprint("0x", unsafe), Parent: fmt.Sprint("0x", unsafe-1), Time: s.at}})
				s.tell(n, Observation{Kind: KindRollup, Rollup: &Layers{Unsafe: Level{Height: unsafe}, Safe: Level{Height: safe[n], Origin: l1 - 10}, Settled: true, Window: 3600, HeadL1: Level{Height: l1}, CurrentL1: Level{Height: l1 - 4}}})
			}
		}
	}
	run(20, "a", "b", "c")
	run(11, "a", "b")
	s.want(key, "OPEN SEV4", "So say 1 of 3 nodes.")
	run(2, "a", "b", "c")
	s.want(key, "OVER", "advances again")
	run(12, "c")
	s.want(key, "OPEN SEV3", "So say 2 of 3 nodes.")
}
