package metrics

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gogo/protobuf/proto"
	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

const (
	v1Type = "application/x-protobuf"
	v2Type = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
)

// series is one series of a message of version 1: name, then labels by pairs.
func series(at int64, v float64, name string, pairs ...string) prompb.TimeSeries {
	ts := prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: name}}, Samples: []prompb.Sample{{Timestamp: at, Value: v}}}
	for i := 0; i < len(pairs); i += 2 {
		ts.Labels = append(ts.Labels, prompb.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	return ts
}

func packV1(t testing.TB, list ...prompb.TimeSeries) []byte {
	t.Helper()
	raw, err := proto.Marshal(&prompb.WriteRequest{Timeseries: list})
	if err != nil {
		t.Fatal(err)
	}
	return snappy.Encode(nil, raw)
}

func packV2(t testing.TB, list ...prompb.TimeSeries) []byte {
	t.Helper()
	symbols := writev2.NewSymbolTable()
	var req writev2.Request
	for _, ts := range list {
		one := writev2.TimeSeries{}
		for _, l := range ts.Labels {
			one.LabelsRefs = append(one.LabelsRefs, symbols.Symbolize(l.Name), symbols.Symbolize(l.Value))
		}
		for _, s := range ts.Samples {
			one.Samples = append(one.Samples, writev2.Sample{Timestamp: s.Timestamp, Value: s.Value})
		}
		req.Timeseries = append(req.Timeseries, one)
	}
	req.Symbols = symbols.Symbols()
	raw, err := proto.Marshal(&req)
	if err != nil {
		t.Fatal(err)
	}
	return snappy.Encode(nil, raw)
}

// value1 is the newest value of a selector that has one series, as text.
func value1(t testing.TB, s *Store, expr string) string {
	t.Helper()
	r, err := s.Query(context.Background(), expr, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, x := range r.Series {
		out = append(out, fmt.Sprint(x.Labels, "=", x.Values[0]))
	}
	return strings.Join(out, "; ")
}

func TestRemoteWriteBothVersions(t *testing.T) {
	now := time.Now().UnixMilli()
	for name, form := range map[string]struct {
		kind string
		pack func(testing.TB, ...prompb.TimeSeries) []byte
	}{"v1": {v1Type, packV1}, "v2": {v2Type, packV2}, "v1 without a type": {"", packV1}} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			x := s.Sender("Prometheus Zug", 0)
			r, err := x.RemoteWrite(context.Background(), form.kind, "snappy", form.pack(t,
				series(now, 12, "withdrawals_pending", "asset", "ETH", "source", "forged"),
				series(now, 1, "tocsin_chain_head_height", "chain", "ethereum"),
				series(now, 1, "ALERTS_FOR_STATE", "alertname", "Forged"),
				series(now, 1, "dots.are.not.taken"),
				series(now+time.Hour.Milliseconds(), 1, "from_the_future"),
				series(now, 1, "twice", "a", "1", "a", "2"),
			))
			if err != nil || r.Stored != 1 || r.Refused != 4 || r.Ours != 1 || r.Old != 0 {
				t.Fatalf("%+v %v", r, err)
			}
			if !strings.Contains(r.Sentence(), "1 samples were stored, 4 refused. The name tocsin_chain_head_height begins with tocsin_") {
				t.Error(r.Sentence())
			}
			want := "map[__name__:withdrawals_pending asset:ETH exported_source:forged source:Prometheus Zug]=12"
			if got := value1(t, s, "withdrawals_pending"); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			for _, none := range []string{"tocsin_chain_head_height", "ALERTS_FOR_STATE", "from_the_future", "twice"} {
				if got := value1(t, s, none); got != "" {
					t.Errorf("%s is stored: %s", none, got)
				}
			}
			// The same again is no harm; a sample within the window of the past neither.
			r, err = x.RemoteWrite(context.Background(), form.kind, "snappy", form.pack(t,
				series(now, 12, "withdrawals_pending", "asset", "ETH", "source", "forged"),
				series(now-20*60_000, 11, "withdrawals_pending", "asset", "ETH", "source", "forged"),
				series(now-40*60_000, 10, "withdrawals_pending", "asset", "ETH", "source", "forged"),
			))
			if err != nil || r.Stored+r.Old != 3 || r.Old < 1 || r.Why != "" {
				t.Errorf("again: %+v %v", r, err)
			}
			if got := value1(t, s, "withdrawals_pending offset 20m"); !strings.HasSuffix(got, "=11") {
				t.Errorf("twenty minutes ago: %q", got)
			}
		})
	}
}

