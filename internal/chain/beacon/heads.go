package beacon

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

func (c *Collector) header(ctx context.Context, id string) (chain.Block, error) {
	var h header
	if err := c.get(ctx, "/eth/v1/beacon/headers/"+id, &h); err != nil {
		return chain.Block{}, err
	}
	b, err := h.read()
	if err != nil {
		return b, err
	}
	if id != "head" && b.Hash != id {
		return b, dial.Distrust("It was asked for block %s and gave block %s: the answer is not trusted.", chain.Short(id), chain.Short(b.Hash))
	}
	b.Time, b.SeenAt = c.slotTime(b.Height), time.Now().UnixMilli()
	return b, nil
}

func (c *Collector) slotTime(slot int64) int64 { return c.genesis*1000 + slot*c.spec.SlotMS }

// clockSlot is the slot of now by our clock: what every answer is held against.
func (c *Collector) clockSlot() int64 {
	return (time.Now().UnixMilli() - c.genesis*1000) / c.spec.SlotMS
}

// look asks for a block (the head, or a root an event told), walks its parents down to a known block, and tells it with the empty slots
// between. A slot is empty when the canonical chain passes it by, which the parents show; a 404 for a slot is never taken for it, since the
// node may not have the block yet, or have another branch.
func (c *Collector) look(ctx context.Context, id string) error {
	if id != "head" && c.tree.Has(id) {
		return nil
	}
	b, err := c.header(ctx, id)
	if err != nil {
		if id != "head" && missing(err) {
			return nil // a head that an event told and that is gone already
		}
		return err
	}
	now := c.clockSlot()
	if b.Height > now+1 {
		return dial.Distrust("Its head is slot %d, but by the clock it is slot %d: a block of the future is not trusted (its clock or ours may be wrong).", b.Height, now)
	}
	c.freshness(b.Height, now)
	if tip, ok := c.tree.Tip(); ok && tip.Hash == b.Hash {
		if time.Since(c.said) >= min(time.Second, c.cfg.Poll) {
			c.tell(tip, nil, false)
		}
		return nil
	}
	walk := []chain.Block{b} // from b downwards
	_, started := c.tree.Tip()
	steps := walkMost
	if tip, _ := c.tree.Tip(); !started || b.Height > tip.Height+walkMost {
		steps = backfill
	}
	for low := b; len(walk) <= steps && low.Height > 0 && !c.knows(low.Parent); {
		p, err := c.header(ctx, low.Parent)
		if missing(err) {
			break // the node has no history: it can be watched all the same
		}
		if err != nil {
			return err
		}
		if p.Height >= low.Height {
			return dial.Distrust("It says that slot %d follows slot %d: that cannot be, so the answer is not trusted.", low.Height, p.Height)
		}
		if p.SeenAt = 0; started {
			p.SeenAt = b.SeenAt
		}
		walk, low = append(walk, p), p
	}
	slices.Reverse(walk)
	cut := started && !c.knows(walk[0].Parent)
	var branch []chain.Block
	for i, x := range walk {
		parent, ok := c.slots[x.Parent]
		if i > 0 {
			parent, ok = walk[i-1].Height, true
		}
		if !ok {
			parent = x.Height - 1
		}
		hung, empty := chain.FillSlots(x, parent, fillMost)
		branch = append(branch, empty...)
		c.slots[x.Hash] = x.Height
		if i < len(walk)-1 {
			branch = append(branch, hung)
		} else {
			b = hung
		}
	}
	c.forget(b.Height)
	for _, x := range branch {
		c.tree.Link(x)
	}
	switch ch := c.tree.Add(b); ch.Kind {
	case chain.Invalid:
		return dial.Distrust("It gives block %s another slot than before: the answer is not trusted.", chain.Short(b.Hash))
	case chain.Reorg:
		c.log.Info("reorg", "depth", ch.Depth, "at_least", ch.AtLeast, "ancestor", ch.Ancestor.Height, "old", ch.Old.Height, "new", ch.New.Height)
	}
	c.tell(b, branch, cut)
	return nil
}

func (c *Collector) knows(root string) bool { _, ok := c.slots[root]; return ok }

// forget drops roots as old as the tree's oldest. A node that shows more branches than any chain has is begun with anew.
func (c *Collector) forget(tip int64) {
	if len(c.slots) < 2*keep {
		return
	}
	for r, s := range c.slots {
		if s < tip-keep {
			delete(c.slots, r)
		}
	}
	if len(c.slots) > 8*keep {
		c.slots, c.tree = map[string]int64{}, chain.NewTree(keep)
	}
}

// freshness tells, as the reason of a node that is up, that its head is old by the clock: what it says of now is old too. It stays up, so that a
// chain on which nothing is made is seen by all of its nodes.
func (c *Collector) freshness(head, now int64) {
	if c.state == chain.Syncing {
		return
	}
	reason := ""
	if behind := now - head; behind >= staleOf {
		reason = fmt.Sprintf("Its head is slot %d, %d slots (%s) behind the clock, though it calls itself in sync: its answers are old.",
			head, behind, time.Duration(behind*c.spec.SlotMS)*time.Millisecond)
	}
	if c.state != chain.Up || (reason == "") != (c.reason == "") {
		c.tellState(chain.Up, reason)
	}
}

func (c *Collector) tell(b chain.Block, branch []chain.Block, cut bool) {
	c.said = time.Now()
	o := c.observation(chain.KindHead)
	o.Head, o.Branch, o.Cut, o.How = &b, branch, cut, chain.Polled
	c.sink(o)
}
