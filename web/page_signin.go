package web

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/views"
)

// Cookies outlive what the server allows by little; the server decides.
const (
	personCookie = 400 * 24 * time.Hour
	wallCookie   = 400 * 24 * time.Hour
)

// visit is what auth may know of the browser.
func (c *call) visit(txn string) auth.Visit {
	return auth.Visit{Address: c.address(), Device: device(c.Request().UserAgent()), Origin: c.baseURL(), Txn: txn}
}

// txn is what the form that was sent drew, else newly drawn: a form whose answer
// got lost can be sent again, and what an address carries does not count.
func (c *call) txn() string {
	if t := c.Request().PostFormValue("txn"); len(t) >= 16 && len(t) <= 64 {
		return t
	}
	return rand.Text()
}

// device says in people's words what a User-Agent means.
func device(agent string) string {
	pick := func(table [][2]string, other string) string {
		for _, t := range table {
			if strings.Contains(agent, t[0]) {
				return t[1]
			}
		}
		return other
	}
	browser := pick([][2]string{{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chromium"}, {"Safari/", "Safari"}}, "A program")
	system := pick([][2]string{{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"Mac OS", "macOS"}, {"Linux", "Linux"}}, "an unknown system")
	return browser + " on " + system
}

func (s *Server) plainBase(title string) views.Base {
	return views.Base{Title: title, Site: s.Site, Build: s.Version, Now: s.now(), Drill: s.Demo, Held: s.held()}
}

func (s *Server) signInPage(c *call) error {
	next := local(c.QueryParam("next"))
	if c.actor.SignedIn() && c.actor.Kind == auth.KindPerson {
		return c.redirect(s.home(c.actor, next))
	}
	p := views.SignInPage{Base: s.plainBase("Sign in"), Txn: c.txn(), Next: next, Ended: c.ended || c.QueryParam("ended") != ""}
	return c.page(http.StatusOK, views.SignInView(p))
}

// home is where somebody belongs after signing in.
func (s *Server) home(a auth.Actor, next string) string {
	if a.Role == auth.RoleStakeholder && (next == "/" || next == "") {
		if a.Audience != "" {
			return "/status/" + a.Audience
		}
		return "/status"
	}
	if next == "" {
		return "/"
	}
	return next
}

// fromHere refuses a form that another site made the browser send; signing
// somebody in as somebody else is an attack too.
func (c *call) fromHere() error {
	if c.sameOrigin() {
		return nil
	}
	return refusal("cross_origin", "This request came from another site and was not carried out. Open the page here and try again.")
}

func (s *Server) signInRecovery(c *call) error {
	if err := c.fromHere(); err != nil {
		return err
	}
	if err := c.readForm(); err != nil {
		return err
	}
	next := local(c.FormValue("next"))
	in, err := s.Auth.SignInWithRecovery(c.ctx(), c.FormValue("handle"), c.FormValue("code"), c.visit(c.txn()))
	if err != nil {
		d, known := describe(err)
		if !known {
			return err
		}
		return c.page(d.Status, views.SignInView(views.SignInPage{Base: s.plainBase("Sign in"), Txn: c.txn(), Next: next, Handle: c.FormValue("handle"), Problem: d.Detail}))
	}
	c.setSession(in.Cookie, personCookie)
	return c.redirect(s.home(in.Actor, next))
}

func (s *Server) beginLogin(c *call) error {
	if err := c.fromHere(); err != nil {
		return err
	}
	k, err := s.Auth.BeginLogin(c.ctx(), c.visit(""))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, ceremony{k.ID, k.Options})
}

// ceremony is a begun passkey ceremony as the browser gets it.
type ceremony struct {
	Session string          `json:"session"`
	Options json.RawMessage `json:"options"`
}

const maxCredential = 64 << 10

func (s *Server) finishLogin(c *call) error {
	if err := c.fromHere(); err != nil {
		return err
	}
	body, err := c.body(maxCredential)
	if err != nil {
		return err
	}
	done, err := s.Auth.FinishLogin(c.ctx(), c.QueryParam("session"), body, c.visit(""))
	if err != nil {
		return err
	}
	c.setSession(done.Cookie, personCookie)
	return c.JSON(http.StatusOK, map[string]string{"next": s.home(done.Actor, "")})
}

func (s *Server) beginRegistration(c *call) error {
	k, err := s.Auth.BeginRegistration(c.ctx(), c.actor, c.visit(""))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, ceremony{k.ID, k.Options})
}

func (s *Server) finishRegistration(c *call) error {
	body, err := c.body(maxCredential)
	if err != nil {
		return err
	}
	name := c.QueryParam("name")
	if name == "" {
		name = device(c.Request().UserAgent())
	}
	k, err := s.Auth.FinishRegistration(c.ctx(), c.actor, c.QueryParam("session"), name, body, c.visit(""))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]string{"id": k.ID, "name": k.Name, "next": "/me"})
}

