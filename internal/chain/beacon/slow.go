package beacon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/crowd"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// identify asks what the chain is: its specification, its genesis, and the node's program. For known networks the genesis must be theirs, since
// every proof of freshness rests on it.
func (c *Collector) identify(ctx context.Context) error {
	var g genesis
	var v version
	if err := c.get(ctx, "/eth/v1/config/spec", &c.spec); err != nil {
		return err
	}
	if err := c.get(ctx, "/eth/v1/beacon/genesis", &g); err != nil {
		return err
	}
	if g.Data.Time == 0 {
		return dial.Distrust("It does not tell the genesis of its chain: nothing can be held against the clock, so it is not trusted.")
	}
	if err := c.optional(ctx, "version", "/eth/v1/node/version", &v); err != nil && !errors.Is(err, errAbsent) {
		return err
	}
	if c.spec.Name == "" {
		c.spec.Name = "unnamed"
	}
	c.genesis, c.client, c.known = int64(g.Data.Time), printable(v.Data.Version), true
	c.spec.Name = printable(c.spec.Name)
	if c.cfg.ChainID != "" && c.spec.Name != c.cfg.ChainID {
		c.tellState(chain.WrongChain, "It serves "+label(c.spec.Name)+", not "+label(c.cfg.ChainID)+".")
		return dial.ErrOther
	}
	if n, ok := networks[c.spec.Name]; ok && (n.genesis != c.genesis || n.root != "" && n.root != string(g.Data.Root)) {
		c.tellState(chain.WrongChain, fmt.Sprintf("It calls its chain %s, but its genesis (%d) is not that of %s (%d).", c.spec.Name, c.genesis, c.spec.Name, n.genesis))
		return dial.ErrOther
	}
	if err := c.askSync(ctx); err != nil && !errors.Is(err, errAbsent) {
		return err
	}
	return nil
}

func label(id string) string {
	if n, ok := chain.Known(chain.Beacon, id); ok {
		return fmt.Sprintf("%s (%s)", id, n.Name)
	}
	return id
}

// slow asks for everything that is not a head. A part that the node does not offer is left out.
func (c *Collector) slow(ctx context.Context) error {
	for _, part := range []func(context.Context) error{c.askSync, c.askCheckpoints, c.askPeers, c.askParticipation} {
		if err := part(ctx); err != nil && !errors.Is(err, errAbsent) {
			return err
		}
	}
	return nil
}

// askSync asks whether the node follows the chain. Its own word (is_syncing), and /eth/v1/node/health (206: syncing, 503: not initialized),
// make it syncing; being optimistic or without an execution client is told apart, since such a node still follows.
func (c *Collector) askSync(ctx context.Context) error {
	if time.Now().Before(c.wait) {
		return errAbsent
	}
	var s syncing
	if err := c.get(ctx, "/eth/v1/node/syncing", &s); err != nil {
		if c.limited(err) {
			return errAbsent
		}
		return err
	}
	ill := ""
	var status *dial.StatusError
	err := c.get(ctx, "/eth/v1/node/health", nil)
	switch {
	case err == nil || errors.Is(err, dial.ErrNotJSON):
	case errors.As(err, &status) && status.Status == http.StatusPartialContent:
		ill = "It calls itself syncing (health 206)."
	case errors.As(err, &status) && status.Status == http.StatusServiceUnavailable:
		ill = "It calls itself not ready, or in trouble (health 503)."
	case !answered(err):
		return err
	}
	d := s.Data
	switch {
	case d.Syncing:
		c.tellState(chain.Syncing, fmt.Sprintf("It is catching up: slot %d, %d slots behind.", d.Head, d.Distance))
	case ill != "" && !d.Optimistic && !d.Offline:
		c.tellState(chain.Syncing, ill)
	case c.state != chain.Up:
		c.tellState(chain.Up, "")
	}
	o := c.observation(chain.KindBeacon)
	o.Beacon = &chain.Slots{Health: &chain.Health{Optimistic: d.Optimistic, Offline: d.Offline}}
	c.sink(o)
	return nil
}

