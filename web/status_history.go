package web

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/views"
)

// The history that the status page itself does not show: a page for each month
// in which an incident began that the audience was told of, in parts when there
// were very many.

const monthEntries = 100 // incidents on one page of the history

// months are those with an incident, newest first. all is sorted so.
func months(all []publication) (out []string) {
	for _, p := range all {
		if m := monthOf(p.beganAt); len(out) == 0 || out[len(out)-1] != m {
			out = append(out, m)
		}
	}
	return out
}

func monthOf(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01") }

// monthPart reads "2026-09" or "2026-09.2"; ok is false for what is not written so.
func monthPart(text string) (month string, part int, ok bool) {
	month, number, more := strings.Cut(text, ".")
	if t, err := time.Parse("2006-01", month); err != nil || t.Format("2006-01") != month {
		return "", 0, false
	}
	if !more {
		return month, 1, true
	}
	part, err := strconv.Atoi(number)
	return month, part, err == nil && part >= 2 && strconv.Itoa(part) == number
}

func partName(month string, part int) string {
	if part < 2 {
		return month
	}
	return month + "." + strconv.Itoa(part)
}

// historyLink leads to a page of the history.
func historyLink(audience, month string, part int) *views.Link {
	base := "/status"
	if audience != "" {
		base += "/" + audience
	}
	text := monthTitle(month)
	if part > 1 {
		text += ", part " + strconv.Itoa(part)
	}
	return &views.Link{Text: text, URL: base + "/history/" + partName(month, part)}
}

func monthTitle(month string) string {
	t, _ := time.Parse("2006-01", month)
	return t.Format("January 2006")
}

func (s *Server) publicHistory(c *call) error { return s.serveHistory(c, "") }

func (s *Server) audienceHistory(c *call) error {
	audience := c.Param("audience")
	if audience == auth.PublicAudience {
		return c.redirect("/status/history/" + c.Param("month"))
	}
	if err := s.mayReadStatus(c, audience); err != nil {
		return err
	}
	return s.serveHistory(c, audience)
}

// serveHistory keeps only pages that exist, so that asking for others costs nothing.
func (s *Server) serveHistory(c *call, audience string) error {
	part := c.Param("month")
	if _, _, ok := monthPart(part); !ok {
		return errNoPage
	}
	return s.serveStatus(c, key{kind: monthKind, audience: audience, part: part})
}

func statusMonth(s *Server, o order) ([]byte, error) {
	month, part, _ := monthPart(o.part)
	var in []publication
	for _, p := range o.told.all {
		if monthOf(p.beganAt) == month {
			in = append(in, p)
		}
	}
	from := (part - 1) * monthEntries
	if from >= len(in) {
		return nil, errNoPage
	}
	page := views.StatusHistory{Site: cmp.Or(s.StatusTitle, s.Site), Audience: o.audience, Build: s.Version, Drill: s.Demo, Home: "/status"}
	if o.audience != "" {
		page.Home += "/" + o.audience
	}
	page.Title = historyLink("", month, part).Text
	page.Days = historyOf(in[from:min(from+monthEntries, len(in))])
	// The neighbours: parts of this month, else the months with something beside it.
	list := months(o.told.all)
	for i, m := range list {
		if m != month {
			continue
		}
		switch {
		case part > 1:
			page.Later = historyLink(o.audience, month, part-1)
		case i > 0:
			page.Later = historyLink(o.audience, list[i-1], 1)
		}
		switch {
		case from+monthEntries < len(in):
			page.Earlier = historyLink(o.audience, month, part+1)
		case i+1 < len(list):
			page.Earlier = historyLink(o.audience, list[i+1], 1)
		}
	}
	return drawn(views.StatusHistoryView(page))
}

// historyOf groups incidents, newest first, by the day they began.
func historyOf(list []publication) (out []views.HistoryDay) {
	for _, p := range list {
		d := p.beganAt - p.beganAt%day
		if len(out) == 0 || out[len(out)-1].Day != d {
			out = append(out, views.HistoryDay{Day: d})
		}
		last := &out[len(out)-1]
		last.Incidents = append(last.Incidents, presentPublication(p))
	}
	return out
}
