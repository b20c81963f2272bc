package detect_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// moved is a deposit on chain e or a withdrawal on chain c, of bridge b.
func moved(kind observation.Kind, at int64, id, amount string, dollars float64, who string) observation.Observation {
	o := observation.Observation{At: at, Kind: kind, Bridge: "b", Chain: "c", ID: id, Token: "0xT", Symbol: "T", Amount: amount, USD: usd(dollars), Beneficiary: who, Tx: fmt.Sprint(kind, at, id, who)}
	if kind == observation.Deposit {
		o.Chain = "e"
	}
	return o
}

func wd(at int64, id, amount string, dollars float64, who string) observation.Observation {
	return moved(observation.Withdrawal, at, id, amount, dollars, who)
}

func dep(at int64, id, amount string, dollars float64, who string) observation.Observation {
	return moved(observation.Deposit, at, id, amount, dollars, who)
}

// usual is n deposits with their releases, a minute apart each, numbered from 1; it ends before n minutes.
func usual(n int) (out []step) {
	for i := range n {
		at, id, amount := int64(i)*minute, strconv.Itoa(i+1), fmt.Sprintf("%d.%d", 10+i%17, i)
		out = append(out, step{o: dep(at, id, amount, 100, addr(i))}, step{o: wd(at+30_000, id, amount, 100, addr(i))})
	}
	return out
}

func released(steps []step) (out []step) {
	for _, s := range steps {
		if s.o.Kind == observation.Withdrawal {
			out = append(out, s)
		}
	}
	return out
}

