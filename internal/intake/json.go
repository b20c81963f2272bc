package intake

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/signal"
)

// ErrTooLarge says that a delivery is above MaxBody, MaxAlerts or MaxItems.
var ErrTooLarge = errors.New("delivery is too large")

// BadInput is what is wrong with a delivery or one part of it, in a sentence
// that the sender may read.
type BadInput struct{ Sentence string }

// Error returns the sentence.
func (b *BadInput) Error() string { return b.Sentence }

func bad(format string, args ...any) error { return &BadInput{fmt.Sprintf(format, args...)} }

type object map[string]json.RawMessage

// parseObject reads a body that must be one JSON object.
func parseObject(body []byte) (object, error) {
	if err := checkBody(body); err != nil {
		return nil, err
	}
	var o object
	if err := json.Unmarshal(body, &o); err != nil || o == nil {
		return nil, bad("The body must be a JSON object, and is %s.", jsonKind(body))
	}
	return o, nil
}

// checkBody says whether the body is JSON of a length that is taken.
func checkBody(body []byte) error {
	if len(body) > MaxBody {
		return fmt.Errorf("%w: %w", ErrTooLarge, bad("The body has more than %d bytes. Send fewer alerts at once.", MaxBody))
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return bad("The body is empty; JSON is expected.")
	}
	var any json.RawMessage
	if err := json.Unmarshal(body, &any); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return bad("The body is not JSON: %s at byte %d.", strings.TrimSuffix(syntax.Error(), "."), syntax.Offset)
		}
		return bad("The body is not JSON.")
	}
	return nil
}

func jsonKind(raw []byte) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return "missing"
	}
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	}
	return "a number"
}

// text reads a string, and takes numbers and booleans as they are written; null
// and a missing value are "". ok is false for objects and lists.
func text(raw json.RawMessage) (s string, ok bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return "", true
	}
	switch raw[0] {
	case '{', '[':
		return "", false
	case '"':
		return s, json.Unmarshal(raw, &s) == nil
	case 'n':
		return "", true
	}
	return string(raw), true
}

func (o object) text(name string) string {
	s, _ := text(o[name])
	return s
}

// texts reads an object of texts. Objects and lists as values are kept as
// compact JSON. A value that is no object is nil.
func texts(raw json.RawMessage) map[string]string {
	var o object
	if json.Unmarshal(raw, &o) != nil || len(o) == 0 {
		return nil
	}
	m := make(map[string]string, len(o))
	for k, v := range o {
		s, ok := text(v)
		if !ok {
			s = compact(v)
		}
		m[k] = s
	}
	return m
}

func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return ""
	}
	return b.String()
}

// instant reads RFC 3339 with any precision, or a number of unix seconds or
// milliseconds (above 10^11). Zero, the year 1, "" and null are 0, unknown.
func instant(raw json.RawMessage) (ms int64, err error) {
	s, ok := text(raw)
	s = strings.TrimSpace(s)
	switch {
	case !ok:
		return 0, bad("%s is not a time", jsonKind(raw))
	case s == "":
		return 0, nil
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		if n < 1e11 {
			n *= 1000
		}
		if !(n >= 0 && n <= maxTime) {
			return 0, bad("%q is not a time", signal.Line(s, 60))
		}
		return int64(n), nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, bad("%q is not a time as RFC 3339 writes it", signal.Line(s, 60))
	}
	return max(0, min(t.UnixMilli(), maxTime)), nil
}

// maxTime is the end of the year 9999.
const maxTime = 253402300799999

// digest is a short stable name for what is too long or too odd to be a key.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:", len(p))
		_, _ = io.WriteString(h, p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// digestOf names a set of labels, whatever their order.
func digestOf(labels map[string]string) string {
	parts := make([]string, 0, 2*len(labels))
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, k, labels[k])
	}
	return digest(parts...)
}

// evidence packs what has no field of its own. Values too long for evidence as
// a whole are left out from the last name on.
func evidence(m map[string]string) json.RawMessage {
	if len(m) == 0 {
		return nil
	}
	size, out := 0, map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		v := signal.Text(m[k], signal.MaxLabel)
		if size += 2*len(k) + 2*len(v) + 8; size > signal.MaxEvidence/2 {
			break
		}
		out[k] = v
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return nil
	}
	return raw
}
