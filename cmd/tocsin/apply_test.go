package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const onCallFile = `
teams:
  - name: Front line
    members: [ana]
    tier: 1
    skill: front-line
    schedule: Primary
    policy: Now
schedules:
  - name: Primary
    zone: Europe/Berlin
    layers:
      - name: Week
        people: [ana]
        start: 2026-02-23T09:00
        unit: week
      - people: [ana]
        start: 2026-02-23T09:00
        unit: day
        every: 2
        only:
          - {days: [mon, fri], from: 09:00, to: 17:30}
policies:
  - name: Now
    repeat: 2
    ack_timeout: 30m
    steps:
      - page: ["schedule:Primary"]
        wait: 90s
      - page: ["team:Front line", "role:commander", "person:ana"]
        wait: 5m
        if: {severity: SEV2, alerts: 3, within: 10m, hours: {zone: UTC, days: [sat, sun], from: 08:00, to: 20:00, not: true}}
rules:
  - severity: SEV2
    components: [Bridge]
    team: Front line
  - team: Everybody
`

// TestApplyAndExport: a file is applied once and changes nothing when it is applied again; what is exported applies as it is; a dry run writes nothing.
func TestApplyAndExport(t *testing.T) {
	dir := t.TempDir()
	s := background(t, []string{"TOCSIN_BOOTSTRAP_TOKEN=from-the-environment-123456"}, "serve", "--addr", "127.0.0.1:0", "--data", dir)
	link := s.says(regexp.MustCompile(`sign-in link: (http://\S+/join/\S+)`))[1]
	s.ready()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.PostForm(link, url.Values{"handle": {"ana"}, "name": {"Ana Alvarez"}})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	at := []string{"--server", s.says(address)[1], "--token", "from-the-environment-123456"}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	do := func(code int, args ...string) (out, complaint string) {
		t.Helper()
		got, out, complaint := tocsin(t, nil, append(args, at...)...)
		if got != code {
			t.Fatalf("%v: %d\n%s%s", args, got, out, complaint)
		}
		return out, complaint
	}
	file := write("oncall.yaml", onCallFile)
	wouldBe := "schedule Primary would be created\npolicy Now would be created\nteam Front line would be created\nrules (2) would be changed\n"
	for range 2 {
		if out, _ := do(0, "apply", "-f", file, "--dry-run"); out != wouldBe {
			t.Errorf("dry run:\n%s", out)
		}
	}
	if out, _ := do(0, "apply", "-f", file); out != strings.ReplaceAll(wouldBe, "would be ", "") {
		t.Errorf("first:\n%s", out)
	}
	unchanged := regexp.MustCompile(`would be (created|changed)`).ReplaceAllString(wouldBe, "unchanged")
	if out, _ := do(0, "apply", "-f", file); out != unchanged {
		t.Errorf("again:\n%s", out)
	}
	exported, _ := do(0, "export")
	if out, _ := do(0, "apply", "-f", write("exported.yaml", exported)); out != unchanged {
		t.Errorf("what was exported:\n%s\napplied:\n%s", exported, out)
	}
	if again, _ := do(0, "export"); again != exported || !strings.Contains(again, "wait: 1m30s") || !strings.Contains(again, "ack_timeout: 30m\n") {
		t.Errorf("exported again:\n%s", again)
	}
	changed := strings.NewReplacer("tier: 1", "tier: 2", "wait: 90s", "wait: 60s", "ack_timeout: 30m", "ack_timeout: never", "  - team: Everybody\n", "", "[mon, fri]", "[mon]").Replace(onCallFile)
	if out, _ := do(0, "apply", "-f", write("changed.yaml", changed)); out != "schedule Primary changed\npolicy Now changed\nteam Front line changed\nrules (1) changed\n" {
		t.Errorf("changed:\n%s", out)
	}
	never, _ := do(0, "export")
	if out, _ := do(0, "apply", "-f", write("never.yaml", never)); !strings.Contains(never, "ack_timeout: never\n") || !strings.Contains(out, "policy Now unchanged") {
		t.Errorf("never:\n%s\napplied:\n%s", never, out)
	}
	for name, bad := range map[string]struct{ from, to, says string }{
		"key":      {"    skill:", "    skil:", `bad.yaml:6: there is no setting “skil”`},
		"duration": {"wait: 5m", "wait: soon", "bad.yaml:31: \"soon\" is no duration"},
		"silence":  {"ack_timeout: 30m", "ack_timeout: seldom", "\"seldom\" is no duration; write one like 30m, or never"},
		"twice":    {"  - name: Front line\n", "  - name: front line\n  - name: Front line\n", "is there twice"},
		"target":   {"schedule:Primary\"", "schedule:Secondary\"", "policy Now: step 1: there is no schedule Secondary, neither in the file nor on the server"},
		"person":   {"[ana]\n    tier", "[eve]\n    tier", "team Front line: There is nobody with the handle eve"},
		"gap":      {"2026-02-23T09:00\n        unit: week", "2026-03-29T02:30\n        unit: week", "schedule Primary: 2026-03-29T02:30 does not exist in Europe/Berlin"},
		"day":      {"[mon, fri]", "[monday]", `"monday" is no day`},
	} {
		if _, says := do(1, "apply", "-f", write("bad.yaml", strings.Replace(onCallFile, bad.from, bad.to, 1))); !strings.Contains(says, bad.says) {
			t.Errorf("%s: %s", name, says)
		}
	}
	at[3] = "tocsin_wrong"
	if _, says := do(1, "export"); !strings.Contains(says, "This token is not valid") {
		t.Error(says)
	}
	at[1] = "ftp://nowhere"
	if _, says := do(1, "export"); !strings.Contains(says, "is no address of a server") {
		t.Error(says)
	}
	if code := s.stop(); code != 0 {
		t.Errorf("the server ended with %d\n%s", code, s.err)
	}
}
