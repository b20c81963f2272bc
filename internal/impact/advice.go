package impact

import "cmp"

// MilderAfter is how long, in ms, a milder severity must have held before it is advised. A worse one is advised at once.
const MilderAfter = 10 * 60_000

// Advice is what became of the advised severity; the incident keeps it.
type Advice struct {
	Severity string `json:"severity,omitempty"` // the one advised now
	Since    int64  `json:"since,omitempty"`    // unix ms
	// Sure says that enough is known now to advise a milder severity than the one set.
	Sure bool `json:"sure,omitempty"`
	// Declined is the advice that somebody declined, with who, when and why; "" for none.
	Declined   string `json:"declined,omitempty"`
	DeclinedBy string `json:"declined_by,omitempty"`
	DeclinedAt int64  `json:"declined_at,omitempty"`
	Reason     string `json:"reason,omitempty"`
}

// Next is the advice after an assessment. Declining is forgotten when a worse severity is advised than the one declined.
func (v Advice) Next(a Assessment) Advice {
	v.Sure = a.Sure
	if a.Severity == "" || a.Severity == v.Severity {
		return v
	}
	v.Severity, v.Since = a.Severity, a.At
	if v.Declined != "" && rank(a.Severity) < rank(v.Declined) {
		v.Declined, v.DeclinedBy, v.DeclinedAt, v.Reason = "", "", 0, ""
	}
	return v
}

// Decline is the advice after somebody declined it.
func (v Advice) Decline(by, reason string, at int64) Advice {
	v.Declined, v.DeclinedBy, v.DeclinedAt, v.Reason = v.Severity, by, at, reason
	return v
}

// Speaks says that the advice differs from the severity that is set and that nobody declined it. Milder than what is set it speaks only when enough
// is known; worse, only while the moment (Assessment.Moment) is worse too: who has set what is milder is not held to advice that merely waits to fall.
func (v Advice) Speaks(set, moment string) bool {
	switch {
	case v.Severity == "" || v.Severity == set || v.Declined != "":
		return false
	case rank(v.Severity) < rank(set):
		return rank(cmp.Or(moment, v.Severity)) < rank(set)
	}
	return v.Sure
}

// rank is 1 for SEV1 to 5 for SEV5, and 6 for anything else.
func rank(severity string) int {
	if len(severity) == 4 && severity[:3] == "SEV" && severity[3] >= '1' && severity[3] <= '5' {
		return int(severity[3] - '0')
	}
	return 6
}

func severityOf(rank int) string { return "SEV" + string(rune('0'+min(max(rank, 1), 5))) }
