package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/casebook"
	"github.com/tocsin-ops/tocsin/internal/impact"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/precedent"
	"github.com/tocsin-ops/tocsin/internal/precedent/precedenttest"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/views"
)

// pastYears are made-up incidents of the past, which no log of the test has.
type pastYears struct {
	index    *precedent.Index
	category *precedent.Model
	severity *precedent.Model
	cases    []precedent.Case
}

func years(n int) *pastYears { return pastOf(precedenttest.Years(1, n)) }

func pastOf(list []precedenttest.Incident) *pastYears {
	cases := precedenttest.Cases(list)
	for i := range cases {
		cases[i].Number += 1000 // the test's own begin at 1
	}
	return &pastYears{precedent.NewIndex(cases), precedent.Train(cases, precedent.TargetCategory), precedent.Train(cases, precedent.TargetSeverity), cases}
}

func (p *pastYears) Advise(c precedent.Case, now int64) casebook.Advice {
	a := casebook.Advice{Similar: p.index.Similar(c, 3), Category: p.category.Suggest(c), Severity: p.severity.Suggest(c), Overrules: p.severity.Report.Overrules, Closed: len(p.cases)}
	if c.DeclaredAt > 0 {
		a.Recovery = p.index.Recovery(c, now-c.DeclaredAt, now)
	}
	return a
}

func (p *pastYears) Recovery(int64, int64) precedent.Recovery {
	return precedent.Recovery{Known: true, Low: 40 * 60_000, Likely: 80 * 60_000, High: 180 * 60_000, Resolved: 12, Alike: true}
}

func (p *pastYears) Learned() casebook.Learned {
	return casebook.Learned{Closed: len(p.cases), Category: p.category.Report, Severity: p.severity.Report, Times: precedent.Times(p.cases), Held: precedent.Held(p.cases, 100)}
}

func withYears(n int) func(*Options) { return func(o *Options) { o.Past = years(n) } }

const diskFull = "disk full on ledger database"

func TestPastInTheRoom(t *testing.T) {
	h := newHouse(t, withYears(400))
	rita := h.member("rita", auth.RoleResponder, "")
	n := h.declare(incident.Declare{Title: diskFull, Severity: "SEV3", Components: []string{"ledger database"}})
	page := rita.get("/incidents/" + itoa(n)).want(http.StatusOK).body
	for _, want := range []string{`id="precedent"`, "% alike", "resolved after", "likely ", "infrastructure", "because: ", `data-command="set_category"`, "ledger database"} {
		if !strings.Contains(page, want) {
			t.Errorf("the room lacks %q", want)
		}
	}
	h.cmd(n, incident.SetCategory{Category: "infrastructure"})
	if page := rita.get("/incidents/" + itoa(n)).body; strings.Contains(page, `data-command="set_category"`) {
		t.Error("a category is suggested although one is set")
	}
	h.cmd(n, incident.Resolve{Validation: "Space again"})
	if page := rita.get("/incidents/" + itoa(n)).body; strings.Contains(page, "% alike") {
		t.Error("an incident that is over is told what it may become")
	}
	odd := h.declare(incident.Declare{Title: "Zyzzyva quorum xylophone", Severity: "SEV3"})
	rita.get("/incidents/"+itoa(odd)).has("likely ", "too few are like it").hasNot("% alike")
}

// Without resolved incidents the room says so in one line, and nothing else.
func TestPastIsQuiet(t *testing.T) {
	h := newHouse(t, withYears(0))
	n := h.declare(incident.Declare{Title: diskFull, Severity: "SEV3"})
	page := h.ana().get("/incidents/" + itoa(n))
	page.has("No incident is resolved here yet").hasNot("% alike", "set_category", "likely ")
	h.ana().get("/learning").has("No incident is resolved yet", "It stays silent")
	nothing := newHouse(t)
	n = nothing.declare(incident.Declare{Title: diskFull, Severity: "SEV3"})
	nothing.ana().get("/incidents/" + itoa(n)).want(http.StatusOK)
	nothing.ana().get("/learning").want(http.StatusOK)
	nothing.ana().get("/queue").has("disk full").want(http.StatusOK)
	nothing.ana().get("/incidents/new/past?title=" + url.QueryEscape(diskFull)).want(http.StatusOK)
}

func TestPastWhileDeclaring(t *testing.T) {
	h := newHouse(t, withYears(400))
	ana := h.ana()
	ana.get("/incidents/new").has(`data-past="/incidents/new/past"`, `id="d-SEV2"`)
	ana.get("/incidents/new/past?title="+url.QueryEscape(diskFull)+"&components=ledger+database").has(`id="draft-past"`, "% alike", "infrastructure").hasNot("<html", `data-command=`)
	ana.get("/incidents/new/past?title=abc").hasNot("% alike")
	ana.get("/incidents/new/past?title=" + strings.Repeat("disk+full+", 2000)).want(http.StatusOK)
	h.member("sam", auth.RoleStakeholder, "clients").get("/incidents/new/past?title=disk").want(http.StatusForbidden)
}

