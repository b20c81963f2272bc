package detect_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// facts know a little of everything.
var facts = detect.Config{
	Bridges: []detect.BridgeFacts{{Name: "b", Chain: "c", TVLUSD: 1e6, Complete: true}, {Name: "d", DepositsSeen: true}},
	Watched: []detect.Watched{{Address: addr(1), Label: "treasury", Kind: "treasury"}, {Address: addr(2), Kind: "attacker"}},
	Feeds:   []detect.FeedFacts{{Feed: "ETH / USD", HeartbeatSeconds: 3600, Deviation: 0.005}},
}

func addr(n int) string { return fmt.Sprintf("0x%040x", n*7919) }

// anything draws an observation of any kind, from a small world so that things meet.
func anything(t *rapid.T, at int64) observation.Observation {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	o := observation.Observation{At: at, Chain: pick("chain", "c", "e", ""), Tx: pick("tx", "", "t1", "t2", "t3", "t4", "t5", "t6", "t7"), Removed: rapid.IntRange(0, 9).Draw(t, "removed") == 0,
		Symbol: pick("symbol", "", "USDC"), Token: pick("token", "", "0xA", "0xb"), Amount: pick("amount", "0", "0.001", "1", "202440.725413", "1000000"), From: addr(rapid.IntRange(0, 30).Draw(t, "from")),
		To: addr(rapid.IntRange(0, 30).Draw(t, "to")), Beneficiary: addr(rapid.IntRange(0, 5).Draw(t, "ben")), ID: pick("id", "", "1", "2", "3", "99999999"), Message: pick("m", "", "", "m1", "m2"),
		Bridge: pick("bridge", "b", "d"), Asset: pick("asset", "USDC", "ETH"), Venue: pick("venue", "", "v", "w"), Contract: addr(1), Change: pick("change", "owner", "proxy"), Before: pick("before", "", "x"),
		After: pick("after", "x", "y"), Feed: pick("feed", "ETH / USD", "ETH / USD 2"), Drill: rapid.IntRange(0, 9).Draw(t, "drill") == 0}
	if rapid.Bool().Draw(t, "priced") {
		o.USD = usd(float64(rapid.SampledFrom([]int{0, 1, 1000, 100_000, 5_000_000}).Draw(t, "usd")))
	}
	v := rapid.SampledFrom([]float64{0.9, 0.99, 0.9999, 1, 1.1, 2000}).Draw(t, "v")
	o.Close, o.Answer, o.Value = &v, &v, &v
	o.Node, o.Where, o.Block = pick("told by", "", "n1", "n2"), pick("where", "pool", "chain", "chain"), pick("block", "B1", "B2")
	o.Inputs = rapid.SliceOfN(rapid.SampledFrom([]string{"a:0", "a:1", "0xAA#5"}), 0, 3).Draw(t, "inputs")
	o.Kind = rapid.SampledFrom([]observation.Kind{"", observation.Transfer, observation.Deposit, observation.Withdrawal, observation.Price, observation.Admin, observation.Feed, observation.Spend, observation.Sample, "odd"}).Draw(t, "kind")
	return o
}

// TestAnythingKeepsTheLifeCycle gives every heuristic anything at all, also from the past: findings open before they end, keep their form and
// pace, and a restart at any moment changes nothing.
func TestAnythingKeepsTheLifeCycle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hs, twins, l := detect.All(facts), detect.All(facts), lives{}
		at := int64(0)
		for range rapid.IntRange(1, 120).Draw(t, "n") {
			at += int64(rapid.SampledFrom([]int{-60_000, 0, 1000, 60_000, 600_000, 4_000_000, 90_000_000}).Draw(t, "dt"))
			at = max(at, 0)
			o := anything(t, at)
			restart := rapid.IntRange(0, 9).Draw(t, "restart") == 0
			for i, h := range hs {
				found := give(h, o)
				if restart {
					b, err := twins[i].Save()
					if err != nil {
						t.Fatal(err)
					}
					twins[i] = detect.All(facts)[i]
					if err := twins[i].Load(b); err != nil {
						t.Fatal(err)
					}
				}
				if twin := give(twins[i], o); !reflect.DeepEqual(texts(found), texts(twin)) {
					t.Fatalf("%s: %s after a restart, else %s", h.Name(), texts(twin), texts(found))
				}
				for _, f := range found {
					if _, err := l.take(f); err != nil {
						t.Fatalf("%s: %v", h.Name(), err)
					}
				}
				if !slices.Equal(h.Open(), twins[i].Open()) {
					t.Fatalf("%s: open %v, after a restart %v", h.Name(), h.Open(), twins[i].Open())
				}
				for _, k := range h.Open() {
					if _, told := l[k]; !told {
						t.Fatalf("%s holds %s open and never said so", h.Name(), k)
					}
				}
			}
		}
	})
}

