package auth

import "strings"

// Action is something that an actor may or may not do.
type Action string

// The actions. Those that change nothing begin with View.
const (
	ViewStatus    Action = "view_status" // the status page of Subject.Audience
	ViewWall      Action = "view_wall"
	ViewChains    Action = "view_chains" // chain figures: pages, charts, live samples
	ViewBoard     Action = "view_board"
	ViewRoom      Action = "view_room" // any incident, its timeline and its people
	ViewSignals   Action = "view_signals"
	ViewPeople    Action = "view_people" // names and roles, to assign and mention
	ViewLog       Action = "view_log"
	ViewMetrics   Action = "view_metrics"
	ViewOnCall    Action = "view_on_call"   // schedules, teams, policies, and who is on call
	ManageAccount Action = "manage_account" // the own passkeys, codes, sessions, name: Subject.Handle

	JudgeFinding    Action = "judge_finding"    // say whether a finding was right
	ManageQuiet     Action = "manage_quiet"     // maintenance windows, snoozes, grouping rules
	ManageDetectors Action = "manage_detectors" // move thresholds by hand, take changes back
	ManageOnCall    Action = "manage_on_call"   // everything about teams, schedules, policies and routing
	SwapShift       Action = "swap_shift"       // the own turns only, which oncall.Decide looks after
	DeclareIncident Action = "declare_incident"
	CommandIncident Action = "command_incident"
	ApproveUpdate   Action = "approve_update"
	StartDrill      Action = "start_drill"
	Redact          Action = "redact"
	ManagePeople    Action = "manage_people"
	ManageTokens    Action = "manage_tokens"
	ManageSources   Action = "manage_sources"
	ManageChains    Action = "manage_chains"
	TakeBackup      Action = "take_backup" // everything, secrets included
)

// Actions lists every action, in the order of the table.
var Actions = []Action{
	ViewStatus, ViewWall, ViewChains, ViewBoard, ViewRoom, ViewSignals, ViewPeople, ViewLog, ViewMetrics, ViewOnCall, ManageAccount,
	JudgeFinding, ManageQuiet, ManageDetectors, ManageOnCall, SwapShift, DeclareIncident, CommandIncident, ApproveUpdate, StartDrill, Redact, ManagePeople, ManageTokens, ManageSources, ManageChains, TakeBackup,
}

// PublicAudience is the audience of the status page that everybody may read.
const PublicAudience = "public"

// Subject is what the action is done to; the zero Subject is "in general".
type Subject struct {
	Audience string // for ViewStatus; "" is PublicAudience
	Handle   string // for ManageAccount
}

// right is one cell of the table.
type right byte

const (
	no  right = iota
	yes       // always
	own       // only the own audience (and the public one), only the own account
)

// table is the whole policy: one line an action, one column a role. Nobody may
// only read the public status page, the system may do everything.
var table = map[Action]struct{ administrator, responder, stakeholder, wall right }{
	//                administrator responder stakeholder wall
	ViewStatus:      {yes, yes, own, own},
	ViewWall:        {yes, yes, no, yes},
	ViewChains:      {yes, yes, no, yes},
	ViewBoard:       {yes, yes, no, no},
	ViewRoom:        {yes, yes, no, no},
	ViewSignals:     {yes, yes, no, no},
	ViewPeople:      {yes, yes, no, no},
	ViewLog:         {yes, yes, no, no},
	ViewMetrics:     {yes, yes, no, no},
	ViewOnCall:      {yes, yes, no, no},
	ManageAccount:   {own, own, own, no},
	JudgeFinding:    {yes, yes, no, no},
	ManageQuiet:     {yes, yes, no, no},
	ManageDetectors: {yes, no, no, no},
	ManageOnCall:    {yes, no, no, no},
	SwapShift:       {yes, yes, no, no},
	DeclareIncident: {yes, yes, no, no},
	CommandIncident: {yes, yes, no, no},
	ApproveUpdate:   {yes, yes, no, no},
	StartDrill:      {yes, yes, no, no},
	Redact:          {yes, no, no, no},
	ManagePeople:    {yes, no, no, no},
	ManageTokens:    {yes, no, no, no},
	ManageSources:   {yes, no, no, no},
	ManageChains:    {yes, no, no, no},
	TakeBackup:      {yes, no, no, no},
}

// Can reports whether the actor may do the action to the subject. It is pure,
// it is the only place that knows, and what it does not know it denies.
func Can(a Actor, action Action, subject Subject) bool {
	line, known := table[action]
	if !known {
		return false
	}
	cell := no
	switch a.Kind {
	case KindSystem:
		return true
	case KindPerson, KindToken:
		switch a.Role {
		case RoleAdministrator:
			cell = line.administrator
		case RoleResponder:
			cell = line.responder
		case RoleStakeholder:
			cell = line.stakeholder
		}
	case KindWall:
		cell = line.wall
	case KindNobody, "":
		if action == ViewStatus {
			cell, a.Audience = own, ""
		}
	}
	if cell != own {
		return cell == yes
	}
	switch action {
	case ViewStatus:
		return subject.Audience == "" || subject.Audience == PublicAudience || subject.Audience == a.Audience
	case ManageAccount:
		return a.Kind == KindPerson && a.ID != "" && subject.Handle == a.ID
	}
	return false
}

// Changes reports whether the action changes anything. What does not change
// anything is named View.
func (a Action) Changes() bool { return !strings.HasPrefix(string(a), "view_") }

// ForTopic returns the action and the subject that subscribing to a live topic
// takes: "wall", "chains", "board", "signals", "incident/<n>", "status" and
// "status/<audience>". ok is false for every other name.
func ForTopic(topic string) (action Action, subject Subject, ok bool) {
	head, rest, deep := strings.Cut(topic, "/")
	switch {
	case deep && rest == "":
		return "", Subject{}, false
	case topic == "wall":
		return ViewWall, Subject{}, true
	case topic == "chains":
		return ViewChains, Subject{}, true
	case topic == "board", topic == "queue":
		return ViewBoard, Subject{}, true
	case topic == "signals":
		return ViewSignals, Subject{}, true
	case head == "incident" && deep:
		return ViewRoom, Subject{}, true
	case head == "status":
		return ViewStatus, Subject{Audience: rest}, true
	}
	return "", Subject{}, false
}
