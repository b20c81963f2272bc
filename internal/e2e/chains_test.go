package e2e

import (
	"fmt"
	"math/big"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/ethclient/simulated"
	"github.com/ethereum/go-ethereum/node"
)

// geth is go-ethereum's own simulated chain behind its real http and websocket RPC.
type geth struct {
	rpc
	chain    *simulated.Backend
	ws, http string
}

func startGeth(t testing.TB) *geth {
	t.Helper()
	ws, http := freePort(t), freePort(t)
	atoi := func(s string) int { n, _ := strconv.Atoi(s); return n }
	b := simulated.NewBackend(types.GenesisAlloc{common.HexToAddress("0x01"): {Balance: big.NewInt(1)}}, func(n *node.Config, _ *ethconfig.Config) {
		n.WSHost, n.WSPort, n.WSOrigins, n.WSModules = "127.0.0.1", atoi(ws), []string{"*"}, []string{"eth", "net", "txpool", "web3"}
		n.HTTPHost, n.HTTPPort, n.HTTPModules = "127.0.0.1", atoi(http), n.WSModules
	})
	t.Cleanup(func() { _ = b.Close() })
	return &geth{rpc: rpc{t: t, url: "http://127.0.0.1:" + http}, chain: b, ws: "ws://127.0.0.1:" + ws, http: "http://127.0.0.1:" + http}
}

// watched is a chain as the configuration file has it.
func watched(name, family string, nodes ...string) string {
	out := fmt.Sprintf("  - name: %s\n    family: %s\n    second_node_wait: 8s\n    nodes:\n", name, family) // a quarter of it with one node
	for i, n := range nodes {
		out += fmt.Sprintf("      - {name: %s, url: %q", []string{"alpha", "beta", "gamma"}[i], n)
		if family == "bitcoin" {
			out += ", user: u, password: p"
		}
		out += "}\n"
	}
	return out
}

// view is what the API tells of a chain.
type view struct {
	Chain  string
	Height int64
	Reorgs []struct {
		Depth    int
		AtLeast  bool `json:"at_least"`
		Ancestor struct {
			Height int64
			Hash   string
		}
	}
}

func (s *tocsin) chains() []view {
	s.t.Helper()
	var out struct{ Chains []view }
	s.api("GET", "/api/v1/chains", nil, &out)
	return out.Chains
}

// head waits until tocsin has this head of a chain.
func (s *tocsin) head(chain string, height int64) {
	s.t.Helper()
	until(s.t, fmt.Sprintf("head %d of %s", height, chain), patience, func() (bool, string) {
		for _, c := range s.chains() {
			if c.Chain == chain {
				return c.Height == height, fmt.Sprint(c.Height)
			}
		}
		return false, "no such chain"
	})
}

// finding waits for the newest signal of this kind on a chain to be in a state.
func (s *tocsin) finding(chain, kind, state string, within time.Duration) signal {
	s.t.Helper()
	var found signal
	took := until(s.t, fmt.Sprintf("%s: a %s signal is %s", chain, kind, state), within, func() (bool, string) {
		var all []string
		found = signal{}
		for _, g := range s.signals() {
			all = append(all, fmt.Sprintf("%s/%s %s (%s)", g.Chain, g.Kind, g.State, g.Reason))
			if g.Chain == chain && g.Kind == kind {
				found = g
			}
		}
		return found.State == state, strings.Join(all, "; ")
	})
	s.t.Logf("%s: %s %s after %s: %s | %s", chain, kind, state, took.Round(10*time.Millisecond), found.Title, found.Reason)
	return found
}

