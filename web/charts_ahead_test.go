package web

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detection"
	"github.com/tocsin-ops/tocsin/internal/forecast"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

type looksAhead struct{ *detection.Ahead }

func (looksAhead) Spread() []forecast.Reach { return nil }

// TestForecastInTheRoom: the room of a bound that comes near shows the figure,
// the bound and when it is reached; that of the same chain shows it as well,
// another room does not.
func TestForecastInTheRoom(t *testing.T) {
	h := newHouse(t)
	now := time.Now()
	var told []chain.Finding
	a := &detection.Ahead{
		Bounds: []detection.Bound{{Title: "Hot wallet", Query: "balance"}},
		Query: func(context.Context, string, time.Time, time.Time, time.Duration) ([]detection.Series, error) {
			s := detection.Series{Labels: map[string]string{"__name__": "balance", "chain": "eth", "wallet": "hot-2"}}
			for i := range 240 {
				s.Points = append(s.Points, forecast.Point{At: now.Add(time.Duration(i-240) * 90 * time.Second).UnixMilli(), Value: 1000 - 3*float64(i) + float64(i*7919%17)/10})
			}
			return []detection.Series{s}, nil
		},
		Deliver: func(_ context.Context, list []chain.Finding) error { told = append(told, list...); return nil },
		Clock:   func() time.Time { return now },
	}
	a.Look(t.Context())
	if len(told) != 1 || len(a.Outlooks()) != 1 || !a.Outlooks()[0].Near {
		t.Fatalf("%+v", told)
	}
	h.Ahead = looksAhead{a}
	g := snapshot(h.fire("detect", signal.Observation{Kind: told[0].Kind, Subject: told[0].Subject, Title: told[0].Title}))
	h.declare(incident.Declare{Title: "The wallet runs dry", Attach: []incident.Signal{g}})
	h.declare(incident.Declare{Title: "Blocks are late", Chains: []string{"eth"}})
	other := g
	other.ID, other.Title = "x-1", "Hot wallet of another: the bound of 0 comes near"
	h.declare(incident.Declare{Title: "Something else", Chains: []string{"btc"}, Attach: []incident.Signal{other}})
	id, sentence := aheadID(a.Outlooks()[0]), a.Outlooks()[0].Cross.Sentence
	for path, want := range map[string]bool{"/incidents/1": true, "/incidents/2": true, "/incidents/3": false} {
		page := h.ana().get(path).want(200)
		if strings.Contains(page.body, `data-chart="`+id+`"`) != want || strings.Contains(page.body, sentence) != want {
			t.Errorf("%s shows the forecast: %v, want %v", path, !want, want)
		}
	}
	var d chartDoc
	h.ana().get("/charts/" + id).want(200).into(&d)
	if x := d.Ahead; len(d.T) != 240 || len(d.Series) != 1 || x == nil || x.Bound != 0 || x.Low <= now.UnixMilli() || x.Median < x.Low || x.High < x.Median || x.Sentence != sentence {
		t.Errorf("%d points, %+v", len(d.T), d.Ahead)
	}
	h.ana().get("/charts/ahead/0000000000000000/bound").want(404)
	if a := h.nobody().get("/charts/" + id); a.status == 200 {
		t.Error("a stranger has the chart")
	}
}
