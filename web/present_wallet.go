package web

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/internal/wallet"
	"github.com/tocsin-ops/tocsin/views"
)

// What stands out. The numbers are those of the detectors of layering.
const (
	fanSpan  = 3_600_000
	fanLeast = 10
	peelHops = 5
)

func escapeQuery(s string) string { return url.QueryEscape(s) }

// tellWallet says in words what the graph knows of an address.
func (s *Server) tellWallet(g sight, id string, now int64, w *views.Wallet) {
	in, out := g.In(id), g.Out(id)
	w.In, w.Out = sums(in, "from", func(e wallet.Edge) string { return e.From }), sums(out, "to", func(e wallet.Edge) string { return e.To })
	for _, list := range [][]wallet.Edge{in, out} {
		if len(list) > 0 {
			if w.First == 0 || list[0].At < w.First {
				w.First = list[0].At
			}
			w.Last = max(w.Last, list[len(list)-1].At)
		}
	}
	w.Kind, w.Public = walletKind(g.Type(id, now)), g.Public(id, now)
	for _, l := range g.Graph.Labels(id, now) {
		w.Labels = append(w.Labels, views.WalletLabel{Name: l.Name, Type: walletKind(l.Type), Source: l.Source, At: l.At, Until: l.Until})
	}
	for _, l := range g.typed[id] {
		w.Labels = append(w.Labels, views.WalletLabel{Name: cmp.Or(l.note, l.Name), Type: walletKind(l.Type), Source: l.Source, Room: l.room, At: l.At})
	}
	if !w.Public {
		w.Signs = signs(g, id, now)
	}
	for _, back := range []bool{false, true} {
		if p, ok := g.Shortest(id, wallet.Search{Backward: back, At: now, Ends: func(id string, _ []wallet.Label, _ wallet.Type) bool { return len(g.Labels(id, now)) > 0 }}); ok {
			w.Paths = append(w.Paths, tellPath(g, p, back, now))
		}
	}
	members, links := s.hands.of(g.Graph, id, now)
	for _, m := range members {
		if m == id {
			continue
		}
		if len(w.Hand) == handShown {
			w.HandMore++
			continue
		}
		_, address, _ := strings.Cut(m, "/")
		x := views.WalletMember{Address: address, Href: walletsHref(m)}
		if l := g.Labels(m, now); len(l) > 0 {
			x.Name = l[0].Name
		}
		for _, l := range links {
			if l.A == m || l.B == m {
				x.Reason, x.At = because(g, l, m, now), l.At
				if l.A == id || l.B == id {
					break // the reason that concerns this address itself
				}
			}
		}
		w.Hand = append(w.Hand, x)
	}
}

func walletKind(t wallet.Type) string {
	switch t {
	case wallet.Account:
		return "account"
	case wallet.Flagged:
		return "attacker"
	}
	return string(t)
}

// sums is "4.1 M$ in 12 transfers from 3 addresses".
func sums(list []wallet.Edge, word string, far func(wallet.Edge) string) string {
	if len(list) == 0 {
		return "nothing"
	}
	usd, priced, others := 0.0, 0, map[string]bool{}
	for _, e := range list {
		others[far(e)] = true
		if e.USD > 0 {
			usd, priced = usd+e.USD, priced+1
		}
	}
	text := counted(len(list), "transfer", "transfers") + " " + word + " " + counted(len(others), "address", "addresses")
	switch {
	case priced == 0:
		return text + ", none of them priced"
	case priced < len(list):
		return dollars(usd) + " in " + text + "; " + strconv.Itoa(len(list)-priced) + " not priced"
	}
	return dollars(usd) + " in " + text
}

// signs are what stands out of an address, in sentences.
func signs(g sight, id string, now int64) (out []string) {
	if f := g.FanOut(id, fanSpan); len(f.Others) >= fanLeast {
		out = append(out, fmt.Sprintf("Fan-out: it paid %d addresses that had never been seen, within %s from %s%s.", len(f.Others), spanWords(f.To-f.From), utc(f.From), ofDollars(f.USD)))
	}
	if f := g.FanIn(id, fanSpan); len(f.Others) >= fanLeast {
		t := fmt.Sprintf("Fan-in: %d addresses paid it within %s from %s%s", len(f.Others), spanWords(f.To-f.From), utc(f.From), ofDollars(f.USD))
		if f.Onwards > 0 {
			t += fmt.Sprintf("; %.0f %% of that had gone on an hour later", 100*f.Onwards)
		}
		out = append(out, t+".")
	}
	if chain := g.Peel(id); len(chain) >= peelHops {
		last := chain[len(chain)-1]
		out = append(out, fmt.Sprintf("Peel chain: %s that it paid on %s went on %d times, each time within a day and more than nine tenths in one piece, to %s.", paid(chain[0]), utc(chain[0].At), len(chain)-1, walletName(g, last.To, now)))
	}
	return out
}

func ofDollars(usd float64) string {
	if usd <= 0 {
		return ""
	}
	return ", " + dollars(usd) + " in all"
}

func tellPath(g sight, p wallet.Path, back bool, now int64) views.WalletPath {
	end := walletName(g, p.End, now)
	if k := walletKind(g.Type(p.End, now)); k != "" && !strings.HasPrefix(end, k+", #") {
		end += " (" + k + ")"
	}
	v := views.WalletPath{Title: "Money went to " + end + " in " + counted(len(p.Hops), "step", "steps")}
	hops := slices.Clone(p.Hops)
	if back {
		v.Title = "Money came from " + end + " in " + counted(len(hops), "step", "steps")
		slices.Reverse(hops)
	}
	if p.USD > 0 {
		v.Says = "At most " + dollars(p.USD) + " can have taken this way."
	}
	if !p.Whole {
		v.Says = strings.TrimSpace(v.Says + " The search met its bound; there may be a shorter way.")
	}
	for _, e := range hops {
		v.Hops = append(v.Hops, views.WalletHop{At: e.At, From: walletName(g, e.From, now), To: walletName(g, e.To, now), FromHref: walletsHref(e.From), ToHref: walletsHref(e.To), Amount: paid(e), Tx: e.Tx})
	}
	return v
}

