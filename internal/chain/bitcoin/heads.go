package bitcoin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// summary is the part of getblockchaininfo that both Core and btcd give.
type summary struct {
	Chain   string `json:"chain"`
	Blocks  int64  `json:"blocks"`
	Headers int64  `json:"headers"`
	Best    string `json:"bestblockhash"`
	IBD     bool   `json:"initialblockdownload"`
}

// header is getblockheader with verbose true.
type header struct {
	Hash          string `json:"hash"`
	Height        int64  `json:"height"`
	Time          int64  `json:"time"`
	Previous      string `json:"previousblockhash"`
	ChainWork     string `json:"chainwork"`
	Txs           int64  `json:"nTx"`
	Confirmations int64  `json:"confirmations"` // -1: not on the node's chain
}

func (h header) block(seen int64) chain.Block {
	b := chain.Block{Height: h.Height, Hash: clip(h.Hash), Parent: clip(h.Previous), Time: h.Time * 1000, SeenAt: seen, Work: clip(h.ChainWork)}
	if h.Height == 0 && b.Parent == "" {
		b.Parent = strings.Repeat("0", 64)
	}
	if h.Txs > 0 {
		n := h.Txs
		b.Txs = &n
	}
	return b
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64]
	}
	return s
}

// network is the name of the chain as configured and shown: Core says main, test, ..., btcd says mainnet, testnet3, simnet.
func network(s string) string {
	switch s {
	case "mainnet":
		return "main"
	case "testnet3", "testnet":
		return "test"
	}
	return s
}

func label(id string) string {
	if n, ok := chain.Known(chain.Bitcoin, id); ok {
		return fmt.Sprintf("%s (%s)", id, n.Name)
	}
	return id
}

// identify checks the network and whether the node is still catching up.
func (c *Collector) identify(ctx context.Context) error {
	var s summary
	if err := c.call(ctx, &s, "getblockchaininfo"); err != nil {
		return err
	}
	if s.Chain == "" || len(s.Chain) > 32 || s.Blocks < 0 || s.Blocks > highest {
		return dial.Distrust("It calls its chain %q and its height %d: that cannot be, so it is not trusted.", clip(s.Chain), s.Blocks)
	}
	o := c.observation(chain.KindState)
	o.ChainID, o.Client, o.State = network(s.Chain), c.client(ctx), chain.Up
	switch {
	case c.cfg.ChainID != "" && o.ChainID != c.cfg.ChainID:
		o.State, o.Reason = chain.WrongChain, "It serves "+label(o.ChainID)+", not "+label(c.cfg.ChainID)+"."
		c.sink(o)
		return dial.ErrOther
	case s.IBD || s.Headers > s.Blocks+24:
		o.State, o.Reason = chain.Syncing, fmt.Sprintf("It is catching up: block %d of %d.", s.Blocks, max(s.Headers, s.Blocks))
	}
	c.ibd = o.State == chain.Syncing
	c.sink(o)
	return nil
}

func (c *Collector) client(ctx context.Context) string {
	var core struct {
		Subversion string `json:"subversion"`
	}
	if c.optional(ctx, &core, "getnetworkinfo") == nil && core.Subversion != "" {
		return clip(strings.Trim(core.Subversion, "/"))
	}
	var btcd struct {
		RPC struct {
			Version string `json:"versionstring"`
		} `json:"btcdjsonrpcapi"`
	}
	if c.optional(ctx, &btcd, "version") == nil {
		return "btcd rpc " + clip(btcd.RPC.Version)
	}
	return ""
}

// poll is one cheap call while nothing changes.
func (c *Collector) poll(ctx context.Context) error {
	var best string
	if err := c.call(ctx, &best, "getbestblockhash"); err != nil {
		return err
	}
	if len(best) != 64 {
		return dial.Distrust("It calls its newest block %q, which is no hash: the answer is not trusted.", clip(best))
	}
	if best == c.best {
		if tip, ok := c.tree.Get(best); ok { // the head told again is the proof that it is fresh
			c.tell(tip, nil, false)
		}
		if c.older++; c.older >= minersPause {
			c.older = 0
			return c.spare(c.askMiners(ctx, 1))
		}
		return nil
	}
	if err := c.head(ctx, best); err != nil {
		return err
	}
	c.best = best
	if err := c.afterHead(ctx, best); err != nil {
		return err
	}
	return c.spare(c.askMiners(ctx, minersAtNow))
}

