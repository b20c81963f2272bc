package web

import (
	"crypto/sha256"
	"encoding/hex"
	"math"

	"github.com/tocsin-ops/tocsin/internal/detection"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/views"
)

// Charts of figures that come near a bound are "ahead/<mark>/bound".
const (
	aheadBefore = "ahead/"
	aheadAfter  = "/bound"
)

// chartAhead is what a chart knows of the time to come: from the newest value the
// figure reaches the bound between Low and High, 8 times of 10. Times are unix ms,
// 0 = beyond what is looked at.
type chartAhead struct {
	Now      int64   `json:"now"`
	Value    float64 `json:"value"`
	Bound    float64 `json:"bound"`
	Low      int64   `json:"low"`
	Median   int64   `json:"median"`
	High     int64   `json:"high"`
	Sentence string  `json:"sentence"`
}

func aheadID(o detection.Outlook) string {
	sum := sha256.Sum256([]byte(o.Key()))
	return aheadBefore + hex.EncodeToString(sum[:8]) + aheadAfter
}

// outlook is the forecast that a chart is of.
func (s *Server) outlook(id string) (detection.Outlook, bool) {
	if s.Ahead != nil {
		for _, o := range s.Ahead.Outlooks() {
			if aheadID(o) == id {
				return o, true
			}
		}
	}
	return detection.Outlook{}, false
}

// aheadCharts are those of the forecasts that opened signals of an incident, then
// of the bounds that its chains come near.
func (s *Server) aheadCharts(st incident.State) (own, near []string) {
	if s.Ahead == nil {
		return nil, nil
	}
	chains := map[string]bool{}
	for _, c := range st.Chains {
		chains[c] = true
	}
	for _, o := range s.Ahead.Outlooks() {
		mine := false
		for _, g := range st.Signals {
			mine = mine || g.Kind == detection.KindForecast && o.OpenedAs(g.Title, g.Subject)
		}
		switch {
		case mine:
			own = append(own, aheadID(o))
		case o.Near && chains[o.Labels["chain"]]:
			near = append(near, aheadID(o))
		}
	}
	return own, near
}

func presentAheadChart(o detection.Outlook) views.Chart {
	a := presentOutlook(o)
	c := views.Chart{ID: aheadID(o), Title: a.Title, Of: a.Subject, StaleMs: 300_000, Window: o.Now - o.Points[0].At, Alt: a.Title + ". " + a.Sentence, Says: a.Sentence}
	if a.Subject != "" {
		c.Alt = a.Title + ", " + a.Subject + ". " + a.Sentence
	}
	return c
}

func newAheadDoc(o detection.Outlook) chartDoc {
	d := chartDoc{T: make([]int64, 0, len(o.Points)), Series: []chartValues{{Name: o.Bound.Title, Values: make([]*float64, 0, len(o.Points))}}}
	for i, p := range o.Points {
		d.T = append(d.T, p.At)
		if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) { // JSON has neither
			d.Series[0].Values = append(d.Series[0].Values, nil)
			continue
		}
		d.Series[0].Values = append(d.Series[0].Values, &o.Points[i].Value)
	}
	d.Ahead = &chartAhead{Now: o.Now, Value: o.Value, Bound: o.Bound.Value, Low: o.Cross.Low, Median: o.Cross.At, High: o.Cross.High, Sentence: o.Cross.Sentence}
	return d
}
