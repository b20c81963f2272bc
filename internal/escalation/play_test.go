package escalation_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/oncall"
)

const number = 42

// world is one incident, its log and a pager that asks Due. After every event the state is folded anew from the encoded log: a restart at every line.
type world struct {
	t     tester
	state incident.State
	log   []logged
	given map[string]bool // ids of commands that the log has answered
	now   int64
	down  bool // the pager does not run
	lean  bool // nothing new is tried: not every event is followed by a restart
	paged map[string]bool

	policies  map[string]escalation.Policy
	teams     map[string]team
	fixed     map[string][]string
	rotations map[string]oncall.Schedule
	gone      []string
	routes    string     // id of the policy that new incidents are given
	first     *firstPage // since it was nil
	hops      int        // of run
}

// firstPage is the first page of somebody, and how many moments run went through before.
type firstPage struct {
	at     int64
	people []escalation.Callee
	hops   int
}

type team struct {
	people []string
	policy string
}

type logged struct {
	incident.Meta
	typ     string
	version int
	data    []byte
}

type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

func newWorld(t tester, start int64) *world {
	return &world{t: t, state: incident.New(number, "id"), now: start, given: map[string]bool{}, paged: map[string]bool{}, policies: map[string]escalation.Policy{},
		teams: map[string]team{}, fixed: map[string][]string{}, rotations: map[string]oncall.Schedule{}}
}

// OnCall answers from the script's list, or from a real schedule.
func (w *world) OnCall(id string, at int64) ([]string, string) {
	if s, ok := w.rotations[id]; ok {
		zone, err := time.LoadLocation(s.Zone)
		if err != nil {
			w.t.Fatalf("%v", err)
		}
		if d := s.At(at, zone); d.Person != "" {
			return []string{d.Person}, "on call in " + id + ": " + d.Why
		} else {
			return nil, "nobody is on call in " + id + ": " + d.Why
		}
	}
	return w.fixed[id], ""
}

func (w *world) Team(id string) ([]string, string) { return w.teams[id].people, id }

func (w *world) Role(role string) []string {
	r, ok := incident.ParseRole(role)
	if !ok {
		return nil
	}
	return w.state.Holders(r)
}

func (w *world) Here(person string) bool { return !slices.Contains(w.gone, person) }

// give judges a command as the room does: the same id is answered once.
func (w *world) give(id string, c incident.Command, actor string) (int, error) {
	w.t.Helper()
	if w.given[id] {
		return 0, nil
	}
	return w.giveOn(w.state, id, c, actor)
}

func (w *world) giveOn(s incident.State, id string, c incident.Command, actor string) (int, error) {
	w.t.Helper()
	m := incident.Meta{ID: id, At: w.now, Actor: actor, Drill: s.Drill}
	bodies, err := incident.Decide(s, c, m)
	var refused *incident.Refusal
	if err != nil && !errors.As(err, &refused) {
		w.t.Fatalf("%s: %v is no refusal", c.Name(), err)
	}
	for _, b := range bodies {
		w.check(b)
		typ, version, data, err := incident.Encode(b)
		if err != nil {
			w.t.Fatalf("%v", err)
		}
		n := int64(len(w.log))
		w.log = append(w.log, logged{m, typ, version, data})
		w.state = incident.Apply(w.state, incident.Event{Meta: m, Offset: n, EventID: fmt.Sprint("e", n), Body: b})
		if a, ok := b.(incident.Acknowledged); ok && a.Have >= a.Need {
			if p := w.state.Paging; p.Phase != escalation.Acknowledged && p.Phase != escalation.Snoozed || len(p.Waits()) > 0 {
				w.t.Fatalf("after an acknowledgement paging is %s and %d pages wait", p.Phase, len(p.Waits()))
			}
		}
		if b, ok := b.(incident.AcknowledgementWithdrawn); ok {
			w.withdrawn(b)
		}
		if !w.lean {
			w.refold()
		}
	}
	if len(bodies) > 0 {
		w.given[id] = true
	}
	return len(bodies), err
}

