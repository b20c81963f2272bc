package chain

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

const (
	slotSettled = 4    // slots below the head from which on an empty one is missed: a block may come late
	slotWindow  = 32   // slots judged together
	slotMemory  = 7200 // slots that the own rate remembers about: a day of Ethereum
	slotPrior   = 0.01 // missed at first, as on Ethereum's mainnet, worth ...
	slotWeight  = 320  // ... so many slots
	slotsOdd    = 1e-5 // tail probability that opens: about one false alarm in a quarter of a year at one judgement a slot
	slotsNormal = 1e-2 // and that ends
	slotsLeast  = 4

	emptySlot = "empty-"
)

// EmptySlot stands in the tree of a beacon chain for a slot without a block, so that heights have no holes: its hash names the block before,
// hence two nodes that agree on the chain agree on it, and a block that comes there later is another branch. It has no time.
func EmptySlot(slot int64, before string) Block {
	b := Block{Height: slot, Hash: emptySlot + strconv.FormatInt(slot, 10) + "-" + before}
	b.Parent = before
	return b
}

// FillSlots puts empty slots between a block and its parent in an earlier slot, and gives them ascending, and the block as it hangs on the
// last of them. At most most slots are filled; when more are empty the block hangs on an empty slot that nobody has: a gap.
func FillSlots(b Block, parentSlot int64, most int) (Block, []Block) {
	gap := b.Height - parentSlot - 1
	if parentSlot < 0 || gap <= 0 {
		return b, nil
	}
	if gap > int64(most) {
		b.Parent = EmptySlot(b.Height-1, b.Parent).Hash
		return b, nil
	}
	out := make([]Block, 0, gap)
	last := b.Parent
	for s := parentSlot + 1; s < b.Height; s++ {
		e := EmptySlot(s, b.Parent)
		e.Parent, last = last, e.Hash
		out = append(out, e)
	}
	b.Parent = last
	return b, out
}

// Empty tells whether a block of a beacon chain's tree stands for a slot without a block.
func (b Block) Empty() bool { return strings.HasPrefix(b.Hash, emptySlot) }

// slotWatch counts missed slots of the canonical chain.
type slotWatch struct {
	Settled int64   `json:"settled,omitempty"` // the newest slot counted
	Window  []bool  `json:"window,omitempty"`  // true = missed; the newest slotWindow slots, oldest first
	Seen    float64 `json:"seen,omitempty"`    // slots before them, fading
	Lost    float64 `json:"lost,omitempty"`    // missed of those
}

func (s *slotWatch) missed() int {
	k := 0
	for _, x := range s.Window {
		if x {
			k++
		}
	}
	return k
}

// rate is the chain's own share of missed slots, before the window.
func (s *slotWatch) rate() float64 { return (slotPrior*slotWeight + s.Lost) / (slotWeight + s.Seen) }

// tail is the probability of at least so many missed slots in the window at the own rate, if slots are missed independently.
func (s *slotWatch) tail() float64 { return binomialTail(len(s.Window), s.missed(), s.rate()) }

// add takes one slot; learn false keeps what leaves the window out of the own rate, so that trouble is not learned as normal.
func (s *slotWatch) add(missed, learn bool) {
	s.Window = append(s.Window, missed)
	if len(s.Window) <= slotWindow {
		return
	}
	if learn {
		if s.Seen++; s.Window[0] {
			s.Lost++
		}
		if s.Seen >= 2*slotMemory {
			s.Seen, s.Lost = s.Seen/2, s.Lost/2
		}
	}
	s.Window = append([]bool(nil), s.Window[1:]...)
}

func binomialTail(n, k int, p float64) float64 {
	if k <= 0 {
		return 1
	}
	sum := 0.0
	for i := k; i <= n; i++ {
		ln, _ := math.Lgamma(float64(n + 1))
		li, _ := math.Lgamma(float64(i + 1))
		lr, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(ln - li - lr + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return math.Min(sum, 1)
}

// known tells whether a node has this very block at a height.
func known(b Block, n *node, height int64) bool {
	x, ok := n.tree.At(height)
	return ok && x.Hash == b.Hash
}

// judgeSlots counts the slots of the best node's chain that are at least four below its head. Only its canonical branch counts: a block on
// a side branch neither fills a slot nor empties one.
func (m *Monitor) judgeSlots() {
	if m.best == nil {
		return
	}
	tip, ok := m.best.tree.Tip()
	w, key := &m.beacon.Slots, m.key(FindingMissedSlots, "")
	to := tip.Height - slotSettled
	if !ok || to <= w.Settled {
		return
	}
	from := max(w.Settled+1, to-keepHeaders)
	if w.Settled == 0 {
		from = max(to-2*slotWindow, 0)
	}
	counted := false
	for s := from; s <= to; s++ {
		b, known := m.best.tree.At(s)
		if !known {
			continue
		}
		w.add(b.Empty(), m.open[key] == nil)
		counted = true
	}
	w.Settled = to
	if !counted {
		return
	}
	k, n := w.missed(), len(w.Window)
	m.sample("tocsin_beacon_missed_slots", nil, float64(k))
	m.sample("tocsin_beacon_missed_slot_rate", nil, w.rate())
	m.changed = true
	tail := w.tail()
	if m.open[key] != nil && tail > slotsNormal {
		m.clear(key, m.now, fmt.Sprintf("%d of the last %d slots are empty; that is within chance here.", k, n))
		return
	}
	if m.open[key] == nil && (tail >= slotsOdd || k < slotsLeast) {
		return
	}
	f := m.finding(FindingMissedSlots, "", sev4)
	switch {
	case k*2 >= n && n >= slotWindow/2:
		f.Severity = sev2
	case k*3 >= n && n >= slotWindow/2:
		f.Severity = sev3
	}
	f.Title = m.cfg.Chain + ": many slots stay empty"
	f.Score, f.Bound = math.Max(tail, math.SmallestNonzeroFloat64), slotsOdd
	f.Reason = fmt.Sprintf("%d of the last %d slots up to slot %d have no block; %.1f in %d are normal here", k, n, to, w.rate()*float64(n), n)
	if f.Score >= 1e-12 {
		f.Reason += fmt.Sprintf(", and chance makes so many of it once in %.0g times.", 1/f.Score)
	} else {
		f.Reason += ", and chance never makes so many of it."
	}
	var seen []string
	asked := 0
	for _, o := range m.nodes {
		if x, has := o.tree.At(to); has && o.ok() && known(x, m.best, to) {
			seen = append(seen, o.name)
		} else if m.witness(o) {
			asked++
		}
	}
	m.verify(&f, seen, asked)
	m.fire(f, map[string]any{"missed": k, "of": n, "up_to_slot": to, "own_rate": w.rate(), "learned_from": int(w.Seen), "tail": tail}, false)
}
