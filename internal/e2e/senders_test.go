package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/PagerDuty/go-pagerduty"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
)

// TestPagerDutyClient: a real client library that only changes its address.
func TestPagerDutyClient(t *testing.T) {
	s := start(t, "")
	id, _, key := s.source("PagerDuty", "pagerduty")
	client := pagerduty.NewClient("", pagerduty.WithV2EventsAPIEndpoint(s.url))
	client.HTTPClient = s.client
	ctx := context.Background()
	send := func(action, dedup string) (*pagerduty.V2EventResponse, error) {
		return client.ManageEventWithContext(ctx, &pagerduty.V2Event{
			RoutingKey: key, Action: action, DedupKey: dedup, Client: "Monitoring", ClientURL: "https://monitoring.example",
			Images: []any{map[string]string{"src": "https://img.example/a.png", "href": "https://img.example", "alt": "graph"}},
			Links:  []any{map[string]string{"href": "https://runbook.example", "text": "Runbook"}},
			Payload: &pagerduty.V2Payload{Summary: "Withdrawals are stuck", Source: "w-1", Severity: "critical", Timestamp: "2026-11-20T21:00:00Z",
				Component: "Withdrawals", Group: "prod", Class: "queue", Details: map[string]any{"queue": 4711, "nested": map[string]any{"a": 1}}},
		})
	}
	made, err := send("trigger", "")
	must(t, err)
	if made.Status != "success" || made.DedupKey == "" {
		t.Fatalf("%+v", made)
	}
	again, err := send("trigger", made.DedupKey)
	must(t, err)
	if again.DedupKey != made.DedupKey {
		t.Errorf("%+v", again)
	}
	for _, action := range []string{"acknowledge", "acknowledge", "resolve", "resolve"} {
		_, err := send(action, made.DedupKey)
		must(t, err)
	}
	_, err = send("resolve", "never-triggered") // dropped, as PagerDuty does
	must(t, err)
	_, err = send("explode", "x")
	var refused pagerduty.EventsAPIV2Error
	var apiError pagerduty.APIError
	if err == nil || !errors.As(err, &refused) && !errors.As(err, &apiError) && !strings.Contains(err.Error(), "400") {
		t.Errorf("a wrong action: %v", err)
	}
	change, err := client.CreateChangeEventWithContext(ctx, pagerduty.ChangeEvent{RoutingKey: key, Payload: pagerduty.ChangeEventPayload{Summary: "Deployed 1.2.3", Source: "ci", Timestamp: "2026-11-20T21:00:00Z"}, Links: []pagerduty.ChangeEventLink{{Href: "https://ci.example/1"}}})
	must(t, err)
	if change.Status != "success" {
		t.Errorf("%+v", change)
	}
	if _, err := client.CreateChangeEventWithContext(ctx, pagerduty.ChangeEvent{RoutingKey: key}); err == nil {
		t.Error("a change event without a summary is taken")
	}
	opened, acknowledged := 0, 0
	until(t, "the incident is there", patience, func() (bool, string) { return len(s.incidents()) == 1, fmt.Sprint(len(s.incidents())) })
	for _, e := range s.events() {
		if e.Stream != "signal/"+id {
			continue
		}
		switch e.Type {
		case "signal.opened":
			opened++
		case "signal.acknowledged":
			acknowledged++
		}
	}
	for _, g := range s.signals() {
		if g.State != "cleared" {
			t.Errorf("%+v is open", g)
		}
	}
	if opened != 2 || acknowledged != 1 {
		t.Errorf("%d opened and %d acknowledged, want the alert and the change, and one", opened, acknowledged)
	}
	t.Logf("go-pagerduty %s: trigger, acknowledge, resolve and change events, each twice: %d signals, one incident", pagerduty.Version, opened)
}

