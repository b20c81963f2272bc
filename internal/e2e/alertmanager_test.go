package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// alertmanager is the real one, sending to one address.
type alertmanager struct {
	t   testing.TB
	url string
	run *child
}

func startAlertmanager(t testing.TB, to string) *alertmanager {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "alertmanager.yml")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `
route: {receiver: tocsin, group_by: [component], group_wait: 200ms, group_interval: 1s, repeat_interval: 2s}
receivers:
  - name: tocsin
    webhook_configs: [{url: %q, send_resolved: true, max_alerts: 0}]
`, to), 0o600))
	addr := "127.0.0.1:" + freePort(t)
	a := &alertmanager{t: t, url: "http://" + addr}
	a.run = spawn(t, "alertmanager", tool(t, "alertmanager"), nil, "--config.file="+config, "--storage.path="+dir, "--web.listen-address="+addr, "--cluster.listen-address=", "--log.level=warn")
	until(t, "alertmanager is ready", patience, func() (bool, string) {
		r, err := http.Get(a.url + "/-/ready")
		if err != nil {
			return false, err.Error()
		}
		r.Body.Close()
		return r.StatusCode == 200, r.Status
	})
	return a
}

// send hands alerts in as Prometheus does; ends is zero while they fire.
func (a *alertmanager) send(ends time.Time, labels ...map[string]string) {
	a.t.Helper()
	var list []map[string]any
	for _, l := range labels {
		x := map[string]any{"labels": l, "annotations": map[string]string{"summary": l["alertname"] + " on " + l["instance"]}, "generatorURL": "http://prometheus.example/graph"}
		if !ends.IsZero() {
			x["endsAt"] = ends.UTC().Format(time.RFC3339Nano)
		}
		list = append(list, x)
	}
	r, err := http.Post(a.url+"/api/v2/alerts", "application/json", strings.NewReader(string(mustJSON(a.t, list))))
	must(a.t, err)
	defer r.Body.Close()
	if r.StatusCode != 200 {
		a.t.Fatalf("alertmanager took no alerts: %s", r.Status)
	}
}

// TestRealAlertmanager: firing, repeat, resolved make one incident and no
// duplicates, also with kill -9 and a restart at each turn.
func TestRealAlertmanager(t *testing.T) {
	s := start(t, "")
	id, path, _ := s.source("Alertmanager", "alertmanager")
	// Between the two stands a counter; the address stays while tocsin is away.
	target, err := url.Parse(s.url)
	must(t, err)
	var took, refused atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
		refused.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}
	proxy.ModifyResponse = func(r *http.Response) error {
		if r.StatusCode == http.StatusAccepted {
			took.Add(1)
		}
		return nil
	}
	gate := httptest.NewServer(proxy)
	defer gate.Close()
	am := startAlertmanager(t, gate.URL+path)

	firing := []map[string]string{
		{"alertname": "WithdrawalsStuck", "component": "withdrawals", "instance": "w-1", "severity": "critical"},
		{"alertname": "WithdrawalsStuck", "component": "withdrawals", "instance": "w-2", "severity": "critical"},
		{"alertname": "QueueGrows", "component": "withdrawals", "instance": "w-1", "severity": "warning"},
	}
	state := func() (open, cleared, mine int, number int64) {
		for _, g := range s.signals() {
			if g.Source != id {
				continue
			}
			mine++
			number = g.Incident
			if g.State == "open" {
				open++
			} else {
				cleared++
			}
		}
		return
	}
	one := func(what string) {
		t.Helper()
		if l := s.incidents(); len(l) != 1 || len(l[0].Signals) != len(firing) {
			t.Fatalf("%s: %+v, want one incident with %d signals", what, l, len(firing))
		}
		if _, _, mine, _ := state(); mine != len(firing) {
			t.Errorf("%s: %d signals, want %d", what, mine, len(firing))
		}
	}
	am.send(time.Time{}, firing...)
	until(t, "one incident with every alert", patience, func() (bool, string) {
		open, _, _, number := state()
		if open != len(firing) || number == 0 {
			return false, fmt.Sprint(open, " open, incident ", number)
		}
		k := len(s.incident(number).Signals)
		return k == len(firing), fmt.Sprint(k, " attached")
	})
	one("after firing")

	repeats := took.Load()
	until(t, "alertmanager repeats", patience, func() (bool, string) { return took.Load() >= repeats+2, fmt.Sprint(took.Load()) })
	one("after repeats")

	s.kill()
	was := refused.Load()
	until(t, "alertmanager finds nobody", patience, func() (bool, string) { return refused.Load() > was, fmt.Sprint(refused.Load()) })
	s.up()
	repeats = took.Load()
	until(t, "alertmanager repeats after the restart", patience, func() (bool, string) { return took.Load() >= repeats+2, fmt.Sprint(took.Load()) })
	one("after kill -9, restart and repeat")

	// It is killed again, and the resolve happens while it is away.
	s.kill()
	am.send(time.Now(), firing...)
	was = refused.Load()
	until(t, "alertmanager cannot deliver the resolve", patience, func() (bool, string) { return refused.Load() > was, fmt.Sprint(refused.Load()) })
	s.up()
	until(t, "every alert is cleared", patience, func() (bool, string) {
		open, cleared, _, _ := state()
		return open == 0 && cleared == len(firing), fmt.Sprint(open, " open, ", cleared, " cleared")
	})
	one("after the resolve")
	until(t, "the incident knows it", patience, func() (bool, string) {
		open := 0
		for _, g := range s.incidents()[0].Signals {
			if g.State == "open" {
				open++
			}
		}
		return open == 0, fmt.Sprint(open, " still open in the incident")
	})
	declared, opened := 0, 0
	for _, e := range s.events() {
		switch e.Type {
		case "incident.declared":
			declared++
		case "signal.opened":
			opened++
		}
	}
	if declared != 1 || opened != len(firing) {
		t.Errorf("the log has %d declarations and %d openings, want 1 and %d", declared, opened, len(firing))
	}
	s.mustVerify(s.dir)
	t.Logf("a real Alertmanager delivered %d times and failed %d times over two kill -9: one incident, %d signals, each opened once and cleared once", took.Load(), refused.Load(), len(firing))
}
