package mem_test

import (
	"testing"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
	"github.com/tocsin-ops/tocsin/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.DB { return mem.New() })
}

func TestMoreOperations(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.DB { return mem.Open(mem.Options{MaxOps: 1000}) })
}

func TestCompaction(t *testing.T) {
	storetest.RunCompaction(t, func(_ *testing.T, keep int) store.DB { return mem.Open(mem.Options{KeepCount: keep}) })
}

func TestCompactionByBytes(t *testing.T) {
	storetest.RunCompaction(t, func(_ *testing.T, keep int) store.DB { return mem.Open(mem.Options{KeepBytes: keep * 100}) })
}
