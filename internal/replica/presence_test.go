package replica

import (
	"context"
	"slices"
	"testing"
)

// TestPresenceAlone: who came twice leaves twice, and nothing is kept of who left.
func TestPresenceAlone(t *testing.T) {
	h := NewPresence()
	who := func(want ...string) {
		t.Helper()
		if got := h.Who("incident/1"); !slices.Equal(got, want) {
			t.Errorf("in the room: %v, want %v", got, want)
		}
	}
	who()
	ana, again, bo := h.Enter("incident/1", "ana"), h.Enter("incident/1", "ana"), h.Enter("incident/1", "bo")
	other := h.Enter("incident/2", "ana")
	who("ana", "bo")
	ana()
	ana() // leaving twice is leaving once
	who("ana", "bo")
	again()
	who("bo")
	if got, err := h.Changes(t.Context()); err != nil || !slices.Equal(got, []string{"incident/1", "incident/2"}) {
		t.Error(got, err)
	}
	bo()
	other()
	if got, _ := h.Changes(t.Context()); !slices.Equal(got, []string{"incident/1", "incident/2"}) {
		t.Error(got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Changes(ended); err == nil {
		t.Error("no error of an ended context")
	}
	if len(h.here) != 0 {
		t.Errorf("kept: %v", h.here)
	}
}
