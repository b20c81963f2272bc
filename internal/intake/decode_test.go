package intake_test

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

const now = int64(1_795_000_000_000)

func ms(t *testing.T, s string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMilli()
}

func TestDecodeAlertmanager(t *testing.T) {
	body, err := os.ReadFile("testdata/alertmanager.json")
	if err != nil {
		t.Fatal(err)
	}
	obs, err := intake.DecodeAlertmanager(body, now)
	if err != nil || len(obs) != 2 {
		t.Fatalf("%d observations, %v", len(obs), err)
	}
	want := signal.Observation{
		Key: "b1a5f3f3d0c0ffee@" + obs[0].Key[17:], Kind: "HeadLag", Subject: "geth-1:8545", Title: "geth-1 is 12 blocks behind",
		Reason: "head 100, others 112", Severity: "SEV2", Firing: true, At: now, StartsAt: ms(t, "2026-11-20T21:00:00.123Z"),
		Chain: "ethereum", Component: "geth", Group: `{}:{alertname="HeadLag"}`,
		Labels: map[string]string{
			"alertname": "HeadLag", "severity": "critical", "chain": "ethereum", "instance": "geth-1:8545", "job": "geth",
			"shard": "7", "canary": "false", "gone": "", intake.LabelTruncated: "3",
		},
		Links: []signal.Link{
			{Text: "Runbook", URL: "https://runbooks.example/lag"}, {Text: "Source", URL: "http://prom.example/graph"},
			{Text: "Alertmanager", URL: "http://am.example:9093"},
		},
		Evidence: []byte(`{"value":"12"}`),
	}
	if !reflect.DeepEqual(obs[0], want) {
		t.Errorf("first:\n%+v\nwant:\n%+v", obs[0], want)
	}
	second := obs[1]
	if second.Firing || !second.Drill || second.Component != "bridge" || second.Title != "HeadLag" || second.Severity != "SEV4" ||
		second.StartsAt != ms(t, "2026-11-20T18:00:00Z") || second.EndsAt != ms(t, "2026-11-20T18:30:00Z") {
		t.Errorf("second: %+v", second)
	}
}

// The key is the fingerprint in its group, or all labels; it never depends on
// text, times or status.
func TestAlertmanagerKeys(t *testing.T) {
	key := func(group, alert string) string {
		obs, err := intake.DecodeAlertmanager(fmt.Appendf(nil, `{"groupKey":%q,"alerts":[%s]}`, group, alert), now)
		if err != nil || len(obs) != 1 {
			t.Fatalf("%s: %v", alert, err)
		}
		return obs[0].Key
	}
	a := key("g", `{"fingerprint":"f1","labels":{"a":"1"},"status":"firing"}`)
	for name, other := range map[string]string{
		"status, text and labels": key("g", `{"fingerprint":"f1","status":"resolved","annotations":{"summary":"x"}}`),
	} {
		if other != a {
			t.Errorf("%s changed the key", name)
		}
	}
	seen := map[string]string{a: "first"}
	for name, other := range map[string]string{
		"other fingerprint": key("g", `{"fingerprint":"f2"}`),
		"other group":       key("h", `{"fingerprint":"f1"}`),
		"no fingerprint":    key("g", `{"labels":{"a":"1"}}`),
		"odd fingerprint":   key("g", `{"fingerprint":"f1\u0000"}`),
		"long fingerprint":  key("g", `{"fingerprint":"`+strings.Repeat("f", 4000)+`"}`),
	} {
		if seen[other] != "" || len(other) > signal.MaxKey {
			t.Errorf("%s has the key of %s", name, seen[other])
		}
		seen[other] = name
	}
	if key("g", `{"labels":{"a":"1","b":"2"}}`) != key("g", `{"labels":{"b":"2","a":"1"},"annotations":{"summary":"other"}}`) {
		t.Error("the order of labels changed the key")
	}
	if key("g", `{"labels":{"ab":"c"}}`) == key("g", `{"labels":{"a":"bc"}}`) {
		t.Error("different labels have one key")
	}
}

