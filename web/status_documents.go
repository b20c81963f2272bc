package web

import (
	"encoding/json"
	"encoding/xml"
)

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

// toldIncidents is how many incidents incidents.json and the feed go back, as
// Statuspage does; what is open is in it however old.
const toldIncidents = 50

func (s *Server) statusDocument(base string, told telling, now int64) map[string]any {
	all := told.all
	updated := int64(0)
	components := []spComponent{}
	for i, k := range s.publicComponents(all, now) {
		sc := spComponent{ID: shortID("component", k.Name), Name: k.Name, Status: componentNow(all, k.Name), Position: i + 1, PageID: pageID, CreatedAt: rfc3339(told.first), UpdatedAt: rfc3339(told.first)}
		if k.Description != "" {
			sc.Description = &k.Description
		}
		components = append(components, sc)
	}
	incidents, open := []spIncident{}, []spIncident{}
	for _, p := range all {
		updated = max(updated, p.updatedAt)
		if len(incidents) >= toldIncidents && p.endsAt != 0 {
			continue
		}
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

// statusJSON makes one of the documents of statusDocuments.
func statusJSON(parts []string) func(*Server, order) ([]byte, error) {
	return func(s *Server, o order) ([]byte, error) {
		whole, out := s.statusDocument(o.base, o.told, o.now), map[string]any{}
		for _, p := range parts {
			key := p
			if p == "unresolved" {
				key = "incidents"
			}
			out[key] = whole[p]
		}
		return json.Marshal(out)
	}
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
func statusAtom(s *Server, o order) ([]byte, error) {
	f := atomFeed{ID: o.base + "/status", Title: orTocsin(s.Site) + " status", Link: atomLink{o.base + "/status"}, Updated: rfc3339(o.now - o.now%day)}
	for _, p := range o.told.all {
		for i := len(p.updates) - 1; i >= 0 && len(f.Entries) < toldIncidents; i-- {
			u := p.updates[i]
			f.Entries = append(f.Entries, atomEntry{ID: o.base + "/status#" + u.id, Title: p.title + ": " + u.phase, Updated: rfc3339(u.at), Link: atomLink{o.base + "/status#i-" + p.id}, Content: u.text, Author: orTocsin(s.Site)})
		}
	}
	if len(f.Entries) > 0 {
		f.Updated = f.Entries[0].Updated
	}
	out, err := xml.MarshalIndent(f, "", " ")
	return append([]byte(xml.Header), out...), err
}
