package web

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/oncall"
)

// shiftQuery is the query of shifts and holes.
var shiftQuery = [][2]string{{"from", "local time of the schedule, or with an offset; now when left out"}, {"until", "likewise, at most a year later; 30 days later when left out"}}

// mostRange is how long a list of shifts may be.
const mostRange = 366 * 24 * time.Hour

var errNoOnCall = refusal("unavailable", "There is no on-call here.")

type onCallAnswer struct {
	Teams     []oncall.Team       `json:"teams"`
	Schedules []oncall.Schedule   `json:"schedules"`
	Policies  []escalation.Policy `json:"policies"`
	Rules     []oncall.Rule       `json:"rules"`
	Swaps     []oncall.Swap       `json:"swaps"`
	Notes     []oncall.HandOver   `json:"hand_over_notes"`
	Warnings  []oncall.Warning    `json:"warnings"`
	Changes   []onCallChange      `json:"changes" doc:"the newest first; each can be undone by its event"`
	Seq       int64               `json:"seq" doc:"number of the newest change"`
}

type onCallChange struct {
	Event  string   `json:"event"`
	At     string   `json:"at"`
	By     string   `json:"by"`
	Type   string   `json:"type"`
	Says   string   `json:"says"`
	Notes  []string `json:"notes,omitempty"`
	Undone bool     `json:"undone,omitempty"`
}

func (s *Server) apiOnCall(c *call) error {
	if s.OnCall == nil {
		return errNoOnCall
	}
	x := s.OnCall.Settings()
	out := onCallAnswer{Teams: nonNil(x.Teams), Schedules: nonNil(x.Schedules), Policies: nonNil(x.Policies), Rules: nonNil(x.Rules), Swaps: nonNil(x.Swaps),
		Notes: nonNil(x.Notes), Warnings: nonNil(s.OnCall.Check(s.now())), Changes: []onCallChange{}, Seq: x.Seq}
	history := s.OnCall.History()
	for i := range history {
		h := history[len(history)-1-i]
		out.Changes = append(out.Changes, onCallChange{h.ID, rfc3339(h.At), h.Actor, h.Type, h.Body.Says, h.Body.Notes, h.Undone})
	}
	return c.JSON(http.StatusOK, out)
}

type onCallNowAnswer struct {
	At        string      `json:"at"`
	Schedules []onCallNow `json:"schedules"`
	Everybody []string    `json:"everybody,omitempty" doc:"who is paged while no team takes incidents"`
	Says      string      `json:"says,omitempty"`
}

type onCallNow struct {
	Schedule string    `json:"schedule"`
	Name     string    `json:"name"`
	Zone     string    `json:"zone"`
	Duty     shiftDoc  `json:"duty"`
	Next     *shiftDoc `json:"next,omitempty"`
}

// shiftDoc is a stretch of time with who is on call in it; times are UTC and, beside it, local of the schedule.
type shiftDoc struct {
	Person     string `json:"person" doc:"empty: nobody"`
	Layer      string `json:"layer,omitempty"`
	Turn       int64  `json:"turn,omitempty"`
	Override   string `json:"override,omitempty"`
	Why        string `json:"why"`
	From       string `json:"from,omitempty" doc:"empty: since ever"`
	Until      string `json:"until,omitempty" doc:"empty: without end"`
	LocalFrom  string `json:"local_from,omitempty"`
	LocalUntil string `json:"local_until,omitempty"`
}

func newShiftDoc(d oncall.Duty, zone *time.Location) shiftDoc {
	out := shiftDoc{Person: d.Person, Layer: d.Layer, Turn: d.Turn, Override: d.Over, Why: d.Why}
	if d.From != 0 {
		out.From, out.LocalFrom = rfc3339(d.From), time.UnixMilli(d.From).In(zone).Format(time.RFC3339)
	}
	if d.Until != 0 {
		out.Until, out.LocalUntil = rfc3339(d.Until), time.UnixMilli(d.Until).In(zone).Format(time.RFC3339)
	}
	return out
}

