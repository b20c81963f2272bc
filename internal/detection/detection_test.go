package detection_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/detection"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk takes findings as the log would; it can be out of order.
type desk struct {
	mu   sync.Mutex
	got  []chain.Finding
	down atomic.Bool
}

func (d *desk) deliver(_ context.Context, list []chain.Finding) error {
	if d.down.Load() {
		return errors.New("no quorum")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.got = append(d.got, list...)
	return nil
}

// open are the keys that a log of it holds open.
func (d *desk) open(context.Context) (keys []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.got {
		keys = slices.DeleteFunc(keys, func(k string) bool { return k == f.Key })
		if f.Firing {
			keys = append(keys, f.Key)
		}
	}
	return keys, nil
}

// story is the delivered findings without what newer figures change.
func (d *desk) story() (out []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.got {
		out = append(out, f.Key+map[bool]string{true: " open", false: " over"}[f.Firing])
	}
	return slices.Compact(out)
}

func change(bridge, contract string) observation.Observation {
	return observation.Observation{At: time.Now().UnixMilli(), Kind: observation.Admin, Chain: "ethereum", Tx: "0x" + contract, Contract: contract, Change: "owner", Before: "0xa", After: "0xb", Node: bridge}
}

func wave(i int) float64 { return 100 + 10*math.Sin(float64(i)/20) + float64(i*7919%13)/5 }

func TestFindingsAreDeliveredOnceTheLogAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		d.down.Store(true)
		s := detection.New(detection.Options{Deliver: d.deliver, Setup: detect.Setup{ChainsElsewhere: true}})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(2 * time.Second)
		s.Observe(ctx, change("", "0x1111111111111111111111111111111111111111"))
		time.Sleep(time.Minute)
		if len(d.story()) != 0 {
			t.Fatal("a log that does not answer took something")
		}
		d.down.Store(false)
		time.Sleep(10 * time.Second)
		if got := d.story(); len(got) != 1 {
			t.Errorf("delivered %q", got)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestOnlyTheLeaderTells: a replica that does not lead learns along; when it takes over it tells what is open.
func TestOnlyTheLeaderTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		var leads atomic.Bool
		s := detection.New(detection.Options{Deliver: d.deliver, Leads: leads.Load, Setup: detect.Setup{ChainsElsewhere: true}})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(2 * time.Second)
		s.Observe(ctx, change("", "0x1111111111111111111111111111111111111111"))
		time.Sleep(5 * time.Second)
		if got := d.story(); len(got) != 0 {
			t.Fatalf("it told %q", got)
		}
		leads.Store(true)
		time.Sleep(3 * time.Second)
		if got := d.story(); len(got) != 1 {
			t.Errorf("after taking over it told %q", got)
		}
		stop()
		<-done
	})
}

// TestRestartGoesOn: what was learned is taken up again, the samples since are judged from the store, and the findings are those of a run
// without a stop. After a crash before anything was written down all of it is learned from the store.
func TestRestartGoesOn(t *testing.T) {
	run := func(t *testing.T, cut int, lost bool) (keys []string, saved map[string]any) {
		synctest.Test(t, func(t *testing.T) {
			d := &desk{}
			path := filepath.Join(t.TempDir(), "detection", "state")
			var stored []chain.Sample
			o := detection.Options{Deliver: d.deliver, Open: d.open, Path: path, Setup: detect.Setup{ChainsElsewhere: true},
				History: func(_ context.Context, from, to int64, each func([]chain.Sample)) error {
					for _, x := range stored {
						if x.At > from && x.At <= to {
							each([]chain.Sample{x})
						}
					}
					return nil
				}}
			s := detection.New(o)
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			synctest.Wait()
			for i := range 3000 {
				v := wave(i)
				if i >= 2500 && i < 2560 {
					v *= 4
				}
				x := []chain.Sample{{Name: "withdrawals_pending", Labels: map[string]string{"wallet": "hot-2"}, At: time.Now().UnixMilli(), Value: v}}
				stored = append(stored, x...)
				if i == cut {
					stop()
					if err := <-done; err != nil {
						t.Error(err)
					}
				}
				if i == cut && lost {
					if err := os.Remove(path); err != nil {
						t.Error(err)
					}
				}
				if i == cut+5 { // five samples came while nothing ran
					s = detection.New(o)
					ctx, stop = context.WithCancel(t.Context())
					go func() { done <- s.Run(ctx) }()
					synctest.Wait()
				} else if i < cut || i > cut+5 {
					s.Samples(x)
				}
				time.Sleep(15 * time.Second)
			}
			time.Sleep(10 * time.Minute)
			stop()
			<-done
			for _, k := range d.story() {
				keys = append(keys, k)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			packed, err := gzip.NewReader(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.NewDecoder(packed).Decode(&saved); err != nil {
				t.Fatal(err)
			}
		})
		return keys, saved
	}
	whole, state := run(t, 1<<30, false)
	if len(whole) < 2 {
		t.Fatalf("four times the usual for a quarter of an hour gave %q", whole)
	}
	for _, c := range []struct {
		cut  int
		lost bool
	}{{100, false}, {2490, false}, {2520, false}, {1000, true}} {
		got, after := run(t, c.cut, c.lost)
		if !reflect.DeepEqual(got, whole) {
			t.Errorf("%+v: %q, want %q", c, got, whole)
		}
		if a, b := after["tracks"], state["tracks"]; !reflect.DeepEqual(a, b) {
			t.Errorf("%+v: another state was learned", c)
		}
	}
}

func TestABrokenStateIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(path, []byte(`{"version":99}`), 0o600); err != nil {
			t.Fatal(err)
		}
		d := &desk{}
		s := detection.New(detection.Options{Deliver: d.deliver, Path: path, Setup: detect.Setup{ChainsElsewhere: true}})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(2 * time.Second)
		s.Observe(ctx, change("", "0x1111111111111111111111111111111111111111"))
		time.Sleep(2 * time.Second)
		stop()
		<-done
		if len(d.story()) != 1 {
			t.Errorf("%q", d.story())
		}
	})
}

