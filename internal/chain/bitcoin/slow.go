package bitcoin

import (
	"context"
	"errors"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// afterHead asks what changes with a block: fees and tips.
func (c *Collector) afterHead(ctx context.Context, best string) error {
	return first(ctx, func(ctx context.Context) error { return c.askFees(ctx, best) }, c.askTips)
}

// slow asks what changes all the time.
func (c *Collector) slow(ctx context.Context) error {
	return first(ctx, c.askPool, c.askPeers, c.askHashRate, c.askTips)
}

// first runs the parts and stops at the first that cannot reach the node; what a node does not offer is left out.
func first(ctx context.Context, parts ...func(context.Context) error) error {
	for _, p := range parts {
		if err := p(ctx); err != nil && !errors.Is(err, errAbsent) {
			return err
		}
	}
	return nil
}

func (c *Collector) askPool(ctx context.Context) error {
	var s struct {
		Size   int64   `json:"size"`
		Bytes  int64   `json:"bytes"`
		MinFee float64 `json:"mempoolminfee"` // BTC per 1000 vB
	}
	if err := c.optional(ctx, &s, "getmempoolinfo"); err != nil {
		return err
	}
	o := c.observation(chain.KindMempool)
	o.Mempool = &chain.Mempool{Pending: s.Size, Bytes: s.Bytes, MinFee: s.MinFee * 1e5}
	c.sink(o)
	return nil
}

func (c *Collector) askPeers(ctx context.Context) error {
	var net struct {
		Total int64 `json:"connections"`
		In    int64 `json:"connections_in"`
		Out   int64 `json:"connections_out"`
	}
	p := chain.Peers{In: -1, Out: -1}
	if err := c.optional(ctx, &net, "getnetworkinfo"); err == nil {
		p = chain.Peers{Total: net.Total, In: net.In, Out: net.Out}
	} else {
		var peers []struct {
			Inbound bool `json:"inbound"`
		}
		if err := c.optional(ctx, &peers, "getpeerinfo"); err != nil {
			return err
		}
		p.Total, p.In = int64(len(peers)), 0
		for _, x := range peers {
			if x.Inbound {
				p.In++
			}
		}
		p.Out = p.Total - p.In
	}
	o := c.observation(chain.KindPeers)
	o.Peers = &p
	c.sink(o)
	return nil
}

func (c *Collector) askHashRate(ctx context.Context) error {
	var hps float64
	if err := c.optional(ctx, &hps, "getnetworkhashps", 144); err != nil {
		return err
	}
	o := c.observation(chain.KindHashRate)
	o.HashRate = hps
	c.sink(o)
	return nil
}

// askFees needs getblockstats, which btcd and pruned nodes do not offer.
func (c *Collector) askFees(ctx context.Context, best string) error {
	var s struct {
		Percentiles []float64 `json:"feerate_percentiles"`
		Total       float64   `json:"totalfee"` // satoshi
	}
	if err := c.optional(ctx, &s, "getblockstats", best, []string{"feerate_percentiles", "totalfee"}); err != nil {
		return err
	}
	total := s.Total / 1e8
	f := chain.Fees{Total: &total}
	if len(s.Percentiles) == 5 {
		f.Rate = &s.Percentiles[2]
	}
	o := c.observation(chain.KindFees)
	o.Fees = &f
	c.sink(o)
	return nil
}

// askTips tells only the tips that are new or changed: a node lists every tip since its birth, so the first list is only remembered.
func (c *Collector) askTips(ctx context.Context) error {
	var list []struct {
		Height int64  `json:"height"`
		Hash   string `json:"hash"`
		Branch int64  `json:"branchlen"`
		Status string `json:"status"`
	}
	if err := c.optional(ctx, &list, "getchaintips"); err != nil {
		return err
	}
	now := make(map[string]chain.Tip, len(list))
	var changed []chain.Tip
	for _, t := range list {
		tip := chain.Tip{Height: t.Height, Hash: clip(t.Hash), Branch: t.Branch, Status: t.Status}
		now[tip.Hash] = tip
		if old, ok := c.tips[tip.Hash]; c.tips != nil && tip.Status != "active" && (!ok || old != tip) && len(changed) < 100 {
			changed = append(changed, tip)
		}
	}
	c.tips = now
	if len(changed) > 0 {
		o := c.observation(chain.KindTips)
		o.Tips = changed
		c.sink(o)
	}
	return nil
}
