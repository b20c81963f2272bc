// Package hub owns live delivery: topics, the frames they keep, and the
// subscribers that read them; it never knows what a frame says, who may see
// it, or which transport carries it, and it imports nothing of ours.
//
// A topic is a short log of frames, and a subscriber is a cursor into it.
// Publish appends to the log and rings the workers; it never touches a
// subscriber, so it costs the same for one viewer and for ten thousand. A
// newer frame with the same Key takes the place of the older one in the log:
// whoever has not sent the old one yet will only ever see the new one. So a
// slow subscriber costs its cursor and nothing more, and can delay nobody.
//
// Run owns all goroutines of the hub: the beat, the sweep of empty topics and
// a few workers, each of which owns a share of the subscribers and offers
// them what is new through their Sink without ever blocking. A sink that is
// full takes its subscriber over (Stall), reads on its own goroutine with
// Next and Sent, and gives it back with Resume.
//
// Guarantees, per subscriber and topic: frames are handed over in the order of
// publication, none twice; a frame is left out only because its key has a newer
// one, because the page already held it (Seq <= since), or after a resync message.
// DESIGN.md beside this file says why it is built this way.
package hub
