package metrics

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"mime"
	"strings"

	"github.com/gogo/protobuf/proto"
	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// Limits of one delivery. Beyond them it is refused as a whole.
const (
	MaxDelivery = 16 << 20 // bytes as sent
	MaxDecoded  = 64 << 20 // bytes of a remote write unpacked

	maxDecoding = 2 // deliveries decoded at a time; the others wait
	// snappy's longest copy is 64 bytes in 3: whoever claims more lies.
	snappyMost = 22
)

// ErrDelivery is matched by the error of a delivery that cannot be read: sending
// it again is no use.
var ErrDelivery = errors.New("the delivery cannot be read")

// ErrMedia is matched, beside ErrDelivery, when its type or encoding is not one
// that is taken.
var ErrMedia = errors.New("it is of a kind that is not taken")

func unreadable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrDelivery, fmt.Errorf(format, args...))
}

// Messages of remote write.
const (
	v1Message = "prometheus.WriteRequest"
	v2Message = "io.prometheus.write.v2.Request"
)

// RemoteWrite takes one delivery of Prometheus' remote write, version 1 or 2 as
// contentType says (specifications: prometheus.io/docs/specs/prw), packed with
// snappy. What is within the limits is stored even when other parts are not;
// see Receipt. Native histograms are refused, exemplars and metadata are passed
// over. The error matches ErrDelivery when the delivery itself is at fault, else
// it is ctx's or the database's and nothing was stored.
func (x *Sender) RemoteWrite(ctx context.Context, contentType, encoding string, body []byte) (Receipt, error) {
	two, err := messageOf(contentType)
	if err != nil {
		return Receipt{}, err
	}
	if encoding != "" && encoding != "snappy" {
		return Receipt{}, unreadable("%w: the encoding %.40q is not snappy", ErrMedia, encoding)
	}
	release, err := x.store.decodeTurn(ctx)
	if err != nil {
		return Receipt{}, err
	}
	defer release()
	raw, err := unsnap(body)
	if err != nil {
		return Receipt{}, err
	}
	d := x.begin(ctx)
	if two {
		return d.finish(d.writeV2(raw))
	}
	return d.finish(d.writeV1(raw))
}

// decodeTurn waits until this delivery may be decoded: memory is bounded.
func (s *Store) decodeTurn(ctx context.Context) (release func(), err error) {
	select {
	case s.decoding <- struct{}{}:
		return func() { <-s.decoding }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to decode a delivery: %w", ctx.Err())
	}
}

func messageOf(contentType string) (two bool, err error) {
	if contentType == "" {
		return false, nil
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "application/x-protobuf" {
		return false, unreadable("%w: the content type %.80q is not application/x-protobuf", ErrMedia, contentType)
	}
	switch p := params["proto"]; p {
	case "", v1Message:
		return false, nil
	case v2Message:
		return true, nil
	default:
		return false, unreadable("%w: the message %.80q is neither %s nor %s", ErrMedia, p, v1Message, v2Message)
	}
}

// unsnap unpacks a snappy block. How long it becomes is judged before anything
// is allocated.
func unsnap(body []byte) ([]byte, error) {
	n, used := binary.Uvarint(body)
	switch {
	case used <= 0:
		return nil, unreadable("the body is not a snappy block")
	case n > MaxDecoded:
		return nil, unreadable("unpacked it would have %d bytes, more than %d; send smaller batches", n, MaxDecoded)
	case n > uint64(len(body))*snappyMost:
		return nil, unreadable("the body is not a snappy block: %d bytes cannot become %d", len(body), n)
	}
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		return nil, unreadable("the body is not a snappy block")
	}
	return raw, nil
}

func (d *delivery) writeV1(raw []byte) error {
	if err := measure(raw, shapeV1); err != nil {
		return unreadable("%w", err)
	}
	var req prompb.WriteRequest
	if err := proto.Unmarshal(raw, &req); err != nil {
		return unreadable("%w", errWire)
	}
	b := labels.NewScratchBuilder(16)
	for i := range req.Timeseries {
		ts := &req.Timeseries[i]
		l := ts.ToLabels(&b, nil)
		if d.histograms(len(ts.Histograms), l); len(ts.Samples) == 0 {
			continue
		}
		l, ok := d.line(l, len(ts.Samples))
		for _, s := range ts.Samples {
			if !ok {
				break
			}
			if err := d.put(l, s.Timestamp, s.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *delivery) writeV2(raw []byte) error {
	if err := measure(raw, shapeV2); err != nil {
		return unreadable("%w", err)
	}
	var req writev2.Request
	if err := proto.Unmarshal(raw, &req); err != nil {
		return unreadable("%w", errWire)
	}
	b := labels.NewScratchBuilder(16)
	for i := range req.Timeseries {
		ts := &req.Timeseries[i]
		if why := misnamed(ts.LabelsRefs, req.Symbols); why != "" {
			d.got.refuse(max(1, len(ts.Samples)+len(ts.Histograms)), "%s", why)
			continue
		}
		l, err := ts.ToLabels(&b, req.Symbols)
		if err != nil {
			return unreadable("%w", err)
		}
		if d.histograms(len(ts.Histograms), l); len(ts.Samples) == 0 {
			continue
		}
		l, ok := d.line(l, len(ts.Samples))
		for _, s := range ts.Samples {
			if !ok {
				break
			}
			if err := d.put(l, s.Timestamp, s.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// misnamed says why a series' labels are not even put together: a symbol is sent
// once and named as often as one likes.
func misnamed(refs []uint32, symbols []string) string {
	if len(refs)%2 != 0 || len(refs) > 2*(MaxLabels+1) {
		return fmt.Sprintf("A series has %d references to symbols, not two for each of at most %d labels and its name.", len(refs), MaxLabels)
	}
	for _, r := range refs {
		switch {
		case int64(r) >= int64(len(symbols)):
			return fmt.Sprintf("A series names symbol %d, and the message has %d.", r, len(symbols))
		case len(symbols[r]) > MaxValueBytes:
			return fmt.Sprintf("A label has %d bytes, more than %d.", len(symbols[r]), MaxValueBytes)
		}
	}
	return ""
}

func (d *delivery) histograms(n int, l labels.Labels) {
	d.got.refuse(n, "%.60s is a native histogram, and those are not taken; send classic buckets (send_native_histograms: false).", strings.ToValidUTF8(l.Get(labels.MetricName), "?"))
}
