package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipe is a tape whose messages the worker writes itself.
type pipe struct {
	tape
	bytes strings.Builder
	most  int // bytes the next write takes; negative: all
	port  int32
}

var pipes []*pipe // by port

func encoded(body []byte, _ bool) []byte { return append(body[:len(body):len(body)], '\n') }

func pipeWrite(port int32, p []byte) int {
	k := pipes[port]
	n := len(p)
	if k.most >= 0 {
		n = min(n, k.most)
	}
	k.bytes.Write(p[:n])
	return n
}

func newPipe() *pipe {
	k := &pipe{tape: tape{room: -1}, most: -1, port: int32(len(pipes))}
	pipes = append(pipes, k)
	return k
}

func (k *pipe) Port() (func(int32, []byte) int, int32) { return pipeWrite, k.port }

func (k *pipe) Write(b *Batch) (int, bool) {
	return k.Short(b, pipeWrite(k.port, b.Wire(encoded)))
}

func (k *pipe) Short(b *Batch, n int) (int, bool) {
	all := b.Wire(encoded)
	k.bytes.Write(all[max(0, n):]) // kept and sent later, as far as the test is concerned
	if n == len(all) {
		return b.Len(), false
	}
	k.most = -1
	return b.Len(), true
}

func (k *pipe) take() string {
	s := k.bytes.String()
	k.bytes.Reset()
	return s
}

// TestDirect: what a worker writes itself is what the sink would have been
// given, for subscribers at the same cursor, behind it, and with a newer page.
func TestDirect(t *testing.T) {
	bubble(t, Options{Workers: 1}, func(t *testing.T, h *Hub) {
		pipes = nil
		plain := &tape{room: -1}
		subscribe(t, h, plain, "", TopicSince{"room", 0})
		var all []*pipe
		for i := range 5 {
			k := newPipe()
			subscribe(t, h, k, "", TopicSince{"room", int64(i / 4 * 3)}) // the last holds up to 3
			if !strings.Contains(k.take(), `"hello"`) {
				t.Errorf("pipe %d: no hello", i)
			}
			all = append(all, k)
		}
		for seq := range int64(6) {
			all[2].most = 7 // of the next write: its sink stalls each time
			publish(h, frame("room", 1+seq, "a"), frame("room", 1+seq, "b"))
			if k := all[2]; k.held != nil {
				k.drain()
				synctest.Wait()
			}
			for i, k := range all {
				want := fmt.Sprintf("%s\n%s\n", frame("room", 1+seq, "a").Body, frame("room", 1+seq, "b").Body)
				if i == 4 && seq < 3 {
					want = ""
				}
				if got := k.take(); got != want {
					t.Errorf("seq %d, pipe %d: got %q, want %q", 1+seq, i, got, want)
				}
			}
		}
		want(t, plain.take(t)[1:], "a@1", "b@1", "a@2", "b@2", "a@3", "b@3", "a@4", "b@4", "a@5", "b@5", "a@6", "b@6")
		st := h.Stats()
		if st.Delivered != 5*12+6 || st.Stalls != 6 || st.Stalled != 0 || st.Conflated != 0 {
			t.Errorf("stats: %+v", st)
		}
		var timed uint64
		for _, n := range st.Latency.Counts {
			timed += n
		}
		if timed != st.Delivered {
			t.Errorf("latency of %d of %d frames", timed, st.Delivered)
		}
	})
}

// TestDetach: after it nothing is written, before Run, during it and after it,
// and who comes and goes does not disturb the slots of the others.
func TestDetach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes = nil
		h := New(Options{Workers: 1})
		early := newPipe()
		s, err := h.Subscribe("", []TopicSince{{"room", 0}}, early)
		if err != nil {
			t.Fatal(err)
		}
		s.Detach() // the hub does not run: returns at once
		s.Leave(false)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.Run(ctx) }()
		var here []*pipe
		var subs []*Subscriber
		for range 6 {
			k := newPipe()
			here = append(here, k)
			subs = append(subs, subscribe(t, h, k, "", TopicSince{"board", 0}, TopicSince{"room", 0}))
		}
		for seq, i := range []int{0, 5, 2} {
			subs[i].Detach()
			subs[i].Detach()
			here[i].take()
			publish(h, frame("room", 1+int64(seq), "a"))
			for j, k := range here {
				if got := k.take(); (got != "") == (subs[j].apart.Load()) {
					t.Errorf("after %d detached: pipe %d got %q", i, j, got)
				}
			}
			subs[i].Leave(false)
		}
		if got := early.take(); got != "" {
			t.Errorf("who left before Run got %q", got)
		}
		cancel()
		<-done
		subs[1].Detach()
		subs[1].Leave(false)
		if st := h.Stats(); st.Connections != 2 {
			t.Errorf("%d connections, want 2", st.Connections)
		}
	})
}

