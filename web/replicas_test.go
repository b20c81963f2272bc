package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/hub"
	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/intake"
)

// at sends the same visitor's requests to another replica.
func (v *visitor) at(b *house) *visitor {
	w := *v
	w.h = b
	return &w
}

// A page of one replica goes on at another without a gap, a repeat or a resync,
// and never sees what is older than it is.
func TestPageMovesBetweenReplicas(t *testing.T) {
	a := newHouse(t)
	b := a.another()
	n := a.declare(incident.Declare{Title: "Bridge"})
	topic := "incident/" + itoa(n)
	b.reaches(a.Log.Size() - 1)
	keeper := b.ana().watch(topic) // somebody is at b already, so that b keeps frames
	ana := a.ana()
	here := ana.watch(topic)
	first := a.cmd(n, incident.AddNote{Text: "first, seen at a"}).Position
	here.until(func(f frame) bool { return strings.Contains(f.HTML, "first, seen at a") })
	here.ws.Close()
	a.cmd(n, incident.AddNote{Text: "second, while on the way"})
	there := ana.at(b).live(fmt.Sprintf("/live?topic=%s&since=%d", topic, first))
	a.cmd(n, incident.AddNote{Text: "third, seen at b"})
	text := ""
	for _, f := range there.until(func(f frame) bool { return strings.Contains(f.HTML, "third, seen at b") }) {
		if f.Type == "resync" || f.Key != "" && f.Place == "end" && f.Seq <= first {
			t.Errorf("%+v", f)
		}
		text += f.HTML
	}
	// A replica that took several events at once draws their entries at the position of the last: the first may come again, under its own key.
	if !strings.Contains(text, "second, while on the way") {
		t.Errorf("not what was missed: %s", head(text))
	}
	keeper.until(func(f frame) bool { return strings.Contains(f.HTML, "third, seen at b") })
}

// laggard is a replica that folds what it is let.
func TestReplicaThatIsBehindIsNotLive(t *testing.T) {
	a := newHouse(t)
	n := a.declare(incident.Declare{Title: "Bridge"})
	m := a.Log.Size() - 1
	b := a.another()
	b.reaches(m)
	ana := a.ana().at(b)

	// A position that comes while the page waits is waited for.
	opened := make(chan *socket)
	go func() { opened <- ana.live(fmt.Sprintf("/live?topic=board&since=%d", m+1)) }()
	a.cmd(n, incident.AddNote{Text: "one more"})
	s := <-opened
	if b.World.Position() < m+1 {
		t.Error("the page is live and the replica behind it")
	}
	for _, f := range s.rest() {
		if f.Type == "resync" {
			t.Errorf("%+v", f)
		}
	}
	// One that no log has is not waited for for ever, and the page loads anew.
	began := time.Now()
	s = ana.live("/live?topic=board&since=1000000")
	s.until(func(f frame) bool { return f.Type == "resync" })
	if took := time.Since(began); took < catchUp {
		t.Errorf("gave up after %v", took)
	}
}

// While nothing can be written, nothing is waited for: the page says READ-ONLY.
func TestReadOnlyReplicaIsNotWaitedFor(t *testing.T) {
	h, held, _ := heldHouse(t)
	held.Store(true)
	var s *socket
	withoutWaiting(t, func() {
		s = h.ana().live("/live?topic=board&since=1000000")
		h.ana().get("/?since=1000000").want(200)
	})
	for _, f := range s.rest() {
		if f.Type == "resync" {
			t.Error("loaded anew what is newer than anything here")
		}
	}
}

