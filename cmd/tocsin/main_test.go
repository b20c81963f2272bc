package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/app"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		http.DefaultClient.CloseIdleConnections()
		os.Exit(code)
	}))
}

// output is a stream that can be read while it is written.
type output struct {
	mu    sync.Mutex
	b     bytes.Buffer
	grown chan struct{}
}

func newOutput() *output { return &output{grown: make(chan struct{}, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.grown <- struct{}{}:
	default:
	}
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// tocsin runs the program to its end.
func tocsin(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	out, err := newOutput(), newOutput()
	code = run(t.Context(), args, streams{strings.NewReader(""), out, err, environ})
	return code, out.String(), err.String()
}

// serving is the program in the background.
type serving struct {
	t        *testing.T
	out, err *output
	stop     func() int
}

var address = regexp.MustCompile(`listening on (http://\S+)`)

func background(t *testing.T, environ []string, args ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &serving{t: t, out: newOutput(), err: newOutput()}
	code := make(chan int, 1)
	go func() { code <- run(ctx, args, streams{strings.NewReader(""), s.out, s.err, environ}) }()
	ended := -1
	s.stop = func() int {
		t.Helper()
		if ended < 0 {
			cancel()
			select {
			case ended = <-code:
			case <-time.After(45 * time.Second):
				t.Fatal("the program does not stop")
			}
		}
		return ended
	}
	t.Cleanup(func() { s.stop() })
	return s
}

// says waits for a line on standard output.
func (s *serving) says(rx *regexp.Regexp) []string {
	s.t.Helper()
	late := time.After(45 * time.Second)
	for {
		if m := rx.FindStringSubmatch(s.out.String()); m != nil {
			return m
		}
		select {
		case <-s.out.grown:
		case <-late:
			s.t.Fatalf("no line like %s in\n%s%s", rx, s.out, s.err)
		}
	}
}

func (s *serving) get(path, token string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequest("GET", s.says(address)[1]+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
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

// ready waits until it answers: it listens before that.
func (s *serving) ready() {
	s.t.Helper()
	for late := time.Now().Add(45 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if code, body := s.get("/readyz", ""); code == 200 {
			return
		} else if time.Now().After(late) {
			s.t.Fatalf("it is never ready: %d %s", code, body)
		}
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		args     []string
		code     int
		out, err string // a part that must be there
	}{
		{[]string{"help"}, 0, "serve", ""},
		{[]string{"--help"}, 0, "verify", ""},
		{[]string{"serve", "--help"}, 0, "--data", ""},
		{[]string{"version"}, 0, "tocsin dev", ""},
		{nil, 2, "", "tocsin help"},
		{[]string{"srve"}, 2, "", "srve"},
		{[]string{"serve", "--adr", "x"}, 2, "", "--adr"},
		{[]string{"serve", "--store", "floppy"}, 1, "", "store: is not a store; write bolt, or like etcd://"},
		{[]string{"verify"}, 2, "", "target"},
		{[]string{"verify", "/nothing/here", "--state", "/tmp/nothing-here/state"}, 1, "", "/nothing/here"},
		{[]string{"token", "create", "--data", "/nothing/here"}, 2, "", "--name"},
		{[]string{"token", "create", "--name", "x", "--role", "king"}, 2, "", "--role"},
	} {
		code, out, err := tocsin(t, nil, c.args...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(err, c.err) {
			t.Errorf("tocsin %v: %d\n%s\n%s\nwant %d, %q, %q", c.args, code, out, err, c.code, c.out, c.err)
		}
		if c.code == 0 && err != "" {
			t.Errorf("tocsin %v complains: %s", c.args, err)
		}
	}
}

func TestServe(t *testing.T) {
	dir := t.TempDir()
	s := background(t, nil, "serve", "--addr", "127.0.0.1:0", "--data", dir)
	link := s.says(regexp.MustCompile(`sign-in link: (http://\S+/join/\S+)`))[1]
	s.ready()
	if code, _ := s.get(regexp.MustCompile(`/join/.*`).FindString(link), ""); code != 200 {
		t.Errorf("the sign-in link: %d", code)
	}
	// While it runs: another server and the offline tools are sent elsewhere, verify works.
	code, _, err := tocsin(t, nil, "serve", "--addr", "127.0.0.1:0", "--data", dir)
	if code != 1 || !strings.Contains(err, "another tocsin serves this directory; stop it or choose another --data") {
		t.Errorf("a second server: %d %s", code, err)
	}
	code, _, err = tocsin(t, nil, "token", "create", "--name", "x", "--data", dir)
	if code != 1 || !strings.Contains(err, "pages Tokens and People") {
		t.Errorf("token create on a running server: %d %s", code, err)
	}
	state := filepath.Join(t.TempDir(), "verified.json")
	if code, out, err := tocsin(t, nil, "verify", dir, "--state", state); code != 0 || !strings.HasPrefix(out, "verified: ") {
		t.Errorf("verify while it runs: %d %s %s", code, out, err)
	}
	if code, out, err := tocsin(t, nil, "verify", s.says(address)[1], "--state", state); code != 0 || !strings.HasPrefix(out, "verified: ") {
		t.Errorf("verify by address: %d %s %s", code, out, err)
	}
	if code := s.stop(); code != 0 {
		t.Errorf("stopped with %d: %s", code, s.err)
	}
	if strings.Contains(s.err.String(), "join_") {
		t.Error("the link is in the log")
	}
}

func TestServeSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "tocsin.yaml")
	if err := os.WriteFile(conf, []byte("adress: 127.0.0.1:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"serve", "--config", conf}, "adress"},
		{[]string{"serve", "--config", filepath.Join(dir, "none.yaml")}, "none.yaml"},
		{[]string{"serve", "--addr", "nowhere", "--data", dir}, "addr"},
		{[]string{"serve", "--addr", "127.0.0.1:0", "--data", dir, "--public-url", "ftp://x"}, "public_url"},
		{[]string{"serve", "--addr", "127.0.0.1:0", "--data", filepath.Join(conf, "below")}, "--data"},
		{[]string{"serve", "--addr", "203.0.113.1:1", "--data", dir}, "--addr"},
	} {
		code, out, err := tocsin(t, nil, c.args...)
		if code != 1 || !strings.Contains(err, c.says) || strings.Contains(out, "listening") {
			t.Errorf("tocsin %v: %d\n%s%s", c.args, code, out, err)
		}
	}
}

// TestTokens makes tokens and links on a stopped directory; the server that is
// started then knows them.
func TestTokens(t *testing.T) {
	dir := t.TempDir()
	code, out, err := tocsin(t, nil, "token", "create", "--name", "robot", "--role", "administrator", "--data", dir)
	token := strings.TrimSpace(out)
	if code != 0 || !regexp.MustCompile(`^tocsin_[A-Za-z0-9]{54}$`).MatchString(token) {
		t.Fatalf("%d %s%s", code, out, err)
	}
	code, out, err = tocsin(t, nil, "token", "link", "--data", dir)
	if code != 0 || !regexp.MustCompile(`^http://\S+/join/\S+$`).MatchString(strings.TrimSpace(out)) {
		t.Errorf("link of the first administrator: %d %s%s", code, out, err)
	}
	if code, _, err := tocsin(t, nil, "token", "link", "ghost", "--data", dir); code != 1 || !strings.Contains(err, "ghost") {
		t.Errorf("link for nobody: %d %s", code, err)
	}
	if code, _, err := tocsin(t, nil, "token", "create", "--name", " ", "--data", dir); code != 1 || err == "" {
		t.Errorf("a token without a name: %d %s", code, err)
	}
	s := background(t, []string{"TOCSIN_BOOTSTRAP_TOKEN=from-the-environment-123456"}, "serve", "--addr", "127.0.0.1:0", "--data", dir)
	s.ready()
	for _, good := range []string{token, "from-the-environment-123456"} {
		if code, body := s.get("/api/v1/sources", good); code != 200 {
			t.Errorf("a token: %d %s", code, body)
		}
	}
	if code, _ := s.get("/api/v1/sources", "tocsin_wrong"); code != 401 {
		t.Errorf("a wrong token: %d", code)
	}
	s.stop()
	if text := s.out.String() + s.err.String(); strings.Contains(text, token) || strings.Contains(text, "from-the-environment") {
		t.Error("a token is in the output")
	}
}

// made is a data directory with a log in it.
func made(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"one", "two", "three"} {
		if code, _, err := tocsin(t, nil, "token", "create", "--name", name, "--data", dir); code != 0 {
			t.Fatal(err)
		}
	}
	return dir
}

func TestVerify(t *testing.T) {
	dir, state := made(t), filepath.Join(t.TempDir(), "deep", "verified.json")
	backup := filepath.Join(t.TempDir(), "backup.db")
	b, err := os.ReadFile(filepath.Join(dir, app.StoreFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(backup, b, 0o600); err != nil {
		t.Fatal(err)
	}
	verified := func(args ...string) {
		t.Helper()
		if code, out, err := tocsin(t, nil, append([]string{"verify"}, args...)...); code != 0 || !strings.HasPrefix(out, "verified: ") {
			t.Errorf("verify %v: %d %s%s", args, code, out, err)
		}
	}
	verified(dir, "--state", state)
	verified(filepath.Join(dir, app.StoreFile), "--state", state)
	verified(backup, "--state", filepath.Join(t.TempDir(), "other.json"))
	if raw, err := os.ReadFile(state); err != nil || !json.Valid(raw) {
		t.Errorf("what was seen: %v", err)
	}
	// The log goes on; a backup is older than what was seen last.
	if code, _, err := tocsin(t, nil, "token", "create", "--name", "four", "--data", dir); code != 0 {
		t.Fatal(err)
	}
	verified(dir, "--state", state)
	if code, out, _ := tocsin(t, nil, "verify", backup, "--state", state); code != 1 || !strings.HasPrefix(out, "NOT VERIFIED: ") {
		t.Errorf("a shortened log: %d %s", code, out)
	}
	verified(backup, "--backup", "--state", state)
	if code, out, _ := tocsin(t, nil, "verify", dir, "--state", state, "--key", "tocsin/log+00000000+AQQR"); code == 0 {
		t.Errorf("another key: %d %s", code, out)
	}
	if code, _, err := tocsin(t, nil, "verify", t.TempDir(), "--state", state); code != 1 || err == "" {
		t.Errorf("a directory without a log: %d %s", code, err)
	}
}

// TestVerifyFindsAFlippedByte flips one byte of an event's text in the file.
func TestVerifyFindsAFlippedByte(t *testing.T) {
	dir := made(t)
	file := filepath.Join(dir, app.StoreFile)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n := bytes.Count(b, []byte(`"name":"two"`))
	if n == 0 {
		t.Fatal("the event is not in the file as it was written; this test would prove nothing")
	}
	b = bytes.ReplaceAll(b, []byte(`"name":"two"`), []byte(`"name":"twO"`))
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ := tocsin(t, nil, "verify", dir, "--state", filepath.Join(t.TempDir(), "s.json"))
	if code != 1 || !strings.HasPrefix(out, "NOT VERIFIED: ") || !regexp.MustCompile(`\b1\b`).MatchString(out) {
		t.Errorf("%d %s", code, out)
	}
}

func TestDemo(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	s := background(t, []string{"TOCSIN_BOOTSTRAP_TOKEN=from-the-environment-123456"}, "demo", "--addr", "127.0.0.1:0", "--speed", "1000")
	s.says(regexp.MustCompile(`DRILL: playing nomad`))
	s.ready()
	if code, body := s.get("/status", ""); code != 200 || !strings.Contains(body, "DRILL") {
		t.Errorf("the status page of a demo: %d", code)
	}
	if dirs, _ := filepath.Glob(filepath.Join(tmp, "tocsin-demo-*")); len(dirs) != 1 {
		t.Errorf("throw-away directories: %v", dirs)
	}
	if code := s.stop(); code != 0 {
		t.Errorf("stopped with %d: %s", code, s.err)
	}
	if dirs, _ := filepath.Glob(filepath.Join(tmp, "tocsin-demo-*")); len(dirs) != 0 {
		t.Errorf("left behind: %v", dirs)
	}
	if code, _, err := tocsin(t, nil, "demo", "--addr", "127.0.0.1:0", "--scenario", "nothing"); code != 1 || !strings.Contains(err, "nothing") && !strings.Contains(err, "scenario") && !strings.Contains(err, "drill") {
		t.Errorf("an unknown scenario: %d %s", code, err)
	}
}
