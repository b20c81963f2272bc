package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/calendar"
	"github.com/tocsin-ops/tocsin/internal/oncall"
)

var errNoFeed = refusal("not_found", "There is no calendar at this address, or it was revoked. Make a new one on the on-call page.")

type feedsAnswer struct {
	Feeds []feedDoc `json:"feeds"`
}

type feedDoc struct {
	ID        string `json:"id"`
	Owner     string `json:"owner"`
	Kind      string `json:"kind"`
	Subject   string `json:"subject"`
	Name      string `json:"name"`
	CreatedAt string `json:"created_at"`
	URL       string `json:"url,omitempty" doc:"shown this once"`
	Says      string `json:"says,omitempty"`
}

func (s *Server) newFeedDoc(f calendar.Feed) feedDoc {
	return feedDoc{ID: f.ID, Owner: f.Owner, Kind: f.Kind, Subject: f.Subject, Name: s.feedName(f), CreatedAt: rfc3339(f.CreatedAt)}
}

func (s *Server) feedName(f calendar.Feed) string {
	if f.Kind == calendar.OfSchedule {
		if x, ok := s.OnCall.Settings().Schedule(f.Subject); ok {
			return "On call: " + x.Name
		}
		return "On call"
	}
	return "On call: " + f.Subject
}

// feedOwner is whose feeds the caller sees: their own, or, for an administrator, everybody's.
func (c *call) feedOwner() string {
	switch {
	case c.can(auth.ManageOnCall):
		return ""
	case c.actor.Kind == auth.KindPerson:
		return c.actor.ID
	}
	return "nobody"
}

func (s *Server) apiFeeds(c *call) error {
	if s.OnCall == nil || s.Feeds == nil {
		return errNoOnCall
	}
	list, err := s.Feeds.List(c.ctx(), c.feedOwner())
	if err != nil {
		return err
	}
	out := feedsAnswer{Feeds: []feedDoc{}}
	for _, f := range list {
		out.Feeds = append(out.Feeds, s.newFeedDoc(f))
	}
	return c.JSON(http.StatusOK, out)
}

type feedRequest struct {
	Kind    string `json:"kind" enum:"person,schedule"`
	Subject string `json:"subject,omitempty" doc:"id of a schedule; of a person always oneself"`
}

func (s *Server) apiCreateFeed(c *call) error {
	var in feedRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	doc, err := s.createFeed(c, in)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, doc)
}

// createFeed makes a feed for the person who asks. Its address, which is its key, is in the answer and nowhere else.
func (s *Server) createFeed(c *call, in feedRequest) (feedDoc, error) {
	if s.OnCall == nil || s.Feeds == nil {
		return feedDoc{}, errNoOnCall
	}
	if c.actor.Kind != auth.KindPerson {
		return feedDoc{}, refusal(auth.CodeForbidden, "A calendar belongs to a person. Sign in and make it on the on-call page.")
	}
	f := calendar.Feed{Owner: c.actor.ID, Kind: in.Kind, Subject: in.Subject, CreatedAt: s.now()}
	switch _, known := s.OnCall.Settings().Schedule(in.Subject); {
	case in.Kind == calendar.OfPerson:
		f.Subject = c.actor.ID
	case in.Kind != calendar.OfSchedule:
		return feedDoc{}, refusal("bad_argument", "A calendar is of a person or of a schedule.")
	case !known:
		return feedDoc{}, refusal("not_found", "There is no such schedule. Reload the page.")
	}
	f, token, err := s.Feeds.Create(c.ctx(), f)
	if errors.Is(err, calendar.ErrTooMany) {
		return feedDoc{}, refusal("too_many", "You have as many calendars as one may have. Revoke one first.")
	}
	if err != nil {
		return feedDoc{}, err
	}
	doc := s.newFeedDoc(f)
	doc.URL = c.baseURL() + "/calendar/" + token + ".ics"
	doc.Says = "Whoever knows this address can read the calendar; it is shown this once. Calendar programs come back when they like, some only once a day."
	return doc, nil
}

func (s *Server) apiRevokeFeed(c *call) error {
	if s.Feeds == nil {
		return errNoOnCall
	}
	err := s.Feeds.Revoke(c.ctx(), c.feedOwner(), c.Param("id"))
	if errors.Is(err, calendar.ErrUnknown) {
		return errNoFeed
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, struct{}{})
}

