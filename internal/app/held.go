package app

import (
	"context"
	"fmt"

	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// endWaits ends the wait for a second node of every finding that is still held back, because whoever waited for it is gone: what was seen
// before a stop or a takeover may never be seen again, and then nobody would ever be told of it. It runs before anybody here collects.
func (c *chains) endWaits(ctx context.Context) error {
	held := map[string][]signal.Observation{}
	c.app.world.Look(func(v projection.View) {
		for s := range v.Signals() {
			if !s.IsOpen() || !s.Held() || s.Drill || (s.Source != sourceChains && s.Source != sourceDetect) {
				continue
			}
			f := s.Finding
			f.Verification = "waited"
			held[s.Source] = append(held[s.Source], signal.Observation{
				Key: s.Key, Kind: s.Kind, Subject: s.Subject, Title: s.Title, Severity: s.Severity, Firing: true, At: c.app.millis(), Chain: s.Chain,
				Reason: s.Reason + " Whoever waited for a second node to show it was stopped: it counts as not confirmed.", Finding: f,
			})
		}
	})
	for source, list := range held {
		if _, err := c.app.flow.desk.Submit(ctx, source, "system:telemetry", list); err != nil {
			return fmt.Errorf("end the waits of findings: %w", err)
		}
	}
	return nil
}
