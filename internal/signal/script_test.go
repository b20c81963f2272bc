package signal_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/signal"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestScripts plays testdata/*.script and compares what was logged with the
// .golden beside it. A line is "<second> fire|resolve|ack <key> [name=value]...";
// times in values are seconds too.
func TestScripts(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.script")
	if len(files) < 5 {
		t.Fatalf("found %d scripts", len(files))
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			in, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(in))
			golden := strings.TrimSuffix(f, ".script") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, _ := os.ReadFile(golden)
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func play(t *testing.T, script string) string {
	var out strings.Builder
	s := signal.State{Source: "am"}
	var offset int64
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		o := parse(t, line)
		bodies, v := signal.Judge(s, o)
		fmt.Fprintf(&out, "> %s\n  %s\n", line, v)
		for _, b := range bodies {
			typ, ver, data, err := signal.Encode(b)
			if err != nil {
				t.Fatal(err)
			}
			back, err := signal.Decode(typ, ver, data)
			if err != nil {
				t.Fatal(err)
			}
			s = signal.Apply(s, signal.Event{Source: "am", Offset: offset, At: o.At, Actor: "source:am", Drill: o.Drill, Body: back})
			offset++
			fmt.Fprintf(&out, "  %s %s\n", typ, data)
		}
		s = signal.Heard(s, o)
	}
	fmt.Fprintf(&out, "open: %d\n", s.Len())
	all := slices.SortedFunc(s.All(), func(a, b signal.Signal) int { return strings.Compare(a.Identity(), b.Identity()) })
	for _, sig := range all {
		data, _ := json.Marshal(sig)
		fmt.Fprintf(&out, "%s\n", data)
	}
	return out.String()
}

func parse(t *testing.T, line string) signal.Observation {
	w := strings.Fields(line)
	sec := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return n * 1000
	}
	o := signal.Observation{At: sec(w[0]), Firing: w[1] == "fire", Ack: w[1] == "ack", Key: w[2], Severity: "SEV2", Title: "T"}
	for _, kv := range w[3:] {
		k, v, _ := strings.Cut(kv, "=")
		switch k {
		case "start":
			o.StartsAt = sec(v)
		case "end":
			o.EndsAt = sec(v)
		case "sev":
			o.Severity = v
		case "title":
			o.Title = v
		case "reason":
			o.Reason = v
		case "drill":
			o.Drill = v == "yes"
		default:
			t.Fatalf("%s: unknown %s", line, k)
		}
	}
	return o
}