// calendarFeed answers a calendar program. The feed ends when its owner may not see on-call any more.
func (s *Server) calendarFeed(c *call) error {
	if s.OnCall == nil || s.Feeds == nil {
		return errNoFeed
	}
	token, ics := strings.CutSuffix(c.Param("token"), ".ics")
	if !ics {
		return errNoFeed
	}
	f, err := s.Feeds.Open(c.ctx(), token, c.address(), s.now())
	switch {
	case errors.Is(err, calendar.ErrTooOften):
		r := refusal(auth.CodeTooMany, "This calendar is read too often. Come back in a minute.")
		r.RetryAfter = 60_000
		return r
	case errors.Is(err, calendar.ErrUnknown):
		return errNoFeed
	case err != nil:
		return err
	}
	owner, ok := s.Auth.Directory().Person(f.Owner)
	if !ok || owner.Standing != auth.Joined || !auth.Can(auth.Actor{Kind: auth.KindPerson, ID: owner.Handle, Role: owner.Role}, auth.ViewOnCall, auth.Subject{}) {
		return errNoFeed
	}
	x, changed := s.OnCall.Settings(), f.CreatedAt
	if history := s.OnCall.History(); len(history) > 0 {
		changed = max(changed, history[len(history)-1].At)
	}
	body := calendar.Publish(s.feedName(f), s.PublicURL, changed, calendar.Entries(x, s.OnCall.Zone, f.Kind, f.Subject, s.now()))
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	h := c.Response().Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "private, max-age=300")
	h.Set("Content-Disposition", `inline; filename="on-call.ics"`)
	if strings.Contains(c.Request().Header.Get("If-None-Match"), tag) {
		return c.NoContent(http.StatusNotModified)
	}
	return c.Blob(http.StatusOK, "text/calendar; charset=utf-8", body)
}

type importRequest struct {
	ID       string            `json:"id,omitempty" doc:"UUID; applying the same id again changes nothing again"`
	Schedule string            `json:"schedule"`
	As       string            `json:"as,omitempty" enum:"overrides,layer"`
	ICS      string            `json:"ics" doc:"the calendar file"`
	People   map[string]string `json:"people,omitempty" doc:"a name in the file to a handle here"`
}

type importAnswer struct {
	calendar.Plan
	Says string `json:"says"`
}

func (s *Server) apiImportPreview(c *call) error {
	in, plan, err := s.planImport(c)
	if err != nil {
		return err
	}
	says := itoa(int64(len(plan.Add))) + " times would be added as overrides."
	if in.As == "layer" {
		says = "One layer would be added."
	}
	return c.JSON(http.StatusOK, importAnswer{plan, says})
}

func (s *Server) apiImportApply(c *call) error {
	in, plan, err := s.planImport(c)
	if err != nil {
		return err
	}
	m, err := c.onCallMeta(in.ID)
	if err != nil {
		return err
	}
	switch {
	case plan.Layer != nil:
		return s.doOnCall(c, oncall.AddLayer{Schedule: in.Schedule, Layer: *plan.Layer}, m)
	case len(plan.Add) == 0:
		return refusal("nothing_to_import", "Nothing in this file can be imported. The preview says why, event by event.")
	}
	return s.doOnCall(c, oncall.AddOverrides{Schedule: in.Schedule, Overrides: plan.Overrides()}, m)
}

// readWithin bounds the reading of a calendar file.
const readWithin = 5 * time.Second

func (s *Server) planImport(c *call) (in importRequest, plan calendar.Plan, err error) {
	if s.OnCall == nil {
		return in, plan, errNoOnCall
	}
	if err = c.decode(&in); err != nil {
		return in, plan, err
	}
	return s.plan(c, in)
}

// plan reads a calendar file and says what taking it over would do; nothing is changed.
func (s *Server) plan(c *call, in importRequest) (_ importRequest, plan calendar.Plan, err error) {
	x, ok := s.OnCall.Settings().Schedule(in.Schedule)
	if !ok {
		return in, plan, refusal("not_found", "There is no such schedule. Make it first.")
	}
	if in.As != "" && in.As != "overrides" && in.As != "layer" {
		return in, plan, refusal("bad_argument", "A calendar is imported as overrides or as a layer.")
	}
	zone, err := s.OnCall.Zone(x.Zone)
	if err != nil {
		return in, plan, refusal("bad_zone", "The zone "+x.Zone+" of this schedule is not known here. Choose another zone.")
	}
	var people []calendar.Person
	here := s.OnCall.Reachable()
	for _, h := range here {
		p, _ := s.Auth.Directory().Person(h)
		people = append(people, calendar.Person{Handle: h, Name: p.Name})
	}
	ctx, cancel := context.WithTimeout(c.ctx(), readWithin)
	defer cancel()
	times, refused, err := calendar.Read(ctx, []byte(in.ICS), zone, s.OnCall.Zone, s.now())
	if errors.Is(err, calendar.ErrUnreadable) {
		return in, plan, refusal("unreadable", "The calendar cannot be read: "+safe(strings.TrimPrefix(err.Error(), calendar.ErrUnreadable.Error()+": "))+".")
	}
	if err != nil {
		return in, plan, err
	}
	plan = calendar.NewPlan(times, refused, people, in.People)
	if in.As == "layer" {
		l, why := plan.AsLayer(zone)
		if why != "" {
			return in, plan, refusal("no_rotation", why)
		}
		plan.Layer = &l
	}
	return in, plan, nil
}
