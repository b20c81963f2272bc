package app

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ops/tocsin/internal/exercise"
	"github.com/tocsin-ops/tocsin/internal/replica"
	"github.com/tocsin-ops/tocsin/store"
)

// leadDrill is the election of the replica that plays a drill.
const leadDrill = "drill"

const (
	stageWithin = 2 * time.Second        // for the election, while somebody waits for an answer
	stageEvery  = 100 * time.Millisecond // how often it is looked whether the drill is over
)

// stage lets all replicas together play one drill at a time: who plays leads an
// election from before the drill's first moment until after its last, or until
// the replica is gone. Who lost the lease in an outage plays on, and stands
// again; should another have begun meanwhile, it ends its own.
type stage struct {
	play    *exercise.Player
	peers   *replica.Peers
	elector store.Elector // nil: there is nobody else
	asked   chan entry
}

// entry is one wish to play.
type entry struct {
	begin  func() error
	answer chan error // capacity 1
}

func newStage(play *exercise.Player, peers *replica.Peers, elector store.Elector) *stage {
	return &stage{play: play, peers: peers, elector: elector, asked: make(chan entry)}
}

// enter calls begin, which starts the drill, when no other replica plays one.
// It takes two seconds at most.
func (s *stage) enter(ctx context.Context, begin func() error) error {
	if s.elector == nil {
		return begin()
	}
	e := entry{begin: begin, answer: make(chan error, 1)}
	select {
	case s.asked <- e:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-e.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run holds the stage for who enters, one after the other, until ctx ends; then
// it returns nil.
func (s *stage) run(ctx context.Context) error {
	for {
		select {
		case e := <-s.asked:
			s.hold(ctx, e)
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *stage) hold(ctx context.Context, e entry) {
	standing, leave := context.WithCancel(context.WithoutCancel(ctx)) // the stop ends the drill first
	var seat sync.WaitGroup
	defer seat.Wait()
	defer leave()
	var leads atomic.Bool
	led := make(chan struct{}, 1)
	seat.Go(func() {
		for standing.Err() == nil {
			_ = s.elector.Lead(standing, leadDrill, func(lead context.Context) error {
				leads.Store(true)
				defer leads.Store(false)
				select {
				case led <- struct{}{}:
				default:
				}
				<-lead.Done()
				return lead.Err()
			})
			rest(standing, firstWait)
		}
	})
	err := s.await(ctx, led)
	if err == nil {
		err = e.begin()
	}
	e.answer <- err
	if err == nil {
		s.follow(ctx, &leads)
	}
}

// await returns nil when this replica leads, and refuses when another does.
func (s *stage) await(ctx context.Context, led <-chan struct{}) error {
	patience, tick := time.NewTimer(stageWithin), time.NewTicker(stageEvery)
	defer patience.Stop()
	defer tick.Stop()
	for {
		select {
		case <-led:
			return nil
		case <-tick.C:
			if d := s.peers.Drill(); d != nil {
				return errElsewhere(d)
			}
		case <-patience.C:
			return errStageTaken()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// follow returns when the drill is over.
func (s *stage) follow(ctx context.Context, leads *atomic.Bool) {
	tick := time.NewTicker(stageEvery)
	defer tick.Stop()
	ending := ctx.Done()
	end := time.NewTimer(time.Hour)
	end.Stop()
	defer end.Stop()
	for s.play.Running() != nil {
		select {
		case again := <-s.asked:
			again.answer <- errStageTaken()
		case <-tick.C:
			if !leads.Load() && s.peers.Drill() != nil && ctx.Err() == nil {
				_ = s.play.Stop(ctx, "system:replica")
			}
		case <-ending: // the player ends its drill now
			ending = nil
			end.Reset(restWithin)
		case <-end.C:
			return
		}
	}
}

func errStageTaken() error {
	return refuse(exercise.CodeRunning, "Another drill is being started or played. Look at it, or try again in a moment.")
}

func errElsewhere(d *replica.Drill) error {
	return refuse(exercise.CodeRunning, "The drill “%s” is being played, by replica %s. Stop it first.", d.Name, d.Replica)
}
