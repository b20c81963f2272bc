package e2e

import (
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"
)

// exchange is what an exchange might say of itself, for pictures.
const exchange = `organisation: Demo Exchange
components: [{name: Trading, group: Exchange}, {name: Deposits, group: Exchange}, {name: Withdrawals, group: Exchange}, {name: Bridge, group: Protocols}, {name: Staking, group: Protocols}]
impact:
  preset: exchange
  dora: yes
  eur_usd: 1.1
  users_total: 2100000
  held_usd: 410000000
  services:
    - {name: Trading, criticality: critical, users: 900000, regulated: yes, loss_per_minute: {usd: 6400, low: 4000, high: 9000}}
    - {name: Withdrawals, criticality: critical, users: 200000, regulated: yes, loss_per_minute: {usd: 2100, low: 1000, high: 5000}}
    - {name: Deposits, criticality: important, users: 160000, loss_per_minute: {usd: 700}}
    - {name: Bridge, criticality: critical, users: 41000, loss_per_minute: {usd: 9500, low: 6000, high: 14000}}
    - {name: Staking, users: 18000, loss_per_minute: {usd: 60}}
`

// TestScreenshotsOfOnCall makes the pictures of on-call, paging, the queue and the impact, with TOCSIN_SCREENSHOTS set to a directory.
func TestScreenshotsOfOnCall(t *testing.T) {
	if os.Getenv("TOCSIN_SCREENSHOTS") == "" {
		t.Log("set TOCSIN_SCREENSHOTS to a directory to make pictures; make screenshots does")
		return
	}
	s := start(t, exchange)
	ana := s.enter("ana", "Ana Ruiz")
	box := newInbox(t)
	ana.reads(box)
	crew := map[string]*visitor{"ana": ana}
	for _, p := range [][2]string{{"bo", "Bo Chen"}, {"jonas", "Jonas Berg"}, {"li", "Li Wei"}, {"maja", "Maja Lindqvist"}} {
		crew[p[0]] = ana.invites(p[0], p[1], "administrator")
		crew[p[0]].reads(box)
	}
	schedule, policy := s.rota()

	withdrawals := s.declare("Withdrawals wait for the hot wallet to be refilled", "SEV2", map[string]any{"components": []string{"Withdrawals"}})
	s.declare("Polygon: reorganisation of 157 blocks", "SEV3", map[string]any{"components": []string{"Deposits"}})
	trading := s.declare("Order acknowledgements take 4 s", "SEV3", map[string]any{"components": []string{"Trading"}})
	s.declare("Two validators missed 40 attestations", "SEV4", map[string]any{"components": []string{"Staking"}})
	bridge := s.declare("Nomad bridge: outflow above its band", "SEV2", map[string]any{"components": []string{"Bridge"}, "summary": "A forged proof lets anybody withdraw. 5.4 % of the bridge's value left in five minutes."})
	letter := box.about(bridge)
	does := func(who string, n int64, command string, args map[string]any) {
		crew[who].sends(fmt.Sprintf("/api/v1/incidents/%d/commands", n), map[string]any{"id": uuid.NewString(), "command": command, "args": args})
	}
	does("li", withdrawals, "acknowledge", map[string]any{})
	does("bo", trading, "claim", map[string]any{})
	for _, f := range [][3]string{
		{"users_affected", "41,000", "support counts the tickets"}, {"money_at_risk_usd", "$190M", "all that is left in the bridge"}, {"money_moved_usd", "$16.6M", "sum of the three addresses"},
		{"money_frozen_usd", "$1.2M", "an exchange froze one of them"}, {"funds_moving", "yes", ""}, {"critical_services", "Bridge", ""}, {"sentiment", "worried", ""}, {"press_coverage", "social", "two threads with 3,000 readers"},
	} {
		does("ana", bridge, "set_fact", map[string]any{"fact": f[0], "value": f[1], "note": f[2]})
	}
	s.tells(bridge, "incident.scored", func(string) bool { return true })

	_, page := ana.post("/people/ana/link", url.Values{})
	again := joinAddress.FindStringSubmatch(page)
	if again == nil {
		t.Fatalf("no link for ana: %s", cut(page, "secret", 500))
	}
	w := desk(t, "on-call", ana.base, 1440, 900)
	w.reduceMotion()
	w.open(again[1])
	w.click(`.form button[type="submit"]`)
	w.sees("is in", `document.body.dataset.handle === "ana" && document.readyState === "complete"`, patience)
	shoot := func(w *window, name, path, ready string) {
		t.Helper()
		w.open(path)
		w.sees("has "+name, `document.readyState === "complete" && document.fonts.status === "loaded" && (`+ready+`)`, patience)
		if js[bool](w, `Boolean(document.querySelector('meta[name="topic"]'))`) {
			w.live()
		}
		w.picture(name)
	}
	shoot(w, "schedule", "/oncall/schedules/"+schedule, `document.querySelectorAll(".week").length === 4`)
	monday := time.Now().UTC().AddDate(0, 0, 8-int(time.Now().UTC().Weekday()))
	shoot(w, "policy", "/oncall/policies/"+policy+"?severity=SEV2&at="+monday.Format("2006-01-02")+"T10:00", `document.body.innerText.includes("Front line")`)
	shoot(w, "queue", "/queue", `document.querySelectorAll(".queue-row").length === 5`)
	shoot(w, "impact", fmt.Sprintf("/incidents/%d/impact", bridge), `document.body.innerText.includes("16.6") && document.body.innerText.includes("190")`)

	link, err := url.Parse(letter.AckURL)
	must(t, err)
	phone := desk(t, "paged", ana.base, 390, 844)
	must(t, chromedp.Do(phone.ctx, chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2))))
	shoot(phone, "page", link.Path, `document.body.innerText.includes("Nobody has it yet")`)
}

