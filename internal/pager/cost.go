package pager

import (
	"math"

	"github.com/tocsin-ops/tocsin/internal/impact"
	"github.com/tocsin-ops/tocsin/internal/incident"
)

// Cost is what an incident costs, for people: "$1,200 a minute"; "" when nobody knows.
func Cost(s incident.State) string {
	l := s.Impact.Loss
	if s.Impact.At == 0 || !l.Known || l.PerMinute < 0.5 {
		return ""
	}
	return impact.USD(math.Round(l.PerMinute)) + " a minute"
}
