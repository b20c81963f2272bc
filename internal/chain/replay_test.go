package chain

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// pieces of the public records stand in the repository (internal/detect/testdata/records/PROVENANCE.md).
var pieces = map[string]string{
	"eth-pow-blocks-2021/timestamp_csv.csv.gz":              "ethereum_blocks.csv.gz",
	"bitcoin-block-arrival/darosior_node0.csv.gz":           "bitcoin_arrivals.csv.gz",
	"solana-skip-rate/validator_block_history_stats.csv.gz": "solana_skips.csv.gz",
}

// rows reads a table of the public records: the piece that stands in the repository, or, with whole, all of it where TOCSIN_SHARED says; nil when
// that is not at hand.
func rows(t *testing.T, name string, whole bool) [][]string {
	file := filepath.Join("..", "detect", "testdata", "records", pieces[name])
	if whole {
		dir := os.Getenv("TOCSIN_SHARED")
		if dir == "" {
			t.Log("TOCSIN_SHARED is not set: the whole record is not played")
			return nil
		}
		file = filepath.Join(dir, "data", name)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	if filepath.Ext(name) == ".gz" {
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		r = csv.NewReader(z)
	}
	all, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// feedBlocks plays blocks into one node with a tick (and the head repeated) each step, and counts openings and ends by kind.
func feedBlocks(m *Monitor, blocks []Block, step int64) (opened, cleared map[string]int) {
	opened, cleared = map[string]int{}, map[string]int{}
	was := map[string]bool{}
	count := func(o Outcome) {
		for _, f := range o.Findings {
			switch open := was[f.Key]; {
			case f.Firing && !open:
				opened[f.Key]++
			case !f.Firing:
				cleared[f.Kind]++
			}
			was[f.Key] = f.Firing
		}
	}
	for i, b := range blocks {
		b.SeenAt = 0
		at := b.Time
		count(m.Observe(Observation{Kind: KindHead, Node: "a", At: at, Head: &b}))
		if i+1 < len(blocks) {
			for at += step; at < blocks[i+1].Time; at += step {
				count(m.Observe(Observation{Kind: KindHead, Node: "a", At: at, Head: &b}))
				count(m.Tick(at))
			}
		}
	}
	return opened, cleared
}

// TestReplayEthereumPoW: 33 days of real proof-of-work Ethereum (longest interval 141 s) give no stall; a piece of 5,000 blocks is played always.
func TestReplayEthereumPoW(t *testing.T) {
	t.Run("piece", func(t *testing.T) { replayEthereum(t, false) })
	t.Run("whole", func(t *testing.T) { replayEthereum(t, true) })
}

func replayEthereum(t *testing.T, whole bool) {
	all := rows(t, "eth-pow-blocks-2021/timestamp_csv.csv.gz", whole)
	if all == nil {
		return
	}
	var blocks []Block
	for _, r := range all[1:] {
		h, _ := strconv.ParseInt(r[0], 10, 64)
		at, _ := strconv.ParseInt(r[1], 10, 64)
		blocks = append(blocks, Block{Height: h, Hash: "h" + r[0], Parent: fmt.Sprint("h", h-1), Time: at * 1000})
	}
	for _, prior := range []int64{0, 13000} {
		m := NewMonitor(Config{Chain: "eth", Family: EVM, ChainID: "none", Nodes: []string{"a"}, Interval: prior})
		opened, _ := feedBlocks(m, blocks, 5000)
		v := m.View(0)
		t.Logf("prior %d: %d blocks, findings %v; expected interval %d, stall after %d, regular %t", prior, len(blocks), opened, v.Interval, v.StallAfter, v.Regular)
		if len(opened) != 0 || v.Regular || len(blocks) < 5000 {
			t.Errorf("%d blocks, false findings %v", len(blocks), opened)
		}
		if after := map[int64]int64{0: 143_555, 13000: 144_932}[prior]; !whole && (v.Height != 12967499 || v.StallAfter != after) {
			t.Errorf("at the end of the piece: height %d, stall after %d", v.Height, v.StallAfter)
		}
	}
}

// TestReplayBitcoinArrival: ten months of real arrivals at one node. Blocks that came twice at one height are the forks of the record; a
// silence over the threshold inside an unbroken run of heights is counted. A piece of three days with one such silence is played always.
func TestReplayBitcoinArrival(t *testing.T) {
	t.Run("piece", func(t *testing.T) { replayBitcoin(t, false) })
	t.Run("whole", func(t *testing.T) { replayBitcoin(t, true) })
}

func replayBitcoin(t *testing.T, whole bool) {
	all := rows(t, "bitcoin-block-arrival/darosior_node0.csv.gz", whole)
	if all == nil {
		return
	}
	var blocks []Block
	for _, r := range all {
		h, _ := strconv.ParseInt(r[0], 10, 64)
		at, _ := strconv.ParseInt(r[2], 10, 64)
		blocks = append(blocks, Block{Height: h, Hash: r[1], Time: at})
	}
	slices.SortStableFunc(blocks, func(a, b Block) int { return int(a.Time - b.Time) })
	first := map[int64]string{}
	broken, long := 0, 0
	kept := blocks[:0]
	for i, b := range blocks {
		if _, two := first[b.Height]; two {
			continue // the loser or the winner of a fork: the record does not say on which its child was built
		}
		first[b.Height] = b.Hash
		b.Parent = first[b.Height-1]
		if b.Parent == "" {
			b.Parent = "unknown"
			broken++
		}
		if i > 0 && b.Parent != "unknown" && b.Time-kept[len(kept)-1].Time > 5526204 {
			long++
		}
		kept = append(kept, b)
	}
	m := NewMonitor(Config{Chain: "btc", Family: Bitcoin, ChainID: "main", Nodes: []string{"a"}})
	opened, cleared := feedBlocks(m, kept, 60000)
	v := m.View(0)
	days := float64(kept[len(kept)-1].Time-kept[0].Time) / 86400000
	t.Logf("%d blocks over %.0f days, %d breaks in the record, %d silences over 92 min in it: stalls %d, cleared %v; expected interval %d, stall after %d",
		len(kept), days, broken, long, opened["btc/stall"], cleared, v.Interval, v.StallAfter)
	if got := opened["btc/stall"]; got > long+broken+6 || cleared[FindingStall] < 1 {
		t.Errorf("%d stalls", got)
	}
	if !whole && (opened["btc/stall"] != 1 || cleared[FindingStall] != 1 || len(opened) != 1 || len(kept) != 421 || long != 1) {
		t.Errorf("of the piece: %d blocks, %d silences, opened %v, cleared %v", len(kept), long, opened, cleared)
	}
}

// TestReplayStaleBlocks: every recorded stale block with its header is played as a branch that loses; one-block branches are routine, only
// branches of two and more become findings, with the depth of the branch.
func TestReplayStaleBlocks(t *testing.T) {
	all := rows(t, "bitcoin-stale-blocks/stale-blocks.csv", true) // its licence does not let a piece of it stand here
	if all == nil {
		return
	}
	type stale struct {
		height       int64
		hash, parent string
	}
	byHash := map[string]stale{}
	child := map[string]bool{}
	for _, r := range all[1:] {
		raw, err := hex.DecodeString(r[2])
		if err != nil || len(raw) != 80 {
			continue
		}
		prev := slices.Clone(raw[4:36])
		slices.Reverse(prev)
		h, _ := strconv.ParseInt(r[0], 10, 64)
		byHash[r[1]] = stale{h, r[1], hex.EncodeToString(prev)}
	}
	for _, s := range byHash {
		if _, ok := byHash[s.parent]; ok {
			child[s.parent] = true
		}
	}
	branches, deep := 0, 0
	for _, s := range byHash {
		if child[s.hash] {
			continue // not a tip
		}
		var branch []stale
		for x, ok := s, true; ok; x, ok = byHash[x.parent] {
			branch = append(branch, x)
		}
		slices.Reverse(branch)
		branches++
		m := NewMonitor(Config{Chain: "btc", Family: Bitcoin, ChainID: "main", Nodes: []string{"a"}})
		base := branch[0]
		at := int64(1000)
		see := func(h int64, hash, parent string) Outcome {
			at += 1000
			return m.Observe(Observation{Kind: KindHead, Node: "a", At: at, Head: &Block{Height: h, Hash: hash, Parent: parent, Time: at}})
		}
		see(base.height-1, base.parent, "below")
		for _, b := range branch {
			if o := see(b.height, b.hash, b.parent); len(o.Findings) > 0 {
				t.Fatalf("%v", o.Findings)
			}
		}
		for i := range len(branch) { // the winning branch is fed header by header, its tip as the head
			h := base.height + int64(i)
			parent := fmt.Sprint("w", h-1)
			if i == 0 {
				parent = base.parent
			}
			m.node("a").tree.Link(Block{Height: h, Hash: fmt.Sprint("w", h), Parent: parent})
		}
		h := base.height + int64(len(branch))
		o := see(h, fmt.Sprint("w", h), fmt.Sprint("w", h-1))
		v := m.View(0)
		if len(v.Reorgs) != 1 || v.Reorgs[0].Depth != len(branch) || v.Reorgs[0].Ancestor.Hash != base.parent {
			t.Fatalf("%d-block branch: %+v", len(branch), v.Reorgs)
		}
		if (len(o.Findings) == 1) != (len(branch) > 1) {
			t.Fatalf("%d-block branch: findings %v", len(branch), o.Findings)
		}
		if len(branch) > 1 {
			deep++
		}
	}
	t.Logf("%d stale branches with headers, %d of two or more blocks became findings", branches, deep)
	if branches < 500 {
		t.Errorf("only %d branches", branches)
	}
}
