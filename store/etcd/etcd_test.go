//go:build unix

package etcd_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/etcd"
	"github.com/tocsin-ops/tocsin/store/etcd/etcdtest"
	"github.com/tocsin-ops/tocsin/store/storetest"
)

// cluster is that of the tests which break nothing; each has its own prefix.
var cluster *etcdtest.Cluster

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("rapid.checks", "25")
	_ = flag.Set("test.parallel", "4") // they wait, most of the time
	dir, err := os.MkdirTemp("", "etcd")
	if err == nil {
		cluster, err = etcdtest.Start(dir, 3)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	cluster.Stop()
	_ = os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

var prefixes atomic.Int64

// options are those of a store of its own in the cluster.
func options(c *etcdtest.Cluster) etcd.Options {
	return etcd.Options{Endpoints: c.Endpoints(), Prefix: fmt.Sprintf("t%d", prefixes.Add(1)), TTL: 2 * time.Second, Timeout: patience, DialTimeout: patience}
}

// until does f until it succeeds, or patience is over, and returns its last error: for what a machine that stands still for some seconds makes fail.
func until(f func() error) error {
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if err := f(); err == nil || time.Since(began) > patience {
			return err
		}
	}
}

// commit does what may be done more than once, until it is known to be done.
func commit(t *testing.T, db *etcd.DB, txn store.Txn) (rev int64) {
	t.Helper()
	if err := until(func() (err error) { rev, err = db.Commit(t.Context(), txn); return err }); err != nil {
		t.Fatal(err)
	}
	return rev
}

// tell tells until it is known that others see it.
func tell(t *testing.T, db *etcd.DB, key string, value []byte) {
	t.Helper()
	if err := until(func() error { return db.Tell(t.Context(), []byte(key), value) }); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, o etcd.Options) *etcd.DB {
	t.Helper()
	var db *etcd.DB
	if err := until(func() (err error) { db, err = etcd.Open(context.Background(), o); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func put(key, value string) store.Txn {
	return store.Txn{Then: []store.Op{{Key: []byte(key), Value: []byte(value)}}}
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.DB { return open(t, options(cluster)) })
}

func TestDurable(t *testing.T) {
	var mu sync.Mutex
	byDir := map[string]etcd.Options{}
	storetest.RunDurable(t, func(t *testing.T, dir string) store.DB {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := byDir[dir]; !ok {
			byDir[dir] = options(cluster)
		}
		return open(t, byDir[dir])
	})
}

// compacting has etcd forget all but the newest keep revisions at each Commit.
type compacting struct {
	*etcd.DB
	t      *testing.T
	client *clientv3.Client
	keep   int64
}

func (c compacting) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	rev, err := c.DB.Commit(ctx, txn)
	if err == nil {
		if _, err := c.client.Compact(ctx, rev-c.keep); err != nil && !strings.Contains(err.Error(), "compacted") {
			c.t.Errorf("compact: %v", err)
		}
	}
	return rev, err
}

func TestCompaction(t *testing.T) {
	storetest.RunCompaction(t, func(t *testing.T, keep int) store.DB {
		client, err := cluster.Client(-1)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		return compacting{open(t, options(cluster)), t, client, int64(keep)}
	})
}

func TestAddress(t *testing.T) {
	t.Parallel()
	o, err := etcd.ParseURL("etcd://us%40er:p%2Fw@h1:1,h2,[::1]:3/a/b?ca=c.pem&cert=d.pem&key=k.pem")
	if err != nil || strings.Join(o.Endpoints, " ") != "h1:1 h2:2379 [::1]:3" || o.User != "us@er" || o.Password != "p/w" ||
		o.Prefix != "a/b/" || o.CA != "c.pem" || o.Cert != "d.pem" || o.Key != "k.pem" || o.TLS != nil {
		t.Fatalf("%#v, %v", o, err)
	}
	for _, text := range []string{fmt.Sprint(o), fmt.Sprintf("%+v", o), fmt.Sprintf("%#v", o), o.LogValue().String()} {
		if strings.Contains(text, "p/w") || !strings.Contains(text, "h1:1") {
			t.Errorf("printed as %s", text)
		}
	}
	if o, err := etcd.ParseURL("etcds://h"); err != nil || o.TLS == nil {
		t.Errorf("etcds: %v, %v", o.TLS, err)
	}
	for text, says := range map[string]string{
		"redis://u:s3cret@h":                       "etcd://",
		"etcd://":                                  "names no host",
		"etcd://u:s3cret@/x":                       "names no host",
		"etcd://u:s3cret%zz@h":                     "%25",
		"etcd://u:s3cret@h?x=%zz":                  "settings",
		"etcd://u:s3cret@h?tls=1":                  `"tls"`,
		"etcd://u@h?password-file=/does/not/exist": "password-file",
	} {
		if _, err := etcd.ParseURL(text); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want it to say %s", text, err, says)
		}
	}
	for says, o := range map[string]etcd.Options{
		"no member":      {},
		"no password":    {Endpoints: []string{"127.0.0.1:1"}, User: "u"},
		"check ca":       {Endpoints: []string{"127.0.0.1:1"}, CA: "/does/not/exist"},
		"belong":         {Endpoints: []string{"127.0.0.1:1"}, Cert: "x"},
		"can be reached": {Endpoints: []string{"127.0.0.1:1"}, User: "u", Password: "s3cret", DialTimeout: 300 * time.Millisecond},
	} {
		_, err := etcd.Open(context.Background(), o)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v, want it to say %s", err, says)
		}
	}
	ended, end := context.WithCancel(context.Background())
	end()
	if _, err := etcd.Open(ended, options(cluster)); !errors.Is(err, context.Canceled) {
		t.Errorf("open with an ended ctx: %v", err)
	}
}
