package intake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// house is one process on a store; restart makes the next one.
type house struct {
	t       *testing.T
	db      store.DB
	log     *eventlog.Log
	desk    *intake.Desk
	sources *intake.Sources
	gate    *intake.Gate
	now     time.Time
}

func open(t *testing.T, db store.DB) *house {
	t.Helper()
	h := &house{t: t, db: db, now: time.UnixMilli(now)}
	h.restart()
	return h
}

func (h *house) restart() {
	h.t.Helper()
	log, err := eventlog.Open(h.t.Context(), h.db, eventlog.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	clock := func() time.Time { return h.now }
	h.log = log
	h.desk = intake.NewDesk(log, clock)
	h.sources = intake.NewSources(log, h.db, clock)
	h.gate = intake.NewGate(h.desk, h.sources, slog.New(slog.DiscardHandler))
}

func (h *house) source(kind string) (intake.Source, string) {
	h.t.Helper()
	src, key, err := h.sources.Create(h.t.Context(), "person:ana", intake.Order{Name: "Sender", Kind: kind})
	if err != nil {
		h.t.Fatal(err)
	}
	return src, key
}

func (h *house) post(kind, key, body string) intake.Reply {
	h.t.Helper()
	return h.gate.Handle(h.t.Context(), kind, key, http.Header{}, []byte(body), h.now)
}

// types lists what the source's stream says, in order.
func (h *house) types(source string) []string {
	h.t.Helper()
	var out []string
	for seq := int64(1); ; {
		events, err := h.log.ReadStream(h.t.Context(), signal.StreamPrefix+source, seq, 512)
		if err != nil {
			h.t.Fatal(err)
		}
		if len(events) == 0 {
			return out
		}
		for _, e := range events {
			out = append(out, strings.TrimPrefix(e.Type, "signal."))
			seq = e.Seq + 1
		}
	}
}

func (h *house) want(source, types string) {
	h.t.Helper()
	if got := strings.Join(h.types(source), " "); got != types {
		h.t.Errorf("the stream says %q, want %q", got, types)
	}
}

func alert(status, mark, start, end string) string {
	if end == "" {
		end = "0001-01-01T00:00:00Z"
	}
	return fmt.Sprintf(`{"groupKey":"g","status":%q,"alerts":[{"status":%q,"fingerprint":%q,"labels":{"alertname":"A","severity":"critical"},"startsAt":%q,"endsAt":%q}]}`, status, status, mark, start, end)
}

// Firing, repeat, resolved, and everything again, with the process killed and
// restarted before every delivery.
func TestAlertmanagerAcrossRestarts(t *testing.T) {
	h := open(t, mem.New())
	src, key := h.source(intake.Alertmanager)
	var last int64
	for i, body := range []string{
		alert("firing", "f1", "2026-11-20T21:00:00Z", ""),
		alert("firing", "f1", "2026-11-20T21:00:00Z", ""),
		alert("resolved", "f1", "2026-11-20T21:00:00Z", "2026-11-20T21:05:00Z"),
		alert("resolved", "f1", "2026-11-20T21:00:00Z", "2026-11-20T21:05:00Z"),
		alert("firing", "f1", "2026-11-20T21:00:00Z", ""),
		alert("firing", "f1", "2026-11-20T21:10:00Z", ""),
	} {
		h.restart()
		h.now = h.now.Add(30 * time.Second)
		r := h.post(intake.Alertmanager, key, body)
		a, ok := r.Body.(intake.Accepted)
		if r.Status != 202 || !ok || a.Accepted != 1 || a.Position != r.Position || r.Position < last {
			t.Fatalf("delivery %d: %+v", i, r)
		}
		last = r.Position
	}
	h.want(src.ID, "opened cleared opened")
	if last != h.log.Size()-1 {
		t.Errorf("position %d, size %d", last, h.log.Size())
	}
	// A minute later the same firing is worth a line again.
	h.now = h.now.Add(time.Minute)
	h.post(intake.Alertmanager, key, alert("firing", "f1", "2026-11-20T21:10:00Z", ""))
	h.want(src.ID, "opened cleared opened repeated")
	if n, err := h.desk.Open(t.Context(), src.ID); n != 1 || err != nil {
		t.Errorf("%d open, %v", n, err)
	}
}

func TestThousandAlertsInOneGroup(t *testing.T) {
	alerts := make([]string, 1000)
	for i := range alerts {
		alerts[i] = fmt.Sprintf(`{"status":"firing","fingerprint":"%016x","labels":{"alertname":"A","instance":"i%d"},"startsAt":"2026-11-20T21:00:00Z"}`, i, i)
	}
	body := `{"groupKey":"g","alerts":[` + strings.Join(alerts, ",") + `]}`
	for name, db := range map[string]store.DB{"64 operations": mem.New(), "many operations": mem.Open(mem.Options{MaxOps: 4096})} {
		t.Run(name, func(t *testing.T) {
			h := open(t, db)
			src, key := h.source(intake.Alertmanager)
			before := h.log.Size()
			if r := h.post(intake.Alertmanager, key, body); r.Status != 202 || r.Body.(intake.Accepted).Accepted != 1000 {
				t.Fatalf("%+v", r)
			}
			h.restart()
			if r := h.post(intake.Alertmanager, key, body); r.Status != 202 {
				t.Fatalf("%+v", r)
			}
			if got := h.log.Size() - before; got != 1000 {
				t.Errorf("%d events", got)
			}
			if n, _ := h.desk.Open(t.Context(), src.ID); n != 1000 {
				t.Errorf("%d open", n)
			}
			if n := h.desk.Tally(src.ID)[signal.VerdictRepeated]; n != 1000 {
				t.Errorf("%d repeats counted", n)
			}
		})
	}
}

func TestAnswersToBadDeliveries(t *testing.T) {
	h := open(t, mem.New())
	_, amKey := h.source(intake.Alertmanager)
	_, pdKey := h.source(intake.PagerDuty)
	_, genKey := h.source(intake.Generic)
	gone, goneKey := h.source(intake.Generic)
	if err := h.sources.Revoke(t.Context(), "person:ana", gone.ID); err != nil {
		t.Fatal(err)
	}
	size := h.log.Size()
	for _, tt := range []struct {
		name, kind, key, body string
		status                int
		says                  string
	}{
		{"2 MiB", intake.Alertmanager, amKey, `{"alerts":[` + strings.Repeat(" ", 2<<20) + `]}`, 413, "more than 1048576 bytes"},
		{"broken JSON", intake.Alertmanager, amKey, `{"alerts":[{]`, 400, "not JSON"},
		{"wrong types", intake.Alertmanager, amKey, `{"alerts":"many"}`, 400, `"alerts" must be a list, and is a string`},
		{"all alerts bad", intake.Alertmanager, amKey, `{"alerts":[1,2,3]}`, 400, "Alert 1 of 3"},
		{"wrong key", intake.Alertmanager, strings.Repeat("k", 32), `{"alerts":[]}`, 401, "belongs to no source"},
		{"odd key", intake.Alertmanager, "../../etc", `{"alerts":[]}`, 401, "belongs to no source"},
		{"revoked", intake.Generic, goneKey, `{"key":"a"}`, 401, "was revoked"},
		{"key of another kind", intake.Generic, amKey, `{"key":"a"}`, 403, "kind alertmanager, not generic"},
		{"grafana", intake.Grafana, amKey, `{}`, 403, "kind alertmanager, not grafana"},
		{"samples", intake.Metrics, amKey, `{}`, 404, "/api/v1/write"},
		{"no such kind", "smoke", amKey, `{}`, 404, "no such way in"},
		{"1001 items", intake.Generic, genKey, `[` + strings.TrimSuffix(strings.Repeat(`{"key":"a"},`, 1001), ",") + `]`, 413, "at most 1000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := h.post(tt.kind, tt.key, tt.body)
			p, ok := r.Body.(intake.Problem)
			if !ok || r.Status != tt.status || p.Status != tt.status || !strings.Contains(p.Detail, tt.says) || p.Title == "" || r.Position != -1 {
				t.Errorf("%+v", r)
			}
		})
	}
	for _, tt := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"not JSON", `x`, 400, `{"status":"invalid event","message":"Event object is invalid","errors":["The body is not JSON: invalid character 'x' looking for beginning of value at byte 1."]}`},
		{"unknown key", `{"routing_key":"` + strings.Repeat("k", 32) + `","event_action":"resolve","dedup_key":"d"}`, 400, `{"status":"invalid event","message":"Event object is invalid","errors":["Invalid routing key"]}`},
		{"key of another kind", `{"routing_key":"` + amKey + `","event_action":"resolve","dedup_key":"d"}`, 400, `{"status":"invalid event","message":"Event object is invalid","errors":["Invalid routing key"]}`},
		{"no summary", `{"routing_key":"` + pdKey + `","event_action":"trigger","payload":{"source":"h","severity":"info"}}`, 400, `{"status":"invalid event","message":"Event object is invalid","errors":["'payload.summary' is missing or blank"]}`},
		{"2 MiB", strings.Repeat(" ", 2<<20), 413, `{"status":"invalid event","message":"Event object is invalid","errors":["Event object is too large (maximum is 1 MiB)"]}`},
	} {
		t.Run("pagerduty "+tt.name, func(t *testing.T) {
			r := h.post(intake.PagerDuty, "", tt.body)
			if got := rendered(t, r); r.Status != tt.status || got != tt.want {
				t.Errorf("%d %s", r.Status, got)
			}
		})
	}
	if h.log.Size() != size {
		t.Errorf("%d events came of bad deliveries", h.log.Size()-size)
	}
	// The good ones of a mixed delivery are not lost, and the bad are named.
	r := h.post(intake.Generic, genKey, `[{"key":"a"},{"title":"no key"},{"key":"b"}]`)
	if a := r.Body.(intake.Accepted); r.Status != 202 || a.Accepted != 2 || len(a.Problems) != 1 || !strings.Contains(a.Problems[0], "Item 2 of 3") {
		t.Errorf("%+v", r)
	}
}

