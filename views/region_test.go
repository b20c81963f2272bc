package views_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/a-h/templ"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/tocsin-ops/tocsin/views"
)

func render(t testing.TB, c templ.Component) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Render(context.Background(), &b); err != nil {
		t.Fatalf("render: %v", err)
	}
	return b.String()
}

// regions is every region component with the id it must carry.
func regions() map[string]templ.Component {
	return map[string]templ.Component{
		views.RegionBoardSetup:     views.SetupRegion(fill[views.Setup](plain)),
		views.RegionBoardIncidents: views.BoardIncidentsRegion(fill[views.BoardIncidents](plain)),
		views.RegionBoardSignals:   views.BoardSignalsRegion(fill[views.BoardSignals](plain)),
		views.RegionBoardRecent:    views.RecentRegion(fill[views.Recent](plain)),
		views.RegionSignals:        views.SignalsRegion(fill[views.SignalList](plain)),
		views.RegionChains:         views.ChainsRegion(fill[views.Chains](plain)),
		views.RegionChain("word"):  views.ChainRegion(fill[views.Chain](plain)),
		views.RegionWallIncident:   views.WallIncidentRegion(fill[views.WallIncident](plain)),
		views.RegionWallOthers:     views.WallOthersRegion(fill[views.WallOthers](plain)),
		views.RegionWallSummary:    views.WallSummaryRegion(fill[views.WallSummary](plain)),
		views.RegionStrip:          views.StripRegion(fill[views.Strip](plain)),
		views.RegionImpact:         views.ImpactRegion(fill[views.Impact](plain)),
		views.RegionImpactWhole:    views.ImpactWholeRegion(fill[views.Impact](plain)),
		views.RegionFacts:          views.FactsRegion(fill[views.Facts](plain)),
		views.RegionWaiting:        views.WaitingRegion(fill[views.Waiting](plain)),
		views.RegionTimeline:       views.TimelineRegion(fill[views.Timeline](plain)),
		views.RegionEntry(7):       views.EntryRegion(fill[views.Entry](plain)),
		views.RegionCharts:         views.ChartsRegion(fill[views.Charts](plain)),
		views.RegionRoomSignals:    views.RoomSignalsRegion(fill[views.RoomSignals](plain)),
		views.RegionTasks:          views.TasksRegion(fill[views.Tasks](plain)),
		views.RegionRoles:          views.RolesRegion(fill[views.Roles](plain)),
		views.RegionLinks:          views.LinksRegion(fill[views.Links](plain)),
		views.RegionAddresses:      views.AddressesRegion(fill[views.Addresses](plain)),
		views.RegionPresence:       views.PresenceRegion(fill[views.Presence](plain)),
		views.RegionReadOnly:       views.ReadOnlyRegion(fill[views.ReadOnly](plain)),
		views.RegionComms:          views.CommsRegion(fill[views.Comms](plain)),
		views.RegionPrecedent:      views.PrecedentRegion(fill[views.Precedent](plain)),
		views.RegionQueue:          views.QueueRegion(fill[views.CostQueue](plain)),
		views.RegionStatus:         views.StatusRegion(fill[views.StatusBody](plain)),
	}
}

// A region is one element whose id is its frame key, whatever its model holds.
func TestRegionIsOneElementWithItsID(t *testing.T) {
	for id, c := range regions() {
		text := render(t, c)
		nodes, err := html.ParseFragment(strings.NewReader(text), &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body})
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		var elements []*html.Node
		for _, n := range nodes {
			if n.Type == html.ElementNode {
				elements = append(elements, n)
			} else if strings.TrimSpace(n.Data) != "" {
				t.Errorf("%s: text outside its element: %q", id, n.Data)
			}
		}
		if len(elements) != 1 {
			t.Errorf("%s: %d elements, want 1", id, len(elements))
			continue
		}
		if got := attribute(elements[0], "id"); got != id {
			t.Errorf("region has id %q, want %q", got, id)
		}
	}
}

