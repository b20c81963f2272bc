package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// Rate at which one source may deliver; above it is answered with 429.
const (
	PerSecond = 50
	Burst     = 200
)

const shownProblems = 20

// maxSample is how many bytes of a body are kept as a sample; of a longer one nothing is.
const maxSample = 32 << 10

// Reply is the answer to one delivery, in the words of the sender's protocol.
type Reply struct {
	Status int
	// Body is written as JSON; its type is ProblemType when Problem is set.
	Body any
	// RetryAfter is for the header of that name; 0 leaves it out.
	RetryAfter time.Duration
	// Position is the offset of the source's newest event after an accepted
	// delivery, else -1.
	Position int64
}

// Accepted is the body of an accepted delivery. Problems says which parts could
// not be read, if any; the others are durable.
type Accepted struct {
	Status   string   `json:"status"` // "accepted"
	Accepted int      `json:"accepted"`
	Position int64    `json:"position"`
	Problems []string `json:"problems,omitempty"`
}

// Problem is a refusal as RFC 9457 has it.
type Problem struct {
	Type     string   `json:"type"` // "about:blank"
	Title    string   `json:"title"`
	Status   int      `json:"status"`
	Detail   string   `json:"detail"`
	Code     string   `json:"code"`
	Problems []string `json:"problems,omitempty"`
}

// problemCodes are the stable words for programs.
var problemCodes = map[int]string{
	http.StatusBadRequest: "bad_delivery", http.StatusUnauthorized: "unknown_key", http.StatusForbidden: "wrong_kind", http.StatusNotFound: "unknown_kind",
	http.StatusRequestEntityTooLarge: "body_too_large", http.StatusTooManyRequests: "too_many", http.StatusServiceUnavailable: "unavailable",
}

// PagerDutyReply is every answer of PagerDuty's Events v2.
type PagerDutyReply struct {
	Status   string   `json:"status"`
	Message  string   `json:"message"`
	DedupKey string   `json:"dedup_key,omitempty"`
	Errors   []string `json:"errors,omitempty"`
}

// Gate answers deliveries: it knows the source by its key, keeps the limits,
// decodes, and hands in at the desk.
type Gate struct {
	desk    *Desk
	sources *Sources
	log     *slog.Logger

	mu    sync.Mutex
	rates map[string]*rate.Limiter // by source id: at most maxSources are active
	notes notes
	ids   map[string]*recent // deliveries of sources of kind cloudevents

	beats Beats
}

// NewGate returns a gate before desk.
func NewGate(desk *Desk, sources *Sources, log *slog.Logger) *Gate {
	return &Gate{desk: desk, sources: sources, log: log, rates: map[string]*rate.Limiter{}, ids: map[string]*recent{}}
}

// Handle takes one delivery. kind is the kind of the address it came to, key the
// source's key: from the address, or for PagerDuty "" (it is in the body or in
// the header X-Routing-Key). at is when it came. The caller reads at most
// MaxBody+1 bytes of the body. An accepted delivery is durable when Handle
// returns. 5xx and 429 mean "send again", other 4xx "sending again is no use".
func (g *Gate) Handle(ctx context.Context, kind, key string, header http.Header, body []byte, at time.Time) Reply {
	d := Arrival{Kind: kind, Key: key, Header: header, Body: body, At: at}
	switch kind {
	case Alertmanager, Grafana, Generic, CloudEvents:
		return g.plain(ctx, d)
	case Heartbeat:
		return g.beat(ctx, d)
	case PagerDuty:
		return g.pagerDuty(ctx, key, header, body, at)
	case Change:
		return g.change(ctx, header, body, at)
	case Metrics:
		return problem(http.StatusNotFound, 0, "Samples come in at /api/v1/write (Prometheus remote write) and /v1/metrics (OpenTelemetry), not here.")
	}
	return problem(http.StatusNotFound, 0, "There is no such way in. There are alertmanager, grafana, pagerduty, cloudevents, generic and heartbeat.")
}

// Arrival is one delivery as it came.
type Arrival struct {
	Kind, Key string
	Header    http.Header
	Body      []byte
	At        time.Time
}

