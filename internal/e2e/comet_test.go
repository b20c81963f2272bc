package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// cometNode is one validator of a real CometBFT network.
type cometNode struct {
	rpc
	home, port, p2p, peers string
	run                    *child
}

// startComet makes a network of validators of equal power with the kvstore application, a block every half second.
func startComet(t testing.TB, validators int) []*cometNode {
	t.Helper()
	path, dir := tool(t, "cometbft"), t.TempDir()
	say := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(path, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("cometbft %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	say("testnet", "--v", strconv.Itoa(validators), "--o", dir, "--populate-persistent-peers=false")
	var all []*cometNode
	var peers []string
	for i := range validators {
		n := &cometNode{home: filepath.Join(dir, fmt.Sprint("node", i)), port: freePort(t), p2p: freePort(t)}
		n.rpc = rpc{t: t, url: "http://127.0.0.1:" + n.port}
		peers = append(peers, say("show-node-id", "--home", n.home)+"@127.0.0.1:"+n.p2p)
		file := filepath.Join(n.home, "config", "config.toml")
		raw, err := os.ReadFile(file)
		must(t, err)
		must(t, os.WriteFile(file, []byte(strings.Replace(string(raw), `timeout_commit = "1s"`, `timeout_commit = "500ms"`, 1)), 0o600))
		all = append(all, n)
	}
	for _, n := range all {
		n.peers = strings.Join(peers, ",")
		n.up()
	}
	return all
}

func (n *cometNode) up() {
	n.t.Helper()
	n.run = spawn(n.t, "cometbft", tool(n.t, "cometbft"), nil, "start", "--home", n.home, "--proxy_app=kvstore", "--log_level=error",
		"--rpc.laddr", "tcp://127.0.0.1:"+n.port, "--p2p.laddr", "tcp://127.0.0.1:"+n.p2p, "--p2p.persistent_peers", n.peers)
	until(n.t, "cometbft answers", patience, func() (bool, string) {
		err := n.try("health", nil, nil)
		return err == nil, fmt.Sprint(err)
	})
}

func (n *cometNode) height() int64 {
	n.t.Helper()
	var s struct {
		Sync struct {
			Height string `json:"latest_block_height"`
		} `json:"sync_info"`
	}
	n.do("status", &s)
	h, _ := strconv.ParseInt(s.Sync.Height, 10, 64)
	return h
}

// follows waits until tocsin has the head of a node that goes on by itself, and it is above a height.
func (s *tocsin) follows(chain string, n *cometNode, atLeast int64) {
	s.t.Helper()
	until(s.t, fmt.Sprintf("the head of %s is followed, above %d", chain, atLeast), 2*patience, func() (bool, string) {
		for _, c := range s.chains() {
			if c.Chain == chain {
				there := n.height()
				return c.Height >= atLeast && c.Height >= there-4, fmt.Sprint(c.Height, " of ", there)
			}
		}
		return false, "no such chain"
	})
}

// TestCometHaltIsAnIncident: of four validators one stops and is named; a second one stops and the chain stands, as two nodes say; that is an
// incident; both come back and all of it is over.
func TestCometHaltIsAnIncident(t *testing.T) {
	net := startComet(t, 4)
	for _, n := range net {
		until(t, "everybody takes part", 2*patience, func() (bool, string) { h := n.height(); return h >= 20, fmt.Sprint(h) })
	}
	s := start(t, "chains:\n"+watched("hub", "comet", net[0].url, net[1].url))
	s.follows("hub", net[0], 30) // its pace is known
	for _, g := range s.signals() {
		if !slices.Contains([]string{"stall", "consensus", "unreachable", "lag"}, g.Kind) { // these go by the clock: a machine that stood still makes them true
			t.Errorf("a signal of a chain that is well: %+v", g)
		}
	}

	net[3].run.kill()
	missing := s.finding("hub", "validator_missing", "open", 2*patience)
	if !strings.Contains(missing.Reason, "blocks in a row, from height") {
		t.Errorf("%+v", missing)
	}
	power := s.finding("hub", "power_missing", "open", patience)
	if !strings.Contains(power.Reason, "25.0 % of the voting power") {
		t.Errorf("%+v", power)
	}
	halted := time.Now()
	net[2].run.kill()
	stuck := s.finding("hub", "consensus", "open", 2*patience)
	t.Logf("two of four validators gone: told after %s", time.Since(halted).Round(100*time.Millisecond))
	until(t, "both nodes tell who is not heard", 2*patience, func() (bool, string) { // the second one may come a moment later, and a reason is told anew at most once a minute
		stuck = s.finding("hub", "consensus", "open", patience)
		for _, want := range []string{"50.0 % of the voting power was heard", "Not heard: ", "2 of 2 nodes say so."} {
			if !strings.Contains(stuck.Reason, want) {
				return false, fmt.Sprintf("%q does not say %q", stuck.Reason, want)
			}
		}
		return true, ""
	})
	s.finding("hub", "stall", "open", patience)
	until(t, "the halt is an incident", patience, func() (bool, string) {
		stuck = s.finding("hub", "consensus", "open", patience)
		return stuck.Incident != 0, fmt.Sprintf("%+v", stuck)
	})

	stood := net[0].height()
	net[2].up()
	net[3].up()
	for _, kind := range []string{"consensus", "stall", "power_missing", "validator_missing"} {
		s.finding("hub", kind, "cleared", 2*patience)
	}
	s.follows("hub", net[0], stood+5)
	until(t, "nothing is open any more", 2*patience, func() (bool, string) { // one that catches up late may have missed blocks once more
		var left []string
		for _, g := range s.signals() {
			if g.State != "cleared" {
				left = append(left, g.Kind+" "+g.Subject+": "+g.Reason)
			}
		}
		return len(left) == 0, strings.Join(left, "; ")
	})
}

// TestCometKeyUsedTwice: a second process signs with a validator's key; the proof is in a block soon, and is told with the validator's address.
func TestCometKeyUsedTwice(t *testing.T) {
	net := startComet(t, 4)
	s := start(t, "chains:\n"+watched("hub", "comet", net[1].url, net[2].url))
	s.follows("hub", net[1], 2)
	var own struct {
		Info struct{ Address string } `json:"validator_info"`
	}
	net[0].do("status", &own)

	thief := &cometNode{home: t.TempDir(), port: freePort(t), p2p: freePort(t), peers: net[0].peers}
	thief.rpc = rpc{t: t, url: "http://127.0.0.1:" + thief.port}
	if out, err := exec.Command(tool(t, "cometbft"), "init", "--home", thief.home).CombinedOutput(); err != nil {
		t.Fatalf("cometbft init: %v: %s", err, out)
	}
	for _, file := range []string{"genesis.json", "priv_validator_key.json", "config.toml"} {
		raw, err := os.ReadFile(filepath.Join(net[0].home, "config", file))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(thief.home, "config", file), raw, 0o600))
	}
	thief.up()
	f := s.finding("hub", "double_sign", "open", 4*patience)
	if f.Subject != own.Info.Address || !strings.Contains(f.Reason, "signed two blocks at height") {
		t.Errorf("%+v, want the address %s", f, own.Info.Address)
	}
}
