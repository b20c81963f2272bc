package chain

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// program is the name of a node's client without its version: "Geth/v1.13.1-stable/linux" is Geth, "/Satoshi:27.0.0/" is Satoshi.
func program(client string) string {
	name, _, _ := strings.Cut(strings.Trim(client, "/"), "/")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// clients says as a sentence when two branches part the nodes by their clients, or by the versions of one: then a fault of one of them is likely
// (Geth against the older Geth of Infura and others, November 2020; Nethermind and Besu against Geth, 2024; Reth, 2025). Empty when they are mixed or not told.
func (m *Monitor) clients(s split) string {
	for _, by := range []func(string) string{program, func(c string) string { return strings.Trim(c, "/") }} {
		one, two := map[string]int{}, map[string]int{}
		unknown := false
		for _, n := range m.nodes {
			b, ok := n.tree.At(s.height)
			switch {
			case !ok || !n.ok():
			case n.client == "":
				unknown = unknown || b.Hash == s.a.Hash || b.Hash == s.b.Hash
			case b.Hash == s.a.Hash:
				one[by(n.client)]++
			case b.Hash == s.b.Hash:
				two[by(n.client)]++
			}
		}
		if unknown || len(one) == 0 || len(two) == 0 {
			return ""
		}
		shared := false
		for name := range one {
			shared = shared || two[name] > 0
		}
		if shared {
			continue
		}
		if len(two) == 1 && len(one) > 1 {
			one, two = two, one
		}
		if len(one) > 1 { // neither branch is that of one client
			return ""
		}
		name := slices.Collect(maps.Keys(one))[0]
		rest := slices.Sorted(maps.Keys(two))
		k, others := one[name], 0
		for _, v := range two {
			others += v
		}
		if k+others == 2 {
			return fmt.Sprintf(" The one runs %s, the other %s.", name, rest[0])
		}
		return fmt.Sprintf(" All nodes of %s (%d) are on one branch, all others (%d: %s) on the other: a fault of one client is likely.", name, k, others, list(rest))
	}
	return ""
}
