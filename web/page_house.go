package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/views"
)

// Chains.

func (s *Server) showChains(c *call, form views.ChainForm, code int) error {
	topic, chains := s.chainTopic(), s.presentChains()
	p := views.ChainsPage{Chains: chains, Form: form}
	for _, l := range s.Chains.List() {
		if l.Fixed || l.Drill || len(l.Operators) == 0 {
			continue
		}
		o := views.Operators{ID: l.ID, Name: l.Name}
		for _, n := range l.Operators {
			o.Nodes = append(o.Nodes, views.Operator{Node: n.Node, Said: n.Said, Is: n.Is})
		}
		p.Operators = append(p.Operators, o)
	}
	s.World.Look(func(v projection.View) { p.Base = c.base("Chains", "chains", v, topic) })
	return c.page(code, views.ChainsView(p))
}

func (s *Server) chainsPage(c *call) error {
	return s.showChains(c, views.ChainForm{}, http.StatusOK)
}

func (s *Server) chainForm(c *call) (views.ChainForm, error) {
	var in struct {
		Name      string   `json:"name"`
		URLs      []string `json:"urls"`
		Operators []string `json:"operators"` // of URLs, in their order
		URL       string   `json:"url"`
	}
	if c.isJSON() {
		if err := c.decode(&in); err != nil {
			return views.ChainForm{}, err
		}
		if in.URL != "" {
			in.URLs = append(in.URLs, in.URL)
		}
	} else {
		form := c.Request().Form
		in.Name, in.URLs, in.Operators = form.Get("name"), form["url"], form["operator"]
	}
	f := views.ChainForm{Name: strings.TrimSpace(in.Name)}
	for i, u := range in.URLs {
		operator := ""
		if i < len(in.Operators) {
			operator = strings.TrimSpace(in.Operators[i])
		}
		for _, one := range strings.Fields(u) {
			f.URLs, f.Operators = append(f.URLs, one), append(f.Operators, operator)
		}
	}
	switch {
	case len(f.URLs) == 0:
		return f, refusal("url_missing", "Type the address of a node, for example ws://10.0.0.7:8546.")
	case len(f.URLs) > 16:
		return f, refusal("too_many", "At most 16 nodes for one chain.")
	}
	return f, nil
}

func (s *Server) testChain(c *call) error {
	f, err := s.chainForm(c)
	if err != nil {
		return err
	}
	t := s.Chains.Test(c.ctx(), f.URLs[0])
	if c.wantsJSON() {
		return c.JSON(http.StatusOK, t)
	}
	f.Result = &views.ChainTest{OK: t.OK, Chain: t.Chain, ChainID: t.ChainID, Family: t.Family, Client: t.Client, Head: t.Head, HeadAt: t.HeadAt, Says: t.Says}
	return s.showChains(c, f, http.StatusOK)
}

func (s *Server) addChain(c *call) error {
	f, err := s.chainForm(c)
	if err == nil {
		nodes := make([]ChainNode, len(f.URLs))
		for i, u := range f.URLs {
			nodes[i] = ChainNode{URL: u, Operator: f.Operators[i]}
		}
		err = s.Chains.Add(c.ctx(), c.actor, f.Name, nodes)
	}
	if err != nil {
		d, known := describe(err)
		if !known || c.wantsJSON() {
			return err
		}
		f.Problem = d.Detail
		return s.showChains(c, f, d.Status)
	}
	if c.wantsJSON() {
		return c.JSON(http.StatusCreated, map[string]string{"status": "watching"})
	}
	c.tell("done", "The chain is being watched.")
	return c.land("/chains")
}

func (s *Server) removeChain(c *call) error {
	if err := s.Chains.Remove(c.ctx(), c.actor, c.Param("id")); err != nil {
		return err
	}
	c.tell("done", "The chain is no longer watched. What was recorded stays.")
	return c.land("/chains")
}

// operateChain says who runs the nodes of an added chain. JSON: {"operators": {"<node>": "<who>"}}.
func (s *Server) operateChain(c *call) error {
	var in struct {
		Operators map[string]string `json:"operators"`
	}
	if c.isJSON() {
		if err := c.decode(&in); err != nil {
			return err
		}
	} else {
		form := c.Request().Form
		in.Operators = map[string]string{}
		for i, node := range form["node"] {
			if i < len(form["operator"]) {
				in.Operators[node] = form["operator"][i]
			}
		}
	}
	if err := s.Chains.Operate(c.ctx(), c.actor, c.Param("id"), in.Operators); err != nil {
		d, known := describe(err)
		if !known || c.wantsJSON() {
			return err
		}
		return s.showChains(c, views.ChainForm{Problem: d.Detail}, d.Status)
	}
	if c.wantsJSON() {
		return c.JSON(http.StatusOK, map[string]string{"status": "watching"})
	}
	c.tell("done", "It is known who runs the nodes.")
	return c.land("/chains")
}

type chainsAnswer struct {
	Chains []chain.View `json:"chains"`
}

func (s *Server) apiChains(c *call) error {
	return c.JSON(http.StatusOK, chainsAnswer{nonNil(s.Telemetry.Views())})
}

// Drills.

