package detect

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/detect/series"
)

// The tracks are nearly all of a saved Set (15 KB a series). They are written one after the other behind the rest, so that saving takes little
// more memory than the result, which stands in one piece.

// openTracks begins the saved form with everything but the tracks.
func openTracks(s savedSet, tracks int) ([]byte, error) {
	s.Tracks = nil
	head, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("save detection: %w", err)
	}
	b := append(bytes.TrimSuffix(head, []byte("}")), `,"tracks":[`...)
	return slices.Grow(b, tracks*(base64.StdEncoding.EncodedLen(series.BytesPerSeries)+1024)), nil
}

// appendTrack writes one track.
func appendTrack(b []byte, t savedTrack) ([]byte, error) {
	det := t.Det
	t.Det = nil
	raw, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("save series %s: %w", t.Name, err)
	}
	if b[len(b)-1] == '}' {
		b = append(b, ',')
	}
	b = append(b, raw...)
	if len(det) > 0 {
		b = append(bytes.TrimSuffix(b, []byte("}")), `,"det":"`...)
		b = append(base64.StdEncoding.AppendEncode(b, det), `"}`...)
	}
	return b, nil
}

// closeTracks ends the saved form.
func closeTracks(b []byte) []byte { return append(b, "]}"...) }
