package bitcoin

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
	n := newNode(t, 30)
	swap := func(method, pattern, by string) http.HandlerFunc {
		re := regexp.MustCompile(pattern)
		return hostile.Rewrite(n, func(request, answer string) string {
			if !strings.Contains(request, `"`+method+`"`) {
				return answer
			}
			return re.ReplaceAllString(answer, by)
		})
	}
	header := func(name, pattern, by, says string) hostile.Case {
		return hostile.Case{Name: name, Light: true, Says: []string{says}, Serve: swap("getblockheader", pattern, by)}
	}
	hostile.Try(t, hostile.Subject{Family: chain.Bitcoin, ChainID: "simnet", RPC: true, Well: n, User: "u:p@",
		Run: func(node, address string, sink func(chain.Observation)) func(context.Context) error {
			return New(Config{Chain: "x", Node: node, ChainID: "simnet", URL: address, Poll: 50 * time.Millisecond, Timeout: hostile.Within(node), Rate: 1e6}, sink, nil).Run
		},
		Own: []hostile.Case{
			header("height 2^255", `"height":\d+`, `"height":57896044618658097711785492504343953926634992332820282019728792003956564819968`, "where that cannot be"),
			header("height 2^62", `"height":\d+`, `"height":4611686018427387904`, "that cannot be"),
			header("negative height", `"height":\d+`, `"height":-5`, "that cannot be"),
			header("height as a text", `"height":\d+`, `"height":"29"`, "where that cannot be"),
			header("every block at one height", `"height":\d+`, `"height":7`, "follows block"),
			header("time 2^62", `"time":\d+`, `"time":4611686018427387904`, "that cannot be"),
			header("another block than asked for", `"hash":"[0-9a-z]+"`, `"hash":"`+strings.Repeat("b", 64)+`"`, "It was asked for block"),
			header("a block that is its own parent", `"previousblockhash":"[0-9a-z]+"`, `"previousblockhash":"`+n.tip[29]+`"`, "cannot be"),
			{Name: "a best hash of 1 MiB", Light: true, Says: []string{"which is no hash"}, Serve: swap("getbestblockhash", `"result":"[0-9a-z]+"`, `"result":"`+strings.Repeat("a", 1<<20)+`"`)},
			{Name: "no chain", Light: true, Says: []string{"that cannot be, so it is not trusted"}, Serve: swap("getblockchaininfo", `"chain":"simnet"`, `"chain":""`)},
		}})
}
