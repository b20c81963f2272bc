package precedent_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/precedent"
)

func longer(minutes int64) precedent.Recovery {
	return precedent.Recovery{Known: true, Likely: minutes * 60_000, Low: minutes * 30_000, High: minutes * 120_000, Resolved: 12}
}

func TestOrder(t *testing.T) {
	items := []precedent.Item{
		{ID: "drill", Severity: incident.SEV1, Drill: true, Since: 1, PerMinute: 1e6, CostKnown: true, Longer: longer(60)},
		{ID: "unknown-sev3", Severity: incident.SEV3, Since: 5},
		{ID: "dear-short", Severity: incident.SEV2, Since: 9, PerMinute: 2000, CostKnown: true, Longer: longer(80)},
		{ID: "cheap-long", Severity: incident.SEV4, Since: 2, PerMinute: 30, CostKnown: true, Longer: longer(600)},
		{ID: "unknown-sev1", Severity: incident.SEV1, Since: 7},
		{ID: "free", Severity: incident.SEV2, Since: 3, PerMinute: 0, CostKnown: true, Longer: longer(60)},
		{ID: "tie-newer", Severity: incident.SEV3, Since: 6},
		{ID: "tie-b", Severity: incident.SEV3, Since: 5},
		{ID: "no-sense", Severity: incident.SEV5, Since: 8, PerMinute: math.NaN(), CostKnown: true},
	}
	want := `unknown-sev1: $10,000 a minute (assumed for SEV1) × 3 h more (assumed) = $1.8 million
dear-short: $2,000 a minute × likely 1 h 20 m more = $160,000
cheap-long: $30 a minute × likely 10 h more = $18,000
tie-b: $100 a minute (assumed for SEV3) × 2 h more (assumed) = $12,000
unknown-sev3: $100 a minute (assumed for SEV3) × 2 h more (assumed) = $12,000
tie-newer: $100 a minute (assumed for SEV3) × 2 h more (assumed) = $12,000
no-sense: $1 a minute (assumed for SEV5) × 2 h more (assumed) = $120
free: $0 a minute × likely 1 h more = $0
drill: A drill: it costs nothing, and comes after what is real.
`
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 { // whatever the order in which they come
		r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		before := slices.Clone(items)
		var b strings.Builder
		for _, k := range precedent.Order(items) {
			fmt.Fprintf(&b, "%s: %s\n", k.ID, k.Reason)
		}
		if b.String() != want {
			t.Fatalf("got\n%swant\n%s", b.String(), want)
		}
		if !slices.EqualFunc(items, before, func(a, b precedent.Item) bool { return a.ID == b.ID }) {
			t.Fatal("Order changed what it was given")
		}
	}
}

func TestMoney(t *testing.T) {
	for v, want := range map[float64]string{0: "$0", 0.4: "$0.40", 12: "$12", 1234: "$1,200", 160_000: "$160,000", 1_849_999: "$1.8 million", 3e9: "$3 billion", -4: "$0", 1e18: "over $1,000,000 billion"} {
		if got := precedent.Money(v); got != want {
			t.Errorf("%v: %q, not %q", v, got, want)
		}
	}
}
