package incident_test

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/impact"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"pgregory.net/rapid"
)

var (
	actors  = rapid.SampledFrom([]string{"person:ana", "person:li", "person:bo", "token:t1", "system:correlator"})
	people  = rapid.SampledFrom([]string{"ana", "@li", "bo", "cy", "me", "", "Not One"})
	roles   = rapid.SampledFrom([]string{"commander", "commander", "deputy", "comms", "scribe", "expert", "pilot", ""})
	sevs    = rapid.SampledFrom([]string{"SEV1", "2", "sev 3", "SEV4", "SEV5", "SEV9", ""})
	words   = rapid.SampledFrom([]string{"", "reason", "two\nlines", "because", "bell\a", "日本語", strings.Repeat("x", 201), "https://example.com/a"})
	tasks   = rapid.SampledFrom([]string{"T1", "t2", "3", "T9", "", "x"})
	updates = rapid.SampledFrom([]string{"U1", "U1", "u2", "3", "U9", ""})
	signals = rapid.SampledFrom([]string{"am-1", "am-2", "am-3", ""})
	events  = rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("e%d", rapid.IntRange(0, 40).Draw(t, "event")) })
	onChain = rapid.SampledFrom([]string{"0xB5C55f76f90Cc528B2609109Ca14d8d84593590E", "0xb5c55f76f90cc528b2609109ca14d8d84593590e", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "0x12", "A1", "a2", "X1", "x9", ""})
	millis  = rapid.Int64Range(1772373600000-3_600_000, 1772373600000+7_200_000)
)

func snapshot(t *rapid.T) incident.Signal {
	return incident.Signal{
		ID: signals.Draw(t, "signal"), Title: rapid.SampledFrom([]string{"", "Lag", "Down"}).Draw(t, "title"),
		Severity: incident.Severity(rapid.SampledFrom([]string{"", "SEV1", "SEV3"}).Draw(t, "severity")),
		State:    rapid.SampledFrom([]string{"", "open", "cleared", "cleared"}).Draw(t, "state"), Acknowledged: rapid.Bool().Draw(t, "ack"),
		Count: rapid.Int64Range(0, 3).Draw(t, "count"), LastAt: millis.Draw(t, "last"), Through: rapid.SampledFrom([]int64{0, 0, 1, 2, 3}).Draw(t, "through"),
	}
}

