package roster_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/internal/roster"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMilli()

// crowd is who there is; people can leave.
type crowd struct {
	mu   sync.Mutex
	left map[string]bool
}

func (c *crowd) people() []auth.Person {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []auth.Person
	for _, h := range []string{"cy", "ana", "ben", "sam"} {
		p := auth.Person{Handle: h, Name: strings.ToUpper(h), Role: auth.RoleResponder, Standing: auth.Joined}
		if h == "sam" {
			p.Role = auth.RoleStakeholder
		}
		if c.left[h] {
			p.Standing = auth.Removed
		}
		out = append(out, p)
	}
	return out
}

func (c *crowd) leave(h string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = map[string]bool{h: true}
}

func open(t *testing.T, db store.DB) *eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(t.Context(), db, eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func meta(id string) oncall.Meta {
	return oncall.Meta{ID: id, At: noon, Actor: "person:ana", Manage: true}
}

func do(t *testing.T, s *roster.Service, id string, c oncall.Command) roster.Answer {
	t.Helper()
	a, err := s.Do(t.Context(), c, meta(id))
	if err != nil {
		t.Fatalf("%s: %v", c.Name(), err)
	}
	return a
}

// week has ana and ben take turns of a week.
func week(t *testing.T, s *roster.Service) (schedule string) {
	t.Helper()
	do(t, s, "s", oncall.CreateSchedule{Title: "Primary", Zone: "Europe/Berlin", Layers: []oncall.Layer{
		{People: []string{"ana", "ben"}, Start: "2026-02-23T09:00", Unit: oncall.Weekly, Every: 1}}})
	return s.Settings().Schedules[0].ID
}

func TestFreshInstallation(t *testing.T) {
	c := &crowd{}
	s := roster.New(roster.Options{Log: open(t, mem.Open(mem.Options{})), People: c.people})
	team, policy, why := s.Settings().Route("SEV1", nil, nil, nil)
	if team.ID != oncall.Everybody || !reflect.DeepEqual(policy, oncall.Default()) || why != "no team takes incidents: everybody is paged" {
		t.Errorf("%+v %+v %q", team, policy, why)
	}
	if got := s.Team(team.ID); !reflect.DeepEqual(got, []string{"ana", "ben", "cy"}) { // a stakeholder is not paged
		t.Errorf("everybody is %v", got)
	}
	if w := s.Check(noon); len(w) != 1 || w[0].Code != oncall.WarnNothing {
		t.Errorf("%+v", w)
	}
}

// TestOnCall: the service is the Lookup of an escalation; who left is warned of and breaks nothing.
func TestOnCall(t *testing.T) {
	c := &crowd{}
	s := roster.New(roster.Options{Log: open(t, mem.Open(mem.Options{})), People: c.people})
	id := week(t, s)
	do(t, s, "t", oncall.CreateTeam{Title: "Front", Members: []string{"ana", "ben"}, Tier: 1, Schedule: id})
	check := func(at int64, want []string, why string) {
		t.Helper()
		if got, said := s.OnCall(id, at); !reflect.DeepEqual(got, want) || said != why {
			t.Errorf("%v %q, want %v %q", got, said, want, why)
		}
	}
	check(noon, []string{"ana"}, "Primary: week 1 of layer L1 until Mon 2 Mar 09:00 (Mon 08:00 UTC)")
	check(noon-30*24*3600_000, nil, "Primary: nobody is on call until Mon 23 Feb 09:00 (Mon 08:00 UTC)")
	c.leave("ana")
	check(noon, nil, "Primary: ana has the turn but has left")
	team := s.Settings().Teams[0].ID
	if got := s.Team(team); !reflect.DeepEqual(got, []string{"ben"}) {
		t.Errorf("team %v", got)
	}
	var left int
	for _, w := range s.Check(noon) {
		if w.Code == oncall.WarnLeft {
			left++
		}
	}
	if left != 2 { // of the schedule and of the team
		t.Errorf("%+v", s.Check(noon))
	}
	// What names who has left can still be changed in another respect.
	do(t, s, "tier", oncall.SetTier{Team: team, Tier: 2})
	if got, said := s.OnCall("nowhere", noon); got != nil || said == "" {
		t.Error(got, said)
	}
	if got := s.Team("nowhere"); got != nil {
		t.Error(got)
	}
}

// TestSameIDSameAnswer: a command that is given again is answered as before, whatever happened since, and another's id is refused.
func TestSameIDSameAnswer(t *testing.T) {
	log := open(t, mem.Open(mem.Options{}))
	s := roster.New(roster.Options{Log: log, People: (&crowd{}).people})
	first := do(t, s, "one", oncall.CreateTeam{Title: "Front", Tier: 1})
	do(t, s, "two", oncall.RenameTeam{Team: s.Settings().Teams[0].ID, Title: "Rear"})
	again := do(t, s, "one", oncall.CreateTeam{Title: "Front", Tier: 1})
	if !reflect.DeepEqual(first, again) || first.Event == "" || len(s.Settings().Teams) != 1 {
		t.Errorf("%+v, then %+v", first, again)
	}
	m := meta("one")
	m.Actor = "person:ben"
	var r *oncall.Refusal
	if _, err := s.Do(t.Context(), oncall.CreateTeam{Title: "Mine"}, m); !errors.As(err, &r) || r.Code != oncall.CodeIDUsed {
		t.Errorf("another's id: %v", err)
	}
	if a := do(t, s, "three", oncall.RenameTeam{Team: s.Settings().Teams[0].ID, Title: "Rear"}); a.Event != "" || log.Size() != 2 {
		t.Errorf("a command that changes nothing wrote: %+v", a)
	}
}

// TestReplicas: services on one store agree, whoever changes what, and each tells its listeners of every change in order.
func TestReplicas(t *testing.T) {
	db := mem.Open(mem.Options{MaxOps: 4096})
	logs := []*eventlog.Log{open(t, db), open(t, db)}
	var all []*roster.Service
	seen := make([][]int64, 2)
	for i, log := range logs {
		s := roster.New(roster.Options{Log: log, People: (&crowd{}).people})
		s.Listen(func(x oncall.Settings) { seen[i] = append(seen[i], x.Seq) })
		all = append(all, s)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for i := range 20 {
		wg.Go(func() {
			for try := range 50 {
				_, err := all[i%2].Do(context.Background(), oncall.CreateTeam{Title: fmt.Sprint("T", i)}, meta(fmt.Sprint("c", i)))
				var r *oncall.Refusal
				if errors.As(err, &r) && r.Code == oncall.CodeBusy && try < 49 {
					continue
				}
				if err != nil {
					t.Errorf("T%d: %v", i, err)
					return
				}
				mu.Lock()
				done++
				mu.Unlock()
				return
			}
		})
	}
	wg.Wait()
	// One last command on each brings both to the end.
	for i, s := range all {
		do(t, s, fmt.Sprint("last", i), oncall.CreateTeam{Title: fmt.Sprint("Last", i)})
	}
	do(t, all[0], "end", oncall.CreateTeam{Title: "End"})
	do(t, all[1], "end2", oncall.CreateTeam{Title: "End 2"})
	if err := all[1].CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, b := all[0].Settings(), all[1].Settings()
	if len(b.Teams) != 24 || len(a.Teams) < 23 || !reflect.DeepEqual(a.Teams, b.Teams[:len(a.Teams)]) {
		t.Errorf("%d and %d teams after %d commands", len(a.Teams), len(b.Teams), done)
	}
	for i, list := range seen {
		for j := 1; j < len(list); j++ {
			if list[j] <= list[j-1] {
				t.Errorf("replica %d was told %v", i, list)
			}
		}
		if len(list) == 0 {
			t.Errorf("replica %d was told nothing", i)
		}
	}
}

// TestSnapshotAndRedaction: a new process takes up what was written down; one without it reads the log; after a redaction nobody knows the words.
func TestSnapshotAndRedaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := open(t, mem.Open(mem.Options{}))
		path := filepath.Join(t.TempDir(), "oncall")
		c := &crowd{}
		start := func(path string) (*roster.Service, func()) {
			s := roster.New(roster.Options{Log: log, People: c.people, Path: path})
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx, log.Follow) }()
			synctest.Wait()
			return s, func() {
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
		}
		s, stop := start(path)
		id := week(t, s)
		at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
		note := do(t, s, "note", oncall.NoteHandOver{Schedule: id, At: at.Format(time.RFC3339), Text: "the secret"})
		synctest.Wait()
		stop()
		for _, p := range []string{path, ""} {
			b, stop := start(p)
			if !reflect.DeepEqual(b.Settings(), s.Settings()) || len(b.History()) != 2 {
				t.Errorf("from %q: %+v, want %+v", p, b.Settings(), s.Settings())
			}
			// What was taken up can be undone as what was folded.
			if p == "" {
				if _, err := log.Redact(t.Context(), note.Position, eventlog.Draft{At: noon, Actor: "person:ana", Data: []byte(`{"reason":"a secret"}`)}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if len(b.Settings().Notes) != 0 || len(b.Settings().Schedules) != 1 {
					t.Errorf("after the redaction: %+v", b.Settings())
				}
				do(t, b, "after", oncall.CreateTeam{Title: "After"})
			}
			stop()
		}
		b, stop := start(path)
		if len(b.Settings().Notes) != 0 || len(b.Settings().Teams) != 1 {
			t.Errorf("the snapshot kept what was redacted: %+v", b.Settings())
		}
		stop()
	})
}
