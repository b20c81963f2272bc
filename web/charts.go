package web

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/metrics"
	"github.com/tocsin-ops/tocsin/views"
)

// chartKind says how a chart is made from samples.
type chartKind struct {
	title, unit, of string
	expr            string // PromQL with %s for the subject, already escaped
	legend          string // label that names a series
	window          time.Duration
	metric          string  // sample name whose arrival refreshes the chart; its label "chain" or "bridge" is the subject
	scale           float64 // from the sample to the chart's unit, as expr has it; 0 = 1
	alt             string
}

// chartKinds are all charts there are: "<group>/<subject>/<kind>".
var chartKinds = map[string]chartKind{
	"chain/interval": {title: "Block interval", unit: "s", expr: `tocsin_chain_block_interval_seconds{chain="%s"}`, legend: "chain", metric: "tocsin_chain_block_interval_seconds", alt: "Time between blocks over the last hour"},
	"chain/lag":      {title: "Blocks behind, by node", unit: "blocks", expr: `tocsin_chain_node_lag_blocks{chain="%s"}`, legend: "node", metric: "tocsin_chain_node_lag_blocks", alt: "Blocks each node is behind the best, over the last hour"},
	"chain/reorg":    {title: "Reorg depth", unit: "blocks", expr: `max by (chain) (max_over_time(tocsin_chain_reorg_depth{chain="%[1]s"}[1m])) or max by (chain) (tocsin_chain_head_height{chain="%[1]s"}) * 0`, legend: "chain", metric: "tocsin_chain_reorg_depth", alt: "Depth of reorganisations over the last hour"},
	"chain/fee":      {title: "Base fee", unit: "gwei", expr: `tocsin_chain_base_fee_gwei{chain="%s"}`, legend: "chain", metric: "tocsin_chain_base_fee_gwei", alt: "Base fee over the last hour"},
	"chain/attack":   {title: "Cost of an attack", unit: "USD", expr: `tocsin_chain_attack_cost_usd{chain="%s"}`, legend: "chain", metric: "tocsin_chain_attack_cost_usd", alt: "What as many blocks as there are confirmations cost by rented hash power, over the last hour"},
	"bridge/outflow": {title: "Outflow in 5 min", unit: "% of value", expr: `tocsin_bridge_outflow_ratio{bridge="%s"} * 100`, legend: "bridge", metric: "tocsin_bridge_outflow_ratio", scale: 100, alt: "Share of the bridge's value that left in five minutes, over the last hour"},
	"bridge/tvl":     {title: "Value locked", unit: "M$", expr: `tocsin_bridge_tvl_usd{bridge="%s"} / 1e6`, legend: "bridge", metric: "tocsin_bridge_tvl_usd", scale: 1e-6, alt: "Value locked in the bridge over the last hour"},
}

var chartSubject = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func chartOf(id string) (chartKind, string, bool) {
	parts := strings.Split(id, "/")
	if len(parts) != 3 || !chartSubject.MatchString(parts[1]) {
		return chartKind{}, "", false
	}
	k, ok := chartKinds[parts[0]+"/"+parts[2]]
	if k.window == 0 {
		k.window = time.Hour
	}
	return k, parts[1], ok
}

func (s *Server) chart(id string) (views.Chart, bool) {
	if strings.HasPrefix(id, aheadBefore) {
		o, ok := s.outlook(id)
		if !ok {
			return views.Chart{}, false
		}
		return presentAheadChart(o), true
	}
	k, subject, ok := chartOf(id)
	if !ok {
		return views.Chart{}, false
	}
	name := s.chainName(subject)
	return views.Chart{ID: id, Title: k.title, Unit: k.unit, Of: name, Window: k.window.Milliseconds(), StaleMs: 120_000, Alt: k.alt + ", " + name}, true
}

