package web

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ops/tocsin/internal/attention"
	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/store/mem"
)

const attentionPath = "/api/v1/me/attention"

func (v *visitor) attention() (st attention.State) {
	v.h.t.Helper()
	v.get(attentionPath).want(200).into(&st)
	return st
}

// What is open is said to whoever may see the wall, a page only to whom it is for.
func TestAttention(t *testing.T) {
	h := newHouse(t)
	bo, ana, sam := h.member("bo", auth.RoleResponder, ""), h.ana(), h.member("sam", auth.RoleStakeholder, "clients")
	wall, _ := h.wall()
	robot, _ := h.token(auth.RoleAdministrator, "")
	if st := bo.attention(); st.Open != 0 || st.Worst != "" || st.Incidents == nil || st.Pages == nil || st.Handle != "bo" || st.Site != "Exchange" || st.At == 0 {
		t.Errorf("nothing is open: %+v", st)
	}
	drilled := h.meta()
	drilled.Drill = true
	if _, err := h.Rooms.Declare(t.Context(), incident.Declare{Title: "Only a drill", Severity: "SEV1"}, drilled); err != nil {
		t.Fatal(err)
	}
	slow := h.declare(incident.Declare{Title: "Withdrawals are slow", Severity: "SEV3"})
	drain := h.declare(incident.Declare{Title: "Bridge drains", Severity: "SEV2"})
	h.cmd(drain, incident.PageByHand{Person: "bo"})
	h.cmd(slow, incident.PageByHand{Person: "ana"})

	st := bo.attention()
	if st.Open != 3 || st.Worst != "SEV2" || len(st.Incidents) != 3 || st.Incidents[0] != (attention.Incident{Number: drain, Title: "Bridge drains", Severity: "SEV2", Status: "declared"}) || !st.Incidents[2].Drill || st.Position != h.Log.Size()-1 {
		t.Errorf("%+v", st)
	}
	if len(st.Pages) != 1 || st.Pages[0].Incident != drain || st.Pages[0].Title != "Bridge drains" || st.Pages[0].Severity != "SEV2" || st.Pages[0].Reason == "" || st.Pages[0].PagedAt == 0 || !strings.HasSuffix(st.Pages[0].ID, "bo") {
		t.Errorf("pages of bo: %+v", st.Pages)
	}
	if st := ana.attention(); len(st.Pages) != 1 || st.Pages[0].Incident != slow {
		t.Errorf("pages of ana: %+v", st.Pages)
	}
	for _, v := range []*visitor{wall, robot} {
		if st := v.attention(); st.Handle != "" || len(st.Pages) != 0 || st.Open != 3 {
			t.Errorf("%s: %+v", v.name, st)
		}
	}
	for _, follow := range []string{"", "?follow=true"} {
		sam.get(attentionPath + follow).want(403).problem("forbidden")
		h.nobody().get(attentionPath + follow).want(401)
	}

	// Answered, over, gone.
	bo.json("POST", fmt.Sprintf("/incidents/%d/page/acknowledge", drain), map[string]any{}).want(200, 303) // as the desktop does
	h.settle()
	if st := bo.attention(); len(st.Pages) != 0 || st.Open != 3 {
		t.Errorf("it was acknowledged: %+v", st)
	}
	h.cmd(slow, incident.Resolve{Validation: "they are fast again"})
	if st := ana.attention(); len(st.Pages) != 0 || st.Open != 2 {
		t.Errorf("it is resolved: %+v", st)
	}
	describedAPI(t, h).answers("GET "+attentionPath, ana.get(attentionPath).want(200))
}

