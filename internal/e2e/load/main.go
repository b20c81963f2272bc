// Command load measures what detection costs: it is the nodes and the sender of samples of one Tocsin, which it starts, and prints what that took of
// the processor and of memory. load_detect.sh runs it in several sizes.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tocsin-ops/tocsin/internal/e2e/prom"
)

var asked, heads atomic.Int64 // calls of JSON-RPC, and those of them that ask which block is the newest

const token = "bootstrap-token-of-the-load-test"

func main() {
	log.SetFlags(0)
	log.SetPrefix("load: ")
	binary := flag.String("tocsin", "bin/tocsin", "the program to measure")
	chains := flag.Int("chains", 20, "chains, of EVM and Bitcoin in turns, every second one of each with a block every 2 s, the others every 12 s")
	nodes := flag.Int("nodes", 5, "nodes of each chain")
	poll := flag.Duration("poll", time.Second, "how often each node is asked for its newest block; 0 = as often as without a setting")
	series := flag.Int("series", 2000, "series pushed")
	every := flag.Duration("every", 15*time.Second, "between pushes")
	warm := flag.Duration("warm", time.Minute, "before measuring")
	measure := flag.Duration("for", 3*time.Minute, "measured")
	out := flag.String("out", "", "file that one line of figures is appended to")
	flag.Parse()
	if err := run(*binary, *chains, *nodes, *poll, *series, *every, *warm, *measure, *out); err != nil {
		log.Fatal(err)
	}
}

