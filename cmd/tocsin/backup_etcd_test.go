//go:build unix

package main

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/store/etcd/etcdtest"
)

// TestFromOneMachineToReplicas moves a directory into a real etcd, serves it three
// times over, and moves it back.
func TestFromOneMachineToReplicas(t *testing.T) {
	cluster := etcdtest.New(t, 1)
	shared := "etcd://" + strings.Join(cluster.Endpoints(), ",") + "/tocsin"
	dir, place := made(t), t.TempDir()
	token := strings.TrimSpace(ok(t, "tocsin_", "token", "create", "--name", "robot", "--role", "administrator", "--data", dir))
	there, back := filepath.Join(place, "there.backup"), filepath.Join(place, "back.backup")
	ok(t, "backup: ", "backup", "--data", dir, "--out", there)
	if out := ok(t, "restored: ", "restore", there, "--store", shared); !strings.Contains(out, "4 events") {
		t.Error(out)
	}
	refused(t, "not empty", "restore", there, "--store", shared)
	ok(t, "backup: ", "backup", "--store", shared, "--out", back)
	ok(t, "restored: ", "restore", back, "--data", filepath.Join(place, "back"))
	if !slices.Equal(everything(t, dir), everything(t, filepath.Join(place, "back"))) {
		t.Error("what came back from etcd is not what went there")
	}
	var keys []string
	for _, name := range []string{"a", "b", "c"} {
		s := background(t, nil, "serve", "--addr", "127.0.0.1:0", "--data", filepath.Join(place, name), "--store", shared)
		s.ready()
		if code, body := s.get("/api/v1/log?follow=false", token); code != http.StatusOK || strings.Count(body, `"token.created"`) != 4 {
			t.Errorf("replica %s: %d %s", name, code, body)
		}
		_, key := s.get("/ledger/key", "")
		keys = append(keys, key)
	}
	if keys[0] == "" || keys[0] != keys[1] || keys[1] != keys[2] {
		t.Errorf("keys of the log: %q", keys)
	}
}
