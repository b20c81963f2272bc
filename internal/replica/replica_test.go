package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is some replicas on one store.
type house struct {
	t  *testing.T
	db *mem.DB
}

// one is a running replica and what it heard.
type one struct {
	*Peers
	db      *mem.Replica
	mu      sync.Mutex
	samples []chain.Sample
	views   []string
	drill   *Drill
	rules   string
	stopped string
	die     func()

	collects atomic.Bool
}

// inHouse runs f in a bubble of its own time.
func inHouse(t *testing.T, f func(*testing.T, *house)) {
	synctest.Test(t, func(t *testing.T) { f(t, &house{t: t, db: mem.Open(mem.Options{KeepCount: 1 << 16})}) })
}

func (h *house) start(id string) *one {
	o := &one{db: h.db.Replica()}
	o.Peers = New(Options{
		DB: o.db, Self: Member{ID: id, URL: "http://" + id, Version: "v1"}, Log: slog.New(slog.DiscardHandler),
		Collects: o.collects.Load,
		View:     func(c string) { o.mu.Lock(); o.views = append(o.views, c); o.mu.Unlock() },
		Samples:  func(l []chain.Sample) { o.mu.Lock(); o.samples = append(o.samples, l...); o.mu.Unlock() },
		Rules:    func(said []byte) { o.mu.Lock(); o.rules = string(said); o.mu.Unlock() },
		Drill:    func() *Drill { o.mu.Lock(); defer o.mu.Unlock(); return o.drill },
		StopDrill: func(_ context.Context, since int64, by string) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.drill, o.stopped = nil, fmt.Sprint(since, by)
		},
	})
	ctx, cancel := context.WithCancel(h.t.Context())
	var run sync.WaitGroup
	run.Go(func() {
		if err := o.Run(ctx); err != nil {
			h.t.Error(err)
		}
	})
	o.die = sync.OnceFunc(func() {
		cancel()
		run.Wait()
		if err := o.db.Close(); err != nil {
			h.t.Error(err)
		}
	})
	h.t.Cleanup(o.die)
	return o
}

// later lets everything that was begun come to rest.
func later(d time.Duration) { time.Sleep(d); synctest.Wait() }

func TestWhoIsAlive(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		a, b := h.start("a"), h.start("b")
		later(time.Second)
		if got := a.Members(); len(got) != 1 || got[0] != (Member{ID: "b", URL: "http://b", Version: "v1"}) {
			t.Errorf("a knows %+v", got)
		}
		c := h.start("c") // hears of those who were there before
		later(time.Second)
		if got := c.Members(); len(got) != 2 || got[0].ID != "a" || got[1].ID != "b" {
			t.Errorf("c knows %+v", got)
		}
		b.die()
		later(time.Second)
		if got := a.Members(); len(got) != 1 || got[0].ID != "c" {
			t.Errorf("after the death of b a knows %+v", got)
		}
		if got := a.Gone(); len(got) != 1 || got[0].ID != "b" || got[0].Version != "v1" || time.Now().UnixMilli()-got[0].Gone > 1000 {
			t.Errorf("gone: %+v", got)
		}
		b = h.start("b") // as after an upgrade
		b.collects.Store(true)
		later(2 * time.Second)
		if got := a.Members(); len(got) != 2 || !got[0].Collects || got[1].Collects || len(a.Gone()) != 0 {
			t.Errorf("b is back: %+v, gone %+v", got, a.Gone())
		}
		b.die()
		later(2 * time.Hour)
		if got := a.Gone(); len(got) != 0 {
			t.Errorf("never forgotten: %+v", got)
		}
	})
}

