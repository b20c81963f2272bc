package app_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/bolt"
)

// Of 250 events of years, about 100 are of an incident and the rest of signals.
const (
	eventsPerIncident = 250
	yearsSources      = 40
	yearsOpen         = 15 // incidents that are still open
)

const dayMs = int64(24 * 3600_000)

// years writes a log of up to two years as a room of people and sources would have
// written it: the cores decide, and what they say is appended in big groups.
type years struct {
	log     *eventlog.Log
	begin   int64
	sources []signal.State
}

// writeYears fills the data directory dir with a log of at least events events.
func writeYears(tb testing.TB, dir string, events int) {
	tb.Helper()
	ctx := context.Background()
	db, err := bolt.Open(filepath.Join(dir, app.StoreFile), bolt.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	log, err := eventlog.Open(ctx, db, eventlog.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	days := int64(min(730, max(1, events/1000)))
	y := &years{log: log, begin: time.Now().UnixMilli()/dayMs*dayMs - days*dayMs, sources: make([]signal.State, yearsSources)}
	for i := range y.sources {
		y.sources[i].Source = fmt.Sprintf("source-%d", i)
	}
	incidents := events / eventsPerIncident
	for day := range days {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(64)
		left := int64(events) - log.Size()
		perSource := int(left/(days-day)) * 6 / 10 / yearsSources
		for i := range y.sources {
			g.Go(func() error { return y.signals(ctx, i, day, perSource+1) })
		}
		for n := int64(incidents) * day / days; n < int64(incidents)*(day+1)/days; n++ {
			g.Go(func() error { return y.incident(ctx, n+1, day, n >= int64(incidents)-yearsOpen) })
		}
		if err := g.Wait(); err != nil {
			tb.Fatal(err)
		}
	}
	if more := int64(events) - log.Size(); more > 0 {
		if err := y.signals(ctx, 0, days, int(more)); err != nil {
			tb.Fatal(err)
		}
	}
	// The correlator has acted on all of it.
	key := []byte("reactor/correlate")
	if _, err := db.Commit(ctx, store.Txn{Then: []store.Op{{Key: key, Value: binary.BigEndian.AppendUint64(nil, uint64(log.Size()))}}}); err != nil {
		tb.Fatal(err)
	}
	tb.Logf("%d events, %d incidents, %d sources", log.Size(), incidents, yearsSources)
}

// signals is one day of one source: alerts that fire, repeat and clear.
func (y *years) signals(ctx context.Context, i int, day int64, events int) error {
	state, at := y.sources[i], y.begin+day*dayMs
	var drafts []eventlog.Draft
	for n := 0; len(drafts) < events; n++ {
		at += 61_000
		o := signal.Observation{
			Key: fmt.Sprintf("alert-%d", n/4%200), Kind: "HighLatency", Subject: fmt.Sprintf("rpc-%d", n%7), Severity: signal.SEV5, At: at, Firing: n%4 != 3,
			Title: fmt.Sprintf("Latency of rpc-%d is above two seconds", n%7), Reason: fmt.Sprintf("p99 was %d ms for five minutes", 2000+n%900),
			Chain: []string{"ethereum", "solana", "bitcoin"}[n%3], Labels: map[string]string{"job": "node", "region": "eu-central", "severity": "info"},
		}
		for _, b := range signal.Decide(state, o) {
			typ, version, data, err := signal.Encode(b)
			if err != nil {
				return err
			}
			drafts = append(drafts, eventlog.Draft{At: at, Actor: "source:" + state.Source, Type: typ, Version: version, Data: data})
			state = signal.Apply(state, signal.Event{Source: state.Source, Offset: 1, At: at, Body: b})
		}
	}
	y.sources[i] = state
	for len(drafts) > 0 {
		n := min(len(drafts), 400)
		if _, err := y.log.Append(ctx, eventlog.Batch{Stream: signal.StreamPrefix + state.Source, Expect: eventlog.AnySeq, Drafts: drafts[:n]}); err != nil {
			return err
		}
		drafts = drafts[n:]
	}
	return nil
}

// incident is one from its declaration to its review, on one day.
func (y *years) incident(ctx context.Context, number, day int64, open bool) error {
	s, at := incident.New(number, uuid.NewString()), y.begin+day*dayMs+number%20*3600_000
	var drafts []eventlog.Draft
	do := func(actor string, c incident.Command) error {
		at += 47_000
		m := incident.Meta{ID: uuid.Must(uuid.NewV7()).String(), At: at, Actor: actor}
		bodies, err := incident.Decide(s, c, m)
		var r *incident.Refusal
		if errors.As(err, &r) {
			return fmt.Errorf("%s: %s", c.Name(), r.Sentence)
		}
		for _, b := range bodies {
			typ, version, data, err := incident.Encode(b)
			if err != nil {
				return err
			}
			drafts = append(drafts, eventlog.Draft{At: at, Actor: actor, Causation: m.ID, Type: typ, Version: version, Data: data})
			s = incident.Apply(s, incident.Event{Meta: m, Offset: s.Position + 1, Body: b})
		}
		return nil
	}
	const ana, ben = "person:ana", "person:ben"
	component := []string{"bridge", "rpc", "withdrawals"}[number%3]
	steps := []struct {
		by string
		c  incident.Command
	}{
		{"system:correlator", incident.Declare{
			Title: fmt.Sprintf("Withdrawals of pool %d are late", number), Severity: fmt.Sprintf("SEV%d", 1+number%4), Chains: []string{"ethereum"}, Components: []string{component},
			Attach: []incident.Signal{{ID: fmt.Sprintf("source-1-%012x", number), Source: "source-1", Kind: "HighLatency", Title: "Latency is above two seconds", Severity: "SEV2", State: incident.SignalCleared, Chain: "ethereum"}},
		}},
		{ana, incident.AssignRole{Role: "commander", Person: "ana"}},
		{ana, incident.AssignRole{Role: "comms", Person: "ben"}},
		{ana, incident.SetStatus{Status: "investigating"}},
		{ana, incident.SetSummary{Summary: "The signer answers slowly since the rotation of its keys; nothing is lost, payments queue."}},
	}
	for i := range 8 {
		steps = append(steps, struct {
			by string
			c  incident.Command
		}{ben, incident.AddTask{Title: fmt.Sprintf("Look at the logs of signer %d", i), Assignee: "ben"}})
	}
	for i := range 60 {
		steps = append(steps, struct {
			by string
			c  incident.Command
		}{[]string{ana, ben}[i%2], incident.AddNote{Text: fmt.Sprintf("At minute %d the queue holds %d withdrawals; the nodes of both providers agree on the head, so it is ours.", i, 400-6*i)}})
	}
	if number%3 == 0 {
		for i, phase := range []string{"investigating", "identified", "resolved"} {
			for _, c := range []struct {
				by string
				c  incident.Command
			}{
				{ben, incident.DraftUpdate{Audience: "public", Headline: "Withdrawals are late", Phase: phase, Text: "Some withdrawals take longer than usual. Funds are safe. We will say more within the hour.", Components: map[string]string{component: []string{"partial_outage", "degraded_performance", "operational"}[i]}}},
				{ana, incident.ApproveUpdate{}}, {ben, incident.PublishUpdate{}},
			} {
				steps = append(steps, c)
			}
		}
	}
	if !open {
		for i := range 8 {
			steps = append(steps, struct {
				by string
				c  incident.Command
			}{ben, incident.CompleteTask{Task: "T" + strconv.Itoa(i+1)}})
		}
		steps = append(steps, []struct {
			by string
			c  incident.Command
		}{
			{ana, incident.SetStatus{Status: "mitigating"}}, {ana, incident.RecordDecision{Text: "We move signing to the second region."}},
			{ana, incident.AddLink{URL: "https://grafana.example.org/d/" + strconv.FormatInt(number, 10), Title: "Queue"}},
			{ana, incident.SetStatus{Status: "monitoring"}}, {ana, incident.Resolve{Validation: "The queue was empty for half an hour."}}, {ana, incident.ReviewDone{Note: "Rotate one signer at a time."}},
		}...)
	}
	for _, st := range steps {
		if err := do(st.by, st.c); err != nil {
			return err
		}
	}
	_, err := y.log.Append(ctx, eventlog.Batch{Stream: room.Stream(number), Expect: 0, Drafts: drafts})
	return err
}

// TestYears writes a log of TOCSIN_YEARS_EVENTS events into TOCSIN_YEARS_DIR, for
// measuring; without them a small one, which must be as it says.
func TestYears(t *testing.T) {
	dir, events := os.Getenv("TOCSIN_YEARS_DIR"), 20_000
	if dir == "" {
		dir = t.TempDir()
	}
	if n, err := strconv.Atoi(os.Getenv("TOCSIN_YEARS_EVENTS")); err == nil {
		events = n
	}
	began := time.Now()
	writeYears(t, dir, events)
	t.Logf("written in %v", time.Since(began).Round(time.Millisecond))
}
