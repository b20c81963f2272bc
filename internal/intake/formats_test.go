package intake_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/heartbeat"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/store/mem"
)

const grafanaUnified = `{"receiver":"tocsin","status":"firing","orgId":1,"alerts":[
 {"status":"firing","labels":{"alertname":"High memory","team":"blue","zone":"us-1","severity":"critical"},"annotations":{"summary":"memory is high","description":"97 % of 64 GiB","runbook_url":"https://r.example/mem"},
  "startsAt":"2026-11-20T21:00:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"https://g.example/alerting/1/edit","fingerprint":"c6eadffa33fcdf37",
  "silenceURL":"https://g.example/silence","dashboardURL":"https://g.example/d/1","panelURL":"https://g.example/d/1?viewPanel=2","imageURL":"https://g.example/i.png","values":{"B":44.23651,"C":1},"valueString":"[ metric='x' value=44 ]"},
 {"status":"resolved","labels":{"alertname":"High CPU","team":"blue"},"annotations":{},"startsAt":"2026-11-20T20:00:00Z","endsAt":"2026-11-20T20:30:00Z","fingerprint":"bc97ff14869b13e3","values":null}],
 "groupLabels":{"team":"blue"},"commonLabels":{"team":"blue"},"commonAnnotations":{},"externalURL":"https://g.example/","version":"1","groupKey":"{}:{team=\"blue\"}","truncatedAlerts":2,
 "title":"[FIRING:1] blue","state":"alerting","message":"**Firing**"}`

// Every field that Grafana publishes is accepted, and what people need is kept.
func TestDecodeGrafana(t *testing.T) {
	obs, err := intake.DecodeGrafana([]byte(grafanaUnified), now)
	if err != nil || len(obs) != 2 {
		t.Fatalf("%d observations, %v", len(obs), err)
	}
	a, b := obs[0], obs[1]
	if !strings.HasPrefix(a.Key, "c6eadffa33fcdf37@") || a.Title != "memory is high" || a.Reason != "97 % of 64 GiB" || a.Severity != "SEV2" || !a.Firing || a.Kind != "High memory" ||
		a.StartsAt != ms(t, "2026-11-20T21:00:00Z") || a.Group != `{}:{team="blue"}` || a.Labels["zone"] != "us-1" || a.Labels[intake.LabelTruncated] != "2" {
		t.Errorf("first: %+v", a)
	}
	var links []string
	for _, l := range a.Links {
		links = append(links, l.Text)
	}
	if got := strings.Join(links, ","); got != "Runbook,Source,Grafana,Panel,Dashboard,Silence in Grafana,Image" {
		t.Errorf("links %s", got)
	}
	if got := string(a.Evidence); got != `{"value B":"44.23651","value C":"1","values":"[ metric='x' value=44 ]"}` {
		t.Errorf("evidence %s", got)
	}
	if b.Firing || b.EndsAt != ms(t, "2026-11-20T20:30:00Z") || b.Title != "High CPU" {
		t.Errorf("second: %+v", b)
	}
	for body, want := range map[string]string{
		`{"title":"[Alerting] Heap","ruleId":7,"ruleName":"Heap","state":"alerting","message":"too much","orgId":2,"ruleUrl":"https://g.example/r","imageUrl":"https://g.example/i","evalMatches":[{"value":99,"metric":"heap","tags":{}}],"tags":{"severity":"warning","component":"api"},"dashboardId":1,"panelId":2}`: "true SEV4 api [Alerting] Heap 2",
		`{"title":"[OK] Heap","ruleId":7,"ruleName":"Heap","state":"ok","orgId":2}`:           "false SEV3  [OK] Heap 0",
		`{"title":"[No Data] Heap","ruleId":7,"ruleName":"Heap","state":"no_data","orgId":2}`: "true SEV3  [No Data] Heap 0",
		`{"ruleName":"Heap","state":"paused","ruleId":7}`:                                     "nothing",
		`{"ruleName":"Heap","state":"melting","ruleId":7}`:                                    `The state "melting" of the rule is none of alerting, no_data, ok, pending and paused.`,
		`{"ruleName":"Heap"}`: `The state "" of the rule is none of alerting, no_data, ok, pending and paused.`,
		`{"hello":1}`:         `This is not a Grafana webhook: "alerts" must be a list, and is missing.`,
	} {
		obs, err := intake.DecodeGrafana([]byte(body), now)
		got := "nothing"
		if err != nil {
			got = err.Error()
		} else if len(obs) == 1 {
			got = fmt.Sprintf("%v %s %s %s %d", obs[0].Firing, obs[0].Severity, obs[0].Component, obs[0].Title, len(obs[0].Links))
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", body, got, want)
		}
	}
	one, _ := intake.DecodeGrafana([]byte(`{"ruleId":7,"ruleName":"Heap","state":"alerting","orgId":2}`), now)
	two, _ := intake.DecodeGrafana([]byte(`{"ruleId":7,"ruleName":"Heap renamed","state":"ok","orgId":2}`), now)
	if one[0].Key != two[0].Key {
		t.Error("the key of a legacy rule depends on its name")
	}
}

