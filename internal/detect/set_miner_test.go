package detect_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// TestMinerIsPassedOn: a branch all by one miner who made none of the blocks before bears the signs of an attack, and what a chain's facts say of
// money, and of how long to wait, is used.
func TestMinerIsPassedOn(t *testing.T) {
	for _, miner := range []string{"0xattacker", ""} {
		s := newStage(t, detect.Setup{Chains: []detect.ChainFacts{{Name: "etc", Family: "evm", ChainID: "61", Wait: 30_000, OpenDeposits: 5e6}}})
		at := begin
		tell := func(h int64, branch, on, miner string) {
			for _, n := range []string{"a", "b"} {
				s.see(observation.Observation{At: at, Kind: observation.Block, Chain: "etc", Node: n, Height: h, Hash: fmt.Sprint(branch, h), Parent: fmt.Sprint(on, h-1), Miner: miner,
					Time: new(observation.Time(at))})
			}
		}
		for h := int64(1); h < 200; h++ {
			at += 13 * second
			tell(h, "x", "x", fmt.Sprint("0xpool", h%7))
		}
		on := "x"
		for h := int64(190); h < 206; h++ {
			at += second / 4
			tell(h, "y", on, miner)
			on = "y"
		}
		var attack chain.Finding
		for _, f := range s.all {
			if f.Kind == chain.FindingAttack && f.Firing {
				attack = f
			}
		}
		if told := strings.Contains(attack.Reason, "are by 0xattacker"); told != (miner != "") {
			t.Errorf("miner %q: %s\n%s", miner, attack.Reason, strings.Join(s.lines, "\n"))
		}
	}
	s := newStage(t, detect.Setup{VerificationWait: 50_000, Chains: []detect.ChainFacts{{Name: "own", Nodes: []string{"a", "b"}, Wait: 20_000}, {Name: "other", Nodes: []string{"a", "b"}}}})
	at := begin
	for h := int64(1); h < 40; h++ {
		at += 12 * second
		for _, c := range []string{"own", "other"} {
			for _, n := range []string{"a", "b"} {
				s.see(observation.Observation{At: at, Kind: observation.Block, Chain: c, Node: n, Height: h, Hash: fmt.Sprint("x", h), Parent: fmt.Sprint("x", h-1)})
			}
		}
	}
	for _, c := range []string{"own", "other"} {
		for h := int64(36); h < 42; h++ {
			p := fmt.Sprint("y", h-1)
			if h == 36 {
				p = "x35"
			}
			s.see(observation.Observation{At: at, Kind: observation.Block, Chain: c, Node: "a", Height: h, Hash: fmt.Sprint("y", h), Parent: p})
		}
	}
	s.take(s.set.Tick(at + 120*second))
	for c, want := range map[string]string{"own": " No second node has confirmed it within 20 s.", "other": " No second node has confirmed it within 50 s."} {
		found := false
		for _, f := range s.all {
			found = found || f.Chain == c && f.Kind == chain.FindingReorg && f.Verification == chain.Waited && strings.HasSuffix(f.Reason, want)
		}
		if !found {
			t.Errorf("%s: no reorg that ends with %q\n%s", c, want, strings.Join(s.lines, "\n"))
		}
	}
}
