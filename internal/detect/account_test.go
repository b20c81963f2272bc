package detect_test

import (
	"fmt"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

func pays(at int64, from, to string, v float64) observation.Observation {
	return observation.Observation{At: at, Kind: observation.Transfer, Chain: "c", Tx: fmt.Sprint(at, from, to, v), From: from, To: to, Symbol: "USDC", Token: "0xA", Amount: fmt.Sprint(v), USD: usd(v)}
}

// paying is n transfers of 20,000 to 30,000 dollars, a minute apart.
func paying(n int, from, to string) (out []step) {
	for i := range n {
		out = append(out, step{o: pays(int64(i)*minute, from, to, float64(20_000+i*3137%10_000))})
	}
	return out
}

func TestLarge(t *testing.T) {
	a, b, c := addr(11), addr(12), addr(13)
	at := 2000 * minute
	build := func() detect.Heuristic { return detect.NewLarge(detect.Config{}) }
	watched := func() detect.Heuristic {
		return detect.NewLarge(detect.Config{Watched: []detect.Watched{{Address: a, Label: "Treasury"}, {Address: addr(66), Label: "Lazarus", Kind: "attacker"}}})
	}
	t.Run("of anybody it is weak", func(t *testing.T) {
		play(t, build, append(paying(30, a, b), step{o: pays(at, a, c, 2e6), want: []string{"opened ~SEV4 c/large_transfer/" + a}, says: "68 times the largest of its 30 transfers before (30 k$; usually about 25 k$)"},
			step{o: tick(at + 61*minute), want: []string{"over c/large_transfer/" + a}}))
	})
	t.Run("of a watched one a tenth is large, and a new recipient worse", func(t *testing.T) {
		key := "c/large_transfer/" + a
		play(t, watched, append(paying(30, a, b),
			step{o: pays(at, a, b, 65_000), want: []string{"opened SEV3 " + key}, says: "Treasury paid 65 k$"},
			step{o: pays(at+2*minute, a, c, 2e6), want: []string{"opened SEV5 c/new_recipient/" + a, "updated SEV2 " + key}},
			step{o: tick(at + 70*minute), want: []string{"over " + key, "over c/new_recipient/" + a}}))
	})
	t.Run("a cold wallet that never paid, and the same on the first day", func(t *testing.T) {
		play(t, watched, []step{{o: pays(0, b, a, 9e6)}, {o: pays(at, a, c, 9e6), want: []string{"opened SEV2 c/large_transfer/" + a}, says: "it made none before. It never paid that recipient before."}})
		play(t, watched, []step{{o: pays(0, b, a, 9e6)}, {o: pays(minute, a, c, 9e6), want: []string{"opened SEV4 c/large_transfer/" + a}}})
	})
	t.Run("what a reorganisation takes back", func(t *testing.T) {
		big := pays(at, a, c, 2e6)
		back := big
		back.At, back.Removed = at+1000, true
		play(t, build, append(paying(30, a, b), step{o: big, want: []string{"opened ~SEV4 c/large_transfer/" + a}}, step{o: back, want: []string{"over c/large_transfer/" + a}, says: "since been reverted"}))
	})
	t.Run("flagged recipients", func(t *testing.T) {
		play(t, watched, []step{{o: pays(at, a, addr(66), 5), want: []string{"opened SEV2 c/paid_to_flagged/" + a}, says: "Lazarus, which is listed as attacker"}})
	})
	t.Run("without a price, by all transfers of the token", func(t *testing.T) {
		var script []step
		for i := range 1200 {
			o := pays(int64(i)*1000, addr(100+i%40), addr(200), float64(1+i%90))
			o.USD = nil
			script = append(script, step{o: o})
		}
		o := pays(at, addr(100), addr(201), 50_000)
		o.USD = nil
		play(t, build, append(script, step{o: o, want: []string{"opened ~SEV4 c/large_transfer/" + addr(100)}, says: "50000 USDC"}))
	})
	t.Run("benign: a busy exchange, a large holder as ever, a growing account, small sums, what was taken back", func(t *testing.T) {
		script := paying(600, a, b)
		script = append(script, step{o: pays(at, a, c, 250_000)})
		for i := range 30 {
			script = append(script, step{o: pays(at+int64(i), c, b, 3e6+float64(i))}, step{o: pays(at+int64(i), addr(50), b, 1000*float64(int(1)<<min(i, 12)))})
		}
		back := pays(at+minute, addr(51), b, 9e9)
		back.Removed = true
		play(t, build, append(script, step{o: pays(at+50, c, addr(77), 9e6)}, step{o: back}))
	})
}

func TestPoisoning(t *testing.T) {
	victim, real := addr(21), "0xabcd5678901234567890123456789012345678ef"
	trap := "0xabcd999999999999999999999999999999999" + "8ef"
	at := 100 * minute
	build := func() detect.Heuristic { return detect.NewPoisoning(detect.Config{}) }
	key := "c/address_poisoning/" + victim
	zero := pays(at, victim, trap, 0)
	zero.Amount, zero.USD = "0", nil
	t.Run("nothing, from the victim", func(t *testing.T) {
		play(t, build, []step{{o: pays(0, victim, real, 5000)}, {o: zero, want: []string{"opened SEV5 " + key}, says: "7 equal digits at the ends"},
			{why: "the victim falls for it", o: pays(at+5*minute, victim, trap, 5000), want: []string{"updated SEV4 " + key}, says: "paid 5 k$ to"},
			{why: "an attempt does not cover the loss", o: pays(at+7*minute, trap, victim, 0.01)},
			{o: tick(at + 25*60*minute), want: []string{"over " + key}}})
	})
	t.Run("of watched accounts a loss is worse, and others are not judged", func(t *testing.T) {
		other := zero
		other.From = addr(22)
		play(t, func() detect.Heuristic {
			return detect.NewPoisoning(detect.Config{Watched: []detect.Watched{{Address: victim, Label: "Payroll"}}})
		}, []step{{o: pays(0, victim, real, 5000)}, {o: pays(0, addr(22), real, 5000)}, {o: other}, {o: zero, want: []string{"opened SEV5 " + key}},
			{o: pays(at+minute, victim, trap, 5000), want: []string{"updated SEV2 " + key}, says: "Payroll paid"}})
	})
	t.Run("dust", func(t *testing.T) {
		play(t, build, []step{{o: pays(0, victim, real, 5000)}, {o: pays(at, trap, victim, 0.0001), want: []string{"opened SEV5 " + key}, says: "next to nothing"}})
	})
	t.Run("a false token of the same name", func(t *testing.T) {
		var script []step
		for i := range 30 {
			script = append(script, step{o: pays(int64(i), addr(30+i), addr(90), 10)})
		}
		bad := pays(at, victim, trap, 5000)
		bad.Token, bad.USD = "0xbad", nil
		play(t, build, append(script, step{o: pays(minute, victim, real, 5000)}, step{o: bad, want: []string{"opened SEV5 " + key}, says: "a false token named USDC"}))
	})
	t.Run("benign: nothing to a stranger, dust from whom it pays, real payments to an address that is a little alike", func(t *testing.T) {
		stranger := zero
		stranger.To = addr(23)
		little := "0xabc" + "0000000000000000000000000000000000" + "8ef"
		play(t, build, []step{{o: pays(0, victim, real, 5000)}, {o: stranger}, {o: pays(at, real, victim, 0.01)}, {o: pays(at, victim, little, 0.01)}, {o: pays(at, victim, trap, 7000)}})
	})
}

func TestControl(t *testing.T) {
	contract := addr(5)
	admin := func(at int64, change, before, after, tx string) observation.Observation {
		return observation.Observation{At: at, Kind: observation.Admin, Chain: "c", Contract: contract, Change: change, Before: before, After: after, Tx: tx}
	}
	build := func() detect.Heuristic {
		return detect.NewControl(detect.Config{Watched: []detect.Watched{{Address: contract, Label: "Vault"}}, Announced: []detect.Announced{
			{Contract: contract, Change: "implementation", After: "0xNEW", From: "2023-11-14T00:00:00Z", To: "2023-11-15T12:00:00Z"}}})
	}
	owner := "c/control_change/" + contract + ":owner"
	proxy := "c/control_change/" + contract + ":implementation"
	h := 60 * minute
	play(t, build, []step{
		{why: "what a collector finds at its start", o: admin(0, "owner", "", "0xa", "")}, {why: "and again", o: admin(h, "owner", "", "0xa", "")},
		{why: "nobody announced it", o: admin(2*h, "owner", "0xa", "0xb", "t1"), want: []string{"opened SEV2 " + owner}, says: "The owner of Vault is now 0xb, it was 0xa. Nobody announced it."},
		{why: "the same, from polling", o: admin(2*h+minute, "owner", "", "0xb", "")},
		{why: "two kinds within an hour", o: admin(2*h+10*minute, "implementation", "0x1", "0x2", "t2"), want: []string{"opened SEV1 " + proxy}, says: "Within an hour changed: owner, implementation."},
		{why: "changed back", o: admin(3*h, "owner", "0xb", "0xa", "t3"), want: []string{"over " + owner}, says: "changed back to 0xa"},
		{why: "a day", o: tick(27 * h), want: []string{"over " + proxy}},
		{why: "announced, but to another", o: admin(28*h, "implementation", "0x2", "0xworse", "t4"), want: []string{"opened SEV2 " + proxy}},
	})
	t.Run("benign: announced", func(t *testing.T) {
		play(t, build, []step{{o: admin(0, "implementation", "0x1", "0xnew", "t1"), want: []string{"opened SEV5 " + proxy}, says: "announced"}})
	})
	t.Run("taken back by a reorganisation, and done again", func(t *testing.T) {
		back := admin(minute, "owner", "0xa", "0xb", "t1")
		back.Removed = true
		again := admin(2*minute, "owner", "0xa", "0xb", "t1")
		play(t, build, []step{{o: admin(0, "owner", "0xa", "0xb", "t1"), want: []string{"opened SEV2 " + owner}}, {o: back, want: []string{"over " + owner}, says: "took the change back"},
			{o: again, want: []string{"opened SEV2 " + owner}}})
	})
}

func TestLayering(t *testing.T) {
	build := func() detect.Heuristic {
		return detect.NewLayering(detect.Config{Watched: []detect.Watched{{Address: addr(66), Label: "Lazarus", Kind: "attacker"}, {Address: addr(67), Kind: "exchange"}}})
	}
	at := 100 * minute
	known := func() (out []step) { // 300 addresses, each paid by another, not too many
		for i := range 300 {
			out = append(out, step{o: pays(int64(i)*10_000, addr(1000+i), addr(1001+i), 50)})
		}
		return out
	}
	fan := func(from string, n, to int, each float64) (out []step) {
		for i := range n {
			out = append(out, step{o: pays(at+int64(i)*1000, from, addr(to+i), each)})
		}
		return out
	}
	a := addr(500)
	t.Run("fan out", func(t *testing.T) {
		script := append(known(), fan(a, 10, 5000, 1000)...)
		script[309].want, script[309].says = []string{"opened SEV5 c/fan_out/" + a}, "paid 10 addresses within an hour that were never seen before, 10 k$ in all"
		play(t, build, append(script, step{o: tick(at + 25*60*minute), want: []string{"over c/fan_out/" + a}}))
	})
	t.Run("fan in, and out; with a fan out and a flagged source it is more", func(t *testing.T) {
		script := append(known(), step{o: pays(at-1000, addr(66), a, 1e6)})
		script = append(script, fan(a, 10, 5000, 1000)...)
		script[310].want = []string{"opened SEV5 c/fan_out/" + a, "opened SEV3 c/laundering/" + a}
		script[310].says = "never seen before"
		for i := range 10 {
			script = append(script, step{o: pays(at+minute+int64(i), addr(1000+i), addr(501), 1000)})
		}
		play(t, build, append(script, step{o: pays(at+2*minute, addr(501), addr(502), 9000), want: []string{"opened SEV5 c/fan_in/" + addr(501)}, says: "was paid by 10 addresses within an hour (10 k$ in all) and passed 90 % of it on"}))
	})
	t.Run("peel chain", func(t *testing.T) {
		script, v := known(), 100_000.0
		for i := range 7 {
			s := step{o: pays(at+int64(i)*10*minute, addr(7000+i), addr(7001+i), v)}
			if i == 5 {
				s.want, s.says = []string{"opened SEV5 c/peel_chain/" + addr(7000)}, "5 addresses in a row"
			}
			if i == 6 {
				s.want = []string{"updated SEV5 c/peel_chain/" + addr(7000)}
			}
			script = append(script, s, step{o: pays(at+int64(i)*10*minute+1, addr(7001+i), addr(1100), v*0.04)})
			v *= 0.95
		}
		play(t, build, script)
	})
	t.Run("benign: an exchange pays out, payroll as every hour, a start when all is new, a purse spent in parts", func(t *testing.T) {
		script := fan(addr(503), 15, 9000, 1000)
		for i := range script {
			script[i].o.At -= at
		}
		script = append(script, known()...)
		script = append(script, fan(addr(67), 40, 10_000, 1000)...)
		for hour := range 3 { // nine each hour is its habit; twelve are no burst
			for i := range []int{9, 9, 12}[hour] {
				script = append(script, step{o: pays(at+int64(hour)*65*minute+int64(i), addr(504), addr(20_000+100*hour+i), 1000)})
			}
		}
		for i := range 8 {
			script = append(script, step{o: pays(at+300*minute+int64(i)*minute, addr(8000+i), addr(8001+i), 1000*1/float64(int(1)<<i))})
		}
		play(t, build, script)
	})
}
