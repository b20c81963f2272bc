package eventlog

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
)

// header is the leaf: everything about an event except its payload, of which it
// holds the salted digest. Its bytes are canonical: one header, one spelling.
type header struct {
	ID, Stream       string
	Seq, Offset, At  int64
	Actor, Causation string
	Drill            bool
	Type             string
	Version          int
	Payload          [32]byte // SHA-256(salt || payload)
}

const headerVersion = 1

// maxHeader bounds a header: five names, the fixed text, numbers and the digest.
const maxHeader = 5*MaxName + 400

// appendHeader writes the canonical JSON of h. The fields are checked by name().
func appendHeader(b []byte, h *header) []byte {
	str := func(key, v string) {
		b = append(b, key...)
		b = append(b, v...)
		b = append(b, '"')
	}
	num := func(key string, v int64) {
		b = append(b, key...)
		b = strconv.AppendInt(b, v, 10)
	}
	num(`{"v":`, headerVersion)
	str(`,"id":"`, h.ID)
	str(`,"stream":"`, h.Stream)
	num(`,"seq":`, h.Seq)
	num(`,"offset":`, h.Offset)
	num(`,"at":`, h.At)
	str(`,"actor":"`, h.Actor)
	str(`,"causation":"`, h.Causation)
	b = append(b, `,"drill":`...)
	b = strconv.AppendBool(b, h.Drill)
	str(`,"type":"`, h.Type)
	num(`,"version":`, int64(h.Version))
	b = append(b, `,"payload":"`...)
	b = hex.AppendEncode(b, h.Payload[:])
	return append(b, `"}`...)
}

var errHeader = errors.New("header is not canonical")

// parseHeader accepts exactly what appendHeader writes.
func parseHeader(b []byte) (h header, err error) {
	if len(b) > maxHeader {
		return h, fmt.Errorf("header has %d bytes, at most %d are taken", len(b), maxHeader)
	}
	p := parser{rest: b}
	version := p.num(`{"v":`)
	h.ID = p.str(`,"id":"`, true)
	h.Stream = p.str(`,"stream":"`, true)
	h.Seq = p.num(`,"seq":`)
	h.Offset = p.num(`,"offset":`)
	h.At = p.num(`,"at":`)
	h.Actor = p.str(`,"actor":"`, true)
	h.Causation = p.str(`,"causation":"`, false)
	h.Drill = p.flag(`,"drill":`)
	h.Type = p.str(`,"type":"`, true)
	h.Version = int(p.num(`,"version":`))
	digest := p.str(`,"payload":"`, true)
	p.lit("}")
	if p.bad || len(p.rest) != 0 {
		return header{}, errHeader
	}
	if version != headerVersion {
		return header{}, fmt.Errorf("header version %d is not known", version)
	}
	if len(digest) != 64 || h.Seq < 1 {
		return header{}, errHeader
	}
	if _, err := hex.Decode(h.Payload[:], []byte(digest)); err != nil || hex.EncodeToString(h.Payload[:]) != digest {
		return header{}, errHeader
	}
	return h, nil
}

type parser struct {
	rest []byte
	bad  bool
}

func (p *parser) lit(s string) {
	if p.bad || len(p.rest) < len(s) || string(p.rest[:len(s)]) != s {
		p.bad = true
		return
	}
	p.rest = p.rest[len(s):]
}

func (p *parser) str(key string, required bool) string {
	p.lit(key)
	if p.bad {
		return ""
	}
	i := 0
	for i < len(p.rest) && plain(p.rest[i]) {
		i++
	}
	if i == len(p.rest) || p.rest[i] != '"' || i > MaxName || (required && i == 0) {
		p.bad = true
		return ""
	}
	s := string(p.rest[:i])
	p.rest = p.rest[i+1:]
	return s
}

func (p *parser) num(key string) int64 {
	p.lit(key)
	if p.bad {
		return 0
	}
	i := 0
	for i < len(p.rest) && p.rest[i] >= '0' && p.rest[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(string(p.rest[:i]), 10, 64)
	if err != nil || (i > 1 && p.rest[0] == '0') {
		p.bad = true
		return 0
	}
	p.rest = p.rest[i:]
	return n
}

func (p *parser) flag(key string) bool {
	p.lit(key)
	if !p.bad && len(p.rest) > 0 && p.rest[0] == 't' {
		p.lit("true")
		return !p.bad
	}
	p.lit("false")
	return false
}
