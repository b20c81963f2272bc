package metrics

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

const childEnv = "TOCSIN_METRICS_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
	}
	goleak.VerifyTestMain(m)
}

// epoch is a fixed time for samples.
var epoch = time.Unix(1_700_000_000, 0).UTC()

func at(d time.Duration) int64 { return epoch.Add(d).UnixMilli() }

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func head(node string, d time.Duration, v float64) Sample {
	return Sample{Name: "head_height", Labels: map[string]string{"chain": "eth", "node": node}, At: at(d), Value: v}
}

func appendAll(t testing.TB, s *Store, samples ...Sample) {
	t.Helper()
	if err := s.Append(samples); err != nil {
		t.Fatal(err)
	}
}

// show is a result on one line: kind, then labels and points of each series.
func show(r *Result) string {
	var b strings.Builder
	b.WriteString(r.Kind)
	for _, s := range r.Series {
		fmt.Fprintf(&b, " %s%v", s.Labels["node"], s.Values)
	}
	return b.String()
}

func query(t testing.TB, s *Store, expr string, d time.Duration) string {
	t.Helper()
	r, err := s.Query(t.Context(), expr, epoch.Add(d))
	if err != nil {
		t.Fatal(err)
	}
	return show(r)
}

func wantEqual(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestQueries(t *testing.T) {
	s := open(t, t.TempDir())
	for i := range 10 {
		d := time.Duration(i) * 10 * time.Second
		appendAll(t, s, head("a", d, float64(100+i)), head("b", d, float64(100+i/2)))
	}
	wantEqual(t, query(t, s, `head_height`, 90*time.Second), "vector a[109] b[104]")
	wantEqual(t, query(t, s, `max(head_height) - on() min(head_height)`, 90*time.Second), "vector [5]")
	wantEqual(t, query(t, s, `scalar(head_height{node="a"})`, 30*time.Second), "scalar [103]")
	wantEqual(t, query(t, s, `head_height{node="a"}[25s]`, 30*time.Second), "matrix a[101 102 103]")
	wantEqual(t, query(t, s, `"words"`, 0), "string [0]")
	wantEqual(t, query(t, s, `1 + 1`, 0), "scalar [2]")
	wantEqual(t, query(t, s, `nothing`, 0), "vector")
	r, err := s.QueryRange(t.Context(), `head_height`, epoch, epoch.Add(time.Minute), 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, show(r), "matrix a[100 103 106] b[100 101 103]")
	if got := r.Series[0]; got.At[1] != at(30*time.Second) || got.Labels["__name__"] != "head_height" || got.Labels["chain"] != "eth" {
		t.Errorf("series %+v", got)
	}
}

func TestLabels(t *testing.T) {
	s := open(t, t.TempDir())
	appendAll(t, s, head("a", 0, 1), head("b", 0, 1), Sample{Name: "up", Labels: map[string]string{"node": "c", "empty": ""}, At: at(0)})
	from, to := epoch.Add(-time.Minute), epoch.Add(time.Minute)
	series, err := s.Series(t.Context(), []string{`head_height{node="b"}`, `{node=~"b|c"}`}, from, to)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, fmt.Sprint(series), "[map[__name__:head_height chain:eth node:b] map[__name__:up node:c]]")
	names, err := s.LabelNames(t.Context(), nil, from, to)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, fmt.Sprint(names), "[__name__ chain node]")
	names, err = s.LabelNames(t.Context(), []string{"up"}, from, to)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, fmt.Sprint(names), "[__name__ node]")
	values, err := s.LabelValues(t.Context(), "node", []string{"head_height", "up"}, from, to)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, fmt.Sprint(values), "[a b c]")
}

func TestLateAndRepeatedSamples(t *testing.T) {
	s := open(t, t.TempDir())
	appendAll(t, s, head("a", time.Hour, 10))
	appendAll(t, s,
		head("a", time.Hour-24*time.Minute, 6), // late, within the window
		head("a", time.Hour-40*time.Minute, 4), // too late
		head("a", time.Hour, 10),               // the same again
		head("a", time.Hour, 11),               // another value for the same time
		head("a", time.Hour+time.Second, 12))
	wantEqual(t, query(t, s, `head_height[50m]`, time.Hour+time.Second), "matrix a[6 10 12]")
	if st := s.Stats(); st.Dropped != 2 || st.Series != 1 {
		t.Errorf("stats %+v, want 2 dropped, 1 series", st)
	}
}

