package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/heartbeat"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// Delivery is what became of the newest delivery of a source, here on this
// replica, since it started. It is in memory only: the log never has a raw body.
type Delivery struct {
	At       int64 // unix ms
	Status   int
	Accepted int
	// Problem is why it was refused, or the first part that could not be read,
	// as a sentence; ProblemAt is when, also after deliveries that went well.
	Problem   string
	ProblemAt int64
	Refused   int64 // deliveries refused since the start
	// Body is the newest body, whole; nil when it was longer than 32 KiB.
	Body []byte
}

const (
	maxNotes    = 2 * maxSources
	sampleBytes = 8 << 20 // of all bodies that are kept
)

// notes are the newest deliveries by source. Full, it forgets some source.
type notes struct {
	mu    sync.Mutex
	by    map[string]Delivery
	bytes int
}

func (g *Gate) note(source string, a Arrival, r Reply, good, unread int) {
	n := &g.notes
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.by == nil {
		n.by = map[string]Delivery{}
	}
	d := n.by[source]
	n.bytes -= len(d.Body)
	d.At, d.Status, d.Accepted, d.Body = a.At.UnixMilli(), r.Status, good, nil
	if a.Kind != Heartbeat {
		d.Body = sampleOf(a.Body)
	}
	said := ""
	switch b := r.Body.(type) {
	case Problem:
		said = b.Detail
	case PagerDutyReply:
		said = strings.Join(b.Errors, ", ")
	case Accepted:
		if unread > 0 && len(b.Problems) > 0 {
			said = b.Problems[0]
		}
	}
	if said != "" {
		d.Problem, d.ProblemAt = signal.Line(said, 400), d.At
	}
	if r.Status >= 400 {
		d.Refused++
	}
	n.bytes += len(d.Body)
	n.by[source] = d
	for id, old := range n.by {
		if n.bytes <= sampleBytes && len(n.by) <= maxNotes {
			break
		}
		if id == source {
			continue
		}
		n.bytes -= len(old.Body)
		if old.Body = nil; len(n.by) > maxNotes {
			delete(n.by, id)
		} else {
			n.by[id] = old
		}
	}
}

// Newest is what became of the newest delivery of a source; the zero Delivery
// when none came to this replica since it started.
func (g *Gate) Newest(source string) Delivery {
	g.notes.mu.Lock()
	defer g.notes.mu.Unlock()
	return g.notes.by[source]
}

// recent are the newest deliveries of one source, by name. What is older than
// keptIDs of them, or from before the start, is told apart by the events' times.
type recent struct {
	ring []string
	next int
	has  map[string]bool
}

const keptIDs = 2000

// unseen leaves out what was delivered already, here or earlier in the list.
func (g *Gate) unseen(source string, obs []signal.Observation, delivered []string) []signal.Observation {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, here := g.ids[source], map[string]bool{}
	out := make([]signal.Observation, 0, len(obs))
	for i, o := range obs {
		id := delivered[i]
		if here[id] || r != nil && r.has[id] {
			continue
		}
		here[id] = true
		out = append(out, o)
	}
	return out
}

// saw remembers deliveries that are durable.
func (g *Gate) saw(source string, delivered []string) {
	if len(delivered) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.ids[source]
	if r == nil {
		r = &recent{has: map[string]bool{}}
		g.ids[source] = r
	}
	for _, id := range delivered {
		if r.has[id] {
			continue
		}
		if len(r.ring) < keptIDs {
			r.ring = append(r.ring, id)
		} else {
			delete(r.has, r.ring[r.next])
			r.ring[r.next] = id
			r.next = (r.next + 1) % keptIDs
		}
		r.has[id] = true
	}
}

// Beats takes the beats of sources of kind heartbeat. The error says that the
// beat may be known to this replica only, so the sender should send again.
type Beats func(ctx context.Context, src Source, b heartbeat.Beat) error

// HearWith tells the gate who takes beats. Call it before the first Handle.
func (g *Gate) HearWith(beats Beats) { g.beats = beats }

