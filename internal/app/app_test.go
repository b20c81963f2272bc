package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/store/bolt"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		http.DefaultClient.CloseIdleConnections()
		os.Exit(code)
	}))
}

const bootstrap = "a-bootstrap-token-of-the-tests"

// started is an App with an administrator's API token.
type started struct {
	*app.App
	t    *testing.T
	stop func() time.Duration
}

func start(t *testing.T, dir string, change ...func(*config.Config)) *started {
	t.Helper()
	c := config.Default()
	c.Addr, c.Data = "127.0.0.1:0", dir
	for _, f := range change {
		f(&c)
	}
	return startWith(t, app.Options{Config: c, Version: "test", Logger: slog.New(slog.DiscardHandler), BootstrapToken: bootstrap})
}

func startWith(t *testing.T, o app.Options) *started {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	a, err := app.New(ctx, o)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	if err := a.WaitReady(ctx, time.Minute); err != nil {
		t.Fatal(err)
	}
	s := &started{App: a, t: t}
	stopped := false
	s.stop = func() time.Duration {
		t.Helper()
		if stopped {
			return 0
		}
		stopped = true
		began := time.Now()
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("stop: %v", err)
		}
		return time.Since(began)
	}
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *started) call(method, path, body string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, "http://"+s.Addr()+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bootstrap)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func (s *started) must(method, path, body string) string {
	s.t.Helper()
	code, out := s.call(method, path, body)
	if code >= 300 {
		s.t.Fatalf("%s %s: %d %s", method, path, code, out)
	}
	return out
}

// follow reads the log from its beginning, for ever.
func (s *started) follow() (*bufio.Scanner, func()) {
	s.t.Helper()
	r, err := http.NewRequest("GET", "http://"+s.Addr()+"/api/v1/log", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bootstrap)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	return lines, func() { _ = res.Body.Close() }
}

// TestRestartKeepsEverything declares, alerts and tells, stops, and starts again.
func TestRestartKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	a := start(t, dir)
	if a.SignInLink == "" || !strings.Contains(a.SignInLink, "/join/") {
		t.Errorf("the first start offers no link: %q", a.SignInLink)
	}
	a.must("POST", "/api/v1/incidents", `{"id":"01a1fb1d-14e5-7ea8-a4eb-c38708c8a7dd","title":"Bridge drained","severity":"SEV1"}`)
	a.must("POST", "/api/v1/incidents/1/commands", `{"command":"draft_update","args":{"audience":"public","text":"We look."}}`)
	a.must("POST", "/api/v1/incidents/1/commands", `{"command":"approve_update","args":{"update":"U1"}}`)
	a.must("POST", "/api/v1/incidents/1/commands", `{"command":"publish_update","args":{"update":"U1"}}`)
	var src struct{ Key, URL string }
	if err := json.Unmarshal([]byte(a.must("POST", "/api/v1/sources", `{"name":"scripts","kind":"generic"}`)), &src); err != nil {
		t.Fatal(err)
	}
	a.must("POST", "/api/v1/intake/generic/"+src.Key, `{"key":"k","title":"Withdrawals stuck","severity":"SEV5","state":"firing"}`)
	paths := []string{"/api/v1/incidents/1", "/api/v1/incidents/1/events", "/api/v1/sources", "/api/v1/signals", "/ledger/checkpoint", "/ledger/key", "/api/v1/log?follow=false", "/api/v2/incidents.json"}
	read := func(s *started) map[string]string {
		out := map[string]string{}
		for _, p := range paths {
			out[p] = strings.ReplaceAll(s.must("GET", p, ""), s.Addr(), "ADDR")
		}
		return out
	}
	until(t, "the alert is shown", func() bool { return strings.Contains(a.must("GET", "/api/v1/signals", ""), "Withdrawals stuck") })
	until(t, "the incident is routed", func() bool {
		return strings.Contains(a.must("GET", "/api/v1/incidents/1/events", ""), "incident.routed")
	})
	before := read(a)
	until(t, "nobody acts any more", func() bool {
		time.Sleep(2 * time.Second) // nothing tells when
		was := before
		before = read(a)
		return maps.Equal(was, before)
	})
	a.stop()

	b := start(t, dir)
	after := read(b)
	for _, p := range paths {
		if before[p] != after[p] {
			t.Errorf("%s changed by a restart:\n%s\n%s", p, before[p], after[p])
		}
	}
	if !strings.Contains(before["/api/v2/incidents.json"], "We look.") || !strings.Contains(before["/api/v1/signals"], "Withdrawals stuck") {
		t.Error("the first run did not show what this test looks for")
	}
	// The same ids and keys go on.
	if out := b.must("POST", "/api/v1/incidents", `{"id":"01a1fb1d-14e5-7ea8-a4eb-c38708c8a7dd","title":"Again","severity":"SEV3"}`); !strings.Contains(out, `"number":1`) {
		t.Errorf("a repeated declaration: %s", out)
	}
	b.must("POST", "/api/v1/intake/generic/"+src.Key, `{"key":"k","title":"Withdrawals stuck","severity":"SEV5","state":"firing"}`)
	if n := strings.Count(b.must("GET", "/api/v1/signals", ""), `"id"`); n != 1 {
		t.Errorf("%d signals after a repeated alert", n)
	}
}

