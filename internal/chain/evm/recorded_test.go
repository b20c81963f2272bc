package evm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/rpc"

	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// TestRecorded walks request and response pairs of real clients (testdata/PROVENANCE.md, and all of them when TOCSIN_SHARED names a directory
// that holds them) through the collector's own calls: what it keeps of an answer is what the answer says.
func TestRecorded(t *testing.T) {
	if n := walk(t, os.DirFS("testdata/execution-apis")); n < 19 {
		t.Errorf("%d files, want 19", n)
	}
	shared := os.Getenv("TOCSIN_SHARED")
	if shared == "" {
		t.Log("TOCSIN_SHARED is not set: only the files of testdata were walked")
		return
	}
	n := walk(t, os.DirFS(path.Join(shared, "data/execution-apis-tests/tests")))
	t.Logf("%d files of the shared corpus", n)
	if n == 0 {
		t.Error("no file there")
	}
}

func walk(t *testing.T, files fs.FS) (n int) {
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".io" {
			return err
		}
		raw, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		n++
		request := ""
		for line := range strings.Lines(string(raw)) {
			line = strings.TrimSpace(line)
			if q, ok := strings.CutPrefix(line, ">> "); ok {
				request = q
			}
			if a, ok := strings.CutPrefix(line, "<< "); ok {
				t.Run(name, func(t *testing.T) { pair(t, request, a) })
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// pair serves one recorded answer and asks for it as the collector asks.
func pair(t *testing.T, request, answer string) {
	var q struct {
		Method string
		Params []any
	}
	var a struct {
		Result json.RawMessage
		Error  *dial.RPCError
	}
	if err := errors.Join(json.Unmarshal([]byte(request), &q), json.Unmarshal([]byte(answer), &a)); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, answer)
	}))
	defer srv.Close()
	c := New(Config{URL: srv.URL, Timeout: 45 * time.Second}, nil, nil)
	var err error
	if c.rpc, err = connect(context.Background(), srv.URL, c.http); err != nil {
		t.Fatal(err)
	}
	defer c.close()
	call := func(out any) error { return c.call(context.Background(), out, q.Method, q.Params...) }
	if a.Error != nil {
		var said rpc.Error
		if err := call(nil); !errors.As(err, &said) || said.ErrorCode() != a.Error.Code || said.Error() != a.Error.Message {
			t.Errorf("error %v, want %+v", err, a.Error)
		}
		return
	}
	switch q.Method {
	case "eth_getBlockByNumber":
		var h *header
		if err := call(&h); err != nil {
			t.Fatal(err)
		}
		if string(a.Result) == "null" {
			if h != nil {
				t.Errorf("a block where there is none: %+v", h)
			}
			return
		}
		kept(t, a.Result, h, blockLeftOut)
		blockOf(t, a.Result, h)
	case "eth_feeHistory":
		var f feeHistory
		if err := call(&f); err != nil {
			t.Fatal(err)
		}
		kept(t, a.Result, f, feesLeftOut)
		for _, s := range append(f.BaseFee, f.Reward[0]...) {
			sameWei(t, "fee", s, gwei(s))
		}
	case "txpool_status":
		var p pool
		if err := call(&p); err != nil {
			t.Fatal(err)
		}
		kept(t, a.Result, p, nil)
		same(t, "pending", p.Pending, a.Result, "pending")
	case "eth_syncing":
		var raw json.RawMessage
		if err := call(&raw); err != nil {
			t.Fatal(err)
		}
		var p progress
		if string(raw) != "false" {
			if err := json.Unmarshal(raw, &p); err != nil {
				t.Fatal(err)
			}
			kept(t, a.Result, p, nil)
		}
	case "eth_blockNumber", "eth_chainId", "net_version":
		var s string
		if err := call(&s); err != nil {
			t.Fatal(err)
		}
		if got := strconv.Quote(s); got != string(a.Result) {
			t.Errorf("%s, want %s", got, a.Result)
		}
		if q.Method == "eth_chainId" {
			id, err := decimal(s)
			n, perr := strconv.ParseInt(id, 10, 64)
			if err != nil || perr != nil || hexNumber(n) != s {
				t.Errorf("chain id %s read as %s", s, id)
			}
		}
	case "eth_getLogs": // read by package evmwatch; here the way is shown to lose nothing
		var raw json.RawMessage
		if err := call(&raw); err != nil {
			t.Fatal(err)
		}
		if string(raw) != string(a.Result) {
			t.Error("the answer came changed")
		}
	default:
		t.Errorf("no collector asks %s", q.Method)
	}
}