// TestCloudEventsSDK: the CNCF's own library as the sender, in all three modes.
func TestCloudEventsSDK(t *testing.T) {
	s := start(t, "")
	id, path, key := s.source("Events", "cloudevents")
	client, err := cloudevents.NewClientHTTP(cehttp.WithTarget(s.url+path), cehttp.WithHeader("WebHook-Request-Origin", "e2e.example"), cehttp.WithRoundTripper(s.client.Transport))
	must(t, err)
	made := func(eventID, typ, subject string, at time.Time) cloudevents.Event {
		e := cloudevents.NewEvent()
		e.SetID(eventID)
		e.SetSource("https://chain.example/watch")
		e.SetType(typ)
		e.SetSubject(subject)
		e.SetTime(at)
		e.SetExtension("severity", "critical")
		must(t, e.SetData(cloudevents.ApplicationJSON, map[string]any{"message": "Outflow of " + subject, "labels": map[string]string{"bridge": subject}}))
		return e
	}
	began := time.Now().Add(-time.Minute).UTC()
	send := func(ctx context.Context, e cloudevents.Event) {
		t.Helper()
		if r := client.Send(ctx, e); cloudevents.IsUndelivered(r) || !cloudevents.IsACK(r) {
			t.Fatalf("%s: %v", e.ID(), r)
		}
	}
	ctx := context.Background()
	send(cloudevents.WithEncodingBinary(ctx), made("1", "com.example.outflow.firing", "nomad", began))
	send(cloudevents.WithEncodingStructured(ctx), made("2", "com.example.outflow.firing", "wormhole", began))
	send(cloudevents.WithEncodingBinary(ctx), made("3", "com.example.outflow.resolved", "nomad", began.Add(time.Second)))
	send(cloudevents.WithEncodingBinary(ctx), made("1", "com.example.outflow.firing", "nomad", began)) // delivered twice
	batch, err := cehttp.NewHTTPRequestFromEvents(ctx, s.url+path, []cloudevents.Event{made("4", "com.example.reorg.firing", "polygon", began), made("5", "com.example.reorg.firing", "ronin", began)})
	must(t, err)
	batch.Method = http.MethodPost
	r, err := s.client.Do(batch)
	must(t, err)
	r.Body.Close()
	if r.StatusCode != 202 {
		t.Fatalf("the batch: %s", r.Status)
	}
	open := map[string]string{}
	for _, g := range s.signals() {
		if g.Source == id {
			open[g.Subject] = g.State + " " + g.Severity + " " + g.Title
		}
	}
	want := map[string]string{"nomad": "cleared SEV2 Outflow of nomad", "wormhole": "open SEV2 Outflow of wormhole", "polygon": "open SEV2 Outflow of polygon", "ronin": "open SEV2 Outflow of ronin"}
	if fmt.Sprint(open) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", open, want)
	}
	// The handshake of a webhook, and the key as Bearer token.
	req, _ := http.NewRequest(http.MethodOptions, s.url+path, nil)
	req.Header.Set("WebHook-Request-Origin", "e2e.example")
	r, err = s.client.Do(req)
	must(t, err)
	r.Body.Close()
	if r.Header.Get("WebHook-Allowed-Origin") != "e2e.example" || r.Header.Get("WebHook-Allowed-Rate") == "" {
		t.Errorf("the handshake: %v", r.Header)
	}
	bearer, err := cloudevents.NewClientHTTP(cehttp.WithTarget(s.url+"/api/v1/intake/cloudevents"), cehttp.WithHeader("Authorization", "Bearer "+key))
	must(t, err)
	if r := bearer.Send(ctx, made("6", "com.example.outflow.resolved", "wormhole", began.Add(time.Second))); !cloudevents.IsACK(r) {
		t.Errorf("with a Bearer token: %v", r)
	}
	bad := made("7", "t", "x", began)
	raw, _ := json.Marshal(map[string]any{"specversion": "1.0", "source": "s", "type": bad.Type()})
	status, said := s.asNobody("POST", path, raw)
	if status != 415 && status != 400 {
		t.Errorf("an event without an id: %d %s", status, said)
	}
}

// TestHeartbeats: late is not dead, a kill -9 and an outage of ours fire nothing, and what recovers clears.
func TestHeartbeats(t *testing.T) {
	s := start(t, "")
	var made struct{ ID, Key, URL string }
	s.api("POST", "/api/v1/sources", map[string]any{"name": "backup", "kind": "heartbeat", "every": "2s", "grace": "15s", "severity": "SEV2"}, &made) // the grace is what a busy machine may take between two steps
	path := "/api/v1/intake/heartbeat/" + made.Key
	beat := func() { t.Helper(); s.asNobody("GET", path, nil) }
	state := func() string {
		var out struct {
			Heartbeats []struct{ State, Reason string }
		}
		s.api("GET", "/api/v1/heartbeats", nil, &out)
		if len(out.Heartbeats) != 1 {
			return fmt.Sprint(out)
		}
		return out.Heartbeats[0].State
	}
	opened := func() (n int) {
		for _, e := range s.events() {
			if e.Type == "signal.opened" {
				n++
			}
		}
		return n
	}
	if got := state(); got != "new" {
		t.Errorf("before the first beat: %s", got)
	}
	alive := func() (bool, string) { beat(); g := state(); return g == "alive", g }
	until(t, "a beat makes it alive", patience, alive)
	until(t, "it is late", patience, func() (bool, string) { g := state(); return g == "late", g })
	beat()
	size := len(s.events())
	s.kill()
	time.Sleep(19 * time.Second) // an outage of ours, longer than interval and grace
	s.up()
	if got := state(); got != "waiting" && got != "late" {
		t.Errorf("after our own outage: %s", got)
	}
	until(t, "the sender is alive", patience, alive)
	if n := opened(); n != 0 {
		t.Errorf("%d signals of our own outage", n)
	}
	until(t, "silence is a signal", 2*patience, func() (bool, string) { return opened() == 1, state() })
	for _, g := range s.signals() {
		if g.Source == made.ID && (!strings.HasPrefix(g.Reason, "Nothing since ") || !strings.HasSuffix(g.Reason, "expected every 2 s.") || g.Severity != "SEV2") {
			t.Errorf("%+v", g)
		}
	}
	beat()
	until(t, "a beat clears it", patience, func() (bool, string) {
		for _, g := range s.signals() {
			if g.Source == made.ID && g.State == "open" {
				return false, g.Reason
			}
		}
		return true, ""
	})
	for _, e := range s.events()[size:] {
		if strings.Contains(e.Type, "beat") {
			t.Errorf("a beat is in the log: %s", e.Type)
		}
	}
}

