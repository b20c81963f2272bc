package metrics

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// A few bytes of protobuf can ask for a hundred times their size in memory, and
// nested messages for the whole stack. So every delivery is walked before it is
// decoded, which allocates nothing.
const (
	maxParts = 500_000 // messages and strings in one delivery
	maxDepth = 24      // messages in messages
)

var (
	errParts = fmt.Errorf("it holds more than %d series, labels and samples; send smaller batches", maxParts)
	errDepth = fmt.Errorf("its messages are nested more than %d deep", maxDepth)
	errWire  = errors.New("it is not the protobuf message that was announced")
)

// shape names the fields of a message that are messages or repeated strings.
// Others are passed over.
type shape map[protowire.Number]shape

var leaf = shape{}

// measure walks b as shape says and reports what makes it unfit to decode.
func measure(b []byte, s shape) error {
	parts := 0
	return walk(b, s, maxDepth, &parts)
}

func walk(b []byte, s shape, depth int, parts *int) error {
	if depth == 0 {
		return errDepth
	}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 || typ == protowire.StartGroupType || typ == protowire.EndGroupType {
			return errWire // none of these messages has groups
		}
		b = b[n:]
		inner, deeper := s[num]
		if typ != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
				return errWire
			}
			b = b[n:]
			continue
		}
		v, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return errWire
		}
		b = b[n:]
		if !deeper {
			continue
		}
		if *parts++; *parts > maxParts {
			return errParts
		}
		if len(inner) == 0 {
			continue
		}
		if err := walk(v, inner, depth-1, parts); err != nil {
			return err
		}
	}
	return nil
}

// The shapes are those of prometheus/prompb, io/prometheus/write/v2 and
// opentelemetry/proto/collector/metrics/v1.
var (
	shapeV1 = shape{
		1: { // series
			1: leaf, 2: leaf, // labels, samples
			3: {1: leaf},           // exemplars
			4: {8: leaf, 11: leaf}, // histograms
		},
		3: leaf, // metadata
	}
	shapeV2 = shape{
		4: leaf,                                                // symbols
		5: {2: leaf, 3: {8: leaf, 11: leaf}, 4: leaf, 5: leaf}, // series: samples, histograms, exemplars, metadata
	}
	shapeOTLP = otlpShape()
)

func otlpShape() shape {
	value, pair := shape{}, shape{}
	value[5] = shape{1: value} // array
	value[6] = shape{1: pair}  // map
	pair[2] = value
	exemplar := shape{7: pair}
	number := shape{7: pair, 5: exemplar}
	histogram := shape{9: pair, 8: exemplar}
	exponential := shape{1: pair, 11: exemplar}
	summary := shape{7: pair, 6: leaf}
	metric := shape{5: {1: number}, 7: {1: number}, 9: {1: histogram}, 10: {1: exponential}, 11: {1: summary}, 12: pair}
	return shape{1: { // of a resource
		1: {1: pair, 3: {3: leaf, 4: leaf}},
		2: {1: {3: pair}, 2: metric}, // of a scope
	}}
}

// measureJSON is the same for JSON: how deep and how much, allocating nothing.
// Whether it is JSON is left to the decoder.
func measureJSON(b []byte) error {
	depth, parts, text, escaped := 0, 0, false, false
	for _, c := range b {
		switch {
		case escaped:
			escaped = false
		case text:
			escaped, text = c == '\\', c != '"'
		case c == '"':
			text = true
		case c == '{', c == '[':
			if depth++; depth > 2*maxDepth {
				return errDepth
			}
			parts++
		case c == '}', c == ']':
			depth--
		case c == ',':
			parts++
		}
		if parts > maxParts {
			return errParts
		}
	}
	return nil
}
