package views

// PoliciesPage is /oncall/policies: how incidents are sent to teams, and how teams are paged.
type PoliciesPage struct {
	Base
	Undo     *UndoBar
	Problem  string
	Policies []PolicyRow
	Rules    []RuleRow
	Fallback string // what happens when no rule fits
	Try      RuleTry
	New      RuleForm
	Manage   bool
}

// PolicyRow is one policy in the list.
type PolicyRow struct {
	ID, Name, Href string
	Says           []string // its steps, each in a few words
	After          string   // "again twice, then the room says that nobody answered"
	UsedBy         []string
}

// RuleRow is one rule of routing.
type RuleRow struct {
	ID       string
	Says     string // "SEV2 or worse, component bridge"
	Team     string // name
	Policy   string // name, "" = the team's
	Up, Down bool
	Hit      bool // the rule that was tried out fits
	Form     RuleForm
}

// RuleForm is a rule as it can be changed. The first choice of a list is "any".
type RuleForm struct {
	ID         string
	Severities []Choice
	Components string // by comma
	Chains     string
	Kinds      string
	Teams      []Choice
	Policies   []Choice
}

// RuleTry is the question which team an incident would go to.
type RuleTry struct {
	Severities []Choice
	Components string
	Chains     string
	Kinds      string
	Says       string // "goes to Protocol, paged by Protocol, because of rule 2: ...", "" = not asked
}

// PolicyPage is /oncall/policies/{id}.
type PolicyPage struct {
	Base
	Undo     *UndoBar
	Problem  string
	ID, Name string
	Version  int64
	Steps    []StepView
	New      StepForm // empty, for one more
	Repeat   int
	AckAfter string // "30 m", "" = an acknowledgement never ends
	AckField string // minutes
	End      string // what happens after the last step
	UsedBy   []string
	Preview  Preview
	Manage   bool
	Most     bool // there can be no more steps
}

// StepView is one step of the ladder.
type StepView struct {
	N       int
	When    string       // "at once", "after 5 m", "after 10 m in all"
	Targets []StepTarget // whom it pages
	Need    int          // how many must acknowledge; below 2 = one is enough
	If      string       // the condition in words, "" = always
	Wait    string       // how long its people have
	Form    StepForm
	Up      bool
	Down    bool
}

// StepTarget is whom a step pages.
type StepTarget struct {
	Kind string // person, schedule, role, team, signers
	Text string // "who is on call in Primary"
	Now  string // who that is now, "" = nobody, or not known before there is an incident
	Gap  bool   // nobody now
}

// StepForm is a step as it can be changed.
type StepForm struct {
	N       int // 0 = a new one
	Targets [][]TargetGroup
	Wait    string // minutes
	Need    int
	Sev     []Choice
	Hours   []Choice // always, within, outside
	Zone    string
	From    string
	To      string
	Days    []Choice
	Unacked string // minutes
	Alerts  int
	Within  string // minutes
}

// TargetGroup is choices of one kind.
type TargetGroup struct {
	Name string
	List []Choice
}

// Preview is what a policy would do if an incident opened.
type Preview struct {
	Severities []Choice
	At         string // value of the field, UTC
	Rows       []PreviewRow
	End        string // sentence about what comes after
}

// PreviewRow is one moment of it.
type PreviewRow struct {
	At    int64
	After string // "5 m"
	Step  string // "step 2", "step 1 again"
	Who   []PreviewWho
	Gap   string // why nobody is paged, "" = somebody is
}

// PreviewWho is one person who would be paged.
type PreviewWho struct{ Name, Why string }
