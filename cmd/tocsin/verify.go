package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/backup"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/store/bolt"
)

type verify struct {
	Target string `arg:"" help:"Data directory, store file, backup file, or http(s) address."`
	Key    string `help:"Verifier key that the log must be signed with (default: the one seen first)." placeholder:"VKEY"`
	Token  string `help:"API token, to check every event of a server too." env:"TOCSIN_TOKEN" placeholder:"TOKEN"`
	Backup bool   `help:"The log is a backup: it may end before what was seen last."`
	sealing
	State string `help:"File that remembers the last checkpoint seen of every log." type:"path" placeholder:"FILE" env:"TOCSIN_VERIFY_STATE"`
}

// Run checks the log and remembers what it saw.
func (v verify) Run(ctx context.Context, io streams) error {
	state := v.State
	if state == "" {
		home, err := os.UserConfigDir()
		if err != nil {
			return fmt.Errorf("find a place to remember checkpoints: %w; name one with --state FILE", err)
		}
		state = filepath.Join(home, "tocsin", "verified.json")
	}
	var src eventlog.Source
	if strings.HasPrefix(v.Target, "http://") || strings.HasPrefix(v.Target, "https://") {
		src = eventlog.Remote(strings.TrimSuffix(v.Target, "/"), v.Token, &http.Client{Timeout: time.Minute})
	} else if open, is, err := v.backupFile(); err != nil {
		return err
	} else if is {
		place, err := filepath.Abs(v.Target)
		if err != nil {
			return err
		}
		src, v.Backup = backup.Log(place, open), true
	} else {
		db, done, err := offline(ctx, v.Target)
		if err != nil {
			return err
		}
		defer done()
		place, err := filepath.Abs(v.Target)
		if err != nil {
			return err
		}
		src = eventlog.Stored(db, place)
	}
	memory, err := eventlog.LoadMemory(state)
	if err != nil {
		return err
	}
	report, err := eventlog.Verify(ctx, src, eventlog.VerifyOptions{Verifier: v.Key, Memory: memory, Older: v.Backup})
	var bad *eventlog.Bad
	if errors.As(err, &bad) {
		fmt.Fprintf(io.out, "NOT VERIFIED: %s: %s\n", v.Target, bad.Error())
		return errBad
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "verified: %s", report)
	memory.Remember(report)
	return memory.Save()
}

// backupFile opens a file made by tocsin backup; is is false for everything else.
func (v verify) backupFile() (open backup.Open, is bool, err error) {
	if st, err := os.Stat(v.Target); err != nil || !st.Mode().IsRegular() {
		return nil, false, nil
	}
	return v.opener(v.Target)
}

// offline opens a store read-only. When a server holds it, a consistent copy is
// taken beside the system's temporary files and removed afterwards.
func offline(ctx context.Context, target string) (*bolt.DB, func(), error) {
	path := target
	if st, err := os.Stat(path); err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", target, err)
	} else if st.IsDir() {
		path = filepath.Join(path, app.StoreFile)
	}
	db, err := bolt.OpenReadOnly(path)
	if err == nil {
		return db, func() { _ = db.Close() }, nil
	}
	if !errors.Is(err, bolt.ErrLocked) {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "tocsin-verify-")
	if err != nil {
		return nil, nil, err
	}
	copied := filepath.Join(dir, app.StoreFile)
	if err := bolt.Snapshot(ctx, path, copied); err != nil {
		_ = os.RemoveAll(dir)
		return nil, nil, err
	}
	if db, err = bolt.OpenReadOnly(copied); err != nil {
		_ = os.RemoveAll(dir)
		return nil, nil, err
	}
	return db, func() { _ = db.Close(); _ = os.RemoveAll(dir) }, nil
}