// TestAlertsBecomeIncidents: from a sender's POST to an incident, all of it real.
func TestAlertsBecomeIncidents(t *testing.T) {
	a := start(t, t.TempDir())
	var src struct{ Key string }
	if err := json.Unmarshal([]byte(a.must("POST", "/api/v1/sources", `{"name":"scripts","kind":"generic"}`)), &src); err != nil {
		t.Fatal(err)
	}
	lines, end := a.follow()
	defer end()
	a.must("POST", "/api/v1/intake/generic/"+src.Key, `{"key":"k","title":"Withdrawals stuck","severity":"SEV1","state":"firing","component":"Withdrawals"}`)
	for lines.Scan() && !strings.Contains(lines.Text(), "incident.declared") {
	}
	until(t, "the incident is shown", func() bool { // the log has it before the pages
		code, out := a.call("GET", "/api/v1/incidents/1", "")
		return code == 200 && strings.Contains(out, "Withdrawals stuck")
	})
}

// TestStopIsQuick: with pages open and followers of the log, stopping waits for none of them to the end: each is told, and ends by itself. A busy machine
// may take as long now and then, so one stop of three is enough.
func TestStopIsQuick(t *testing.T) {
	var cut []error
	for range 3 {
		if cut = stopped(t); len(cut) == 0 {
			return
		}
	}
	t.Errorf("in each of three stops somebody was waited for to the end: %v", cut)
}

// stopped starts an App, stops it with pages and followers, and returns how those ended who were cut off.
func stopped(t *testing.T) (cut []error) {
	t.Helper()
	a := start(t, t.TempDir())
	ends := make(chan error)
	for range 5 {
		ws, _, err := websocket.DefaultDialer.Dial("ws://"+a.Addr()+"/live?topic=wall", http.Header{"Authorization": {"Bearer " + bootstrap}})
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		go func() {
			var err error
			for err == nil {
				_, _, err = ws.ReadMessage()
			}
			if websocket.IsCloseError(err, websocket.CloseServiceRestart) {
				err = nil
			}
			ends <- err
		}()
	}
	for range 3 {
		lines, end := a.follow()
		defer end()
		go func() {
			for lines.Scan() { // ended by the stop, not by a cut
			}
			ends <- lines.Err()
		}()
	}
	key := a.must("GET", "/ledger/key", "")
	took := a.stop()
	for range 8 {
		if err := <-ends; err != nil {
			cut = append(cut, err)
		}
	}
	if took > 9*time.Second {
		cut = append(cut, fmt.Errorf("it took %v", took))
	}
	if res, err := http.Get("http://" + a.Addr() + "/ledger/key"); err == nil { // another program may listen there by now
		defer res.Body.Close()
		if b, _ := io.ReadAll(res.Body); string(b) == key {
			t.Error("it still answers")
		}
	}
	return cut
}

