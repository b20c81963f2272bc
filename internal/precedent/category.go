package precedent

import "github.com/tocsin-ops/tocsin/internal/incident"

// Categories are what is offered as the category of an incident, in this order; people may write others. The caller owns the slice.
func Categories() []string {
	return incident.Categories()
}
