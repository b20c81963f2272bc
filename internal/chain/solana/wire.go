package solana

import (
	"cmp"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// clusters are the public ones by the hash of their genesis block (anza-xyz/agave docs/src/clusters/available.md).
var clusters = map[string]string{
	"5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d": "mainnet-beta",
	"4uhcVJyU9pJkvQyS88uRDiswHXSCkY3zQawwpjk2NsNY": "testnet",
	"EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG": "devnet",
}

// cluster is the name of a cluster as configured and shown, or the genesis hash of one that has none.
func cluster(genesis string) string {
	if name, ok := clusters[genesis]; ok {
		return name
	}
	return clip(genesis)
}

type latest struct {
	Context struct {
		Slot int64 `json:"slot"`
	} `json:"context"`
	Value struct {
		Hash string `json:"blockhash"`
	} `json:"value"`
}

type epoch struct {
	Epoch  int64 `json:"epoch"`
	Index  int64 `json:"slotIndex"`
	Length int64 `json:"slotsInEpoch"`
}

type voteAccount struct {
	Vote     string `json:"votePubkey"`
	Identity string `json:"nodePubkey"`
	Stake    uint64 `json:"activatedStake"` // lamports
	LastVote int64  `json:"lastVote"`
}

type votes struct {
	Current    []voteAccount `json:"current"`
	Delinquent []voteAccount `json:"delinquent"`
}

// stake sums the vote accounts. A watched validator that has none is told as unknown.
func (v *votes) stake(watches func(voteAccount) (string, bool), all []string) chain.SolanaStake {
	var s chain.SolanaStake
	seen := map[string]bool{}
	add := func(list []voteAccount, late bool) {
		for _, a := range list {
			sol := float64(a.Stake) / 1e9
			if s.Active += sol; a.Stake > 0 {
				s.Voters++
			}
			if late && a.Stake > 0 {
				s.Late++
				s.Delinquent += sol
			}
			if id, ok := watches(a); ok && !seen[id] {
				seen[id] = true
				s.Watched = append(s.Watched, chain.SolanaVote{Identity: id, Known: true, Delinquent: late, LastVote: a.LastVote, Stake: sol})
			}
		}
	}
	add(v.Current, false)
	add(v.Delinquent, true)
	for _, id := range all {
		if !seen[id] {
			s.Watched = append(s.Watched, chain.SolanaVote{Identity: id})
		}
	}
	return s
}

type production struct {
	Value struct {
		By    map[string][2]int64 `json:"byIdentity"` // leader slots, blocks
		Range struct {
			First int64 `json:"firstSlot"`
			Last  int64 `json:"lastSlot"`
		} `json:"range"`
	} `json:"value"`
}

func (p *production) sum() chain.SolanaProduction {
	out := chain.SolanaProduction{First: p.Value.Range.First, Last: p.Value.Range.Last}
	for _, x := range p.Value.By {
		out.Leader += x[0]
		out.Produced += x[1]
	}
	return out
}

type performance struct {
	Slot     int64  `json:"slot"`
	Slots    int64  `json:"numSlots"`
	Txs      int64  `json:"numTransactions"`
	Period   int64  `json:"samplePeriodSecs"`
	NonVotes *int64 `json:"numNonVoteTransactions"` // since 1.15
	NonVote  *int64 `json:"numNonVoteTransaction"`  // as its documentation spells it
}

func (p performance) sample() chain.SolanaPerformance {
	out := chain.SolanaPerformance{Slot: p.Slot, Slots: p.Slots, Period: p.Period, Txs: p.Txs, NonVote: -1}
	if n := cmp.Or(p.NonVotes, p.NonVote); n != nil {
		out.NonVote = *n
	}
	return out
}

type member struct {
	Version *string `json:"version"`
}

const versionsMost = 16

// census counts the nodes of the cluster by version; rare versions go under "other".
func census(list []member) chain.SolanaCluster {
	count := map[string]int{}
	for _, m := range list {
		v := "unknown"
		if m.Version != nil {
			v = printable(*m.Version)
		}
		count[v]++
	}
	names := make([]string, 0, len(count))
	for v := range count {
		names = append(names, v)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(count[b]-count[a], cmp.Compare(a, b)) })
	out := chain.SolanaCluster{Nodes: len(list), Versions: map[string]int{}}
	for i, v := range names {
		if i >= versionsMost-1 {
			out.Versions["other"] += count[v]
		} else {
			out.Versions[v] = count[v]
		}
	}
	return out
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64]
	}
	return s
}

func printable(s string) string {
	out := []rune{}
	for _, r := range s {
		if r >= ' ' && r != 0x7f && len(out) < 40 {
			out = append(out, r)
		}
	}
	return string(out)
}
