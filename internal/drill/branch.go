package drill

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// branch makes the invented headers of one line of blocks: a block every slot ms, the first own block at height first and time start.
type branch struct {
	scenario string
	name     string
	first    int64
	start    int64 // ms after the scenario's start
	slot     int64
	gasLimit int64
	below    *branch // what the branch stands on below first; nil = itself, as far down as is asked for
}

// hash is visibly made: anybody can derive it from the scenario's key, the branch's name and the height.
func (b branch) hash(height int64) string {
	if b.below != nil && height < b.first {
		return b.below.hash(height)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "drill/%s/%s/%d", b.scenario, b.name, height))
	return "0x" + hex.EncodeToString(sum[:])
}

func (b branch) time(height int64) int64 {
	if b.below != nil && height < b.first {
		return b.below.time(height)
	}
	return b.start + (height-b.first)*b.slot
}

// at is the newest height at a time.
func (b branch) at(t int64) int64 {
	n := (t - b.start) / b.slot
	if (t-b.start)%b.slot < 0 {
		n--
	}
	return b.first + n
}

// block is the header at a height, seen delay ms after its time. Gas and fee are invented too: steady, with a little ripple.
func (b branch) block(height, delay int64) chain.Block {
	hash := b.hash(height)
	ripple := int64(hash[2]) * int64(hash[3]) % 97 // 0..96
	fee := 20 + float64(ripple)/10
	return chain.Block{Height: height, Hash: hash, Parent: b.hash(height - 1), Time: b.time(height), SeenAt: b.time(height) + delay,
		GasLimit: b.gasLimit, GasUsed: b.gasLimit * (350 + ripple*3) / 1000, BaseFee: &fee}
}

// blocks lists headers, ascending, both ends included.
func (b branch) blocks(from, to, delay int64) []chain.Block {
	var out []chain.Block
	for h := from; h <= to; h++ {
		out = append(out, b.block(h, delay))
	}
	return out
}

// head is the observation that a node has a block as its head. below more headers come with it.
func (b branch) head(c Chain, node string, height, delay, below int64) Step {
	h := b.block(height, delay)
	at := h.SeenAt
	return Step{At: at, Observation: &chain.Observation{Kind: chain.KindHead, Chain: c.ID, Node: node, At: at, Drill: true,
		Head: &h, Branch: b.blocks(height-below, height-1, delay), How: chain.Subscribed}}
}

// heads are the observations of a node that follows the branch from a time until another (excluded). Steps are ascending.
func (b branch) heads(c Chain, node string, delay, from, to int64) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		for h := b.at(from-delay) + 1; b.time(h)+delay < to; h++ {
			if b.time(h)+delay >= from && !yield(b.head(c, node, h, delay, 0)) {
				return
			}
		}
	}
}

// ticks let time pass, every ms from a time until another (excluded).
func ticks(every, from, to int64) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		for t := from; t < to; t += every {
			if !yield(Step{At: t, Tick: true}) {
				return
			}
		}
	}
}

// merge joins ascending sequences into one; what happens at one time comes in the order of the arguments.
func merge(parts ...iter.Seq[Step]) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		type source struct {
			next Step
			pull func() (Step, bool)
			rank int
		}
		var live []*source
		for i, p := range parts {
			pull, stop := iter.Pull(p)
			defer stop()
			if s, ok := pull(); ok {
				live = append(live, &source{s, pull, i})
			}
		}
		for len(live) > 0 {
			first := slices.MinFunc(live, func(a, b *source) int {
				return cmp.Or(cmp.Compare(a.next.At, b.next.At), cmp.Compare(a.rank, b.rank))
			})
			if !yield(first.next) {
				return
			}
			var ok bool
			if first.next, ok = first.pull(); !ok {
				live = slices.DeleteFunc(live, func(s *source) bool { return s == first })
			}
		}
	}
}
