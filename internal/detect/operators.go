package detect

import (
	"cmp"
	"strings"
)

// operators say who runs a node of a chain. Nodes of one operator are one voice: what they tell is told once. Nil is good to use.
type operators map[[2]string]string

// of is who runs a node, as people call it: the node itself when nobody said.
func (o operators) of(chain, node string) string {
	return cmp.Or(o[[2]string{chain, node}], node)
}

// voice is what the node's word counts as. Upper and lower case are one.
func (o operators) voice(chain, node string) string { return strings.ToLower(o.of(chain, node)) }

// among counts the operators of all nodes of a chain of which it is known who runs them.
func (o operators) among(chain string) int {
	seen := map[string]bool{}
	for at := range o {
		if at[0] == chain {
			seen[o.voice(chain, at[1])] = true
		}
	}
	return len(seen)
}

// voices counts the operators of nodes.
func (o operators) voices(chain string, nodes []string) int {
	seen := map[string]bool{}
	for _, n := range nodes {
		seen[o.voice(chain, n)] = true
	}
	return len(seen)
}
