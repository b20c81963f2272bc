package feedback

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// When labels argue for a change. Few labels say little: below these counts nothing moves.
const (
	leastFalse  = 3   // false alarms since the last change, at least ...
	tooOften    = 0.5 // ... and of those labelled more than this share, make a detector stricter
	leastMissed = 2   // weak findings that were true since the last change, at least ...
	rightEnough = 0.8 // ... and alerts right at least this often make it more sensitive
)

// Refusal says as a sentence why a command is not done. It is not an error of the program.
type Refusal struct{ Code, Sentence string }

func (r *Refusal) Error() string { return r.Sentence }

// Judge is the command to label a finding. The facts about the finding come from the caller, who looked it up.
type Judge struct {
	Signal, Detector, Title string
	Score, Bound            float64
	Weak, Drill             bool
	Verdict                 Verdict
	Note                    string
}

// Undo is the command to take a change back.
type Undo struct{ Change string }

// Set is the command to choose a strictness by hand, within the bounds.
type Set struct {
	Detector   string
	Strictness float64
	Reason     string
}

// Decide judges a command: the events it makes, in order, or a *Refusal. A verdict may bring a change of the threshold with it.
func Decide(s *State, command any) ([]any, error) {
	switch c := command.(type) {
	case Judge:
		return judge(s, c)
	case Undo:
		return undo(s, c)
	case Set:
		return set(s, c)
	}
	return nil, &Refusal{"unknown_command", "There is no such command."}
}

func judge(s *State, c Judge) ([]any, error) {
	switch {
	case c.Verdict != True && c.Verdict != False && c.Verdict != Unsure:
		return nil, &Refusal{"invalid", "A finding is judged as true, false or unsure."}
	case utf8.RuneCountInString(c.Note) > MaxNote:
		return nil, &Refusal{"text_too_long", fmt.Sprintf("The note is longer than %d characters. Shorten it.", MaxNote)}
	case c.Drill:
		return nil, &Refusal{"drill", "This finding belongs to a drill. Judging it would spoil the figures of the detector."}
	case c.Detector == "":
		return nil, &Refusal{"not_ours", "Only findings of Tocsin's own detectors can be judged. This one was sent from outside."}
	}
	old := s.Labels[c.Signal]
	if old.Verdict == c.Verdict && old.Note == c.Note {
		return nil, nil
	}
	b := Judged{Signal: c.Signal, Detector: c.Detector, Title: c.Title, Score: c.Score, Bound: c.Bound, Weak: c.Weak, Verdict: c.Verdict, Before: old.Verdict, Note: strings.TrimSpace(c.Note)}
	out := []any{b}
	after := Detector{}
	if d := s.Detectors[c.Detector]; d != nil {
		after = *d
	}
	after.Name, after.Scored = c.Detector, after.Scored || c.Bound > 0
	if old.Verdict != "" && old.Detector == after.Name {
		after.count(old.Judged, -1)
	}
	after.count(b, 1)
	if ch, ok := adapt(after); ok {
		out = append(out, ch)
	}
	return out, nil
}

// adapt says whether the labels since the last change argue for another.
func adapt(d Detector) (Changed, bool) {
	if !d.Scored {
		return Changed{}, false
	}
	labelled := d.SinceTrue + d.SinceFalse
	ch := Changed{Detector: d.Name, Before: d.Strictness}
	switch {
	case d.SinceFalse >= leastFalse && float64(d.SinceFalse) > tooOften*float64(labelled) && d.Strictness < Strictest:
		ch.After = clamp(d.Strictness + Step)
		ch.Reason = fmt.Sprintf("%d of %d judged alerts since the last change were false: alerts now need to be %s rarer.", d.SinceFalse, labelled, times(Step))
	case d.SinceMissed >= leastMissed && float64(d.SinceTrue) >= rightEnough*float64(labelled) && d.Strictness > MostSensitive:
		ch.After = clamp(d.Strictness - Step)
		ch.Reason = fmt.Sprintf("%d weak findings since the last change were true, and %d of %d judged alerts were right: alerts may now be %s more common.", d.SinceMissed, d.SinceTrue, labelled, times(Step))
	default:
		return ch, false
	}
	return ch, true
}

func undo(s *State, c Undo) ([]any, error) {
	i := slices.IndexFunc(s.Changes, func(x Change) bool { return x.ID == c.Change })
	if i < 0 {
		return nil, &Refusal{"not_found", "There is no such change, or it is too long ago. Choose a strictness for the detector instead."}
	}
	x := s.Changes[i]
	if x.Undone {
		return nil, &Refusal{"already_undone", "This change was taken back already."}
	}
	for _, later := range s.Changes[i+1:] {
		if later.Detector == x.Detector && !later.Undone && later.Undoes == "" {
			return nil, &Refusal{"not_newest", "A later change of this detector stands. Take that back first."}
		}
	}
	return []any{Changed{Detector: x.Detector, Before: s.strictness(x.Detector), After: x.Before, Undoes: x.ID,
		Reason: "Taken back: " + x.Reason}}, nil
}

func set(s *State, c Set) ([]any, error) {
	before := s.strictness(c.Detector)
	d := s.Detectors[c.Detector]
	switch {
	case d == nil:
		return nil, &Refusal{"not_found", "No detector of this name was heard of yet."}
	case !d.Scored:
		return nil, &Refusal{"no_threshold", "This detector follows a rule without a probability; it has no threshold to move."}
	case math.IsNaN(c.Strictness) || c.Strictness < MostSensitive || c.Strictness > Strictest:
		return nil, &Refusal{"out_of_bounds", fmt.Sprintf("The strictness is between %g (ten times more sensitive than shipped) and %g (a thousand times stricter).", MostSensitive, Strictest)}
	case strings.TrimSpace(c.Reason) == "":
		return nil, &Refusal{"reason_needed", "Say why, so that others can judge it later."}
	case utf8.RuneCountInString(c.Reason) > MaxNote:
		return nil, &Refusal{"text_too_long", fmt.Sprintf("The reason is longer than %d characters. Shorten it.", MaxNote)}
	case c.Strictness == before:
		return nil, nil
	}
	return []any{Changed{Detector: c.Detector, Before: before, After: c.Strictness, Reason: strings.TrimSpace(c.Reason)}}, nil
}

func (s *State) strictness(name string) float64 {
	if d := s.Detectors[name]; d != nil {
		return d.Strictness
	}
	return 0
}

// Strictness lists the detectors whose threshold is not as shipped.
func (s *State) Strictness() map[string]float64 {
	out := map[string]float64{}
	for name, d := range s.Detectors {
		if d.Strictness != 0 {
			out[name] = d.Strictness
		}
	}
	return out
}

// Alarms says whether a finding of tail probability score is an alarm at a strictness, when its detector as shipped alarms at bound.
func Alarms(score, bound, strictness float64) bool { return score*math.Pow(10, strictness) <= bound }

func clamp(v float64) float64 { return min(max(v, MostSensitive), Strictest) }

func times(step float64) string { return fmt.Sprintf("%.1f times", math.Pow(10, step)) }

// wilson is the score interval of a share at 95 % (E. B. Wilson, 1927): sane also for few labels.
func wilson(hits, n int) (low, high float64) {
	const z = 1.959964
	p, m := float64(hits)/float64(n), float64(n)
	mid := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return max(mid-half, 0), min(mid+half, 1)
}
