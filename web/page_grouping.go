package web

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/grouping"
	"github.com/tocsin-ops/tocsin/internal/heartbeat"
	"github.com/tocsin-ops/tocsin/internal/maintenance"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/views"
)

// shownRemoved is how long, in ms, a page shows a rule that was removed.
const shownRemoved = 7 * 24 * 3600_000

// joinRows are the rules in the order in which they are tried.
func (s *Server) joinRows(all []grouping.Entry, now int64) (out []views.JoinRow) {
	live := 0
	for _, x := range all {
		if !x.Removed {
			live++
		}
	}
	n := 0
	for _, x := range all {
		switch {
		case !x.Removed:
			n++
			row := s.joinRow(x)
			row.N, row.Up, row.Down = n, n > 1, n < live
			out = append(out, row)
		case now-x.At < shownRemoved:
			out = append(out, s.joinRow(x))
		}
	}
	return out
}

func (s *Server) joinRow(x grouping.Entry) views.JoinRow {
	row := views.JoinRow{ID: x.ID, Name: x.Name, Match: s.scope(x.Match), By: strings.Join(x.By, " and "), Except: len(x.Except), Removed: x.Removed, Who: s.name(x.ChangedBy), What: x.What, At: x.At}
	if x.Window > 0 {
		row.Window = heartbeat.Span(x.Window)
	}
	path := "/grouping/" + x.ID + "/"
	if !x.Removed {
		row.Acts = append(row.Acts,
			views.FormAct{Label: "Change", Of: "/maintenance?rule=" + x.ID + "#rule-form", Ask: "Change " + x.Name},
			views.FormAct{Action: path + "remove", Label: "Remove", Of: x.Name, Grave: true})
	}
	if x.Removed || x.What != "added" {
		row.Acts = append(row.Acts, views.FormAct{Action: path + "undo", Label: "Undo", Of: x.Name + " was " + x.What})
	}
	return row
}

var ruleSays = map[string]string{
	"added": "You added the rule “%s”.", "moved": "You moved the rule “%s”.", "changed": "You changed the rule “%s”.", "removed": "You removed the rule “%s”.", "undone": "You took the newest change of the rule “%s” back.",
	"excepted": "You took a signal out of the rule “%s”.", "admitted": "You let a signal be under the rule “%s” again.",
}

// ruleChange tells the newest change of a rule.
func ruleChange(x grouping.Entry, all []grouping.Entry) string {
	if x.What == "moved" && x.Step != nil {
		for _, other := range all {
			switch {
			case other.ID != x.Step.Past:
			case x.Step.Up:
				return "You moved the rule “" + x.Name + "” up: it is tried before “" + other.Name + "”."
			default:
				return "You moved the rule “" + x.Name + "” down: it is tried after “" + other.Name + "”."
			}
		}
	}
	return strings.Replace(ruleSays[x.What], "%s", x.Name, 1)
}

// ruleMinutes is a rule's window as its form shows it.
func ruleMinutes(ms int64) string {
	if ms == 0 {
		return ""
	}
	return strconv.FormatInt(max(1, ms/60_000), 10)
}

func (s *Server) editRule(x grouping.Entry) views.JoinForm {
	comma := func(l []string) string { return strings.Join(l, ", ") }
	return views.JoinForm{ID: x.ID, Name: x.Name, By: comma(x.By), Labels: comma(x.Match.Labels), Components: comma(x.Match.Components), Chains: comma(x.Match.Chains), Kinds: comma(x.Match.Kinds),
		Minutes: ruleMinutes(x.Window), Sources: s.sourceChoices(x.Match.Sources)}
}

// oneRule finds a rule that was not removed.
func (s *Server) oneRule(id string) (found grouping.Rule, ok bool) {
	s.Upkeep.Look(func(_ *maintenance.State, all *grouping.State) {
		for _, x := range all.Rules() {
			if x.ID == id && !x.Removed {
				found, ok = x.Rule, true
			}
		}
	})
	return found, ok
}

// keepRule makes a rule, or changes the one that it names.
func (s *Server) keepRule(c *call, r *grouping.Rule) (event string, err error) {
	if r.ID != "" {
		return s.manage(c, grouping.Edit{Rule: *r})
	}
	r.ID = commandID()
	return s.manage(c, grouping.Add{Rule: *r})
}

func (s *Server) addRule(c *call) error {
	if s.Upkeep == nil {
		return errNoUpkeep
	}
	sources := c.Request().Form["source"]
	f := views.JoinForm{ID: c.FormValue("id"), Name: c.FormValue("name"), By: c.FormValue("by"), Labels: c.FormValue("labels"), Components: c.FormValue("components"), Chains: c.FormValue("chains"),
		Kinds: c.FormValue("kinds"), Minutes: strings.TrimSpace(c.FormValue("minutes")), Sources: s.sourceChoices(sources)}
	r := grouping.Rule{ID: f.ID, Name: f.Name, By: listed(f.By), Match: signal.Match{Labels: listed(f.Labels), Components: listed(f.Components), Chains: listed(f.Chains), Kinds: listed(f.Kinds), Sources: sources}}
	var err error
	if old, ok := s.oneRule(f.ID); ok && ruleMinutes(old.Window) == f.Minutes {
		r.Window = old.Window // a program may have set it to the second
	} else if f.Minutes != "" {
		minutes, wrong := strconv.ParseFloat(f.Minutes, 64)
		if wrong != nil || math.IsNaN(minutes) || math.Abs(minutes) > grouping.MaxWindow {
			err = refusal("bad_window", "Say in minutes how long after the last signal a new one joins, like 30, or leave it empty.")
		} else {
			r.Window = int64(minutes * 60_000)
		}
	}
	event := ""
	if err == nil {
		event, err = s.keepRule(c, &r)
	}
	if err != nil {
		return s.showMaintenance(c, nil, nil, &f, err)
	}
	return s.landUpkeep(c, event)
}

// ruleCommand is the command of an address; event is that which an undo must take back, "" for whatever is newest.
func ruleCommand(id, act, event string) any {
	switch act {
	case "up", "down":
		return grouping.Move{ID: id, Up: act == "up"}
	case "remove":
		return grouping.Remove{ID: id}
	case "undo":
		return grouping.Undo{ID: id, Change: event}
	}
	return nil
}

func (s *Server) moveRule(c *call) error {
	event, err := s.manage(c, ruleCommand(c.Param("id"), c.Param("act"), c.FormValue("event")))
	switch {
	case errors.Is(err, errNoPage):
		return err
	case err != nil:
		return s.showMaintenance(c, nil, nil, nil, err)
	}
	return s.landUpkeep(c, event)
}