func TestAlertmanagerBadInput(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		good       int
		says       []string
	}{
		{"empty", "", 0, []string{"The body is empty"}},
		{"cut off", `{"alerts":[{"labels`, 0, []string{"not JSON", "byte 19"}},
		{"trailing", `{"alerts":[]} x`, 0, []string{"not JSON"}},
		{"list", `[]`, 0, []string{"must be a JSON object, and is a list"}},
		{"null", `null`, 0, []string{"must be a JSON object, and is null"}},
		{"no alerts", `{"status":"firing"}`, 0, []string{`"alerts" must be a list, and is missing`}},
		{"alerts of the wrong type", `{"alerts":{"a":1}}`, 0, []string{`"alerts" must be a list, and is an object`}},
		{"no alert", `{"alerts":[]}`, 0, nil},
		{"one bad of three", `{"alerts":[{"labels":{"a":"1"}},7,{"labels":{"a":"2"}}]}`, 2, []string{"Alert 2 of 3: it must be an object, and is a number."}},
		{"nothing to tell it by", `{"alerts":[{"status":"firing"}]}`, 0, []string{"neither labels nor a fingerprint"}},
		{"odd status", `{"alerts":[{"status":"pending","fingerprint":"f"}]}`, 0, []string{`status "pending" is neither firing nor resolved`}},
		{"wrong types inside", `{"groupKey":9,"status":["x"],"truncatedAlerts":"many","externalURL":{},"alerts":[{"status":"firing","fingerprint":12,"labels":[1],"annotations":"x","startsAt":{"a":1},"endsAt":"yesterday","generatorURL":["u"]}]}`, 1, nil},
		{"nested label", `{"alerts":[{"labels":{"a":{"b": [1, 2]}}}]}`, 1, nil},
		{"not UTF-8", "{\"alerts\":[{\"labels\":{\"a\":\"\xff\"}}]}", 1, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			obs, err := intake.DecodeAlertmanager([]byte(tt.body), now)
			if len(obs) != tt.good || (err != nil) != (tt.says != nil) {
				t.Fatalf("%d observations, %v", len(obs), err)
			}
			for _, s := range tt.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q lacks %q", err, s)
				}
			}
			for _, o := range obs {
				if !o.Firing || o.Key == "" || o.Title == "" {
					t.Errorf("%+v", o)
				}
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	huge := []byte(`{"alerts":[` + strings.Repeat(" ", intake.MaxBody) + `]}`)
	if _, err := intake.DecodeAlertmanager(huge, now); !errors.Is(err, intake.ErrTooLarge) {
		t.Error(err)
	}
	if _, err := intake.DecodeGeneric(huge, now); !errors.Is(err, intake.ErrTooLarge) {
		t.Error(err)
	}
	if _, err := intake.DecodePagerDuty(huge, now, "k"); !errors.Is(err, intake.ErrTooLarge) {
		t.Error(err)
	}
	many := []byte(`{"alerts":[` + strings.TrimSuffix(strings.Repeat("{},", intake.MaxAlerts+1), ",") + `]}`)
	if obs, err := intake.DecodeAlertmanager(many, now); !errors.Is(err, intake.ErrTooLarge) || obs != nil {
		t.Error(err)
	}
	items := []byte(`[` + strings.TrimSuffix(strings.Repeat(`{"key":"a"},`, intake.MaxItems+1), ",") + `]`)
	if obs, err := intake.DecodeGeneric(items, now); !errors.Is(err, intake.ErrTooLarge) || obs != nil {
		t.Error(err)
	}
	labels := make([]string, 10_000)
	for i := range labels {
		labels[i] = fmt.Sprintf(`"label_%05d":%d`, i, i)
	}
	obs, err := intake.DecodeAlertmanager([]byte(`{"alerts":[{"labels":{`+strings.Join(labels, ",")+`}}]}`), now)
	if err != nil || len(obs) != 1 || len(obs[0].Labels) != signal.MaxLabels+1 || obs[0].Labels[signal.DroppedLabel] != "9936 labels dropped, 64 kept" {
		t.Errorf("%v, %v", err, obs)
	}
}

