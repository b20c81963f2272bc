package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

// shot is one command and what was answered to it.
type shot struct {
	incident int64
	id, text string
	code     int // 0 = no answer
	answer   answer
}

// fire sends one command; a broken connection is no answer.
func (s *tocsin) fire(c *shot) {
	body, _ := json.Marshal(map[string]any{"id": c.id, "command": "add_note", "args": map[string]any{"text": c.text}})
	code, b, err := s.try("POST", fmt.Sprintf("/api/v1/incidents/%d/commands", c.incident), http.Header{"Authorization": {"Bearer " + s.token}}, body)
	if err != nil {
		return
	}
	if code == http.StatusOK && json.Unmarshal(b, &c.answer) != nil {
		return // cut off in the middle of the answer: nobody got it
	}
	c.code = code
}

// TestKillDuring200Commands: kill -9 while 200 commands are on their way. What
// was answered is there, nothing is there twice, repeating every command gives
// the answers that were given, and the log verifies.
func TestKillDuring200Commands(t *testing.T) {
	s := start(t, "")
	rooms := []int64{s.declare("One room takes most", "SEV2", nil), s.declare("Another", "SEV3", nil), s.declare("A third", "SEV4", nil)}
	total := 0
	for round, killAt := range []int64{1, 40, 120} {
		shots := make([]*shot, 200)
		for i := range shots {
			n := rooms[0]
			if i%5 == 4 {
				n = rooms[1+i%2]
			}
			shots[i] = &shot{incident: n, id: uuid.NewString(), text: fmt.Sprintf("round %d, command %d", round, i)}
		}
		var answered atomic.Int64
		var wg sync.WaitGroup
		ready := make(chan struct{})
		for _, c := range shots {
			wg.Go(func() {
				<-ready
				s.fire(c)
				if c.code == http.StatusOK && answered.Add(1) == killAt {
					_ = s.run.cmd.Process.Kill()
				}
			})
		}
		close(ready)
		wg.Wait()
		s.kill()
		s.mustVerify(s.dir)
		s.up()

		before := byCausation(s.events())
		given, silent, lost := 0, 0, 0
		for _, c := range shots {
			there := before[c.id]
			switch {
			case c.code == http.StatusOK:
				given++
				if !slices.Equal(ids(there), ids(c.answer.Events)) || len(there) != 1 {
					t.Errorf("%s was answered with %v and is now %v", c.text, ids(c.answer.Events), ids(there))
				}
			case c.code == 0 || c.code == http.StatusServiceUnavailable:
				silent++
				if len(there) > 1 {
					t.Errorf("%s is there %d times", c.text, len(there))
				}
				if len(there) == 0 {
					lost++
				}
			default:
				t.Errorf("%s was answered with %d", c.text, c.code)
			}
		}
		for _, c := range shots {
			wg.Go(func() {
				again := &shot{incident: c.incident, id: c.id, text: c.text}
				for patient := time.Now().Add(patience); time.Now().Before(patient) && (again.code == 0 || again.code == http.StatusServiceUnavailable); {
					s.fire(again) // as a client does that is told to come again
				}
				if again.code != http.StatusOK {
					t.Errorf("repeating %s: %d", c.text, again.code)
				} else if c.code == http.StatusOK && (again.answer.Position != c.answer.Position || !slices.Equal(ids(again.answer.Events), ids(c.answer.Events))) {
					t.Errorf("%s: first answer %v at %d, repeated %v at %d", c.text, ids(c.answer.Events), c.answer.Position, ids(again.answer.Events), again.answer.Position)
				}
			})
		}
		wg.Wait()
		after := byCausation(s.events())
		for _, c := range shots {
			if n := len(after[c.id]); n != 1 {
				t.Errorf("after repeating, %s is there %d times", c.text, n)
			}
		}
		total += len(shots)
		t.Logf("round %d: killed at answer %d; %d answered, %d without answer (%d of these were not written); after the restart every answered one is there once, all %d after repeating", round, killAt, given, silent, lost, len(shots))
	}
	notes := 0
	for _, e := range s.events() {
		if e.Type == "incident.note_added" {
			notes++
		}
	}
	if notes != total {
		t.Errorf("%d notes in the log, want %d", notes, total)
	}
	s.mustVerify(s.dir) // while it runs
	s.mustVerify(s.url)
}

func byCausation(events []event) map[string][]event {
	out := map[string][]event{}
	for _, e := range events {
		out[e.Causation] = append(out[e.Causation], e)
	}
	return out
}

func ids(events []event) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, e.ID)
	}
	return out
}
