package web

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/tocsin-ops/tocsin/hub"
	"github.com/tocsin-ops/tocsin/hub/ws"
	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/projection"
)

// subscribe opens the live socket. since may be given once for each topic, once
// for all, or not at all (then the page holds nothing and is told to resync
// when there is something). With aside=1 nobody is present by it.
func (s *Server) subscribe(c *call, topics, since []string, judge func(topic string) error) error {
	if len(topics) == 0 || len(topics) > hub.MaxTopics {
		return refusal("topic_missing", "Name 1 to "+strconv.Itoa(hub.MaxTopics)+" topics: /live?topic=board&since=0.")
	}
	req := ws.Request{Owner: cmp.Or(c.actor.Owner(), stranger(c.Request().RemoteAddr)), CheckOrigin: func(r *http.Request) bool { return sameOrigin(r, s.PublicURL) }}
	for i, t := range topics {
		if err := judge(t); err != nil {
			return err
		}
		at := hub.TopicSince{Topic: t, Since: -1}
		text := ""
		switch {
		case i < len(since):
			text = since[i]
		case len(since) == 1:
			text = since[0]
		}
		if text != "" {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return refusal("bad_since", "since is the position of a page: a whole number.")
			}
			at.Since = n
		}
		if t == topicChains {
			at.Since = s.sinceHere(at.Since, c.QueryParam("from"), c.QueryParam("ago"))
		}
		req.Topics = append(req.Topics, at)
	}
	if err := s.level(c.ctx(), req.Topics); err != nil {
		return err
	}
	aside := c.QueryParam("aside") != "" && c.actor.Owner() != ""
	if aside {
		req.Owner += hub.Aside
	}
	req.Recheck = func() bool { return c.still(c.ctx()) }
	if err := ws.Serve(c.Response(), c.Request(), s.Hub, req); err != nil {
		s.Logger.Debug("live socket refused", "err", err)
		return nil // answered already
	}
	if !aside {
		s.attends(c.actor, req.Topics)
	}
	s.endWhenExpired(c, c.actor.Until)
	return nil
}

// endWhenExpired ends the sockets of this call's credential when its time is up
// at until (0 = it has no end), unless it was renewed: sessions are, by being
// used. Ending sockets that have left meanwhile ends nothing.
func (s *Server) endWhenExpired(c *call, until int64) {
	if until == 0 || c.actor.Owner() == "" {
		return
	}
	time.AfterFunc(time.Duration(until-s.now())*time.Millisecond, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		now, err := c.again(ctx)
		if err == nil && now.Until > s.now() {
			s.endWhenExpired(c, now.Until)
			return
		}
		s.Hub.EndOwner(c.actor.Owner(), "Your session has ended. Sign in again.")
	})
}

// again asks anew who holds the credential of this call.
func (c *call) again(ctx context.Context) (auth.Actor, error) {
	switch {
	case c.cookie != "":
		return c.s.Auth.Session(ctx, c.cookie)
	case c.bearer != "":
		return c.s.Auth.Token(ctx, c.bearer)
	}
	return c.actor, nil
}

// still reports whether the credential of this call holds as it did.
func (c *call) still(ctx context.Context) bool {
	now, err := c.again(ctx)
	return err == nil && now.Role == c.actor.Role && now.Audience == c.actor.Audience
}

// statusLive is the live part of the status pages; anybody may have the public one.
func (s *Server) statusLive(c *call) error {
	if !c.actor.SignedIn() {
		if err := s.roomAtDoor(stranger(c.Request().RemoteAddr)); err != nil {
			return err
		}
	}
	topic := projection.TopicStatus
	audience := c.QueryParam("audience")
	if audience != "" && audience != auth.PublicAudience {
		topic += "/" + audience
	}
	return s.subscribe(c, []string{topic}, c.QueryParams()["since"], func(string) error {
		if err := c.allow(auth.ViewStatus, auth.Subject{Audience: audience}); err != nil || audience == "" {
			return err
		}
		return s.knownAudience(audience)
	})
}
