package metrics_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/metrics"
)

func TestSinceGivesWhatWasStoredInOrder(t *testing.T) {
	s, err := metrics.Open(filepath.Join(t.TempDir(), "m"), metrics.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const start = int64(1_795_000_000_000)
	var all []metrics.Sample
	for i := range int64(2000) {
		all = append(all, metrics.Sample{Name: "b", Labels: map[string]string{"n": "1"}, At: start + i*1000, Value: float64(i)})
	}
	for i := range int64(1000) {
		all = append(all, metrics.Sample{Name: "a", At: start + i*2000 + 1, Value: -float64(i)}, metrics.Sample{Name: "unwanted", At: start + i*2000, Value: 1})
	}
	if err := s.Append(all); err != nil {
		t.Fatal(err)
	}
	var got []metrics.Sample
	from, to := start+500_000, start+1_500_000
	if err := s.Since(t.Context(), from, to, func(n string) bool { return !strings.HasPrefix(n, "un") }, func(page []metrics.Sample) { got = append(got, page...) }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1000+500 || !slices.IsSortedFunc(got, func(a, b metrics.Sample) int { return int(a.At - b.At) }) {
		t.Fatalf("%d samples", len(got))
	}
	if got[0].At <= from || got[len(got)-1].At > to || got[0].Name != "a" || got[0].Labels["n"] != "" || got[1].Labels["n"] != "1" {
		t.Errorf("%+v … %+v", got[:2], got[len(got)-1])
	}
}
