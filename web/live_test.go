package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/views"
)

// region is a rendered one.
type rendered struct{ key, into, html string }

// everyRegion renders all topics as the live renderer would for a first watcher.
func (h *house) everyRegion(n int64) map[string][]rendered {
	h.t.Helper()
	l := newLive(h.Server)
	out := map[string][]rendered{}
	topics := []string{projection.TopicBoard, projection.TopicWall, projection.TopicSignals, projection.TopicStatus, projection.TopicStatus + "/clients", room.Stream(n)}
	for _, topic := range topics {
		_, regions := l.look(context.Background(), topic)
		for _, r := range regions {
			html, err := renderHTML(context.Background(), r.body)
			if err != nil {
				h.t.Fatal(err)
			}
			out[topic] = append(out[topic], rendered{r.key, r.into, html})
		}
	}
	return out
}

// pageOf is the page that shows a region of a topic.
func pageOf(topic, key string) string {
	switch key {
	case views.RegionQueues:
		return "/queues"
	case views.RegionImpactWhole:
		return "/incidents/" + strings.TrimPrefix(topic, room.StreamPrefix) + "/impact"
	}
	switch topic {
	case projection.TopicBoard:
		return "/"
	case projection.TopicWall, projection.TopicSignals, projection.TopicStatus, topicChains:
		return "/" + topic
	case projection.TopicStatus + "/clients":
		return "/" + topic
	}
	return "/incidents/" + strings.TrimPrefix(topic, room.StreamPrefix)
}

// TestRegionsAreTheBytesOfThePage: what is pushed is, byte for byte, what the
// page embeds, for every region and whoever looks.
func TestRegionsAreTheBytesOfThePage(t *testing.T) {
	h, n := furnished(t)
	viewers := []*visitor{h.ana(), h.member("rita", auth.RoleResponder, "")}
	for topic, regions := range h.everyRegion(n) {
		for _, v := range viewers {
			pages := map[string]string{}
			for _, r := range regions {
				path := pageOf(topic, r.key)
				if pages[path] == "" {
					pages[path] = v.get(path).want(200).body
				}
				if !strings.Contains(pages[path], r.html) {
					t.Errorf("%s: region %s of %s is not in the page as it is pushed:\n%s", v.name, r.key, topic, head(r.html))
				}
			}
		}
	}
}

// TestPushedBytes follows real sockets through real commands: the newest frame
// of every region is in the page that is loaded afterwards.
func TestPushedBytes(t *testing.T) {
	h, n := furnished(t)
	ana := h.ana()
	topics := []string{projection.TopicBoard, projection.TopicWall, room.Stream(n)}
	q := url.Values{"topic": topics}
	at := h.Log.Size() - 1
	for range topics {
		q.Add("since", fmt.Sprint(at))
	}
	live := ana.live("/live?" + q.Encode())
	public := h.nobody().live(fmt.Sprint("/status/live?since=", at))

	ana.command(n, "add_note", map[string]any{"text": "seen by all"}).want(200)
	ana.command(n, "set_status", map[string]any{"status": "mitigating"}).want(200)
	h.fire("am", signal.Observation{Title: "another alert"})
	h.tell(n, incident.DraftUpdate{Audience: "public", Text: "We have a fix.", Phase: "monitoring"})
	h.cmd(n, incident.Rename{Title: "The last title"})

	newest, titled := map[string]frame{}, map[string]bool{}
	frames := live.until(func(f frame) bool {
		if strings.Contains(f.HTML, "The last title") {
			titled[f.Topic] = true
		}
		return len(titled) == len(topics)
	})
	for _, f := range append(frames, live.rest()...) {
		if f.Type == "resync" {
			t.Fatalf("resync of %s though nothing was missed", f.Topic)
		}
		if f.Key != "" {
			newest[f.Topic+" "+f.Key] = f
		}
	}
	for _, f := range public.until(func(f frame) bool { return strings.Contains(f.HTML, "We have a fix.") }) {
		if f.Key != "" {
			newest[f.Topic+" "+f.Key] = f
		}
	}
	pages := map[string]string{}
	for _, f := range newest {
		path := pageOf(f.Topic, f.Key)
		if pages[path] == "" {
			pages[path] = ana.get(path).want(200).body
		}
		if !strings.Contains(pages[path], f.HTML) {
			t.Errorf("%s of %s was pushed, and the page has other bytes:\n%s", f.Key, f.Topic, head(f.HTML))
		}
		if f.Key == views.RegionReadOnly || f.Key == views.RegionPresence {
			continue // of no position
		}
		if f.At == 0 || f.Seq <= at {
			t.Errorf("%s: at %d, seq %d", f.Key, f.At, f.Seq)
		}
	}
	if len(newest) < 8 {
		t.Errorf("only %d regions were pushed: %v", len(newest), sortedKeys(newest))
	}
}

