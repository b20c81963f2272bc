// Package prom owns the writing of Prometheus' remote write 1.0 by hand, for tests and load; it never reads any.
package prom

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
)

// Series is one series with its samples in time order. Labels are pairs of name and value; the metric's name is one of them, "__name__".
type Series struct {
	Labels  []string
	Samples []Sample
}

// Sample is a value at a time in unix ms.
type Sample struct {
	At    int64
	Value float64
}

// Write gives the body of a delivery (prometheus.io/docs/specs/prw/remote_write_spec): the protobuf WriteRequest in a snappy block of literals only.
func Write(list []Series) []byte {
	var raw []byte
	for _, s := range list {
		raw = chunk(raw, 1, one(s))
	}
	out := binary.AppendUvarint(nil, uint64(len(raw)))
	for part := range slices.Chunk(raw, 1<<16) {
		n := len(part) - 1
		out = append(out, 61<<2, byte(n), byte(n>>8)) // a literal with two bytes of length
		out = append(out, part...)
	}
	return out
}

func one(s Series) (b []byte) {
	for i := 0; i+1 < len(s.Labels); i += 2 {
		var l []byte
		l = chunk(l, 1, []byte(s.Labels[i]))
		l = chunk(l, 2, []byte(s.Labels[i+1]))
		b = chunk(b, 1, l)
	}
	for _, x := range s.Samples {
		v := binary.LittleEndian.AppendUint64([]byte{1<<3 | 1}, math.Float64bits(x.Value))
		v = binary.AppendUvarint(append(v, 2<<3), uint64(x.At))
		b = chunk(b, 2, v)
	}
	return b
}

// chunk appends a field of bytes.
func chunk(to []byte, field int, b []byte) []byte {
	to = binary.AppendUvarint(append(to, byte(field<<3|2)), uint64(len(b)))
	return append(to, b...)
}

// Send delivers to a Tocsin with the key of a source of metrics; anything but 204 is an error with the answer.
func Send(c *http.Client, base, key string, list []Series) error {
	r, err := http.NewRequest("POST", base+"/api/v1/write", bytes.NewReader(Write(list)))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("Content-Encoding", "snappy")
	r.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	a, err := c.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, 1000))
	if err == nil && a.StatusCode != http.StatusNoContent {
		err = fmt.Errorf("%s: %s", a.Status, text)
	}
	return err
}
