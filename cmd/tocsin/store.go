package main

import (
	"context"
	"log/slog"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/etcd"
)

// openStore opens a store that several replicas share, by its address.
func openStore(ctx context.Context, address string, log *slog.Logger) (store.DB, error) {
	o, err := etcd.ParseURL(address)
	if err != nil {
		return nil, err
	}
	o.Log = log
	return etcd.Open(ctx, o)
}