// TestReorgIsReportedWithDepthAndAncestor forces a reorg on each kind of node.
func TestReorgIsReportedWithDepthAndAncestor(t *testing.T) {
	g := startGeth(t)
	a := startAnvil(t)
	b1, b2 := startBtcd(t), startBtcd(t)
	s := start(t, "chains:\n"+watched("sim", "evm", g.ws)+watched("anvil", "evm", "ws://127.0.0.1:"+a.port)+watched("simnet", "bitcoin", b1.url))

	told := func(chain string, depth int, ancestor int64, hash string) {
		t.Helper()
		f := s.finding(chain, "reorg", "open", patience)
		if !strings.Contains(f.Title, fmt.Sprintf("reorg of %d blocks", depth)) {
			t.Errorf("%s: %q, want a depth of %d", chain, f.Title, depth)
		}
		if !strings.Contains(f.Reason, fmt.Sprintf("common ancestor %d ", ancestor)) {
			t.Errorf("%s: %q, want the ancestor %d", chain, f.Reason, ancestor)
		}
		until(t, fmt.Sprintf("%s: depth %d, ancestor %d %s", chain, depth, ancestor, hash), patience, func() (bool, string) {
			for _, c := range s.chains() {
				if c.Chain == chain && len(c.Reorgs) > 0 {
					r := c.Reorgs[0]
					return r.Depth == depth && !r.AtLeast && r.Ancestor.Height == ancestor && r.Ancestor.Hash == hash, fmt.Sprintf("%+v", r)
				}
			}
			return false, "no reorg"
		})
		if f.Incident == 0 {
			until(t, chain+": the reorg belongs to an incident", patience, func() (bool, string) {
				f = s.finding(chain, "reorg", "open", patience)
				return f.Incident != 0, ""
			})
		}
	}

	// geth: heads 1 to 6, then another branch from 3: depth 3, ancestor 3.
	var at []common.Hash
	for range 6 {
		at = append(at, g.chain.Commit())
	}
	s.head("sim", 6)
	must(t, g.chain.Fork(at[2]))
	for range 5 {
		g.chain.Commit()
	}
	s.head("sim", 8)
	told("sim", 3, 3, at[2].Hex())

	// anvil: anvil_reorg replaces the newest four.
	a.mine(9)
	s.head("anvil", 9)
	ancestor := a.block("0x5")
	a.do("anvil_reorg", nil, 4, []any{})
	told("anvil", 4, 5, ancestor.Hash)

	// btcd: two nodes share three blocks, mine apart, and meet again.
	b1.do("generate", nil, 3)
	b1.meets(b2)
	common3 := b1.hash(3)
	b1.parts(b2)
	b1.do("generate", nil, 2)
	b2.do("generate", nil, 5)
	s.head("simnet", 5)
	b1.meets(b2)
	s.head("simnet", 8)
	told("simnet", 2, 3, common3)
}

// TestNodeKilledAndBack: a node that dies is reported, and its return clears it.
func TestNodeKilledAndBack(t *testing.T) {
	b := startBtcd(t)
	g := startGeth(t)
	wire := newCable(t, strings.TrimPrefix(g.ws, "ws://"))
	g.chain.Commit()
	b.do("generate", nil, 2)
	s := start(t, "chains:\n"+watched("simnet", "bitcoin", b.url)+watched("sim", "evm", "ws://"+wire.addr(), g.http))
	s.head("simnet", 2)
	s.head("sim", 1)
	b.run.kill() // kill -9
	down := s.finding("simnet", "unreachable", "open", patience)
	if down.Subject == "" || !strings.Contains(down.Title, "alpha") {
		t.Errorf("it is not said which node: %+v", down)
	}
	wire.pull() // the connection is silent, and nobody is told
	quiet := s.finding("sim", "unreachable", "open", 2*patience)
	if !strings.Contains(quiet.Title, "alpha") {
		t.Errorf("it is not said which node: %+v", quiet)
	}
	b.up()
	s.finding("simnet", "unreachable", "cleared", patience)
	wire.plug()
	s.finding("sim", "unreachable", "cleared", patience)
	b.do("generate", nil, 1)
	s.head("simnet", b.height()) // btcd forgets its newest blocks when it is killed
}