// rota gives the exchange a schedule with an override, a policy of three steps and two teams.
func (s *tocsin) rota() (schedule, policy string) {
	s.t.Helper()
	const zone = "Europe/Zurich"
	schedule = s.oncall("create_schedule", map[string]any{"name": "Primary", "zone": zone, "layers": []any{
		map[string]any{"name": "Weeks", "people": []string{"ana", "bo", "li", "maja"}, "start": "2026-01-05T09:00", "unit": "week", "every": 1},
		map[string]any{"name": "Weekend nights", "people": []string{"jonas", "maja"}, "start": "2026-01-09T22:00", "unit": "week", "every": 1, "only": []any{map[string]any{"days": []int{5, 6}, "from": "22:00", "to": "08:00"}}},
	}}, "Primary")
	day := func(n, hour int) string {
		return time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, n).Add(time.Duration(hour) * time.Hour).Format(time.RFC3339)
	}
	s.oncall("add_override", map[string]any{"schedule": schedule, "person": "jonas", "from": day(3, 8), "until": day(5, 8), "note": "the fork is on Wednesday"}, "")
	treasury := s.oncall("create_team", map[string]any{"name": "Treasury", "tier": 2, "skill": "treasury", "members": []string{"bo", "li", "maja"}}, "Treasury")
	policy = s.oncall("create_policy", map[string]any{"policy": map[string]any{"name": "Front line", "repeat": 1, "ack_timeout": (30 * time.Minute).Milliseconds(), "steps": []any{
		map[string]any{"targets": []any{map[string]any{"kind": "schedule", "name": schedule}, person("ana")}, "wait": (5 * time.Minute).Milliseconds()},
		map[string]any{"targets": []any{person("jonas"), map[string]any{"kind": "role", "name": "commander"}}, "wait": (10 * time.Minute).Milliseconds(), "if": map[string]any{"severity": "SEV3"}},
		map[string]any{"targets": []any{map[string]any{"kind": "team", "name": treasury}}, "wait": (15 * time.Minute).Milliseconds(), "if": map[string]any{"severity": "SEV2", "hours": map[string]any{"zone": zone, "days": []int{1, 2, 3, 4, 5}, "from": "08:00", "to": "19:00"}}},
	}}}, "Front line")
	s.oncall("create_team", map[string]any{"name": "Front", "tier": 1, "skill": "front-line", "members": []string{"ana", "bo", "jonas", "li", "maja"}, "schedule": schedule, "policy": policy}, "Front")
	return schedule, policy
}
