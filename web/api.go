package web

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// apiIncidentDoc is one incident on the wire. Times are RFC 3339, null when unknown.
type apiIncidentDoc struct {
	Number        int64               `json:"number"`
	ID            string              `json:"id"`
	Title         string              `json:"title"`
	Summary       string              `json:"summary,omitempty"`
	Severity      string              `json:"severity"`
	Status        string              `json:"status"`
	Drill         bool                `json:"drill,omitempty"`
	Components    []string            `json:"components"`
	Chains        []string            `json:"chains"`
	Roles         map[string][]string `json:"roles"`
	Signals       []apiAttached       `json:"signals"`
	Tasks         []apiTask           `json:"tasks"`
	Updates       []apiUpdate         `json:"updates"`
	Links         []apiLink           `json:"links"`
	Addresses     []apiAddress        `json:"addresses"`
	Transactions  []apiTransaction    `json:"transactions"`
	Category      string              `json:"category,omitempty"`
	Facts         []apiFact           `json:"facts"`
	Impact        *apiImpact          `json:"impact"`
	Triage        *apiTriage          `json:"triage"`
	Paging        apiPaging           `json:"paging"`
	ImpactBeganAt *string             `json:"impact_began_at"`
	DetectedAt    *string             `json:"detected_at"`
	DeclaredAt    *string             `json:"declared_at"`
	ResolvedAt    *string             `json:"resolved_at"`
	Validation    string              `json:"validation,omitempty"`
	MergedInto    int64               `json:"merged_into,omitempty"`
	Position      int64               `json:"position"`
}

type apiAttached struct {
	ID       string `json:"id"`
	Source   string `json:"source"`
	Title    string `json:"title"`
	Severity string `json:"severity"`
	State    string `json:"state"`
	Reason   string `json:"reason,omitempty"`
	OpenedAt string `json:"opened_at,omitempty"`
	Joined   string `json:"correlation,omitempty"`
}

type apiTask struct {
	ID       string `json:"id"`
	Title    string `json:"title"`
	Assignee string `json:"assignee,omitempty"`
	Done     bool   `json:"done"`
	Due      string `json:"due,omitempty"`
}

type apiUpdate struct {
	ID          string            `json:"id"`
	Audience    string            `json:"audience"`
	Headline    string            `json:"headline,omitempty"`
	Text        string            `json:"text"`
	Phase       string            `json:"phase,omitempty"`
	State       string            `json:"state"`
	Components  map[string]string `json:"components,omitempty"`
	DraftedBy   string            `json:"drafted_by"`
	ApprovedBy  string            `json:"approved_by,omitempty"`
	PublishedAt string            `json:"published_at,omitempty"`
}

type apiLink struct {
	ID    string `json:"id"`
	URL   string `json:"url"`
	Title string `json:"title,omitempty"`
}

type apiAddress struct {
	ID      string `json:"id"`
	Chain   string `json:"chain"`
	Address string `json:"address"`
	Kind    string `json:"kind"`
	Label   string `json:"label,omitempty"`
}

type apiTransaction struct {
	ID    string `json:"id"`
	Chain string `json:"chain"`
	Tx    string `json:"tx"`
	Note  string `json:"note,omitempty"`
}

