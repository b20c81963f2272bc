package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCommandOnOneReplicaIsOnTheOthers: three windows on three replicas.
func TestCommandOnOneReplicaIsOnTheOthers(t *testing.T) {
	c := startCluster(t, nil, "organisation: Example Exchange\n")
	base := func(i int) string {
		return "http://" + strings.Replace(c.replicas[i].addr, "127.0.0.1", "localhost", 1)
	}
	first := desk(t, "first", base(0), 1440, 900)
	link, err := url.Parse(c.link().link)
	must(t, err)
	c.replicas[0].link = base(0) + link.Path // the key opens every replica
	first.signIn(c.replicas[0], "Ana Ruiz", "ana")
	n := c.replicas[1].declare("Declared on the second", "SEV2", nil)
	for i, s := range c.replicas {
		until(t, fmt.Sprintf("replica %d has it", i), patience, func() (bool, string) {
			l := s.incidents()
			return slices.ContainsFunc(l, func(x incident) bool { return x.Number == n }), fmt.Sprint(len(l))
		})
	}
	windows := []*window{first}
	for i := 1; i < 3; i++ {
		w := first.another(fmt.Sprint("replica ", i), 1440, 900)
		w.base = base(i) // cookies know no ports
		windows = append(windows, w)
	}
	for _, w := range windows {
		w.open(fmt.Sprintf("/incidents/%d", n))
		w.live()
	}
	for i, w := range windows {
		text := fmt.Sprintf("written at replica %d", i)
		w.writes(text)
		for k, other := range windows {
			took := other.sees("has what was "+text, fmt.Sprintf(`document.body.innerText.includes(%s)`, quote(text)), patience)
			t.Logf("%s: on screen at replica %d after %s", text, k, took.Round(time.Millisecond))
		}
	}
	c.replicas[2].command(n, "set_severity", map[string]any{"severity": "SEV1", "reason": "funds are moving"})
	for _, w := range windows {
		w.sees("shows SEV1", `document.querySelector("#incident-strip .strip-sev-word").innerText.includes("SEV1")`, patience)
	}
	// Ana signs out at one; the others end what she sees there.
	c.agree()
}

// readOnly waits until every replica says that it is read-only: each finds out by itself.
func (c *cluster) readOnly() {
	c.t.Helper()
	until(c.t, "every replica says that it is read-only", patience, func() (bool, string) {
		for i, s := range c.replicas {
			code, b, err := s.try("GET", "/readyz", nil, nil)
			if err != nil || code != 200 || !strings.Contains(string(b), `"read_only":true`) {
				return false, fmt.Sprintf("replica %d: %d %s %v", i, code, b, err)
			}
		}
		return true, ""
	})
}

// TestReplicasUnderFire: each replica and the leader of etcd are killed, and
// machines are cut off the others, one after the other, while people and
// senders go on. Nothing that was acknowledged is lost, nothing is doubled, and
// the history is one that a single machine could have given.
func TestReplicasUnderFire(t *testing.T) {
	c := startCluster(t, newNetwork(t), "")
	f := startFire(c)
	a := watch(t, c, 30, fmt.Sprintf("incident/%d", f.rooms[0]), "board")
	calm := func() { time.Sleep(2 * time.Second) } // the load goes on
	step := func(what string, do func()) {
		before := f.answered.Load()
		a.begin()
		do()
		worst, moves, _ := a.darkness()
		t.Logf("%s: %d commands were answered meanwhile; viewers moved %d times, the longest without word %s", what, f.answered.Load()-before, moves, worst[len(worst)-1].Round(time.Millisecond))
	}
	calm()
	for i, s := range c.replicas {
		step(fmt.Sprintf("kill -9 of replica %d", i), func() {
			s.kill()
			calm()
			s.up()
			calm()
		})
	}
	step("kill -9 of the leader of etcd", func() {
		e := c.etcd[c.leader()]
		e.run.kill()
		calm()
		calm()
		e.up()
		c.leader()
		calm()
	})
	for _, which := range []string{"leader of etcd", "machine that does not lead"} {
		step("partition of the "+which, func() {
			i := c.leader()
			if which != "leader of etcd" {
				i = (i + 1) % 3
			}
			c.net.cut(i)
			for range 5 {
				calm()
			}
			c.net.mend(i)
			calm()
			calm()
		})
	}
	step("all cut from each other", func() {
		for i := range 3 {
			c.net.cut(i)
		}
		c.readOnly()
		for i := range 3 {
			c.net.mend(i)
		}
		until(t, "commands are taken again", patience, func() (bool, string) {
			before := f.answered.Load()
			calm()
			return f.answered.Load() > before, ""
		})
	})
	f.stop()
	until(t, "the replica that is asked last is not read-only any more", patience, func() (bool, string) {
		code, b, err := c.replicas[0].try("GET", "/readyz", nil, nil)
		return err == nil && code == 200 && strings.Contains(string(b), `"read_only":false`), fmt.Sprintf("%d %s %v", code, b, err)
	})
	last := c.replicas[0].note(f.rooms[0], "the fire is out")
	a.reach(t, fmt.Sprintf("incident/%d", f.rooms[0]), last.Position)
	f.judge(t)
	a.close(t)
}