// What the collector does not take, and why. A field that an answer has and that stands neither here nor in the decoded value fails.
var (
	blockLeftOut = map[string]string{
		"extraData": "words of whoever built the block", "logsBloom": "256 bytes that say nothing without the logs, which evmwatch asks for by address",
		"mixHash": "the seal: no hash is computed here", "nonce": "the seal: no hash is computed here", "sha3Uncles": "a commitment: no hash is computed here",
		"stateRoot": "a commitment: no hash is computed here", "transactionsRoot": "a commitment: no hash is computed here",
		"receiptsRoot": "a commitment: no hash is computed here", "withdrawalsRoot": "a commitment: no hash is computed here",
		"requestsHash": "a commitment: no hash is computed here", "parentBeaconBlockRoot": "the beacon chain has a collector of its own",
		"uncles": "hashes of headers that were not taken: forks are told by the nodes' own heads", "withdrawals": "of validators: the beacon chain's",
		"totalDifficulty": "not asked since the merge; work is summed from the difficulties",
	}
	feesLeftOut = map[string]string{
		"oldestBlock": "the newest block is the only one asked for", "gasUsedRatio": "the header's own gas is taken", "baseFeePerBlobGas": "follows from the header's excess blob gas",
		"blobGasUsedRatio": "the header's own blob gas is taken",
	}
)

// kept holds every field that was decoded against the answer's field of the same name, and every field of the answer against what was decoded or
// is left out for a reason; a field that the answer lacks must be empty.
func kept(t *testing.T, result json.RawMessage, decoded any, leftOut map[string]string) {
	t.Helper()
	again, err := json.Marshal(decoded)
	if err != nil {
		t.Fatal(err)
	}
	var want, got map[string]any
	if err := errors.Join(json.Unmarshal(result, &want), json.Unmarshal(again, &got)); err != nil {
		t.Fatal(err)
	}
	for field := range want {
		if _, taken := got[field]; !taken && leftOut[field] == "" {
			t.Errorf("%s is neither taken nor left out for a reason", field)
		}
	}
	for field, v := range got {
		w, there := want[field]
		if list, ok := w.([]any); ok && field == "transactions" {
			w = float64(len(list))
		}
		if !there {
			w = ""
		}
		if !reflect.DeepEqual(v, w) {
			t.Errorf("%s read as %v, the answer says %v", field, v, w)
		}
	}
}

// blockOf holds the block that observations carry against the answer, written back as the answer writes it.
func blockOf(t *testing.T, result json.RawMessage, h *header) {
	t.Helper()
	b, err := h.block(7)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "number", hexNumber(b.Height), result, "number")
	same(t, "hash", b.Hash, result, "hash")
	same(t, "parent", b.Parent, result, "parentHash")
	same(t, "time", hexNumber(b.Time/1000), result, "timestamp")
	same(t, "gas used", hexNumber(b.GasUsed), result, "gasUsed")
	same(t, "gas limit", hexNumber(b.GasLimit), result, "gasLimit")
	same(t, "size", hexNumber(b.Size), result, "size")
	if h.BlobGas != "" {
		same(t, "blob gas", hexNumber(b.Blobs.Used), result, "blobGasUsed")
		same(t, "excess blob gas", hexNumber(b.Blobs.Excess), result, "excessBlobGas")
	} else if b.Blobs != nil {
		t.Errorf("blob gas %+v of a block that has none", *b.Blobs)
	}
	if d, err := strconv.ParseInt(string(h.Difficulty), 0, 64); err != nil || d >= leastWork && b.Difficulty != float64(d) || d < leastWork && b.Difficulty != 0 {
		t.Errorf("difficulty %s read as %v", h.Difficulty, b.Difficulty)
	}
	if b.Txs == nil || *b.Txs != int64(*h.Transactions) {
		t.Errorf("transactions %v", b.Txs)
	}
	if h.BaseFee == "" {
		if b.BaseFee != nil {
			t.Errorf("base fee %v of a block that has none", *b.BaseFee)
		}
		return
	}
	sameWei(t, "base fee", string(h.BaseFee), b.BaseFee)
}

func same(t *testing.T, what, got string, result json.RawMessage, field string) {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(result, &all); err != nil || all[field] != got {
		t.Errorf("%s is %s, the answer says %v", what, got, all[field])
	}
}

// sameWei: gwei as a float64 gives back the very number of wei, as far as 2^53 wei.
func sameWei(t *testing.T, what, hex string, f *float64) {
	t.Helper()
	if f == nil {
		t.Errorf("%s %s was not read", what, hex)
	} else if back := hexNumber(int64(math.Round(*f * 1e9))); back != hex {
		t.Errorf("%s %s came back as %s", what, hex, back)
	}
}
