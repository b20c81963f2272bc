package hub

import (
	"encoding/json"
	"math/rand/v2"
	"time"
)

// Close codes given with an Ending.
const (
	CloseRevoked  = 4401 // the session or token behind the subscription ended
	CloseShutdown = 1012 // the server stops; clients come back
)

// Of a shutdown: the connections are ended in parts, and asked to come back
// over a time that grows with their number, so that the next process is not met
// by all of them at once and few do not wait for nothing.
const (
	partEvery = 25 * time.Millisecond
	partLeast = 200 // connections
	partsMost = 40  // so at most a second

	spreadEach  = 500 * time.Microsecond
	spreadLeast = 200 * time.Millisecond
	spreadMost  = 2000 * time.Millisecond
)

// Ending says how a subscription ends: Body is the last message to send
// before closing with Code and Reason.
type Ending struct {
	Code   int
	Reason string // at most 120 bytes
	Body   []byte
}

type control struct {
	Type   string `json:"type"`
	Topic  string `json:"topic,omitempty"`
	Seq    *int64 `json:"seq,omitempty"`
	At     int64  `json:"at"`
	Reason string `json:"reason,omitempty"`
	Retry  *int64 `json:"retry_ms,omitempty"`
	Build  string `json:"build,omitempty"`
}

func (c control) body() []byte {
	c.At = time.Now().UnixMilli()
	b, err := json.Marshal(c)
	if err != nil { // strings and numbers only
		panic(err)
	}
	return b
}

func helloMessage(build string) *Message {
	return &Message{Body: control{Type: "hello", Build: build}.body()}
}

func beatMessage(probe bool) *Message {
	return &Message{Body: control{Type: "beat"}.body(), Probe: probe}
}

func resyncMessage(topic string, seq int64) *Message {
	seq = max(seq, -1)
	return &Message{Body: control{Type: "resync", Topic: topic, Seq: &seq}.body()}
}

func endMessage(topic, reason string) *Message {
	return &Message{Body: control{Type: "end", Topic: topic, Reason: reason}.body()}
}

func revoked(reason string) Ending {
	return Ending{Code: CloseRevoked, Reason: short(reason), Body: control{Type: "end", Reason: reason}.body()}
}

// bye is for one of n.
func bye(n int) Ending {
	spread := min(max(time.Duration(n)*spreadEach, spreadLeast), spreadMost)
	retry := rand.Int64N(spread.Milliseconds() + 1)
	return Ending{Code: CloseShutdown, Reason: "restart", Body: control{Type: "bye", Retry: &retry}.body()}
}

// short cuts s to what fits in a websocket close frame.
func short(s string) string {
	if len(s) <= 120 {
		return s
	}
	n := 120
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
