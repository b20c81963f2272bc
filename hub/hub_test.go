package hub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSinceGetsExactlyWhatCameAfter(t *testing.T) {
	bubble(t, Options{Base: func(string) int64 { return 3 }}, func(t *testing.T, h *Hub) {
		first := &tape{room: -1}
		subscribe(t, h, first, "", TopicSince{"room", 3})
		want(t, first.take(t), "hello")
		publish(h, frame("room", 2, "old"), frame("room", 4, "a"), frame("room", 4, "b"), frame("room", 5, "a"), frame("room", 6, ""))
		want(t, first.take(t), "b@4", "a@5", "@6")

		for _, c := range []struct {
			since int64
			want  []string
		}{
			{2, []string{"hello", "resync(room@6)"}},
			{3, []string{"hello", "b@4", "a@5", "@6"}},
			{4, []string{"hello", "a@5", "@6"}},
			{6, []string{"hello"}},
			{9, []string{"hello"}},
		} {
			k := &tape{room: -1}
			subscribe(t, h, k, "", TopicSince{"room", c.since})
			want(t, k.take(t), c.want...)
		}
		// A page that is newer than the publisher does not go back in time.
		newer := &tape{room: -1}
		subscribe(t, h, newer, "", TopicSince{"room", 8})
		publish(h, frame("room", 7, "a"), frame("room", 8, "b"))
		publish(h, frame("room", 9, "a"))
		want(t, newer.take(t), "hello", "a@9")
	})
}

func TestSlowSubscriberGetsTheNewestOnly(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, h *Hub) {
		slow, other := &tape{room: 2}, &tape{room: -1}
		subscribe(t, h, slow, "", TopicSince{"chains", -1}, TopicSince{"board", -1})
		subscribe(t, h, other, "", TopicSince{"chains", -1})
		publish(h, frame("chains", 1, "a"))
		want(t, slow.take(t), "hello", "a@1")
		for seq := range int64(1000) {
			publish(h, frame("chains", 2+seq, string(rune('a'+seq%3))))
		}
		publish(h, frame("board", 1002, ""), frame("board", 1002, "x"), frame("board", 1003, ""))
		if got := len(other.take(t)); got != 1002 {
			t.Errorf("the other subscriber got %d messages, want hello and 1001 frames", got)
		}
		want(t, slow.take(t))
		slow.drain()
		synctest.Wait()
		got := strings.Join(slow.take(t), " ")
		if !strings.Contains(got, "b@999 c@1000 a@1001") || !strings.Contains(got, "@1002 x@1002 @1003") || len(got) > 50 {
			t.Errorf("after the pause: %s", got)
		}
		publish(h, frame("chains", 2000, "a"))
		want(t, slow.take(t), "a@2000")
		if st := h.Stats(); st.Conflated != 997 || st.Stalls != 1 {
			t.Errorf("conflated %d, stalls %d, want 997, 1", st.Conflated, st.Stalls)
		}
	})
}

func TestKeylessOverflowResyncs(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, h *Hub) {
		fits, over := &tape{room: 1}, &tape{room: 1}
		subscribe(t, h, fits, "", TopicSince{"room", 0})
		for seq := range int64(MaxKeyless) {
			publish(h, frame("room", 1+seq, ""))
		}
		fits.drain()
		synctest.Wait()
		if got := fits.take(t); len(got) != 1+MaxKeyless || got[1] != "@1" {
			t.Errorf("%d keyless frames: got %v", MaxKeyless, got)
		}
		subscribe(t, h, over, "", TopicSince{"room", MaxKeyless})
		for seq := range int64(MaxKeyless + 1) {
			publish(h, frame("room", 100+seq, ""))
		}
		over.drain()
		publish(h, frame("room", 200, ""))
		want(t, over.take(t), "hello", "resync(room@164)", "@200")
		if st := h.Stats(); st.Resyncs != 1 {
			t.Errorf("resyncs %d, want 1", st.Resyncs)
		}
	})
}

func TestTopicIsBounded(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, h *Hub) {
		subscribe(t, h, &tape{room: -1}, "", TopicSince{"keys", 0}, TopicSince{"bytes", 0}, TopicSince{"huge", 0})
		for seq := range int64(MaxKeys + 10) {
			publish(h, frame("keys", 1+seq, fmt.Sprint(seq)))
		}
		for seq := range int64(40) {
			publish(h, Frame{Topic: "bytes", Seq: 1 + seq, Key: fmt.Sprint(seq), Body: []byte(`{"pad":"` + strings.Repeat("x", 50<<10) + `"}`)})
		}
		publish(h, Frame{Topic: "huge", Seq: 1, Body: make([]byte, MaxBytes+1)})
		for _, topic := range h.topics {
			if len(topic.keys) > MaxKeys || topic.bytes > MaxBytes {
				t.Errorf("%s keeps %d keys, %d bytes", topic.name, len(topic.keys), topic.bytes)
			}
		}
		for _, c := range []struct {
			at     TopicSince
			resync bool
		}{
			{TopicSince{"keys", 9}, true}, {TopicSince{"keys", 10}, false},
			{TopicSince{"bytes", 19}, true}, {TopicSince{"bytes", 20}, false},
			{TopicSince{"huge", 0}, true}, {TopicSince{"huge", 1}, false},
		} {
			k := &tape{room: -1}
			subscribe(t, h, k, "", c.at)
			if got := k.take(t); strings.HasPrefix(strings.Join(got[1:], " "), "resync") != c.resync {
				t.Errorf("%v: got %.60v, want resync %v", c.at, got, c.resync)
			}
		}
	})
}

