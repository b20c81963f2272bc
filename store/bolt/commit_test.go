package bolt

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.etcd.io/bbolt"

	"github.com/tocsin-ops/tocsin/store"
)

// stopped holds the leader of the first batch inside its Update until release
// is called. Commits are counted as they reach the queue by queued.
func stopped(d *DB) (leading <-chan struct{}, release func()) {
	in, out := make(chan struct{}), make(chan struct{})
	var once sync.Once
	d.begun = func(*call) {
		once.Do(func() {
			close(in)
			<-out
		})
	}
	return in, func() { close(out) }
}

func (d *DB) queued() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.queue)
}

func batches(d *DB) int {
	n := 0
	d.bolt.View(func(tx *bbolt.Tx) error { n = tx.ID(); return nil })
	return n
}

func TestBatchSharesOneSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := fresh(t, Options{})
		begin := batches(d)
		leading, release := stopped(d)
		var wg sync.WaitGroup
		commit := func(i int) {
			wg.Go(func() {
				if _, err := d.Commit(context.Background(), putTxn(fmt.Sprint(i), "x")); err != nil {
					t.Error(err)
				}
			})
		}
		commit(0)
		<-leading
		for i := range 100 {
			commit(i + 1)
		}
		synctest.Wait() // all are in the queue behind the one that is held
		if n := d.queued(); n != 100 {
			t.Errorf("%d in the queue, want 100", n)
		}
		release()
		wg.Wait()
		if n := batches(d) - begin; n != 2 {
			t.Errorf("101 Commits took %d transactions of bbolt, want 2", n)
		}
		if rev := d.rev.Load(); rev != 101 {
			t.Errorf("revision %d, want 101", rev)
		}
	})
}

func TestConflictInsideABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := fresh(t, Options{})
		errs := make([]error, 6)
		leading, release := stopped(d)
		var wg sync.WaitGroup
		wg.Go(func() { d.Commit(context.Background(), putTxn("first", "")) })
		<-leading
		for i := range errs { // one after the other into the queue: the first wins
			wg.Go(func() {
				txn := putTxn("seat", fmt.Sprint(i))
				txn.If = []store.Cond{{Key: []byte("seat")}}
				txn.Then = append(txn.Then, store.Op{Key: fmt.Appendf(nil, "mark/%d", i)})
				_, errs[i] = d.Commit(context.Background(), txn)
			})
			synctest.Wait()
		}
		release()
		wg.Wait()
		for i, err := range errs {
			_, mark := d.Get(context.Background(), fmt.Appendf(nil, "mark/%d", i))
			if i == 0 && (err != nil || mark != nil) {
				t.Errorf("the first: %v, its mark %v", err, mark)
			}
			if i > 0 && (!errors.Is(err, store.ErrConflict) || !errors.Is(mark, store.ErrNotFound)) {
				t.Errorf("number %d: %v, its mark %v", i, err, mark)
			}
		}
		before := batches(d)
		if _, err := d.Commit(context.Background(), store.Txn{If: []store.Cond{{Key: []byte("seat")}}}); !errors.Is(err, store.ErrConflict) {
			t.Error(err)
		}
		if batches(d) != before {
			t.Error("a batch of conflicts alone was synced")
		}
	})
}

func TestEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := fresh(t, Options{})
		leading, release := stopped(d)
		var wg sync.WaitGroup
		mine, end := context.WithCancel(context.Background())
		held, endHeld := context.WithCancel(context.Background())
		wg.Go(func() {
			if _, err := d.Commit(held, putTxn("leader", "")); err != nil {
				t.Errorf("the leader: %v", err) // it cannot leave the batch it leads
			}
		})
		<-leading
		for i := range 3 { // these are the next leader and two behind
			wg.Go(func() {
				if _, err := d.Commit(mine, putTxn(fmt.Sprintf("gone/%d", i), "")); !errors.Is(err, context.Canceled) {
					t.Errorf("%v, want the error of ctx", err)
				}
			})
		}
		synctest.Wait()
		wg.Go(func() {
			if _, err := d.Commit(context.Background(), putTxn("stays", "")); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		end()
		endHeld()
		synctest.Wait()
		if n := d.queued(); n != 1 {
			t.Errorf("%d in the queue, want the one whose ctx lives", n)
		}
		release()
		wg.Wait()
		for key, there := range map[string]bool{"leader": true, "gone/0": false, "gone/1": false, "stays": true} {
			if _, err := d.Get(context.Background(), []byte(key)); (err == nil) != there {
				t.Errorf("%s: %v, want there = %v", key, err, there)
			}
		}
	})
}

