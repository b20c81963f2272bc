package detect_test

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

func number(name string, labels map[string]string, at int64, v float64) observation.Observation {
	return observation.Observation{At: at, Kind: observation.Sample, Series: name, Labels: labels, Value: &v}
}

// drained is a withdrawal that takes a fifth of a bridge, told by a node.
func drained(at int64, node, tx string) observation.Observation {
	return observation.Observation{At: at, Kind: observation.Withdrawal, Bridge: "b", Chain: "ethereum", Node: node, Tx: tx, Token: "USDC", Amount: "20000000", USD: new(2e7)}
}

// TestVoices: what one named node told is held until a second tells the same event, or the wait is over; what nobody's name is on needs none.
func TestVoices(t *testing.T) {
	setup := detect.Setup{Config: detect.Config{Bridges: []detect.BridgeFacts{{Name: "b", TVLUSD: 1e8}}}, VerificationWait: observation.Span(60 * second), Chains: []detect.ChainFacts{{Name: "ethereum", Operators: map[string]string{}}}}
	for i := range 9 {
		setup.Chains[0].Operators[fmt.Sprint("x", i+1)] = []string{"Acme", "acme"}[i%2]
	}
	of := func(s *stage) (out []string) {
		for _, f := range s.all {
			if f.Kind == "bridge_outflow" || strings.Contains(f.Kind, "drain") || strings.Contains(f.Kind, "outflow") {
				out = append(out, fmt.Sprint(f.At-begin, " ", f.Verification, " ", strings.Join(f.Seen, "+")))
			}
		}
		return out
	}
	for _, c := range []struct {
		name string
		see  []observation.Observation
		want []string
	}{
		{"two nodes", []observation.Observation{drained(begin, "a", "0x1"), drained(begin+400, "b", "0x1")}, []string{"0 one_node a", "400 confirmed a+b"}},
		{"the same node twice is one voice", []observation.Observation{drained(begin, "a", "0x1"), drained(begin+400, "a", "0x1")}, []string{"0 one_node a"}},
		{"another event is no confirmation", []observation.Observation{drained(begin, "a", "0x1"), {At: begin + 400, Kind: observation.Withdrawal, Bridge: "b", Chain: "ethereum", Node: "b", Tx: "0x2", Token: "USDC", Amount: "1", USD: new(1.0)}}, []string{"0 one_node a"}},
		{"nobody else in time", []observation.Observation{drained(begin, "a", "0x1"), number("m", nil, begin+90*second, 1)}, []string{"0 one_node a", "60000 waited a"}},
		{"late, but still", []observation.Observation{drained(begin, "a", "0x1"), number("m", nil, begin+90*second, 1), drained(begin+91*second, "b", "0x1")}, []string{"0 one_node a", "60000 waited a", "91000 confirmed a+b"}},
		{"no names", []observation.Observation{drained(begin, "", "0x1")}, []string{"0  "}},
		{"two names of one operator", []observation.Observation{drained(begin, "x1", "0x1"), drained(begin+400, "x2", "0x1"), number("m", nil, begin+90*second, 1)}, []string{"0 one_node x1", "400 one_node x1+x2", "60000 waited x1+x2"}},
		{"and then another", []observation.Observation{drained(begin, "x1", "0x1"), drained(begin+400, "x2", "0x1"), drained(begin+900, "a", "0x1")}, []string{"0 one_node x1", "400 one_node x1+x2", "900 confirmed a+x1+x2"}},
		{"many names leave room for another", func() (out []observation.Observation) {
			for i := range 9 {
				out = append(out, drained(begin, fmt.Sprint("x", i+1), "0x1"))
			}
			return append(out, drained(begin+900, "y", "0x1"))
		}(), []string{"0 one_node x1", "0 one_node x1+x2", "0 one_node x1+x2+x3", "0 one_node x1+x2+x3+x4", "0 one_node x1+x2+x3+x4+x5", "0 one_node x1+x2+x3+x4+x5+x6",
			"0 one_node x1+x2+x3+x4+x5+x6+x7", "0 one_node x1+x2+x3+x4+x5+x6+x7+x8", "900 confirmed x1+x2+x3+x4+x5+x6+x7+y"}},
	} {
		s := newStage(t, setup)
		for _, o := range c.see {
			s.see(o)
			s.restart(false)
		}
		if got := of(s); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q\n%s", c.name, got, c.want, strings.Join(s.lines, "\n"))
		}
	}
}

