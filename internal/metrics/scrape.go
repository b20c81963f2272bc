package metrics

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
)

// Limits of one scrape. An answer beyond them is dropped as a whole.
const (
	MaxScrape     = 16 << 20         // bytes unpacked
	MaxScrapeWait = 10 * time.Second // or the interval, if that is shorter
	maxToken      = 16 << 10         // bytes of a file that holds a token
	ownSeries     = 8                // up and the like
)

// scrapeAccept is what is understood, the best first. Protobuf is not asked for:
// it is for native histograms.
const scrapeAccept = "application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.6," +
	"text/plain;version=1.0.0;escaping=underscores;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1"

// Target is what is asked regularly.
type Target struct {
	Name      string // of the source and job
	URL       string // may hold a secret: it is never logged
	TokenFile string // "" = none; read every time
	Interval  time.Duration
	Limit     int // samples of one answer
	Labels    map[string]string
}

// Scraping asks targets in Prometheus' text format or OpenMetrics.
type Scraping struct {
	store   *Store
	targets []*target
}

type target struct {
	Target
	sender *Sender
	own    map[string]string // labels of every series
	http   *http.Client
	log    *slog.Logger

	before map[uint64]labels.Labels // series of the last answer, without a time of their own
	down   string                   // why the last one failed; "" = it did not
	asked  bool
	said   time.Time
}

// Scraping makes the loops for targets. Nothing is asked before Run.
func (s *Store) Scraping(list []Target, log *slog.Logger) (*Scraping, error) {
	x := &Scraping{store: s}
	for _, t := range list {
		u, err := url.Parse(t.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("scrape %s: its url is not an address that begins with http:// or https://", t.Name)
		}
		own := map[string]string{"job": t.Name, "instance": u.Host}
		maps.Copy(own, t.Labels)
		dial := &net.Dialer{Timeout: MaxScrapeWait}
		x.targets = append(x.targets, &target{
			Target: t, own: own, log: log, sender: s.Sender(t.Name, t.Limit+ownSeries), before: map[uint64]labels.Labels{},
			http: &http.Client{
				Transport:     &http.Transport{DialContext: dial.DialContext, MaxIdleConns: 1, MaxConnsPerHost: 1, IdleConnTimeout: 5 * time.Minute, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true},
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			},
		})
	}
	return x, nil
}

// Run asks every target at its interval until ctx ends, each at its own moment of
// it. A target that answers gets up 1, one that does not up 0, and then its
// series end. Who asks next, perhaps another replica, goes on with the same series.
func (x *Scraping) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, t := range x.targets {
		all.Go(func() { t.run(ctx) })
	}
	all.Wait()
	return nil
}

