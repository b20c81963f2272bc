package solana

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

// TestHostile: every way to misbehave over HTTP, and those of this family.
func TestHostile(t *testing.T) {
	n := newNode(t)
	swap := func(method, pattern, by string) http.HandlerFunc {
		re := regexp.MustCompile(pattern)
		return hostile.Rewrite(n, func(request, answer string) string {
			if !strings.Contains(request, `"`+method+`"`) {
				return answer
			}
			return re.ReplaceAllString(answer, by)
		})
	}
	lie := func(name, method, pattern, by, says string) hostile.Case {
		return hostile.Case{Name: name, Light: true, Says: []string{says, "not with JSON"}, Serve: swap(method, pattern, by)}
	}
	const slot = `"slot":\d+`
	hostile.Try(t, hostile.Subject{Family: chain.Solana, RPC: true, Well: n,
		Run: func(node, address string, sink func(chain.Observation)) func(context.Context) error {
			return New(Config{Chain: "x", Node: node, URL: address, Poll: 50 * time.Millisecond, Timeout: hostile.Within(node), Rate: 1e6}, sink, nil).Run
		},
		Own: []hostile.Case{
			lie("slot 2^255", "getLatestBlockhash", slot, `"slot":57896044618658097711785492504343953926634992332820282019728792003956564819968`, "trusted"),
			lie("slot 2^62", "getLatestBlockhash", slot, `"slot":4611686018427387904`, "not trusted"),
			lie("negative slot", "getLatestBlockhash", slot, `"slot":-5`, "not trusted"),
			lie("slot as a text", "getLatestBlockhash", slot, `"slot":"1000"`, "trusted"),
			lie("a hash of 1 MiB", "getLatestBlockhash", `"blockhash":"\w+"`, `"blockhash":"`+strings.Repeat("A", 1<<20)+`"`, "not trusted"),
		}})
}