func sign(secret, stamp, body string) string {
	m := hmac.New(sha256.New, []byte(secret))
	if stamp != "" {
		m.Write([]byte(stamp + ":"))
	}
	m.Write([]byte(body))
	return hex.EncodeToString(m.Sum(nil))
}

func TestGrafanaSignature(t *testing.T) {
	h := open(t, mem.New())
	src, key := h.source(intake.Grafana)
	const secret = "a-long-shared-secret"
	if r := h.gate.Handle(t.Context(), intake.Grafana, key, http.Header{}, []byte(grafanaUnified), h.now); r.Status != 202 {
		t.Fatalf("unsigned, no secret: %+v", r)
	}
	if err := h.sources.Sign(t.Context(), "person:ana", src.ID, "short"); err == nil {
		t.Error("a short secret is taken")
	}
	if err := h.sources.Sign(t.Context(), "person:ana", src.ID, secret); err != nil {
		t.Fatal(err)
	}
	stamp := strconv.FormatInt(h.now.Unix(), 10)
	old := strconv.FormatInt(h.now.Add(-6*time.Minute).Unix(), 10)
	for name, tt := range map[string]struct {
		header map[string]string
		status int
		says   string
	}{
		"plain":             {map[string]string{"X-Grafana-Alerting-Signature": sign(secret, "", grafanaUnified)}, 202, ""},
		"the older name":    {map[string]string{"X-Grafana-Alert-Signature": sign(secret, "", grafanaUnified)}, 202, ""},
		"with a time":       {map[string]string{"X-Grafana-Alerting-Signature": sign(secret, stamp, grafanaUnified), intake.TimestampHeader: stamp}, 202, ""},
		"an old time":       {map[string]string{"X-Grafana-Alerting-Signature": sign(secret, old, grafanaUnified), intake.TimestampHeader: old}, 401, "more than 5 minutes old"},
		"the time taken":    {map[string]string{"X-Grafana-Alerting-Signature": sign(secret, old, grafanaUnified)}, 401, "does not fit"},
		"the time replaced": {map[string]string{"X-Grafana-Alerting-Signature": sign(secret, old, grafanaUnified), intake.TimestampHeader: stamp}, 401, "does not fit"},
		"another secret":    {map[string]string{"X-Grafana-Alerting-Signature": sign("another-long-secret", "", grafanaUnified)}, 401, "does not fit"},
		"not hex":           {map[string]string{"X-Grafana-Alerting-Signature": "zz"}, 401, "does not fit"},
		"none":              {nil, 401, "signed deliveries only"},
	} {
		header := http.Header{}
		for k, v := range tt.header {
			header.Set(k, v)
		}
		r := h.gate.Handle(t.Context(), intake.Grafana, key, header, []byte(grafanaUnified), h.now)
		says := ""
		if p, ok := r.Body.(intake.Problem); ok {
			says = p.Detail
		}
		if r.Status != tt.status || !strings.Contains(says, tt.says) {
			t.Errorf("%s: %d %s", name, r.Status, says)
		}
	}
	if n := h.gate.Newest(src.ID); n.Refused != 6 || n.Problem == "" || n.Body == nil {
		t.Errorf("%+v", n)
	}
	h.restart()
	if r := h.gate.Handle(t.Context(), intake.Grafana, key, http.Header{}, []byte(grafanaUnified), h.now); r.Status != 401 {
		t.Errorf("after a restart: %+v", r)
	}
	for off := int64(0); off < h.log.Size(); off++ {
		events, err := h.log.Read(t.Context(), off, 1)
		if err != nil || strings.Contains(string(events[0].Data), secret) {
			t.Errorf("the secret is in the log at %d: %v", off, err)
		}
	}
	if err := h.sources.Sign(t.Context(), "person:ana", src.ID, ""); err != nil {
		t.Fatal(err)
	}
	if r := h.gate.Handle(t.Context(), intake.Grafana, key, http.Header{}, []byte(grafanaUnified), h.now); r.Status != 202 {
		t.Errorf("without a secret again: %+v", r)
	}
}