func TestBadSamplesAreRefusedAlone(t *testing.T) {
	s := open(t, t.TempDir())
	many := map[string]string{}
	for i := range MaxLabels + 1 {
		many[fmt.Sprint("l", i)] = "x"
	}
	bad := []Sample{
		{Name: "", At: at(0)},
		{Name: "9lives", At: at(0)},
		{Name: "with space", At: at(0)},
		{Name: strings.Repeat("n", MaxNameBytes+1), At: at(0)},
		{Name: "m", Labels: many, At: at(0)},
		{Name: "m", Labels: map[string]string{"__name__": "other"}, At: at(0)},
		{Name: "m", Labels: map[string]string{"a:b": "x"}, At: at(0)},
		{Name: "m", Labels: map[string]string{"a": strings.Repeat("v", MaxValueBytes+1)}, At: at(0)},
		{Name: "m", Labels: map[string]string{"a": "\xff"}, At: at(0)},
	}
	for _, m := range bad {
		good := head("a", time.Duration(s.Stats().Stored)*time.Second, 1)
		if err := s.Append([]Sample{m, good}); !errors.Is(err, ErrSample) {
			t.Errorf("%.40q %v: %v", m.Name, m.Labels, err)
		}
	}
	wantEqual(t, query(t, s, `count_over_time(head_height[1m])`, 30*time.Second), fmt.Sprintf("vector a[%d]", len(bad)))
	if n := s.Stats().Series; n != 1 {
		t.Errorf("%d series, want 1", n)
	}
}

func TestLimitsOfQueries(t *testing.T) {
	s := open(t, t.TempDir())
	for i := range 3000 {
		appendAll(t, s, head("a", time.Duration(i)*time.Second, 1))
	}
	ctx, end := t.Context(), epoch.Add(50*time.Minute)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	for name, c := range map[string]struct {
		want error
		do   func() error
	}{
		"syntax": {ErrQuery, func() error { _, err := s.Query(ctx, `head_height{`, end); return err }},
		"type":   {ErrQuery, func() error { _, err := s.Query(ctx, `rate(head_height)`, end); return err }},
		"execution": {ErrQuery, func() error {
			_, err := s.Query(ctx, `label_replace(head_height, "a", "$1", "b", "(")`, end)
			return err
		}},
		"points": {ErrLimit, func() error {
			_, err := s.QueryRange(ctx, `1`, epoch, epoch.Add(MaxPoints*time.Second), time.Second)
			return err
		}},
		"step":       {ErrQuery, func() error { _, err := s.QueryRange(ctx, `1`, epoch, end, 0); return err }},
		"backwards":  {ErrQuery, func() error { _, err := s.QueryRange(ctx, `1`, end, epoch, time.Second); return err }},
		"samples":    {ErrLimit, func() error { _, err := s.Query(ctx, `max_over_time(vector(1)[5000000s:500ms])`, end); return err }},
		"gone":       {context.Canceled, func() error { _, err := s.Query(gone, `head_height`, end); return err }},
		"selector":   {ErrQuery, func() error { _, err := s.Series(ctx, []string{`{`}, epoch, end); return err }},
		"noselector": {ErrQuery, func() error { _, err := s.Series(ctx, nil, epoch, end); return err }},
	} {
		if err := c.do(); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if _, err := s.QueryRange(ctx, `1`, epoch, epoch.Add((MaxPoints-1)*time.Second), time.Second); err != nil {
		t.Errorf("exactly MaxPoints: %v", err)
	}
}

func TestConcurrentUse(t *testing.T) {
	s := open(t, t.TempDir())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				if err := s.Append([]Sample{head(fmt.Sprint(w), time.Duration(i)*time.Second, float64(i))}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 50 {
				if _, err := s.Query(t.Context(), `sum(head_height)`, epoch.Add(time.Minute)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantEqual(t, query(t, s, `sum(count_over_time(head_height[5m]))`, 200*time.Second), "vector [800]")
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	appendAll(t, s, head("a", 0, 1), head("a", time.Second, math.Inf(1)), head("a", 2*time.Second, 3))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Query(t.Context(), `head_height`, epoch); err == nil {
		t.Error("a closed store answered")
	}
	wantEqual(t, query(t, open(t, dir), `head_height[1m]`, 2*time.Second), "matrix a[1 +Inf 3]")
}

// child appends for ever and says so; it is killed.
func child(dir string) {
	s, err := Open(dir, Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		if err := s.Append([]Sample{head("a", time.Duration(i)*time.Second, float64(i))}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(i)
	}
}

// TestKill: every sample whose append had returned is there after kill -9.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	last := -1
	for lines.Scan() {
		if _, err := fmt.Sscan(lines.Text(), &last); err != nil {
			t.Fatalf("child: %s", lines.Text())
		}
		if last == 500 {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	if last < 500 {
		t.Fatalf("child appended %d", last)
	}
	s := open(t, dir)
	r, err := s.Query(t.Context(), `head_height[10h]`, epoch.Add(9*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	got := r.Series[0].Values
	if len(got) < last+1 {
		t.Fatalf("%d samples after the kill, want at least %d", len(got), last+1)
	}
	for i, v := range got {
		if v != float64(i) {
			t.Fatalf("sample %d is %v", i, v)
		}
	}
	appendAll(t, s, head("a", 10*time.Hour, 1))
}