// TestMemoryIsBounded gives every heuristic ten thousands of subjects, each once: what it holds stops to grow.
func TestMemoryIsBounded(t *testing.T) {
	for _, h := range detect.All(detect.Config{}) {
		var sizes []int
		for n := range 45_000 {
			v := 2.0 + float64(n%7)
			o := observation.Observation{At: int64(n) * 50, Chain: "c", Tx: fmt.Sprint("t", n), From: addr(n), To: addr(n + 1), Token: addr(n % 50_000), Symbol: fmt.Sprint("S", n),
				Amount: fmt.Sprint(n), USD: usd(1e6), Bridge: fmt.Sprint("b", n%400), ID: fmt.Sprint(n), Beneficiary: addr(n), Asset: fmt.Sprint("A", n), Venue: fmt.Sprint(n), Close: &v,
				Contract: addr(n), Change: "owner", Before: "x", After: "y", Feed: fmt.Sprint("F", n), Answer: &v}
			for _, o.Kind = range kinds[h.Name()] {
				give(h, o)
			}
			if n%15_000 == 14_999 {
				b, err := h.Save()
				if err != nil {
					t.Fatal(err)
				}
				sizes = append(sizes, len(b))
			}
		}
		t.Logf("%s: %d bytes, open %d", h.Name(), sizes, len(h.Open()))
		if sizes[2] > 8<<20 || len(h.Open()) > 1001 {
			t.Errorf("%s grows: %v bytes, %d open", h.Name(), sizes, len(h.Open()))
		}
	}
}

// kinds are what each heuristic looks at.
var kinds = map[string][]observation.Kind{
	"bridge_backing": {observation.Deposit, observation.Withdrawal}, "withdrawal_numbers": {observation.Withdrawal}, "bridge_drain": {observation.Withdrawal},
	"repeated_amount": {observation.Withdrawal}, "oracle": {observation.Feed, observation.Price}, "depeg": {observation.Price}, "large_transfer": {observation.Transfer},
	"address_poisoning": {observation.Transfer}, "control_change": {observation.Admin}, "layering": {observation.Transfer},
}

// TestTheRestIsCounted opens more findings than there is room for.
func TestTheRestIsCounted(t *testing.T) {
	h, l := detect.NewControl(detect.Config{}), lives{}
	for i := range 1500 {
		for _, f := range give(h, observation.Observation{At: int64(i) * 100, Kind: observation.Admin, Chain: "c", Tx: fmt.Sprint(i), Contract: addr(i), Change: "owner", Before: "x", After: "y"}) {
			if _, err := l.take(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	more, ok := l["all/control_change/and_more"]
	if len(h.Open()) != 1001 || !ok || more.Severity != "SEV2" {
		t.Fatalf("%d open, %+v", len(h.Open()), more)
	}
	for _, f := range give(h, tick(300_000)) {
		if _, err := l.take(f); err != nil {
			t.Fatal(err)
		}
	}
	if m := l["all/control_change/and_more"]; !strings.Contains(m.Title, "and 500 more") {
		t.Errorf("%+v", m)
	}
	for _, at := range []int64{2, 30} {
		for _, f := range give(h, tick(at*3_600_000)) {
			if _, err := l.take(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(l) > 0 || len(h.Open()) > 0 {
		t.Errorf("still open: %v", h.Open())
	}
}

// TestNoNumberPoisonsTheState: what is no number in a live observation leaves a state that can be saved.
func TestNoNumberPoisonsTheState(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, math.MaxFloat64} {
		for _, h := range detect.All(facts) {
			for i := range 30 {
				for _, kind := range kinds[h.Name()] {
					give(h, observation.Observation{At: int64(i) * minute, Kind: kind, Chain: "c", Tx: fmt.Sprint(i), From: addr(i % 3), To: addr(50 + i), Amount: "5", USD: &v, Close: &v, Answer: &v, Value: &v, Deviation: v,
						Bridge: "d", ID: fmt.Sprint(i % 9), Asset: "USDC", Venue: "v", Feed: "USDC / USD", Contract: "x", Change: "owner", After: fmt.Sprint(i)})
				}
			}
			if _, err := h.Save(); err != nil {
				t.Errorf("%s after %v: %v", h.Name(), v, err)
			}
		}
	}
}

// TestRefusedStates: what another version wrote changes nothing.
func TestRefusedStates(t *testing.T) {
	for _, h := range detect.All(facts) {
		for _, b := range []string{"", "{", "null", "[]", `{"name":"` + h.Name() + `","version":99}`, `{"name":"x","version":1}`, `{"name":"` + h.Name() + `","version":1,"book":null}`} {
			if h.Load([]byte(b)) == nil {
				t.Errorf("%s took %q", h.Name(), b)
			}
		}
		if o := (observation.Observation{Kind: observation.Transfer, Chain: "c", From: "a", To: "b", Amount: "1"}); h.Observe(o) != nil {
			t.Errorf("%s is broken after a refused state", h.Name())
		}
	}
}
