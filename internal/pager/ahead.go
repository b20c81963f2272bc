package pager

import (
	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
)

// Ahead says who is paged next about an incident and when (unix ms), should nothing happen before and nobody change who is on call. at is 0 when
// nothing comes by itself.
func Ahead(s incident.State, on OnCall, now int64) (at int64, people []escalation.Callee) {
	look := &lookup{state: s, settings: on.Settings(), oncall: on}
	return escalation.Ahead(s.Paging, s.Situation(), look, now)
}
