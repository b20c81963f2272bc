package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/signal"
)

// DecodeGeneric reads Tocsin's own plain form, one object or a list of at most
// MaxItems:
//
//	key | id           required; the same thing always has the same key
//	title | summary    one line
//	severity           see Severity
//	state | status     firing (the default), acknowledged or resolved; also the
//	                   words in stateWords
//	at                 when: the start of a firing, the end of a resolve
//	starts_at, ends_at the same, said apart
//	kind, subject, chain, component, group, reason | description
//	labels             an object; links [{"text","url"}]; evidence any JSON
//	drill              true for an exercise
//
// Times are RFC 3339, or unix seconds or milliseconds. Numbers and booleans
// count as texts. Unknown fields are ignored. Every item is judged alone: the
// error joins one *BadInput for each that could not be read. ErrTooLarge means
// that nothing was read.
func DecodeGeneric(body []byte, at int64) ([]signal.Observation, error) {
	if err := checkBody(body); err != nil {
		return nil, err
	}
	items := []json.RawMessage{body}
	if bytes.TrimSpace(body)[0] == '[' {
		if err := json.Unmarshal(body, &items); err != nil {
			return nil, bad("The body is not a list that can be read.")
		}
	}
	if len(items) > MaxItems {
		return nil, fmt.Errorf("%w: %w", ErrTooLarge, bad("The list has %d items, at most %d are taken at once. Send it in parts.", len(items), MaxItems))
	}
	var obs []signal.Observation
	var errs []error
	for i, raw := range items {
		o, err := genericItem(raw, at)
		if err != nil {
			errs = append(errs, bad("Item %d of %d: %s.", i+1, len(items), err))
			continue
		}
		obs = append(obs, o)
	}
	return obs, errors.Join(errs...)
}

var stateWords = map[string]string{
	"": "firing", "firing": "firing", "open": "firing", "triggered": "firing", "trigger": "firing", "alerting": "firing",
	"alert": "firing", "problem": "firing", "active": "firing", "down": "firing",
	"resolved": "resolved", "resolve": "resolved", "ok": "resolved", "cleared": "resolved", "closed": "resolved",
	"recovered": "resolved", "recovery": "resolved", "up": "resolved", "normal": "resolved",
	"acknowledged": "acknowledged", "acknowledge": "acknowledged", "ack": "acknowledged",
}

func genericItem(raw json.RawMessage, at int64) (signal.Observation, error) {
	var it object
	if json.Unmarshal(raw, &it) != nil || it == nil {
		return signal.Observation{}, fmt.Errorf("it must be an object, and is %s", jsonKind(raw))
	}
	fields := map[string]string{}
	for _, name := range []string{"key", "id", "title", "summary", "severity", "state", "status", "kind", "subject", "chain", "component", "group", "reason", "description", "drill"} {
		s, ok := text(it[name])
		if !ok {
			return signal.Observation{}, fmt.Errorf("%s must be a string, and is %s", name, jsonKind(it[name]))
		}
		fields[name] = s
	}
	key := first(fields, "key", "id")
	if key == "" {
		return signal.Observation{}, errors.New("key is missing; give every alert a key that stays the same from firing to resolved")
	}
	state, ok := stateWords[strings.ToLower(first(fields, "state", "status"))]
	if !ok {
		return signal.Observation{}, fmt.Errorf("state %q is none of firing, acknowledged, resolved", signal.Line(first(fields, "state", "status"), 40))
	}
	times := map[string]int64{}
	for _, name := range []string{"at", "starts_at", "ends_at"} {
		ms, err := instant(it[name])
		if err != nil {
			return signal.Observation{}, fmt.Errorf("%s: %w", name, err)
		}
		times[name] = ms
	}
	o := signal.Observation{
		Key: eventKey(key), At: at, StartsAt: times["starts_at"], EndsAt: times["ends_at"],
		Firing: state == "firing", Ack: state == "acknowledged",
		Kind: fields["kind"], Subject: fields["subject"], Title: first(fields, "title", "summary"), Reason: first(fields, "reason", "description"),
		Severity: Severity(fields["severity"]), Chain: fields["chain"], Component: fields["component"], Group: groupName(fields["group"]),
		Labels: texts(it["labels"]), Links: linkList(it["links"]), Drill: truth(fields["drill"]),
	}
	switch {
	case o.Firing && o.StartsAt == 0:
		o.StartsAt = times["at"]
	case state == "resolved" && o.EndsAt == 0:
		o.EndsAt = times["at"]
	}
	if o.Firing {
		o.EndsAt = 0
	}
	if raw := it["evidence"]; len(raw) > 0 && string(raw) != "null" {
		o.Evidence = json.RawMessage(compact(raw))
	}
	if o.Title == "" {
		o.Title = strings.TrimSpace(strings.Join([]string{o.Kind, o.Subject}, " "))
	}
	if o.Title == "" {
		o.Title = key
	}
	return o.Bounded(), nil
}
