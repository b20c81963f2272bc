package web

import (
	"io"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/backup"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// TestBackup takes one as those who may, and restores it.
func TestBackup(t *testing.T) {
	h := newHouse(t)
	h.ana().get("/api/v1/backup").want(404)
	spool := &backup.Spool{DB: h.db, Log: h.Log, Dir: t.TempDir(), Version: "test", Engine: "mem", Clock: h.millis}
	h.Backups = spool
	h.declare(incident.Declare{Title: "Bridge"})
	robot, _ := h.token(auth.RoleAdministrator, "")
	reader, _ := h.token(auth.RoleResponder, "")
	before := h.Log.Size()
	reader.get("/api/v1/backup").want(403)
	h.nobody().get("/api/v1/backup").want(401)
	for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
		lured := h.ana()
		lured.header.Set(name, value)
		lured.get("/api/v1/backup").want(403).problem("cross_origin")
	}
	if h.Log.Size() != before {
		t.Error("a refusal changed the log")
	}
	a := robot.get("/api/v1/backup").want(200)
	if kind, name := a.header.Get("Content-Type"), a.header.Get("Content-Disposition"); kind != "application/vnd.tocsin.backup" || !strings.Contains(name, ".backup") || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%q %q", kind, name)
	}
	target := mem.New()
	s, _, err := backup.Restore(t.Context(), func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(a.body)), nil }, target, backup.Restoration{Verifier: h.Log.Verifier()})
	if err != nil || s.Events != before {
		t.Errorf("%d events of %d: %v", s.Events, before, err)
	}
	events, err := h.Log.ReadStream(t.Context(), backup.Stream, 1, 10)
	if err != nil || len(events) != 1 || !strings.HasPrefix(events[0].Actor, "token:") || strings.Contains(string(events[0].Data), "secret") {
		t.Errorf("the log says %+v %v", events, err)
	}
	h.settle() // the pages stand an event that they do not know

	held, err := spool.Take(t.Context(), h.admin.String())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	h.ana().get("/api/v1/backup").want(409).problem("backup_busy")
	_ = held.Close()
	h.ana().get("/api/v1/backup").want(200)
}
