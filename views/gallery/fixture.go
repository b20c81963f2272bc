package main

import (
	"maps"
	"time"

	"github.com/a-h/templ"

	"github.com/tocsin-ops/tocsin/views"
)

// now is the moment at which every page of the gallery is rendered: 41 minutes into the drain of the Nomad bridge.
var now = time.Date(2022, 8, 1, 22, 13, 38, 0, time.UTC).UnixMilli()

func ago(d time.Duration) int64 { return now - d.Milliseconds() }
func in(d time.Duration) int64  { return now + d.Milliseconds() }

const (
	m = time.Minute
	h = time.Hour
	s = time.Second
)

var ana = views.Person{Handle: "ana", Name: "Ana Ruiz", Role: "administrator", Act: true, Admin: true, Rooms: []string{"commander"}}

func base(title, nav string, topics ...string) views.Base {
	b := views.Base{Title: title, Site: "Meridian Exchange", Nav: nav, Person: ana, CSRF: "c5f1", Build: "g1", Now: now, Open: 2, Worst: "SEV1"}
	for _, t := range topics {
		b.Topics = append(b.Topics, views.Topic{Name: t, Since: 1041})
	}
	return b
}

// Pages is every page by name, in its ordinary and its extreme states.
func Pages() map[string]templ.Component {
	quiet := base("Board", "board", "board", "chains")
	quiet.Open, quiet.Worst = 0, ""
	drill := roomPage()
	drill.Drill, drill.Strip.Drill = true, true
	first := roomPage()
	first.Strip.Commander, first.Strip.Deputy = "", ""
	first.Person.Rooms = nil
	wallDrill := wallPage(busyWall(), others(1), 6)
	wallDrill.Base.Drill, wallDrill.Incident.Strip.Drill, wallDrill.Summary.Drill = true, true, true
	wallHeld := wallPage(busyWall(), views.WallOthers{}, 6)
	wallHeld.Held = views.ReadOnly{Since: ago(3 * m)}
	wallHeldCalm := wallPage(views.WallIncident{}, views.WallOthers{}, 6)
	wallHeldCalm.Held = wallHeld.Held
	observer := roomPage()
	observer.Person = views.Person{Handle: "otto", Name: "Otto Weiss", Role: "stakeholder"}
	heldBase := base("Service Unavailable", "")
	heldBase.Held = wallHeld.Held
	public := statusPage(statusBusy())
	public.Live = true
	all := map[string]templ.Component{
		"board-first":    views.BoardView(views.BoardPage{Base: quiet, Setup: setup(false)}),
		"board-calm":     views.BoardView(views.BoardPage{Base: quiet, Chains: chains(6, false), Recent: recent()}),
		"board-busy":     views.BoardView(views.BoardPage{Base: base("Board", "board", "board", "chains"), Setup: setup(true), Incidents: views.BoardIncidents{Rows: rows(3)}, Signals: views.BoardSignals{Signals: looseSignals(), More: 3, Silence: views.Silence{Windows: 1, Until: in(2 * h), Signals: 3, Snoozed: 1, Next: "Validator rotation", NextAt: in(9 * h)}}, Chains: chains(6, true), Recent: recent()}),
		"board-overflow": views.BoardView(views.BoardPage{Base: base("Board", "board", "board", "chains"), Incidents: views.BoardIncidents{Rows: rows(12)}, Chains: chains(40, true)}),
		"wall-calm":      views.WallView(wallPage(views.WallIncident{}, views.WallOthers{}, 6)),
		"wall-calm-3":    views.WallView(wallPage(views.WallIncident{}, views.WallOthers{}, 3)),
		"wall-calm-40":   views.WallView(wallPage(views.WallIncident{}, views.WallOthers{}, 40)),
		"wall-busy":      views.WallView(wallPage(busyWall(), views.WallOthers{}, 6)),
		"wall-many":      views.WallView(wallPage(busyWall(), others(11), 40)),
		"wall-few":       views.WallView(wallPage(busyWall(), others(2), 8)),
		"wall-one":       views.WallView(wallPage(busyWall(), views.WallOthers{}, 1)),
		"wall-held":      views.WallView(wallHeld),
		"wall-held-calm": views.WallView(wallHeldCalm),
		"wall-drill":     views.WallView(wallDrill),
		"wall-long":      views.WallView(wallPage(longWall(), others(3), 12)),
		"room":           views.IncidentView(roomPage()),
		"room-held":      views.IncidentView(heldRoom()),
		"room-drill":     views.IncidentView(drill),
		"room-3am":       views.IncidentView(first),
		"room-observer":  views.IncidentView(observer),
		"room-new":       views.IncidentView(newRoom()),
		"room-long":      views.IncidentView(longRoom()),
		"room-resolved":  views.IncidentView(resolvedRoom()),
		"room-merged":    views.IncidentView(mergedRoom()),
		"incidents":      views.IncidentsView(views.IncidentsPage{Base: base("Incidents", "incidents", "board"), Filter: views.IncidentFilter{Status: "all"}, Rows: append(rows(3), recent().Rows...), Total: 7, Next: "/incidents?before=30"}),
		"declare":        views.DeclareView(declare()),
		"signals":        views.SignalsView(views.SignalsPage{Base: base("Signals", "signals", "signals"), Show: "all", List: views.SignalList{Show: "all", Signals: append(looseSignals(), roomSignals().Signals...)}}),
		"signals-none":   views.SignalsView(views.SignalsPage{Base: base("Signals", "signals", "signals"), Show: "open"}),
		"chains":         views.ChainsView(chainsPage(true)),
		"chains-none":    views.ChainsView(chainsPage(false)),
		"people":         views.PeopleView(peoplePage()),
		"me":             views.MeView(mePage()),
		"reach":          views.ReachView(reachPage()),
		"reach-empty":    views.ReachView(reachEmpty()),
		"reach-overflow": views.ReachView(reachLong()),
		"signin":         views.SignInView(signInPage()),
		"link":           views.LinkView(linkPage(false)),
		"link-dead":      views.LinkView(linkPage(true)),
		"tokens":         views.TokensView(tokensPage()),
		"sources":        views.SourcesView(sourcesPage()),
		"sources-empty":  views.SourcesView(views.SourcesPage{Base: base("Sources", "sources"), Kinds: sourcesPage().Kinds}),
		"detectors":      views.DetectorsView(detectorsPage()),
		"detectors-none": views.DetectorsView(views.DetectorsPage{Base: base("Detectors", "detectors")}),
		"wallets":        views.WalletsView(walletsPage()),
		"wallets-many":   views.WalletsView(manyWallets()),
		"wallets-none":   views.WalletsView(views.WalletsPage{Base: base("Wallets", "wallets"), Around: "ethereum/" + thief, Hops: 2, Wallet: &views.Wallet{Chain: "ethereum", ChainName: "Ethereum", Address: thief}}),
		"signal":         views.SignalView(signalPage()),
		"log":            views.LogView(logPage()),
		"drills":         views.DrillsView(drillsPage()),
		"error":          views.ErrorView(errorPage()),
		"refused":        views.ErrorView(views.ErrorPage{Base: heldBase, Code: 503, Title: "Service Unavailable", Says: "Nothing can be saved since 22:10 UTC: the store does not answer a majority. This was not carried out. Send it again in a moment.", Verb: "Back to the board", Again: &views.Again{Action: "/people/invite", Fields: []views.SentField{{Name: "_csrf", Value: "x"}, {Name: "name", Value: "Maja Lindqvist", Shown: true}, {Name: "role", Value: "responder", Shown: true}}}}),
		"not-found":      views.ErrorView(views.NotFound(base("", ""))),
		"status-calm":    views.StatusView(statusPage(statusCalm())),
		"status-busy":    views.StatusView(public),
		"status-empty":   views.StatusView(statusPage(views.StatusBody{Sentence: "Everything works", At: now})),
	}
	maps.Copy(all, awayPages())
	maps.Copy(all, pagingPages())
	maps.Copy(all, onCallPages())
	maps.Copy(all, pastPages())
	maps.Copy(all, upkeepPages())
	maps.Copy(all, impactPages())
	maps.Copy(all, policyPages())
	return all
}
