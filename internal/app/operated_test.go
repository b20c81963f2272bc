package app_test

import (
	"strings"
	"testing"
)

// TestOperatorsUnchangedAreNotWritten: to save who runs the nodes of a chain as it stands writes nothing to the log; a change is written, once.
func TestOperatorsUnchangedAreNotWritten(t *testing.T) {
	a := start(t, t.TempDir())
	address, _ := node(t, 7)
	a.must("POST", "/chains", `{"name":"Testnet","urls":["`+address+`"]}`)
	var name string
	until(t, "the chain shows its node", func() bool {
		_, rest, ok := strings.Cut(a.must("GET", "/api/v1/chains", ""), `"nodes":[{"name":"`)
		name, _, _ = strings.Cut(rest, `"`)
		return ok
	})
	for i, c := range []struct {
		who     string
		written int
	}{{"us", 1}, {"us", 1}, {" us ", 1}, {"them", 2}, {"", 3}, {"", 3}} {
		a.must("POST", "/chains/testnet/operators", `{"operators":{"`+name+`":"`+c.who+`"}}`)
		if n := strings.Count(a.must("GET", "/api/v1/log?from=0&follow=false", ""), `"chain.operated"`); n != c.written {
			t.Errorf("%d, %q: written %d times, want %d", i, c.who, n, c.written)
		}
	}
}
