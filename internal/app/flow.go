package app

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/metrics"
	"github.com/tocsin-ops/tocsin/internal/observation"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// Sources that are part of the program.
const (
	sourceChains = "chains"
	sourceDrill  = "drill"
)

// flow is where telemetry's results go: samples to the store and the charts,
// findings to the desk as signals, views to the live pages.
type flow struct {
	app  *App
	desk *intake.Desk
	// observe takes what the watchers saw (OnObservation); nil = nobody judges it.
	observe func(observation.Observation)
}

// OnSamples stores samples and tells them to the other replicas.
func (f *flow) OnSamples(list []chain.Sample) {
	f.app.storeSamples(list)
	f.app.peers.TellSamples(list)
}

// storeSamples takes samples of this or another replica. One that cannot be
// stored is lost: the next comes in seconds, and nothing that people decide on
// hangs on a single one.
func (a *App) storeSamples(list []chain.Sample) {
	out := make([]metrics.Sample, len(list))
	for i, s := range list {
		out[i] = metrics.Sample{Name: s.Name, Labels: s.Labels, At: s.At, Value: s.Value}
	}
	if err := a.tsdb.Append(out); err != nil {
		a.opt.Logger.Warn("store samples", "component", "metrics", "count", len(out), "err", err)
	}
	a.web.SamplesArrived(out)
}

// OnView tells the live pages, here and on the other replicas.
func (f *flow) OnView(v chain.View, _ bool) {
	f.app.web.ChainChanged(v.Chain)
	f.app.peers.TellView(v, f.app.chain.title(v.Chain), f.app.chain.isDrill(v.Chain))
}

// OnFindings makes signals of findings; it returns when they are durable.
func (f *flow) OnFindings(ctx context.Context, name string, list []chain.Finding) error {
	if f.app.chain.isDrill(name) {
		_, err := f.desk.Submit(ctx, sourceDrill, "system:telemetry", f.ofDrill(list))
		return err
	}
	_, err := f.desk.Submit(ctx, sourceChains, "system:telemetry", f.observations(list))
	return err
}

func (f *flow) drillFindings(ctx context.Context, list []chain.Finding) error {
	_, err := f.desk.Submit(ctx, sourceDrill, "system:drill", f.ofDrill(list))
	return err
}

// ofDrill are findings of the drill that is played here, with who started it having said whether people are paged for real. That goes with the
// signals into the log, so that it holds whoever reads them.
func (f *flow) ofDrill(list []chain.Finding) []signal.Observation {
	out, until := f.observations(list), f.app.play.OutUntil()
	for i := range out {
		if out[i].Drill {
			out[i].OutUntil = until
		}
	}
	return out
}

// observations are findings as signals; a chain is called by its name.
func (f *flow) observations(list []chain.Finding) []signal.Observation {
	out := make([]signal.Observation, len(list))
	for i, n := range list {
		if rest, ok := strings.CutPrefix(n.Title, n.Chain+": "); ok {
			n.Title = cmp.Or(f.app.chain.title(n.Chain), n.Chain) + ": " + rest
		}
		certainty := signal.Finding{Detector: cmp.Or(n.Detector, n.Kind), Score: n.Score, Bound: n.Bound, Weak: n.Weak, Verification: string(n.Verification), Seen: n.Seen}
		if n.Kind == detect.KindWeakAnomaly {
			certainty.Detector = detect.KindAnomaly // the same detector, below its threshold
		}
		if !n.Drill {
			certainty, n.Severity = f.app.detect.gate(certainty, n.Severity)
		}
		out[i] = signal.Observation{
			Key: n.Key, Kind: n.Kind, Subject: n.Subject, Title: n.Title, Reason: n.Reason, Severity: n.Severity, Firing: n.Firing,
			At: n.At, Chain: n.Chain, Evidence: n.Evidence, Drill: n.Drill,
			Finding: certainty,
		}
	}
	return out
}

// open gives the keys that the log holds open for a chain, so that a restart
// neither doubles nor forgets them.
func (f *flow) open(_ context.Context, name string) ([]string, error) {
	var keys []string
	f.app.world.Look(func(v projection.View) {
		for s := range v.Signals() {
			if s.IsOpen() && s.Chain == name && (s.Source == sourceChains || s.Source == sourceDrill) {
				keys = append(keys, s.Key)
			}
		}
	})
	return keys, nil
}

// drillNote puts an inject of a drill on the timeline of the newest open drill incident.
func (a *App) drillNote(ctx context.Context, text string) error {
	var number int64
	a.world.Look(func(v projection.View) {
		for _, st := range v.Open() {
			if st.Drill {
				number = st.Number
			}
		}
	})
	if number == 0 {
		return nil // the drill's incident is not there yet, or is over: nobody would read it
	}
	m := incident.Meta{ID: uuid.Must(uuid.NewV7()).String(), At: a.millis(), Actor: "system:drill", Drill: true}
	if _, err := a.rooms.Do(ctx, number, incident.AddNote{Text: text}, m); err != nil {
		return fmt.Errorf("note on drill incident %d: %w", number, err)
	}
	return nil
}

// correlatorRoom lets the correlator into the rooms.
type correlatorRoom struct{ rooms *room.Rooms }

// Declare implements reactor.Room.
func (r correlatorRoom) Declare(ctx context.Context, c incident.Declare, m incident.Meta) (int64, error) {
	a, err := r.rooms.Declare(ctx, c, m)
	return a.Number, err
}

// Do implements reactor.Room.
func (r correlatorRoom) Do(ctx context.Context, number int64, c incident.Command, m incident.Meta) error {
	_, err := r.rooms.Do(ctx, number, c, m)
	return err
}
