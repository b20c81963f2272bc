package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
)

// tape is a sink that remembers what it took.
type tape struct {
	mu    sync.Mutex
	room  int // messages it takes before it is full; negative: any number
	got   []*Message
	held  *Subscriber // between Stall and Resume
	ended *Ending
}

func (k *tape) Write(b *Batch) (int, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := b.Len()
	if k.room >= 0 {
		n = min(n, k.room)
		k.room -= n
	}
	k.got = append(k.got, b.messages[:n]...)
	return n, n < b.Len()
}

func (k *tape) Stall(s *Subscriber) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held = s
}

func (k *tape) End(e Ending) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = &e
}

// drain reads everything as a sink does that can write again.
func (k *tape) drain() {
	k.mu.Lock()
	s := k.held
	k.held, k.room = nil, -1
	k.mu.Unlock()
	for b := s.Next(); b != nil; b = s.Next() {
		k.mu.Lock()
		k.got = append(k.got, b.messages...)
		k.mu.Unlock()
		s.Sent(b, b.Len())
	}
	s.Resume()
}

// take returns what came since the last take, as short words: a frame as
// "key@seq", a control message as its type.
func (k *tape) take(t *testing.T) []string {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	var words []string
	for _, m := range k.got {
		var v struct {
			Type, Topic, Key string
			Seq              int64
		}
		if err := json.Unmarshal(m.Body, &v); err != nil {
			t.Errorf("message %q: %v", m.Body, err)
		}
		switch v.Type {
		case "":
			words = append(words, fmt.Sprintf("%s@%d", v.Key, v.Seq))
		case "resync":
			words = append(words, fmt.Sprintf("resync(%s@%d)", v.Topic, v.Seq))
		default:
			words = append(words, v.Type)
		}
	}
	k.got = nil
	return words
}

func frame(topic string, seq int64, key string) Frame {
	return Frame{Topic: topic, Seq: seq, Key: key, Body: fmt.Appendf(nil, `{"topic":%q,"seq":%d,"key":%q}`, topic, seq, key)}
}

func want(t *testing.T, got []string, words ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(words) {
		t.Errorf("got %v, want %v", got, words)
	}
}

// bubble runs f with a running hub under a fake clock.
func bubble(t *testing.T, o Options, f func(t *testing.T, h *Hub)) {
	synctest.Test(t, func(t *testing.T) {
		h := New(o)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.Run(ctx) }()
		f(t, h)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func subscribe(t *testing.T, h *Hub, k Sink, owner string, topics ...TopicSince) *Subscriber {
	t.Helper()
	s, err := h.Subscribe(owner, topics, k)
	if err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
	synctest.Wait()
	return s
}

func publish(h *Hub, frames ...Frame) {
	h.Publish(frames...)
	synctest.Wait()
}