// That a page stands on somebody's screen is said by their own session only, of their own pages only, and once.
func TestAttentionShown(t *testing.T) {
	h := newHouse(t)
	bo, ana, sam := h.member("bo", auth.RoleResponder, ""), h.ana(), h.member("sam", auth.RoleStakeholder, "clients")
	wall, _ := h.wall()
	robot, _ := h.token(auth.RoleAdministrator, "")
	n := h.declare(incident.Declare{Title: "Bridge drains", Severity: "SEV1"})
	h.cmd(n, incident.PageByHand{Person: "bo"})
	page := bo.attention().Pages[0].ID
	const path = attentionPath + "/shown"
	body := map[string]any{"pages": []string{page, "page-of-nobody"}}
	for _, v := range []*visitor{wall, sam} {
		v.json("POST", path, body).want(403)
	}
	h.nobody().json("POST", path, body).want(401)
	told := func(v *visitor) (out struct{ Told int }) {
		v.json("POST", path, body).want(200).into(&out)
		return out
	}
	for _, v := range []*visitor{ana, robot} {
		if got := told(v); got.Told != 0 {
			t.Errorf("%s told of bo's page", v.name)
		}
	}
	for range 2 {
		want := 0
		if h.Pager != nil {
			want = 1
		}
		if got := told(bo); got.Told != want {
			t.Errorf("told of %d pages, want %d", got.Told, want)
		}
	}
	many := make([]string, attention.MostPages+1)
	bo.json("POST", path, map[string]any{"pages": many}).want(400, 422).problem("too_many")
	describedAPI(t, h).answers("POST "+path, bo.json("POST", path, body).want(200))
}

// More than anybody reads is counted, and the worst are listed.
func TestAttentionOfMany(t *testing.T) {
	h := newHouse(t)
	for i := range attention.MostIncidents + 5 {
		if _, err := h.Rooms.Declare(t.Context(), incident.Declare{Title: fmt.Sprint("n", i), Severity: "SEV4"}, h.meta()); err != nil {
			t.Fatal(err)
		}
	}
	worst := h.declare(incident.Declare{Title: "worst", Severity: "SEV1"})
	if st := h.ana().attention(); st.Open != attention.MostIncidents+6 || len(st.Incidents) != attention.MostIncidents || st.Incidents[0].Number != worst || st.Worst != "SEV1" {
		t.Errorf("%d open, %d listed, first %+v", st.Open, len(st.Incidents), st.Incidents[0])
	}
}

// follower reads what follows.
type follower struct {
	t     *testing.T
	lines chan attention.State
	res   *http.Response
}

func (v *visitor) follow(t *testing.T) *follower {
	t.Helper()
	r, err := http.NewRequest("GET", v.h.srv.URL+attentionPath+"?follow=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	if v.cookie != "" {
		r.AddCookie(&http.Cookie{Name: cookieSession, Value: v.cookie})
	}
	if v.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+v.bearer)
	}
	res, err := v.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{t: t, lines: make(chan attention.State), res: res}
	if res.StatusCode != 200 {
		res.Body.Close()
		return f
	}
	if ct := res.Header.Get("Content-Type"); ct != "application/x-ndjson" {
		t.Errorf("it is %s", ct)
	}
	var read sync.WaitGroup
	read.Go(func() {
		defer close(f.lines)
		s := bufio.NewScanner(res.Body)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			var st attention.State
			if err := json.Unmarshal(s.Bytes(), &st); err != nil {
				t.Error(err)
			}
			select {
			case f.lines <- st:
			case <-t.Context().Done():
				return
			}
		}
	})
	t.Cleanup(func() { res.Body.Close(); read.Wait() })
	return f
}

// until reads on until a state is as wanted; ended is what comes after the last one.
func (f *follower) until(what string, is func(attention.State) bool) (ended bool) {
	f.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case st, more := <-f.lines:
			if !more {
				return true
			}
			if is != nil && is(st) {
				return false
			}
		case <-limit:
			f.t.Fatalf("it never said: %s", what)
		}
	}
}