// TestOneProcessADirectory: a second process is refused with the remedy and
// leaves the first alone; afterwards the directory is free.
func TestOneProcessADirectory(t *testing.T) {
	dir := t.TempDir()
	a := start(t, dir)
	c := config.Default()
	c.Addr, c.Data = "127.0.0.1:0", dir
	_, err := app.New(context.Background(), app.Options{Config: c, Logger: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, bolt.ErrLocked) || !strings.Contains(err.Error(), "--data") {
		t.Errorf("a second process: %v", err)
	}
	a.must("GET", "/readyz", "")
	a.stop()
	start(t, dir).must("GET", "/readyz", "")
}

// TestNewLeavesNothingOpen: every way that starting can fail frees the
// directory and says what to do.
func TestNewLeavesNothingOpen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*config.Config)
		says   string
	}{
		"port taken":      {func(c *config.Config) { c.Addr = taken.Addr().String() }, "--addr"},
		"data is a file":  {func(c *config.Config) { c.Data = file }, "--data"},
		"public url":      {func(c *config.Config) { c.PublicURL = "https://" }, ""},
		"metrics blocked": {func(c *config.Config) { c.Data = filepath.Join(dir, "blocked") }, "metrics"},
	} {
		t.Run(name, func(t *testing.T) {
			conf := config.Default()
			conf.Addr, conf.Data = "127.0.0.1:0", filepath.Join(dir, "data")
			c.change(&conf)
			if name == "metrics blocked" {
				if err := os.MkdirAll(conf.Data, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(conf.Data, "metrics"), []byte("x"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			a, err := app.New(context.Background(), app.Options{Config: conf, Logger: slog.New(slog.DiscardHandler)})
			if err == nil || a != nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v does not say %q", err, c.says)
			}
			if name == "data is a file" {
				return
			}
			db, err := bolt.Open(filepath.Join(conf.Data, app.StoreFile), bolt.Options{})
			if err != nil {
				t.Fatalf("the directory is still held: %v", err)
			}
			_ = db.Close()
		})
	}
}

// TestConfigurationIsUsed: sources, components, audiences and the organisation
// of the configuration are where they belong.
func TestConfigurationIsUsed(t *testing.T) {
	const key = "0123456789abcdef0123456789abcdef"
	change := func(c *config.Config) {
		c.Organisation = "Example Exchange"
		c.Components = []config.Component{{Name: "Withdrawals", Group: "Exchange"}}
		c.Status.Audiences = []string{"clients"}
		c.Sources = []config.Source{{Name: "alerts", Kind: "generic", Key: config.NewSecret(key)}}
	}
	dir := t.TempDir()
	for range 2 { // also when it is there already
		a := start(t, dir, change)
		a.must("POST", "/api/v1/intake/generic/"+key, `{"key":"k","title":"t","state":"firing","severity":"SEV5"}`)
		if out := a.must("GET", "/status", ""); !strings.Contains(out, "Example Exchange") || !strings.Contains(out, "Withdrawals") {
			t.Error("the status page does not know the configuration")
		}
		if code, _ := a.call("GET", "/status/clients", ""); code != 200 {
			t.Errorf("the audience: %d", code)
		}
		if n := strings.Count(a.must("GET", "/api/v1/sources", ""), `"kind"`); n != 1 {
			t.Errorf("%d sources", n)
		}
		if log := a.must("GET", "/api/v1/log?follow=false", ""); strings.Contains(log, key) || strings.Contains(log, bootstrap) {
			t.Error("a secret is in the log")
		}
		a.stop()
	}
}

func TestAddresses(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:8080": "http://localhost:8080", "[::1]:80": "http://localhost:80", "0.0.0.0:8080": "http://localhost:8080", ":8080": "http://localhost:8080",
		"192.0.2.7:81": "http://192.0.2.7:81", "room.example.org:443": "http://room.example.org:443", "nonsense": "http://nonsense",
	} {
		if got := app.LocalURL(addr); got != want && !(strings.HasPrefix(addr, "127.0.0.1") && got == "http://127.0.0.1:8080") {
			t.Errorf("LocalURL(%q) = %q, want %q", addr, got, want)
		}
	}
	a := start(t, t.TempDir(), func(c *config.Config) { c.PublicURL = "https://room.example.org" })
	if a.URL() != "https://room.example.org" || !strings.HasPrefix(a.SignInLink, "https://room.example.org/join/") {
		t.Errorf("%s %s", a.URL(), a.SignInLink)
	}
	if u, err := url.Parse("http://" + a.Addr()); err != nil || u.Port() == "0" {
		t.Errorf("%s", a.Addr())
	}
}

// TestDrillRuns plays a scenario at high speed into a running App.
func TestDrillRuns(t *testing.T) {
	a := start(t, t.TempDir())
	if err := a.StartDrill(context.Background(), "no such scenario", 60); err == nil {
		t.Error("a scenario that does not exist was started")
	}
	if err := a.StartDrill(context.Background(), "nomad", 1000); err != nil {
		t.Fatal(err)
	}
	lines, end := a.follow()
	defer end()
	for lines.Scan() && !strings.Contains(lines.Text(), "incident.declared") {
	}
	until(t, "the drill's incident is shown", func() bool {
		code, out := a.call("GET", "/api/v1/incidents/1", "")
		return code == 200 && strings.Contains(out, `"drill":true`)
	})
	for _, path := range []string{"/status", "/api/v2/incidents.json"} {
		if out := a.must("GET", path, ""); strings.Contains(strings.ToLower(out), "nomad") {
			t.Errorf("%s shows the drill", path)
		}
	}
}

