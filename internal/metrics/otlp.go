package metrics

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote/otlptranslator/prometheusremotewrite"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/protobuf/encoding/protowire"
)

// MaxOTLP is how many bytes an OTLP delivery may have unpacked; its numbers
// grow more than those of a remote write when they are decoded.
const MaxOTLP = 16 << 20

// Content types of OTLP.
const (
	TypeProtobuf = "application/x-protobuf"
	TypeJSON     = "application/json"
)

// OTLP takes one delivery of OTLP/HTTP (opentelemetry.io/docs/specs/otlp), as
// protobuf or JSON, plain or with gzip. Names and labels become what Prometheus
// makes of them: dots to underscores, unit and _total appended, service.name to
// job, service.instance.id to instance, the resource's other attributes to
// target_info. Delta sums and histograms are added up here. Exponential
// histograms are refused. Errors are those of RemoteWrite; answer them with
// EncodeStatus, and a Receipt with EncodeOTLP.
func (x *Sender) OTLP(ctx context.Context, contentType, encoding string, body []byte) (Receipt, error) {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil || kind != TypeProtobuf && kind != TypeJSON {
		return Receipt{}, unreadable("%w: the content type %.80q is neither %s nor %s", ErrMedia, contentType, TypeProtobuf, TypeJSON)
	}
	release, err := x.store.decodeTurn(ctx)
	if err != nil {
		return Receipt{}, err
	}
	defer release()
	if body, err = unzip(body, encoding); err != nil {
		return Receipt{}, err
	}
	req := pmetricotlp.NewExportRequest()
	if kind == TypeJSON {
		if err = measureJSON(body); err == nil {
			err = decodeJSON(req, body)
		}
	} else if err = measure(body, shapeOTLP); err == nil && req.UnmarshalProto(body) != nil {
		err = errWire
	}
	if err != nil {
		return Receipt{}, unreadable("%w", err)
	}
	d := x.begin(ctx)
	return d.finish(d.translate(ctx, req))
}

// decodeJSON keeps a decoder that is not ours from ending the process.
func decodeJSON(req pmetricotlp.ExportRequest, body []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("it is not OTLP's JSON")
		}
	}()
	if err := req.UnmarshalJSON(body); err != nil {
		return fmt.Errorf("it is not OTLP's JSON: %.200s", err)
	}
	return nil
}

func unzip(body []byte, encoding string) ([]byte, error) {
	switch encoding {
	case "", "identity":
		if len(body) > MaxOTLP {
			return nil, unreadable("it has %d bytes, more than %d; send smaller batches", len(body), MaxOTLP)
		}
		return body, nil
	case "gzip":
	default:
		return nil, unreadable("%w: the encoding %.40q is not gzip", ErrMedia, encoding)
	}
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, unreadable("the body is not gzip")
	}
	raw, err := io.ReadAll(io.LimitReader(r, MaxOTLP+1))
	switch {
	case err != nil:
		return nil, unreadable("the body is not gzip")
	case len(raw) > MaxOTLP:
		return nil, unreadable("unpacked it has more than %d bytes; send smaller batches", MaxOTLP)
	}
	return raw, nil
}

// The translator repeats target_info between the first and the last sample of a
// delivery, every half of this. Two samples that are a century apart would have
// it write for hours, so there is one at each end only.
const lookback = math.MaxInt64

func (d *delivery) translate(ctx context.Context, req pmetricotlp.ExportRequest) error {
	md := req.Metrics()
	points := md.DataPointCount()
	d.sender.cumulate(md, &d.got, d.now)
	app := &translated{delivery: d}
	notes, err := convert(ctx, app, md)
	switch {
	case app.failed != nil:
		return app.failed
	case ctx.Err() != nil:
		return fmt.Errorf("translate a delivery: %w", ctx.Err())
	case err != nil:
		d.got.refuse(1, "A metric could not be translated: %.200s.", err)
	}
	for _, w := range notes {
		d.got.note("%.200s.", w)
	}
	// The protocol counts data points, we count samples: a histogram is many.
	d.got.Refused = min(d.got.Refused, points)
	return nil
}

// convert is the translation of Prometheus' own receiver; what stops it in its
// tracks is the metric's fault, never the end of the process.
func convert(ctx context.Context, app storage.AppenderV2, md pmetric.Metrics) (notes []error, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("a metric that contradicts itself")
		}
	}()
	c := prometheusremotewrite.NewPrometheusConverter(app)
	all, err := c.FromMetrics(ctx, md, prometheusremotewrite.Settings{AddMetricSuffixes: true, LookbackDelta: lookback})
	return all.AsErrors(), err
}

// note is a sentence without a refusal: the protocol has room for a warning.
func (r *Receipt) note(format string, args ...any) {
	if r.Why == "" {
		r.Why = fmt.Sprintf(format, args...)
	}
}

// translated is a delivery as the translator wants it.
type translated struct {
	*delivery
	failed error
}

// Append implements storage.AppenderV2. Only what the database cannot do is an error.
func (t *translated) Append(_ storage.SeriesRef, l labels.Labels, _, at int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, _ storage.AOptions) (storage.SeriesRef, error) {
	if h != nil || fh != nil {
		t.got.refuse(1, "%.60s is an exponential histogram, and those are not taken; send explicit buckets.", l.Get(labels.MetricName))
		return 0, nil
	}
	if l, ok := t.line(l, 1); ok && t.failed == nil {
		t.failed = t.put(l, at, v)
	}
	return 0, t.failed
}

// EncodeOTLP is the body of the answer 200 to a delivery: partial success as the
// protocol has it when something was refused.
func EncodeOTLP(r Receipt, contentType string) []byte {
	resp := pmetricotlp.NewExportResponse()
	if r.Refused > 0 || r.Why != "" {
		resp.PartialSuccess().SetRejectedDataPoints(int64(r.Refused))
		resp.PartialSuccess().SetErrorMessage(r.Why)
	}
	var b []byte
	var err error
	if isJSON(contentType) {
		b, err = resp.MarshalJSON()
	} else {
		b, err = resp.MarshalProto()
	}
	if err != nil { // two numbers and a string
		panic(err)
	}
	return b
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == TypeJSON
}

// EncodeStatus is the body of any other answer, a google.rpc.Status: code is one
// of gRPC's (3 invalid argument, 14 unavailable, 16 unauthenticated).
func EncodeStatus(code int, sentence, contentType string) []byte {
	if !isJSON(contentType) {
		b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(code))
		return protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), sentence)
	}
	b, err := json.Marshal(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{code, sentence})
	if err != nil { // a number and a string
		panic(err)
	}
	return b
}
