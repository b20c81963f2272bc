package oncall

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

// Command is something that a person wants of the settings; it may be refused. Commands are plain structs, their JSON is that of the API.
type Command interface {
	// Name is how the API and the log call it, snake_case.
	Name() string
}

// Commands about teams.
type (
	// CreateTeam makes a team.
	CreateTeam struct {
		Title    string   `json:"name"`
		Members  []string `json:"members,omitempty"`
		Tier     int      `json:"tier,omitempty"`
		Skill    string   `json:"skill,omitempty"`
		Schedule string   `json:"schedule,omitempty"`
		Policy   string   `json:"policy,omitempty"`
	}
	// RenameTeam gives a team another name.
	RenameTeam struct {
		Team  string `json:"team"`
		Title string `json:"name"`
	}
	// SetMembers says who a team is.
	SetMembers struct {
		Team    string   `json:"team"`
		Members []string `json:"members"`
	}
	// SetTier says whether a team takes incidents, and when: 0 none, 1 the front line, 2 specialists.
	SetTier struct {
		Team string `json:"team"`
		Tier int    `json:"tier"`
	}
	// SetSkill says in one word what a team knows; "" clears it.
	SetSkill struct {
		Team  string `json:"team"`
		Skill string `json:"skill"`
	}
	// SetTeamSchedule says who of a team is on call; "" clears it.
	SetTeamSchedule struct {
		Team     string `json:"team"`
		Schedule string `json:"schedule"`
	}
	// SetTeamPolicy says how a team is paged; "" clears it.
	SetTeamPolicy struct {
		Team   string `json:"team"`
		Policy string `json:"policy"`
	}
	// RemoveTeam removes a team that nothing uses.
	RemoveTeam struct {
		Team string `json:"team"`
	}
)

// Commands about schedules.
type (
	// CreateSchedule makes a schedule. The ids of its layers are given by Decide.
	CreateSchedule struct {
		Title  string  `json:"name"`
		Zone   string  `json:"zone"`
		Layers []Layer `json:"layers,omitempty"`
	}
	// EditSchedule changes what is not nil. A layer without id is a new one.
	EditSchedule struct {
		Schedule string   `json:"schedule"`
		Title    *string  `json:"name,omitempty"`
		Zone     *string  `json:"zone,omitempty"`
		Layers   *[]Layer `json:"layers,omitempty"`
	}
	// RemoveSchedule removes a schedule that nothing uses, with its overrides.
	RemoveSchedule struct {
		Schedule string `json:"schedule"`
	}
	// AddLayer puts a layer on top of the others.
	AddLayer struct {
		Schedule string `json:"schedule"`
		Layer    Layer  `json:"layer"`
	}
	// EditLayer replaces the layer with the same id.
	EditLayer struct {
		Schedule string `json:"schedule"`
		Layer    Layer  `json:"layer"`
	}
	// MoveLayer moves a layer by one: up is on top of the next one, where it wins.
	MoveLayer struct {
		Schedule string `json:"schedule"`
		Layer    string `json:"layer"`
		Up       bool   `json:"up"`
	}
	// RemoveLayer removes a layer.
	RemoveLayer struct {
		Schedule string `json:"schedule"`
		Layer    string `json:"layer"`
	}
	// AddOverride puts a person on call for a time, or nobody (Person ""). From and Until are read by Moment.
	AddOverride struct {
		Schedule string `json:"schedule"`
		Person   string `json:"person"`
		From     string `json:"from"`
		Until    string `json:"until"`
		Note     string `json:"note,omitempty"`
	}
	// AddOverrides adds several in one event, as an import does; the later ones are newer.
	AddOverrides struct {
		Schedule  string        `json:"schedule"`
		Overrides []AddOverride `json:"overrides"`
	}
	// RemoveOverride removes one.
	RemoveOverride struct {
		Schedule string `json:"schedule"`
		Override string `json:"override"`
	}
	// OfferSwap asks Person to take the own turn that Turn lies in, for theirs that Return lies in ("": for nothing in return).
	OfferSwap struct {
		Schedule string `json:"schedule"`
		Turn     string `json:"turn"`
		Person   string `json:"person"`
		Return   string `json:"return,omitempty"`
		Note     string `json:"note,omitempty"`
	}
	// AcceptSwap exchanges both turns in one event. Only who was asked may.
	AcceptSwap struct {
		Swap string `json:"swap"`
	}
	// DeclineSwap says no to one. Only who was asked may.
	DeclineSwap struct {
		Swap   string `json:"swap"`
		Reason string `json:"reason,omitempty"`
	}
	// WithdrawSwap takes the own offer back.
	WithdrawSwap struct {
		Swap string `json:"swap"`
	}
	// NoteHandOver writes the note of the hand-over at At, or replaces it; "" removes it.
	NoteHandOver struct {
		Schedule string `json:"schedule"`
		At       string `json:"at"`
		Text     string `json:"text"`
	}
)