// TestChainsAreKept adds a chain through the page's API with a made-up node,
// restarts, and removes it; the node's password is in no log.
func TestChainsAreKept(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
		}
		_ = json.NewDecoder(r.Body).Decode(&call)
		result := map[string]string{"eth_chainId": `"0x539"`, "net_version": `"1337"`, "eth_blockNumber": `"0x10"`, "web3_clientVersion": `"fake/1"`, "eth_syncing": "false",
			"eth_getBlockByNumber": `{"number":"0x10","hash":"0x` + strings.Repeat("11", 32) + `","parentHash":"0x` + strings.Repeat("22", 32) + `","timestamp":"0x6553f100"}`}[call.Method]
		if result == "" {
			result = "null"
		}
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":`+string(call.ID)+`,"result":`+result+`}`)
	}))
	defer node.Close()
	address := strings.Replace(node.URL, "http://", "http://user:hunter2@", 1)
	dir := t.TempDir()
	a := start(t, dir)
	a.must("POST", "/chains", `{"name":"Testnet","urls":["`+address+`"]}`)
	if code, out := a.call("POST", "/chains", `{"name":"testnet","urls":["`+address+`"]}`); code != 422 || !strings.Contains(out, "chain_exists") {
		t.Errorf("twice: %d %s", code, out)
	}
	if code, out := a.call("POST", "/chains", `{"name":"Dead","urls":["http://user:hunter2@127.0.0.1:1"]}`); code != 422 || strings.Contains(out, "hunter2") {
		t.Errorf("a dead node: %d %s", code, out)
	}
	for _, again := range []string{node.URL + "/", "ws" + strings.TrimPrefix(node.URL, "http"), strings.Replace(node.URL, "127.0.0.1", "localhost", 1)} {
		if code, out := a.call("POST", "/chains", `{"name":"Double","urls":["`+node.URL+`","`+again+`"]}`); code != 422 || !strings.Contains(out, "same_address") || !strings.Contains(out, "are one address") {
			t.Errorf("%s beside the same node: %d %s", again, code, out)
		}
	}
	if code, out := a.call("POST", "/chains", `{"name":"Long","urls":["`+node.URL+`"],"operators":["`+strings.Repeat("x", 61)+`"]}`); code != 422 || !strings.Contains(out, "text_too_long") {
		t.Errorf("a long operator: %d %s", code, out)
	}
	host := strings.TrimPrefix(node.URL, "http://")
	a.must("POST", "/chains", `{"name":"Pair","urls":["`+node.URL+`/?key=one","`+node.URL+`/?key=two"],"operators":["us"]}`)
	operators := func(one, two string) func() bool {
		return func() bool {
			out := a.must("GET", "/api/v1/chains", "")
			return strings.Contains(out, `"operator":"`+one+`"`) && strings.Contains(out, `"operator":"`+two+`"`)
		}
	}
	until(t, "the nodes are of two operators", operators("us", host))
	if code, out := a.call("POST", "/chains/pair/operators", `{"operators":{"nobody":"x"}}`); code != 422 || !strings.Contains(out, "unknown_node") {
		t.Errorf("a node that is not there: %d %s", code, out)
	}
	if code, out := a.call("POST", "/chains/pair/operators", `{"operators":{"`+host+`":"`+strings.Repeat("x", 61)+`"}}`); code != 422 || !strings.Contains(out, "text_too_long") {
		t.Errorf("a long operator: %d %s", code, out)
	}
	a.must("POST", "/chains/pair/operators", `{"operators":{"`+host+`":"","`+host+`-2":"them"}}`)
	until(t, "they are of two others", operators(host, "them"))
	if out := a.must("GET", "/api/v1/log?follow=false", ""); !strings.Contains(out, "chain.operated") {
		t.Error("the log does not say who runs the nodes")
	}
	a.stop()
	b := start(t, dir)
	until(t, "who runs them is kept", func() bool { return strings.Contains(b.must("GET", "/api/v1/chains", ""), `"operator":"them"`) })
	if out := b.must("GET", "/chains", ""); !strings.Contains(out, "Testnet") || strings.Contains(out, "hunter2") {
		t.Error("after a restart the page does not show the chain, or shows the password")
	}
	for _, path := range []string{"/api/v1/chains", "/api/v1/log?follow=false", "/chains", "/log"} {
		if out := b.must("GET", path, ""); strings.Contains(out, "hunter2") {
			t.Errorf("%s says the password of a node", path)
		}
	}
	b.must("POST", "/chains/testnet/remove", "")
	if code, _ := b.call("POST", "/chains/testnet/remove", ""); code != 404 {
		t.Errorf("removed twice: %d", code)
	}
	b.stop()
	c := start(t, dir)
	if out := c.must("GET", "/api/v1/chains", ""); strings.Contains(out, "testnet") {
		t.Errorf("a removed chain is back: %s", out)
	}
	if log := c.must("GET", "/api/v1/log?follow=false", ""); !strings.Contains(log, "chain.added") || !strings.Contains(log, "chain.removed") {
		t.Error("the changes are not on record")
	}
}
