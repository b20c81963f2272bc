package web

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/wallet"
	"github.com/tocsin-ops/tocsin/views"
)

// Wallets is what pages need of the graph of addresses.
type Wallets interface {
	// Wallets shows the graph as it stands; see must be quick and keep nothing. It is safe for concurrent use.
	Wallets(see func(*wallet.Graph))
	// Following says as a sentence whether the transfers of an address (a wallet.ID) of an open incident are followed, and why not; "" when no
	// open incident lists it.
	Following(id string) string
}

const (
	walletHops   = 4      // steps that a page goes at most
	walletShown  = 60     // addresses in the picture of a page
	signalShown  = 24     // in that of a signal
	signalAround = 8      // addresses of a signal that its picture is around
	handShown    = 30     // addresses of one hand that are listed
	handsFor     = 60_000 // ms that a guess at hands is good for: it walks the whole graph
	aroundMost   = 300    // characters of what is asked for
)

// hands remembers for a minute which addresses one hand holds.
type hands struct {
	mu sync.Mutex
	at int64
	is wallet.Clusters
}

// of is the cluster of an address and the reasons for it.
func (h *hands) of(g *wallet.Graph, id string, now int64) (members []string, links []wallet.Link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at == 0 || now-h.at >= handsFor || now < h.at {
		h.is, h.at = g.Clusters(now), now
	}
	return h.is.Members(id), h.is.Links(id)
}

func (s *Server) walletsPage(c *call) error {
	p := views.WalletsPage{Around: strings.TrimSpace(c.QueryParam("around")), Hops: 2}
	if n, err := strconv.Atoi(c.QueryParam("hops")); err == nil {
		p.Hops = min(max(n, 1), walletHops)
	}
	var people typed
	switch {
	case len(p.Around) > aroundMost:
		p.Around, p.Problem = "", "That is no address: it has more than "+strconv.Itoa(aroundMost)+" characters. Paste one address, or a chain, a slash and one address."
	case strings.ContainsFunc(p.Around, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }):
		p.Problem = "That is no address: it holds white space. Paste one address, or a chain, a slash and one address."
	case s.Wallets == nil:
		p.Problem = "No graph of addresses is kept here."
	default:
		people = s.typedAddresses(c.ctx())
		s.Wallets.Wallets(func(g *wallet.Graph) { s.lookAround(sight{g, people}, &p) })
	}
	p.Keeper = s.graphKeeper()
	s.World.Look(func(v projection.View) {
		p.Base = c.base("Wallets", "wallets", v)
		if p.Wallet != nil {
			p.Wallet.Rooms = s.roomsWith(v, people, p.Wallet.Chain, p.Wallet.Address)
		}
	})
	return c.page(http.StatusOK, views.WalletsView(p))
}

// lookAround fills a page from the graph.
func (s *Server) lookAround(g sight, p *views.WalletsPage) {
	now := s.now()
	edges, addresses, dropped := g.Size()
	if edges > 0 {
		p.Size = counted(edges, "transfer", "transfers") + " between " + counted(addresses, "address", "addresses") + " are known"
		p.Dropped = dropped
	}
	if p.Around == "" {
		return
	}
	chain, address, both := strings.Cut(p.Around, "/")
	if both {
		chain = s.chainNamed(chain)
	} else {
		chain, address = "", p.Around
		for _, ch := range s.Chains.List() {
			if id := wallet.ID(ch.ID, address); knownWallet(g, id, now) || len(g.typed[id]) > 0 {
				p.Either = append(p.Either, views.Wallet{Chain: ch.ID, ChainName: ch.Name, Address: address})
			}
		}
		switch len(p.Either) {
		case 0:
			p.Wallet = &views.Wallet{ChainName: "on any chain", Address: address}
			return
		case 1:
			chain, p.Either = p.Either[0].Chain, nil
		default:
			return
		}
	}
	id := wallet.ID(chain, address)
	if address == "" || chain == "" {
		p.Problem = "Write the chain, a slash and the address, like ethereum/0x88a6…, or the address alone."
		return
	}
	p.Around = chain + "/" + address
	w := views.Wallet{Chain: chain, ChainName: s.chainName(chain), Address: address, Following: s.Wallets.Following(id), Seen: knownWallet(g, id, now)}
	p.Wallet = &w
	if !w.Seen {
		return
	}
	s.tellWallet(g, id, now, &w)
	pic := g.Picture([]string{id}, p.Hops, walletShown, now)
	if len(pic.Nodes) > 1 {
		drawn := s.drawWallets(g, pic, []string{id}, now)
		drawn.Title = "Who paid whom, " + counted(p.Hops, "step", "steps") + " away"
		p.Graph = &drawn
	}
}

// graphKeeper is the replica whose graph grows, "" when it is this one or nobody can tell.
func (s *Server) graphKeeper() (id string) {
	for _, r := range s.Replication().Replicas {
		if r.Collects && r.This {
			return ""
		}
		if r.Collects && r.Alive {
			id = r.ID
		}
	}
	return id
}

// roomsWith are the incidents that list an address: the open ones, and those that were closed lately.
func (s *Server) roomsWith(v projection.View, people typed, chain, address string) (out []views.WalletRoom) {
	id := wallet.ID(chain, address)
	for _, st := range v.Open() {
		for _, a := range st.Addresses {
			if wallet.ID(s.chainNamed(a.Chain), a.Address) == id {
				out = append(out, views.WalletRoom{Number: st.Number, Title: st.Title, Kind: string(a.Kind)})
			}
		}
	}
	for _, l := range people[id] {
		if c, err := v.Card(l.room); err == nil && !c.Open() {
			kind, _, _ := strings.Cut(l.Name, ",")
			out = append(out, views.WalletRoom{Number: c.Number, Title: c.Title, Kind: kind, Closed: true})
		}
	}
	return out
}

func knownWallet(g sight, id string, now int64) bool {
	return g.Degree(id) > 0 || len(g.Graph.Labels(id, now)) > 0
}

// walletsHref is the page of an address.
func walletsHref(id string) string { return "/wallets?around=" + escapeQuery(id) }
