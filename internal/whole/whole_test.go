package whole_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/whole"
)

// TestReplace: the old content or the new one, never a part; a write that fails leaves nothing behind; what a crash left is written over.
func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	text := func(s string, fails error) error {
		return whole.Replace(path, func(w io.Writer) error {
			_, err := io.WriteString(w, s)
			return errors.Join(err, fails)
		})
	}
	is := func(want string) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil || string(b) != want {
			t.Errorf("%q, %v; want %q", b, err, want)
		}
		if _, err := os.Stat(whole.Temp(path)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the temporary file is still there: %v", err)
		}
	}
	if err := text("one", nil); err != nil {
		t.Fatal(err)
	}
	is("one")
	broken := errors.New("broken")
	if err := text("tw", broken); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	is("one")
	if err := os.WriteFile(whole.Temp(path), []byte("what a crash left, longer than the next"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := text("three", nil); err != nil {
		t.Fatal(err)
	}
	is("three")
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}
