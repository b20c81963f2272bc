package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/views"
)

func (s *Server) incidentPage(c *call) error {
	n, err := c.number()
	if err != nil {
		return err
	}
	if err := c.known(n); err != nil {
		return err
	}
	limit := shownEntries
	all := c.QueryParam("all") != ""
	topic, chains := s.chainTopic(), s.presentChains()
	var p views.IncidentPage
	undeclared := false
	err = s.World.LookInto(c.ctx(), n, func(v projection.View, st incident.State) {
		if !st.Declared {
			undeclared = true
			return
		}
		if all {
			limit = st.Timeline.Len()
		} else if st.Timeline.Len() > limit {
			p.OlderHref = "/incidents/" + strconv.FormatInt(n, 10) + "?all=1"
		}
		p.Base = c.base("#"+strconv.FormatInt(n, 10)+" "+st.Title, "incidents", v, logTopic(room.Stream(n), v), topic)
		p.Base.Drill = p.Base.Drill || st.Drill
		p.Incident, p.Strip, p.Facts, p.Waiting = n, s.presentStrip(st), s.presentFacts(st), s.presentWaiting(st)
		p.Timeline, p.Signals, p.Tasks = s.presentTimeline(st, limit), s.presentRoomSignals(st), s.presentTasks(st)
		p.Roles, p.Links, p.Comms, p.Addresses = s.presentRoles(st), s.presentLinks(st), s.presentComms(st), s.presentAddresses(st)
		p.Paging = s.presentPaging(st)
		p.Impact = s.presentImpact(st, false)
		p.Precedent = s.presentPrecedent(st)
		p.Presence = s.presentPresence(room.Stream(n), st)
		p.Charts = views.Charts{Charts: s.incidentCharts(st)}
		for _, ch := range chains.Chains {
			for _, want := range st.Chains {
				if ch.ID == want {
					p.Chains = append(p.Chains, ch)
				}
			}
		}
		if c.actor.Kind == auth.KindPerson {
			for _, r := range st.Roles {
				if r.Person == c.actor.ID {
					p.Base.Person.Rooms = append(p.Base.Person.Rooms, string(r.Role))
				}
			}
		}
	})
	if err == nil && undeclared || errors.Is(err, projection.ErrUnknown) {
		err = room.ErrNoIncident
	}
	if err != nil {
		return err
	}
	for _, u := range incident.Grammar() {
		p.Commands = append(p.Commands, views.CommandHint{Name: u.Name, Usage: u.Usage, Hint: u.Hint})
	}
	for _, h := range s.actingPeople() {
		p.People = append(p.People, views.Candidate{Handle: h, Name: s.person(h)})
	}
	return c.page(http.StatusOK, views.IncidentView(p))
}

// actingPeople are the handles that can be given a role or a task.
func (s *Server) actingPeople() []string {
	var out []string
	for _, p := range s.Auth.People() {
		if p.Standing == auth.Joined && p.Role != auth.RoleStakeholder {
			out = append(out, p.Handle)
		}
	}
	return out
}

