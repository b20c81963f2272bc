package web

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/views"
)

// unnumbered marks frames that show no position of the log: they are transient,
// and a page takes them whatever position it holds.
const unnumbered = -2

// house publishes what no log tells: whether anything can be written, to every
// page of the room; who is there, to the rooms in only (nil: all). The status
// page gets neither. Each is rendered once for all who watch a topic, and only
// when it differs from what was published last.
func (l *live) house(ctx context.Context, only []string) {
	held := views.ReadOnlyRegion(l.s.held())
	for _, topic := range l.s.Hub.Open() {
		if topic == projection.TopicStatus || strings.HasPrefix(topic, projection.TopicStatus+"/") || only != nil && !slices.Contains(only, topic) {
			continue
		}
		regions := []region{{key: views.RegionReadOnly, body: held}}
		if st, ok := l.s.roomOf(ctx, topic); ok {
			regions = append(regions, region{key: views.RegionPresence, body: views.PresenceRegion(l.s.presentPresence(topic, st))})
		}
		l.publish(ctx, topic, unnumbered, regions, true)
	}
}

// comings passes on where somebody came or went until ctx ends. The channel has
// no buffer: Presence merges what is not fetched yet.
func (l *live) comings(ctx context.Context, out chan<- []string) error {
	for {
		topics, err := l.s.Presence.Changes(ctx)
		if err != nil {
			return nil
		}
		select {
		case out <- topics:
		case <-ctx.Done():
			return nil
		}
	}
}

// forget drops what is kept of topics that nobody watches, and perhaps nothing
// changes any more.
func (l *live) forget() {
	open := l.s.Hub.Open()
	gone := func(topic string) bool {
		_, watched := slices.BinarySearch(open, topic)
		return !watched
	}
	maps.DeleteFunc(l.shown, func(topic string, _ map[string][32]byte) bool { return gone(topic) })
	maps.DeleteFunc(l.entries, func(topic string, _ int64) bool { return gone(topic) })
	l.s.people.forget(open)
}