// TestHaltedNodeIsAFinding: two nodes of one chain; one stands still while the
// other goes on, the second time on a branch of its own.
func TestHaltedNodeIsAFinding(t *testing.T) {
	b1, b2 := startBtcd(t), startBtcd(t)
	b1.do("generate", nil, 1)
	b1.meets(b2)
	s := start(t, "chains:\n"+watched("simnet", "bitcoin", b1.url, b2.url))
	s.head("simnet", 1)
	b1.parts(b2)
	for range 4 {
		b1.do("generate", nil, 1)
		s.head("simnet", b1.height())
	}
	kinds := []string{"halted", "lag"}
	var kind string
	until(t, "the node that stands still is a finding", 2*patience, func() (bool, string) {
		var all []string
		for _, g := range s.signals() {
			all = append(all, g.Kind+" "+g.Title)
			if g.State == "open" && slices.Contains(kinds, g.Kind) && strings.Contains(g.Title, "beta") {
				kind = g.Kind
			}
		}
		return kind == "halted", strings.Join(all, "; ")
	})
	s.finding("simnet", "halted", "open", patience)
	b1.meets(b2)
	s.finding("simnet", "halted", "cleared", 2*patience)

	// Now it halts on a block that the other does not have.
	b1.parts(b2)
	b2.do("generate", nil, 1)
	b1.do("generate", nil, 3)
	s.finding("simnet", "divergence", "open", 2*patience)
	b1.meets(b2)
	s.finding("simnet", "divergence", "cleared", 2*patience)
}

// TestHeadsOnTheWallWithinASecond: every block comes to the wall by itself; from the block to the wall is measured, and judged with TOCSIN_BENCH=1.
func TestHeadsOnTheWallWithinASecond(t *testing.T) {
	g := startGeth(t)
	a := startAnvil(t)
	b := startBtcd(t)
	s := start(t, "chains:\n"+watched("sim", "evm", g.ws, g.http)+watched("anvil", "evm", "ws://127.0.0.1:"+a.port)+watched("simnet", "bitcoin", b.url))
	v := s.enter("ana", "Ana")
	wall := desk(t, "wall", v.base, 1920, 1080)
	wall.open(v.wallLink("Test wall"))
	wall.live()
	height := map[string]int64{}
	mine := map[string]func(){
		"sim":    func() { g.chain.Commit() },
		"anvil":  func() { a.mine(1) },
		"simnet": func() { b.do("generate", nil, 1) },
	}
	for chain, block := range mine {
		block() // the first block finds the collectors warm
		height[chain]++
		s.head(chain, 1)
	}
	js[bool](wall, `(() => {
		window.shownAt = {};
		const look = () => { for (const c of document.querySelectorAll("#chains .chain")) {
			const key = c.id + "/" + c.querySelector(".chain-head-no").textContent.replace(/\D/g, "");
			window.shownAt[key] ??= Date.now();
		} };
		new MutationObserver(look).observe(document.querySelector("#main"), { subtree: true, childList: true, characterData: true });
		look();
		return true;
	})()`)
	const rounds = 12
	for _, chain := range []string{"sim", "anvil", "simnet"} {
		var took []time.Duration
		for range rounds {
			mine[chain]()
			height[chain]++
			there := time.Now().UnixMilli() // the block exists
			key := fmt.Sprintf("chain-%s/%d", chain, height[chain])
			wall.sees("has "+key, fmt.Sprintf("window.shownAt[%s]", quote(key)), patience)
			took = append(took, time.Duration(js[int64](wall, fmt.Sprintf("window.shownAt[%s]", quote(key)))-there)*time.Millisecond)
		}
		slices.Sort(took)
		late := 0
		for _, d := range took {
			if d > time.Second {
				late++
			}
		}
		t.Logf("%s: %d blocks, on the wall after median %s, slowest %s", chain, rounds, took[rounds/2], took[rounds-1])
		if os.Getenv("TOCSIN_BENCH") != "" && late > 1 { // a machine that does other things too must not fail the build
			t.Errorf("%s: %d of %d heads took more than a second: %v", chain, late, rounds, took)
		}
	}
}
