package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/heartbeat"
	"github.com/tocsin-ops/tocsin/internal/watchdog"
	"github.com/tocsin-ops/tocsin/views"
)

// beatMost is how long sending one heartbeat out of turn may take: the checks, and one attempt.
const beatMost = 20 * time.Second

// beatDoc is one heartbeat that goes out, on the wire. The address is a secret: only its host is told.
type beatDoc struct {
	Name    string `json:"name"`
	Host    string `json:"host"`
	Every   string `json:"every"`
	Outcome string `json:"outcome" enum:"taken,held back,not taken,none yet"`
	At      string `json:"at,omitempty" doc:"when the last one was sent or held back"`
	Since   string `json:"since,omitempty" doc:"since when the outcome is that"`
	TakenAt string `json:"taken_at,omitempty" doc:"the last one that was taken"`
	Why     string `json:"why,omitempty" doc:"why the last one was held back or not taken"`
	Taken   int64  `json:"taken" doc:"since the process began, as are the next two"`
	Held    int64  `json:"held_back"`
	Failed  int64  `json:"not_taken"`
}

type beatsAnswer struct {
	Replica string    `json:"replica,omitempty" doc:"whose they are: every replica sends its own"`
	Beats   []beatDoc `json:"beats"`
}

type beatRequest struct {
	Name string `json:"name"`
}

func newBeatDoc(x watchdog.State) beatDoc {
	return beatDoc{Name: x.Name, Host: x.Host, Every: heartbeat.Span(x.Every.Milliseconds()), Outcome: cmp.Or(x.Outcome, "none yet"),
		At: rfc3339(millisOf(x.At)), Since: rfc3339(millisOf(x.Since)), TakenAt: rfc3339(millisOf(x.SentAt)), Why: x.Why, Taken: x.Sent, Held: x.Held, Failed: x.Failed}
}

// millisOf is a time in unix ms, 0 for none.
func millisOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func (s *Server) presentWatchdog() (out views.Watchdog) {
	if s.Watchdog == nil {
		return out
	}
	out.Replica = s.Health().Replica
	for _, x := range s.Watchdog.States() {
		out.Beats = append(out.Beats, views.BeatRow{Name: x.Name, Host: x.Host, Every: heartbeat.Span(x.Every.Milliseconds()), Outcome: x.Outcome, Since: millisOf(x.Since), TakenAt: millisOf(x.SentAt), Why: x.Why})
	}
	return out
}

// sendBeat sends one heartbeat out of turn.
func (s *Server) sendBeat(c *call, name string) (x watchdog.State, err error) {
	if s.Watchdog == nil {
		return x, refusal("not_found", "No heartbeat goes out from here. Name an address under watchdog in the configuration.")
	}
	ctx, cancel := context.WithTimeout(c.ctx(), beatMost)
	defer cancel()
	x, err = s.Watchdog.Now(ctx, name)
	switch {
	case errors.Is(err, watchdog.ErrUnknown):
		return x, refusal("not_found", "There is no heartbeat of this name. Take it from the list on the Sources page.")
	case errors.Is(err, watchdog.ErrBusy):
		return x, refusal("beat_busy", "This heartbeat is being sent just now. Load the page again to see what became of it.")
	}
	return x, err
}

// sendBeatForm is the button beside a heartbeat.
func (s *Server) sendBeatForm(c *call) error {
	x, err := s.sendBeat(c, c.FormValue("beat"))
	var no *auth.Refusal
	switch {
	case errors.As(err, &no):
		c.tell("refused", no.Sentence)
		return c.redirect("/sources#watchdog")
	case err != nil:
		return err
	}
	switch x.Outcome {
	case watchdog.Taken:
		c.tell("done", x.Host+" took the heartbeat.")
	case watchdog.HeldBack:
		c.tell("refused", "Held back, as every other one is now. "+x.Why)
	default:
		c.tell("refused", x.Why)
	}
	return c.redirect("/sources#watchdog")
}

func (s *Server) apiWatchdog(c *call) error {
	out := beatsAnswer{Beats: []beatDoc{}}
	if s.Watchdog != nil {
		out.Replica = s.Health().Replica
		for _, x := range s.Watchdog.States() {
			out.Beats = append(out.Beats, newBeatDoc(x))
		}
	}
	return c.JSON(http.StatusOK, out)
}

func (s *Server) apiSendBeat(c *call) error {
	var in beatRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	x, err := s.sendBeat(c, in.Name)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newBeatDoc(x))
}
