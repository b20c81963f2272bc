package comet

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// Probe tries an address at once and says which network is there. The error is a *dial.Refused whose text is a sentence for the person who
// typed the address; raw is the error behind it. Takes at most 8 s.
func Probe(ctx context.Context, address string) (r chain.Recognised, raw, err error) {
	address, err = dial.Check(address, "http", "https")
	if err != nil {
		return r, err, err
	}
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	h := dial.Client(8 * time.Second)
	defer h.CloseIdleConnections()
	var s status
	e := dial.Call(ctx, h, address, "status", nil, &s)
	if e == nil && s.Node.Network == "" {
		e = fmt.Errorf("call status: %w", dial.ErrNotJSON)
	}
	if e == nil {
		e = s.sane()
	}
	if e != nil {
		return r, e, dial.Refuse(e, address)
	}
	r = chain.Recognised{Family: chain.Comet, ChainID: clip(s.Node.Network), Head: int64(s.Sync.Height), Client: printable("CometBFT " + s.Node.Version)}
	r.Name = "CometBFT chain " + printable(r.ChainID)
	if n, ok := chain.Known(chain.Comet, r.ChainID); ok {
		r.Name = n.Name
	}
	if s.Sync.CatchingUp {
		r.Syncing = "The node is still catching up."
	}
	return r, nil, nil
}
