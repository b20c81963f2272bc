// Package watchdog owns the dead-man switch: it tells others, again and again, that this Tocsin can do its work, and falls silent when it cannot,
// so that whoever waits for the beat raises the alarm. It never pages anybody itself and never says that all is well when it has not asked.
package watchdog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	askWithin  = 5 * time.Second  // for one check; one that has not answered by then is not well
	sendWithin = 10 * time.Second // for one attempt
	attempts   = 3                // of one beat, so that one lost packet is no alarm at the other end
	pause      = 2 * time.Second  // between them
	answerMost = 64 << 10         // bytes read of an answer
	whyMost    = 300              // runes of a reason
)

// Beat is one address that hears from us.
type Beat struct {
	Name   string        // what people read
	URL    string        // http or https; a secret, as keys are part of it
	Method string        // HEAD, GET or POST
	Every  time.Duration // at least a second
}

// Check asks one part of the house whether it can work. The answer is one sentence that says why not, "" when all is well.
type Check struct {
	Name string
	Ask  func(ctx context.Context) string
}

// Options of a Watchdog.
type Options struct {
	Beats  []Beat
	Checks []Check
	Logger *slog.Logger
	// Send sends one beat; nil sends it over HTTP. An error that it returns holds no address.
	Send func(ctx context.Context, b Beat) error
}

// Outcomes of the last beat.
const (
	Unsent   = ""          // there was none yet
	Taken    = "taken"     // somebody took it
	HeldBack = "held back" // we kept silent on purpose
	NotTaken = "not taken" // nobody took it
)

// State is how one beat fares.
type State struct {
	Name    string
	Host    string // of the address, without what may be secret
	Every   time.Duration
	Outcome string    // of the last one
	At      time.Time // when that was; zero: there was none
	Since   time.Time // since when the outcome is that; zero: there was none
	SentAt  time.Time // the last one that was taken; zero: none yet
	Why     string    // the last one was held back or not taken: why; "" when it was taken
	Sent    int64
	Held    int64 // times that we kept silent on purpose
	Failed  int64 // times that nobody took it
}

// Watchdog beats. Safe for concurrent use.
type Watchdog struct {
	beats  []Beat
	checks []Check
	send   func(ctx context.Context, b Beat) error
	slog   *slog.Logger
	turn   []chan struct{} // of each beat: whoever is in it sends; one at a time

	mu    sync.Mutex
	state []State
}

// New returns a watchdog that is silent until Run.
func New(o Options) *Watchdog {
	w := &Watchdog{beats: o.Beats, checks: o.Checks, send: o.Send, slog: o.Logger}
	if w.slog == nil {
		w.slog = slog.New(slog.DiscardHandler)
	}
	if w.send == nil {
		w.send = overHTTP(client())
	}
	for _, b := range o.Beats {
		host := ""
		if u, err := url.Parse(b.URL); err == nil {
			host = u.Host
		}
		w.state = append(w.state, State{Name: b.Name, Host: host, Every: b.Every})
		w.turn = append(w.turn, make(chan struct{}, 1))
	}
	return w
}

// States tells how each beat fares, in the order of the settings.
func (w *Watchdog) States() []State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]State(nil), w.state...)
}

// Ill asks every check, all at once, and returns what is not well; none when all is. It takes five seconds at most.
func (w *Watchdog) Ill(ctx context.Context) []string {
	answers := make([]string, len(w.checks))
	var g errgroup.Group
	for i, c := range w.checks {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, askWithin)
			defer cancel()
			answers[i] = c.Ask(ctx)
			return nil
		})
	}
	_ = g.Wait() // none returns an error
	var ill []string
	for _, a := range answers {
		if a != "" {
			ill = append(ill, a)
		}
	}
	return ill
}

// Run beats until ctx ends; then it returns nil. The first beat goes out at once. A beat that is late for whatever reason is not made up for.
func (w *Watchdog) Run(ctx context.Context) error {
	var g errgroup.Group
	for i := range w.beats {
		g.Go(func() error {
			tick := time.NewTicker(w.beats[i].Every)
			defer tick.Stop()
			for {
				select {
				case w.turn[i] <- struct{}{}:
					w.beat(ctx, i, attempts)
					<-w.turn[i]
				case <-ctx.Done():
					return nil
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					return nil
				}
			}
		})
	}
	return g.Wait()
}

