//go:build unix

package etcd_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/etcd"
)

// lasting is the TTL of a lease that is kept though the machine stands still for some seconds.
const lasting = 30 * time.Second

// TestChild is not a test but the other process of those below: it tells, leads
// and says so, until it is killed.
func TestChild(t *testing.T) {
	address := os.Getenv("ETCD_TEST_CHILD")
	if address == "" {
		return
	}
	o, err := etcd.ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	o.TTL, o.Timeout, o.DialTimeout = lasting, patience, patience
	db := open(t, o)
	tell(t, db, "live/child", []byte("here"))
	_ = db.Lead(t.Context(), "seat", func(ctx context.Context) error {
		fmt.Println("leads")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return nil
	})
}

// child starts TestChild on the store and returns once it leads.
func child(t *testing.T, o etcd.Options) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), "ETCD_TEST_CHILD="+o.String())
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "leads" {
			return cmd
		}
	}
	t.Fatal("the child ended")
	return nil
}

// A process that is killed takes with it what it told and what it led.
func TestProcessDies(t *testing.T) {
	t.Parallel()
	o := options(cluster)
	o.TTL = lasting
	db := open(t, o)
	from, err := db.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := child(t, o)
	if kv, err := db.Get(t.Context(), []byte("live/child")); err != nil || string(kv.Value) != "here" {
		t.Fatalf("told: %q, %v", kv.Value, err)
	}
	led := make(chan error, 1)
	go func() {
		led <- db.Lead(t.Context(), "seat", func(context.Context) error {
			if err := other.Process.Signal(os.Interrupt); err == nil {
				return errors.New("two led: the child is alive")
			}
			return nil
		})
	}()
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	var seen []string
	for c, err := range db.Watch(t.Context(), []byte("live/"), from) {
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range c.Ops {
			seen = append(seen, fmt.Sprintf("%s %v", op.Key, op.Delete))
		}
		if strings.HasSuffix(seen[len(seen)-1], "true") {
			break
		}
	}
	if got := strings.Join(slices.Compact(seen), ", "); got != "live/child false, live/child true" {
		t.Errorf("watched %s", got)
	}
	if err := <-led; err != nil {
		t.Error(err)
	}
}

// The lease would last a minute: who leads next got the seat handed over. It is given back once, and if it can: an etcd that stands still just then
// lets it end by itself, so one of three times is enough.
func TestHandOver(t *testing.T) {
	var err error
	for range 3 {
		if err = handOver(t); err == nil {
			return
		}
		t.Log(err)
	}
	t.Error(err)
}

func handOver(t *testing.T) error {
	o := options(cluster)
	o.TTL = time.Minute
	first, second := open(t, o), open(t, o)
	leads, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		stopped <- first.Lead(t.Context(), "seat", func(ctx context.Context) error {
			close(leads)
			<-ctx.Done()
			return context.Cause(ctx)
		})
	}()
	<-leads
	tell(t, first, "live/first", []byte("x"))
	ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
	defer cancel()
	next := make(chan error, 1)
	go func() {
		next <- second.Lead(ctx, "seat", func(context.Context) error { return nil })
	}()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-stopped; !errors.Is(err, store.ErrClosed) {
		t.Errorf("the first leader ended with %v", err)
	}
	if err := <-next; err != nil {
		return fmt.Errorf("the second never led: %w", err)
	}
	if _, err := second.Get(ctx, []byte("live/first")); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("what the first told is there after its Close: %v", err)
	}
	if err := second.Lead(ctx, "seat", func(context.Context) error {
		return second.Lead(ctx, "seat/2", func(context.Context) error { return nil })
	}); err != nil {
		return fmt.Errorf("a name below another's: %w", err)
	}
	return nil
}

