package web

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/calendar"
	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/views"
)

// fieldTime is how a time stands in a datetime-local field.
const fieldTime = "2006-01-02T15:04"

// showing is how the page of a schedule was asked for, in its query.
type showing struct {
	id    string
	week  string // Monday of the first week, 2006-01-02; "" = this week
	utc   bool   // days of UTC instead of the schedule's zone
	from  int64  // of a shift that was picked, unix ms; 0 = none
	until int64
}

func (c *call) showing(q url.Values) showing {
	w := showing{id: c.Param("id"), utc: q.Get("utc") != ""}
	if d, err := time.Parse(time.DateOnly, q.Get("week")); err == nil && d.Year() > 1970 && d.Year() < 2200 {
		w.week = q.Get("week")
	}
	w.from, _ = strconv.ParseInt(q.Get("from"), 10, 64)
	w.until, _ = strconv.ParseInt(q.Get("until"), 10, 64)
	return w
}

// address is the page shown so, without what was picked.
func (w showing) address() string {
	q := url.Values{}
	if w.week != "" {
		q.Set("week", w.week)
	}
	if w.utc {
		q.Set("utc", "1")
	}
	if len(q) == 0 {
		return "/oncall/schedules/" + w.id
	}
	return "/oncall/schedules/" + w.id + "?" + q.Encode()
}

func (s *Server) schedulePage(c *call) error {
	return s.showSchedule(c, c.showing(c.QueryParams()), nil, nil)
}

// again shows the page that a form came from, with what was refused.
func (s *Server) again(c *call, refused error) error {
	u, err := url.Parse(c.back(""))
	if err != nil {
		u = &url.URL{}
	}
	return s.showSchedule(c, c.showing(u.Query()), nil, refused)
}

// showSchedule renders the page; more adds what was just made.
func (s *Server) showSchedule(c *call, w showing, more func(*views.SchedulePage), refused error) error {
	if s.OnCall == nil {
		return errNoOnCall
	}
	set := s.OnCall.Settings()
	x, ok := set.Schedule(w.id)
	if !ok {
		return refusal("not_found", "There is no such schedule any more. Look at the list on the on-call page.")
	}
	p := views.SchedulePage{ID: x.ID, Name: x.Name, Zone: x.Zone, Zones: zoneChoices, Manage: c.can(auth.ManageOnCall), Own: c.can(auth.SwapShift) && c.actor.Kind == auth.KindPerson, Back: w.address()}
	p.Teams = usedBy(set, func(t oncall.Team) bool { return t.Schedule == x.ID })
	s.World.Look(func(v projection.View) { p.Base = c.base(x.Name, "oncall", v) })
	code := http.StatusOK
	zone, err := s.OnCall.Zone(x.Zone)
	if err != nil {
		zone, p.Problem = time.UTC, "The zone "+x.Zone+" is not known on this machine, so nobody is on call here. Choose another one below."
	}
	if refused != nil {
		d, known := describe(refused)
		if !known {
			return refused
		}
		p.Problem, code = d.Detail, d.Status
	}
	p.Undo = s.undoBar(c, p.Back)
	p.People = append(s.callable(), views.Choice{Text: "Nobody"})
	s.presentCalendar(&p, w, x, zone)
	p.Swaps = s.presentSwaps(c, set, x.ID)
	p.Holes, _ = s.presentChecks(set, x.ID)
	s.presentLayers(&p, c, set, x, zone)
	if w.from > 0 && (p.Own || p.Manage) {
		p.Pick = s.presentPick(c, w, x, zone)
	}
	if p.Feed.List, p.Feed.Make, err = s.presentFeeds(c, x.ID); err != nil {
		return err
	}
	if more != nil {
		more(&p)
	}
	return c.page(code, views.ScheduleView(p))
}

// Forms.

func (s *Server) scheduleTo(c *call) string { return c.back("/oncall/schedules/" + c.Param("id")) }

func (s *Server) saveSchedule(c *call) error {
	name, zone := strings.TrimSpace(c.FormValue("name")), strings.TrimSpace(c.FormValue("zone"))
	return s.change(c, oncall.EditSchedule{Schedule: c.Param("id"), Title: &name, Zone: &zone}, s.scheduleTo(c), s.again)
}

