package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// States of a leg.
const (
	waiting = ""       // not begun
	marked  = "marked" // an attempt began; whether it was sent is known when it ends
	again   = "again"  // to be tried again at Due
	through = "sent"   // the provider has it
	dead    = "dead"   // failed for good, or suppressed
)

// leg is one message on one route.
type leg struct {
	Route   string `json:"route"`
	After   int64  `json:"after,omitempty"` // as the route had it when the message began
	State   string `json:"state,omitempty"`
	Attempt int    `json:"attempt,omitempty"`
	First   int64  `json:"first,omitempty"` // when the first attempt began
	Due     int64  `json:"due,omitempty"`
	// Parcel names the attempt whose outcome is not known: what is sent again goes under the same idempotency key, with the same messages.
	Parcel string `json:"parcel,omitempty"`
}

// job is one message in the outbox.
type job struct {
	Message
	Planned bool      `json:"planned,omitempty"` // Legs are known
	Began   int64     `json:"began,omitempty"`
	Legs    []leg     `json:"legs,omitempty"`
	Untold  []Receipt `json:"untold,omitempty"` // receipts that nobody has taken yet

	key     string
	rev     int64
	busy    bool
	gone    bool     // cancelled or ended
	arrived bool     // as it was when it became busy: some provider has it
	news    *foreign // while busy
	tell    int64    // when the receipts are told again
}

const (
	outPrefix  = "notify/out/"
	donePrefix = "notify/done/"
)

// outKey begins with the incident, so that Cancel reads only what belongs to it.
func outKey(m Message) string { return outOf(m.Incident) + digest(m.ID) }

func outOf(incident int64) string { return fmt.Sprintf("%s%016x/", outPrefix, uint64(incident)) }

func doneKey(id string) string { return donePrefix + digest(id) }

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

func decodeJob(key string, raw []byte, rev int64) (*job, error) {
	j := &job{key: key, rev: rev}
	if err := json.Unmarshal(raw, j); err != nil {
		return nil, fmt.Errorf("read %s of the outbox: %w", key, err)
	}
	return j, nil
}

func (j *job) encode() []byte {
	raw, _ := json.Marshal(j) // strings and numbers only
	return raw
}

// plan sets the legs from the person's routes.
func (j *job) plan(routes []Route, now int64) {
	j.Planned, j.Began = true, now
	for _, r := range routes {
		if r.Removed == 0 && (j.Route == "" || j.Route == r.ID) {
			l := leg{Route: r.ID}
			if j.Kind == KindPage {
				l.After = r.After
			}
			j.Legs = append(j.Legs, l)
		}
	}
}

// due returns the legs that may be tried at now, and when to look again (0: nothing comes by itself). patience is how long a troubled leg is alone
// before the next is used as well.
func (j *job) due(now, patience int64) (ready []int, next int64) {
	soon := func(at int64) {
		if next == 0 || at < next {
			next = at
		}
	}
	quiet := true // every leg before failed, or has been failing for longer than patience
	all := true   // every leg before is dead
	for i, l := range j.Legs {
		opens := int64(0) // when time alone opens a waiting leg
		switch {
		case l.State == marked:
			ready = append(ready, i)
		case l.State == again && l.Due <= now:
			ready = append(ready, i)
		case l.State == again:
			soon(l.Due)
		case l.State == waiting && (i == 0 || all || quiet):
			ready = append(ready, i)
		case l.State == waiting:
			if l.After > 0 {
				opens = j.Began + l.After
			}
			if at, may := j.troubled(i, patience); may && (opens == 0 || at < opens) {
				opens = at
			}
			if opens != 0 && opens <= now {
				ready = append(ready, i)
			} else if opens != 0 {
				soon(opens)
			}
		}
		if l.State != dead {
			all = false
			if l.State != again && l.State != marked || l.First == 0 || l.First+patience > now {
				quiet = false
			}
		}
	}
	return ready, next
}

// troubled says when all legs before i will have failed for long enough, if none of them gets through.
func (j *job) troubled(i int, patience int64) (at int64, may bool) {
	for _, l := range j.Legs[:i] {
		switch l.State {
		case dead:
		case again, marked:
			at = max(at, l.First+patience)
		default:
			return 0, false
		}
	}
	return at, true
}

// over says that nothing will be sent any more.
func (j *job) over() bool {
	if !j.Planned {
		return false
	}
	got := false
	for _, l := range j.Legs {
		switch l.State {
		case marked, again:
			return false
		case through:
			got = true
		}
	}
	// Of those that wait, only the ones with a time of their own are used after one got through.
	return !slices.ContainsFunc(j.Legs, func(l leg) bool { return l.State == waiting && (!got || l.After > 0) })
}

// got says that some provider has it.
func (j *job) got() bool {
	return slices.ContainsFunc(j.Legs, func(l leg) bool { return l.State == through })
}

func (j *job) leg(route string) *leg {
	for i := range j.Legs {
		if j.Legs[i].Route == route {
			return &j.Legs[i]
		}
	}
	return nil
}

// said adds a receipt to those that are to be told.
func (j *job) said(route, label, outcome, detail string, attempt int, now int64) {
	j.Untold = append(j.Untold, Receipt{Message: j.ID, Incident: j.Incident, Person: j.Person, Route: route, Label: label, Outcome: outcome, Detail: detail, Attempt: attempt, At: now})
}

// Backoff between attempts on one leg.
const (
	firstWait = 2 * time.Second
	mostWait  = time.Minute
	// GiveUp is how long one route is tried before it counts as dead.
	GiveUp = time.Hour
)

// backoff is the wait after so many attempts, with jitter r from 0 to 1: half of it is fixed, half drawn ("equal jitter"), so that many do not come back
// at once.
func backoff(attempt int, r float64) time.Duration {
	d := firstWait << min(max(attempt-1, 0), 10)
	d = min(d, mostWait)
	return d/2 + time.Duration(r*float64(d/2))
}
