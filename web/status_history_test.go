package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/incident"
)

// past makes what an audience was told of n incidents, one every so often, newest first.
func past(now int64, n int, every time.Duration) telling {
	t := telling{first: 0}
	for i := range n {
		at := now - int64(i+1)*every.Milliseconds()
		u := incident.Update{ID: "U1", Audience: "public", State: incident.UpdateIsPublished, PublishedAt: at, Headline: fmt.Sprintf("No. %d.", i), Text: strings.Repeat("It is over. ", 20), Phase: "resolved", Components: map[string]string{"Bridge": "partial_outage"}}
		p, _ := publish(incident.State{Number: int64(n - i), ID: fmt.Sprint(i), Declared: true, Updates: []incident.Update{u}}.Card(), "public")
		t.all = append(t.all, p)
	}
	return t
}

var heading = regexp.MustCompile(`No\. \d+\.`)

// TestHistoryHasPages: with thousands of incidents the page stays small, and the
// pages behind it show each of them once.
func TestHistoryHasPages(t *testing.T) {
	const n = 5000
	s := &Server{Options: Options{Site: "Exchange", Version: "test", Components: []Component{{Name: "Bridge"}}}}
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC).UnixMilli()
	for _, every := range []time.Duration{20 * time.Minute, 7 * time.Hour} { // very many in a month; spread over four years
		o := order{now: now, base: "https://x.example", told: past(now, n, every)}
		page, err := statusPage(s, o)
		if err != nil {
			t.Fatal(err)
		}
		first := heading.FindAllString(string(page), -1)
		if len(first) == 0 || len(first) > historyEntries {
			t.Errorf("every %v: the page shows %d incidents", every, len(first))
		}
		if c := newCodings(page, nil); len(page) > 160<<10 || len(c.gzip.body) > 30<<10 {
			t.Errorf("every %v: the page is %d bytes, %d packed", every, len(page), len(c.gzip.body))
		}
		next := regexp.MustCompile(`/status/history/([0-9.-]+)"[^>]*>Older`).FindSubmatch(page)
		if next == nil {
			t.Fatalf("every %v: no way to the older ones", every)
		}
		// From the newest month back by the links.
		seen, pages := map[string]int{}, 0
		for part := monthOf(o.told.all[0].beganAt); part != ""; pages++ {
			o.part = part
			body, err := statusMonth(s, o)
			if err != nil {
				t.Fatalf("%s: %v", part, err)
			}
			on := heading.FindAllString(string(body), -1)
			if len(on) == 0 || len(on) > monthEntries {
				t.Errorf("%s shows %d incidents", part, len(on))
			}
			for _, h := range on {
				seen[h]++
			}
			part = ""
			if m := regexp.MustCompile(`/status/history/([0-9.-]+)" rel="next"`).FindSubmatch(body); m != nil {
				part = string(m[1])
			}
		}
		if len(seen) != n {
			t.Errorf("every %v: %d pages show %d incidents of %d", every, pages, len(seen), n)
		}
		for h, times := range seen {
			if times != 1 {
				t.Errorf("%s is shown %d times", h, times)
			}
		}
		for _, h := range first {
			if seen[h] != 1 {
				t.Errorf("%s is on the page and not in the history", h)
			}
		}
		doc, err := statusJSON(statusDocuments["incidents.json"])(s, o)
		if err != nil {
			t.Fatal(err)
		}
		var all struct{ Incidents []spIncident }
		if err := json.Unmarshal(doc, &all); err != nil || len(all.Incidents) != toldIncidents {
			t.Errorf("incidents.json has %d incidents, %v", len(all.Incidents), err)
		}
		feed, err := statusAtom(s, o)
		if err != nil || strings.Count(string(feed), "<entry>") != toldIncidents {
			t.Errorf("the feed has %d entries, %v", strings.Count(string(feed), "<entry>"), err)
		}
	}
}