func TestDecodePagerDuty(t *testing.T) {
	const rk = "0123456789abcdef0123456789abcdef"
	e, err := intake.DecodePagerDuty([]byte(`{"routing_key":"`+rk+`","event_action":"trigger","dedup_key":"srv1/disk","client":"Zabbix","client_url":"https://z.example",
		"payload":{"summary":"Disk full","source":"srv1","severity":"error","timestamp":"2026-11-20T21:00:00Z","component":"db","group":"prod","class":"disk",
		"custom_details":{"chain":"bitcoin","free":0.5,"nested":{"a":1}}},"links":[{"href":"https://l.example","text":"L"},{"href":"javascript:alert(1)"}],"images":[{"src":"https://i.example/x.png","alt":"Graph"}]}`), now, "gen")
	if err != nil {
		t.Fatal(err)
	}
	want := intake.Event{RoutingKey: rk, DedupKey: "srv1/disk", Observation: signal.Observation{
		Key: "srv1/disk", Kind: "disk", Subject: "srv1", Title: "Disk full", Severity: "SEV3", Firing: true, At: now,
		Chain: "bitcoin", Component: "db", Group: "prod",
		Labels:   map[string]string{"class": "disk", "component": "db", "group": "prod", "severity": "error", "source": "srv1", "timestamp": "2026-11-20T21:00:00Z", "client": "Zabbix"},
		Links:    []signal.Link{{Text: "L", URL: "https://l.example"}, {Text: "Graph", URL: "https://i.example/x.png"}, {Text: "Zabbix", URL: "https://z.example"}},
		Evidence: []byte(`{"chain":"bitcoin","free":"0.5","nested":"{\"a\":1}"}`),
	}}
	if !reflect.DeepEqual(e, want) {
		t.Errorf("%+v\nwant %+v", e, want)
	}
	for _, tt := range []struct {
		name, body string
		dedup      string
		errs       []string
	}{
		{"generated", `{"routing_key":"` + rk + `","event_action":"trigger","payload":{"summary":"s","source":"h","severity":"info"}}`, "gen", nil},
		{"resolve", `{"routing_key":"` + rk + `","event_action":"resolve","dedup_key":"d"}`, "d", nil},
		{"acknowledge", `{"routing_key":"` + rk + `","event_action":"acknowledge","dedup_key":7}`, "7", nil},
		{"nothing", `{}`, "", []string{"'routing_key' is missing or blank", "'event_action' is missing or blank"}},
		{"short key, odd action", `{"routing_key":"x","event_action":"fire"}`, "", []string{"Length of 'routing_key' is incorrect (should be 32 characters)", "'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')", "'dedup_key' is missing or blank"}},
		{"no payload", `{"routing_key":"` + rk + `","event_action":"trigger"}`, "", []string{"'payload' is missing or blank"}},
		{"payload of the wrong type", `{"routing_key":"` + rk + `","event_action":"trigger","payload":["x"]}`, "", []string{"'payload' is missing or blank"}},
		{"empty payload", `{"routing_key":"` + rk + `","event_action":"trigger","payload":{"severity":"bad","summary":{}}}`, "", []string{"'payload.summary' is missing or blank", "'payload.source' is missing or blank", "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')"}},
		{"long dedup key", `{"routing_key":"` + rk + `","event_action":"resolve","dedup_key":"` + strings.Repeat("d", 256) + `"}`, "", []string{"'dedup_key' is too long (maximum is 255 characters)"}},
		{"resolve of what", `{"routing_key":"` + rk + `","event_action":"resolve"}`, "", []string{"'dedup_key' is missing or blank"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := intake.DecodePagerDuty([]byte(tt.body), now, "gen")
			var invalid *intake.InvalidEvent
			if errors.As(err, &invalid); (invalid == nil) != (tt.errs == nil) || e.DedupKey != tt.dedup {
				t.Fatalf("%+v, %v", e, err)
			}
			if invalid != nil && !reflect.DeepEqual(invalid.Errors, tt.errs) {
				t.Errorf("%q", invalid.Errors)
			}
		})
	}
}