func ce(pairs ...string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func TestDecodeCloudEvents(t *testing.T) {
	full := []string{"ce-id", "1", "ce-source", "/chain/bridge", "ce-specversion", "1.0", "ce-type", "com.example.outflow.firing"}
	for name, tt := range map[string]struct {
		header http.Header
		body   string
		want   string
	}{
		"binary":          {ce(append(full, "ce-subject", "nomad", "ce-time", "2026-11-20T21:00:00Z", "ce-severity", "critical")...), `{"message":"out","labels":{"a":1}}`, "com.example.outflow|nomad|out|SEV2|firing|2026-11-20T21:00:00Z|1||/chain/bridge"},
		"binary no data":  {ce(full...), ``, "com.example.outflow|/chain/bridge|com.example.outflow|SEV3|firing||||/chain/bridge"},
		"percent-encoded": {ce(append(full, "ce-subject", "Z%C3%BCrich%20node")...), `{}`, "com.example.outflow|Zürich node|com.example.outflow Zürich node|SEV3|firing||||/chain/bridge"},
		"text":            {func() http.Header { h := ce(full...); h.Set("Content-Type", "text/plain"); return h }(), `it broke`, "com.example.outflow|/chain/bridge|com.example.outflow|SEV3|firing|||it broke|/chain/bridge"},
		"structured":      {ce("Content-Type", "application/cloudevents+json; charset=UTF-8"), `{"specversion":"1.0","id":"x","source":"s","type":"t.resolved","subject":"n","time":"2026-11-20T21:00:00Z","datacontenttype":"application/json","dataschema":"https://s.example/x","data":{"title":"T","severity":"SEV1","reason":"why","state":"ok"},"traceparent":"00-x"}`, "t|n|T|SEV1|resolved|2026-11-20T21:00:00Z||why|s"},
		"base64":          {ce("Content-Type", "application/cloudevents+json"), `{"specversion":"1.0","id":"x","source":"s","type":"t","data_base64":"eyJ0aXRsZSI6IkIifQ=="}`, "t|s|B|SEV3|firing||||s"},
		"batch":           {ce("Content-Type", "application/cloudevents-batch+json"), `[{"specversion":"1.0","id":"1","source":"s","type":"t.opened"},{"specversion":"1.0","id":"2","source":"s","type":"t.closed"},{"specversion":"1.0","id":"3","source":"s"}]`, "t.opened|s|t.opened|SEV3|firing||||s\nt|s|t|SEV3|resolved||||s\nEvent 3 of 3: The attribute type is missing. CloudEvents needs id, source, specversion and type."},
		"empty batch":     {ce("Content-Type", "application/cloudevents-batch+json"), `[]`, ""},
		"own state word":  {ce(full...), `{"state":"California"}`, "com.example.outflow|/chain/bridge|com.example.outflow|SEV3|firing||||/chain/bridge"},
		"no id":           {ce("ce-source", "s", "ce-specversion", "1.0", "ce-type", "t"), `{}`, "The attribute id is missing. CloudEvents needs id, source, specversion and type."},
		"old version":     {ce("ce-id", "1", "ce-source", "s", "ce-specversion", "0.3", "ce-type", "t"), `{}`, `specversion "0.3" is not taken; version 1.0 is.`},
		"bad time":        {ce(append(full, "ce-time", "yesterday")...), `{}`, `time "yesterday" is not a time as RFC 3339 writes it.`},
		"bad name":        {ce("Content-Type", "application/cloudevents+json"), `{"specversion":"1.0","id":"x","source":"s","type":"t","my-ext":"1"}`, `The attribute name "my-ext" is not of lower-case letters and digits.`},
		"both data":       {ce("Content-Type", "application/cloudevents+json"), `{"specversion":"1.0","id":"x","source":"s","type":"t","data":{},"data_base64":""}`, `An event has data or data_base64, not both.`},
		"not JSON data":   {ce(full...), `{broken`, `The data of event 1 are said to be JSON, and are not.`},
		"no event":        {ce(), `{}`, "the media type is not taken: This is no CloudEvent: it has neither ce- headers nor the type application/cloudevents+json."},
		"avro":            {ce("Content-Type", "application/cloudevents+avro"), `x`, "the media type is not taken: The format application/cloudevents+avro is not taken. Send application/cloudevents+json, a batch of it, or the binary mode."},
	} {
		obs, ids, err := intake.DecodeCloudEvents(tt.header, []byte(tt.body), now)
		var lines []string
		for i, o := range obs {
			if ids[i] == "" || o.Key == "" {
				t.Errorf("%s: %+v", name, o)
			}
			at, state := "", "resolved"
			if o.Firing {
				state = "firing"
			}
			if when := o.StartsAt + o.EndsAt; when != 0 {
				at = time.UnixMilli(when).UTC().Format(time.RFC3339)
			}
			lines = append(lines, strings.Join([]string{o.Kind, o.Subject, o.Title, o.Severity, state, at, o.Labels["a"], o.Reason, o.Labels["ce_source"]}, "|"))
		}
		if err != nil {
			lines = append(lines, err.Error())
		}
		if got := strings.Join(lines, "\n"); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, tt.want)
		}
	}
}

