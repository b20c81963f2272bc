package solana

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// slotMost is more than any cluster has; a base58 hash of 32 bytes has at most 44 characters.
const (
	slotMost = 1 << 48
	hashMost = 44
)

func base58(s string) bool {
	return s != "" && len(s) <= hashMost && strings.Trim(s, "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz") == ""
}

// at is the configuration object that names a commitment.
func at(commitment string) map[string]any { return map[string]any{"commitment": commitment} }

// identify checks at every connect that the node is of the configured cluster.
func (c *Collector) identify(ctx context.Context) error {
	var genesis string
	if err := c.call(ctx, &genesis, "getGenesisHash"); err != nil {
		return err
	}
	if !base58(genesis) {
		return dial.Distrust("It calls its genesis block %q, which is no hash: it is not trusted.", clip(genesis))
	}
	o := c.observation(chain.KindState)
	o.ChainID, o.State = cluster(genesis), chain.Up
	var v struct {
		Core string `json:"solana-core"`
	}
	if err := c.optional(ctx, &v, "getVersion"); err == nil && v.Core != "" {
		o.Client = "Solana " + printable(v.Core)
	} else if ignore(err) != nil {
		return err
	}
	if c.cfg.ChainID != "" && c.cfg.ChainID != o.ChainID && c.cfg.ChainID != genesis {
		o.State, o.Reason = chain.WrongChain, "It serves cluster "+printable(o.ChainID)+", not "+c.cfg.ChainID+"."
		c.sink(o)
		return dial.ErrOther
	}
	c.sink(o)
	return nil
}

// head tells the newest confirmed slot with the hash of its block. Told again, it is the proof that the node is fresh. A parent is given only
// for the slot right after the last one told: what was skipped between others is not known, and a confirmed slot has never been taken back.
func (c *Collector) head(ctx context.Context) error {
	var l latest
	if err := c.call(ctx, &l, "getLatestBlockhash", at("confirmed")); err != nil {
		return err
	}
	switch {
	case l.Value.Hash == "" || l.Context.Slot == 0:
		return dial.ErrNotJSON
	case l.Context.Slot < 0 || l.Context.Slot > slotMost:
		return dial.Distrust("It calls its newest slot %d: no cluster has so many slots, so the answer is not trusted.", l.Context.Slot)
	case !base58(l.Value.Hash):
		return dial.Distrust("It calls the block of slot %d %q, which is no hash: the answer is not trusted.", l.Context.Slot, clip(l.Value.Hash))
	}
	b := c.last
	if hash := clip(l.Value.Hash); !c.has || hash != b.Hash {
		b = chain.Block{Height: l.Context.Slot, Hash: hash, SeenAt: time.Now().UnixMilli()}
		if c.has && b.Height == c.last.Height+1 {
			b.Parent = c.last.Hash
		}
	}
	if !c.has || b.Height > c.last.Height {
		c.last, c.has = b, true
	}
	c.slots.Confirmed = max(c.slots.Confirmed, b.Height)
	o := c.observation(chain.KindHead)
	o.Head, o.How = &b, chain.Polled
	c.sink(o)
	return nil
}

// mid asks what changes with every slot.
func (c *Collector) mid(ctx context.Context) error {
	if err := c.askSlots(ctx); ignore(err) != nil {
		return err
	}
	if err := c.askHealth(ctx); ignore(err) != nil {
		return err
	}
	return ignore(c.askProduction(ctx))
}

func (c *Collector) askSlots(ctx context.Context) error {
	var processed, finalized int64
	if err := c.optional(ctx, &processed, "getSlot", at("processed")); err != nil {
		return err
	}
	if err := c.optional(ctx, &finalized, "getSlot", at("finalized")); err != nil {
		return err
	}
	if processed < 0 || finalized < 0 || max(processed, finalized) > slotMost {
		return dial.Distrust("It calls its slots %d and %d: the answer is not trusted.", processed, finalized)
	}
	s := &c.slots
	s.Processed, s.Finalized, s.Time = processed, finalized, 0
	var seconds *int64
	if err := c.optional(ctx, &seconds, "getBlockTime", finalized); err == nil && seconds != nil && *seconds > 0 && *seconds < 1<<33 {
		s.Time = *seconds * 1000
	} else if ignore(err) != nil {
		return err
	}
	told := *s
	c.said(chain.SolanaSaid{Slots: &told})
	o := c.observation(chain.KindFinality)
	o.Finality = &chain.Finality{Safe: -1, Finalized: finalized}
	c.sink(o)
	return nil
}

