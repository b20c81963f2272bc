package ws

import (
	"encoding/binary"

	"github.com/gorilla/websocket"
)

// frame appends one unfragmented, unmasked frame (RFC 6455, section 5.2).
func frame(dst []byte, opcode int, payload []byte) []byte {
	dst = append(dst, 0x80|byte(opcode))
	switch n := len(payload); {
	case n <= 125:
		dst = append(dst, byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
	return append(dst, payload...)
}

// encode makes the wire form of a message: a text frame, and after it a ping
// where the hub asks for a sign of life.
func encode(body []byte, probe bool) []byte {
	b := frame(make([]byte, 0, len(body)+12), websocket.TextMessage, body)
	if probe {
		b = frame(b, websocket.PingMessage, nil)
	}
	return b
}
