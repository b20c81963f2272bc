package web

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/views"
)

// statusPages keeps the rendered public documents, each made once per change
// however many people look.
type statusPages struct {
	s  *Server
	mu sync.Mutex // guards kept; rendering happens under it, so that a rush renders once
	// kept holds at most maxKept documents.
	kept map[string]document
}

const maxKept = 128

type document struct {
	version string // of the state it was made from
	mime    string
	etag    string // the quoted part
	plain   []byte
	gzip    []byte
}

func newStatusPages(s *Server) *statusPages {
	return &statusPages{s: s, kept: map[string]document{}}
}

// version names the state that status pages depend on: the log and the UTC day.
func (p *statusPages) version() string {
	today := p.s.now() / day
	return itoa(p.s.World.ChangedAt(projection.TopicStatus)) + "/" + itoa(today)
}

func (p *statusPages) serve(c *call, name, mime string, public bool, make func() ([]byte, error)) error {
	version := p.version()
	d, err := p.document(name, mime, version, make)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", "W/"+d.etag) // weak: packed and plain bytes share it
	if public {
		h.Set("Cache-Control", "public, max-age=5, stale-while-revalidate=30, stale-if-error=86400")
	} else {
		h.Set("Cache-Control", "private, no-cache")
	}
	if strings.HasPrefix(mime, "application/json") {
		h.Set("Access-Control-Allow-Origin", "*")
	}
	if strings.Contains(c.Request().Header.Get("If-None-Match"), d.etag) {
		return c.NoContent(http.StatusNotModified)
	}
	body := d.plain
	if len(d.gzip) > 0 && takesGzip(c.Request().Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		body = d.gzip
	}
	return c.Blob(http.StatusOK, mime, body)
}

// takesGzip reads an Accept-Encoding header (RFC 9110, 12.5.3) as far as gzip goes.
func takesGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, q, _ := strings.Cut(strings.ReplaceAll(part, " ", ""), ";q=")
		if strings.EqualFold(name, "gzip") {
			weight, err := strconv.ParseFloat(q, 64)
			return err != nil || weight > 0
		}
	}
	return false
}

// document returns the kept one, or makes it when the state has changed since.
func (p *statusPages) document(name, mime, version string, make func() ([]byte, error)) (document, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d, ok := p.kept[name]; ok && d.version == version {
		return d, nil
	}
	body, err := make()
	if err != nil {
		return document{}, err
	}
	sum := sha256.Sum256(body)
	d := document{version: version, mime: mime, plain: body, gzip: gzipped(body), etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	if len(p.kept) >= maxKept { // names carry the Host that was asked for: somebody plays with it
		clear(p.kept)
	}
	p.kept[name] = d
	return d, nil
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := w.Write(b); err != nil || w.Close() != nil || out.Len() >= len(b) {
		return nil
	}
	return out.Bytes()
}

func (s *Server) publicStatus(c *call) error { return s.statusPage(c, "") }

func (s *Server) audienceStatus(c *call) error {
	audience := c.Param("audience")
	if audience == auth.PublicAudience {
		return c.redirect("/status")
	}
	if err := c.allow(auth.ViewStatus, auth.Subject{Audience: audience}); err != nil {
		return err
	}
	if s.knownAudience(audience) != nil {
		return errNoPage
	}
	return s.statusPage(c, audience)
}

func (s *Server) statusPage(c *call, audience string) error {
	return s.status.serve(c, "page/"+audience, "text/html; charset=utf-8", audience == "", func() ([]byte, error) {
		var p views.StatusPage
		s.World.Look(func(v projection.View) {
			p = views.StatusPage{Site: cmp.Or(s.StatusTitle, s.Site), Audience: audience, Build: s.Version, Drill: s.Demo, Live: true, Since: v.Position(), Body: s.presentStatus(v, audience)}
		})
		var b bytes.Buffer
		err := views.StatusView(p).Render(context.Background(), &b)
		return b.Bytes(), err
	})
}

// The Statuspage-compatible documents (developer.statuspage.io, API v2 shapes).

type spComponent struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	Status      string  `json:"status"`
	CreatedAt   string  `json:"created_at"`
	UpdatedAt   string  `json:"updated_at"`
	Position    int     `json:"position"`
	Description *string `json:"description"`
	GroupID     *string `json:"group_id"`
	PageID      string  `json:"page_id"`
	Group       bool    `json:"group"`
	Showcase    bool    `json:"showcase"`
	OnlyBad     bool    `json:"only_show_if_degraded"`
}

type spUpdate struct {
	ID         string `json:"id"`
	Status     string `json:"status"`
	Body       string `json:"body"`
	CreatedAt  string `json:"created_at"`
	UpdatedAt  string `json:"updated_at"`
	DisplayAt  string `json:"display_at"`
	IncidentID string `json:"incident_id"`
}

type spIncident struct {
	ID         string        `json:"id"`
	Name       string        `json:"name"`
	Status     string        `json:"status"`
	Impact     string        `json:"impact"`
	CreatedAt  string        `json:"created_at"`
	UpdatedAt  string        `json:"updated_at"`
	StartedAt  string        `json:"started_at"`
	ResolvedAt *string       `json:"resolved_at"`
	Shortlink  string        `json:"shortlink"`
	PageID     string        `json:"page_id"`
	Updates    []spUpdate    `json:"incident_updates"`
	Components []spComponent `json:"components"`
}