func rendered(t *testing.T, r intake.Reply) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r.Body); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}

func TestPagerDutyDropIn(t *testing.T) {
	h := open(t, mem.New())
	src, key := h.source(intake.PagerDuty)
	send := func(action, dedup, more string) intake.Reply {
		return h.post(intake.PagerDuty, "", fmt.Sprintf(`{"routing_key":%q,"event_action":%q,"dedup_key":%q%s}`, key, action, dedup, more))
	}
	const payload = `,"payload":{"summary":"s","source":"h","severity":"critical"}`
	const ok = `{"status":"success","message":"Event processed","dedup_key":"d"}`
	for _, r := range []intake.Reply{
		send("resolve", "d", ""), send("acknowledge", "d", ""), // without an alert: taken and dropped
		send("trigger", "d", payload), send("trigger", "d", payload), send("acknowledge", "d", ""), send("acknowledge", "d", ""),
		send("resolve", "d", ""), send("resolve", "d", ""), send("trigger", "d", payload),
	} {
		if got := rendered(t, r); r.Status != 202 || got != ok {
			t.Errorf("%d %s", r.Status, got)
		}
	}
	h.want(src.ID, "opened acknowledged cleared opened")
	if n := h.desk.Tally(src.ID)[signal.VerdictDropped]; n != 3 {
		t.Errorf("%d dropped", n)
	}
	r := send("trigger", "", payload)
	if p := r.Body.(intake.PagerDutyReply); r.Status != 202 || !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(p.DedupKey) {
		t.Errorf("%+v", r)
	}
}

