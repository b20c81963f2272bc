package incident

// Bounds on what one incident takes. Lengths are in characters.
const (
	MaxTitle        = 200
	MaxSummary      = 2_000
	MaxReason       = 2_000
	MaxNote         = 10_000
	maxRedactReason = 500 // the log takes 2,048 bytes
	MaxUpdateText   = 10_000
	MaxHeadline     = 200
	MaxName         = 80 // of a component or a chain
	MaxURL          = 2_000
	MaxSignalText   = 1_000 // each text of a signal's snapshot
	MaxNames        = 100   // components or chains of one incident
	MaxAssignments  = 100
	MaxTasks        = 500
	MaxLinks        = 200
	MaxUpdates      = 500
	MaxSignals      = 5_000
	MaxBatch        = 500       // signals in one attach_signals or signals_changed
	MaxBatchBytes   = 256 << 10 // of one signals_changed as the log keeps it, which takes no more
	MaxAbsorbed     = 500
	MaxTimeline     = 50_000
	MaxAddresses    = 500
	MaxTransactions = 500
	MaxAddress      = 140 // of an address or a hash
	MaxScores       = 200 // assessments kept
	MaxStays        = 50  // teams before the one that has it
	MaxReceiptBatch = 200 // receipts in one page_receipts
	maxWhy          = 300
)

// Times, in milliseconds.
const (
	minute = int64(60_000)
	day    = 24 * 60 * minute

	// ClockSkew is how far in the future a stated time may lie.
	ClockSkew = minute
	// NoteSkew is how far in the future a note may say that it was written.
	NoteSkew = 2 * minute
	// OldestNote is how long ago it may say so.
	OldestNote = 30 * day
	// promptly: a note that is no older was given when it was written.
	promptly = minute / 6
	// farthest is how far ahead something can be due.
	farthest = 366 * day
)

// Cadence is how long after a published update the next one is due when nothing
// else is promised, in milliseconds: SEV1 30 min, SEV2 60 min, else 0 (none).
func Cadence(v Severity) int64 {
	switch v {
	case SEV1:
		return 30 * minute
	case SEV2:
		return 60 * minute
	}
	return 0
}
