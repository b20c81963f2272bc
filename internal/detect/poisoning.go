package detect

import (
	"fmt"
	"math"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// KindPoisoning is the kind of finding that Poisoning makes.
const KindPoisoning = "address_poisoning"

// The rule. Somebody makes an address whose ends look like one that the victim pays, and lets it appear in the victim's history by a transfer
// of nothing, of dust or of a false token of the same name. arXiv 2501.16681 counted 270 million attempts and 6,633 losses, and found that the
// common rule of four equal digits at both ends misses most; seven in all, at least one at each end, is what is asked here.
const (
	mostVictims  = 10_000 // remembered
	mostPaid     = 16     // recipients of one victim
	alikeDigits  = 7
	dustUSD      = 1.0
	dustShare    = 0.001          // of what was really paid
	poisonLasts  = 24 * 3_600_000 // ms
	tokensKnown  = 4096
	tokenTrusted = 20 // times seen before a name belongs to its contract
)

// Poisoning watches for addresses that imitate those an account pays. When accounts of our own are watched, only those are judged.
type Poisoning struct {
	keeper[poisoning]
	watch watchlist
	only  bool
}

type poisoning struct {
	Victims recent[victim]
	Tokens  recent[naming] // by chain and symbol
}

// victim is an account, whom it really paid, and who imitates them.
type victim struct {
	Paid  []paid
	Traps []string // the newest lookalikes
}

type paid struct {
	To    string
	Value float64 // dollars, 0 = not priced
}

// naming is the contract that a symbol belongs to: the one seen most, by the vote of Boyer and Moore.
type naming struct {
	Token string
	Votes int
}

// NewPoisoning starts to watch.
func NewPoisoning(c Config) *Poisoning {
	p := &Poisoning{watch: newWatchlist(c.Watched)}
	for _, w := range c.Watched {
		p.only = p.only || w.Kind != "attacker" && w.Kind != "mixer" && w.Kind != "exchange"
	}
	p.keeper = newKeeper("address_poisoning", 1, func() poisoning {
		return poisoning{newRecent[victim](mostVictims / 2), newRecent[naming](tokensKnown / 2)}
	}, KindPoisoning)
	return p
}

// Observe implements Heuristic.
func (p *Poisoning) Observe(o observation.Observation) []chain.Finding {
	out := p.book.advance(o.At)
	if o.Kind != observation.Transfer || o.From == "" || o.To == "" || o.Removed || p.twice(o) {
		return out
	}
	from, to, on := account(cut(o.From, 100)), account(cut(o.To, 100)), cut(o.Chain, 60)
	if from == to {
		return out
	}
	counterfeit := p.falseToken(o, on)
	v := priced(o)
	nothing := number(o.Amount) == 0
	tiny := nothing || counterfeit || o.USD != nil && v < dustUSD
	if p.judged(on, from) {
		a := p.s.Victims.get(on + "|" + from)
		if a != nil && !tiny && has(a.Traps, to) {
			out = append(out, p.lost(o, on, from, to, v)...)
		}
		if alike, n := a.lookalike(to); tiny && alike.To != "" {
			out = append(out, p.trap(o, a, on, from, to, alike.To, n, counterfeit)...)
		} else if !tiny && number(o.Amount) > 0 {
			p.s.Victims.need(on+"|"+from).pay(to, v)
		}
	}
	if p.judged(on, to) {
		a := p.s.Victims.get(on + "|" + to)
		if alike, n := a.lookalike(from); alike.To != "" && (tiny || v > 0 && v < dustShare*alike.Value) {
			out = append(out, p.trap(o, a, on, to, from, alike.To, n, counterfeit)...)
		}
	}
	return out
}

// Tick implements Heuristic.
func (p *Poisoning) Tick(at int64) []chain.Finding { return p.tick(at) }

func (p *Poisoning) judged(on, address string) bool {
	if !p.only {
		return true
	}
	w, ok := p.watch.find(on, address)
	return ok && w.Kind != "attacker" && w.Kind != "mixer" && w.Kind != "exchange"
}

// falseToken tells whether a token bears the name that another contract has long had.
func (p *Poisoning) falseToken(o observation.Observation, on string) bool {
	if o.Symbol == "" {
		return false
	}
	n, token := p.s.Tokens.need(on+"|"+strings.ToUpper(cut(o.Symbol, 40))), account(cut(o.Token, 100))
	switch {
	case n.Token == token:
		n.Votes = min(n.Votes+1, 1000)
	case n.Votes >= tokenTrusted:
		n.Votes--
		return true
	case n.Votes > 0:
		n.Votes--
	default:
		n.Token, n.Votes = token, 1
	}
	return false
}

// pay remembers whom the account really pays, the newest last.
func (a *victim) pay(to string, v float64) {
	for i, x := range a.Paid {
		if x.To == to {
			v = max(v, x.Value)
			a.Paid = append(a.Paid[:i], a.Paid[i+1:]...)
			break
		}
	}
	if a.Paid = append(a.Paid, paid{to, v}); len(a.Paid) > mostPaid {
		a.Paid = a.Paid[1:]
	}
}

// lookalike finds whom an address imitates, and by how many digits.
func (a *victim) lookalike(address string) (best paid, digits int) {
	if a == nil {
		return
	}
	for _, x := range a.Paid {
		if x.To == address {
			return paid{}, 0
		}
		if n := alike(x.To, address); n >= alikeDigits && n > digits {
			best, digits = x, n
		}
	}
	return
}

// alike counts the equal characters at both ends, without 0x; 0 when an end has none.
func alike(a, b string) int {
	a, b = strings.TrimPrefix(a, "0x"), strings.TrimPrefix(b, "0x")
	if len(a) != len(b) || a == b {
		return 0
	}
	lead, trail := 0, 0
	for lead < len(a) && a[lead] == b[lead] {
		lead++
	}
	for trail < len(a) && a[len(a)-1-trail] == b[len(b)-1-trail] {
		trail++
	}
	if lead == 0 || trail == 0 {
		return 0
	}
	return lead + trail
}

func (p *Poisoning) trap(o observation.Observation, a *victim, on, who, trap, real string, n int, falseToken bool) []chain.Finding {
	if !has(a.Traps, trap) {
		if a.Traps = append(a.Traps, trap); len(a.Traps) > mostPaid {
			a.Traps = a.Traps[1:]
		}
	}
	if e := p.book.Entries[key(on, KindPoisoning, who)]; e != nil && e.Open && rank(e.Finding.Severity) < rank("SEV5") {
		e.Until = p.book.Now + poisonLasts // a loss is not overwritten by an attempt
		return nil
	}
	how := "of nothing"
	switch {
	case falseToken:
		how = "of a false token named " + cut(o.Symbol, 20)
	case number(o.Amount) > 0:
		how = "of next to nothing"
	}
	return p.book.raise(chain.Finding{Key: key(on, KindPoisoning, who), Kind: KindPoisoning, Chain: on, Subject: who, Severity: "SEV5", Drill: o.Drill,
		Score: min(float64(len(a.Paid)*n)*math.Pow(16, -float64(n)), 1), Title: p.name(on, who) + ": somebody imitates an address it pays",
		Reason: fmt.Sprintf("A transfer %s shows %s, which looks like %s that %s really paid: %d equal digits at the ends. Copy no address from the history.", how, shortened(trap), shortened(real),
			p.name(on, who), n),
		Evidence: proof(map[string]any{"tx": cut(o.Tx, 100), "victim": who, "lookalike": trap, "imitates": real, "equal_digits": n, "traps": a.Traps, "token": cut(o.Token, 100)})},
		life{lasts: poisonLasts, why: "For 24 hours nobody imitated an address that it pays."})
}

// lost tells that somebody was taken in.
func (p *Poisoning) lost(o observation.Observation, on, who, trap string, v float64) []chain.Finding {
	f := chain.Finding{Key: key(on, KindPoisoning, who), Kind: KindPoisoning, Chain: on, Subject: who, Severity: "SEV4", Drill: o.Drill, Title: p.name(on, who) + ": paid an address that imitates another",
		Reason:   fmt.Sprintf("%s paid %s to %s, which was put into its history to imitate another address. The money is most likely lost; tell the exchanges.", p.name(on, who), where(worth(v), grouped(cut(o.Amount, 60))), shortened(trap)),
		Evidence: proof(map[string]any{"tx": cut(o.Tx, 100), "victim": who, "lookalike": trap, "amount": cut(o.Amount, 110), "usd": v})}
	if p.only {
		f.Severity = "SEV2"
	}
	return p.book.raise(f, life{lasts: poisonLasts, why: "24 hours have passed since."})
}

func worth(v float64) string {
	if v <= 0 {
		return ""
	}
	return dollars(v)
}

func (p *Poisoning) name(on, address string) string {
	if w, ok := p.watch.find(on, address); ok {
		return w.name()
	}
	return shortened(address)
}