// An event that is delivered twice counts once, also when it comes again after what followed it.
func TestCloudEventsTwice(t *testing.T) {
	h := open(t, mem.New())
	src, key := h.source(intake.CloudEvents)
	send := func(id, typ string) {
		t.Helper()
		if r := h.gate.Handle(t.Context(), intake.CloudEvents, key, ce("ce-id", id, "ce-source", "s", "ce-specversion", "1.0", "ce-type", typ), nil, h.now); r.Status != 202 {
			t.Fatalf("%+v", r)
		}
	}
	send("1", "t.firing")
	send("2", "t.resolved")
	send("1", "t.firing")
	if n, err := h.desk.Open(t.Context(), src.ID); n != 0 || err != nil {
		t.Errorf("%d open after the first came again, %v", n, err)
	}
	send("3", "t.firing")
	if n, _ := h.desk.Open(t.Context(), src.ID); n != 1 {
		t.Errorf("%d open after a new one", n)
	}
	if allowed, rate, ok := h.gate.Handshake(t.Context(), intake.CloudEvents, key, "sender.example"); !ok || allowed != "sender.example" || rate != "3000" {
		t.Errorf("handshake: %q %q %v", allowed, rate, ok)
	}
	if _, _, ok := h.gate.Handshake(t.Context(), intake.CloudEvents, strings.Repeat("x", 32), "sender.example"); ok {
		t.Error("a handshake without a key")
	}
}

