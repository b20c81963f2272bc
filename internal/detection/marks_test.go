package detection_test

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/detection"
)

// TestObserveEndsWithTheDetectors: a watcher that is in the middle of a large block when everything stops does not wait for ever.
func TestObserveEndsWithTheDetectors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := detection.New(detection.Options{Deliver: (&desk{}).deliver, Setup: detect.Setup{ChainsElsewhere: true}})
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
		for i := range 3 * 4096 {
			s.Observe(context.Background(), change("", "0x"+strconv.Itoa(i)))
		}
	})
}

// TestMarksFollowWhatIsWritten: a mark is kept only when all that was given before it is written down, also what waited at the end.
func TestMarksFollowWhatIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		path := filepath.Join(t.TempDir(), "state")
		o := detection.Options{Deliver: d.deliver, Path: path, Setup: detect.Setup{ChainsElsewhere: true}}
		s := detection.New(o)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(35 * time.Second) // the first writing is over
		var mu sync.Mutex
		var all []int
		keep := func(n int) func() { return func() { mu.Lock(); all = append(all, n); mu.Unlock() } }
		kept := func() []int { mu.Lock(); defer mu.Unlock(); return slices.Clone(all) }
		s.Observe(ctx, change("", "0x01"))
		s.After(ctx, "a", keep(1))
		s.After(ctx, "a", keep(2))
		time.Sleep(2 * time.Minute)
		if len(kept()) != 0 {
			t.Errorf("kept before it is written: %v", kept())
		}
		time.Sleep(4 * time.Minute)
		if !slices.Equal(kept(), []int{2}) {
			t.Errorf("kept %v", kept())
		}
		stop()
		<-done

		// What waits at the end is judged, then its mark kept; what comes later is neither.
		s = detection.New(o)
		ctx, stop = context.WithCancel(t.Context())
		stop()
		s.Observe(t.Context(), change("", "0x02"))
		s.After(t.Context(), "a", keep(3))
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
		s.After(t.Context(), "a", keep(4))
		if !slices.Equal(kept(), []int{2, 3}) || s.Figures().Judged != 1 {
			t.Errorf("kept %v, %+v", kept(), s.Figures())
		}
	})
}

// TestAClockAheadSilencesNobody: a sender whose clock runs nine minutes ahead does not make all others seem silent.
func TestAClockAheadSilencesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		s := detection.New(detection.Options{Deliver: d.deliver, Setup: detect.Setup{ChainsElsewhere: true}})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		for i := range 1200 {
			at := time.Now().UnixMilli()
			ahead := at
			if i > 1000 {
				ahead += 9 * 60_000
			}
			s.Samples([]chain.Sample{{Name: "depth", Labels: map[string]string{"instance": "a"}, At: at, Value: wave(i)},
				{Name: "depth", Labels: map[string]string{"instance": "b"}, At: ahead, Value: wave(i)}})
			time.Sleep(15 * time.Second)
		}
		stop()
		<-done
		if got := d.story(); len(got) != 0 {
			t.Errorf("%d findings, the first %q", len(got), got[0])
		}
	})
}

// TestOurOwnPauseIsNobodysSilence: while the program is stopped nothing comes; that is told of nobody after the start. Who stays silent is told.
func TestOurOwnPauseIsNobodysSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		o := detection.Options{Deliver: d.deliver, Path: filepath.Join(t.TempDir(), "state"), Setup: detect.Setup{ChainsElsewhere: true}}
		run := func(n int, names ...string) {
			s := detection.New(o)
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			time.Sleep(5 * time.Second) // the next values are not there yet
			for i := range n {
				for _, name := range names {
					s.Samples([]chain.Sample{{Name: "depth", Labels: map[string]string{"instance": name}, At: time.Now().UnixMilli(), Value: wave(i)}})
				}
				time.Sleep(15 * time.Second)
			}
			stop()
			<-done
		}
		run(500, "a", "b")
		time.Sleep(20 * time.Minute)
		run(20, "a")
		if got := d.story(); !slices.Equal(got, []string{"series/missing_data/instance=b open"}) {
			t.Errorf("a comes again after our pause and b does not: %q", got)
		}
	})
}
