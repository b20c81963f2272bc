//go:build unix

package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/etcd"
	"github.com/tocsin-ops/tocsin/store/etcd/etcdtest"
)

// certain are the errors of Commit that say that nothing happened.
var certain = []error{store.ErrConflict, store.ErrTooLarge, store.ErrInvalid, store.ErrClosed}

func uncertain(t *testing.T, err error) {
	t.Helper()
	if err == nil || slices.ContainsFunc(certain, func(c error) bool { return errors.Is(err, c) }) {
		t.Fatalf("%v, want an error that leaves it open", err)
	}
}

// The answer to a Commit that happened is lost: by a cut, then by silence. Had
// the engine sent it again, its own condition would not hold and it would claim
// that nothing happened.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	o := options(cluster)
	direct := open(t, o)
	p := newProxy(t, loopback(t), cluster.Endpoints()[0])
	o.Endpoints, o.Timeout = []string{p.addr()}, 2*time.Second
	db := open(t, o)
	for _, silent := range []bool{false, true} {
		key := fmt.Sprintf("silent=%v", silent)
		txn := put(key, "1")
		txn.If = []store.Cond{{Key: []byte(key)}}
		// A connection that broke before the Commit was sent is not what is tried here: then it is done over.
		for durable, began := false, time.Now(); !durable; {
			if err := until(func() error {
				if _, err := db.Get(t.Context(), []byte(key)); !errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("before: %v", err)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			p.mute.Store(true)
			answer := make(chan error, 1)
			go func() {
				_, err := db.Commit(t.Context(), txn)
				answer <- err
			}()
			var err error
			for answered := false; !durable && !answered; {
				select {
				case err = <-answer:
					answered = true
				case <-time.After(20 * time.Millisecond):
				}
				_, there := direct.Get(t.Context(), []byte(key))
				if durable = there == nil; durable && !answered {
					if !silent {
						p.cut()
					}
					err = <-answer
				}
			}
			uncertain(t, err)
			p.mute.Store(false)
			p.cut()
			if !durable && time.Since(began) > patience {
				t.Fatalf("the first never got through: %v", err)
			}
		}
		if err := until(func() error {
			kv, err := db.Get(t.Context(), []byte(key))
			if err == nil && string(kv.Value) != "1" {
				t.Fatalf("%q", kv.Value)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := until(func() error {
			_, err := db.Commit(t.Context(), txn)
			if err == nil {
				t.Fatal("the same again happened")
			}
			if errors.Is(err, store.ErrConflict) {
				return nil
			}
			return err
		}); err != nil {
			t.Fatalf("the same again: %v", err)
		}
	}
	// Nobody is there: nothing is sent, and the error says where it looked.
	p.refuse.Store(true)
	p.cut()
	_, err := db.Commit(t.Context(), put("never", "1"))
	uncertain(t, err)
	if _, err := direct.Get(t.Context(), []byte("never")); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("never: %v", err)
	}
}

// Members are killed and frozen while several write and watch: every write that
// was acknowledged is there, every watcher sees every change once and in order.
func TestTrouble(t *testing.T) {
	t.Parallel()
	c := etcdtest.New(t, 3)
	const writers = 3
	o := options(c)
	writing := open(t, o)
	start := commit(t, writing, put("begin", ""))
	o.Timeout = 8 * time.Second
	stop := make(chan struct{})
	var writes sync.WaitGroup
	count := make([]int, writers)
	progress := make(chan int, 64) // paces the writers
	for w := range writers {
		db := open(t, o)
		db.Use(w)
		writes.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if !writeOnce(t, db, fmt.Sprintf("w/%d/%06d", w, i)) {
					return
				}
				count[w] = i + 1
				select {
				case progress <- w:
				case <-stop:
				}
			}
		})
	}
	more := func(n int) { // each writer gets somewhere
		t.Helper()
		left := []int{n, n, n}
		late := time.After(2 * patience)
		for left[0] > 0 || left[1] > 0 || left[2] > 0 {
			select {
			case w := <-progress:
				left[w]--
			case <-late:
				t.Fatalf("the writers do not get on: %v", left)
			}
		}
	}
	ctx, end := context.WithCancel(t.Context())
	defer end()
	seen := make([][]string, 4)
	var watchers sync.WaitGroup
	for i := range seen {
		db := open(t, o)
		db.Use(i % 3)
		watchers.Go(func() {
			for change, err := range db.Watch(ctx, []byte("w/"), start) {
				if err != nil {
					t.Errorf("watch: %v", err)
					return
				}
				for _, op := range change.Ops {
					seen[i] = append(seen[i], string(op.Key)+"@"+strconv.FormatInt(change.Rev, 10))
					if string(op.Key) == "w/end" {
						return
					}
				}
			}
		})
	}
	more(50)
	leader := func() int {
		t.Helper()
		at, err := c.Leader()
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	at := leader()
	c.Kill(at)
	more(50)
	if err := c.Restart(at); err != nil {
		t.Fatal(err)
	}
	if err := c.Await(at); err != nil {
		t.Fatal(err)
	}
	at = leader()
	c.Pause(at)
	more(50)
	c.Resume(at)
	at = (leader() + 1) % 3
	c.Pause(at)
	more(50)
	c.Resume(at)
	close(stop)
	writes.Wait()
	if !writeOnce(t, writing, "w/end") {
		t.FailNow()
	}
	watchers.Wait()
	var want []string
	for kv, err := range writing.Scan(t.Context(), store.Range{From: []byte("w/"), To: []byte("w0")}) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, string(kv.Key)+"@"+strconv.FormatInt(kv.Rev, 10))
	}
	total := 1
	for _, n := range count {
		total += n
	}
	if len(want) != total {
		t.Errorf("%d keys are there, %d were acknowledged", len(want), total)
	}
	for i, got := range seen {
		if rev := revs(got); !slices.IsSorted(rev) {
			t.Errorf("watcher %d saw changes out of order", i)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("watcher %d saw %d changes, there were %d", i, len(got), len(want))
		}
	}
	t.Logf("%d writes, %d watchers, leader killed once and frozen once, a follower frozen once", total, len(seen))
}

