package evm

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/rpc"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// errAlone stands for the answer to a batch that is not asked.
var errAlone = errors.New("asked one by one")

var errNoBlock = errors.New("the node has no block")

func (c *Collector) latest(ctx context.Context) (*header, error) {
	var h *header
	if err := c.call(ctx, &h, "eth_getBlockByNumber", "latest", false); err != nil {
		return nil, err
	}
	if h == nil {
		return nil, &dial.Refused{Sentence: "It has no newest block."}
	}
	return h, nil
}

// start tells the newest block with the headers below it, so that intervals and comparison need not wait.
func (c *Collector) start(ctx context.Context) error {
	h, err := c.latest(ctx)
	if err != nil {
		return err
	}
	if _, ok := c.tree.Tip(); ok {
		return c.head(ctx, h, chain.Polled) // after a pause: what happened meanwhile is walked
	}
	b, err := h.block(time.Now().UnixMilli())
	if err != nil {
		return err
	}
	branch, err := c.numbers(ctx, max(b.Height-backfill, 0), b.Height-1)
	if err != nil {
		branch = nil // a node without history, or that limits us, can be watched all the same
		if down(err) && !c.limited(err) {
			return err
		}
	}
	for _, x := range branch {
		c.tree.Link(x)
	}
	c.tree.Add(b)
	c.tell(b, branch, false, chain.Polled)
	return nil
}

// down tells whether an error means that the node cannot be asked at all.
func down(err error) bool {
	var rpcErr rpc.Error
	var status rpc.HTTPError
	return err != nil && !errors.As(err, &rpcErr) && !errors.As(err, &status) && !errors.Is(err, errNoBlock) && !isDecode(err)
}

func isDecode(err error) bool {
	var syntax *json.SyntaxError
	var types *json.UnmarshalTypeError
	return errors.As(err, &syntax) || errors.As(err, &types)
}

