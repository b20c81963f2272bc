package detect_test

import (
	"testing"

	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

func price(at int64, venue string, v float64) observation.Observation {
	return observation.Observation{At: at, Kind: observation.Price, Asset: "USDC", Venue: venue, Close: &v, Interval: observation.Span(minute)}
}

func TestDepeg(t *testing.T) {
	const key = "prices/depeg/USDC"
	build := func() detect.Heuristic { return detect.NewDepeg(detect.Config{}) }
	m := func(n int64) int64 { return n * minute }
	t.Run("two bars at two of three venues, and back for ten minutes", func(t *testing.T) {
		play(t, build, []step{
			{o: price(m(1), "a", 1)}, {o: price(m(1), "b", 0.9999)}, {o: price(m(1), "c", 1.0001)},
			{why: "one bar", o: price(m(2), "a", 0.99)}, {o: price(m(2), "b", 0.99)},
			{why: "two bars at one venue", o: price(m(3), "a", 0.991)},
			{why: "and at another", o: price(m(3), "b", 0.992), want: []string{"opened SEV3 " + key}, says: "USDC closes at 0.9920, 0.8 % below its peg of 1, for two bars or more at 2 of 3 venues (a, b)"},
			{why: "deeper", o: price(m(4), "a", 0.98)}, {o: price(m(4), "c", 0.97), want: []string{"updated SEV2 " + key}},
			{o: price(m(5), "a", 0.88), want: []string{"updated SEV2 " + key}}, {o: price(m(5), "b", 0.88), want: []string{"updated SEV1 " + key}}, {o: price(m(5), "c", 0.88)},
			{why: "between trigger and clear is not well", o: price(m(20), "a", 0.9965), want: []string{"updated SEV1 " + key}}, {o: price(m(20), "b", 0.9965)}, {o: price(m(20), "c", 0.9965)},
			{why: "calm begins", o: price(m(21), "a", 0.999)}, {o: price(m(21), "b", 0.999)}, {o: price(m(21), "c", 0.999)},
			{why: "a relapse ends the calm", o: price(m(25), "a", 0.996)}, {o: price(m(25), "b", 0.996)},
			{why: "back", o: price(m(26), "a", 1)}, {o: price(m(26), "b", 1)}, {o: tick(m(35))},
			{why: "held", o: tick(m(37)), want: []string{"over " + key}, says: "within 0.2 % of its peg again for 10 min"},
		})
	})
	t.Run("above, at the only venue, by the configured peg", func(t *testing.T) {
		play(t, func() detect.Heuristic {
			return detect.NewDepeg(detect.Config{Pegs: []detect.Peg{{Asset: "USDC", Value: 2}}})
		}, []step{{o: price(m(1), "a", 2.05)}, {o: price(m(2), "a", 2.05), want: []string{"opened SEV2 " + key}, says: "2.5 % above its peg of 2"},
			{why: "nobody tells prices any more", o: tick(m(500)), want: []string{"over " + key}, says: "nobody can say"}})
	})
	t.Run("benign: a false wick, a venue that is off alone, stale venues, many prices within a bar", func(t *testing.T) {
		play(t, build, []step{
			{o: price(m(1), "a", 1)}, {o: price(m(1), "b", 1)}, {o: price(m(1), "c", 1)},
			{o: price(m(2), "a", 0.9)}, {o: price(m(3), "a", 1)},
			{o: price(m(4), "a", 0.9)}, {o: price(m(5), "a", 0.9)}, {o: price(m(6), "a", 0.9)},
			{o: price(m(7), "a", 1)}, {o: price(m(7), "b", 0.99)}, {o: price(m(7)+1000, "b", 0.99)}, {o: price(m(7), "c", 0.99)}, {o: price(m(7)+1000, "c", 0.99)},
		})
	})
}

func round(at int64, chain, feed string, answer float64, updated int64) observation.Observation {
	u := observation.Time(start + updated)
	return observation.Observation{At: at, Kind: observation.Feed, Chain: chain, Feed: feed, Answer: &answer, UpdatedAt: &u, Heartbeat: observation.Span(60 * minute), Deviation: 0.005}
}

func TestOracle(t *testing.T) {
	build := func() detect.Heuristic { return detect.NewOracle(detect.Config{}) }
	eth := func(at int64, venue string, v float64) observation.Observation {
		o := price(at, venue, v)
		o.Asset = "ETH"
		return o
	}
	const stale, off = "c/oracle_stale/ETH / USD", "c/oracle_deviation/ETH / USD"
	h := 60 * minute
	t.Run("stale by its own heartbeat", func(t *testing.T) {
		play(t, build, []step{
			{o: round(0, "c", "ETH / USD", 2000, 0)},
			{why: "the grace is a tenth", o: round(h+5*minute, "c", "ETH / USD", 2000, 0)},
			{why: "one read decides nothing", o: round(h+7*minute, "c", "ETH / USD", 2000, 0)},
			{why: "the second, but too soon", o: round(h+7*minute+1000, "c", "ETH / USD", 2000, 0)},
			{why: "seen for a minute", o: round(h+8*minute+1000, "c", "ETH / USD", 2000, 0), want: []string{"opened SEV3 " + stale}, says: "The newest round is 68 min old, seen at 2 reads; its heartbeat is 60 min, so one is late after 66 min"},
			{o: round(2*h+14*minute, "c", "ETH / USD", 2000, 0), want: []string{"updated SEV3 " + stale, "updated SEV2 " + stale}},
			{why: "a new round", o: round(2*h+15*minute, "c", "ETH / USD", 2001, 2*h+15*minute)},
			{o: tick(2*h + 21*minute), want: []string{"over " + stale}, says: "new rounds again"},
		})
	})
	t.Run("a heartbeat that nobody told is learned", func(t *testing.T) {
		var script []step
		for i := range int64(12) {
			o := round(i*10*minute, "c", "ETH / USD", 2000, i*10*minute)
			o.Heartbeat = 0
			script = append(script, step{o: o})
		}
		last := script[11].o
		for i, at := range []int64{135, 141, 142, 143} {
			last.At = at * minute
			s := step{o: last}
			if i == 3 {
				s.want, s.says = []string{"opened SEV3 " + stale}, "the longest of its last 11 was 10 min"
			}
			script = append(script, s)
		}
		play(t, build, script)
	})
	t.Run("far from the market", func(t *testing.T) {
		play(t, build, []step{
			{o: eth(0, "a", 2000)}, {o: eth(0, "b", 2001)}, {o: round(1000, "c", "ETH / USD", 2000, 1000)},
			{why: "1.5 times is allowed", o: round(minute, "c", "ETH / USD", 2015, minute)},
			{o: round(2*minute, "c", "ETH / USD", 2100, 2*minute)},
			{o: round(3*minute, "c", "ETH / USD", 2100, 2*minute)},
			{why: "for a minute at two reads", o: round(4*minute, "c", "ETH / USD", 2100, 4*minute), want: []string{"opened SEV2 " + off}, says: "the median of 2 others says 2000.5: 5.0 % apart"},
			{o: round(5*minute, "c", "ETH / USD", 3000, 5*minute), want: []string{"updated SEV1 " + off}},
			{o: round(6*minute, "c", "ETH / USD", 2001, 6*minute)}, {o: tick(12 * minute), want: []string{"over " + off}},
		})
	})
	t.Run("against another feed of the asset", func(t *testing.T) {
		play(t, build, []step{
			{o: round(0, "e", "ETH / USD", 2000, 0)}, {o: round(minute, "c", "ETH / USD", 1900, minute)}, {o: round(2*minute, "c", "ETH / USD", 1900, minute)},
			{o: round(3*minute, "c", "ETH / USD", 1900, minute), want: []string{"opened SEV3 " + off}}})
	})
	t.Run("benign: a node that lags, a stablecoin's day, nobody looks, another currency", func(t *testing.T) {
		day := round(0, "c", "USDC / USD", 1, 0)
		day.Heartbeat = observation.Span(24 * h)
		later := day
		later.At = 23 * h
		play(t, build, []step{
			{o: round(0, "c", "ETH / USD", 2000, 0)}, {o: round(h, "c", "ETH / USD", 2050, h)},
			{why: "an old round from a node that lags", o: round(h+minute, "c", "ETH / USD", 2000, 0)}, {o: round(h+2*minute, "c", "ETH / USD", 2000, 0)}, {o: round(h+3*minute, "c", "ETH / USD", 2000, 0)},
			{o: round(h+3*minute, "c", "ETH / BTC", 0.05, h+3*minute)}, {o: round(h+4*minute, "c", "ETH / BTC", 0.05, h+4*minute)}, {o: round(h+5*minute, "c", "ETH / BTC", 0.05, h+5*minute)},
			{why: "and then nobody reads", o: tick(9 * h)}, {o: tick(10 * h)},
			{o: day}, {o: later}, {o: tick(23*h + 2*minute)}})
	})
}
