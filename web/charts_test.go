package web

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/metrics"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// TestChartDoc: lines of different times share one axis; what is no number is a gap.
func TestChartDoc(t *testing.T) {
	d := newChartDoc(chartKind{unit: "s", legend: "node"}, []metrics.Series{
		{Labels: map[string]string{"node": "a"}, At: []int64{10, 30}, Values: []float64{1, math.NaN()}},
		{Labels: map[string]string{"node": "b"}, At: []int64{20, 30}, Values: []float64{math.Inf(1), 4}},
	})
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"t":[10,20,30],"series":[{"name":"a","values":[1,null,null]},{"name":"b","values":[null,null,4]}],"unit":"s"}`; string(b) != want {
		t.Errorf("%s\nwant %s", b, want)
	}
	if b, err := json.Marshal(newChartDoc(chartKind{}, nil)); err != nil || strings.Contains(string(b), "null") {
		t.Errorf("an empty chart: %s, %v", b, err)
	}
}

// TestSamplesReachThePage: stored samples are in the chart, new ones come as a frame.
func TestSamplesReachThePage(t *testing.T) {
	h := newHouse(t)
	sample := func(at time.Time, v float64) metrics.Sample {
		return metrics.Sample{Name: "tocsin_chain_block_interval_seconds", Labels: map[string]string{"chain": "eth"}, At: at.UnixMilli(), Value: v}
	}
	if err := h.Metrics.Append([]metrics.Sample{sample(time.Now().Add(-time.Minute), 12)}); err != nil {
		t.Fatal(err)
	}
	var d chartDoc
	h.ana().get("/charts/chain/eth/interval").want(200).into(&d)
	if len(d.Series) != 1 || len(d.T) == 0 || d.Unit != "s" {
		t.Fatalf("%+v", d)
	}
	wall, _ := h.wall()
	live := wall.watch("chains")
	h.SamplesArrived([]metrics.Sample{sample(time.Now(), 13), sample(time.Now().Add(time.Millisecond), math.NaN()), {Name: "unknown", Value: 1}, {Name: "tocsin_chain_block_interval_seconds", Labels: map[string]string{"chain": "../../x"}, Value: 1}})
	frames := live.until(func(f frame) bool { return strings.HasPrefix(f.Key, "samples/") })
	f := frames[len(frames)-1]
	if f.Key != "samples/chain/eth/interval" || !strings.Contains(string(f.Samples), "13") {
		t.Errorf("%s %s", f.Key, f.Samples)
	}
}

// TestChartsOfAnIncident: the one that matters first, at most four.
func TestChartsOfAnIncident(t *testing.T) {
	h := newHouse(t)
	h.chains.set(ChainSetting{ID: "eth", Name: "Ethereum"})
	g := snapshot(h.fire("chains", signal.Observation{Kind: "reorg", Subject: "eth", Chain: "eth"}))
	bad := g
	bad.ID, bad.Kind, bad.Chain = "x-1", "lag", "../../etc"
	h.declare(incident.Declare{Title: "Reorg", Chains: []string{"eth", "a", "b", "c", "d"}, Attach: []incident.Signal{g, bad}})
	page := h.ana().get("/incidents/1").want(200)
	for i, id := range []string{"chain/eth/reorg", "chain/eth/interval", "chain/a/interval", "chain/b/interval"} {
		if !strings.Contains(page.body, `data-chart="`+id+`"`) && !strings.Contains(page.body, id) {
			t.Errorf("chart %d, %s, is not on the page", i, id)
		}
	}
	page.hasNot("etc/height", "chain/c/interval")
}