// head fetches the new best header and the way from it to a known block, at most 256 headers, and tells them together.
func (c *Collector) head(ctx context.Context, best string) error {
	h, err := c.header(ctx, best)
	if err != nil {
		return err
	}
	seen := time.Now().UnixMilli()
	b := h.block(seen)
	_, started := c.tree.Tip()
	if started && c.tree.Has(b.Hash) {
		old, _ := c.tree.Tip()
		if at, ok := c.tree.At(b.Height); ok && at.Hash == b.Hash && b.Height < old.Height && c.left(ctx, old.Hash) {
			c.tree.Rollback(b)
			o := c.observation(chain.KindRollback)
			o.Head, o.How = &b, chain.Polled
			c.sink(o)
			c.log.Info("the node went back", "from", old.Height, "to", b.Height)
			return nil
		}
	}
	branch := []chain.Block{}
	low, steps := b, walkMost
	tip, _ := c.tree.Tip()
	if !started || b.Height > tip.Height+walkMost {
		steps = backfill
	}
	for len(branch) < steps && low.Height > 0 && !c.tree.Has(low.Parent) {
		p, err := c.header(ctx, low.Parent)
		if err != nil {
			if !answered(err) || dial.Limited(err) > 0 { // a branch cut short by a limit would be taken for a deep one
				return err
			}
			break
		}
		if p.Height != low.Height-1 {
			return dial.Distrust("It says that block %d follows block %d: that cannot be, so the answer is not trusted.", low.Height, p.Height)
		}
		low = p.block(0)
		if started {
			low.SeenAt = seen
		}
		branch = append(branch, low)
	}
	slices.Reverse(branch)
	for _, x := range branch {
		c.tree.Link(x)
	}
	cut := started && !c.tree.Has(low.Parent)
	ch := c.tree.Add(b)
	if ch.Kind == chain.Invalid {
		return dial.Distrust("It gives block %s another height than before: the answer is not trusted.", chain.Short(b.Hash))
	}
	if ch.Kind == chain.Reorg {
		c.log.Info("reorg", "depth", ch.Depth, "at_least", ch.AtLeast, "ancestor", ch.Ancestor.Height, "old", ch.Old.Height, "new", ch.New.Height)
	}
	c.tell(b, branch, cut)
	return nil
}

// left tells whether a block is no longer on the node's chain: then the node itself went back (invalidateblock).
func (c *Collector) left(ctx context.Context, hash string) bool {
	h, err := c.header(ctx, hash)
	if err != nil {
		return answered(err) && dial.Limited(err) == 0
	}
	var on string
	if err := c.call(ctx, &on, "getblockhash", h.Height); err != nil {
		return answered(err) && dial.Limited(err) == 0 // out of range: the chain is shorter
	}
	return on != hash
}

func (c *Collector) header(ctx context.Context, hash string) (header, error) {
	var h header
	err := c.call(ctx, &h, "getblockheader", hash, true)
	switch {
	case err != nil:
	case h.Hash != hash:
		err = dial.Distrust("It was asked for block %s and gave block %s: the answer is not trusted.", chain.Short(hash), chain.Short(clip(h.Hash)))
	case h.Height < 0 || h.Height > highest || h.Hash == h.Previous:
		err = dial.Distrust("It gives block %s the height %d: that cannot be, so the answer is not trusted.", chain.Short(hash), h.Height)
	case h.Time < 0 || h.Time > 1<<40:
		err = dial.Distrust("It gives block %d the time %d: that cannot be, so the answer is not trusted.", h.Height, h.Time)
	}
	return h, err
}

// highest is a height that no chain reaches: a block a second for 34,000 years.
const highest = 1 << 40

func (c *Collector) tell(b chain.Block, branch []chain.Block, cut bool) {
	o := c.observation(chain.KindHead)
	o.Head, o.Branch, o.Cut, o.How = &b, branch, cut, chain.Polled
	c.sink(o)
}