// TestAlertmanagerSendsGroupsAgain: a real Alertmanager sends the whole group when one of it ends, ends again what ended, and comes back.
func TestAlertmanagerSendsGroupsAgain(t *testing.T) {
	s := start(t, "")
	id, path, _ := s.source("Alertmanager", "alertmanager")
	am := startAlertmanager(t, s.url+path)
	one := map[string]string{"alertname": "A", "component": "withdrawals", "instance": "w-1", "severity": "critical"}
	two := map[string]string{"alertname": "A", "component": "withdrawals", "instance": "w-2", "severity": "critical"}
	lives := func() string {
		opened, cleared, open := 0, 0, 0
		for _, e := range s.events() {
			if e.Stream == "signal/"+id {
				switch e.Type {
				case "signal.opened":
					opened++
				case "signal.cleared":
					cleared++
				}
			}
		}
		for _, g := range s.signals() {
			if g.Source == id && g.State == "open" {
				open++
			}
		}
		return fmt.Sprintf("%d opened, %d cleared, %d open", opened, cleared, open)
	}
	wait := func(what, want string) {
		t.Helper()
		until(t, what, patience, func() (bool, string) { got := lives(); return got == want, got })
	}
	am.send(time.Time{}, one, two)
	wait("both fire", "2 opened, 0 cleared, 2 open")
	am.send(time.Now(), one)
	am.send(time.Time{}, two)
	wait("one ended, and the group came again", "2 opened, 1 cleared, 1 open")
	time.Sleep(3 * time.Second) // repeat_interval is 2 s: the group comes again, the ended one not as new
	wait("nothing changed by repeats", "2 opened, 1 cleared, 1 open")
	am.send(time.Now(), one, two)
	wait("both ended, one of them again", "2 opened, 2 cleared, 0 open")
	am.send(time.Time{}, one)
	wait("one comes back as a new episode", "3 opened, 2 cleared, 1 open")
}

// quieted makes a window, a rule and a signal that is quiet.
func (s *tocsin) quieted() {
	s.t.Helper()
	now := time.Now().UTC()
	s.api("POST", "/api/v1/maintenance", map[string]any{"name": "Validator set upgrade", "reason": "keys move to the new signer", "match": map[string]any{"components": []string{"Validators"}},
		"from": now.Add(-time.Minute).Format(time.RFC3339), "until": now.Add(time.Hour).Format(time.RFC3339), "loud": "SEV1"}, nil)
	s.api("POST", "/api/v1/maintenance", map[string]any{"name": "Backup", "reason": "nodes are slow", "match": map[string]any{"labels": []string{"env=test"}}, "from": now.Format(time.RFC3339),
		"weekly": map[string]any{"zone": "Europe/Zurich", "days": []int{(int(now.Weekday()) + 3) % 7}, "hour": 2, "minute": 30, "minutes": 90}}, nil) // of another day than this one, whatever the time: not active now
	s.api("POST", "/api/v1/grouping", map[string]any{"name": "same bridge", "by": []string{"bridge"}}, nil)
	_, path, _ := s.source("Scripts", "generic")
	s.asNobody("POST", path, mustJSON(s.t, map[string]any{"key": "v7", "title": "Validator 7 misses attestations", "severity": "SEV3", "component": "Validators", "labels": map[string]string{"bridge": "nomad"}}))
	until(s.t, "a signal is quiet", patience, func() (bool, string) {
		var out struct {
			Signals []struct{ Quiet *struct{ Window string } }
		}
		s.api("GET", "/api/v1/signals", nil, &out)
		for _, g := range out.Signals {
			if g.Quiet != nil {
				return true, ""
			}
		}
		return false, fmt.Sprint(len(out.Signals))
	})
}

// sourcePages makes a source of each kind that has settings, and gives their pages.
func (s *tocsin) sourcePages() (pages [][2]string) {
	s.t.Helper()
	for _, kind := range []string{"generic", "heartbeat", "grafana", "cloudevents"} {
		id, _, _ := s.source("A source of "+kind, kind)
		pages = append(pages, [2]string{"source of kind " + kind, "/sources/" + id})
	}
	return pages
}
