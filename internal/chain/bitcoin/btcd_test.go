package bitcoin

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
	"github.com/tocsin-ops/tocsin/internal/chain/loopback"
)

// btcd is a real node on simnet that mines to one address; the program is what internal/e2e/tools.sh installs.
type btcd struct {
	t    *testing.T
	url  string
	p2p  string
	http *http.Client
}

func startBtcd(t *testing.T, payee string, more ...string) *btcd {
	t.Helper()
	program, err := exec.LookPath("btcd")
	if err != nil {
		program, err = filepath.Abs("../../e2e/.cache/bin/btcd")
		if _, serr := os.Stat(program); err != nil || serr != nil {
			t.Log("btcd is not installed (bash internal/e2e/tools.sh btcd): what needs a real node was not tried")
			return nil
		}
	}
	rpc, p2p, dir := loopback.Free(t), loopback.Free(t), t.TempDir()
	cmd := exec.Command(program, append([]string{"--configfile=/dev/null", "--simnet", "--datadir=" + dir, "--logdir=" + dir + "/log", "--rpcuser=u", "--rpcpass=p",
		"--rpclisten=" + rpc, "--listen=" + p2p, "--notls", "--miningaddr=" + payee}, more...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := &btcd{t: t, url: "http://u:p@" + rpc, p2p: p2p, http: dial.Client(60 * time.Second)}
	t.Cleanup(func() {
		b.http.CloseIdleConnections()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for limit := time.Now().Add(60 * time.Second); dial.Call(context.Background(), b.http, b.url, "getblockcount", nil, nil) != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("btcd does not answer")
		}
	}
	return b
}

func (b *btcd) do(out any, method string, params ...any) {
	b.t.Helper()
	err := dial.Call(context.Background(), b.http, b.url, method, params, out)
	if err != nil && !(out == nil && strings.Contains(err.Error(), "JSON-RPC")) { // a null result
		b.t.Fatal(err)
	}
}

// mine makes blocks and gives them to the others.
func (b *btcd) mine(n int, others ...*btcd) []string {
	b.t.Helper()
	var hashes []string
	b.do(&hashes, "generate", n)
	for _, hash := range hashes {
		var raw string
		b.do(&raw, "getblock", hash, 0)
		for _, o := range others {
			o.do(nil, "submitblock", raw)
		}
	}
	return hashes
}

// TestRealNodeOneCoinbase: on a real chain one miner makes every block, and another one a branch that takes four of them back: the sign says who, with
// a node that keeps no index of transactions and with one that does.
func TestRealNodeOneCoinbase(t *testing.T) {
	const honest, evil = "rqTMJDfpq2kCv6VQbPDqP1opgLBeMRrasV", "sb1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq2cwzcu"
	for name, more := range map[string][]string{"without an index": nil, "with an index": {"--txindex"}} {
		t.Run(name, func(t *testing.T) {
			a := startBtcd(t, honest, more...)
			if a == nil {
				return
			}
			b := startBtcd(t, evil)
			tip := a.mine(30, b)[29]
			w := watch(t, Config{URL: a.url, ChainID: "simnet"})
			w.mon = chain.NewMonitor(chain.Config{Chain: "btc", Family: chain.Bitcoin, ChainID: "simnet", Nodes: []string{"a"}, Interval: 600_000, Confirmations: 6})
			w.until("the head", head(tip))
			named := func() map[string]int { // blocks by maker, of all that was told
				by := map[string]string{}
				for _, o := range w.seen {
					for _, m := range o.Miners {
						by[m.Hash] = m.Miner
					}
				}
				out := map[string]int{}
				for _, miner := range by {
					out[miner]++
				}
				return out
			}
			w.until("everybody's name", func(chain.Observation) bool { return named()[honest] >= 30 })
			if n := named(); len(n) != 1 {
				t.Errorf("%v", n)
			}
			a.mine(4)
			w.until("their makers", func(chain.Observation) bool { return named()[honest] >= 34 })
			tip = b.mine(6, a)[5]
			w.until("the branch", head(tip))
			w.until("its makers", func(chain.Observation) bool { return named()[evil] >= 6 })
			if v := w.mon.View(0); len(v.Reorgs) == 0 || v.Reorgs[0].Ancestor.Height != 30 {
				t.Fatalf("%+v", v.Reorgs)
			}
			said := ""
			for _, f := range w.find {
				if f.Kind == chain.FindingAttack {
					said = f.Reason
				}
			}
			if !strings.Contains(said, "blocks of the branch are by "+chain.Short(evil)+", who made 0 of the 30 before") {
				t.Errorf("the sign says %q", said)
			}
			if v := w.mon.View(0); v.HashRate == nil || *v.HashRate <= 0 {
				t.Error("no hash rate")
			}
		})
	}
}
