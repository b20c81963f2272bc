package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

// inbox is where somebody's own webhook leads: what they would read on the phone.
type inbox struct {
	t    testing.TB
	srv  *httptest.Server
	down atomic.Bool // answers 503

	mu  sync.Mutex
	got []delivery
}

// delivery is one message that arrived.
type delivery struct {
	At       time.Time `json:"-"`
	Delivery string    `json:"-"` // the same when it is sent again
	ID       string    `json:"id"`
	Person   string    `json:"person"`
	Kind     string    `json:"kind"`
	Incident int64     `json:"incident"`
	Severity string    `json:"severity"`
	Title    string    `json:"title"`
	Sentence string    `json:"sentence"`
	URL      string    `json:"url"`
	AckURL   string    `json:"ack_url"`
	Drill    bool      `json:"drill"`
}

func newInbox(t testing.TB) *inbox {
	t.Helper()
	b := &inbox{t: t}
	b.srv = httptest.NewServer(http.HandlerFunc(b.take))
	t.Cleanup(b.srv.Close)
	return b
}

func (b *inbox) take(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ID       string     `json:"id"`
		Messages []delivery `json:"messages"`
	}
	if b.down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.ID == "" || r.Header.Get("X-Tocsin-Signature") == "" || r.Header.Get("X-Tocsin-Delivery") != in.ID {
		b.t.Errorf("a webhook of another form: %v, %+v, %v", err, in, r.Header)
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range in.Messages {
		m.At, m.Delivery = now, in.ID
		b.got = append(b.got, m)
	}
}

// all are the letters that are pages.
func (b *inbox) pages() (out []delivery) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.got {
		if l.Kind == "page" {
			out = append(out, l)
		}
	}
	return out
}

// about waits for the page about an incident.
func (b *inbox) about(n int64) (l delivery) {
	b.t.Helper()
	until(b.t, fmt.Sprintf("a page about incident %d arrives", n), patience, func() (bool, string) {
		pages := b.pages()
		i := slices.IndexFunc(pages, func(l delivery) bool { return l.Incident == n })
		if i >= 0 {
			l = pages[i]
		}
		return i >= 0, fmt.Sprintf("%+v", pages)
	})
	return l
}

var codeText = regexp.MustCompile(`Your code is ([0-9]{6})`)

// reads makes an inbox a route of this person, confirmed by the code that comes to it.
func (v *visitor) reads(b *inbox) {
	v.t.Helper()
	if code, page := v.post("/me/notifications", url.Values{"kind": {"webhook"}, "label": {"phone"}, "address": {b.srv.URL + "/hook"}}); code != 200 {
		v.t.Fatalf("add a route: %d %s", code, page)
	}
	var out struct {
		Routes []struct {
			ID       string
			Verified bool
		}
	}
	_, body := v.get("/api/v1/me/routes")
	must(v.t, json.Unmarshal([]byte(body), &out))
	id := ""
	for _, r := range out.Routes {
		if !r.Verified {
			id = r.ID
		}
	}
	if id == "" {
		v.t.Fatalf("no route was added: %s", body)
	}
	v.post("/me/notifications/"+id+"/test", url.Values{})
	text := ""
	until(v.t, "the code arrives", patience, func() (bool, string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, l := range b.got {
			if m := codeText.FindStringSubmatch(l.Title); m != nil && l.Person == v.handle {
				text = m[1]
			}
		}
		return text != "", fmt.Sprint(b.got)
	})
	if code, page := v.post("/me/notifications/"+id+"/confirm", url.Values{"code": {text}}); code != 200 || !strings.Contains(page, "Confirmed") {
		v.t.Fatalf("confirm a route: %d %s", code, cut(page, "problem", 500))
	}
}

var joinAddress = regexp.MustCompile(`https?://[^\s"<]+(/join/[^\s"<]+)`)

// invites somebody, who comes in at once.
func (v *visitor) invites(handle, name, role string) *visitor {
	v.t.Helper()
	code, page := v.post("/people/invite", url.Values{"handle": {handle}, "name": {name}, "role": {role}})
	m := joinAddress.FindStringSubmatch(page)
	if m == nil {
		v.t.Fatalf("no invitation: %d %s", code, page)
	}
	jar, _ := cookiejar.New(nil)
	w := &visitor{t: v.t, base: v.base, handle: handle, client: &http.Client{Jar: jar}}
	if code, page := w.post(m[1], url.Values{"name": {name}}); code != 200 {
		v.t.Fatalf("join: %d %s", code, page)
	}
	return w
}