// known finds the source of an arrival; ok is false when the reply is the answer.
func (g *Gate) known(ctx context.Context, a Arrival) (src Source, r Reply, ok bool) {
	src, err := g.sources.ByKey(ctx, a.Key)
	switch {
	case errors.Is(err, ErrUnknownKey):
		return src, problem(http.StatusUnauthorized, 0, "The key in this address belongs to no source, or was revoked. Make a source and send to the address that it shows."), false
	case err != nil:
		return src, g.down(ctx, "", err), false
	case src.Kind != a.Kind:
		return src, problem(http.StatusForbidden, 0, fmt.Sprintf("The key in this address belongs to a source of kind %s, not %s.", src.Kind, a.Kind)), false
	}
	if wait := g.wait(src.ID, a.At); wait > 0 {
		return src, problem(http.StatusTooManyRequests, wait, fmt.Sprintf("More than %d deliveries a second came from this source. Send again later.", PerSecond)), false
	}
	if src.Signed {
		secret, err := g.sources.secret(ctx, src.ID)
		if err != nil {
			return src, g.down(ctx, src.ID, err), false
		}
		if err := checkSignature(secret, a.Header, a.Body, a.At); err != nil {
			r := refused(http.StatusUnauthorized, "wrong_signature", err.Error())
			g.note(src.ID, a, r, 0, 0)
			return src, r, false
		}
	}
	return src, Reply{}, true
}

func refused(status int, code, detail string) Reply {
	r := problem(status, 0, detail)
	p := r.Body.(Problem)
	p.Code = code
	r.Body = p
	return r
}

// plain takes a delivery of one of the kinds that answer alike.
func (g *Gate) plain(ctx context.Context, a Arrival) Reply {
	src, r, ok := g.known(ctx, a)
	if !ok {
		return r
	}
	obs, delivered, err := g.decode(src, a)
	problems := sentences(err)
	bad := len(problems)
	switch {
	case errors.Is(err, ErrTooLarge):
		r = problem(http.StatusRequestEntityTooLarge, 0, problems[len(problems)-1])
	case errors.Is(err, ErrMediaType):
		r = refused(http.StatusUnsupportedMediaType, "bad_media_type", problems[0])
	case err != nil && len(obs) == 0:
		r = problem(http.StatusBadRequest, 0, problems[0])
		if len(problems) > 1 {
			p := r.Body.(Problem)
			p.Problems = shorten(problems)
			r.Body = p
		}
	default:
		r = g.submit(ctx, src, obs, delivered, problems)
	}
	g.note(src.ID, a, r, len(obs), bad)
	return r
}

// decode reads a delivery in the way of its source. delivered names each
// observation's delivery, when the format has such names.
func (g *Gate) decode(src Source, a Arrival) (obs []signal.Observation, delivered []string, err error) {
	at := a.At.UnixMilli()
	switch {
	case src.Kind == Alertmanager:
		obs, err = DecodeAlertmanager(a.Body, at)
	case src.Kind == Grafana:
		obs, err = DecodeGrafana(a.Body, at)
	case src.Kind == CloudEvents:
		return DecodeCloudEvents(a.Header, a.Body, at)
	case src.compiled != nil:
		obs, err = src.compiled.Decode(a.Body, at, time.Now)
	case src.Mapping != nil:
		err = bad("The mapping of this source cannot be used any more. Open it on the Sources page and save it again.")
	default:
		obs, err = DecodeGeneric(a.Body, at)
	}
	return obs, nil, err
}

func (g *Gate) submit(ctx context.Context, src Source, obs []signal.Observation, delivered, problems []string) Reply {
	if len(problems) > 0 {
		g.log.WarnContext(ctx, "parts of a delivery could not be read", "source", src.ID, "bad", len(problems), "good", len(obs), "first", problems[0])
	}
	accepted := len(obs)
	if delivered != nil {
		obs = g.unseen(src.ID, obs, delivered)
	}
	pos, err := g.desk.Submit(ctx, src.ID, src.Actor(), obs)
	if err != nil {
		return g.down(ctx, src.ID, err)
	}
	g.saw(src.ID, delivered)
	return Reply{Status: http.StatusAccepted, Position: pos, Body: Accepted{Status: "accepted", Accepted: accepted, Position: pos, Problems: shorten(problems)}}
}

