// Package app composes the program: it opens the store, starts every room in
// order and stops them in the reverse one. Server, tests and desktop run the
// very same App; it holds no rule of its own.
package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/tocsin-ops/tocsin/hub"
	"github.com/tocsin-ops/tocsin/internal/appraise"
	"github.com/tocsin-ops/tocsin/internal/assess"
	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/calendar"
	"github.com/tocsin-ops/tocsin/internal/casebook"
	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/exercise"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/metrics"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/pulse"
	"github.com/tocsin-ops/tocsin/internal/reactor"
	"github.com/tocsin-ops/tocsin/internal/replica"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/internal/telemetry"
	"github.com/tocsin-ops/tocsin/internal/upkeep"
	"github.com/tocsin-ops/tocsin/internal/watch"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/web"
)

const headerWait = 10 * time.Second

// Options are the outside of an App.
type Options struct {
	Config  config.Config
	Version string
	Logger  *slog.Logger
	// OpenStore opens a store that several replicas share, by its address; nil =
	// this program knows none. It may be called again after an error.
	OpenStore func(ctx context.Context, address string, log *slog.Logger) (store.DB, error)
	// OpenBlobs opens the bucket that the setting blobs names; nil = directories only.
	OpenBlobs func(ctx context.Context, address string) (store.Blobs, error)
	// BootstrapToken is an administrator API token for automation; "" = none.
	BootstrapToken string
	// Also are further listeners to answer on, of TLS or not; the App closes them,
	// also when New fails. PublicURL should name one that others can reach.
	Also []net.Listener
	// Demo marks everything as a drill: for throw-away directories only.
	Demo bool
	// Clock is the time of commands; nil = the wall clock.
	Clock func() time.Time
}

// App is one running Tocsin.
type App struct {
	opt     Options
	db      store.DB
	watched *replica.Watched // db, when it is shared, else nil
	id      string           // of this replica; "" when the store is its own
	peers   *replica.Peers
	probe   *replica.Prober
	log     *eventlog.Log
	world   *projection.World
	auth    *auth.Service
	sources *intake.Sources
	rooms   *room.Rooms
	hub     *hub.Hub
	tsdb    *metrics.Store
	blobs   store.Blobs
	watch   *telemetry.Supervisor
	watches *watch.Watch
	chain   *chains
	flow    *flow
	play    *exercise.Player
	stage   *stage
	figures *figures
	owed    *deposits
	telling *telling
	react   *reactor.Runner
	keep    *keeper
	judged  *appraise.Service
	upkeep  *upkeep.Service
	pulse   *pulse.Watch
	past    *casebook.Service
	paging  *paging
	detect  *detectors
	scoring *assess.Service
	web     *web.Server
	http    *http.Server
	ln      net.Listener
	ready   atomic.Bool

	// SignInLink is the one-time link of the first administrator, "" when
	// somebody has joined already. It is printed, never logged.
	SignInLink string
}

// New opens everything and listens, but answers nothing yet. On an error
// nothing stays open.
func New(ctx context.Context, o Options) (_ *App, err error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	a := &App{opt: o}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	if err := a.open(ctx); err != nil {
		return nil, err
	}
	if a.ln, err = net.Listen("tcp", o.Config.Addr); err != nil {
		return nil, fmt.Errorf("listen on %s: %w; is another program using the port? choose one with --addr", o.Config.Addr, err)
	}
	a.join()
	if a.peers.Shared() { // a store that stops answering right now holds up no start for ever
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, storeWithin)
		defer cancel()
	}
	if err := a.compose(ctx); err != nil {
		return nil, err
	}
	link, needed, err := a.auth.Bootstrap(ctx)
	if err != nil {
		return nil, fmt.Errorf("make the first sign-in link: %w", err)
	}
	if needed {
		a.SignInLink = a.URL() + link.Path()
	}
	return a, nil
}

// origin names a new log, the first line of its checkpoints: by the host that
// people know, so that witnesses tell installations apart. A log keeps the
// origin it was born with.
func origin(c config.Config) string {
	if u, err := url.Parse(c.PublicURL); err == nil && u.Host != "" {
		return u.Host + "/log"
	}
	return eventlog.DefaultOrigin
}

func (a *App) component(name string) *slog.Logger { return a.opt.Logger.With("component", name) }

func (a *App) millis() int64 { return a.opt.Clock().UnixMilli() }

