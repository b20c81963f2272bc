package detect_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// rows reads a table of the optional corpora; nil when they are not at hand.
func rows(t *testing.T, name string) [][]string {
	t.Helper()
	dir := os.Getenv("TOCSIN_SHARED")
	if dir == "" {
		t.Log("TOCSIN_SHARED is not set: the replay of the record is left out")
		return nil
	}
	return table(t, filepath.Join(dir, "data", name))
}

// table reads a CSV file, compressed or not.
func table(t *testing.T, name string) [][]string {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var r *csv.Reader
	if strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		r = csv.NewReader(z)
	} else {
		r = csv.NewReader(bytes.NewReader(raw))
	}
	all, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func integer(s string) int64 { n, _ := strconv.ParseInt(s, 10, 64); return n }

// months is how long a recording is.
func months(list []observation.Observation) float64 {
	return float64(list[len(list)-1].At-list[0].At) / (30 * 86_400_000)
}

// pages counts what opens at SEV1 to SEV4, apart from weak findings.
func (s *stage) pages(from, to int64) map[string]int {
	n := map[string]int{}
	was := map[string]bool{}
	for _, f := range s.all {
		if f.Firing && !was[f.Key] && f.Severity < "SEV5" && !f.Weak && f.At >= from && (to == 0 || f.At < to) {
			n[f.Kind]++
		}
		was[f.Key] = f.Firing
	}
	return n
}

// TestRecordBitcoin: nine months of arrivals at one node, without parents; header times are on record only of blocks that lost.
func TestRecordBitcoin(t *testing.T) {
	var stream []observation.Observation
	var heights [2]map[string]int64
	for i, name := range []string{"darosior_node0", "offing-gcp"} {
		table := rows(t, "bitcoin-block-arrival/"+name+".csv.gz")
		if table == nil {
			return
		}
		heights[i] = map[string]int64{}
		for _, r := range table {
			heights[i][r[1]] = integer(r[2])
		}
		if i == 0 {
			stream = arrivals(table)
		}
	}
	twice, silences, gaps := map[int64]int{}, 0, 0
	for i, o := range stream {
		twice[o.Height]++
		if i > 0 && o.At-stream[i-1].At > 92*60_000 {
			silences++
			if o.Height > stream[i-1].Height+1 {
				gaps++
			}
		}
	}
	labelled := 0
	for _, n := range twice {
		if n > 1 {
			labelled++
		}
	}
	s := newStage(t, detect.Setup{})
	began := time.Now()
	s.see(stream...)
	found := s.of("fork/")["open"]
	t.Logf("| Bitcoin arrivals, 1 node, %.1f months | %d blocks | forks found %d of %d labelled, missed %d, delay 0 s | stall pages %d, %.2f a month (the record has %d silences over 92 min, %d of them with blocks left out) | other pages %v | replayed in %.1f s |",
		months(stream), len(stream), found, labelled, labelled-found, s.of("stall")["open"], float64(s.of("stall")["open"])/months(stream), silences, gaps, s.pages(0, 0), time.Since(began).Seconds())
	if found != labelled || labelled != 11 || s.of("stall")["open"] > silences || s.of("stall")["open"] != s.of("stall")["cleared"] {
		t.Errorf("%v", s.lines)
	}
	common := 0
	for hash := range heights[0] {
		if _, both := heights[1][hash]; both {
			common++
		}
	}
	lags := arrivalLags(t, heights[0])
	t.Logf("| Bitcoin arrival lag, of the %d blocks whose header is on record (all of them lost) | %d s, median %d s | the two files have %d blocks in common, so no lag between nodes can be told |", len(lags), lags, lags[len(lags)/2], common)
	if want := []int64{4, 14, 17, 18, 20, 26, 27, 28, 39, 46, 47}; !slices.Equal(lags, want) || common != 0 {
		t.Errorf("lags %d, want %d; %d in common", lags, want, common)
	}
}

// arrivals are blocks as one node got them, in order of time.
func arrivals(table [][]string) (out []observation.Observation) {
	for _, r := range table {
		out = append(out, observation.Observation{At: integer(r[2]), Kind: observation.Block, Chain: "bitcoin", Node: "darosior", Height: integer(r[0]), Hash: r[1]})
	}
	slices.SortStableFunc(out, func(a, b observation.Observation) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Height, b.Height))
	})
	return out
}

