package incident

import "github.com/tocsin-ops/tocsin/internal/escalation"

// The events of paging hold no words that a person wrote: those follow in ReasonGiven, so that they can be blanked without losing who was paged.

// Acknowledged: somebody has it. With Have equal to Need or more, it ends all pages of everybody.
type Acknowledged struct {
	Person string `json:"person"`
	Have   int    `json:"have"`
	Need   int    `json:"need"`
}

// PageDeclined: somebody who was paged said "not me".
type PageDeclined struct {
	Person string `json:"person"`
}

// AcknowledgementWithdrawn: somebody who had it says "not me after all".
type AcknowledgementWithdrawn struct {
	Person string   `json:"person"`
	Left   []string `json:"left,omitempty"` // who has it still
	Have   int      `json:"have"`           // of those whom the step asked
	Need   int      `json:"need"`
	Step   int      `json:"step,omitempty"` // due again; 0: none
}

// Escalated: a step is due now. Worse says that the severity made it so, and not a person.
type Escalated struct {
	Step  int  `json:"step"`
	Worse bool `json:"worse,omitempty"`
}

// PagedByHand: a person was paged by somebody.
type PagedByHand struct {
	escalation.Callee
	Number int `json:"number"`
}

// PageWanted: somebody wants a team to be paged, or a policy to be begun anew.
type PageWanted struct {
	Number int    `json:"number"`
	Team   string `json:"team,omitempty"`
	Policy string `json:"policy,omitempty"`
}

// Reassigned: the paging is about this person alone now.
type Reassigned struct {
	escalation.Callee
	Number int `json:"number"`
}

// Snoozed: quiet until a moment.
type Snoozed struct {
	Until int64 `json:"until"`
}

// Unsnoozed: the quiet is over; by itself, or ended by somebody.
type Unsnoozed struct {
	Over  bool `json:"over,omitempty"`
	Worse bool `json:"worse,omitempty"` // by itself: the severity became worse than it was when somebody asked for quiet
	Step  int  `json:"step,omitempty"`  // that pages again, if any does; 0: the one that was last
}

// StepPaged: a step began, or a wish by hand was fulfilled.
type StepPaged struct {
	escalation.Turn
}

// PagesReceipted: what routes said of pages.
type PagesReceipted struct {
	Receipts []PageReceipt `json:"receipts"`
}

// AcknowledgementExpired: nobody did anything for so long (ms) since it was acknowledged.
type AcknowledgementExpired struct {
	People []string `json:"people,omitempty"` // who had it
	Silent int64    `json:"silent"`
	Step   int      `json:"step"` // due again
}

// PagingExhausted: all steps are through, and nobody has it but People. Reached says that somebody was paged in the last round.
type PagingExhausted struct {
	Reached bool     `json:"reached,omitempty"`
	People  []string `json:"people,omitempty"`
	// Again is when all are paged again, and Unanswered since when nobody has answered; unix ms, 0 for what is not grave, and in logs of before.
	Again      int64 `json:"again,omitempty"`
	Unanswered int64 `json:"unanswered,omitempty"`
}

// ReasonGiven: the words that somebody gave with the event before it.
type ReasonGiven struct {
	Of   string `json:"of"` // name of the command
	Text string `json:"text"`
}

// Type is "incident.acknowledged".
func (Acknowledged) Type() string { return "incident.acknowledged" }

// Type is "incident.page_declined".
func (PageDeclined) Type() string { return "incident.page_declined" }

// Type is "incident.acknowledgement_withdrawn".
func (AcknowledgementWithdrawn) Type() string { return "incident.acknowledgement_withdrawn" }

// Type is "incident.escalated".
func (Escalated) Type() string { return "incident.escalated" }

// Type is "incident.paged_by_hand".
func (PagedByHand) Type() string { return "incident.paged_by_hand" }

// Type is "incident.page_wanted".
func (PageWanted) Type() string { return "incident.page_wanted" }

// Type is "incident.reassigned".
func (Reassigned) Type() string { return "incident.reassigned" }

// Type is "incident.snoozed".
func (Snoozed) Type() string { return "incident.snoozed" }

// Type is "incident.unsnoozed".
func (Unsnoozed) Type() string { return "incident.unsnoozed" }

// Type is "incident.paged".
func (StepPaged) Type() string { return "incident.paged" }

// Type is "incident.pages_receipted".
func (PagesReceipted) Type() string { return "incident.pages_receipted" }

// Type is "incident.acknowledgement_expired".
func (AcknowledgementExpired) Type() string { return "incident.acknowledgement_expired" }

// Type is "incident.paging_exhausted".
func (PagingExhausted) Type() string { return "incident.paging_exhausted" }

// Type is "incident.reason_given".
func (ReasonGiven) Type() string { return "incident.reason_given" }