// Topic chains counts by each replica's own clock. Wherever that stands, a page
// that moves is given what changed since it was last whole, or told to load anew;
// it never waits for a clock to catch up with another.
func TestChainsBetweenReplicasWithOtherClocks(t *testing.T) {
	for name, late := range map[string]int64{"an hour behind": -3_600_000, "as a": 0, "an hour ahead": 3_600_000} {
		t.Run(name, func(t *testing.T) {
			a := newHouse(t)
			b := a.another()
			b.late.Store(late)
			view := chain.View{Chain: "eth", Family: chain.EVM, Network: "Ethereum", Height: 100, Status: "ok"}
			change := func(h *house, height int64) {
				view.Height = height
				h.telemetry.set(view)
				h.ChainChanged("eth")
			}
			height := func(n int64) func(frame) bool {
				return func(f frame) bool { return f.Key == "chain-eth" && strings.Contains(f.HTML, fmt.Sprint(n)) }
			}
			keeper := b.ana().live("/live?topic=chains&since=" + fmt.Sprint(b.chainTopic().Since) + "&from=" + b.instance)
			keeper.rest() // what changed on its way told it to load anew, and that would cover what comes with it
			before := time.Now()
			change(b, 7001)
			keeper.until(height(7001))

			// The page was at a and whole half a second before 7001.
			topic := a.chainTopic()
			s := a.ana().at(b).live(fmt.Sprintf("/live?topic=chains&since=%d&from=%s&ago=%d", topic.Since, topic.From, time.Since(before).Milliseconds()+500))
			s.until(func(f frame) bool { return height(7001)(f) || f.Type == "resync" })
			change(b, 7002)
			got := s.until(height(7002))
			if f := got[len(got)-1]; f.From != b.instance {
				t.Errorf("counted by %q", f.From)
			}
			// Back where it counts itself, what it holds is not sent again.
			own := got[len(got)-1].Seq
			same := a.ana().at(b).live(fmt.Sprintf("/live?topic=chains&since=%d&from=%s&ago=500", own, b.instance))
			for _, f := range same.rest() {
				if f.Key == "chain-eth" || f.Type == "resync" {
					t.Errorf("%+v", f)
				}
			}
			// Away for long, or saying nothing: anew.
			for _, q := range []string{"&ago=3600000", "", "&ago=-5", "&ago=x"} {
				s := a.ana().at(b).live(fmt.Sprintf("/live?topic=chains&since=%d&from=%s%s", topic.Since, topic.From, q))
				s.until(func(f frame) bool { return height(7002)(f) || f.Type == "resync" })
			}
		})
	}
}

// A chain that changes while its card is drawn and a page comes is shown to that page.
func TestChainChangesWhileAPageComes(t *testing.T) {
	asked, base, drawing, draw := make(chan bool), make(chan bool), make(chan bool), make(chan bool)
	var b *house
	b = newHouse(t).another(func(o *Options) {
		o.Hub = hub.New(hub.Options{Build: "test", Beat: 250 * time.Millisecond, Base: func(topic string) int64 {
			if topic == topicChains {
				asked <- true
				<-base
			}
			return b.BaseOf(topic)
		}})
	})
	opened := make(chan *socket)
	go func() {
		opened <- b.ana().live("/live?topic=chains&since=" + fmt.Sprint(b.chainTopic().Since) + "&from=" + b.instance)
	}()
	<-asked // the topic is there, and what it begins with is not known yet
	var once sync.Once
	b.telemetry.onLook(func() { once.Do(func() { drawing <- true; <-draw }) })
	b.ChainChanged("")
	<-drawing // for that topic
	close(base)
	page := <-opened
	page.rest() // it was on its way when chains changed, and is told to load anew
	b.telemetry.set(chain.View{Chain: "eth", Family: chain.EVM, Network: "Ethereum", Height: 7001, Status: "ok"})
	b.ChainChanged("eth")
	close(draw)
	page.until(func(f frame) bool { return f.Key == "chain-eth" && strings.Contains(f.HTML, "7001") })
}

