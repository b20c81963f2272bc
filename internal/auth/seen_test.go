package auth

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// silent is a store that answers what is read and, while still is set, nothing
// that is written, as etcd without a quorum does.
type silent struct {
	store.DB
	still atomic.Bool
}

func (s *silent) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	if s.still.Load() {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return s.DB.Commit(ctx, txn)
}

// TestLastSeenHoldsNobodyUp asks who holds a cookie and a token unseen for two
// minutes while nothing can be written: the answer is right, and waits no
// longer than seenWithin.
func TestLastSeenHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &silent{DB: mem.New()}
		h := newHouseOn(t, db)
		in := h.founded()
		_, token, err := h.CreateToken(t.Context(), in.Actor, TokenOrder{Name: "robot", Role: RoleResponder})
		if err != nil {
			t.Fatal(err)
		}
		h.now.Add(2 * minute)
		db.still.Store(true)
		for what, ask := range map[string]func() (Actor, error){
			"session": func() (Actor, error) { return h.Session(t.Context(), in.Cookie) },
			"token":   func() (Actor, error) { return h.Token(t.Context(), token) },
		} {
			began := time.Now()
			if a, err := ask(); err != nil || !a.SignedIn() {
				t.Errorf("%s: %+v %v", what, a, err)
			}
			if waited := time.Since(began); waited > seenWithin {
				t.Errorf("%s: waited %s", what, waited)
			}
		}
	})
}
