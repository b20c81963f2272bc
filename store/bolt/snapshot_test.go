package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
)

// wholeSnapshot opens a copy, checks every page and that no Txn is there by half, and
// returns how many keys it has.
func wholeSnapshot(t *testing.T, path string) int {
	t.Helper()
	r, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	sound(t, r)
	halves := map[string]int{}
	keys := 0
	for kv, err := range r.Scan(context.Background(), store.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		keys++
		halves[string(kv.Key[2:])]++
	}
	for key, n := range halves {
		if n != 2 {
			t.Fatalf("%s is half there", key)
		}
	}
	return keys
}

func pair(i int) store.Txn {
	return store.Txn{Then: []store.Op{
		{Key: fmt.Appendf(nil, "a/%d", i), Value: []byte(strings.Repeat("v", 100+i%3000))},
		{Key: fmt.Appendf(nil, "b/%d", i)},
	}}
}

// TestSnapshotOfALiveProcess copies a file that another process writes without
// a pause. A copy, if there is one, must be whole; ErrBusy is an answer too.
func TestSnapshotOfALiveProcess(t *testing.T) {
	dir := t.TempDir()
	cmd, lines := child(t, file(dir))
	read := func(n int) {
		for range n {
			if !lines.Scan() || strings.HasPrefix(lines.Text(), "error") {
				t.Fatalf("the writer ended: %q", lines.Text())
			}
		}
	}
	made := 0
	for i := range 20 {
		read(25)
		dst := filepath.Join(dir, fmt.Sprintf("copy%d", i))
		err := snapshot(context.Background(), file(dir), dst, 10, snapshotMemory*(i%2), nil)
		if errors.Is(err, ErrBusy) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		made++
		if keys := wholeSnapshot(t, dst); keys < 25*2 {
			t.Errorf("copy %d has %d keys", i, keys)
		}
	}
	t.Logf("%d of 20 copies found a quiet moment", made)
	cmd.Process.Kill()
	for lines.Scan() {
	}
	cmd.Wait()
	dst := filepath.Join(dir, "after")
	if err := Snapshot(context.Background(), file(dir), dst); err != nil {
		t.Fatal(err)
	}
	wholeSnapshot(t, dst)
}

func TestSnapshotNoticesCommits(t *testing.T) {
	for name, memory := range map[string]int{"in memory": snapshotMemory, "on disk": 0} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d, err := Open(file(dir), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			n := 0
			write := func() {
				if _, err := d.Commit(context.Background(), pair(n)); err != nil {
					t.Fatal(err)
				}
				n++
			}
			write()
			dst := filepath.Join(dir, "copy")
			tries := 0
			always := func() { tries++; write() }
			if err := snapshot(context.Background(), file(dir), dst, 4, memory, always); !errors.Is(err, ErrBusy) || tries != 4 {
				t.Fatalf("%v after %d tries, want ErrBusy after 4", err, tries)
			}
			left, _ := filepath.Glob(dst + "*")
			if len(left) != 0 {
				t.Fatalf("left behind: %v", left)
			}
			tries = 0
			twice := func() {
				if tries++; tries <= 2 {
					write()
				}
			}
			if err := snapshot(context.Background(), file(dir), dst, 4, memory, twice); err != nil || tries != 3 {
				t.Fatalf("%v after %d tries, want success at the third", err, tries)
			}
			if keys := wholeSnapshot(t, dst); keys != 2*n {
				t.Errorf("%d keys, want %d", keys, 2*n)
			}
			if info, err := os.Stat(dst); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			if err := Snapshot(context.Background(), file(dir), dst); !errors.Is(err, os.ErrExist) {
				t.Errorf("onto an existing file: %v", err)
			}
		})
	}
}

func TestSnapshotRefusals(t *testing.T) {
	dir := t.TempDir()
	if err := Snapshot(context.Background(), filepath.Join(dir, "none"), filepath.Join(dir, "x")); err == nil || !strings.Contains(err.Error(), "check --data") {
		t.Errorf("missing: %v", err)
	}
	d, err := Open(file(dir), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ended, end := context.WithCancel(context.Background())
	end()
	if err := Snapshot(ended, file(dir), filepath.Join(dir, "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("ended ctx: %v", err)
	}
}

// TestSnapshotWithOneMetaPage spoils either meta page: as bbolt does, the copy
// goes by the other.
func TestSnapshotWithOneMetaPage(t *testing.T) {
	for spoiled := range 2 {
		dir := t.TempDir()
		d, err := Open(file(dir), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			if _, err := d.Commit(context.Background(), pair(i)); err != nil {
				t.Fatal(err)
			}
		}
		d.Close()
		f, err := os.OpenFile(file(dir), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{0xff}, int64(spoiled*os.Getpagesize()+metaHeader+50)); err != nil {
			t.Fatal(err)
		}
		f.Close()
		dst := filepath.Join(dir, "copy")
		if err := Snapshot(context.Background(), file(dir), dst); err != nil {
			t.Fatal(err)
		}
		if keys := wholeSnapshot(t, dst); keys < 6 {
			t.Errorf("meta page %d spoiled: %d keys, want those of the last commit but one at least", spoiled, keys)
		}
	}
}