func TestBacking(t *testing.T) {
	const key = "c/bridge_unmatched/b"
	build := func() detect.Heuristic { return detect.NewBacking(detect.Config{}) }
	from := 30 * minute
	t.Run("a deposit that is only seen late", func(t *testing.T) {
		play(t, build, append(usual(30),
			step{why: "nobody deposited", o: wd(from, "31", "7", 100, addr(1)), want: []string{"opened SEV4 " + key}, says: "It becomes an alarm if none is seen within 10 min"},
			step{why: "it was only late", o: dep(from+5*minute, "31", "7.00", 100, addr(1)), want: []string{"over " + key}, says: "only seen late"},
			step{o: tick(from + 30*minute)}))
	})
	t.Run("one that never comes", func(t *testing.T) {
		play(t, build, append(usual(30),
			step{o: wd(from, "31", "7", 100, addr(1)), want: []string{"opened SEV4 " + key}},
			step{why: "the other side is seen", o: dep(from+minute, "99", "7", 100, addr(1))},
			step{why: "nine minutes are not enough", o: tick(from + 9*minute)},
			step{why: "ten are", o: tick(from + 10*minute), want: []string{"updated SEV2 " + key}, says: "1 withdrawal has (100 $) no known deposit; of 30 before, 0 had none."},
			step{why: "nothing new", o: tick(from + 60*minute)},
			step{why: "a day later", o: tick(from + 25*60*minute), want: []string{"over " + key}, says: "every further release had its deposit"}))
	})
	t.Run("repeated is not waited for", func(t *testing.T) {
		play(t, build, append(usual(30),
			step{o: wd(from, "31", "7", 100, addr(1)), want: []string{"opened SEV4 " + key}},
			step{o: wd(from+1, "32", "7", 100, addr(2))},
			step{o: wd(from+2, "33", "7", 100, addr(3)), want: []string{"updated SEV1 " + key}, says: "repeatedly"}))
	})
	t.Run("benign: the other chain is not seen for a while", func(t *testing.T) {
		script := append(usual(30), step{o: dep(from, "31", "7", 100, addr(1))}, step{o: wd(from+13*minute, "40", "7", 100, addr(1)), want: []string{"opened SEV3 " + key}, says: "that side may not be watched now"})
		for i := range 4 {
			script = append(script, step{o: wd(from+14*minute, strconv.Itoa(41+i), "7", 1e6, addr(i))})
			if i == 0 {
				script[len(script)-1].want = []string{"updated SEV3 " + key}
			}
		}
		script = append(script, step{o: tick(from + 40*minute), want: []string{"updated SEV3 " + key}})
		for i := range 5 {
			s := step{o: dep(from+41*minute, strconv.Itoa(40+i), "7", 1e6, addr(i))}
			switch i {
			case 0:
				s.want = []string{"updated SEV3 " + key}
			case 4:
				s.want = []string{"over " + key}
			}
			script = append(script, s)
		}
		play(t, build, append(script, step{o: tick(from + 60*minute)}))
	})
	t.Run("large is not waited for", func(t *testing.T) {
		play(t, func() detect.Heuristic {
			return detect.NewBacking(detect.Config{Bridges: []detect.BridgeFacts{{Name: "b", TVLUSD: 1e6}}})
		}, append(usual(30), step{o: wd(from, "31", "7", 10_000, addr(1)), want: []string{"opened SEV1 " + key}, says: "which is not waited for"}))
	})
	t.Run("more than was deposited", func(t *testing.T) {
		play(t, build, append(usual(30), step{o: dep(from, "31", "7", 100, addr(1))},
			step{o: wd(from+minute, "31", "7000", 1e6, addr(1)), want: []string{"opened SEV1 c/bridge_overpaid/b"}, says: "released 7,000, but its deposit was of 7"},
			step{o: tick(from + 26*60*minute), want: []string{"over c/bridge_overpaid/b"}}))
	})
	t.Run("benign: who starts to watch in the middle knows no earlier deposits", func(t *testing.T) {
		script := []step{{o: dep(0, "500", "1", 100, addr(0))}}
		for i := range 40 {
			script = append(script, step{o: wd(int64(i)*minute, strconv.Itoa(400+i), "1", 1e6, addr(i))})
		}
		play(t, build, script)
	})
	t.Run("benign: a fee is kept, and one transaction pays twice", func(t *testing.T) {
		twice := wd(from+minute, "31", "6.9", 100, addr(1))
		other := twice
		other.Amount, other.Token, other.Symbol = "1", "0xU", "U"
		play(t, build, append(usual(30), step{o: dep(from, "31", "7", 100, addr(1))}, step{o: twice}, step{o: other}))
	})
	t.Run("benign: what a reorganisation takes back was never released", func(t *testing.T) {
		w := wd(from, "31", "7", 100, addr(1))
		back := w
		back.At, back.Removed = from+1000, true
		play(t, build, append(usual(30), step{o: w, want: []string{"opened SEV4 " + key}}, step{o: back, want: []string{"over " + key}}, step{o: tick(from + 20*minute)}))
	})
	t.Run("one side only: said once", func(t *testing.T) {
		script := released(usual(60))
		script[19].want = []string{"opened SEV5 bridge/bridge_one_sided/b"}
		play(t, build, append(script, step{o: dep(61*minute, "900", "1", 1, addr(1)), want: []string{"over bridge/bridge_one_sided/b"}}))
	})
	t.Run("matched by message, and by amount and beneficiary", func(t *testing.T) {
		var script []step
		for i := range 30 {
			d, w := dep(int64(i)*minute, "", "5", 1, addr(3)), wd(int64(i)*minute+1000, "", "5.0", 1, addr(3))
			if i%2 == 0 {
				d.Message, w.Message = fmt.Sprint("m", i), fmt.Sprint("m", i)
			}
			d.Tx, w.Tx = fmt.Sprint("d", i), fmt.Sprint("w", i)
			script = append(script, step{o: d}, step{o: w})
		}
		last := wd(from, "", "5", 1, addr(3))
		play(t, build, append(script, step{o: last, want: []string{"opened SEV4 " + key}}))
	})
	t.Run("the sums of a complete feed", func(t *testing.T) {
		w := wd(10*minute, "2", "0.000000000000000001", 1, addr(1))
		play(t, func() detect.Heuristic {
			return detect.NewBacking(detect.Config{Bridges: []detect.BridgeFacts{{Name: "b", Chain: "c", Complete: true, GraceSeconds: 60}}})
		}, []step{{o: dep(0, "1", "100", 1, addr(1))}, {o: wd(minute, "1", "100", 1, addr(1))}, {o: w},
			{o: tick(11 * minute), want: []string{"opened SEV1 c/bridge_overpaid/b:T"}, says: "100.000000 T were released and 100.000000 deposited"},
			{o: dep(12*minute, "9", "1", 1, addr(1))},
			{o: tick(14 * minute), want: []string{"over c/bridge_overpaid/b:T"}}})
	})
}

