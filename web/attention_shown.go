package web

import (
	"net/http"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/attention"
	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/notify"
)

// routeDesktop names the desktop program among the ways a page comes.
const routeDesktop = "desktop"

// shownRequest names pages that a program on the person's own screen has shown them.
type shownRequest struct {
	Pages []string `json:"pages"` // at most attention.MostPages
}

type shownAnswer struct {
	Told int `json:"told"` // of these pages: those that still wait for this person
}

// apiShown tells the rooms that the desktop program of the person who asks shows them their pages. What is not a page
// that waits for this person says nothing; the same again neither.
func (s *Server) apiShown(c *call) error {
	var in shownRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	if len(in.Pages) > attention.MostPages {
		return refusal("too_many", "Name at most 50 pages at a time.")
	}
	var list []notify.Receipt
	mine := attention.State{}
	if c.actor.Kind == auth.KindPerson && c.cookie != "" { // tokens have no pages
		mine = s.attend(c.actor.ID)
	}
	for _, p := range mine.Pages {
		if slices.Contains(in.Pages, p.ID) {
			list = append(list, notify.Receipt{Message: p.ID, Incident: p.Incident, Person: c.actor.ID, Route: routeDesktop, Label: "desktop program", Outcome: escalation.Delivered, At: s.now()})
		}
	}
	if s.Pager == nil {
		list = nil
	}
	if len(list) > 0 {
		if err := s.Pager.Receipts(c.ctx(), list); err != nil {
			return err
		}
	}
	return c.JSON(http.StatusOK, shownAnswer{Told: len(list)})
}