func TestMonthAddresses(t *testing.T) {
	for text, ok := range map[string]bool{
		"2026-09": true, "2026-09.2": true, "2026-09.10": true, "2026-09.1": false, "2026-09.02": false, "2026-09.": false, "2026-13": false, "2026-9": false,
		"": false, "2026-09.2.3": false, "2026-09.-2": false, "../x": false, "2026-09-01": false,
	} {
		if month, part, got := monthPart(text); got != ok || ok && partName(month, part) != text {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestHistoryOfAnAudience: who may read the page may read its past, nobody else.
func TestHistoryOfAnAudience(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "x"})
	h.tell(n, incident.DraftUpdate{Audience: "clients", Headline: "Only for clients", Text: "Words for clients."})
	h.tell(n, incident.DraftUpdate{Audience: "public", Headline: "For everybody", Text: "Words for all."})
	month := monthOf(h.millis())
	h.nobody().get("/status/history/" + month).want(200).has("Words for all.").hasNot("Words for clients.")
	sam := h.member("sam", auth.RoleStakeholder, "clients")
	a := sam.get("/status/clients/history/" + month).want(200).has("Words for clients.").hasNot("Words for all.")
	if cc := a.header.Get("Cache-Control"); !strings.HasPrefix(cc, "private") {
		t.Errorf("the past of an audience may be shared: %s", cc)
	}
	h.member("reg", auth.RoleStakeholder, "regulators").get("/status/clients/history/" + month).want(403)
	h.nobody().get("/status/clients/history/"+month).want(303, 401)
	h.ana().get("/status/nothing/history/" + month).want(404)
	h.nobody().get("/status/public/history/" + month).want(303)
	sam.get("/status/clients/history/2001-01").want(404)
	// The shortcuts that the feed and the JSON give lead somewhere.
	page := h.nobody().get("/status").want(200).body
	for _, m := range regexp.MustCompile(`/status#(i-[0-9a-f]+)`).FindAllStringSubmatch(h.nobody().get("/status/history.atom").body, -1) {
		if !strings.Contains(page, `id="`+m[1]+`"`) {
			t.Errorf("%s is nowhere on the page", m[0])
		}
	}
	if ids := regexp.MustCompile(` id="i-[^"]*"`).FindAllString(page, -1); len(ids) != 1 {
		t.Errorf("anchors of the one incident: %v", ids)
	}
}

// TestDoorstep: one address cannot take all live sockets that strangers get; a
// proxy, and who has signed in, are not counted so.
func TestDoorstep(t *testing.T) {
	h := newHouse(t)
	h.status.doorstep = 3
	from := func(address string) *visitor {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.RemoteAddr = address
			h.ServeHTTP(w, r)
		}))
		t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
		return (&house{t: h.t, Server: h.Server, srv: srv}).nobody()
	}
	near := from("192.0.2.7:1000")
	var open []*socket
	for range 3 {
		open = append(open, near.live("/status/live"))
	}
	if s, res := near.dial("/status/live"); s != nil || res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
		t.Errorf("the fourth from one address: %s", res.Status)
	}
	near.get("/status").want(200)
	from("192.0.2.8:1").live("/status/live")
	for range 5 { // a proxy on this machine speaks for everybody
		from("127.0.0.1:5").live("/status/live")
	}
	ana := from("192.0.2.7:9")
	ana.cookie = h.adminBy
	ana.live("/status/live")
	if err := open[0].ws.Close(); err != nil {
		t.Fatal(err)
	}
	for s, res := near.dial("/status/live"); s == nil; s, res = near.dial("/status/live") { // until the hub has seen it leave
		if res.StatusCode != http.StatusTooManyRequests {
			t.Fatal(res.Status)
		}
	}
	for remote, want := range map[string]string{
		"192.0.2.7:1": "stranger/192.0.2.7", "[2001:db8:1:2:3::4]:1": "stranger/2001:db8:1:2::", "[::ffff:192.0.2.7]:1": "stranger/192.0.2.7",
		"10.1.2.3:1": "", "[::1]:1": "", "[fe80::1%eth0]:1": "", "[fd00::1]:1": "", "@": "", "": "",
	} {
		if got := stranger(remote); got != want {
			t.Errorf("%q is %q, want %q", remote, got, want)
		}
	}
}