// TestAFloodOfSamplesNeverWaits: more than can be judged is left out and counted.
func TestAFloodOfSamplesNeverWaits(t *testing.T) {
	s := detection.New(detection.Options{Deliver: (&desk{}).deliver})
	x := []chain.Sample{{Name: "a", At: 1, Value: 1}}
	for range 10_000 {
		s.Samples(x)
	}
	if f := s.Figures(); f.Lost == 0 || f.Waiting+f.Lost != 10_000 {
		t.Errorf("%+v", f)
	}
}

func TestWhatIsJudged(t *testing.T) {
	for name, want := range map[string]bool{"withdrawals_pending": true, "tocsin_chain_head_height": false, "tocsin_chain_node_up": false, "tocsin_chain_base_fee_gwei": true, "tocsin_bridge_outflow_ratio": false, "ALERTS": false, "ALERTS_FOR_STATE": false} {
		if detection.Judged(name) != want {
			t.Errorf("%s: judged is %v", name, !want)
		}
	}
}

// TestWhatEndedMeanwhileIsEnded: who told the opening is gone, and the thing is over before anybody else tells: the log gets its end from who
// takes over, with the reason, and at once.
func TestWhatEndedMeanwhileIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		var leads atomic.Bool
		const key = `series/anomaly/withdrawals_pending`
		s := detection.New(detection.Options{Deliver: d.deliver, Leads: leads.Load, Setup: detect.Setup{ChainsElsewhere: true},
			Open: func(context.Context) ([]string, error) { return []string{key}, nil }})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		for i := range 1200 {
			v := wave(i)
			if i >= 1000 && i < 1060 {
				v *= 4
			}
			s.Samples([]chain.Sample{{Name: "withdrawals_pending", At: time.Now().UnixMilli(), Value: v}})
			time.Sleep(15 * time.Second)
		}
		if got := d.story(); len(got) != 0 {
			t.Fatalf("it told %q", got)
		}
		leads.Store(true)
		time.Sleep(3 * time.Second)
		if got := d.story(); !slices.Equal(got, []string{key + " over"}) {
			t.Errorf("after taking over it told %q", got)
		} else if d.got[0].Reason == "" || d.got[0].At > time.Now().Add(-time.Minute).UnixMilli() {
			t.Errorf("%+v", d.got[0])
		}
		stop()
		<-done
	})
}

// TestAClockThatWasSetBack: what was learned in a time to come would stand still until then; it is learned anew, and the log says why.
func TestAClockThatWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		o := detection.Options{Deliver: (&desk{}).deliver, Path: filepath.Join(t.TempDir(), "state"), Setup: detect.Setup{ChainsElsewhere: true}, Log: slog.New(slog.NewTextHandler(&said, nil))}
		for _, back := range []time.Duration{0, time.Minute, 3 * time.Hour} {
			o.Clock = func() time.Time { return time.Now().Add(-back) }
			s := detection.New(o)
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			time.Sleep(5 * time.Second)
			s.Samples([]chain.Sample{{Name: "a", At: o.Clock().UnixMilli(), Value: 1}})
			time.Sleep(5 * time.Second)
			stop()
			<-done
			if got := strings.Contains(said.String(), "set back"); got != (back == 3*time.Hour) {
				t.Errorf("%s back: %q", back, said.String())
			}
		}
	})
}
