package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/grouping"
	"github.com/tocsin-ops/tocsin/internal/heartbeat"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/maintenance"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/internal/upkeep"
	"github.com/tocsin-ops/tocsin/views"
)

// Upkeep is what pages need of maintenance windows and grouping rules. It is safe for concurrent use.
type Upkeep interface {
	// Look shows them as they stand; see must be quick and keep nothing.
	Look(see func(*maintenance.State, *grouping.State))
	// Do carries out a command of maintenance or grouping; nil means durable. changed is false when it was so already and nothing was written.
	Do(ctx context.Context, id, actor string, command any) (changed bool, err error)
}

// Pulse says what is thought of the heartbeats, and what was heard last, by the id of the source.
type Pulse interface {
	Look(ctx context.Context) (map[string]heartbeat.Verdict, map[string]heartbeat.Beat, error)
}

// Direct marks one open signal as quiet, or with a nil mark releases it; signal.ErrNotOpen when it is not open.
type Direct func(ctx context.Context, g signal.Signal, actor string, q *signal.Quiet, reason string) error

var errNoUpkeep = refusal("unavailable", "Maintenance windows and grouping rules are not kept here.")

// shownPast is how many windows that are over a page shows.
const shownPast = 20

func (s *Server) maintenancePage(c *call) error { return s.showMaintenance(c, nil, nil, nil, nil) }

func (s *Server) showMaintenance(c *call, form *views.WindowForm, refused error, rule *views.JoinForm, wrong error) error {
	p := views.MaintenancePage{Manage: c.can(auth.ManageQuiet)}
	quiet := map[string]int{}
	s.World.Look(func(v projection.View) {
		p.Base = c.base("Maintenance", "maintenance", v)
		for g := range v.Signals() {
			if g.IsOpen() && g.Quiet != nil {
				quiet[g.Quiet.Window]++
			}
		}
		p.Quiet = s.signalList(v, "quiet", listedSignals)
	})
	now := s.now()
	p.Undo = s.upkeepUndo(c)
	if s.Upkeep != nil {
		s.Upkeep.Look(func(w *maintenance.State, r *grouping.State) {
			for _, x := range w.Windows() {
				row := s.windowRow(x, now, quiet[x.ID])
				span, comes := x.Next(now, upkeep.Zone)
				switch row.From, row.Until = span.From, span.Until; {
				case comes && span.From <= now:
					p.Active = append(p.Active, row)
				case comes:
					p.Upcoming = append(p.Upcoming, row)
				default:
					row.From, row.Until = x.From, x.Until
					p.Past = append(p.Past, row)
				}
				if form == nil && x.ID == c.QueryParam("edit") && comes {
					f := s.editWindow(x)
					form = &f
				}
			}
			for _, x := range r.Rules() {
				if rule == nil && x.ID == c.QueryParam("rule") && !x.Removed {
					f := s.editRule(x)
					rule = &f
				}
			}
			p.Rules = s.joinRows(r.Rules(), now)
		})
	}
	slices.SortStableFunc(p.Upcoming, func(a, b views.WindowRow) int { return cmp.Compare(a.From, b.From) })
	slices.SortStableFunc(p.Past, func(a, b views.WindowRow) int { return cmp.Compare(b.At, a.At) })
	p.Past = p.Past[:min(len(p.Past), shownPast)]
	if form == nil {
		form = &views.WindowForm{From: localTime(now), Until: localTime(now + 2*3600_000), Time: "02:00", Minutes: "120", Zone: "UTC", Louds: louds("SEV1"), Days: days(nil), Sources: s.sourceChoices(nil)}
	}
	if rule == nil {
		rule = &views.JoinForm{Sources: s.sourceChoices(nil)}
	}
	p.Form, p.JoinForm = *form, *rule
	code := http.StatusOK
	for _, x := range []struct {
		err error
		to  *string
	}{{refused, &p.Problem}, {wrong, &p.Wrong}} {
		if x.err == nil {
			continue
		}
		d, known := describe(x.err)
		if !known {
			return x.err
		}
		*x.to, code = d.Detail, d.Status
	}
	return c.page(code, views.MaintenanceView(p))
}

