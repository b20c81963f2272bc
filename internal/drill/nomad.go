package drill

import (
	_ "embed"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
)

// The 382 withdrawals, from the public record; see nomad/PROVENANCE.md.
//
//go:embed nomad/withdrawals.csv
var nomadTable string

const (
	second = int64(1000)
	minute = 60 * second

	nomadFirst  = 31 * second // of the first withdrawals: 21:32:31 UTC
	nomadBlock  = 15_259_101  // their block
	nomadTVL    = 190_740_000 // dollars before
	nomadLength = 2*60*minute + 35*minute
	nomadLead   = 30 * minute
)

// nomad is the looting of the Nomad bridge. Real are the withdrawals (time, token, amount, dollars, beneficiary), the block number of the
// first ones, what the bridge held before, and the time of the team's message. Sources: XChainWatcher's data set (MIT); the block by the
// transactions themselves; the value before and after by Benzinga; the message by Finanzasnews. Invented are the other blocks (Ethereum
// had no fixed slots yet in August 2022; here it has, twelve seconds), and the moment and words of the public chatter, which is known only
// to have come before the second wave.
func nomad() Scenario {
	c := Chain{ID: "drill-ethereum", Name: "Ethereum (drill)", Family: chain.EVM, ChainID: "1", Nodes: []string{"drill-a", "drill-b"}}
	b := branch{scenario: "nomad", name: "main", first: nomadBlock, start: nomadFirst, slot: 12 * second, gasLimit: 30_000_000}
	length := int64(nomadLength)
	play := func(from, to int64) []iter.Seq[Step] {
		return []iter.Seq[Step]{b.heads(c, "drill-a", 350, from, to), b.heads(c, "drill-b", 900, from, to), ticks(5*second, from, to)}
	}
	return Scenario{
		Key: "nomad", Name: "Nomad bridge, 1 August 2022",
		Text: "A routine upgrade made the bridge accept any message, and hundreds of people copied the first thief's transaction. " +
			"The alarm can come twelve seconds after the first block; all the value lies in how fast somebody may pause.",
		Figures: [][2]string{
			{"First withdrawals", "1 Aug 2022, 21:32:31 UTC, block 15,259,101"},
			{"Last withdrawal", "2 Aug 2022, 00:04:13 UTC"},
			{"Withdrawals", "382, by 279 addresses"},
			{"Taken", "159.6 M$ of 190.7 M$"},
			{"Of exactly 202,440.725413 USDC", "275 withdrawals"},
			{"Between minute 60 and 90", "79 % of the loss"},
			{"Team's first message", "23:35 UTC, after 2 h 3 min"},
		},
		Began:   time.Date(2022, 8, 1, 21, 32, 0, 0, time.UTC).UnixMilli(),
		Length:  time.Duration(nomadLength) * time.Millisecond,
		Chains:  []Chain{c},
		Bridges: []detect.Bridge{{Slug: "nomad", Name: "Nomad bridge", Chain: c.ID, TVL: nomadTVL, Drill: true}},
		Lead:    merge(play(-nomadLead, 0)...),
		Steps: func(yield func(Step) bool) {
			parts := []iter.Seq[Step]{slices.Values(backfill(c, b, 0)), nomadFlows}
			parts = append(parts, play(0, length)...)
			merge(append(parts, injects(
				inject{2 * minute, "Support: three users ask whether the bridge is under maintenance; their transfers look odd."},
				inject{20 * minute, "The bridge's operator on call: “We see large WBTC withdrawals without matching deposits. Who may pause the contract?”"},
				inject{55 * minute, "Public chat: people post that anyone can copy the transaction, change the address and be paid."},
				inject{75 * minute, "Press: a journalist asks whether user funds are affected and when there will be a statement."},
				inject{2*60*minute + 3*minute, "23:35 UTC: the Nomad team writes that it is aware of the incident and investigating (this message is real, by time)."},
			))...)(yield)
		},
	}
}

// nomadFlows are the real withdrawals.
func nomadFlows(yield func(Step) bool) {
	for i, line := range strings.Split(strings.TrimSpace(nomadTable), "\n")[1:] {
		f := strings.Split(line, ",")
		seconds, _ := strconv.ParseInt(f[0], 10, 64)
		usd, _ := strconv.ParseFloat(f[3], 64) // empty where the record has no price
		at := nomadFirst + seconds*second
		if !yield(Step{At: at, Flow: &detect.Flow{At: at, Out: usd, ID: "nomad-" + strconv.Itoa(i+1), Token: f[1], Amount: f[2], Party: f[4]}}) {
			return
		}
	}
}

type inject struct {
	at   int64
	text string
}

func injects(list ...inject) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		for _, i := range list {
			if !yield(Step{At: i.at, Inject: "Inject: " + i.text}) {
				return
			}
		}
	}
}

// backfill lets every node tell its present head with the hour's headers below it, as a collector does when it begins.
func backfill(c Chain, b branch, at int64) []Step {
	var out []Step
	for _, n := range c.Nodes {
		s := b.head(c, n, b.at(at), 0, 60)
		s.At, s.Observation.At = at, at
		s.Observation.How = chain.Polled
		out = append(out, s)
	}
	return out
}