func TestStuck(t *testing.T) {
	script, at := usual(60), 60*minute
	for i := range 15 {
		script = append(script, step{o: dep(at+int64(i)*1000, strconv.Itoa(100+i), "1", 1, addr(i))})
	}
	script = append(script, step{o: tick(at + 30_000)},
		step{o: tick(at + 3*minute), want: []string{"opened SEV4 bridge/bridge_stuck/b"}, says: "of 20 deposits still wait after 60 s, within which nine in ten are released"})
	for i := range 15 {
		script = append(script, step{o: wd(at+4*minute, strconv.Itoa(100+i), "1", 1, addr(i))})
	}
	script = append(script, step{o: tick(at + 6*minute)}, step{o: tick(at + 40*minute), want: []string{"over bridge/bridge_stuck/b"}})
	play(t, func() detect.Heuristic { return detect.NewBacking(detect.Config{}) }, script)

	t.Run("benign: two that nobody fetches", func(t *testing.T) {
		play(t, func() detect.Heuristic { return detect.NewBacking(detect.Config{}) }, append(usual(60),
			step{o: dep(at, "100", "1", 1, addr(1))}, step{o: dep(at, "101", "1", 1, addr(2))}, step{o: tick(at + 600*minute)}))
	})
}

func TestNumbers(t *testing.T) {
	const key = "c/withdrawal_reused/b"
	build := func() detect.Heuristic { return detect.NewNumbers(detect.Config{}) }
	from := 60 * minute
	t.Run("used twice", func(t *testing.T) {
		play(t, build, append(released(usual(30)),
			step{o: wd(from, "5", "14.4", 100, addr(99)), want: []string{"opened SEV1 " + key}, says: "Withdrawal 5 was paid out 2 times, to 2 different parties, 200 $ in all"},
			step{why: "newer figures wait a minute", o: wd(from+1000, "5", "99", 100, addr(98))},
			step{o: tick(from + minute), want: []string{"updated SEV1 " + key}, says: "another payload"},
			step{o: tick(from + 62*minute), want: []string{"over " + key}}))
	})
	t.Run("without history: one number, one payload, three parties", func(t *testing.T) {
		play(t, build, []step{{o: wd(0, "1", "100", 1e6, addr(1))}, {o: wd(0, "1", "100", 1e6, addr(2)), want: []string{"opened ~SEV3 " + key}},
			{o: wd(0, "1", "100", 1e6, addr(3)), want: []string{"updated SEV1 " + key}, says: "no accident"}})
	})
	t.Run("what a reorganisation takes back", func(t *testing.T) {
		w := wd(from, "5", "14.4", 100, addr(99))
		back := w
		back.At, back.Removed = from+1000, true
		play(t, build, append(released(usual(30)), step{o: w, want: []string{"opened SEV1 " + key}}, step{o: back, want: []string{"over " + key}, says: "since been reverted"},
			step{why: "and again in the new branch", o: w, want: []string{"opened SEV1 " + key}}))
	})
	t.Run("a message is processed once", func(t *testing.T) {
		a, b := wd(0, "1", "1", 1, addr(1)), wd(minute, "2", "1", 1, addr(1))
		a.Message, b.Message = "0xm", "0xm"
		play(t, build, []step{{o: a}, {o: b, want: []string{"opened SEV1 " + key}, says: "Message 0xm"}})
	})
	t.Run("out of range", func(t *testing.T) {
		script := append(released(usual(30)), step{o: wd(from, "9000000", "1", 1, addr(1)), want: []string{"opened SEV2 c/withdrawal_out_of_range/b"}, says: "the largest number before was 30"})
		play(t, build, append(script, step{o: wd(from+minute, "31", "1", 1, addr(1))}, step{o: tick(from + 61*minute), want: []string{"over c/withdrawal_out_of_range/b"}}))
	})
	t.Run("benign: the bridge counts on from elsewhere", func(t *testing.T) {
		script := released(usual(30))
		for i := range 30 {
			s := step{o: wd(from+int64(i), strconv.Itoa(9_000_000+i), "1", 1, addr(1))}
			switch i {
			case 0:
				s.want = []string{"opened SEV2 c/withdrawal_out_of_range/b"}
			case 20:
				s.want, s.says = []string{"over c/withdrawal_out_of_range/b"}, "counts on from there"
			}
			script = append(script, s)
		}
		play(t, build, script)
	})
	t.Run("benign: a late number, and one transaction that pays two things", func(t *testing.T) {
		second := wd(from, "7000", "2", 1, addr(1))
		second.Token = "0xU"
		first := wd(from, "7000", "2", 1, addr(1))
		script := []step{}
		for i := range 40 {
			script = append(script, step{o: wd(int64(i), strconv.Itoa(7000-100*i), "1", 1, addr(i))})
		}
		first.ID, second.ID = "7001", "7001"
		play(t, build, append(script, step{o: first}, step{o: second}))
	})
	t.Run("benign: numbers that repeat as a rule", func(t *testing.T) {
		h, l := build(), lives{}
		for i := range 200 {
			w := wd(int64(i)*minute, strconv.Itoa(i/4), "1", 1, addr(i))
			w.Token, w.Tx = fmt.Sprint("0xT", i%4), fmt.Sprint(i) // counted per token
			for _, f := range give(h, w) {
				if what, err := l.take(f); err != nil || f.Firing && !f.Weak {
					t.Errorf("%s %v: %s", what, err, f.Reason)
				}
			}
		}
		if len(h.Open()) > 0 {
			t.Errorf("open: %v", h.Open())
		}
	})
}