func TestRateLimit(t *testing.T) {
	h := open(t, mem.New())
	_, key := h.source(intake.Generic)
	_, pd := h.source(intake.PagerDuty)
	event := `{"routing_key":"` + pd + `","event_action":"resolve","dedup_key":"d"}`
	for range intake.Burst {
		if r := h.post(intake.Generic, key, `{"key":"a","state":"ok"}`); r.Status != 202 {
			t.Fatalf("%+v", r)
		}
		if r := h.post(intake.PagerDuty, "", event); r.Status != 202 {
			t.Fatalf("%+v", r)
		}
	}
	if r := h.post(intake.Generic, key, `{"key":"a"}`); r.Status != 429 || r.RetryAfter != time.Second {
		t.Errorf("%+v", r)
	}
	r := h.post(intake.PagerDuty, "", event)
	if got := rendered(t, r); r.Status != 429 || r.RetryAfter != time.Second || got != `{"status":"throttle exceeded","message":"Requests for this service are arriving too quickly.  Please retry later."}` {
		t.Errorf("%d %s", r.Status, got)
	}
	h.now = h.now.Add(time.Second)
	if r := h.post(intake.Generic, key, `{"key":"a"}`); r.Status != 202 {
		t.Errorf("%+v", r)
	}
}

func TestSources(t *testing.T) {
	h := open(t, mem.New())
	ctx := t.Context()
	a, key := h.source(intake.Alertmanager)
	b, _ := h.source(intake.PagerDuty)
	if !regexp.MustCompile(`^[a-z0-9]{32}$`).MatchString(key) {
		t.Errorf("key %q", key)
	}
	other := intake.NewSources(h.log, h.db, time.Now) // another replica
	if got, err := other.ByKey(ctx, key); err != nil || !reflect.DeepEqual(got, a) || a.Kind != intake.Alertmanager || a.CreatedBy != "person:ana" || a.CreatedAt != now {
		t.Errorf("%+v, %v", got, err)
	}
	if err := h.sources.Revoke(ctx, "person:bob", a.ID); err != nil {
		t.Fatal(err)
	}
	if err := h.sources.Revoke(ctx, "person:bob", a.ID); err != nil {
		t.Errorf("twice: %v", err)
	}
	if _, err := other.ByKey(ctx, key); !errors.Is(err, intake.ErrUnknownKey) {
		t.Errorf("revoked: %v", err)
	}
	all, err := other.List(ctx)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, s := range all {
		if (s.RevokedBy == "person:bob") != (s.ID == a.ID) || s.ID != a.ID && !reflect.DeepEqual(s, b) {
			t.Errorf("%+v", s)
		}
	}
	for kv, err := range h.db.Scan(ctx, store.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(kv.Key, []byte(key)) || bytes.Contains(kv.Value, []byte(key)) {
			t.Errorf("the key itself is stored under %q", kv.Key)
		}
	}
	var refusal *incident.Refusal
	for _, tt := range [][3]string{{"", intake.Generic, "name_missing"}, {strings.Repeat("n", 81), intake.Generic, "text_too_long"}, {"n", intake.Heartbeat, "bad_pace"}, {"n", "smoke", "bad_kind"}} {
		if _, _, err := h.sources.Create(ctx, "person:ana", intake.Order{Name: tt[0], Kind: tt[1]}); !errors.As(err, &refusal) || refusal.Code != tt[2] {
			t.Errorf("%v: %v", tt, err)
		}
	}
	if err := h.sources.Revoke(ctx, "person:ana", "nobody"); !errors.As(err, &refusal) || refusal.Code != "no_such_source" {
		t.Error(err)
	}
}