// TestSeverityOfThePast: where the log teaches severities, the room suggests another than the one that was declared, with the reason, and one press
// takes it; where it teaches too little to contradict people, the room is silent and the page about learning says why.
func TestSeverityOfThePast(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Past = pastOf(precedenttest.ByComponent(1, 600)) })
	ana := h.ana()
	n := h.declare(incident.Declare{Title: "transfer that nobody signed from hot wallet", Severity: "SEV3", Components: []string{"hot wallet"}})
	room := "/incidents/" + itoa(n)
	ana.get(room).want(200).has(`data-command="set_severity"`, "SEV1", "component hot wallet", "Past incidents suggest it, ", "Use it")
	ana.command(n, "set_severity", map[string]any{"severity": "SEV1", "reason": "Past incidents suggest it."}).want(200)
	ana.get(room).want(200).hasNot("Past incidents suggest it, ")
	ana.get("/incidents/new/past?title=transfer+that+nobody+signed&components=hot+wallet").want(200).has("SEV1")
	ana.get("/learning").want(200).has("where always saying the most common one, now SEV2, was right in").hasNot("contradicts nobody")

	little := newHouse(t, func(o *Options) { o.Past = pastOf(precedenttest.ByComponent(1, 150)) })
	n = little.declare(incident.Declare{Title: "transfer that nobody signed from hot wallet", Severity: "SEV3", Components: []string{"hot wallet"}})
	little.ana().get("/incidents/" + itoa(n)).want(200).hasNot("Past incidents suggest it, ")
	little.ana().get("/learning").want(200).has("in a room it contradicts nobody")
}

func TestLearningSaysHowGoodItIs(t *testing.T) {
	h := newHouse(t, withYears(400))
	h.ana().get("/learning").has("It foretold ", "always the most common one", "people, when they declared it", "than always saying SEV", "What was taken for what", "Per cent right in each stretch", "key compromise", "Checked on the newest 100 incidents here")
	var out learningAnswer
	h.ana().get("/api/v1/learning").want(http.StatusOK).into(&out)
	if out.Resolved != 400 || len(out.Models) != 2 || !out.Models[0].Speaks || out.Models[0].Model.Share <= out.Models[0].Baseline.Share || out.Models[1].Declared == nil || len(out.Times) == 0 {
		t.Errorf("%+v", out)
	}
}

func TestQueueIsInOrderAndSaysWhy(t *testing.T) {
	h := newHouse(t, withYears(100))
	rita := h.member("rita", auth.RoleResponder, "")
	cheap := h.declare(incident.Declare{Title: "Slow pages", Severity: "SEV4"})
	dear := h.declare(incident.Declare{Title: "Payments lost", Severity: "SEV3"})
	worst := h.declare(incident.Declare{Title: "Unknown cost", Severity: "SEV2"})
	h.cmd(dear, incident.Score{Assessment: impact.Assessment{At: h.millis(), Known: true, Severity: "SEV3", Moment: "SEV3", Loss: impact.Loss{Known: true, PerMinute: 2000}}})
	h.submit(signal.Observation{Key: "loose", Title: "Nobody's signal", Severity: "SEV5", Firing: true})
	var out queueAnswer
	rita.get("/api/v1/queue").want(http.StatusOK).into(&out)
	if len(out.Items) != 4 {
		t.Fatalf("%d items", len(out.Items))
	}
	var got []string
	for _, i := range out.Items {
		got = append(got, i.Title+": "+i.Reason)
	}
	want := []string{
		"Payments lost: $2,000 a minute × likely 1 h 20 m more = $160,000",
		"Unknown cost: $1,000 a minute (assumed for SEV2) × likely 1 h 20 m more = $80,000",
		"Slow pages: $10 a minute (assumed for SEV4) × likely 1 h 20 m more = $800",
		"Nobody's signal: $1 a minute (assumed for SEV5) × 2 h more (assumed) = $120",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	page := rita.get("/queue").body
	for _, k := range want {
		title, reason, _ := strings.Cut(k, ": ")
		if !strings.Contains(page, strings.ReplaceAll(title, "'", "&#39;")) || !strings.Contains(page, reason) {
			t.Errorf("the page lacks %q", k)
		}
	}
	for _, n := range []int64{cheap, dear, worst} {
		if !strings.Contains(page, `data-on="`+itoa(n)+`"`) {
			t.Errorf("#%d cannot be claimed from the queue", n)
		}
	}
	rita.command(cheap, "claim", map[string]any{}).want(http.StatusOK)
	h.settle()
	h.World.Look(func(v projection.View) {
		for _, r := range h.presentQueue(v).Rows {
			if r.Number == cheap && (r.Claimed == "" || r.Claim != nil || len(r.Mine) == 0 || r.Mine[len(r.Mine)-1] != "rita") {
				t.Errorf("%+v", r)
			}
		}
	})
}

// The queue that is pushed is the queue of the page, to those who look at it.
func TestQueueIsLive(t *testing.T) {
	h := newHouse(t, withYears(100))
	rita := h.member("rita", auth.RoleResponder, "")
	h.declare(incident.Declare{Title: "First", Severity: "SEV3"})
	rita.get("/queue").has(`<meta name="topic" content="queue"`)
	h.World.Look(func(v projection.View) {
		regions := h.live.regions(topicQueue, v)
		if len(regions) != 1 || regions[0].key != views.RegionQueue {
			t.Fatalf("%+v", regions)
		}
		html, err := renderHTML(t.Context(), regions[0].body)
		if err != nil {
			t.Fatal(err)
		}
		if page := rita.get("/queue").body; !strings.Contains(page, html) {
			t.Errorf("the page does not hold the region as it is pushed:\n%s", html)
		}
	})
	if h.BaseOf(topicQueue) != h.BaseOf(projection.TopicBoard) {
		t.Error("the queue does not change with the board")
	}
	action, _, ok := auth.ForTopic(topicQueue)
	if !ok || action != auth.ViewBoard {
		t.Errorf("%v %v", action, ok)
	}
}
