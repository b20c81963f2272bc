package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/metrics"
)

// written is a remote write of one sample, by hand: this package knows no Prometheus.
func written(at time.Time, value uint64, name string, pairs ...string) []byte {
	field := func(num protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
	}
	label := func(k, v string) []byte { return field(1, append(field(1, []byte(k)), field(2, []byte(v))...)) }
	series := label("__name__", name)
	for i := 0; i < len(pairs); i += 2 {
		series = append(series, label(pairs[i], pairs[i+1])...)
	}
	sample := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), value)
	sample = protowire.AppendVarint(protowire.AppendTag(sample, 2, protowire.VarintType), uint64(at.UnixMilli()))
	return snappy.Encode(nil, field(1, append(series, field(2, sample)...)))
}

const seven = 0x401C000000000000 // 7 as IEEE 754

// source makes a source and returns its key.
func (h *house) source(name, kind string) (intake.Source, string) {
	h.t.Helper()
	src, key, err := h.Sources.Create(context.Background(), "person:ana", intake.Order{Name: name, Kind: kind})
	if err != nil {
		h.t.Fatal(err)
	}
	return src, key
}

// send posts a delivery as a program does that has only a key.
func (h *house) send(path, bearer, kind, encoding string, body []byte) *answer {
	v := h.visitor("sender")
	if bearer != "" {
		v.header.Set("Authorization", "Bearer "+bearer)
	}
	if encoding != "" {
		v.header.Set("Content-Encoding", encoding)
	}
	return v.do("POST", path, kind, bytes.NewReader(body))
}

const protoType = "application/x-protobuf"

