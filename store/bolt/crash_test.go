package bolt

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
)

// writeForever is the child of TestKill: many writers, each of which prints a
// key only after its Commit returned.
func writeForever(path string) {
	d, err := Open(path, Options{})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	rev, _ := d.Revision(context.Background())
	for w := range 15 {
		go writer(d, rev, w)
	}
	writer(d, rev, 15)
}

func writer(d *DB, run int64, w int) {
	for i := 0; ; i++ {
		key := fmt.Sprintf("%d/%d/%d", run, w, i)
		if _, err := d.Commit(context.Background(), store.Txn{Then: []store.Op{
			{Key: []byte("a/" + key), Value: []byte(strings.Repeat("v", i%3000))},
			{Key: []byte("b/" + key), Value: []byte(key)},
		}}); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Stdout.WriteString(key + "\n")
	}
}

// child starts writeForever on path in another process.
func child(t *testing.T, path string) (cmd *exec.Cmd, lines *bufio.Scanner) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TOCSIN_BOLT_WRITER="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd, bufio.NewScanner(out)
}

// TestKill kills a process in the middle of its commits, several times on one
// file: everything it acknowledged is there, whole, and the file is sound.
func TestKill(t *testing.T) {
	path := file(t.TempDir())
	var acknowledged []string
	for round := range 3 {
		cmd, lines := child(t, path)
		for n := 0; lines.Scan(); n++ {
			if strings.HasPrefix(lines.Text(), "error") {
				t.Fatal(lines.Text())
			}
			acknowledged = append(acknowledged, lines.Text())
			if n == 300 {
				cmd.Process.Kill() // what it printed until then is still read
			}
		}
		cmd.Wait()
		d, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		sound(t, d)
		revs := map[int64]bool{}
		for _, key := range acknowledged {
			a, errA := d.Get(context.Background(), []byte("a/"+key))
			b, errB := d.Get(context.Background(), []byte("b/"+key))
			if errA != nil || errB != nil || string(b.Value) != key || a.Rev != b.Rev || revs[a.Rev] {
				t.Fatalf("round %d: %s was acknowledged: %v, %v, revisions %d and %d", round, key, errA, errB, a.Rev, b.Rev)
			}
			revs[a.Rev] = true
		}
		halves := map[string]int{}
		for kv, err := range d.Scan(context.Background(), store.Range{}) {
			if err != nil {
				t.Fatal(err)
			}
			halves[string(kv.Key[2:])]++
		}
		for key, n := range halves {
			if n != 2 {
				t.Fatalf("round %d: %s is half there", round, key)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d acknowledged commits survived 3 kills", len(acknowledged))
}
