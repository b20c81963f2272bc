package detect_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// script reads a recording of testdata.
func script(t testing.TB, file string) []observation.Observation {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []observation.Observation
	for i, line := range bytes.Split(bytes.TrimSpace(raw), []byte("\n")) {
		o, err := observation.Decode(line)
		if err != nil {
			t.Fatalf("%s line %d: %v", file, i+1, err)
		}
		out = append(out, o)
	}
	return out
}

// stage plays observations into a Set and holds what must hold for every finding: it opens before it ends, it ends once, and it says why.
type stage struct {
	t     rapid.TB
	setup detect.Setup
	set   *detect.Set
	open  map[string]string // key -> severity
	start int64
	said  map[string]chain.Verification
	lines []string
	all   []chain.Finding

	updates int // that only brought newer figures
}

func newStage(t rapid.TB, c detect.Setup) *stage {
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	return &stage{t: t, setup: c, set: detect.NewSet(c), open: map[string]string{}, said: map[string]chain.Verification{}}
}

// restart saves and loads. Two observations of a script stand for one: test.restart, and test.amnesia for a process that lost its state and
// knows from the log only what is open.
func (s *stage) restart(amnesia bool) {
	s.t.Helper()
	state, err := s.set.Save()
	if err != nil {
		s.t.Fatal(err)
	}
	keys := s.set.Open()
	s.set = detect.NewSet(s.setup)
	if amnesia {
		s.set.Resume(keys)
		return
	}
	if err := s.set.Load(state); err != nil {
		s.t.Fatal(err)
	}
	if again, err := s.set.Save(); err != nil || !bytes.Equal(again, state) {
		s.t.Fatalf("what was loaded is saved differently (%v):\n%s\n%s", err, state, again)
	}
}

func (s *stage) see(list ...observation.Observation) {
	s.t.Helper()
	for _, o := range list {
		switch o.Kind {
		case "test.restart", "test.amnesia":
			s.take(s.set.Tick(o.At))
			s.restart(o.Kind == "test.amnesia")
			continue
		}
		if s.start == 0 {
			s.start = o.At
		}
		s.take(s.set.Observe(o))
	}
}

func (s *stage) take(list []chain.Finding) {
	s.t.Helper()
	for _, f := range list {
		was, open := s.open[f.Key]
		state := "update"
		switch {
		case !f.Firing && !open:
			s.t.Fatalf("%s ended without being open", f.Key)
		case !f.Firing:
			state = "cleared"
			delete(s.open, f.Key)
		case !open:
			state = "open"
		case f.Severity < was:
			state = "worse"
		}
		said := state != "update" || s.said[f.Key] != f.Verification // newer figures are no news here
		s.said[f.Key] = f.Verification
		if f.Firing {
			s.open[f.Key] = f.Severity
		}
		if f.Title == "" || f.Reason == "" || f.Severity < "SEV1" || f.Severity > "SEV5" || f.Since > f.At || (len(f.Evidence) > 0 && !json.Valid(f.Evidence)) || f.Score < 0 || f.Score > 1 || f.Firing && !bounded(f) {
			s.t.Fatalf("bad finding %+v", f)
		}
		s.all = append(s.all, f)
		at := time.Duration(f.At-s.start) * time.Millisecond
		if !said {
			s.updates++
			continue
		}
		s.lines = append(s.lines, strings.TrimSpace(fmt.Sprintf("+%-10s %-8s %s %s %s", at, state, f.Severity, f.Key, f.Verification)))
	}
}

// of counts the findings of a kind by what they were: open, worse, update, cleared.
func (s *stage) of(kind string) map[string]int {
	n := map[string]int{}
	for _, l := range s.lines {
		f := strings.Fields(l)
		if strings.Contains(f[3], "/"+kind) {
			n[f[1]]++
		}
	}
	return n
}

// TestScripts plays every recording of testdata and compares what came of it, to the millisecond.
func TestScripts(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.ndjson")
	if len(files) < 8 {
		t.Fatalf("only %d scripts", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".ndjson"), func(t *testing.T) {
			s := newStage(t, detect.Setup{})
			s.see(script(t, file)...)
			got := strings.Join(s.lines, "\n") + "\n"
			golden := strings.TrimSuffix(file, "ndjson") + "golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			// cut at every line, nothing changes
			cut := newStage(t, detect.Setup{})
			for _, o := range script(t, file) {
				cut.see(o)
				cut.restart(false)
			}
			if again := strings.Join(cut.lines, "\n") + "\n"; again != got {
				t.Errorf("with a restart after every line\n%s\nwithout\n%s", again, got)
			}
		})
	}
}