func TestPresence(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		a, b := h.start("a"), h.start("b")
		leave1 := a.Enter("incident/1", "ana")
		leave2 := a.Enter("incident/1", "ana")
		defer a.Enter("board", "ana")()
		bo := b.Enter("incident/1", "bo")
		if got := a.Who("incident/1"); !slices.Equal(got, []string{"ana"}) {
			t.Errorf("at once: %v", got)
		}
		later(time.Second)
		for _, o := range []*one{a, b} {
			if got := o.Who("incident/1"); !slices.Equal(got, []string{"ana", "bo"}) {
				t.Errorf("%v", got)
			}
			if topics, err := o.Changes(t.Context()); err != nil || !slices.Equal(topics, []string{"board", "incident/1"}) {
				t.Errorf("changes %v, %v", topics, err)
			}
		}
		leave1()
		leave1() // does nothing
		later(time.Second)
		if got := b.Who("incident/1"); len(got) != 2 {
			t.Errorf("left once of two: %v", got)
		}
		leave2()
		later(time.Second)
		if got := b.Who("incident/1"); !slices.Equal(got, []string{"bo"}) {
			t.Errorf("left: %v", got)
		}
		a.die()
		later(time.Second)
		if got := b.Who("board"); len(got) != 0 {
			t.Errorf("the dead replica's people: %v", got)
		}
		if topics, err := b.Changes(t.Context()); err != nil || !slices.Equal(topics, []string{"board", "incident/1"}) {
			t.Errorf("changes %v, %v", topics, err)
		}
		bo()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if topics, err := b.Changes(ctx); err != nil || len(topics) != 1 {
			t.Errorf("changes %v, %v", topics, err)
		}
		if topics, err := b.Changes(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("changes %v, %v", topics, err)
		}
	})
}

// TestViews: the newest view comes, a flood is thinned, and a picture outlives
// its replica, except a drill's.
func TestViews(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		a, b := h.start("a"), h.start("b")
		later(time.Second)
		before, _ := h.db.Revision(t.Context())
		const flood = 1000
		for i := range int64(flood) {
			a.TellView(chain.View{Chain: "eth", Height: i, At: 5000 + i}, "Ethereum", false)
			time.Sleep(time.Millisecond)
		}
		a.TellView(chain.View{Chain: "sim", Height: 7}, "Simulated", true)
		later(time.Second)
		after, _ := h.db.Revision(t.Context())
		if n := after - before; n < 3 || n > 10 {
			t.Errorf("%d tellings of a second's views", n)
		}
		got := b.Seen()
		if len(got) != 2 || got[0].Title != "Ethereum" || got[0].View.Height != flood-1 || got[0].View.At != 5000+flood-1 || got[0].Replica != "a" || !got[1].Drill {
			t.Errorf("%+v", got)
		}
		all, one := 0, 0
		for _, v := range b.views {
			switch v {
			case "":
				all++
			case "eth":
				one++
			}
		}
		if all != 3 || one < 2 || one > 9 { // the beginning and two chains that came
			t.Errorf("told of %d and %d changes: %v", all, one, b.views)
		}
		if len(a.Seen()) != 0 {
			t.Errorf("a heard itself: %+v", a.Seen())
		}
		a.EndView("sim")
		later(time.Second)
		if got := b.Seen(); len(got) != 1 {
			t.Errorf("after the drill: %+v", got)
		}
		a.TellView(chain.View{Chain: "sim", Height: 8}, "Simulated", true)
		later(time.Second)
		a.die()
		later(time.Second)
		if got := b.Seen(); len(got) != 1 || got[0].View.Chain != "eth" {
			t.Errorf("after the replica: %+v", got)
		}
	})
}

// TestSamples: every sample once, in order, in batches; too many at once lose
// the oldest and say how many.
func TestSamples(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		a, b := h.start("a"), h.start("b")
		later(time.Second)
		sample := func(i int) chain.Sample {
			return chain.Sample{Name: "tocsin_chain_head_height", Labels: map[string]string{"chain": "eth"}, At: int64(i), Value: float64(i)}
		}
		for i := range 3000 {
			a.TellSamples([]chain.Sample{sample(i)})
			time.Sleep(time.Millisecond)
		}
		later(2 * time.Second)
		if len(b.samples) != 3000 || len(a.samples) != 0 {
			t.Fatalf("b has %d, a %d", len(b.samples), len(a.samples))
		}
		for i, s := range b.samples {
			if s.At != int64(i) {
				t.Fatalf("sample %d is %d", i, s.At)
			}
		}
		if a.Lost() != 0 {
			t.Errorf("%d lost", a.Lost())
		}
		var flood []chain.Sample
		for i := range 10000 {
			flood = append(flood, sample(i))
		}
		b.samples = nil
		a.TellSamples(flood)
		later(2 * time.Second)
		if n := len(b.samples); n < 1000 || int64(n)+a.Lost() != 10000 || b.samples[n-1].At != 9999 {
			t.Errorf("%d came, %d lost", n, a.Lost())
		}
		c := h.start("c") // old batches are not heard again
		later(time.Second)
		if len(c.samples) != 0 {
			t.Errorf("%d old samples", len(c.samples))
		}
	})
}

