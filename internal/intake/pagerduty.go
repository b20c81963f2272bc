package intake

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-ops/tocsin/internal/signal"
)

// Event is one PagerDuty Events v2 event. The source is named by RoutingKey,
// the signal in it by DedupKey.
type Event struct {
	RoutingKey  string
	DedupKey    string
	Observation signal.Observation
}

// InvalidEvent lists what is wrong with a PagerDuty event, in PagerDuty's words.
type InvalidEvent struct{ Errors []string }

// Error joins the list.
func (e *InvalidEvent) Error() string {
	return "Event object is invalid: " + strings.Join(e.Errors, ", ")
}

const (
	routingKeyLength = 32
	maxDedupKey      = 255
)

// DecodePagerDuty reads one PagerDuty Events v2 event. generated is the dedup key
// that a trigger without one gets. The error is *InvalidEvent, *BadInput for a
// body that is not a JSON object, or ErrTooLarge. Order of arrival is the only
// order that the format has: payload.timestamp is kept as a label, as PagerDuty
// opens a new alert for a trigger after a resolve whatever its timestamp says.
func DecodePagerDuty(body []byte, at int64, generated string) (Event, error) {
	top, err := parseObject(body)
	if err != nil {
		return Event{}, err
	}
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	e := Event{RoutingKey: strings.TrimSpace(top.text("routing_key")), DedupKey: strings.TrimSpace(top.text("dedup_key"))}
	if e.RoutingKey == "" {
		say("'routing_key' is missing or blank")
	} else if len(e.RoutingKey) != routingKeyLength {
		say("Length of 'routing_key' is incorrect (should be 32 characters)")
	}
	action := top.text("event_action")
	switch action {
	case "":
		say("'event_action' is missing or blank")
	case "trigger", "acknowledge", "resolve":
	default:
		say("'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')")
	}
	switch n := utf8.RuneCountInString(e.DedupKey); {
	case n > maxDedupKey:
		say("'dedup_key' is too long (maximum is 255 characters)")
	case n == 0 && action == "trigger":
		e.DedupKey = generated
	case n == 0 && action != "":
		say("'dedup_key' is missing or blank")
	}
	o := signal.Observation{Key: eventKey(e.DedupKey), At: at, Firing: action == "trigger", Ack: action == "acknowledge"}
	if action == "trigger" {
		var p object
		if json.Unmarshal(top["payload"], &p) != nil || p == nil {
			say("'payload' is missing or blank")
		} else {
			trigger(&o, top, p, say)
		}
	}
	if len(wrong) > 0 {
		return Event{RoutingKey: e.RoutingKey}, &InvalidEvent{wrong}
	}
	e.Observation = o.Bounded()
	return e, nil
}

// eventKey is the dedup key, or its digest when it is too long in bytes.
func eventKey(dedup string) string {
	if len(dedup) > signal.MaxKey {
		return digest(dedup)
	}
	return dedup
}

func trigger(o *signal.Observation, top, p object, say func(string, ...any)) {
	for _, name := range []string{"summary", "source", "severity"} {
		if strings.TrimSpace(p.text(name)) == "" {
			say("'payload.%s' is missing or blank", name)
		}
	}
	severity := strings.ToLower(strings.TrimSpace(p.text("severity")))
	if severity != "" && !slices.Contains([]string{"critical", "error", "warning", "info"}, severity) {
		say("'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')")
	}
	custom := texts(p["custom_details"])
	o.Title, o.Subject, o.Severity = p.text("summary"), p.text("source"), Severity(severity)
	o.Kind, o.Component, o.Group = p.text("class"), p.text("component"), groupName(p.text("group"))
	o.Chain = first(custom, "chain", "blockchain")
	o.Reason = first(custom, "reason", "description", "firing")
	o.Drill = truth(custom["drill"])
	o.Labels = map[string]string{}
	for _, name := range []string{"class", "component", "group", "severity", "source", "timestamp"} {
		if v := p.text(name); v != "" {
			o.Labels[name] = v
		}
	}
	if v := top.text("client"); v != "" {
		o.Labels["client"] = v
	}
	o.Links = append(linkList(top["links"]), linkList(top["images"])...)
	if u := top.text("client_url"); u != "" {
		o.Links = append(o.Links, signal.Link{Text: top.text("client"), URL: u})
	}
	if raw := p["custom_details"]; custom == nil && len(raw) > 0 && string(raw) != "null" {
		custom = map[string]string{"custom_details": compact(raw)}
	}
	o.Evidence = evidence(custom)
}

// linkList reads [{"href"|"url"|"src", "text"|"alt"}]; what is neither is left out.
func linkList(raw json.RawMessage) []signal.Link {
	var items []object
	if json.Unmarshal(raw, &items) != nil {
		return nil
	}
	var links []signal.Link
	for _, it := range items {
		l := signal.Link{URL: it.text("href"), Text: it.text("text")}
		for _, name := range []string{"url", "src"} {
			if l.URL == "" {
				l.URL = it.text(name)
			}
		}
		if l.Text == "" {
			l.Text = it.text("alt")
		}
		if l.URL != "" && len(links) < signal.MaxLinks {
			links = append(links, l)
		}
	}
	return links
}