// withdrawn wants nobody to be left out because somebody took back what they had: while nobody has it, paging goes on.
func (w *world) withdrawn(b incident.AcknowledgementWithdrawn) {
	w.t.Helper()
	p := w.state.Paging
	if slices.Contains(p.Has(), b.Person) || p.WaitsFor(b.Person) {
		w.t.Fatalf("%s took it back and has it, or is asked, still", b.Person)
	}
	if fmt.Sprint(p.Has()) != fmt.Sprint(b.Left) {
		w.t.Fatalf("%v have it still, and the event says %v", p.Has(), b.Left)
	}
	if len(b.Left) == 0 && len(p.Policy.Steps) > 0 && p.Phase != escalation.Running && p.Phase != escalation.Snoozed {
		w.t.Fatalf("nobody has it any more, and paging is %s", p.Phase)
	}
}

// check keeps what must hold of every page, in every script.
func (w *world) check(b incident.Body) {
	w.t.Helper()
	page := func(c escalation.Callee) {
		if c.Page == "" || w.paged[c.Page] {
			w.t.Fatalf("page %q is sent twice", c.Page)
		}
		w.paged[c.Page] = true
	}
	switch b := b.(type) {
	case incident.StepPaged:
		if p := w.state.Paging.Phase; b.Ask == 0 && p != escalation.Running && p != escalation.Exhausted {
			w.t.Fatalf("step %d begins while paging is %s", b.Step, p)
		}
		if b.Epoch != w.state.Paging.Epoch {
			w.t.Fatalf("a step of escalation %d begins in escalation %d", b.Epoch, w.state.Paging.Epoch)
		}
		if p := w.state.Paging; b.Ask == 0 && p.Phase == escalation.Running {
			w.waited()
		}
		for _, c := range b.People {
			page(c)
		}
	case incident.PagingExhausted:
		if p := w.state.Paging.Phase; p != escalation.Running {
			w.t.Fatalf("exhausted while paging is %s", p)
		}
		w.waited()
	case incident.PagedByHand:
		page(b.Callee)
	case incident.Reassigned:
		page(b.Callee)
	}
}

// waited wants the current step's time to be over, or everybody of it to have answered, or somebody to have asked for a step.
func (w *world) waited() {
	w.t.Helper()
	p := w.state.Paging
	if p.Step == 0 || p.Jump != 0 {
		return
	}
	for _, who := range p.Asked {
		if early := p.Since + p.Policy.Steps[p.Step-1].Wait - w.now; early > 0 && !p.Skipped && p.WaitsFor(who) {
			w.t.Fatalf("%s has %d ms more to answer step %d", who, early, p.Step)
		}
	}
}

func (w *world) refold() {
	w.t.Helper()
	s := incident.New(number, "id")
	for i, l := range w.log {
		body, err := incident.Decode(l.typ, l.version, l.data)
		if err != nil {
			w.t.Fatalf("%v", err)
		}
		s = incident.Apply(s, incident.Event{Meta: l.Meta, Offset: int64(i), EventID: fmt.Sprint("e", i), Body: body})
	}
	if !reflect.DeepEqual(s, w.state) {
		w.t.Fatalf("after a restart the state is another:\n%+v\n%+v", s.Paging, w.state.Paging)
	}
	w.state = s
	switch p := s.Paging; {
	case p.Phase == escalation.Acknowledged && len(p.Has()) == 0:
		w.t.Fatalf("acknowledged by nobody")
	case p.Phase != escalation.Exhausted && p.AgainAt != 0, len(p.Has()) > 0 && p.Unanswered != 0:
		w.t.Fatalf("%s by %v: all are paged again at %d, nobody has answered since %d", p.Phase, p.Has(), p.AgainAt, p.Unanswered)
	}
}

const pager = "system:pager"