func (s *Server) apiOnCallNow(c *call) error {
	if s.OnCall == nil {
		return errNoOnCall
	}
	now := s.now()
	out := onCallNowAnswer{At: rfc3339(now), Schedules: []onCallNow{}}
	x := s.OnCall.Settings()
	for _, sc := range x.Schedules {
		one := onCallNow{Schedule: sc.ID, Name: sc.Name, Zone: sc.Zone}
		zone, err := s.OnCall.Zone(sc.Zone)
		if err != nil {
			zone = time.UTC
		}
		d, _ := s.OnCall.Duty(sc.ID, now)
		one.Duty = newShiftDoc(d, zone)
		if d.Until != 0 && err == nil {
			next := newShiftDoc(sc.At(d.Until, zone), zone)
			one.Next = &next
		}
		out.Schedules = append(out.Schedules, one)
	}
	if t, _, why := x.Route("SEV1", nil, nil, nil); t.ID == oncall.Everybody {
		out.Everybody, out.Says = s.OnCall.Reachable(), "Nobody is on call for incidents: "+why+"."
	}
	return c.JSON(http.StatusOK, out)
}

type onCallCommand struct {
	ID      string          `json:"id,omitempty" doc:"UUID of the command; the same id gets the same answer"`
	Command string          `json:"command"`
	Args    json.RawMessage `json:"args,omitempty"`
}

// onCallMeta is the envelope of a command, with what the caller may do.
func (c *call) onCallMeta(id string) (oncall.Meta, error) {
	m, err := c.meta(id)
	return oncall.Meta{ID: m.ID, At: m.At, Actor: m.Actor, Manage: c.can(auth.ManageOnCall)}, err
}

// apiOnCallCommand takes every command; what is beyond swapping is refused in Decide to who may not manage.
func (s *Server) apiOnCallCommand(c *call) error {
	if s.OnCall == nil {
		return errNoOnCall
	}
	var in onCallCommand
	if err := c.decode(&in); err != nil {
		return err
	}
	m, err := c.onCallMeta(in.ID)
	if err != nil {
		return err
	}
	cmd, err := oncall.ParseCommand(in.Command, in.Args)
	if err != nil {
		return err
	}
	return s.doOnCall(c, cmd, m)
}

func (s *Server) doOnCall(c *call, cmd oncall.Command, m oncall.Meta) error {
	a, err := s.OnCall.Do(c.ctx(), cmd, m)
	if err != nil {
		return err
	}
	c.wrote(a.Position)
	return c.JSON(http.StatusOK, a)
}

type shiftsAnswer struct {
	Schedule string     `json:"schedule"`
	Zone     string     `json:"zone"`
	Shifts   []shiftDoc `json:"shifts"`
}

func (s *Server) apiShifts(c *call) error { return s.shifts(c, oncall.Schedule.Shifts) }

func (s *Server) apiHoles(c *call) error { return s.shifts(c, oncall.Schedule.Holes) }

func (s *Server) shifts(c *call, list func(oncall.Schedule, int64, int64, *time.Location) []oncall.Duty) error {
	if s.OnCall == nil {
		return errNoOnCall
	}
	x, ok := s.OnCall.Settings().Schedule(c.Param("id"))
	if !ok {
		return refusal("not_found", "There is no such schedule. GET /api/v1/oncall lists them.")
	}
	zone, err := s.OnCall.Zone(x.Zone)
	if err != nil {
		return refusal("bad_zone", "The zone "+x.Zone+" of this schedule is not known here. Choose another zone.")
	}
	from, until := s.now(), int64(0)
	for name, to := range map[string]*int64{"from": &from, "until": &until} {
		if text := c.QueryParam(name); text != "" {
			if *to, _, err = oncall.Moment(text, zone); err != nil {
				return err
			}
		}
	}
	if until == 0 {
		until = from + oncall.Ahead
	}
	if until <= from || until-from > mostRange.Milliseconds() {
		return refusal("bad_time", "from comes before until, and at most a year before it.")
	}
	out := shiftsAnswer{Schedule: x.ID, Zone: x.Zone, Shifts: []shiftDoc{}}
	for _, d := range list(x, from, until, zone) {
		out.Shifts = append(out.Shifts, newShiftDoc(d, zone))
	}
	return c.JSON(http.StatusOK, out)
}
