package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// record is the truth of one topic: what a page rendered now would show.
type record struct {
	mu    sync.Mutex
	seq   int64
	byKey map[string]int64 // key -> last change
	list  []int64          // keyless changes
}

func (r *record) page() (int64, map[string]int64, []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seq, maps.Clone(r.byKey), slices.Clone(r.list)
}

// viewer is a client of one topic that keeps a page and checks every message
// against it. Its sink is full at random moments, for random times.
type viewer struct {
	t    *testing.T
	r    *record
	rnd  *rand.Rand
	slow int // one in slow writes is short; 0: none

	mu     sync.Mutex
	since  int64 // what the page held when it was rendered
	last   int64 // highest Seq taken
	byKey  map[string]int64
	list   []int64
	stalls *sync.WaitGroup // of all viewers
}

func (v *viewer) apply(m *Message) {
	var f struct {
		Type, Key string
		Seq       int64
	}
	if err := json.Unmarshal(m.Body, &f); err != nil {
		v.t.Errorf("message %q: %v", m.Body, err)
	}
	switch f.Type {
	case "hello", "beat":
		return
	case "resync":
		v.since, v.byKey, v.list = v.r.page()
		if v.since < f.Seq {
			v.t.Errorf("resync to %d, but the page is at %d", f.Seq, v.since)
		}
		v.last = max(v.last, f.Seq)
		return
	}
	switch {
	case f.Seq < v.last:
		v.t.Errorf("seq goes back from %d to %d", v.last, f.Seq)
	case f.Seq <= v.since: // rendered again since, on a resync: a client drops it
	case f.Key == "":
		v.list = append(v.list, f.Seq)
	case f.Seq <= v.byKey[f.Key]:
		v.t.Errorf("%s@%d comes twice", f.Key, f.Seq)
	default:
		v.byKey[f.Key] = f.Seq
	}
	v.last = f.Seq
}

func (v *viewer) Write(b *Batch) (int, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	n, full := b.Len(), false
	if v.slow > 0 && v.rnd.IntN(v.slow) == 0 {
		n, full = v.rnd.IntN(n+1), true
	}
	for i := range n {
		v.apply(b.At(i))
	}
	return n, full
}

func (v *viewer) Stall(s *Subscriber) {
	v.stalls.Add(1)
	go func() {
		defer v.stalls.Done()
		v.mu.Lock()
		pause := time.Duration(v.rnd.IntN(400)) * time.Millisecond
		v.mu.Unlock()
		time.Sleep(pause)
		for b := s.Next(); b != nil; b = s.Next() {
			v.mu.Lock()
			n := 1 + v.rnd.IntN(b.Len())
			for i := range n {
				v.apply(b.At(i))
			}
			v.mu.Unlock()
			s.Sent(b, n)
		}
		s.Resume()
	}()
}

func (v *viewer) End(Ending) {}

// TestPagesStayTrue: whatever joins, leaves, stalls and is published at the
// same time, every page ends up as the record, without a gap or a duplicate.
func TestPagesStayTrue(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) { pagesStayTrue(t, seed) })
	}
}

func pagesStayTrue(t *testing.T, seed uint64) {
	const topics, viewers, changes = 3, 40, 700
	records := map[string]*record{}
	for i := range topics {
		records[fmt.Sprint("topic/", i)] = &record{byKey: map[string]int64{}}
	}
	h := New(Options{Workers: 2, Grace: 200 * time.Millisecond, Base: func(topic string) int64 {
		seq, _, _ := records[topic].page()
		return seq
	}})
	ctx, cancel := context.WithCancel(t.Context())
	var running, publishing, watching, stalls sync.WaitGroup
	running.Go(func() { _ = h.Run(ctx) })

	for name, r := range records {
		rnd := rand.New(rand.NewPCG(seed, uint64(len(name))))
		publishing.Go(func() {
			for range changes {
				time.Sleep(time.Duration(rnd.IntN(4)) * time.Millisecond)
				r.mu.Lock()
				r.seq++
				var frames []Frame
				if rnd.IntN(5) == 0 {
					r.list = append(r.list, r.seq)
					frames = append(frames, frame(name, r.seq, ""))
				}
				for range rnd.IntN(4) {
					key := fmt.Sprint("region/", rnd.IntN(20))
					if r.byKey[key] != r.seq {
						r.byKey[key] = r.seq
						frames = append(frames, frame(name, r.seq, key))
					}
				}
				r.mu.Unlock()
				if h.Watched(name) {
					h.Publish(frames...)
				}
			}
		})
	}
	var stay []*viewer
	var subs []*Subscriber
	var mu sync.Mutex
	for i := range viewers {
		rnd := rand.New(rand.NewPCG(seed, 1000+uint64(i)))
		watching.Go(func() {
			name := fmt.Sprint("topic/", i%topics)
			for round := range 4 {
				time.Sleep(time.Duration(rnd.IntN(300)) * time.Millisecond)
				v := &viewer{t: t, r: records[name], rnd: rand.New(rand.NewPCG(seed, rnd.Uint64())), slow: i % 6, stalls: &stalls}
				v.since, v.byKey, v.list = v.r.page()
				v.last = v.since
				time.Sleep(time.Duration(rnd.IntN(20)) * time.Millisecond) // the page is on its way
				s, err := h.Subscribe("", []TopicSince{{name, v.since}}, v)
				if err != nil {
					t.Error(err)
					return
				}
				if round == 3 {
					mu.Lock()
					stay, subs = append(stay, v), append(subs, s)
					mu.Unlock()
					return
				}
				time.Sleep(time.Duration(rnd.IntN(200)) * time.Millisecond)
				s.Leave(false)
			}
		})
	}
	publishing.Wait()
	watching.Wait()
	time.Sleep(time.Second) // of the fake clock: all stalls are over
	synctest.Wait()
	for _, v := range stay {
		_, byKey, list := v.r.page()
		v.mu.Lock()
		if !maps.Equal(v.byKey, byKey) || !slices.Equal(v.list, list) {
			t.Errorf("seed %d: page of a viewer since %d (slow %d) differs:\n%v %v\nwant\n%v %v", seed, v.since, v.slow, v.byKey, v.list, byKey, list)
		}
		v.mu.Unlock()
	}
	for _, s := range subs {
		s.Leave(false)
	}
	cancel()
	running.Wait()
	stalls.Wait()
	if st := h.Stats(); st.Connections != 0 || st.Late != 0 {
		t.Errorf("seed %d: %+v", seed, st)
	}
}
