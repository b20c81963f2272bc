package web

import (
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/views"
)

func (s *Server) peopleModel(c *call) (views.PeoplePage, error) {
	var p views.PeoplePage
	s.World.Look(func(v projection.View) { p.Base = c.base("People", "people", v) })
	for _, a := range s.Audiences {
		p.Audiences = append(p.Audiences, views.Choice{Value: a, Text: a})
	}
	for _, q := range s.Auth.People() {
		if q.Standing == auth.Invited {
			p.Invitations = append(p.Invitations, views.Invitation{ID: q.Handle, Name: q.Name, Role: string(q.Role), Audience: q.Audience, At: q.InvitedAt, By: "an administrator"})
			continue
		}
		row := views.PersonRow{Handle: q.Handle, Name: q.Name, Role: string(q.Role), Audience: q.Audience, Disabled: q.Standing == auth.Removed, Self: c.actor.Kind == auth.KindPerson && q.Handle == c.actor.ID}
		keys, err := s.Auth.Passkeys(c.ctx(), q.Handle)
		if err != nil {
			return p, err
		}
		row.Passkeys = len(keys)
		devices, err := s.Auth.Devices(c.ctx(), auth.KindPerson, q.Handle)
		if err != nil {
			return p, err
		}
		if len(devices) > 0 {
			row.LastAt = devices[0].SeenAt
		}
		p.People = append(p.People, row)
	}
	return p, nil
}

func (s *Server) peoplePage(c *call) error { return s.showPeople(c, nil, "", nil) }

// showPeople shows the page, with a link that is shown once or a refusal.
func (s *Server) showPeople(c *call, link *auth.Link, who string, refused error) error {
	p, err := s.peopleModel(c)
	if err != nil {
		return err
	}
	code := http.StatusOK
	if link != nil {
		p.NewLink, p.NewFor, p.NewUntil = c.baseURL()+link.Path(), who, link.ExpiresAt
	}
	if refused != nil {
		d, known := describe(refused)
		if !known {
			return refused
		}
		code = d.Status
		if c.Path() == "/people/invite" {
			p.Problem = d.Detail // at the form at the end of the page
		} else {
			p.Refused = d.Detail
		}
	}
	return c.page(code, views.PeopleView(p))
}

func (s *Server) invite(c *call) error {
	name := strings.TrimSpace(c.FormValue("name"))
	handle := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(c.FormValue("handle"))), "@")
	if handle == "" {
		handle = s.freeHandle(name)
	}
	role, audience := auth.Role(c.FormValue("role")), c.FormValue("audience")
	if role != auth.RoleStakeholder {
		audience = ""
	}
	link, err := s.Auth.Invite(c.ctx(), c.actor, auth.Invitation{Handle: handle, Name: name, Role: role, Audience: audience})
	if err != nil {
		return s.showPeople(c, nil, "", err)
	}
	return s.showPeople(c, &link, name+" (@"+handle+")", nil)
}

// freeHandle makes a handle from a name: ana, else ana-ruiz, else ana-2.
func (s *Server) freeHandle(name string) string {
	words := strings.FieldsFunc(strings.ToLower(plainLetters(name)), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for len(words) > 0 && (words[0][0] < 'a' || words[0][0] > 'z') {
		words = words[1:]
	}
	if len(words) == 0 {
		words = []string{"person"}
	}
	free := func(h string) bool {
		p, taken := s.Auth.Directory().Person(h)
		return !taken || p.Standing == auth.Invited && p.Name == name
	}
	for _, h := range []string{clip(words[0], 24), clip(strings.Join(words, "-"), 24)} {
		if free(h) {
			return h
		}
	}
	for i := 2; ; i++ {
		if h := clip(words[0], 24) + "-" + strconv.Itoa(i); free(h) {
			return h
		}
	}
}

var plainer = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "é", "e", "è", "e", "ê", "e", "á", "a", "à", "a", "â", "a",
	"í", "i", "ì", "i", "ó", "o", "ò", "o", "ô", "o", "ú", "u", "ù", "u", "ñ", "n", "ç", "c", "ø", "o", "å", "a", "ł", "l", "ś", "s", "ž", "z", "š", "s", "č", "c")

// plainLetters spells a name with ASCII letters as far as common usage has it; other letters go.
func plainLetters(name string) string {
	return strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII {
			return -1
		}
		return r
	}, plainer.Replace(strings.ToLower(name)))
}

func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.Trim(s, "-")
}

func (s *Server) revokeInvitation(c *call) error {
	if err := s.Auth.RevokeInvitation(c.ctx(), c.actor, c.Param("id")); err != nil {
		return s.showPeople(c, nil, "", err)
	}
	c.tell("done", "The invitation is withdrawn; its link no longer works.")
	return c.land("/people")
}

// resendInvitation shows a new link; the one before is void.
func (s *Server) resendInvitation(c *call) error {
	h := c.Param("id")
	link, err := s.Auth.Resend(c.ctx(), c.actor, h)
	if err != nil {
		return s.showPeople(c, nil, "", err)
	}
	return s.showPeople(c, &link, s.person(h)+" (@"+h+")", nil)
}