// Two replicas and many senders at once: every key is opened once.
func TestConcurrentDeliveries(t *testing.T) {
	db := mem.Open(mem.Options{MaxOps: 4096})
	h := open(t, db)
	src, _ := h.source(intake.Generic)
	second, err := eventlog.Open(t.Context(), db, eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	desks := []*intake.Desk{h.desk, intake.NewDesk(second, func() time.Time { return h.now })}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			obs := make([]signal.Observation, 25)
			for k := range obs {
				obs[k] = signal.Observation{Key: fmt.Sprint((k + i) % 50), Firing: true, StartsAt: 5}
			}
			for {
				_, err := desks[i%2].Submit(context.Background(), src.ID, src.Actor(), obs)
				if errors.Is(err, intake.ErrContended) {
					continue // as the sender would
				}
				if err != nil {
					t.Error(err)
				}
				return
			}
		})
	}
	wg.Wait()
	if got := h.types(src.ID); len(got) != 50 {
		t.Errorf("%d events", len(got))
	}
}

// Sources do not wait for each other.
func TestSourcesAreIndependent(t *testing.T) {
	h := open(t, mem.New())
	slow := &slowLog{Log: h.log, stream: "signal/slow", entered: make(chan struct{}), release: make(chan struct{})}
	desk := intake.NewDesk(slow, func() time.Time { return h.now })
	obs := []signal.Observation{{Key: "k", Firing: true}}
	done := make(chan error, 1)
	go func() {
		_, err := desk.Submit(t.Context(), "slow", "source:slow", obs)
		done <- err
	}()
	<-slow.entered
	if _, err := desk.Submit(t.Context(), "quick", "source:quick", obs); err != nil {
		t.Error(err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := desk.Submit(impatient, "slow", "source:slow", obs); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for the same source: %v", err)
	}
	close(slow.release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

type slowLog struct {
	intake.Log
	stream           string
	entered, release chan struct{}
}

func (l *slowLog) Append(ctx context.Context, b eventlog.Batch) ([]eventlog.Event, error) {
	if b.Stream == l.stream {
		close(l.entered)
		<-l.release
	}
	return l.Log.Append(ctx, b)
}