// oncall changes the settings of on-call and returns the id of what was made under that name, if anything was.
func (s *tocsin) oncall(command string, args map[string]any, name string) string {
	s.t.Helper()
	var answer json.RawMessage
	s.api("POST", "/api/v1/oncall/commands", map[string]any{"id": uuid.NewString(), "command": command, "args": args}, &answer)
	if name == "" {
		return ""
	}
	type named struct{ ID, Name string }
	var all struct{ Teams, Schedules, Policies []named }
	s.api("GET", "/api/v1/oncall", nil, &all)
	for _, x := range slices.Concat(all.Teams, all.Schedules, all.Policies) {
		if x.Name == name {
			return x.ID
		}
	}
	s.t.Fatalf("%s made no %s: %s", command, name, answer)
	return ""
}

func person(handle string) map[string]any { return map[string]any{"kind": "person", "name": handle} }

// policy makes one whose steps page these people, one after the other.
func (s *tocsin) policy(name string, wait time.Duration, people ...string) string {
	s.t.Helper()
	var steps []map[string]any
	for _, p := range people {
		steps = append(steps, map[string]any{"targets": []any{person(p)}, "wait": wait.Milliseconds()})
	}
	return s.oncall("create_policy", map[string]any{"policy": map[string]any{"name": name, "steps": steps}}, name)
}

func (s *tocsin) post(t testing.TB, path string, v any) {
	t.Helper()
	if code, b := s.asNobody("POST", path, mustJSON(t, v)); code != 202 {
		t.Fatalf("an alert was answered %d %s", code, b)
	}
}

// tells waits until an incident's stream holds an event of the type that fits.
func (s *tocsin) tells(n int64, typ string, fits func(data string) bool) (e event) {
	s.t.Helper()
	until(s.t, fmt.Sprintf("incident %d tells %s", n, typ), patience, func() (bool, string) {
		seen := ""
		for _, e = range s.events() {
			if e.Stream == fmt.Sprintf("incident/%d", n) && e.Type == typ {
				if fits(string(e.Data)) {
					return true, ""
				}
				seen = string(e.Data)
			}
		}
		return false, seen
	})
	return e
}

// TestPagedAndAcknowledged: an alert comes in; who is on call is paged over the second route, as the first one is dead; a scanner that follows the link
// changes nothing; two taps without a session take it; the timeline tells all of it.
func TestPagedAndAcknowledged(t *testing.T) {
	s := start(t, "organisation: Example Exchange\n")
	ana := s.enter("ana", "Ana Ruiz")
	bo := ana.invites("bo", "Bo Chen", "administrator")
	dead, phone, other := newInbox(t), newInbox(t), newInbox(t)
	ana.reads(dead)
	ana.reads(phone)
	bo.reads(other)
	dead.srv.Close()
	team := s.oncall("create_team", map[string]any{"name": "Front", "tier": 1, "members": []string{"ana"}, "policy": s.policy("Front line", 10*time.Minute, "ana", "bo")}, "Front")
	_, path, _ := s.source("Alertmanager", "alertmanager")
	s.post(t, path, webhook("g", "firing", alert("BridgeDrains", "f1", map[string]any{"component": "Bridge"})))
	l := phone.about(1)
	if l.Person != "ana" || l.Severity == "" || !strings.Contains(l.Title, "BridgeDrains") || l.Sentence == "" || l.Drill || !strings.HasSuffix(l.URL, "/incidents/1/page") || !strings.Contains(l.AckURL, "/page/") {
		t.Errorf("%+v", l)
	}
	s.tells(1, "incident.routed", func(d string) bool { return strings.Contains(d, team) && strings.Contains(d, "Front") })
	s.tells(1, "incident.pages_receipted", func(d string) bool { return strings.Contains(d, `"failed"`) })
	s.tells(1, "incident.pages_receipted", func(d string) bool { return strings.Contains(d, `"sent"`) && strings.Contains(d, "phone") })

	// Scanners of mail and previews of chats open links.
	address, err := url.Parse(l.AckURL)
	must(t, err)
	for range 3 {
		code, page := s.asNobody("GET", address.Path, nil)
		if code != 200 || !strings.Contains(string(page), "I have it") || !strings.Contains(string(page), "Not me") || !strings.Contains(string(page), "BridgeDrains") {
			t.Fatalf("%d %s", code, page)
		}
		s.asNobody("HEAD", address.Path, nil)
	}
	for _, e := range s.events() {
		if e.Type == "incident.acknowledged" || e.Type == "incident.page_declined" {
			t.Fatalf("looking answered the page: %+v", e)
		}
	}
	if code, page := s.asNobody("GET", address.Path[:len(address.Path)-1]+"A", nil); code != 404 || strings.Contains(string(page), "BridgeDrains") {
		t.Errorf("a link that is not one: %d", code)
	}
	if code, _ := s.asNobody("POST", "/incidents/1/page/acknowledge", []byte("x=y")); code == 200 || code == 303 {
		t.Errorf("somebody without a session and without the link acknowledged: %d", code)
	}
	phoneOf := &http.Client{} // follows the redirect, has no cookies
	r, err := phoneOf.PostForm(s.url+address.Path+"/acknowledge", url.Values{})
	must(t, err)
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	must(t, err)
	page := string(raw)
	if r.StatusCode != 200 || !strings.Contains(page, "You have it") {
		t.Errorf("%d %s", r.StatusCode, page)
	}
	s.tells(1, "incident.acknowledged", func(d string) bool { return strings.Contains(d, `"ana"`) })
	if got := s.incident(1).Roles["commander"]; !slices.Equal(got, []string{"ana"}) {
		t.Errorf("the commander is %v", got)
	}
	// The same taps once more change nothing, and who comes later reads who has it.
	events := len(s.events())
	r2, err := phoneOf.PostForm(s.url+address.Path+"/acknowledge", url.Values{})
	must(t, err)
	r2.Body.Close()
	if now := s.events(); len(now) != events {
		t.Errorf("acknowledging again: %+v", now[events:])
	}
	if code, page := bo.get("/incidents/1/page"); code != 200 || !strings.Contains(page, "Ana Ruiz has it") {
		t.Errorf("%d %s", code, page)
	}
	if got := other.pages(); len(got) != 0 {
		t.Errorf("bo was paged: %+v", got)
	}
	// Ana leaves: her links are dead at once.
	if code, page := bo.post("/people/ana/disable", url.Values{}); code != 200 {
		t.Fatalf("%d %s", code, page)
	}
	if code, page := s.asNobody("GET", address.Path, nil); code != 404 || strings.Contains(string(page), "BridgeDrains") {
		t.Errorf("the link of somebody who was removed: %d %s", code, page)
	}
	s.mustVerify(s.dir)
}