func (s *Server) showDrills(c *call, problem string, code int) error {
	p := views.DrillsPage{Problem: problem, MayPage: !s.Demo}
	s.World.Look(func(v projection.View) {
		p.Base = c.base("Drills", "drills", v)
		if run := s.Drills.Running(); run != nil {
			p.Running = &views.Running{ID: run.Key, Name: run.Name, Since: run.Since, Speed: strconv.FormatFloat(run.Speed, 'f', -1, 64) + " times real speed", Done: run.Done, Out: run.Out}
			for _, st := range v.Cards() {
				if st.Drill && st.DeclaredAt >= run.Since && st.ResolvedAt == 0 {
					p.Running.Incident = st.Number
					break
				}
			}
		}
	})
	for _, d := range s.Drills.Scenarios() {
		sc := views.Scenario{Key: d.Key, Name: d.Name, Text: d.Text, LengthMs: d.Length.Milliseconds()}
		for _, f := range d.Figures {
			sc.Figures = append(sc.Figures, views.Figure{Label: f[0], Value: f[1]})
		}
		for _, sp := range []string{"1", "10", "60"} {
			sc.Speeds = append(sc.Speeds, views.Choice{Value: sp, Text: sp + " ×", On: sp == "60"})
		}
		p.Scenarios = append(p.Scenarios, sc)
	}
	return c.page(code, views.DrillsView(p))
}

func (s *Server) drillsPage(c *call) error { return s.showDrills(c, "", http.StatusOK) }

func (s *Server) startDrill(c *call) error {
	speed, err := strconv.ParseFloat(c.FormValue("speed"), 64)
	if err != nil || !(speed > 0 && speed <= 1000) { // NaN is neither
		return s.showDrills(c, "The speed is a number from 1 to 1000.", http.StatusUnprocessableEntity)
	}
	out := c.FormValue("out") == "1" && !s.Demo
	if err := s.Drills.Start(c.ctx(), c.actor, c.FormValue("scenario"), speed, out); err != nil {
		d, known := describe(err)
		if !known {
			return err
		}
		return s.showDrills(c, d.Detail, d.Status)
	}
	if out {
		c.tell("told", "The drill has begun. It pages people for real until it ends; every message begins with DRILL.")
	} else {
		c.tell("told", "The drill has begun. Everything it makes carries the word DRILL, and nobody is paged.")
	}
	return c.land("/")
}

func (s *Server) stopDrill(c *call) error {
	if run := s.Drills.Running(); run != nil && run.Key != c.Param("id") {
		return s.showDrills(c, "Another drill is running by now: "+run.Name+". Look again before you stop it.", http.StatusConflict)
	}
	if err := s.Drills.Stop(c.ctx(), c.actor); err != nil {
		return err
	}
	c.tell("done", "The drill is stopped. What it made stays on record, marked DRILL.")
	return c.land("/drills")
}

// The log.

const shownEvents = 100

func (s *Server) logPage(c *call) error {
	size := s.Log.Size()
	stream := c.QueryParam("stream")
	before, err := strconv.ParseInt(c.QueryParam("before"), 10, 64)
	if err != nil || before <= 0 || before > size {
		before = size
	}
	p := views.LogPage{Size: size, Stream: stream, Command: "tocsin verify " + c.baseURL()}
	s.World.Look(func(v projection.View) { p.Base = c.base("Log", "log", v) })
	from := max(0, before-shownEvents)
	var next int64
	for next = from; next < before; {
		page, err := s.Log.Read(c.ctx(), next, int(before-next))
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			next = e.Offset + 1
			if stream != "" && e.Stream != stream {
				continue
			}
			row := views.LogEvent{Offset: e.Offset, At: e.At, Stream: e.Stream, Seq: e.Seq, Type: e.Type, Actor: e.Actor, ID: e.ID, Content: string(e.Data), Drill: e.Drill}
			if e.Redacted != nil {
				row.Content, row.Redacted = "", &views.Redacted{By: s.name(e.Redacted.By), At: e.Redacted.At, Reason: e.Redacted.Reason}
			}
			p.Events = append([]views.LogEvent{row}, p.Events...)
		}
	}
	p.Replicas, p.Mixed = s.replicaRows()
	query := ""
	if stream != "" {
		query = "&stream=" + stream
	}
	if from > 0 {
		p.Older = "/log?before=" + strconv.FormatInt(from, 10) + query
	}
	if before < size {
		p.Newer = "/log?before=" + strconv.FormatInt(min(size, before+shownEvents), 10) + query
	}
	if note, err := s.Log.Checkpoint(c.ctx()); err == nil && len(note) > 0 {
		p.Checkpoint, p.Verifier = string(note), s.Log.Verifier()
		if lines := strings.Split(p.Checkpoint, "\n"); len(lines) > 2 {
			p.Root = lines[2]
		}
	}
	return c.page(http.StatusOK, views.LogView(p))
}

// The live socket.

// serveLive subscribes to the topics asked for, each judged by itself.
func (s *Server) serveLive(c *call) error {
	q := c.QueryParams()
	return s.subscribe(c, q["topic"], q["since"], func(topic string) error {
		action, subject, ok := auth.ForTopic(topic)
		n, isRoom := room.Number(topic)
		switch {
		case action == auth.ViewRoom:
			ok = isRoom && room.Stream(n) == topic
		case subject.Audience != "":
			ok = s.knownAudience(subject.Audience) == nil
		}
		if !ok {
			return refusal("no_such_topic", "There is no live topic “"+safe(topic)+"”.")
		}
		if err := c.allow(action, subject); err != nil || !isRoom {
			return err
		}
		return c.known(n)
	})
}
