package detect_test

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// TestNomadByAllRules plays the bridge's public record, when it is at hand, through all rules at once: 203 innocent days and then the looting;
// with the deposits of the other chain and without, with the bridge's value known and without.
func TestNomadByAllRules(t *testing.T) {
	shared := os.Getenv("TOCSIN_SHARED")
	if shared == "" {
		t.Log("TOCSIN_SHARED is not set: the whole record is not at hand")
		return
	}
	dir := filepath.Join(shared, "data", "xchainwatcher-nomad")
	innocent := observations(t, filepath.Join(dir, "matched_and_unmatched_tc_withdrawals.csv.gz"), "origin_timestamp", "dst_timestamp")
	attack := observations(t, filepath.Join(dir, "attacks.csv"), "", "dst_timestamp")
	first := attack[0].At
	for _, c := range []struct {
		name          string
		late          int64 // ms until a deposit is seen
		deposits      bool
		history       bool
		tvl           float64
		within, wrong int64 // ms to the first page, innocent days with a page
	}{
		{"two sides, value known", 0, true, true, 190.74e6, 0, 0},
		{"two sides, deposits seen 35 min late", 35 * minute, true, true, 190.74e6, 0, 0},
		{"one side, value known", 0, false, true, 190.74e6, 0, 0},
		{"two sides, value unknown", 0, true, true, 0, 0, 0},
		{"one side, value unknown", 0, false, true, 0, 0, 0},
		{"no history, value known", 0, false, false, 190.74e6, 0, 0},
	} {
		var all []observation.Observation
		for _, o := range innocent {
			if o.Kind == observation.Deposit {
				o.At += c.late
			}
			if o.At < first && (c.deposits || o.Kind == observation.Withdrawal) && c.history {
				all = append(all, o)
			}
		}
		all = append(all, attack...)
		slices.SortStableFunc(all, func(a, b observation.Observation) int { return int(a.At - b.At) })
		hs := detect.All(detect.Config{Bridges: []detect.BridgeFacts{{Name: "nomad", Title: "Nomad", Chain: "ethereum", TVLUSD: c.tvl}}})
		l, days, other := lives{}, map[int64][]string{}, map[string]int{}
		kinds := map[string]int64{}
		page := int64(-1)
		take := func(found []chain.Finding) {
			for _, f := range found {
				what, err := l.take(f)
				if err != nil {
					t.Error(err)
				}
				if !strings.HasPrefix(what, "opened") && !strings.HasPrefix(what, "updated") {
					continue
				}
				pages := f.Severity <= "SEV2" && !f.Weak
				if _, has := kinds[f.Kind]; f.At >= first && !has && pages {
					kinds[f.Kind] = (f.At - first) / 1000
				}
				switch {
				case pages && f.At < first:
					days[f.At/86_400_000] = append(days[f.At/86_400_000], f.Kind+": "+f.Reason)
				case pages && page < 0:
					page = f.At - first
				case f.At < first && strings.HasPrefix(what, "opened"):
					other[fmt.Sprintf("%s %s weak=%v", f.Kind, f.Severity, f.Weak)]++
				}
			}
		}
		last := int64(0)
		for _, o := range all {
			for last = max(last, o.At-10*60_000); last+60_000 < o.At; last += 60_000 { // a tick a minute, of ten minutes of silence at most
				for _, h := range hs {
					take(h.Tick(last))
				}
			}
			for _, h := range hs {
				take(h.Observe(o))
			}
		}
		t.Logf("%s: first page after %d ms; by kind, s: %v; innocent days with a page: %d; others before: %v", c.name, page, kinds, len(days), other)
		for _, d := range slices.Sorted(maps.Keys(days)) {
			t.Logf("  day %d: %q", d, days[d])
		}
		if page != c.within || int64(len(days)) != c.wrong {
			t.Errorf("%s: page after %d ms, want %d; %d innocent days, want %d", c.name, page, c.within, len(days), c.wrong)
		}
	}
}

// observations reads a record of withdrawals, and of their deposits when deposited names the column of their time.
func observations(t *testing.T, file, deposited, released string) []observation.Observation {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(file, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := csv.NewReader(in).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	col := map[string]int{}
	for i, name := range rows[0] {
		col[name] = i
	}
	decimals := map[string]int{"0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48": 6, "0xdac17f958d2ee523a2206206994597c13d831ec7": 6, "0x2260fac5e5542a773aa44fbcfedf7c193bc2c599": 8}
	var out []observation.Observation
	for _, r := range rows[1:] {
		cell := func(name string) string {
			if i, ok := col[name]; ok {
				return r[i]
			}
			return ""
		}
		o := observation.Observation{Bridge: "nomad", ID: cell("withdrawal_id"), Token: cell("dst_token"), Beneficiary: cell("beneficiary"), Sender: cell("sender")}
		n := 18
		if d, ok := decimals[o.Token]; ok {
			n = d
		}
		digits := strings.Repeat("0", max(n+1-len(cell("amount")), 0)) + cell("amount")
		o.Amount = digits[:len(digits)-n] + "." + digits[len(digits)-n:]
		if v, err := strconv.ParseFloat(cell("value_usd"), 64); err == nil {
			o.USD = &v
		}
		if s, err := strconv.ParseInt(cell(deposited), 10, 64); err == nil && deposited != "" {
			d := o
			d.Kind, d.Chain, d.At, d.Tx, d.Token = observation.Deposit, "moonbeam", s*1000, where(cell("origin_transaction_hash"), cell("orig_tx_hash")), cell("origin_token")
			out = append(out, d)
		}
		if s, err := strconv.ParseInt(cell(released), 10, 64); err == nil {
			o.Kind, o.Chain, o.At, o.Tx = observation.Withdrawal, "ethereum", s*1000, where(cell("dst_transaction_hash"), cell("dst_tx_hash"))
			out = append(out, o)
		}
	}
	slices.SortStableFunc(out, func(a, b observation.Observation) int { return int(a.At - b.At) })
	return out
}

func where(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
