package main

import (
	"sync"

	"github.com/tocsin-ops/tocsin/desktop/native"
	"github.com/tocsin-ops/tocsin/internal/attention"
)

// What can be done about a notice.
const (
	open        = "open"
	acknowledge = "acknowledge"
)

// noteOf is a notice as desktops show one.
func noteOf(a attention.Notice) native.Note {
	n := native.Note{Key: a.Key, Title: a.Title, Body: a.Body, Sticky: a.Sticky, Urgency: native.Low,
		Actions: []native.Action{{ID: open, Label: "Open"}}}
	switch {
	case a.Severity == "SEV1" || a.Ack != 0:
		n.Urgency = native.Critical
	case a.Severity == "SEV2" || a.Severity == "SEV3":
		n.Urgency = native.Normal
	}
	if a.Ack != 0 {
		n.Actions = append(n.Actions, native.Action{ID: acknowledge, Label: "Acknowledge"})
	}
	return n
}

// noticeboard remembers what was shown, so that an answer finds its notice. The zero value is empty.
type noticeboard struct {
	mu    sync.Mutex
	shown map[string]attention.Notice
	order []string
}

const mostNotices = 200

func (b *noticeboard) put(a attention.Notice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shown == nil {
		b.shown = map[string]attention.Notice{}
	}
	b.remove(a.Key)
	b.shown[a.Key] = a
	b.order = append(b.order, a.Key)
	if len(b.order) > mostNotices {
		b.remove(b.order[0])
	}
}

func (b *noticeboard) drop(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remove(key)
}

func (b *noticeboard) remove(key string) {
	if _, ok := b.shown[key]; !ok {
		return
	}
	delete(b.shown, key)
	for i, k := range b.order {
		if k == key {
			b.order = append(b.order[:i], b.order[i+1:]...)
			return
		}
	}
}

// get returns the notice of a key; one that was taken back has neither page nor incident.
func (b *noticeboard) get(key string) attention.Notice {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.shown[key]
}