// Commands about policies and routing.
type (
	// CreatePolicy makes an escalation policy; its id and version are given by Decide.
	CreatePolicy struct {
		Policy escalation.Policy `json:"policy"`
	}
	// EditPolicy replaces the policy with the same id.
	EditPolicy struct {
		Policy escalation.Policy `json:"policy"`
	}
	// RemovePolicy removes a policy that nothing uses.
	RemovePolicy struct {
		Policy string `json:"policy"`
	}
	// AddRule puts a routing rule last.
	AddRule struct {
		Rule Rule `json:"rule"`
	}
	// EditRule replaces the rule with the same id.
	EditRule struct {
		Rule Rule `json:"rule"`
	}
	// MoveRule moves a rule by one; up is earlier, where it counts first.
	MoveRule struct {
		Rule string `json:"rule"`
		Up   bool   `json:"up"`
	}
	// RemoveRule removes a rule.
	RemoveRule struct {
		Rule string `json:"rule"`
	}
	// Undo restores what stood before an event.
	Undo struct {
		Event string `json:"event"`
	}
)

func (CreateTeam) Name() string      { return "create_team" }
func (RenameTeam) Name() string      { return "rename_team" }
func (SetMembers) Name() string      { return "set_members" }
func (SetTier) Name() string         { return "set_tier" }
func (SetSkill) Name() string        { return "set_skill" }
func (SetTeamSchedule) Name() string { return "set_team_schedule" }
func (SetTeamPolicy) Name() string   { return "set_team_policy" }
func (RemoveTeam) Name() string      { return "remove_team" }
func (CreateSchedule) Name() string  { return "create_schedule" }
func (EditSchedule) Name() string    { return "edit_schedule" }
func (RemoveSchedule) Name() string  { return "remove_schedule" }
func (AddLayer) Name() string        { return "add_layer" }
func (EditLayer) Name() string       { return "edit_layer" }
func (MoveLayer) Name() string       { return "move_layer" }
func (RemoveLayer) Name() string     { return "remove_layer" }
func (AddOverride) Name() string     { return "add_override" }
func (AddOverrides) Name() string    { return "add_overrides" }
func (RemoveOverride) Name() string  { return "remove_override" }
func (OfferSwap) Name() string       { return "offer_swap" }
func (AcceptSwap) Name() string      { return "accept_swap" }
func (DeclineSwap) Name() string     { return "decline_swap" }
func (WithdrawSwap) Name() string    { return "withdraw_swap" }
func (NoteHandOver) Name() string    { return "note_hand_over" }
func (CreatePolicy) Name() string    { return "create_policy" }
func (EditPolicy) Name() string      { return "edit_policy" }
func (RemovePolicy) Name() string    { return "remove_policy" }
func (AddRule) Name() string         { return "add_rule" }
func (EditRule) Name() string        { return "edit_rule" }
func (MoveRule) Name() string        { return "move_rule" }
func (RemoveRule) Name() string      { return "remove_rule" }
func (Undo) Name() string            { return "undo" }

// blueprints has one zero value of every command.
var blueprints = func() map[string]Command {
	all := map[string]Command{}
	for _, c := range []Command{
		CreateTeam{}, RenameTeam{}, SetMembers{}, SetTier{}, SetSkill{}, SetTeamSchedule{}, SetTeamPolicy{}, RemoveTeam{}, CreateSchedule{}, EditSchedule{},
		RemoveSchedule{}, AddLayer{}, EditLayer{}, MoveLayer{}, RemoveLayer{}, AddOverride{}, AddOverrides{}, RemoveOverride{}, OfferSwap{}, AcceptSwap{}, DeclineSwap{},
		WithdrawSwap{}, NoteHandOver{}, CreatePolicy{}, EditPolicy{}, RemovePolicy{}, AddRule{}, EditRule{}, MoveRule{}, RemoveRule{}, Undo{},
	} {
		all[c.Name()] = c
	}
	return all
}()

// Names lists the commands in alphabetical order.
func Names() []string { return slices.Sorted(maps.Keys(blueprints)) }

// Blueprint is the zero value of a command, for those who describe them.
func Blueprint(name string) (Command, bool) { c, ok := blueprints[name]; return c, ok }

// ParseCommand reads a command from its name and its JSON arguments; an argument that it does not know is refused. The error is a *Refusal.
func ParseCommand(name string, args []byte) (Command, error) {
	zero, ok := blueprints[name]
	if !ok {
		return nil, refuse(CodeUnknownCommand, "On-call has no command %q. The API's description at /openapi.json lists them.", short(name))
	}
	v := reflect.New(reflect.TypeOf(zero))
	if len(args) > 0 {
		dec := json.NewDecoder(bytes.NewReader(args))
		dec.DisallowUnknownFields()
		if err := dec.Decode(v.Interface()); err != nil {
			return nil, refuse(CodeBadArgument, "The arguments of %s cannot be read: %s.", name, short(err.Error()))
		}
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			return nil, refuse(CodeBadArgument, "Something follows the arguments of %s. Send one object.", name)
		}
	}
	return v.Elem().Interface().(Command), nil
}

// Own says whether who may only swap may give the command; Decide then looks that it is about their own turns.
func Own(c Command) bool {
	switch c.(type) {
	case AddOverride, RemoveOverride, OfferSwap, AcceptSwap, DeclineSwap, WithdrawSwap, NoteHandOver, Undo:
		return true
	}
	return false
}
