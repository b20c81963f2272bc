// Package app composes the program: it opens the store, starts every room in
// order and stops them in the reverse one. Server, tests and desktop run the
// very same App; it holds no rule of its own.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/hub"
	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/exercise"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/metrics"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/reactor"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/internal/telemetry"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/web"
)

const (
	stopWithin = 10 * time.Second
	headerWait = 10 * time.Second
)

// Options are the outside of an App.
type Options struct {
	Config  config.Config
	Version string
	Logger  *slog.Logger
	// OpenStore opens a store that several replicas share, by its address; nil =
	// this program knows none. It may be called again after an error.
	OpenStore func(ctx context.Context, address string, log *slog.Logger) (store.DB, error)
	// BootstrapToken is an administrator API token for automation; "" = none.
	BootstrapToken string
	// Demo marks everything as a drill: for throw-away directories only.
	Demo bool
	// Clock is the time of commands; nil = the wall clock.
	Clock func() time.Time
}

// App is one running Tocsin.
type App struct {
	opt   Options
	db    store.DB
	id    string // of this replica; "" when the store is its own
	log   *eventlog.Log
	world *projection.World
	auth  *auth.Service
	rooms *room.Rooms
	hub   *hub.Hub
	tsdb  *metrics.Store
	watch *telemetry.Supervisor
	chain *chains
	play  *exercise.Player
	react *reactor.Runner
	web   *web.Server
	http  *http.Server
	ln    net.Listener
	ready atomic.Bool

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
	if err := a.compose(ctx); err != nil {
		return nil, err
	}
	if a.ln, err = net.Listen("tcp", o.Config.Addr); err != nil {
		return nil, fmt.Errorf("listen on %s: %w; is another program using the port? choose one with --addr", o.Config.Addr, err)
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
	sources := intake.NewSources(a.log, a.db, o.Clock)
	if err := sources.Refresh(ctx); err != nil {
		return fmt.Errorf("read the sources: %w", err)
	}
	if err := a.fixedSources(ctx, sources); err != nil {
		return err
	}
	desk := intake.NewDesk(a.log, o.Clock)
	gate := intake.NewGate(desk, sources, a.component("intake"))
	a.world = projection.New(a.log)
	a.rooms = room.New(a.log)
	// The hub asks the server for a topic's base; the server needs the hub.
	a.hub = hub.New(hub.Options{Build: o.Version, Base: func(topic string) int64 { return a.web.BaseOf(topic) }})
	flow := &flow{app: a, desk: desk}
	a.watch = telemetry.New(telemetry.Options{Sink: flow, Open: flow.open, Log: a.component("telemetry")})
	if a.chain, err = newChains(ctx, a, c.Chains); err != nil {
		return err
	}
	a.play = exercise.New(exercise.Options{
		Telemetry: a.chain, Findings: flow.drillFindings, Samples: flow.OnSamples, Note: a.drillNote, Clock: o.Clock, Log: a.component("drill"),
	})
	rules := signal.Rules{Window: c.Correlation.Window.Milliseconds(), Floor: c.Correlation.Floor}
	a.react = reactor.NewRunner(reactor.NewCorrelator(a.log, correlatorRoom{a.rooms}, rules, o.Clock, a.component("correlator")), a.log, a.db, a.component("correlator"))
	var components []web.Component
	for _, k := range c.Components {
		components = append(components, web.Component{Name: k.Name, Group: k.Group, Description: k.Description})
	}
	a.web = web.New(web.Options{
		Log: a.log, World: a.world, Rooms: a.rooms, Auth: a.auth, Gate: gate, Sources: sources, Hub: a.hub, Metrics: a.tsdb,
		Telemetry: a.watch, Chains: a.chain, Drills: drills{a.play}, Logger: a.component("web"), Clock: a.millis,
		Site: c.Organisation, StatusTitle: c.Status.Title, PublicURL: c.PublicURL, Components: components, Audiences: c.Status.Audiences, Version: o.Version, Demo: o.Demo,
		Ready: a.ready.Load, Backups: a.spool(),
	})
	a.auth.OnRevoke(func(owner string) { a.hub.EndOwner(owner, "Your access has changed. Sign in again.") })
	a.http = &http.Server{Handler: a.web, ReadHeaderTimeout: headerWait, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(a.component("http").Handler(), slog.LevelDebug)}
	a.http.RegisterOnShutdown(a.web.EndStreams)
	return a.chain.apply()
}

// HasAssets is true when the binary carries its styles and scripts.
func HasAssets() bool { return web.Built() }

// Addr is where the App listens, host:port.
func (a *App) Addr() string { return a.ln.Addr().String() }

// URL is the address people open.
func (a *App) URL() string {
	if u := a.opt.Config.PublicURL; u != "" {
		return strings.TrimSuffix(u, "/")
	}
	return LocalURL(a.Addr())
}

// LocalURL is the address by which people on this machine open a server that
// listens on addr: by the name localhost, because passkeys need a name.
func LocalURL(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "http://" + addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		host = "localhost"
		if ip.Equal(net.IPv4(127, 0, 0, 1)) && !localhostIsHere() {
			host = "127.0.0.1"
		}
	}
	return "http://" + net.JoinHostPort(host, port)
}

