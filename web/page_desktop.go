package web

import "github.com/tocsin-ops/tocsin/views"

// ownLink makes a link that signs the person in on another device, and shows it this once.
func (s *Server) ownLink(c *call) error {
	link, err := s.Auth.OwnLink(c.ctx(), c.actor)
	if err != nil {
		return s.showMe(c, nil, err)
	}
	return s.showMe(c, func(p *views.MePage) {
		p.Link = &views.OwnLink{URL: c.baseURL() + link.Path(), Until: link.ExpiresAt}
	}, nil)
}