func TestDecodeGeneric(t *testing.T) {
	obs, err := intake.DecodeGeneric([]byte(`[
		{"key":"k1","title":"Hot wallet drains","severity":"sev1","chain":"ethereum","component":"wallet","subject":"0xabc","reason":"r","at":"2026-11-20T21:00:00Z","labels":{"n":1},"evidence":{"tx": "0x1"},"links":[{"url":"https://x.example","text":"X"}]},
		{"id":42,"summary":"back","state":"OK","at":1795000000},
		{"key":"k3","status":"ack"},
		{"key":"k4","state":"resolved","starts_at":1795000000000,"ends_at":"2026-11-20T21:00:00.5Z","drill":true}
	]`), now)
	if err != nil || len(obs) != 4 {
		t.Fatalf("%d, %v", len(obs), err)
	}
	want := signal.Observation{
		Key: "k1", Title: "Hot wallet drains", Severity: "SEV1", Chain: "ethereum", Component: "wallet", Subject: "0xabc", Reason: "r", Firing: true,
		At: now, StartsAt: ms(t, "2026-11-20T21:00:00Z"), Labels: map[string]string{"n": "1"}, Evidence: []byte(`{"tx":"0x1"}`), Links: []signal.Link{{Text: "X", URL: "https://x.example"}},
	}
	if !reflect.DeepEqual(obs[0], want) {
		t.Errorf("%+v", obs[0])
	}
	if o := obs[1]; o.Key != "42" || o.Firing || o.Ack || o.EndsAt != 1795000000000 || o.StartsAt != 0 || o.Title != "back" {
		t.Errorf("%+v", o)
	}
	if o := obs[2]; !o.Ack || o.Firing || o.Title != "k3" {
		t.Errorf("%+v", o)
	}
	if o := obs[3]; o.StartsAt != 1795000000000 || o.EndsAt != ms(t, "2026-11-20T21:00:00.5Z") || !o.Drill {
		t.Errorf("%+v", o)
	}
	for _, tt := range []struct {
		body string
		good int
		says string
	}{
		{`{"title":"t"}`, 0, "Item 1 of 1: key is missing"},
		{`[{"key":"a"},{"key":{"a":1}},{"key":"c"}]`, 2, "Item 2 of 3: key must be a string, and is an object."},
		{`{"key":"a","state":"maybe"}`, 0, `state "maybe" is none of firing, acknowledged, resolved`},
		{`{"key":"a","at":"noon"}`, 0, `at: "noon" is not a time`},
		{`{"key":"a","at":-5}`, 0, `at: "-5" is not a time`},
		{`{"key":"a","at":"NaN"}`, 0, `at: "NaN" is not a time`},
		{`"text"`, 0, "it must be an object, and is a string"},
		{`[]`, 0, ""},
		{`{"key":"a","labels":[1],"links":"x","evidence":null,"chain":true}`, 1, ""},
	} {
		obs, err := intake.DecodeGeneric([]byte(tt.body), now)
		if len(obs) != tt.good || (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %d, %v", tt.body, len(obs), err)
		}
	}
}

func TestSeverityTable(t *testing.T) {
	for word, want := range map[string]string{
		"critical": "SEV2", " Page ": "SEV2", "sev1": "SEV1", "SEV5": "SEV5", "P1": "SEV1", "error": "SEV3", "high": "SEV3",
		"warning": "SEV4", "info": "SEV5", "none": "SEV5", "": "SEV3", "purple": "SEV3", "3": "SEV3",
	} {
		if got := intake.Severity(word); got != want {
			t.Errorf("%q is %s, want %s", word, got, want)
		}
	}
}

// check holds what every decoder promises of every observation.
func check(t *testing.T, obs []signal.Observation) {
	t.Helper()
	for _, o := range obs {
		if o.Key == "" || len(o.Key) > signal.MaxKey || o.Title == "" || o.At != now || o.StartsAt < 0 || o.EndsAt < 0 || signal.Rank(o.Severity) == 0 {
			t.Fatalf("%+v", o)
		}
		if !reflect.DeepEqual(o, o.Bounded()) {
			t.Fatalf("not bounded: %+v", o)
		}
		for _, b := range signal.Decide(signal.State{}, o) {
			if _, _, _, err := signal.Encode(b); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func FuzzAlertmanager(f *testing.F) {
	body, err := os.ReadFile("testdata/alertmanager.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(`{"alerts":[{"labels":{"a":1e400},"startsAt":"9999-12-31T23:59:59Z","endsAt":-1},7]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		obs, err := intake.DecodeAlertmanager(body, now)
		check(t, obs)
		if err != nil && err.Error() == "" {
			t.Fatal("an error without words")
		}
	})
}

func FuzzPagerDuty(f *testing.F) {
	f.Add([]byte(`{"routing_key":"0123456789abcdef0123456789abcdef","event_action":"trigger","payload":{"summary":"s","source":"h","severity":"info","custom_details":"x"}}`))
	f.Add([]byte(`{"event_action":"resolve","dedup_key":"\ud800"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if e, err := intake.DecodePagerDuty(body, now, "generated"); err == nil {
			check(t, []signal.Observation{e.Observation})
		}
	})
}

func FuzzGeneric(f *testing.F) {
	f.Add([]byte(`[{"key":"k","at":1e300},{"id":1,"links":[{"url":"https://a"}],"evidence":[1]}]`))
	f.Add([]byte(`{"key":"k","title":"\u202e","state":"ok"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		obs, _ := intake.DecodeGeneric(body, now)
		check(t, obs)
	})
}
