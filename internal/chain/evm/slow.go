package evm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// slow asks for everything that is not a head. Each part is optional: a node that lacks a method is watched without it.
func (c *Collector) slow(ctx context.Context) error {
	for _, part := range []func(context.Context) error{c.askSync, c.askFinality, c.askPeers, c.askPool, c.askFees} {
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
	var s struct {
		Current string `json:"currentBlock"`
		Highest string `json:"highestBlock"`
		Healing string `json:"healingTrienodes"`
	}
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
		if n, err := quantity(h.Number); err == nil {
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
	if err != nil {
		return errAbsent
	}
	o := c.observation(chain.KindPeers)
	o.Peers = &chain.Peers{Total: n, In: -1, Out: -1}
	c.sink(o)
	return nil
}

func (c *Collector) askPool(ctx context.Context) error {
	var s struct{ Pending, Queued string }
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
	var s struct {
		BaseFee []string   `json:"baseFeePerGas"`
		Reward  [][]string `json:"reward"`
	}
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
