package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
)

// TestDesktopKilled: kill -9 of the program while notes are written in its
// window and commands come over the API. What was answered is there after the
// next start, nothing is there twice, and the log verifies.
func TestDesktopKilled(t *testing.T) {
	s := newScreen(t, 1400, 900)
	a := s.inspectedApp()
	a.more = embeddedToken
	a.up()
	s.put(a.window(), s.all())
	room := a.begins("Ana Ruiz", "ana")
	n := room.declare("Written while the power fails", "SEV2", nil)
	var typed []string
	for round, killAt := range []int64{1, 40} {
		a.page.open(fmt.Sprintf("/incidents/%d", n))
		a.page.live()
		a.focusOn("#composer-line")
		for i := range 4 {
			text := fmt.Sprintf("Round %d, by hand %d", round, i)
			s.types(text)
			s.keys("Return")
			typed = append(typed, text)
			a.page.sees("has it on the timeline, answered", fmt.Sprintf(`document.querySelectorAll("#pending li").length === 0 && document.querySelector("#timeline").innerText.includes(%s)`, quote(text)), patience)
		}

		shots := make([]*shot, 100)
		for i := range shots {
			shots[i] = &shot{incident: n, id: uuid.NewString(), text: fmt.Sprintf("round %d, command %d", round, i)}
		}
		var answered atomic.Int64
		var wg sync.WaitGroup
		for _, c := range shots {
			wg.Go(func() {
				room.fire(c)
				if c.code == http.StatusOK && answered.Add(1) == killAt {
					_ = a.run.cmd.Process.Kill()
				}
			})
		}
		wg.Wait()
		a.kill()
		room.mustVerify(room.dir)
		a.up()
		s.put(a.window(), s.all())
		room = a.here()

		there := byCausation(room.events())
		given := 0
		for _, c := range shots {
			if k := len(there[c.id]); k > 1 || k == 0 && c.code == http.StatusOK {
				t.Errorf("%s was answered with %d and is there %d times", c.text, c.code, k)
			}
			if c.code == http.StatusOK {
				given++
			}
		}
		texts := room.timelineNotes(n)
		for _, text := range typed {
			if !slices.Contains(texts, text) {
				t.Errorf("%q was answered and is not there", text)
			}
		}
		t.Logf("round %d: killed at answer %d; all %d that were answered are there", round, killAt, given)
		a.page.live() // signed in by itself, where it was
	}
	a.quit()
	room.mustVerify(room.dir)
}
