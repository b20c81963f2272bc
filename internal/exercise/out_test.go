package exercise_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// The pages of a drill leave the building only while it is played, only when whoever started it said so, and never for longer than it takes.
func TestOutOnlyWhenSaid(t *testing.T) {
	in(t, func(ctx context.Context, h *house) {
		start(t, h, "nomad", 60)
		if h.play.OutUntil() != 0 || h.play.Running().Out {
			t.Error("a drill leaves the building without being told to")
		}
		if err := h.play.Stop(ctx, "person:ana"); err != nil {
			t.Fatal(err)
		}
		if err := h.play.Start(ctx, "nomad", 60, "person:ana", true); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r, until := h.play.Running(), h.play.OutUntil()
		var length time.Duration
		for _, s := range h.play.Scenarios() {
			if s.Key == "nomad" {
				length = s.Length
			}
		}
		if !r.Out || until <= r.Since+length.Milliseconds()/60 || until > r.Since+length.Milliseconds()/60+time.Minute.Milliseconds() {
			t.Errorf("%+v, out for %s of %s at 60 times", r, time.Duration(until-r.Since)*time.Millisecond, length)
		}
		if err := h.play.Stop(ctx, "person:ana"); err != nil {
			t.Fatal(err)
		}
		if h.play.OutUntil() != 0 {
			t.Error("a drill that was stopped is still out")
		}
		if err := h.play.Start(ctx, "nomad", 1e-6, "person:ana", true); err != nil {
			t.Fatal(err)
		}
		if out := h.play.OutUntil() - time.Now().UnixMilli(); out > (24 * time.Hour).Milliseconds() {
			t.Errorf("a slow drill is out for %d ms", out)
		}
	})
}