// TestVoicesOfATracedPayer: a node that cannot read who paid confirms one that can, where the transaction itself says it; and the payment is
// one, not two.
func TestVoicesOfATracedPayer(t *testing.T) {
	setup := detect.Setup{Config: detect.Config{Watched: []detect.Watched{{Address: "bc1ours", Label: "cold"}, {Address: "bc1bad", Label: "Lazarus", Kind: "attacker"}}}, VerificationWait: observation.Span(60 * second)}
	paid := func(at int64, node, from string, traced bool) observation.Observation {
		return observation.Observation{At: at, Kind: observation.Transfer, Chain: "btc", Node: node, Tx: "t", ID: "output 0", From: from, To: "bc1bad", Amount: "1", USD: new(1e5), Traced: traced}
	}
	for traced, want := range map[bool][]string{true: {"one_node a", "confirmed a+b"}, false: {"one_node a"}} {
		s := newStage(t, setup)
		s.see(paid(begin, "a", "bc1ours", traced))
		s.see(paid(begin+400, "b", "", traced))
		var got []string
		for _, f := range s.all {
			if f.Kind == detect.KindTaintedPaid {
				got = append(got, fmt.Sprint(f.Verification, " ", strings.Join(f.Seen, "+")))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("traced %v: %q, want %q\n%s", traced, got, want, strings.Join(s.lines, "\n"))
		}
	}
}

// TestPayerToldLater: a payment that a node without an index tells first is judged when another one says who paid, once, and taken back by either;
// what came is counted once.
func TestPayerToldLater(t *testing.T) {
	setup := detect.Setup{Config: detect.Config{Watched: []detect.Watched{{Address: "bc1ours", Label: "cold"}, {Address: "bc1bad", Label: "Lazarus", Kind: "attacker"}}}, VerificationWait: observation.Span(60 * second)}
	paid := func(at int64, node, from string, removed bool) observation.Observation {
		return observation.Observation{At: at, Kind: observation.Transfer, Chain: "btc", Node: node, Tx: "t", ID: "output 0", From: from, To: "bc1bad", Amount: "1", USD: new(1e5), Traced: true, Removed: removed}
	}
	s := newStage(t, setup)
	for _, o := range []observation.Observation{paid(begin, "a", "", false), paid(begin+400, "b", "bc1ours", false), paid(begin+800, "c", "bc1ours", false), paid(begin+900, "d", "", false),
		paid(begin+1000, "a", "", true), paid(begin+1400, "b", "bc1ours", true)} {
		s.see(o)
		s.restart(false)
	}
	var got []string
	for _, f := range s.all {
		if f.Kind == detect.KindTaintedPaid {
			got = append(got, fmt.Sprint(f.Firing, " ", f.Verification, " ", strings.Join(f.Seen, "+")))
		}
	}
	if want := []string{"true confirmed a+b", "false confirmed a+b"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q\n%s", got, want, strings.Join(s.lines, "\n"))
	}
}

// TestVoicesSayWho: the reason ends with who told it, as long as that is one; what is over says nothing of it.
func TestVoicesSayWho(t *testing.T) {
	s := newStage(t, detect.Setup{Config: detect.Config{Bridges: []detect.BridgeFacts{{Name: "b", TVLUSD: 1e8}}}, VerificationWait: observation.Span(60 * second),
		Chains: []detect.ChainFacts{{Name: "ethereum", Operators: map[string]string{"own-1": "us", "own-3": "us"}}}})
	s.see(drained(begin, "own-1", "0x1"))
	s.restart(false)
	s.see(drained(begin+second, "own-3", "0x1"))
	s.restart(false)
	s.see(number("m", nil, begin+90*second, 1), drained(begin+91*second, "own-2", "0x1"), number("m", nil, begin+3_600_000, 1))
	var got []string
	for _, f := range s.all {
		if f.Kind == detect.KindBridgeDrain {
			_, ends, _ := strings.Cut(f.Reason[strings.LastIndex(f.Reason, ". ")+1:], " ")
			got = append(got, fmt.Sprintf("%v %s: %s", f.Firing, f.Verification, ends))
		}
	}
	want := []string{"true one_node: Only own-1 shows it so far.", "true one_node: own-1, own-3 show it, but both are of us: that is one voice.",
		"true waited: own-1, own-3 show it, but both are of us; no second operator has confirmed it within 1 min."}
	if len(got) < 5 || !slices.Equal(got[:3], want) || strings.Contains(strings.Join(got[3:], ""), "own-1 shows") || strings.Contains(strings.Join(got[3:], ""), "o second") {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

// TestCombination: three kinds of weak sign about one thing within ten minutes are one finding with its parts; two are none, signs about
// different things are none, and many of one kind count for little more than the best.
func TestCombination(t *testing.T) {
	sign := func(kind, about, subject string, score float64) chain.Finding {
		return chain.Finding{Key: about + "/" + kind + "/" + subject, Kind: kind, Chain: about, Subject: subject, Severity: "SEV5", Weak: true, Firing: true,
			Title: kind, Reason: "for the test", Score: score}
	}
	for _, c := range []struct {
		name  string
		signs []chain.Finding
		apart int64
		sev   string // "" = none
	}{
		{"three", []chain.Finding{sign("x", "c", "1", 1e-4), sign("y", "c", "1", 1e-4), sign("z", "c", "1", 1e-4)}, 60 * second, "SEV2"},
		{"three, less rare", []chain.Finding{sign("x", "c", "1", 2e-3), sign("y", "c", "1", 2e-3), sign("z", "c", "1", 2e-3)}, 60 * second, "SEV4"},
		{"three that are not rare", []chain.Finding{sign("x", "c", "1", 0.1), sign("y", "c", "1", 0.1), sign("z", "c", "1", 0.1)}, 60 * second, ""},
		{"two", []chain.Finding{sign("x", "c", "1", 1e-4), sign("y", "c", "1", 1e-4)}, 60 * second, ""},
		{"too far apart", []chain.Finding{sign("x", "c", "1", 1e-4), sign("y", "c", "1", 1e-4), sign("z", "c", "1", 1e-4)}, 400 * second, ""},
		{"about different things", []chain.Finding{sign("x", "c", "1", 1e-4), sign("y", "d", "1", 1e-4), sign("z", "e", "1", 1e-4)}, 60 * second, ""},
		{"one sign three times", []chain.Finding{sign("x", "c", "1", 1e-4), sign("x", "c", "1", 1e-4), sign("x", "c", "1", 1e-4)}, 60 * second, ""},
		{"one kind of three nodes", []chain.Finding{sign("x", "c", "1", 1e-3), sign("x", "c", "2", 1e-3), sign("x", "c", "3", 1e-3)}, 60 * second, ""},
		{"rules without a probability", []chain.Finding{sign("x", "c", "1", 0), sign("y", "c", "1", 0), sign("z", "c", "1", 0)}, 60 * second, ""},
	} {
		s := newStage(t, detect.Setup{})
		s.see(number("m", nil, begin, 1))
		at := begin
		for _, f := range c.signs {
			s.take(s.set.Tick(at))
			f.At = s.set.Now()
			s.take(detect.Indicate(s.set, f)[1:]) // the sign itself is not the Set's to hold open
			s.restart(false)
			at += c.apart
		}
		got := ""
		for _, f := range s.all {
			if f.Kind == detect.KindCombined && f.Firing {
				got = f.Severity
				if f.Score <= 0 || f.Score >= 1e-4 || !strings.Contains(string(f.Evidence), `"parts":[{"detector":"`) {
					t.Errorf("%s: %+v", c.name, f)
				}
			}
		}
		if got != c.sev {
			t.Errorf("%s: severity %q, want %q\n%s", c.name, got, c.sev, strings.Join(s.lines, "\n"))
		}
		s.take(s.set.Tick(at + 3_600_000))
		if len(s.open) != 0 {
			t.Errorf("%s: still open: %v", c.name, s.open)
		}
	}
}

// TestFull: what there is no room for is told once, is not watched, and the Set stays as large as it is.
func TestFull(t *testing.T) {
	s := newStage(t, detect.Setup{})
	for i := range detect.MaxChains + 20 {
		s.see(observation.Observation{At: begin, Kind: observation.Block, Chain: fmt.Sprint("c", i), Node: "n", Hash: "h"})
	}
	for i := range detect.MaxNodes + 20 {
		s.see(observation.Observation{At: begin, Kind: observation.Block, Chain: "c0", Node: fmt.Sprint("n", i), Hash: "h"})
	}
	for i := range detect.MaxSeries + 20 {
		s.see(number(fmt.Sprint("m", i), nil, begin, 1))
	}
	s.see(number(strings.Repeat("x", 2000), nil, begin, 1))
	for _, what := range []string{"chains", "nodes", "series"} {
		if n := s.of("too_many/" + what)["open"]; n != 1 {
			t.Errorf("%s: told %d times", what, n)
		}
	}
	if n := len(s.set.Views(begin)); n != detect.MaxChains {
		t.Errorf("%d chains", n)
	}
}

// TestGap: after a year of silence everything that was due in it is found, at its own time, and it costs some hundred ticks.
func TestGap(t *testing.T) {
	s := newStage(t, detect.Setup{})
	for i := range int64(30) {
		s.see(observation.Observation{At: begin + i*12*second, Kind: observation.Block, Chain: "ethereum", Node: "a", Height: 10 + i, Hash: fmt.Sprint("h", i), Parent: fmt.Sprint("h", i-1)})
	}
	s.see(number("m", nil, begin+365*86_400*second, 1))
	var first chain.Finding
	for _, f := range s.all {
		if f.Kind == chain.FindingStall {
			first = f
			break
		}
	}
	if want := begin + 29*12*second + 60*second; first.At != want {
		t.Errorf("the stall was found at %d, not at %d, when its bound passed", first.At, want)
	}
	if len(s.all) > 400 {
		t.Errorf("%d findings in a year of silence", len(s.all))
	}
}

// TestBlocksAreSigns: what monitors elsewhere measure on single blocks, exponential as intervals are, gives no alarm in three months.
func TestBlocksAreSigns(t *testing.T) {
	s := newStage(t, detect.Setup{ChainsElsewhere: true})
	m := &maker{noise: 3}
	for at := begin; at < begin+90*86_400*second; {
		gap := max(-600_000*math.Log(1-m.random()), 1000)
		at += int64(gap)
		s.see(number("tocsin_chain_block_interval_seconds", map[string]string{"chain": "bitcoin"}, at, gap/1000))
	}
	if n := s.pages(0, 0); len(n) > 0 {
		t.Errorf("%v", n)
	}
	if n := s.of("weak_anomaly/")["open"]; n > 90 {
		t.Errorf("%d weak findings in 90 days", n)
	}
}

// TestMeansCountOnce: samples of a monitor elsewhere that come again after a restart are not counted twice.
func TestMeansCountOnce(t *testing.T) {
	s := detect.NewSet(detect.Setup{ChainsElsewhere: true})
	for i := range int64(20) {
		s.Observe(number("tocsin_chain_gas_ratio", map[string]string{"chain": "e"}, begin+i*12*second, 0.5))
	}
	before, err := s.Save()
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(20) {
		s.Observe(number("tocsin_chain_gas_ratio", map[string]string{"chain": "e"}, begin+i*12*second, 0.5))
	}
	after, err := s.Save()
	if err != nil {
		t.Fatal(err)
	}
	if cut := regexp.MustCompile(`"means":\{.*?\}\}`); cut.FindString(string(before)) == "" || cut.FindString(string(before)) != cut.FindString(string(after)) {
		t.Errorf("%s became %s", cut.Find(before), cut.Find(after))
	}
}
