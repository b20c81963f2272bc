package chain

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestWhatNodesMaySay: whatever CometBFT and Solana nodes say, findings open before they end, samples are in the table and are numbers, what is
// kept stays bounded, and a monitor that is cut at any point and restored says the same.
func TestWhatNodesMaySay(t *testing.T) {
	series := map[string]bool{}
	for _, s := range AllSeries {
		series[s.Name] = true
	}
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{Chain: "x", Family: rapid.SampledFrom([]Family{Comet, Solana}).Draw(t, "family"), Nodes: []string{"a", "b"}, Interval: 1000,
			Watch: rapid.SliceOfN(rapid.SampledFrom([]string{"V1", "V2", "V9"}), 0, 2).Draw(t, "watch")}
		odd := rapid.SampledFrom([]int64{math.MinInt64, -1, 0, 1, 4, 50, 100, 200, 1 << 40, math.MaxInt64})
		share := rapid.SampledFrom([]float64{-1, 0, 0.2, 0.5, 1, 1e300, 1e-300})
		who := rapid.SliceOfN(rapid.SampledFrom([]string{"", "V1", "V2", "V3"}), 0, 4)
		m, open, at, h := NewMonitor(cfg), map[string]bool{}, int64(1_000_000_000), int64(100)
		maybe := func(name string) bool { return rapid.Bool().Draw(t, name) }
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			at += rapid.SampledFrom([]int64{0, 1000, 1000, 15000, 600000}).Draw(t, "pass")
			h += rapid.SampledFrom([]int64{0, 1, 1, 3}).Draw(t, "rise")
			b := Block{Height: h, Hash: fmt.Sprint("H", h), Parent: fmt.Sprint("H", h-1), Time: at}
			o := Observation{At: at, Node: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "node"), Head: &b, State: rapid.SampledFrom([]NodeState{Up, Up, Down, Syncing}).Draw(t, "state"), Reason: "It said so.",
				Kind: rapid.SampledFrom([]Kind{KindHead, KindHead, KindComet, KindComet, KindSolana, KindSolana, KindState}).Draw(t, "kind"), Comet: &CometSaid{}, Solana: &SolanaSaid{}}
			c, s := o.Comet, o.Solana
			if maybe("set") {
				for _, a := range who.Draw(t, "set") {
					c.Validators = append(c.Validators, Validator{Address: a, Power: odd.Draw(t, "power")})
				}
			}
			if maybe("round") {
				c.Round = &CometRound{Height: h + 1, Round: odd.Draw(t, "r"), Step: odd.Draw(t, "step"), Prevotes: share.Draw(t, "pv"), Precommits: share.Draw(t, "pc"), Absent: who.Draw(t, "abs")}
			}
			if maybe("commit") {
				c.Commit = &CometCommit{Height: rapid.SampledFrom([]int64{h - 1, h - 1, -5, 1 << 62}).Draw(t, "ch"), Missed: who.Draw(t, "missed")}
				if maybe("evidence") {
					c.Commit.Evidence = []Evidence{{Kind: "DuplicateVote", Height: odd.Draw(t, "eh"), Validators: who.Draw(t, "ev")}}
				}
			}
			if maybe("slashing") {
				c.Slashing = &CometSlashing{Window: odd.Draw(t, "w"), MinSigned: share.Draw(t, "min"), Infos: []CometSigning{{Address: "V1", Missed: odd.Draw(t, "m"), JailedUntil: odd.Draw(t, "j"), Tombstoned: maybe("t")}}}
				c.Upgrade = &CometUpgrade{Height: rapid.SampledFrom([]int64{0, h, h + 1, -1, math.MaxInt64}).Draw(t, "plan")}
			}
			if maybe("slots") {
				s.Slots = &SolanaSlots{Processed: odd.Draw(t, "p"), Finalized: odd.Draw(t, "f"), Index: odd.Draw(t, "i"), Length: odd.Draw(t, "l"), Time: odd.Draw(t, "time")}
				s.Health = &SolanaHealth{Behind: odd.Draw(t, "behind")}
			}
			if maybe("stake") {
				s.Stake = &SolanaStake{Active: share.Draw(t, "act"), Delinquent: share.Draw(t, "del"), Watched: []SolanaVote{{Identity: "V1", Known: maybe("k"), Delinquent: maybe("d"), LastVote: odd.Draw(t, "lv")}}}
			}
			if maybe("production") {
				s.Production = &SolanaProduction{First: odd.Draw(t, "first"), Last: odd.Draw(t, "last"), Leader: odd.Draw(t, "leader"), Produced: odd.Draw(t, "produced")}
				s.Performance = &SolanaPerformance{Slot: odd.Draw(t, "ps"), Slots: odd.Draw(t, "pn"), Period: odd.Draw(t, "pp"), Txs: odd.Draw(t, "ptx"), NonVote: odd.Draw(t, "pnv")}
			}
			for _, out := range []Outcome{m.Observe(o), m.Tick(at + 100)} {
				for _, f := range out.Findings {
					if !f.Firing && !open[f.Key] {
						t.Fatalf("%s ended without being open", f.Key)
					}
					if open[f.Key] = f.Firing; f.Since > f.At || f.Reason == "" || f.Title == "" || !json.Valid(f.Evidence) {
						t.Fatalf("bad finding %+v", f)
					}
				}
				for _, s := range out.Samples {
					if !series[s.Name] || math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
						t.Fatalf("sample %+v", s)
					}
				}
			}
			w := &m.comet
			if len(w.Set) > setMost || len(w.Shares) > sharesKept || len(w.Told) > toldKept || len(w.Runs) > setMost || len(w.Proofs) > proofsMost {
				t.Fatalf("it grows: %+v", w)
			}
			raw, err := m.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			next := NewMonitor(cfg)
			if err := next.UnmarshalBinary(raw); err != nil {
				t.Fatal(err)
			}
			if again, _ := next.MarshalBinary(); string(again) != string(raw) {
				t.Fatalf("saved %s\nthen %s", raw, again)
			}
			if !slices.Equal(m.Open(), next.Open()) {
				t.Fatalf("%v, then %v", m.Open(), next.Open())
			}
			m = next
		}
	})
}