func command(t *rapid.T) incident.Command {
	text := func() string { return words.Draw(t, "text") }
	at := func() *int64 { return rapid.Ptr(millis, true).Draw(t, "at") }
	switch rapid.IntRange(0, 57).Draw(t, "command") {
	case 0:
		return incident.Rename{Title: text()}
	case 1:
		return incident.SetSeverity{Severity: sevs.Draw(t, "severity"), Reason: text()}
	case 2:
		return incident.SetStatus{Status: rapid.SampledFrom([]string{"declared", "investigating", "Mitigating", "monitoring", "resolved", "reviewed", "x"}).Draw(t, "status"), Reason: text()}
	case 3:
		return incident.SetTimes{ImpactBeganAt: at(), DetectedAt: at(), Reason: text()}
	case 4:
		return incident.SetTimes{ImpactClock: rapid.SampledFrom([]string{"", "13:50", "14:05:06", "noon", "unknown", "2026-03-01T13:00:00Z"}).Draw(t, "clock")}
	case 5:
		return incident.SetComponents{Components: rapid.SliceOfN(words, 0, 3).Draw(t, "names")}
	case 6:
		return incident.SetChains{Chains: rapid.SliceOfN(words, 0, 3).Draw(t, "names")}
	case 7, 8:
		return incident.AssignRole{Role: roles.Draw(t, "role"), Person: people.Draw(t, "person")}
	case 9:
		return incident.ReleaseRole{Role: roles.Draw(t, "role"), Person: people.Draw(t, "person")}
	case 10, 11:
		return incident.HandOverRole{Role: roles.Draw(t, "role"), To: people.Draw(t, "person"), Note: text()}
	case 12, 13:
		return incident.AcceptHandOver{Role: roles.Draw(t, "role")}
	case 14:
		return incident.DeclineHandOver{Role: roles.Draw(t, "role")}
	case 15:
		return incident.AddNote{Text: text(), WrittenAt: millis.Draw(t, "written")}
	case 16:
		return incident.RecordDecision{Text: text()}
	case 17:
		return incident.AddTask{Title: text(), Assignee: people.Draw(t, "person"), Due: millis.Draw(t, "due")}
	case 18:
		return incident.AssignTask{Task: tasks.Draw(t, "task"), Person: people.Draw(t, "person")}
	case 19:
		return incident.CompleteTask{Task: tasks.Draw(t, "task")}
	case 20:
		return incident.ReopenTask{Task: tasks.Draw(t, "task")}
	case 21:
		return incident.AddLink{URL: text(), Title: text()}
	case 22:
		return incident.RemoveLink{Link: rapid.SampledFrom([]string{"L1", "L2", "x"}).Draw(t, "link")}
	case 23:
		return incident.DraftUpdate{Audience: rapid.SampledFrom([]string{"public", "partners", "!"}).Draw(t, "audience"), Text: text(), Components: rapid.SampledFrom([]map[string]string{nil, {"bridge": "operational"}, {"": "x"}}).Draw(t, "components")}
	case 24:
		return incident.EditUpdate{Update: updates.Draw(t, "update"), Text: text(), Headline: text()}
	case 25, 26:
		return incident.ApproveUpdate{Update: updates.Draw(t, "update")}
	case 27:
		return incident.PublishUpdate{Update: updates.Draw(t, "update")}
	case 28:
		return incident.DiscardUpdate{Update: updates.Draw(t, "update")}
	case 29:
		return incident.AttachSignals{Signals: []incident.Signal{snapshot(t), snapshot(t)}}
	case 30:
		return incident.SignalChanged{Signal: snapshot(t)}
	case 31:
		return incident.DetachSignal{Signal: signals.Draw(t, "signal"), Reason: text()}
	case 32:
		return incident.Resolve{Validation: text()}
	case 33:
		return incident.Reopen{Reason: text()}
	case 34:
		return rapid.SampledFrom([]incident.Command{incident.ReviewDone{Note: "seen"}, incident.Merge{Into: 12}, incident.Absorb{From: 13}, incident.Help{}}).Draw(t, "end")
	case 35, 36:
		return incident.SignalsChanged{Signals: rapid.SliceOfN(rapid.Custom(snapshot), 0, 4).Draw(t, "news")}
	case 38, 39:
		return incident.AddAddress{Chain: rapid.SampledFrom([]string{"", "ethereum", "bitcoin"}).Draw(t, "chain"), Address: onChain.Draw(t, "address"), Kind: rapid.SampledFrom([]string{"attacker", "Mixer", "x"}).Draw(t, "kind"), Label: text()}
	case 40:
		return incident.RemoveAddress{Address: onChain.Draw(t, "address"), Chain: rapid.SampledFrom([]string{"", "ethereum"}).Draw(t, "chain"), Reason: text()}
	case 41:
		return incident.AddTransaction{Chain: "ethereum", Tx: onChain.Draw(t, "tx"), Note: text()}
	case 42:
		return incident.RemoveTransaction{Tx: onChain.Draw(t, "tx"), Reason: text()}
	case 44, 45:
		return rapid.SampledFrom([]incident.Command{incident.Acknowledge{}, incident.Acknowledge{}, incident.Unsnooze{}, incident.Claim{}, incident.Exhaust{}, incident.ExpireAcknowledgement{}, incident.FollowAdvice{}}).Draw(t, "bare")
	case 46:
		return incident.DeclinePage{Reason: text()}
	case 47:
		return incident.Escalate{Step: rapid.IntRange(-1, 3).Draw(t, "step")}
	case 48:
		return incident.PageByHand{Person: people.Draw(t, "person"), Team: rapid.SampledFrom([]string{"", "", "ops"}).Draw(t, "team"), Policy: rapid.SampledFrom([]string{"", "", "p"}).Draw(t, "policy"), Reason: text()}
	case 49:
		return rapid.SampledFrom([]incident.Command{incident.Reassign{Person: "li"}, incident.Snooze{For: "30m", Reason: "x"}, incident.Snooze{For: "soon"}, incident.Snooze{Until: 1}}).Draw(t, "hand")
	case 50, 51:
		p := escalation.Policy{ID: "p", Name: "P", Version: rapid.Int64Range(1, 2).Draw(t, "version"), AckTimeout: 600_000, Steps: []escalation.Step{{Wait: 60_000, Need: rapid.IntRange(0, 2).Draw(t, "need")}, {}}}
		return incident.Route{Team: rapid.SampledFrom([]string{"ops", "keys"}).Draw(t, "team"), Tier: 1, Why: text(), Policy: rapid.SampledFrom([]*escalation.Policy{&p, &p, nil}).Draw(t, "policy"), Ask: rapid.IntRange(0, 2).Draw(t, "ask")}
	case 52:
		return incident.HandOn{Team: rapid.SampledFrom([]string{"ops", "keys", ""}).Draw(t, "team"), Note: text()}
	case 53:
		return incident.PageStep{Turn: escalation.Turn{Epoch: rapid.IntRange(0, 3).Draw(t, "epoch"), Round: rapid.IntRange(1, 3).Draw(t, "round"), Step: rapid.IntRange(1, 2).Draw(t, "step"), Ask: rapid.SampledFrom([]int{0, 0, 1}).Draw(t, "ask"),
			People: []escalation.Callee{{Person: people.Draw(t, "person"), Why: text()}, {Person: "li"}}, Holes: []string{text()}}}
	case 54:
		return incident.SetCategory{Category: rapid.SampledFrom([]string{"", "bridge-drain", "Not One"}).Draw(t, "category")}
	case 55:
		return incident.SetFact{Fact: rapid.SampledFrom([]string{"users_affected", "funds_moving", "x"}).Draw(t, "fact"), Value: rapid.SampledFrom([]string{"12000", "yes", "no", ""}).Draw(t, "value"), Note: text()}
	case 56:
		return rapid.SampledFrom([]incident.Command{incident.ClearFact{Fact: "users_affected"}, incident.ClearFact{Fact: "x"}, incident.DeclineAdvice{Reason: "because"}, incident.DeclineAdvice{},
			incident.PageReceipts{Receipts: []incident.PageReceipt{{Page: "page-42-1-1-1-li", Person: "li", Receipt: escalation.Receipt{Route: "mail", Outcome: "sent"}}}}}).Draw(t, "judge")
	case 57:
		return incident.Score{Assessment: impact.Assessment{At: millis.Draw(t, "at"), Known: true, Score: rapid.IntRange(0, 101).Draw(t, "score"), Severity: rapid.SampledFrom([]string{"", "SEV1", "SEV3", "SEV4", "x"}).Draw(t, "advised"),
			Changes: []string{text()}}}
	case 37:
		return incident.SetSummary{Summary: text()}
	}
	return incident.Redact{Event: events.Draw(t, "event"), Reason: text()}
}