func TestMappedSource(t *testing.T) {
	h := open(t, mem.New())
	src, key := h.source(intake.Generic)
	send := func(body string) intake.Reply {
		return h.gate.Handle(t.Context(), intake.Generic, key, http.Header{}, []byte(body), h.now)
	}
	if err := h.sources.Map(t.Context(), "person:ana", src.ID, intake.Mapping{Fields: map[string]string{"key": "a +"}}); err == nil || !strings.HasPrefix(err.Error(), "key, line 1, column") {
		t.Fatal(err)
	}
	if err := h.sources.Map(t.Context(), "person:ana", src.ID, intake.Mapping{List: "body.list", Fields: map[string]string{"key": "uid", "title": "msg"}}); err != nil {
		t.Fatal(err)
	}
	if r := send(`{"list":[{"uid":1,"msg":"one"},{"uid":2,"msg":"two"}]}`); r.Status != 202 || r.Body.(intake.Accepted).Accepted != 2 {
		t.Fatalf("%+v", r)
	}
	if r := send(`{"key":"x"}`); r.Status != 400 || !strings.Contains(r.Body.(intake.Problem).Detail, "list: It must give a list") {
		t.Errorf("%+v", r)
	}
	h.restart()
	if err := h.sources.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := send(`{"list":[{"uid":3,"msg":"three"}]}`); r.Status != 202 {
		t.Errorf("after a restart: %+v", r)
	}
	if err := h.sources.UndoMap(t.Context(), "person:ana", src.ID); err != nil {
		t.Fatal(err)
	}
	if r := send(`{"key":"x"}`); r.Status != 202 {
		t.Errorf("after undo: %+v", r)
	}
	if err := h.sources.UndoMap(t.Context(), "person:ana", src.ID); err == nil {
		t.Error("there is nothing more to undo")
	}
}

func TestBeats(t *testing.T) {
	h := open(t, mem.New())
	src, key, err := h.sources.Create(t.Context(), "person:ana", intake.Order{Name: "backup", Kind: intake.Heartbeat, Pace: heartbeat.Pace{Every: 60_000}})
	if err != nil || src.Pace.Grace != 30_000 {
		t.Fatalf("%+v, %v", src, err)
	}
	var heard []heartbeat.Beat
	beats := func(_ context.Context, s intake.Source, b heartbeat.Beat) error { heard = append(heard, b); return nil }
	h.gate.HearWith(beats)
	for body, want := range map[string]string{
		``: "202 false ", `{"state":"ok"}`: "202 false ", `{}`: "202 false ", `{"state":"failing","reason":"disk full"}`: "202 true disk full",
		`{"state":"down"}`: "202 true ", `{"state":"purple"}`: "400", `nope`: "400",
	} {
		heard = nil
		r := h.gate.Handle(t.Context(), intake.Heartbeat, key, http.Header{}, []byte(body), h.now)
		got := strconv.Itoa(r.Status)
		if len(heard) == 1 {
			got = fmt.Sprintf("%d %v %s", r.Status, heard[0].Failing, heard[0].Reason)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", body, got, want)
		}
	}
	if h.log.Size() != 1 {
		t.Errorf("beats are in the log: %d events", h.log.Size())
	}
}

