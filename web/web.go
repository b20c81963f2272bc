// Package web owns HTTP: routes and who may use them, sessions on the wire,
// the error table, presenters from state to view models, the live renderer and
// the embedded assets. It decides nothing about incidents: commands go to room,
// everything shown comes from projection, telemetry and metrics.
package web

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/hub"
	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/calendar"
	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/metrics"
	"github.com/tocsin-ops/tocsin/internal/notify"
	"github.com/tocsin-ops/tocsin/internal/pager"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/replica"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/roster"
	"github.com/tocsin-ops/tocsin/internal/watchdog"
)

// Telemetry is what pages see of the chains.
type Telemetry interface {
	Views() []chain.View
}

// Chains changes which chains are watched and how.
type Chains interface {
	// List returns the configured chains in the order of configuration, without secrets.
	List() []ChainSetting
	// Test asks a node who it is; the sentence is for people.
	Test(ctx context.Context, url string) ChainTest
	// Add starts watching; the error is a refusal with a sentence.
	Add(ctx context.Context, by auth.Actor, name string, nodes []ChainNode) error
	// Operate says who runs the nodes of a chain that was added here, by the nodes' names; "" = taken from the address.
	Operate(ctx context.Context, by auth.Actor, id string, operators map[string]string) error
	// Remove stops watching.
	Remove(ctx context.Context, by auth.Actor, name string) error
}

// ChainSetting is one watched chain as settings show it.
type ChainSetting struct {
	ID, Name, Family string
	Fixed            bool // from the configuration file: it cannot be removed here
	Drill            bool // fed by a drill
	Nodes            []string
	Operators        []ChainOperator // of Nodes, in their order; none for a drill
}

// ChainNode is a node to be watched. URL may hold credentials.
type ChainNode struct{ URL, Operator string }

// ChainOperator is who runs a node: what somebody said ("" = nobody did), and what it counts as.
type ChainOperator struct{ Node, Said, Is string }

// ChainTest is what a node answered when its address was tried.
type ChainTest struct {
	OK      bool   `json:"ok"`
	Chain   string `json:"chain"`
	ChainID string `json:"chain_id"`
	Family  string `json:"family"`
	Client  string `json:"client"`
	Head    int64  `json:"head"`
	HeadAt  int64  `json:"head_at"`
	Says    string `json:"says"`
}

// Drills plays scenarios.
type Drills interface {
	Scenarios() []DrillScenario
	Running() *DrillRun
	// Start begins a scenario at a speed (1 = as it was); with out its pages reach people for real. The error is a refusal.
	Start(ctx context.Context, by auth.Actor, key string, speed float64, out bool) error
	// Stop ends the running one; stopping nothing is no error.
	Stop(ctx context.Context, by auth.Actor) error
}

// DrillScenario is one drill that can be played.
type DrillScenario struct {
	Key, Name, Text string
	Figures         [][2]string // label, value
	Length          time.Duration
}

// DrillRun is a drill in progress.
type DrillRun struct {
	Key, Name string
	Since     int64
	Speed     float64
	Done      int  // per cent
	Out       bool // people are paged for real
}

// Component is one entry of the status page.
type Component struct{ Name, Group, Description string }

