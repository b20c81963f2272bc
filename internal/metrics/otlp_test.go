package metrics

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// otlpRequest has one of every kind; step is which delivery it is.
func otlpRequest(start time.Time, step int) pmetricotlp.ExportRequest {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "payments")
	rm.Resource().Attributes().PutStr("service.instance.id", "p-1")
	sm := rm.ScopeMetrics().AppendEmpty()
	begin := pcommon.NewTimestampFromTime(start)
	now := pcommon.NewTimestampFromTime(start.Add(time.Duration(step) * time.Second))
	add := func(name, unit string) pmetric.Metric {
		m := sm.Metrics().AppendEmpty()
		m.SetName(name)
		m.SetUnit(unit)
		return m
	}
	g := add("queue.depth", "").SetEmptyGauge().DataPoints().AppendEmpty()
	g.SetTimestamp(now)
	g.SetIntValue(7)
	g.Attributes().PutStr("queue.name", "withdrawals")
	for name, temporality := range map[string]pmetric.AggregationTemporality{"orders": pmetric.AggregationTemporalityCumulative, "fills": pmetric.AggregationTemporalityDelta} {
		sum := add(name, "1").SetEmptySum()
		sum.SetIsMonotonic(true)
		sum.SetAggregationTemporality(temporality)
		p := sum.DataPoints().AppendEmpty()
		p.SetStartTimestamp(begin)
		p.SetTimestamp(now)
		p.SetIntValue(5)
	}
	for name, temporality := range map[string]pmetric.AggregationTemporality{"latency": pmetric.AggregationTemporalityCumulative, "wait": pmetric.AggregationTemporalityDelta} {
		h := add(name, "s").SetEmptyHistogram()
		h.SetAggregationTemporality(temporality)
		p := h.DataPoints().AppendEmpty()
		p.SetStartTimestamp(begin)
		p.SetTimestamp(now)
		p.SetCount(3)
		p.SetSum(1.5)
		p.ExplicitBounds().FromRaw([]float64{0.1, 1})
		p.BucketCounts().FromRaw([]uint64{1, 1, 1})
	}
	q := add("size", "By").SetEmptySummary().DataPoints().AppendEmpty()
	q.SetTimestamp(now)
	q.SetCount(2)
	q.SetSum(10)
	v := q.QuantileValues().AppendEmpty()
	v.SetQuantile(0.5)
	v.SetValue(5)
	x := add("exponential", "s").SetEmptyExponentialHistogram()
	x.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	p := x.DataPoints().AppendEmpty()
	p.SetTimestamp(now)
	p.SetCount(1)
	return pmetricotlp.NewExportRequestFromMetrics(md)
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

func TestOTLP(t *testing.T) {
	for name, c := range map[string]struct {
		kind, encoding string
		encode         func(pmetricotlp.ExportRequest) ([]byte, error)
	}{
		"protobuf":       {TypeProtobuf, "", pmetricotlp.ExportRequest.MarshalProto},
		"protobuf, gzip": {TypeProtobuf, "gzip", pmetricotlp.ExportRequest.MarshalProto},
		"JSON":           {TypeJSON + "; charset=utf-8", "", pmetricotlp.ExportRequest.MarshalJSON},
		"JSON, gzip":     {TypeJSON, "gzip", pmetricotlp.ExportRequest.MarshalJSON},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			x := s.Sender("payments", 0)
			start := time.Now().Add(-time.Minute).Truncate(time.Second)
			for _, step := range []int{1, 2, 2} { // the last is sent again
				body, err := c.encode(otlpRequest(start, step))
				if err != nil {
					t.Fatal(err)
				}
				if c.encoding == "gzip" {
					body = zipped(body)
				}
				r, err := x.OTLP(context.Background(), c.kind, c.encoding, body)
				if err != nil || r.Refused != 1 || !strings.Contains(r.Why, "exponential histogram") {
					t.Fatalf("%+v %v", r, err)
				}
				back := pmetricotlp.NewExportResponse()
				if strings.HasPrefix(c.kind, TypeJSON) {
					err = back.UnmarshalJSON(EncodeOTLP(r, c.kind))
				} else {
					err = back.UnmarshalProto(EncodeOTLP(r, c.kind))
				}
				if err != nil || back.PartialSuccess().RejectedDataPoints() != 1 || back.PartialSuccess().ErrorMessage() != r.Why {
					t.Errorf("partial success %v, %v", back.PartialSuccess(), err)
				}
			}
			rest := " instance:p-1 job:payments"
			for expr, want := range map[string]string{
				"queue_depth":                                     "map[__name__:queue_depth" + rest + " queue_name:withdrawals source:payments]=7",
				"orders_total":                                    "map[__name__:orders_total" + rest + " source:payments]=5",
				"fills_total":                                     "map[__name__:fills_total" + rest + " source:payments]=10",
				`latency_seconds_bucket{le="1"}`:                  "map[__name__:latency_seconds_bucket" + rest + " le:1 source:payments]=2",
				`wait_seconds_bucket{le="1"}`:                     "map[__name__:wait_seconds_bucket" + rest + " le:1 source:payments]=4",
				`wait_seconds_bucket{le="+Inf"}`:                  "map[__name__:wait_seconds_bucket" + rest + " le:+Inf source:payments]=6",
				"wait_seconds_sum":                                "map[__name__:wait_seconds_sum" + rest + " source:payments]=3",
				`size_bytes{quantile="0.5"}`:                      "map[__name__:size_bytes" + rest + " quantile:0.5 source:payments]=5",
				`histogram_quantile(0.5, latency_seconds_bucket)`: "map[" + strings.TrimPrefix(rest, " ") + " source:payments]=0.55",
			} {
				if got := value1(t, s, expr); got != want {
					t.Errorf("%s: %s, want %s", expr, got, want)
				}
			}
			if got := value1(t, s, `count(target_info)`); got != "" && !strings.HasSuffix(got, "=1") {
				t.Error(got)
			}
		})
	}
}

