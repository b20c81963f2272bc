package views

// RulesPart is the part of /detectors about the rules that people wrote.
type RulesPart struct {
	Show      bool       // the viewer may see figures
	Rows      []PromRule // by file and group, as the files have them
	Total     int        // rules in all
	Beyond    int        // that are not shown
	Files     int        // in use
	Elsewhere bool       // another replica evaluates, and has said nothing: states are not known here
	Told      bool       // another replica evaluates, and this is what it said last
	Broken    string     // why the files, as they are now, cannot be used; "" = they are
}

// PromRule is one rule.
type PromRule struct {
	File    string // name without its directory
	Path    string // whole
	Group   string
	Name    string
	Query   string // shortened
	Records bool   // it records a series and has no state
	State   string // unknown, inactive, pending, firing
	Since   int64  // unix ms of pending and firing
	Active  int    // alerts pending or firing
	Failing bool   // the last evaluation failed
	Error   string // why, "" = not failing
	Last    int64  // unix ms of the last evaluation, 0 = never
}
