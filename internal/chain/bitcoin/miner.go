package bitcoin

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

const (
	minersBack  = 144             // blocks below the head whose makers are asked for
	minersAtNow = 16              // of them at once after a new head: a branch is judged whole
	minersPause = 2               // polls between two older blocks
	minerTries  = 3               // of one block
	minerPaused = 6               // blocks in a row that cannot be named; then nobody is asked for ten minutes
	minerCalls  = 4               // requests at most for one block
	minersFor   = 3 * time.Second // spent on it between two looks at the head, which waits; in the second half no block is begun
	minersLate  = time.Minute     // that nobody is asked after an answer that did not come within it
	coinbaseMax = 2 * 100         // hex digits of a coinbase's text: consensus allows 100 bytes
)

// named is what is known of who made a block.
type named struct {
	who   string
	tries int
}

// askMiners names who made the newest blocks that are not named yet, the newest first, at most so many, and tells them together. The head waits
// for it, so it takes no longer than minersFor and leaves off where the head's own questions would have to queue; a later look goes on.
func (c *Collector) askMiners(ctx context.Context, most int) error {
	if c.ibd || time.Now().Before(c.absent[minersOf]) || time.Now().Before(c.wait) {
		return nil
	}
	var out []chain.Mined
	defer func() {
		if len(out) > 0 {
			o := c.observation(chain.KindMiners)
			o.Miners = out
			c.sink(o)
		}
	}()
	within, cancel := context.WithTimeout(ctx, minersFor)
	defer cancel()
	began := time.Now()
	b, ok := c.tree.Tip()
	for n := 0; ok && n < minersBack && most > 0 && b.Height > 0; n++ {
		at := b
		b, ok = c.tree.Get(b.Parent)
		is := c.miners[at.Hash]
		if is.who != "" || is.tries >= minerTries {
			continue
		}
		if c.limit.Tokens() < minerCalls || time.Since(began) > minersFor/2 {
			break
		}
		most--
		who, err := c.minerOf(within, at.Hash)
		is.who, is.tries = who, is.tries+1
		c.miners[at.Hash] = is
		switch {
		case err == nil:
			c.unnamed = 0
			out = append(out, chain.Mined{Hash: at.Hash, Miner: who})
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			c.absent[minersOf] = time.Now().Add(minersLate)
			c.log.Debug("the makers of blocks are told too slowly", "why", dial.Sentence(err, c.cfg.URL))
			return nil
		case dial.Limited(err) > 0 || !answered(err):
			return err
		default:
			if c.unnamed++; c.unnamed >= minerPaused {
				c.unnamed, c.absent[minersOf] = 0, time.Now().Add(absentFor)
				c.log.Debug("the makers of blocks are not told", "why", dial.Sentence(err, c.cfg.URL))
				return nil
			}
		}
	}
	if len(c.miners) > 4*minersBack {
		for hash := range c.miners {
			if _, known := c.tree.Get(hash); !known {
				delete(c.miners, hash)
			}
		}
	}
	return nil
}

// minersOf is the name of the whole question among the absent methods.
const minersOf = "miners"

// minerOf asks for a block's coinbase in the cheapest way that the node allows: its id by the block's list of ids (70 bytes a transaction), then
// the one transaction, of which the text and the payee are read. A node that finds no transaction by its block and has no index of them (btcd's
// default) is asked for the coinbase's first output, which nobody can have spent for a hundred blocks: then all blocks are named by their payee,
// since a maker that has two names would look like two.
func (c *Collector) minerOf(ctx context.Context, hash string) (string, error) {
	var list struct {
		Txs []string `json:"tx"`
	}
	if err := c.call(ctx, &list, "getblock", hash, 1); err != nil {
		return "", err
	}
	if len(list.Txs) == 0 || len(list.Txs[0]) != 64 {
		return "", fmt.Errorf("read block %s: %w", chain.Short(hash), dial.ErrNotJSON)
	}
	id := list.Txs[0]
	var why error
	for _, params := range [][]any{{id, 1, hash}, {id, 1}} { // Core finds it by the block; btcd refuses the third
		if c.namedBy != 0 && c.namedBy != len(params) {
			continue
		}
		var tx coinbase
		if why = c.call(ctx, &tx, "getrawtransaction", params...); why == nil {
			c.namedBy = len(params)
			return tx.miner()
		}
		if !answered(why) || dial.Limited(why) > 0 {
			return "", why
		}
	}
	if c.namedBy > byPayee {
		return "", why
	}
	var out output
	if err := c.call(ctx, &out, "gettxout", id, 0, false); err != nil {
		return "", err
	}
	c.namedBy = byPayee
	return out.Script.payee()
}

