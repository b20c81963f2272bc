package web

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/attention"
	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
)

const (
	// mostFollowing is how many answers that follow one person, program or wall screen has at a time.
	mostFollowing = 16
	// attentionGap is how long after a change it is told, and so how long after an answer the next one comes at the earliest.
	attentionGap = 100 * time.Millisecond
	// attentionPatience is how long a follower may take nothing before it is cut off.
	attentionPatience = 20 * time.Second
)

// heed is what everybody's attention is made of, once for each position that somebody asks at.
type heed struct {
	mu       sync.Mutex
	position int64
	at       int64 // of the last change that it shows
	base     attention.State
	pages    map[string][]attention.Page // by person

	counting  sync.Mutex
	following map[string]int // who -> how many answers follow; bounded by mostFollowing for each credential
}

// attend returns the attention of a person; "" is nobody's, without pages. What it returns is shared: it must not be changed.
func (s *Server) attend(handle string) attention.State {
	h := &s.heed
	h.mu.Lock()
	defer h.mu.Unlock()
	if changed := s.World.ChangedAt(projection.TopicWall); h.pages == nil || changed > h.at {
		s.World.Look(func(v projection.View) {
			h.position = v.Position()
			h.build(openIncidents(v))
		})
		h.at = max(changed, h.position)
	}
	out := h.base
	out.At, out.Position, out.Site, out.Handle = s.now(), h.position, s.Site, handle
	if handle != "" {
		out.Pages = nonNil(h.pages[handle])
	}
	return out
}

// build takes what is open, the worst first.
func (h *heed) build(open []incident.State) {
	h.base = attention.State{Open: len(open), Incidents: []attention.Incident{}, Pages: []attention.Page{}}
	h.pages = map[string][]attention.Page{}
	for i, st := range open {
		if i == 0 {
			h.base.Worst = string(st.Severity)
		}
		if i < attention.MostIncidents {
			h.base.Incidents = append(h.base.Incidents, attention.Incident{Number: st.Number, Title: st.Title, Severity: string(st.Severity), Status: string(st.Status), Drill: st.Drill})
		}
		waits := st.Paging.Waits()
		slices.SortStableFunc(waits, func(a, b escalation.Page) int { return cmp.Compare(a.At, b.At) })
		for _, p := range waits {
			if len(h.pages[p.Person]) < attention.MostPages {
				h.pages[p.Person] = append(h.pages[p.Person], attention.Page{ID: p.ID, Incident: st.Number, Title: st.Title, Severity: string(st.Severity), Reason: p.Why, PagedAt: p.At, Drill: st.Drill})
			}
		}
	}
}

// apiAttention says what whoever asks must see and hear now; with follow=true it says so again at each change and every ten seconds.
func (s *Server) apiAttention(c *call) error {
	handle := ""
	if c.actor.Kind == auth.KindPerson && c.can(auth.ViewRoom) {
		handle = c.actor.ID
	}
	if c.QueryParam("follow") != "true" {
		c.Response().Header().Set("Cache-Control", "no-store")
		return c.JSON(http.StatusOK, s.attend(handle))
	}
	leave, ok := s.heed.follow(followerOf(c.actor))
	if !ok {
		return &auth.Refusal{Code: auth.CodeTooMany, Sentence: "Too many programs follow this with your account. Close one of them and try again.", RetryAfter: 10_000}
	}
	defer leave()
	w := c.Response()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	enc := json.NewEncoder(w)
	ctx, cancel := s.whileAllowed(c)
	defer cancel()
	_ = s.followAttention(ctx, handle, func(st attention.State) error {
		_ = http.NewResponseController(w.Writer).SetWriteDeadline(time.Now().Add(attentionPatience))
		if err := enc.Encode(st); err != nil {
			return err
		}
		w.Flush()
		return nil
	})
	return nil
}

// followAttention says what is, and then what it becomes, until ctx ends or nobody takes it any more. Nothing is queued: whoever is slow gets the newest.
func (s *Server) followAttention(ctx context.Context, handle string, say func(attention.State) error) error {
	var last attention.State
	var said time.Time
	for {
		st := s.attend(handle)
		if said.IsZero() || time.Since(said) >= s.attentionBeat || !alike(st, last) {
			if err := say(st); err != nil {
				return err
			}
			last, said = st, time.Now()
		}
		wait, cancel := context.WithTimeout(ctx, time.Until(said.Add(s.attentionBeat)))
		_ = s.World.WaitFor(wait, st.Position+1) // or it is time for another word
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(said) >= s.attentionBeat {
			continue
		}
		// What happens together is told together: an incident and the page about it.
		if err := pause(ctx, attentionGap); err != nil {
			return err
		}
	}
}

// alike is true when two states differ in nothing but when they were taken.
func alike(a, b attention.State) bool {
	return a.Open == b.Open && a.Worst == b.Worst && a.Site == b.Site && slices.Equal(a.Incidents, b.Incidents) && slices.Equal(a.Pages, b.Pages)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// followerOf is whom following counts for: a person however often they are signed in, else the credential.
func followerOf(a auth.Actor) string {
	if a.Kind == auth.KindPerson {
		return a.String()
	}
	return cmp.Or(a.Owner(), a.String())
}

// follow takes one of a follower's places; ok is false when there is none left.
func (h *heed) follow(who string) (leave func(), ok bool) {
	h.counting.Lock()
	defer h.counting.Unlock()
	if h.following[who] >= mostFollowing {
		return nil, false
	}
	if h.following == nil {
		h.following = map[string]int{}
	}
	h.following[who]++
	return func() {
		h.counting.Lock()
		defer h.counting.Unlock()
		if h.following[who]--; h.following[who] == 0 {
			delete(h.following, who)
		}
	}, true
}