// once are the commands whose repetition is a new wish.
var once = []string{"add_note", "decide", "add_task", "draft_update", "add_link", "remove_link", "decline_hand_over"}

var snake = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

func checkRefusal(t tester, err error) {
	t.Helper()
	var r *incident.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("%T %v is not a refusal", err, err)
	}
	if !snake.MatchString(r.Code) || len(r.Sentence) < 20 || !strings.ContainsAny(r.Sentence[len(r.Sentence)-1:], ".?\"`…/)0123456789") && !strings.Contains(r.Sentence, ": ") {
		t.Fatalf("poor refusal %q: %q", r.Code, r.Sentence)
	}
}

// declared is a room with an incident in it.
func declared(t tester) *room {
	r := newRoom(42)
	if _, err := r.do(incident.Declare{Title: "Bridge", Severity: "SEV2"}, "person:ana"); err != nil {
		t.Fatalf("declare: %v", err)
	}
	return r
}

// TestHistories plays random commands. Whatever Decide answers applies and is
// seen; the same wish again is fulfilled; no older state ever changes; and the
// encoded, decoded, partly blanked events make the same state.
func TestHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := declared(t)
		r.restateFirst = rapid.Bool().Draw(t, "restate first")
		type kept struct {
			state incident.State
			print string
		}
		var older []kept
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			older = append(older, kept{r.state, fmt.Sprintf("%+v", r.state)})
			r.now = r.now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "seconds")) * time.Second)
			c, actor := command(t), actors.Draw(t, "actor")
			before := r.state
			done, err := r.do(c, actor)
			if err != nil {
				checkRefusal(t, err)
				if !reflect.DeepEqual(before, r.state) {
					t.Fatalf("refused %s changed the state", c.Name())
				}
				continue
			}
			if len(done) > 0 && reflect.DeepEqual(before, r.state) {
				t.Fatalf("%s: events without effect", c.Name())
			}
			if len(done) > 0 && !slices.Contains(once, c.Name()) && !blind(c) {
				if again, err := r.do(c, actor); err != nil || len(again) > 0 {
					t.Fatalf("%s %+v again by %s: %v %v", c.Name(), c, actor, again, err)
				}
			}
		}
		for i, k := range older {
			if got := fmt.Sprintf("%+v", k.state); got != k.print {
				t.Fatalf("state %d changed later:\n%s\n%s", i, k.print, got)
			}
		}
		r.replayed(t)
	})
}