// Refusals of Now.
var (
	ErrUnknown = errors.New("no heartbeat has this name")
	ErrBusy    = errors.New("this heartbeat is being sent just now")
)

// Now sends one beat out of turn, by its name, and tells what became of it. It is held back like every other while something here is not well, and
// is tried once. It takes fifteen seconds at most; when ctx ends before, nothing is noted.
func (w *Watchdog) Now(ctx context.Context, name string) (State, error) {
	for i, b := range w.beats {
		if b.Name != name {
			continue
		}
		select {
		case w.turn[i] <- struct{}{}:
		default:
			return State{}, ErrBusy
		}
		defer func() { <-w.turn[i] }()
		w.beat(ctx, i, 1)
		return w.States()[i], ctx.Err()
	}
	return State{}, ErrUnknown
}

// beat sends one beat, in its turn, and tries so many times.
func (w *Watchdog) beat(ctx context.Context, i, tries int) {
	ill := w.Ill(ctx)
	if ctx.Err() != nil {
		return // a stop is no illness; others take over, or it is noticed that nobody does
	}
	if len(ill) > 0 {
		w.note(ctx, i, ill[0], true)
		return
	}
	var err error
	for try := range tries {
		if try > 0 {
			rest(ctx, pause)
		}
		one, cancel := context.WithTimeout(ctx, sendWithin)
		err = w.send(one, w.beats[i])
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		w.note(ctx, i, "Nobody took the heartbeat: "+err.Error()+".", false)
	default:
		w.note(ctx, i, "", false)
	}
}

// note keeps the outcome of a beat, and says so when it is another one than before.
func (w *Watchdog) note(ctx context.Context, i int, why string, held bool) {
	if r := []rune(strings.ToValidUTF8(why, "?")); len(r) > whyMost {
		why = string(r[:whyMost-1]) + "…"
	}
	w.mu.Lock()
	s := &w.state[i]
	was, outcome, now := s.Why, Taken, time.Now()
	s.Why, s.At = why, now
	switch {
	case held:
		s.Held++
		outcome = HeldBack
	case why != "":
		s.Failed++
		outcome = NotTaken
	default:
		s.Sent++
		s.SentAt = now
	}
	if outcome != s.Outcome {
		s.Outcome, s.Since = outcome, now
	}
	w.mu.Unlock()
	switch {
	case why == was:
	case why == "":
		w.slog.InfoContext(ctx, "the heartbeat is sent again", "beat", s.Name)
	case held:
		w.slog.ErrorContext(ctx, "the heartbeat is held back, so that others notice", "beat", s.Name, "why", why)
	default:
		w.slog.WarnContext(ctx, "the heartbeat was not taken", "beat", s.Name, "host", s.Host, "why", why)
	}
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// errElsewhere stops a redirect that would take the key in the address to another host.
var errElsewhere = errors.New("it was sent on to another host")

func client() *http.Client {
	return &http.Client{Timeout: sendWithin, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 3 || r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
			return errElsewhere
		}
		return nil
	}}
}

func overHTTP(c *http.Client) func(ctx context.Context, b Beat) error {
	return func(ctx context.Context, b Beat) error {
		r, err := http.NewRequestWithContext(ctx, b.Method, b.URL, http.NoBody)
		if err != nil {
			return errors.New("the address cannot be used")
		}
		r.Header.Set("User-Agent", "Tocsin heartbeat")
		a, err := c.Do(r)
		if err != nil {
			var u *url.Error
			if errors.As(err, &u) { // it names the address, and the key in it
				err = u.Err
			}
			if strings.Contains(err.Error(), "Location") { // so may the place to which it is sent on, when that cannot be read
				err = errElsewhere
			}
			return fmt.Errorf("%s: %w", r.URL.Host, err)
		}
		defer func() { _ = a.Body.Close() }()
		_, _ = io.Copy(io.Discard, io.LimitReader(a.Body, answerMost))
		if a.StatusCode < 200 || a.StatusCode > 299 {
			return fmt.Errorf("%s answered %d", r.URL.Host, a.StatusCode)
		}
		return nil
	}
}