// TestLeadPassesOnWhenTheNextLeaderLeaves ends the ctx of a caller who was
// told to lead but did not yet: somebody else must take the lead.
func TestLeadPassesOnWhenTheNextLeaderLeaves(t *testing.T) {
	d := fresh(t, Options{})
	first, second := newCall(putTxn("a", "")), newCall(putTxn("b", ""))
	for i, c := range []*call{first, second} {
		if lead, err := d.enter(context.Background(), c); err != nil || lead != (i == 0) {
			t.Fatal(lead, err)
		}
	}
	d.withdraw(first)
	if !<-second.wake {
		t.Fatal("the second was told that it is done")
	}
	d.withdraw(second)
	if d.busy || d.queued() != 0 || d.weight != 0 {
		t.Errorf("busy %v with %d in the queue of weight %d", d.busy, d.queued(), d.weight)
	}
	set(t, d, "c", "3")
}

func TestFullQueueBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := fresh(t, Options{})
		big := strings.Repeat("v", 6<<20) // two fit
		leading, release := stopped(d)
		var wg sync.WaitGroup
		commit := func(ctx context.Context, key string, want error) {
			wg.Go(func() {
				if _, err := d.Commit(ctx, putTxn(key, big)); !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", key, err, want)
				}
			})
			synctest.Wait()
		}
		commit(context.Background(), "held", nil)
		<-leading
		commit(context.Background(), "1", nil)
		commit(context.Background(), "2", nil)
		commit(context.Background(), "3", nil)
		impatient, end := context.WithCancel(context.Background())
		commit(impatient, "4", context.Canceled)
		if n := d.queued(); n != 2 {
			t.Errorf("%d in the queue, want 2", n)
		}
		end()
		release()
		wg.Wait()
		for key, there := range map[string]bool{"1": true, "2": true, "3": true, "4": false} {
			if _, err := d.Get(context.Background(), []byte(key)); (err == nil) != there {
				t.Errorf("%s: %v, want there = %v", key, err, there)
			}
		}
	})
}

func TestCloseRefusesWhoWaitsForSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := fresh(t, Options{})
		leading, release := stopped(d)
		var wg sync.WaitGroup
		answers := make([]error, queueCalls+2)
		for i := range answers {
			wg.Go(func() { _, answers[i] = d.Commit(context.Background(), putTxn(fmt.Sprint(i), "")) })
			if i == 0 {
				<-leading
			}
		}
		synctest.Wait()
		wg.Go(func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		release()
		wg.Wait()
		refused := 0
		for _, err := range answers {
			if errors.Is(err, store.ErrClosed) {
				refused++
			} else if err != nil {
				t.Error(err)
			}
		}
		if refused != 1 {
			t.Errorf("%d were refused, want the one that the queue had no room for", refused)
		}
	})
}

func TestPanicIsTheAnswerToTheWholeBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := fresh(t, Options{})
		set(t, d, "before", "1")
		errs := make([]error, 5)
		leading, release := stopped(d)
		held := d.begun
		d.begun = func(c *call) {
			held(c)
			if string(c.txn.Then[0].Key) == "bad/3" {
				panic("as if a page were damaged")
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() { d.Commit(context.Background(), putTxn("first", "")) })
		<-leading
		for i := range errs {
			wg.Go(func() { _, errs[i] = d.Commit(context.Background(), putTxn(fmt.Sprintf("bad/%d", i), "")) })
			synctest.Wait()
		}
		release()
		wg.Wait()
		for i, err := range errs {
			if !errors.Is(err, ErrDamaged) || errors.Is(err, store.ErrConflict) {
				t.Errorf("number %d: %v", i, err)
			}
			if _, err := d.Get(context.Background(), fmt.Appendf(nil, "bad/%d", i)); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("number %d is there: %v", i, err)
			}
		}
		if _, err := d.Commit(context.Background(), putTxn("after", "")); !errors.Is(err, ErrDamaged) {
			t.Errorf("after the panic: %v", err)
		}
		if _, err := d.Get(context.Background(), []byte("first")); err != nil {
			t.Errorf("the batch before: %v", err)
		}
	})
}

func TestFullDisk(t *testing.T) {
	d := fresh(t, Options{maxSize: 1 << 20})
	value := strings.Repeat("v", 60<<10)
	kept := 0
	var err error
	for ; err == nil; kept++ {
		_, err = d.Commit(context.Background(), putTxn(fmt.Sprintf("k%03d", kept), value))
	}
	if kept < 2 || kept > 40 {
		t.Fatalf("full after %d", kept)
	}
	if errors.Is(err, store.ErrConflict) || errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
	kept--
	if _, err := d.Get(context.Background(), fmt.Appendf(nil, "k%03d", kept)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what failed is there: %v", err)
	}
	// Room is made, and the engine goes on with the next revision.
	rev, err := d.Commit(context.Background(), store.Txn{Then: []store.Op{{Key: []byte("k000"), Delete: true}}})
	if err != nil || rev != int64(kept)+1 {
		t.Fatalf("revision %d, %v; want %d", rev, err, kept+1)
	}
	set(t, d, "small", "x")
	sound(t, d)
}
