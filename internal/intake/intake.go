// Package intake owns the way in: decoding what foreign senders post into
// observations, the sources and their keys, the limits, and the desk that makes
// observations durable before anybody gets an answer. It never decides what a
// signal means, never touches an incident and never speaks HTTP.
package intake

import (
	"context"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// Log is what intake needs of the event log.
type Log interface {
	// Append is eventlog's: all or nothing, durable on return, ErrConflict when
	// the head is not the expected one, ErrTooLarge when the batch is too big.
	Append(ctx context.Context, b eventlog.Batch) ([]eventlog.Event, error)
	// ReadStream returns at most limit events of a stream from fromSeq on.
	ReadStream(ctx context.Context, stream string, fromSeq int64, limit int) ([]eventlog.Event, error)
}

// Clock tells the time. time.Now is one.
type Clock func() time.Time

// Limits of one delivery.
const (
	MaxBody   = 1 << 20 // bytes
	MaxAlerts = 10_000  // alerts in one Alertmanager delivery
	MaxItems  = 1_000   // items in one generic delivery
)

// severities is the one table from the words of senders to ours. SEV1 (funds are
// moving) is only for who says so outright.
//
//	SEV1  sev1 1 p1 s1 emergency emerg fatal disaster
//	SEV2  sev2 2 p2 s2 critical crit page alert
//	SEV3  sev3 3 p3 s3 error err high major
//	SEV4  sev4 4 p4 s4 warning warn medium moderate minor average
//	SEV5  sev5 5 p5 s5 info information informational notice low none debug ok
//
// Anything else, and nothing, is signal.DefaultSeverity.
var severities = func() map[string]string {
	table := map[string]string{}
	for sev, words := range map[string]string{
		signal.SEV1: "sev1 1 p1 s1 emergency emerg fatal disaster",
		signal.SEV2: "sev2 2 p2 s2 critical crit page alert",
		signal.SEV3: "sev3 3 p3 s3 error err high major",
		signal.SEV4: "sev4 4 p4 s4 warning warn medium moderate minor average",
		signal.SEV5: "sev5 5 p5 s5 info information informational notice low none debug ok",
	} {
		for w := range strings.FieldsSeq(words) {
			table[w] = sev
		}
	}
	return table
}()

// Severity translates a sender's word; see the table at severities.
func Severity(word string) string {
	if s, ok := severities[strings.ToLower(strings.TrimSpace(word))]; ok {
		return s
	}
	return signal.DefaultSeverity
}

// first returns the first of the named values that is there and not blank.
func first(m map[string]string, names ...string) string {
	for _, n := range names {
		if v := strings.TrimSpace(m[n]); v != "" {
			return v
		}
	}
	return ""
}

func truth(word string) bool {
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "true", "yes", "1", "on":
		return true
	}
	return false
}
