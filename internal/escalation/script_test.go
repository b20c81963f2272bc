package escalation_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/oncall"
)

var update = flag.Bool("update", false, "write what the scripts expect anew")

// TestScripts plays testdata/*.txt. A script begins with "== title"; what a file says before its first one holds for all of them. Settings:
//
//	policy bridge version 2 repeat 1 ack 30m     who new incidents are paged by, with its steps on the next lines:
//	  step 5m person ana, schedule primary need 2 if severity SEV2
//	built-in policy                               new incidents are paged by that of a fresh installation
//	on call primary: ana                          a schedule by name; "nobody" is a hole
//	rotation primary day 09:00 Europe/Berlin 2026-03-01: ana, bob
//	override primary bob 00:03 to 00:30
//	gone ana, bob                                 who have left from now on; "gone nobody" brings all back
//	team ops: ana, bob by bridge                  with a policy of its own
//	start 2026-03-28T22:00                        UTC, and the moment 00:00 of the script
//	clock Europe/Berlin                           print local times, too
//
// and what happens: "at 00:05 ana acknowledges", "until 02:00". Lines that begin with > are what the timeline then says.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	count := 0
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Split(strings.TrimSpace(string(text)), "\n== ")
		out := strings.TrimSpace(all[0]) + "\n"
		for _, body := range all[1:] {
			count++
			title, _, _ := strings.Cut(body, "\n")
			t.Run(strings.TrimSuffix(filepath.Base(f), ".txt")+"/"+title, func(t *testing.T) {
				got := playScript(t, all[0], body)
				out += "\n== " + strings.TrimSpace(got) + "\n"
				if !*update && strings.TrimSpace(got) != strings.TrimSpace(body) {
					t.Errorf("%s\n---- got\n%s\n---- want\n%s", f, got, body)
				}
			})
		}
		if *update {
			if err := os.WriteFile(f, []byte(strings.TrimSpace(out)+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if count < 60 {
		t.Errorf("%d scripts; at least 60 are wanted", count)
	}
}

// script is a world that is being played.
type script struct {
	*world
	zero       int64
	zone       *time.Location
	last       string // policy whose steps follow
	out        strings.Builder
	printed    int
	remembered *incident.State
}

func playScript(t *testing.T, preamble, body string) string {
	zero := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC).UnixMilli() // a Monday
	s := &script{world: newWorld(t, zero), zero: zero}
	for _, line := range strings.Split(preamble, "\n") {
		s.line(t, line)
	}
	s.out.Reset()
	for i, line := range strings.Split(body, "\n") {
		if strings.HasPrefix(line, ">") {
			continue
		}
		s.out.WriteString(line + "\n")
		if i > 0 {
			s.line(t, line)
		}
	}
	return s.out.String()
}

func (s *script) line(t *testing.T, line string) {
	t.Helper()
	indented := strings.HasPrefix(line, "  ")
	line = strings.TrimSpace(line)
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case line == "" || line[0] == '#':
	case indented && word == "step":
		p := s.policies[s.last]
		p.Steps = append(p.Steps, s.step(t, rest))
		s.policies[s.last] = p
	case line == "built-in policy":
		p := oncall.Default()
		s.policies[p.ID], s.routes = p, p.ID
	case word == "policy":
		s.policy(t, strings.Fields(rest))
	case word == "on":
		name, who, _ := strings.Cut(strings.TrimPrefix(rest, "call "), ":")
		s.fixed[name] = names(who)
		delete(s.rotations, name)
	case word == "rotation":
		s.rotation(t, rest)
	case word == "override":
		f := strings.Fields(rest)
		r := s.rotations[f[0]]
		r.Overrides = append(r.Overrides, oncall.Override{ID: fmt.Sprint("O", len(r.Overrides)+1), Person: strings.Trim(f[1], "-"), From: s.at(t, f[2]), Until: s.at(t, f[4])})
		s.rotations[f[0]] = r
	case word == "gone":
		s.gone = names(rest)
	case word == "team":
		name, who, _ := strings.Cut(rest, ":")
		who, by, _ := strings.Cut(who, " by ")
		s.teams[name] = team{names(who), strings.TrimSpace(by)}
	case word == "start":
		at, err := time.Parse("2006-01-02T15:04", rest)
		if err != nil {
			t.Fatal(err)
		}
		s.zero = at.UnixMilli()
		s.now = s.zero
	case word == "clock":
		zone, err := time.LoadLocation(rest)
		if err != nil {
			t.Fatal(err)
		}
		s.zone = zone
	case word == "until":
		s.run(s.at(t, rest))
		s.print()
	case word == "at":
		when, what, _ := strings.Cut(rest, " ")
		s.run(s.at(t, when))
		s.print()
		s.happen(t, what)
		s.settle()
		s.print()
	default:
		t.Fatalf("what is %q?", line)
	}
}