func TestSamplesComeInWithAKeyOnly(t *testing.T) {
	h := newHouse(t)
	src, key := h.source("Prometheus Zug", intake.Metrics)
	_, alerts := h.source("Alertmanager", intake.Alertmanager)
	robot, _ := h.token(auth.RoleAdministrator, "")
	now := time.Now()
	otlp := []byte(fmt.Sprintf(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"hot.wallet.balance","gauge":{"dataPoints":[{"timeUnixNano":"%d","asDouble":7}]}}]}]}]}`, now.UnixNano()))
	for _, way := range []struct {
		path, kind, encoding string
		body                 []byte
		fine                 int
	}{
		{"/api/v1/write", protoType, "snappy", written(now, seven, "withdrawals_pending"), 204},
		{"/v1/metrics", "application/json", "", otlp, 200},
	} {
		for name, c := range map[string]struct {
			path, bearer string
			status       int
		}{
			"nobody":                 {way.path, "", 401},
			"a wrong key":            {way.path + "/" + strings.Repeat("a", 32), "", 401},
			"a wrong token":          {way.path, strings.Repeat("a", 32), 401},
			"an administrator":       {way.path, robot.bearer, 401}, // the right to administer is none to send
			"a source of alerts":     {way.path + "/" + alerts, "", 403},
			"its key as token":       {way.path, alerts, 403},
			"the key in the address": {way.path + "/" + key, "", way.fine},
			"the key as token":       {way.path, key, way.fine},
		} {
			a := h.send(c.path, c.bearer, way.kind, way.encoding, way.body)
			if a.status != c.status {
				t.Errorf("%s as %s: %d %q, want %d", way.path, name, a.status, a.body, c.status)
			}
			if c.status > 204 && (way.kind != protoType) && !strings.Contains(a.body, `"code":`) {
				t.Errorf("%s as %s: no Status as OTLP has it: %s", way.path, name, a.body)
			}
		}
	}
	if a := h.ana().get("/prometheus/api/v1/query?query=" + "{source=%22Prometheus%20Zug%22}").want(200); !strings.Contains(a.body, "withdrawals_pending") || !strings.Contains(a.body, "hot_wallet_balance") {
		t.Error(a.body)
	}
	// A signed-in browser is no sender either, whatever page made it ask.
	h.ana().do("POST", "/api/v1/write", protoType, bytes.NewReader(written(now, seven, "x"))).want(401)
	if err := h.Sources.Revoke(context.Background(), "person:ana", src.ID); err != nil {
		t.Fatal(err)
	}
	h.send("/api/v1/write", key, protoType, "snappy", written(now, seven, "x")).want(401)
	if strings.Contains(h.slog.String(), key) {
		t.Error("the operator's log holds a key")
	}
}

func TestRefusedDeliveries(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.SeriesPerSource = 2 })
	_, key := h.source("p", intake.Metrics)
	now := time.Now()
	for name, c := range map[string]struct {
		path, kind, encoding string
		body                 []byte
		status               int
		says                 string
	}{
		"ours":           {"/api/v1/write", protoType, "snappy", written(now, seven, "tocsin_chain_head_height"), 400, "0 samples were stored, 1 refused. The name tocsin_chain_head_height begins with tocsin_"},
		"clock":          {"/api/v1/write", protoType, "snappy", written(now.Add(time.Hour), seven, "x"), 400, "check the sender's clock"},
		"garbage":        {"/api/v1/write", protoType, "snappy", []byte("garbage"), 400, "The delivery cannot be read: "},
		"other message":  {"/api/v1/write", protoType + ";proto=x.y.Z", "snappy", []byte("garbage"), 415, "neither prometheus.WriteRequest nor"},
		"other encoding": {"/api/v1/write", protoType, "zstd", []byte("garbage"), 415, "is not snappy"},
		"length lies":    {"/api/v1/write", protoType, "snappy", []byte{0x80, 0x80, 0x80, 0x20, 1}, 400, "cannot become"},
		"too large":      {"/api/v1/write", protoType, "snappy", make([]byte, metrics.MaxDelivery+1), 413, ""},
		"OTLP form":      {"/v1/metrics", "text/plain", "", []byte("x"), 415, "is neither"},
		"OTLP garbage":   {"/v1/metrics", protoType, "", []byte("x"), 400, "\x08\x03\x12"},
		"OTLP too large": {"/v1/metrics", "application/json", "", make([]byte, metrics.MaxDelivery+1), 413, ""},
	} {
		a := h.send(c.path, key, c.kind, c.encoding, c.body)
		if a.status != c.status || !strings.Contains(a.body, c.says) || c.path == "/api/v1/write" && c.status != 413 && strings.Count(a.body, "\n") != 1 {
			t.Errorf("%s: %d %q, want %d", name, a.status, a.body, c.status)
		}
	}
	for i, want := range []int{204, 204, 400, 204} {
		a := h.send("/api/v1/write", key, protoType, "snappy", written(now.Add(time.Duration(i)*time.Millisecond), seven, "x", "i", fmt.Sprint(i%3)))
		if a.status != want || want == 204 && a.header.Get("X-Prometheus-Remote-Write-Samples-Written") != "1" {
			t.Errorf("series %d: %d %q %v", i, a.status, a.body, a.header)
		}
		if want == 400 && !strings.Contains(a.body, "has 2 series already, as many as it may") {
			t.Error(a.body)
		}
	}
	if n := strings.Count(h.slog.String(), "samples were refused"); n != 1 {
		t.Errorf("the operator was told %d times in one minute", n)
	}
	// Nothing else may be as large as a delivery.
	h.ana().do("POST", "/api/v1/incidents", "application/json", bytes.NewReader(make([]byte, 2<<20))).want(413)
}

// slow gives what it has, then waits.
type slow struct {
	give []byte
	gate chan struct{}
}

func (s *slow) Read(p []byte) (int, error) {
	if len(s.give) == 0 {
		<-s.gate
		return 0, io.EOF
	}
	n := copy(p, s.give)
	s.give = s.give[n:]
	return n, nil
}

func TestDeliveriesShareTheirMemory(t *testing.T) {
	var b inbox
	gate := make(chan struct{})
	type got struct {
		held int64
		no   *refused
	}
	done := make(chan got)
	const senders = 8
	for range senders {
		go func() {
			_, held, no := b.read(&slow{give: make([]byte, 12<<20), gate: gate})
			done <- got{held, no}
		}()
	}
	crowd := 0
	for range 2 { // of eight times twelve, not all fit into 64 MiB: those beyond do not wait
		g := <-done
		if g.no != refusedCrowd {
			t.Errorf("%+v", g)
		}
		b.arriving.Add(-g.held)
		crowd++
	}
	close(gate)
	for range senders - crowd {
		g := <-done
		b.arriving.Add(-g.held)
	}
	if left := b.arriving.Load(); left != 0 {
		t.Errorf("%d bytes were not given back", left)
	}
	if _, held, no := b.read(strings.NewReader("x")); no != nil || held != arriveStep {
		t.Errorf("%d %v", held, no)
	}
	if _, _, no := b.read(http.MaxBytesReader(nil, io.NopCloser(strings.NewReader("xyz")), 2)); no != refusedSize {
		t.Errorf("%+v", no)
	}
}
