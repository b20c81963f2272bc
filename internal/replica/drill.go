package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// stopWithin is how long another replica may take to end its drill.
const stopWithin = 10 * time.Second

// ErrNoAnswer says that the replica that plays the drill did not end it in time.
var ErrNoAnswer = errors.New("the replica that plays the drill does not answer")

// stopOrder asks a replica to end the drill that it plays since a time.
type stopOrder struct {
	Since int64  `json:"since"`
	By    string `json:"by"`
}

// AskStop asks the replica that plays a drill to end it, and waits until it has;
// then it returns nil. After ten seconds it is ErrNoAnswer.
func (p *Peers) AskStop(ctx context.Context, d Drill, by string) error {
	if p.eph == nil {
		return ErrNoAnswer
	}
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	value, err := json.Marshal(stopOrder{Since: d.Since, By: by})
	if err != nil {
		return err
	}
	if err := p.eph.Tell(ctx, key(kindStop, d.Replica), value); err != nil {
		return fmt.Errorf("ask %s to end its drill: %w", d.Replica, err)
	}
	defer func() {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellWithin)
		defer cancel()
		p.say(after, kindStop, d.Replica, nil)
	}()
	for {
		p.mu.Lock()
		now, plays := p.drills[d.Replica]
		p.mu.Unlock()
		if !plays || now.Since != d.Since {
			return nil
		}
		if !pause(ctx, 50*time.Millisecond) {
			return fmt.Errorf("%s: %w", d.Replica, ErrNoAnswer)
		}
	}
}

func (p *Peers) hearStop(value []byte) {
	var o stopOrder
	if json.Unmarshal(value, &o) != nil {
		return
	}
	select {
	case p.orders <- o:
	default: // one is being obeyed; who asked hears of it, or asks again
	}
}

// obey ends what is played here when another replica was asked to.
func (p *Peers) obey(ctx context.Context) error {
	for {
		select {
		case o := <-p.orders:
			if p.opt.StopDrill != nil {
				p.opt.StopDrill(ctx, o.Since, o.By)
				p.nudge()
			}
		case <-ctx.Done():
			return nil
		}
	}
}