func run(binary string, chains, nodes int, poll time.Duration, series int, every, warm, measure time.Duration, out string) error {
	home, err := os.MkdirTemp("", "tocsin-load-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	config, err := serve(chains, nodes, poll)
	if err != nil {
		return err
	}
	file := filepath.Join(home, "tocsin.yaml")
	if err := os.WriteFile(file, []byte(config+"metrics: {series_per_source: 100000}\n"), 0o600); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	cmd := exec.CommandContext(ctx, binary, "serve", "--addr", "127.0.0.1:0", "--data", filepath.Join(home, "data"), "--config", file)
	cmd.Env = append(os.Environ(), "TOCSIN_BOOTSTRAP_TOKEN="+token)
	cmd.Stderr = os.Stderr
	said, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { stop(); _ = cmd.Wait() }()
	url := ""
	for s := bufio.NewScanner(said); url == "" && s.Scan(); {
		if m := regexp.MustCompile(`listening on (http://\S+)`).FindStringSubmatch(s.Text()); m != nil {
			url = strings.TrimSuffix(m[1], "/")
		}
	}
	go io.Copy(io.Discard, said)
	if url == "" {
		return fmt.Errorf("%s does not listen; run it by hand with %s", binary, file)
	}
	t := tocsin{url: url, pid: cmd.Process.Pid, dir: filepath.Join(home, "data")}
	key, err := t.source()
	if err != nil {
		return err
	}
	pushed := make(chan error, 1)
	var sent atomic.Int64
	go func() { pushed <- push(ctx, url, key, series, every, &sent) }()
	if err := wait(pushed, warm); err != nil {
		return err
	}
	a, err := t.look()
	if err != nil {
		return err
	}
	asks, looks, sends := asked.Load(), heads.Load(), sent.Load()
	if err := wait(pushed, measure); err != nil {
		return err
	}
	b, err := t.look()
	if err != nil {
		return err
	}
	took := b.at.Sub(a.at).Seconds()
	state := int64(0)
	if i, err := os.Stat(filepath.Join(t.dir, "detection/state")); err == nil {
		state = i.Size()
	}
	line := fmt.Sprintf("nodes=%d series=%d cpu_percent=%.2f user_percent=%.2f rss_mib=%.0f rss_peak_mib=%.0f calls_per_s=%.1f heads_per_s=%.1f sent_per_s=%.1f judged_per_s=%.1f lost=%.0f open=%.0f state_kib=%d",
		chains*nodes, series, 100*(b.user+b.sys-a.user-a.sys)/took, 100*(b.user-a.user)/took, b.rss/1024, b.peak/1024, float64(asked.Load()-asks)/took, float64(heads.Load()-looks)/took, float64(sent.Load()-sends)/took,
		(b.judged-a.judged)/took, b.lost, b.open, state/1024)
	fmt.Println(line)
	if out == "" {
		return nil
	}
	f, err := os.OpenFile(out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	fmt.Fprintln(f, line)
	return f.Close()
}

func wait(failed <-chan error, d time.Duration) error {
	select {
	case err := <-failed:
		return err
	case <-time.After(d):
		return nil
	}
}

// serve listens for every chain and gives the configuration that watches it; the nodes of a chain are one listener by several names.
func serve(chains, nodes int, poll time.Duration) (string, error) {
	var b strings.Builder
	b.WriteString("chains:\n")
	for i := range chains {
		l := ledger{id: i, bitcoin: i%2 == 1, interval: 12 * time.Second}
		if i%4 < 2 {
			l.interval = 2 * time.Second
		}
		l.begun = time.Now().Add(-1000*l.interval - time.Duration(i*137)*time.Millisecond)
		at, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		go http.Serve(at, l)
		family := "evm"
		if l.bitcoin {
			family = "bitcoin"
		}
		fmt.Fprintf(&b, "  - name: load-%d\n    family: %s\n", i, family)
		if poll > 0 {
			fmt.Fprintf(&b, "    poll: %s\n", poll)
		}
		b.WriteString("    nodes:\n")
		for n := range nodes {
			fmt.Fprintf(&b, "      - {name: n%d, url: \"http://%s/%d\"", n, at.Addr(), n)
			if l.bitcoin {
				b.WriteString(", user: u, password: p}\n")
			} else {
				b.WriteString(", ws: none}\n")
			}
		}
	}
	return b.String(), nil
}

// push sends every series once in a while, a tenth of them at a time, as ten senders would.
func push(ctx context.Context, url, key string, series int, every time.Duration, sent *atomic.Int64) error {
	client := &http.Client{Timeout: time.Minute}
	const parts = 10
	tick := time.NewTicker(every / parts)
	defer tick.Stop()
	for round := 0; ; round++ {
		var list []prom.Series
		at := time.Now().UnixMilli()
		for i := round % parts; i < series; i += parts {
			t := float64(at)/1000 + float64(i*977)
			v := 100 + 20*math.Sin(t/600) + 10*math.Sin(t/86400) + math.Mod(t*float64(i%13+7)*1.37, 9)
			list = append(list, prom.Series{Labels: []string{"__name__", "load_" + strconv.Itoa(i%50), "instance", "host-" + strconv.Itoa(i/50), "service", "s" + strconv.Itoa(i%7)},
				Samples: []prom.Sample{{At: at, Value: v}}})
		}
		if len(list) > 0 {
			if err := prom.Send(client, url, key, list); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return fmt.Errorf("push: %w", err)
			}
			sent.Add(int64(len(list)))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

type tocsin struct {
	url, dir string
	pid      int
}

func (t tocsin) do(method, path, body string) (string, error) {
	r, err := http.NewRequest(method, t.url+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, 4<<20))
	if err == nil && a.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s %s", method, path, a.Status, text)
	}
	return string(text), err
}

func (t tocsin) source() (string, error) {
	text, err := t.do("POST", "/api/v1/sources", `{"name":"load","kind":"metrics"}`)
	if err != nil {
		return "", err
	}
	var out struct{ Key string }
	return out.Key, json.Unmarshal([]byte(text), &out)
}

type look struct {
	at                 time.Time
	user, sys          float64 // s of processor time
	rss, peak          float64 // KiB
	judged, lost, open float64
}

// look reads what the process took so far, and what it judged.
func (t tocsin) look() (l look, err error) {
	text, err := t.do("GET", "/metrics", "")
	if err != nil {
		return l, err
	}
	figure := func(name string) float64 {
		m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(text)
		if m == nil {
			return math.NaN()
		}
		v, _ := strconv.ParseFloat(m[1], 64)
		return v
	}
	l.judged, l.lost, l.open = figure("tocsin_detection_judged_total"), figure("tocsin_detection_lost_total"), figure("tocsin_detection_open")
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", t.pid))
	if err != nil {
		return l, err
	}
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	ticks := func(i int) float64 { v, _ := strconv.ParseFloat(f[i], 64); return v / 100 } // USER_HZ is 100 on Linux
	l.at, l.user, l.sys = time.Now(), ticks(11), ticks(12)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", t.pid))
	if err != nil {
		return l, err
	}
	for line := range strings.Lines(string(status)) {
		name, rest, _ := strings.Cut(line, ":")
		v, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
		switch name {
		case "VmRSS":
			l.rss = v
		case "VmHWM":
			l.peak = v
		}
	}
	return l, nil
}
