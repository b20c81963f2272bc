package views

// Impact is how bad the incident is and why. Region id: impact.
type Impact struct {
	Number   int64          // incident number
	Over     bool           // resolved, reviewed or merged: what a minute cost is told, nothing is advised
	Known    bool           // false: nothing is known
	Score    int            // 0..100, at least this
	High     int            // what it would be at most; equal to Score when all is known
	At       int64          // when it was scored, unix ms
	Advised  string         // SEV1..SEV5 that the score stands for, "" = none
	Set      string         // SEV1..SEV5 that people set
	Says     string         // the advice in a sentence, "" = it agrees with what is set
	Milder   string         // why what is known now does not yet advise what it stands for, "" = it does
	Declined string         // who declined it and why, "" = nobody did
	Rule     string         // the rule that alone makes it as bad, as a sentence; "" = none
	RuleFrom ImpactSource   // what it rests on
	Actions  []Action       // follow, decline
	Trend    []float64      // scores, oldest first
	TrendTo  string         // the trend in words: "from 12 to 84 in 41 m"; "" = there is none
	Axes     []ImpactAxis   // five
	Reasons  []ImpactReason // the weightiest, most points first
	Loss     ImpactLoss
	Blast    []ImpactHit   // where it is felt, now and next
	Major    *ImpactMajor  // nil: not asked for
	Missing  []Action      // facts that would tell most: each asks for its value
	Facts    []ImpactFact  // what people stated
	Changes  []ImpactEvent // page only: the whole history, newest first
}

// ImpactAxis is one of the five.
type ImpactAxis struct {
	Name   string // services users money regulatory sentiment
	Title  string // for people
	Known  bool
	Points int    // 0..100
	Word   string // low, some, high, grave; "not known"
	Weight string // "25 %"
}

// ImpactReason is why there are points.
type ImpactReason struct {
	Axis     string // title of the axis
	Points   int
	Sentence string
	From     ImpactSource
}

// ImpactSource is what a reason rests on.
type ImpactSource struct {
	Text string // "said by Ana", "signal", "measured: sum(x)", "assumed"
	Href string // local address of the signal, "" = none
	At   int64  // when that was so, unix ms, 0 = not said
}

// ImpactLoss is what a minute costs.
type ImpactLoss struct {
	Known      bool
	PerMinute  string       // "$2,000"
	Range      string       // "$1,000 to $5,000", "" = not known
	Sum        string       // lost since the impact began
	SumAt      int64        // up to then, unix ms
	Assumption string       // sentence, "" = it is measured or stated
	From       ImpactSource // what it rests on
	Parts      []ImpactPart // what makes it up, when that is more than one
}

// ImpactPart is what one service costs a minute.
type ImpactPart struct {
	Service, PerMinute string
	From               ImpactSource
}

// ImpactHit is a service that feels it.
type ImpactHit struct {
	Service string
	Now     bool
	Likely  string // "67 %", when not Now
	At      int64  // since when, or when it is likely, unix ms
	Reason  string
}

// ImpactMajor is whether it must be reported as a major incident.
type ImpactMajor struct {
	Answer   string // yes, no, unknown
	Sentence string
	Criteria []ImpactCriterion
}

// ImpactCriterion is one of its criteria.
type ImpactCriterion struct {
	Name, Article, Met, Sentence string // Met: yes, no, unknown
}

// ImpactFact is a fact as somebody stated it.
type ImpactFact struct {
	Name  string // for commands
	Title string
	Value string // for people
	Note  string
	By    string
	At    int64
	Clear Action
}

// ImpactEvent is one recorded score.
type ImpactEvent struct {
	At        int64
	Score     string // "84", "at least 62, at most 85"
	Severity  string // advised, "" = none
	PerMinute string
	Changes   []string // what made it different, as sentences
	Redacted  bool
}

// FactChoice is one fact in the form.
type FactChoice struct {
	Name, Title, Help, Example string
	Chosen                     bool
}

// ImpactPage is /incidents/{n}/impact: the whole history with every reason, for reading and printing.
type ImpactPage struct {
	Base
	Title   string // of the incident
	Status  string
	Impact  Impact // region impact
	More    int    // changes that are too old to be listed here
	State   bool   // the viewer may state facts
	Choices []FactChoice
	Value   string // what was typed, when it was refused
	Note    string
	Problem string // why the last one was refused, "" = none
}
