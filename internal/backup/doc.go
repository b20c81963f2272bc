// Package backup owns the backup file: everything durable of one store at one
// revision, written from any engine and restored into any other; it never
// changes a store that somebody uses, and never reads what a value means.
//
// # Format 1
//
// A gzip stream (one member, nothing after it) of
//
//	tocsin backup 1\n
//	M <manifest>         once, first
//	K <key> <value>      all keys in strictly ascending order
//	Z <trailer>          once, last
//
// A record is the letter and its fields; a field is its length as an unsigned
// varint and then its bytes. Manifest and trailer are JSON objects; readers let
// fields pass that they do not know, and nothing else. The manifest tells what
// wrote the file: format, program version, engine, time, origin and public key of
// the log. The trailer tells what is in it: number and bytes of the keys, number
// of events and signed checkpoint of the log, all of the same revision, and the
// SHA-256 of every byte before the letter Z. It is last because only then the
// revision is known whose checkpoint it is; a file without it is cut off.
//
// A key has 1 to 32,768 bytes, a value at most 16 MiB, manifest and trailer 64 KiB.
// Keys under live/ are not in it: they are true only while a process lives.
// The revisions of the keys are not in it either; they belong to an engine.
//
// The digest finds damage, not malice: what is signed is the log inside, and
// Restore verifies it. The file holds every secret of the installation.
//
// # Restore
//
// Only an empty store is restored into. The key restore/unfinished is there from
// before the first write until the log has been verified; while it is there no
// server starts (Unfinished), and the next Restore empties the store and begins
// anew. Every Txn has the condition that the marker is the one this Restore
// wrote and that none of its keys exists, so two Restores, or a Restore and a
// server, cannot mix.
package backup
