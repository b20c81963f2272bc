package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/bolt"
)

// everything is every key of a directory's store.
func everything(t *testing.T, dir string) (out []string) {
	t.Helper()
	db, err := bolt.OpenReadOnly(filepath.Join(dir, app.StoreFile))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for kv, err := range db.Scan(t.Context(), store.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%q=%x", kv.Key, kv.Value))
	}
	return out
}

func ok(t *testing.T, begins string, args ...string) string {
	t.Helper()
	code, out, err := tocsin(t, nil, args...)
	if code != 0 || !strings.HasPrefix(out, begins) {
		t.Fatalf("tocsin %v: %d\n%s%s", args, code, out, err)
	}
	return out
}

func refused(t *testing.T, says string, args ...string) {
	t.Helper()
	code, out, err := tocsin(t, nil, args...)
	if code != 1 || !strings.Contains(out+err, says) {
		t.Errorf("tocsin %v: %d\n%s%s, want %q", args, code, out, err, says)
	}
}

func TestBackupAndRestore(t *testing.T) {
	defer func(before int) { scryptWork = before }(scryptWork)
	scryptWork = 10
	dir, place := made(t), t.TempDir()
	file, state := filepath.Join(place, "one.backup"), filepath.Join(place, "state.json")
	ok(t, "backup: ", "backup", "--data", dir, "--out", file)
	st, err := os.Stat(file)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	refused(t, "--force", "backup", "--data", dir, "--out", file)
	ok(t, "backup: ", "backup", "--data", dir, "--out", file, "--force")
	ok(t, "verified: ", "verify", file, "--state", state)
	ok(t, "verified: ", "verify", dir, "--state", state)

	target := filepath.Join(place, "new", "deep")
	if out := ok(t, "restored: ", "restore", file, "--data", target); !strings.Contains(out, "verified: ") || !strings.Contains(out, "3 events") {
		t.Error(out)
	}
	if !slices.Equal(everything(t, dir), everything(t, target)) {
		t.Error("what was restored is not what was backed up")
	}
	refused(t, "not empty", "restore", file, "--data", target)
	refused(t, "not a backup", "restore", filepath.Join(dir, app.StoreFile), "--data", filepath.Join(place, "x"))

	// Through a pipe and encrypted.
	secret := filepath.Join(place, "passphrase")
	if err := os.WriteFile(secret, []byte("correct horse battery staple\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, sealed, msg := tocsin(t, nil, "backup", "--data", dir, "--out", "-", "--passphrase-file", secret)
	if code != 0 || !strings.HasPrefix(sealed, sealedBegin) || strings.Contains(sealed, "robot") {
		t.Fatalf("%d %s", code, msg)
	}
	again := filepath.Join(place, "again")
	out, errs := newOutput(), newOutput()
	if code := run(t.Context(), []string{"restore", "-", "--data", again, "--passphrase-file", secret}, streams{strings.NewReader(sealed), out, errs, nil}); code != 0 {
		t.Fatal(out.String() + errs.String())
	}
	if !slices.Equal(everything(t, dir), everything(t, again)) {
		t.Error("what was restored is not what was backed up")
	}
	if err := os.WriteFile(file+".age", []byte(sealed), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, "--passphrase-file", "restore", file+".age", "--data", filepath.Join(place, "y"))
	ok(t, "verified: ", "verify", file+".age", "--passphrase-file", secret, "--state", state)
	if err := os.WriteFile(secret, []byte("wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, "passphrase", "restore", file+".age", "--data", filepath.Join(place, "y"), "--passphrase-file", secret)

	// A cut file leaves nothing behind that a server would start on as its own.
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b[:len(b)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, "damaged", "restore", file, "--data", filepath.Join(place, "z"))
	refused(t, "damaged", "verify", file, "--state", state)
	if got := everything(t, filepath.Join(place, "z")); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
	refused(t, "one of", "backup", "--data", dir, "--url", "http://127.0.0.1:1")
	if left, _ := filepath.Glob(filepath.Join(place, "*.part*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestBackupOfAServerThatRuns takes one from its directory and one through its
// API, and the restored directory has its tokens.
func TestBackupOfAServerThatRuns(t *testing.T) {
	dir, place := t.TempDir(), t.TempDir()
	token := strings.TrimSpace(ok(t, "tocsin_", "token", "create", "--name", "robot", "--role", "administrator", "--data", dir))
	reader := strings.TrimSpace(ok(t, "tocsin_", "token", "create", "--name", "reader", "--role", "responder", "--data", dir))
	s := background(t, nil, "serve", "--addr", "127.0.0.1:0", "--data", dir)
	url := s.says(address)[1]
	s.ready()
	near, far := filepath.Join(place, "near.backup"), filepath.Join(place, "far.backup")
	ok(t, "backup: ", "backup", "--data", dir, "--out", near)
	ok(t, "backup: ", "backup", "--url", url, "--token", token, "--out", far)
	refused(t, "403", "backup", "--url", url, "--token", reader, "--out", far, "--force")
	refused(t, "administrator", "backup", "--url", url, "--out", far, "--force")
	if _, body := s.get("/api/v1/log?follow=false", token); !strings.Contains(body, `"backup.taken"`) {
		t.Error("the log does not say that a backup was taken")
	}
	s.stop()
	if left, _ := filepath.Glob(filepath.Join(dir, "backup-*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	for _, file := range []string{near, far} {
		target := file + ".data"
		ok(t, "restored: ", "restore", file, "--data", target)
		r := background(t, nil, "serve", "--addr", "127.0.0.1:0", "--data", target)
		r.ready()
		if code, body := r.get("/api/v1/sources", token); code != 200 {
			t.Errorf("the token on the restored server: %d %s", code, body)
		}
		r.stop()
	}
	if text := s.out.String() + s.err.String(); strings.Contains(text, token) {
		t.Error("a token is in the output")
	}
}

// TestUnfinishedRestore: nobody serves a store that a restore has not finished,
// and a second restore makes it whole.
func TestUnfinishedRestore(t *testing.T) {
	dir, target, place := made(t), t.TempDir(), t.TempDir()
	file := filepath.Join(place, "one.backup")
	ok(t, "backup: ", "backup", "--data", dir, "--out", file)
	other := "tocsin/log+00000000+AQQR"
	refused(t, "", "restore", file, "--data", target, "--key", other)
	for _, args := range [][]string{{"serve", "--addr", "127.0.0.1:0", "--data", target}, {"token", "create", "--name", "x", "--data", target}, {"backup", "--data", target, "--out", file + "2"}} {
		refused(t, "was not finished", args...)
	}
	ok(t, "restored: ", "restore", file, "--data", target)
	ok(t, "tocsin_", "token", "create", "--name", "x", "--data", target)
}

// TestBackupIsCutOff: a server that stops in the middle leaves no file.
func TestBackupIsCutOff(t *testing.T) {
	place := t.TempDir()
	for name, answer := range map[string]http.HandlerFunc{
		"cut": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("\x1f\x8b"))
		},
		"not one": func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"refused": func(w http.ResponseWriter, r *http.Request) { http.Error(w, `{"detail":"No."}`, 409) },
		"sent on": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://127.0.0.1:1/", 302) },
	} {
		srv := httptest.NewServer(answer)
		refused(t, "", "backup", "--url", srv.URL, "--token", "tocsin_x", "--out", filepath.Join(place, "file"))
		srv.Close()
		if left, _ := os.ReadDir(place); len(left) != 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
}
