package incident

import "github.com/tocsin-ops/tocsin/internal/escalation"

// Acknowledge says "I have it": all pages of everybody end with it, unless the step wants more people. Any person may, paged or not; who is the first,
// and finds no commander, becomes it.
type Acknowledge struct{}

// DeclinePage says "not me". When everybody of the step has said so, the next one is due at once. By somebody who has it, it takes that back: when
// nobody else has it, the others are paged at once.
type DeclinePage struct {
	Reason string `json:"reason,omitempty"`
}

// Escalate makes a step due now: the next one, or, from 1, the one that is named.
type Escalate struct {
	Step int `json:"step,omitempty"`
}

// PageByHand pages a person, a team, or begins a policy anew as it is now; exactly one of them. Its API name is "page".
type PageByHand struct {
	Person string `json:"person,omitempty"`
	Team   string `json:"team,omitempty"`   // its id
	Policy string `json:"policy,omitempty"` // its id
	Reason string `json:"reason,omitempty"`
}

// Reassign gives the paging to one person: nobody else is asked to come any more. Who acknowledged has it still.
type Reassign struct {
	Person string `json:"person"`
}

// Snooze asks for quiet for a time ("30m", "2h", "1d") or until a moment (unix ms). Then the step that was last is due again.
type Snooze struct {
	For    string `json:"for,omitempty"`
	Until  int64  `json:"until,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Unsnooze ends the quiet. Who had it has it again; else paging goes on. The program gives it when the time is over.
type Unsnooze struct{}

// PageStep begins a step: it is escalation.Act's Turn. Of a step that has begun nothing happens; one that is not due is refused.
type PageStep struct {
	escalation.Turn
}

// PageReceipts tells what routes said of pages; at most MaxReceiptBatch at once. Those of pages that are not kept any more say nothing.
type PageReceipts struct {
	Receipts []PageReceipt `json:"receipts"`
}

// PageReceipt is what one route said of one page.
type PageReceipt struct {
	Page   string `json:"page"` // its id
	Person string `json:"person"`
	escalation.Receipt
}

// ExpireAcknowledgement says that nobody did anything for the policy's time since it was acknowledged.
type ExpireAcknowledgement struct{}

// Exhaust says that all steps are through and nobody has it.
type Exhaust struct{}

// Name is "acknowledge".
func (Acknowledge) Name() string { return "acknowledge" }

// Name is "decline_page".
func (DeclinePage) Name() string { return "decline_page" }

// Name is "escalate".
func (Escalate) Name() string { return "escalate" }

// Name is "page".
func (PageByHand) Name() string { return "page" }

// Name is "reassign".
func (Reassign) Name() string { return "reassign" }

// Name is "snooze".
func (Snooze) Name() string { return "snooze" }

// Name is "unsnooze".
func (Unsnooze) Name() string { return "unsnooze" }

// Name is "page_step".
func (PageStep) Name() string { return "page_step" }

// Name is "page_receipts".
func (PageReceipts) Name() string { return "page_receipts" }

// Name is "expire_acknowledgement".
func (ExpireAcknowledgement) Name() string { return "expire_acknowledgement" }

// Name is "exhaust".
func (Exhaust) Name() string { return "exhaust" }