const pageID = "tocsin"

func (s *Server) statusDocument(base string, v projection.View) map[string]any {
	all := s.publications(v, "")
	updated := int64(0)
	components := []spComponent{}
	for i, k := range s.publicComponents(all) {
		sc := spComponent{ID: shortID("component", k.Name), Name: k.Name, Status: componentNow(all, k.Name), Position: i + 1, PageID: pageID, CreatedAt: rfc3339(s.firstDay(v)), UpdatedAt: rfc3339(s.firstDay(v))}
		if k.Description != "" {
			sc.Description = &k.Description
		}
		components = append(components, sc)
	}
	incidents, open := []spIncident{}, []spIncident{}
	for _, p := range all {
		updated = max(updated, p.updatedAt)
		in := spIncident{ID: p.id, Name: p.title, Status: p.phase, Impact: p.impact, CreatedAt: rfc3339(p.beganAt), UpdatedAt: rfc3339(p.updatedAt), StartedAt: rfc3339(p.beganAt), Shortlink: base + "/status#i-" + p.id, PageID: pageID, Updates: []spUpdate{}, Components: []spComponent{}}
		if p.endsAt != 0 {
			at := rfc3339(p.endsAt)
			in.ResolvedAt = &at
		}
		for i := len(p.updates) - 1; i >= 0; i-- {
			u := p.updates[i]
			in.Updates = append(in.Updates, spUpdate{ID: u.id, Status: u.phase, Body: u.text, CreatedAt: rfc3339(u.at), UpdatedAt: rfc3339(u.at), DisplayAt: rfc3339(u.at), IncidentID: p.id})
		}
		for _, k := range components {
			for _, sp := range p.components {
				if sp.component == k.Name {
					in.Components = append(in.Components, k)
					break
				}
			}
		}
		incidents = append(incidents, in)
		if p.endsAt == 0 {
			open = append(open, in)
		}
	}
	indicator := pageIndicator(all)
	return map[string]any{
		"page":       map[string]string{"id": pageID, "name": orTocsin(s.Site), "url": base + "/status", "time_zone": "Etc/UTC", "updated_at": rfc3339(updated)},
		"status":     map[string]string{"indicator": indicator, "description": pageSentence(indicator, len(open))},
		"components": components, "incidents": incidents, "unresolved": open, "scheduled_maintenances": []any{},
	}
}

var statusDocuments = map[string][]string{
	"summary.json": {"page", "status", "components", "unresolved", "scheduled_maintenances"}, "status.json": {"page", "status"},
	"components.json": {"page", "components"}, "incidents.json": {"page", "incidents"}, "incidents/unresolved.json": {"page", "unresolved"},
	"scheduled-maintenances.json": {"page", "scheduled_maintenances"},
}

func (s *Server) statusJSON(c *call) error { return s.statusDoc(c, c.Param("document")) }

func (s *Server) statusUnresolved(c *call) error { return s.statusDoc(c, "incidents/unresolved.json") }

func (s *Server) statusDoc(c *call, name string) error {
	parts, ok := statusDocuments[name]
	if !ok {
		return errNoPage
	}
	base := c.baseURL()
	return s.status.serve(c, "json/"+name+"/"+base, "application/json; charset=utf-8", true, func() ([]byte, error) {
		var whole map[string]any
		s.World.Look(func(v projection.View) { whole = s.statusDocument(base, v) })
		out := map[string]any{}
		for _, p := range parts {
			key := p
			if p == "unresolved" {
				key = "incidents"
			}
			out[key] = whole[p]
		}
		return json.Marshal(out)
	})
}

type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Link    atomLink    `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

type atomLink struct {
	Href string `xml:"href,attr"`
}

type atomEntry struct {
	ID      string   `xml:"id"`
	Title   string   `xml:"title"`
	Updated string   `xml:"updated"`
	Link    atomLink `xml:"link"`
	Content string   `xml:"content"`
	Author  string   `xml:"author>name"`
}

// statusAtom is the history as an Atom feed (RFC 4287), newest first, at most 50 updates.
func (s *Server) statusAtom(c *call) error {
	base := c.baseURL()
	return s.status.serve(c, "atom/"+base, "application/atom+xml; charset=utf-8", true, func() ([]byte, error) {
		f := atomFeed{ID: base + "/status", Title: orTocsin(s.Site) + " status", Link: atomLink{base + "/status"}, Updated: rfc3339(s.now() - s.now()%day)}
		s.World.Look(func(v projection.View) {
			for _, p := range s.publications(v, "") {
				for i := len(p.updates) - 1; i >= 0 && len(f.Entries) < 50; i-- {
					u := p.updates[i]
					f.Entries = append(f.Entries, atomEntry{ID: base + "/status#" + u.id, Title: p.title + ": " + u.phase, Updated: rfc3339(u.at), Link: atomLink{base + "/status#i-" + p.id}, Content: u.text, Author: orTocsin(s.Site)})
				}
			}
		})
		if len(f.Entries) > 0 {
			f.Updated = f.Entries[0].Updated
		}
		out, err := xml.MarshalIndent(f, "", " ")
		return append([]byte(xml.Header), out...), err
	})
}
