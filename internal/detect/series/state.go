package series

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
)

const stateVersion = 4

// before is the size of a state of version 3, which had no Drift16.
var before = BytesPerSeries - binary.Size(extent{})

// BytesPerSeries is what one Detector takes, and what MarshalBinary writes, whatever the series.
var BytesPerSeries = binary.Size(state{}) + crc32.Size

// MarshalBinary holds everything: a detector that loads it scores on as this one would, bit for bit.
func (d *Detector) MarshalBinary() ([]byte, error) {
	b, err := binary.Append(make([]byte, 0, BytesPerSeries), binary.LittleEndian, &d.s)
	if err != nil {
		return nil, fmt.Errorf("marshal series: %w", err)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b)), nil
}

// UnmarshalBinary refuses what MarshalBinary of this version or of the one before did not write; the detector is then as it was.
func (d *Detector) UnmarshalBinary(b []byte) error {
	version := uint32(stateVersion)
	if len(b) == before {
		version = 3
	} else if len(b) != BytesPerSeries {
		return fmt.Errorf("unmarshal series: %d bytes, a state of version %d has %d", len(b), stateVersion, BytesPerSeries)
	}
	body, sum := b[:len(b)-crc32.Size], binary.LittleEndian.Uint32(b[len(b)-crc32.Size:])
	if crc32.ChecksumIEEE(body) != sum {
		return fmt.Errorf("unmarshal series: the checksum is wrong, the state is damaged")
	}
	if version == 3 {
		body = append(slices.Clone(body), make([]byte, BytesPerSeries-before)...)
	}
	var s state
	if _, err := binary.Decode(body, binary.LittleEndian, &s); err != nil {
		return fmt.Errorf("unmarshal series: %w", err)
	}
	if s.Version != version {
		return fmt.Errorf("unmarshal series: state of version %d, this is version %d", s.Version, stateVersion)
	}
	if version == 3 {
		s.Version, s.Drift16 = stateVersion, s.Drift // narrower than it was, so until it is learnt only Drift counts
	}
	d.s = s
	return nil
}
