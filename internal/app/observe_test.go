package app

import "github.com/tocsin-ops/tocsin/internal/observation"

// Observe is for tests: as if a watcher had seen it.
func (a *App) Observe(o observation.Observation) { a.flow.OnObservation(o) }