// TestNoGap renders a page, lets something happen before and after the socket
// stands, and checks that the page plus the frames hold everything.
func TestNoGap(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Bridge"})
	ana, topic := h.ana(), room.Stream(n)
	since := func() string { return fmt.Sprint(h.Log.Size() - 1) }

	m := since()
	live := ana.live("/live?topic=" + topic + "&since=" + m)
	first := h.cmd(n, incident.AddNote{Text: "after the socket"}).Position
	frames := live.until(func(f frame) bool { return strings.Contains(f.HTML, "after the socket") })
	if f := frames[len(frames)-1]; f.Seq != first || f.Into != "timeline" || f.Place != "end" || f.Key != fmt.Sprint("e-", first) {
		t.Errorf("entry frame %+v", f)
	}

	// The page was rendered before the note; the topic is open, so its frames are kept.
	second := ana.live("/live?topic=" + topic + "&since=" + m)
	second.until(func(f frame) bool { return strings.Contains(f.HTML, "after the socket") })

	// A page from before the topic was opened cannot be made up for.
	old := ana.live("/live?topic=" + topic + "&since=0")
	if f := old.until(func(f frame) bool { return f.Type == "resync" }); f[len(f)-1].Topic != topic || f[len(f)-1].Seq < first {
		t.Errorf("%+v", f)
	}

	// An event between the page and the first socket of a topic: resync.
	k := h.declare(incident.Declare{Title: "Second"})
	m = since()
	h.cmd(k, incident.AddNote{Text: "in between"})
	late := ana.live("/live?topic=" + room.Stream(k) + "&since=" + m)
	late.until(func(f frame) bool { return f.Type == "resync" && f.Topic == room.Stream(k) })
	// None between: no resync, and the next thing is the change itself.
	m = since()
	fresh := ana.live("/live?topic=" + room.Stream(k) + "&since=" + m)
	h.cmd(k, incident.AddNote{Text: "news"})
	for _, f := range fresh.until(func(f frame) bool { return strings.Contains(f.HTML, "news") }) {
		if f.Type == "resync" {
			t.Error("resync though nothing was missed")
		}
	}
	// An incident that happens while nobody watches it does not disturb the others.
	h.cmd(n, incident.AddNote{Text: "elsewhere"})
	h.cmd(k, incident.AddNote{Text: "and here"})
	for _, f := range fresh.until(func(f frame) bool { return strings.Contains(f.HTML, "and here") }) {
		if f.Topic != "" && f.Topic != room.Stream(k) {
			t.Errorf("a frame of %s", f.Topic)
		}
	}
}

func TestRedactionIsPushed(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Bridge"})
	note := h.cmd(n, incident.AddNote{Text: "the seed phrase"})
	live := h.ana().live(fmt.Sprintf("/live?topic=incident/%d&since=%d", n, h.Log.Size()-1))
	h.cmd(n, incident.AddNote{Text: "harmless"})
	live.until(func(f frame) bool { return strings.Contains(f.HTML, "harmless") })
	h.cmd(n, incident.Redact{Event: note.Events[0].ID, Reason: "private"})
	for _, f := range live.until(func(f frame) bool { return f.Key == fmt.Sprint("e-", note.Position) }) {
		if strings.Contains(f.HTML, "seed phrase") {
			t.Errorf("%s still says it", f.Key)
		}
	}
	// Whoever connects now gets nothing of it out of what the hub keeps.
	again := h.ana().live(fmt.Sprintf("/live?topic=incident/%d&since=%d", n, note.Position-1))
	h.cmd(n, incident.AddNote{Text: "fin"})
	for _, f := range again.until(func(f frame) bool { return strings.Contains(f.HTML, "fin") || f.Type == "resync" }) {
		if strings.Contains(f.HTML, "seed phrase") {
			t.Errorf("%s is kept and says it", f.Key)
		}
	}
}

