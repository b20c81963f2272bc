package chain

import (
	"slices"
	"testing"
	"time"
)

// skipWindows are the differences of successive rows of the real recording (rpcpool/solana-epoch-256, MIT): 31 days of mainnet at the end of 2021,
// about 80 s apart, cumulative by epoch as a node tells them; or the four days of it that stand in the repository.
func skipWindows(t *testing.T, whole bool) (at []int64, windows []SolanaProduction) {
	var before SolanaProduction
	for i, r := range rows(t, "solana-skip-rate/validator_block_history_stats.csv.gz", whole) {
		if i == 0 {
			continue
		}
		when, err := time.Parse("2006-01-02 15:04:05 MST", r[9])
		if err != nil {
			t.Fatal(err)
		}
		now := SolanaProduction{First: num(r[3]), Last: num(r[4]), Leader: num(r[5]), Produced: num(r[6])}
		if now.First == before.First && now.Last > before.Last {
			at = append(at, when.UnixMilli())
			windows = append(windows, SolanaProduction{First: before.Last + 1, Last: now.Last, Leader: now.Leader - before.Leader, Produced: now.Produced - before.Produced})
		}
		before = now
	}
	return at, windows
}

// TestReplaySolanaSkips counts the findings of a month of real windows, and how soon a planted loss is found: a share of the leaders' slots goes
// empty for ten minutes, once every six hours from the second day on.
func TestReplaySolanaSkips(t *testing.T) {
	t.Run("piece", func(t *testing.T) { replaySolana(t, false) })
	t.Run("whole", func(t *testing.T) { replaySolana(t, true) })
}

func replaySolana(t *testing.T, whole bool) {
	at, windows := skipWindows(t, whole)
	if at == nil {
		return
	}
	play := func(lost float64) (opened []int, delays []int64, missed int) {
		m := NewMonitor(Config{Chain: "sol", Family: Solana, ChainID: "mainnet-beta", Nodes: []string{"a"}})
		m.Observe(Observation{Kind: KindHead, Node: "a", At: at[0], Head: &Block{Height: 1, Hash: "x"}})
		next, until := at[0]+24*3600000, int64(0)
		var began int64
		for i, w := range windows {
			if lost > 0 && at[i] >= next && at[i]-at[i-1] < 200000 {
				began, until, next = at[i-1], at[i]+600000, at[i]+6*3600000
			}
			if at[i] < until {
				w.Produced -= int64(lost * float64(w.Produced))
			}
			for _, f := range m.Observe(Observation{Kind: KindSolana, Node: "a", At: at[i], Solana: &SolanaSaid{Production: &w}}).Findings {
				if f.Kind != FindingSkipRate || !f.Firing {
					continue
				}
				if began > 0 && at[i] < until {
					delays, began = append(delays, (at[i]-began)/1000), 0
				} else if k := len(opened); k == 0 || i-opened[k-1] > 20 {
					opened = append(opened, i)
				}
			}
			if began > 0 && at[i] >= until {
				missed, began = missed+1, 0
			}
		}
		return opened, delays, missed
	}
	quiet, _, _ := play(0)
	t.Logf("%d windows over %.1f days: %d findings", len(windows), float64(at[len(at)-1]-at[0])/86400000, len(quiet))
	for _, i := range quiet {
		t.Logf("  %s: skipped %.0f %% of %d", time.UnixMilli(at[i]).UTC().Format("01-02 15:04"), 100*(1-float64(windows[i].Produced)/float64(windows[i].Leader)), windows[i].Leader)
	}
	if len(quiet) > 8 {
		t.Errorf("%d findings in a month without an incident", len(quiet))
	}
	if !whole && (len(windows) != 3606 || len(quiet) != 2) {
		t.Errorf("of the piece: %d windows, %d findings", len(windows), len(quiet))
	}
	found := map[float64][3]int64{0.2: {0, 12, -1}, 0.3: {2, 10, 342}, 0.4: {12, 0, 186}, 0.5: {12, 0, 186}} // of the piece: found, missed, seconds to the median
	for _, lost := range []float64{0.2, 0.3, 0.4, 0.5} {
		_, delays, missed := play(lost)
		slices.Sort(delays)
		median := int64(-1)
		if len(delays) > 0 {
			median = delays[len(delays)/2]
			t.Logf("%.0f %% of the blocks lost for 10 min: found %d, missed %d, after median %d s, slowest %d s", 100*lost, len(delays), missed, delays[len(delays)/2], delays[len(delays)-1])
		}
		if got := [3]int64{int64(len(delays)), int64(missed), median}; !whole && got != found[lost] {
			t.Errorf("%.0f %% of the piece: found, missed, median in s: %d, want %d", 100*lost, got, found[lost])
		}
		if lost >= 0.4 && (missed > 2 || median > 300 || median < 0) {
			t.Errorf("%.0f %%: %d missed, delays %v", 100*lost, missed, delays)
		}
	}
}
