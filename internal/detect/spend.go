package detect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// Kinds of finding that Spends makes.
const (
	KindDoubleSpend = "double_spend" // what a transaction in the chain spent is spent by another on the branch that replaced it
	KindReplacement = "replacement"  // another transaction wants to spend, or spent, what a waiting one spends
)

// The rule, by what the known double spends had in common (ETC 2019 and 2020, BTG 2018 and 2020): a
// reorganisation alone is none, twelve of the fifteen of January 2019 had no conflict; the evidence is the same outpoint, or the same sender
// and nonce, in two transactions, the earlier of them once in the chain. Whether a waiting transaction says that it may be replaced (BIP 125)
// means nothing where nodes run full replace-by-fee, so it is not asked.
const (
	mostContests    = 100_000 // outpoints and nonces remembered
	mostRivals      = 6       // transactions of one outpoint
	mostTellers     = 8       // nodes of one transaction
	mostInputs      = 256     // of one transaction
	doubleLast      = 24 * 3_600_000
	doubleCalm      = 10 * 60_000
	replacementLast = 3_600_000
)

// Spends watches who spends a watched outpoint, or a watched sender's nonce: in the pool, in the chain, and after a reorganisation.
type Spends struct{ keeper[spends] }

type spends struct{ Contests recent[contest] }

// contest is all that is known to spend one outpoint or nonce, in the order it came.
type contest struct{ Rivals []rival }

// rival is one transaction of them.
type rival struct {
	Tx    string
	At    int64    // first seen
	Pool  bool     // waits in a pool
	Block string   // that it is in, where told
	Nodes []string // who have it in their chain
	Taken int64    // when the last of them took it back, 0 = it is in, or never was
}

func (r rival) mined() bool { return len(r.Nodes) > 0 }

// NewSpends starts to watch.
func NewSpends(Config) *Spends {
	return &Spends{newKeeper("double_spend", 1, func() spends { return spends{newRecent[contest](mostContests / 2)} }, KindDoubleSpend, KindReplacement)}
}

// Observe implements Heuristic.
func (s *Spends) Observe(o observation.Observation) []chain.Finding {
	out := s.book.advance(o.At)
	if o.Kind != observation.Spend || o.Tx == "" {
		return out
	}
	on, tx := cut(o.Chain, 60), cut(o.Tx, 100)
	told := map[string]bool{}
	for i, in := range o.Inputs {
		if i >= mostInputs {
			break
		}
		in = cut(account(in), 120)
		c := s.s.Contests.need(on + "|" + in)
		if !c.take(o, tx, s.book.Now) || len(c.Rivals) < 2 {
			continue
		}
		if first := c.Rivals[0].Tx; !told[first] { // one finding for a transaction that loses all its inputs to another
			told[first] = true
			out = append(out, s.judge(o, on, in, c)...)
		}
	}
	return out
}

// Tick implements Heuristic.
func (s *Spends) Tick(at int64) []chain.Finding { return s.tick(at) }

// take books what was told of one transaction; false when that was known.
func (c *contest) take(o observation.Observation, tx string, now int64) bool {
	i := slices.IndexFunc(c.Rivals, func(r rival) bool { return r.Tx == tx })
	if i < 0 {
		if o.Removed {
			return false
		}
		if len(c.Rivals) >= mostRivals { // the first is what may have been credited, the newest is what happens: one between goes
			c.Rivals = slices.Delete(c.Rivals, 1, 2)
		}
		c.Rivals, i = append(c.Rivals, rival{Tx: tx, At: now}), len(c.Rivals)
	}
	r := &c.Rivals[i]
	node, mined := cut(o.Node, 60), o.Where == "chain" || (o.Where == "" && o.Block != "")
	at := slices.Index(r.Nodes, node)
	switch {
	case mined && o.Removed:
		if at < 0 {
			return false
		}
		r.leave(at, now)
	case mined:
		r.Pool = false
		if at >= 0 {
			return false
		}
		if len(r.Nodes) < mostTellers {
			r.Nodes = append(r.Nodes, node)
		}
		r.Block, r.Taken = cut(o.Block, 100), 0
		for j := range c.Rivals { // a node cannot have two of them: it left the branch of the other
			if k := slices.Index(c.Rivals[j].Nodes, node); j != i && k >= 0 {
				c.Rivals[j].leave(k, now)
			}
		}
	case r.Pool == !o.Removed:
		return false
	default:
		r.Pool = !o.Removed
	}
	return true
}

