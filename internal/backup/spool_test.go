package backup_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/backup"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestSpool(t *testing.T) {
	db, dir := mem.New(), t.TempDir()
	log := filled(t, db, 7)
	s := &backup.Spool{DB: db, Log: log, Dir: dir, Version: "test", Engine: "mem", Clock: noon.UnixMilli}
	taken := must(s.Take(t.Context(), "person:ana"))(t)
	if _, err := s.Take(t.Context(), "person:ana"); !errors.Is(err, backup.ErrBusy) {
		t.Errorf("a second one at a time: %v", err)
	}
	file := must(io.ReadAll(taken))(t)
	if int64(len(file)) != taken.Size {
		t.Errorf("%d bytes, said %d", len(file), taken.Size)
	}
	if s := must(backup.Inspect(t.Context(), opened(file)))(t); s != taken.Summary || s.Events != 7 {
		t.Errorf("%+v", s)
	}
	events := must(log.ReadStream(t.Context(), backup.Stream, 1, 10))(t)
	var fact backup.Fact
	if len(events) != 1 || events[0].Actor != "person:ana" || events[0].Type != backup.TakenType || json.Unmarshal(events[0].Data, &fact) != nil || fact.SHA256 != taken.SHA256 {
		t.Errorf("the log says %+v", events)
	}
	_ = taken.Close()
	_ = taken.Close()
	if left := must(os.ReadDir(dir))(t); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	next := must(s.Take(t.Context(), "person:ana"))(t)
	_ = next.Close()
	s.Dir = dir + "/none"
	if _, err := s.Take(t.Context(), "person:ana"); err == nil || errors.Is(err, backup.ErrBusy) {
		t.Error(err)
	}
	if _, err := s.Take(t.Context(), "person:ana"); errors.Is(err, backup.ErrBusy) {
		t.Error("after an error it stays busy")
	}
}
