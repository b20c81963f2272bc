package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/metrics"
)

// Samples from outside: Prometheus' remote write and OTLP/HTTP. The key of a
// source of kind metrics is in the address, or a Bearer token.

const (
	mostArriving = 64 << 20 // bytes of deliveries in memory before they are decoded
	arriveStep   = 256 << 10
	deliverIn    = 30 * time.Second // including the wait to be decoded
	mostSenders  = 2000             // kept ways in; beyond, those of revoked sources go
	sayEvery     = time.Minute      // in the operator's log, for one source
)

// inbox is what the server keeps of those who send samples.
type inbox struct {
	arriving atomic.Int64

	mu   sync.Mutex
	byID map[string]*way
}

type way struct {
	*metrics.Sender
	name string
	said time.Time // guarded by inbox.mu
}

// bodyLimit is how large the body of a request to a route may be.
func bodyLimit(route string) int64 {
	if strings.HasPrefix(route, "/api/v1/write") || strings.HasPrefix(route, "/v1/metrics") {
		return metrics.MaxDelivery
	}
	return maxBody
}

// refused is why a delivery was not taken, before the words of a protocol.
type refused struct {
	status int // of HTTP
	code   int // of gRPC, for OTLP
	text   string
	after  int // seconds, for Retry-After
}

var (
	refusedKey    = &refused{http.StatusUnauthorized, 16, "This key belongs to no source, or was revoked. Make a source of kind metrics under Sources and send with its key.", 0}
	refusedKind   = &refused{http.StatusForbidden, 7, "This key belongs to a source that sends alerts, not metrics. Make a source of kind metrics under Sources.", 0}
	refusedStore  = &refused{http.StatusServiceUnavailable, 14, "The samples could not be stored just now. Send them again.", 5}
	refusedCrowd  = &refused{http.StatusServiceUnavailable, 14, "Too much arrives at this moment. Send it again.", 1}
	refusedSize   = &refused{http.StatusRequestEntityTooLarge, 3, "The delivery is larger than 16 MiB. Send smaller batches.", 0}
	refusedBroken = &refused{http.StatusBadRequest, 3, "The body of the delivery could not be read to its end. Send it again.", 0}
)

// deliver reads and judges one delivery: who sends is known before a byte of the
// body is read. At its end either of the two is nil.
func (s *Server) deliver(c *call, take func(ctx context.Context, x *metrics.Sender, body []byte) (metrics.Receipt, error)) (*metrics.Receipt, *refused) {
	ctx, cancel := context.WithTimeout(c.ctx(), deliverIn)
	defer cancel()
	key := c.Param("key")
	if scheme, token, _ := strings.Cut(c.Request().Header.Get("Authorization"), " "); key == "" && strings.EqualFold(scheme, "Bearer") {
		key = strings.TrimSpace(token)
	}
	src, err := s.Sources.ByKey(ctx, key)
	switch {
	case errors.Is(err, intake.ErrUnknownKey):
		return nil, refusedKey
	case err != nil:
		s.Logger.Error("who sends samples could not be looked up", "err", err)
		return nil, refusedStore
	case src.Kind != intake.Metrics:
		return nil, refusedKind
	}
	x := s.inbox.way(s, src)
	body, held, no := s.inbox.read(c.Request().Body)
	defer s.inbox.arriving.Add(-held)
	if no != nil {
		return nil, no
	}
	r, err := take(ctx, x.Sender, body)
	switch {
	case errors.Is(err, metrics.ErrMedia):
		return nil, &refused{status: http.StatusUnsupportedMediaType, code: 3, text: plainly(err)}
	case errors.Is(err, metrics.ErrDelivery):
		s.say(x, src, plainly(err))
		return nil, &refused{status: http.StatusBadRequest, code: 3, text: plainly(err)}
	case ctx.Err() != nil:
		return nil, refusedCrowd
	case err != nil:
		s.Logger.Error("samples were not stored", "source", src.ID, "err", err)
		return nil, refusedStore
	}
	if r.Refused > 0 {
		s.say(x, src, r.Sentence())
	}
	return &r, nil
}

