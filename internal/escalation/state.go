package escalation

import "strconv"

// Phase says how far one incident's paging is.
type Phase string

// The phases.
const (
	Idle         Phase = ""             // no policy was given, or it has no steps: only pages by hand
	Running      Phase = "running"      // steps are gone through
	Acknowledged Phase = "acknowledged" // somebody has it
	Snoozed      Phase = "snoozed"      // somebody asked for quiet until SnoozedUntil
	Exhausted    Phase = "exhausted"    // all steps are through and nobody has it
	Stopped      Phase = "stopped"      // the incident is over
)

// State is one incident's paging as its events tell it. It is a value: what changes it returns a new one and leaves what older ones refer to. All times
// are unix milliseconds; 0 is never.
type State struct {
	Policy Policy `json:"policy"` // the snapshot that this escalation began with
	Phase  Phase  `json:"phase,omitempty"`
	// Epoch counts the escalations of the incident: every route, and every reopening, begins another.
	Epoch int `json:"epoch,omitempty"`
	// Round counts the passes through the steps within the epoch; one that begins at a later step (after an expiry) counts too.
	Round int `json:"round,omitempty"`
	// Step is the one that began last, from 1; 0: none yet in this epoch.
	Step    int   `json:"step,omitempty"`
	Began   int64 `json:"began,omitempty"`   // the epoch
	Since   int64 `json:"since,omitempty"`   // the step, or what makes the next one due
	From    int   `json:"from,omitempty"`    // the step that the round began at
	Repeats int   `json:"repeats,omitempty"` // passes begun again by themselves, against Policy.Repeat
	Reached bool  `json:"reached,omitempty"` // the round has paged somebody
	Skipped bool  `json:"skipped,omitempty"` // the step has paged nobody; the next one is due at once
	// Jump is the step that is due now whatever the waits say; 0: none.
	Jump int `json:"jump,omitempty"`
	// Asked are the people whom the step is about: those it paged, and those who had been paged in its round already.
	Asked []string `json:"asked,omitempty"`
	// Passed are those whom this round does not ask: they took back what they had, or said "not me" in the round that this one goes on with.
	Passed []string `json:"passed,omitempty"`
	// Pages are those that wait and the newest of the others; at most MaxPages of those.
	Pages []Page `json:"pages,omitempty"`
	Acks  []Ack  `json:"acks,omitempty"`
	// Heard is when a person last did anything in the incident.
	Heard int64 `json:"heard,omitempty"`
	// AgainAt is when all are paged again because nobody answered; 0: they are not.
	AgainAt int64 `json:"again_at,omitempty"`
	// Unanswered is since when all steps have been through and nobody has answered, also while they are gone through again; 0: somebody has, or somebody
	// may still, or it is not grave.
	Unanswered   int64 `json:"unanswered,omitempty"`
	SnoozedUntil int64 `json:"snoozed_until,omitempty"`
	// SnoozedFrom is the phase before the snooze.
	SnoozedFrom Phase `json:"snoozed_from,omitempty"`
	// Asks are wishes of people that need somebody to be looked up: a team, a policy.
	Asks []Ask `json:"asks,omitempty"`
	// ByHand counts pages and wishes by hand; it numbers them.
	ByHand int `json:"by_hand,omitempty"`
}

// PageState is what became of a page.
type PageState string

// The states of a page. Only Waiting asks anybody to come.
const (
	Waiting  PageState = "waiting"
	Answered PageState = "acknowledged" // by the person themself
	Declined PageState = "declined"
	Ended    PageState = "ended" // somebody else has it, it was repeated, snoozed, reassigned or it is over
)

// Page is one request to one person to come.
type Page struct {
	ID     string    `json:"id"` // see PageID; never used twice
	Person string    `json:"person"`
	Epoch  int       `json:"epoch"`
	Round  int       `json:"round"`
	Step   int       `json:"step"` // 0: by hand
	Why    string    `json:"why"`
	At     int64     `json:"at"`
	State  PageState `json:"state"`
	// Until is when it stopped waiting; 0: it waits.
	Until int64 `json:"until,omitempty"`
	// Receipts are the newest of each route, at most MaxReceipts.
	Receipts []Receipt `json:"receipts,omitempty"`
}

