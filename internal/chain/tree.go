package chain

// ChangeKind says what a block meant to a Tree.
type ChangeKind string

// What a block can mean.
const (
	First     ChangeKind = "first"     // the first head
	Extends   ChangeKind = "extends"   // descends from the tip
	Duplicate ChangeKind = "duplicate" // is the tip, or is known already
	Behind    ChangeKind = "behind"    // an ancestor of the tip, or too old to tell: a cached or lagging answer, no reorg
	Fork      ChangeKind = "fork"      // a header beside the followed branch
	Reorg     ChangeKind = "reorg"     // the node follows another branch now
	Gap       ChangeKind = "gap"       // above the tip with unknown parents between: the collector must walk
	Invalid   ChangeKind = "invalid"   // no hash, a negative height, or a height that contradicts the hash
)

// Change is the answer of a Tree to a block.
type Change struct {
	Kind  ChangeKind
	Depth int // reorg: blocks of the old branch that left; behind: blocks below the tip; gap: blocks missing
	// AtLeast: the branches were not followed down to a common block, Depth is what is certain.
	AtLeast  bool
	Ancestor Ref     // reorg, unless AtLeast
	Old, New Ref     // tips before and after
	Dropped  []Block // known headers of the old branch, ascending
	Adopted  []Block // known headers of the new branch, ascending
}

// Tree is a bounded ring of headers and the branch that one node follows. It never forgets a block within keep blocks below the tip,
// unless one height has more than 64 of them. Not safe for concurrent use.
type Tree struct {
	keep    int64
	blocks  map[string]Block
	heights map[int64][]string
	canon   map[int64]string // the followed branch, as far down as it is linked
	low     int64            // lowest height written in canon
	tip     Block            // highest block of the followed branch
	has     bool
	lost    int // heads in a row that could not be related to the tip
}

const perHeight = 64

// NewTree makes a tree that keeps about keep heights below its tip (at least 16).
func NewTree(keep int) *Tree {
	return &Tree{keep: int64(max(keep, 16)), blocks: map[string]Block{}, heights: map[int64][]string{}, canon: map[int64]string{}}
}

// Tip is the highest block of the followed branch; false before the first head.
func (t *Tree) Tip() (Block, bool) { return t.tip, t.has }

// Has tells whether a header is known.
func (t *Tree) Has(hash string) bool { _, ok := t.blocks[hash]; return ok }

// Get gives a known header.
func (t *Tree) Get(hash string) (Block, bool) { b, ok := t.blocks[hash]; return b, ok }

// At gives the block of the followed branch at a height, if the branch is linked that far down.
func (t *Tree) At(height int64) (Block, bool) {
	h, ok := t.canon[height]
	if !ok {
		return Block{}, false
	}
	b, ok := t.blocks[h]
	return b, ok
}

// Link adds a header without moving the tip: the result of a walk or of a backfill.
func (t *Tree) Link(b Block) Change {
	if !t.insert(b) {
		if have, ok := t.blocks[b.Hash]; ok && have.Height == b.Height {
			return Change{Kind: Duplicate}
		}
		return Change{Kind: Invalid}
	}
	if t.has {
		t.follow()
		if t.canon[b.Height] == b.Hash {
			return Change{Kind: Extends}
		}
	}
	if _, ok := t.blocks[b.Parent]; ok {
		return Change{Kind: Fork}
	}
	return Change{Kind: Gap}
}

// Add takes the block that the node calls its head, after the headers that lead to it were given to Link. A head that does not descend
// from the tip is never taken for a normal advance: it is a reorg of known depth, a reorg of at least some depth, a gap, or behind.
func (t *Tree) Add(b Block) Change {
	if t.has && b.Hash == t.tip.Hash && b.Height == t.tip.Height {
		t.lost = 0
		return Change{Kind: Duplicate, New: b.Ref()}
	}
	if !t.insert(b) {
		have, ok := t.blocks[b.Hash]
		if !ok || have.Height != b.Height {
			return Change{Kind: Invalid}
		}
		b = have
	}
	if !t.has {
		t.move(b)
		return Change{Kind: First, New: b.Ref()}
	}
	c := t.relate(b)
	switch {
	case c.Kind == Behind && c.AtLeast: // not related at all
		if t.lost++; t.lost > 8 { // the node means it: start again from here
			c = Change{Kind: Gap, Old: c.Old, New: c.New}
		}
	default:
		t.lost = 0
	}
	if c.Kind == Extends || c.Kind == Reorg || c.Kind == Gap {
		t.move(b)
	}
	return c
}

// Rollback says that the node itself went back to b and that what was above is gone. It is a reorg without a new branch.
func (t *Tree) Rollback(b Block) Change {
	t.insert(b)
	if !t.has || t.canon[b.Height] != b.Hash || b.Height >= t.tip.Height {
		return t.Add(b)
	}
	c := Change{Kind: Reorg, Depth: int(t.tip.Height - b.Height), Ancestor: b.Ref(), Old: t.tip.Ref(), New: b.Ref()}
	c.Dropped, _ = t.branch(t.tip, b.Height+1)
	t.move(b)
	return c
}

