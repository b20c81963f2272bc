package bitcoinwatch

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// scanned is what the addresses held at one block.
type scanned struct {
	height int64
	hash   hash
	coins  map[outpoint]coin
}

const (
	scanTries = 3
	scanPause = 30 * time.Second // until a node that does another scan is asked again: it does one at a time
	pagesMost = 200              // of 100 transactions, for one address
)

// start does the scan, once, when it is wanted: Bitcoin Core takes some minutes for it, during which this watcher does nothing else.
func (w *Watcher) start(ctx context.Context) error {
	if w.scan != nil && len(w.ring) > 0 && w.tip().height >= w.scan.height+ringMost/24 { // its block left the chain
		w.scan = nil
	}
	if !w.scanWanted() || w.followed.seeking || len(w.ring) == 0 || w.spared() || time.Now().Before(w.scanNext) {
		if time.Since(w.balance) > time.Minute && len(w.ring) > 0 {
			w.balances()
		}
		return nil
	}
	own := w.ownScripts()
	s, err := w.scanSet(ctx, own)
	if w.busy(w.limited(err)) {
		return nil
	}
	if err != nil && !down(err) {
		w.log.Info("scantxoutset is not served; trying searchrawtransactions", "why", dial.Sentence(err, w.cfg.URL))
		if s, err = w.search(ctx, own); w.busy(err) {
			return nil
		}
	}
	if err != nil {
		if w.scanFails++; w.scanFails == scanTries {
			w.log.Warn("what the addresses hold could not be asked; balances count from now", "why", dial.Sentence(err, w.cfg.URL))
		}
		return err
	}
	w.scan = s
	if e := w.at(s.height); e != nil && e.hash == s.hash && e.height == w.tip().height {
		w.settle()
	}
	return nil
}

// scanWanted tells whether what the addresses hold is still to be asked.
func (w *Watcher) scanWanted() bool {
	return w.cfg.Spec.Scan && !w.exact && w.scan == nil && w.scanFails < scanTries && len(w.cfg.Spec.Addresses) > 0
}

// busy tells whether a node did not scan because it limits us, or does another scan, ours of a session before or somebody else's: then it is
// asked again later, and that does not count as a try.
func (w *Watcher) busy(err error) bool {
	if rest := dial.Limited(err); rest > 0 {
		w.scanNext = time.Now().Add(rest)
		return true
	}
	var said *dial.RPCError
	if !errors.As(err, &said) || said.Code != -8 {
		return false
	}
	w.scanNext = time.Now().Add(scanPause)
	if !w.scanBusy {
		w.scanBusy = true
		w.log.Info("the node does another scan; what addresses hold is asked when that is done", "why", dial.Sentence(err, w.cfg.URL))
	}
	return true
}

// settle takes the scan as what is held after the block that was just read.
func (w *Watcher) settle() {
	for o, c := range w.coins {
		if !w.own(c.owner) { // followed, and looked for apart
			w.scan.coins[o] = c
		}
	}
	w.coins, w.settled, w.scan, w.exact = w.scan.coins, w.scan.height, nil, true
	w.balances()
}

// scanSet asks Bitcoin Core for all unspent outputs of the scripts. It touches nothing of the watcher's that changes.
func (w *Watcher) scanSet(ctx context.Context, scripts map[string]int) (*scanned, error) {
	var descriptors []string
	for s := range scripts {
		descriptors = append(descriptors, "raw("+hex.EncodeToString([]byte(s))+")")
	}
	var got struct {
		Success  bool   `json:"success"`
		Height   int64  `json:"height"`
		Best     string `json:"bestblock"`
		Unspents []struct {
			Tx     string      `json:"txid"`
			N      uint32      `json:"vout"`
			Script string      `json:"scriptPubKey"`
			Amount json.Number `json:"amount"`
		} `json:"unspents"`
	}
	client := dial.Client(scanTimeout)
	defer client.CloseIdleConnections()
	if err := w.limit.Wait(ctx); err != nil {
		return nil, err
	}
	if err := dial.Call(ctx, client, w.cfg.URL, "scantxoutset", []any{"start", descriptors}, &got); err != nil {
		return nil, err
	}
	s := &scanned{height: got.Height, coins: map[outpoint]coin{}}
	var err error
	if s.hash, err = parseHash(got.Best); err != nil || !got.Success || len(got.Unspents) > coinsMost {
		return nil, fmt.Errorf("read the scan: %w", dial.ErrNotJSON)
	}
	for _, u := range got.Unspents {
		tx, err := parseHash(u.Tx)
		raw, herr := hex.DecodeString(u.Script)
		owner, ours := scripts[string(raw)]
		value, ok := satoshi(u.Amount.String())
		if err != nil || herr != nil || !ours || !ok {
			return nil, fmt.Errorf("read the scan: %w", dial.ErrNotJSON)
		}
		s.coins[outpoint{tx, u.N}] = coin{value, owner}
	}
	return s, nil
}

// satoshi reads an amount of bitcoin exactly.
func satoshi(text string) (int64, bool) {
	if len(text) > 40 || strings.ContainsAny(text, "/pP_xX") {
		return 0, false
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, false
	}
	r.Mul(r, big.NewRat(1e8, 1))
	return r.Num().Int64(), r.IsInt() && r.Sign() >= 0 && r.Num().IsInt64()
}

// search asks btcd's index of addresses for every transaction of them, and replays them. It is done again when a block comes meanwhile.
func (w *Watcher) search(ctx context.Context, scripts map[string]int) (*scanned, error) {
	tip := w.tip()
	s := &scanned{height: tip.height, hash: tip.hash, coins: map[outpoint]coin{}}
	spent := map[outpoint]bool{}
	for text, owner := range scripts {
		for page := 0; ; page++ {
			if page == pagesMost {
				return nil, fmt.Errorf("address %s has more than %d transactions: %w", w.names[owner], pagesMost*100, dial.ErrNotJSON)
			}
			var list []struct {
				Hex           string `json:"hex"`
				Confirmations int64  `json:"confirmations"`
			}
			err := w.call(ctx, &list, "searchrawtransactions", w.net.address([]byte(text)), 1, page*100, 100)
			if err != nil && strings.Contains(err.Error(), "No information available about address") {
				err, list = nil, nil
			}
			if err != nil {
				return nil, err
			}
			for _, l := range list {
				if l.Confirmations == 0 {
					continue
				}
				t, err := parseTransaction(l.Hex)
				if err != nil {
					return nil, fmt.Errorf("%w: %w", dial.ErrNotJSON, err)
				}
				for _, in := range t.ins {
					spent[in] = true
				}
				for n, out := range t.outs {
					if o, ours := scripts[string(out.script)]; ours {
						s.coins[outpoint{t.id, uint32(n)}] = coin{out.value, o}
					}
				}
			}
			if len(list) < 100 {
				break
			}
		}
	}
	for o := range spent {
		delete(s.coins, o)
	}
	var best string
	if err := w.call(ctx, &best, "getbestblockhash"); err != nil {
		return nil, err
	}
	if best != tip.hash.String() {
		return nil, fmt.Errorf("a block came during the search: %w", dial.ErrNotJSON)
	}
	return s, nil
}
