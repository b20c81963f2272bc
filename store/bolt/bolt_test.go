package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/storetest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("TOCSIN_BOLT_WRITER"); path != "" {
		writeForever(path)
	}
	goleak.VerifyTestMain(m)
}

func file(dir string) string { return filepath.Join(dir, "tocsin.db") }

// fresh opens a new store that is closed with the test.
func fresh(t testing.TB, o Options) *DB {
	t.Helper()
	d, err := Open(file(t.TempDir()), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil && !errors.Is(err, store.ErrClosed) {
			t.Error(err)
		}
	})
	return d
}

func set(t testing.TB, d store.DB, key, value string) {
	t.Helper()
	if _, err := d.Commit(context.Background(), putTxn(key, value)); err != nil {
		t.Fatal(err)
	}
}

func putTxn(key, value string) store.Txn {
	return store.Txn{Then: []store.Op{{Key: []byte(key), Value: []byte(value)}}}
}

// sound runs bbolt's own check over every page.
func sound(t testing.TB, d *DB) {
	t.Helper()
	if err := d.bolt.View(func(tx *bbolt.Tx) error {
		var errs []error
		for err := range tx.Check() {
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}); err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.DB { return fresh(t, Options{}) })
}

func TestCompaction(t *testing.T) {
	storetest.RunCompaction(t, func(t *testing.T, keep int) store.DB { return fresh(t, Options{KeepCount: keep}) })
}

func TestDurable(t *testing.T) {
	storetest.RunDurable(t, func(t *testing.T, dir string) store.DB {
		d, err := Open(file(dir), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}

func TestSecondOpenIsRefusedWithTheRemedy(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(file(dir), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, err = Open(file(dir), Options{LockTimeout: 1})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "stop it or choose another --data") {
		t.Errorf("second open: %v", err)
	}
	if _, err := OpenReadOnly(file(dir)); !errors.Is(err, ErrLocked) {
		t.Errorf("read-only open of a live store: %v", err)
	}
}

func TestOpenOfOtherFiles(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, bytes.Repeat([]byte("no store "), 4000), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other")
	b, err := bbolt.Open(other, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("x")); return err })
	b.Close()
	for _, path := range []string{text, other} {
		for _, open := range []func() (*DB, error){
			func() (*DB, error) { return Open(path, Options{}) },
			func() (*DB, error) { return OpenReadOnly(path) },
		} {
			if _, err := open(); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %v, want ErrDamaged", filepath.Base(path), err)
			}
		}
	}
	if _, err := OpenReadOnly(filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "check --data") {
		t.Errorf("missing file: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error("a read-only open made the file")
	}
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(file(dir), Options{})
	if err != nil {
		t.Fatal(err)
	}
	set(t, d, "a", "1")
	d.Close()
	if info, err := os.Stat(file(dir)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if err := os.Chmod(file(dir), 0o400); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReadOnly(file(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if kv, err := r.Get(context.Background(), []byte("a")); err != nil || string(kv.Value) != "1" {
		t.Errorf("get: %q, %v", kv.Value, err)
	}
	if rev, err := r.Revision(context.Background()); rev != 1 || err != nil {
		t.Errorf("revision %d, %v", rev, err)
	}
	if _, err := r.Commit(context.Background(), putTxn("a", "2")); !errors.Is(err, ErrReadOnly) {
		t.Errorf("commit: %v, want ErrReadOnly", err)
	}
}

func TestBackupOpens(t *testing.T) {
	d := fresh(t, Options{})
	for i := range 50 {
		set(t, d, fmt.Sprintf("k%03d", i), strings.Repeat("v", 2000))
	}
	var buf bytes.Buffer
	n, err := d.Backup(&buf)
	if err != nil || n != int64(buf.Len()) {
		t.Fatal(n, err)
	}
	path := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	set(t, d, "later", "x")
	r, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	sound(t, r)
	keys := 0
	for _, err := range r.Scan(context.Background(), store.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		keys++
	}
	if keys != 50 {
		t.Errorf("%d keys in the backup, want 50", keys)
	}
	d.Close()
	if _, err := d.Backup(&buf); !errors.Is(err, store.ErrClosed) {
		t.Errorf("backup after Close: %v", err)
	}
}

// TestDamageIsAnError overwrites each page of the file in turn: whatever bbolt
// makes of it, the process lives and never gets a value that was not written,
// unless the page still is a right one.
func TestDamageIsAnError(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(file(dir), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		set(t, d, fmt.Sprintf("k%03d", i), strings.Repeat("v", 300))
	}
	d.Close()
	good, err := os.ReadFile(file(dir))
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	found := 0
	for at := 0; at+page <= min(len(good), 200*page); at += page {
		for name, fill := range map[string]byte{"ones": 0xff, "zeros": 0} {
			bad := bytes.Clone(good[:min(len(good), 200*page)])
			copy(bad[at:at+page], bytes.Repeat([]byte{fill}, page))
			path := filepath.Join(dir, "bad")
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := OpenReadOnly(path)
			if err != nil {
				found++
				if !errors.Is(err, ErrDamaged) {
					t.Errorf("page %d of %s: open: %v", at/page, name, err)
				}
				continue
			}
			for _, err := range r.Scan(context.Background(), store.Range{}) {
				if err != nil {
					found++
					if !errors.Is(err, ErrDamaged) {
						t.Errorf("page %d of %s: scan: %v", at/page, name, err)
					}
				}
			}
			r.Get(context.Background(), []byte("k150"))
			r.Close()
		}
	}
	if found == 0 {
		t.Error("no damage was noticed at all")
	}
}
