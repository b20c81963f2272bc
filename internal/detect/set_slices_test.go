package detect_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// Pieces of the public records stand in the repository (testdata/records/PROVENANCE.md), so that the default run holds the exact figures; the whole
// records are played by the tests beside this one when they are at hand.

func slice(t *testing.T, name string) [][]string {
	t.Helper()
	return table(t, filepath.Join("testdata", "records", name))
}

// told lists what opened, apart from weak findings, and when it was over.
func (s *stage) told() (out []string) {
	was := map[string]bool{}
	for _, f := range s.all {
		if f.Weak || f.Firing == was[f.Key] {
			continue
		}
		word := f.Severity
		if !f.Firing {
			word = "over"
		}
		was[f.Key] = f.Firing
		out = append(out, fmt.Sprintf("%s %s %s", time.UnixMilli(f.At).UTC().Format("2006-01-02 15:04:05"), word, f.Key))
	}
	return out
}

func expect(t *testing.T, name string, got []string, want string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(want), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	if want == "" {
		lines = nil
	}
	if !slices.Equal(got, lines) {
		t.Errorf("%s: told\n%s\nwant\n%s\n(a detector that was meant to change changes these lines: read the difference)", name, strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}

// TestSliceBitcoin: three days of arrivals at one node, with two forks and one silence of 99.5 minutes.
func TestSliceBitcoin(t *testing.T) {
	s := newStage(t, detect.Setup{})
	s.see(arrivals(slice(t, "bitcoin_arrivals.csv.gz"))...)
	expect(t, "as it was", s.told(), `
		2023-03-18 01:51:29 SEV5 bitcoin/fork/781277
		2023-03-18 02:49:19 over bitcoin/fork/781277
		2023-03-18 22:46:01 SEV3 bitcoin/stall
		2023-03-18 23:07:14 over bitcoin/stall
		2023-03-19 09:04:44 SEV5 bitcoin/fork/781487
		2023-03-19 09:41:58 over bitcoin/fork/781487`)
}

// TestSliceEthereum: 5,000 proof-of-work blocks around the London fork hold nothing; with three minutes taken out there is a stall, at the very
// moment when its bound passes.
func TestSliceEthereum(t *testing.T) {
	for _, c := range []struct {
		name string
		gap  int64
		want string
	}{{"as it was", 0, ""}, {"with three minutes of silence", 180_000, `
		2021-08-05 18:16:49 SEV3 c/stall
		2021-08-05 18:17:32 over c/stall`}} {
		s := newStage(t, detect.Setup{Chains: []detect.ChainFacts{{Name: "c", Family: "evm", Interval: 13_000}}})
		late := int64(0)
		for i, r := range slice(t, "ethereum_blocks.csv.gz")[1:] {
			if i == 4000 {
				late = c.gap
			}
			h, at := integer(r[0]), integer(r[1])*1000+late
			header := observation.Time(at)
			s.see(observation.Observation{At: at, Kind: observation.Block, Chain: "c", Node: "a", Height: h, Hash: fmt.Sprint("h", h), Parent: fmt.Sprint("h", h-1), Time: &header})
		}
		expect(t, c.name, s.told(), c.want)
	}
}

// TestSliceNomad: the last five days of the bridge, with their deposits, and then the looting: nothing is told before its first withdrawal, and that
// one is found at once.
func TestSliceNomad(t *testing.T) {
	dir := filepath.Join("testdata", "records")
	attack := observations(t, filepath.Join(dir, "nomad_attack.csv.gz"), "", "dst_timestamp")
	calm := observations(t, filepath.Join(dir, "nomad_days.csv.gz"), "origin_timestamp", "dst_timestamp")
	for _, c := range []struct {
		name string
		list []observation.Observation
		want string
	}{{"the innocent days", calm, ""}, {"and the looting", merged(calm, attack), `
		2022-08-01 21:32:31 SEV1 ethereum/bridge_overpaid/nomad
		2022-08-01 21:32:31 SEV1 ethereum/bridge_unmatched/nomad
		2022-08-01 21:32:31 SEV1 ethereum/withdrawal_reused/nomad
		2022-08-01 21:32:31 SEV2 ethereum/bridge_outflow/nomad
		2022-08-01 21:32:31 SEV2 ethereum/repeated_amount/nomad
		2022-08-01 21:32:43 SEV1 ethereum/bridge_drain/nomad
		2022-08-01 22:32:42 SEV1 ethereum/bridge_drain/nomad`}} {
		s := newStage(t, detect.Setup{Config: detect.Config{Bridges: []detect.BridgeFacts{{Name: "nomad", Chain: "ethereum", TVLUSD: 190.74e6}}}})
		s.see(c.list...)
		pages := slices.DeleteFunc(s.told(), func(line string) bool { return !strings.Contains(line, " SEV1 ") && !strings.Contains(line, " SEV2 ") })
		expect(t, c.name, pages, c.want)
	}
}

// TestSliceSolana: four days of mainnet's skip rate with two changes of the epoch; then the same with an hour in which 80 % more slots are skipped,
// which is found by its first row.
func TestSliceSolana(t *testing.T) {
	all := production(t, slice(t, "solana_skips.csv.gz"))
	chosen := []detect.SeriesRule{{Match: "solana_skip_ratio", Severity: "SEV4"}}
	for _, c := range []struct {
		name  string
		rules []detect.SeriesRule
		share float64
		want  string
	}{{"chosen", chosen, 0, `
		2021-11-10 13:48:18 SEV4 solana/anomaly/solana_skip_ratio{chain="solana"}
		2021-11-10 14:49:57 over solana/anomaly/solana_skip_ratio{chain="solana"}
		2021-11-11 01:58:23 SEV5 solana/missing_data/chain=solana
		2021-11-11 02:01:27 over solana/missing_data/chain=solana
		2021-11-13 17:37:42 SEV5 solana/missing_data/chain=solana
		2021-11-13 17:40:46 over solana/missing_data/chain=solana`}, {"chosen, with an hour of skipped slots", chosen, 0.8, `
		2021-11-10 13:48:18 SEV4 solana/anomaly/solana_skip_ratio{chain="solana"}
		2021-11-10 14:49:57 over solana/anomaly/solana_skip_ratio{chain="solana"}
		2021-11-11 01:58:23 SEV5 solana/missing_data/chain=solana
		2021-11-11 02:01:27 over solana/missing_data/chain=solana
		2021-11-13 07:26:57 SEV4 solana/anomaly/solana_skip_ratio{chain="solana"}
		2021-11-13 08:02:18 over solana/anomaly/solana_skip_ratio{chain="solana"}
		2021-11-13 17:37:42 SEV5 solana/missing_data/chain=solana
		2021-11-13 17:40:46 over solana/missing_data/chain=solana`}, {"not chosen", nil, 0, `
		2021-11-10 13:48:18 SEV5 solana/anomaly/solana_skip_ratio{chain="solana"}
		2021-11-10 14:49:57 over solana/anomaly/solana_skip_ratio{chain="solana"}
		2021-11-11 01:58:23 SEV5 solana/missing_data/chain=solana
		2021-11-11 02:01:27 over solana/missing_data/chain=solana
		2021-11-13 17:37:42 SEV5 solana/missing_data/chain=solana
		2021-11-13 17:40:46 over solana/missing_data/chain=solana`}, {"not chosen, with an hour of skipped slots", nil, 0.8, `
		2021-11-10 13:48:18 SEV5 solana/anomaly/solana_skip_ratio{chain="solana"}
		2021-11-10 14:49:57 over solana/anomaly/solana_skip_ratio{chain="solana"}
		2021-11-11 01:58:23 SEV5 solana/missing_data/chain=solana
		2021-11-11 02:01:27 over solana/missing_data/chain=solana
		2021-11-13 07:26:57 SEV5 solana/anomaly/solana_skip_ratio{chain="solana"}
		2021-11-13 08:02:18 over solana/anomaly/solana_skip_ratio{chain="solana"}
		2021-11-13 17:37:42 SEV5 solana/missing_data/chain=solana
		2021-11-13 17:40:46 over solana/missing_data/chain=solana`}} {
		s := newStage(t, detect.Setup{Series: c.rules})
		extra := int64(0)
		for i, r := range all {
			if i > 3000 && i < 3045 {
				extra += int64(c.share * float64(r.total-all[i-1].total))
			}
			if r.epoch == all[3000].epoch {
				r.skipped = min(r.skipped+extra, r.total)
			}
			s.see(r.give()...)
		}
		expect(t, c.name, s.told(), c.want)
	}
}
