package incident

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
)

type shape struct {
	name string
	args []string // names of the arguments, in the order of the struct
	zero Command
	read func(args []byte) (Command, error)
}

func shapeOf[T Command]() shape {
	var c T
	return shape{name: c.Name(), args: argNames(reflect.TypeFor[T]()), zero: c, read: func(args []byte) (Command, error) {
		var c T
		d := json.NewDecoder(bytes.NewReader(args))
		d.DisallowUnknownFields()
		err := d.Decode(&c)
		return c, err
	}}
}

// set by Apply or by the room's own followers, and not for callers to say
var notArgs = []string{"attached_at", "attached_by", "offset", "through", "out_until"}

func argNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			names = append(names, argNames(f.Type)...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && name != "-" && !slices.Contains(notArgs, name) {
			names = append(names, name)
		}
	}
	return names
}

var shapes = []shape{
	shapeOf[Declare](), shapeOf[Rename](), shapeOf[SetSummary](), shapeOf[SetSeverity](), shapeOf[SetStatus](), shapeOf[SetTimes](),
	shapeOf[SetComponents](), shapeOf[SetChains](), shapeOf[AssignRole](), shapeOf[ReleaseRole](),
	shapeOf[HandOverRole](), shapeOf[AcceptHandOver](), shapeOf[DeclineHandOver](),
	shapeOf[AddNote](), shapeOf[RecordDecision](), shapeOf[AddTask](), shapeOf[AssignTask](), shapeOf[CompleteTask](),
	shapeOf[ReopenTask](), shapeOf[AddLink](), shapeOf[RemoveLink](),
	shapeOf[AddAddress](), shapeOf[RemoveAddress](), shapeOf[AddTransaction](), shapeOf[RemoveTransaction](),
	shapeOf[DraftUpdate](), shapeOf[EditUpdate](), shapeOf[ApproveUpdate](), shapeOf[PublishUpdate](),
	shapeOf[DiscardUpdate](), shapeOf[RetractUpdate](),
	shapeOf[AttachSignal](), shapeOf[AttachSignals](), shapeOf[SignalChanged](), shapeOf[SignalsChanged](), shapeOf[DetachSignal](),
	shapeOf[Acknowledge](), shapeOf[DeclinePage](), shapeOf[Escalate](), shapeOf[PageByHand](), shapeOf[Reassign](), shapeOf[Snooze](), shapeOf[Unsnooze](),
	shapeOf[PageStep](), shapeOf[PageReceipts](), shapeOf[ExpireAcknowledgement](), shapeOf[Exhaust](),
	shapeOf[Route](), shapeOf[Claim](), shapeOf[HandOn](), shapeOf[SetCategory](), shapeOf[SetFact](), shapeOf[ClearFact](),
	shapeOf[Score](), shapeOf[FollowAdvice](), shapeOf[DeclineAdvice](),
	shapeOf[Merge](), shapeOf[Absorb](), shapeOf[Resolve](), shapeOf[Reopen](), shapeOf[ReviewDone](), shapeOf[Redact](),
}

// Blueprint is the empty command of a name, for those who describe its
// arguments; ok is false for a name that ParseCommand does not take.
func Blueprint(name string) (c Command, ok bool) {
	i := slices.IndexFunc(shapes, func(s shape) bool { return s.name == name })
	if i < 0 {
		return nil, false
	}
	return shapes[i].zero, true
}

// Arguments are the names of the arguments that ParseCommand takes for a
// command, in a fixed order; nil for a name that it does not take. The caller
// owns the slice.
func Arguments(name string) []string {
	i := slices.IndexFunc(shapes, func(s shape) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return slices.Clone(shapes[i].args)
}

// Internal is true for the commands that only the program's own followers give,
// and that nobody outside may: they tell an incident what other streams say.
func Internal(name string) bool {
	switch name {
	case AttachSignals{}.Name(), SignalChanged{}.Name(), SignalsChanged{}.Name(), Absorb{}.Name(),
		Route{}.Name(), PageStep{}.Name(), PageReceipts{}.Name(), ExpireAcknowledgement{}.Name(), Exhaust{}.Name(), Score{}.Name():
		return true
	}
	return false
}

// Names returns the names of all commands that ParseCommand takes, in a fixed
// order. The caller owns the slice.
func Names() []string {
	names := make([]string, 0, len(shapes))
	for _, s := range shapes {
		names = append(names, s.name)
	}
	return names
}

// ParseCommand reads a command as the API gives it: its name and its arguments
// as one JSON object (nil, empty and null are no arguments). It is strict: a
// name or an argument that is not known is refused with what there is instead.
// The error is always a *Refusal. Whether the values make sense is for Decide.
func ParseCommand(name string, args json.RawMessage) (Command, error) {
	i := slices.IndexFunc(shapes, func(s shape) bool { return s.name == name })
	if i < 0 {
		if near := nearest(name, Names()); near != "" {
			return nil, refuse(CodeUnknownCommand, "There is no command %s. Did you mean %q?", shown(name), near)
		}
		return nil, refuse(CodeUnknownCommand, "There is no command %s. The commands are %s.", shown(name), strings.Join(Names(), ", "))
	}
	s := shapes[i]
	if args = bytes.TrimSpace(args); len(args) == 0 || string(args) == "null" {
		args = []byte("{}")
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(args, &all); err != nil {
		example := "{}"
		if len(s.args) > 0 {
			example = "{\"" + s.args[0] + "\": …}"
		}
		return nil, refuse(CodeBadArgument, "The arguments of %s are not a JSON object. Send them like %s.", name, example)
	}
	unknown := make([]string, 0, len(all))
	for k := range all {
		if !slices.Contains(s.args, k) {
			unknown = append(unknown, k)
		}
	}
	if len(unknown) > 0 {
		return nil, s.unknown(slices.Min(unknown))
	}
	c, err := s.read(args)
	if err != nil {
		return nil, s.unreadable(err)
	}
	return c, nil
}

func (s shape) unknown(arg string) error {
	return refuse(CodeUnknownArgument, "%s does not take %s. It takes %s.", s.name, shown(arg), and(s.args))
}

func (s shape) unreadable(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return refuse(CodeBadArgument, "%s of %s must be %s, not %s.", wrong.Field, s.name, jsonWord(wrong.Type), given(wrong.Value))
	}
	return refuse(CodeBadArgument, "The arguments of %s are not readable. It takes %s.", s.name, and(s.args))
}

// given is what JSON calls a value, in a person's words.
func given(value string) string {
	switch value {
	case "string":
		return "text"
	case "bool":
		return "true or false"
	case "array":
		return "a list"
	case "object":
		return "an object"
	case "number":
		return "a number"
	}
	return value
}

func jsonWord(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Int64, reflect.Int:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Pointer:
		return jsonWord(t.Elem())
	}
	return "of another type"
}

// and joins words as a sentence does: "a, b and c"; none are "no arguments".
func and(words []string) string {
	if len(words) == 0 {
		return "no arguments"
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// either joins words as a choice: "a, b or c".
func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