func TestDrills(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		a, b := h.start("a"), h.start("b")
		a.mu.Lock()
		a.drill = &Drill{Key: "nomad", Name: "Nomad", Since: 42, Speed: 60}
		a.mu.Unlock()
		later(2 * time.Second)
		d := b.Drill()
		if d == nil || *d != (Drill{Replica: "a", Key: "nomad", Name: "Nomad", Since: 42, Speed: 60}) {
			t.Fatalf("%+v", d)
		}
		if a.Drill() != nil {
			t.Error("a heard its own drill")
		}
		if err := b.AskStop(t.Context(), *d, "person:bo"); err != nil {
			t.Fatal(err)
		}
		if a.stopped != "42person:bo" || b.Drill() != nil {
			t.Errorf("%q %+v", a.stopped, b.Drill())
		}
		a.mu.Lock()
		a.drill = &Drill{Key: "nomad", Since: 43}
		a.mu.Unlock()
		later(2 * time.Second)
		a.opt.StopDrill = nil // does not obey
		if err := b.AskStop(t.Context(), *b.Drill(), "person:bo"); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("not obeyed: %v", err)
		}
		a.die()
		later(time.Second)
		if b.Drill() != nil {
			t.Error("the drill outlived its replica")
		}
	})
}

// TestAlone: on a store of its own a replica behaves the same, without anybody else.
func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{DB: mem.New(), Self: Member{ID: "a"}, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { _ = p.Run(ctx) })
		defer run.Wait()
		defer cancel()
		p.TellView(chain.View{Chain: "eth"}, "", false)
		p.TellSamples([]chain.Sample{{Name: "x"}})
		leave := p.Enter("board", "ana")
		if !slices.Equal(p.Who("board"), []string{"ana"}) || p.Shared() || p.Drill() != nil || len(p.Seen()) != 0 || p.Lost() != 0 {
			t.Error("alone")
		}
		leave()
		if len(p.views)+len(p.batch) != 0 {
			t.Error("what nobody will be told is kept")
		}
	})
}

// broken is a store that fails while it is told to.
type broken struct {
	*mem.Replica
	mu   sync.Mutex
	bad  bool // nothing is answered
	full bool // nothing is taken
}

var errDown = errors.New("no quorum")

func (b *broken) down(bad bool) { b.mu.Lock(); b.bad = bad; b.mu.Unlock() }
func (b *broken) err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bad {
		return errDown
	}
	return nil
}

func (b *broken) Get(ctx context.Context, key []byte) (store.KV, error) {
	if err := b.err(); err != nil {
		return store.KV{}, err
	}
	return b.Replica.Get(ctx, key)
}

func (b *broken) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	b.mu.Lock()
	full := b.full
	b.mu.Unlock()
	if err := b.err(); err != nil || full {
		return 0, errors.Join(err, errDown)
	}
	return b.Replica.Commit(ctx, txn)
}

// prober runs one on a store that may break.
func prober(t *testing.T, db *broken) (*Prober, *Watched, *bytes.Buffer) {
	said := &bytes.Buffer{}
	w := Watch(db)
	p := NewProber(w, "a", "etcd://x", func() int64 { return time.Now().UnixMilli() }, slog.New(slog.NewTextHandler(said, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { _ = p.Run(ctx) })
	t.Cleanup(func() { cancel(); run.Wait() })
	return p, w, said
}

// TestHealthOfOneWhoseCallFailed: a command that fails is looked into at once.
func TestHealthOfOneWhoseCallFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &broken{Replica: mem.New().Replica()}
		p, w, _ := prober(t, db)
		later(10*time.Second + 300*time.Millisecond)
		db.down(true)
		if _, err := w.Get(t.Context(), []byte("x")); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, errDown) || err.Error() != errDown.Error() {
			t.Errorf("failed with %v", err)
		}
		later(100 * time.Millisecond)
		if !p.Health().ReadOnly {
			t.Error("not looked at once")
		}
		db.down(false)
		later(1100 * time.Millisecond)
		if o := p.Outages(); p.Health().ReadOnly || o.Number != 1 || o.Lasted < 500*time.Millisecond || o.Lasted > 2*time.Second {
			t.Errorf("after it: %+v %+v", p.Health(), o)
		}
		// One that fails alone is not an outage, nor is one whose caller went away.
		if _, err := w.Commit(t.Context(), store.Txn{If: []store.Cond{{Key: []byte("x"), Rev: 7}}}); !errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("conflict: %v", err)
		}
		w.heard(t.Context(), errDown)
		later(3 * time.Second)
		if p.Health().ReadOnly {
			t.Error("read-only for one failure")
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.heard(gone, errDown); errors.Is(err, store.ErrUnavailable) {
			t.Error("who went away blames the store")
		}
	})
}

