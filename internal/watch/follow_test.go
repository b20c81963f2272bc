package watch

import (
	"slices"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/bitcoinwatch"
	"github.com/tocsin-ops/tocsin/internal/chain/evmwatch"
)

type told struct{ lists [][]string }

func (f *told) Follow(list []string) { f.lists = append(f.lists, list) }

// TestFollow: a watcher that runs is told each change once, one that starts later what holds then, and one that ended nothing.
func TestFollow(t *testing.T) {
	btc := Chain{Name: "btc", Family: chain.Bitcoin, Nodes: []Node{{Name: "a", URL: "http://h"}}, Bitcoin: bitcoinwatch.Spec{}}
	w, err := New([]Chain{evm(evmwatch.Spec{}), btc}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.Chains(), []string{"eth", "btc"}) || !w.Takes("eth", contract) || w.Takes("btc", contract) || !w.Takes("btc", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa") || w.Takes("sol", contract) {
		t.Error("what can be followed is not known")
	}
	early, late, other := &told{}, &told{}, &told{}
	end := w.following.started("eth", early)
	w.following.started("btc", other)
	w.Follow(map[string][]string{"eth": {"a"}, "sol": {"x"}})
	w.Follow(map[string][]string{"eth": {"a"}})
	w.following.started("eth", late)
	w.Follow(map[string][]string{"eth": make([]string, MostFollowed+1)})
	end()
	w.Follow(nil)
	lengths := func(f *told) (n []int) {
		for _, l := range f.lists {
			n = append(n, len(l))
		}
		return n
	}
	if got := lengths(early); !slices.Equal(got, []int{1, MostFollowed}) {
		t.Errorf("early: %v", got)
	}
	if got := lengths(late); !slices.Equal(got, []int{1, MostFollowed, 0}) {
		t.Errorf("late: %v", got)
	}
	if len(other.lists) != 0 {
		t.Errorf("another chain: %v", other.lists)
	}
}