// arrivalLags are the seconds from the header's time to the arrival, ascending, of the blocks whose headers another record has: blocks that lost.
func arrivalLags(t *testing.T, arrived map[string]int64) (lags []int64) {
	for _, r := range rows(t, "bitcoin-stale-blocks/stale-blocks.csv")[1:] {
		raw, err := hex.DecodeString(r[2])
		if at, known := arrived[r[1]]; known && err == nil && len(raw) == 80 {
			lags = append(lags, at/1000-int64(binary.LittleEndian.Uint32(raw[68:])))
		}
	}
	slices.Sort(lags)
	return lags
}

// TestRecordEthereum: 33 days of proof-of-work Ethereum by their header times.
func TestRecordEthereum(t *testing.T) {
	table := rows(t, "eth-pow-blocks-2021/timestamp_csv.csv.gz")
	if table == nil {
		return
	}
	uncles := map[string]int64{}
	for _, r := range rows(t, "eth-pow-blocks-2021/sibling_csv.csv.gz")[1:] {
		uncles[r[0]] = integer(r[1])
	}
	var stream []observation.Observation
	for _, r := range table[1:] {
		h, at, u := integer(r[0]), integer(r[1])*1000, uncles[r[0]]
		header := observation.Time(at)
		stream = append(stream, observation.Observation{At: at, Kind: observation.Block, Chain: "c", Node: "a", Height: h, Hash: fmt.Sprint("h", h), Parent: fmt.Sprint("h", h-1), Time: &header, Uncles: &u})
	}
	whole := stream
	for i, c := range []detect.ChainFacts{{Name: "c"}, {Name: "c", Family: "evm", Interval: 13_000}, {Name: "c", Family: "evm", ChainID: "1"}} {
		if stream = whole; i > 0 { // what is told beforehand matters only at the beginning
			stream = whole[:20_000]
		}
		s := newStage(t, detect.Setup{Chains: []detect.ChainFacts{c}})
		s.see(stream...)
		n := s.of("stall")["open"]
		t.Logf("| Ethereum PoW intervals, %.1f months, told %+v | %d blocks | stall pages %d, %.2f a month | other pages %v |", months(stream), c, len(stream), n, float64(n)/months(stream), s.pages(0, 0))
		if len(s.pages(0, 0)) != 0 {
			t.Errorf("%v", s.lines)
		}
	}
}

// TestRecordNomad: the bridge's whole public record through the whole Set: 203 innocent days with their deposits, then the looting.
func TestRecordNomad(t *testing.T) {
	shared := os.Getenv("TOCSIN_SHARED")
	if shared == "" {
		t.Log("TOCSIN_SHARED is not set: the replay of the record is left out")
		return
	}
	dir := filepath.Join(shared, "data", "xchainwatcher-nomad")
	attack := observations(t, filepath.Join(dir, "attacks.csv"), "", "dst_timestamp")
	var calm []observation.Observation
	for _, o := range observations(t, filepath.Join(dir, "cctxs_withdrawals.csv.gz"), "orig_timestamp", "dst_timestamp") {
		if o.At < attack[0].At {
			calm = append(calm, o)
		}
	}
	s := newStage(t, detect.Setup{Config: detect.Config{Bridges: []detect.BridgeFacts{{Name: "nomad", Chain: "ethereum", TVLUSD: 190.74e6}}}})
	s.see(merged(calm, attack)...)
	first, kind := int64(-1), ""
	days := map[int64]bool{}
	for _, f := range s.all {
		if !f.Firing || f.Weak || f.Severity > "SEV2" {
			continue
		}
		if f.At < attack[0].At {
			days[f.At/86_400_000] = true
		} else if first < 0 {
			first, kind = (f.At-attack[0].At)/1000, f.Kind
		}
	}
	t.Logf("| Nomad, 203 days and the looting | %d + %d withdrawals | first page after %d s (%s) | innocent days with a page: %d | all that opened before: %v |", len(calm)/2, len(attack), first, kind, len(days), s.pages(0, attack[0].At))
	if first < 0 || first > 12 || len(days) > 1 {
		t.Errorf("%d s, %d days", first, len(days))
	}
}

