package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/backup"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/bolt"
)

type restore struct {
	sealing
	File   string `arg:"" help:"The backup; - for standard input."`
	Data   string `help:"Directory to restore into; it is made (default ./data)." type:"path" placeholder:"DIR"`
	Store  string `help:"Store to restore into that several replicas share: etcd://HOST:2379,HOST:2379/PREFIX." placeholder:"STORE"`
	Key    string `help:"Verifier key that the log must be signed with (default: the one in the backup)." placeholder:"VKEY"`
	Config string `help:"Configuration file." type:"path" placeholder:"FILE" env:"TOCSIN_CONFIG"`
}

// Help is shown by tocsin restore --help.
func (restore) Help() string {
	return "Into an empty place only. Nothing is written before the whole file was found whole; then the log is verified where it now is. If it is interrupted, run it again. Never run the old installation beside the restored one: both sign with the same key."
}

// sharedLimit is the longest value that an etcd with default settings takes,
// with room for the rest of the request.
const sharedLimit = 1<<20 + 256<<10

// Run restores and verifies.
func (r restore) Run(ctx context.Context, streams streams) error {
	if r.Data != "" && r.Store != "" {
		return errors.New("name one of --data and --store")
	}
	c, err := placed(r.Config, r.Data, r.Store, streams)
	if err != nil {
		return err
	}
	file := r.File
	if file == "-" {
		spooled, err := spool(streams.in)
		if err != nil {
			return err
		}
		defer os.Remove(spooled)
		file = spooled
	}
	open, is, err := r.opener(file)
	if err != nil {
		return err
	}
	if !is {
		return fmt.Errorf("%s is not a backup made by “tocsin backup”", r.File)
	}
	var db store.DB
	o, where := backup.Restoration{Verifier: r.Key}, c.Data
	if c.Store.Shared() {
		where, o.ValueLimit = c.Store.String(), sharedLimit
		db, err = openStore(ctx, c.Store.Reveal(), logger(streams.err, c.Level()))
	} else {
		db, err = openDirectory(c.Data)
	}
	if err != nil {
		return err
	}
	s, report, err := backup.Restore(ctx, open, db, o)
	if closing := db.Close(); err == nil {
		err = closing
	}
	var bad *eventlog.Bad
	if errors.As(err, &bad) {
		fmt.Fprintf(streams.out, "NOT RESTORED: %s: %s\nNo server starts on %s; restore another backup into it.\n", r.File, bad.Error(), where)
		return errBad
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(streams.out, "restored: %s: %d keys of the backup made %s by tocsin %s from %s\nverified: %s", where, s.Keys, s.MadeAt.Format("2006-01-02 15:04:05 MST"), s.Version, s.Engine, report)
	fmt.Fprintln(streams.out, "Do not start the old installation again: both sign with the same key.")
	return nil
}

func openDirectory(dir string) (store.DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory %s: %w; choose another with --data", dir, err)
	}
	db, err := bolt.Open(filepath.Join(dir, app.StoreFile), bolt.Options{})
	if err != nil {
		return nil, err
	}
	// What was drawn from another log is of no use, and may hold what was redacted.
	if err := os.RemoveAll(filepath.Join(dir, app.SnapshotDir)); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

// spool puts what can be read once into a file that can be read twice.
func spool(in io.Reader) (string, error) {
	f, err := os.CreateTemp("", "tocsin-restore-*")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(f, in)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return "", fmt.Errorf("read standard input: %w", err)
	}
	return f.Name(), nil
}
