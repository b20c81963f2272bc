package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

const bootstrap = "bootstrap-token-of-the-e2e-tests"

// tocsin is the product on one data directory; it may be killed and started
// again on the same address.
type tocsin struct {
	t      testing.TB
	dir    string // of its data
	config string // file
	addr   string // host:port after the first start
	url    string // http://127.0.0.1:port
	link   string // printed on the first start
	token  string
	store  string   // --store, "" = the data directory's own
	within []string // command that runs the program somewhere else, such as in a network namespace
	run    *child
	client *http.Client
	outs   []*tail
}

// start runs the product with this configuration, which may be empty.
func start(t testing.TB, config string) *tocsin {
	t.Helper()
	s := prepare(t, config)
	s.up()
	return s
}

// prepare makes all that the product needs to start, and starts nothing.
func prepare(t testing.TB, config string) *tocsin {
	t.Helper()
	home := t.TempDir()
	s := &tocsin{t: t, dir: filepath.Join(home, "data"), config: filepath.Join(home, "tocsin.yaml"), token: bootstrap, addr: "127.0.0.1:0"}
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.client = &http.Client{Timeout: 60 * time.Second, Transport: &mindful{RoundTripper: &http.Transport{MaxIdleConnsPerHost: 256}}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		for _, o := range s.outs {
			if strings.Contains(o.String(), "DATA RACE") {
				t.Errorf("the race detector spoke:\n%s", cut(o.String(), "DATA RACE", 6000))
			}
			if strings.Contains(o.String(), "handler panicked") || strings.Contains(o.String(), "\npanic: ") {
				t.Errorf("the product panicked:\n%s", strings.Join(lines(o.String(), "panic"), "\n"))
			}
		}
	})
	return s
}

// mindful sends back the newest position of the log that an answer brought, as a client does that wants to read what it wrote.
type mindful struct {
	http.RoundTripper
	newest atomic.Int64
}

func (m *mindful) RoundTrip(r *http.Request) (*http.Response, error) {
	const name = "Tocsin-Position"
	if at := m.newest.Load(); at > 0 && r.Header.Get(name) == "" {
		r = r.Clone(r.Context())
		r.Header.Set(name, strconv.FormatInt(at, 10))
	}
	a, err := m.RoundTripper.RoundTrip(r)
	for began := time.Now(); err == nil && r.Method == "GET" && time.Since(began) < patience/2; { // the server itself waits 2 s
		want, none := strconv.ParseInt(r.Header.Get(name), 10, 64)
		if shows, no := strconv.ParseInt(a.Header.Get(name), 10, 64); none != nil || no != nil || shows >= want || a.Header.Get("Tocsin-Stale") != "" {
			break
		}
		_ = a.Body.Close()
		time.Sleep(50 * time.Millisecond)
		a, err = m.RoundTripper.RoundTrip(r)
	}
	if err != nil {
		return nil, err
	}
	if at, err := strconv.ParseInt(a.Header.Get(name), 10, 64); err == nil {
		for was := m.newest.Load(); at > was && !m.newest.CompareAndSwap(was, at); was = m.newest.Load() {
		}
	}
	return a, nil
}

func (m *mindful) CloseIdleConnections() { m.RoundTripper.(*http.Transport).CloseIdleConnections() }

func cut(s, from string, n int) string {
	if i := strings.Index(s, from); i >= 0 {
		s = s[i:]
	}
	return s[:min(n, len(s))]
}

var (
	listening = regexp.MustCompile(`listening on (http://\S+)`)
	signIn    = regexp.MustCompile(`sign-in link: (http\S+)`)
)

// up starts it and waits until it says that it is ready.
func (s *tocsin) up() {
	s.t.Helper()
	args := append(slices.Clone(s.within), product, "serve", "--addr", s.addr, "--data", s.dir, "--config", s.config)
	if s.store != "" {
		args = append(args, "--store", s.store)
	}
	s.run = spawn(s.t, "tocsin", args[0], []string{"TOCSIN_BOOTSTRAP_TOKEN=" + s.token}, args[1:]...)
	s.outs = append(s.outs, s.run.out)
	until(s.t, "tocsin listens", patience, func() (bool, string) {
		m := listening.FindStringSubmatch(s.run.out.String())
		if m == nil {
			select {
			case <-s.run.gone:
				s.t.Fatalf("tocsin ended:\n%s", s.run.out)
			default:
			}
			return false, s.run.out.last(500)
		}
		if url := strings.TrimSuffix(m[1], "/"); url != s.url { // after a restart it is the same, and others may be reading it
			s.url, s.addr = url, strings.TrimPrefix(url, "http://")
		}
		return true, ""
	})
	until(s.t, "tocsin is ready", patience, func() (bool, string) {
		code, body, err := s.try("GET", "/readyz", nil, nil)
		return err == nil && code == 200, fmt.Sprint(code, " ", string(body), err)
	})
	if m := signIn.FindStringSubmatch(s.run.out.String()); m != nil {
		s.link = m[1]
	}
}

// kill is kill -9.
func (s *tocsin) kill() { s.run.kill() }

func (s *tocsin) restart() {
	s.t.Helper()
	s.kill()
	s.up()
}

// try sends one request and reads the answer; only the transport can fail.
func (s *tocsin) try(method, path string, header http.Header, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if len(body) > 0 && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	r, err := s.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return r.StatusCode, b, err
}

