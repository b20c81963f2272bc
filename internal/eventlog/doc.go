// Package eventlog owns the one log of Tocsin: its envelope and stored records,
// the Merkle tree over them, signed checkpoints, appending, reading, following,
// proofs, tiles, redaction and verification; it never interprets a payload and
// never decides whether an event may happen.
//
// # Keys
//
// Everything lives in one store.DB. Numbers are 8-byte big-endian.
//
//	log/checkpoint                  the newest signed checkpoint: the tree head,
//	                                and the one condition of every append
//	log/event/<offset>              the stored record (see record.go)
//	log/hash/<first stored index>   the Merkle hashes that one Txn added, a
//	                                contiguous run in tlog's stored-hash order
//	log/id/<event id>               offset
//	log/of/<causation> 00 <offset>  number of events from that offset on which
//	                                have this causation (a run inside one batch)
//	log/stream/<stream> 00 <seq>    offset of that seq and number of events: the
//	                                run that one batch appended to the stream
//	log/verifier                    the public key, as a note verifier key
//	secret/log-signer               the private key; outside the log, never read
//	                                by Verify
//
// One Txn writes events, indexes, hashes and checkpoint together, so none of
// them can be ahead of another. A stream's head is its last run; there is no
// separate head to disagree with it. The order of the prefixes lets Verify check
// everything in a single Scan, which is a single revision: checkpoint, events,
// then what is derived from events.
//
// DESIGN.md says why, and what the log does and does not promise.
package eventlog
