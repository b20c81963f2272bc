package notify

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// moody is a store whose commits fail now and then, before or after they happened, as store.DB allows.
type moody struct {
	*mem.DB
	mu   sync.Mutex
	rand *rand.Rand
	calm bool
}

func (m *moody) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	m.mu.Lock()
	mood := m.rand.IntN(12)
	if m.calm {
		mood = 11
	}
	m.mu.Unlock()
	switch mood {
	case 0:
		return 0, store.ErrUnavailable
	case 1:
		if _, err := m.DB.Commit(ctx, txn); err != nil {
			return 0, err
		}
		return 0, store.ErrUnavailable
	}
	return m.DB.Commit(ctx, txn)
}

// Whatever fails and whoever dies when: every message is sent, under one key over one route, and told; what was cancelled before it was sent is not.
func TestNothingIsForgottenOrSentTwice(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { forgetNothing(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func forgetNothing(t *testing.T, r *rand.Rand) {
	under := mem.New()
	defer under.Close()
	db := &moody{DB: under, rand: rand.New(rand.NewPCG(r.Uint64(), 2))}
	var houses []*house
	people := []string{"ana", "bo"}
	seed := newHouse(t, under)
	for _, p := range people {
		seed.routes(p, Route{Kind: Email}, Route{Kind: SMS, After: 60_000})
	}
	submit := func(m Message) {
		for seed := newHouse(t, db); seed.n.Submit(t.Context(), []Message{m}) != nil; {
			time.Sleep(100 * time.Millisecond)
		}
	}
	open := func() *house {
		h := newHouse(t, db)
		h.by[Email].says = func(ctx context.Context, _ Parcel) (Answer, error) {
			select {
			case <-time.After(time.Duration(50+len(houses)*10) * time.Millisecond):
				return Answer{Detail: "taken"}, nil
			case <-ctx.Done():
				return Answer{}, ctx.Err()
			}
		}
		houses = append(houses, h)
		h.run()
		return h
	}
	h := open()
	cancelled := map[int64]bool{}
	const incidents = 20
	for i := int64(1); i <= incidents; i++ {
		submit(page(i, people[r.IntN(2)]))
		time.Sleep(time.Duration(r.IntN(4000)) * time.Millisecond)
		switch r.IntN(4) {
		case 0: // the process dies
			h.stop()
			h = open()
		case 1:
			n := 1 + r.Int64N(i)
			cancelled[n] = true // also when it fails: it may have happened
			_ = h.n.Cancel(t.Context(), n)
		}
	}
	db.mu.Lock()
	db.calm = true
	db.mu.Unlock()
	time.Sleep(3 * time.Hour)
	synctest.Wait()
	h.stop()
	keys, told := map[string]map[string]bool{}, ""
	for _, one := range houses {
		told += one.receipts()
		for _, kind := range []string{Email, SMS} {
			for _, p := range one.by[kind].parcels() {
				for _, m := range p.Messages {
					k := kind + " " + m.ID
					if keys[k] == nil {
						keys[k] = map[string]bool{}
					}
					keys[k][p.Key] = true
				}
			}
		}
	}
	for k, set := range keys {
		if len(set) != 1 {
			t.Errorf("%s was sent under %d keys", k, len(set))
		}
	}
	if !h.empty() {
		t.Error("the outbox is not empty")
	}
	for i := int64(1); i <= incidents; i++ {
		if cancelled[i] {
			continue
		}
		sent := false
		for _, p := range people {
			id := page(i, p).ID
			sent = sent || len(keys[Email+" "+id]) == 1 && len(keys[SMS+" "+id]) == 1 && strings.Contains(told, id+" e-mail sent") && strings.Contains(told, id+" SMS sent")
		}
		if !sent {
			t.Errorf("the page of incident %d was forgotten", i)
		}
	}
}
