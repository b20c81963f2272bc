package chain

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// world is a random block tree, the truth that a Tree is held against.
type world struct{ blocks []Block }

func grow(t *rapid.T, n int) *world {
	w := &world{blocks: []Block{{Height: 100, Hash: "b0", Parent: "genesis"}}}
	for i := 1; i < n; i++ {
		// mostly near the end, so that branches get deep
		back := rapid.IntRange(0, min(i-1, 6)).Draw(t, "back")
		p := w.blocks[i-1-back]
		w.blocks = append(w.blocks, Block{Height: p.Height + 1, Hash: fmt.Sprintf("b%d", i), Parent: p.Hash})
	}
	return w
}

func (w *world) get(hash string) (Block, bool) {
	var i int
	if _, err := fmt.Sscanf(hash, "b%d", &i); err != nil || i >= len(w.blocks) {
		return Block{}, false
	}
	return w.blocks[i], true
}

func (w *world) ancestor(a, b Block) Block {
	for a.Hash != b.Hash {
		if a.Height >= b.Height {
			a, _ = w.get(a.Parent)
		} else {
			b, _ = w.get(b.Parent)
		}
	}
	return a
}

// TestTreeDepth: with every header linked, kind, depth and ancestor are those of the model, and the ancestor really is common.
func TestTreeDepth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := grow(t, rapid.IntRange(2, 60).Draw(t, "blocks"))
		tree := NewTree(128)
		var tip Block // highest of the followed branch
		for i := range rapid.IntRange(1, 40).Draw(t, "heads") {
			b := w.blocks[rapid.IntRange(0, len(w.blocks)-1).Draw(t, "head")]
			for p, ok := w.get(b.Parent); ok; p, ok = w.get(p.Parent) {
				tree.Link(p)
			}
			c := tree.Add(b)
			if i == 0 {
				if c.Kind != First {
					t.Fatalf("first head: %+v", c)
				}
				tip = b
				continue
			}
			a := w.ancestor(tip, b)
			want := Reorg
			switch {
			case b.Hash == tip.Hash:
				want = Duplicate
			case a.Hash == tip.Hash:
				want = Extends
			case a.Hash == b.Hash:
				want = Behind
			}
			if c.Kind != want || c.AtLeast {
				t.Fatalf("tip %v head %v: got %+v, want %s", tip.Ref(), b.Ref(), c, want)
			}
			if want == Reorg {
				if c.Ancestor != a.Ref() || c.Depth != int(tip.Height-a.Height) {
					t.Fatalf("tip %v head %v: %+v, ancestor is %v", tip.Ref(), b.Ref(), c, a.Ref())
				}
				if len(c.Dropped) != c.Depth || c.Dropped[0].Parent != a.Hash || c.Adopted[0].Parent != a.Hash || c.Adopted[len(c.Adopted)-1].Hash != b.Hash {
					t.Fatalf("branches do not start at the ancestor: %+v", c)
				}
			}
			if want == Reorg || want == Extends {
				tip = b
			}
			if got, ok := tree.Tip(); !ok || got.Hash != tip.Hash {
				t.Fatalf("tip is %v, want %v", got, tip)
			}
			for x := tip; x.Height > 100; x, _ = w.get(x.Parent) {
				if at, ok := tree.At(x.Height); !ok || at.Hash != x.Hash {
					t.Fatalf("followed branch at %d is %v, want %v", x.Height, at, x)
				}
			}
		}
	})
}

// TestTreePartial: with headers missing, a head on another branch is never an advance, and a lower bound never exceeds the truth.
func TestTreePartial(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := grow(t, rapid.IntRange(2, 60).Draw(t, "blocks"))
		tree := NewTree(rapid.SampledFrom([]int{16, 128}).Draw(t, "keep"))
		var tip Block
		for i := range 20 {
			b := w.blocks[rapid.IntRange(0, len(w.blocks)-1).Draw(t, "head")]
			for p, ok := w.get(b.Parent); ok && rapid.IntRange(0, 4).Draw(t, "more") > 0; p, ok = w.get(p.Parent) {
				tree.Link(p)
			}
			c := tree.Add(b)
			if i > 0 {
				a := w.ancestor(tip, b)
				depth := int(tip.Height - a.Height)
				switch c.Kind {
				case Extends:
					if a.Hash != tip.Hash {
						t.Fatalf("%v to %v taken for an advance", tip.Ref(), b.Ref())
					}
				case Reorg:
					if c.Depth > depth || (!c.AtLeast && (c.Depth != depth || c.Ancestor != a.Ref())) || depth == 0 {
						t.Fatalf("%v to %v: %+v, truth is depth %d from %v", tip.Ref(), b.Ref(), c, depth, a.Ref())
					}
				}
			}
			tip, _ = tree.Tip()
		}
	})
}

// TestTreeNeverPanics: nodes may say anything; memory stays bounded.
func TestTreeNeverPanics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := NewTree(16)
		hash := rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e", "f"})
		height := rapid.OneOf(rapid.Int64Range(-2, 8), rapid.Int64(), rapid.SampledFrom([]int64{1 << 62, 1<<63 - 1}))
		for range rapid.IntRange(0, 60).Draw(t, "n") {
			b := Block{Height: height.Draw(t, "h"), Hash: hash.Draw(t, "hash"), Parent: hash.Draw(t, "parent")}
			switch rapid.IntRange(0, 2).Draw(t, "op") {
			case 0:
				tree.Link(b)
			case 1:
				tree.Add(b)
			case 2:
				tree.Rollback(b)
			}
			tree.At(b.Height)
		}
	})
	tree := NewTree(16)
	for i := range int64(20000) {
		tree.Add(Block{Height: i / 100, Hash: fmt.Sprint(i), Parent: fmt.Sprint(i - 100)})
	}
	for i := range int64(20000) {
		tree.Link(Block{Height: i * 1000, Hash: fmt.Sprint("far", i), Parent: "?"})
	}
	if n := len(tree.blocks); n > 16*2*perHeight+4*16 {
		t.Fatalf("%d blocks kept", n)
	}
}

// TestRollbackUnknown: going back to a block nobody knows is judged as a head, not believed blindly.
func TestRollbackUnknown(t *testing.T) {
	tree := NewTree(16)
	tree.Add(Block{Height: 5, Hash: "a5", Parent: "a4"})
	tree.Add(Block{Height: 6, Hash: "a6", Parent: "a5"})
	if c := tree.Rollback(Block{Height: 5, Hash: "z5", Parent: "z4"}); c.Kind != Reorg || !c.AtLeast || c.Depth != 3 {
		t.Fatalf("%+v", c)
	}
	if c := tree.Rollback(Block{Height: 1, Hash: "z1", Parent: "z0"}); c.Kind != Behind {
		t.Fatalf("%+v", c)
	}
	for range 10 { // a node that means it is believed in the end
		tree.Add(Block{Height: 1, Hash: "z1", Parent: "z0"})
	}
	if tip, _ := tree.Tip(); tip.Hash != "z1" {
		t.Fatalf("tip %v", tip)
	}
}