// byPayee is namedBy of a node that cannot be asked for the coinbase itself; else it is the number of parameters that getrawtransaction takes.
const byPayee = 1

// coinbase is the part of a decoded transaction that says who made the block.
type coinbase struct {
	Ins  []input  `json:"vin"`
	Outs []output `json:"vout"`
}

type input struct {
	Text string `json:"coinbase"` // hex
}

type output struct {
	Value  float64 `json:"value"`
	Script script  `json:"scriptPubKey"`
}

type script struct {
	Hex       string   `json:"hex"`
	Address   string   `json:"address"`
	Addresses []string `json:"addresses"` // before Core 22, and btcd
}

// miner names the maker: the pool whose sign stands in the coinbase, else where the largest output goes. A sign can be forged, and an address
// can be new for every block: both are what the maker says.
func (t coinbase) miner() (string, error) {
	if len(t.Ins) != 1 || t.Ins[0].Text == "" || len(t.Outs) == 0 {
		return "", fmt.Errorf("read a coinbase: %w", dial.ErrNotJSON)
	}
	if raw, err := hex.DecodeString(t.Ins[0].Text[:min(len(t.Ins[0].Text)&^1, coinbaseMax)]); err == nil {
		if name := pool(string(raw)); name != "" {
			return name, nil
		}
	}
	best := t.Outs[0]
	for _, o := range t.Outs {
		if o.Value > best.Value {
			best = o
		}
	}
	return best.Script.payee()
}

func (s script) payee() (string, error) {
	who := s.Address
	if who == "" && len(s.Addresses) == 1 {
		who = s.Addresses[0]
	}
	if who == "" {
		who = s.Hex // pay to a bare key, as the first years' blocks did
	}
	if who = printable(who); who == "" {
		return "", fmt.Errorf("read a payee: %w", dial.ErrNotJSON)
	}
	return who, nil
}

// printable keeps what a page and a sentence can show, 90 bytes at most.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r > ' ' && r < 0x7f && b.Len() < 90 {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// pools are signs of mining pools in the coinbase's text, as github.com/bitcoin-data/mining-pools lists them. Pools in which everybody mines for
// themselves (solo.ckpool.org) are none: their blocks are their payees'.
var pools = []struct{ sign, name string }{
	{"Foundry USA Pool", "Foundry USA"}, {"/AntPool/", "AntPool"}, {"Mined by AntPool", "AntPool"}, {"/ViaBTC/", "ViaBTC"}, {"F2Pool", "F2Pool"},
	{"七彩神仙鱼", "F2Pool"}, {"🐟", "F2Pool"}, {"SpiderPool", "SpiderPool"}, {"MARA Pool", "MARA Pool"}, {"/Mara Pool/", "MARA Pool"},
	{"SecPool", "SecPool"}, {"/LUXOR/", "Luxor"}, {"Luxor Tech", "Luxor"}, {"/BTC.com/", "BTC.com"}, {"/BTC.COM/", "BTC.com"}, {"btccom", "BTC.com"},
	{"/ultimus/", "Ultimus Pool"}, {"/slush/", "Braiins Pool"}, {"/poolin.com", "Poolin"}, {"/EMCD/", "EMCDPool"}, {"/BTC.TOP/", "BTC.TOP"},
	{"/BitFury/", "BitFury"}, {"/Bitfury/", "BitFury"}, {"ghash.io", "GHash.IO"}, {"BTC Guild", "BTC Guild"}, {"KuCoinPool", "KuCoin Pool"},
}

func pool(text string) string {
	for _, p := range pools {
		if strings.Contains(text, p.sign) {
			return p.name
		}
	}
	return ""
}
