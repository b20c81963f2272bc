package room

import (
	"context"
	"fmt"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
)

// numbered is a log that holds incidents 1 to count, and counts who asks.
type numbered struct {
	Log
	count, asked int64
}

func (n *numbered) StreamHead(_ context.Context, stream string) (int64, error) {
	n.asked++
	number, ok := Number(stream)
	if !ok {
		return 0, fmt.Errorf("not an incident: %s", stream)
	}
	if number <= n.count {
		return 3, nil
	}
	return 0, nil
}

// TestFreeNumber: the next number is found whatever is known, in few questions.
func TestFreeNumber(t *testing.T) {
	for _, count := range []int64{0, 1, 2, 3, 4, 7, 8, 9, 100, 4095, 4096, 1_000_000} {
		for _, from := range []int64{1, 2, count, count + 1} {
			if from < 1 || from > count+1 {
				continue
			}
			l := &numbered{count: count}
			got, err := New(l).free(t.Context(), from)
			if err != nil || got != count+1 {
				t.Errorf("of %d incidents, from %d: %d %v", count, from, got, err)
			}
			if l.asked > 45 {
				t.Errorf("of %d incidents, from %d: %d questions", count, from, l.asked)
			}
		}
	}
}

var _ Log = (*eventlog.Log)(nil)
