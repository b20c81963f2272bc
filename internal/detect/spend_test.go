package detect_test

import (
	"fmt"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

func spend(at int64, node, tx, where, block string, inputs ...string) observation.Observation {
	return observation.Observation{At: at, Kind: observation.Spend, Chain: "c", Node: node, Tx: tx, Where: where, Block: block, Inputs: inputs}
}

func undone(o observation.Observation) observation.Observation { o.Removed = true; return o }

func newSpends() detect.Heuristic { return detect.NewSpends(detect.Config{}) }

// TestDoubleSpendAcrossAReorg: the deposit's block leaves the chain, another transaction waits for the same coin, and is mined on the new branch.
func TestDoubleSpendAcrossAReorg(t *testing.T) {
	const m = 60_000
	play(t, newSpends, []step{
		{"seen waiting", spend(0, "n1", "t1", "pool", "", "a:0", "a:1"), nil, ""},
		{"mined", spend(m, "n1", "t1", "chain", "B1", "a:0", "a:1"), nil, ""},
		{"mined at the other node", spend(m+1, "n2", "t1", "chain", "B1", "a:0", "a:1"), nil, ""},
		{"taken back by one", undone(spend(2*m, "n1", "t1", "chain", "B1", "a:0", "a:1")), nil, ""},
		{"the rival waits", spend(2*m+1000, "n1", "t2", "pool", "", "a:0", "b:7"), nil, ""},
		{"taken back by all", undone(spend(2*m+2000, "n2", "t1", "chain", "B1", "a:0", "a:1")), []string{"opened SEV2 c/double_spend/t1"}, "waits to spend the same"},
		{"the rival is mined", spend(2*m+5000, "n2", "t2", "chain", "C1", "a:0", "b:7"), []string{"updated SEV1 c/double_spend/t1"}, "stop credits"},
		{"at both", spend(2*m+6000, "n1", "t2", "chain", "C1", "a:0", "b:7"), nil, ""},
		{"a day", tick(26 * 60 * m), []string{"over c/double_spend/t1"}, "stayed there"},
		{"mined again and again, without conflict", spend(27*60*m, "n1", "t9", "chain", "B1", "z:0"), nil, ""},
		{"a reorg without conflict", undone(spend(27*60*m+1000, "n1", "t9", "chain", "B1", "z:0")), nil, ""},
		{"is none", spend(27*60*m+2000, "n1", "t9", "chain", "C1", "z:0"), nil, ""},
	})
}

// TestDoubleSpendReverted: the old branch becomes the chain again.
func TestDoubleSpendReverted(t *testing.T) {
	const m = 60_000
	play(t, newSpends, []step{
		{"mined", spend(0, "", "t1", "chain", "B1", "0xAA#5"), nil, ""},
		{"another of the same nonce is mined without a word of the reorg", spend(m, "", "t2", "chain", "C1", "0xaa#5"), []string{"opened SEV1 c/double_spend/t1"}, "Nonce 5 of 0xaa"},
		{"back", spend(2*m, "", "t1", "chain", "B1", "0xAA#5"), nil, ""},
		{"it holds", tick(13 * m), []string{"over c/double_spend/t1"}, "since reverted"},
	})
}

// TestTwoBranches: two nodes have different transactions in their chains.
func TestTwoBranches(t *testing.T) {
	play(t, newSpends, []step{
		{"one", spend(0, "n1", "t1", "chain", "B1", "a:0"), nil, ""},
		{"other", spend(1000, "n2", "t2", "chain", "C1", "a:0"), []string{"opened SEV1 c/double_spend/t1"}, "on different branches"},
	})
}

// TestReplacement: fee bumps are of the least severity; a deposit that was replaced in the pool is void.
func TestReplacement(t *testing.T) {
	const m = 60_000
	play(t, newSpends, []step{
		{"waits", spend(0, "n1", "t1", "pool", "", "a:0"), nil, ""},
		{"bumped", spend(m, "n1", "t2", "pool", "", "a:0"), []string{"opened SEV5 c/replacement/t1"}, "no payment before it is in a block"},
		{"again", spend(2*m, "n1", "t3", "pool", "", "a:0"), []string{"updated SEV5 c/replacement/t1"}, "t3"},
		{"the last is mined", spend(3*m, "n1", "t3", "chain", "B1", "a:0"), []string{"updated SEV4 c/replacement/t1"}, "the first is void"},
		{"an hour", tick(70 * m), []string{"over c/replacement/t1"}, ""},
		{"waits", spend(80*m, "n1", "u1", "pool", "", "b:0"), nil, ""},
		{"challenged", spend(81*m, "n1", "u2", "pool", "", "b:0"), []string{"opened SEV5 c/replacement/u1"}, ""},
		{"the first is mined", spend(82*m, "n1", "u1", "chain", "B2", "b:0"), []string{"over c/replacement/u1"}, "void"},
	})
}

// TestSpendsAreBounded: a flood of outpoints and of rivals is held within bounds, and what is contested now is still seen.
func TestSpendsAreBounded(t *testing.T) {
	h := newSpends()
	for i := range 150_000 {
		h.Observe(spend(int64(i), "n", fmt.Sprint("t", i), "pool", "", fmt.Sprint("o", i, ":0")))
	}
	for i := range 1000 {
		h.Observe(spend(200_000, "n", fmt.Sprint("r", i), "pool", "", "x:0"))
	}
	b, err := h.Save()
	if err != nil || len(b) > 30<<20 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if got := h.Observe(spend(300_000, "n", "late", "pool", "", "o149999:0")); len(got) == 0 || got[len(got)-1].Key != "c/replacement/t149999" {
		t.Errorf("%v", got)
	}
}