// TestTopicsAreJudged: every topic for everybody, by the table of rights.
func TestTopicsAreJudged(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Bridge"})
	wall, _ := h.wall()
	robot, _ := h.token(auth.RoleResponder, "")
	type right struct {
		a auth.Action
		s auth.Subject
	}
	topics := map[string]right{
		"board": {a: auth.ViewBoard}, "wall": {a: auth.ViewWall}, "chains": {a: auth.ViewChains}, "signals": {a: auth.ViewSignals},
		room.Stream(n): {a: auth.ViewRoom}, "status": {a: auth.ViewStatus}, "status/clients": {auth.ViewStatus, auth.Subject{Audience: "clients"}},
		"status/regulators": {auth.ViewStatus, auth.Subject{Audience: "regulators"}},
	}
	visitors := map[*visitor]auth.Actor{
		h.nobody(): {}, h.ana(): {Kind: auth.KindPerson, Role: auth.RoleAdministrator}, h.member("rita", auth.RoleResponder, ""): {Kind: auth.KindPerson, Role: auth.RoleResponder},
		h.member("sam", auth.RoleStakeholder, "clients"): {Kind: auth.KindPerson, Role: auth.RoleStakeholder, Audience: "clients"},
		wall: {Kind: auth.KindWall, Role: auth.RoleWall}, robot: {Kind: auth.KindToken, Role: auth.RoleResponder},
	}
	for v, actor := range visitors {
		for topic, r := range topics {
			// /live itself needs ViewWall; each topic its own right.
			may := auth.Can(actor, auth.ViewWall, auth.Subject{}) && auth.Can(actor, r.a, r.s)
			s, res := v.dial("/live?topic=" + url.QueryEscape(topic))
			if may != (s != nil) {
				t.Errorf("%s may watch %s: %v, got %s", v.name, topic, may, res.Status)
			}
			// A right to one topic brings no other.
			if s, _ := v.dial("/live?topic=wall&topic=" + url.QueryEscape(topic)); may != (s != nil) {
				t.Errorf("%s beside the wall may watch %s: %v", v.name, topic, may)
			}
		}
		for audience, r := range map[string]right{"": {}, "public": {}, "clients": {s: auth.Subject{Audience: "clients"}}, "regulators": {s: auth.Subject{Audience: "regulators"}}} {
			s, res := v.dial("/status/live?audience=" + audience)
			if may := auth.Can(actor, auth.ViewStatus, r.s); may != (s != nil) {
				t.Errorf("%s may watch the status page of %q: %v, got %s", v.name, audience, may, res.Status)
			}
		}
	}
	for path, status := range map[string]int{
		"/live": 422, "/live?topic=nothing": 422, "/live?topic=incident/99": 404, "/live?topic=incident/": 422, "/live?topic=incident/x": 422, "/live?topic=board&since=x": 422,
		"/live?topic=incident/0": 422, "/live?topic=incident/-1": 422, "/live?topic=incident/1/2": 422, "/live?" + strings.Repeat("topic=board&", 40): 422, "/live?topic=status/": 422,
	} {
		if s, res := h.ana().dial(path); s != nil || res.StatusCode != status {
			t.Errorf("%s: %s, want %d", path, res.Status, status)
		}
	}
}

// TestStrangersDoNotCrowdOut: when very many look, responders still get a socket.
func TestStrangersDoNotCrowdOut(t *testing.T) {
	h := newHouse(t)
	h.strangers = 2
	for range 2 {
		h.nobody().live("/status/live")
	}
	if s, res := h.nobody().dial("/status/live"); s != nil || res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("the third stranger: %s", res.Status)
	}
	h.ana().watch("wall")
	h.ana().live("/status/live")
	if s, res := h.ana().dial("/status/live?audience=nothing"); s != nil || res.StatusCode < 400 {
		t.Errorf("an audience that does not exist: %s", res.Status)
	}
}

