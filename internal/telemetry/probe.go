package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/rpc"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/beacon"
	"github.com/tocsin-ops/tocsin/internal/chain/bitcoin"
	"github.com/tocsin-ops/tocsin/internal/chain/comet"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
	"github.com/tocsin-ops/tocsin/internal/chain/evm"
	"github.com/tocsin-ops/tocsin/internal/chain/opstack"
	"github.com/tocsin-ops/tocsin/internal/chain/solana"
)

// Probe tries an address and says which chain is there. The error's text is one sentence for the person who typed the address; it holds no
// password or key. Takes at most about 48 s.
func Probe(ctx context.Context, address string) (chain.Recognised, error) {
	r, raw, err := evm.Probe(ctx, address)
	if err == nil || !spoke(raw) || strings.HasPrefix(strings.TrimSpace(address), "ws") {
		return r, err
	}
	if o, _, err := opstack.Probe(ctx, address); err == nil {
		return o, nil
	}
	if b, _, err := beacon.Probe(ctx, address); err == nil {
		return b, nil
	}
	if c, _, err := comet.Probe(ctx, address); err == nil {
		return c, nil
	}
	if s, _, err := solana.Probe(ctx, address); err == nil {
		return s, nil
	}
	b, braw, berr := bitcoin.Probe(ctx, address)
	var status *dial.StatusError
	var a, c rpc.Error
	switch {
	case berr == nil:
		return b, nil
	case errors.As(braw, &status) && status.Status == 401:
		return b, berr
	case errors.As(raw, &a) && errors.As(braw, &c) && a.ErrorCode() == -32601 && c.ErrorCode() == -32601:
		return b, &dial.Refused{Sentence: "It answers JSON-RPC, but it is no node of a family that is known here (EVM, Bitcoin, CometBFT, Solana, OP Stack)."}
	}
	return r, err
}

// spoke tells whether something answered, so that it may be a node of another family.
func spoke(raw error) bool {
	var rpcErr rpc.Error
	var status rpc.HTTPError
	var syntax *json.SyntaxError
	var types *json.UnmarshalTypeError
	return errors.As(raw, &rpcErr) || errors.As(raw, &status) || errors.As(raw, &syntax) || errors.As(raw, &types) || errors.Is(raw, dial.ErrNotJSON)
}

// Redact writes a node's address without what may be secret, for pages and logs.
func Redact(address string) string { return dial.Redact(address) }

// Expect says in a sentence that a recognised node is not of the chain it was meant for; nil when it is. An empty id accepts any.
func Expect(r chain.Recognised, family chain.Family, id string) error {
	if r.Family == family && (id == "" || r.ChainID == id) {
		return nil
	}
	want := string(family) + " chain " + id
	if n, ok := chain.Known(family, id); ok {
		want = fmt.Sprintf("%s (%s)", n.Name, id)
	}
	return &dial.Refused{Sentence: fmt.Sprintf("The node serves %s (%s), not %s.", r.Name, r.ChainID, want)}
}