// askHealth takes the node's own word. An error -32005 is an answer: it says how far the node is behind, or only that it is not well.
func (c *Collector) askHealth(ctx context.Context) error {
	if time.Now().Before(c.absent["getHealth"]) || time.Now().Before(c.wait) {
		return errAbsent
	}
	var ok string
	h := chain.SolanaHealth{}
	err := c.call(ctx, &ok, "getHealth")
	var rpc *dial.RPCError
	switch {
	case err == nil:
	case errors.As(err, &rpc) && rpc.Code == -32005:
		var d struct {
			Behind *int64 `json:"numSlotsBehind"`
		}
		h.Behind = -1
		if json.Unmarshal(rpc.Data, &d) == nil && d.Behind != nil && *d.Behind > 0 {
			h.Behind = *d.Behind
		}
	case dial.Limited(err) > 0:
		c.wait = time.Now().Add(dial.Limited(err))
		return errAbsent
	case answered(err):
		c.absent["getHealth"] = time.Now().Add(absentFor)
		return errAbsent
	default:
		return err
	}
	c.said(chain.SolanaSaid{Health: &h})
	return nil
}

// askProduction looks at one window of finalized slots at a time. The node is asked for exactly that window; one that answers with the sums of
// the epoch instead has two of its answers subtracted, when both are of one epoch and far enough apart.
func (c *Collector) askProduction(ctx context.Context) error {
	newest := c.slots.Finalized
	if newest <= 0 {
		return nil
	}
	if c.next == 0 || newest-c.next > windowsMost*window {
		c.next = max(newest-window+1, 1)
	}
	last := c.next + window - 1
	if newest < last {
		return nil
	}
	first := c.next
	c.next = last + 1
	var p production
	ask := map[string]any{"commitment": "finalized", "range": map[string]any{"firstSlot": first, "lastSlot": last}}
	if err := c.optional(ctx, &p, "getBlockProduction", ask); err != nil {
		return err
	}
	now := p.sum()
	if now.First == first && now.Last == last {
		c.said(chain.SolanaSaid{Production: &now})
		return nil
	}
	before := c.sums.sum()
	if before.First != now.First || before.Last <= 0 || now.Last < before.Last {
		c.sums = p
		return nil
	}
	if now.Last-before.Last < window {
		return nil
	}
	c.sums = p
	c.said(chain.SolanaSaid{Production: &chain.SolanaProduction{First: before.Last + 1, Last: now.Last, Leader: now.Leader - before.Leader, Produced: now.Produced - before.Produced}})
	return nil
}

// slow asks what is large, or changes once a minute.
func (c *Collector) slow(ctx context.Context) error {
	var list []performance
	if err := c.optional(ctx, &list, "getRecentPerformanceSamples", 1); err == nil && len(list) > 0 {
		x := list[0].sample()
		c.said(chain.SolanaSaid{Performance: &x})
	} else if ignore(err) != nil {
		return err
	}
	var v votes
	if err := c.optional(ctx, &v, "getVoteAccounts", at("confirmed")); err == nil {
		s := v.stake(c.watches, c.cfg.Validators)
		c.said(chain.SolanaSaid{Stake: &s})
	} else if ignore(err) != nil {
		return err
	}
	var e epoch
	if err := c.optional(ctx, &e, "getEpochInfo", at("confirmed")); err == nil {
		c.slots.Epoch, c.slots.Index, c.slots.Length = e.Epoch, e.Index, e.Length
	} else if ignore(err) != nil {
		return err
	}
	if time.Since(c.rare) < c.cfg.Rare {
		return nil
	}
	c.rare = time.Now()
	var nodes []member
	if err := c.optional(ctx, &nodes, "getClusterNodes"); err != nil {
		return ignore(err)
	}
	x := census(nodes)
	c.said(chain.SolanaSaid{Cluster: &x})
	return nil
}
