//go:build unix

package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/etcd"
	"github.com/tocsin-ops/tocsin/store/etcd/etcdtest"
)

// patience is how long a test waits for what should take moments: these machines are slow and shared.
const patience = 45 * time.Second

// The quorum is lost in a cluster that wants user and password: whichever member
// was in use, and whether the two are gone or silent, the third shows what was
// durable, also while others ask for the quorum; then all can be written again.
func TestQuorumLostWithUser(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		t.Run(fmt.Sprintf("frozen=%v", frozen), func(t *testing.T) {
			t.Parallel()
			c := etcdtest.New(t, 3)
			users(t, c)
			o := etcd.Options{Endpoints: c.Endpoints(), Prefix: "a", User: "tocsin", Password: "s3cret", TTL: 2 * time.Second, Timeout: patience, DialTimeout: patience}
			for use, left := range []int{2, 1} { // in use: one that is lost, then the one that is left
				t.Run(fmt.Sprintf("use=%d,left=%d", use, left), func(t *testing.T) { loseQuorum(t, c, o, use, left, frozen) })
			}
		})
	}
}

func loseQuorum(t *testing.T, c *etcdtest.Cluster, o etcd.Options, use, left int, frozen bool) {
	db := open(t, o)
	commit(t, db, put("k", "v"))
	for opened := time.Now(); db.Known() < 3; {
		select {
		case <-time.After(20 * time.Millisecond): // it logs in to all on its own
		case <-t.Context().Done():
		}
		if time.Since(opened) > patience {
			t.Fatalf("only %d members have given a pass", db.Known())
		}
	}
	for i := range 3 { // all have it
		if err := c.Await(i); err != nil {
			t.Fatal(err)
		}
	}
	db.Use(use)
	for i := range 3 {
		switch {
		case i == left:
		case frozen:
			c.Pause(i)
		default:
			c.Kill(i)
		}
	}
	// Those who need the quorum go from member to member meanwhile.
	ctx, cancel := context.WithCancel(t.Context())
	wanting := make(chan struct{})
	go func() {
		defer close(wanting)
		for ctx.Err() == nil {
			_, _ = db.Get(ctx, []byte("k"))
		}
	}()
	get := func() time.Duration {
		t.Helper()
		began := time.Now()
		within, done := context.WithTimeout(store.AllowStale(t.Context()), patience)
		defer done()
		kv, err := db.Get(within, []byte("k"))
		for err != nil && within.Err() == nil { // the one that is left may stand still for longer than the engine waits
			kv, err = db.Get(within, []byte("k"))
		}
		if err != nil || string(kv.Value) != "v" {
			t.Fatalf("after %v: %q, %v", time.Since(began), kv.Value, err)
		}
		if !store.AnsweredStale(within) {
			t.Error("it is not said that the answer may be old")
		}
		return time.Since(began)
	}
	first, worst := get(), time.Duration(0)
	for range 40 {
		worst = max(worst, get())
		select {
		case <-time.After(50 * time.Millisecond): // over several rounds of watching
		case <-t.Context().Done():
		}
	}
	t.Logf("shown after %v, then within %v", first.Round(time.Millisecond), worst.Round(time.Millisecond))
	// Who is in a hurry is not held up by anybody who waits for a pass.
	hurry, done := context.WithTimeout(t.Context(), 300*time.Millisecond)
	began := time.Now()
	_, err := db.Get(hurry, []byte("k"))
	took := time.Since(began)
	done()
	if err == nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a quorum: %v", err)
	}
	if took > patience {
		t.Errorf("0.3 s of patience became %v", took)
	}
	cancel()
	<-wanting
	for i := range 3 {
		switch {
		case i == left:
		case frozen:
			c.Resume(i)
		default:
			if err := c.Restart(i); err != nil {
				t.Fatal(err)
			}
		}
	}
	began = time.Now()
	for _, err = db.Commit(t.Context(), put("again", "v")); err != nil; _, err = db.Commit(t.Context(), put("again", "v")) {
		if time.Since(began) > 2*patience { // the first may be lost with the one that it was sent to
			t.Fatalf("with the quorum back: %v", err)
		}
	}
	t.Logf("written %v after they were back", time.Since(began).Round(time.Millisecond))
	if err := until(func() error { // a quorum that stands still for a second is not waited for
		fresh := store.AllowStale(t.Context())
		if kv, err := db.Get(fresh, []byte("again")); err != nil || string(kv.Value) != "v" || store.AnsweredStale(fresh) {
			return fmt.Errorf("%q, %v, stale %v", kv.Value, err, store.AnsweredStale(fresh))
		}
		return nil
	}); err != nil {
		t.Errorf("with the quorum back: %v", err)
	}
	for i := range 3 {
		if err := c.Await(i); err != nil {
			t.Fatal(err)
		}
	}
}