func TestForeignPagesGetNoSocket(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.PublicURL = "https://room.example.org" })
	for origin, ok := range map[string]bool{
		"": true, "https://room.example.org": true, h.srv.URL: true, "https://evil.example": false, "null": false,
		"https://room.example.org.evil.example": false, "https://evil.example/room.example.org": false, "http://room.example.org:81": false,
	} {
		for _, path := range []string{"/live?topic=board", "/status/live"} {
			v := h.ana()
			if origin != "" {
				v.header.Set("Origin", origin)
			}
			s, res := v.dial(path)
			if (s != nil) != ok {
				t.Errorf("origin %q at %s: %s", origin, path, res.Status)
			}
		}
	}
	v := h.ana()
	v.header.Set("Sec-Fetch-Site", "cross-site")
	if s, _ := v.dial("/live?topic=board"); s != nil {
		t.Error("a cross-site page got a socket")
	}
}

// TestSocketsEndWithTheCredential: revoked, signed out, demoted, removed,
// expired; each at once, and only those.
func TestSocketsEndWithTheCredential(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]func(t *testing.T, h *house) (*visitor, func()){
		"token revoked": func(t *testing.T, h *house) (*visitor, func()) {
			v, id := h.token(auth.RoleResponder, "")
			return v, func() { h.ana().post("/tokens/" + id + "/revoke").want(303) }
		},
		"wall token revoked": func(t *testing.T, h *house) (*visitor, func()) {
			v, id := h.wall()
			return v, func() { h.ana().post("/tokens/" + id + "/revoke").want(303) }
		},
		"signed out": func(t *testing.T, h *house) (*visitor, func()) {
			v := h.member("rita", auth.RoleResponder, "")
			return v, func() { v.post("/signout").want(303) }
		},
		"role changed": func(t *testing.T, h *house) (*visitor, func()) {
			v := h.member("rita", auth.RoleResponder, "")
			return v, func() {
				if err := h.Auth.ChangeRole(ctx, h.admin, "rita", auth.RoleStakeholder, "clients"); err != nil {
					t.Fatal(err)
				}
			}
		},
		"person removed": func(t *testing.T, h *house) (*visitor, func()) {
			v := h.member("rita", auth.RoleResponder, "")
			return v, func() { h.ana().post("/people/rita/disable").want(303) }
		},
		"token expired": func(t *testing.T, h *house) (*visitor, func()) {
			h.stand()
			_, secret, err := h.Auth.CreateToken(ctx, h.admin, auth.TokenOrder{Name: "brief", Role: auth.RoleResponder, ExpiresAt: h.millis() + 300})
			if err != nil {
				t.Fatal(err)
			}
			v := h.visitor("brief token")
			v.bearer = secret
			return v, func() { h.late.Add(301) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			v, end := c(t, h)
			bystander := h.ana().watch("wall")
			s := v.watch("wall")
			end()
			s.ended(4401)
			h.declare(incident.Declare{Title: "still here"})
			bystander.until(func(f frame) bool { return strings.Contains(f.HTML, "still here") })
			if name == "role changed" {
				if s, res := v.dial("/live?topic=wall"); s != nil || res.StatusCode != 403 {
					t.Errorf("comes back with %s", res.Status)
				}
			} else if s, res := v.dial("/live?topic=wall"); s != nil || res.StatusCode != 401 && res.StatusCode != 303 {
				t.Errorf("comes back with %s", res.Status)
			}
		})
	}
}

// TestSessionThatIsUsedLivesOn: the end of a session moves while it is used, and
// its sockets live on.
func TestSessionThatIsUsedLivesOn(t *testing.T) {
	h := newHouse(t)
	ana := h.ana()
	s := ana.watch("wall")
	c := &call{s: h.Server, actor: h.admin, cookie: ana.cookie}
	c.actor.Until = h.millis() // as it was when the socket was opened, long ago
	h.endWhenExpired(c, c.actor.Until)
	h.declare(incident.Declare{Title: "alive"})
	s.until(func(f frame) bool { return strings.Contains(f.HTML, "alive") })
}

