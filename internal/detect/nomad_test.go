package detect_test

import (
	"compress/gzip"
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/detect"
)

// TestNomadOnTheWholeRecord plays the bridge's public record, when it is at hand: the looting is found twelve seconds after its first
// block, and at most one of the 203 innocent days is called wrong.
func TestNomadOnTheWholeRecord(t *testing.T) {
	shared := os.Getenv("TOCSIN_SHARED")
	if shared == "" {
		t.Log("TOCSIN_SHARED is not set: the whole record is not at hand")
		return
	}
	dir := filepath.Join(shared, "data", "xchainwatcher-nomad")
	drain := func() detect.BridgeDrain {
		return detect.NewBridgeDrain(detect.Bridge{Slug: "nomad", Name: "Nomad", Chain: "ethereum", TVL: 190.74e6})
	}

	attack := record(t, filepath.Join(dir, "attacks.csv"))
	d, found := drain(), int64(-1)
	for _, f := range attack {
		next, o := d.Observe(f)
		d = next
		if len(o.Findings) > 0 && found < 0 {
			found = f.At - attack[0].At
		}
	}
	if len(attack) != 382 || found != 12_000 {
		t.Errorf("%d withdrawals, found after %d ms", len(attack), found)
	}

	days, wrong := map[int64]bool{}, map[int64]bool{}
	for _, f := range record(t, filepath.Join(dir, "cctxs_withdrawals.csv.gz")) {
		day := f.At / 86_400_000
		if !days[day] { // deposits are not on this record, so every day begins with the full bridge
			d = drain()
		}
		days[day] = true
		next, o := d.Observe(f)
		d = next
		wrong[day] = wrong[day] || len(o.Findings) > 0
	}
	n := 0
	for _, is := range wrong {
		if is {
			n++
		}
	}
	if len(days) != 203 || n > 1 {
		t.Errorf("%d of %d innocent days are called wrong", n, len(days))
	}
}

func record(t *testing.T, file string) []detect.Flow {
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
	col := func(name string) int { return slices.Index(rows[0], name) }
	at, usd, token, amount := col("dst_timestamp"), col("value_usd"), col("dst_token"), col("amount")
	var out []detect.Flow
	for _, r := range rows[1:] {
		s, err := strconv.ParseInt(r[at], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		v, _ := strconv.ParseFloat(r[usd], 64) // empty where there is no price
		out = append(out, detect.Flow{At: s * 1000, Out: v, Token: r[token], Amount: r[amount]})
	}
	slices.SortStableFunc(out, func(a, b detect.Flow) int { return int(a.At - b.At) })
	return out
}