func (r *rival) leave(at int, now int64) {
	if r.Nodes = slices.Delete(r.Nodes, at, at+1); len(r.Nodes) == 0 {
		r.Taken = now
	}
}

// judge says what the contest is now. The loser is the first that was in the chain and is not in all of it any more.
func (s *Spends) judge(o observation.Observation, on, in string, c *contest) []chain.Finding {
	what := "Output " + shortened(in)
	if sender, nonce, ok := strings.Cut(in, "#"); ok {
		what = "Nonce " + nonce + " of " + shortened(sender)
	}
	var taken, mined []rival
	for _, r := range c.Rivals {
		switch {
		case r.mined():
			mined = append(mined, r)
		case r.Taken > 0:
			taken = append(taken, r)
		}
	}
	first := c.Rivals[0]
	k := key(on, KindDoubleSpend, first.Tx)
	f := chain.Finding{Key: k, Kind: KindDoubleSpend, Chain: on, Subject: first.Tx, Drill: o.Drill, Since: first.At,
		Evidence: proof(map[string]any{"input": in, "transactions": c.Rivals, "told_by": o.Node})}
	long := life{lasts: doubleLast, why: "Nothing changed for 24 hours: the transaction that is in the chain has stayed there."}
	switch {
	case len(mined) > 1:
		f.Severity, f.Title = "SEV1", on+": one coin is spent twice, on two branches"
		f.Reason = fmt.Sprintf("%s is spent by %s at %s and by %s at %s: they are on different branches, and one of the two will be void.",
			what, shortened(mined[0].Tx), nodes(mined[0].Nodes), shortened(mined[1].Tx), nodes(mined[1].Nodes))
		return s.book.raise(f, long)
	case len(mined) == 1 && len(taken) > 0:
		if lost := taken[0]; lost.At > mined[0].At && mined[0].Tx == first.Tx {
			return s.book.settle(k, "Observed, since reverted: "+shortened(first.Tx)+" is in the chain again, and the other is not.", doubleCalm)
		}
		f.Severity, f.Title = "SEV1", on+": a transaction was double-spent across a reorganisation"
		f.Reason = fmt.Sprintf("%s was spent by %s in the chain; that block left it, and now %s spends it in block %s. Whoever credited the first has lost it: stop credits.",
			what, shortened(taken[0].Tx), shortened(mined[0].Tx), chain.Short(mined[0].Block))
		return s.book.raise(f, long)
	case len(taken) > 0:
		rival := slices.IndexFunc(c.Rivals, func(r rival) bool { return r.Pool && r.Tx != taken[0].Tx })
		if rival < 0 {
			return nil
		}
		f.Severity, f.Title = "SEV2", on+": a transaction may be double-spent after a reorganisation"
		f.Reason = fmt.Sprintf("%s was spent by %s in the chain; that block left it, and %s waits to spend the same. Do not credit the first before it is in the chain again.",
			what, shortened(taken[0].Tx), shortened(c.Rivals[rival].Tx))
		return s.book.raise(f, long)
	}
	return s.replaced(f, on, what, c, mined)
}

// replaced tells of rivals none of which was ever taken out of the chain.
func (s *Spends) replaced(f chain.Finding, on, what string, c *contest, mined []rival) []chain.Finding {
	first, newest := c.Rivals[0], c.Rivals[len(c.Rivals)-1]
	f.Key, f.Kind, f.Severity = key(on, KindReplacement, first.Tx), KindReplacement, "SEV5"
	f.Title = on + ": a waiting transaction is being replaced"
	f.Reason = fmt.Sprintf("%s is spent by %s and now also by %s; at most one of them will come into the chain. It is no payment before it is in a block.", what, shortened(first.Tx), shortened(newest.Tx))
	l := life{lasts: replacementLast, why: "For an hour nothing further spends the same."}
	if len(mined) == 0 {
		return s.book.raise(f, l)
	}
	if mined[0].Tx != first.Tx {
		f.Severity, f.Title = "SEV4", on+": a waiting transaction was replaced"
		f.Reason = fmt.Sprintf("%s was to be spent by %s, but %s is in the chain: the first is void.", what, shortened(first.Tx), shortened(mined[0].Tx))
		return s.book.raise(f, l)
	}
	return s.book.settle(f.Key, shortened(first.Tx)+" is in the chain; what wanted to spend the same is void.", 0)
}

func nodes(names []string) string {
	if len(names) == 1 && names[0] == "" {
		return "one node"
	}
	return strings.Join(names, ", ")
}
