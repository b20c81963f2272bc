package bitcoin

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/crowd"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
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
		Relay  float64 `json:"minrelaytxfee"` // the same; 0 = btcd does not say
	}
	if err := c.optional(ctx, &s, "getmempoolinfo"); err != nil {
		return err
	}
	o := c.observation(chain.KindMempool)
	o.Mempool = &chain.Mempool{Pending: s.Size, Bytes: s.Bytes, MinFee: s.MinFee * 1e5, MinRelay: s.Relay * 1e5}
	c.sink(o)
	return nil
}

func (c *Collector) askPeers(ctx context.Context) error {
	var net struct {
		Total int64 `json:"connections"`
		In    int64 `json:"connections_in"`
		Out   int64 `json:"connections_out"`
	}
	total := c.optional(ctx, &net, "getnetworkinfo")
	if total != nil && !errors.Is(total, errAbsent) {
		return total
	}
	var who *chain.Crowd
	if total != nil || time.Since(c.met) >= crowd.Every*c.cfg.Slow {
		list, err := c.askCrowd(ctx)
		if err != nil && (total != nil || !errors.Is(err, errAbsent)) {
			return err
		}
		who = list
	}
	p := chain.Peers{Total: net.Total, In: net.In, Out: net.Out, Crowd: who}
	if total != nil { // btcd does not sum them up
		p.Total, p.In, p.Out = who.All.Peers, -1, -1
		if who.In != nil {
			p.In, p.Out = who.In.Peers, who.Out.Peers
		}
	}
	o := c.observation(chain.KindPeers)
	o.Peers = &p
	c.sink(o)
	return nil
}

// askCrowd asks who the peers are. A list that is too long, or cannot be read, is not told: the node is no worse for it.
func (c *Collector) askCrowd(ctx context.Context) (*chain.Crowd, error) {
	c.met = time.Now()
	var raw json.RawMessage
	err := c.optional(ctx, &raw, "getpeerinfo")
	if err == nil {
		var who *chain.Crowd
		if who, err = crowd.Of(crowd.Bitcoin(raw)); err == nil {
			return who, nil
		}
	} else if errors.Is(err, errAbsent) || !dial.Unfit(err) {
		return nil, err
	}
	c.absent["getpeerinfo"] = time.Now().Add(absentFor)
	c.log.Debug("peers not told", "why", dial.Sentence(err, c.cfg.URL))
	return nil, errAbsent
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