func TestUnreadableOTLP(t *testing.T) {
	s := open(t, t.TempDir())
	x := s.Sender("p", 0)
	nested := func(n int) []byte { // AnyValue in ArrayValue in AnyValue …
		b := []byte{}
		for range n {
			for _, tag := range []byte{0x0a, 0x2a} {
				b = append(append([]byte{tag}, varint(len(b))...), b...)
			}
		}
		for _, tag := range []byte{0x12, 0x0a, 0x0a, 0x0a} { // value of an attribute of the resource
			b = append(append([]byte{tag}, varint(len(b))...), b...)
		}
		return b
	}
	if err := measure(nested(5), shapeOTLP); err != nil {
		t.Errorf("a list of lists: %v", err)
	}
	for name, c := range map[string]struct {
		kind, encoding string
		body           []byte
		says           string
	}{
		"type":         {"text/plain", "", nil, "is neither"},
		"encoding":     {TypeJSON, "br", nil, "is not gzip"},
		"no gzip":      {TypeJSON, "gzip", []byte("hello"), "is not gzip"},
		"a bomb":       {TypeJSON, "gzip", zipped(make([]byte, MaxOTLP+1)), "more than"},
		"too long":     {TypeJSON, "", make([]byte, MaxOTLP+1), "more than"},
		"no JSON":      {TypeJSON, "", []byte(`{"resourceMetrics":[`), "is not OTLP's JSON"},
		"deep JSON":    {TypeJSON, "", []byte(strings.Repeat("[", 1000)), "nested"},
		"much JSON":    {TypeJSON, "", []byte(strings.Repeat("{},", maxParts)), "send smaller batches"},
		"no protobuf":  {TypeProtobuf, "", []byte("hello"), "is not the protobuf"},
		"deep":         {TypeProtobuf, "", nested(40_000), "nested"},
		"many metrics": {TypeProtobuf, "", append([]byte{0x0a}, append(varint(2*maxParts+2), strings.Repeat("\x12\x00", maxParts+1)...)...), "send smaller batches"},
	} {
		if r, err := x.OTLP(context.Background(), c.kind, c.encoding, c.body); !errors.Is(err, ErrDelivery) || !strings.Contains(fmt.Sprint(err), c.says) || r.Stored != 0 {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
	for kind, want := range map[string]string{TypeJSON: `{"code":3,"message":"no"}`, TypeProtobuf: "\x08\x03\x12\x02no"} {
		if got := string(EncodeStatus(3, "no", kind)); got != want {
			t.Errorf("%q", got)
		}
	}
}

func varint(n int) []byte {
	var b []byte
	for ; n > 127; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func TestDeltasAreBounded(t *testing.T) {
	s := open(t, t.TempDir())
	x := s.Sender("p", 2)
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("d")
	sum := m.SetEmptySum()
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	for i := range 5 {
		p := sum.DataPoints().AppendEmpty()
		p.Attributes().PutInt("i", int64(i))
		p.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		p.SetDoubleValue(1)
	}
	body, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	r, err := x.OTLP(context.Background(), TypeProtobuf, "", body)
	if err != nil || r.Stored != 2 || r.Refused != 3 || len(x.deltas) != 2 {
		t.Errorf("%+v %v, %d totals", r, err, len(x.deltas))
	}
}

// TestTimesFarApart: the translator fills the time between the first and the last
// sample of a resource; it must not fill a century.
func TestTimesFarApart(t *testing.T) {
	s := open(t, t.TempDir())
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "x")
	rm.Resource().Attributes().PutStr("host", "y")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("g")
	for _, at := range []pcommon.Timestamp{1, 1 << 63, pcommon.NewTimestampFromTime(time.Now()), 1<<64 - 1} {
		m.SetEmptyGauge()
		m.Gauge().DataPoints().AppendEmpty().SetTimestamp(1)
		m.Gauge().DataPoints().AppendEmpty().SetTimestamp(at)
		body, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
		if err != nil {
			t.Fatal(err)
		}
		if r, err := s.Sender("p", 0).OTLP(context.Background(), TypeProtobuf, "", body); err != nil || r.Stored+r.Old+r.Refused > 12 {
			t.Errorf("%d: %+v %v", at, r, err)
		}
	}
}

func FuzzOTLP(f *testing.F) {
	for _, encode := range []func(pmetricotlp.ExportRequest) ([]byte, error){pmetricotlp.ExportRequest.MarshalProto, pmetricotlp.ExportRequest.MarshalJSON} {
		b, err := encode(otlpRequest(time.Now(), 1))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	s := open(f, f.TempDir())
	x := s.Sender("fuzz", 1000)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, kind := range []string{TypeProtobuf, TypeJSON} {
			if _, err := x.OTLP(context.Background(), kind, "", body); err != nil && !errors.Is(err, ErrDelivery) {
				t.Error(err)
			}
		}
	})
}