func (s *Server) changeRole(c *call) error {
	h, role, audience := c.Param("handle"), auth.Role(c.FormValue("role")), c.FormValue("audience")
	if role != auth.RoleStakeholder {
		audience = ""
	}
	if p, ok := s.Auth.Directory().Person(h); audience != "" && !(ok && p.Audience == audience) {
		if err := s.knownAudience(audience); err != nil {
			return s.showPeople(c, nil, "", err)
		}
	}
	if err := s.Auth.ChangeRole(c.ctx(), c.actor, h, role, audience); err != nil {
		return s.showPeople(c, nil, "", err)
	}
	c.tell("done", s.person(h)+" is "+string(role)+" now.")
	if h == c.actor.ID && c.actor.Kind == auth.KindPerson && role == auth.RoleStakeholder {
		return c.redirect(s.home(auth.Actor{Role: role, Audience: audience}, ""))
	}
	return c.land("/people")
}

func (s *Server) signInLink(c *call) error {
	link, err := s.Auth.SignInLink(c.ctx(), c.actor, c.Param("handle"))
	if err != nil {
		return s.showPeople(c, nil, "", err)
	}
	return s.showPeople(c, &link, s.person(c.Param("handle"))+" to sign in again", nil)
}

func (s *Server) removePerson(c *call) error {
	h := c.Param("handle")
	if err := s.Auth.Remove(c.ctx(), c.actor, h); err != nil {
		return s.showPeople(c, nil, "", err)
	}
	if s.Notify != nil {
		if err := s.Notify.Forget(c.ctx(), h); err != nil { // nothing is sent to who has left all the same
			s.Logger.Warn("the addresses of who has left are still kept; nothing is sent to them, and inviting and removing the person once more tries it again", "person", h, "err", err)
		}
	}
	c.tell("done", s.person(h)+" is locked out; every session of theirs has ended.")
	return c.land("/people")
}

// inviteAgain lets somebody who was locked out in again: with a new invitation, not silently.
func (s *Server) inviteAgain(c *call) error {
	p, ok := s.Auth.Directory().Person(c.Param("handle"))
	if !ok {
		return refusal(auth.CodeUnknownPerson, "There is nobody with this handle.")
	}
	link, err := s.Auth.Invite(c.ctx(), c.actor, auth.Invitation{Handle: p.Handle, Name: p.Name, Role: p.Role, Audience: p.Audience})
	if err != nil {
		return s.showPeople(c, nil, "", err)
	}
	return s.showPeople(c, &link, p.Name+" (@"+p.Handle+")", nil)
}

// The own account.

// showMe shows the page, with what edit adds to it, or a refusal.
func (s *Server) showMe(c *call, edit func(*views.MePage), refused error) error {
	p := views.MePage{Name: c.actor.Name}
	s.World.Look(func(v projection.View) { p.Base = c.base(c.actor.Name, "me", v) })
	keys, err := s.Auth.Passkeys(c.ctx(), c.actor.ID)
	if err != nil {
		return err
	}
	for _, k := range keys {
		p.Passkeys = append(p.Passkeys, views.Passkey{ID: k.ID, Name: k.Name, AddedAt: k.CreatedAt, UsedAt: k.UsedAt})
	}
	devices, err := s.Auth.Devices(c.ctx(), auth.KindPerson, c.actor.ID)
	if err != nil {
		return err
	}
	for _, d := range devices {
		p.Sessions = append(p.Sessions, views.Session{ID: d.ID, Agent: d.Name, SinceAt: d.CreatedAt, SeenAt: d.SeenAt, Current: d.ID == c.actor.SessionID})
	}
	if p.CodesLeft, err = s.Auth.RecoveryCodesLeft(c.ctx(), c.actor.ID); err != nil {
		return err
	}
	if edit != nil {
		edit(&p)
	}
	code := http.StatusOK
	if refused != nil {
		d, known := describe(refused)
		if !known {
			return refused
		}
		p.Problem, code = d.Detail, d.Status
		if typed := c.FormValue("name"); c.Path() == "/me/name" && len(typed) <= maxTyped {
			p.Name = typed
		}
	}
	return c.page(code, views.MeView(p))
}

func (s *Server) mePage(c *call) error { return s.showMe(c, nil, nil) }

// maxTyped is how many bytes of a refused field a form shows again.
const maxTyped = 400

func (s *Server) rename(c *call) error {
	if err := s.Auth.Rename(c.ctx(), c.actor, c.actor.ID, c.FormValue("name")); err != nil {
		return s.showMe(c, nil, err)
	}
	c.tell("done", "Saved. Others read this name from now on.")
	return c.redirect("/me")
}

func (s *Server) newCodes(c *call) error {
	codes, err := s.Auth.NewRecoveryCodes(c.ctx(), c.actor)
	return s.showMe(c, func(p *views.MePage) { p.NewCodes = codes }, err)
}

func (s *Server) removePasskey(c *call) error {
	if err := s.Auth.RemovePasskey(c.ctx(), c.actor, c.actor.ID, c.Param("id")); err != nil {
		return s.showMe(c, nil, err)
	}
	return c.redirect("/me")
}

func (s *Server) revokeSession(c *call) error {
	if err := s.Auth.RevokeSession(c.ctx(), c.actor, c.Param("id")); err != nil {
		return s.showMe(c, nil, err)
	}
	return c.redirect("/me")
}
