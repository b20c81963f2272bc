package e2e

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hears makes a source of heartbeats and returns its address.
func (s *tocsin) hears(name string) string {
	s.t.Helper()
	var out struct{ URL, Key string }
	s.api("POST", "/api/v1/sources", map[string]any{"name": name, "kind": "heartbeat", "every": "5s", "grace": "60s"}, &out) // a restart on a busy machine takes a while
	return s.url + "/api/v1/intake/heartbeat/" + out.Key
}

var beatsSent = regexp.MustCompile(`(?m)^tocsin_watchdog_sent_total\{beat="other site"\} ([0-9]+)$`)

// beats is how many heartbeats were taken from this one since its start.
func (s *tocsin) beats() int {
	s.t.Helper()
	_, b, err := s.try("GET", "/metrics", http.Header{"Authorization": {"Bearer " + s.token}}, nil)
	if err != nil {
		return 0
	}
	m := beatsSent.FindSubmatch(b)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}

// TestTwoWatchEachOther: each of two programs sends the other a heartbeat. A restart of either raises nothing; one that stays away is an incident at the
// other, which pages; when it is back, the signal is over.
func TestTwoWatchEachOther(t *testing.T) {
	b := start(t, "")
	ana := b.enter("ana", "Ana Ruiz")
	phone := newInbox(t)
	ana.reads(phone)
	config := "watchdog: [{name: other site, url: %q, interval: 5s}]\n"
	a := start(t, fmt.Sprintf(config, b.hears("Site A")))
	must(t, os.WriteFile(b.config, fmt.Appendf(nil, config, a.hears("Site B")), 0o600))
	b.restart()
	both := func(x, y int) {
		t.Helper()
		until(t, fmt.Sprintf("one was heard %d times, the other %d times", x, y), patience, func() (bool, string) {
			of, with := a.beats(), b.beats()
			return of >= x && with >= y, fmt.Sprint(of, " ", with)
		})
	}
	both(3, 3)
	before := b.beats()
	a.restart() // and counts from zero
	both(2, before+2)
	for _, s := range []*tocsin{a, b} {
		if list := s.incidents(); len(list) != 0 {
			t.Errorf("a restart is an incident: %+v", list)
		}
	}
	a.kill()
	died := time.Now()
	until(t, "the other one pages", 4*patience, func() (bool, string) { return len(phone.pages()) > 0, b.run.out.last(300) }) // silence is counted anew after each stall of its own
	l := phone.about(1)
	t.Logf("killed; %s later the other one paged: %s (%s)", l.At.Sub(died).Round(time.Millisecond), l.Title, l.Severity)
	if !strings.Contains(l.Title, "Site A") {
		t.Errorf("%+v", l)
	}
	a.up()
	until(t, "the signal is over", patience, func() (bool, string) {
		g := b.incident(1).Signals
		return len(g) == 1 && g[0].State == "cleared", fmt.Sprint(g)
	})
	if list := a.incidents(); len(list) != 0 {
		t.Errorf("the one that was away blames the other: %+v", list)
	}
}