// The page embeds the very bytes that are pushed.
func TestPageEmbedsItsRegionsByteForByte(t *testing.T) {
	room := fill[views.IncidentPage](plain)
	page := render(t, views.IncidentView(room))
	for _, c := range []templ.Component{
		views.StripRegion(room.Strip), views.FactsRegion(room.Facts), views.WaitingRegion(room.Waiting), views.TimelineRegion(room.Timeline),
		views.ChartsRegion(room.Charts), views.ChainRegion(room.Chains[0]), views.RoomSignalsRegion(room.Signals), views.TasksRegion(room.Tasks),
		views.RolesRegion(room.Roles), views.LinksRegion(room.Links), views.AddressesRegion(room.Addresses), views.CommsRegion(room.Comms), views.PresenceRegion(room.Presence), views.PrecedentRegion(room.Precedent), views.ReadOnlyRegion(room.Held), views.EntryRegion(room.Timeline.Entries[0]),
	} {
		if text := render(t, c); !strings.Contains(page, text) {
			t.Errorf("the room does not contain this region as it is pushed:\n%s", text)
		}
	}
	board := fill[views.BoardPage](plain)
	page = render(t, views.BoardView(board))
	for _, c := range []templ.Component{
		views.SetupRegion(board.Setup), views.BoardIncidentsRegion(board.Incidents), views.BoardSignalsRegion(board.Signals),
		views.RecentRegion(board.Recent), views.ChainsRegion(board.Chains),
	} {
		if text := render(t, c); !strings.Contains(page, text) {
			t.Errorf("the board does not contain this region as it is pushed:\n%s", text)
		}
	}
	wall := fill[views.WallPage](plain)
	page = render(t, views.WallView(wall))
	for _, c := range []templ.Component{
		views.WallIncidentRegion(wall.Incident), views.WallOthersRegion(wall.Others), views.WallSummaryRegion(wall.Summary), views.ReadOnlyRegion(wall.Held), views.ChainsRegion(wall.Chains),
	} {
		if text := render(t, c); !strings.Contains(page, text) {
			t.Errorf("the wall does not contain this region as it is pushed:\n%s", text)
		}
	}
	status := fill[views.StatusPage](plain)
	if !strings.Contains(render(t, views.StatusView(status)), render(t, views.StatusRegion(status.Body))) {
		t.Error("the status page does not contain its region as it is pushed")
	}
}

// The same model is the same bytes, so that a replica or a re-rendering never differs.
func TestRegionIsDeterministic(t *testing.T) {
	again := regions()
	for id, c := range regions() {
		if first, second := render(t, c), render(t, again[id]); first != second {
			t.Errorf("%s differs between two renderings", id)
		}
	}
}

// Empty models are whole elements too: a region never disappears from the page.
func TestEmptyRegionsKeepTheirPlace(t *testing.T) {
	for id, c := range map[string]templ.Component{
		views.RegionBoardSetup: views.SetupRegion(views.Setup{}), views.RegionBoardIncidents: views.BoardIncidentsRegion(views.BoardIncidents{}),
		views.RegionBoardSignals: views.BoardSignalsRegion(views.BoardSignals{}), views.RegionChains: views.ChainsRegion(views.Chains{}),
		views.RegionWallIncident: views.WallIncidentRegion(views.WallIncident{}), views.RegionWallOthers: views.WallOthersRegion(views.WallOthers{}),
		views.RegionWaiting: views.WaitingRegion(views.Waiting{}), views.RegionTasks: views.TasksRegion(views.Tasks{}), views.RegionCharts: views.ChartsRegion(views.Charts{}),
		views.RegionPrecedent: views.PrecedentRegion(views.Precedent{}), views.RegionQueue: views.QueueRegion(views.CostQueue{}),
		views.RegionPresence: views.PresenceRegion(views.Presence{}), views.RegionReadOnly: views.ReadOnlyRegion(views.ReadOnly{}),
		views.RegionComms: views.CommsRegion(views.Comms{}), views.RegionTimeline: views.TimelineRegion(views.Timeline{}), views.RegionStatus: views.StatusRegion(views.StatusBody{}),
	} {
		if text := render(t, c); !strings.Contains(text, `id="`+id+`"`) {
			t.Errorf("empty %s lost its id: %s", id, text)
		}
	}
}

// A severity is always a shape and a word.
func TestSeverityIsShapeAndWord(t *testing.T) {
	shapes := map[string]string{}
	for _, severity := range []string{"SEV1", "SEV2", "SEV3", "SEV4", "SEV5"} {
		text := render(t, views.StripRegion(views.Strip{Number: 1, Severity: severity, Status: "declared"}))
		if !strings.Contains(text, ">"+severity+"<") {
			t.Errorf("%s: the word is missing", severity)
		}
		i := strings.Index(text, "<svg")
		drawing := text[i:strings.Index(text, "</svg>")]
		drawing = drawing[strings.Index(drawing, ">"):]
		if other, taken := shapes[drawing]; taken {
			t.Errorf("%s and %s have the same shape", severity, other)
		}
		shapes[drawing] = severity
	}
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
