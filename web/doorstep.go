package web

import (
	"net/netip"

	"github.com/tocsin-ops/tocsin/hub"
	"github.com/tocsin-ops/tocsin/internal/auth"
)

// doorstep is how many live sockets strangers from one address get. An office
// or a carrier shares an address, so it is many; two dozen addresses, not one,
// are what it takes to use up what all strangers get.
const doorstep = 500

// stranger is the owner of a stranger's socket: their address, of IPv6 the /64
// that one household has. It is "" for addresses of the own machine or network,
// where a proxy speaks for everybody.
func stranger(remote string) string {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return ""
	}
	a := ap.Addr().Unmap().WithZone("")
	if a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() {
		return ""
	}
	if a.Is6() {
		p, _ := a.Prefix(64) // 64 bits are in every IPv6 address
		a = p.Addr()
	}
	return "stranger/" + a.String()
}

// roomAtDoor refuses a stranger's live socket when there are too many. The page
// works without it.
func (s *Server) roomAtDoor(owner string) error {
	if s.Hub.Stats().Connections >= s.strangers {
		return refusal("unavailable", "Very many people are looking at this moment. The page shows the newest when it is loaded again.")
	}
	if owner == "" {
		return nil
	}
	n := 0
	s.Hub.End(func(x *hub.Subscriber) bool { // ends nobody: it is the hub's way to look at all
		if x.Owner == owner {
			n++
		}
		return false
	}, "")
	if n >= s.status.doorstep {
		return &auth.Refusal{Code: auth.CodeTooMany, RetryAfter: 30_000, Sentence: "Very many pages are open from your address. The page shows the newest when it is loaded again."}
	}
	return nil
}