func TestLateFrames(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, h *Hub) {
		k := &tape{room: -1}
		subscribe(t, h, k, "", TopicSince{"room", 0})
		publish(h, frame("room", 5, "a"))
		publish(h, frame("room", 4, "a")) // superseded already
		want(t, k.take(t), "hello", "a@5")
		publish(h, frame("room", 3, "b")) // would be a gap
		publish(h, frame("room", 6, "b"))
		want(t, k.take(t), "resync(room@5)", "b@6")
		holds := &tape{room: -1}
		subscribe(t, h, holds, "", TopicSince{"room", 5})
		want(t, holds.take(t), "hello", "b@6")
		if st := h.Stats(); st.Late != 2 {
			t.Errorf("late %d, want 2", st.Late)
		}
	})
}

func TestTransientPassesSince(t *testing.T) {
	bubble(t, Options{Base: func(string) int64 { return 7 }}, func(t *testing.T, h *Hub) {
		k := &tape{room: -1}
		subscribe(t, h, k, "", TopicSince{"chains", 7})
		sample := frame("chains", 7, "samples/lag")
		sample.Transient = true
		publish(h, sample)
		publish(h, frame("chains", 8, "a"))
		publish(h, sample)
		want(t, k.take(t), "hello", "samples/lag@7", "a@8", "samples/lag@7")
		late := &tape{room: -1}
		subscribe(t, h, late, "", TopicSince{"chains", 8})
		want(t, late.take(t), "hello", "samples/lag@7")
	})
}

func TestTopicsOpenAndClose(t *testing.T) {
	var h *Hub
	bases := 0
	base := func(topic string) int64 {
		bases++
		if !h.Watched(topic) || len(h.Open()) == 0 { // would deadlock if a lock were held
			t.Errorf("%s is not open while its base is asked", topic)
		}
		h.Publish(frame(topic, 10, "covered"), frame(topic, 11, "x"))
		return 10
	}
	synctest.Test(t, func(t *testing.T) {
		h = New(Options{Base: base, Grace: 8 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.Run(ctx) }()
		if h.Watched("room") {
			t.Error("room is watched before anybody came")
		}
		k := &tape{room: -1}
		s := subscribe(t, h, k, "", TopicSince{"room", 10})
		want(t, k.take(t), "hello", "x@11")
		s.Leave(false)
		time.Sleep(7 * time.Second)
		again := &tape{room: -1}
		s = subscribe(t, h, again, "", TopicSince{"room", 10})
		want(t, again.take(t), "hello", "x@11")
		s.Leave(false)
		time.Sleep(11 * time.Second)
		if h.Watched("room") || bases != 1 {
			t.Errorf("after the grace period: watched %v, bases asked %d", h.Watched("room"), bases)
		}
		s = subscribe(t, h, &tape{room: -1}, "", TopicSince{"room", 10})
		s.Leave(false)
		if bases != 2 {
			t.Errorf("bases asked %d, want 2", bases)
		}
		cancel()
		<-done
	})
}

func TestBeat(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, h *Hub) {
		k, slow := &tape{room: -1}, &tape{room: 1}
		subscribe(t, h, k, "", TopicSince{"room", 0})
		subscribe(t, h, slow, "", TopicSince{"room", 0})
		time.Sleep(41 * time.Second)
		synctest.Wait()
		probes := 0
		for _, m := range k.got {
			if m.Probe {
				probes++
			}
		}
		if got := k.take(t); len(got) != 21 || probes != 2 {
			t.Errorf("in 41 s: %v, %d probes; want hello, 20 beats, 2 probes", got, probes)
		}
		slow.drain()
		synctest.Wait()
		want(t, slow.take(t), "hello", "beat") // the newest beat, not all of them
	})
}

func TestEnd(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, h *Hub) {
		ana, bob := &tape{room: -1}, &tape{room: -1}
		s := subscribe(t, h, ana, "session/ana", TopicSince{"room", 0})
		subscribe(t, h, bob, "session/bob", TopicSince{"room", 0})
		if n := h.EndOwner("session/ana", "signed out"); n != 1 {
			t.Errorf("ended %d, want 1", n)
		}
		if n := h.EndOwner("session/ana", "signed out"); n != 0 {
			t.Errorf("ended %d the second time, want 0", n)
		}
		if e := ana.ended; e == nil || e.Code != 4401 || !strings.Contains(string(e.Body), `"type":"end"`) || !strings.Contains(string(e.Body), `"reason":"signed out"`) {
			t.Errorf("ana's ending: %+v", e)
		}
		if bob.ended != nil {
			t.Error("bob was ended too")
		}
		s.Leave(false)
		publish(h, frame("room", 1, "a"))
		want(t, ana.take(t), "hello")
		want(t, bob.take(t), "hello", "a@1")
	})
}

