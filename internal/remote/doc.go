// Package remote owns the way from this computer to a room behind an address: the session that is kept here, who is trusted, whether the room can be
// reached, what was last known of it, and its answers to pages while it is away. It never judges who asks (whoever calls ServeHTTP has), holds nothing of
// an incident but what the room showed, and sends nothing on later: that is the outbox's.
package remote