func (s *Server) removeSchedule(c *call) error {
	return s.change(c, oncall.RemoveSchedule{Schedule: c.Param("id")}, "/oncall", s.again)
}

// moment is what stands in a field of time, as a command takes it; the days of the page may be those of UTC.
func moment(text, zone string) string {
	if text = strings.TrimSpace(text); len(text) > len(fieldTime) && text[10] == 'T' {
		text = text[:len(fieldTime)] // some browsers send seconds
	}
	if zone == "UTC" && text != "" {
		return text + ":00Z"
	}
	return text
}

func (s *Server) overrideForm(c *call) error {
	person, zone := c.FormValue("person"), c.FormValue("zone")
	if person == "?" {
		return s.again(c, refusal("bad_person", "Press the name of who is on call then."))
	}
	return s.change(c, oncall.AddOverride{Schedule: c.Param("id"), Person: person, From: moment(c.FormValue("from"), zone), Until: moment(c.FormValue("until"), zone), Note: c.FormValue("note")}, s.scheduleTo(c), s.again)
}

func (s *Server) removeOverride(c *call) error {
	return s.change(c, oncall.RemoveOverride{Schedule: c.Param("id"), Override: c.FormValue("override")}, s.scheduleTo(c), s.again)
}

func (s *Server) offerSwap(c *call) error {
	person, in, _ := strings.Cut(c.FormValue("with"), "|")
	return s.change(c, oncall.OfferSwap{Schedule: c.Param("id"), Turn: c.FormValue("turn"), Person: person, Return: in, Note: c.FormValue("note")}, s.scheduleTo(c), s.again)
}

func (s *Server) handOverNote(c *call) error {
	return s.change(c, oncall.NoteHandOver{Schedule: c.Param("id"), At: c.FormValue("at"), Text: c.FormValue("text")}, s.scheduleTo(c), s.again)
}

// saveLayer adds or replaces a layer. Of several windows of hours the page shows the first; the others stay as they are.
func (s *Server) saveLayer(c *call) error {
	if s.OnCall == nil {
		return errNoOnCall
	}
	form := c.Request().Form
	l := oncall.Layer{ID: form.Get("layer"), Name: strings.TrimSpace(form.Get("name")), Start: moment(form.Get("start"), ""), End: moment(form.Get("end"), ""), Unit: form.Get("unit")}
	l.Every, _ = strconv.Atoi(form.Get("every"))
	for _, h := range form["person"] {
		if h != "" {
			l.People = append(l.People, h)
		}
	}
	if from, to := form.Get("only_from"), form.Get("only_to"); from != "" || to != "" || len(form["only_day"]) > 0 {
		if from == "" && to == "" {
			from, to = "00:00", "24:00" // whole days
		}
		if to == "00:00" {
			to = "24:00"
		}
		w := oncall.Window{From: from, To: to}
		for _, d := range form["only_day"] {
			if n, err := strconv.Atoi(d); err == nil {
				w.Days = append(w.Days, n)
			}
		}
		l.Only = []oncall.Window{w}
	}
	if l.ID == "" {
		return s.change(c, oncall.AddLayer{Schedule: c.Param("id"), Layer: l}, s.scheduleTo(c), s.again)
	}
	if x, ok := s.OnCall.Settings().Schedule(c.Param("id")); ok {
		if i := slices.IndexFunc(x.Layers, func(o oncall.Layer) bool { return o.ID == l.ID }); i >= 0 && len(x.Layers[i].Only) > 1 {
			l.Only = append(l.Only, x.Layers[i].Only[1:]...)
		}
	}
	return s.change(c, oncall.EditLayer{Schedule: c.Param("id"), Layer: l}, s.scheduleTo(c), s.again)
}

func (s *Server) changeLayer(c *call) error {
	id, layer := c.Param("id"), c.FormValue("layer")
	var cmd oncall.Command
	switch c.Param("verb") {
	case "up":
		cmd = oncall.MoveLayer{Schedule: id, Layer: layer, Up: true}
	case "down":
		cmd = oncall.MoveLayer{Schedule: id, Layer: layer}
	case "remove":
		cmd = oncall.RemoveLayer{Schedule: id, Layer: layer}
	default:
		return errNoPage
	}
	return s.change(c, cmd, s.scheduleTo(c), s.again)
}

