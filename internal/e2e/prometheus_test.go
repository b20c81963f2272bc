package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// prometheus is the real one: it scrapes itself and writes everything to an address.
func startPrometheus(t testing.TB, write, key string) (url string) {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	addr := "127.0.0.1:" + freePort(t)
	must(t, os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 1s, external_labels: {site: zug}}
scrape_configs: [{job_name: self, static_configs: [{targets: [%q]}]}]
remote_write:
  - url: %q
    authorization: {credentials: %q}
    queue_config: {batch_send_deadline: 500ms, min_backoff: 100ms, max_backoff: 500ms}
`, addr, write, key), 0o600))
	spawn(t, "prometheus", tool(t, "prometheus"), nil, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr, "--log.level=warn")
	until(t, "prometheus is ready", patience, func() (bool, string) {
		r, err := http.Get("http://" + addr + "/-/ready")
		if err != nil {
			return false, err.Error()
		}
		r.Body.Close()
		return r.StatusCode == 200, r.Status
	})
	return "http://" + addr
}

type promAnswer struct {
	Data struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any
			Values [][2]any
		}
	}
}

// ask asks a Prometheus API; bearer "" is nobody.
func ask(t testing.TB, base, expr, bearer string) (a promAnswer) {
	t.Helper()
	r, err := http.NewRequest("GET", base+"/api/v1/query?query="+url.QueryEscape(expr), nil)
	must(t, err)
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	until(t, expr+" is answered", patience, func() (bool, string) {
		resp, err := http.DefaultClient.Do(r)
		must(t, err)
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusServiceUnavailable { // it took longer than a query may, on a busy machine
			return false, resp.Status
		}
		if resp.StatusCode != 200 {
			t.Fatalf("%s: %s", expr, resp.Status)
		}
		must(t, json.NewDecoder(resp.Body).Decode(&a))
		return true, ""
	})
	return a
}

// TestRealPrometheus: what a real Prometheus has of itself is here too, the same
// samples at the same times, although we were killed and away for a while.
func TestRealPrometheus(t *testing.T) {
	s := start(t, "")
	_, _, key := s.source("Prometheus Zug", "metrics")
	target, err := url.Parse(s.url)
	must(t, err)
	var took, refused, other atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
		refused.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}
	proxy.ModifyResponse = func(r *http.Response) error {
		if r.StatusCode == http.StatusNoContent {
			took.Add(1)
		} else {
			other.Add(1)
		}
		return nil
	}
	gate := httptest.NewServer(proxy)
	defer gate.Close()
	theirs := startPrometheus(t, gate.URL+"/api/v1/write", key)
	ours := s.url + "/prometheus"
	until(t, "its figures are here", patience, func() (bool, string) {
		a := ask(t, ours, `up{job="self"}`, s.token)
		return len(a.Data.Result) == 1 && a.Data.Result[0].Value[1] == "1", fmt.Sprint(a)
	})
	got := ask(t, ours, `up{job="self"}`, s.token).Data.Result[0].Metric
	if got["source"] != "Prometheus Zug" || got["site"] != "zug" {
		t.Errorf("%v", got)
	}
	s.kill()
	was := refused.Load()
	until(t, "prometheus finds nobody, and scrapes on", patience, func() (bool, string) {
		a := ask(t, theirs, `up{job="self"}[10m]`, "")
		return refused.Load() > was+2 && len(a.Data.Result) == 1 && len(a.Data.Result[0].Values) >= 5, fmt.Sprint(refused.Load(), a)
	})
	s.up()
	before := took.Load()
	until(t, "prometheus sends again", patience, func() (bool, string) { return took.Load() >= before+3, fmt.Sprint(took.Load()) })
	// Every scrape is here, also those of when we were away.
	expr := `prometheus_tsdb_head_samples_appended_total{type="float"}[10m]`
	if r := ask(t, theirs, expr, ""); len(r.Data.Result) == 0 {
		expr = `prometheus_tsdb_head_samples_appended_total[10m]` // before version 2.43
	}
	until(t, "what it has is here, but for the last seconds", patience, func() (bool, string) {
		mine, its := ask(t, ours, expr, s.token).Data.Result, ask(t, theirs, expr, "").Data.Result
		if len(mine) != 1 || len(its) != 1 {
			return false, fmt.Sprint(len(mine), " and ", len(its), " series")
		}
		have, n := map[string]bool{}, 0
		for _, v := range mine[0].Values {
			have[fmt.Sprint(v)] = true
		}
		for _, v := range its[0].Values {
			if v[0].(float64) > float64(time.Now().Unix()-4) {
				break // on its way
			}
			if n++; !have[fmt.Sprint(v)] {
				return false, fmt.Sprintf("%v is missing, %d of %d", v, n, len(its[0].Values))
			}
		}
		return n >= 8, fmt.Sprint(n, " samples")
	})
	if other.Load() != 0 {
		t.Errorf("%d deliveries were refused", other.Load())
	}
	t.Logf("%d deliveries taken, %d found nobody", took.Load(), refused.Load())
}

// TestKillWhileSamplesArrive: kill -9 while samples are on their way; every one
// that was answered 2xx is there afterwards.
func TestKillWhileSamplesArrive(t *testing.T) {
	s := start(t, "")
	_, _, key := s.source("payments", "metrics")
	began := time.Now().Add(-time.Minute).UnixMilli()
	sent := 0
	for round := range 3 {
		var mu sync.Mutex
		done := map[string]bool{}
		var answered atomic.Int64
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := range 200 {
					id := fmt.Sprintf("%d-%d-%d", round, w, i)
					body := fmt.Sprintf(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"kept","gauge":{"dataPoints":[{"timeUnixNano":"%d000000","asInt":"%d","attributes":[{"key":"id","value":{"stringValue":%q}}]}]}}]}]}]}`, began+int64(i), i, id)
					code, b, err := s.try("POST", "/v1/metrics/"+key, http.Header{}, []byte(body))
					if err != nil || code != 200 || strings.TrimSpace(string(b)) != "{}" && !strings.Contains(string(b), "partialSuccess") {
						return
					}
					mu.Lock()
					done[id] = true
					mu.Unlock()
					if answered.Add(1) == int64(60+100*round) {
						_ = s.run.cmd.Process.Kill()
					}
				}
			})
		}
		wg.Wait()
		s.restart()
		have := map[string]bool{}
		for _, r := range ask(t, s.url+"/prometheus", fmt.Sprintf(`last_over_time(kept{id=~"%d-.*"}[10m])`, round), s.token).Data.Result {
			have[r.Metric["id"]] = true
		}
		for id := range done {
			if !have[id] {
				t.Errorf("round %d: %s was answered and is gone", round, id)
			}
		}
		sent += len(done)
	}
	t.Logf("%d samples were answered, all are there", sent)
}