func (s *Server) windowRow(x maintenance.Entry, now int64, quiet int) views.WindowRow {
	row := views.WindowRow{ID: x.ID, Name: x.Name, Reason: x.Reason, Scope: s.scope(x.Match), Loud: x.Loud, Quiet: quiet, By: s.name(x.ChangedBy), What: x.What, At: x.ChangedAt}
	if len(row.Scope) == 0 {
		row.Scope = []views.Pair{{Name: "everything"}}
	}
	if k := x.Weekly; k != nil {
		row.Repeats = fmt.Sprintf("every %s %02d:%02d for %s (%s)", dayNames(k.Days), k.Hour, k.Minute, heartbeat.Span(int64(k.Minutes)*60_000), k.Zone)
	}
	path := "/maintenance/" + x.ID + "/"
	_, active := x.At(now, upkeep.Zone)
	_, comes := x.Next(now, upkeep.Zone)
	if comes && !active && x.Weekly == nil {
		row.Acts = append(row.Acts, views.FormAct{Action: path + "start", Label: "Start now", Of: x.Name})
	}
	if active {
		row.Acts = append(row.Acts, views.FormAct{Action: path + "stop", Label: "Stop now", Of: x.Name})
	}
	if comes {
		row.Acts = append(row.Acts,
			views.FormAct{Label: "Change", Of: "/maintenance?edit=" + x.ID + "#window-form", Ask: "Change " + x.Name},
			views.FormAct{Action: path + "cancel", Label: "Cancel", Of: x.Name, Grave: true})
	}
	if !comes || x.What != "planned" {
		row.Acts = append(row.Acts, views.FormAct{Action: path + "undo", Label: "Undo", Of: x.Name + " was " + x.What})
	}
	return row
}

// scope says what a match covers.
func (s *Server) scope(m signal.Match) (out []views.Pair) {
	add := func(name string, list []string) {
		if len(list) > 0 {
			out = append(out, views.Pair{Name: name, Value: strings.Join(list, ", ")})
		}
	}
	add("components", m.Components)
	add("chains", m.Chains)
	add("kinds", m.Kinds)
	add("labels", m.Labels)
	var names []string
	for _, id := range m.Sources {
		names = append(names, s.sourceName(id))
	}
	add("from", names)
	return out
}

var weekdays = []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}

func dayNames(list []int) string {
	if len(list) == 7 {
		return "day"
	}
	var out []string
	for _, d := range list {
		if d >= 0 && d < 7 {
			out = append(out, weekdays[d])
		}
	}
	return strings.Join(out, ", ")
}

func days(on []int) (out []views.Choice) {
	for i := range 7 {
		d := (i + 1) % 7 // Monday first
		out = append(out, views.Choice{Value: strconv.Itoa(d), Text: weekdays[d][:3], On: slices.Contains(on, d)})
	}
	return out
}

func louds(on string) []views.Choice {
	return []views.Choice{
		{Value: "SEV1", Text: "SEV1: funds are moving", On: on == "SEV1"}, {Value: "SEV2", Text: "SEV2 and worse", On: on == "SEV2"},
		{Value: "SEV3", Text: "SEV3 and worse", On: on == "SEV3"}, {Value: "", Text: "nothing", On: on == ""},
	}
}

// sourceChoices offers the sources; those that are on are always among them, so that sending the form takes none away unseen.
func (s *Server) sourceChoices(on []string) (out []views.Choice) {
	for _, id := range on {
		out = append(out, views.Choice{Value: id, Text: s.sourceName(id), On: true})
	}
	for _, src := range s.sources() {
		if src.RevokedAt == 0 && src.Kind != intake.Metrics && len(out) < 40 && !slices.Contains(on, src.ID) {
			out = append(out, views.Choice{Value: src.ID, Text: src.Name})
		}
	}
	return out
}