func newAPIIncident(st incident.State, now int64) apiIncidentDoc {
	d := apiIncidentDoc{
		Number: st.Number, ID: st.ID, Title: st.Title, Summary: st.Summary, Severity: string(st.Severity), Status: string(st.Status), Drill: st.Drill,
		Components: nonNil(st.Components), Chains: nonNil(st.Chains), Roles: map[string][]string{}, Signals: []apiAttached{}, Tasks: []apiTask{},
		Updates: []apiUpdate{}, Links: []apiLink{}, Addresses: []apiAddress{}, Transactions: []apiTransaction{}, ImpactBeganAt: maybeTime(st.ImpactBeganAt), DetectedAt: maybeTime(st.DetectedAt),
		DeclaredAt: maybeTime(st.DeclaredAt), ResolvedAt: maybeTime(st.ResolvedAt), Validation: st.Validation, MergedInto: st.MergedInto, Position: st.Position,
	}
	for _, r := range st.Roles {
		d.Roles[string(r.Role)] = append(d.Roles[string(r.Role)], r.Person)
	}
	for _, g := range st.Signals {
		d.Signals = append(d.Signals, apiAttached{ID: g.ID, Source: g.Source, Title: g.Title, Severity: string(g.Severity), State: g.State, Reason: g.Reason, OpenedAt: rfc3339(g.OpenedAt), Joined: g.Correlation})
	}
	for _, t := range st.Tasks {
		d.Tasks = append(d.Tasks, apiTask{ID: t.ID, Title: t.Title, Assignee: t.Assignee, Done: t.Done, Due: rfc3339(t.Due)})
	}
	for _, u := range st.Updates {
		d.Updates = append(d.Updates, apiUpdate{ID: u.ID, Audience: u.Audience, Headline: u.Headline, Text: u.Text, Phase: u.Phase, State: string(u.State), Components: u.Components, DraftedBy: u.DraftedBy, ApprovedBy: u.ApprovedBy, PublishedAt: rfc3339(u.PublishedAt)})
	}
	for _, l := range st.Links {
		d.Links = append(d.Links, apiLink{ID: l.ID, URL: l.URL, Title: l.Title})
	}
	for _, a := range st.Addresses {
		d.Addresses = append(d.Addresses, apiAddress{ID: a.ID, Chain: a.Chain, Address: a.Address, Kind: string(a.Kind), Label: a.Label})
	}
	for _, x := range st.Transactions {
		d.Transactions = append(d.Transactions, apiTransaction{ID: x.ID, Chain: x.Chain, Tx: x.Tx, Note: x.Note})
	}
	d.judged(st, now)
	return d
}

type eventsAnswer struct {
	Events []apiEvent `json:"events"`
}

// declareRequest is the body of POST /api/v1/incidents.
type declareRequest struct {
	ID         string   `json:"id,omitempty" doc:"UUID of the command; the same id gets the same answer"`
	Title      string   `json:"title"`
	Severity   string   `json:"severity" enum:"SEV1,SEV2,SEV3,SEV4,SEV5"`
	Summary    string   `json:"summary,omitempty"`
	Components []string `json:"components,omitempty"`
	Chains     []string `json:"chains,omitempty"`
	Impact     string   `json:"impact_began_at,omitempty" doc:"RFC 3339"`
	Detected   string   `json:"detected_at,omitempty" doc:"RFC 3339"`
	Signal     string   `json:"signal,omitempty" doc:"id of the signal that led to it; attached at once"`
}

// declareAnswer is the answer to it.
type declareAnswer struct {
	Number   int64  `json:"number"`
	ID       string `json:"id"`
	Position int64  `json:"position"`
}

// apiDeclare declares an incident; the id makes it idempotent.
func (s *Server) apiDeclare(c *call) error {
	var in declareRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	m, err := c.meta(in.ID)
	if err != nil {
		return err
	}
	cmd := incident.Declare{Title: in.Title, Severity: in.Severity, Summary: in.Summary, Components: in.Components, Chains: in.Chains}
	for _, t := range []struct {
		text string
		to   *int64
		name string
	}{{in.Impact, &cmd.ImpactBeganAt, "impact_began_at"}, {in.Detected, &cmd.DetectedAt, "detected_at"}} {
		if t.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, t.text)
		if err != nil {
			return &incident.Refusal{Code: incident.CodeBadTime, Sentence: t.name + " must be a time like 2026-11-20T14:05:00Z."}
		}
		*t.to = at.UnixMilli()
	}
	if in.Signal != "" {
		s.World.Look(func(v projection.View) {
			g, lookErr := v.Signal(in.Signal)
			switch {
			case lookErr != nil:
				err = refusal("no_such_signal", "There is no such signal. Take its id from the signals page.")
			case g.Incident != 0:
				err = refusal("signal_elsewhere", "This signal belongs to incident #"+strconv.FormatInt(g.Incident, 10)+" already.")
			default:
				m.Drill = m.Drill || g.Drill
				cmd.Signal, cmd.Attach = g.ID, []incident.Signal{snapshot(g)}
			}
		})
		if err != nil {
			return err
		}
	}
	a, err := s.Rooms.Declare(c.ctx(), cmd, m)
	if err != nil {
		return err
	}
	c.wrote(a.Position)
	return c.JSON(http.StatusCreated, declareAnswer{Number: a.Number, ID: m.ID, Position: a.Position})
}

func (s *Server) apiIncident(c *call) error {
	n, err := c.number()
	if err != nil {
		return err
	}
	// Read from the log, not from the projection: whoever was just answered must
	// find what was answered.
	st, err := s.Rooms.Load(c.ctx(), n)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newAPIIncident(st, s.now()))
}

