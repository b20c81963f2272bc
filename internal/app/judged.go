package app

import "github.com/tocsin-ops/tocsin/internal/detection"

// Figures are what the detectors say of themselves, for /metrics.
func (d *detectors) Figures() detection.Figures { return d.run.Figures() }
