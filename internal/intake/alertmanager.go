package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"

	"github.com/tocsin-ops/tocsin/internal/signal"
)

// LabelTruncated is the label that says how many alerts of its group an alert's
// sender left out (truncatedAlerts).
const LabelTruncated = "tocsin_alerts_truncated"

// DecodeAlertmanager reads Alertmanager's webhook, version 4. at is when it
// came, unix ms.
//
// The key of an alert is its fingerprint within its group (without fingerprint:
// the digest of all its labels), never its text. Unknown and missing fields are
// tolerated. Every alert is judged alone: the error joins one *BadInput for each
// alert that could not be read, and the observations are the others. Only
// without observations is the whole delivery bad; ErrTooLarge means that nothing
// was read.
func DecodeAlertmanager(body []byte, at int64) ([]signal.Observation, error) {
	top, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	var alerts []json.RawMessage
	if raw, ok := top["alerts"]; !ok || json.Unmarshal(raw, &alerts) != nil {
		return nil, bad(`This is not an Alertmanager webhook: "alerts" must be a list, and is %s.`, jsonKind(raw))
	}
	if len(alerts) > MaxAlerts {
		return nil, fmt.Errorf("%w: %w", ErrTooLarge, bad("The delivery has %d alerts, at most %d are taken. Set max_alerts in Alertmanager's webhook_configs.", len(alerts), MaxAlerts))
	}
	g := group{
		key: top.text("groupKey"), status: top.text("status"), at: at,
		external: top.text("externalURL"), sender: "Alertmanager",
	}
	if n, err := strconv.Atoi(top.text("truncatedAlerts")); err == nil && n > 0 {
		g.truncated = n
	}
	var obs []signal.Observation
	var errs []error
	for i, raw := range alerts {
		o, err := g.alert(raw)
		if err != nil {
			errs = append(errs, bad("Alert %d of %d: %s.", i+1, len(alerts), err))
			continue
		}
		obs = append(obs, o)
	}
	return obs, errors.Join(errs...)
}

type group struct {
	key, status, external, sender string
	truncated                     int
	at                            int64
}

var plainFingerprint = regexp.MustCompile(`^[0-9A-Za-z_.-]{1,64}$`)

// linked are the annotations that are shown as links.
var linked = []struct{ annotation, text string }{
	{"runbook_url", "Runbook"}, {"runbook", "Runbook"}, {"dashboard_url", "Dashboard"}, {"dashboard", "Dashboard"},
}

func (g group) alert(raw json.RawMessage) (signal.Observation, error) {
	var a object
	if json.Unmarshal(raw, &a) != nil || a == nil {
		return signal.Observation{}, fmt.Errorf("it must be an object, and is %s", jsonKind(raw))
	}
	labels, notes := texts(a["labels"]), texts(a["annotations"])
	mark := a.text("fingerprint")
	switch {
	case mark == "" && len(labels) == 0:
		return signal.Observation{}, errors.New("it has neither labels nor a fingerprint, so it cannot be told from others")
	case mark == "":
		mark = digestOf(labels)
	case !plainFingerprint.MatchString(mark):
		mark = digest(mark)
	}
	// Times that cannot be read are unknown: the alert counts more than its form.
	starts, _ := instant(a["startsAt"])
	ends, _ := instant(a["endsAt"])
	o := signal.Observation{
		Key: mark + "@" + digest(g.key)[:16], Group: groupName(g.key), At: g.at, StartsAt: starts,
		Kind:      first(labels, "alertname"),
		Subject:   first(labels, "instance", "node", "pod", "host", "service", "job"),
		Title:     first(notes, "summary", "title", "message", "description"),
		Reason:    first(notes, "description", "message"),
		Severity:  Severity(first(labels, "severity", "priority", "level")),
		Chain:     first(labels, "chain", "blockchain"),
		Component: first(labels, "component", "service", "job"),
		Drill:     truth(labels["drill"]),
	}
	if o.Title == "" {
		o.Title = o.Kind
	}
	status := a.text("status")
	if status == "" {
		status = g.status
	}
	switch status {
	case "firing":
		o.Firing = true
	case "resolved":
		o.EndsAt = ends
	case "":
		// Alertmanager sends an end only with a resolve.
		if o.Firing = ends == 0 || ends > g.at; !o.Firing {
			o.EndsAt = ends
		}
	default:
		return signal.Observation{}, fmt.Errorf("its status %q is neither firing nor resolved", signal.Line(status, 40))
	}
	o.Links = g.links(a, notes)
	for _, used := range []string{"summary", "description", "runbook_url", "dashboard_url"} {
		delete(notes, used)
	}
	o.Evidence = evidence(notes)
	if g.truncated > 0 {
		labels = maps.Clone(labels)
		if labels == nil {
			labels = map[string]string{}
		}
		labels[LabelTruncated] = strconv.Itoa(g.truncated)
	}
	o.Labels = labels
	return o.Bounded(), nil
}

// groupName keeps long group keys apart, which cutting them would not.
func groupName(key string) string {
	if len(key) > signal.MaxGroup {
		return "group " + digest(key)
	}
	return key
}

func (g group) links(a object, notes map[string]string) []signal.Link {
	var links []signal.Link
	for _, l := range linked {
		if u := notes[l.annotation]; u != "" {
			links = append(links, signal.Link{Text: l.text, URL: u})
		}
	}
	if u := a.text("generatorURL"); u != "" {
		links = append(links, signal.Link{Text: "Source", URL: u})
	}
	if g.external != "" {
		links = append(links, signal.Link{Text: g.sender, URL: g.external})
	}
	return links
}
