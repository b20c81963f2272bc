package watch

import (
	"slices"
	"sync"
	"time"
)

// Prices are dollars by the name of a feed, from what its nodes told of the feeds' answers. Safe for concurrent use. It holds as many as there are feeds.
type Prices struct {
	now func() time.Time

	mu    sync.Mutex
	feeds map[string]*price
}

type price struct {
	heartbeat int64              // ms
	told      map[string]*teller // by operator
	sure      answer             // the newest that two operators told
}

// teller is what one operator told.
type teller struct {
	rounds []answer // newest first, at most roundsKept
	read   int64    // when it last told one of them, or a newer one
}

type answer struct {
	value   float64
	updated int64
}

const (
	roundsKept = 4          // so that nodes which are some rounds apart still agree on one
	silentFor  = 5 * 60_000 // ms that an operator may be silent: a round that stands is told again about once a minute
)

// NewPrices makes an empty table.
func NewPrices() *Prices { return &Prices{now: time.Now, feeds: map[string]*price{}} }

// Feed makes a feed known. An answer is a price for two heartbeats (ms), and for two days when the heartbeat is not known.
func (p *Prices) Feed(name string, heartbeat int64) {
	if heartbeat <= 0 {
		heartbeat = 24 * time.Hour.Milliseconds()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.feeds[name] = &price{heartbeat: heartbeat, told: map[string]*teller{}}
}

// Answer takes what a feed said, as a node of an operator told it; an answer older than the newest one of that operator (a node may be behind), one
// from the future, or one that is no price is passed over. Feeds that were not made known are too.
func (p *Prices) Answer(feed, operator string, value float64, updated int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, r, now := p.feeds[feed], answer{value, updated}, p.now().UnixMilli()
	if f == nil || !(value > 0) || value > 1e15 || updated <= 0 || updated > now+time.Hour.Milliseconds() {
		return
	}
	t := f.told[operator]
	switch {
	case t == nil && len(f.told) >= mostNodes:
		return
	case t == nil:
		t = &teller{}
		f.told[operator] = t
		fallthrough
	case updated > t.rounds[0].updated:
		t.rounds = append([]answer{r}, t.rounds[:min(len(t.rounds), roundsKept-1)]...)
	case updated == t.rounds[0].updated:
		t.rounds[0] = r
	case !slices.Contains(t.rounds, r):
		return
	}
	t.read = now
	for other, o := range f.told {
		if other != operator && slices.Contains(o.rounds, r) && r.updated >= f.sure.updated {
			f.sure = r
		}
	}
}

// Price gives dollars: the newest answer that two operators told; where one alone has a fresh answer, that. An operator that was silent for five
// minutes while another was not has no say: its nodes are down or read the feed no more. False when the feed is not known, its answers are too old,
// or its nodes never told the same: what one of several says alone prices nothing.
func (p *Prices) Price(feed string) (float64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.feeds[feed]
	if f == nil {
		return 0, false
	}
	fresh := func(r answer) bool { return r.updated > 0 && p.now().UnixMilli()-r.updated <= 2*f.heartbeat }
	last := int64(0)
	for _, t := range f.told {
		last = max(last, t.read)
	}
	var alone answer
	reading, n := 0, 0
	for _, t := range f.told {
		if last-t.read > silentFor {
			continue
		}
		if reading++; fresh(t.rounds[0]) {
			alone, n = t.rounds[0], n+1
		}
	}
	switch {
	case reading == 1 && n == 1 && alone.updated > f.sure.updated:
		return alone.value, true
	case fresh(f.sure):
		return f.sure.value, true
	case n == 1:
		return alone.value, true
	}
	return 0, false
}
