//go:build unix

package backup_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/backup"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/etcd"
	"github.com/tocsin-ops/tocsin/store/etcd/etcdtest"
)

// TestEtcd does what the other engines do on a real etcd, a prefix for each store.
func TestEtcd(t *testing.T) {
	cluster := etcdtest.New(t, 1)
	var n atomic.Int64
	open := func(t testing.TB) store.DB {
		o := must(etcd.ParseURL(fmt.Sprintf("etcd://%s/backup-%d", strings.Join(cluster.Endpoints(), ","), n.Add(1))))(t)
		o.Log = slog.New(slog.DiscardHandler)
		db := must(etcd.Open(t.Context(), o))(t)
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	all := maps.Clone(engines)
	all["etcd"] = open
	everyIntoEveryOther(t, all)
	whileWritten(t, map[string]func(testing.TB) store.DB{"etcd": open})

	t.Run("bolt to etcd to bolt", func(t *testing.T) {
		first, second, third := engines["bolt"](t), open(t), engines["bolt"](t)
		filled(t, first, 300)
		for _, way := range [][2]store.DB{{first, second}, {second, third}} {
			b, _ := written(t, way[0])
			if _, _, err := backup.Restore(t.Context(), opened(b), way[1], backup.Restoration{}); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(everything(t, first), everything(t, third)) {
			t.Error("what came back is not what went")
		}
	})
	t.Run("too large", func(t *testing.T) {
		from, to := engines["bolt"](t), open(t)
		filled(t, from, 3)
		must(from.Commit(t.Context(), store.Txn{Then: []store.Op{{Key: []byte("huge"), Value: make([]byte, 1<<20+300<<10)}}}))(t)
		b, _ := written(t, from)
		_, _, err := backup.Restore(t.Context(), opened(b), to, backup.Restoration{ValueLimit: 1<<20 + 256<<10})
		if !errors.Is(err, backup.ErrTooLarge) || !bytes.Contains([]byte(err.Error()), []byte(`"huge"`)) || everything(t, to) != nil {
			t.Error(err)
		}
	})
}

// BenchmarkEtcd puts a large log into a real etcd (which does not sync) and takes
// it out again.
func BenchmarkEtcd(b *testing.B) {
	from, _, n := large(b)
	file, _ := written(b, from)
	cluster := etcdtest.New(b, 1)
	for i := 0; b.Loop(); i++ {
		o := must(etcd.ParseURL(fmt.Sprintf("etcd://%s/bench-%d", strings.Join(cluster.Endpoints(), ","), i)))(b)
		o.Log = slog.New(slog.DiscardHandler)
		db := must(etcd.Open(b.Context(), o))(b)
		began := time.Now()
		if _, _, err := backup.Restore(b.Context(), opened(file), db, backup.Restoration{}); err != nil {
			b.Fatal(err)
		}
		in := time.Since(began)
		began = time.Now()
		written(b, db)
		b.Logf("%d events: into etcd in %.1f s, out of it in %.1f s", n, in.Seconds(), time.Since(began).Seconds())
		_ = db.Close()
	}
}