func TestChangeEvent(t *testing.T) {
	h := open(t, mem.New())
	src, key := h.source(intake.PagerDuty)
	body := `{"routing_key":"` + key + `","payload":{"summary":"Build Success - Increase snapshot create timeout to 30 seconds","timestamp":"2026-11-20T21:00:00Z","source":"acme-build-pipeline","custom_details":{"build_state":"passed"}},"links":[{"href":"https://acme.example/b/1","text":"Build"}]}`
	for range 2 {
		if r := h.gate.Handle(t.Context(), intake.Change, "", http.Header{}, []byte(body), h.now); r.Status != 202 || r.Body.(intake.PagerDutyReply).Message != "Change event processed" {
			t.Fatalf("%+v", r)
		}
	}
	if n, _ := h.desk.Open(t.Context(), src.ID); n != 0 || h.log.Size() != 3 {
		t.Errorf("%d open, %d events: want the source, one opening and one clear", n, h.log.Size())
	}
	if r := h.gate.Handle(t.Context(), intake.Change, "", http.Header{}, []byte(`{"routing_key":"`+key+`","payload":{}}`), h.now); r.Status != 400 {
		t.Errorf("%+v", r)
	}
}

// Whatever the order of deliveries, and however often each comes, the signals end the same, when the sender says times.
func TestOrderAndDuplicatesOfGrafana(t *testing.T) {
	message := func(i, start, end int, status string) string {
		at := func(m int) string {
			if m == 0 {
				return "0001-01-01T00:00:00Z"
			}
			return time.UnixMilli(now).Add(time.Duration(m-1000) * time.Second).UTC().Format(time.RFC3339)
		}
		b, _ := json.Marshal(map[string]any{"groupKey": "g", "version": "1", "orgId": 1, "status": status, "alerts": []any{map[string]any{
			"status": status, "fingerprint": fmt.Sprintf("f%d", i), "labels": map[string]string{"alertname": "A"}, "startsAt": at(start), "endsAt": at(end)}}})
		return string(b)
	}
	rapid.Check(t, func(t *rapid.T) {
		var all []string
		open := 0
		for i := range 3 {
			at := 1
			for n := rapid.IntRange(1, 3).Draw(t, "episodes"); n > 0; n-- {
				all = append(all, message(i, at, 0, "firing"))
				if n > 1 || rapid.Bool().Draw(t, "ends") {
					all = append(all, message(i, at, at+10, "resolved"))
				} else {
					open++
				}
				at += 20
			}
		}
		sent := append([]string(nil), all...)
		for range rapid.IntRange(0, 5).Draw(t, "again") {
			sent = append(sent, rapid.SampledFrom(all).Draw(t, "twice"))
		}
		sent = rapid.Permutation(sent).Draw(t, "order")
		state := signal.State{Source: "gf"}
		for _, body := range sent {
			obs, err := intake.DecodeGrafana([]byte(body), now)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range obs {
				o.At = now
				for _, b := range signal.Decide(state, o) {
					state = signal.Apply(state, signal.Event{Source: "gf", At: now, Body: b})
				}
				state = signal.Heard(state, o)
			}
		}
		if state.Len() != open {
			t.Fatalf("%d open, want %d, after %v", state.Len(), open, sent)
		}
	})
}

func FuzzCloudEvents(f *testing.F) {
	f.Add("application/cloudevents+json", `{"specversion":"1.0","id":"x","source":"s","type":"t.resolved"}`, "")
	f.Add("application/json", `{}`, "1.0")
	f.Fuzz(func(t *testing.T, media, body, version string) {
		obs, ids, _ := intake.DecodeCloudEvents(http.Header{"Content-Type": {media}, "Ce-Specversion": {version}, "Ce-Id": {body}, "Ce-Source": {media}, "Ce-Type": {version + ".firing"}}, []byte(body), now)
		if len(obs) != len(ids) {
			t.Fatal("an observation has no delivery")
		}
		for _, o := range obs {
			if o.Key == "" {
				t.Fatalf("%+v", o)
			}
		}
	})
}

func FuzzGrafana(f *testing.F) {
	f.Add([]byte(grafanaUnified))
	f.Add([]byte(`{"ruleId":7,"ruleName":"Heap","state":"alerting"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		obs, _ := intake.DecodeGrafana(body, now)
		for _, o := range obs {
			if o.Key == "" || signal.Rank(o.Severity) == 0 {
				t.Fatalf("%+v", o)
			}
		}
	})
}
