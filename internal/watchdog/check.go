package watchdog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ops/tocsin/store"
)

const keyTouch = "watchdog/touch/"

// Writable asks whether the store still takes what is written: who names this replica, which writes to a key of its own.
func Writable(db store.DB, who string, clock func() int64) Check {
	return Check{Name: "store", Ask: func(ctx context.Context) string {
		_, err := db.Commit(ctx, store.Txn{Then: []store.Op{{Key: []byte(keyTouch + who), Value: binary.BigEndian.AppendUint64(nil, uint64(clock()))}}})
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return "The store takes nothing: " + err.Error() + "."
		}
		return ""
	}}
}

// Recent asks whether something happened lately: at returns when it last did, in unix ms, 0 for never. What is not found out is not well.
func Recent(name, sentence string, at func(ctx context.Context) (int64, error), most time.Duration, clock func() int64) Check {
	return Check{Name: name, Ask: func(ctx context.Context) string {
		last, err := at(ctx)
		switch {
		case err != nil:
			return fmt.Sprintf("%s: it could not be asked (%v).", sentence, err)
		case last == 0:
			return sentence + ": never yet."
		case clock()-last > most.Milliseconds():
			return fmt.Sprintf("%s: for %s.", sentence, time.Duration(clock()-last)*time.Millisecond)
		}
		return ""
	}}
}

// Keeping asks whether a follower keeps up with the log: done is how far it came, size how long the log is. One that has not moved for longer
// than most while there was more to read is stuck. The returned Check remembers what it saw and is asked by one watchdog only.
func Keeping(name, sentence string, size, done func() int64, most time.Duration, clock func() int64) Check {
	type seen struct{ done, since int64 }
	last := make(chan seen, 1) // its only slot is the memory, and the lock
	last <- seen{done: -1}
	return Check{Name: name, Ask: func(context.Context) string {
		s := <-last
		now, at := clock(), done()
		if at != s.done || at >= size() {
			s = seen{at, now}
		}
		last <- s
		if now-s.since > most.Milliseconds() {
			return fmt.Sprintf("%s: %d of %d events for %s.", sentence, at, size(), time.Duration(now-s.since)*time.Millisecond)
		}
		return ""
	}}
}
