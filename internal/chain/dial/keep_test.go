package dial

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestKeep: rests grow to 5 s, are as long as the node asks for, half a minute for another chain, and a long session makes the next failure the first.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		broken := errors.New("broken")
		steps := []struct {
			lasts       time.Duration
			err         error
			first       bool
			least, most time.Duration // of the rest after it
		}{
			{0, broken, true, 250 * time.Millisecond, 500 * time.Millisecond},
			{0, broken, false, 500 * time.Millisecond, time.Second},
			{0, &StatusError{Status: 429, After: time.Minute}, false, time.Minute, time.Minute},
			{0, ErrOther, false, otherWait, otherWait},
			{0, broken, true, 250 * time.Millisecond, 500 * time.Millisecond},
			{2 * time.Minute, broken, true, 250 * time.Millisecond, 500 * time.Millisecond},
		}
		var ended time.Time
		n := -1
		Keep(ctx, func(context.Context) error {
			if n >= 0 {
				if rest := time.Since(ended); rest < steps[n].least || rest > steps[n].most {
					t.Errorf("after session %d it rested %v, not %v to %v", n, rest, steps[n].least, steps[n].most)
				}
			}
			if n++; n == len(steps) {
				cancel()
				return nil
			}
			time.Sleep(steps[n].lasts)
			return steps[n].err
		}, func(err error, first bool) {
			if !errors.Is(err, steps[n].err) || first != steps[n].first {
				t.Errorf("session %d: told %v, first %v", n, err, first)
			}
			ended = time.Now()
		})
		if n != len(steps) {
			t.Errorf("%d sessions", n)
		}
	})
}
