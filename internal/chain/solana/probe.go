package solana

import (
	"context"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// Probe tries an address at once and says which cluster is there. The error is a *dial.Refused whose text is a sentence for the person who
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
	var genesis string
	if e := c.call(ctx, &genesis, "getGenesisHash"); e != nil {
		return r, e, dial.Refuse(e, address)
	}
	var slot int64
	if e := c.call(ctx, &slot, "getSlot", at("confirmed")); e != nil {
		return r, e, dial.Refuse(e, address)
	}
	r = chain.Recognised{Family: chain.Solana, ChainID: cluster(genesis), Head: slot}
	r.Name = "Solana cluster " + printable(r.ChainID)
	if n, ok := chain.Known(chain.Solana, r.ChainID); ok {
		r.Name = n.Name
	}
	var v struct {
		Core string `json:"solana-core"`
	}
	if c.call(ctx, &v, "getVersion") == nil {
		r.Client = "Solana " + printable(v.Core)
	}
	var ok string
	if e := c.call(ctx, &ok, "getHealth"); e != nil {
		r.Syncing = "The node says that it is behind the cluster."
	}
	return r, nil, nil
}
