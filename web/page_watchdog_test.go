package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/watchdog"
)

// TestDeadManSwitch: the page and the API say how each heartbeat fares, one is sent by a button, and the address stays a secret.
func TestDeadManSwitch(t *testing.T) {
	var ill atomic.Value
	ill.Store("")
	var sent atomic.Int64
	stuck := make(chan struct{})
	dog := watchdog.New(watchdog.Options{
		Beats: []watchdog.Beat{
			{Name: "outside", URL: "https://hc.example/ping/geheim", Method: "POST", Every: time.Minute},
			{Name: "other <site>", URL: "https://tocsin-2.example:8443/api/v1/intake/heartbeat/geheim?key=geheim", Method: "POST", Every: 30 * time.Second},
			{Name: "slow", URL: "https://slow.example/geheim", Method: "GET", Every: time.Hour},
		},
		Checks: []watchdog.Check{{Name: "store", Ask: func(context.Context) string { return ill.Load().(string) }}},
		Send: func(ctx context.Context, b watchdog.Beat) error {
			switch b.Name {
			case "slow":
				select {
				case stuck <- struct{}{}:
				case <-ctx.Done():
				}
				<-stuck
			case "outside":
				sent.Add(1)
			default:
				return errors.New("tocsin-2.example:8443 answered 403")
			}
			return nil
		},
	})
	h := newHouse(t, func(o *Options) {
		o.Watchdog = dog
		o.Health = func() Health { return Health{Replica: "fra-1"} }
	})
	ana := h.ana()
	ana.get("/sources").want(200).has("Dead-man switch", "outside", "hc.example", "every 60 s", "not sent yet", "other &lt;site&gt;", "tocsin-2.example:8443", "these are of fra-1", `aria-label="Send one now: outside"`).hasNot("geheim")

	follow := func(name string) *answer {
		t.Helper()
		a := ana.post("/sources/watchdog", "beat", name).want(http.StatusSeeOther)
		if to := a.header.Get("Location"); to != "/sources#watchdog" {
			t.Fatalf("it leads to %q", to)
		}
		return ana.get("/sources").want(200)
	}
	follow("outside").has("hc.example took the heartbeat.", `<li data-outcome="taken">`).hasNot("geheim")
	follow("other <site>").has("NOT TAKEN", "Nobody took the heartbeat: tocsin-2.example:8443 answered 403.").hasNot("geheim")
	ill.Store("The pages do not follow the log: 20 of 30 events for 1m1s.")
	follow("outside").has("HELD BACK", "Held back, as every other one is now. The pages do not follow the log").hasNot("geheim")
	follow("nobody").has("There is no heartbeat of this name.")
	if sent.Load() != 1 {
		t.Errorf("%d heartbeats went out", sent.Load())
	}

	d := describedAPI(t, h)
	list := ana.get("/api/v1/watchdog").want(200).hasNot("geheim")
	d.answers("GET /api/v1/watchdog", list)
	var all beatsAnswer
	list.into(&all)
	if len(all.Beats) != 3 || all.Replica != "fra-1" || all.Beats[0].Outcome != "held back" || all.Beats[0].Taken != 1 || all.Beats[0].Held != 1 || all.Beats[0].TakenAt == "" || all.Beats[0].Since == "" || all.Beats[1].Failed != 1 ||
		all.Beats[1].Host != "tocsin-2.example:8443" || all.Beats[2].Outcome != "none yet" || all.Beats[2].At != "" {
		t.Errorf("%+v", all)
	}
	ill.Store("")
	again := ana.json("POST", "/api/v1/watchdog/send", map[string]any{"name": "outside"}).want(200)
	d.answers("POST /api/v1/watchdog/send", again)
	again.has(`"outcome":"taken"`)
	ana.json("POST", "/api/v1/watchdog/send", map[string]any{"name": "nobody"}).want(404).problem("not_found")

	// Two at once do not go out beside each other.
	done := make(chan *answer)
	go func() {
		done <- h.ana().json("POST", "/api/v1/watchdog/send", map[string]any{"name": "slow"})
	}()
	<-stuck
	ana.json("POST", "/api/v1/watchdog/send", map[string]any{"name": "slow"}).want(409).problem("beat_busy")
	stuck <- struct{}{}
	(<-done).want(200)

	// Nobody else sees or sends it.
	before := sent.Load()
	reader, _ := h.token(auth.RoleResponder, "")
	for _, v := range []*visitor{h.nobody(), h.member("rita", auth.RoleResponder, ""), h.member("sam", auth.RoleStakeholder, "clients"), reader} {
		for _, a := range []*answer{v.get("/api/v1/watchdog"), v.get("/sources"), v.json("POST", "/api/v1/watchdog/send", map[string]any{"name": "outside"}), v.post("/sources/watchdog", "beat", "outside")} {
			if a.status != 401 && a.status != 403 && (a.status != 303 || !strings.HasPrefix(a.header.Get("Location"), "/signin")) || strings.Contains(a.body, "hc.example") {
				t.Errorf("%s: %d", a.what, a.status)
			}
		}
	}
	if sent.Load() != before {
		t.Error("somebody who may not has sent a heartbeat")
	}
}

// TestNoDeadManSwitch: without one the page says what that means and what to do.
func TestNoDeadManSwitch(t *testing.T) {
	for name, dog := range map[string]*watchdog.Watchdog{"none": nil, "no address": watchdog.New(watchdog.Options{})} {
		h := newHouse(t, func(o *Options) { o.Watchdog = dog })
		ana := h.ana()
		ana.get("/sources").want(200).has("No heartbeat goes out: if this Tocsin dies, nobody is told.", "<code>watchdog</code>").hasNot("Send one now")
		a := ana.get("/api/v1/watchdog").want(200)
		if a.body != "{\"beats\":[]}\n" {
			t.Errorf("%s: %s", name, a.body)
		}
		ana.json("POST", "/api/v1/watchdog/send", map[string]any{"name": "outside"}).want(404).problem("not_found")
	}
}