// Who follows hears what changes, on their own account only, and nothing after their right has ended.
func TestAttentionFollows(t *testing.T) {
	h := newHouse(t, func(o *Options) {})
	h.attentionBeat = time.Minute
	bo, ana := h.member("bo", auth.RoleResponder, ""), h.ana()
	f, other := bo.follow(t), ana.follow(t)
	for _, f := range []*follower{f, other} {
		if f.until("nothing is open", func(st attention.State) bool { return st.Open == 0 }) {
			t.Fatal("it ended at once")
		}
	}
	n := h.declare(incident.Declare{Title: "Bridge drains", Severity: "SEV2"})
	h.cmd(n, incident.PageByHand{Person: "bo"})
	if f.until("bo is paged", func(st attention.State) bool { return len(st.Pages) == 1 && st.Open == 1 }) {
		t.Fatal("it ended")
	}
	h.cmd(n, incident.SetSeverity{Severity: "SEV1", Reason: "more"})
	if other.until("the severity", func(st attention.State) bool {
		if len(st.Pages) > 0 {
			t.Errorf("ana hears of bo's page: %+v", st.Pages)
		}
		return st.Worst == "SEV1"
	}) {
		t.Fatal("it ended")
	}
	// The session is ended by somebody else; ana's goes on.
	devices, err := h.Auth.Devices(t.Context(), auth.KindPerson, "bo")
	if err != nil || len(devices) != 1 {
		t.Fatal(devices, err)
	}
	if err := h.Auth.RevokeSession(t.Context(), h.admin, devices[0].ID); err != nil {
		t.Fatal(err)
	}
	if !f.until("the end", nil) {
		t.Error("it goes on without a session")
	}
	h.cmd(n, incident.Resolve{Validation: "it holds"})
	if other.until("it is over", func(st attention.State) bool { return st.Open == 0 }) {
		t.Error("the end of bo's session was the end of ana's")
	}
	// Demoted: the same session may see less.
	rita := h.member("rita", auth.RoleResponder, "")
	f = rita.follow(t)
	f.until("something", func(attention.State) bool { return true })
	if err := h.Auth.ChangeRole(t.Context(), h.admin, "rita", auth.RoleStakeholder, "clients"); err != nil {
		t.Fatal(err)
	}
	if !f.until("the end", nil) {
		t.Error("it goes on for a stakeholder")
	}
	h.EndStreams() // as a shutdown does
	if !other.until("the end", nil) {
		t.Error("it outlives the server")
	}
}

// One person's programs are bounded, and theirs alone.
func TestAttentionFollowersAreBounded(t *testing.T) {
	h := newHouse(t)
	bo := h.member("bo", auth.RoleResponder, "")
	var all []*follower
	for range mostFollowing {
		f := bo.follow(t)
		if f.res.StatusCode != 200 {
			t.Fatalf("refused after %d", len(all))
		}
		f.until("something", func(attention.State) bool { return true })
		all = append(all, f)
	}
	bo.get(attentionPath + "?follow=true").want(429).problem(auth.CodeTooMany)
	bo.get(attentionPath).want(200) // asking once is always answered
	if f := h.ana().follow(t); f.res.StatusCode != 200 {
		t.Errorf("bo's programs cost ana: %d", f.res.StatusCode)
	}
	all[0].res.Body.Close()
	for deadline := time.Now().Add(patience); ; {
		f := bo.follow(t)
		if f.res.StatusCode == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a place that was left is not free again")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// stuck is a connection whose other end reads nothing.
type stuck struct {
	*httptest.ResponseRecorder
	mu   sync.Mutex
	left time.Duration // that it was given for a write
}

func (s *stuck) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = time.Until(t)
	return nil
}

func (s *stuck) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 || s.left > attentionPatience {
		return 0, fmt.Errorf("no write deadline, or a late one: %v", s.left)
	}
	return 0, os.ErrDeadlineExceeded
}

// Whoever takes nothing is cut off, and leaves nothing behind.
func TestAttentionToASlowReader(t *testing.T) {
	h := newHouse(t)
	r := httptest.NewRequest("GET", attentionPath+"?follow=true", nil)
	r.AddCookie(&http.Cookie{Name: cookieSession, Value: h.adminBy})
	w := &stuck{ResponseRecorder: httptest.NewRecorder()}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.ServeHTTP(w, r)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("it holds on to a connection that takes nothing")
	}
	if w.left <= 0 || w.left > attentionPatience {
		t.Errorf("the deadline of a write is %v away", w.left)
	}
	h.heed.counting.Lock()
	defer h.heed.counting.Unlock()
	if len(h.heed.following) != 0 {
		t.Errorf("places are still taken: %v", h.heed.following)
	}
}

