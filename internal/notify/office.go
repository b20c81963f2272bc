package notify

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/store"
)

const (
	// MaxOutbox is how many messages wait at most; Submit refuses more with ErrFull.
	MaxOutbox = 20_000
	// KeepDone is how long the ID of a message that is over is remembered.
	KeepDone = 7 * 24 * time.Hour
	maxField = 2 << 10 // bytes of each text of a message
)

// Options are what an Office needs.
type Options struct {
	DB      store.DB
	Senders []Sender // at most one of a kind
	// Receipts is told every receipt, at least once; an error: again later. It must return soon. Nil: nobody is told.
	Receipts func(ctx context.Context, list []Receipt) error
	PushKey  string // public key of this installation for web push, see LoadPushKeys; "" = none
	// Base is the outside address of this server without trailing slash, for links; nil or "" = none.
	Base func() string
	Off  map[string]string // kinds without a sender: what to configure
	// Rights says what somebody is now; it is asked whenever something is sent, so that routes do not outlive rights. Nil: everybody may everything.
	Rights func(person string) Rights
	Logger *slog.Logger
	Clock  func() int64 // unix ms; nil = the machine's

	Bundle   time.Duration // messages to one person over one route are at least so far apart; what comes between goes as one. 0 = 5 s
	Patience time.Duration // how long a route may be troubled before the next is used as well. 0 = 15 s
}

// Office keeps the outbox and the routes in the store, and sends. It implements Courier. All methods may be called from any number of goroutines, on
// every replica; Run of one of them sends.
type Office struct {
	Options
	senders map[string]Sender
	figures figures

	mu    sync.Mutex
	count int // messages in the outbox as last counted
	asked int64
}

var _ Courier = (*Office)(nil)

