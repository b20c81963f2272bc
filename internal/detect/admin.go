package detect

import (
	"fmt"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// KindControlChange is the kind of finding that Control makes.
const KindControlChange = "control_change"

// The rule. Who may change a contract may take what is in it: Bybit's loss began with a change of a Safe's masterCopy. What collectors tell as
// an admin observation are the proxy slots of EIP-1967 (implementation 0x3608…2bbc, admin 0xb531…6103, beacon 0xa3f0…3d50), their events
// Upgraded, AdminChanged and BeaconUpgraded, and OpenZeppelin's OwnershipTransferred, OwnershipTransferStarted, RoleGranted, RoleRevoked,
// RoleAdminChanged, Paused and Unpaused, and Safe's ChangedMasterCopy, AddedOwner, RemovedOwner, ChangedThreshold.
const (
	controlLasts = 24 * 3_600_000 // ms
	controlTwice = 3_600_000      // ms within which changes of several kinds are worse than each
	mostControls = 8192           // contracts' changes remembered
)

// Control watches who may change contracts.
type Control struct {
	keeper[controls]
	announced []Announced
	watch     watchlist
}

type controls struct {
	Last  recent[control] // by chain, contract and change
	Times recent[changes] // by chain and contract
}

type control struct {
	Value, Tx string
	At        int64
}

type changes struct {
	Of []string
	At []int64
}

// NewControl starts to watch.
func NewControl(c Config) *Control {
	x := &Control{announced: c.Announced, watch: newWatchlist(c.Watched)}
	x.keeper = newKeeper("control_change", 1, func() controls {
		return controls{newRecent[control](mostControls / 2), newRecent[changes](mostControls / 4)}
	}, KindControlChange)
	return x
}

// Observe implements Heuristic. A value without a transaction and without a value before it is what a collector found at its start: it is
// remembered, and is no change.
func (c *Control) Observe(o observation.Observation) []chain.Finding {
	out := c.book.advance(o.At)
	if o.Kind != observation.Admin || c.twice(o) {
		return out
	}
	on, contract, change := cut(o.Chain, 60), account(cut(o.Contract, 80)), cut(o.Change, 30)
	before, after := account(cut(o.Before, 200)), account(cut(o.After, 200))
	k := key(on, KindControlChange, contract+":"+change)
	last := c.s.Last.need(on + "|" + contract + "|" + change)
	if o.Removed {
		if last.Tx != "" && last.Tx == cut(o.Tx, 100) {
			last.Value, last.Tx = before, ""
			return append(out, c.book.end(k, "A reorganisation took the change back: the transaction is no longer part of the chain.")...)
		}
		return out
	}
	known := last.Value
	if before == "" {
		before = known
	}
	first := known == "" && o.Before == "" && o.Tx == ""
	same := after != "" && after == before || after != "" && after == known && o.Tx == ""
	was := *last
	*last = control{after, cut(o.Tx, 100), c.book.Now}
	if first || same {
		return out
	}
	if e := c.book.Entries[k]; e != nil && e.Open && !e.Inherited && was.Value != "" && after != "" && after == originally(e) {
		return append(out, c.book.end(k, fmt.Sprintf("It was changed back to %s.", shortened(after)))...)
	}
	return append(out, c.tell(o, k, on, contract, change, before, after)...)
}

// Tick implements Heuristic.
func (c *Control) Tick(at int64) []chain.Finding { return c.tick(at) }

func (c *Control) tell(o observation.Observation, k, on, contract, change, before, after string) []chain.Finding {
	name := shortened(contract)
	if w, ok := c.watch.find(on, contract); ok {
		name = w.name()
	}
	f := chain.Finding{Key: k, Kind: KindControlChange, Chain: on, Subject: cut(contract+":"+change, subjectMax), Severity: "SEV2", Drill: o.Drill,
		Title: fmt.Sprintf("%s: its %s was changed", name, change)}
	f.Reason = fmt.Sprintf("The %s of %s is now %s", change, name, where(shortened(after), "empty"))
	if before != "" {
		f.Reason += fmt.Sprintf(", it was %s", shortened(before))
	}
	f.Reason += "."
	if a, ok := c.expected(on, contract, change, after); ok {
		f.Severity = "SEV5"
		f.Reason += fmt.Sprintf(" This was announced for %s to %s.", a.From, a.To)
	} else {
		f.Reason += " Nobody announced it. Who holds it can change what the contract does."
		t := c.s.Times.need(on + "|" + contract)
		t.note(change, c.book.Now)
		if len(t.Of) > 1 {
			f.Severity = "SEV1"
			f.Reason += fmt.Sprintf(" Within an hour changed: %s.", shortList(t.Of))
		}
	}
	f.Evidence = proof(map[string]any{"tx": cut(o.Tx, 100), "contract": contract, "change": change, "before": before, "after": after, "height": o.Height, "first_before": before})
	if e := c.book.Entries[k]; e != nil && e.Open && !e.Inherited {
		f.Evidence = proof(map[string]any{"tx": cut(o.Tx, 100), "contract": contract, "change": change, "before": before, "after": after, "height": o.Height, "first_before": originally(e)})
	}
	return c.book.raise(f, life{lasts: controlLasts, why: "24 hours have passed without a further change; the new value stands."})
}

// note remembers a change within the hour, of each kind one.
func (t *changes) note(change string, now int64) {
	for i := len(t.Of) - 1; i >= 0; i-- {
		if now-t.At[i] >= controlTwice || t.Of[i] == change {
			t.Of, t.At = slices.Delete(t.Of, i, i+1), slices.Delete(t.At, i, i+1)
		}
	}
	if len(t.Of) < shown {
		t.Of, t.At = append(t.Of, change), append(t.At, now)
	}
}

// expected finds the announcement that a change keeps to.
func (c *Control) expected(on, contract, change, after string) (Announced, bool) {
	for _, a := range c.announced {
		from, to, err := a.span()
		if err == nil && c.book.Now >= from && c.book.Now <= to && account(a.Contract) == contract && (a.Chain == "" || a.Chain == on) &&
			(a.Change == "" || a.Change == change) && (a.After == "" || account(a.After) == after) {
			return a, true
		}
	}
	return Announced{}, false
}

// originally is the value before the first change of an open finding.
func originally(e *entry) string { return text(e.Finding.Evidence, "first_before") }
