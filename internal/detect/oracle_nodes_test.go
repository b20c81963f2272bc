package detect_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// toldBy is what a node reads of the feed ETH / USD at a minute: an answer of a round of another minute.
func toldBy(at int64, node string, answer float64, updated int64) observation.Observation {
	u := observation.Time(begin + updated*minute)
	return observation.Observation{At: begin + at*minute, Kind: observation.Feed, Chain: "c", Node: node, Feed: "ETH / USD", Answer: &answer, UpdatedAt: &u, Heartbeat: observation.Span(60 * minute), Deviation: 0.005}
}

// market is what two venues say at a minute, and the same feed on another chain as both of its nodes read it.
func market(at int64, price float64) (out []observation.Observation) {
	for _, v := range []string{"v", "w"} {
		out = append(out, observation.Observation{At: begin + at*minute, Kind: observation.Price, Asset: "ETH", Venue: v, Close: &price, Interval: observation.Span(minute)})
	}
	for _, n := range []string{"n1", "n2"} {
		o := toldBy(at, n, price, at-at%30)
		o.Chain = "e"
		out = append(out, o)
	}
	return out
}

// TestOracleNeedsTwoNodes: what one node tells of a feed is held until the wait is over, what two operators tell is confirmed at once; who tells of
// rounds that are not there hides nothing, and who only lags is no news.
func TestOracleNeedsTwoNodes(t *testing.T) {
	type node struct {
		name string
		says func(m int64) (answer float64, updated int64) // at a minute; updated < 0 = it does not read
	}
	honest := func(name string) node {
		return node{name, func(m int64) (float64, int64) { return 2000, m - m%60 }}
	}
	stopped := func(name string) node { // the feed's contract has stopped, and this node shows it
		return node{name, func(int64) (float64, int64) { return 2000, 0 }}
	}
	moved := func(name string, to float64) node { // the feed goes wrong at minute 10, and this node shows it
		return node{name, func(m int64) (float64, int64) {
			if m < 10 {
				return 2000, 0
			}
			return to, 10
		}}
	}
	silent := func(n node, from int64) node { // it does not read any more
		return node{n.name, func(m int64) (float64, int64) {
			if m >= from {
				return 0, -1
			}
			return n.says(m)
		}}
	}
	liar := func(name string, answer float64) node { // a round of now, at every read from minute 5 on
		return node{name, func(m int64) (float64, int64) {
			if m < 5 {
				return 2000, 0
			}
			return answer, m
		}}
	}
	behind := func(name string, by int64) node { // it has every round, so many minutes late
		return node{name, func(m int64) (float64, int64) { return 2000, max(m-by, 0) - max(m-by, 0)%60 }}
	}
	for _, c := range []struct {
		name  string
		nodes []node
		last  int64
		want  []string // what changed: after how long, what, which, how far confirmed, by whom
	}{
		{"all is well", []node{honest("a"), honest("b")}, 300, nil},
		{"a false answer of now beside a true one: held, and it is the only news", []node{liar("a", 3000), honest("b")}, 30, []string{"7m0s open SEV1 deviation one_node a", "9m0s update SEV1 deviation waited a"}},
		{"the false one comes after the true one", []node{honest("a"), liar("b", 3000)}, 30, []string{"7m0s open SEV1 deviation one_node b", "9m0s update SEV1 deviation waited b"}},
		{"beside two true ones", []node{liar("a", 3000), honest("b"), honest("c")}, 30, []string{"7m0s open SEV1 deviation one_node a", "9m0s update SEV1 deviation waited a"}},
		{"the feed itself is wrong, and two show it", []node{moved("a", 3000), moved("b", 3000)}, 30, []string{"11m0s open SEV1 deviation confirmed a+b"}},
		{"what was confirmed stays so", []node{moved("a", 3000), silent(moved("b", 3000), 15)}, 60, []string{"11m0s open SEV1 deviation confirmed a+b"}},
		{"who goes away confirms nothing", []node{moved("a", 3000), silent(moved("b", 3000), 5)}, 60, []string{"12m0s open SEV1 deviation unverifiable a", "12m30s update SEV1 deviation waited a"}},
		{"and is waited for when it is known", []node{moved("a", 3000), silent(moved("known", 3000), 5)}, 60, []string{"12m0s open SEV1 deviation unverifiable a", "14m0s update SEV1 deviation waited a"}},
		{"only one reads it", []node{moved("a", 3000)}, 30, []string{"12m0s open SEV1 deviation unverifiable a", "12m30s update SEV1 deviation waited a"}},
		{"a source without a name", []node{moved("", 3000)}, 30, []string{"12m0s open SEV1 deviation  "}},
		{"two names of one operator", []node{moved("x1", 3000), moved("x2", 3000)}, 30, []string{"11m0s open SEV1 deviation one_node x1+x2", "13m0s update SEV1 deviation waited x1+x2"}},
		{"who says that all is well hides it for no more than five minutes", []node{liar("a", 2000), moved("b", 3000)}, 30, []string{"18m0s open SEV1 deviation one_node b", "20m0s update SEV1 deviation waited b"}},
		{"and not at all from two", []node{liar("a", 2000), moved("b", 3000), moved("c", 3000)}, 30, []string{"11m0s open SEV1 deviation confirmed b+c"}},
		{"it is as bad as two say, not as one says", []node{liar("a", 9000), moved("b", 2060)}, 30, []string{"7m0s open SEV1 deviation one_node a", "9m0s update SEV1 deviation waited a", "10m0s update SEV2 deviation confirmed a+b"}},
		{"stale, and both show it", []node{stopped("a"), stopped("b")}, 80, []string{"1h8m0s open SEV3 stale confirmed a+b"}},
		{"stale, and one reads it", []node{stopped("a")}, 80, []string{"1h9m0s open SEV3 stale unverifiable a", "1h9m30s update SEV3 stale waited a"}},
		{"rounds that are not there do not hide that it is stale", []node{liar("a", 2000), stopped("b")}, 80, []string{"1h9m0s open SEV3 stale one_node b", "1h11m0s update SEV3 stale waited b"}},
		{"nor from two", []node{liar("a", 2000), stopped("b"), stopped("c")}, 80, []string{"1h8m0s open SEV3 stale confirmed b+c"}},
		{"a node that lags", []node{honest("a"), behind("b", 6)}, 300, nil},
		{"one that stands still, beside two that go on", []node{honest("a"), stopped("b"), honest("c")}, 300, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			operators := map[string]string{"x1": "acme", "x2": "Acme"}
			for _, n := range c.nodes {
				if n.name == "known" {
					operators[n.name] = "other"
				}
			}
			s := newStage(t, detect.Setup{Chains: []detect.ChainFacts{{Name: "c", Operators: operators}}})
			for m := int64(0); m <= c.last; m++ {
				s.see(market(m, 2000)...)
				for _, n := range c.nodes {
					if answer, updated := n.says(m); updated >= 0 {
						s.see(toldBy(m, n.name, answer, updated))
					}
				}
				s.restart(false)
			}
			var got []string
			said := map[string]chain.Verification{}
			for _, f := range s.all {
				if f.Chain == "e" {
					t.Errorf("the feed on the other chain is judged by a false answer: %s", f.Reason)
				}
				if !strings.HasPrefix(f.Kind, "oracle_") {
					continue
				}
				if v, open := said[f.Key]; open && v == f.Verification && f.Firing {
					continue
				}
				what := "update"
				if _, open := said[f.Key]; !open {
					what = "open"
				}
				said[f.Key] = f.Verification
				got = append(got, fmt.Sprintf("%s %s %s %s %s %s", time.Duration(f.At-begin)*time.Millisecond, what, f.Severity, strings.TrimPrefix(f.Kind, "oracle_"), f.Verification, strings.Join(f.Seen, "+")))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// TestOracleRounds: what was taken back is not judged, rounds that nobody dates are one, and names without end cost nothing and blind nobody.
func TestOracleRounds(t *testing.T) {
	verified := func(s *stage) (out []string) {
		for _, f := range s.all {
			if strings.HasPrefix(f.Kind, "oracle_") {
				out = append(out, fmt.Sprint(f.Firing, " ", f.Verification))
			}
		}
		return out
	}
	t.Run("a reorganisation takes a round back", func(t *testing.T) {
		s := newStage(t, detect.Setup{})
		for m := range int64(30) {
			s.see(market(m, 2000)...)
			for _, n := range []string{"a", "b"} {
				if m == 10 {
					gone := toldBy(m, n, 3000, 9)
					s.see(toldBy(m, n, 3000, 9))
					gone.Removed = true
					s.see(gone)
				}
				s.see(toldBy(m, n, 2000, 0))
			}
			s.restart(false)
		}
		if got := verified(s); got != nil {
			t.Errorf("%q", got)
		}
	})
	t.Run("rounds without a date", func(t *testing.T) {
		s := newStage(t, detect.Setup{})
		for m := range int64(20) {
			s.see(market(m, 2000)...)
			for i, n := range []string{"a", "b"} {
				o := toldBy(m, n, 2000, 0)
				if o.UpdatedAt = nil; m > 9 {
					*o.Answer = 3000
				}
				o.At += int64(i) * 3000
				s.see(o)
			}
			s.restart(false)
		}
		if got := verified(s); len(got) == 0 || slices.ContainsFunc(got, func(v string) bool { return v != "true confirmed" }) {
			t.Errorf("%q", got)
		}
	})
	t.Run("many names", func(t *testing.T) {
		acme := map[string]string{}
		for i := range 700 {
			acme[fmt.Sprint("x", i)] = "acme"
		}
		s := newStage(t, detect.Setup{Chains: []detect.ChainFacts{{Name: "c", Operators: acme}}})
		for m := range int64(30) {
			s.see(market(m, 2000)...)
			for i := range int64(20) {
				s.see(toldBy(m, fmt.Sprint("x", (m*20+i)%700), 2000, 0))
			}
			s.see(toldBy(m, "a", 3000, m), toldBy(m, "b", 3000, m))
		}
		state, err := s.set.Save()
		if got := verified(s); err != nil || len(state) > 64<<10 || len(got) == 0 || got[0] != "true confirmed" {
			t.Errorf("%q, %d bytes, %v", got, len(state), err)
		}
	})
}

// TestOracleReadsItsOlderState: what a program wrote that did not tell nodes apart is read, and goes on: the heartbeat that it learned, and what is open.
func TestOracleReadsItsOlderState(t *testing.T) {
	const was = `{"name":"oracle","version":1,"book":{"Now":%[1]d,"Entries":{"c/oracle_stale/ETH / USD":{"Finding":{"key":"c/oracle_stale/ETH / USD","kind":"oracle_stale","chain":"c","subject":"ETH / USD",
	"severity":"SEV3","firing":true,"title":"t","reason":"r","at":%[1]d,"since":%[1]d,"evidence":{}},"Open":true,"First":1,"Told":%[1]d,"Raised":3}},"Turned":{},"Started":0},"seen":{},
	"state":{"Feeds":{"c|ETH / USD":{"Feed":"ETH / USD","Chain":"c","Asset":"ETH","Read":%[1]d,"Gap":60000,"Updated":%[2]d,"Answer":2000,"Heartbeat":0,"Grace":0,"Deviation":0.005,
	"Intervals":[600000,600000,600000,600000,600000,600000,600000,600000],"StaleReads":2,"OffReads":0,"Drill":false}},"Quotes":{},"Looked":0}}`
	h := detect.NewOracle(detect.Config{})
	if err := h.Load(fmt.Appendf(nil, was, begin+60*minute, begin)); err != nil {
		t.Fatal(err)
	}
	if got := h.Open(); !slices.Equal(got, []string{"c/oracle_stale/ETH / USD"}) {
		t.Fatalf("%q", got)
	}
	var told []string
	for m := int64(61); m < 70; m++ {
		for _, n := range []string{"a", "b"} {
			o := toldBy(m, n, 2001, 61)
			o.Heartbeat = 0
			for _, f := range h.Observe(o) {
				told = append(told, fmt.Sprint(f.Firing, " ", f.Reason))
			}
		}
	}
	if !slices.Equal(told, []string{"false ETH / USD has new rounds again."}) {
		t.Errorf("%q", told)
	}
	if b, err := h.Save(); err != nil || !strings.Contains(string(b), `"Intervals":[600000,600000,600000,600000,600000,600000,600000,600000,3660000]`) {
		t.Errorf("what it had learned of the heartbeat is gone: %s, %v", b, err)
	}
}