// TestRecordSolana: a month of mainnet's cumulative skip rate, judged by windows of at least a hundred slots; then outages put into it. A series
// that somebody chose (by a severity) alarms; one that nobody did informs, of the rarest of a week.
func TestRecordSolana(t *testing.T) {
	table := rows(t, "solana-skip-rate/validator_block_history_stats.csv.gz")
	if table == nil {
		return
	}
	all := production(t, table)
	for _, c := range []struct {
		name   string
		setup  detect.Setup
		alarms int
		missed map[float64]int // of 13, by the share that is skipped
	}{
		{"chosen", detect.Setup{Series: []detect.SeriesRule{{Match: "solana_skip_ratio", Severity: "SEV4"}}}, 12, map[float64]int{0.2: 4, 0.4: 0, 0.8: 0}},
		{"not chosen", detect.Setup{}, 0, map[float64]int{0.2: 8, 0.4: 6, 0.8: 3}},
	} {
		t.Run(c.name, func(t *testing.T) { recordSolana(t, all, c.setup, c.alarms, c.missed) })
	}
}

func recordSolana(t *testing.T, all []slots, setup detect.Setup, alarms int, missing map[float64]int) {
	begins := map[int64]int64{}
	s := newStage(t, setup)
	states := map[int][]byte{}
	for i, r := range all {
		if begins[r.epoch] == 0 {
			begins[r.epoch] = r.at
		}
		if i%900 == 899 && i+60 < len(all) && all[i+60].at-all[i].at < 2*60*60_000 && all[i+60].total > all[i].total {
			b, err := s.set.Save()
			if err != nil {
				t.Fatal(err)
			}
			states[i] = b
		}
		s.see(r.give()...)
	}
	length := float64(all[len(all)-1].at-all[0].at) / (30 * 86_400_000)
	atStart := 0
	for _, f := range s.all {
		for _, b := range begins {
			if f.Kind == detect.KindAnomaly && f.Firing && f.At >= b && f.At < b+30*60_000 {
				atStart++
			}
		}
	}
	t.Logf("| Solana skip rate, %.2f months, windows of 100 slots | %d rows | pages %v, %.1f anomalies a month | in the first half hour of the %d epochs: %d | gaps as missing data: %d |", length, len(all), s.pages(0, 0), float64(s.pages(0, 0)[detect.KindAnomaly])/length, len(begins), atStart, s.of("missing_data")["open"])
	if alarms > 0 && atStart > 0 || s.pages(0, 0)[detect.KindAnomaly] != alarms || len(states) != 13 {
		t.Errorf("%d alarms, want %d; %d at the start of an epoch", s.pages(0, 0)[detect.KindAnomaly], alarms, atStart)
	}
	for _, share := range []float64{0.2, 0.4, 0.8} {
		var delays []float64
		missed := 0
		for i, state := range states {
			again := newStage(t, setup)
			if err := again.set.Load(state); err != nil {
				t.Fatal(err)
			}
			for _, k := range again.set.Open() {
				again.open[k] = "SEV4"
			}
			extra, delay := int64(0), -1.0
			for j := i; j < i+45; j++ { // about an hour
				r := all[j]
				if j > i {
					extra += int64(share * float64(all[j].total-all[j-1].total))
				}
				r.skipped = min(r.skipped+extra, r.total)
				again.see(r.give()...)
				for _, f := range again.all {
					if delay < 0 && f.Firing && f.Kind == detect.KindAnomaly {
						delay = float64(f.At-all[i].at) / 1000
					}
				}
			}
			if delay < 0 {
				missed++
				continue
			}
			delays = append(delays, delay)
		}
		slices.Sort(delays)
		median := -1.0
		if len(delays) > 0 {
			median = delays[len(delays)/2]
		}
		t.Logf("| Solana, %.0f %% more slots skipped for an hour, %d times | missed %d | delay median %.0f s, longest %.0f s |", share*100, len(states), missed, median, slices.Max(append(delays, -1)))
		if missed != missing[share] {
			t.Errorf("missed %d of %d, want %d", missed, len(states), missing[share])
		}
	}
}

// slots is a cumulative row of Solana's skip rate.
type slots struct {
	at, epoch, total, skipped int64
}

func production(t *testing.T, table [][]string) (all []slots) {
	for _, r := range table[1:] {
		at, err := time.Parse("2006-01-02 15:04:05 UTC", r[9])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, slots{at.UnixMilli(), integer(r[2]), integer(r[5]), integer(r[7])})
	}
	slices.SortStableFunc(all, func(a, b slots) int { return cmp.Compare(a.at, b.at) })
	return all
}

func (r slots) give() []observation.Observation {
	total, skipped := float64(r.total), float64(r.skipped)
	l := map[string]string{"chain": "solana"}
	return []observation.Observation{{At: r.at, Kind: observation.Sample, Series: "solana_slots_skipped_total", Labels: l, Value: &skipped},
		{At: r.at, Kind: observation.Sample, Series: "solana_slots_total", Labels: l, Value: &total}}
}
