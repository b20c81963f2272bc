package detect

import "github.com/tocsin-ops/tocsin/internal/chain"

// Indicate gives a finding to a Set as if one of its heuristics had made it, and gives what came of it, that finding first.
func Indicate(s *Set, f chain.Finding) []chain.Finding {
	s.emit([]chain.Finding{f})
	return s.take()
}