// asNobody is a request without any credential.
func (s *tocsin) asNobody(method, path string, body []byte) (int, []byte) {
	s.t.Helper()
	code, b, err := s.try(method, path, nil, body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return code, b
}

// api calls as the administrator of the bootstrap token; in and out are JSON, out may be nil.
func (s *tocsin) api(method, path string, in, out any) int {
	s.t.Helper()
	var body []byte
	if in != nil {
		body = mustJSON(s.t, in)
	}
	auth := http.Header{"Authorization": {"Bearer " + s.token}}
	code, b, err := s.try(method, path, auth, body)
	for began := time.Now(); s.store != "" && err == nil && code == 503 && strings.Contains(string(b), `"read_only"`) && time.Since(began) < patience; {
		time.Sleep(200 * time.Millisecond) // refused before anything was done: etcd was slow
		code, b, err = s.try(method, path, auth, body)
	}
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	if out != nil {
		if code >= 300 {
			s.t.Fatalf("%s %s %s: %d %s", method, path, body, code, b)
		}
		if err := json.Unmarshal(b, out); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, path, err, b)
		}
	}
	return code
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// incident is what the API tells of one.
type incident struct {
	Number   int64               `json:"number"`
	Title    string              `json:"title"`
	Severity string              `json:"severity"`
	Status   string              `json:"status"`
	Chains   []string            `json:"chains"`
	Roles    map[string][]string `json:"roles"`
	Signals  []struct {
		ID, Source, Title, State, Reason string
	} `json:"signals"`
	Tasks   []struct{ ID, Title string } `json:"tasks"`
	Updates []struct {
		ID, Audience, State, Text string
	} `json:"updates"`
	Position int64 `json:"position"`
}

type signal struct {
	ID, Source, Key, Kind, Subject, Title, Severity, State, Reason string
	Count                                                          int
	Incident                                                       int64
	Chain                                                          string
	Labels                                                         map[string]string
}

type answer struct {
	Position int64   `json:"position"`
	Events   []event `json:"events"`
}

type event struct {
	Offset    int64           `json:"offset"`
	ID        string          `json:"id"`
	Stream    string          `json:"stream"`
	Seq       int64           `json:"seq"`
	Type      string          `json:"type"`
	Actor     string          `json:"actor"`
	Causation string          `json:"causation"`
	Drill     bool            `json:"drill"`
	Data      json.RawMessage `json:"data"`
}

func (s *tocsin) declare(title, severity string, more map[string]any) int64 {
	s.t.Helper()
	in := map[string]any{"title": title, "severity": severity}
	for k, v := range more {
		in[k] = v
	}
	var out struct{ Number int64 }
	s.api("POST", "/api/v1/incidents", in, &out)
	return out.Number
}

func (s *tocsin) command(n int64, name string, args map[string]any) answer {
	s.t.Helper()
	var out answer
	s.api("POST", fmt.Sprintf("/api/v1/incidents/%d/commands", n), map[string]any{"id": uuid.NewString(), "command": name, "args": args}, &out)
	return out
}

func (s *tocsin) note(n int64, text string) answer {
	s.t.Helper()
	return s.command(n, "add_note", map[string]any{"text": text})
}

func (s *tocsin) incidents() []incident {
	s.t.Helper()
	var out struct{ Incidents []incident }
	s.api("GET", "/api/v1/incidents", nil, &out)
	return out.Incidents
}

func (s *tocsin) incident(n int64) incident {
	s.t.Helper()
	var out incident
	s.api("GET", fmt.Sprintf("/api/v1/incidents/%d", n), nil, &out)
	return out
}

func (s *tocsin) signals() []signal {
	s.t.Helper()
	var out struct{ Signals []signal }
	s.api("GET", "/api/v1/signals", nil, &out)
	return out.Signals
}

// events is the whole log.
func (s *tocsin) events() []event {
	s.t.Helper()
	code, b, err := s.try("GET", "/api/v1/log?from=0&follow=false", http.Header{"Authorization": {"Bearer " + s.token}}, nil)
	if err != nil || code != 200 {
		s.t.Fatalf("read the log: %d %v %s", code, err, b)
	}
	var out []event
	for d := json.NewDecoder(bytes.NewReader(b)); ; {
		var e event
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, e)
	}
}

// source makes a source of alerts and returns its id and the path that takes them.
func (s *tocsin) source(name, kind string) (id, path, key string) {
	s.t.Helper()
	var out struct{ ID, Key, URL string }
	s.api("POST", "/api/v1/sources", map[string]any{"name": name, "kind": kind}, &out)
	if kind == "pagerduty" {
		return out.ID, "/v2/enqueue", out.Key
	}
	return out.ID, "/api/v1/intake/" + kind + "/" + out.Key, out.Key
}

// verify runs tocsin verify on a directory or address; memory is the file that
// remembers what was seen before. It returns the exit code and what was said.
func verify(t testing.TB, place, memory string) (int, string) {
	t.Helper()
	cmd := exec.Command(product, "verify", place)
	cmd.Env = append(os.Environ(), "TOCSIN_VERIFY_STATE="+memory, "TOCSIN_TOKEN="+bootstrap)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), strings.TrimSpace(string(out))
}

// mustVerify checks the log offline or over HTTP and remembers nothing.
func (s *tocsin) mustVerify(place string) {
	s.t.Helper()
	seen := filepath.Join(s.t.TempDir(), "seen.json")
	code, said := verify(s.t, place, seen)
	for began := time.Now(); strings.Contains(said, "try again at a quieter moment") && time.Since(began) < patience; {
		code, said = verify(s.t, place, seen)
	}
	if code != 0 || !strings.HasPrefix(said, "verified") {
		s.t.Errorf("tocsin verify %s: exit %d, %s", place, code, said)
		return
	}
	s.t.Logf("tocsin verify: %s", strings.ReplaceAll(said, "\n", " · "))
}