// plainly is an error's text as one.
func plainly(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + strings.ReplaceAll(text[1:], "\n", " ") + "."
}

// say puts a refusal into the operator's log, once a minute for each source.
func (s *Server) say(x *way, src intake.Source, text string) {
	now := s.time()
	s.inbox.mu.Lock()
	quiet := now.Sub(x.said) < sayEvery
	if !quiet {
		x.said = now
	}
	s.inbox.mu.Unlock()
	if !quiet {
		s.Logger.Warn("samples were refused", "source", src.ID, "name", src.Name, "why", text)
	}
}

// way is the way in of a source, made when it sends for the first time.
func (b *inbox) way(s *Server, src intake.Source) *way {
	b.mu.Lock()
	defer b.mu.Unlock()
	if x := b.byID[src.ID]; x != nil && x.name == src.Name {
		return x
	}
	if b.byID == nil {
		b.byID = map[string]*way{}
	}
	for id := range b.byID {
		if len(b.byID) < mostSenders {
			break
		}
		if known, ok := s.Sources.ByID(id); !ok || known.RevokedAt != 0 {
			delete(b.byID, id)
		}
	}
	x := &way{Sender: s.Metrics.Sender(src.Name, s.SeriesPerSource), name: src.Name}
	b.byID[src.ID] = x
	return x
}

// read takes the body in. held is what it occupies until the caller gives it back.
func (b *inbox) read(from io.Reader) (body []byte, held int64, no *refused) {
	buf := make([]byte, 0, 32<<10)
	for {
		if int64(cap(buf)) > held {
			more := (int64(cap(buf)) - held + arriveStep - 1) / arriveStep * arriveStep
			held += more
			if b.arriving.Add(more) > mostArriving {
				return nil, held, refusedCrowd
			}
		}
		n, err := from.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		var big *http.MaxBytesError
		switch {
		case errors.As(err, &big), len(buf) > metrics.MaxDelivery:
			return nil, held, refusedSize
		case err == io.EOF:
			return buf, held, nil
		case err != nil:
			return nil, held, refusedBroken
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)] // grows as append does
		}
	}
}

// remoteWrite answers Prometheus (prometheus.io/docs/specs/prw). The sender logs
// the first line of an answer, so a refusal is one.
func (s *Server) remoteWrite(c *call) error {
	h := c.Request().Header
	r, no := s.deliver(c, func(ctx context.Context, x *metrics.Sender, body []byte) (metrics.Receipt, error) {
		return x.RemoteWrite(ctx, h.Get("Content-Type"), h.Get("Content-Encoding"), body)
	})
	if no != nil {
		if no.after > 0 {
			c.Response().Header().Set("Retry-After", itoa(int64(no.after)))
		}
		return c.String(no.status, no.text+"\n")
	}
	written := c.Response().Header()
	written.Set("X-Prometheus-Remote-Write-Samples-Written", itoa(int64(r.Stored)))
	written.Set("X-Prometheus-Remote-Write-Histograms-Written", "0")
	written.Set("X-Prometheus-Remote-Write-Exemplars-Written", "0")
	if r.Refused > 0 {
		return c.String(http.StatusBadRequest, r.Sentence()+"\n")
	}
	return c.NoContent(http.StatusNoContent)
}

// otlpMetrics answers OTLP/HTTP (opentelemetry.io/docs/specs/otlp) in the form in
// which it was asked.
func (s *Server) otlpMetrics(c *call) error {
	h := c.Request().Header
	kind := metrics.TypeProtobuf
	if c.isJSON() {
		kind = metrics.TypeJSON
	}
	r, no := s.deliver(c, func(ctx context.Context, x *metrics.Sender, body []byte) (metrics.Receipt, error) {
		return x.OTLP(ctx, h.Get("Content-Type"), h.Get("Content-Encoding"), body)
	})
	if no != nil {
		if no.after > 0 {
			c.Response().Header().Set("Retry-After", itoa(int64(no.after)))
		}
		return c.Blob(no.status, kind, metrics.EncodeStatus(no.code, no.text, kind))
	}
	return c.Blob(http.StatusOK, kind, metrics.EncodeOTLP(*r, kind))
}
