package exercise

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/drill"
	"github.com/tocsin-ops/tocsin/internal/telemetry"
)

const (
	joinWithin  = 10 * time.Second // for the chains of the drill to be watched
	joinEvery   = 20 * time.Millisecond
	firstRetry  = 100 * time.Millisecond
	lastRetry   = 5 * time.Second
	sampleEvery = 100             // ms between samples of one series
	endWithin   = 5 * time.Second // for clearing up after a drill
)

// play is one playing of one scenario. Only run touches what is not atomic.
type play struct {
	player   *Player
	scenario drill.Scenario
	speed    float64
	by       string
	out      bool  // pages leave the building
	since    int64 // unix ms of Start
	ctx      context.Context
	cancel   context.CancelCauseFunc
	over     chan struct{}
	reached  atomic.Int64 // ms of the scenario

	base   int64 // unix ms that the monitors take for the scenario's start
	drains map[string]detect.BridgeDrain
	held   []chain.Sample // of the moment being played
}

// run plays the scenario to its end, or until it is stopped: the error says why. It clears up in any case.
func (r *play) run() error {
	defer r.cancel(nil)
	if cause := context.Cause(r.ctx); cause != nil {
		return cause // stopped before it began
	}
	err := r.steps()
	if cause := context.Cause(r.ctx); cause != nil {
		err = cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), endWithin)
	defer cancel()
	r.clearUp(ctx, err)
	return err
}

func (r *play) steps() error {
	opt := r.player.opt
	began := time.Now()
	start := opt.Clock().UnixMilli()
	length := r.scenario.Length.Milliseconds()
	r.base = min(start, start+int64(float64(length)/r.speed)-length)
	r.drains = map[string]detect.BridgeDrain{}
	for _, b := range r.scenario.Bridges {
		r.drains[b.Slug] = detect.NewBridgeDrain(b)
	}
	if err := opt.Telemetry.SetDrill(chainsOf(r.scenario)); err != nil {
		return fmt.Errorf("watch the chains of drill %s: %w", r.scenario.Key, err)
	}
	r.lead(start)
	moment := int64(-1)
	for s := range r.scenario.Steps {
		if s.At != moment {
			r.giveSamples(false)
			moment = s.At
			if !r.wait(began, s.At) {
				return nil
			}
			r.reached.Store(s.At)
		}
		if err := r.step(s); err != nil {
			return err
		}
	}
	r.giveSamples(true)
	if r.wait(began, length) {
		r.reached.Store(length)
	}
	return nil
}

// wait sleeps until a moment of the scenario; false when the play is stopped.
func (r *play) wait(began time.Time, at int64) bool {
	due := time.Duration(float64(at) / r.speed * float64(time.Millisecond))
	left := due - time.Since(began)
	if left <= 0 {
		return r.ctx.Err() == nil
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-r.ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// step gives one thing that happens to whom it concerns.
func (r *play) step(s drill.Step) error {
	s = s.Shift(r.base)
	switch {
	case s.Observation != nil:
		return r.inject(*s.Observation)
	case s.Flow != nil:
		r.detect(func(d detect.BridgeDrain) (detect.BridgeDrain, chain.Outcome) { return d.Observe(*s.Flow) })
	case s.Tick:
		for _, c := range r.scenario.Chains {
			if err := r.inject(chain.Observation{Kind: chain.KindTick, Chain: c.ID, At: r.base + s.At, Drill: true}); err != nil {
				return err
			}
		}
		r.detect(func(d detect.BridgeDrain) (detect.BridgeDrain, chain.Outcome) { return d.Tick(r.base + s.At) })
	case s.Inject != "":
		if err := r.player.opt.Note(r.ctx, s.Inject); err != nil && r.ctx.Err() == nil {
			r.player.opt.Log.Error("an inject of the drill could not be noted", "scenario", r.scenario.Key, "inject", s.Inject, "error", err)
		}
	}
	return nil
}

// inject waits for a chain that is only about to be watched.
func (r *play) inject(o chain.Observation) error {
	until := time.Now().Add(joinWithin)
	for {
		err := r.player.opt.Telemetry.Inject(r.ctx, o)
		if err == nil || r.ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, telemetry.ErrUnknownChain) || time.Now().After(until) {
			return fmt.Errorf("play %s at %d ms: %w", r.scenario.Key, r.reached.Load(), err)
		}
		if !r.sleep(r.ctx, joinEvery) {
			return nil
		}
	}
}

func (r *play) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// detect lets every detector of the scenario take a thing. A scenario has at most one bridge, so nobody needs to be asked whose it is.
func (r *play) detect(take func(detect.BridgeDrain) (detect.BridgeDrain, chain.Outcome)) {
	for slug, d := range r.drains {
		next, o := take(d)
		r.drains[slug] = next
		r.hold(o.Samples)
		if len(o.Findings) > 0 {
			r.tell(r.ctx, o.Findings)
		}
	}
}

// tell gives findings out, stamped with the present, until they are taken or ctx ends.
func (r *play) tell(ctx context.Context, list []chain.Finding) {
	now := r.player.opt.Clock().UnixMilli()
	for i := range list {
		list[i].Since = now - int64(float64(list[i].At-list[i].Since)/r.speed)
		list[i].At = now
	}
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		err := r.player.opt.Findings(ctx, list)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			r.player.opt.Log.Error("findings of the drill are lost", "scenario", r.scenario.Key, "count", len(list), "error", err)
			return
		}
		r.player.opt.Log.Warn("findings of the drill could not be delivered, trying again", "scenario", r.scenario.Key, "error", err)
		if !r.sleep(ctx, pause) {
			return
		}
	}
}

