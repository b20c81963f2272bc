package wallet

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// state is the whole graph, for saving.
type state struct {
	Version int                `json:"version"`
	Limits  Limits             `json:"limits"`
	Edges   []Edge             `json:"edges"`
	Labels  map[string][]Label `json:"labels"`
	Links   []Link             `json:"links"`
	Coins   []string           `json:"coins,omitempty"`
	Dropped int64              `json:"dropped"`
	Newest  int64              `json:"newest"`
}

// Save writes the whole graph: about 300 bytes a transfer.
func (g *Graph) Save() ([]byte, error) {
	b, err := json.Marshal(state{1, g.limits, g.edges, g.labels, g.links, slices.Sorted(maps.Keys(g.coins)), g.dropped, g.newest})
	if err != nil {
		return nil, fmt.Errorf("save wallet graph: %w", err)
	}
	return b, nil
}

// Load takes what Save wrote; every answer is then as before. After an error nothing has changed.
func (g *Graph) Load(b []byte) error {
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("load wallet graph: %w", err)
	}
	if s.Version != 1 || len(s.Edges) > max(s.Limits.Edges, 0)+1 || len(s.Links) > MostLinks || len(s.Labels) > MostLabels || len(s.Coins) > mostChains {
		return fmt.Errorf("load wallet graph: version %d with %d transfers is not one that this program wrote; it starts anew", s.Version, len(s.Edges))
	}
	n := New(s.Limits)
	n.rebuild(s.Edges)
	n.links, n.dropped, n.newest = s.Links, s.Dropped, s.Newest
	for _, l := range s.Links {
		n.joined[linkKey(l)] = true
	}
	for _, chain := range s.Coins {
		n.coins[chain] = true
	}
	for _, id := range slices.Sorted(maps.Keys(s.Labels)) {
		n.labels[id] = s.Labels[id]
	}
	*g = *n
	return nil
}
