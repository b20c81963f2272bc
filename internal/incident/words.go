package incident

import "strings"

// Severity says how bad it is: SEV1 (funds are moving) to SEV5 (information).
type Severity string

// The severities, worst first.
const (
	SEV1 Severity = "SEV1"
	SEV2 Severity = "SEV2"
	SEV3 Severity = "SEV3"
	SEV4 Severity = "SEV4"
	SEV5 Severity = "SEV5"
)

// Severities returns all severities, worst first. The caller owns the slice.
func Severities() []Severity { return []Severity{SEV1, SEV2, SEV3, SEV4, SEV5} }

// ParseSeverity reads "SEV1", "sev1", "sev 1", "sev-1" or "1". ok is false for
// anything else.
func ParseSeverity(text string) (sev Severity, ok bool) {
	t := strings.ToLower(strings.TrimSpace(text))
	t = strings.TrimLeft(strings.TrimPrefix(t, "sev"), " -")
	if len(t) != 1 || t[0] < '1' || t[0] > '5' {
		return "", false
	}
	return Severity("SEV" + t), true
}

// Rank is 1 for SEV1 to 5 for SEV5, and 6 for anything else, so that the worst
// sorts first.
func (v Severity) Rank() int {
	if len(v) == 4 && v[:3] == "SEV" && v[3] >= '1' && v[3] <= '5' {
		return int(v[3] - '0')
	}
	return 6
}

// Status says how far the work is.
type Status string

// The statuses in their order. Resolved is reached only by Resolve, reviewed
// only by ReviewDone.
const (
	StatusDeclared      Status = "declared"
	StatusInvestigating Status = "investigating"
	StatusMitigating    Status = "mitigating"
	StatusMonitoring    Status = "monitoring"
	StatusResolved      Status = "resolved"
	StatusReviewed      Status = "reviewed"
)

// Statuses returns all statuses in their order. The caller owns the slice.
func Statuses() []Status {
	return []Status{StatusDeclared, StatusInvestigating, StatusMitigating, StatusMonitoring, StatusResolved, StatusReviewed}
}

// Rank is 0 for declared to 5 for reviewed, and -1 for anything else.
func (v Status) Rank() int {
	for i, x := range Statuses() {
		if x == v {
			return i
		}
	}
	return -1
}

// Role is a named duty in the room.
type Role string

// The roles. The commander is one person; every other role may be held by
// several.
const (
	RoleCommander  Role = "commander"
	RoleDeputy     Role = "deputy"
	RoleScribe     Role = "scribe"
	RoleComms      Role = "comms"
	RoleOperations Role = "operations"
	RoleExpert     Role = "expert"
	RoleDecider    Role = "decider"
)

// Roles returns all roles in the order in which they are shown. The caller owns
// the slice.
func Roles() []Role {
	return []Role{RoleCommander, RoleDeputy, RoleScribe, RoleComms, RoleOperations, RoleExpert, RoleDecider}
}

// Title is the role as people say it: "comms lead", "subject expert".
func (v Role) Title() string {
	switch v {
	case RoleComms:
		return "comms lead"
	case RoleExpert:
		return "subject expert"
	case RoleDecider:
		return "decision maker"
	}
	return string(v)
}

// Single is true for a role that one person holds at a time.
func (v Role) Single() bool { return v == RoleCommander }

var roleAliases = map[string]Role{
	"ic": RoleCommander, "comms lead": RoleComms, "communications": RoleComms, "ops": RoleOperations,
	"subject expert": RoleExpert, "sme": RoleExpert, "decision maker": RoleDecider,
}

// ParseRole reads a role by its name, its title or a usual short form ("ops",
// "comms_lead"), in any case.
func ParseRole(text string) (role Role, ok bool) {
	t := strings.ToLower(strings.TrimSpace(text))
	t = strings.NewReplacer("_", " ", "-", " ").Replace(t)
	for _, r := range Roles() {
		if string(r) == t {
			return r, true
		}
	}
	role, ok = roleAliases[t]
	return role, ok
}