// Who wrote at one replica reads it at another.
func TestReadYourWritesElsewhere(t *testing.T) {
	a := newHouse(t)
	b := a.another()
	robot, _ := a.token(auth.RoleResponder, "")
	for i := range 5 {
		title := fmt.Sprintf("Bridge %d drained", i)
		answer := robot.json("POST", "/api/v1/incidents", map[string]any{"title": title, "severity": "SEV3"}).want(201)
		position := answer.header.Get(headerPosition)
		if position == "" {
			t.Fatal("no position in the answer")
		}
		there := robot.at(b)
		there.header = http.Header{headerPosition: {position}}
		list := there.get("/api/v1/incidents").want(200).has(title)
		if got := list.header.Get(headerPosition); len(got) < len(position) || len(got) == len(position) && got < position {
			t.Errorf("answered with %s, asked for %s", got, position)
		}
		there.header = http.Header{}

		loc := a.ana().post("/incidents", "title", "By form: "+title, "severity", "SEV3").want(303).header.Get("Location")
		b.ana().get(loc).want(200).has("By form: " + title)
	}
	// So does who delivered an alert, whatever the sender's protocol has for an answer.
	for kind, alert := range map[string]map[string]any{
		intake.Generic:     {"key": "k", "title": "Delivered elsewhere", "state": "firing"},
		intake.CloudEvents: {"specversion": "1.0", "id": "1", "source": "s", "type": "outflow.firing", "subject": "nomad", "data": map[string]any{"title": "Delivered as an event"}},
	} {
		src, key, err := a.Sources.Create(t.Context(), a.admin.String(), intake.Order{Name: kind, Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		body, _ := json.Marshal(alert)
		answer := a.nobody().do("POST", "/api/v1/intake/"+kind+"/"+key, map[string]string{intake.Generic: "application/json", intake.CloudEvents: "application/cloudevents+json"}[kind], bytes.NewReader(body)).want(202)
		position := answer.header.Get(headerPosition)
		if position == "" {
			t.Fatal("no position in the answer to " + kind)
		}
		there := robot.at(b)
		there.header = http.Header{headerPosition: {position}}
		there.get("/api/v1/signals").want(200).has(`"source":"` + src.ID)
	}
	// Nonsense is passed over at once; a position that never comes is waited for a moment.
	robot.header.Set(headerPosition, "next week")
	robot.get("/api/v1/incidents").want(200)
	// Strangers wait for nothing.
	v := a.nobody()
	v.header.Set(headerPosition, "1000000")
	withoutWaiting(t, func() {
		v.get("/api/v1/incidents?since=1000000").want(401)
		v.get("/status?since=1000000").want(200)
	})
}

// withoutWaiting fails when what asks is made to wait. A wait lasts catchUp each time; a busy machine may take as long now and then, so one time without is
// enough.
func withoutWaiting(t *testing.T, asks func()) {
	t.Helper()
	for tries := 1; ; tries++ {
		began := time.Now()
		asks()
		if took := time.Since(began); took < catchUp {
			return
		} else if tries == 10 {
			t.Fatalf("waited %v, as %d times before", took, tries-1)
		}
	}
}

// What ends a credential at one replica ends its sockets and streams at all.
func TestRevocationReachesOtherReplicas(t *testing.T) {
	a := newHouse(t)
	b := a.another()
	n := a.declare(incident.Declare{Title: "Bridge"})
	b.reaches(a.Log.Size() - 1)
	topic := "incident/" + itoa(n)
	rita, bo := a.member("rita", auth.RoleResponder, ""), a.member("bo", auth.RoleResponder, "")
	robot, id := a.token(auth.RoleResponder, "")
	b.reaches(a.Log.Size() - 1)
	gone, changed, machine, stays := rita.at(b).live("/live?topic="+topic), bo.at(b).live("/live?topic="+topic), robot.at(b).live("/live?topic="+topic), b.ana().live("/live?topic="+topic)

	ana := a.ana()
	ana.post("/people/rita/disable").want(303)
	gone.ended(4401)
	ana.post("/people/bo/role", "role", "stakeholder", "audience", "clients").want(303)
	changed.ended(4401)
	ana.post("/tokens/" + id + "/revoke").want(303)
	machine.ended(4401)

	for _, v := range []*visitor{rita, bo, robot} { // and nobody gets in again
		if s, res := v.at(b).dial("/live?topic=" + topic); s != nil {
			t.Errorf("%s watches the room again", v.name)
		} else if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Error(err)
		}
	}
	a.cmd(n, incident.AddNote{Text: "among us"})
	stays.until(func(f frame) bool { return strings.Contains(f.HTML, "among us") })
}
