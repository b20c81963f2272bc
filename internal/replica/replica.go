// Package replica owns what the replicas of one room tell each other while they
// live: who is alive, what the chains look like, samples, who is where, which
// drill is played, and whether the store answers. It never carries a fact that
// anybody decides on: all of it may be lost, and the log has none of it.
package replica

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/store"
)

// Member is one replica as the others see it.
type Member struct {
	ID      string `json:"id"`
	URL     string `json:"url"` // where this one listens
	Version string `json:"version"`
	Started int64  `json:"started"` // unix ms
	// Collects is whether it watches the chains.
	Collects bool `json:"collects,omitempty"`
	// Gone is when it was heard to be no more, unix ms by our clock; 0 while it is alive.
	Gone int64 `json:"-"`
}

// Drill is the drill that a replica plays.
type Drill struct {
	Replica string  `json:"replica"`
	Key     string  `json:"key"`
	Name    string  `json:"name"`
	Since   int64   `json:"since"` // unix ms
	Speed   float64 `json:"speed"`
	Done    int     `json:"done"`          // per cent
	Out     bool    `json:"out,omitempty"` // people are paged for real
}

// Options of Peers. DB, Self and Log are required; what is nil is not called.
type Options struct {
	// DB is the store; one without store.Ephemeral makes everything local.
	DB   store.DB
	Self Member
	Log  *slog.Logger
	// Collects returns whether this replica watches the chains.
	Collects func() bool
	// View is called when a view of another replica has come; with "" when a chain
	// is there for the first time, or has gone.
	View func(chain string)
	// Samples takes what another replica measured, each batch once.
	Samples func([]chain.Sample)
	// Drill returns what is played here, nil for nothing.
	Drill func() *Drill
	// Rules takes what the replica that evaluates the rules says of them, nil when it says nothing any more.
	Rules func(said []byte)
	// StopDrill ends what is played here since a time, because somebody asked
	// another replica to. It may take some seconds.
	StopDrill func(ctx context.Context, since int64, by string)
}

// Peers is this replica among the others. All methods may be called from any
// number of goroutines and never wait for the store unless they say so.
type Peers struct {
	*Presence
	opt    Options
	eph    store.Ephemeral // nil: alone
	wake   chan struct{}   // capacity 1; full: a look is due already
	orders chan stopOrder  // capacity 1

	mu      sync.Mutex        // guards what follows; never held during a call to the store
	views   map[string]Seen   // to be told; one a chain
	batch   []chain.Sample    // to be told; at most batchBytes
	weight  int               // of batch
	lost    int64             // samples that were not told, over all time
	heard   map[string]Seen   // of others; one a chain
	members map[string]Member // others
	gone    map[string]Member // others that were; at most goneMost
	drills  map[string]Drill  // of others, by replica
	rules   []byte            // to be told, packed; nil: nothing is evaluated here
	ruling  string            // the other replica that told of rules last
}

// Seen is a chain as a replica saw it. Without a view it is one that has ended.
type Seen struct {
	Replica string     `json:"replica"`
	Title   string     `json:"title"` // what people call it
	Drill   bool       `json:"drill,omitempty"`
	View    chain.View `json:"view"`
}

// New returns the peers of a replica. Nothing is told or heard until Run.
func New(o Options) *Peers {
	p := &Peers{
		opt: o, wake: make(chan struct{}, 1), orders: make(chan stopOrder, 1),
		views: map[string]Seen{}, heard: map[string]Seen{}, members: map[string]Member{}, gone: map[string]Member{}, drills: map[string]Drill{},
	}
	p.Presence = newPresence(p.nudge)
	p.eph, _ = o.DB.(store.Ephemeral)
	return p
}

// Shared reports whether there may be other replicas.
func (p *Peers) Shared() bool { return p.eph != nil }

// Run tells and listens until ctx ends; then it returns nil. Trouble with the
// store is waited out.
func (p *Peers) Run(ctx context.Context) error {
	if p.eph == nil {
		<-ctx.Done()
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.tell(ctx) })
	g.Go(func() error { return Follow(ctx, p.opt.DB, prefix, p.opt.Log, p.hearAll, p.hear) })
	g.Go(func() error { return p.obey(ctx) })
	return g.Wait()
}

func (p *Peers) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// TellView shows a chain to the others: the newest view, four times a second at
// most, as soon as the store takes it. A drill's chain is to be ended with EndView.
func (p *Peers) TellView(v chain.View, title string, drill bool) {
	p.show(v.Chain, Seen{Replica: p.opt.Self.ID, Title: title, Drill: drill, View: v})
}

// EndView takes the view of a chain back, as a drill's end does.
func (p *Peers) EndView(chain string) { p.show(chain, Seen{}) }

func (p *Peers) show(chain string, s Seen) {
	if p.eph == nil {
		return
	}
	p.mu.Lock()
	p.views[chain] = s
	p.mu.Unlock()
	p.nudge()
}

// Seen returns the chains as other replicas see them, by name. A chain whose
// replica is gone is shown as it was seen last; its own times say how old it is.
func (p *Peers) Seen() []Seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Seen, 0, len(p.heard))
	for _, name := range slices.Sorted(maps.Keys(p.heard)) {
		out = append(out, p.heard[name])
	}
	return out
}