func (s *Server) apiEvents(c *call) error {
	n, err := c.number()
	if err != nil {
		return err
	}
	from, _ := strconv.ParseInt(c.QueryParam("from"), 10, 64)
	events := []apiEvent{}
	for seq := max(from, 1); ; {
		page, err := s.Log.ReadStream(c.ctx(), room.Stream(n), seq, 512)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			events = append(events, newAPIEvent(e))
		}
		seq = page[len(page)-1].Seq + 1
	}
	if len(events) == 0 && from <= 1 {
		return room.ErrNoIncident
	}
	return c.JSON(http.StatusOK, eventsAnswer{events})
}

// apiEvent is one event of the log on the wire.
type apiEvent struct {
	Offset    int64               `json:"offset"`
	ID        string              `json:"id"`
	Stream    string              `json:"stream"`
	Seq       int64               `json:"seq"`
	Type      string              `json:"type"`
	Version   int                 `json:"version"`
	At        string              `json:"at"`
	Actor     string              `json:"actor"`
	Causation string              `json:"causation,omitempty"`
	Drill     bool                `json:"drill,omitempty"`
	Data      json.RawMessage     `json:"data"`
	Redacted  *eventlog.Redaction `json:"redacted,omitempty"`
}

func newAPIEvent(e eventlog.Event) apiEvent {
	return apiEvent{Offset: e.Offset, ID: e.ID, Stream: e.Stream, Seq: e.Seq, Type: e.Type, Version: e.Version, At: rfc3339(e.At), Actor: e.Actor, Causation: e.Causation, Drill: e.Drill, Data: e.Data, Redacted: e.Redacted}
}

// answerDoc is the answer to a command.
type answerDoc struct {
	Position int64      `json:"position"`
	Events   []apiEvent `json:"events"`
}

func presentAnswer(a room.Answer) answerDoc {
	d := answerDoc{Position: a.Position, Events: []apiEvent{}}
	for _, e := range a.Events {
		d.Events = append(d.Events, newAPIEvent(e))
	}
	return d
}

// snapshot is what an incident keeps of a signal.
func snapshot(g signal.Signal) incident.Signal {
	return incident.Signal{
		ID: g.ID, Source: g.Source, Kind: g.Kind, Title: g.Title, Subject: g.Subject, Severity: incident.Severity(g.Severity), Reason: g.Reason,
		Chain: g.Chain, Component: g.Component, State: g.State, Acknowledged: g.Acknowledged, Count: int64(g.Count), OpenedAt: g.OpenedAt,
		LastAt: g.LastAt, ClearedAt: g.ClearedAt,
	}
}

// apiLog streams the log as NDJSON from an offset; it follows unless follow=false.
func (s *Server) apiLog(c *call) error {
	from, err := strconv.ParseInt(c.QueryParam("from"), 10, 64)
	if c.QueryParam("from") == "" {
		from, err = 0, nil
	}
	if err != nil || from < 0 {
		return refusal("bad_from", "from is an offset of the log: 0 or more.")
	}
	w := c.Response()
	enc := json.NewEncoder(w)
	begin := func() {
		w.Header().Set("Content-Type", "application/x-ndjson")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusOK)
	}
	write := func(page []eventlog.Event) error {
		// A reader that takes nothing for a minute is cut off; it comes back with its offset.
		_ = http.NewResponseController(w.Writer).SetWriteDeadline(time.Now().Add(time.Minute))
		for _, e := range page {
			if err := enc.Encode(newAPIEvent(e)); err != nil {
				return err
			}
		}
		w.Flush()
		return nil
	}
	if c.QueryParam("follow") == "false" {
		end := s.Log.Size()
		next := func() ([]eventlog.Event, error) {
			if from >= end {
				return nil, nil
			}
			page, err := s.Log.Read(c.ctx(), from, int(min(512, end-from)))
			from += int64(len(page))
			return page, err
		}
		page, err := next()
		if err != nil {
			return err
		}
		for begin(); len(page) > 0; page, err = next() {
			if write(page) != nil {
				return nil
			}
		}
		if err != nil || from < end {
			panic(http.ErrAbortHandler) // cut off: a part of the log must not look like all of it
		}
		return nil
	}
	begin()
	w.Flush()
	ctx, cancel := s.whileAllowed(c)
	defer cancel()
	for page, err := range s.Log.Follow(ctx, from) {
		if err != nil || write(page) != nil {
			return nil
		}
	}
	return nil
}