// act does one act: as a replica does, then as another one that gives the same command, then under another id.
func (w *world) act(a escalation.Act) {
	w.t.Helper()
	c := incident.CommandOf(a)
	if a.Do == escalation.DoPolicy {
		p, ok := w.policies[a.Policy]
		if ok {
			c = incident.Route{Policy: &p, Ask: a.Ask, Why: "asked for by hand"}
		} else {
			c = incident.PageStep{Turn: escalation.Turn{Epoch: w.state.Paging.Epoch, Ask: a.Ask, Holes: []string{"there is no policy " + a.Policy}}}
		}
	}
	for _, c := range a.Turn.People {
		if p := w.state.Paging; a.Turn.Ask == 0 && a.Turn.Round == p.Round && slices.Contains(p.Passed, c.Person) {
			w.t.Fatalf("step %d of round %d pages %s, who said not me", a.Turn.Step, a.Turn.Round, c.Person)
		}
	}
	if a.Do == escalation.DoPage && len(a.Turn.People) > 0 && w.first == nil {
		w.first = &firstPage{w.now, a.Turn.People, w.hops}
	}
	n, err := w.give(a.ID, c, pager)
	if err != nil || n == 0 {
		w.t.Fatalf("%s %s: %d events, %v", a.Do, a.ID, n, err)
	}
	for _, id := range []string{a.ID, a.ID + "-again"} {
		if n, _ := w.give(id, c, pager); n != 0 {
			w.t.Fatalf("%s given twice (%s) made %d events more", a.ID, id, n)
		}
	}
}

// settle does what is due now.
func (w *world) settle() (next int64) {
	w.t.Helper()
	if w.down {
		return 0
	}
	for range escalation.MaxAsks + 2 { // a policy that is looked up begins another escalation
		acts, _ := escalation.Due(w.state.Paging, w.state.Situation(), w, w.now)
		for _, a := range acts {
			if w.act(a); a.Do == escalation.DoPolicy {
				break
			}
		}
	}
	acts, next := escalation.Due(w.state.Paging, w.state.Situation(), w, w.now)
	if len(acts) > 0 || next != 0 && next <= w.now {
		w.t.Fatalf("after all was done at %d, %d acts are due and then at %d", w.now, len(acts), next)
	}
	s, p := w.state, w.state.Paging
	if grave := s.Severity == incident.SEV1 || s.Severity == incident.SEV2; grave && p.Phase == escalation.Exhausted && incident.Open(s) && (next == 0 || p.Unanswered == 0) {
		w.t.Fatalf("nobody answered a %s, and nobody is ever paged again", s.Severity)
	}
	return next
}

// run lets time pass until a moment.
func (w *world) run(until int64) {
	w.t.Helper()
	for w.hops = 0; ; w.hops++ {
		next := w.settle()
		if next == 0 || next > until {
			break
		}
		w.now = next
	}
	w.now = max(w.now, until)
}

// verbs are how scripts write what people type into the composer.
var verbs = []struct{ words, line string }{
	{"acknowledges", "/ack"}, {"declines", "/decline"}, {"escalates to step", "/escalate"}, {"escalates", "/escalate"}, {"pages", "/page"},
	{"reassigns to", "/reassign"}, {"snoozes", "/snooze"}, {"unsnoozes", "/unsnooze"}, {"claims", "/claim"}, {"hands on to", "/handon"}, {"notes", "/note"},
	{"resolves", "/resolve"}, {"reopens", "/reopen"}, {"merges into", "/merge"}, {"sets", "/sev"}, {"gives role", "/role"}, {"hands over", "/handover"}, {"accepts", "/accept"}, {"releases role", "/release"},
}

func composed(text string) (string, bool) {
	for _, v := range verbs {
		if rest, ok := strings.CutPrefix(text, v.words); ok && (rest == "" || rest[0] == ' ') {
			return v.line + rest, true
		}
	}
	return "", false
}

func sorted[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

var _ escalation.Lookup = (*world)(nil)
var _ tester = (*testing.T)(nil)
