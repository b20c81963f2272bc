package drill

import (
	"iter"
	"slices"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

const (
	polygonTip    = 39_599_624 // the last block of the branch that lost
	polygonDepth  = 157
	polygonSplit  = 5 * minute // 20:35 UTC, the last block that the explorer had
	polygonBack   = 30 * minute
	polygonLength = 34 * minute
	polygonLead   = 10 * minute
)

// polygon is the 157-block reorganisation of Polygon. Real are the block, the depth, the time of the last block on the explorer, the slot of
// two seconds and what the team said. Sources: GLEECBTC/coins issue 662 (block and depth, as Polygonscan listed them), Unchained (the
// explorer's last block, the statement). The list names one block and one depth; here the block is the last one of the losing branch.
// Invented are the two nodes, and that the second one comes back after 25 minutes: really some stood for more than two hours, and one
// provider was back within one.
func polygon() Scenario {
	c := Chain{ID: "drill-polygon", Name: "Polygon (drill)", Family: chain.EVM, ChainID: "137", Nodes: []string{"drill-a", "drill-b"}}
	lost := branch{scenario: "polygon-reorg", name: "lost", first: polygonTip, start: polygonSplit, slot: 2 * second, gasLimit: 30_000_000}
	const ancestor = polygonTip - polygonDepth
	won := branch{scenario: "polygon-reorg", name: "won", first: ancestor + 1, start: lost.time(ancestor + 1), slot: 2 * second, gasLimit: 30_000_000, below: &lost}
	// a crosses over two blocks after the split's end, with all it did not know
	cross := won.head(c, "drill-a", polygonTip+1, 400, polygonDepth)
	back := won.head(c, "drill-b", won.at(polygonBack), 900, won.at(polygonBack)-ancestor-1)
	return Scenario{
		Key: "polygon-reorg", Name: "Polygon reorg, 22 February 2023",
		Text: "Polygon replaced 157 blocks, more than five minutes of history, and the explorer and many providers stayed on the losing branch. " +
			"Deposits credited on it are gone: the question is what to stop, and which node to believe.",
		Figures: [][2]string{
			{"Block", "39,599,624"},
			{"Depth", "157 blocks"},
			{"Blocks every", "2 s, so 5.2 min of history"},
			{"Explorer's last block", "20:35 UTC"},
			{"Explorer and many providers behind", "more than 2 h"},
			{"Routine depth", "up to 32 blocks"},
		},
		Began:  time.Date(2023, 2, 22, 20, 30, 0, 0, time.UTC).UnixMilli(),
		Length: time.Duration(polygonLength) * time.Millisecond,
		Chains: []Chain{c},
		Lead:   merge(lost.heads(c, "drill-a", 400, -polygonLead, 0), lost.heads(c, "drill-b", 900, -polygonLead, 0), ticks(2*second, -polygonLead, 0)),
		Steps: func(yield func(Step) bool) {
			merge(
				slices.Values(backfill(c, lost, 0)),
				lost.heads(c, "drill-a", 400, 0, cross.At),
				slices.Values([]Step{cross}),
				won.heads(c, "drill-a", 400, cross.At+1, polygonLength),
				lost.heads(c, "drill-b", 900, 0, polygonSplit+second),
				standing(lost, c, "drill-b", polygonTip, polygonSplit+2*second, back.At),
				slices.Values([]Step{back}),
				won.heads(c, "drill-b", 900, back.At+1, polygonLength),
				injects(
					inject{polygonSplit + 4*minute, "Support: users report that the explorer shows no block newer than 20:35 UTC."},
					inject{polygonSplit + 8*minute, "Operations: “Our deposit service reads from drill-b. Do we stop credits, or switch it to drill-a?”"},
					inject{polygonSplit + 15*minute, "The Polygon team says that block production never stopped (these words are real, their minute is not known)."},
					inject{polygonSplit + 20*minute, "Finance: asks for the list of deposits credited in the replaced blocks."},
				),
				ticks(second, 0, polygonLength),
			)(yield)
		},
	}
}

// standing is a node that answers every ten seconds with a head that does not move.
func standing(b branch, c Chain, node string, height, from, to int64) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		for t := from; t < to; t += 10 * second {
			s := b.head(c, node, height, 900, 0)
			s.At, s.Observation.At, s.Observation.How = t, t, chain.Polled
			if !yield(s) {
				return
			}
		}
	}
}
