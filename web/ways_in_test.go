package web

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/intake"
)

// TestIntakeAnswers: each sender's protocol, each refusal with its status.
func TestIntakeAnswers(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	key := func(kind string) string {
		_, k, err := h.Sources.Create(ctx, h.admin.String(), intake.Order{Name: "a " + kind, Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	am, pd, gen := key(intake.Alertmanager), key(intake.PagerDuty), key(intake.Generic)
	v := h.nobody()
	post := func(path, body string) *answer {
		return v.do("POST", path, "application/json", strings.NewReader(body))
	}
	alert := `{"version":"4","groupKey":"{}:{a=\"b\"}","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"Stuck","severity":"critical"},"annotations":{"summary":"Withdrawals stuck"},"startsAt":"2026-03-01T10:00:00Z","fingerprint":"f1"}]}`
	post("/api/v1/intake/alertmanager/"+am, alert).want(202)
	post("/api/v1/intake/generic/"+gen, `{"key":"k","title":"t","state":"firing"}`).want(202)
	post("/v2/enqueue", `{"routing_key":"`+pd+`","event_action":"trigger","payload":{"summary":"s","source":"x","severity":"critical"}}`).want(202).has(`"dedup_key"`, `"success"`)
	for path, c := range map[string]struct {
		body   string
		status int
	}{
		"/api/v1/intake/alertmanager/" + gen:             {alert, 403},
		"/api/v1/intake/alertmanager/wrong":              {alert, 401},
		"/api/v1/intake/alertmanager/" + am:              {`{"version":`, 400},
		"/api/v1/intake/generic/" + gen:                  {`[[[[`, 400},
		"/api/v1/intake/fax/" + gen:                      {`{}`, 404},
		"/v2/enqueue":                                    {`{"routing_key":"` + strings.Repeat("a", 32) + `","event_action":"trigger","payload":{"summary":"s","source":"x","severity":"critical"}}`, 400},
		"/api/v1/intake/generic/" + strings.ToUpper(gen): {`{}`, 401},
	} {
		post(path, c.body).want(c.status)
	}
	// Some senders always bring credentials of their own; the key is what counts.
	v.header.Set("Authorization", "Basic YTpi")
	post("/api/v1/intake/alertmanager/"+am, alert).want(202)
	// curl -d says that JSON is a form.
	v.do("POST", "/api/v1/intake/generic/"+gen, "application/x-www-form-urlencoded", strings.NewReader(`{"key":"curl","title":"from curl","state":"firing"}`)).want(202)
	v.do("POST", "/v2/enqueue", "application/x-www-form-urlencoded", strings.NewReader(`{"routing_key":"`+pd+`","event_action":"resolve","dedup_key":"x"}`)).want(202)
	h.settle()
	h.ana().get("/signals").want(200).has("Withdrawals stuck", "from curl")
	// The key is nowhere to be read, not even by an administrator, nor in the log.
	for _, secret := range []string{am, pd, gen} {
		h.ana().get("/sources").want(200).hasNot(secret)
		h.ana().get("/api/v1/sources").want(200).hasNot(secret)
		h.ana().get("/api/v1/log?follow=false").want(200).hasNot(secret)
		if strings.Contains(h.slog.String(), secret) {
			t.Error("a key is in the operator's log")
		}
	}
}

// TestLedger: what a stranger may fetch, and what not.
func TestLedger(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Bridge"})
	for range 300 { // more than one tile
		if _, err := h.Rooms.Do(context.Background(), n, incident.AddNote{Text: "x"}, h.meta()); err != nil {
			t.Fatal(err)
		}
	}
	v := h.nobody()
	v.get("/ledger/checkpoint").want(200).has(fmt.Sprint("\n", h.Log.Size(), "\n"))
	v.get("/ledger/key").want(200).has(h.Log.Verifier())
	full := v.get("/ledger/tile/0/000").want(200)
	if !strings.Contains(full.header.Get("Cache-Control"), "immutable") || len(full.body) != 256*32 {
		t.Errorf("%d bytes, %s", len(full.body), full.header.Get("Cache-Control"))
	}
	if a := v.get(fmt.Sprintf("/ledger/tile/0/001.p/%d", h.Log.Size()-256)).want(200); strings.Contains(a.header.Get("Cache-Control"), "immutable") {
		t.Errorf("a growing tile may be kept: %s", a.header.Get("Cache-Control"))
	}
	// What is not there yet must not be remembered as missing.
	for _, path := range []string{"/ledger/tile/0/001", "/ledger/tile/0/999", "/ledger/tile/9/000", "/ledger/tile/x", "/ledger/tile/0/../../x"} {
		if a := v.get(path).want(404); a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s", a.what, a.header.Get("Cache-Control"))
		}
	}
	entries := "/ledger/tile/entries/000"
	v.get(entries).want(401, 303)
	h.member("sam", auth.RoleStakeholder, "clients").get(entries).want(403)
	robot, _ := h.token(auth.RoleResponder, "")
	if a := robot.get(entries).want(200); !strings.HasPrefix(a.header.Get("Cache-Control"), "private") {
		t.Errorf("entries may be shared: %s", a.header.Get("Cache-Control"))
	}
	robot.bearer = "tocsin_wrong"
	robot.get(entries).want(401, 303)
}

func TestFigures(t *testing.T) {
	h := newHouse(t)
	v, _ := h.token(auth.RoleResponder, "")
	v.get("/healthz").want(200)
	v.get("/metrics").want(200).has("tocsin_log_events ", "tocsin_http_answers_total{", "tocsin_live_write_seconds_bucket{le=\"+Inf\"}")
	v.get("/prometheus/api/v1/query?query=1%2B1").want(200).has(`"status":"success"`)
	v.get("/prometheus/api/v1/query?query=sum(").want(400, 422).has(`"status":"error"`)
	v.post("/prometheus/api/v1/query_range", "query", "1", "start", "0", "end", "60", "step", "15").want(200).has(`"matrix"`)
	v.get("/charts/chain/eth/interval").want(200).has(`"t":[]`, `"series":[]`)
	for _, id := range []string{"nothing", "chain/eth/nothing", `chain/e%22%7D/interval`, "chain//interval", "a/b/c/d"} {
		v.get("/charts/" + id).want(404).problem("not_found")
	}
	v.get("/healthz").want(200)
	v.get("/readyz").want(200)
	closed := newHouse(t, func(o *Options) { o.Ready = func() bool { return false } })
	if a := closed.nobody().get("/readyz").want(503); a.header.Get("Retry-After") == "" {
		t.Error("nothing says when to come back")
	}
}