func TestStop(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, h *Hub) {
		k := &tape{room: -1}
		s := subscribe(t, h, k, "", TopicSince{"room", 0})
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Stop(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop with one left: %v", err)
		}
		if k.ended == nil || k.ended.Code != 1012 || !strings.Contains(string(k.ended.Body), `"retry_ms":`) {
			t.Errorf("ending: %+v", k.ended)
		}
		if _, err := h.Subscribe("", []TopicSince{{"room", 0}}, k); !errors.Is(err, ErrStopped) {
			t.Errorf("Subscribe after Stop: %v", err)
		}
		s.Leave(false)
		if err := h.Stop(t.Context()); err != nil {
			t.Errorf("Stop with nobody left: %v", err)
		}
	})
}

func TestPost(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, h *Hub) {
		k := &tape{room: 0}
		s := subscribe(t, h, k, "", TopicSince{"room", 0})
		s.Post(Encoded([]byte("1")))
		s.Post(Encoded([]byte("2")))
		publish(h, frame("room", 1, "a"))
		k.drain()
		synctest.Wait()
		if len(k.got) != 3 || string(k.got[1].wire) != "2" {
			t.Errorf("got %d messages, want hello, the newest post, a@1", len(k.got))
		}
		s.Post(Encoded([]byte("3")))
		synctest.Wait()
		if len(k.got) != 4 || string(k.got[3].wire) != "3" {
			t.Errorf("got %d messages, want one more", len(k.got))
		}
	})
}

func TestSubscribeRefusesTooManyTopics(t *testing.T) {
	h := New(Options{})
	var many []TopicSince
	for i := range MaxTopics + 1 {
		many = append(many, TopicSince{fmt.Sprint(i), 0})
	}
	for _, topics := range [][]TopicSince{nil, many} {
		if _, err := h.Subscribe("", topics, &tape{}); !errors.Is(err, ErrTopics) {
			t.Errorf("%d topics: %v", len(topics), err)
		}
	}
	if len(h.Open()) != 0 {
		t.Errorf("open: %v", h.Open())
	}
}

func TestFramesUpToTheBaseAreCovered(t *testing.T) {
	bubble(t, Options{Base: func(string) int64 { return 3 }}, func(t *testing.T, h *Hub) {
		k := &tape{room: -1}
		subscribe(t, h, k, "", TopicSince{"room", 0})
		want(t, k.take(t), "hello", "resync(room@3)")
		publish(h, frame("room", 2, "a"), frame("room", 3, "b"))
		publish(h, frame("room", 4, "a"))
		want(t, k.take(t), "a@4")
	})
}

// Seats at the same cursor share a batch only if it is the right one for both.
func TestSharedBatchRespectsSince(t *testing.T) {
	bubble(t, Options{Workers: 1}, func(t *testing.T, h *Hub) {
		newer, older := &tape{room: -1}, &tape{room: -1}
		subscribe(t, h, newer, "", TopicSince{"room", 30})
		subscribe(t, h, older, "", TopicSince{"room", 0})
		var frames []Frame
		for seq := range int64(70) {
			frames = append(frames, frame("room", 1+seq, ""))
		}
		publish(h, frames...)
		if got := newer.take(t); len(got) != 41 || got[1] != "@31" {
			t.Errorf("since 30: got %v", got)
		}
		want(t, older.take(t), "hello", "resync(room@70)")
	})
}

func TestManyBatchesInARow(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, h *Hub) {
		subscribe(t, h, &tape{room: -1}, "", TopicSince{"room", 0})
		var frames []Frame
		for i := range 30 {
			frames = append(frames, Frame{Topic: "room", Seq: 1, Key: fmt.Sprint(i), Body: fmt.Appendf(nil, `{"key":"%d","seq":1,"pad":%q}`, i, strings.Repeat("x", 20<<10))})
		}
		live := &tape{room: -1}
		subscribe(t, h, live, "", TopicSince{"room", 0})
		publish(h, frames...)
		late := &tape{room: -1}
		subscribe(t, h, late, "", TopicSince{"room", 0})
		for _, k := range []*tape{live, late} {
			if got := k.take(t); len(got) != 31 || got[1] != "0@1" || got[30] != "29@1" {
				t.Errorf("got %v", got)
			}
		}
	})
}

func TestResumeMissesNothing(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, h *Hub) {
		k := &tape{room: 1}
		s := subscribe(t, h, k, "", TopicSince{"room", 0})
		publish(h, frame("room", 1, "a"))
		for b := s.Next(); b != nil; b = s.Next() {
			s.Sent(b, b.Len())
		}
		publish(h, frame("room", 2, "a")) // after the sink saw nothing, before it says so
		k.room = -1
		s.Resume()
		synctest.Wait()
		want(t, k.take(t), "hello", "a@2")
	})
}