// TestRollingRestart: one replica after the other is asked to stop and started
// again under 1,000 viewers; everybody is told of all that is written meanwhile, and
// with TOCSIN_BENCH=1 nobody may be without word for longer than five seconds.
func TestRollingRestart(t *testing.T) {
	strict, most := os.Getenv("TOCSIN_BENCH") != "", 5*time.Second
	c := startCluster(t, nil, "")
	n := c.replicas[0].declare("Upgraded meanwhile", "SEV3", nil)
	topic := fmt.Sprintf("incident/%d", n)
	a := watch(t, c, 1000, topic)
	a.reach(t, topic, c.replicas[1].note(n, "before").Position)
	// A window of a real browser, behind what stands in front of replicas.
	front := newBalancer(t, c)
	w := desk(t, "behind the balancer", front.url(), 1440, 900)
	link, err := url.Parse(c.link().link)
	must(t, err)
	c.replicas[0].link = front.url() + link.Path
	w.signIn(c.replicas[0], "Ana Ruiz", "ana")
	w.open(fmt.Sprintf("/incidents/%d", n))
	w.live()
	w.allow(unreachable)
	js[bool](w, `(() => { window.dark = 0; let from = 0; setInterval(() => {
		const live = document.querySelector("#live")?.dataset.state === "live";
		from = live ? 0 : from || performance.now();
		if (from) window.dark = Math.max(window.dark, performance.now() - from);
	}, 50); return true; })()`)
	a.begin()
	for i, s := range c.replicas {
		if err := s.run.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		select {
		case <-s.run.gone:
		case <-time.After(patience):
			t.Fatalf("replica %d did not end within %s of being asked", i, patience)
		}
		other := c.replicas[(i+1)%3]
		a.reach(t, topic, other.note(n, fmt.Sprintf("replica %d is away", i)).Position)
		s.up()
		a.reach(t, topic, s.note(n, fmt.Sprintf("replica %d is back", i)).Position)
	}
	w.shows("replica 2 is back")
	w.live()
	dark := time.Duration(js[float64](w, "window.dark")) * time.Millisecond
	t.Logf("the browser's page was not LIVE for at most %s", dark)
	if strict && dark > most {
		t.Errorf("the browser's page was not LIVE for %s", dark)
	}
	worst, moves, resyncs := a.darkness()
	t.Logf("1,000 viewers, %d moves, %d resyncs; without word at most %s (99th of 100: %s, half: %s)", moves, resyncs,
		worst[len(worst)-1].Round(time.Millisecond), worst[len(worst)*99/100].Round(time.Millisecond), worst[len(worst)/2].Round(time.Millisecond))
	if w := worst[len(worst)-1]; strict && w > most {
		t.Errorf("somebody was without word for %s", w)
	}
	a.close(t)
	c.agree()
}

// TestQuorumLost: two of three members of etcd are gone. Every replica goes on
// showing, says that it is read-only and since when, refuses what cannot be kept
// in a sentence, and goes on by itself when etcd does.
func TestQuorumLost(t *testing.T) {
	c := startCluster(t, nil, "organisation: Example Exchange\n")
	s := c.replicas[0]
	base := "http://" + strings.Replace(s.addr, "127.0.0.1", "localhost", 1)
	w := desk(t, "commander", base, 1440, 900)
	link, err := url.Parse(c.link().link)
	must(t, err)
	s.link = base + link.Path
	w.signIn(s, "Ana Ruiz", "ana")
	n := s.declare("Before the quorum is lost", "SEV2", nil)
	public := desk(t, "public", base, 390, 844)
	public.open("/status")
	public.live()
	w.open(fmt.Sprintf("/incidents/%d", n))
	w.live()
	w.writes("written before")

	w.allow(unreachable)
	public.allow(unreachable)
	c.etcd[1].run.kill()
	c.etcd[2].run.kill()
	took := w.sees("says READ-ONLY since when", `/READ-ONLY since \d\d:\d\d/.test(document.body.innerText)`, patience)
	t.Logf("the page says READ-ONLY %s after the quorum was lost", took.Round(100*time.Millisecond))
	const text = "typed while nothing can be kept"
	w.fill("#composer-line", text)
	w.press(enter)
	w.sees("says that it was not saved", fmt.Sprintf(`/Not saved/.test(document.querySelector("#pending").innerText) && document.querySelector("#pending").innerText.includes(%s)`, quote(text)), patience)
	c.readOnly()
	for i, s := range c.replicas {
		code, b, err := s.try("POST", fmt.Sprintf("/api/v1/incidents/%d/commands", n), http.Header{"Authorization": {"Bearer " + bootstrap}}, []byte(`{"command":"add_note","args":{"text":"refused"}}`))
		if err != nil || code != http.StatusServiceUnavailable || !strings.Contains(string(b), `"read_only"`) {
			t.Errorf("a command at replica %d: %d %s %v", i, code, b, err)
		}
		if code, b := s.asNobody("GET", "/status", nil); code != 200 || strings.Contains(strings.ToLower(string(b)), "read-only") || strings.Contains(string(b), "etcd") {
			t.Errorf("the public page of replica %d: %d, it must be served and tell nothing of the store", i, code)
		}
		if code := s.api("GET", fmt.Sprintf("/api/v1/incidents/%d", n), nil, nil); code != 200 {
			t.Errorf("reading at replica %d: %d", i, code)
		}
	}
	other := w.another("opened while read-only", 390, 844)
	other.allow(unreachable)
	other.open(fmt.Sprintf("/incidents/%d", n))
	other.shows("written before")
	other.sees("says READ-ONLY", `document.body.innerText.includes("READ-ONLY")`, patience)

	c.etcd[1].up()
	c.etcd[2].up()
	w.live()
	other.live()
	other.shows(text)
	w.sees("has nothing left to send", `document.querySelector("#pending").children.length === 0`, patience)
	w.allow(nil)
	times := 0
	for _, e := range c.agree() {
		if e.Type == "incident.note_added" && strings.Contains(string(e.Data), text) {
			times++
		}
	}
	if times != 1 {
		t.Errorf("what was typed while read-only is in the log %d times", times)
	}
}
