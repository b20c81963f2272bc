// Package feedback owns what people said of findings, and what follows from it: how often each detector is right, how loud it is, and how strict
// it may become; it never writes the log, never reads a clock and never judges a finding itself.
package feedback

import (
	"encoding/json"
	"fmt"
)

// Stream is where its events stand in the log.
const Stream = "detectors"

// Names of the events, as they stand in the log.
const (
	TypeJudged  = "finding.judged"
	TypeChanged = "threshold.changed"
)

// Verdict is what a person says of a finding.
type Verdict string

// The verdicts.
const (
	True   Verdict = "true"   // it was as the finding said
	False  Verdict = "false"  // nothing was wrong: a false alarm
	Unsure Verdict = "unsure" // looked at, not settled: counted apart
)

// Judged is a fact: somebody judged a finding. Judging again replaces the verdict.
type Judged struct {
	Signal   string  `json:"signal"`
	Detector string  `json:"detector"`
	Title    string  `json:"title,omitempty"`
	Score    float64 `json:"score,omitempty"` // tail probability; 0 = the detector gives none
	Bound    float64 `json:"bound,omitempty"` // the detector's threshold as shipped; 0 = it has none
	Weak     bool    `json:"weak,omitempty"`  // it was below the threshold: true means that the detector missed it
	Verdict  Verdict `json:"verdict"`
	Before   Verdict `json:"before,omitempty"`
	Note     string  `json:"note,omitempty"`
}

// Changed is a fact: a detector became stricter or more sensitive.
type Changed struct {
	Detector string  `json:"detector"`
	Before   float64 `json:"before"` // strictness, in decades of tail probability; 0 = as shipped
	After    float64 `json:"after"`
	Reason   string  `json:"reason"`
	Undoes   string  `json:"undoes,omitempty"` // id of the change that this takes back
}

// Event is one fact of the stream, or the opening of one of our own findings, which the rates are counted from.
type Event struct {
	ID    string
	At    int64 // unix ms
	Actor string
	Drill bool
	Body  any // Judged, Changed, Opened, Verified; anything else is passed over
}

// Opened says that a detector raised a finding.
type Opened struct {
	Detector string
	Weak     bool
	Scored   bool      // it carries a tail probability, so that the detector has a threshold
	Certain  Certainty // of an alert; of a weak finding it is not counted
}

// Certainty is how far an alert was confirmed by independent nodes.
type Certainty int

// The certainties that are counted. What waited in vain for a second node stays what it was: seen by one node, or not verifiable.
const (
	NoMatter     Certainty = iota // it needs no second node
	Confirmed                     // two independent nodes or more showed it
	OneNode                       // the others were asked and did not show it
	Unverifiable                  // there was no second node, or none that could be asked: apart from false
)

// CertaintyOf reads a finding's verification; before is what the finding was until now.
func CertaintyOf(verification string, before Certainty) Certainty {
	switch verification {
	case "confirmed":
		return Confirmed
	case "one_node":
		return OneNode
	case "unverifiable":
		return Unverifiable
	case "waited":
		if before == Unverifiable {
			return Unverifiable
		}
		return OneNode
	}
	return NoMatter
}

// Verified says that an alert which was counted as Before is After now. It counts on the day on which it was raised.
type Verified struct {
	Detector      string
	RaisedAt      int64 // unix ms
	Before, After Certainty
}

// Decode reads an event of Stream; a type it does not know, or a redacted one, gives nil.
func Decode(typ string, data []byte) (any, error) {
	var err error
	switch {
	case data == nil:
		return nil, nil
	case typ == TypeJudged:
		var b Judged
		if err = json.Unmarshal(data, &b); err == nil {
			return b, nil
		}
	case typ == TypeChanged:
		var b Changed
		if err = json.Unmarshal(data, &b); err == nil {
			return b, nil
		}
	default:
		return nil, nil
	}
	return nil, fmt.Errorf("decode %s: %w", typ, err)
}

// Encode is the inverse of Decode.
func Encode(body any) (typ string, data []byte, err error) {
	switch body.(type) {
	case Judged:
		typ = TypeJudged
	case Changed:
		typ = TypeChanged
	default:
		return "", nil, fmt.Errorf("encode %T: it is no event of %s", body, Stream)
	}
	data, err = json.Marshal(body)
	return typ, data, err
}
