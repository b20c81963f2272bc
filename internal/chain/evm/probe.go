package evm

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// Probe tries an address at once and says which chain is there. The error is a *dial.Refused whose text is a sentence for the person who
// typed the address; raw is the error behind it, for callers that try another family next. Takes at most 8 s.
func Probe(ctx context.Context, address string) (r chain.Recognised, raw, err error) {
	address, err = dial.Check(address, "http", "https", "ws", "wss")
	if err != nil {
		return r, err, err
	}
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	fail := func(e error) (chain.Recognised, error, error) { return chain.Recognised{}, e, dial.Refuse(e, address) }
	h := dial.Limiting(dial.Client(8 * time.Second))
	defer h.CloseIdleConnections()
	node, e := connect(ctx, address, h)
	if e != nil {
		return fail(e)
	}
	defer node.Close()
	var id string
	if e := node.CallContext(ctx, &id, "eth_chainId"); e != nil {
		return fail(e)
	}
	r.Family = chain.EVM
	if r.ChainID, e = decimal(id); e != nil {
		return fail(dial.ErrNotJSON)
	}
	var b *header
	if e := node.CallContext(ctx, &b, "eth_getBlockByNumber", "latest", false); e != nil {
		return fail(e)
	}
	if b == nil {
		return fail(&dial.Refused{Sentence: "It answers, but has no block yet."})
	}
	head, e := b.block(0)
	if e != nil {
		return fail(e)
	}
	r.Head = head.Height
	var client string
	if node.CallContext(ctx, &client, "web3_clientVersion") == nil {
		r.Client = printable(client)
	}
	var syncing json.RawMessage
	if node.CallContext(ctx, &syncing, "eth_syncing") == nil {
		if len(syncing) > 0 && syncing[0] == '{' {
			r.Syncing = "The node is still catching up."
		}
	}
	r.Name = fmt.Sprintf("EVM chain %s", r.ChainID)
	if n, ok := chain.Known(chain.EVM, r.ChainID); ok {
		r.Name = n.Name
	}
	return r, nil, nil
}