// Calendars.

func (s *Server) presentFeeds(c *call, schedule string) (list []views.FeedRow, may bool, err error) {
	if s.Feeds == nil || c.actor.Kind != auth.KindPerson {
		return nil, false, nil
	}
	feeds, err := s.Feeds.List(c.ctx(), c.feedOwner())
	if err != nil {
		return nil, false, err
	}
	for _, f := range feeds {
		if f.Kind == calendar.OfSchedule && f.Subject == schedule {
			list = append(list, views.FeedRow{ID: f.ID, For: s.person(f.Owner), At: f.CreatedAt})
		}
	}
	return list, true, nil
}

func (s *Server) makeFeed(c *call) error {
	doc, err := s.createFeed(c, feedRequest{Kind: calendar.OfSchedule, Subject: c.Param("id")})
	if err != nil {
		return s.again(c, err)
	}
	return s.showSchedule(c, showing{id: c.Param("id")}, func(p *views.SchedulePage) { p.Feed.New = doc.URL }, nil)
}

func (s *Server) revokeFeed(c *call) error {
	if s.Feeds == nil {
		return errNoOnCall
	}
	err := s.Feeds.Revoke(c.ctx(), c.feedOwner(), c.FormValue("feed"))
	if errors.Is(err, calendar.ErrUnknown) {
		err = errNoFeed
	}
	if err != nil {
		return s.again(c, err)
	}
	c.tell("done", "Revoked. Calendars that read this address are not brought up to date any more.")
	return c.redirect(s.scheduleTo(c))
}

// mostCalendar is the largest calendar file that a form takes, in bytes.
const mostCalendar = 512 << 10

func (s *Server) importLook(c *call) error {
	f, h, err := c.Request().FormFile("file")
	if err != nil {
		return s.again(c, refusal("file_missing", "Choose a calendar file first; its name ends with .ics."))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostCalendar+1))
	if err != nil {
		return bodyError(err)
	}
	if len(text) > mostCalendar {
		return s.again(c, refusal("body_too_large", "The calendar file is larger than 512 KiB. Export a shorter time."))
	}
	plan, err := s.planFile(c, string(text))
	if err != nil {
		return s.again(c, err)
	}
	return s.showSchedule(c, showing{id: c.Param("id")}, func(p *views.SchedulePage) { p.Import = s.presentImport(plan, h.Filename, string(text), p.Zone) }, nil)
}

func (s *Server) importTake(c *call) error {
	plan, err := s.planFile(c, c.FormValue("text"))
	if err == nil && len(plan.Add) == 0 {
		err = refusal("nothing_to_import", "Nothing in this file can be taken over.")
	}
	if err != nil {
		return s.again(c, err)
	}
	return s.change(c, oncall.AddOverrides{Schedule: c.Param("id"), Overrides: plan.Overrides()}, s.scheduleTo(c), s.again)
}

func (s *Server) planFile(c *call, text string) (calendar.Plan, error) {
	if s.OnCall == nil {
		return calendar.Plan{}, errNoOnCall
	}
	_, plan, err := s.plan(c, importRequest{Schedule: c.Param("id"), ICS: text})
	return plan, err
}

func (s *Server) presentImport(plan calendar.Plan, name, text, zoneName string) *views.ImportPreview {
	out := &views.ImportPreview{Name: name, Text: text, Taken: len(plan.Add)}
	zone, err := s.OnCall.Zone(zoneName)
	if err != nil {
		zone = time.UTC
	}
	for _, a := range plan.Add {
		out.Rows = append(out.Rows, views.Shift{Person: s.person(a.Person), From: a.From, Until: a.Until, Local: spell(a.From, a.Until, zone), Why: a.Summary})
	}
	for _, r := range plan.Refused {
		out.Left = append(out.Left, "“"+r.Summary+"”: "+r.Why)
	}
	return out
}
