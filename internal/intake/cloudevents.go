package intake

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-ops/tocsin/internal/signal"
)

// CloudEvent is one event, whichever way it came. Attributes are those of
// CloudEvents 1.0, required and optional, and the sender's extensions.
type CloudEvent struct {
	Attributes map[string]string
	Data       []byte // as it was before any encoding; nil for none
	JSON       bool   // Data is JSON
}

// Delivery is what makes an event the same event, so that one sent twice is
// taken once: its source and its id.
func (e CloudEvent) Delivery() string { return digest(e.Attributes["source"], e.Attributes["id"]) }

// ErrMediaType says that a delivery is no CloudEvents of any mode.
var ErrMediaType = errors.New("the media type is not taken")

// ReadCloudEvents reads a delivery in the binary, the structured JSON or the
// batched JSON mode of CloudEvents 1.0 (HTTP protocol binding 1.0.2). Every event
// is judged alone: the error joins one *BadInput for each that breaks the rules
// of the format. ErrTooLarge and ErrMediaType mean that nothing was read.
func ReadCloudEvents(header http.Header, body []byte) ([]CloudEvent, error) {
	if len(body) > MaxBody {
		return nil, fmt.Errorf("%w: %w", ErrTooLarge, bad("The body has more than %d bytes. Send fewer events at once.", MaxBody))
	}
	media, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	switch {
	case media == "application/cloudevents-batch+json":
		if err := checkBody(body); err != nil {
			return nil, err
		}
		var items []json.RawMessage
		if json.Unmarshal(body, &items) != nil || items == nil {
			return nil, bad("A batch must be a JSON list of events, and is %s.", jsonKind(body))
		}
		if len(items) > MaxItems {
			return nil, fmt.Errorf("%w: %w", ErrTooLarge, bad("The batch has %d events, at most %d are taken at once. Send it in parts.", len(items), MaxItems))
		}
		var out []CloudEvent
		var errs []error
		for i, raw := range items {
			e, err := structured(raw)
			if err != nil {
				errs = append(errs, bad("Event %d of %d: %s", i+1, len(items), err))
				continue
			}
			out = append(out, e)
		}
		return out, errors.Join(errs...)
	case media == "application/cloudevents+json":
		if err := checkBody(body); err != nil {
			return nil, err
		}
		e, err := structured(body)
		if err != nil {
			return nil, err
		}
		return []CloudEvent{e}, nil
	case strings.HasPrefix(media, "application/cloudevents"):
		return nil, fmt.Errorf("%w: %w", ErrMediaType, bad("The format %s is not taken. Send application/cloudevents+json, a batch of it, or the binary mode.", signal.Line(media, 80)))
	case header.Get("Ce-Specversion") == "" && header.Get("Ce-Id") == "":
		return nil, fmt.Errorf("%w: %w", ErrMediaType, bad("This is no CloudEvent: it has neither ce- headers nor the type application/cloudevents+json."))
	}
	e, err := binaryEvent(header, body)
	if err != nil {
		return nil, err
	}
	return []CloudEvent{e}, nil
}

var attributeName = regexp.MustCompile(`^[a-z0-9]{1,64}$`)

const maxAttributes = 64

func binaryEvent(header http.Header, body []byte) (CloudEvent, error) {
	e := CloudEvent{Attributes: map[string]string{}, Data: body}
	for name, values := range header {
		name, ok := strings.CutPrefix(strings.ToLower(name), "ce-")
		if !ok || len(values) == 0 || len(e.Attributes) == maxAttributes {
			continue
		}
		v := values[0]
		if plain, err := url.PathUnescape(v); err == nil {
			v = plain
		}
		e.Attributes[name] = strings.Trim(v, `"`)
	}
	if t := header.Get("Content-Type"); t != "" {
		e.Attributes["datacontenttype"] = t
	}
	e.JSON = isJSON(e.Attributes["datacontenttype"]) && len(body) > 0
	return e, e.check()
}

func structured(raw json.RawMessage) (CloudEvent, error) {
	var o object
	if json.Unmarshal(raw, &o) != nil || o == nil {
		return CloudEvent{}, bad("An event must be a JSON object, and is %s.", jsonKind(raw))
	}
	e := CloudEvent{Attributes: map[string]string{}}
	for name, v := range o {
		if name == "data" || name == "data_base64" || len(e.Attributes) == maxAttributes {
			continue
		}
		s, ok := text(v)
		if !ok {
			return CloudEvent{}, bad("The attribute %s must be a string, a number or a boolean, and is %s.", signal.Line(name, 64), jsonKind(v))
		}
		if s != "" {
			e.Attributes[name] = s
		}
	}
	data, plain := o["data"]
	if packed, ok := o["data_base64"]; ok {
		if plain {
			return CloudEvent{}, bad("An event has data or data_base64, not both.")
		}
		s, _ := text(packed)
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return CloudEvent{}, bad("data_base64 is not base64.")
		}
		e.Data, e.JSON = b, isJSON(e.Attributes["datacontenttype"])
	} else if plain && string(data) != "null" {
		e.Data, e.JSON = data, true
		if t := e.Attributes["datacontenttype"]; t != "" && !isJSON(t) {
			if s, ok := text(data); ok {
				e.Data, e.JSON = []byte(s), false
			}
		}
	}
	return e, e.check()
}