// hold keeps the newest value of every series until it is given out.
func (r *play) hold(list []chain.Sample) {
	for _, s := range list {
		i := slices.IndexFunc(r.held, func(h chain.Sample) bool { return h.Name == s.Name && maps.Equal(h.Labels, s.Labels) })
		if i < 0 {
			r.held = append(r.held, s)
			continue
		}
		r.held[i] = s
	}
}

// giveSamples gives out what is held, stamped with the present, at most ten times a second.
func (r *play) giveSamples(last bool) {
	p := r.player
	now := p.opt.Clock().UnixMilli()
	p.mu.Lock()
	wait := now <= p.sampled || (!last && now-p.sampled < sampleEvery)
	if !wait && len(r.held) > 0 {
		p.sampled = now
	}
	p.mu.Unlock()
	if wait || len(r.held) == 0 {
		return
	}
	for i := range r.held {
		r.held[i].At = now
	}
	p.opt.Samples(r.held)
	r.held = nil
}

// lead fills the charts up to the start.
func (r *play) lead(start int64) {
	if r.scenario.Lead == nil {
		return
	}
	p := r.player
	p.mu.Lock()
	after := p.sampled
	p.sampled = max(p.sampled, start)
	p.mu.Unlock()
	monitors := map[string]*chain.Monitor{}
	for _, c := range r.scenario.Chains {
		monitors[c.ID] = chain.NewMonitor(chain.Config{Chain: c.ID, Family: c.Family, ChainID: c.ChainID, Nodes: c.Nodes})
	}
	var out []chain.Sample
	keep := func(list []chain.Sample) {
		for _, s := range list {
			if s.At > after && s.At < start {
				out = append(out, s)
			}
		}
	}
	for s := range r.scenario.Lead {
		s = s.Shift(start)
		switch {
		case s.Observation != nil:
			if m := monitors[s.Observation.Chain]; m != nil {
				keep(m.Observe(*s.Observation).Samples)
			}
		case s.Tick:
			for _, c := range r.scenario.Chains {
				keep(monitors[c.ID].Tick(start + s.At).Samples)
			}
			for slug, d := range r.drains {
				next, o := d.Tick(start + s.At)
				r.drains[slug] = next
				keep(o.Samples)
			}
		}
	}
	// The detectors begin anew with the scenario's own time.
	for _, b := range r.scenario.Bridges {
		r.drains[b.Slug] = detect.NewBridgeDrain(b)
	}
	for part := range slices.Chunk(out, 500) {
		p.opt.Samples(part)
	}
}

// clearUp ends what is open and takes the chains away.
func (r *play) clearUp(ctx context.Context, why error) {
	reason := "The drill is over."
	if why != nil {
		reason = "The drill is over: " + why.Error() + "."
	}
	r.giveSamples(true)
	for slug, d := range r.drains {
		next, f := d.Close(0, reason)
		r.drains[slug] = next
		if len(f) > 0 {
			r.tell(ctx, f)
		}
	}
	p := r.player
	p.mu.Lock()
	p.sampled = max(p.sampled, p.opt.Clock().UnixMilli()) // the chains had samples of their own until now
	p.mu.Unlock()
	if err := r.player.opt.Telemetry.SetDrill(nil, nil); err != nil {
		r.player.opt.Log.Error("the chains of the drill are still watched", "scenario", r.scenario.Key, "error", err)
	}
	if err := r.player.opt.Note(ctx, reason); err != nil {
		r.player.opt.Log.Warn("the end of the drill could not be noted", "scenario", r.scenario.Key, "error", err)
	}
}

func chainsOf(s drill.Scenario) ([]telemetry.Chain, map[string]string) {
	var out []telemetry.Chain
	names := map[string]string{}
	for _, c := range s.Chains {
		t := telemetry.Chain{Name: c.ID, Family: c.Family, ChainID: c.ChainID, Manual: true}
		for _, n := range c.Nodes {
			t.Nodes = append(t.Nodes, telemetry.Node{Name: n})
		}
		out = append(out, t)
		names[c.ID] = c.Name
	}
	return out, names
}