// Members returns the other replicas that are alive, by id.
func (p *Peers) Members() []Member {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.SortedFunc(maps.Values(p.members), func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
}

// Gone returns the other replicas that were alive in the last hour and are not,
// by id.
func (p *Peers) Gone() []Member {
	p.mu.Lock()
	defer p.mu.Unlock()
	since := time.Now().Add(-goneFor).UnixMilli()
	maps.DeleteFunc(p.gone, func(_ string, m Member) bool { return m.Gone < since })
	return slices.SortedFunc(maps.Values(p.gone), func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
}

// left notes who is no more. The caller holds mu.
func (p *Peers) left(m Member) {
	m.Gone, m.Collects = time.Now().UnixMilli(), false
	if len(p.gone) >= goneMost {
		oldest := slices.MinFunc(slices.Collect(maps.Values(p.gone)), func(a, b Member) int { return cmp.Compare(a.Gone, b.Gone) })
		delete(p.gone, oldest.ID)
	}
	p.gone[m.ID] = m
}

// Self returns this replica as the others see it.
func (p *Peers) Self() Member {
	m := p.opt.Self
	m.Collects = p.opt.Collects != nil && p.opt.Collects()
	return m
}

// Lost is how many samples were not told to the others, because they were too
// many at once or the store did not take them.
func (p *Peers) Lost() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

// Drill returns the drill that another replica plays, nil when none does; of
// several the one that began first.
func (p *Peers) Drill() *Drill {
	p.mu.Lock()
	defer p.mu.Unlock()
	var first *Drill
	for _, d := range p.drills {
		if first == nil || d.Since < first.Since || d.Since == first.Since && d.Replica < first.Replica {
			first = &d
		}
	}
	return first
}

// hearAll takes everything that is told at the moment of a (new) beginning.
func (p *Peers) hearAll(all []store.KV) {
	p.mu.Lock()
	members := p.members
	p.members, p.drills = map[string]Member{}, map[string]Drill{}
	ruling := p.ruling
	p.ruling = ""
	was := p.heard
	p.heard = map[string]Seen{}
	for name, s := range was {
		if !s.Drill {
			p.heard[name] = s // its replica may be gone, its picture is still the newest
		}
	}
	p.mu.Unlock()
	p.forgetOthers()
	for _, kv := range all {
		if kind, _ := split(kv.Key); kind != kindSamples { // old ones: we had them, or missed them
			p.hear(store.Op{Key: kv.Key, Value: kv.Value})
		}
	}
	p.mu.Lock()
	for id, m := range members {
		if _, still := p.members[id]; !still {
			p.left(m)
		}
	}
	p.mu.Unlock()
	p.mu.Lock()
	mute := ruling != "" && p.ruling == ""
	p.mu.Unlock()
	if mute && p.opt.Rules != nil {
		p.opt.Rules(nil)
	}
	p.viewChanged("")
}

// hear takes one thing that was told, or taken away. What cannot be read is of
// another version of the program, and passed over.
func (p *Peers) hear(op store.Op) {
	kind, name := split(op.Key)
	own := name == p.opt.Self.ID
	switch {
	case kind == kindView:
		p.hearView(name, op)
	case kind == kindStop && own && !op.Delete:
		p.hearStop(op.Value)
	case own:
	case kind == kindReplica:
		p.hearMember(name, op)
	case kind == kindRules:
		p.hearRules(name, op)
	case kind == kindDrill:
		hearInto(p, &p.drills, name, op)
	case kind == kindPresence:
		var there map[string][]string
		if !op.Delete && json.Unmarshal(op.Value, &there) != nil {
			return
		}
		p.hearPresence(name, there)
	case kind == kindSamples && !op.Delete:
		var list []chain.Sample
		if unpack(op.Value, &list) == nil && len(list) > 0 && p.opt.Samples != nil {
			p.opt.Samples(list)
		}
	}
}

func (p *Peers) hearMember(name string, op store.Op) {
	p.mu.Lock()
	m, was := p.members[name]
	p.mu.Unlock()
	hearInto(p, &p.members, name, op)
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, is := p.members[name]; is {
		delete(p.gone, name)
	} else if was {
		p.left(m)
	}
}

// hearInto keeps a plain record by its replica.
func hearInto[T any](p *Peers, into *map[string]T, name string, op store.Op) {
	var v T
	bad := !op.Delete && json.Unmarshal(op.Value, &v) != nil
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case op.Delete:
		delete(*into, name)
	case !bad:
		(*into)[name] = v
	}
}

func (p *Peers) hearView(name string, op store.Op) {
	var s Seen
	if !op.Delete && (unpack(op.Value, &s) != nil || s.View.Chain != name) {
		return
	}
	if !op.Delete && s.Replica == p.opt.Self.ID {
		return
	}
	p.mu.Lock()
	was, had := p.heard[name]
	switch {
	case !op.Delete:
		p.heard[name] = s
	case had && was.Drill:
		delete(p.heard, name) // a drill's chain ends with its drill
	}
	_, has := p.heard[name]
	p.mu.Unlock()
	switch {
	case had != has:
		p.viewChanged("")
	case !op.Delete:
		p.viewChanged(name)
	}
}

func (p *Peers) viewChanged(name string) {
	if p.opt.View != nil {
		p.opt.View(name)
	}
}

// age is how often what is true all along is told again, in case the store has
// forgotten it in an outage.
const age = 15 * time.Second

// Who is gone is remembered for a while.
const (
	goneFor  = time.Hour
	goneMost = 64
)
