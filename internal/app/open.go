package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/tocsin-ops/tocsin/internal/backup"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/metrics"
	"github.com/tocsin-ops/tocsin/internal/replica"
	"github.com/tocsin-ops/tocsin/store/bolt"
)

// StoreFile is the name of the store in the data directory.
const StoreFile = "tocsin.db"

// A shared store that does not answer at the start is waited for so long, in
// attempts of at most so long with so long between them.
const (
	storeWithin  = 30 * time.Second
	storeAttempt = 10 * time.Second
	storePause   = time.Second
)

func (a *App) open(ctx context.Context) error {
	dir := a.opt.Config.Data
	if err := metrics.CheckRules(a.opt.Config.Rules); err != nil {
		return fmt.Errorf("the rule files cannot be used:\n%w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory %s: %w; choose another with --data", dir, err)
	}
	open := a.openBolt
	if a.opt.Config.Store.Shared() {
		open = a.openShared
		if a.opt.Config.PublicURL == "" {
			a.opt.Logger.Warn("public_url is not set: links, feed and JSON of the status page repeat whatever host was asked for; set it to the address in front of the replicas")
		}
	}
	if err := open(ctx); err != nil {
		return err
	}
	var err error
	a.tsdb, err = metrics.Open(filepath.Join(dir, "metrics"), metrics.Options{Retention: a.opt.Config.Retention.Std(), OutOfOrder: a.opt.Config.Metrics.OutOfOrder.Std(), Log: slog.New(warnings{a.component("metrics").Handler()})})
	if err != nil {
		return fmt.Errorf("open the metrics in %s: %w", dir, err)
	}
	return a.openBlobs(ctx)
}

// spool makes backups for administrators, one at a time; a file lies in the data
// directory while it is sent.
func (a *App) spool() *backup.Spool {
	engine := "bolt"
	if a.opt.Config.Store.Shared() {
		engine = "etcd"
	}
	return &backup.Spool{DB: a.db, Log: a.log, Dir: a.opt.Config.Data, Version: a.opt.Version, Engine: engine, Clock: a.millis}
}

func (a *App) openBolt(ctx context.Context) error {
	dir := a.opt.Config.Data
	db, err := bolt.Open(filepath.Join(dir, StoreFile), bolt.Options{})
	if err != nil {
		return err
	}
	a.db = db
	if err := a.openLog(ctx); err != nil {
		return fmt.Errorf("open the log in %s: %w", dir, err)
	}
	return nil
}

func (a *App) openLog(ctx context.Context) (err error) {
	if err := backup.Unfinished(ctx, a.db); err != nil {
		return err
	}
	a.log, err = eventlog.Open(ctx, a.db, eventlog.Options{Origin: origin(a.opt.Config), Log: a.component("eventlog")})
	return err
}

// openShared waits for a store that is not there yet, saying so once.
func (a *App) openShared(ctx context.Context) error {
	where := a.opt.Config.Store
	if a.opt.OpenStore == nil {
		return errors.New("this program keeps its log in a file only; run “tocsin serve --store " + where.String() + "” for a store that several share, or take the setting store away")
	}
	var err error
	if a.id, err = replicaID(a.opt.Config.Data); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	for said := false; ; said = true {
		err := a.tryShared(ctx)
		if err == nil {
			return nil
		}
		if errors.Is(err, eventlog.ErrCorrupt) || errors.Is(err, backup.ErrUnfinished) {
			return fmt.Errorf("open the log in %s: %w", where, err)
		}
		if !said {
			a.opt.Logger.Warn("the store does not answer yet", "store", where, "waiting", storeWithin, "err", err)
		}
		pause := time.NewTimer(storePause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("open the store %s: %w; it was waited for %s: check that a majority of its members run and can be reached from here (etcdctl endpoint health), and user and certificates", where, err, storeWithin)
		}
	}
}

func (a *App) tryShared(ctx context.Context) error {
	attempt, cancel := context.WithTimeout(ctx, storeAttempt)
	defer cancel()
	db, err := a.opt.OpenStore(attempt, a.opt.Config.Store.Reveal(), slog.New(newSeldom(a.component("store").Handler())))
	if err != nil {
		return err
	}
	shared, ok := db.(replica.Shared)
	if !ok {
		_ = db.Close()
		return errors.New("this store is not made for several replicas")
	}
	a.watched = replica.Watch(shared)
	a.db = a.watched
	if err := a.openLog(attempt); err != nil {
		a.db, a.watched = nil, nil
		_ = db.Close()
		return err
	}
	return nil
}