// New returns an Office; Run starts it.
func New(o Options) *Office {
	if o.Clock == nil {
		o.Clock = func() int64 { return time.Now().UnixMilli() }
	}
	if o.Bundle == 0 {
		o.Bundle = 5 * time.Second
	}
	if o.Patience == 0 {
		o.Patience = 15 * time.Second
	}
	if o.Base == nil {
		o.Base = func() string { return "" }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	n := &Office{Options: o, senders: map[string]Sender{}}
	for _, s := range o.Senders {
		n.senders[s.Kind()] = s
	}
	return n
}

// Submit keeps the messages durably before it returns, and is nothing for those whose ID is known. ErrFull: MaxOutbox wait, about; none was taken.
func (n *Office) Submit(ctx context.Context, list []Message) error {
	for i := range list {
		if err := list[i].check(); err != nil {
			return fmt.Errorf("submit message %d of %d: %w", i+1, len(list), err)
		}
	}
	if err := n.room(ctx, len(list)); err != nil {
		return err
	}
	seen := map[string]bool{}
	var batch []Message
	most := store.OpLimit(n.DB) / 2 // two conditions each
	for i, m := range list {
		if !seen[m.ID] {
			seen[m.ID] = true
			batch = append(batch, m)
		}
		if len(batch) > 0 && (len(batch) == most || i == len(list)-1) {
			if err := n.put(ctx, batch); err != nil {
				return err
			}
			batch = nil
		}
	}
	return nil
}

// put writes messages in one Txn; when one of them is known already, each alone.
func (n *Office) put(ctx context.Context, list []Message) error {
	var txn store.Txn
	for _, m := range list {
		j := job{Message: m}
		txn.If = append(txn.If, store.Cond{Key: []byte(outKey(m))}, store.Cond{Key: []byte(doneKey(m.ID))})
		txn.Then = append(txn.Then, store.Op{Key: []byte(outKey(m)), Value: j.encode()})
	}
	_, err := n.DB.Commit(ctx, txn)
	switch {
	case errors.Is(err, store.ErrConflict) && len(list) == 1:
		return nil // it is there, or over
	case errors.Is(err, store.ErrConflict):
		for _, m := range list {
			if err := n.put(ctx, []Message{m}); err != nil {
				return err
			}
		}
		return nil
	case err != nil:
		return fmt.Errorf("keep %d messages: %w", len(list), err)
	}
	return nil
}

// room refuses more than the outbox holds. It counts at most once a second, so the bound is met with what is submitted in a second on each replica.
func (n *Office) room(ctx context.Context, more int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := n.Clock(); now-n.asked >= 1000 {
		n.count, n.asked = 0, now
		for _, err := range n.DB.Scan(ctx, prefixRange(outPrefix)) {
			if err != nil {
				n.asked = 0
				return fmt.Errorf("count the outbox: %w", err)
			}
			n.count++
		}
	}
	if n.count+more > MaxOutbox {
		return ErrFull
	}
	n.count += more
	return nil
}

func (m *Message) check() error {
	switch {
	case m.ID == "" || m.Person == "":
		return errors.New("a message needs an ID and a person")
	case m.Kind != KindPage && m.Kind != KindNotice && m.Kind != KindTest:
		return fmt.Errorf("%q is no kind of message", m.Kind)
	}
	for _, text := range []string{m.ID, m.Person, m.Severity, m.Title, m.Sentence, m.Cost, m.URL, m.AckURL, m.Route} {
		if len(text) > maxField {
			return fmt.Errorf("message %.40q has a text of %d bytes, the limit is %d", m.ID, len(text), maxField)
		}
	}
	return nil
}

// Cancel ends all pages of an incident but those with these IDs. What was not sent when it returns is not sent any more.
func (n *Office) Cancel(ctx context.Context, incident int64, but ...string) error {
	for {
		var hit []*job
		for kv, err := range n.DB.Scan(ctx, prefixRange(outOf(incident))) {
			if err != nil {
				return fmt.Errorf("cancel the pages of incident %d: %w", incident, err)
			}
			j, err := decodeJob(string(kv.Key), kv.Value, kv.Rev)
			if err != nil {
				return err
			}
			if j.Kind == KindPage && !slices.Contains(but, j.ID) && !j.over() {
				hit = append(hit, j)
			}
		}
		lost := false
		for _, j := range hit {
			_, err := n.DB.Commit(ctx, n.ended(j))
			if errors.Is(err, store.ErrConflict) {
				lost = true // it was marked or told meanwhile: look again
			} else if err != nil {
				return fmt.Errorf("cancel the pages of incident %d: %w", incident, err)
			}
		}
		if !lost {
			return nil
		}
	}
}

// ended takes a job out and remembers its ID. Receipts that nobody took yet stay, without legs.
func (n *Office) ended(j *job) store.Txn {
	t := store.Txn{If: []store.Cond{{Key: []byte(j.key), Rev: j.rev}}}
	if len(j.Untold) > 0 {
		rest := *j
		rest.Planned, rest.Legs = true, nil
		t.Then = append(t.Then, store.Op{Key: []byte(j.key), Value: rest.encode()})
	} else {
		t.Then = append(t.Then, store.Op{Key: []byte(j.key), Delete: true})
	}
	t.Then = append(t.Then, store.Op{Key: []byte(doneKey(j.ID)), Value: binary.BigEndian.AppendUint64(nil, uint64(n.Clock()))})
	return t
}

func prefixRange(prefix string) store.Range {
	end := []byte(prefix)
	end[len(end)-1]++ // every prefix here ends with '/'
	return store.Range{From: []byte(prefix), To: end}
}

func secretText(bytes int) string {
	raw := make([]byte, bytes)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return fmt.Sprintf("%x", raw)
}

func jitter() float64 { return mrand.Float64() }

const leadName = "notify"

// Run sends until ctx ends; then it returns nil. When the store is a store.Elector, only the leader sends. What fails starts over, later.
func (n *Office) Run(ctx context.Context) error {
	elector, elects := n.DB.(store.Elector)
	wait := 50 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		var err error
		if elects {
			if err = elector.Lead(ctx, leadName, n.lead); errors.Is(err, errors.ErrUnsupported) {
				elects = false
				continue
			}
		} else {
			err = n.lead(ctx)
		}
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > 10*time.Second {
			wait = 50 * time.Millisecond
		}
		n.Logger.Warn("sending starts over", "err", err, "in", wait)
		pause(ctx, wait)
		wait = min(2*wait, 10*time.Second)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