// Without a pass, and without a quorum that could give one, nothing can be shown;
// who asks learns that soon.
func TestNobodyKnowsUs(t *testing.T) {
	t.Parallel()
	c := etcdtest.New(t, 3)
	users(t, c)
	o := etcd.Options{Endpoints: c.Endpoints(), Prefix: "a", User: "tocsin", Password: "s3cret", TTL: 2 * time.Second, Timeout: patience, DialTimeout: patience}
	db := open(t, o)
	c.Pause(0)
	c.Pause(1)
	db.Forget()
	for _, most := range []time.Duration{time.Second, time.Minute} {
		ctx, cancel := context.WithTimeout(store.AllowStale(t.Context()), most)
		began := time.Now()
		_, err := db.Get(ctx, []byte("k"))
		took := time.Since(began)
		cancel()
		t.Logf("%v of patience: %v after %v", most, err, took.Round(time.Millisecond))
		if err == nil || errors.Is(err, store.ErrNotFound) || took > 45*time.Second { // 1 and 3 s, and far from the minute, on a slow machine too
			t.Errorf("%v of patience: %v after %v", most, err, took)
		}
	}
	c.Resume(0)
	c.Resume(1)
	began := time.Now()
	for _, err := db.Commit(t.Context(), put("k", "v")); err != nil; _, err = db.Commit(t.Context(), put("k", "v")) {
		if time.Since(began) > 2*patience { // the first may be lost with the one that it was sent to
			t.Fatalf("with the quorum back: %v", err)
		}
	}
}

// A pass that etcd has let go, as when users change, is asked for again: no
// caller notices, nor does a watch.
func TestPassRevoked(t *testing.T) {
	t.Parallel()
	c := etcdtest.New(t, 1, "--auth-token-ttl=1") // seconds: also of those in use
	users(t, c)
	db := open(t, etcd.Options{Endpoints: c.Endpoints(), Prefix: "a", User: "tocsin", Password: "s3cret", TTL: 2 * time.Second, Timeout: patience, DialTimeout: patience})
	root, err := c.Client(0)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for i := range 3 {
		rev := commit(t, db, put("k", fmt.Sprint(i)))
		select {
		case <-time.After(1200 * time.Millisecond): // a pass is held on to for the first second
		case <-t.Context().Done():
		}
		if _, err := root.UserChangePassword(t.Context(), "tocsin", "s3cret"); err != nil { // all its passes are void
			t.Fatal(err)
		}
		for change, err := range db.Watch(t.Context(), []byte("k"), rev-1) {
			if err != nil || string(change.Ops[0].Value) != fmt.Sprint(i) {
				t.Fatalf("%v, %v", change, err)
			}
			break
		}
		if kv, err := db.Get(t.Context(), []byte("k")); err != nil || kv.Rev != rev {
			t.Fatalf("%v, %v", kv, err)
		}
	}
}

// Without a quorum a member that has less than this process has seen is asked
// last: only when nobody else answers is its word taken, and then at once.
func TestMemberBehind(t *testing.T) {
	t.Parallel()
	// Two clusters of one member stand for two members that cannot reach each other.
	ahead, behind := etcdtest.New(t, 1), etcdtest.New(t, 1)
	o := etcd.Options{Endpoints: append(ahead.Endpoints(), behind.Endpoints()...), Prefix: "t", Timeout: patience, DialTimeout: patience}
	db := open(t, o)
	db.Use(0)
	var newest int64
	for range 3 {
		db.Use(0)
		newest = commit(t, db, put("k", "v"))
	}
	// The one that is ahead may be too late for its answer to be waited for: then what it has is forgotten, and has to be seen again.
	both := func(when string) {
		t.Helper()
		if err := until(func() error {
			db.Use(0)
			if rev, err := db.Revision(t.Context()); err != nil || rev < newest {
				return fmt.Errorf("revision %d of %d, %v", rev, newest, err)
			}
			db.SetShown(1)
			if n, at, err := db.Show(t.Context(), "k"); n != 1 || at != 0 || err != nil {
				return fmt.Errorf("%d keys, member %d, %v", n, at, err)
			}
			return nil
		}); err != nil {
			t.Errorf("with both%s: %v", when, err)
		}
	}
	both("")
	ahead.Kill(0)
	behindOnly := func(when string) {
		t.Helper()
		var n int64
		var at int
		if err := until(func() (err error) { n, at, err = db.Show(t.Context(), "k"); return err }); n != 0 || at != 1 || err != nil {
			t.Errorf("%s: %d keys, member %d, %v", when, n, at, err)
		}
	}
	behindOnly("with the one that is behind")
	began := time.Now()
	for range 20 {
		behindOnly("from then on")
	}
	t.Logf("20 answers of the member that is behind took %v", time.Since(began).Round(time.Millisecond))
	if err := ahead.Restart(0); err != nil {
		t.Fatal(err)
	}
	if err := ahead.Await(0); err != nil {
		t.Fatal(err)
	}
	both(" again")
}
