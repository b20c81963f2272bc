// Package exercise owns the playing of drills: it puts a scenario's time onto the present at a chosen speed and gives what happens to the
// real monitors, the detectors, the charts and the timeline; it never judges, never acts for a person, and never touches a chain that is
// not its own.
//
// # Time
//
// Monitors judge in the time of what they observe: a stall, a halted node or a split is told by how long it lasts. So what a monitor is
// given always has the scenario's own spacing, at any speed, and the same findings come at every play. Those times end at the present: the
// scenario's last moment is when the play will end, so nothing ever lies in the future, and at speed 1 scenario and wall are the same.
//
// What leaves towards people is of the wall: what is found and measured is stamped with the moment at which it was played, as are notes, so
// that response times are those of the people who respond, and charts move at their right edge. For chains telemetry does that (it shows a
// Manual chain as of now), for bridges this package. A bridge's samples come at most ten times a second; the newest values stay.
//
// Before the start, the scenario's quiet minutes are given to monitors of our own, whose samples go to the charts with their own spacing
// and end at the start: a chart has a before.
package exercise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/drill"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/telemetry"
)

// The codes of refusals.
const (
	CodeRunning = "drill_running"
	CodeUnknown = "drill_unknown"
	CodeSpeed   = "bad_speed"
)

// MaxSpeed is the fastest play.
const MaxSpeed = 1000

// Telemetry is where the chains of a drill are watched.
type Telemetry interface {
	// SetDrill says which drill chains are watched, with their names for people; none ends it.
	SetDrill([]telemetry.Chain, map[string]string) error
	// Inject gives an observation to its chain's monitor.
	Inject(context.Context, chain.Observation) error
}

// Options of a Player. All but Clock and Log are required.
type Options struct {
	Telemetry Telemetry
	// Findings takes what detectors found and returns when it is durable. It is called again with the same until it does.
	Findings func(context.Context, []chain.Finding) error
	Samples  func([]chain.Sample)                // must be quick
	Note     func(context.Context, string) error // an inject for the timeline
	Clock    func() time.Time                    // nil = time.Now
	Log      *slog.Logger
}

// Scenario is a drill that can be played.
type Scenario struct {
	Key, Name, Text string
	Figures         [][2]string   // label and value, from public sources
	Length          time.Duration // at speed 1
}

// Run is the drill that is being played.
type Run struct {
	Key, Name string
	Since     int64 // unix ms of the start
	Speed     float64
	Done      int  // per cent
	Out       bool // people are paged for real
}

// Player plays one drill at a time. It is safe for concurrent use.
type Player struct {
	opt   Options
	begin chan *play // capacity 1; there is never a second one, because Start refuses while one runs

	mu      sync.Mutex // guards what follows
	current *play
	sampled int64 // newest sample given out, unix ms, over all plays
}

// New makes a player that plays nothing. It starts nothing.
func New(o Options) *Player {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Player{opt: o, begin: make(chan *play, 1)}
}

// Scenarios lists what can be played.
func (p *Player) Scenarios() []Scenario {
	var out []Scenario
	for _, s := range drill.All() {
		out = append(out, Scenario{Key: s.Key, Name: s.Name, Text: s.Text, Figures: s.Figures, Length: s.Length})
	}
	return out
}

// Running tells which drill is played, nil when none is.
func (p *Player) Running() *Run {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		return nil
	}
	r := p.current
	done := int(r.reached.Load() * 100 / max(r.scenario.Length.Milliseconds(), 1))
	return &Run{Key: r.scenario.Key, Name: r.scenario.Name, Since: r.since, Speed: r.speed, Done: min(max(done, 0), 100), Out: r.out}
}

// mostOut bounds for how long the pages of one drill may leave the building.
const mostOut = 24 * time.Hour

// outSlack is how much longer than its scenario a drill may take: its chains must be joined, and what it found written.
const outSlack = time.Minute

// OutUntil is until when (unix ms) the pages of the drill that is being played may leave the building; 0: they may not, or none is played. It is
// bounded by the drill's length, so that one whose replica dies does not stay out.
func (p *Player) OutUntil() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.current
	if r == nil || !r.out || r.ctx.Err() != nil {
		return 0
	}
	length := min(float64(mostOut), float64(r.scenario.Length)/r.speed+float64(outSlack))
	return r.since + time.Duration(length).Milliseconds()
}

// Start hands a scenario to Run and returns; speed 60 plays a minute of it in a second. out lets its pages leave the building: people are paged for
// real, see OutUntil. It refuses (*incident.Refusal) an unknown scenario, a speed that is not above 0 and at most MaxSpeed, and while a drill is played.
func (p *Player) Start(_ context.Context, key string, speed float64, by string, out bool) error {
	s, ok := drill.Find(key)
	if !ok {
		return &incident.Refusal{Code: CodeUnknown, Sentence: fmt.Sprintf("There is no drill “%.40s”. Choose one of the list.", key)}
	}
	if !(speed > 0 && speed <= MaxSpeed) {
		return &incident.Refusal{Code: CodeSpeed, Sentence: fmt.Sprintf("The speed is a number above 0 and up to %d; 60 plays a minute in a second.", MaxSpeed)}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != nil {
		return &incident.Refusal{Code: CodeRunning, Sentence: fmt.Sprintf("The drill “%s” is being played. Stop it first.", p.current.scenario.Name)}
	}
	r := &play{player: p, scenario: s, speed: speed, by: by, out: out, since: p.opt.Clock().UnixMilli(), over: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	p.current = r
	p.begin <- r
	return nil
}

// errStopped is why a play ended before its scenario did.
type errStopped struct{ by string }

func (e errStopped) Error() string { return "stopped by " + e.by }

// Stop ends the drill: its findings are cleared and its chains are gone when Stop returns. Stopping nothing is no error. The error is ctx's.
func (p *Player) Stop(ctx context.Context, by string) error {
	p.mu.Lock()
	r := p.current
	p.mu.Unlock()
	if r == nil {
		return nil
	}
	r.cancel(errStopped{by})
	select {
	case waiting := <-p.begin: // Run has not taken it
		if waiting == r {
			p.end(r)
		} else {
			p.begin <- waiting
		}
	default:
	}
	select {
	case <-r.over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the drill to end: %w", ctx.Err())
	}
}

func (p *Player) end(r *play) {
	p.mu.Lock()
	if p.current == r {
		p.current = nil
	}
	p.mu.Unlock()
	close(r.over)
}

// Run plays what Start hands over until ctx ends; a drill that is being played then is stopped and what it opened is cleared. It returns
// nil. Call it once.
func (p *Player) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-p.begin:
			stop := context.AfterFunc(ctx, func() { r.cancel(errStopped{"the end of the program"}) })
			err := r.run()
			stop()
			switch {
			case err == nil, errors.As(err, &errStopped{}):
				p.opt.Log.Info("the drill is over", "scenario", r.scenario.Key, "started_by", r.by, "paged_people", r.out, "why", err)
			default:
				p.opt.Log.Error("the drill was broken off", "scenario", r.scenario.Key, "error", err)
			}
			p.end(r)
		}
	}
}
