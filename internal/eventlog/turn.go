package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ops/tocsin/store"
)

// A replica that has just appended knows the tree and is ready for the next
// group at once, while one that had a conflict must read first: under load the
// first would win for ever. So whoever lost patience conflicts in a row claims
// the turn: every append has the condition that nobody else has it. The others
// wait until it is used, at most turnFor: whoever died with the turn holds them
// up no longer.
const (
	keyTurn  = "turn/log"
	patience = 3
	turnFor  = 500 * time.Millisecond
	turnLook = 2 * time.Millisecond // a turn takes a few of these
)

// inTurn reads the tree anew, after waiting for whoever has the turn, or with the
// turn when there were too many conflicts.
func (l *Log) inTurn(ctx context.Context, conflicts int) error {
	if conflicts > 0 {
		if err := l.yield(ctx); err != nil {
			return err
		}
	}
	if conflicts >= patience {
		if err := l.claim(ctx); err != nil {
			return err
		}
	}
	return l.reload(ctx)
}

// yield returns when no other replica has the turn.
func (l *Log) yield(ctx context.Context) error {
	var since time.Time
	for seen := int64(0); ; {
		kv, err := l.db.Get(ctx, []byte(keyTurn))
		switch {
		case errors.Is(err, store.ErrNotFound):
			l.turn = 0
			return nil
		case err != nil:
			return fmt.Errorf("read whose turn it is: %w", err)
		case kv.Rev == l.turn:
			return nil
		case kv.Rev != seen:
			seen, since = kv.Rev, time.Now()
		case time.Since(since) > turnFor:
			if err := l.endTurn(ctx, seen); err != nil {
				return err
			}
		}
		look := time.NewTimer(turnLook)
		select {
		case <-look.C:
		case <-ctx.Done():
			look.Stop()
			return ctx.Err()
		}
	}
}

// claim takes the turn, or waits for its end when another was faster.
func (l *Log) claim(ctx context.Context) error {
	for l.turn == 0 {
		rev, err := l.db.Commit(ctx, store.Txn{If: []store.Cond{{Key: []byte(keyTurn)}}, Then: []store.Op{{Key: []byte(keyTurn)}}})
		if err == nil {
			l.turn = rev
			return nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("claim the turn: %w", err)
		}
		if err := l.yield(ctx); err != nil {
			return err
		}
	}
	return nil
}

// endTurn takes away the turn claimed at rev, if it is there still.
func (l *Log) endTurn(ctx context.Context, rev int64) error {
	_, err := l.db.Commit(ctx, store.Txn{
		If:   []store.Cond{{Key: []byte(keyTurn), Rev: rev}},
		Then: []store.Op{{Key: []byte(keyTurn), Delete: true}},
	})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("end a turn: %w", err)
	}
	return nil
}
