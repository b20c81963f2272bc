package web

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/a-h/templ"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/views"
)

const (
	typeHTML = "text/html; charset=utf-8"
	typeJSON = "application/json; charset=utf-8"
	typeAtom = "application/atom+xml; charset=utf-8"
)

// What caches may do with public documents, ours and anybody's: five seconds
// without asking; for half a minute more they may answer at once and ask behind
// it; for a day they answer alone when this server does not.
const (
	forEverybody = "public, max-age=5, s-maxage=5, stale-while-revalidate=30, stale-if-error=86400"
	forOne       = "private, no-cache"
)

// fixedKinds are the documents of a fixed path, by which they are named.
func fixedKinds() []*kind {
	out := []*kind{
		{name: "/status", route: "/status", mime: typeHTML, fixed: true, make: statusPage},
		{name: "/status/history.atom", route: "/status/history.atom", mime: typeAtom, fixed: true, based: true, make: statusAtom},
	}
	for _, name := range sortedKeys(statusDocuments) {
		k := &kind{name: "/api/v2/" + name, route: "/api/v2/:document", mime: typeJSON, fixed: true, based: true, make: statusJSON(statusDocuments[name])}
		if name == "incidents/unresolved.json" {
			k.route = k.name
		}
		out = append(out, k)
	}
	return out
}

// monthKind is a month of the history, or a part of it.
var monthKind = &kind{name: "month", mime: typeHTML, make: statusMonth}

// statusFields are the headers of a kept document beside those of its encoding.
func (s *Server) statusFields(k key) []field {
	cache := forEverybody
	if k.audience != "" {
		cache = forOne
	}
	fields := append(slices.Clone(safety), newField("Content-Type", k.kind.mime), newField("Cache-Control", cache))
	if s.outsideTLS() {
		fields = append(fields, strict)
	}
	if k.kind.mime == typeJSON {
		fields = append(fields, newField("Access-Control-Allow-Origin", "*"))
	}
	return fields
}

// serveStatus answers with a kept document, as fast does, and says why it cannot.
func (s *Server) serveStatus(c *call, k key) error {
	d, err := s.status.document(k)
	if err != nil {
		return err
	}
	if d.answer(c.Response(), c.Request()) != 0 {
		return nil
	}
	if d.br == nil && k.fixed() && accepted(c.Request().Header["Accept-Encoding"]).br > 0 {
		if s.status.pack(k, d).answer(c.Response(), c.Request()) != 0 {
			return nil
		}
	}
	return errNoCoding
}

var errNoCoding = refusal("not_acceptable", "This document is there plain, packed with gzip, and mostly with br. Name one of them in Accept-Encoding.")

// statusFixed answers a fixed path the long way.
func (s *Server) statusFixed(c *call, path string) error {
	k := s.status.paths[path]
	if k == nil {
		return errNoPage
	}
	return s.serveStatus(c, s.status.key(k, c.Request()))
}

func (s *Server) publicStatus(c *call) error { return s.statusFixed(c, "/status") }

func (s *Server) statusFeed(c *call) error { return s.statusFixed(c, "/status/history.atom") }

func (s *Server) statusData(c *call) error { return s.statusFixed(c, "/api/v2/"+c.Param("document")) }

func (s *Server) statusUnresolved(c *call) error {
	return s.statusFixed(c, "/api/v2/incidents/unresolved.json")
}

func (s *Server) audienceStatus(c *call) error {
	audience := c.Param("audience")
	if audience == auth.PublicAudience {
		return c.redirect("/status")
	}
	if err := s.mayReadStatus(c, audience); err != nil {
		return err
	}
	return s.serveStatus(c, key{kind: s.status.paths["/status"], audience: audience})
}

// mayReadStatus judges an audience's page. Nobody learns which audiences there are.
func (s *Server) mayReadStatus(c *call, audience string) error {
	if err := c.allow(auth.ViewStatus, auth.Subject{Audience: audience}); err != nil {
		return err
	}
	if s.knownAudience(audience) != nil {
		return errNoPage
	}
	return nil
}

func statusPage(s *Server, o order) ([]byte, error) {
	return drawn(views.StatusView(views.StatusPage{
		Site: cmp.Or(s.StatusTitle, s.Site), Audience: o.audience, Build: s.Version, Drill: s.Demo, Live: true, Since: o.at, Body: s.presentTold(o.told, o.audience, o.now),
	}))
}

func drawn(t templ.Component) ([]byte, error) {
	var b bytes.Buffer
	err := t.Render(context.Background(), &b)
	return b.Bytes(), err
}
