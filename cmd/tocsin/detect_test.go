package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// detected runs `tocsin detect` on a whole input.
func detected(t *testing.T, in string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	out, err := newOutput(), newOutput()
	code = run(t.Context(), append([]string{"detect"}, args...), streams{strings.NewReader(in), out, err, nil})
	return code, out.String(), err.String()
}

// ramp is n rows a minute apart with some noise and one spike.
func ramp(n, spike int) []string {
	rows := make([]string, n)
	for i := range rows {
		v := 100 + float64(i*7919%13)
		if i == spike {
			v = 900
		}
		rows[i] = fmt.Sprintf("%s,%g", time.Unix(int64(1700000000+60*i), 0).UTC().Format(time.DateTime), v)
	}
	return rows
}

func TestDetectGivesRowsBackVerbatim(t *testing.T) {
	rows := ramp(400, 300)
	rows[1] = "2014-02-14T14:30:00+02:00,1e2"
	rows[2] = "1392388200,007.50"
	rows[3] = "1392388200,NaN"
	code, stdout, stderr := detected(t, "timestamp,value\r\n"+strings.Join(rows, "\r\n"))
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if lines[0] != "timestamp,value,anomaly_score" || len(lines) != len(rows)+1 {
		t.Fatalf("%d lines, header %q", len(lines), lines[0])
	}
	best := 0
	scores := make([]float64, len(rows))
	for i, l := range lines[1:] {
		k := strings.LastIndexByte(l, ',')
		x, err := strconv.ParseFloat(l[k+1:], 64)
		if l[:k] != rows[i] || err != nil || math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
			t.Fatalf("row %d %q came back as %q", i+1, rows[i], l)
		}
		if scores[i] = x; i > 50 && x > scores[best] {
			best = i
		}
	}
	if best != 300 {
		t.Errorf("the spike is row 300, the highest score is in row %d", best)
	}
}

func TestDetectAnswersWhileInputIsOpen(t *testing.T) {
	in, feed := io.Pipe()
	answers, out := io.Pipe()
	done := make(chan int, 1)
	go func() {
		code := run(t.Context(), []string{"detect"}, streams{in, out, io.Discard, nil})
		out.Close()
		done <- code
	}()
	r := bufio.NewReader(answers)
	fmt.Fprintln(feed, "timestamp,value")
	for i, row := range ramp(50, -1) {
		if i == 0 {
			if h, err := r.ReadString('\n'); err != nil || h != "timestamp,value,anomaly_score\n" {
				t.Fatalf("header %q, %v", h, err)
			}
		}
		fmt.Fprintln(feed, row)
		if l, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(l, row+",") {
			t.Fatalf("answer to %q: %q, %v", row, l, err)
		}
	}
	feed.Close()
	if _, err := r.ReadString('\n'); !errors.Is(err, io.EOF) {
		t.Errorf("more than was asked: %v", err)
	}
	if code := <-done; code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestDetectNamesTheBadLine(t *testing.T) {
	good := "timestamp,value\n2014-02-14 14:30:00,1\n"
	for _, c := range []struct{ in, want string }{
		{"", "line 1: no input"},
		{"time,value\n", "line 1: header"},
		{good + "2014-02-14 14:35:00\n", "line 3: "},
		{good + "2014-02-14 14:35:00,\n", "line 3: value"},
		{good + "2014-02-14 14:35:00,1,2\n", "line 3: value"},
		{good + "2014-02-14 14:35:00,x\n", "line 3: value"},
		{good + "\n2014-02-30 14:35:00,1\n", "line 4: timestamp"},
		{good + "14.02.2014,1\n", "line 3: timestamp"},
		{good + "99999999999999999,1\n", "line 3: timestamp"},
		{good + strings.Repeat("1", longestRow+1), "line 3: longer"},
	} {
		code, stdout, stderr := detected(t, c.in)
		if code != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%.60q: exit %d, %q; want %q", c.in, code, stderr, c.want)
		}
		if strings.HasPrefix(c.in, good) && !strings.HasPrefix(stdout, "timestamp,value,anomaly_score\n2014-02-14 14:30:00,1,0\n") {
			t.Errorf("%.60q: what was good is lost: %q", c.in, stdout)
		}
	}
}