func names(text string) []string {
	var out []string
	for _, n := range strings.Split(text, ",") {
		if n = strings.TrimSpace(n); n != "" && n != "nobody" {
			out = append(out, n)
		}
	}
	return out
}

// at reads hours and minutes since the start.
func (s *script) at(t *testing.T, text string) int64 {
	h, m, _ := strings.Cut(text, ":")
	hours, err := strconv.Atoi(h)
	minutes, err2 := strconv.Atoi(m)
	if err != nil || err2 != nil {
		t.Fatalf("when is %q?", text)
	}
	return s.zero + int64(hours*60+minutes)*60_000
}

func long(t *testing.T, text string) int64 {
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d.Milliseconds()
}

func (s *script) policy(t *testing.T, f []string) {
	p := escalation.Policy{ID: f[0], Name: f[0], Version: 1}
	for i := 1; i+1 < len(f); i += 2 {
		switch n, _ := strconv.Atoi(f[i+1]); f[i] {
		case "version":
			p.Version = int64(n)
		case "repeat":
			p.Repeat = n
		case "ack":
			if p.AckTimeout = escalation.Never; f[i+1] != "never" {
				p.AckTimeout = long(t, f[i+1])
			}
		default:
			t.Fatalf("what is %q of a policy?", f[i])
		}
	}
	s.policies[p.ID], s.last = p, p.ID
	if s.routes == "" {
		s.routes = p.ID
	}
}

func (s *script) step(t *testing.T, text string) escalation.Step {
	text, cond, conditional := strings.Cut(text, " if ")
	text, need, _ := strings.Cut(text, " need ")
	wait, targets, _ := strings.Cut(text, " ")
	p := escalation.Step{Wait: long(t, wait)}
	p.Need, _ = strconv.Atoi(need)
	for _, x := range strings.Split(targets, ",") {
		f := strings.Fields(x)
		p.Targets = append(p.Targets, escalation.Target{Kind: f[0], Name: f[1]})
	}
	if !conditional {
		return p
	}
	p.If = &escalation.Condition{}
	for _, c := range strings.Split(cond, " and ") {
		f := strings.Fields(c)
		switch f[0] {
		case "severity":
			p.If.Severity = f[1]
		case "unacked":
			p.If.Unacked = long(t, f[1])
		case "alerts": // alerts 5 in 10m
			p.If.Alerts, _ = strconv.Atoi(f[1])
			if len(f) > 3 {
				p.If.Within = long(t, f[3])
			}
		case "hours", "outside": // hours 09:00-17:00 Europe/Berlin 1 2 3 4 5
			from, to, _ := strings.Cut(f[1], "-")
			h := &escalation.Hours{From: from, To: to, Zone: f[2], Not: f[0] == "outside"}
			for _, d := range f[3:] {
				n, _ := strconv.Atoi(d)
				h.Days = append(h.Days, n)
			}
			p.If.Hours = h
		default:
			t.Fatalf("what is the condition %q?", c)
		}
	}
	return p
}

// rotation reads "primary day 09:00 Europe/Berlin 2026-03-01: ana, bob".
func (s *script) rotation(t *testing.T, text string) {
	head, who, _ := strings.Cut(text, ": ")
	f := strings.Fields(head)
	if len(f) != 5 {
		t.Fatalf("rotation: %q", text)
	}
	s.rotations[f[0]] = oncall.Schedule{ID: f[0], Name: f[0], Zone: f[3], Layers: []oncall.Layer{
		{ID: "L1", People: names(who), Start: f[4] + "T" + f[2], Unit: f[1], Every: 1}}}
}

