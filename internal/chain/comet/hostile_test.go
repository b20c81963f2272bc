package comet

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
	n := newNode(t, 100)
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
	const height = `"latest_block_height":"\d+"`
	hostile.Try(t, hostile.Subject{Family: chain.Comet, ChainID: "test-1", RPC: true, Well: n,
		Run: func(node, address string, sink func(chain.Observation)) func(context.Context) error {
			return New(Config{Chain: "x", Node: node, ChainID: "test-1", URL: address, Poll: 50 * time.Millisecond, Timeout: hostile.Within(node), Rate: 1e6}, sink, nil).Run
		},
		Own: []hostile.Case{
			lie("height 2^255", "status", height, `"latest_block_height":"57896044618658097711785492504343953926634992332820282019728792003956564819968"`, "not trusted"),
			lie("height 2^62", "status", height, `"latest_block_height":"4611686018427387904"`, "not trusted"),
			lie("negative height", "status", height, `"latest_block_height":"-5"`, "not trusted"),
			lie("height as a list", "status", height, `"latest_block_height":[1]`, "not trusted"),
			lie("a hash of 1 MiB", "status", `"latest_block_hash":"\w+"`, `"latest_block_hash":"`+strings.Repeat("A", 1<<20)+`"`, "not trusted"),
			lie("headers of other heights", "blockchain", `"height":"\d+"`, `"height":"7"`, "not trusted"),
		}})
}