func TestRepeats(t *testing.T) {
	const key = "c/repeated_amount/b"
	build := func() detect.Heuristic {
		return detect.NewRepeats(detect.Config{Bridges: []detect.BridgeFacts{{Name: "b", TVLUSD: 10e6}}})
	}
	from := 120 * minute
	t.Run("the same call by others", func(t *testing.T) {
		play(t, build, append(released(usual(100)),
			step{o: wd(from, "1", "202440.725413", 202_440, addr(1))},
			step{o: wd(from+1000, "1", "202440.725413", 202_440, addr(2))},
			step{o: wd(from+2000, "1", "202440.7254130", 202_440, addr(3)), want: []string{"opened SEV2 " + key}, says: "3 withdrawals of exactly 202,440.725413 T by 3 different parties within an hour"},
			step{o: tick(from + 63*minute), want: []string{"over " + key}}))
	})
	t.Run("without prices, by what is usual of the token", func(t *testing.T) {
		script := released(usual(100))
		for i, amount := range []string{"777.123456", "0.123456"} { // much, and little
			for j := range 3 {
				script = append(script, step{o: wd(from+int64(i)*63*minute+int64(j), strconv.Itoa(j), amount, 0, addr(j))})
			}
		}
		for i := range script {
			script[i].o.USD = nil
		}
		script[102].want = []string{"opened SEV2 " + key}
		script[103].want = []string{"over " + key}
		script[105].want = []string{"opened ~SEV4 " + key}
		play(t, build, script)
	})
	t.Run("benign: one party in portions, and round amounts", func(t *testing.T) {
		script := released(usual(100))
		for i := range 5 {
			script = append(script, step{o: wd(from+int64(i), strconv.Itoa(i), "1699.9", 500_000, addr(1))}, step{o: wd(from+int64(i), strconv.Itoa(100+i), "1", 1, addr(i))})
		}
		play(t, build, script)
	})
}