func TestBeatsSpareWhoHearsFrames(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, h *Hub) {
		busy, quiet := &tape{room: -1}, &tape{room: -1}
		subscribe(t, h, busy, "", TopicSince{"room", 0})
		subscribe(t, h, quiet, "", TopicSince{"board", 0})
		seq := int64(0)
		beats := func(k *tape) (n int) {
			for _, w := range k.take(t) {
				if w == "beat" {
					n++
				}
			}
			return n
		}
		for range 40 { // 20 s
			time.Sleep(500 * time.Millisecond)
			seq++
			publish(h, frame("room", seq, "a"))
		}
		if b, q := beats(busy), beats(quiet); b != 10/beatAlways || q != 10 {
			t.Errorf("in 20 s: %d beats between frames, %d without; want %d, 10", b, q, 10/beatAlways)
		}
		time.Sleep(4 * time.Second) // the last frame counts for one beat, then they come again
		synctest.Wait()
		if b := beats(busy); b == 0 {
			t.Error("no beat 4 s after the last frame")
		}
	})
}

func TestEndTopic(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, h *Hub) {
		both, stuck, one, other := &tape{room: -1}, &tape{room: 1}, &tape{room: -1}, &tape{room: -1}
		subscribe(t, h, both, "ana", TopicSince{"room", 0}, TopicSince{"board", 0})
		subscribe(t, h, stuck, "ana", TopicSince{"room", 0}, TopicSince{"board", 0})
		subscribe(t, h, one, "ana", TopicSince{"room", 0})
		subscribe(t, h, other, "bob", TopicSince{"room", 0})
		publish(h, frame("room", 1, "a"))
		ana := func(s *Subscriber) bool { return s.Owner == "ana" }
		if n := h.EndTopic("room", ana, "no longer yours"); n != 3 {
			t.Errorf("ended for %d, want 3", n)
		}
		if n := h.EndTopic("room", ana, "again"); n != 0 {
			t.Errorf("ended for %d the second time, want 0", n)
		}
		synctest.Wait()
		publish(h, frame("room", 2, "a"), frame("board", 2, "b"))
		stuck.drain()
		synctest.Wait()
		publish(h, frame("room", 3, "a"), frame("board", 3, "b"))
		want(t, both.take(t), "hello", "a@1", "end", "b@2", "b@3")
		want(t, stuck.take(t), "hello", "end", "b@2", "b@3")
		want(t, other.take(t), "hello", "a@1", "a@2", "a@3")
		if e := one.ended; e == nil || e.Code != CloseRevoked {
			t.Errorf("who had nothing else: %+v, want ended", e)
		}
		if both.ended != nil || stuck.ended != nil {
			t.Error("who has another topic was ended")
		}
	})
}

// counted is a sink that leaves as soon as it is ended.
type counted struct {
	tape
	s    *Subscriber
	left chan time.Time
}

func (k *counted) End(Ending) {
	k.left <- time.Now()
	go k.s.Leave(false)
}

// TestStopIsSpread: few are told at once, thousands within a second.
func TestStopIsSpread(t *testing.T) {
	for _, c := range []struct {
		n    int
		min  time.Duration
		most time.Duration
	}{{1, 0, 0}, {200, 0, 0}, {1000, 100 * time.Millisecond, 100 * time.Millisecond}, {19000, 900 * time.Millisecond, time.Second}} {
		bubble(t, Options{}, func(t *testing.T, h *Hub) {
			left := make(chan time.Time, c.n)
			for range c.n {
				k := &counted{tape: tape{room: -1}, left: left}
				s, err := h.Subscribe("", []TopicSince{{"room", 0}}, k)
				if err != nil {
					t.Fatal(err)
				}
				k.s = s
			}
			synctest.Wait()
			start := time.Now()
			if err := h.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took < c.min || took > c.most {
				t.Errorf("%d connections: stopped in %v, want %v to %v", c.n, took, c.min, c.most)
			}
			many := map[time.Time]int{}
			for range c.n {
				many[<-left]++
			}
			for at, n := range many {
				if n > max(partLeast, c.n/partsMost+1) {
					t.Errorf("%d of %d at %v", n, c.n, at.Sub(start))
				}
			}
		})
	}
}

func TestByeGrowsWithTheirNumber(t *testing.T) {
	for _, c := range []struct{ n, most int }{{1, 200}, {1000, 500}, {19000, 2000}} {
		for range 200 {
			var m struct {
				Retry int `json:"retry_ms"`
			}
			if err := json.Unmarshal(bye(c.n).Body, &m); err != nil || m.Retry > c.most {
				t.Fatalf("%d connections: %+v, %v; want at most %d ms", c.n, m, err, c.most)
			}
		}
	}
}
