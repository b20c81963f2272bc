package bitcoin

import (
	"context"
	"errors"
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
	c := New(Config{URL: address, Timeout: 8 * time.Second}, func(chain.Observation) {}, nil)
	c.http = dial.Client(8 * time.Second)
	defer c.http.CloseIdleConnections()
	var s summary
	if e := c.call(ctx, &s, "getblockchaininfo"); e != nil {
		var status *dial.StatusError
		if errors.As(e, &status) && status.Status == 401 {
			return r, e, &dial.Refused{Sentence: "The node refused the user name and password (HTTP 401). Write them into the address: http://user:password@host:port."}
		}
		return r, e, dial.Refuse(e, address)
	}
	if s.Chain == "" {
		return r, dial.ErrNotJSON, dial.Refuse(dial.ErrNotJSON, address)
	}
	r = chain.Recognised{Family: chain.Bitcoin, ChainID: network(s.Chain), Head: s.Blocks, Client: c.client(ctx)}
	r.Name = "Bitcoin network " + r.ChainID
	if n, ok := chain.Known(chain.Bitcoin, r.ChainID); ok {
		r.Name = n.Name
	}
	if s.IBD {
		r.Syncing = "The node is still catching up."
	}
	return r, nil, nil
}
