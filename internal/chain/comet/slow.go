package comet

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/crowd"
)

// slow asks what changes all the time. What a node does not offer is left out.
func (c *Collector) slow(ctx context.Context) error {
	parts := []func(context.Context) error{c.askPeers, c.askPool, func(ctx context.Context) error { return c.askValidators(ctx, 0) }, c.askRound}
	if time.Since(c.app) >= c.cfg.App {
		c.app = time.Now()
		parts = append(parts, c.askApp)
	}
	for _, p := range parts {
		if err := ignore(p(ctx)); err != nil {
			return err
		}
	}
	return nil
}

func (c *Collector) askPeers(ctx context.Context) error {
	var a struct {
		Peers json.RawMessage `json:"peers"`
		N     number          `json:"n_peers"`
	}
	if err := c.optional(ctx, "net_info", &a, "net_info"); err != nil {
		return err
	}
	p := chain.Peers{Total: int64(a.N), In: -1, Out: -1}
	if who, err := crowd.Of(crowd.Comet(a.Peers)); err != nil {
		c.log.Debug("peers not told", "why", err)
	} else if who.All.Peers == p.Total { // else the node tells only some of them
		if p.Crowd = who; who.In != nil {
			p.In, p.Out = who.In.Peers, who.Out.Peers
		}
	}
	o := c.observation(chain.KindPeers)
	o.Peers = &p
	c.sink(o)
	return nil
}

func (c *Collector) askPool(ctx context.Context) error {
	var a struct {
		Total number `json:"total"`
		Bytes number `json:"total_bytes"`
	}
	if err := c.optional(ctx, "num_unconfirmed_txs", &a, "num_unconfirmed_txs"); err != nil {
		return err
	}
	o := c.observation(chain.KindMempool)
	o.Mempool = &chain.Mempool{Pending: int64(a.Total), Bytes: int64(a.Bytes)}
	c.sink(o)
	return nil
}

// askRound tells where the node stands in deciding on the next block. Providers often hide it.
func (c *Collector) askRound(ctx context.Context) error {
	var a consensus
	if err := c.optional(ctx, "consensus_state", &a, "consensus_state"); err != nil {
		return ignore(err)
	}
	r, err := a.round(c.order)
	if err != nil {
		c.absent["consensus_state"] = time.Now().Add(absentFor)
		return nil
	}
	c.said(chain.CometSaid{Round: &r})
	return nil
}

// askValidators fetches the whole set at a height, page by page; 0 is the newest.
func (c *Collector) askValidators(ctx context.Context, height int64) error {
	var list []chain.Validator
	for page := int64(1); page <= setPages; page++ {
		var at any
		if height > 0 {
			at = quoted(height)
		}
		var a struct {
			Validators []struct {
				Address string `json:"address"`
				Power   number `json:"voting_power"`
			} `json:"validators"`
			Total number `json:"total"`
		}
		if err := c.optional(ctx, "validators", &a, "validators", at, quoted(page), quoted(perPage)); err != nil {
			return ignore(err)
		}
		for _, v := range a.Validators {
			id := address(v.Address)
			list = append(list, chain.Validator{Address: id, Power: int64(v.Power), Name: c.names[id]})
		}
		if len(a.Validators) == 0 || int64(len(list)) >= int64(a.Total) {
			break
		}
	}
	if len(list) == 0 {
		return nil
	}
	c.set, c.order = map[string]chain.Validator{}, nil
	for _, v := range list {
		c.set[v.Address] = v
		c.order = append(c.order, v.Address)
	}
	c.said(chain.CometSaid{Validators: list})
	return nil
}