func TestDrainByValueAndByHistory(t *testing.T) {
	from := 24 * 60 * minute
	var script []step
	for i := range 150 { // one in each ten minutes, up to 20 k$
		script = append(script, step{o: wd(int64(i)*9*minute, strconv.Itoa(i), "1", float64(1000+(i*7919)%19_000), addr(i))})
	}
	known := func() detect.Heuristic {
		return detect.NewDrain(detect.Config{Bridges: []detect.BridgeFacts{{Name: "b", Title: "Bridge B", Chain: "c", TVLUSD: 10e6}}})
	}
	t.Run("several parties", func(t *testing.T) {
		play(t, known, append(script,
			step{o: wd(from, "900", "200", 200_000, addr(1))},
			step{o: wd(from+1000, "901", "200", 190_000, addr(2)), want: []string{"opened SEV2 c/bridge_outflow/b"}, says: "390 k$ left in 5 min through 2 withdrawals; the most in any 5 minutes before was 19 k$"},
			step{o: wd(from+2000, "902", "200", 190_000, addr(3)), want: []string{"opened SEV1 c/bridge_drain/b"}},
			step{o: tick(from + 6*minute), want: []string{"updated SEV2 c/bridge_outflow/b"}},
			step{o: tick(from + 22*minute), want: []string{"over c/bridge_outflow/b", "over c/bridge_drain/b"}}))
	})
	t.Run("benign: one large holder leaves", func(t *testing.T) {
		play(t, known, append(script,
			step{o: wd(from, "900", "350", 350_000, addr(1)), want: []string{"opened ~SEV4 c/bridge_outflow/b"}, says: "a large holder who leaves looks like that"},
			step{o: wd(from+1000, "901", "500", 500_000, addr(1))},
			step{o: tick(from + 2*minute), want: []string{"updated ~SEV4 c/bridge_outflow/b"}},
			step{o: tick(from + 6*minute)},
			step{o: tick(from + 22*minute), want: []string{"over c/bridge_outflow/b"}}))
	})
	t.Run("without a known value, by history alone", func(t *testing.T) {
		play(t, func() detect.Heuristic { return detect.NewDrain(detect.Config{}) }, append(script,
			step{o: wd(from, "900", "200", 30_000, addr(1))},
			step{o: wd(from+1000, "901", "200", 40_000, addr(2)), want: []string{"opened SEV2 c/bridge_outflow/b"}},
			step{o: tick(from + 6*minute)}, step{o: tick(from + 22*minute), want: []string{"over c/bridge_outflow/b"}}))
	})
	t.Run("benign: as much comes as leaves, and a series that tells the value", func(t *testing.T) {
		in := dep(from, "1", "1", 900_000, addr(5))
		in.Chain = "c"
		v := 100e6
		play(t, func() detect.Heuristic {
			return detect.NewDrain(detect.Config{Bridges: []detect.BridgeFacts{{Name: "b", Chain: "c", TVLUSD: 10e6, TVLSeries: "tvl"}}})
		}, []step{{o: in}, {o: wd(from+1, "900", "1", 600_000, addr(1))}, {o: wd(from+2, "901", "1", 600_000, addr(2))},
			{o: observation.Observation{At: from + 10*minute, Kind: observation.Sample, Series: "tvl", Labels: map[string]string{"bridge": "b"}, Value: &v}},
			{o: wd(from+11*minute, "902", "1", 2e6, addr(3))}, {o: wd(from+11*minute, "903", "1", 2e6, addr(4))}})
	})
	t.Run("benign: a year of leaving only, of a bridge whose value is told once", func(t *testing.T) {
		h := known()
		for i := range 365 * 4 {
			if f := give(h, wd(int64(i)*6*60*minute, strconv.Itoa(i), "1", float64(90_000+i%7*5000), addr(i))); len(f) > 0 {
				t.Fatalf("%d: %+v", i, f)
			}
		}
	})
}