func TestDetectStateJoinsCutStreams(t *testing.T) {
	rows := ramp(900, 700)
	_, want, _ := detected(t, "timestamp,value\n"+strings.Join(rows, "\n")+"\n")
	state := filepath.Join(t.TempDir(), "state")
	got := "timestamp,value,anomaly_score\n"
	for _, cut := range [][2]int{{0, 1}, {1, 650}, {650, 650}, {650, 900}} {
		code, stdout, stderr := detected(t, "timestamp,value\n"+strings.Join(rows[cut[0]:cut[1]], "\n"), "--state", state)
		if code != 0 {
			t.Fatalf("rows %v: exit %d: %s", cut, code, stderr)
		}
		_, part, _ := strings.Cut(stdout, "\n")
		got += part
	}
	if got != want {
		t.Error("a stream cut in four scores differently")
	}
	if code, _, stderr := detected(t, "timestamp,value\n1,x\n", "--state", state); code != 1 || !strings.Contains(stderr, "line 2") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if err := os.WriteFile(state, []byte("no state"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := detected(t, "timestamp,value\n", "--state", state); code != 1 || !strings.Contains(stderr, "remove the file") {
		t.Errorf("a broken state: exit %d: %s", code, stderr)
	}
}

func FuzzDecimal(f *testing.F) {
	for _, s := range []string{"0", "-0", "1.5", ".5", "5.", "-12.345678901234567", "123456789012345678901", "1e400", "-1e-400", "NaN", "inf", "0x1p3", "1_0", "+1", "-", ".", "9007199254740993", "0.1234567890123456789012"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := decimal([]byte(s))
		want, err := strconv.ParseFloat(s, 64)
		if ok != (err == nil || errors.Is(err, strconv.ErrRange)) || math.Float64bits(got) != math.Float64bits(want) && ok {
			t.Errorf("%q: %v %v, want %v %v", s, got, ok, want, err)
		}
	})
}

func FuzzInstant(f *testing.F) {
	for _, s := range []string{"2014-02-14 14:30:00", "2014-02-14T14:30:00Z", "2014-02-29 00:00:00", "2016-02-29 23:59:59", "0000-01-01 00:00:00", "9999-12-31 23:59:59", "2014-02-14T14:30:00.25+05:30",
		"1392388200", "-5", "+5", "", "2014-02-14 24:00:00", "2014-13-01 00:00:00", "2014-02-14 14:30:00.5", "9223372036854775807", "000000000000000001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := instant([]byte(s))
		want, known := slowInstant(s)
		if ok != known || ok && got != want {
			t.Errorf("%q: %d %v, want %d %v", s, got, ok, want, known)
		}
	})
}

// slowInstant is instant by the standard library alone.
func slowInstant(s string) (int64, bool) {
	if u, err := strconv.ParseInt(s, 10, 64); err == nil {
		return u * 1000, u <= math.MaxInt64/1000 && u >= math.MinInt64/1000
	}
	for _, l := range []string{time.DateTime, time.RFC3339} {
		if x, err := time.Parse(l, s); err == nil {
			return x.UnixMilli(), true
		}
	}
	return 0, false
}

func FuzzDetectRows(f *testing.F) {
	f.Add("timestamp,value\n1,2\n2,1e308\n3,-1e308\n4,5e-324\n2,NaN\n")
	f.Add("timestamp,value\n2014-02-14 14:30:00,1\n\n2013-02-14T14:30:00Z,1\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		code, stdout, _ := detected(t, in)
		if code == 0 && strings.Contains(strings.ToLower(stdout), ",inf\n") {
			t.Errorf("%q gave %q", in, stdout)
		}
	})
}

func BenchmarkDetectRows(b *testing.B) {
	rows := ramp(20000, -1)
	in := "timestamp,value\n" + strings.Join(rows, "\n") + "\n"
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if code := run(b.Context(), []string{"detect"}, streams{strings.NewReader(in), io.Discard, io.Discard, nil}); code != 0 {
			b.Fatal(code)
		}
	}
	b.ReportMetric(float64(len(rows))*float64(b.N)/b.Elapsed().Seconds(), "points/s")
}