// incidentCharts are the charts that belong to an incident, the one that matters first.
func (s *Server) incidentCharts(st incident.State) []views.Chart {
	var ids []string
	add := func(id string) {
		for _, have := range ids {
			if have == id {
				return
			}
		}
		ids = append(ids, id)
	}
	own, near := s.aheadCharts(st)
	for _, id := range own {
		add(id)
	}
	for _, g := range st.Signals {
		switch g.Kind {
		case "bridge_drain":
			add("bridge/" + g.Subject + "/outflow")
			add("bridge/" + g.Subject + "/tvl")
		case "reorg":
			add("chain/" + g.Chain + "/reorg")
		case "attack", "headers_only":
			add("chain/" + g.Chain + "/attack")
		case "lag", "halted", "divergence", "eclipse":
			add("chain/" + g.Chain + "/lag")
		}
		if len(ids) >= 4 {
			break
		}
	}
	for _, id := range near {
		add(id)
	}
	for _, c := range st.Chains {
		add("chain/" + c + "/interval")
	}
	var out []views.Chart
	for _, id := range ids {
		if c, ok := s.chart(id); ok && len(out) < 4 {
			out = append(out, c)
		}
	}
	return out
}

// chartDoc is what a chart is drawn from: times in unix ms ascending, and for
// each series a value or null at each of them.
type chartDoc struct {
	T      []int64       `json:"t"`
	Series []chartValues `json:"series"`
	Unit   string        `json:"unit"`
	Ahead  *chartAhead   `json:"ahead,omitempty"`
}

type chartValues struct {
	Name   string     `json:"name"`
	Values []*float64 `json:"values"`
}

func (s *Server) chartSeries(c *call) error {
	id := strings.Trim(c.Param("*"), "/")
	d, err := s.chartData(c.ctx(), id, s.time())
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, d)
}

const chartPoints = 240

func (s *Server) chartData(ctx context.Context, id string, now time.Time) (chartDoc, error) {
	if strings.HasPrefix(id, aheadBefore) {
		o, ok := s.outlook(id)
		if !ok {
			return chartDoc{}, errNoPage
		}
		return newAheadDoc(o), nil
	}
	k, subject, ok := chartOf(id)
	if !ok {
		return chartDoc{}, errNoPage
	}
	step := max(k.window/chartPoints, time.Second)
	end := now.Truncate(step)
	found, err := s.Metrics.QueryRange(ctx, fmt.Sprintf(k.expr, subject), end.Add(-k.window), end, step)
	if err != nil {
		return chartDoc{}, err
	}
	return newChartDoc(k, found.Series), nil
}

func newChartDoc(k chartKind, found []metrics.Series) chartDoc {
	d := chartDoc{T: []int64{}, Series: []chartValues{}, Unit: k.unit}
	at := map[int64]int{}
	seen := map[int64]bool{}
	for _, f := range found {
		for _, t := range f.At {
			seen[t] = true
		}
	}
	for t := range seen {
		d.T = append(d.T, t)
	}
	slices.Sort(d.T)
	for i, t := range d.T {
		at[t] = i
	}
	for _, f := range found {
		v := chartValues{Name: f.Labels[k.legend], Values: make([]*float64, len(d.T))}
		for i, t := range f.At {
			if y := f.Values[i]; !math.IsNaN(y) && !math.IsInf(y, 0) { // JSON has neither
				v.Values[at[t]] = &f.Values[i]
			}
		}
		d.Series = append(d.Series, v)
	}
	return d
}

// SamplesArrived collects the points of charts that somebody may be watching.
// It is called by telemetry after the samples are stored and never blocks.
func (s *Server) SamplesArrived(list []metrics.Sample) {
	if !s.Hub.Watched(topicChains) {
		return
	}
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	for _, m := range list {
		for kind, k := range chartKinds {
			if k.metric != m.Name {
				continue
			}
			group, which, _ := strings.Cut(kind, "/")
			subject := m.Labels[group]
			if !chartSubject.MatchString(subject) {
				continue
			}
			v := m.Value
			if k.scale != 0 {
				v *= k.scale
			}
			id, name := group+"/"+subject+"/"+which, m.Labels[k.legend]
			lines := s.live.points[id]
			if lines == nil {
				lines = map[string]*metrics.Series{}
				s.live.points[id] = lines
			}
			line := lines[name]
			if line == nil {
				line = &metrics.Series{Labels: map[string]string{"": name}}
				lines[name] = line
			}
			line.At, line.Values = append(line.At, m.At), append(line.Values, v)
		}
	}
}