// numbers fetches the headers from one height to another, batchMost in one batch, so that blocks of thousands of transactions fit an answer.
func (c *Collector) numbers(ctx context.Context, from, to int64) ([]chain.Block, error) {
	var out []chain.Block
	for ; from <= to; from += batchMost {
		some, err := c.batch(ctx, from, min(from+batchMost-1, to))
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// batch fetches headers in one batch, one by one when the node does not batch.
func (c *Collector) batch(ctx context.Context, from, to int64) ([]chain.Block, error) {
	n := int(to - from + 1)
	got := make([]*header, n)
	batch := make([]rpc.BatchElem, n)
	for i := range batch {
		batch[i] = rpc.BatchElem{Method: "eth_getBlockByNumber", Args: []any{hexNumber(from + int64(i)), false}, Result: &got[i]}
	}
	if err := c.limit.WaitN(ctx, min(n, 300)); err != nil {
		return nil, err
	}
	err := errAlone
	if !c.alone {
		bctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
		err = c.rpc.BatchCallContext(bctx, batch)
		cancel()
	}
	if err != nil && err != errAlone && down(err) {
		c.alone = dial.Limited(err) > 0 // the batch may have been what was too much
		return nil, err
	}
	seen := time.Now().UnixMilli()
	out := make([]chain.Block, 0, n)
	for i := range batch {
		if err != nil || batch[i].Error != nil {
			if e := c.call(ctx, &got[i], "eth_getBlockByNumber", hexNumber(from+int64(i)), false); e != nil {
				return nil, e
			}
		}
		if got[i] == nil {
			continue
		}
		b, e := got[i].block(seen)
		if e != nil {
			return nil, e
		}
		if b.Height != from+int64(i) {
			return nil, dial.Distrust("It was asked for block %d and gave block %d: the answer is not trusted.", from+int64(i), b.Height)
		}
		b.SeenAt = 0 // it was not seen when it was new
		out = append(out, b)
	}
	return out, nil
}

// byHash fetches one header; errNoBlock when the node does not have it. A provider mixes nodes, so a block that one just told may be
// missing at the next: it is asked twice.
func (c *Collector) byHash(ctx context.Context, hash string) (chain.Block, error) {
	for try := 0; ; try++ {
		var h *header
		if err := c.call(ctx, &h, "eth_getBlockByHash", hash, false); err != nil {
			return chain.Block{}, err
		}
		if h != nil {
			b, err := h.block(time.Now().UnixMilli())
			if err == nil && b.Hash != strings.ToLower(hash) {
				err = dial.Distrust("It was asked for block %s and gave block %s: the answer is not trusted.", chain.Short(hash), chain.Short(b.Hash))
			}
			return b, err
		}
		if try == 1 {
			return chain.Block{}, errNoBlock
		}
		select {
		case <-ctx.Done():
			return chain.Block{}, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// head takes a block the node calls its newest, links it to what is known, and tells it. A parent that is not known is walked down by hash
// until a known block, at most 256 headers; a gap straight above the tip is filled by number first, which is one call.
func (c *Collector) head(ctx context.Context, h *header, how chain.How) error {
	b, err := h.block(time.Now().UnixMilli())
	if err != nil {
		return err
	}
	tip, _ := c.tree.Tip()
	if b.Hash == tip.Hash {
		c.behind = 0
		if time.Since(c.said) >= time.Second || (b.Txs != nil && tip.Txs == nil) {
			c.tell(b, nil, false, how)
		}
		return nil
	}
	var branch []chain.Block
	cut := false
	if !c.tree.Has(b.Parent) && !c.tree.Has(b.Hash) && b.Height > tip.Height-keep {
		if gap := b.Height - tip.Height - 1; gap > 0 && gap <= walkMost {
			branch, err = c.numbers(ctx, tip.Height+1, b.Height-1)
			if down(err) {
				return err
			}
		}
		low := b
		slices.Reverse(branch)
		for i, x := range branch { // keep what hangs together
			if x.Hash != low.Parent {
				branch = branch[:i]
				break
			}
			low = x
		}
		steps := walkMost
		if b.Height > tip.Height+walkMost {
			steps = backfill // far away: only enough for intervals and comparison
		}
		for len(branch) < steps && low.Height > 0 && !c.tree.Has(low.Parent) {
			x, err := c.byHash(ctx, low.Parent)
			if err != nil {
				if down(err) {
					return err
				}
				break
			}
			if x.Height != low.Height-1 {
				break
			}
			x.SeenAt = b.SeenAt
			branch, low = append(branch, x), x
		}
		slices.Reverse(branch)
		cut = !c.tree.Has(low.Parent)
	}
	for _, x := range branch {
		c.tree.Link(x)
	}
	ch := c.tree.Add(b)
	if ch.Kind == chain.Invalid {
		return nil
	}
	if ch.Kind == chain.Behind {
		return c.wentBack(ctx, b, how)
	}
	c.behind = 0
	if ch.Kind == chain.Reorg {
		c.log.Info("reorg", "depth", ch.Depth, "at_least", ch.AtLeast, "ancestor", ch.Ancestor.Height, "old", ch.Old.Height, "new", ch.New.Height)
	}
	c.tell(b, branch, cut, how)
	if b.Txs == nil { // newHeads does not tell the transactions; get them, but do not hold up the next head
		if len(c.heads) == 0 && !time.Now().Before(c.wait) {
			if full, err := c.byHash(ctx, b.Hash); err == nil && full.Txs != nil {
				full.SeenAt = b.SeenAt
				c.tell(full, nil, false, how)
			} else if down(err) && !c.limited(err) {
				return err
			}
		}
	}
	return nil
}

// wentBack handles an older head than before. It is told as it is: behind one address there may be several servers. Only when the node
// stays there, and no longer has the block it had, it is a rollback (debug_setHead sends no newHeads).
func (c *Collector) wentBack(ctx context.Context, b chain.Block, how chain.How) error {
	c.tell(b, nil, false, how)
	if c.behind++; c.behind == 1 {
		c.since = time.Now()
	}
	tip, _ := c.tree.Tip()
	if c.behind < rollbackPoll || time.Since(c.since) < min(rollbackHold, 40*c.cfg.Poll) || !c.tree.Has(b.Hash) {
		return nil
	}
	var at *header
	if err := c.call(ctx, &at, "eth_getBlockByNumber", hexNumber(tip.Height), false); err != nil {
		if down(err) && !c.limited(err) {
			return err
		}
		return nil
	}
	if at != nil {
		return nil // it does have a block there: the next poll will tell which
	}
	c.behind = 0
	if known, ok := c.tree.Get(b.Hash); ok && known.Height == b.Height {
		c.tree.Rollback(b)
		o := c.observation(chain.KindRollback)
		o.Head, o.How = &b, how
		c.sink(o)
	}
	return nil
}

func (c *Collector) tell(b chain.Block, branch []chain.Block, cut bool, how chain.How) {
	c.said = time.Now()
	o := c.observation(chain.KindHead)
	o.Head, o.Branch, o.Cut, o.How = &b, branch, cut, how
	c.sink(o)
}

func (c *Collector) poll(ctx context.Context) error {
	h, err := c.latest(ctx)
	if err != nil {
		return err
	}
	if !c.syncing {
		c.state(chain.Up, "")
	}
	return c.head(ctx, h, chain.Polled)
}

// sockets lists where newHeads may be had: the configured address, or what node programs do by default (the same port, or 8546 beside 8545).
func sockets(c Config) []string {
	if c.WS == "none" {
		return nil
	}
	if c.WS != "" {
		return []string{c.WS}
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil
	}
	if strings.HasPrefix(u.Scheme, "ws") {
		return []string{c.URL}
	}
	u.Scheme = "ws" + strings.TrimPrefix(u.Scheme, "http")
	out := []string{u.String()}
	if u.Port() == "8545" {
		u.Host = strings.TrimSuffix(u.Host, "8545") + "8546"
		out = append(out, u.String())
	}
	return out
}

// trySubscribe opens newHeads when there is none and it is time to try. That there is none is no failure: heads are polled then.
func (c *Collector) trySubscribe(ctx context.Context) {
	if c.sub != nil || time.Now().Before(c.nextSub) || time.Now().Before(c.shunned) {
		return
	}
	c.nextSub = time.Now().Add(resubscribe)
	tip, _ := c.tree.Tip()
	for _, address := range sockets(c.cfg) {
		sctx, cancel := context.WithTimeout(ctx, min(c.cfg.Timeout, 3*time.Second))
		err := c.subscribe(sctx, address, tip.Hash)
		cancel()
		if err == nil {
			c.pushed, c.doubt = time.Now(), time.Now().Add(doubtFor)
			c.log.Info("newHeads opened", "address", dial.Redact(address))
			return
		}
		c.log.Debug("no newHeads", "address", dial.Redact(address), "why", dial.Sentence(err, address))
	}
}

func (c *Collector) subscribe(sctx context.Context, address, known string) error {
	limit := int64(pushMost)
	if address == c.cfg.URL {
		limit = callMost
	}
	ws, err := dialRPC(sctx, address, c.http, limit)
	if err != nil {
		return err
	}
	if address != c.cfg.URL { // a guessed or configured socket must be the same chain
		var h *header
		if err = ws.CallContext(sctx, &h, "eth_getBlockByHash", known, false); err == nil && h == nil {
			err = &dial.Refused{Sentence: "The websocket does not know the newest block: it may be another chain."}
		}
		if err != nil {
			ws.Close()
			return err
		}
	}
	// The channel is small; behind it the rpc client keeps up to 20,000 heads and then ends the subscription, which brings us back to polling.
	heads := make(chan *header, 64)
	sub, err := ws.Subscribe(sctx, "eth", heads, "newHeads")
	if err != nil {
		ws.Close()
		return err
	}
	c.ws, c.sub, c.heads = ws, sub, heads
	return nil
}

func (c *Collector) unsubscribe() {
	if c.ws != nil {
		c.ws.Close() // first: a server that floods would not let us unsubscribe
		c.ws = nil
	}
	if c.sub != nil {
		c.sub.Unsubscribe()
		c.sub = nil
	}
	c.heads = nil
}