// TestPageLatency says how long it takes from the alert's POST to the webhook of the one who is paged. Twelve people have components of their own; what one person
// gets within five seconds is bundled, so the alerts of one person come further apart than that, and no more of them than go out unbraked.
func TestPageLatency(t *testing.T) {
	s := start(t, "")
	ana := s.enter("ana", "Ana Ruiz")
	const people, rounds = 12, 4
	phones := newInbox(t)
	team := s.oncall("create_team", map[string]any{"name": "Front", "tier": 1, "members": []string{"ana"}}, "Front")
	component := func(i, round int) string { return fmt.Sprintf("c%d-%d", i, round) }
	for i := range people {
		handle := fmt.Sprintf("p%d", i)
		ana.invites(handle, fmt.Sprintf("Person %d", i), "administrator").reads(phones)
		var list []string
		for r := range rounds {
			list = append(list, component(i, r))
		}
		s.oncall("add_rule", map[string]any{"rule": map[string]any{"components": list, "team": team, "policy": s.policy("Policy "+handle, 10*time.Minute, handle)}}, "")
	}
	_, path, _ := s.source("Alertmanager", "alertmanager")
	sent := map[string]time.Time{} // by the name of the alert
	for r := range rounds {
		time.Sleep(5200 * time.Millisecond) // what came before is not bundled with this
		for i := range people {
			name := fmt.Sprintf("Alert%dOf%d", r, i)
			sent[name] = time.Now()
			s.post(t, path, webhook(name, "firing", alert(name, name, map[string]any{"component": component(i, r)})))
		}
		until(t, fmt.Sprintf("all of round %d are paged", r), patience, func() (bool, string) {
			got := map[string]bool{} // a delivery whose answer came too late comes twice
			for _, l := range phones.pages() {
				got[l.ID] = true
			}
			return len(got) == (r+1)*people, fmt.Sprint(len(got))
		})
	}
	var took []time.Duration
	seen := map[string]bool{}
	for _, l := range phones.pages() {
		for name, at := range sent {
			if strings.Contains(l.Title, name) && !seen[name] {
				seen[name] = true
				took = append(took, l.At.Sub(at))
			}
		}
	}
	if len(took) != people*rounds {
		t.Fatalf("%d of %d alerts were paged", len(took), people*rounds)
	}
	slices.Sort(took)
	t.Logf("alert POST to the person's webhook, %d alerts: p50 %s, p90 %s, p99 %s, worst %s", len(took), took[len(took)/2].Round(time.Millisecond), took[len(took)*9/10].Round(time.Millisecond),
		took[len(took)*99/100].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
}

// TestPagesAmongReplicas: the replica that sees to the pages is killed in the middle of an escalation; another one goes on at its time, and each page
// comes once.
func TestPagesAmongReplicas(t *testing.T) {
	c := startCluster(t, nil, "")
	ana := c.link().enter("ana", "Ana Ruiz")
	phone := newInbox(t)
	ana.reads(phone)
	bo := ana.invites("bo", "Bo Chen", "administrator")
	other := newInbox(t)
	bo.reads(other)
	s := c.replicas[0]
	s.oncall("create_team", map[string]any{"name": "Front", "tier": 1, "members": []string{"ana", "bo"}, "policy": s.policy("Front line", 15*time.Second, "ana", "bo")}, "Front")
	leads := func() int {
		found := -1
		until(t, "one replica sees to the pages", patience, func() (bool, string) {
			n := 0
			for i, s := range c.replicas {
				code, b, err := s.try("GET", "/metrics", http.Header{"Authorization": {"Bearer " + s.token}}, nil)
				if err == nil && code == 200 && strings.Contains(string(b), "\ntocsin_pager_leads 1\n") {
					found = i
					n++
				}
			}
			return n == 1, fmt.Sprint(n)
		})
		return found
	}
	first := leads()
	n := c.replicas[(first+1)%3].declare("Withdrawals stand still", "SEV1", nil)
	if l := phone.about(n); l.Person != "ana" {
		t.Errorf("%+v", l)
	}
	c.replicas[first].kill()
	died := time.Now()
	if l := other.about(n); l.Person != "bo" {
		t.Errorf("%+v", l)
	}
	second := leads()
	t.Logf("replica %d was killed, replica %d went on; bo was paged %s after the kill, %s after ana", first, second, time.Since(died).Round(time.Millisecond), other.about(n).At.Sub(phone.about(n).At).Round(time.Millisecond))
	address, err := url.Parse(other.about(n).AckURL)
	must(t, err)
	r, err := http.PostForm(c.replicas[second].url+address.Path+"/acknowledge", url.Values{})
	must(t, err)
	page, err := io.ReadAll(r.Body)
	must(t, err)
	r.Body.Close()
	if r.StatusCode != 200 || !strings.Contains(string(page), "You have it") {
		t.Errorf("%d %s", r.StatusCode, page)
	}
	c.replicas[first].up()
	c.replicas[second].tells(n, "incident.pages_receipted", func(d string) bool { return strings.Contains(d, `"bo"`) && strings.Contains(d, `"sent"`) })
	pages := map[string]string{} // and under which delivery
	for _, b := range []*inbox{phone, other} {
		for _, l := range b.pages() {
			if was := pages[l.ID]; was != "" && was != l.Delivery {
				t.Errorf("page %s came as %s and as %s", l.ID, was, l.Delivery)
			}
			pages[l.ID] = l.Delivery
		}
	}
	if len(pages) != 2 {
		t.Errorf("%v", pages)
	}
	c.agree()
}

// TestAcknowledgedSignedIn: who has a session takes it with one tap from the page of the incident, in a real browser.
func TestAcknowledgedSignedIn(t *testing.T) {
	s := start(t, "")
	ana := s.enter("ana", "Ana Ruiz")
	ana.invites("bo", "Bo Chen", "responder")
	n := s.declare("The bridge drains", "SEV1", nil)
	code, page := ana.post("/people/bo/link", url.Values{})
	again := joinAddress.FindStringSubmatch(page)
	if again == nil {
		t.Fatalf("no link for bo: %d %s", code, cut(page, "secret", 500))
	}
	bo := desk(t, "phone", ana.base, 390, 844)
	bo.open(again[1])
	bo.click(`.form button[type="submit"]`)
	bo.sees("is in", `document.body.dataset.handle === "bo" && document.readyState === "complete"`, patience)
	bo.open(fmt.Sprintf("/incidents/%d/page", n))
	bo.click(`.thumb form[action$="/acknowledge"] button`)
	bo.shows("You have it")
	s.tells(n, "incident.acknowledged", func(d string) bool { return strings.Contains(d, `"bo"`) })
}
