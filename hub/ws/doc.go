// Package ws owns the websocket transport of the hub: handshake, sign of life,
// writing without blocking, and closing with the right code; it never decides
// who may subscribe to what, and never reads meaning into what clients send.
//
// gorilla/websocket does the handshake and the reading. Nothing is written
// through it: a message is encoded once for all connections (no compression)
// and a worker of the hub writes the same bytes to each socket directly. A socket that is
// full gets a goroutine of its own until it has caught up: it waits until the
// kernel takes bytes again and only then asks the hub what is newest.
// Under TLS it writes through the library where the kernel has room, else on
// such a goroutine.
//
// A connection costs one small reading goroutine; per connection the process
// holds no message but the rest of one that is half written. The goroutines
// of a connection end before it leaves the hub, so Hub.Stop waits for them.
package ws
