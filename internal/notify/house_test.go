package notify

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// provider is a sender that a test speaks for.
type provider struct {
	kind string

	mu   sync.Mutex
	got  []Parcel
	at   []time.Time
	says func(ctx context.Context, p Parcel) (Answer, error) // nil: takes everything
}

func (p *provider) Kind() string { return p.kind }

func (p *provider) Send(ctx context.Context, parcel Parcel) (Answer, error) {
	p.mu.Lock()
	p.got, p.at = append(p.got, parcel), append(p.at, time.Now())
	says := p.says
	p.mu.Unlock()
	if says == nil {
		return Answer{Detail: "taken"}, nil
	}
	return says(ctx, parcel)
}

func (p *provider) parcels() []Parcel {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Parcel(nil), p.got...)
}

// house is an Office with providers, on a store in memory and the clock of a bubble.
type house struct {
	t    *testing.T
	db   store.DB
	n    *Office
	by   map[string]*provider
	mu   sync.Mutex
	told []Receipt
	deaf bool // receipts are not taken
	stop func()
}

func newHouse(t *testing.T, db store.DB) *house {
	h := &house{t: t, db: db, by: map[string]*provider{}}
	var senders []Sender
	for _, k := range Kinds {
		h.by[k] = &provider{kind: k}
		senders = append(senders, h.by[k])
	}
	h.n = New(Options{DB: db, Senders: senders, Base: func() string { return "https://tocsin.example" }, Receipts: func(_ context.Context, list []Receipt) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.deaf {
			return fmt.Errorf("not now")
		}
		h.told = append(h.told, list...)
		return nil
	}})
	return h
}

func (h *house) run() {
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := h.n.Run(ctx); err != nil {
			h.t.Error(err)
		}
	}()
	h.stop = func() { cancel(); <-done }
}

func (h *house) receipts() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := ""
	for _, r := range h.told {
		out += fmt.Sprintf("%s %s %s %d: %s\n", r.Message, r.Label, r.Outcome, r.Attempt, r.Detail)
	}
	return out
}

// routes gives a person confirmed routes.
func (h *house) routes(person string, list ...Route) {
	for i := range list {
		list[i].ID = fmt.Sprintf("r%d", i+1)
		if list[i].Label == "" {
			list[i].Label = labels[list[i].Kind]
		}
		if list[i].Verified == 0 {
			list[i].Verified = 1
		} else if list[i].Verified < 0 {
			list[i].Verified = 0
		}
		if list[i].Kind == Push && list[i].Push == nil {
			list[i].Push = &Subscription{Endpoint: "https://push.example/x"}
		}
	}
	if err := h.n.change(h.t.Context(), person, func(l *routeList) error { l.List = list; return nil }); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) submit(list ...Message) {
	h.t.Helper()
	if err := h.n.Submit(h.t.Context(), list); err != nil {
		h.t.Fatal(err)
	}
}

func page(incident int64, person string) Message {
	return Message{ID: fmt.Sprintf("p%d-%s", incident, person), Person: person, Kind: KindPage, Incident: incident, Severity: "SEV2", Title: "Withdrawals are stuck",
		Sentence: "Nothing has left the hot wallet for 9 minutes.", Cost: "$1,200 a minute", URL: fmt.Sprintf("https://tocsin.example/incidents/%d", incident), At: time.Now().UnixMilli()}
}

// empty says that nothing is left in the outbox.
func (h *house) empty() bool {
	for range h.db.Scan(h.t.Context(), prefixRange(outPrefix)) {
		return false
	}
	return true
}

// bubble runs a test on its own clock.
func bubble(t *testing.T, with func(t *testing.T, h *house)) {
	synctest.Test(t, func(t *testing.T) {
		db := mem.New()
		defer db.Close()
		h := newHouse(t, db)
		h.run()
		defer func() { h.stop() }()
		with(t, h)
	})
}

// mortal is a store whose process dies after so many writes: the next one fails, and everything after it.
type mortal struct {
	*mem.DB
	mu   sync.Mutex
	left int
}

func (m *mortal) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	m.mu.Lock()
	m.left--
	dead := m.left < 0
	m.mu.Unlock()
	if dead {
		return 0, store.ErrUnavailable
	}
	return m.DB.Commit(ctx, txn)
}