// relate compares b with the tip. It does not move.
func (t *Tree) relate(b Block) Change {
	c := Change{Old: t.tip.Ref(), New: b.Ref()}
	x, y := b, t.tip // x on b's branch, y on the followed one; both only ever go down
	var dx, dy Block // the lowest pair of differing blocks at one height
	paired := false
	xok, yok := true, true
	for xok && yok {
		switch {
		case x.Height > y.Height:
			if x.Parent == y.Hash && x.Height == y.Height+1 {
				x = y
				continue
			}
			x, xok = t.parent(x)
		case y.Height > x.Height:
			y, yok = t.parent(y)
		case x.Hash == y.Hash:
			return t.joined(c, b, x.Ref())
		default:
			dx, dy, paired = x, y, true
			if x.Parent == y.Parent && x.Parent != "" { // a common parent whose header is not here is still the ancestor
				return t.joined(c, b, Ref{x.Height - 1, x.Parent})
			}
			var px, py Block
			px, xok = t.parent(x)
			py, yok = t.parent(y)
			if xok {
				x = px
			}
			if yok {
				y = py
			}
		}
	}
	low, _ := t.lowest(b)
	switch {
	case paired:
		c.Kind, c.AtLeast, c.Depth = Reorg, true, int(t.tip.Height-dy.Height)+1
		if dx.Parent != "" && dy.Parent != "" {
			c.Depth++ // their parents differ too
		}
		c.Dropped, _ = t.branch(t.tip, dy.Height)
		c.Adopted, _ = t.branch(b, dx.Height)
	case low.Height == t.tip.Height+1 && low.Parent != t.tip.Hash:
		c.Kind, c.AtLeast, c.Depth = Reorg, true, 1
		c.Dropped = []Block{t.tip}
		c.Adopted, _ = t.branch(b, low.Height)
	case low.Height > t.tip.Height:
		c.Kind, c.Depth = Gap, int(min(low.Height-t.tip.Height-1, 1<<30))
	default:
		c.Kind, c.AtLeast, c.Depth = Behind, true, int(min(t.tip.Height-b.Height, 1<<30))
	}
	return c
}

func (t *Tree) joined(c Change, b Block, a Ref) Change {
	switch a.Hash {
	case t.tip.Hash:
		c.Kind = Extends
	case b.Hash:
		c.Kind, c.Depth = Behind, int(t.tip.Height-b.Height)
	default:
		c.Kind, c.Ancestor, c.Depth = Reorg, a, int(t.tip.Height-a.Height)
		c.Dropped, _ = t.branch(t.tip, a.Height+1)
	}
	if c.Kind != Behind {
		c.Adopted, _ = t.branch(b, a.Height+1)
	}
	return c
}

func (t *Tree) parent(b Block) (Block, bool) {
	p, ok := t.blocks[b.Parent]
	if !ok || p.Height != b.Height-1 {
		return b, false
	}
	return p, true
}

// lowest follows parents down from b as far as they are known.
func (t *Tree) lowest(b Block) (Block, int) {
	n := 0
	for {
		p, ok := t.parent(b)
		if !ok {
			return b, n
		}
		b, n = p, n+1
	}
}

// branch lists the known headers from tip down to height from, ascending; false when it is not linked that far.
func (t *Tree) branch(tip Block, from int64) ([]Block, bool) {
	var out []Block
	ok := true
	for b := tip; ok && b.Height >= from; b, ok = t.parent(b) {
		out = append(out, b)
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out, ok
}

func (t *Tree) insert(b Block) bool {
	if b.Hash == "" || b.Height < 0 || b.Hash == b.Parent {
		return false
	}
	if _, ok := t.blocks[b.Hash]; ok {
		return false
	}
	if t.has && b.Height < t.tip.Height-t.keep {
		return true // too old to keep; relate still sees it
	}
	row := t.heights[b.Height]
	if len(row) >= perHeight {
		for i, h := range row {
			if t.canon[b.Height] != h {
				delete(t.blocks, h)
				row = append(row[:i:i], row[i+1:]...)
				break
			}
		}
	}
	t.blocks[b.Hash] = b
	t.heights[b.Height] = append(row, b.Hash)
	if t.has && int64(len(t.heights)) > 4*t.keep {
		t.prune()
	}
	return true
}

// drop forgets a header; the tip stays the tip until the next head.
func (t *Tree) drop(hash string) {
	b, ok := t.blocks[hash]
	if !ok {
		return
	}
	delete(t.blocks, hash)
	row := t.heights[b.Height]
	for i, h := range row {
		if h == hash {
			if t.heights[b.Height] = append(row[:i:i], row[i+1:]...); len(row) == 1 {
				delete(t.heights, b.Height)
			}
			break
		}
	}
	if t.canon[b.Height] == hash {
		delete(t.canon, b.Height)
	}
}

func (t *Tree) move(b Block) {
	if b.Parent != t.tip.Hash { // the branch may differ below too: link again from b
		t.canon = make(map[int64]string, len(t.canon))
		t.low = b.Height
	}
	if !t.has {
		t.low = b.Height
	}
	t.tip, t.has = b, true
	t.follow()
	t.prune()
}

// follow writes the followed branch from the tip down as far as it is linked. What is written already (from the tip's parent, or from the
// tip, down to low) is not walked again.
func (t *Tree) follow() {
	b, ok := t.tip, true
	for ; ok && t.canon[b.Height] != b.Hash; b, ok = t.parent(b) {
		t.canon[b.Height] = b.Hash
		if b.Height < t.low {
			t.low = b.Height
		}
	}
	if !ok || t.low >= b.Height {
		return
	}
	if b, ok = t.At(t.low); !ok {
		return
	}
	for b, ok = t.parent(b); ok; b, ok = t.parent(b) {
		t.canon[b.Height], t.low = b.Hash, b.Height
	}
}

func (t *Tree) prune() {
	if int64(len(t.heights)) <= t.keep+max(t.keep/8, 8) {
		return
	}
	floor := t.tip.Height - t.keep
	t.low = max(t.low, min(floor, t.tip.Height))
	for h, row := range t.heights {
		if h < floor || h > t.tip.Height+t.keep {
			for _, hash := range row {
				delete(t.blocks, hash)
			}
			delete(t.heights, h)
			delete(t.canon, h)
		}
	}
}
