package main

import (
	"context"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/blob/bucket"
)

// openBlobs opens the bucket of an address.
func openBlobs(ctx context.Context, address string) (store.Blobs, error) {
	return bucket.Open(ctx, address)
}
