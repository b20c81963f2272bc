package views

import "strings"

// confirmed says that at least one route may be used for pages.
func confirmed(list []RouteRow) bool {
	for _, r := range list {
		if r.Verified && r.Off == "" {
			return true
		}
	}
	return false
}

// tryOver is what the button that tries a route does: a test, or the code while it is not confirmed.
func tryOver(r RouteRow) string {
	if r.Verified {
		return "Test " + r.Label
	}
	return "Send code over " + r.Label
}

// routeWhen says in one sentence when a route is used.
func routeWhen(r RouteRow) string {
	var parts []string
	switch {
	case !r.Verified:
		return "Not confirmed: nothing but the code is sent to it."
	case r.First:
		parts = append(parts, "Used first")
	case r.After != "":
		parts = append(parts, "Also used when you have not answered for "+r.After)
	default:
		parts = append(parts, "Used when the ones above fail")
	}
	if r.Floor != "" {
		parts = append(parts, r.Floor+" and worse only")
	}
	if r.QuietFrom != "" {
		quiet := "quiet " + r.QuietFrom + " to " + r.QuietTo + " " + r.Zone
		if !r.QuietPages {
			quiet += " but for SEV1 and SEV2 pages"
		}
		parts = append(parts, quiet)
	}
	return strings.Join(parts, ", ") + "."
}

// afters are the waits that are offered, and the one that is set.
func afters(now string) []Choice {
	list := []Choice{{Value: "0", Text: "only if others fail"}, {Value: "1", Text: "1 minute"}, {Value: "2", Text: "2 minutes"}, {Value: "3", Text: "3 minutes"}, {Value: "5", Text: "5 minutes"}, {Value: "10", Text: "10 minutes"}, {Value: "15", Text: "15 minutes"}, {Value: "30", Text: "30 minutes"}}
	known := false
	for i := range list {
		if list[i].On = list[i].Value == now; list[i].On {
			known = true
		}
	}
	if !known && now != "" {
		list = append(list, Choice{Value: now, Text: now + " minutes", On: true})
	}
	return list
}
