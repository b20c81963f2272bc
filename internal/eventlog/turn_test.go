package eventlog

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// outrun has its first conflicts Commits of a new tree lose against another
// replica, and counts the turns.
type outrun struct {
	store.DB
	conflicts, claims int
}

func (o *outrun) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	if string(txn.If[0].Key) == keyTurn && !txn.Then[0].Delete {
		o.claims++
	}
	if string(txn.If[0].Key) == keyHead && o.conflicts > 0 {
		o.conflicts--
		return 0, fmt.Errorf("outrun: %w", store.ErrConflict)
	}
	return o.DB.Commit(ctx, txn)
}

func noTurn(t *testing.T, db store.DB) {
	t.Helper()
	if _, err := db.Get(t.Context(), []byte(keyTurn)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the turn is there: %v", err)
	}
}

func TestTurnAfterConflicts(t *testing.T) {
	for _, c := range []struct{ conflicts, claims int }{{0, 0}, {patience - 1, 0}, {patience, 1}, {patience + 2, 1}} {
		db := &outrun{DB: mem.New()}
		l := open(t, db)
		db.conflicts = c.conflicts
		add(t, l, "incident/1", draft("note.added"))
		if db.claims != c.claims {
			t.Errorf("%d turns after %d conflicts, want %d", db.claims, c.conflicts, c.claims)
		}
		noTurn(t, db)
		mustVerify(t, db)
	}
	// What waited was refused: the turn ends all the same.
	db := &outrun{DB: mem.New()}
	l := open(t, db)
	add(t, l, "incident/1", draft("note.added"))
	db.conflicts = maxConflicts
	if _, err := l.Append(t.Context(), Batch{Stream: "incident/1", Expect: 1, Drafts: []Draft{draft("note.added")}}); !errors.Is(err, ErrBusy) {
		t.Errorf("outrun for ever: %v", err)
	}
	noTurn(t, db)
}

// While another replica has the turn, nobody appends; when it died with it, they
// wait no longer than they must.
func TestTurnOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := mem.New()
		l := open(t, db)
		turn := func() int64 {
			rev, err := db.Commit(t.Context(), store.Txn{Then: []store.Op{{Key: []byte(keyTurn)}}})
			if err != nil {
				t.Fatal(err)
			}
			return rev
		}
		rev := turn()
		began := time.Now()
		go func() {
			time.Sleep(20 * time.Millisecond)
			if err := l.endTurn(context.Background(), rev); err != nil {
				t.Error(err)
			}
		}()
		add(t, l, "incident/1", draft("note.added"))
		if d := time.Since(began); d < 20*time.Millisecond || d > 20*time.Millisecond+2*turnLook {
			t.Errorf("waited %v for a turn of 20 ms", d)
		}
		turn()
		began = time.Now()
		add(t, l, "incident/1", draft("note.added"))
		if d := time.Since(began); d < turnFor || d > turnFor+3*turnLook {
			t.Errorf("waited %v for a turn that nobody uses", d)
		}
		noTurn(t, db)
	})
}