func (t *target) run(ctx context.Context) {
	defer t.http.CloseIdleConnections()
	h := fnv.New64a()
	_, _ = io.WriteString(h, t.Name)
	first := time.NewTimer(time.Duration(h.Sum64() % uint64(min(t.Interval, MaxScrapeWait))))
	defer first.Stop()
	select {
	case <-first.C:
	case <-ctx.Done():
		return
	}
	tick := time.NewTicker(t.Interval)
	defer tick.Stop()
	for {
		if err := t.scrape(ctx, time.Now()); err != nil && ctx.Err() == nil {
			t.log.Error("samples of a target were not stored", "target", t.Name, "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// scrape asks once and stores what came as of at. The error is the store's alone.
func (t *target) scrape(ctx context.Context, at time.Time) error {
	began := time.Now()
	body, kind, why := t.fetch(ctx)
	if ctx.Err() != nil {
		return nil // we stop: that says nothing of the target
	}
	now := at.UnixMilli()
	r, n, seen, why, err := t.take(ctx, body, kind, why, now)
	if err != nil {
		return err
	}
	d := t.sender.begin(ctx)
	err = func() error {
		for hash, l := range t.before {
			if _, still := seen[hash]; still {
				continue
			}
			if err := d.put(l, now, math.Float64frombits(value.StaleNaN)); err != nil {
				return err
			}
		}
		up := 0.0
		if why == "" {
			up = 1
		}
		for name, v := range map[string]float64{
			"up": up, "scrape_duration_seconds": time.Since(began).Seconds(), "scrape_samples_scraped": float64(n),
		} {
			l, ok := d.line(t.label(labels.FromStrings(labels.MetricName, name)), 1)
			if !ok {
				continue
			}
			if err := d.put(l, now, v); err != nil {
				return err
			}
		}
		return nil
	}()
	if _, err := d.finish(err); err != nil {
		return err
	}
	t.before = seen
	t.tell(why, r)
	return nil
}

// take stores the samples of an answer; why says that there is none, or that it
// cannot be taken, in which case nothing of it is stored.
func (t *target) take(ctx context.Context, body []byte, kind, why string, now int64) (r Receipt, n int, seen map[uint64]labels.Labels, _ string, err error) {
	if why != "" {
		return r, 0, nil, why, nil
	}
	d := t.sender.begin(ctx)
	n, seen, why, err = t.parse(d, body, kind, now)
	if why != "" {
		return r, 0, nil, why, d.Rollback()
	}
	r, err = d.finish(err)
	return r, n, seen, "", err
}

// tell puts a change of state into the operator's log, and refusals once a minute.
func (t *target) tell(why string, r Receipt) {
	switch {
	case why != "" && (t.down == "" || !t.asked):
		t.log.Warn("a target does not answer as it should", "target", t.Name, "why", why)
	case why == "" && t.down != "":
		t.log.Info("a target answers again", "target", t.Name)
	}
	t.down, t.asked = why, true
	if r.Refused > 0 && time.Since(t.said) > time.Minute {
		t.said = time.Now()
		t.log.Warn("samples of a target were refused", "target", t.Name, "why", r.Sentence())
	}
}

// fetch asks. why is a sentence without the address, which may hold a secret.
func (t *target) fetch(ctx context.Context) (body []byte, kind, why string) {
	wait := min(t.Interval, MaxScrapeWait)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL, nil)
	if err != nil {
		return nil, "", "its address cannot be asked"
	}
	req.Header.Set("Accept", scrapeAccept)
	req.Header.Set("User-Agent", "Tocsin")
	req.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", fmt.Sprint(wait.Seconds()))
	if t.TokenFile != "" {
		token, err := readLimited(t.TokenFile, maxToken)
		if err != nil {
			return nil, "", err.Error()
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	resp, err := t.http.Do(req)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, "", fmt.Sprintf("it did not answer within %s", wait)
		}
		if errors.Is(err, io.EOF) {
			return nil, "", "its answer broke off before it began"
		}
		return nil, "", flat(err.Error())
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil, "", fmt.Sprintf("it redirects elsewhere (%s), which is not followed; give the address where the figures are", resp.Status)
	case resp.StatusCode != http.StatusOK:
		return nil, "", "it answered " + resp.Status
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, MaxScrape+1))
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, "", fmt.Sprintf("its answer took more than %s", wait)
	case err != nil:
		return nil, "", "its answer broke off: " + flat(err.Error())
	case len(body) > MaxScrape:
		return nil, "", fmt.Sprintf("its answer has more than %d bytes", MaxScrape)
	}
	return body, resp.Header.Get("Content-Type"), ""
}

// parse puts every sample of an answer into d. seen are the series that have no
// time of their own: they end when they are not there the next time.
func (t *target) parse(d *delivery, body []byte, kind string, now int64) (n int, seen map[uint64]labels.Labels, why string, err error) {
	defer func() {
		if p := recover(); p != nil { // a parser that is not ours must not end the process
			why = "its answer cannot be read"
		}
	}()
	p, _ := textparse.New(body, kind, labels.NewSymbolTable(), textparse.ParserOptions{FallbackContentType: "text/plain", IgnoreNativeHistograms: true})
	if p == nil {
		return 0, nil, fmt.Sprintf("its answer is %.60q, which is not Prometheus' text format", kind), nil
	}
	seen = map[uint64]labels.Labels{}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return n, seen, "", nil
		}
		if err != nil {
			return 0, nil, fmt.Sprintf("its answer cannot be read: %.200s", flat(strings.ToValidUTF8(err.Error(), "?"))), nil
		}
		if entry != textparse.EntrySeries {
			continue
		}
		if n++; n > t.Limit {
			return 0, nil, fmt.Sprintf("its answer has more than %d samples; raise its limit, or let it show fewer", t.Limit), nil
		}
		_, stamp, v := p.Series()
		var l labels.Labels
		p.Labels(&l)
		l, ok := d.line(t.label(l), 1)
		if !ok {
			continue
		}
		at := now
		if stamp != nil {
			at = *stamp
		} else {
			seen[l.Hash()] = l
		}
		if err := d.put(l, at, v); err != nil {
			return 0, nil, "", err
		}
	}
}

// label puts the target's labels on a series; its own of the same name are kept
// as exported_ and the name, as Prometheus does it.
func (t *target) label(l labels.Labels) labels.Labels {
	b := labels.NewBuilder(l)
	for name, v := range t.own {
		if was := l.Get(name); was != "" {
			b.Set("exported_"+name, was)
		}
		b.Set(name, v)
	}
	return b.Labels()
}
