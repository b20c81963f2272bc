package replica

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

const (
	tellEvery    = 250 * time.Millisecond // of a view, of presence, of a drill
	samplesEvery = 500 * time.Millisecond
	tellWithin   = 2 * time.Second // one telling; the store is troubled when it takes longer
	batchBytes   = 256 << 10       // of samples; full: the oldest go and are counted
)

// TellSamples gives samples to the others: what came in half a second together,
// 256 KiB at most; then the oldest are dropped and counted.
func (p *Peers) TellSamples(list []chain.Sample) {
	if p.eph == nil {
		return
	}
	p.mu.Lock()
	for _, s := range list {
		if math.IsNaN(s.Value) || math.IsInf(s.Value, 0) { // JSON has neither, and charts leave a gap
			continue
		}
		p.batch = append(p.batch, s)
		p.weight += weigh(s)
	}
	n := 0
	for p.weight > batchBytes {
		p.weight -= weigh(p.batch[n])
		n++
	}
	p.batch = p.batch[n:]
	p.lost += int64(n)
	p.mu.Unlock()
	p.nudge()
}

// weigh is about the length of a sample in JSON.
func weigh(s chain.Sample) int {
	n := 64 + len(s.Name)
	for k, v := range s.Labels {
		n += len(k) + len(v) + 6
	}
	return n
}

// tell gives out what is to be told, at most four times a second, until ctx ends.
func (p *Peers) tell(ctx context.Context) error {
	var last struct {
		told, samples         time.Time
		self, presence, drill []byte
		rules                 []byte
	}
	tick := time.NewTicker(time.Second) // a drill proceeds without a word
	defer tick.Stop()
	for {
		now := time.Now()
		fine := true
		say := func(kind, name string, value []byte) {
			if fine {
				fine = p.say(ctx, kind, name, value)
			}
		}
		aged := now.Sub(last.told) >= age
		if aged {
			last.self, last.presence, last.drill, last.rules = nil, nil, nil, nil
		}
		self, _ := json.Marshal(p.Self())
		if !bytes.Equal(self, last.self) {
			if say(kindReplica, p.opt.Self.ID, self); fine {
				last.self = self
			}
		}
		p.tellViews(say, &fine)
		if now.Sub(last.samples) >= samplesEvery {
			if list := p.takeSamples(); len(list) > 0 {
				last.samples = now
				if value, err := pack(list); err == nil {
					say(kindSamples, p.opt.Self.ID, value)
				}
				if !fine {
					p.mu.Lock()
					p.lost += int64(len(list))
					p.mu.Unlock()
				}
			}
		}
		for _, t := range []struct {
			kind  string
			value []byte
			last  *[]byte
		}{{kindPresence, p.encode(), &last.presence}, {kindDrill, p.drillValue(), &last.drill}, {kindRules, p.rulesValue(), &last.rules}} {
			if bytes.Equal(t.value, *t.last) && (*t.last == nil) == (t.value == nil) {
				continue
			}
			say(t.kind, p.opt.Self.ID, t.value)
			if fine {
				*t.last = t.value
			}
		}
		if fine && aged {
			last.told = now
		}
		wait := tellEvery
		if !fine {
			wait = time.Second
		}
		if !pause(ctx, wait) {
			return nil
		}
		select {
		case <-p.wake:
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// say tells one thing and reports whether the store took it.
func (p *Peers) say(ctx context.Context, kind, name string, value []byte) bool {
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	if err := p.eph.Tell(ctx, key(kind, name), value); err != nil {
		p.opt.Log.Debug("the other replicas were not told", "what", kind, "err", err)
		return false
	}
	return true
}

// tellViews tells the views that changed; those that the store did not take
// stay to be told, unless there is a newer one by then.
func (p *Peers) tellViews(say func(kind, name string, value []byte), fine *bool) {
	p.mu.Lock()
	views := p.views
	p.views = map[string]Seen{}
	p.mu.Unlock()
	for name, s := range views {
		if *fine {
			value, err := s.value()
			if err != nil {
				p.opt.Log.Debug("a view cannot be told", "chain", name, "err", err)
				continue
			}
			say(kindView, name, value)
		}
		if *fine {
			continue
		}
		p.mu.Lock()
		if _, newer := p.views[name]; !newer {
			p.views[name] = s
		}
		p.mu.Unlock()
	}
}

// value is what the store gets; nil for a chain that has ended.
func (s Seen) value() ([]byte, error) {
	if s.View.Chain == "" {
		return nil, nil
	}
	return pack(s)
}

func (p *Peers) takeSamples() []chain.Sample {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.batch
	p.batch, p.weight = nil, 0
	return list
}

func (p *Peers) drillValue() []byte {
	if p.opt.Drill == nil {
		return nil
	}
	d := p.opt.Drill()
	if d == nil {
		return nil
	}
	d.Replica = p.opt.Self.ID
	value, err := json.Marshal(d)
	if err != nil {
		return nil
	}
	return value
}

// pause waits, and reports false when ctx ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