func isJSON(media string) bool {
	m, _, _ := mime.ParseMediaType(media)
	return media == "" || m == "application/json" || m == "text/json" || strings.HasSuffix(m, "+json")
}

// check says which rule of the format the attributes break.
func (e CloudEvent) check() error {
	a := e.Attributes
	for _, name := range []string{"id", "source", "specversion", "type"} {
		if strings.TrimSpace(a[name]) == "" {
			return bad("The attribute %s is missing. CloudEvents needs id, source, specversion and type.", name)
		}
	}
	if a["specversion"] != "1.0" {
		return bad("specversion %q is not taken; version 1.0 is.", signal.Line(a["specversion"], 20))
	}
	if _, err := url.Parse(a["source"]); err != nil {
		return bad("source %q is not a URI reference.", signal.Line(a["source"], 60))
	}
	if t := a["time"]; t != "" {
		if _, err := time.Parse(time.RFC3339Nano, t); err != nil {
			return bad("time %q is not a time as RFC 3339 writes it.", signal.Line(t, 60))
		}
	}
	for name := range a {
		if !attributeName.MatchString(name) {
			return bad("The attribute name %q is not of lower-case letters and digits.", signal.Line(name, 64))
		}
	}
	return nil
}

// Observation is what the event says of a signal. The type without a last word
// that is a state (….firing, ….resolved, see stateWords) is the kind, the subject
// what it is about; both and the source are the key, unless the data name one.
// What the data say under the names of DecodeGeneric counts more than the
// attributes: title, severity, state, reason, component, chain, group, labels,
// links. time is when it began, or ended.
func (e CloudEvent) Observation(at int64) (signal.Observation, error) {
	a := e.Attributes
	kind, state := a["type"], ""
	if i := strings.LastIndexAny(kind, "./_-"); i > 0 {
		if w, ok := stateWords[strings.ToLower(kind[i+1:])]; ok {
			kind, state = kind[:i], w
		}
	}
	item := object{}
	if e.JSON && len(e.Data) > 0 {
		var d object
		if json.Unmarshal(e.Data, &d) == nil {
			for name, v := range d {
				item[name] = v
			}
		} else if !json.Valid(e.Data) {
			return signal.Observation{}, bad("The data of event %s are said to be JSON, and are not.", signal.Line(a["id"], 60))
		}
	}
	set := func(name, value string) {
		if s, ok := text(item[name]); value != "" && (!ok || strings.TrimSpace(s) == "") {
			item[name], _ = json.Marshal(value)
		}
	}
	key := item.text("key")
	if key == "" {
		key = kind + "\x00" + a["subject"]
	}
	delete(item, "id") // the event's own is no identity of a signal
	key = digest(a["source"], key)
	item["key"], _ = json.Marshal(key)
	set("kind", kind)
	set("subject", a["subject"])
	set("subject", a["source"])
	if item.text("title") == "" && item.text("summary") == "" {
		if m := item.text("message"); m != "" {
			set("title", m)
		} else {
			set("title", strings.TrimSpace(kind+" "+a["subject"]))
		}
	}
	set("severity", a["severity"])
	if _, known := stateWords[strings.ToLower(first(map[string]string{"a": item.text("state"), "b": item.text("status")}, "a", "b"))]; !known {
		delete(item, "state") // the data use the word for something else
		delete(item, "status")
	}
	if item.text("state") == "" && item.text("status") == "" {
		set("state", state)
	}
	if item["starts_at"] == nil && item["ends_at"] == nil && item["at"] == nil {
		set("at", a["time"])
	}
	if !e.JSON && len(e.Data) > 0 && utf8.Valid(e.Data) {
		set("reason", string(e.Data))
	}
	labels := texts(item["labels"])
	if labels == nil {
		labels = map[string]string{}
	}
	for name, v := range a {
		switch name {
		case "id", "specversion", "time", "datacontenttype":
		default:
			labels["ce_"+name] = v
		}
	}
	item["labels"], _ = json.Marshal(labels)
	raw, err := json.Marshal(item)
	if err != nil {
		return signal.Observation{}, bad("The event cannot be read.")
	}
	o, err := genericItem(raw, at)
	if err != nil {
		return o, bad("Event %s: %s.", signal.Line(a["id"], 60), err)
	}
	if o.Evidence == nil && e.JSON && len(e.Data) <= signal.MaxEvidence {
		o.Evidence = json.RawMessage(compact(e.Data))
	}
	return o.Bounded(), nil
}

// DecodeCloudEvents reads a delivery into observations; see ReadCloudEvents.
// delivered[i] is the Delivery of obs[i].
func DecodeCloudEvents(header http.Header, body []byte, at int64) (obs []signal.Observation, delivered []string, err error) {
	events, err := ReadCloudEvents(header, body)
	errs := []error{err}
	for _, e := range events {
		o, err := e.Observation(at)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		obs, delivered = append(obs, o), append(delivered, e.Delivery())
	}
	return obs, delivered, errors.Join(errs...)
}

// AllowedRate is what the handshake of a CloudEvents webhook grants, in requests a minute.
const AllowedRate = PerSecond * 60
