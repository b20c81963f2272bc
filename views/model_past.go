package views

// Region ids of what past incidents teach.
const (
	RegionPrecedent = "precedent" // Precedent, topic incident/{n}
	RegionQueue     = "queue"     // CostQueue, topic queue
)

// Precedent is what past incidents say about an open one. Region id: precedent.
type Precedent struct {
	Number   int64 // incident number; 0 = one that is not declared yet
	On       bool  // the incident is open; of others nothing is said
	Similar  []SimilarRow
	Recovery string // a sentence
	Foretold bool   // Recovery is an expectation, not a reason to be silent
	Hints    []Hint
	Silence  string // why nothing is suggested, one line; "" = something is
}

// SimilarRow is one incident that is like another.
type SimilarRow struct {
	Number   int64
	Title    string
	Severity string
	Category string // words, "" = none
	Open     bool
	Drill    bool
	Likeness string // "62 % alike"
	Why      string // what they share
	Done     string // what was done
	Took     string // how long it took, or since when it is open
}

// Hint is a suggestion of a model.
type Hint struct {
	Target  string // category, severity
	Value   string // as it is sent
	Words   string // as it is read
	Likely  string // "likely, 78 %"
	Because string // features
	Use     *Action
}

// QueuePage is /queue: everything open by what it is likely to cost. Topic: queue.
type QueuePage struct {
	Base
	Show  string   // "", mine, team, unclaimed
	Teams []string // ids of the viewer's teams
	Queue CostQueue
}

// CostQueue is the list. Region id: queue; the same for everybody.
type CostQueue struct {
	Rows      []CostRow
	More      int // that are not shown
	Incidents int
	Signals   int
	PerMinute string // what all of it is known to cost a minute, "" = nothing known
}

// CostRow is one open incident, or a signal without one.
type CostRow struct {
	ID       string // of the element
	Number   int64  // of the incident, 0 = a signal
	Href     string
	Title    string
	Severity string
	Status   string // of an incident; source of a signal
	Drill    bool
	Since    int64
	Cost     string // what it is likely to cost from now on, "" = a drill
	Assumed  bool   // cost or duration is an assumption
	Reason   string // why it stands where it does
	Team     string // words, "" = nobody's
	TeamID   string
	Claimed  string   // display name, "" = nobody claimed it
	Mine     []string // handles of those who have it, or are asked to come
	Paging   string   // words on its pages, "" = none
	Unmanned bool     // paging is through, and nobody came
	Claim    *Action
	Have     *Action // acknowledge
}

// LearningPage is /learning: what this installation's own incidents taught, and how good it is.
type LearningPage struct {
	Base
	Closed     int
	Open       int
	Drills     int
	Unlabelled int    // closed without a category
	Least      int    // incidents that an expected recovery needs
	Categories string // words that are offered as a category
	Models     []LearnedModel
	Times      []TimesRow
	Recovery   string // what the interval of a recovery means
}

// LearnedModel is one model and its back-test.
type LearnedModel struct {
	Target    string // category, severity
	Speaks    bool
	Sentence  string
	Tested    int
	Figures   []Foretold
	Classes   []string // words
	Confusion []ConfusionRow
	Stretches []Stretch
	Says      string // the course of the back-test in words
	Span      string // when it began and ended
}

// Foretold is one line of the comparison.
type Foretold struct {
	Name     string
	Right    string // "78 %"
	Interval string // "74 to 81 %"
	F1       string // "" = does not apply
	Of       int
	Main     bool
}

// ConfusionRow is what incidents of one class were foretold as.
type ConfusionRow struct {
	Truth string
	Cells []ConfusionCell
}

// ConfusionCell counts; Level is 0..4 by its share of the row.
type ConfusionCell struct {
	N     int
	Level int
	Right bool
}

// Stretch is one part of the course: shares in per cent.
type Stretch struct {
	At              int64
	Model, Baseline float64
}

// TimesRow is how long the incidents of one category took.
type TimesRow struct {
	Category  string
	Incidents int
	Cells     []TimesCell // acknowledge, mitigate, recover
}

// TimesCell is a distribution: the middle, and where eight of ten lie.
type TimesCell struct {
	Of     int
	Median string
	Range  string
	X, W   float64 // of the bar in per cent of the axis
	M      float64
}
