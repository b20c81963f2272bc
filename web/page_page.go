package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/pager"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/views"
)

// PageLinks opens the links in the messages of pages.
type PageLinks interface {
	// Open returns what a token stands for, or pager.ErrNoLink, with the link when it has only expired. It uses nothing up.
	Open(ctx context.Context, token string) (pager.Link, error)
}

// bearer is who opens a page: by its link, or signed in.
type bearer struct {
	handle string // "" is no person: an API token
	name   string
	act    bool
	linked bool
	path   string // of the page
}

// linked finds out whom the link in the address belongs to. What is not good is answered, and ok is false. Reading it changes nothing: mail scanners
// and previews follow links.
func (s *Server) linked(c *call) (b bearer, l pager.Link, ok bool, err error) {
	if s.PageLinks == nil {
		return b, l, false, errNoPage
	}
	giveBack, err := s.Auth.Knock(c.address())
	if err != nil {
		return b, l, false, err
	}
	l, err = s.PageLinks.Open(c.ctx(), c.Param("token"))
	expired := errors.Is(err, pager.ErrNoLink) && l.Incident > 0
	if err != nil && !errors.Is(err, pager.ErrNoLink) {
		return b, l, false, err
	}
	p, known := s.Auth.Directory().Person(l.Person)
	a := auth.Actor{Kind: auth.KindPerson, ID: p.Handle, Name: p.Name, Role: p.Role}
	if err != nil && !expired || !known || p.Standing != auth.Joined || p.JoinedAt > l.CreatedAt || !auth.Can(a, auth.ViewRoom, auth.Subject{}) {
		return b, l, false, c.page(http.StatusNotFound, views.PhoneView(views.PhonePage{Base: s.plainBase("Page"), State: views.PhoneDead}))
	}
	giveBack()
	b = bearer{handle: p.Handle, name: p.Name, act: auth.Can(a, auth.CommandIncident, auth.Subject{}), linked: true, path: "/page/" + c.Param("token")}
	if expired {
		return b, l, false, s.showPage(c, b, l.Incident, http.StatusGone, true, nil)
	}
	return b, l, true, nil
}

func (s *Server) pageByLink(c *call) error {
	c.reach()
	b, l, ok, err := s.linked(c)
	if err != nil || !ok {
		return err
	}
	return s.showPage(c, b, l.Incident, http.StatusOK, false, nil)
}

func (s *Server) acknowledgeByLink(c *call) error { return s.answerByLink(c, incident.Acknowledge{}) }

func (s *Server) declineByLink(c *call) error {
	if err := c.readForm(); err != nil {
		return err
	}
	return s.answerByLink(c, incident.DeclinePage{Reason: c.Request().PostFormValue("reason")})
}

func (s *Server) answerByLink(c *call, cmd incident.Command) error {
	b, l, ok, err := s.linked(c)
	if err != nil || !ok {
		return err
	}
	return s.answerPage(c, b, l.Incident, cmd)
}

// signedIn is the same for somebody who has a session.
func (s *Server) signedIn(c *call) (b bearer, n int64, err error) {
	if n, err = c.number(); err != nil {
		return b, 0, err
	}
	b = bearer{act: c.can(auth.CommandIncident), path: "/incidents/" + strconv.FormatInt(n, 10) + "/page"}
	if c.actor.Kind == auth.KindPerson {
		b.handle, b.name = c.actor.ID, c.actor.Name
	}
	return b, n, c.known(n)
}

func (s *Server) pageSignedIn(c *call) error {
	b, n, err := s.signedIn(c)
	if err != nil {
		return err
	}
	return s.showPage(c, b, n, http.StatusOK, false, nil)
}

func (s *Server) acknowledgeSignedIn(c *call) error {
	return s.answerSignedIn(c, incident.Acknowledge{})
}

func (s *Server) declineSignedIn(c *call) error {
	return s.answerSignedIn(c, incident.DeclinePage{Reason: c.FormValue("reason")})
}

func (s *Server) answerSignedIn(c *call, cmd incident.Command) error {
	b, n, err := s.signedIn(c)
	if err != nil {
		return err
	}
	if b.handle == "" {
		return refusal("not_a_person", "Only a person can say this. Sign in as the one who takes it, or use the link in the page.")
	}
	return s.answerPage(c, b, n, cmd)
}

// answerPage carries out what was pressed and leads back to the page, which then says what came of it.
func (s *Server) answerPage(c *call, b bearer, n int64, cmd incident.Command) error {
	if !b.act {
		return refusal(auth.CodeForbidden, "Your role does not allow this. Ask an administrator.")
	}
	m := incident.Meta{ID: uuid.Must(uuid.NewV7()).String(), At: s.now(), Actor: "person:" + b.handle, Drill: s.Demo}
	s.World.Look(func(v projection.View) {
		if k, err := v.Card(n); err == nil {
			m.Drill = m.Drill || k.Drill
		}
	})
	a, err := s.Rooms.Do(c.ctx(), n, cmd, m)
	if err != nil {
		return s.showPage(c, b, n, http.StatusOK, false, err)
	}
	c.wrote(a.Position)
	return c.land(b.path)
}

func (s *Server) showPage(c *call, b bearer, n int64, code int, expired bool, refused error) error {
	p := views.PhonePage{}
	if refused != nil {
		d, known := describe(refused)
		if !known {
			return refused
		}
		p.Problem, code = d.Detail, d.Status
	}
	err := s.World.LookInto(c.ctx(), n, func(_ projection.View, st incident.State) {
		p.Base = s.plainBase("#" + strconv.FormatInt(n, 10) + " " + st.Title)
		p.Drill = p.Drill || st.Drill
		s.presentPage(&p, b, st, expired)
	})
	if errors.Is(err, projection.ErrUnknown) {
		err = room.ErrNoIncident
	}
	if err != nil {
		return err
	}
	if c.cookie != "" && !b.linked {
		p.CSRF = s.Auth.CSRF(c.actor)
	}
	if b.linked && c.actor.Kind != auth.KindPerson {
		p.SignIn = "/signin?next=/incidents/" + strconv.FormatInt(n, 10)
	}
	return c.page(code, views.PhoneView(p))
}
