package detect_test

import (
	"fmt"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// BenchmarkHeuristics gives all heuristics one observation of a kind, of many subjects.
func BenchmarkHeuristics(b *testing.B) {
	for _, kind := range []observation.Kind{observation.Sample, observation.Transfer, observation.Withdrawal, observation.Price, observation.Feed} {
		b.Run(string(kind), func(b *testing.B) {
			hs := detect.All(facts)
			for n := range b.N {
				v := 2000.0
				o := observation.Observation{At: start + int64(n)*100, Kind: kind, Chain: "c", Tx: fmt.Sprint("t", n), From: addr(n % 5000), To: addr(n % 7001), Token: "0xa", Symbol: "USDC", Amount: "12.5",
					USD: usd(1000), Bridge: "b", ID: fmt.Sprint(n), Beneficiary: addr(n % 999), Asset: "ETH", Venue: "v", Close: &v, Feed: fmt.Sprint("ETH / USD ", n%20), Answer: &v, Value: &v, Series: "s"}
				for _, h := range hs {
					h.Observe(o)
				}
			}
		})
	}
}