// TestHealthOfFullStore: one that can be read but takes nothing is read-only:
// within seconds when nobody writes, at once when somebody does.
func TestHealthOfFullStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &broken{Replica: mem.New().Replica()}
		p, w, said := prober(t, db)
		full := func(b bool) { db.mu.Lock(); db.full = b; db.mu.Unlock() }
		for _, write := range []bool{false, true} {
			later(time.Minute)
			full(true)
			wait := writeEvery + troubleMost + probeEvery
			if write {
				if _, err := w.Commit(t.Context(), store.Txn{}); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("commit: %v", err)
				}
				wait = 300 * time.Millisecond
			}
			later(wait)
			if h := p.Health(); !h.ReadOnly || !strings.Contains(h.Why, "takes nothing") {
				t.Fatalf("write=%v: %+v", write, h)
			}
			later(time.Hour)
			full(false)
			later(1100 * time.Millisecond)
			if h := p.Health(); h.ReadOnly {
				t.Errorf("mended: %+v", h)
			}
		}
		if strings.Count(said.String(), "takes no writes") != 2 || strings.Count(said.String(), "takes writes again") != 2 {
			t.Errorf("said %s", said)
		}
	})
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &broken{Replica: mem.New().Replica()}
		p, _, _ := prober(t, db)
		later(10 * time.Second)
		if h := p.Health(); h != (Health{Replica: "a"}) {
			t.Errorf("well: %+v", h)
		}
		db.down(true)
		began := time.Now().UnixMilli()
		later(1900 * time.Millisecond)
		if p.Health().ReadOnly {
			t.Error("a moment is an outage")
		}
		later(2 * time.Second)
		if h := p.Health(); !h.ReadOnly || h.Since < began || h.Since > began+1000 || h.Why == "" {
			t.Errorf("down: %+v", h)
		}
		later(time.Hour)
		if h := p.Health(); h.Since > began+1000 {
			t.Errorf("since moved: %+v", h)
		}
		db.down(false)
		later(1100 * time.Millisecond)
		if h := p.Health(); h != (Health{Replica: "a"}) {
			t.Errorf("well again: %+v", h)
		}
	})
}

func TestRules(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		a, b := h.start("a"), h.start("b")
		later(time.Second)
		tell := func(o *one, said string) {
			t.Helper()
			var value []byte
			if said != "" {
				value = []byte(said)
			}
			if err := o.TellRules(value); err != nil {
				t.Fatal(err)
			}
			later(time.Second)
		}
		hears := func(o *one, want string) {
			t.Helper()
			o.mu.Lock()
			defer o.mu.Unlock()
			if o.rules != want {
				t.Errorf("heard %q, want %q", o.rules, want)
			}
		}
		tell(a, `{"n":1}`)
		hears(b, `{"n":1}`)
		hears(a, "")
		c := h.start("c") // hears what was told before
		later(time.Second)
		hears(c, `{"n":1}`)
		tell(b, `{"n":2}`) // the work passes on before the one that had it has said so
		tell(a, "")
		hears(c, `{"n":2}`)
		hears(a, `{"n":2}`)
		b.die()
		later(time.Second)
		hears(a, "")
		hears(c, "")
		noise := make([]byte, 0, 1<<20)
		for i, x := 0, uint32(1); i < 1<<20; i++ {
			x = x*1664525 + 1013904223
			noise = append(noise, "0123456789abcdef"[x>>28])
		}
		if err := a.TellRules([]byte(`"` + string(noise) + `"`)); err == nil {
			t.Error("a megabyte was told")
		}
	})
}
