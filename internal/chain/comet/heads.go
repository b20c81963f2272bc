package comet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// poll is one call while nothing changes. Every answer is checked for the network, since an address may be moved.
func (c *Collector) poll(ctx context.Context) error {
	var s status
	if err := c.call(ctx, &s, "status"); err != nil {
		return err
	}
	if s.Node.Network == "" {
		return fmt.Errorf("call status: %w", dial.ErrNotJSON)
	}
	if err := s.sane(); err != nil {
		return err
	}
	o := c.observation(chain.KindState)
	o.ChainID, o.Client, o.State = clip(s.Node.Network), printable("CometBFT "+s.Node.Version), chain.Up
	if c.cfg.ChainID != "" && o.ChainID != c.cfg.ChainID {
		o.State, o.Reason = chain.WrongChain, "It serves chain "+printable(o.ChainID)+", not "+c.cfg.ChainID+"."
		c.sink(o)
		return dial.ErrOther
	}
	if s.Sync.CatchingUp {
		o.State, o.Reason = chain.Syncing, fmt.Sprintf("It is catching up: block %d, of %s.", s.Sync.Height, s.Sync.Time.UTC().Format("2006-01-02 15:04:05"))
	}
	c.sink(o)
	if s.Sync.Height <= 0 || s.Sync.Hash == "" {
		return nil // a chain before its first block
	}
	if tip, ok := c.tree.Tip(); ok && tip.Hash == s.Sync.Hash {
		c.tell(tip, nil, false) // the head told again is the proof that it is fresh
		if c.same++; c.same >= quiet && c.same%quiet == 0 {
			return c.askRound(ctx)
		}
		return nil
	}
	c.same = 0
	if err := c.head(ctx, int64(s.Sync.Height), clip(s.Sync.Hash)); err != nil {
		return err
	}
	if s.Sync.CatchingUp {
		return nil // old commits say nothing of today's validators
	}
	return c.askCommits(ctx, int64(s.Sync.Height)-1)
}

// head fetches the headers from the last known one up to the new head, at most 256, and tells them together.
func (c *Collector) head(ctx context.Context, height int64, hash string) error {
	seen := time.Now().UnixMilli()
	tip, started := c.tree.Tip()
	from := max(height-backfill, 1)
	if started {
		from = max(min(tip.Height+1, height), height-walkMost, 1)
	}
	list, err := c.metas(ctx, from, height)
	if err != nil && !errors.Is(err, errAbsent) {
		return err
	}
	if started && len(list) > 0 && list[0].Height == tip.Height+1 && list[0].Parent != tip.Hash { // that cannot be: find where it began
		more, err := c.metas(ctx, max(tip.Height-backfill, 1), tip.Height)
		if err == nil {
			list = append(more, list...)
		}
	}
	if len(list) == 0 || list[len(list)-1].Hash != hash { // the node does not give headers: what it said must do
		b := chain.Block{Height: height, Hash: hash, SeenAt: seen}
		c.tree.Add(b)
		c.tell(b, nil, false)
		return nil
	}
	b := list[len(list)-1]
	b.SeenAt = seen
	branch := list[:len(list)-1]
	for _, x := range branch {
		c.tree.Link(x)
	}
	c.tree.Add(b)
	c.tell(b, branch, started && from > tip.Height+1)
	return nil
}

func (c *Collector) tell(b chain.Block, branch []chain.Block, cut bool) {
	o := c.observation(chain.KindHead)
	o.Head, o.Branch, o.Cut, o.How = &b, branch, cut, chain.Polled
	c.sink(o)
}

// metas fetches headers, ascending; a node gives at most 20 in one answer.
func (c *Collector) metas(ctx context.Context, from, to int64) ([]chain.Block, error) {
	var out []chain.Block
	for low := from; low <= to; low += metasMost {
		var a struct {
			Metas []meta `json:"block_metas"`
		}
		if err := c.optional(ctx, "blockchain", &a, "blockchain", quoted(low), quoted(min(low+metasMost-1, to))); err != nil {
			return out, err
		}
		slices.SortFunc(a.Metas, func(x, y meta) int { return int(x.Header.Height - y.Header.Height) })
		for _, m := range a.Metas {
			b, err := m.block(0)
			if err != nil {
				return out, err
			}
			if h := b.Height; h < low || h > to {
				return out, dial.Distrust("It was asked for block %d and the next ones and gave block %d: the answer is not trusted.", low, h)
			}
			out = append(out, b)
		}
	}
	return out, nil
}

// askCommits tells who signed the blocks up to a height, as the next block records it. After a pause at most 128 are fetched; what is older is
// not counted.
func (c *Collector) askCommits(ctx context.Context, to int64) error {
	from := c.judged + 1
	if c.judged == 0 {
		from = to - 9 // so that a validator that is away is seen at once
	}
	for h := max(from, to-commits+1, 1); h <= to; h++ {
		var a commit
		if err := c.optional(ctx, "commit", &a, "commit", quoted(h)); err != nil {
			return ignore(err)
		}
		x := a.Signed.Commit
		if int64(x.Height) != h || !a.Canonical {
			return nil // it comes with the next block
		}
		out := chain.CometCommit{Height: h, Round: int64(x.Round), Validators: len(x.Signatures)}
		present := make(map[string]bool, len(x.Signatures))
		for _, s := range x.Signatures {
			if s.Flag == 1 {
				out.Absent++
			} else {
				present[address(s.Address)] = true
			}
		}
		missed := c.missing(present)
		if c.set == nil || out.Absent > 0 && len(missed) != out.Absent { // the set has changed
			if err := c.askValidators(ctx, h); err != nil {
				return err
			}
			missed = c.missing(present)
		}
		if len(missed) == out.Absent {
			out.Missed = missed
		}
		if e := a.Signed.Header.Evidence; e != "" && e != emptyHash {
			var b block
			if err := c.optional(ctx, "block", &b, "block", quoted(h)); err != nil && !errors.Is(err, errAbsent) {
				return err
			}
			out.Evidence = b.evidence()
		}
		c.judged = h
		c.said(chain.CometSaid{Commit: &out})
	}
	return nil
}

// missing are the members of the set who are not present, in its order.
func (c *Collector) missing(present map[string]bool) []string {
	var out []string
	for _, a := range c.order {
		if !present[a] {
			out = append(out, a)
		}
	}
	return out
}

func ignore(err error) error {
	if errors.Is(err, errAbsent) {
		return nil
	}
	return err
}