func (a *App) compose(ctx context.Context) error {
	o, c := a.opt, a.opt.Config
	var err error
	a.auth, err = auth.New(ctx, a.db, a.log, auth.Options{
		Clock: a.millis, PublicURL: c.PublicURL, Organisation: c.Organisation, BootstrapToken: o.BootstrapToken, Logger: a.component("auth"),
	})
	if err != nil {
		return fmt.Errorf("open the people: %w", err)
	}
	a.sources = intake.NewSources(a.log, a.db, o.Clock)
	if err := a.sources.Refresh(ctx); err != nil {
		return fmt.Errorf("read the sources: %w", err)
	}
	if err := a.fixedSources(ctx, a.sources); err != nil {
		return err
	}
	desk := intake.NewDesk(a.log, o.Clock)
	gate := intake.NewGate(desk, a.sources, a.component("intake"))
	a.world = projection.New(a.log)
	desk.SeedFrom(a.world.Source)
	if err := a.newUpkeep(ctx, desk, gate); err != nil {
		return err
	}
	a.rooms = room.New(a.log)
	if elector, ok := a.db.(store.Elector); ok {
		a.rooms.Among(elector)
	}
	// The hub asks the server for a topic's base; the server needs the hub.
	a.hub = hub.New(hub.Options{Build: o.Version, Base: func(topic string) int64 { return a.web.BaseOf(topic) }})
	a.flow = &flow{app: a, desk: desk}
	a.watch = telemetry.New(telemetry.Options{Sink: a.flow, Open: a.flow.open, Log: a.component("telemetry")})
	if a.chain, err = newChains(ctx, a, c.Chains); err != nil {
		return err
	}
	if a.watches, err = newWatch(a, c); err != nil {
		return err
	}
	a.play = exercise.New(exercise.Options{
		Telemetry: a.chain, Findings: a.flow.drillFindings, Samples: a.flow.OnSamples, Note: a.drillNote, Clock: o.Clock, Log: a.component("drill"),
	})
	var elector store.Elector
	if a.watched != nil {
		elector = a.watched
	}
	a.stage = newStage(a.play, a.peers, elector)
	rules := signal.Rules{Window: c.Correlation.Window.Milliseconds(), Floor: c.Correlation.Floor}
	correlator := reactor.NewCorrelator(a.log, correlatorRoom{a.rooms}, rules, o.Clock, a.component("correlator"))
	a.react = reactor.NewRunner(correlator, a.log, a.db, a.component("correlator"))
	a.keep = newKeeper(c.Data, a.log, a.world, correlator, a.component("snapshot"))
	if a.detect, err = newDetectors(a, c.Detection); err != nil {
		return err
	}
	a.flow.observe = a.detect.observe
	a.judged = appraise.New(appraise.Options{Log: a.log, Moved: a.detect.moved, Path: filepath.Join(c.Data, SnapshotDir, "detectors"), Logger: a.component("findings")})
	a.past = newPast(a, c.Data)
	if a.scoring, err = newScoring(ctx, a); err != nil {
		return err
	}
	if a.paging, err = newPaging(ctx, a); err != nil {
		return err
	}
	var components []web.Component
	for _, k := range c.Components {
		components = append(components, web.Component{Name: k.Name, Group: k.Group, Description: k.Description})
	}
	a.web = web.New(web.Options{
		Log: a.log, World: a.world, Rooms: a.rooms, Auth: a.auth, Gate: gate, Sources: a.sources, Hub: a.hub, Metrics: a.tsdb,
		Telemetry: a.chain, Chains: a.chain, Drills: a.drills(), Logger: a.component("web"), Clock: a.millis,
		Site: c.Organisation, StatusTitle: c.Status.Title, PublicURL: c.PublicURL, Components: components, Audiences: c.Status.Audiences, SeriesPerSource: c.Metrics.SeriesPerSource, Version: o.Version, Demo: o.Demo,
		Ready: a.ready.Load, Backups: a.spool(), Health: a.health, Presence: a.peers, Findings: a.judged, Upkeep: a.upkeep, Pulse: a.pulse, Direct: desk.Direct, Past: a.past, OnCall: a.paging.roster, Feeds: calendar.NewFeeds(a.db), PageLinks: a.paging.links, Pager: a.paging.pager, Watchdog: a.paging.dog, Notify: a.paging.office, Ahead: a.detect, Wallets: a.detect, Ruling: a.ruling, Replication: a.replication,
	})
	a.telling = &telling{to: a.peers.TellSamples}
	if a.peers.Shared() {
		a.tsdb.Tell(a.telling.add)
	}
	if a.figures, err = newFigures(a); err != nil {
		return err
	}
	if a.owed, err = newDeposits(ctx, a); err != nil {
		return err
	}
	a.auth.OnRevoke(func(owner string) { a.hub.EndOwner(owner, "Your access has changed. Sign in again.") })
	a.http = &http.Server{Handler: a.web, ReadHeaderTimeout: headerWait, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(a.component("http").Handler(), slog.LevelDebug)}
	if c.TLS.Cert != "" {
		files, err := newCertificates(c.TLS.Cert, c.TLS.Key, a.component("tls"), o.Clock)
		if err != nil {
			return err
		}
		a.http.TLSConfig = files.config()
	}
	a.http.RegisterOnShutdown(a.web.EndStreams)
	return nil
}

// HasAssets is true when the binary carries its styles and scripts.
func HasAssets() bool { return web.Built() }

// Asset is one of them by its name, like app.css, with its media type; ok is
// false when there is none. The bytes are not to be changed.
func Asset(name string) (mime string, body []byte, ok bool) { return web.File(name) }

// Handler answers the App's HTTP without its listener, for embedding.
func (a *App) Handler() http.Handler { return a.web }

func (a *App) drills() drills { return drills{a.play, a.peers, a.stage} }

// StartDrill plays a scenario, as the demo does: nothing of it leaves the building.
func (a *App) StartDrill(ctx context.Context, scenario string, speed float64) error {
	return a.drills().Start(ctx, auth.SystemActor("demo"), scenario, speed, false)
}