func (g *Gate) pagerDuty(ctx context.Context, key string, header http.Header, body []byte, at time.Time) Reply {
	event, err := DecodePagerDuty(body, at.UnixMilli(), strings.ReplaceAll(uuid.NewString(), "-", ""))
	if key == "" {
		key = event.RoutingKey
	}
	if key == "" {
		key = header.Get("X-Routing-Key")
	}
	var invalid *InvalidEvent
	switch {
	case errors.Is(err, ErrTooLarge):
		return invalidEvent(http.StatusRequestEntityTooLarge, "Event object is too large (maximum is 1 MiB)")
	case errors.As(err, &invalid):
		r := invalidEvent(http.StatusBadRequest, invalid.Errors...)
		if src, err := g.sources.ByKey(ctx, key); err == nil && src.Kind == PagerDuty {
			g.note(src.ID, Arrival{Kind: PagerDuty, At: at, Body: body}, r, 0, 1)
		}
		return r
	case err != nil:
		return invalidEvent(http.StatusBadRequest, sentences(err)...)
	}
	src, err := g.sources.ByKey(ctx, key)
	if err == nil && src.Kind != PagerDuty || errors.Is(err, ErrUnknownKey) {
		return invalidEvent(http.StatusBadRequest, "Invalid routing key")
	}
	if err == nil {
		if wait := g.wait(src.ID, at); wait > 0 {
			return Reply{Status: http.StatusTooManyRequests, RetryAfter: wait, Position: -1, Body: PagerDutyReply{
				Status: "throttle exceeded", Message: "Requests for this service are arriving too quickly.  Please retry later.",
			}}
		}
		var pos int64
		if pos, err = g.desk.Submit(ctx, src.ID, src.Actor(), []signal.Observation{event.Observation}); err == nil {
			r := Reply{Status: http.StatusAccepted, Position: pos, Body: PagerDutyReply{Status: "success", Message: "Event processed", DedupKey: event.DedupKey}}
			g.note(src.ID, Arrival{Kind: PagerDuty, At: at, Body: body}, r, 1, 0)
			return r
		}
	}
	r := g.down(ctx, src.ID, err)
	r.Body = PagerDutyReply{Status: "error", Message: r.Body.(Problem).Detail}
	return r
}

// wait takes one delivery out of the source's allowance, or says how long to
// wait for the next, in whole seconds.
func (g *Gate) wait(source string, at time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.rates[source]
	if l == nil {
		l = rate.NewLimiter(PerSecond, Burst)
		g.rates[source] = l
	}
	if l.AllowN(at, 1) {
		return 0
	}
	missing := 1 - l.TokensAt(at)
	return time.Duration(max(1, math.Ceil(missing/PerSecond))) * time.Second
}

// down is the answer when the delivery could not be made durable.
func (g *Gate) down(ctx context.Context, source string, err error) Reply {
	if ctx.Err() == nil {
		g.log.ErrorContext(ctx, "a delivery was not stored", "source", source, "err", err)
	}
	after := 5 * time.Second
	if errors.Is(err, eventlog.ErrBusy) || errors.Is(err, ErrContended) {
		after = time.Second
	}
	return problem(http.StatusServiceUnavailable, after, "The delivery could not be stored just now. Send it again; nothing is counted twice.")
}

func problem(status int, after time.Duration, detail string) Reply {
	return Reply{Status: status, RetryAfter: after, Position: -1, Body: Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Code: problemCodes[status]}}
}

func invalidEvent(status int, errs ...string) Reply {
	return Reply{Status: status, Position: -1, Body: PagerDutyReply{Status: "invalid event", Message: "Event object is invalid", Errors: errs}}
}

// sentences lists the *BadInput in err, in order.
func sentences(err error) []string {
	switch e := err.(type) {
	case nil:
		return nil
	case *BadInput:
		return []string{e.Sentence}
	case interface{ Unwrap() []error }:
		var out []string
		for _, part := range e.Unwrap() {
			out = append(out, sentences(part)...)
		}
		return out
	}
	return sentences(errors.Unwrap(err))
}

func shorten(problems []string) []string {
	if len(problems) <= shownProblems {
		return problems
	}
	return append(problems[:shownProblems:shownProblems], fmt.Sprintf("And %d more.", len(problems)-shownProblems))
}