// blind is true for commands that leave to Decide what they are about.
func blind(c incident.Command) bool {
	switch c := c.(type) {
	case incident.AcceptHandOver:
		return c.Role == ""
	case incident.ApproveUpdate:
		return c.Update == ""
	case incident.PublishUpdate:
		return c.Update == ""
	case incident.EditUpdate:
		return c.Update == ""
	case incident.DiscardUpdate:
		return c.Update == ""
	}
	return false
}

// branches add one to every list of a state.
var branches = []incident.Body{
	incident.NoteAdded{Text: "other"}, incident.SummarySet{Summary: "other"}, incident.TaskAdded{Task: "T900", Title: "other"},
	incident.LinkAdded{Link: "L900", URL: "https://other.example"}, incident.UpdateDrafted{Update: "U900", Audience: "other", Text: "other"},
	incident.UpdatePublished{Update: "U1", Audience: "other"}, incident.RoleAssigned{Role: "expert", Person: "eve"},
	incident.HandOverOffered{Role: "scribe", To: "eve"}, incident.Absorbed{From: 900},
	incident.AddressAdded{Entry: "A900", Chain: "other", Address: "other"}, incident.TransactionAdded{Entry: "X900", Chain: "other", Tx: "other"},
	incident.SignalsAttached{Signals: []incident.Signal{{ID: "other", State: "open"}}},
	incident.FactSet{Fact: "users_affected", Value: "other"}, incident.Scored{Assessment: impact.Assessment{At: 900}}, incident.HandedOn{Team: "other"},
	incident.PagedByHand{Callee: escalation.Callee{Page: "other", Person: "eve"}, Number: 900}, incident.PageWanted{Number: 900, Team: "other"}, incident.Acknowledged{Person: "eve"},
	incident.PagesReceipted{Receipts: []incident.PageReceipt{{Page: "page-42-1-1-1-li", Receipt: escalation.Receipt{Route: "other"}}}}, incident.Acknowledged{Person: "eve", Have: 1, Need: 1},
}

// TestAnyOrder applies events of a history in any order, some of them blanked,
// to a state that has seen none: no panic, and older states stay.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := declared(t)
		for range 40 {
			if _, err := r.do(command(t), actors.Draw(t, "actor")); err != nil {
				checkRefusal(t, err)
			}
		}
		s := incident.State{}
		for _, e := range rapid.Permutation(r.events).Draw(t, "order") {
			if rapid.Bool().Draw(t, "blank") {
				e.Body = incident.Blank{EventType: e.Body.Type()}
			}
			before := fmt.Sprintf("%+v", s)
			next := incident.Apply(s, e)
			print := fmt.Sprintf("%+v", next)
			// Two futures of one state: making the second, with other words in
			// every place, must not write into the first.
			for _, b := range branches {
				incident.Apply(s, incident.Event{Meta: incident.Meta{Actor: "person:eve"}, Offset: 900, Body: b})
			}
			if got := fmt.Sprintf("%+v", next); got != print {
				t.Fatalf("after %s, a second future changed the first:\n%s\n%s", e.Body.Type(), print, got)
			}
			if got := fmt.Sprintf("%+v", s); got != before {
				t.Fatalf("%s changed the state it was applied to", e.Body.Type())
			}
			s = next
			incident.WaitingFor(s, e.At)
			incident.Complete("/done ", 6, nil, nil, s)
		}
	})
}

// TestCommute: people and tasks given in any order are the same in the end.
func TestCommute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) incident.Command {
			return incident.AssignRole{Role: rapid.SampledFrom([]string{"deputy", "comms", "expert"}).Draw(t, "role"), Person: rapid.SampledFrom([]string{"ana", "li", "bo"}).Draw(t, "person")}
		}), 1, 8).Draw(t, "commands")
		held := func(cs []incident.Command) []string {
			r := declared(t)
			for _, c := range cs {
				if _, err := r.do(c, "person:ana"); err != nil {
					t.Fatalf("%v", err)
				}
			}
			var out []string
			for _, a := range r.state.Roles {
				out = append(out, string(a.Role)+" "+a.Person)
			}
			slices.Sort(out)
			return out
		}
		if a, b := held(list), held(rapid.Permutation(list).Draw(t, "order")); !slices.Equal(a, b) {
			t.Fatalf("%v and %v", a, b)
		}
	})
}
