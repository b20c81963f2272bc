package oncall

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// deciding is one command being judged.
type deciding struct {
	s    *State
	w    World
	m    Meta
	body *Body
	made int // ids
}

// Decide judges a command against the settings: the fact that it makes, nil when it changes nothing, or a *Refusal. It changes nothing itself.
func Decide(s *State, c Command, w World, m Meta) (*Body, error) {
	d := &deciding{s: s, w: w, m: m, body: &Body{}}
	if !m.Manage && !Own(c) {
		return nil, refuse(CodeNotYours, "Only an administrator changes this. You may swap and take turns of your own.")
	}
	var err error
	switch c := c.(type) {
	case CreateTeam:
		err = d.createTeam(c)
	case RenameTeam:
		err = d.renameTeam(c)
	case SetMembers:
		err = d.setMembers(c)
	case SetTier:
		err = d.setTier(c)
	case SetSkill:
		err = d.setSkill(c)
	case SetTeamSchedule:
		err = d.setTeamSchedule(c)
	case SetTeamPolicy:
		err = d.setTeamPolicy(c)
	case RemoveTeam:
		err = d.removeTeam(c)
	case CreateSchedule:
		err = d.createSchedule(c)
	case EditSchedule:
		err = d.editSchedule(c)
	case RemoveSchedule:
		err = d.removeSchedule(c)
	case AddLayer:
		err = d.addLayer(c)
	case EditLayer:
		err = d.editLayer(c)
	case MoveLayer:
		err = d.moveLayer(c)
	case RemoveLayer:
		err = d.removeLayer(c)
	case AddOverride:
		err = d.addOverrides(c.Schedule, []AddOverride{c})
	case AddOverrides:
		err = d.addOverrides(c.Schedule, c.Overrides)
	case RemoveOverride:
		err = d.removeOverride(c)
	case OfferSwap:
		err = d.offerSwap(c)
	case AcceptSwap:
		err = d.acceptSwap(c)
	case DeclineSwap:
		err = d.declineSwap(c)
	case WithdrawSwap:
		err = d.withdrawSwap(c)
	case NoteHandOver:
		err = d.noteHandOver(c)
	case CreatePolicy:
		err = d.createPolicy(c)
	case EditPolicy:
		err = d.editPolicy(c)
	case RemovePolicy:
		err = d.removePolicy(c)
	case AddRule:
		err = d.addRule(c)
	case EditRule:
		err = d.editRule(c)
	case MoveRule:
		err = d.moveRule(c)
	case RemoveRule:
		err = d.removeRule(c)
	case Undo:
		err = d.undo(c)
	default:
		err = refuse(CodeUnknownCommand, "There is no such command.")
	}
	if err != nil || d.body.Type == "" {
		return nil, err
	}
	d.body.Explicit = len(d.body.Policies) > 0
	if data, err := json.Marshal(d.body); err != nil || len(data) > maxBody {
		return nil, refuse(CodeTooLarge, "This is more than one change can hold. Make it in several smaller ones.")
	}
	return d.body, nil
}

// did says what happened; without it the command changed nothing.
func (d *deciding) did(typ, format string, args ...any) {
	d.body.Type, d.body.Says = typ, fmt.Sprintf(format, args...)
}

// id makes an id from that of the command, so that judging it again gives the same one.
func (d *deciding) id(prefix string) string {
	d.made++
	sum := sha256.Sum256([]byte(d.m.ID + "/" + strconv.Itoa(d.made)))
	return prefix + hex.EncodeToString(sum[:6])
}

// self is the handle of who acts; "" for programs.
func (d *deciding) self() string {
	h, _ := strings.CutPrefix(d.m.Actor, "person:")
	if h == d.m.Actor {
		return ""
	}
	return h
}

// by is who acts, as overrides and notes keep it.
func (d *deciding) by() string {
	if h := d.self(); h != "" {
		return h
	}
	return d.m.Actor
}

func (d *deciding) is(handle string) bool { return handle != "" && handle == d.self() }

func itoa(n int) string { return strconv.Itoa(n) }

func equal(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}
