package chain

import (
	"encoding/json"
	"testing"
)

// TestUsual: what is usual is what hardly was exceeded in seven days. A moment does not count for a week, what lasted does; nothing is known
// before a day, and what is kept is bounded.
func TestUsual(t *testing.T) {
	const minute = int64(60000)
	learn := func(days int, peak bool, share func(at int64) float64) usual {
		u := usual{}
		for at := minute; at <= int64(days)*1440*minute+pastBucket; at += minute {
			u.learn(at, share(at), peak)
		}
		return u
	}
	calm := func(int64) float64 { return 0.125 }
	moment := func(at int64) float64 {
		if at%(360*minute) < 4*minute {
			return 1
		}
		return 0.125
	}
	half := func(at int64) float64 {
		if at%(360*minute) < 180*minute {
			return 0.9
		}
		return 0.125
	}
	first := func(at int64) float64 {
		if at < pastBucket {
			return 0.9
		}
		return 0.125
	}
	for _, c := range []struct {
		name      string
		u         usual
		known     bool
		from, to  float64
		remembers int
	}{
		{"some hours", learn(0, false, calm), false, 1, 1, 1},
		{"a day", learn(1, false, calm), true, 0.125, 0.125, 5},
		{"moments", learn(2, false, moment), true, 0.125, 0.4, 9},
		{"moments, as peaks", learn(2, true, moment), true, 1, 1, 9},
		{"half of the time", learn(2, false, half), true, 0.9, 1, 9},
		{"within the week", learn(6, false, first), true, 0.9, 1, 25},
		{"more than a week ago", learn(8, false, first), true, 0.125, 0.125, pastKept},
		{"a year", learn(365, false, calm), true, 0.125, 0.125, pastKept},
	} {
		most, known := c.u.known()
		if known != c.known || most < c.from || most > c.to || len(c.u.Past) != c.remembers && len(c.u.Past) != c.remembers-1 {
			t.Errorf("%s: at most %v, known %t, of %d entries", c.name, most, known, len(c.u.Past))
		}
	}
}

// TestCrowdIsBounded: what cannot be is not taken, and what is remembered of a node stays small, however its peers change.
func TestCrowdIsBounded(t *testing.T) {
	m := NewMonitor(Config{Chain: "x", Family: Bitcoin, Nodes: []string{"a"}})
	give := func(at int64, c *Crowd) {
		m.Observe(Observation{At: at, Node: "a", Kind: KindPeers, Peers: &Peers{Crowd: c}})
	}
	for name, c := range map[string]*Crowd{
		"less than nobody":     {All: Side{Peers: 3, Own: -1}},
		"more than all":        {All: Side{Peers: 3, Groups: 1, Top: []PeerGroup{{"a", 4}}}},
		"an empty group":       {All: Side{Peers: 3, Groups: 1, Top: []PeerGroup{{"a", 0}}}},
		"not in order":         {All: Side{Peers: 9, Groups: 2, Top: []PeerGroup{{"a", 1}, {"b", 2}}}},
		"too many groups":      {All: Side{Peers: 9, Groups: 9, Top: []PeerGroup{{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, {"e", 1}}}},
		"a side that is wrong": {All: Side{Peers: 9}, Out: &Side{Peers: 1, Own: 2}},
		"too many ids":         {All: Side{Peers: 900}, IDs: make([]uint32, CrowdIDs+1)},
	} {
		if give(1000, c); m.node("a").crowd != nil {
			t.Errorf("%s was taken", name)
		}
	}
	size := 0
	for i := range int64(20_000) {
		c := &Crowd{All: Side{Peers: 128, Groups: 128, By: "prefix", Top: []PeerGroup{{"203.0.0.0/16", 1}}}}
		for id := range uint32(CrowdIDs) {
			c.IDs = append(c.IDs, uint32(i)*1000+id) // all others each minute
		}
		c.Out, c.In = &c.All, &Side{}
		give(i*60000, c)
		if i%2000 == 1999 {
			raw, err := json.Marshal(m.node("a").crowd)
			if size = max(size, len(raw)); err != nil || size > 12_000 {
				t.Fatalf("%d bytes, %v", size, err)
			}
		}
	}
	if size < 1000 {
		t.Errorf("only %d bytes: nothing was followed", size)
	}
}