// TestWallsOnlyWatch: no wall, however it signs in, changes anything.
func TestWallsOnlyWatch(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Bridge"})
	wall, id := h.wall()
	wall.get("/wall").want(200)
	before := h.Log.Size()
	_, secret, err := h.Auth.CreateWallToken(context.Background(), h.admin, "as bearer")
	if err != nil {
		t.Fatal(err)
	}
	bearer := h.visitor("wall as bearer")
	bearer.bearer = secret
	before++
	for _, v := range []*visitor{wall, bearer} {
		for _, r := range h.Routes() {
			if r.Method == http.MethodPost && r.Action != "" {
				v.do("POST", strings.Replace(address(r.Path), "/1/", fmt.Sprintf("/%d/", n), 1), "application/json", strings.NewReader("{}")).want(403)
			}
		}
	}
	if h.Log.Size() != before {
		t.Errorf("a wall wrote %d events", h.Log.Size()-before)
	}
	h.ana().post("/tokens/" + id + "/revoke").want(303)
	wall.get("/wall").want(303)
}

// TestChainsAreLive: cards come when something changed, samples when they are new.
func TestChainsAreLive(t *testing.T) {
	h := newHouse(t)
	h.chains.set(ChainSetting{ID: "eth", Name: "Ethereum", Family: "evm", Nodes: []string{"n1"}})
	view := chain.View{Chain: "eth", Family: chain.EVM, Height: 100, Status: "live", Interval: 12_000, Safe: -1, Finalized: -1, Nodes: []chain.NodeView{{Name: "n1", State: chain.Up, Height: 100}}}
	h.telemetry.set(view)
	ana := h.ana()
	page := ana.get("/chains").want(200).has("chain-eth").body
	live := ana.live("/live?topic=chains&since=" + fmt.Sprint(h.millis()-1))
	live.rest() // what changed on its way
	view.Height = 101
	view.Findings = []chain.Finding{{Kind: chain.FindingReorg, Subject: "eth", Severity: "SEV2", Title: "A reorg of 7 blocks"}}
	h.telemetry.set(view)
	h.ChainChanged("eth")
	f := live.until(func(f frame) bool { return f.Key == "chain-eth" && strings.Contains(f.HTML, "reorg") })
	card := f[len(f)-1].HTML
	if strings.Contains(page, card) {
		t.Error("the card is as it was")
	}
	if !strings.Contains(ana.get("/chains").body, card) {
		t.Error("the page shows another card than was pushed")
	}
	h.ChainChanged("eth") // nothing differs: nothing is sent
	h.chains.set(append(h.chains.List(), ChainSetting{ID: "btc", Name: "Bitcoin", Family: "bitcoin"})...)
	h.ChainChanged("")
	cards := 0
	for _, f := range live.until(func(f frame) bool { return f.Key == "chains" && strings.Contains(f.HTML, "chain-btc") }) {
		if f.Key == "chain-eth" {
			cards++
		}
	}
	if cards > 0 {
		t.Errorf("an unchanged card was sent %d times", cards)
	}
	h.declare(incident.Declare{Title: "Reorg", Chains: []string{"eth"}})
	live.until(func(f frame) bool { return f.Key == "chain-eth" && strings.Contains(f.HTML, "/incidents/1") })
}

// A page that is on its way while the log grows does not load anew for chains of
// which nothing changed; it does when one of their cards shows another incident.
func TestLogAloneChangesNoChain(t *testing.T) {
	h := newHouse(t)
	h.chains.set(ChainSetting{ID: "eth", Name: "Ethereum", Family: "evm", Nodes: []string{"n1"}})
	ana := h.ana()
	board := ana.watch(projection.TopicBoard)
	declared := func(title string, chains ...string) {
		h.declare(incident.Declare{Title: title, Chains: chains})
		board.until(func(f frame) bool { return strings.Contains(f.HTML, title) })
	}
	declared("Mail is slow")
	declared("Mail is down") // seen: chains have been looked at after the first
	topic := h.chainTopic()
	path := "/live?topic=chains&from=" + h.instance + "&since=" + fmt.Sprint(topic.Since)
	declared("Payroll is slow")
	declared("Payroll is down")
	for _, f := range ana.live(path).rest() {
		if f.Type == "resync" {
			t.Errorf("%+v", f)
		}
	}
	other := newHouse(t)
	topic = other.chainTopic()
	board = other.ana().watch(projection.TopicBoard)
	h, ana = other, other.ana()
	declared("Reorg", "eth")
	declared("And mail")
	ana.live("/live?topic=chains&from=" + h.instance + "&since=" + fmt.Sprint(topic.Since)).until(func(f frame) bool { return f.Type == "resync" })
}
