package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/notify"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/views"
)

const reachPath = "/me/notifications"

var errNoNotify = refusal("unavailable", "Nobody is notified from here.")

// registerReach registers the pages and the API of a person's own routes. They act on whoever is signed in and on nobody else.
func (s *Server) registerReach() {
	get, post := http.MethodGet, http.MethodPost
	s.authed(get, reachPath, auth.ManageAccount, s.reachPage)
	s.authed(post, reachPath, auth.ManageAccount, s.addRouteForm)
	s.authed(get, "/api/v1/me/routes", auth.ManageAccount, s.apiRoutes)
	s.authed(post, "/api/v1/me/routes", auth.ManageAccount, s.apiAddRoute)
	for name, do := range routeActs {
		s.authed(post, reachPath+"/:id/"+name, auth.ManageAccount, func(c *call) error { return s.routeForm(c, name, do) })
		s.authed(post, "/api/v1/me/routes/:id/"+name, auth.ManageAccount, func(c *call) error { return s.apiRouteAct(c, do) })
	}
	s.open(get, "/sw.js", "the script that shows notifications; the same for everybody", s.serviceWorker)
	s.open(post, notify.SeenPath+":token", "the token came with the notification that the device showed", s.pushSeen)
}

// routeAct is what is done to a route: the fields of the page's form and of the API's body alike.
type routeAct struct {
	Label      string `json:"label,omitempty"`
	After      int    `json:"after_minutes,omitempty" doc:"also used when a page was not answered for so long; 0 = only when the routes before fail"`
	Floor      string `json:"floor,omitempty" doc:"SEV1 to SEV5; empty = all"`
	QuietFrom  string `json:"quiet_from,omitempty" doc:"15:04"`
	QuietTo    string `json:"quiet_to,omitempty"`
	QuietZone  string `json:"quiet_zone,omitempty" doc:"IANA name"`
	QuietPages bool   `json:"quiet_pages,omitempty" doc:"pages of SEV1 and SEV2 are held back, too"`
	To         string `json:"to,omitempty" enum:"up,down"`
	Code       string `json:"code,omitempty"`
}

type actOnRoute struct {
	do   func(s *Server, c *call, a routeAct) error
	done string
}

// routeActs are the ways to change a route, by the last part of their address.
var routeActs = map[string]actOnRoute{
	"set": {func(s *Server, c *call, a routeAct) error {
		set := notify.Setting{Label: a.Label, After: int64(a.After) * time.Minute.Milliseconds(), Floor: a.Floor}
		if a.QuietFrom != "" || a.QuietTo != "" {
			set.Quiet = &notify.Quiet{From: a.QuietFrom, To: a.QuietTo, Zone: strings.TrimSpace(a.QuietZone), Pages: a.QuietPages}
		}
		return s.Notify.SetRoute(c.ctx(), c.actor.ID, c.Param("id"), set)
	}, "Saved."},
	"move": {func(s *Server, c *call, a routeAct) error {
		return s.Notify.MoveRoute(c.ctx(), c.actor.ID, c.Param("id"), a.To == "up")
	}, ""},
	"remove": {func(s *Server, c *call, _ routeAct) error {
		return s.Notify.RemoveRoute(c.ctx(), c.actor.ID, c.Param("id"))
	}, ""},
	"restore": {func(s *Server, c *call, _ routeAct) error {
		return s.Notify.RestoreRoute(c.ctx(), c.actor.ID, c.Param("id"))
	}, "The route is back."},
	"secret": {func(s *Server, c *call, _ routeAct) error {
		return s.Notify.RotateSecret(c.ctx(), c.actor.ID, c.Param("id"))
	}, "There is a new secret. The one before signs as well until you make another."},
	"test": {func(s *Server, c *call, _ routeAct) error {
		return s.Notify.Test(c.ctx(), c.actor.ID, c.Param("id"))
	}, "A test is on its way. Load the page again to see what became of it."},
	"confirm": {func(s *Server, c *call, a routeAct) error {
		return s.Notify.Confirm(c.ctx(), c.actor.ID, c.Param("id"), a.Code)
	}, "Confirmed. You are reached over this route from now on."},
}

func (s *Server) reachPage(c *call) error { return s.showReach(c, nil) }

func (s *Server) showReach(c *call, refused error) error {
	if s.Notify == nil {
		return errNoNotify
	}
	p := views.ReachPage{PushKey: s.Notify.PushKey}
	s.World.Look(func(v projection.View) { p.Base = c.base("Notifications", "me", v) })
	list, err := s.Notify.Routes(c.ctx(), c.actor.ID)
	if err != nil {
		return err
	}
	for i, r := range list {
		p.Routes = append(p.Routes, presentRoute(r, i, len(list)))
	}
	for _, o := range s.Notify.Offers() {
		if o.Kind != notify.Push {
			p.Offers = append(p.Offers, offer(o))
		}
	}
	if id := c.QueryParam("removed"); id != "" && len(id) < 40 && c.actor.SignedIn() {
		p.Undo = &views.UndoBar{Says: "The route is removed.", To: reachPath + "/" + id + "/restore", Back: reachPath}
	}
	code := http.StatusOK
	if refused != nil {
		d, known := describe(refused)
		if !known {
			return refused
		}
		p.Problem, code = d.Detail, d.Status
	}
	return c.page(code, views.ReachView(p))
}

