package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/chain"
	sets "github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/detection"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// stalling is a chain of twelve-second blocks at two nodes that stands still after every tenth.
func stalling(blocks int) []string {
	var out []string
	at := int64(1_767_571_200_000)
	for h := range blocks {
		at += 12_000
		if h > 0 && h%10 == 0 {
			at += 300_000
		}
		for _, node := range []string{"a", "b"} {
			out = append(out, fmt.Sprintf(`{"at":%d,"kind":"block","chain":"ethereum","node":%q,"height":%d,"hash":"h%d","parent":"h%d","time":%d}`, at, node, 100+h, h, h-1, at))
		}
	}
	return out
}

func replayed(t *testing.T, in string, args ...string) (code int, out, said string) {
	t.Helper()
	o, e := newOutput(), newOutput()
	code = run(t.Context(), append([]string{"replay"}, args...), streams{strings.NewReader(in), o, e, nil})
	return code, o.String(), e.String()
}

// TestReplayFormat holds what every line of the output has, and that there is one for the opening and one for the end of each episode.
func TestReplayFormat(t *testing.T) {
	in := strings.Join(stalling(40), "\n")
	code, out, said := replayed(t, in)
	if code != 0 || said != "" {
		t.Fatalf("%d %s", code, said)
	}
	open, last := map[string]bool{}, ""
	n := 0
	for line := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
		var s struct {
			At       string            `json:"at"`
			ID       *string           `json:"id"`
			Kind     *string           `json:"kind"`
			Subject  *string           `json:"subject"`
			Severity *string           `json:"severity"`
			State    *string           `json:"state"`
			Reason   *string           `json:"reason"`
			Score    *float64          `json:"score"`
			Evidence []json.RawMessage `json:"evidence"`
			Update   bool              `json:"update"`
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		if s.ID == nil || s.Kind == nil || s.Subject == nil || s.Severity == nil || s.State == nil || s.Reason == nil || s.Score == nil || s.Evidence == nil || *s.Reason == "" {
			t.Fatalf("a field is missing: %s", line)
		}
		if s.At < last || !strings.HasSuffix(s.At, "Z") || len(s.At) != len("2026-01-05T00:00:00.000Z") {
			t.Fatalf("at %q after %q", s.At, last)
		}
		last = s.At
		if *s.Kind == "stall" {
			n++
			switch *s.State {
			case "open":
				if open[*s.ID] != s.Update {
					t.Fatalf("opened again, or worse before it was open: %s", line)
				}
				open[*s.ID] = true
			case "cleared":
				if !open[*s.ID] {
					t.Fatalf("cleared before open: %s", line)
				}
				delete(open, *s.ID)
			}
		}
	}
	if n < 4 || len(open) != 0 {
		t.Errorf("%d lines on stalls, still open %v", n, open)
	}
	if _, again, _ := replayed(t, in); again != out {
		t.Error("the same recording gave other lines the second time")
	}
	if _, all, _ := replayed(t, in, "--all"); len(all) <= len(out) {
		t.Error("--all gave no more")
	}
	file := filepath.Join(t.TempDir(), "r.ndjson")
	if err := os.WriteFile(file, []byte(in), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, again, _ := replayed(t, "", file); again != out {
		t.Error("a file gave other lines than standard input")
	}
}

// TestReplayInPieces cuts a recording at every tenth line: with --state, the pieces give what the whole gives.
func TestReplayInPieces(t *testing.T) {
	lines := stalling(40)
	_, whole, _ := replayed(t, strings.Join(lines, "\n"))
	state, pieces := filepath.Join(t.TempDir(), "state.json"), ""
	for i := 0; i < len(lines); i += 7 {
		code, out, said := replayed(t, strings.Join(lines[i:min(i+7, len(lines))], "\n"), "--state", state)
		if code != 0 {
			t.Fatal(said)
		}
		pieces += out
	}
	if pieces != whole || whole == "" {
		t.Errorf("in pieces\n%s\nwhole\n%s", pieces, whole)
	}
	if err := os.WriteFile(state, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, said := replayed(t, "", "--state", state); code != 1 || !strings.Contains(said, "remove the file") {
		t.Errorf("%d %q", code, said)
	}
}

// TestReplayBadLines: the error names the line, and what was found before it is written.
func TestReplayBadLines(t *testing.T) {
	good := strings.Join(stalling(21), "\n")
	for _, c := range []struct{ line, says string }{
		{`{"at":"2030-01-01T00:00:00Z","kind":"block"}`, `line 43: a block needs "chain"`},
		{`{"kind":"sample"}`, `line 43: "at" is missing`},
		{`nonsense`, "line 43: "},
		{`{"at":"2030-01-01T00:00:00Z","kind":"x","y":"` + strings.Repeat("z", observation.MaxLine) + `"}`, "line 43: it is longer than"},
	} {
		code, out, said := replayed(t, good+"\n"+c.line+"\n"+good)
		if code != 1 || !strings.Contains(said, c.says) || strings.Count(out, `"state":"cleared"`) == 0 {
			t.Errorf("%.60s: %d %q, %d bytes out", c.line, code, said, len(out))
		}
	}
	code, _, said := replayed(t, good+"\n\n  \n"+strings.Join(stalling(3), "\n")+"\n")
	if code != 0 || !strings.Contains(said, "in 6 of the lines the time went backwards") {
		t.Errorf("%d %q", code, said)
	}
}

// TestReplayAnswersPerLine gives line after line and waits for each answer, as a live feed would.
func TestReplayAnswersPerLine(t *testing.T) {
	in, feed := io.Pipe()
	answers, out := io.Pipe()
	done := make(chan int)
	go func() {
		code := run(t.Context(), []string{"replay"}, streams{in, out, io.Discard, nil})
		out.Close()
		done <- code
	}()
	r := bufio.NewReader(answers)
	lines := stalling(12)
	for _, l := range lines[:20] {
		fmt.Fprintln(feed, l)
	}
	fmt.Fprintln(feed, lines[20]) // the first block after the silence
	line, err := r.ReadString('\n')
	if err != nil || !strings.Contains(line, `"kind":"stall"`) || !strings.Contains(line, `"state":"open"`) {
		t.Errorf("%q %v", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	feed.Close()
	if code := <-done; code != 0 {
		t.Error(code)
	}
}

// TestReplaySetup reads the configuration as YAML and as JSON, and names what it does not know.
func TestReplaySetup(t *testing.T) {
	dir := t.TempDir()
	for i, c := range []struct{ text, says string }{
		{"chains:\n- name: ethereum\n  family: evm\n  chain_id: 1\n  interval: 12s\n  confirmations: 12\n  nodes: [a, b]\nbridges:\n- name: nomad\n  tvl_usd: 190740000\nwatched:\n- address: \"0xab\"\n  kind: hot_wallet\npegs:\n- asset: USDC\n  trigger: 0.99\nfeeds:\n- feed: ETH / USD\n  heartbeat_seconds: 3600\nseries:\n- match: latency*\n  severity: SEV2\nratios:\n- {name: errors, part: bad_total, whole: all_total, least: 50}\nverification_wait: 90s\n", ""},
		{`{"chains":[{"name":"x","interval":0.5}],"verification_wait":60}`, ""},
		{"", ""},
		{"bridges:\n- name: b\n  tvl: 5\n", "line 3: field tvl not found"},
		{"chain: []\n", "field chain not found"},
		{"chains: [{name: a/b}]\n", "without a slash"},
		{"series: [{match: x, severity: HIGH}]\n", "none of SEV1 to SEV5"},
		{"pegs: [{asset: USDC, trigger: 2}]\n", "0 < trigger < clear < 1"},
		{"verification_wait: soon\n", "not a length of time"},
	} {
		name := filepath.Join(dir, fmt.Sprint(i, ".yaml"))
		if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, said := replayed(t, strings.Join(stalling(2), "\n"), "--config", name)
		if (code == 0) != (c.says == "") || !strings.Contains(said, c.says) {
			t.Errorf("%q: %d %q", c.text, code, said)
		}
	}
	if s, err := detection.ReadFile(filepath.Join(dir, "0.yaml")); err != nil || s.VerificationWait != 90_000 || s.Chains[0].ChainID != "1" || s.Chains[0].Interval != 12_000 {
		t.Errorf("%+v %v", s, err)
	}
	if s, err := detection.ReadFile(filepath.Join(dir, "1.yaml")); err != nil || s.VerificationWait != 60_000 || s.Chains[0].Interval != 500 {
		t.Errorf("%+v %v", s, err)
	}
}

// FuzzReplay: no line brings it down; whatever comes out is JSON.
func FuzzReplay(f *testing.F) {
	f.Add([]byte(strings.Join(stalling(3), "\n")))
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		_ = run(t.Context(), []string{"replay", "--all"}, streams{bytes.NewReader(in), &out, io.Discard, nil})
		for line := range strings.SplitSeq(strings.TrimSpace(out.String()), "\n") {
			if line != "" && !json.Valid([]byte(line)) {
				t.Fatalf("%q", line)
			}
		}
	})
}

// TestReplayHostile holds cases that once went wrong: figures whose sum is no number, samples without labels after a restart, a byte order mark.
func TestReplayHostile(t *testing.T) {
	var lines []string
	for i := range 600 {
		at, v, fee := 1_767_571_200+60*i, 100+i%7, 10.0
		if i == 500 || i == 501 {
			v, fee = 5000, 1.7e308
		}
		lines = append(lines, fmt.Sprintf(`{"at":%d,"kind":"sample","series":"depth","labels":{},"value":%d}`, at, v),
			fmt.Sprintf(`{"at":%d,"kind":"block","chain":"x","node":"n","height":%d,"hash":"h%d","parent":"h%d","base_fee":%g}`, at, i, i, i-1, fee))
	}
	code, whole, said := replayed(t, "\ufeff"+strings.Join(lines, "\n"), "--all")
	if code != 0 || !strings.Contains(whole, `"kind":"anomaly"`) {
		t.Fatalf("%d %s %s", code, said, whole)
	}
	state, pieces := filepath.Join(t.TempDir(), "state.json"), ""
	for _, part := range [][]string{lines[:1000], lines[1000:1003], lines[1003:]} {
		code, out, said := replayed(t, strings.Join(part, "\n"), "--all", "--state", state)
		if code != 0 {
			t.Fatal(said)
		}
		pieces += out
	}
	if pieces != whole {
		t.Errorf("in pieces\n%s\nwhole\n%s", pieces, whole)
	}
}

// TestEpisodesHaveTheirOwnIDs: what ends and begins again in one millisecond is another episode, also over --state.
func TestEpisodesHaveTheirOwnIDs(t *testing.T) {
	p := player{set: sets.NewSet(sets.Setup{}), all: true, Episodes: map[string]*episode{}}
	state, ids := filepath.Join(t.TempDir(), "state.json"), map[string]int{}
	for i := range 8 {
		f := chain.Finding{Key: "c/reorg/1", At: 7, Firing: i%2 == 0}
		var b bytes.Buffer
		if err := p.write(&b, f); err != nil {
			t.Fatal(err)
		}
		var s signalLine
		if err := json.Unmarshal(b.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		ids[s.ID]++
		if err := p.save(state); err != nil {
			t.Fatal(err)
		}
		p = player{set: sets.NewSet(sets.Setup{}), all: true, Episodes: map[string]*episode{}}
		if err := p.load(state); err != nil {
			t.Fatal(err)
		}
	}
	if len(ids) != 4 {
		t.Errorf("%v", ids)
	}
}