const inputTime = "2006-01-02T15:04"

func localTime(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format(inputTime)
}

func (s *Server) editWindow(x maintenance.Entry) views.WindowForm {
	comma := func(l []string) string { return strings.Join(l, ", ") }
	f := views.WindowForm{
		ID: x.ID, Name: x.Name, Reason: x.Reason, Components: comma(x.Match.Components), Chains: comma(x.Match.Chains), Kinds: comma(x.Match.Kinds), Labels: comma(x.Match.Labels),
		From: localTime(x.From), Until: localTime(x.Until), Time: "02:00", Minutes: "120", Zone: "UTC", Louds: louds(x.Loud), Days: days(nil), Sources: s.sourceChoices(x.Match.Sources),
	}
	if k := x.Weekly; k != nil {
		f.Weekly, f.Days, f.Zone = true, days(k.Days), k.Zone
		f.Time, f.Minutes = fmt.Sprintf("%02d:%02d", k.Hour, k.Minute), strconv.Itoa(k.Minutes)
	}
	return f
}

// listed reads values that are separated by commas or lines.
func listed(text string) (out []string) {
	for v := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

func (s *Server) setWindow(c *call) error {
	if s.Upkeep == nil {
		return errNoUpkeep
	}
	values := c.Request().Form
	f := views.WindowForm{
		ID: c.FormValue("id"), Name: c.FormValue("name"), Reason: c.FormValue("reason"), Components: c.FormValue("components"), Chains: c.FormValue("chains"), Kinds: c.FormValue("kinds"),
		Labels: c.FormValue("labels"), From: c.FormValue("from"), Until: c.FormValue("until"), Weekly: c.FormValue("repeat") == "weekly",
		Time: c.FormValue("time"), Minutes: c.FormValue("minutes"), Zone: c.FormValue("zone"), Louds: louds(c.FormValue("loud")), Sources: s.sourceChoices(values["source"]),
	}
	w := maintenance.Window{ID: f.ID, Name: f.Name, Reason: f.Reason, Loud: c.FormValue("loud"), Match: signal.Match{
		Sources: values["source"], Components: listed(f.Components), Chains: listed(f.Chains), Kinds: listed(f.Kinds), Labels: listed(f.Labels)}}
	var err error
	at := func(text string) int64 {
		if text == "" {
			return 0
		}
		t, wrong := time.Parse(inputTime, text)
		if wrong != nil {
			t, wrong = time.Parse(inputTime+":05", text)
		}
		if wrong != nil {
			err = refusal("bad_time", "The time "+strconv.Quote(signal.Line(text, 30))+" cannot be read. Write it like 2026-11-30T02:00, in UTC.")
			return 0
		}
		return t.UnixMilli()
	}
	w.From, w.Until = at(f.From), at(f.Until)
	if f.Weekly {
		k := &maintenance.Weekly{Zone: cmp.Or(strings.TrimSpace(f.Zone), "UTC")}
		for _, d := range values["day"] {
			if n, wrong := strconv.Atoi(d); wrong == nil {
				k.Days = append(k.Days, n)
			}
		}
		if _, wrong := fmt.Sscanf(f.Time, "%d:%d", &k.Hour, &k.Minute); wrong != nil {
			err = refusal("bad_time", "Say at what time of day it begins, like 02:00.")
		}
		k.Minutes, _ = strconv.Atoi(f.Minutes)
		f.Days = days(k.Days)
		w.Weekly = k
		if w.Until <= w.From { // the form's two hours are of a window that happens once
			w.Until = 0
		}
	} else {
		f.Days = days(nil)
	}
	event := ""
	if err == nil {
		event, err = s.keepWindow(c, &w)
	}
	if err != nil {
		return s.showMaintenance(c, &f, err, nil, nil)
	}
	return s.landUpkeep(c, event)
}

// manage carries a command of maintenance or grouping out, nil being none that there is. event is the id of what it made, if it made anything.
func (s *Server) manage(c *call, cmd any) (event string, err error) {
	switch {
	case s.Upkeep == nil:
		return "", errNoUpkeep
	case cmd == nil:
		return "", errNoPage
	}
	id := commandID()
	changed, err := s.Upkeep.Do(c.ctx(), id, c.actor.String(), cmd)
	if err != nil || !changed {
		return "", err
	}
	return upkeep.EventID(id), nil
}

// keepWindow makes a window, or changes the one that it names.
func (s *Server) keepWindow(c *call, w *maintenance.Window) (event string, err error) {
	if w.ID != "" {
		return s.manage(c, maintenance.Edit{Window: *w})
	}
	w.ID = commandID()
	return s.manage(c, maintenance.Plan{Window: *w})
}

// windowCommand is the command of an address; event is that which an undo must take back, "" for whatever is newest.
func windowCommand(id, act, event string) any {
	switch act {
	case "start":
		return maintenance.Start{ID: id}
	case "stop":
		return maintenance.Stop{ID: id}
	case "cancel":
		return maintenance.Cancel{ID: id}
	case "undo":
		return maintenance.Undo{ID: id, Change: event}
	}
	return nil
}

func (s *Server) moveWindow(c *call) error {
	event, err := s.manage(c, windowCommand(c.Param("id"), c.Param("act"), c.FormValue("event")))
	if err != nil && !errors.Is(err, errNoPage) {
		return s.showMaintenance(c, nil, err, nil, nil)
	}
	if err != nil {
		return err
	}
	return s.landUpkeep(c, event)
}

// landUpkeep leads to the page, where what was done can be taken back; event is "" when nothing was.
func (s *Server) landUpkeep(c *call, event string) error {
	switch {
	case event == "":
		c.tell("told", "It is so already; nothing was changed.")
	case s.newestUndo(c, event) == nil:
		c.tell("told", "It is done, and somebody else has changed the same since. What you see is as it stands now.")
	}
	return c.redirect("/maintenance?since=" + itoa(s.Log.Size()-1) + "&did=" + event)
}

// upkeepUndo offers to take back the change of a window or a rule that this address is about.
func (s *Server) upkeepUndo(c *call) *views.UndoBar {
	if c.QueryParam("did") == "" {
		return nil
	}
	return s.newestUndo(c, c.QueryParam("did"))
}

var windowSays = map[string]string{
	"planned": "You added the window “%s”.", "changed": "You changed the window “%s”.", "started": "You started “%s”: it is active now.",
	"stopped": "You stopped “%s”: what is still open is placed now.", "cancelled": "You cancelled the window “%s”.", "undone": "You took the newest change of the window “%s” back.",
}

// newestUndo is the bar of an event, to who made it, while it is fresh and still the newest change of its window or rule.
func (s *Server) newestUndo(c *call, event string) (bar *views.UndoBar) {
	if s.Upkeep == nil {
		return nil
	}
	offer := func(change, by string, at int64, path string, says func() string) {
		if change == event && by == c.actor.String() && s.now()-at <= undoFor {
			bar = &views.UndoBar{Says: says(), To: path + "/undo", Event: event, Back: "/maintenance"}
		}
	}
	s.Upkeep.Look(func(w *maintenance.State, r *grouping.State) {
		for _, x := range w.Windows() {
			offer(x.Change, x.ChangedBy, x.ChangedAt, "/maintenance/"+x.ID, func() string { return strings.Replace(windowSays[x.What], "%s", x.Name, 1) })
		}
		all := r.Rules()
		for _, x := range all {
			offer(x.Change, x.ChangedBy, x.At, "/grouping/"+x.ID, func() string { return ruleChange(x, all) + " It counts for signals that open from now on." })
		}
	})
	return bar
}