func presentRoute(r notify.RouteState, i, of int) views.RouteRow {
	row := views.RouteRow{ID: r.ID, Kind: r.Kind, Label: r.Label, Shown: r.Shown, Verified: r.Verified != 0, Waits: r.Waits, Off: r.Off, Outcome: r.Last.Outcome, Detail: r.Last.Detail,
		At: r.Last.At, Floor: r.Floor, Secret: r.Secret(), First: i == 0, Last: i == of-1, N: i + 1, AfterMinutes: strconv.FormatInt(r.After/time.Minute.Milliseconds(), 10)}
	if r.After > 0 {
		row.After = row.AfterMinutes + " min"
	}
	if q := r.Quiet; q != nil {
		row.QuietFrom, row.QuietTo, row.Zone, row.QuietPages = q.From, q.To, q.Zone, q.Pages
	}
	row.Floors = []views.Choice{{Text: "every severity", On: r.Floor == ""}, {Value: "SEV1", Text: "SEV1", On: r.Floor == "SEV1"}}
	for _, f := range []string{"SEV2", "SEV3", "SEV4"} {
		row.Floors = append(row.Floors, views.Choice{Value: f, Text: f + " and worse", On: r.Floor == f})
	}
	return row
}

// offer says what to type for a kind of route.
func offer(o notify.Offer) views.RouteOffer {
	v := views.RouteOffer{Kind: o.Kind, Off: o.Off, Type: "text", Label: strings.ToUpper(o.Label[:1]) + o.Label[1:]}
	switch o.Kind {
	case notify.Email:
		v.Field, v.Type, v.Hint = "E-mail address", "email", "A code is sent to it; until you have typed it here the address gets nothing else."
	case notify.SMS:
		v.Field, v.Type, v.Hint = "Number", "tel", "In international form, like +41 79 123 45 67."
	case notify.Telegram:
		v.Field, v.Hint = "Chat id", "Digits. Send /start to the bot first; @userinfobot tells your id."
	case notify.Slack:
		v.Field, v.Hint = "Member id", "Like U012ABCDEF. In Slack: your profile, the three dots, Copy member ID."
	case notify.Mattermost:
		v.Field, v.Hint = "User name or channel", "@ and your user name, or the id or name of a channel."
	case notify.Matrix:
		v.Field, v.Hint = "Room id", "Like !abcdef:example.org. In Element: room settings, Advanced. The bot must have joined the room."
	case notify.Webhook:
		v.Field, v.Type, v.Hint = "Address", "url", "Gets JSON by POST, signed with a secret that is shown afterwards."
	case notify.Other:
		v.Field, v.Hint = "Address as shoutrrr writes it", "Like ntfy://… or pushover://…, see shoutrrr.nickfedor.com. It says only that the service took a message."
	}
	return v
}

func (s *Server) addRouteForm(c *call) error {
	if s.Notify == nil {
		return errNoNotify
	}
	r := notify.Route{Kind: c.FormValue("kind"), Label: c.FormValue("label"), Address: c.FormValue("address")}
	if _, err := s.Notify.AddRoute(c.ctx(), c.actor.ID, r, c.actor.Role == auth.RoleAdministrator); err != nil {
		return s.showReach(c, err)
	}
	c.tell("done", "Added. Send the code to it and type it here, so that it counts.")
	return c.redirect(reachPath)
}

func (s *Server) routeForm(c *call, name string, do actOnRoute) error {
	if s.Notify == nil {
		return errNoNotify
	}
	minutes, _ := strconv.Atoi(c.FormValue("after")) // what is no number is 0, as the list's first
	a := routeAct{Label: c.FormValue("label"), After: max(0, min(minutes, 24*60)), Floor: c.FormValue("floor"), QuietFrom: c.FormValue("quiet_from"), QuietTo: c.FormValue("quiet_to"),
		QuietZone: c.FormValue("quiet_zone"), QuietPages: c.FormValue("quiet_pages") == "yes", To: c.FormValue("to"), Code: c.FormValue("code")}
	if err := do.do(s, c, a); err != nil {
		return s.showReach(c, err)
	}
	if do.done != "" {
		c.tell("done", do.done)
	}
	if name == "remove" {
		return c.redirect(reachPath + "?removed=" + c.Param("id"))
	}
	return c.redirect(reachPath + "#route-" + c.Param("id"))
}

