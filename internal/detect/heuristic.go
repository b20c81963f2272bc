package detect

import (
	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// Heuristic is a detector with a rule of its field: it takes every observation in time order and says what is wrong, or is over. It is a pure
// state machine: the same observations, ticks and state give the same findings. Not safe for concurrent use.
type Heuristic interface {
	// Name is stable: feedback, thresholds and figures go by it.
	Name() string
	// Observe passes over what it does not judge. A time before the newest one is taken for the newest.
	Observe(o observation.Observation) []chain.Finding
	// Tick lets time pass until at (unix ms): what is found by nothing happening, and what is over.
	Tick(at int64) []chain.Finding
	// Open lists the keys of open findings, also of those that only Resume told of.
	Open() []string
	// Resume tells which keys the log holds open, so that those which are over get their end. Keys of other detectors are passed over.
	Resume(keys []string)
	// Save and Load carry the whole state over a restart: after Load everything goes on as if there had been none. Load refuses what another
	// version wrote in a form that it cannot read; the heuristic then starts anew.
	Save() ([]byte, error)
	Load([]byte) error
}
