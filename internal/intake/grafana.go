package intake

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/signal"
)

// DecodeGrafana reads the webhook of Grafana's alerting: the unified form, which
// is Alertmanager's with links and values beside, and the legacy form of one rule
// a message. It is as tolerant as DecodeAlertmanager, whose errors it gives. A
// rule of the legacy form that is pending or paused says nothing.
func DecodeGrafana(body []byte, at int64) ([]signal.Observation, error) {
	top, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	if _, unified := top["alerts"]; !unified && (top["ruleId"] != nil || top["ruleName"] != nil) {
		return legacyRule(top, at)
	}
	var alerts []json.RawMessage
	if raw, ok := top["alerts"]; !ok || json.Unmarshal(raw, &alerts) != nil {
		return nil, bad(`This is not a Grafana webhook: "alerts" must be a list, and is %s.`, jsonKind(raw))
	}
	if len(alerts) > MaxAlerts {
		return nil, fmt.Errorf("%w: %w", ErrTooLarge, bad("The delivery has %d alerts, at most %d are taken. Set Max Alerts in Grafana's contact point.", len(alerts), MaxAlerts))
	}
	g := group{key: top.text("groupKey"), status: top.text("status"), at: at, external: top.text("externalURL"), sender: "Grafana"}
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
		obs = append(obs, grafanaParts(o, raw))
	}
	return obs, errors.Join(errs...)
}

// grafanaParts adds what Grafana says of an alert beside Alertmanager's fields.
func grafanaParts(o signal.Observation, raw json.RawMessage) signal.Observation {
	var a object
	_ = json.Unmarshal(raw, &a)
	for _, l := range []struct{ field, text string }{{"panelURL", "Panel"}, {"dashboardURL", "Dashboard"}, {"silenceURL", "Silence in Grafana"}, {"imageURL", "Image"}} {
		if u := a.text(l.field); u != "" {
			o.Links = append(o.Links, signal.Link{Text: l.text, URL: u})
		}
	}
	found := texts(o.Evidence)
	if found == nil {
		found = map[string]string{}
	}
	for name, v := range texts(a["values"]) {
		found["value "+name] = v
	}
	if v := a.text("valueString"); v != "" {
		found["values"] = v
	}
	o.Evidence = evidence(found)
	return o.Bounded()
}

func legacyRule(top object, at int64) ([]signal.Observation, error) {
	id := top.text("ruleId")
	if id == "" || id == "0" { // a test of the contact point has none
		id = top.text("ruleName")
	}
	tags := texts(top["tags"])
	o := signal.Observation{
		Key: "rule " + digest(top.text("orgId"), id), At: at, Kind: top.text("ruleName"), Title: top.text("title"), Reason: top.text("message"),
		Severity: Severity(first(tags, "severity", "priority", "level")), Chain: first(tags, "chain", "blockchain"),
		Component: first(tags, "component", "service", "job"), Labels: tags, Drill: truth(tags["drill"]),
	}
	switch state := top.text("state"); state {
	case "alerting", "no_data":
		o.Firing = true
	case "ok":
	case "pending", "paused", "unknown":
		return nil, nil
	default:
		return nil, bad("The state %q of the rule is none of alerting, no_data, ok, pending and paused.", signal.Line(state, 40))
	}
	for _, l := range []struct{ field, text string }{{"ruleUrl", "Rule"}, {"imageUrl", "Image"}} {
		if u := top.text(l.field); u != "" {
			o.Links = append(o.Links, signal.Link{Text: l.text, URL: u})
		}
	}
	if raw := top["evalMatches"]; len(raw) > 0 && string(raw) != "null" {
		o.Evidence = json.RawMessage(compact(raw))
	}
	return []signal.Observation{o.Bounded()}, nil
}

// The headers of a signed Grafana webhook. The name of the first is Grafana's
// default, which was another one at first; the second has no default, so these
// are the names that we tell people to use.
var (
	signatureHeaders = []string{"X-Grafana-Alerting-Signature", "X-Grafana-Alert-Signature"}
	timestampHeaders = []string{"X-Grafana-Alerting-Timestamp", "X-Grafana-Alerting-Signature-Timestamp", "X-Grafana-Alert-Timestamp"}
)

// TimestampHeader is what the configuration of Grafana should name.
const TimestampHeader = "X-Grafana-Alerting-Timestamp"

// mostSkew is how far the time of a signature may be off.
const mostSkew = 5 * time.Minute

// checkSignature says whether a delivery was signed with secret: the header is
// the hex HMAC-SHA256 of the body, or of "<unix seconds>:<body>" when a time is
// sent (grafana/alerting, http/hmac.go). A time that was taken away or changed
// breaks the signature, so a delivery with a time cannot be sent again later.
// Without a secret nothing is signed: anybody can make the HMAC of no key.
func checkSignature(secret []byte, header http.Header, body []byte, at time.Time) error {
	if len(secret) == 0 {
		return bad("This source takes signed deliveries only, and its secret is missing here. Set the secret of the source again, the same as in Grafana's contact point.")
	}
	var sig, stamp string
	for _, name := range signatureHeaders {
		if sig == "" {
			sig = header.Get(name)
		}
	}
	for _, name := range timestampHeaders {
		if stamp == "" {
			stamp = header.Get(name)
		}
	}
	if sig == "" {
		return bad("This source takes signed deliveries only, and this one has no header %s. Set the HMAC secret in Grafana's contact point.", signatureHeaders[0])
	}
	mac := hmac.New(sha256.New, secret)
	if stamp != "" {
		_, _ = mac.Write([]byte(stamp + ":"))
	}
	_, _ = mac.Write(body)
	got, err := hex.DecodeString(strings.TrimSpace(sig))
	if err != nil || !hmac.Equal(got, mac.Sum(nil)) {
		return bad("The signature does not fit. The HMAC secret of Grafana's contact point is not that of this source; a timestamp header must be called %s.", TimestampHeader)
	}
	if stamp != "" {
		sec, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil || time.Unix(sec, 0).Sub(at).Abs() > mostSkew {
			return bad("The signature is more than %d minutes old, or the clocks of Grafana and Tocsin differ by that much.", int(mostSkew/time.Minute))
		}
	}
	return nil
}