// A leader that is cut off from etcd finds its context ended before another
// leads; both clocks are ours here, so they can be compared.
func TestLeaderCutOff(t *testing.T) {
	t.Parallel()
	o := options(cluster)
	o.TTL = 10 * time.Second
	var proxies []*proxy
	cut := o
	cut.Endpoints = nil
	for _, e := range o.Endpoints {
		p := newProxy(t, loopback(t), e)
		proxies = append(proxies, p)
		cut.Endpoints = append(cut.Endpoints, p.addr())
	}
	first, second := open(t, cut), open(t, o)
	var mu sync.Mutex
	leader, leading := "", t.Context() // and what the leader goes by
	lead := func(db *etcd.DB, name string, leads chan<- struct{}) error {
		return db.Lead(t.Context(), "seat", func(ctx context.Context) error {
			mu.Lock()
			if leader != "" && leading.Err() == nil {
				t.Errorf("%s leads while %s does", name, leader)
			}
			leader, leading = name, ctx
			mu.Unlock()
			close(leads)
			if name == "first" {
				<-ctx.Done()
			}
			mu.Lock()
			if leader == name {
				leader = ""
			}
			mu.Unlock()
			return nil
		})
	}
	a, b, c := make(chan struct{}), make(chan struct{}), make(chan struct{})
	done := make(chan error, 2)
	go func() { done <- lead(first, "first", a) }()
	<-a
	tell(t, first, "live/x", []byte("1"))
	lease := first.Lease()
	go func() { done <- lead(second, "second", b) }()
	for _, p := range proxies {
		p.refuse.Store(true)
		p.cut()
	}
	<-b
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	// It comes back, with a new lease, tells again and may lead again.
	from, err := second.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range proxies {
		p.refuse.Store(false)
	}
	if err := lead(first, "third", c); err != nil {
		t.Fatal(err)
	}
	for change, err := range second.Watch(t.Context(), []byte("live/x"), from-1) {
		if err != nil || string(change.Ops[0].Value) == "1" {
			break
		}
	}
	if first.Lease() == lease {
		t.Error("the lease is the one that was lost")
	}
}

func TestTell(t *testing.T) {
	o := options(cluster)
	o.TTL = time.Minute
	a, b := open(t, o), open(t, o)
	shows := func(key, want string) {
		t.Helper()
		kv, err := b.Get(t.Context(), []byte(key))
		if want == "-" && !errors.Is(err, store.ErrNotFound) || want != "-" && (err != nil || string(kv.Value) != want) {
			t.Fatalf("%s: %q, %v; want %s", key, kv.Value, err, want)
		}
	}
	tell(t, a, "live/a", []byte("1"))
	tell(t, a, "live/a", []byte("2"))
	tell(t, a, "live/both", []byte("a"))
	tell(t, a, "live/gone", []byte("x"))
	tell(t, a, "live/gone", nil)
	tell(t, a, "live/never", nil)
	tell(t, b, "live/both", []byte("b"))
	tell(t, a, "live/empty", []byte{})
	shows("live/a", "2")
	shows("live/gone", "-")
	shows("live/never", "-")
	shows("live/both", "b")
	shows("live/empty", "")
	// The lease is lost: all is told again, but what b has told since.
	client, err := cluster.Client(-1)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	from, err := b.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lose(t, client, a)
	back := map[string]bool{}
	for c, err := range b.Watch(t.Context(), []byte("live/"), from) {
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range c.Ops {
			if !op.Delete {
				back[string(op.Key)] = true
			}
		}
		if back["live/a"] && back["live/empty"] {
			break
		}
	}
	shows("live/a", "2")
	shows("live/both", "b")
	tell(t, a, "live/both", nil) // not a's any more
	shows("live/both", "b")
	if err := a.Tell(t.Context(), nil, []byte("x")); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("the empty key: %v", err)
	}
	if err := a.Tell(t.Context(), []byte("live/big"), make([]byte, 1<<17)); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("a large value: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	// The lease is given back once, and if it can; else it ends by itself.
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if _, err := b.Get(t.Context(), []byte("live/a")); errors.Is(err, store.ErrNotFound) || time.Since(began) > 2*patience {
			break
		}
	}
	shows("live/a", "-")
	if err := a.Tell(t.Context(), []byte("live/a"), nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("tell after Close: %v", err)
	}
}

// lose revokes the lease of db behind its back. It is renewed every 20 s, so the
// session is made to look at once.
func lose(t *testing.T, client *clientv3.Client, db *etcd.DB) {
	t.Helper()
	if _, err := client.Revoke(t.Context(), clientv3.LeaseID(db.Lease())); err != nil {
		t.Fatal(err)
	}
	db.Expire()
}
