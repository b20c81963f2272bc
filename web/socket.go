package web

import (
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
// when there is something).
func (s *Server) subscribe(c *call, topics, since []string, judge func(topic string) error) error {
	if len(topics) == 0 || len(topics) > hub.MaxTopics {
		return refusal("topic_missing", "Name 1 to "+strconv.Itoa(hub.MaxTopics)+" topics: /live?topic=board&since=0.")
	}
	req := ws.Request{Owner: c.actor.Owner(), CheckOrigin: func(r *http.Request) bool { return sameOrigin(r, s.PublicURL) }}
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
		req.Topics = append(req.Topics, at)
	}
	actor := c.actor
	req.Recheck = func() bool { return c.still(c.ctx()) }
	if err := ws.Serve(c.Response(), c.Request(), s.Hub, req); err != nil {
		s.Logger.Debug("live socket refused", "err", err)
		return nil // answered already
	}
	if actor.Until > 0 && req.Owner != "" {
		// The socket must not outlive the credential. Ending an owner that has
		// left meanwhile ends nothing.
		time.AfterFunc(time.Until(time.UnixMilli(actor.Until)), func() { s.endExpired(req.Owner, actor.Until) })
	}
	return nil
}

// still reports whether the credential of this call holds as it did.
func (c *call) still(ctx context.Context) bool {
	var again auth.Actor
	var err error
	switch {
	case c.cookie != "":
		again, err = c.s.Auth.Session(ctx, c.cookie)
	case c.bearer != "":
		again, err = c.s.Auth.Token(ctx, c.bearer)
	default:
		return true
	}
	return err == nil && again.Role == c.actor.Role && again.Audience == c.actor.Audience
}

// endExpired ends the sockets of a credential whose time is up, unless it was
// renewed (sessions are, by being used).
func (s *Server) endExpired(owner string, until int64) {
	if s.now() < until {
		return
	}
	s.Hub.EndOwner(owner, "Your session has ended. Sign in again.")
}

// statusLive is the live part of the status pages; anybody may have the public one.
func (s *Server) statusLive(c *call) error {
	topic := projection.TopicStatus
	audience := c.QueryParam("audience")
	if audience != "" && audience != auth.PublicAudience {
		topic += "/" + audience
	}
	return s.subscribe(c, []string{topic}, c.QueryParams()["since"], func(string) error {
		return c.allow(auth.ViewStatus, auth.Subject{Audience: audience})
	})
}