func (s *script) happen(t *testing.T, what string) {
	t.Helper()
	who, rest, _ := strings.Cut(what, " ")
	id := fmt.Sprint("c", len(s.log), "-", s.now, "-", s.out.Len())
	var err error
	switch {
	case who == "declare":
		s.state.Drill = strings.HasSuffix(rest, " drill")
		_, err = s.give(id, incident.Declare{Title: "Bridge drains", Severity: strings.TrimSuffix(rest, " drill")}, "source:alerts")
		s.printed = s.state.Timeline.Len()
		if p, ok := s.policies[s.routes]; ok && err == nil {
			_, err = s.give(id+"-route", incident.Route{Team: "front", TeamName: "Front line", Tier: 1, Skill: "front-line", Policy: &p, Why: "the first team of tier 1"}, pager)
			s.printed = s.state.Timeline.Len()
		}
	case who == "signals":
		n, _ := strconv.Atoi(rest)
		var list []incident.Signal
		for i := range n {
			list = append(list, incident.Signal{ID: fmt.Sprint("s-", s.now, "-", i)})
		}
		_, err = s.give(id, incident.AttachSignals{Signals: list}, "source:alerts")
		s.printed = s.state.Timeline.Len()
	case who == "receipt": // receipt ana web_push delivered detail
		f := strings.SplitN(rest, " ", 4)
		r := incident.PageReceipt{Person: f[0], Receipt: escalation.Receipt{Route: f[1], Outcome: f[2], At: s.now}}
		if len(f) > 3 {
			r.Detail = f[3]
		}
		for _, p := range s.state.Paging.Pages {
			if p.Person == f[0] {
				r.Page = p.ID
			}
		}
		_, err = s.give(id, incident.PageReceipts{Receipts: []incident.PageReceipt{r}}, pager)
	case who == "pager":
		s.down = rest == "stops"
	case who == "board":
		s.board()
	case what == "replica remembers":
		old := s.state
		s.remembered = &old
	case strings.HasPrefix(what, "replica gives what it remembers"):
		now := s.now
		if _, at, ok := strings.Cut(what, " at "); ok { // by its own clock
			now = s.at(t, at)
		}
		s.replica(now)
	case who == "pages": // what waits, by id
		for _, p := range s.state.Paging.Pages {
			fmt.Fprintf(&s.out, ">   %s %s\n", p.ID, p.State)
		}
	default:
		line, ok := composed(rest)
		if !ok {
			t.Fatalf("what does %q?", what)
		}
		c, e := incident.ParseLine(line)
		if err = e; err == nil {
			_, err = s.give(id, c, "person:"+who)
		}
		if _, handed := c.(incident.HandOn); handed && err == nil {
			s.print()
			to := c.(incident.HandOn).Team
			p := s.policies[s.teams[to].policy]
			_, err = s.give(id+"-route", incident.Route{Team: to, TeamName: strings.ToUpper(to[:1]) + to[1:], Tier: 2, Policy: &p, Why: "handed on"}, pager)
		}
	}
	if err != nil {
		fmt.Fprintf(&s.out, "> %s refused: %v\n", s.clockOf(s.now), err)
	}
}

// replica is one that has not read the newest events: it works out what is due by the old ones, and its commands are judged by the new ones.
func (s *script) replica(now int64) {
	acts, _ := escalation.Due(s.remembered.Paging, s.remembered.Situation(), s, now)
	if len(acts) == 0 {
		fmt.Fprintln(&s.out, ">   the replica has nothing to do")
	}
	for _, a := range acts {
		if s.given[a.ID] {
			fmt.Fprintf(&s.out, ">   %s: the log has it already\n", a.ID)
			continue
		}
		n, err := s.give(a.ID, incident.CommandOf(a), pager)
		fmt.Fprintf(&s.out, ">   %s: %d events, %v\n", a.ID, n, err)
	}
}

func (s *script) board() {
	c := s.state.Card()
	fmt.Fprintf(&s.out, ">   board: %s, has it: %v, asked: %v, nobody: %v, drill: %v\n", c.Paging.Phase, c.Paging.Has, c.Paging.Asked, c.Paging.Nobody, c.Drill)
	for _, w := range incident.WaitingFor(s.state, s.now) {
		if w.Kind == incident.WaitingPage {
			fmt.Fprintf(&s.out, ">   waiting: %s (for %q)\n", w.Text, w.For)
		}
	}
}

// print writes what the timeline says since the last time.
func (s *script) print() {
	for ; s.printed < s.state.Timeline.Len(); s.printed++ {
		e := s.state.Timeline.At(s.printed)
		who := ""
		if p := incident.PersonOf(e.Actor); p != "" {
			who = p + ": "
		}
		for _, line := range strings.Split(e.Text(), "\n") {
			fmt.Fprintf(&s.out, "> %s %s%s\n", s.clockOf(e.At), who, line)
		}
	}
}

func (s *script) clockOf(ms int64) string {
	min := (ms - s.zero) / 60_000
	text := fmt.Sprintf("%02d:%02d", min/60, min%60)
	if sec := (ms - s.zero) / 1000 % 60; sec != 0 {
		text += fmt.Sprintf(":%02d", sec)
	}
	if s.zone != nil {
		text += time.UnixMilli(ms).In(s.zone).Format(" (15:04 MST)")
	}
	return text
}
