package telemetry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/telemetry"
)

// beaconNode answers as a consensus client whose head is slot 1000, rollupNode as an op-node at L2 block 1000.
func beaconNode() http.Handler {
	genesis := time.Now().Unix() - 12_003
	root := func(n int) string { return fmt.Sprintf("0x%064x", n) }
	header := func(n int) string {
		return fmt.Sprintf(`{"data":{"root":%q,"canonical":true,"header":{"message":{"slot":"%d","parent_root":%q}}}}`, root(n), n, root(n-1))
	}
	answers := map[string]string{
		"/eth/v1/config/spec": `{"data":{"CONFIG_NAME":"devnet","SECONDS_PER_SLOT":"12","SLOTS_PER_EPOCH":"32"}}`, "/eth/v1/node/health": "",
		"/eth/v1/beacon/genesis":              fmt.Sprintf(`{"data":{"genesis_time":"%d","genesis_validators_root":%q}}`, genesis, root(7)),
		"/eth/v1/node/syncing":                `{"data":{"head_slot":"1000","sync_distance":"0","is_syncing":false,"is_optimistic":false,"el_offline":false}}`,
		"/eth/v1/beacon/headers/head":         header(1000),
		"/eth/v1/beacon/headers/" + root(999): header(999),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := answers[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			a = `{"code":404,"message":"NOT_FOUND"}`
		}
		fmt.Fprint(w, a)
	})
}

func rollupNode(w http.ResponseWriter, r *http.Request) {
	var q struct {
		ID     json.RawMessage
		Method string
	}
	_ = json.NewDecoder(r.Body).Decode(&q)
	ref := func(n int) string {
		return fmt.Sprintf(`{"hash":"0x%064x","number":%d,"parentHash":"0x%064x","timestamp":%d,"l1origin":{"number":9}}`, n, n, n-1, 1_700_000_000+n)
	}
	answers := map[string]string{"optimism_rollupConfig": `{"seq_window_size":3600,"l1_chain_id":1,"l2_chain_id":8453,"batch_inbox_address":"0x"}`, "optimism_version": `"v1"`,
		"optimism_syncStatus": strings.NewReplacer("L1", ref(50), "L2", ref(1000)).Replace(`{"current_l1":L1,"head_l1":L1,"finalized_l1":L1,"unsafe_l2":L2,"safe_l2":L2,"finalized_l2":L2}`)}
	if a, ok := answers[q.Method]; ok {
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, q.ID, a)
		return
	}
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"the method %s does not exist/is not available"}}`, q.ID, q.Method)
}

// TestFamilies: an address of a beacon node or a rollup node is recognised, and watched by the collector of its family.
func TestFamilies(t *testing.T) {
	for _, c := range []struct {
		node http.Handler
		want chain.Recognised
	}{
		{beaconNode(), chain.Recognised{Family: chain.Beacon, ChainID: "devnet", Name: "Beacon chain devnet", Head: 1000}},
		{http.HandlerFunc(rollupNode), chain.Recognised{Family: chain.Rollup, ChainID: "8453", Name: "Base (rollup node)", Head: 1000, Client: "op-node v1"}},
	} {
		t.Run(string(c.want.Family), func(t *testing.T) {
			srv := httptest.NewServer(c.node)
			defer srv.Close()
			defer srv.CloseClientConnections()
			got, err := telemetry.Probe(context.Background(), srv.URL)
			if err != nil || got != c.want {
				t.Fatalf("%+v %v", got, err)
			}
			seen := make(chan int64, 16)
			s := telemetry.New(telemetry.Options{Sink: heights(seen)})
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() { defer close(done); _ = s.Run(ctx) }()
			defer func() { cancel(); <-done }()
			if err := s.Set([]telemetry.Chain{{Name: "x", Family: got.Family, ChainID: got.ChainID, Nodes: []telemetry.Node{{Name: "a", URL: srv.URL}}}}); err != nil {
				t.Fatal(err)
			}
			for limit := time.After(45 * time.Second); ; {
				select {
				case h := <-seen:
					if h == 1000 {
						return
					}
				case <-limit:
					t.Fatal("the head never came")
				}
			}
		})
	}
	if err := (telemetry.Chain{Name: "x", Family: chain.EVM, L1: telemetry.L1{URL: "http://x"}, Nodes: []telemetry.Node{{Name: "a"}}}).Check(); err == nil {
		t.Error("an EVM chain may not name an L1")
	}
}

// heights is a sink that keeps the heights of views.
type heights chan int64

func (h heights) OnSamples([]chain.Sample)                                  {}
func (h heights) OnFindings(context.Context, string, []chain.Finding) error { return nil }
func (h heights) OnView(v chain.View, _ bool) {
	select {
	case h <- v.Height:
	default:
	}
}
