package maintenance

import (
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-ops/tocsin/internal/signal"
)

// Refusal says as a sentence why a command is not done. It is not an error of the program.
type Refusal struct{ Code, Sentence string }

func (r *Refusal) Error() string { return r.Sentence }

// Plan makes a window. Its ID is given by the caller.
type Plan struct{ Window Window }

// Edit replaces what a window says.
type Edit struct{ Window Window }

// Start begins a window that is still to come now.
type Start struct{ ID string }

// Stop ends an active window now; a weekly one comes again at its next time.
type Stop struct{ ID string }

// Cancel takes a window that is not over away.
type Cancel struct{ ID string }

// Undo takes the newest change of a window back; undone again, it stands again. Change, when given, is the id of the event that
// must still be the newest.
type Undo struct{ ID, Change string }

func no(code, format string, args ...any) error { return &Refusal{code, fmt.Sprintf(format, args...)} }

// Decide judges a command at a time: the event it makes, nil for none, or a *Refusal.
func Decide(s *State, command any, now int64, zones Zones) (*Set, error) {
	switch c := command.(type) {
	case Plan:
		live := 0
		for _, x := range s.windows {
			if _, ok := x.Next(now, zones); ok {
				live++
			}
		}
		if live >= MaxWindows {
			return nil, no("too_many", "There are %d windows already. Cancel one that is not needed.", MaxWindows)
		}
		if s.windows[c.Window.ID] != nil {
			return nil, nil // the same command again
		}
		w := c.Window
		w.Cancelled, w.Paused = false, 0
		if err := check(&w, now, zones); err != nil {
			return nil, err
		}
		return &Set{Window: w, What: "planned"}, nil
	case Edit:
		x, err := s.live(c.Window.ID, now, zones)
		if err != nil {
			return nil, err
		}
		w := c.Window
		w.Cancelled, w.Paused = false, x.Paused
		if err := check(&w, now, zones); err != nil {
			return nil, err
		}
		return x.to(w, "changed"), nil
	case Start:
		x, err := s.live(c.ID, now, zones)
		if err != nil {
			return nil, err
		}
		w := x.Window
		switch _, active := x.At(now, zones); {
		case active:
			return nil, no("active", "The window is active already.")
		case w.Weekly != nil:
			return nil, no("weekly", "A weekly window begins by its own time. Add one that happens once.")
		}
		w.From = now
		return x.to(w, "started"), nil
	case Stop:
		x, err := s.live(c.ID, now, zones)
		if err != nil {
			return nil, err
		}
		span, active := x.At(now, zones)
		if !active {
			return nil, no("not_active", "The window is not active now. Cancel it if it is not needed.")
		}
		w := x.Window
		if w.Weekly != nil {
			w.Paused = span.Until
		} else {
			w.Until = now
		}
		return x.to(w, "stopped"), nil
	case Cancel:
		x, err := s.live(c.ID, now, zones)
		if err != nil {
			return nil, err
		}
		w := x.Window
		w.Cancelled = true
		return x.to(w, "cancelled"), nil
	case Undo:
		x := s.windows[c.ID]
		if x == nil {
			return nil, no("not_found", "There is no such window.")
		}
		if c.Change != "" && c.Change != x.Change {
			return nil, no("not_newest", "The window was changed again since. Look at it, and undo its newest change if that is wrong.")
		}
		w := x.Window
		if x.before != nil {
			w = *x.before
		} else {
			w.Cancelled = !w.Cancelled
		}
		return x.to(w, "undone"), nil
	}
	return nil, no("unknown_command", "There is no such command.")
}

func (x *Entry) to(w Window, what string) *Set {
	if reflect.DeepEqual(w, x.Window) {
		return nil
	}
	before := x.Window
	return &Set{Window: w, Before: &before, What: what}
}

// live is a window that is active or still to come.
func (s *State) live(id string, now int64, zones Zones) (*Entry, error) {
	x := s.windows[id]
	if x == nil {
		return nil, no("not_found", "There is no such window.")
	}
	if _, ok := x.Next(now, zones); !ok {
		return nil, no("over", "The window is over. Undo what ended it, or add another.")
	}
	return x, nil
}

// check refuses what a window cannot be, and tidies its texts.
func check(w *Window, now int64, zones Zones) error {
	w.Name, w.Reason = signal.Line(w.Name, MaxName+1), signal.Line(w.Reason, MaxReason+1)
	switch {
	case w.ID == "":
		return no("bad_id", "The window has no id.")
	case w.Name == "":
		return no("name_missing", "Give the window a name, for example what is worked on.")
	case w.Reason == "":
		return no("reason_missing", "Say why signals stay quiet, so that others can judge it.")
	case utf8.RuneCountInString(w.Name) > MaxName, utf8.RuneCountInString(w.Reason) > MaxReason:
		return no("text_too_long", "A name has at most %d characters, a reason %d. Shorten it.", MaxName, MaxReason)
	case w.Loud != "" && signal.Rank(w.Loud) == 0:
		return no("bad_severity", "What is heard all the same is SEV1 to SEV5, or nothing.")
	case w.Match.Empty() && w.Loud == "":
		return no("scope_missing", "A window that covers everything must let something be heard: choose a severity, or say what it covers.")
	}
	if _, err := w.Match.Compile(); err != nil {
		return no("bad_match", "%s.", strings.ToUpper(err.Error()[:1])+err.Error()[1:])
	}
	if w.Weekly == nil {
		switch {
		case w.From <= 0 || w.Until <= 0:
			return no("time_missing", "Say from when until when.")
		case w.Until <= w.From:
			return no("bad_time", "The window ends before it begins.")
		case w.Until <= now:
			return no("past", "The window is over already. Choose an end in the future.")
		case w.Until-w.From > longest:
			return no("too_long", "A window lasts at most 90 days.")
		}
		return nil
	}
	k := w.Weekly
	switch {
	case zones(k.Zone) == nil:
		return no("bad_zone", "There is no time zone %q. Names are like Europe/Zurich.", signal.Line(k.Zone, 60))
	case len(k.Days) == 0:
		return no("days_missing", "Choose at least one day of the week.")
	case k.Hour < 0 || k.Hour > 23 || k.Minute < 0 || k.Minute > 59:
		return no("bad_time", "The time of day is between 00:00 and 23:59.")
	case k.Minutes < 1 || k.Minutes > 7*24*60:
		return no("bad_length", "A weekly window lasts between a minute and a week.")
	case w.Until != 0 && w.Until <= w.From:
		return no("bad_time", "The window ends before it begins.")
	}
	for _, d := range k.Days {
		if d < 0 || d > 6 {
			return no("bad_day", "Days are 0 (Sunday) to 6 (Saturday).")
		}
	}
	if _, ok := w.Next(now, zones); !ok {
		return no("past", "The window never comes. Choose an end in the future.")
	}
	return nil
}
