package intake_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
	"github.com/tocsin-ops/tocsin/store/storetest"
)

var errFull = errors.New("the disk is full")

// brokenLog appends nothing while broken. before, when set, runs before an append.
type brokenLog struct {
	intake.Log
	broken bool
	before func()
}

func (l *brokenLog) Append(ctx context.Context, b eventlog.Batch) ([]eventlog.Event, error) {
	if l.broken {
		return nil, errFull
	}
	if f := l.before; f != nil {
		l.before = nil
		f()
	}
	return l.Log.Append(ctx, b)
}

// TestSecretIsSetAndTakenAwayInOrder: whatever fails on the way, what nobody signed is not taken from a source that says it is signed, and the
// HMAC of no key signs nothing.
func TestSecretIsSetAndTakenAwayInOrder(t *testing.T) {
	const secret, other = "a-long-shared-secret", "another-long-secret"
	faulty := false
	db := storetest.Faulty(mem.New(), func(_ int, txn store.Txn) storetest.Fault {
		for _, op := range txn.Then {
			if faulty && strings.HasPrefix(string(op.Key), "intake/secret/") {
				return storetest.Lose()
			}
		}
		return storetest.Pass()
	})
	h := open(t, db)
	src, key := h.source(intake.Grafana)
	log := &brokenLog{Log: h.log}
	clock := func() time.Time { return h.now }
	h.sources = intake.NewSources(log, db, clock)
	h.gate = intake.NewGate(h.desk, h.sources, slog.New(slog.DiscardHandler))
	set := func(secret string) error { return h.sources.Sign(t.Context(), "person:ana", src.ID, secret) }
	takes := func(when string, signed bool, secrets map[string]int) {
		t.Helper()
		if err := h.sources.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now, _ := h.sources.ByID(src.ID); now.Signed != signed {
			t.Errorf("%s: signed is %v", when, now.Signed)
		}
		for with, want := range secrets {
			header := http.Header{}
			if with != "unsigned" {
				header.Set("X-Grafana-Alerting-Signature", sign(strings.TrimPrefix(with, "empty"), "", grafanaUnified))
			}
			if r := h.gate.Handle(t.Context(), intake.Grafana, key, header, []byte(grafanaUnified), h.now); r.Status != want {
				t.Errorf("%s, %s: %d %+v", when, with, r.Status, r.Body)
			}
		}
	}
	none := map[string]int{"unsigned": 202}
	if err := h.sources.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}

	faulty = true
	if err := set(secret); !errors.Is(err, storetest.ErrInjected) {
		t.Errorf("%v", err)
	}
	takes("the secret was not kept", false, none)
	faulty, log.broken = false, true
	if err := set(secret); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
	takes("the secret was kept and not said", false, none)
	log.broken = false
	if err := set(other); err != nil {
		t.Fatal(err)
	}
	whole := map[string]int{other: 202, secret: 401, "empty": 401, "unsigned": 401}
	takes("set", true, whole)

	log.broken = true
	if err := set(""); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
	takes("it was not said that it is unsigned", true, whole)
	log.broken, faulty = false, true
	if err := set(""); !errors.Is(err, storetest.ErrInjected) {
		t.Errorf("%v", err)
	}
	takes("the secret was not deleted", false, none)
	faulty = false
	if err := set(secret); err != nil {
		t.Fatal(err)
	}
	takes("set again", true, map[string]int{secret: 202, other: 401, "empty": 401, "unsigned": 401})

	// Another replica sets a secret while this one takes it away: its secret is not deleted.
	log.before = func() {
		if err := intake.NewSources(h.log, db, clock).Sign(t.Context(), "person:bo", src.ID, other); err == nil {
			t.Error("a replica that knows no source signs one")
		}
		replica := intake.NewSources(h.log, db, clock)
		if err := replica.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		if err := replica.Sign(t.Context(), "person:bo", src.ID, other); err != nil {
			t.Error(err)
		}
	}
	var refused *incident.Refusal
	if err := set(""); !errors.As(err, &refused) || refused.Code != "secret_changed" {
		t.Errorf("%v", err)
	}
	if err := set(other); err != nil {
		t.Fatal(err)
	}

	// A source that an older version left signed and without a secret takes nothing until it has one.
	if _, err := db.Commit(t.Context(), store.Txn{Then: []store.Op{{Key: []byte("intake/secret/" + src.ID), Delete: true}}}); err != nil {
		t.Fatal(err)
	}
	takes("signed without a secret", true, map[string]int{"empty": 401, other: 401, "unsigned": 401})
	if n := h.gate.Newest(src.ID); !strings.Contains(n.Problem, "its secret is missing") {
		t.Errorf("%+v", n)
	}
	if err := set(""); err != nil {
		t.Fatal(err)
	}
	takes("taken away", false, none)
}