// routeDoc is a route on the wire, for its own person. Addresses are shown as far as they are no secret.
type routeDoc struct {
	ID        string `json:"id"`
	Kind      string `json:"kind"`
	Label     string `json:"label"`
	Shown     string `json:"shown"`
	Verified  bool   `json:"verified"`
	Waits     bool   `json:"waits_for_code,omitempty"`
	Off       string `json:"off,omitempty"`
	After     int64  `json:"after_minutes,omitempty"`
	Floor     string `json:"floor,omitempty"`
	QuietFrom string `json:"quiet_from,omitempty"`
	QuietTo   string `json:"quiet_to,omitempty"`
	QuietZone string `json:"quiet_zone,omitempty"`
	Outcome   string `json:"last_outcome,omitempty"`
	Detail    string `json:"last_detail,omitempty"`
	At        int64  `json:"last_at,omitempty" doc:"unix ms"`
}

type offerDoc struct {
	Kind  string `json:"kind"`
	Label string `json:"label"`
	Off   string `json:"off,omitempty" doc:"what to set up; empty = it can be used"`
}

type routesAnswer struct {
	Routes  []routeDoc `json:"routes"`
	Offers  []offerDoc `json:"offers"`
	PushKey string     `json:"push_key"`
	Now     int64      `json:"now"`
}

// apiRoutes lists the routes of whoever is signed in.
func (s *Server) apiRoutes(c *call) error {
	if s.Notify == nil {
		return errNoNotify
	}
	list, err := s.Notify.Routes(c.ctx(), c.actor.ID)
	if err != nil {
		return err
	}
	out := routesAnswer{Routes: []routeDoc{}, Offers: []offerDoc{}, PushKey: s.Notify.PushKey, Now: s.now()}
	for _, r := range list {
		d := routeDoc{ID: r.ID, Kind: r.Kind, Label: r.Label, Shown: r.Shown, Verified: r.Verified != 0, Waits: r.Waits, Off: r.Off, After: r.After / time.Minute.Milliseconds(), Floor: r.Floor,
			Outcome: r.Last.Outcome, Detail: r.Last.Detail, At: r.Last.At}
		if r.Quiet != nil {
			d.QuietFrom, d.QuietTo, d.QuietZone = r.Quiet.From, r.Quiet.To, r.Quiet.Zone
		}
		out.Routes = append(out.Routes, d)
	}
	for _, o := range s.Notify.Offers() {
		out.Offers = append(out.Offers, offerDoc{o.Kind, o.Label, o.Off})
	}
	return c.JSON(http.StatusOK, out)
}

// routeRequest is the body of POST /api/v1/me/routes.
type routeRequest struct {
	Kind    string               `json:"kind" enum:"push,email,sms,telegram,slack,mattermost,matrix,webhook,other"`
	Label   string               `json:"label,omitempty"`
	Address string               `json:"address,omitempty"`
	Push    *notify.Subscription `json:"push,omitempty" doc:"PushSubscription.toJSON() of this browser"`
}

type routeAnswer struct {
	ID     string `json:"id"`
	Secret string `json:"secret,omitempty" doc:"of a webhook"`
	Now    int64  `json:"now"`
}

func (s *Server) apiAddRoute(c *call) error {
	if s.Notify == nil {
		return errNoNotify
	}
	var in routeRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	id, err := s.Notify.AddRoute(c.ctx(), c.actor.ID, notify.Route{Kind: in.Kind, Label: in.Label, Address: in.Address, Push: in.Push}, c.actor.Role == auth.RoleAdministrator)
	if err != nil {
		return err
	}
	out := routeAnswer{ID: id, Now: s.now()}
	list, err := s.Notify.Routes(c.ctx(), c.actor.ID)
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.ID == id {
			out.Secret = r.Secret()
		}
	}
	return c.JSON(http.StatusCreated, out)
}

func (s *Server) apiRouteAct(c *call, do actOnRoute) error {
	if s.Notify == nil {
		return errNoNotify
	}
	var in routeAct
	if err := c.decode(&in); err != nil {
		return err
	}
	in.After = max(0, min(in.After, 24*60))
	at := s.now()
	if err := do.do(s, c, in); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, routeAnswer{ID: c.Param("id"), Now: at})
}

// serviceWorker is the script that shows notifications. It must come from the root, so that all pages are its own.
func (s *Server) serviceWorker(c *call) error {
	c.Response().Header().Set("Service-Worker-Allowed", "/")
	return s.file(c, "sw.js")
}

// pushSeen takes a device's word that it showed a notification.
func (s *Server) pushSeen(c *call) error {
	if s.Notify == nil {
		return errNoNotify
	}
	if token := c.Param("token"); len(token) == 32 {
		if err := s.Notify.Seen(c.ctx(), token); err != nil {
			return err
		}
	}
	return c.NoContent(http.StatusNoContent)
}