// Options are everything a Server needs. All fields are required unless said otherwise.
type Options struct {
	Log       *eventlog.Log
	World     *projection.World
	Rooms     *room.Rooms
	Auth      *auth.Service
	Gate      *intake.Gate
	Sources   *intake.Sources
	Hub       *hub.Hub
	Metrics   *metrics.Store
	Telemetry Telemetry
	Chains    Chains
	Drills    Drills
	Logger    *slog.Logger
	Clock     func() int64 // unix ms

	Site        string      // name of the organisation; "" prints the product's
	StatusTitle string      // heading of the status page; "" = Site
	PublicURL   string      // outside address without trailing slash; "" = from the request
	Components  []Component // of the status page, in order
	Audiences   []string    // gated audiences beside public
	Version     string      // build id
	Demo        bool        // the whole installation is a demo: every page says DRILL
	Ready       func() bool // nil = always
	Backups     Backups     // nil = none are made here

	SeriesPerSource int // of a source of metrics at a time; 0 = the store's default

	Health      func() Health      // asked with every request and once a second, so it answers from memory; nil = everything can be written
	Replication func() Replication // asked by pages and figures, so it answers from memory; nil = this one is alone
	Upkeep      Upkeep             // maintenance windows and grouping rules; nil = none are kept here
	Pulse       Pulse              // heartbeats; nil = none are judged here
	Direct      Direct             // quiets and wakes one signal; nil = nothing is quieted here
	Findings    Findings           // figures of the detectors and verdicts; nil = nothing is judged here
	Past        Past               // what past incidents teach; nil = nothing is learned here
	Wallets     Wallets            // the graph of addresses; nil = none is kept here
	Ahead       Ahead              // what is likely to happen next; nil = nothing is forecast here
	Ruling      Ruling             // what the rules of the rule files say; nil = there are none here
	OnCall      *roster.Service    // who is on call; nil = nobody knows here
	Feeds       *calendar.Feeds    // calendars of on-call; nil = none are given out here
	Pager       *pager.Pager       // tells figures; nil = nobody is paged from here
	Watchdog    *watchdog.Watchdog // tells figures; nil = there is none
	PageLinks   PageLinks          // links in the messages of pages; nil = there are none
	Notify      *notify.Office     // how people are reached; nil = nobody is notified from here
	Presence    Presence           // who has which room open, on all replicas; nil = on this one
}

// Server answers HTTP. It starts nothing until Run.
type Server struct {
	Options
	echo   *echo.Echo
	routes []Route
	live   *live
	status *statusPages
	assets *assets
	tally  *tally
	people *attendance
	inbox  inbox
	hands  hands
	typed  typedPast
	heed   heed

	instance string // names this process in what it alone counts; see live_since.go

	ending   chan struct{} // closed by EndStreams
	endsOnce sync.Once

	strangers  int           // live sockets above which nobody gets one who has not signed in
	houseEvery time.Duration // how often it is looked whether something can be written, and who has left a room
	recheck    time.Duration // how often a stream asks whether its credential still holds

	attentionBeat time.Duration // how often attention is told anew when nothing changes
}

// New builds the routes.
func New(o Options) *Server {
	s := &Server{Options: o, echo: echo.New(), tally: newTally(), ending: make(chan struct{}), strangers: 10_000, recheck: 5 * time.Second, attentionBeat: 10 * time.Second, houseEvery: time.Second, instance: rand.Text()[:10]}
	if s.Ready == nil {
		s.Ready = func() bool { return true }
	}
	if s.Health == nil {
		s.Health = func() Health { return Health{} }
	}
	if s.Replication == nil {
		s.Replication = func() Replication { return Replication{} }
	}
	if s.Presence == nil {
		s.Presence = replica.NewPresence()
	}
	s.people = newAttendance(s.Presence, s.now)
	s.echo.HideBanner, s.echo.HidePort = true, true
	s.echo.HTTPErrorHandler = s.handleError
	s.live = newLive(s)
	s.status = newStatusPages(s)
	s.assets = newAssets(s)
	s.middleware()
	s.register()
	return s
}

// ServeHTTP makes the server an http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.fast(w, r) {
		s.echo.ServeHTTP(w, r)
	}
}

// Run renders live regions and packs public documents until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.live.run(ctx) })
	g.Go(func() error { return s.status.run(ctx) })
	return g.Wait()
}

// EndStreams ends the answers that would go on for ever, so that a graceful
// shutdown does not wait for those who follow the log. It may be called again.
func (s *Server) EndStreams() { s.endsOnce.Do(func() { close(s.ending) }) }

// now is the server's time, unix ms.
func (s *Server) now() int64 { return s.Clock() }