// localhostIsHere reports whether the name localhost leads to IPv4 loopback on this machine.
func localhostIsHere() bool {
	ips, err := net.LookupHost("localhost")
	if err != nil {
		return false
	}
	for _, ip := range ips {
		if ip == "127.0.0.1" {
			return true
		}
	}
	return false
}

// Handler answers the App's HTTP without its listener, for embedding.
func (a *App) Handler() http.Handler { return a.web }

// StartDrill plays a scenario, as the demo does.
func (a *App) StartDrill(ctx context.Context, scenario string, speed float64) error {
	return a.play.Start(ctx, scenario, speed, auth.SystemActor("demo").String())
}

// Run answers until ctx ends or a room fails, then stops in order: live sockets
// are told to come back, HTTP finishes what it has begun (ten seconds at most),
// reactors and collectors end, then what follows the log, then the store.
func (a *App) Run(ctx context.Context) error {
	defer a.close()
	// Three circles, ended from the outside in: who writes, who delivers, who follows the log.
	outer, endOuter := context.WithCancel(context.WithoutCancel(ctx))
	inner, endInner := context.WithCancel(context.WithoutCancel(ctx))
	defer endOuter()
	defer endInner()
	g, failed := errgroup.WithContext(ctx)
	run := func(ctx context.Context, name string, f func(context.Context) error) {
		g.Go(func() error {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	run(inner, "log", a.log.Run)
	if err := a.world.CatchUp(ctx); err != nil {
		endOuter()
		endInner()
		return errors.Join(err, g.Wait())
	}
	run(inner, "projection", a.world.Run)
	run(inner, "people", a.auth.Run)
	run(inner, "hub", a.hub.Run)
	run(inner, "live regions", a.web.Run)
	run(outer, "correlator", a.react.Run)
	run(outer, "telemetry", a.watch.Run)
	run(outer, "drills", a.play.Run)
	g.Go(func() error {
		if err := a.http.Serve(a.ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve HTTP: %w", err)
		}
		return nil
	})
	a.ready.Store(true)
	g.Go(func() error {
		<-failed.Done()
		a.ready.Store(false)
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		_ = a.hub.Stop(stop) // 1012 to every page first: they are connections that Shutdown does not see
		if err := a.http.Shutdown(stop); err != nil {
			_ = a.http.Close()
		}
		endOuter()
		endInner()
		return nil
	})
	return g.Wait()
}

func (a *App) close() {
	if a.ln != nil {
		_ = a.ln.Close()
	}
	if a.tsdb != nil {
		if err := a.tsdb.Close(); err != nil {
			a.opt.Logger.Error("close the metrics", "err", err)
		}
		a.tsdb = nil
	}
	if a.db != nil {
		if err := a.db.Close(); err != nil {
			a.opt.Logger.Error("close the store", "err", err)
		}
		a.db = nil
	}
}

// WaitReady returns when the App answers.
func (a *App) WaitReady(ctx context.Context, most time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !a.ready.Load() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the room to answer: %w", ctx.Err())
		}
	}
	return nil
}
