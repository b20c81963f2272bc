package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/a-h/templ"

	"github.com/tocsin-ops/tocsin/views"
)

const awaySince = 26 * m

// away is a page as the desktop program keeps it while the room cannot be reached.
func away(page templ.Component) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		var b bytes.Buffer
		if err := page.Render(ctx, &b); err != nil {
			return err
		}
		meta := fmt.Sprintf(`<meta name="kept" content="%d"><meta name="desk" content="joined"></head>`, ago(awaySince))
		text := strings.Replace(b.String(), "</head>", meta, 1)
		_, err := io.WriteString(w, strings.ReplaceAll(text, `<meta name="topic" content="`, `<meta name="topic" content="away-`))
		return err
	})
}

// awayPages are the rooms, the board and the wall without the server.
func awayPages() map[string]templ.Component {
	return map[string]templ.Component{
		"room-away":  away(views.IncidentView(roomPage())),
		"board-away": away(views.BoardView(views.BoardPage{Base: base("Board", "board", "board", "chains"), Incidents: views.BoardIncidents{Rows: rows(3)}, Chains: chains(6, true), Recent: recent()})),
		"wall-away":  away(views.WallView(wallPage(busyWall(), views.WallOthers{}, 6))),
	}
}

// serveOutbox lists what waits on this computer, oldest first; one was refused.
func serveOutbox(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"items":[
{"id":"a1","incident":42,"line":"Custodian desk called back: the two hot wallets are frozen on their side.","written_at":%d,"state":"waiting"},
{"id":"a2","incident":42,"line":"Seen in the mempool before the network went: another copy with 100 WBTC.","written_at":%d,"state":"refused","reason":"This note was written at 2026-10-12T09:14:00Z, more than 30 days ago. Write it anew, and say in it when it was."},
{"id":"a3","incident":42,"line":"Second custodian: 0xb5c55f76f90cc528b2609109ca14d8d84593590eb5c55f76f90cc528b2609109ca14d8d84593590e is not theirs.","written_at":%d,"state":"waiting"},
{"id":"a4","incident":42,"line":"Sam has the list of addresses on paper.","written_at":%d,"state":"waiting"}]}`, ago(24*m), ago(40*24*60*m), ago(12*m), ago(40*s))
}