// because says why two addresses are thought to be of one hand.
func because(g sight, l wallet.Link, m string, now int64) string {
	other := l.A
	if other == m {
		other = l.B
	}
	with := walletName(g, other, now)
	switch l.Reason {
	case wallet.CommonInput:
		return "spent together with " + with + " in one transaction, " + shortAddress(l.By) + ", " + utc(l.At)
	case wallet.DepositReuse:
		return "pays, as " + with + " does, into " + walletName(g, l.By, now) + ", which only passes on to an exchange"
	case wallet.CommonFunding:
		return "got its first coins from " + walletName(g, l.By, now) + ", as " + with + " did within a day of it"
	}
	return string(l.Reason)
}

// walletName is an address's label, or the address shortened.
func walletName(g sight, id string, now int64) string {
	if l := g.Labels(id, now); len(l) > 0 && l[0].Name != "" {
		return l[0].Name
	}
	_, address, _ := strings.Cut(id, "/")
	return shortAddress(address)
}

func shortAddress(a string) string {
	if len(a) <= 16 {
		return a
	}
	head := 6
	if strings.HasPrefix(a, "0x") {
		head = 8
	}
	return a[:head] + "…" + a[len(a)-6:]
}

// paid is what a transfer moved: "100 WBTC (2.3 M$)".
func paid(e wallet.Edge) string {
	t := amount(e.Amount) + " " + unit(e.Token, e.Symbol)
	if e.USD > 0 {
		t += " (" + dollars(e.USD) + ")"
	}
	return t
}

func unit(token, symbol string) string {
	switch {
	case symbol != "":
		return symbol
	case token != "":
		return shortAddress(token)
	}
	return "coins"
}

// amount groups a decimal for people and keeps six places.
func amount(s string) string {
	whole, places, _ := strings.Cut(s, ".")
	places = strings.TrimRight(places[:min(len(places), 6)], "0")
	var b strings.Builder
	for i, r := range whole {
		if i > 0 && len(whole) > 4 && (len(whole)-i)%3 == 0 {
			b.WriteRune('\u202f')
		}
		b.WriteRune(r)
	}
	if places != "" {
		b.WriteString("." + places)
	}
	return b.String()
}

// dollars writes a sum for a glance: 950 $, 12.3 k$, 4.1 M$, 1.2 bn$.
func dollars(v float64) string {
	switch {
	case v >= 999.5e6:
		return three(v/1e9) + "\u202fbn$"
	case v >= 999.5e3:
		return three(v/1e6) + "\u202fM$"
	case v >= 999.5:
		return three(v/1e3) + "\u202fk$"
	}
	return three(v) + "\u202f$"
}

func three(v float64) string {
	if v >= 99.95 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(int64(n)) + " " + many
}

func utc(ms int64) string { return time.UnixMilli(ms).UTC().Format("2 Jan 15:04 UTC") }

func spanWords(ms int64) string {
	switch m := (ms + 59_999) / 60_000; {
	case m <= 1:
		return "one minute"
	case m < 120:
		return strconv.FormatInt(m, 10) + " minutes"
	default:
		return strconv.FormatInt(m/60, 10) + " hours"
	}
}

// signalPicture is the graph around the addresses that a signal names, nil when it names none that are known.
func (s *Server) signalPicture(ctx context.Context, sig signal.Signal) (out *views.Picture) {
	if s.Wallets == nil || sig.Chain == "" || sig.Drill {
		return nil
	}
	named := []string{sig.Subject}
	if subject, _, cut := strings.Cut(sig.Subject, ":"); cut {
		named = append(named, subject)
	}
	var evidence any
	if json.Unmarshal(sig.Evidence, &evidence) == nil {
		named = texts(evidence, named)
	}
	around := s.knownWallets(sig.Chain, named)
	if len(around) == 0 {
		return nil // most signals: what people typed is not read for them
	}
	people := s.typedAddresses(ctx)
	s.Wallets.Wallets(func(graph *wallet.Graph) {
		g, now := sight{graph, people}, s.now()
		drawn := s.drawWallets(g, g.Picture(around, 1, signalShown, now), around, now)
		drawn.Title = "Wallets around it"
		out = &drawn
	})
	return out
}

// knownWallets are the ids of the first texts that are addresses of the graph, at most signalAround, each once.
func (s *Server) knownWallets(chain string, texts []string) (around []string) {
	s.Wallets.Wallets(func(g *wallet.Graph) {
		for _, text := range texts {
			id := wallet.ID(chain, text)
			if g.Degree(id) > 0 && !slices.Contains(around, id) {
				if around = append(around, id); len(around) == signalAround {
					return
				}
			}
		}
	})
	return around
}

// mostTexts is how many texts of a signal's evidence are looked up.
const mostTexts = 500

// texts adds those that a JSON value holds, and that could be addresses.
func texts(v any, found []string) []string {
	if len(found) >= mostTexts {
		return found
	}
	switch v := v.(type) {
	case string:
		if len(v) >= 4 && len(v) <= 140 && !strings.ContainsAny(v, " \n\t") {
			found = append(found, v)
		}
	case []any:
		for _, x := range v {
			found = texts(x, found)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			found = texts(v[k], found)
		}
	}
	return found
}
