package signal_test

import (
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/signal"
)

func TestMatch(t *testing.T) {
	g := signal.Signal{Source: "am-1", Kind: "HeadLag", Component: "Bridge", Chain: "ethereum", Subject: "geth-1", Severity: "SEV2", Labels: map[string]string{"env": "prod", "host": "db-7"}}
	for text, want := range map[string]bool{
		"env=prod": true, `env="prod"`: true, "env!=prod": false, "env =~ pr.*": true, "env=~r": false, "host!~db-.*": false, "host!~web": true,
		"missing=": true, "missing!=x": true, "missing=x": false, "chain=ethereum": true, "severity=SEV2": true, "kind=HeadLag": true, "alertname=HeadLag": true, "source=am-1": true, "subject=geth-1": true,
	} {
		m, err := signal.Match{Labels: []string{text}}.Compile()
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := m.Matches(g); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, m := range []signal.Match{{Components: []string{"x", "bridge"}}, {Chains: []string{"Ethereum"}}, {Kinds: []string{"headlag"}}, {Sources: []string{"am-1"}}, {}} {
		if c, err := m.Compile(); err != nil || !c.Matches(g) {
			t.Errorf("%+v does not match: %v", m, err)
		}
	}
	for _, m := range []signal.Match{{Components: []string{"x"}}, {Sources: []string{"am"}}, {Kinds: []string{"HeadLag"}, Chains: []string{"bitcoin"}}} {
		if c, err := m.Compile(); err != nil || c.Matches(g) {
			t.Errorf("%+v matches: %v", m, err)
		}
	}
	for _, text := range []string{"", "a", "=b", "a=~(", "a~b", strings.Repeat("a", 401) + "=b"} {
		if _, err := (signal.Match{Labels: []string{text}}).Compile(); err == nil {
			t.Errorf("%q is a matcher", text)
		}
	}
}

func TestQuietLife(t *testing.T) {
	s := signal.State{Source: "am"}
	now := int64(1_795_000_000_000)
	apply := func(list []signal.Body) {
		for _, b := range list {
			typ, ver, data, err := signal.Encode(b)
			if err != nil {
				t.Fatal(err)
			}
			back, err := signal.Decode(typ, ver, data)
			if err != nil {
				t.Fatal(err)
			}
			s = signal.Apply(s, signal.Event{Source: "am", At: now, Actor: "person:ana", Body: back})
		}
	}
	say := func(severity string, firing bool, q *signal.Quiet) signal.Signal {
		now += 61_000
		apply(signal.Decide(s, signal.Observation{Key: "k", Title: "T", Severity: severity, Firing: firing, At: now, Quiet: q}))
		g, _ := s.Get("k", false)
		return g
	}
	window := &signal.Quiet{By: signal.QuietMaintenance, Window: "w", Name: "Upgrade", Until: now + 3600_000, Loud: "SEV1"}
	g := say("SEV3", true, window)
	d := signal.Correlate(nil, g, signal.Rules{})
	if d.Action != signal.None || !strings.HasPrefix(d.Reason, "Quiet for maintenance “Upgrade” until 2026-11-1") {
		t.Errorf("%+v", d)
	}
	if g = say("SEV3", true, nil); g.Quiet == nil {
		t.Error("a repeat woke it")
	}
	if g = say("SEV2", true, nil); g.Quiet == nil {
		t.Error("SEV2 woke it, and only SEV1 is loud")
	}
	if g = say("SEV1", true, nil); g.Quiet != nil {
		t.Error("SEV1 did not wake it")
	}
	direct := func(id string, q *signal.Quiet) error {
		list, err := signal.Direct(s, "k", false, id, q, "because")
		apply(list)
		g, _ = s.Get("k", false)
		return err
	}
	snooze := &signal.Quiet{By: signal.QuietSnooze, Name: "Ana", Until: now + 3600_000}
	if err := direct(g.ID, snooze); err != nil || g.Quiet == nil {
		t.Errorf("%+v, %v", g.Quiet, err)
	}
	if list, err := signal.Direct(s, "k", false, g.ID, snooze, ""); err != nil || len(list) != 0 {
		t.Error("the same snooze twice makes an event")
	}
	if err := direct("am-other", nil); err != signal.ErrNotOpen {
		t.Errorf("another episode: %v", err)
	}
	if g = say("SEV2", true, nil); g.Quiet == nil {
		t.Error("it became better, and woke up")
	}
	if g = say("SEV1", true, nil); g.Quiet != nil {
		t.Error("it became worse, and sleeps on")
	}
	if direct(g.ID, &signal.Quiet{By: signal.QuietSnooze}); g.Quiet == nil || g.Quiet.Sentence() != "Snoozed until it changes" {
		t.Errorf("%+v", g.Quiet)
	}
	if g = say("SEV2", true, nil); g.Quiet != nil {
		t.Error("it changed, and sleeps on")
	}
	_ = direct(g.ID, snooze)
	if err := direct(g.ID, nil); err != nil || g.Quiet != nil {
		t.Errorf("woken: %+v, %v", g.Quiet, err)
	}
	g = say("SEV2", false, nil)
	if err := direct(g.ID, snooze); err != signal.ErrNotOpen {
		t.Errorf("a cleared one: %v", err)
	}
	if g = say("SEV3", true, nil); g.Quiet != nil || g.Episode != 2 {
		t.Errorf("a new episode inherits quiet: %+v", g)
	}
}

func TestJoinedByRule(t *testing.T) {
	j := &signal.Joint{Rule: "r", Name: "same bridge", By: "bridge=nomad", Window: 600_000}
	s := signal.Signal{ID: "s2", Source: "pd", Key: "k", Severity: "SEV3", OpenedAt: 1_000_000, Joint: j}
	with := func(number, last int64, groups ...string) signal.Candidate {
		return signal.Candidate{Number: number, Status: "declared", LastAt: last, Groups: groups, Components: []string{"x"}}
	}
	d := signal.Correlate([]signal.Candidate{with(1, 700_000), with(2, 500_000, j.Identity())}, s, signal.Rules{})
	if d.Action != signal.Attach || d.Incident != 2 || d.Reason != "Joined because of the rule “same bridge”: bridge=nomad, 8 min after the incident's last signal (window 10 min)." {
		t.Errorf("%+v", d)
	}
	if d = signal.Correlate([]signal.Candidate{with(2, 300_000, j.Identity())}, s, signal.Rules{}); d.Action != signal.Declare {
		t.Errorf("after the rule's window: %+v", d)
	}
	off := with(2, 900_000, j.Identity())
	off.Detached = []string{s.Identity()}
	if d = signal.Correlate([]signal.Candidate{off}, s, signal.Rules{}); d.Action != signal.Declare {
		t.Errorf("taken off: %+v", d)
	}
	grouped := s
	grouped.Group = "g"
	if d = signal.Correlate([]signal.Candidate{with(3, 990_000, grouped.GroupIdentity()), with(2, 500_000, j.Identity())}, grouped, signal.Rules{}); d.Incident != 2 {
		t.Errorf("the sender's group won over the rule: %+v", d)
	}
}