func (c *Collector) askCheckpoints(ctx context.Context) error {
	var p checkpoints
	if err := c.optional(ctx, "checkpoints", "/eth/v1/beacon/states/head/finality_checkpoints", &p); err != nil {
		return err
	}
	d, now := p.Data, c.clockSlot()/c.spec.PerEpoch
	if int64(d.Finalized.Epoch) > int64(d.Current.Epoch) || int64(d.Current.Epoch) > now+1 {
		return dial.Distrust("It calls epoch %d finalized and epoch %d justified while it is epoch %d: that cannot be, so the answer is not trusted.", d.Finalized.Epoch, d.Current.Epoch, now)
	}
	o := c.observation(chain.KindBeacon)
	o.Beacon = &chain.Slots{Checkpoints: &chain.Checkpoints{Previous: int64(d.Previous.Epoch), Justified: int64(d.Current.Epoch), Finalized: int64(d.Finalized.Epoch), PerEpoch: c.spec.PerEpoch}}
	c.sink(o)
	return nil
}

func (c *Collector) askPeers(ctx context.Context) error {
	var p peerCount
	if err := c.optional(ctx, "peers", "/eth/v1/node/peer_count", &p); err != nil {
		return err
	}
	o := c.observation(chain.KindPeers)
	o.Peers = &chain.Peers{Total: int64(p.Data.Connected), In: -1, Out: -1}
	if time.Since(c.met) >= crowd.Every*c.cfg.Slow {
		var err error
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

// askCrowd asks who the peers are. A list that is too long, or cannot be read, is not told: the node is no worse for it.
func (c *Collector) askCrowd(ctx context.Context) (*chain.Crowd, error) {
	c.met = time.Now()
	var a struct {
		Data json.RawMessage `json:"data"`
	}
	err := c.optional(ctx, "who", "/eth/v1/node/peers?state=connected", &a)
	if err == nil {
		var who *chain.Crowd
		if who, err = crowd.Of(crowd.Beacon(a.Data)); err == nil {
			return who, nil
		}
	} else if errors.Is(err, errAbsent) || !dial.Unfit(err) {
		return nil, err
	}
	c.absent["who"] = time.Now().Add(absentFor)
	c.log.Debug("peers not told", "why", dial.Sentence(err, c.cfg.URL))
	return nil, errAbsent
}

// askParticipation asks once an epoch how much stake attested. Only Lighthouse tells it, and there is no standard endpoint: with any other
// program the figure is not available. The epoch before the last is asked for, whose votes can no longer grow.
func (c *Collector) askParticipation(ctx context.Context) error {
	tip, _ := c.tree.Tip()
	epoch := tip.Height/c.spec.PerEpoch - 1
	if epoch < 1 || epoch <= c.asked {
		return nil
	}
	var in inclusion
	if err := c.optional(ctx, "participation", "/lighthouse/validator_inclusion/"+strconv.FormatInt(epoch, 10)+"/global", &in); err != nil {
		return err
	}
	active := in.Data.Active
	if active == 0 {
		active = in.Data.Current
	}
	if active == 0 || in.Data.Attesting > active {
		return errAbsent
	}
	c.asked = epoch
	o := c.observation(chain.KindBeacon)
	o.Beacon = &chain.Slots{Participation: &chain.Participation{Epoch: epoch - 1, Ratio: float64(in.Data.Attesting) / float64(active)}}
	c.sink(o)
	return nil
}

// Probe tries an address at once and says which network is there. The error is a *dial.Refused whose text is a sentence for the person who
// typed the address; raw is the error behind it. Takes at most 8 s.
func Probe(ctx context.Context, address string) (r chain.Recognised, raw, err error) {
	address, err = dial.Check(address, "http", "https")
	if err != nil {
		return r, err, err
	}
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	c := New(Config{URL: address, Timeout: 8 * time.Second}, func(o chain.Observation) {
		switch {
		case o.Kind == chain.KindState && o.State == chain.Syncing:
			r.Syncing = "The node is still catching up."
		case o.Kind == chain.KindState && o.State == chain.WrongChain:
			r.Syncing = o.Reason
		case o.Kind == chain.KindHead:
			r.Head = o.Head.Height
		}
	}, nil)
	defer c.http.CloseIdleConnections()
	if e := c.identify(ctx); e != nil {
		if errors.Is(e, dial.ErrOther) {
			e = &dial.Refused{Sentence: r.Syncing}
		}
		return chain.Recognised{}, e, dial.Refuse(e, address)
	}
	b, e := c.header(ctx, "head")
	if e != nil {
		return chain.Recognised{}, e, dial.Refuse(e, address)
	}
	r.Family, r.ChainID, r.Head, r.Client, r.Name = chain.Beacon, c.spec.Name, b.Height, c.client, "Beacon chain "+c.spec.Name
	if n, ok := chain.Known(chain.Beacon, r.ChainID); ok {
		r.Name = n.Name
	}
	return r, nil, nil
}
