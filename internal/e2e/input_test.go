package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// webhook is an Alertmanager delivery, version 4.
func webhook(group, status string, alerts ...map[string]any) map[string]any {
	for _, a := range alerts {
		if a["status"] == nil {
			a["status"] = status
		}
	}
	return map[string]any{"version": "4", "groupKey": group, "status": status, "receiver": "tocsin", "truncatedAlerts": 0, "alerts": alerts}
}

func alert(name, fingerprint string, labels map[string]any) map[string]any {
	l := map[string]any{"alertname": name, "severity": "critical"}
	for k, v := range labels {
		l[k] = v
	}
	return map[string]any{
		"labels": l, "annotations": map[string]any{"summary": name + " says so"}, "fingerprint": fingerprint,
		"startsAt": time.Now().UTC().Format(time.RFC3339), "endsAt": "0001-01-01T00:00:00Z",
	}
}

// TestBadInput: what senders get wrong is answered with a clear status; nothing
// is lost and nothing falls over.
func TestBadInput(t *testing.T) {
	s := start(t, "")
	_, am, _ := s.source("Alertmanager", "alertmanager")
	_, gen, _ := s.source("Scripts", "generic")
	_, pd, key := s.source("Old pager", "pagerduty")
	n := s.declare("Something to command", "SEV3", nil)
	commands := fmt.Sprintf("/api/v1/incidents/%d/commands", n)

	many := map[string]any{}
	for i := range 10_000 {
		many[fmt.Sprintf("label_%05d", i)] = fmt.Sprintf("value %d", i)
	}
	big := alert("Big", "b1g", nil)
	big["annotations"] = map[string]any{"description": strings.Repeat("x", 2<<20)}
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)

	for _, c := range []struct {
		what, path string
		body       any // string = raw
		want       int
		says       string // in the answer
	}{
		{"a 2 MiB alert", am, webhook("g", "firing", big), 413, "1 MiB"},
		{"a 2 MiB event", pd, map[string]any{"routing_key": key, "event_action": "trigger", "payload": map[string]any{"summary": strings.Repeat("x", 2<<20), "source": "s", "severity": "info"}}, 413, "1 MiB"},
		{"broken JSON", am, `{"alerts":[{"labels":`, 400, "JSON"},
		{"an empty body", am, "", 400, "empty"},
		{"not JSON at all", am, "ALERT! ALERT!", 400, "JSON"},
		{"a list instead of an object", am, "[1,2,3]", 400, "object"},
		{"alerts as a string", am, `{"version":"4","alerts":"three"}`, 400, "list"},
		{"an alert as a number", am, `{"version":"4","alerts":[7]}`, 400, "object"},
		{"an unknown status", am, `{"version":"4","alerts":[{"status":"maybe","labels":{"alertname":"x"}}]}`, 400, "maybe"},
		{"an alert without identity", am, `{"version":"4","alerts":[{"status":"firing"}]}`, 400, "labels"},
		{"nesting without end", am, `{"alerts":` + deep + `}`, 400, ""},
		{"bytes that are no text", am, "{\"alerts\":[\"\xff\xfe\x00\"]}", 400, ""},
		{"10,000 labels", am, webhook("labels", "firing", alert("ManyLabels", "1abe15", many)), 202, "accepted"},
		{"a wrong key", "/api/v1/intake/alertmanager/0123456789abcdef0123456789abcdef", webhook("g", "firing", alert("A", "a", nil)), 401, "key"},
		{"the key of another kind", strings.Replace(gen, "generic", "alertmanager", 1), webhook("g", "firing", alert("A", "a", nil)), 403, "generic"},
		{"an unknown way in", "/api/v1/intake/carrier-pigeon/x", "{}", 404, "alertmanager"},
		{"generic without a key field", gen, `{"title":"x"}`, 400, "key"},
		{"generic with a wrong type", gen, `{"key":{"a":1},"title":"x"}`, 400, "key"},
		{"generic, good and bad together", gen, `[{"key":"good-one","title":"Good one","severity":"SEV5"},{"title":"no key"}]`, 202, "Item 2"},
		{"pagerduty, wrong routing key", pd, `{"routing_key":"0123456789abcdef0123456789abcdef","event_action":"trigger","payload":{"summary":"a","source":"b","severity":"info"}}`, 400, "routing key"},
		{"pagerduty, nothing in it", pd, `{}`, 400, "routing_key"},
		{"pagerduty, wrong types", pd, fmt.Sprintf(`{"routing_key":%q,"event_action":5,"payload":"x"}`, key), 400, "event_action"},
	} {
		raw, isRaw := c.body.(string)
		body := []byte(raw)
		if !isRaw {
			body = mustJSON(t, c.body)
		}
		code, answer := s.asNobody("POST", c.path, body)
		if code != c.want || !strings.Contains(string(answer), c.says) || len(answer) > 8<<10 || !json.Valid(answer) {
			t.Errorf("%s: %d %s; want %d and %q", c.what, code, cut(string(answer), "", 400), c.want, c.says)
		}
		if code >= 400 && bytes.Contains(answer, []byte("goroutine")) {
			t.Errorf("%s: the answer shows the inside: %s", c.what, answer)
		}
	}
	for _, c := range []struct {
		what, path string
		body       string
		want       int
	}{
		{"a broken command", commands, `{"command":`, 400},
		{"no such command", commands, `{"command":"launch","args":{}}`, 422},
		{"an argument of the wrong type", commands, `{"command":"add_note","args":{"text":5}}`, 422},
		{"an unknown argument", commands, `{"command":"add_note","args":{"text":"x","colour":"red"}}`, 422},
		{"arguments that are a list", commands, `{"command":"add_note","args":[]}`, 422},
		{"an id that is none", commands, `{"id":"one","command":"add_note","args":{"text":"x"}}`, 400},
		{"a 2 MiB note", commands, `{"command":"add_note","args":{"text":"` + strings.Repeat("x", 2<<20) + `"}}`, 413},
		{"a 200 KiB note", commands, `{"command":"add_note","args":{"text":"` + strings.Repeat("x", 200<<10) + `"}}`, 422},
		{"no such incident", "/api/v1/incidents/4711/commands", `{"command":"add_note","args":{"text":"x"}}`, 404},
		{"resolve without validation", commands, `{"command":"resolve","args":{"validation":"  "}}`, 422},
		{"severity without reason", commands, `{"command":"set_severity","args":{"severity":"SEV1"}}`, 422},
		{"severity of its own", "/api/v1/incidents", `{"title":"x","severity":"SEV9"}`, 422},
		{"a title of 100,000 letters", "/api/v1/incidents", `{"title":"` + strings.Repeat("x", 100_000) + `","severity":"SEV3"}`, 422},
	} {
		code, answer, err := s.try("POST", c.path, map[string][]string{"Authorization": {"Bearer " + s.token}}, []byte(c.body))
		var p struct{ Code, Detail string }
		if err != nil || code != c.want || json.Unmarshal(answer, &p) != nil || p.Code == "" || !strings.ContainsAny(p.Detail[max(0, len(p.Detail)-1):], ".?!") {
			t.Errorf("%s: %d %v %s; want %d with a code and a sentence", c.what, code, err, answer, c.want)
		}
	}

	// A resolve of something never seen, and one that is replayed.
	flap := func(status string, starts, ends time.Duration) []byte {
		a := alert("Flap", "f1a9", map[string]any{"severity": "warning", "component": "matching engine"})
		a["startsAt"] = time.Now().Add(starts).UTC().Format(time.RFC3339Nano)
		if status == "resolved" {
			a["endsAt"] = time.Now().Add(ends).UTC().Format(time.RFC3339Nano)
		}
		return mustJSON(t, webhook("again", status, a))
	}
	over := flap("resolved", -time.Minute, -time.Second)
	for i, d := range [][]byte{flap("resolved", -time.Hour, -50*time.Minute), flap("firing", -time.Minute, 0), flap("firing", -time.Minute, 0), over, over, over} {
		if code, b := s.asNobody("POST", am, d); code != 202 {
			t.Errorf("delivery %d: %d %s", i, code, b)
		}
	}
	until(t, "the replayed resolve left one cleared signal", patience, func() (bool, string) {
		var found []signal
		for _, g := range s.signals() {
			if g.Kind == "Flap" {
				found = append(found, g)
			}
		}
		return len(found) == 1 && found[0].State == "cleared" && found[0].Incident != 0, fmt.Sprintf("%+v", found)
	})

	// 1,000 alerts in one group.
	var thousand []map[string]any
	for i := range 1000 {
		thousand = append(thousand, alert("PodDown", fmt.Sprintf("%016x", i), map[string]any{"pod": fmt.Sprintf("withdrawals-%d", i), "component": "withdrawals"}))
	}
	body := mustJSON(t, webhook("{}:{component=\"withdrawals\"}", "firing", thousand...))
	for range 2 { // and once more, as senders do
		if code, b := s.asNobody("POST", am, body); code != 202 {
			t.Fatalf("1,000 alerts (%d bytes): %d %s", len(body), code, b)
		}
	}
	var number int64
	took := until(t, "1,000 alerts are one incident with 1,000 signals", patience, func() (bool, string) {
		in := map[int64]int{}
		for _, g := range s.signals() {
			if g.Kind == "PodDown" && g.State == "open" {
				in[g.Incident]++
				number = g.Incident
			}
		}
		return len(in) == 1 && number != 0 && in[number] == 1000, fmt.Sprint(in)
	})
	until(t, "the incident lists them", patience, func() (bool, string) {
		k := len(s.incident(number).Signals)
		return k == 1000, fmt.Sprint(k)
	})
	labels := 0
	for _, g := range s.signals() {
		if g.Kind == "ManyLabels" {
			labels = len(g.Labels)
		}
	}
	if labels == 0 || labels > 100 {
		t.Errorf("of 10,000 labels %d were kept", labels)
	}
	if open := s.incidents(); len(open) != 4 { // the declared one, ManyLabels, Flap, PodDown
		t.Errorf("%d incidents, want 4: %+v", len(open), open)
	}
	s.restart()
	if k := len(s.incident(number).Signals); k != 1000 {
		t.Errorf("after kill -9 and restart the incident has %d signals", k)
	}
	s.mustVerify(s.url)
	t.Logf("22 bad deliveries and 13 bad commands answered as they should; 1,000 alerts (%d KiB) became incident #%d with 1,000 signals in %s; of 10,000 labels %d are kept", len(body)>>10, number, took.Round(time.Millisecond), labels)
}