func revs(seen []string) (out []int64) {
	for _, s := range seen {
		rev, _ := strconv.ParseInt(s[slices.Index([]byte(s), '@')+1:], 10, 64)
		out = append(out, rev)
	}
	return out
}

// writeOnce writes a key that must not exist, and finds out by reading when the
// answer leaves it open.
func writeOnce(t *testing.T, db *etcd.DB, key string) bool {
	txn := put(key, "x")
	txn.If = []store.Cond{{Key: []byte(key)}}
	open := false
	for began, tries := time.Now(), 0; tries < 20 || time.Since(began) < patience; tries++ {
		_, err := db.Commit(t.Context(), txn)
		switch {
		case err == nil, errors.Is(err, store.ErrConflict) && open:
			return true
		case errors.Is(err, store.ErrConflict):
			t.Errorf("%s: a conflict with nobody", key)
			return false
		}
		open = true
	}
	t.Errorf("%s could not be written", key)
	return false
}

// Without a quorum nothing is decided, but what was durable can be shown.
func TestQuorumLost(t *testing.T) {
	t.Parallel()
	c := etcdtest.New(t, 3)
	o := options(c)
	o.Timeout = 2 * time.Second
	db := open(t, o)
	for i := range 3 {
		commit(t, db, put(fmt.Sprintf("k%d", i), "v"))
	}
	for i := range 3 { // all have it
		if err := c.Await(i); err != nil {
			t.Fatal(err)
		}
	}
	c.Kill(0)
	c.Pause(1)
	if kv, err := db.Get(t.Context(), []byte("k1")); err == nil {
		t.Fatalf("got %q without a quorum", kv.Value)
	}
	_, err := db.Commit(t.Context(), put("late", "v"))
	uncertain(t, err)
	stale := store.AllowStale(t.Context())
	if err := until(func() error {
		kv, err := db.Get(stale, []byte("k1"))
		if err == nil && string(kv.Value) != "v" {
			t.Fatalf("%q", kv.Value)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := until(func() error {
		n := 0
		for kv, err := range db.Scan(stale, store.Range{From: []byte("k")}) {
			if err != nil {
				return err
			}
			if n++; string(kv.Value) != "v" {
				t.Fatalf("%q", kv.Value)
			}
		}
		if n != 3 {
			t.Fatalf("%d keys, want 3", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	c.Resume(1)
	if err := c.Await(1); err != nil {
		t.Fatal(err)
	}
	// The member may still be left while the first goes out: its answer is open then.
	if !writeOnce(t, db, "again") {
		t.Fatal("nothing can be written with the quorum back")
	}
	if kv, err := db.Get(stale, []byte("again")); err != nil || string(kv.Value) != "x" {
		t.Logf("shown a moment ago: %q, %v", kv.Value, err)
	}
}

// The member in use freezes: its connections stay open, nothing answers. Another
// is asked soon, and what was under way there is not waited for to the end.
func TestFrozenMember(t *testing.T) {
	t.Parallel()
	c := etcdtest.New(t, 3)
	o := options(c)
	db := open(t, o)
	for _, leads := range []bool{true, false} {
		at, err := c.Leader()
		if err != nil {
			t.Fatal(err)
		}
		if !leads {
			at = (at + 1) % 3
		}
		db.Use(at)
		if !writeOnce(t, db, fmt.Sprintf("before/%v", leads)) {
			t.FailNow()
		}
		db.Use(at)
		c.Pause(at)
		began := time.Now()
		committed := make(chan error, 1)
		go func() {
			_, err := db.Commit(t.Context(), put("meanwhile", "v"))
			committed <- err
		}()
		_, err = db.Get(t.Context(), fmt.Appendf(nil, "before/%v", leads))
		read := time.Since(began)
		if err != nil {
			t.Error(err)
		}
		if err = <-committed; err != nil {
			uncertain(t, err)
		}
		wrote := time.Since(began)
		writeOnce(t, db, fmt.Sprintf("after/%v", leads))
		t.Logf("leader frozen: %v; read after %v, the write under way answered after %v (%v), the next after %v", leads, read.Round(time.Millisecond), wrote.Round(time.Millisecond), err, time.Since(began).Round(time.Millisecond))
		c.Resume(at)
		if err := c.Await(at); err != nil {
			t.Fatal(err)
		}
	}
}

// What was overwritten stays in etcd until it is compacted: what operators are
// told of redactions.
func TestOldValues(t *testing.T) {
	o := options(cluster)
	db := open(t, o)
	client, err := cluster.Client(-1)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	rev := commit(t, db, put("k", "a key was pasted"))
	now := commit(t, db, put("k", "blanked"))
	at := func() (string, error) {
		r, err := client.Get(t.Context(), o.Prefix+"/keys/k", clientv3.WithRev(rev))
		if err != nil || len(r.Kvs) != 1 {
			return "", err
		}
		return string(r.Kvs[0].Value), nil
	}
	if old, err := at(); err != nil || old != "a key was pasted" {
		t.Errorf("before compaction: %q, %v", old, err)
	}
	if _, err := client.Compact(t.Context(), now, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	if old, err := at(); err == nil {
		t.Errorf("after compaction: %q", old)
	}
}