// Outcomes of a Receipt.
const (
	Sent       = "sent"       // handed over to the route
	Delivered  = "delivered"  // the route says that it arrived
	Failed     = "failed"     // it did not
	Suppressed = "suppressed" // it was not sent, and Detail says why
)

// Receipt is what a route said of a page.
type Receipt struct {
	Route   string `json:"route"`           // names it; "": all of them
	Label   string `json:"label,omitempty"` // what people call it: "e-mail", "push to Pixel 8"
	Outcome string `json:"outcome"`
	Detail  string `json:"detail,omitempty"`
	Attempt int    `json:"attempt,omitempty"`
	At      int64  `json:"at"`
}

// Ack is somebody's "I have it".
type Ack struct {
	Person string `json:"person"`
	At     int64  `json:"at"`
	Epoch  int    `json:"epoch"`
	Round  int    `json:"round"`
	Step   int    `json:"step"`
	// Expired is when it stopped counting; 0: it counts.
	Expired int64 `json:"expired,omitempty"`
}

// Ask is a wish to page a team, or to go through a policy, that waits to be looked up.
type Ask struct {
	Number int    `json:"number"`
	Team   string `json:"team,omitempty"`
	Policy string `json:"policy,omitempty"`
	By     string `json:"by"` // actor
	At     int64  `json:"at"`
}

// Callee is somebody to page.
type Callee struct {
	Page   string `json:"page,omitempty"` // id of the page; set when it is decided
	Person string `json:"person"`
	Why    string `json:"why"` // one sentence
}

// Turn is one step's beginning: whom it pages, and, when that is nobody, why.
type Turn struct {
	Epoch int `json:"epoch"`
	Round int `json:"round,omitempty"`
	Step  int `json:"step,omitempty"`
	// Ask is the wish by hand that this fulfils, instead of a step; 0: none.
	Ask    int      `json:"ask,omitempty"`
	People []Callee `json:"people,omitempty"`
	// Already are those whom the step means and who have been paged in this round.
	Already []string `json:"already,omitempty"`
	// Declined are those whom the step means and who have said "not me" in this round.
	Declined []string `json:"declined,omitempty"`
	// Holes are the sentences about targets with nobody there.
	Holes []string `json:"holes,omitempty"`
	// Unmet is why the step's condition does not hold; "" when it does.
	Unmet string `json:"unmet,omitempty"`
}

// Bounds of a State.
const (
	MaxPages    = 300 // pages kept that do not wait any more
	MaxReceipts = 8   // of one page
	MaxAcks     = 100
	MaxAsks     = 20
)

// PageID is the id of the page of a person in one step of one incident: the same for everybody who works it out.
func PageID(incident int64, epoch, round, step int, person string) string {
	return join("page", int(incident), epoch, round, step) + "-" + person
}

// HandID is the id of a page by hand; number is Ask.Number or State.ByHand after it.
func HandID(incident int64, epoch, number int, person string) string {
	return join("page", int(incident), epoch) + "-h" + strconv.Itoa(number) + "-" + person
}

func join(word string, numbers ...int) string {
	for _, n := range numbers {
		word += "-" + strconv.Itoa(n)
	}
	return word
}

// Situation is what the conditions of steps look at.
type Situation struct {
	Incident int64
	Open     bool    // false: nothing is due
	Severity string  // SEV1 … SEV5
	Attached []int64 // when its signals were attached, in any order
}

// Lookup answers who is meant at a moment. The string beside the people of a schedule says why they are, or why there is nobody; beside those of a
// team it is what people call it.
type Lookup interface {
	OnCall(schedule string, at int64) (people []string, why string)
	Team(id string) (people []string, name string)
	Role(role string) []string
	// Here is false for who has left, or cannot be paged, whoever names them.
	Here(person string) bool
}

// What an Act asks for.
const (
	DoPage    = "page"    // give the command page_step with Turn
	DoExpire  = "expire"  // expire_acknowledgement
	DoWake    = "wake"    // unsnooze
	DoExhaust = "exhaust" // exhaust
	DoPolicy  = "policy"  // look up the policy Policy and give route with it and Ask, or page_step with Ask and a hole that says why not
)

// Act is one thing that is due.
type Act struct {
	Do     string
	Turn   Turn   // of DoPage
	Policy string // of DoPolicy: a policy's id
	Ask    int    // of DoPolicy
	// ID is the same for everybody who works out the same act: the id to give its command.
	ID string
}