// little is a log, its picture and the rooms, in virtual time.
func little(t *testing.T) (s *Server, rooms *room.Rooms, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	log, err := eventlog.Open(ctx, mem.Open(mem.Options{MaxOps: 4096}), eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	world := projection.New(log)
	s = &Server{Options: Options{World: world, Log: log, Site: "Exchange", Clock: func() int64 { return time.Now().UnixMilli() }}, attentionBeat: 10 * time.Second}
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{log.Run, world.Run} {
		wg.Go(func() { _ = run(ctx) })
	}
	return s, room.New(log), func() { cancel(); wg.Wait() }
}

// A burst is one change, silence is a word every ten seconds, and whoever is slow gets the newest and not the backlog.
func TestAttentionPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, rooms, stop := little(t)
		defer stop()
		ctx, cancel := context.WithCancel(t.Context())
		type word struct {
			attention.State
			after time.Duration
		}
		var mu sync.Mutex
		var said []word
		var slow atomic.Int64
		began := time.Now()
		ended := make(chan error, 1)
		go func() {
			ended <- s.followAttention(ctx, "ana", func(st attention.State) error {
				time.Sleep(time.Duration(slow.Load()))
				mu.Lock()
				defer mu.Unlock()
				said = append(said, word{st, time.Since(began)})
				return nil
			})
		}()
		take := func() []word {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			w := said
			said = nil
			return w
		}
		declare := func(n int) {
			for i := range n {
				if _, err := rooms.Declare(ctx, incident.Declare{Title: fmt.Sprint(i), Severity: "SEV3"}, incident.Meta{ID: newID(), At: time.Now().UnixMilli(), Actor: "person:ana"}); err != nil {
					t.Error(err)
				}
			}
		}
		if w := take(); len(w) != 1 || w[0].after != 0 || w[0].Open != 0 {
			t.Fatalf("at first: %+v", w)
		}
		time.Sleep(35 * time.Second)
		if w := take(); len(w) != 3 || w[0].after != 10*time.Second || w[2].after != 30*time.Second || w[2].At != began.Add(30*time.Second).UnixMilli() {
			t.Errorf("in silence: %+v", w)
		}
		before := time.Since(began)
		declare(40)
		time.Sleep(time.Second)
		w := take()
		if len(w) != 1 || w[0].Open != 40 || w[len(w)-1].after > before+2*attentionGap {
			t.Errorf("a burst after %v: %d words, %+v", before, len(w), w)
		}
		for i := 1; i < len(w); i++ {
			if w[i].after-w[i-1].after < attentionGap {
				t.Errorf("words %v apart", w[i].after-w[i-1].after)
			}
		}
		// What follows within a moment, as a page follows its incident, is told with it.
		declare(1)
		time.Sleep(attentionGap / 2)
		if _, err := rooms.Do(ctx, 41, incident.PageByHand{Person: "ana"}, incident.Meta{ID: newID(), At: time.Now().UnixMilli(), Actor: "person:ana"}); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if w := take(); len(w) != 1 || w[0].Open != 41 || len(w[0].Pages) != 1 {
			t.Errorf("an incident and its page: %+v", w)
		}
		// An event that changes nothing of it is no word.
		if _, err := rooms.Do(ctx, 1, incident.AddNote{Text: "hello"}, incident.Meta{ID: newID(), At: time.Now().UnixMilli(), Actor: "person:ana"}); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if w := take(); len(w) != 0 {
			t.Errorf("a note is news: %+v", w)
		}
		// Somebody takes three seconds for each word, while much happens.
		slow.Store(int64(3 * time.Second))
		for range 60 {
			declare(1)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(7 * time.Second)
		w = take()
		if len(w) > 4 || w[len(w)-1].Open != 101 {
			t.Errorf("a slow one got %d words, the last with %d open", len(w), w[len(w)-1].Open)
		}
		cancel()
		if err := <-ended; err == nil {
			t.Error("it ended without saying why")
		}
	})
}

// One picture serves all who ask at the same position, and none changes another's.
func TestAttentionIsMadeOnce(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Bridge drains"})
	h.cmd(n, incident.PageByHand{Person: "ana"})
	a := h.attend("ana")
	b := h.attend("")
	if &a.Incidents[0] != &b.Incidents[0] {
		t.Error("it was made twice for one position")
	}
	if len(b.Pages) != 0 || len(a.Pages) != 1 {
		t.Errorf("pages %+v, %+v", a.Pages, b.Pages)
	}
	kept := slices.Clone(a.Incidents)
	h.cmd(n, incident.Rename{Title: "Bridge is drained"})
	if c := h.attend("ana"); c.Incidents[0].Title != "Bridge is drained" || !slices.Equal(kept, a.Incidents) || c.Position <= a.Position {
		t.Errorf("%+v, before %+v", c, a)
	}
}