func TestSeriesLimitPerSource(t *testing.T) {
	s := open(t, t.TempDir())
	a, b := s.Sender("a", 3), s.Sender("b", 3)
	now := time.Now().UnixMilli()
	var list []prompb.TimeSeries
	for i := range 5 {
		list = append(list, series(now, float64(i), "x", "i", fmt.Sprint(i)))
	}
	r, err := a.RemoteWrite(context.Background(), v1Type, "snappy", packV1(t, list...))
	if err != nil || r.Stored != 3 || r.Refused != 2 || !strings.Contains(r.Why, "has 3 series already") {
		t.Fatalf("%+v %v", r, err)
	}
	// What it has goes on; another source is not held back.
	list[0].Samples[0].Timestamp++
	if r, err = a.RemoteWrite(context.Background(), v1Type, "snappy", packV1(t, list[:3]...)); err != nil || r.Refused != 0 {
		t.Errorf("%+v %v", r, err)
	}
	if r, err = b.RemoteWrite(context.Background(), v1Type, "snappy", packV1(t, list[:3]...)); err != nil || r.Stored != 3 {
		t.Errorf("%+v %v", r, err)
	}
	// A series that is not sent any more makes room after an hour.
	later := now + SeriesIdle.Milliseconds() + 60_001
	a.mu.Lock()
	for h := range a.seen {
		a.seen[h] = now
	}
	a.swept = now
	a.mu.Unlock()
	if !a.admit(42, later) || a.Count() != 1 {
		t.Errorf("%d series count after an hour", a.Count())
	}
}

func TestObserveSeesEveryWayIn(t *testing.T) {
	s := open(t, t.TempDir())
	var mu sync.Mutex
	var all, told []string
	note := func(list *[]string) func([]Sample) {
		return func(batch []Sample) {
			mu.Lock()
			defer mu.Unlock()
			for _, m := range batch {
				*list = append(*list, fmt.Sprintf("%s %v %v", m.Name, m.Labels, m.Value))
			}
		}
	}
	s.Observe(note(&all))
	s.Tell(note(&told))
	now := time.Now().UnixMilli()
	appendAll(t, s, Sample{Name: "own", At: now, Value: 1})
	appendAll(t, s, Sample{Name: "own", At: now, Value: 2}) // a second value for the time: not stored, not observed
	x := s.Sender("p", 0)
	if _, err := x.RemoteWrite(context.Background(), v1Type, "snappy", packV1(t,
		series(now, 2, "orders"), series(now, math.Float64frombits(value.StaleNaN), "gone"), series(now, 3, "tocsin_x"))); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(all, told); got != "[own map[] 1 orders map[source:p] 2] [orders map[source:p] 2]" {
		t.Error(got)
	}
	s.Observe(nil)
	s.Tell(nil)
	appendAll(t, s, Sample{Name: "own", At: now + 1, Value: 1})
	if len(all) != 2 {
		t.Error("still observed")
	}
}

// claim is a snappy block that says it becomes n bytes.
func claim(n uint64, rest ...byte) []byte { return append(binary.AppendUvarint(nil, n), rest...) }