// incidentLine takes one line of the composer.
func (s *Server) incidentLine(c *call) error {
	n, err := c.number()
	if err != nil {
		return err
	}
	var in struct {
		ID        string `json:"id"`
		Line      string `json:"line"`
		WrittenAt int64  `json:"written_at"` // unix ms; of a note that could not be sent when it was written
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	cmd, err := incident.ParseLine(in.Line)
	if err != nil {
		return err
	}
	if note, ok := cmd.(incident.AddNote); ok {
		note.WrittenAt = in.WrittenAt
		cmd = note
	} else if in.WrittenAt != 0 {
		return refusal("only_notes", "Only notes can be sent later. A command counts when it arrives: look at the room, and give it again if it is still right.")
	}
	return s.command(c, n, in.ID, cmd)
}

func (s *Server) incidentComplete(c *call) error {
	n, err := c.number()
	if err != nil {
		return err
	}
	if err := c.known(n); err != nil {
		return err
	}
	var st incident.State
	err = s.World.LookInto(c.ctx(), n, func(_ projection.View, found incident.State) { st = found })
	if err != nil {
		return err
	}
	line := c.QueryParam("line")
	cursor, err := strconv.Atoi(c.QueryParam("cursor"))
	if err != nil || cursor < 0 || cursor > len(line) {
		cursor = len(line)
	}
	type item struct {
		Text string `json:"text"`
		Hint string `json:"hint"`
	}
	out := struct {
		Items []item `json:"items"`
	}{Items: []item{}}
	for _, k := range incident.Complete(line, cursor, s.actingPeople(), s.teams(), st) {
		out.Items = append(out.Items, item{k.Text, k.Hint})
	}
	return c.JSON(http.StatusOK, out)
}

// teams are those that can be given an incident.
func (s *Server) teams() (out []incident.Named) {
	if s.OnCall == nil {
		return nil
	}
	for _, t := range s.OnCall.Settings().Teams {
		out = append(out, incident.Named{ID: t.ID, Name: t.Name})
	}
	return out
}

// commandRequest is the body of POST /api/v1/incidents/{n}/commands.
type commandRequest struct {
	ID      string          `json:"id,omitempty" doc:"UUID of the command; the same id gets the same answer"`
	Command string          `json:"command" doc:"name of the command"`
	Args    json.RawMessage `json:"args,omitempty" doc:"arguments of the command"`
}

// apiCommand takes one command by name.
func (s *Server) apiCommand(c *call) error {
	n, err := c.number()
	if err != nil {
		return err
	}
	var in commandRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	cmd, err := incident.ParseCommand(in.Command, in.Args)
	if err != nil {
		return err
	}
	return s.command(c, n, in.ID, cmd)
}

// command carries one command out and answers once it is durable; it does not
// wait for any page.
func (s *Server) command(c *call, n int64, id string, cmd incident.Command) error {
	m, err := c.meta(id)
	if err != nil {
		return err
	}
	if cmd, err = s.complete(c, n, cmd); err != nil {
		return err
	}
	m.Drill = m.Drill || s.isDrill(n)
	a, err := s.Rooms.Do(c.ctx(), n, cmd, m)
	if err != nil {
		return err
	}
	c.wrote(a.Position)
	return c.JSON(http.StatusOK, presentAnswer(a))
}

// complete fills in what a person may leave out: themselves, what is known of a
// signal, the id behind a chain's name. It judges what needs a particular right.
func (s *Server) complete(c *call, n int64, cmd incident.Command) (incident.Command, error) {
	me := func(p string) (string, error) {
		p = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(p), "@")) // the composer writes @ana
		if p != "me" {
			return p, s.knownPerson(p)
		}
		if c.actor.Kind != auth.KindPerson {
			return "", refusal("bad_person", "“me” is nobody here: this is an API token. Name the person.")
		}
		return c.actor.ID, nil
	}
	if incident.Internal(cmd.Name()) {
		return nil, refusal("internal_command", "This command belongs to Tocsin itself. Attach one signal with attach_signal, merge with merge.")
	}
	var err error
	switch k := cmd.(type) {
	case incident.AssignRole:
		k.Person, err = me(k.Person)
		return k, err
	case incident.ReleaseRole:
		if strings.TrimPrefix(k.Person, "@") == "me" {
			k.Person, err = me(k.Person)
		}
		return k, err
	case incident.HandOverRole:
		k.To, err = me(k.To)
		return k, err
	case incident.PageByHand:
		if k.Person != "" {
			k.Person, err = me(k.Person)
		}
		return k, err
	case incident.Reassign:
		k.Person, err = me(k.Person)
		return k, err
	case incident.AddTask:
		if k.Assignee != "" {
			k.Assignee, err = me(k.Assignee)
		}
		return k, err
	case incident.AssignTask:
		if k.Person != "" {
			k.Person, err = me(k.Person)
		}
		return k, err
	case incident.AttachSignal:
		s.World.Look(func(v projection.View) {
			g, lookErr := v.Signal(k.Signal.ID)
			switch {
			case lookErr != nil:
				err = refusal("no_such_signal", "There is no such signal. Take its id from the signals page.")
			case g.Incident != 0 && g.Incident != n:
				err = refusal("signal_elsewhere", "This signal belongs to incident #"+strconv.FormatInt(g.Incident, 10)+". Detach it there first.")
			default:
				k.Signal = snapshot(g)
				k.Correlation = attachedBy + s.name(c.actor.String()) + "."
			}
		})
		return k, err
	case incident.Redact:
		return k, c.allow(auth.Redact, auth.Subject{})
	case incident.ApproveUpdate, incident.PublishUpdate:
		return k, c.allow(auth.ApproveUpdate, auth.Subject{})
	case incident.AddAddress:
		k.Chain = s.chainNamed(k.Chain)
		return k, nil
	case incident.RemoveAddress:
		k.Chain = s.chainNamed(k.Chain)
		return k, nil
	case incident.AddTransaction:
		k.Chain = s.chainNamed(k.Chain)
		return k, nil
	case incident.RemoveTransaction:
		k.Chain = s.chainNamed(k.Chain)
		return k, nil
	case incident.DraftUpdate:
		return k, s.knownAudience(k.Audience)
	case incident.Merge:
		return k, s.sameKind(n, k.Into)
	}
	return cmd, nil
}

func (s *Server) knownPerson(handle string) error {
	if p, ok := s.Auth.Directory().Person(handle); ok && p.Standing == auth.Joined {
		if p.Role == auth.RoleStakeholder {
			return refusal("bad_person", "@"+handle+" is a stakeholder: stakeholders read, they hold no role and no task. An administrator can make them a responder.")
		}
		return nil
	}
	return refusal("bad_person", "Nobody here has the handle “"+safe(handle)+"”. Choose one of the people page, or invite them.")
}

func (s *Server) knownAudience(name string) error {
	if name == "public" {
		return nil
	}
	list := "public"
	for _, a := range s.Audiences {
		if a == name {
			return nil
		}
		list += ", " + a
	}
	return refusal("bad_audience", "There is no audience “"+safe(name)+"”. Choose one of: "+list+".")
}

// sameKind keeps drills and real incidents apart.
func (s *Server) sameKind(a, b int64) (err error) {
	s.World.Look(func(v projection.View) {
		x, errX := v.Card(a)
		y, errY := v.Card(b)
		if errX == nil && errY == nil && x.Drill != y.Drill {
			err = refusal("drill_and_real", "One of the two is a drill and the other is not; they cannot be merged.")
		}
	})
	return err
}
