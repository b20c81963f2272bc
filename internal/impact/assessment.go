package impact

// The five axes, in the order of Assessment.Axes.
const (
	Services   = iota // how critical what fails is
	Users             // how many feel it
	Money             // how much is at risk, moving or gone
	Regulatory        // what must be told to an authority
	Sentiment         // what people outside say
	AxisCount
)

// AxisNames are the axes as the log and the API name them, by their numbers.
var AxisNames = [AxisCount]string{"services", "users", "money", "regulatory", "sentiment"}

// Bounds of an Assessment. What is beyond them is left out, the least points first; none is larger than MaxBytes as JSON.
const (
	MaxReasons  = 8   // of one axis
	MaxBlast    = 20  // services in Blast
	MaxChanges  = 12  // sentences in Changes
	MaxSentence = 240 // runes of a sentence
	MaxBytes    = 64 << 10
)

// Assessment is how bad an incident is at one moment, by what was known then.
type Assessment struct {
	At     int64  `json:"at"` // unix ms
	Preset string `json:"preset"`
	// Score is 0..100, and at least this: what is not known adds nothing to it. High is what it would be if all that is not known were the worst.
	Score int `json:"score"`
	High  int `json:"high"`
	// Mean is the score before Rule raised it; equal to Score when no rule did.
	Mean int `json:"mean"`
	// Rule is the name of the rule that sets the least severity whatever the axes say, "" for none; RuleReason is why it holds.
	Rule       string  `json:"rule,omitempty"`
	RuleReason *Reason `json:"rule_reason,omitempty"`
	// Known is false when nothing at all is known: then there is no score, and no advice.
	Known bool `json:"known"`
	// Sure says that half of the weights or more are of axes that something is known of: only then a milder severity is advised.
	Sure bool `json:"sure,omitempty"`
	// Moment is the severity that the score of this moment stands for. Severity is the one advised: a worse one at once, a milder one after it has
	// held for MilderAfter and when Sure; until then the one before stays. Both are "SEV1".."SEV5", "" when not Known.
	Moment   string `json:"moment,omitempty"`
	Severity string `json:"severity,omitempty"`
	// MilderSince is since when the moment has been milder than what is advised; 0: it is not.
	MilderSince int64 `json:"milder_since,omitempty"`

	Axes    [AxisCount]Axis `json:"axes"`
	Loss    Loss            `json:"loss"`
	Blast   []Affected      `json:"blast,omitempty"`
	Major   *Major          `json:"major,omitempty"`   // nil unless DORA is asked for
	Missing []string        `json:"missing,omitempty"` // names of facts that would narrow the range, the weightiest first
	Changes []string        `json:"changes,omitempty"` // what is different from the assessment before, as sentences; none in the first
}

// Axis is one of the five.
type Axis struct {
	Name    string   `json:"name"`
	Known   bool     `json:"known"`             // false: nobody knows, which is not nothing
	Points  int      `json:"points"`            // 0..100; that of the weightiest reason, raised a little by others
	Weight  float64  `json:"weight"`            // share; all five make 1
	Reasons []Reason `json:"reasons,omitempty"` // most points first
}

// Reason is why there are points.
type Reason struct {
	Points   int    `json:"points"`
	Sentence string `json:"sentence"`
	From     From   `json:"from"`
}

// Kinds of From.
const (
	FromFact    = "fact"    // somebody stated it; Name is the fact, By the actor
	FromSignal  = "signal"  // Name is the signal's kind, Ref its id
	FromMetric  = "metric"  // Name is the query
	FromDeclare = "declare" // the incident says it of itself: severity, components
	FromAssumed = "assumed" // the configuration assumes it; Name is the setting
)

// From is what a reason rests on.
type From struct {
	Kind string `json:"kind"`
	Name string `json:"name,omitempty"`
	Ref  string `json:"ref,omitempty"`
	By   string `json:"by,omitempty"`
	At   int64  `json:"at,omitempty"` // when that was so, unix ms
}

// Loss is what a minute costs, in US dollars. Funds that were taken are not in it: they are in the money axis.
type Loss struct {
	Known     bool    `json:"known"`
	PerMinute float64 `json:"per_minute,omitempty"`
	// Low and High hold PerMinute; both 0 when no range is known.
	Low  float64 `json:"low,omitempty"`
	High float64 `json:"high,omitempty"`
	// Sum is what was lost since the impact began, up to the assessment's time.
	Sum  float64 `json:"sum,omitempty"`
	From From    `json:"from"`
	// Assumption is the sentence to show beside it when it is assumed and not measured.
	Assumption string `json:"assumption,omitempty"`
	// Parts are the services that make it up, the dearest first; at most MaxBlast.
	Parts []LossPart `json:"parts,omitempty"`
}

// LossPart is what one service costs.
type LossPart struct {
	Service   string  `json:"service"`
	PerMinute float64 `json:"per_minute"`
	From      From    `json:"from"`
}

// Affected is a service that feels it, now or next.
type Affected struct {
	Service    string  `json:"service"`
	Now        bool    `json:"now,omitempty"`
	Likelihood float64 `json:"likelihood"` // 0..1; 1 when Now
	At         int64   `json:"at"`         // unix ms: since when, or when it is likely
	Reason     string  `json:"reason"`
}

// Answers of a criterion and of Major.
const (
	Yes     = "yes"
	No      = "no"
	Unknown = "unknown"
)

// Major says whether an incident is a major one by Delegated Regulation (EU) 2024/1772, Articles 8 and 9.
type Major struct {
	Answer   string      `json:"answer"`   // Yes, No, Unknown
	Sentence string      `json:"sentence"` // "Major: yes, because …"
	Criteria []Criterion `json:"criteria"` // all, in the order of the regulation
}

// Criterion is one of them.
type Criterion struct {
	Name     string `json:"name"`
	Article  string `json:"article"`
	Met      string `json:"met"` // Yes, No, Unknown
	Sentence string `json:"sentence"`
}

// Point is one assessment as history keeps it.
type Point struct {
	At        int64   `json:"at"`
	Score     int     `json:"score"`
	High      int     `json:"high"`
	Severity  string  `json:"severity,omitempty"`
	PerMinute float64 `json:"per_minute,omitempty"`
}

// Point is the assessment as history keeps it.
func (a Assessment) Point() Point {
	return Point{At: a.At, Score: a.Score, High: a.High, Severity: a.Severity, PerMinute: a.Loss.PerMinute}
}
