package replica

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// The keys, all under one prefix: live/<kind>/<replica or chain>.
const (
	prefix       = "live/"
	kindReplica  = "replica"
	kindView     = "view"
	kindSamples  = "samples"
	kindPresence = "presence"
	kindDrill    = "drill"
	kindRules    = "rules"
	kindStop     = "stop"
)

// unpackMost bounds what a packed value may become.
const unpackMost = 4 << 20

func key(kind, name string) []byte { return []byte(prefix + kind + "/" + name) }

func split(key []byte) (kind, name string) {
	kind, name, _ = strings.Cut(strings.TrimPrefix(string(key), prefix), "/")
	return kind, name
}

// pack is JSON, deflated: views and samples are told often, and the store keeps
// every telling until it is compacted.
func pack(v any) ([]byte, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return nil, fmt.Errorf("encode for other replicas: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func unpack(b []byte, into any) error {
	r := flate.NewReader(bytes.NewReader(b))
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, unpackMost))
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