// beat takes one beat. The body is empty, or {"state": "ok"|"failing", "reason"}.
func (g *Gate) beat(ctx context.Context, a Arrival) Reply {
	src, r, ok := g.known(ctx, a)
	if !ok {
		return r
	}
	b := heartbeat.Beat{At: a.At.UnixMilli()}
	var wrong error
	if len(strings.TrimSpace(string(a.Body))) > 0 {
		var o object
		if o, wrong = parseObject(a.Body); wrong == nil {
			switch state := strings.ToLower(o.text("state")); stateWords[state] {
			case "firing":
				b.Failing = state != ""
			case "resolved":
			default:
				if b.Failing = state == "failing" || state == "fail" || state == "error"; !b.Failing {
					wrong = bad("state %q is neither ok nor failing.", signal.Line(state, 40))
				}
			}
			b.Reason = signal.Line(o.text("reason"), 300)
		}
	}
	switch {
	case wrong != nil:
		r = problem(http.StatusBadRequest, 0, sentences(wrong)[0])
	case g.beats == nil:
		r = problem(http.StatusServiceUnavailable, time.Minute, "Heartbeats are not taken here.")
	default:
		if err := g.beats(ctx, src, b); err != nil {
			r = g.down(ctx, src.ID, err)
		} else {
			r = Reply{Status: http.StatusAccepted, Position: -1, Body: Heard{Status: "heard", Every: heartbeat.Span(src.Pace.Every)}}
		}
	}
	g.note(src.ID, a, r, 1, 0)
	return r
}

// Heard is the body of an answered beat.
type Heard struct {
	Status string `json:"status"` // "heard"
	Every  string `json:"expected_every"`
}

// Change is the way in of PagerDuty's change events.
const Change = "pagerduty-change"

// change takes a PagerDuty change event: something was deployed or switched. It
// becomes a signal of SEV5 that is over at once, so that it is shown beside the
// others and raises nothing.
func (g *Gate) change(ctx context.Context, header http.Header, body []byte, at time.Time) Reply {
	key, o, err := decodeChange(body, at.UnixMilli())
	if key == "" {
		key = header.Get("X-Routing-Key")
	}
	if err != nil {
		return invalidEvent(http.StatusBadRequest, sentences(err)...)
	}
	src, err := g.sources.ByKey(ctx, key)
	if err != nil || src.Kind != PagerDuty {
		return invalidEvent(http.StatusBadRequest, "Invalid routing key")
	}
	if wait := g.wait(src.ID, at); wait > 0 {
		return Reply{Status: http.StatusTooManyRequests, RetryAfter: wait, Position: -1, Body: PagerDutyReply{Status: "throttle exceeded", Message: "Requests for this service are arriving too quickly.  Please retry later."}}
	}
	over := o
	over.Firing, over.EndsAt = false, o.StartsAt
	pos, err := g.desk.Submit(ctx, src.ID, src.Actor(), []signal.Observation{o, over})
	if err != nil {
		r := g.down(ctx, src.ID, err)
		r.Body = PagerDutyReply{Status: "error", Message: r.Body.(Problem).Detail}
		return r
	}
	r := Reply{Status: http.StatusAccepted, Position: pos, Body: PagerDutyReply{Status: "success", Message: "Change event processed"}}
	g.note(src.ID, Arrival{Kind: PagerDuty, At: at, Body: body}, r, 1, 0)
	return r
}

func decodeChange(body []byte, at int64) (key string, o signal.Observation, err error) {
	top, err := parseObject(body)
	if err != nil {
		return "", o, err
	}
	key = strings.TrimSpace(top.text("routing_key"))
	var p object
	if json.Unmarshal(top["payload"], &p) != nil || strings.TrimSpace(p.text("summary")) == "" {
		return key, o, bad("'payload.summary' is missing or blank")
	}
	o = signal.Observation{
		Key: "change " + digest(compact(body)), Kind: "change", Title: p.text("summary"), Subject: p.text("source"), Severity: signal.SEV5, Firing: true, At: at,
		Links: linkList(top["links"]), Evidence: evidence(texts(p["custom_details"])),
	}
	if o.StartsAt, _ = instant(p["timestamp"]); o.StartsAt == 0 {
		o.StartsAt = at
	}
	if len(top["images"]) > 0 {
		o.Links = append(o.Links, linkList(top["images"])...)
	}
	return key, o.Bounded(), nil
}

// Handshake answers the question of a CloudEvents webhook whether it may deliver
// here: the origin and the rate that are allowed. ok is false for a key that
// opens nothing, which allows nobody.
func (g *Gate) Handshake(ctx context.Context, kind, key, origin string) (allowed, rate string, ok bool) {
	src, err := g.sources.ByKey(ctx, key)
	if err != nil || src.Kind != kind || strings.TrimSpace(origin) == "" {
		return "", "", false
	}
	return signal.Line(origin, 200), fmt.Sprint(AllowedRate), true
}
