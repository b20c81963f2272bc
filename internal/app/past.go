package app

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/tocsin-ops/tocsin/internal/casebook"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
)

// pastWithin is how long a start waits for past incidents, so that rooms are the same before and after it; rooms say so while they are read.
const pastWithin = 2 * time.Second

// newPast makes what learns from the incidents of the log; it runs with the App.
func newPast(a *App, data string) *casebook.Service {
	return casebook.New(casebook.Options{
		Log: a.log, Path: filepath.Join(data, SnapshotDir, "cases"), Logger: a.component("casebook"),
		Load: func(ctx context.Context, number, position int64) (st incident.State, err error) {
			if err = a.world.WaitFor(ctx, position); err == nil {
				err = a.world.LookInto(ctx, number, func(_ projection.View, found incident.State) { st = found })
			}
			if errors.Is(err, projection.ErrUnknown) {
				err = casebook.ErrUnknown
			}
			return st, err
		},
	})
}
