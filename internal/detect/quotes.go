package detect

import (
	"maps"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/observation"
)

// Bounds of quotes.
const (
	mostAssets = 512         // whose prices are remembered; more, and the new ones are not
	mostVenues = 32          // of one asset
	quoteFresh = 10 * 60_000 // ms, or three bars
)

// quote is the newest close of an asset at a venue.
type quote struct {
	At       int64
	Close    float64
	Interval int64
	Counted  int64 // when a bar was last counted
	Bars     int   // in a row beyond the trigger, below zero = under the peg
}

func (q quote) fresh(now int64) bool { return now-q.At <= max(quoteFresh, 3*q.Interval) }

// quotes are the newest closes by asset and venue.
type quotes map[string]map[string]*quote

// take remembers a price; nil when it is no price or there is no room.
func (q quotes) take(o observation.Observation, now int64) *quote {
	if o.Kind != observation.Price || o.Close == nil || !(*o.Close > 0) || *o.Close > 1e15 {
		return nil
	}
	asset, venue := cut(o.Asset, 60), cut(o.Venue, 60)
	if q[asset] == nil {
		if len(q) >= mostAssets {
			return nil
		}
		q[asset] = map[string]*quote{}
	}
	v := q[asset][venue]
	if v == nil {
		if len(q[asset]) >= mostVenues {
			return nil
		}
		v = &quote{}
		q[asset][venue] = v
	}
	v.At, v.Close, v.Interval = now, *o.Close, min(max(int64(o.Interval), 0), 86_400_000)
	return v
}

// fresh lists the venues whose price is fresh, sorted.
func (q quotes) fresh(asset string, now int64) (venues []string) {
	for _, name := range slices.Sorted(maps.Keys(q[asset])) {
		if q[asset][name].fresh(now) {
			venues = append(venues, name)
		}
	}
	return venues
}

// median of a list, which it sorts; 0 of none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