func (s *Server) linkModel(c *call, o auth.Offer) views.LinkPage {
	p := views.LinkPage{Base: s.plainBase("Welcome"), Txn: c.txn(), Action: c.Request().URL.Path, Purpose: "invitation", Role: string(o.Role), Name: o.Name, Handle: o.Handle}
	switch {
	case o.First:
		p.Purpose, p.AskHandle = "administrator", o.Handle == ""
	case o.Again:
		p.Purpose = "signin"
	}
	return p
}

func (s *Server) joinPage(c *call) error {
	o, err := s.Auth.Inspect(c.ctx(), c.Param("token"), c.visit(""))
	if err != nil {
		d, known := describe(err)
		if !known {
			return err
		}
		return c.page(d.Status, views.LinkView(views.LinkPage{Base: s.plainBase("Welcome"), Dead: true, Problem: d.Detail}))
	}
	return c.page(http.StatusOK, views.LinkView(s.linkModel(c, o)))
}

func (s *Server) join(c *call) error {
	if err := c.fromHere(); err != nil {
		return err
	}
	if err := c.readForm(); err != nil {
		return err
	}
	token, choice := c.Param("token"), auth.Choice{Handle: strings.TrimPrefix(strings.TrimSpace(c.FormValue("handle")), "@"), Name: strings.TrimSpace(c.FormValue("name"))}
	offer, _ := s.Auth.Inspect(c.ctx(), token, c.visit("")) // a link that cannot be used says so below
	in, err := s.Auth.Accept(c.ctx(), token, choice, c.visit(c.txn()))
	if err != nil {
		d, known := describe(err)
		if !known {
			return err
		}
		o, again := s.Auth.Inspect(c.ctx(), token, c.visit(""))
		if again != nil {
			return c.page(d.Status, views.LinkView(views.LinkPage{Base: s.plainBase("Welcome"), Dead: true, Problem: d.Detail}))
		}
		p := s.linkModel(c, o)
		p.Problem, p.Name, p.Handle = d.Detail, choice.Name, choice.Handle
		return c.page(d.Status, views.LinkView(p))
	}
	c.setSession(in.Cookie, personCookie)
	if offer.Again { // somebody who knows the house
		return c.redirect(s.home(in.Actor, ""))
	}
	c.tell("told", "You are in. Add a passkey now, so that you can come back without a link.")
	if in.Actor.Role == auth.RoleStakeholder {
		return c.redirect(s.home(in.Actor, ""))
	}
	return c.redirect("/me")
}

// wallLogin exchanges a wall token for a session of the wall's own, so that the
// token does not stay in the address bar of a screen that anybody can see.
func (s *Server) wallLogin(c *call) error {
	in, err := s.Auth.OpenWall(c.ctx(), c.Param("token"), c.visit(""))
	if err != nil {
		return err
	}
	c.setSession(in.Cookie, wallCookie)
	return c.redirect("/wall")
}

func (s *Server) signOut(c *call) error {
	if !c.actor.SignedIn() {
		return c.redirect("/signin")
	}
	if err := c.checkForgery(); err != nil {
		return err
	}
	if err := s.Auth.SignOut(c.ctx(), c.actor); err != nil {
		return err
	}
	c.SetCookie(&http.Cookie{Name: cookieSession, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.secure()})
	return c.redirect("/signin")
}
