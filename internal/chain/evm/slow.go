package evm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/crowd"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// slow asks for everything that is not a head. Each part is optional: a node that lacks a method is watched without it.
func (c *Collector) slow(ctx context.Context) error {
	for _, part := range []func(context.Context) error{c.askSync, c.askFinality, c.askPeers, c.askPool, c.askFees, c.hashRate} {
		if err := part(ctx); err != nil && !errors.Is(err, errAbsent) {
			return err
		}
	}
	return nil
}

func (c *Collector) askSync(ctx context.Context) error {
	var raw json.RawMessage
	if err := c.optional(ctx, &raw, "eth_syncing"); err != nil {
		return err
	}
	var s progress
	was := c.syncing
	c.syncing = len(raw) > 0 && raw[0] == '{' && json.Unmarshal(raw, &s) == nil
	at, _ := quantity(s.Current)
	top, _ := quantity(s.Highest)
	if healing, _ := quantity(s.Healing); at >= top && healing == 0 {
		c.syncing = false // geth calls it syncing too while it only indexes transactions: its head is the chain's
	}
	if c.syncing {
		c.state(chain.Syncing, fmt.Sprintf("It is catching up: block %d of %d.", at, top))
	} else if was {
		c.state(chain.Up, "")
	}
	return nil
}

func (c *Collector) askFinality(ctx context.Context) error {
	f := chain.Finality{Safe: -1, Finalized: -1}
	for tag, to := range map[string]*int64{"safe": &f.Safe, "finalized": &f.Finalized} {
		var h *header
		err := c.optional(ctx, &h, "eth_getBlockByNumber", tag, false)
		if errors.Is(err, errAbsent) || (err == nil && h == nil) {
			continue
		}
		if err != nil {
			return err
		}
		if n, err := quantity(string(h.Number)); err == nil && n <= highest {
			*to = n
		}
	}
	if f.Safe < 0 && f.Finalized < 0 {
		return errAbsent
	}
	o := c.observation(chain.KindFinality)
	o.Finality = &f
	c.sink(o)
	return nil
}

func (c *Collector) askPeers(ctx context.Context) error {
	var s string
	if err := c.optional(ctx, &s, "net_peerCount"); err != nil {
		return err
	}
	n, err := quantity(s)
	if err != nil || n > 1<<20 {
		return errAbsent
	}
	o := c.observation(chain.KindPeers)
	o.Peers = &chain.Peers{Total: n, In: -1, Out: -1}
	if time.Since(c.met) >= crowd.Every*c.cfg.Slow {
		if o.Peers.Crowd, err = c.askCrowd(ctx); err != nil && !errors.Is(err, errAbsent) {
			return err
		}
		if who := o.Peers.Crowd; who != nil && who.In != nil {
			o.Peers.In, o.Peers.Out = who.In.Peers, who.Out.Peers
		}
	}
	c.sink(o)
	return nil
}

// askCrowd asks who the peers are, which nodes seldom tell: the admin namespace is closed as a rule. A list that is too long, or cannot be read,
// is not told: the node is no worse for it.
func (c *Collector) askCrowd(ctx context.Context) (*chain.Crowd, error) {
	c.met = time.Now()
	var raw json.RawMessage
	err := c.optional(ctx, &raw, "admin_peers")
	if err == nil {
		var who *chain.Crowd
		if who, err = crowd.Of(crowd.EVM(raw)); err == nil {
			return who, nil
		}
	} else if errors.Is(err, errAbsent) {
		return nil, err
	}
	c.absent["admin_peers"] = time.Now().Add(absentFor)
	c.log.Debug("peers not told", "why", dial.Sentence(err, c.cfg.URL))
	if len(raw) > 0 || dial.Unfit(err) {
		return nil, errAbsent
	}
	c.absent["admin_peers"] = time.Now().Add(24 * time.Hour) // the connection broke: a websocket does at an answer that is too large, and would each time
	return nil, err
}

func (c *Collector) askPool(ctx context.Context) error {
	var s pool
	if err := c.optional(ctx, &s, "txpool_status"); err != nil {
		return err
	}
	pending, err := quantity(s.Pending)
	if err != nil {
		return errAbsent
	}
	queued, _ := quantity(s.Queued)
	o := c.observation(chain.KindMempool)
	o.Mempool = &chain.Mempool{Pending: pending, Queued: queued}
	c.sink(o)
	return nil
}

// askFees: baseFeePerGas has one entry more than blocks were asked for; the last is the next block's.
func (c *Collector) askFees(ctx context.Context) error {
	var s feeHistory
	if err := c.optional(ctx, &s, "eth_feeHistory", "0x1", "latest", []float64{50}); err != nil {
		return err
	}
	f := chain.Fees{}
	if n := len(s.BaseFee); n > 1 {
		f.Next = gwei(s.BaseFee[n-1])
	}
	if len(s.Reward) > 0 && len(s.Reward[0]) > 0 {
		f.Priority = gwei(s.Reward[0][0])
	}
	if f.Next == nil && f.Priority == nil {
		return errAbsent
	}
	o := c.observation(chain.KindFees)
	o.Fees = &f
	c.sink(o)
	return nil
}

const (
	rateBlocks = 144 // that the hash rate is taken from: about half an hour of Ethereum Classic, 8 % noise
	rateLeast  = 10
)

// hashRate tells the hashes per second that the chain's last blocks took: their difficulty over their time. Nothing is asked for it.
func (c *Collector) hashRate(context.Context) error {
	tip, ok := c.tree.Tip()
	work, n, low := 0.0, 0, tip
	for b := tip; ok && b.Difficulty > 0 && n < rateBlocks; n++ {
		low = b
		work += b.Difficulty
		b, ok = c.tree.Get(b.Parent)
	}
	o := c.observation(chain.KindHashRate)
	if span := tip.Time - low.Time; n > rateLeast && span > 0 {
		o.HashRate = (work - low.Difficulty) / (float64(span) / 1000) // the lowest block was begun before the span
	}
	if o.HashRate > 0 || c.mined {
		c.mined = o.HashRate > 0 // its end is told once
		c.sink(o)
	}
	return nil
}
