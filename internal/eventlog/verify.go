package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Source is a log as somebody else sees it: a data directory (Stored) or a server
// (Remote).
type Source interface {
	// Place is how the source is called in reports and in a Memory.
	Place() string
	// verifier returns the public key that the source offers, "" if none.
	verifier(ctx context.Context) (string, error)
	// walk feeds c, from the checkpoint to the last derived key.
	walk(ctx context.Context, c *check) error
}

// VerifyOptions say what the verifier knows already.
type VerifyOptions struct {
	// Verifier is the key that the log must be signed with. Empty: the key that
	// Memory has for this place, else the one that the source offers, which the
	// Report then calls Learned.
	Verifier string
	// Known is a checkpoint seen before. The log must contain it.
	Known *Checkpoint
	// Memory has the checkpoints of earlier runs. The log must contain them.
	Memory *Memory
	// Older accepts a log that ends before a checkpoint seen before: a backup.
	Older bool
}

// RedactedEvent is one event whose payload was blanked, as the log itself tells.
type RedactedEvent struct {
	Offset int64
	Redaction
}

// Report is what Verify found in a log that is right.
type Report struct {
	Place      string
	Checkpoint Checkpoint      // origin, size, root, key
	Learned    bool            // the key was taken from the source: trust on first use
	Known      *Checkpoint     // the newest earlier checkpoint that the log contains
	Leaves     int64           // leaves recomputed from their headers
	Payloads   int64           // payloads compared with their leaves
	Streams    int             // streams whose sequences are whole
	Redacted   []RedactedEvent // blanked by an event of the log
	Notes      []string        // what was not checked, and why
}

// String is the report in sentences, for the command line.
func (r Report) String() string {
	var b strings.Builder
	c := r.Checkpoint
	fmt.Fprintf(&b, "%s: %d events of %s give the signed root %s\n", r.Place, c.Size, c.Origin, c.Root)
	fmt.Fprintf(&b, "key: %s", c.Verifier)
	if r.Learned {
		b.WriteString(" (learned from this log: trust on first use; compare it with the operator's)")
	}
	fmt.Fprintf(&b, "\n%d leaves, %d payloads, %d streams checked\n", r.Leaves, r.Payloads, r.Streams)
	if r.Known != nil {
		fmt.Fprintf(&b, "contains the checkpoint of %d events that was seen before\n", r.Known.Size)
	}
	for _, e := range r.Redacted {
		at := "an unknown time"
		if e.At != 0 {
			at = time.UnixMilli(e.At).UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(&b, "event %d: redacted by %s at %s: %q\n", e.Offset, e.By, at, e.Reason)
	}
	for _, n := range r.Notes {
		b.WriteString(n + "\n")
	}
	return b.String()
}

// Bad says that a log is not what was appended and signed. Offset is the first bad
// leaf, or -1 when no single leaf can be named.
type Bad struct {
	Offset int64
	What   string
}

func (b *Bad) Error() string {
	if b.Offset < 0 {
		return b.What
	}
	return fmt.Sprintf("event %d: %s", b.Offset, b.What)
}

// errStop ends a walk early: what was found says enough.
var errStop = errors.New("stop")

// Verify checks a whole log without trusting the program that wrote it: the
// signature of the checkpoint; that every leaf is where its header says, in offset
// and in its stream; that every payload matches its leaf or was blanked by an
// event that says so; that the leaves give every stored Merkle hash and the signed
// root; that nothing is missing, nothing follows the tail, and every index entry
// leads to its event; and that the log contains every checkpoint seen before.
//
// The error is a *Bad that names the first bad leaf, or any other error when the
// log could not be read. Remote logs are checked as far as they show themselves:
// Report.Notes tells what was not.
func Verify(ctx context.Context, src Source, o VerifyOptions) (Report, error) {
	c := &check{o: o, report: Report{Place: src.Place()}, streams: map[string]*streamCheck{}, claims: map[int64]int64{}, stubs: map[int64]int64{}, broken: map[int64]bool{}}
	if err := c.chooseKey(ctx, src); err != nil {
		return c.report, fmt.Errorf("verify %s: %w", src.Place(), err)
	}
	if c.bad == nil {
		switch err := src.walk(ctx, c); {
		case err == nil:
			c.finish()
		case !errors.Is(err, errStop):
			return c.report, fmt.Errorf("verify %s: %w", src.Place(), err)
		}
	}
	if c.bad != nil {
		return c.report, fmt.Errorf("verify %s: %w", src.Place(), c.bad)
	}
	return c.report, nil
}

// chooseKey decides which key the checkpoint must be signed with.
func (c *check) chooseKey(ctx context.Context, src Source) error {
	pinned := ""
	if c.o.Memory != nil {
		pinned = c.o.Memory.Key(src.Place())
	}
	if c.o.Known != nil && pinned == "" {
		pinned = c.o.Known.Verifier
	}
	c.key = c.o.Verifier
	if c.key != "" {
		return nil
	}
	offered, err := src.verifier(ctx)
	if err != nil && pinned == "" {
		return err
	}
	if pinned != "" && offered != "" && offered != pinned {
		c.fault(-1, "the log is now signed with the key %s; before it was %s", offered, pinned)
		return nil
	}
	c.key, c.report.Learned = offered, pinned == ""
	if pinned != "" {
		c.key = pinned
	}
	if c.key == "" {
		return errors.New("the log offers no verifier key; give it one")
	}
	return nil
}

// begin takes the checkpoint.
func (c *check) begin(signed []byte) error {
	cp, err := ParseCheckpoint(signed, c.key)
	if err != nil {
		c.fault(-1, "the checkpoint is not what the log's key signed: %v", err)
		return errStop
	}
	c.begun, c.report.Checkpoint = true, cp
	if c.o.Known != nil {
		c.known = append(c.known, *c.o.Known)
	}
	if c.o.Memory != nil {
		c.known = append(c.known, c.o.Memory.Checkpoints(cp.Origin, cp.Verifier)...)
	}
	for _, k := range c.known {
		switch {
		case k.Verifier != cp.Verifier:
			c.fault(-1, "the checkpoint seen before was signed with the key %s, this one with %s", k.Verifier, cp.Verifier)
			return errStop
		case k.Size > cp.Size && c.o.Older:
			c.note("the log is older than the checkpoint of %d events that was seen before; whether it is its beginning cannot be told", k.Size)
		case k.Size > cp.Size:
			c.fault(cp.Size, "the log ends before it, but a signed checkpoint of %d events was seen before: the log was shortened (or is an older copy)", k.Size)
		}
	}
	return nil
}

// fault remembers the first bad leaf; one that names no leaf only counts alone.
func (c *check) fault(offset int64, format string, args ...any) {
	if c.bad != nil && (offset < 0 || (c.bad.Offset >= 0 && c.bad.Offset <= offset)) {
		return
	}
	c.bad = &Bad{Offset: offset, What: fmt.Sprintf(format, args...)}
}

func (c *check) note(format string, args ...any) {
	c.report.Notes = append(c.report.Notes, fmt.Sprintf(format, args...))
}