func TestUnreadableDeliveries(t *testing.T) {
	s := open(t, t.TempDir())
	x := s.Sender("p", 0)
	many := strings.Repeat("\x0a\x00", maxParts+1)
	for name, c := range map[string]struct {
		kind, encoding string
		body           []byte
		says           string
	}{
		"not snappy":         {v1Type, "snappy", []byte("hello"), "not a snappy block"},
		"empty":              {v1Type, "snappy", nil, "not a snappy block"},
		"length lies":        {v1Type, "snappy", claim(60<<20, 1, 2, 3), "cannot become"},
		"too long unpacked":  {v1Type, "snappy", claim(MaxDecoded+1, 1, 2, 3), "more than"},
		"length overflows":   {v1Type, "snappy", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "not a snappy block"},
		"wrong encoding":     {v1Type, "zstd", packV1(t), "is not snappy"},
		"wrong type":         {"text/plain", "snappy", packV1(t), "is not application/x-protobuf"},
		"unknown message":    {v1Type + ";proto=io.prometheus.write.v3.Request", "snappy", packV1(t), "neither"},
		"garbage":            {v1Type, "snappy", snappy.Encode(nil, []byte("hello, this is no protobuf")), "is not the protobuf"},
		"many empty series":  {v1Type, "snappy", snappy.Encode(nil, []byte(many)), "send smaller batches"},
		"many empty symbols": {v2Type, "snappy", snappy.Encode(nil, []byte(strings.ReplaceAll(many, "\x0a", "\x22"))), "send smaller batches"},
		"cut off":            {v1Type, "snappy", snappy.Encode(nil, []byte{0x0a, 0x7f, 1}), "is not the protobuf"},
	} {
		r, err := x.RemoteWrite(context.Background(), c.kind, c.encoding, c.body)
		if !errors.Is(err, ErrDelivery) || !strings.Contains(err.Error(), c.says) || r.Stored != 0 {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
	// One long symbol named by every series would fill the memory.
	req := &writev2.Request{Symbols: []string{"", "__name__", "x", strings.Repeat("y", 1<<20)}, Timeseries: []writev2.TimeSeries{
		{LabelsRefs: []uint32{1, 2, 2, 3}, Samples: []writev2.Sample{{Value: 1, Timestamp: time.Now().UnixMilli()}}},
		{LabelsRefs: make([]uint32, 4*MaxLabels), Samples: []writev2.Sample{{}}},
		{LabelsRefs: []uint32{1, 9}, Samples: []writev2.Sample{{}}},
		{LabelsRefs: []uint32{1, 2}, Histograms: []writev2.Histogram{{}}},
		{LabelsRefs: []uint32{1, 2}, Samples: []writev2.Sample{{Value: 1, Timestamp: time.Now().UnixMilli()}}},
	}}
	raw, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	r, err := x.RemoteWrite(context.Background(), v2Type, "snappy", snappy.Encode(nil, raw))
	if err != nil || r.Stored != 1 || r.Refused != 4 {
		t.Errorf("%+v %v", r, err)
	}
}

// TestClocksAheadHarmNobody: without the bound, one sample of next year would make
// everybody's samples of today too old.
func TestClocksAheadHarmNobody(t *testing.T) {
	s := open(t, t.TempDir())
	now := time.Now().UnixMilli()
	bad, good := s.Sender("bad", 0), s.Sender("good", 0)
	if r, err := bad.RemoteWrite(context.Background(), v1Type, "snappy", packV1(t, series(now+365*24*3600_000, 1, "x"))); err != nil || r.Refused != 1 || !strings.Contains(r.Why, "check the sender's clock") {
		t.Fatalf("%+v %v", r, err)
	}
	if r, err := good.RemoteWrite(context.Background(), v1Type, "snappy", packV1(t, series(now, 1, "x"))); err != nil || r.Stored != 1 {
		t.Fatalf("%+v %v", r, err)
	}
}

func TestDeliveryWaitsItsTurn(t *testing.T) {
	s := open(t, t.TempDir())
	x := s.Sender("p", 0)
	for range maxDecoding {
		release, err := s.decodeTurn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer release()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := x.RemoteWrite(ctx, v1Type, "snappy", packV1(t)); !errors.Is(err, context.Canceled) || errors.Is(err, ErrDelivery) {
		t.Error(err)
	}
	if _, err := x.OTLP(ctx, TypeJSON, "", []byte("{}")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// BenchmarkRemoteWrite is a delivery as Prometheus sends it by default: 2,000
// samples of as many series with seven labels.
func BenchmarkRemoteWrite(b *testing.B) {
	s := open(b, b.TempDir())
	s.Observe(func([]Sample) {})
	x := s.Sender("p", 0)
	at := time.Now().Add(-time.Minute).UnixMilli()
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		at++
		var list []prompb.TimeSeries
		for i := range 2000 {
			list = append(list, series(at, float64(i), "requests_total", "instance", "10.0.0.1:9100", "job", "api", "code", "200", "method", "GET", "path", fmt.Sprint("/v1/", i), "zone", "eu-central-1a"))
		}
		body := packV1(b, list...)
		b.StartTimer()
		if r, err := x.RemoteWrite(context.Background(), v1Type, "snappy", body); err != nil || r.Stored != 2000 {
			b.Fatal(r, err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "samples/s")
}

func FuzzRemoteWrite(f *testing.F) {
	f.Add(packV1(f, series(1, 1, "x", "a", "b")), false)
	f.Add(packV2(f, series(1, 1, "x", "a", "b")), true)
	f.Add(claim(60<<20, 1, 2, 3), false)
	f.Add(claim(1<<40), true)
	s := open(f, f.TempDir())
	x := s.Sender("fuzz", 1000)
	f.Fuzz(func(t *testing.T, body []byte, two bool) {
		kind := v1Type
		if two {
			kind = v2Type
		}
		if _, err := x.RemoteWrite(context.Background(), kind, "snappy", body); err != nil && !errors.Is(err, ErrDelivery) {
			t.Error(err)
		}
		// What no packing hides.
		if _, err := x.RemoteWrite(context.Background(), kind, "snappy", snappy.Encode(nil, body)); err != nil && !errors.Is(err, ErrDelivery) {
			t.Error(err)
		}
	})
}
