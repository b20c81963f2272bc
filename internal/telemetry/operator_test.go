package telemetry

import (
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// TestVoices: who runs a node is what somebody said, else what its address tells, else the node itself; the same address twice is found.
func TestVoices(t *testing.T) {
	c := Chain{Name: "x", Family: chain.EVM, Nodes: []Node{{Name: "a", URL: "https://u:hunter2@rpc.example.org/v1/k3y"}, {Name: "b", URL: "wss://rpc.example.org/v1/other", Operator: " us "}, {Name: "c"}}}
	got := c.Voices()
	if len(got) != 3 || got["a"] != "us" || got["b"] != "us" || got["c"] != "c" {
		t.Errorf("%v", got)
	}
	if a, b := c.Twice(); a != "" || b != "" {
		t.Errorf("%s and %s are two addresses", a, b)
	}
	c.Nodes = append(c.Nodes, Node{Name: "d"}, Node{Name: "e", URL: "https://RPC.example.org:443/v1/other/"})
	if a, b := c.Twice(); a != "b" || b != "e" {
		t.Errorf("%s and %s", a, b)
	}
	if err := c.Check(); err != nil {
		t.Errorf("what was saved before is refused: %v", err) // it only confirms nothing
	}
	for _, bad := range []string{"two\nlines", strings.Repeat("x", MaxOperator+1)} {
		c.Nodes[0].Operator = bad
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), "the operator of node a is one line") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestVoicesOfOneProvider: naming the operator of one of two nodes at one provider leaves them one voice, whichever was named; names that differ are
// two, and a node at another place keeps its own.
func TestVoicesOfOneProvider(t *testing.T) {
	at := func(url, operator string) Node { return Node{URL: url, Operator: operator} }
	const one, two, other = "https://eth.g.alchemy.com/v2/one", "https://base.g.alchemy.com/v2/two", "https://eth.example.org/"
	for _, c := range []struct {
		nodes []Node
		want  string
	}{
		{[]Node{at(one, ""), at(two, ""), at(other, "")}, "alchemy.com alchemy.com eth.example.org:443"},
		{[]Node{at(one, "Alchemy"), at(two, ""), at(other, "")}, "Alchemy Alchemy eth.example.org:443"},
		{[]Node{at(one, ""), at(two, " Alchemy "), at(other, "us")}, "Alchemy Alchemy us"},
		{[]Node{at(one, "us"), at(two, "them"), at(one+"x", "")}, "us them us"},
		{[]Node{at("", "us"), at("", ""), at("", "")}, "us b c"}, // no address tells nothing
	} {
		for i := range c.nodes {
			c.nodes[i].Name = string(rune('a' + i))
		}
		got := Chain{Nodes: c.nodes}.Voices()
		if is := got["a"] + " " + got["b"] + " " + got["c"]; is != c.want {
			t.Errorf("%+v: %s, not %s", c.nodes, is, c.want)
		}
	}
}

// TestOperatorsReachTheMonitor: the monitor of a watched chain knows who runs its nodes.
func TestOperatorsReachTheMonitor(t *testing.T) {
	r := newRunner(Options{Now: time.Now}, Chain{Name: "x", Family: chain.EVM, Nodes: []Node{{Name: "a", URL: "http://10.0.0.7:1"}, {Name: "b", Operator: "us"}}}, nil)
	v := r.view.Load()
	if len(v.Nodes) != 2 || v.Nodes[0].Operator != "10.0.0.7:1" || v.Nodes[1].Operator != "us" {
		t.Errorf("%+v", v.Nodes)
	}
}
