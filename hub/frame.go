package hub

import (
	"sync"
	"time"
)

// Bounds of one topic and one subscriber. What is evicted raises the topic's
// base: whoever has not seen it gets a resync message instead.
const (
	MaxKeys    = 512     // keyed frames kept per topic
	MaxKeyless = 64      // frames without Key kept (so: pending) per topic
	MaxBytes   = 1 << 20 // bodies kept per topic
	MaxTopics  = 32      // topics per subscriber

	batchBytes    = 64 << 10 // one batch holds at least one message, else at most this
	batchMessages = 128
)

// Frame is one change of a topic, ready to be sent.
type Frame struct {
	// Topic names the stream of frames, for example "incident/42".
	Topic string
	// Seq is the log position that the frame shows. Within a topic it never
	// falls; several frames may share it (publish those in one call).
	Seq int64
	// Key, when not empty, makes the frame replace every unsent older frame
	// with the same Key. Frames without Key are all sent, in order, or the
	// topic is resynced.
	Key string
	// Body is the complete message, one JSON object. The hub keeps it: the
	// publisher must not change it afterwards.
	Body []byte
	// Transient marks what is no change of the log (samples, presence): it is
	// sent whatever the subscriber's since is, and its Seq only informs.
	Transient bool
}

// TopicSince names a topic and the last position that the subscriber's page
// already holds (-1: nothing).
type TopicSince struct {
	Topic string
	Since int64
}

// Message is one message on its way to many subscribers, shared by all.
type Message struct {
	// Body is the JSON text. Nobody may change it.
	Body []byte
	// Probe asks the transport to request a sign of life from the peer along
	// with this message.
	Probe bool

	key       string
	seq       int64
	transient bool
	frame     bool      // a published frame, not a control message
	at        time.Time // published
	index     int64     // place in the topic's order of publication

	prev, next *Message // guarded by the topic's mutex

	once sync.Once
	wire []byte
}

// Encoded returns a message whose wire form is given by the transport itself,
// for Subscriber.Post.
func Encoded(wire []byte) *Message {
	m := &Message{wire: wire}
	m.once.Do(func() {})
	return m
}

// Wire returns the message as the transport sends it. The first caller's
// encode makes it, once for all subscribers; the bytes are shared and must
// not be changed.
func (m *Message) Wire(encode func(body []byte, probe bool) []byte) []byte {
	m.once.Do(func() { m.wire = encode(m.Body, m.Probe) })
	return m.wire
}

// Batch is a run of messages offered to a sink at once.
type Batch struct {
	messages []*Message
	seat     *seat // whose cursor moves; nil for control messages and shared batches
	from, to int64 // cursor before the first and after the last message
	low      int64 // lowest Seq that a since may hide
	lossless bool  // no frame between from and to was lost to anybody
	whole    bool  // no frame was left out because of a since
	resync   bool
	over     bool // says that the seat's topic is over for its subscriber
	wire     []byte
}

// Len returns the number of messages, at least 1.
func (b *Batch) Len() int { return len(b.messages) }

// At returns message i.
func (b *Batch) At(i int) *Message { return b.messages[i] }

// Wire returns all messages of the batch in one piece, made once per batch.
// A batch is used by one goroutine at a time.
func (b *Batch) Wire(encode func(body []byte, probe bool) []byte) []byte {
	if b.wire != nil {
		return b.wire
	}
	if len(b.messages) == 1 {
		b.wire = b.messages[0].Wire(encode)
		return b.wire
	}
	n := 0
	for _, m := range b.messages {
		n += len(m.Wire(encode))
	}
	b.wire = make([]byte, 0, n)
	for _, m := range b.messages {
		b.wire = append(b.wire, m.wire...)
	}
	return b.wire
}
