package impact

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// heap collects the reasons of one axis.
type heap struct{ all []Reason }

func (h *heap) add(points float64, from From, format string, args ...any) {
	h.all = append(h.all, Reason{Points: int(math.Round(min(max(points, 0), 100))), Sentence: shorten(fmt.Sprintf(format, args...), MaxSentence), From: from})
}

// raise is how much of what is left to 100 a further reason fills, per point.
const raise = 0.15

// axis weighs the reasons: the weightiest counts whole, each further one fills a little of what is left. That is monotone in every reason, and
// does not depend on their order. An axis without reasons is not known.
func (h *heap) axis(name string, weight float64) Axis {
	slices.SortStableFunc(h.all, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Points, a.Points), strings.Compare(a.From.Kind, b.From.Kind), strings.Compare(a.From.Name, b.From.Name),
			strings.Compare(a.From.Ref, b.From.Ref), strings.Compare(a.Sentence, b.Sentence))
	})
	a := Axis{Name: name, Weight: weight, Known: len(h.all) > 0, Reasons: h.all[:min(len(h.all), MaxReasons)]}
	left := 1.0
	for i, r := range h.all {
		p := float64(r.Points) / 100
		if i > 0 {
			p *= raise
		}
		left *= 1 - p
	}
	a.Points = int(math.Round(100 * (1 - left)))
	return a
}

// Points of a service that is hit, and of a regulated one on the regulatory axis.
var (
	critical  = map[string]float64{Critical: 70, Important: 45, Normal: 20, "": 20}
	regulated = map[string]float64{Critical: 50, Important: 40, Normal: 15, "": 15}
)

func (k known) services() *heap {
	h := &heap{}
	if l, from, ok := k.list(FactCriticalService); ok {
		switch len(l) {
		case 0:
			h.add(0, from, "No critical service is hit.")
		case 1:
			h.add(75, from, "A critical service is hit: %s.", l[0])
		default:
			h.add(min(75+float64(len(l)-1)*8, 95), from, "%d critical services are hit: %s.", len(l), strings.Join(l, ", "))
		}
	}
	for _, x := range k.hit() {
		if s, ok := k.m.service(x.name); ok {
			h.add(critical[s.Criticality]*belief[x.rank-1], From{Kind: FromDeclare, Name: s.Name, At: k.Began}, "%s is affected; the configuration calls it %s.", s.Name, cmp.Or(s.Criticality, Normal))
		}
	}
	if v, from, ok := k.number(FactDowntime); ok {
		h.add(byDowntime.at(v), from, "It has been down for %s.", minutes(v))
	}
	k.eachKind(func(s Signal) {
		share := relevance[classOf(s.Kind)][k.m.column()]
		if s.Open {
			h.add(pointsOf[min(rank(s.Severity), 5)-1]*share/100, s.from(), "%s (%s).", s.title(), s.Severity)
		}
	})
	if len(h.all) == 0 && len(k.sigs) > 0 {
		last := k.sigs[0]
		for _, s := range k.sigs {
			if s.At > last.At {
				last = s
			}
		}
		h.add(0, last.from(), "Its signals have cleared.")
	}
	return h
}

// eachKind calls f with the worst open signal of each kind and subject's class: a hundred alerts of one kind are one reason.
func (k known) eachKind(f func(Signal)) {
	seen := map[string]bool{}
	for _, s := range k.sigs {
		if s.Open && !seen[s.Kind] {
			seen[s.Kind] = true
			f(s)
		}
	}
}

func (k known) users() *heap {
	h := &heap{}
	n, from, ok := k.number(FactUsersAffected)
	if ok {
		h.add(byUsers.at(n), from, "%s users are affected.", Count(n))
		if k.m.UsersTotal > 0 {
			share := min(100*n/k.m.UsersTotal, 100)
			h.add(byShare.at(share), from, "That is %s of all %s users.", percent(share), Count(k.m.UsersTotal))
		}
	}
	for _, x := range []struct {
		fact string
		by   scale
		say  string
	}{
		{FactUsersShare, byShare, "%s of the users are affected."},
		{FactTransactions, byShare, "%s of a usual day's transactions are affected."},
		{FactCounterparts, byPartners, "%s of the counterparts are affected."},
	} {
		if v, from, ok := k.number(x.fact); ok {
			h.add(x.by.at(v), from, x.say, percent(v))
		}
	}
	if ok {
		return h // who counted them needs no assumption
	}
	for _, x := range k.hit() {
		if s, ok := k.m.service(x.name); ok && s.Users > 0 {
			from := From{Kind: FromAssumed, Name: "impact.services." + s.Name, At: k.At}
			h.add(byUsers.at(float64(s.Users))*belief[x.rank-1], from, "%s has %s users; it is assumed that all feel it.", s.Name, Count(float64(s.Users)))
		}
	}
	return h
}

func (k known) money(loss Loss) *heap {
	h := &heap{}
	share := func(v float64, from From, what string) {
		if k.m.HeldUSD > 0 && v > 0 {
			p := min(100*v/k.m.HeldUSD, 100)
			h.add(byHeldShare.at(p), from, "%s of the %s held %s.", percent(p), USD(k.m.HeldUSD), what)
		}
	}
	if v, from, ok := k.number(FactMoneyAtRisk); ok {
		h.add(byMoney.at(v), from, "%s is at risk.", USD(v))
		share(v, from, "is at risk")
	}
	if v, from, _ := k.choice(FactFundsMoving); v == "yes" {
		h.add(85, from, "Funds are moving, and nobody explains it.")
	}
	if v, from, ok := k.number(FactMoneyMoved); ok {
		net, said := v, USD(v)+" was taken."
		if back, _, ok := k.number(FactMoneyFrozen); ok && back > 0 {
			net = max(v-back, 0)
			said = fmt.Sprintf("%s was taken, %s of it is frozen or back.", USD(v), USD(back))
		}
		h.add(min(byMoney.at(net)+5, 100)*sign(net), from, "%s", said)
		share(net, from, "is gone")
	}
	k.eachKind(func(s Signal) {
		if c := classOf(s.Kind); c == backing || c == account || c == ledger {
			k.taken(h, slices.DeleteFunc(slices.Clone(k.sigs), func(x Signal) bool { return !x.Open || x.Kind != s.Kind }), "at least ")
		}
	})
	explained, _, _ := k.choice(FactFundsMoving)
	if _, _, counted := k.number(FactMoneyMoved); !counted && explained != "no" {
		for _, s := range k.sigs { // what left does not come back when the signal clears
			if !s.Open && (classOf(s.Kind) == backing || s.Kind == "double_spend") && rank(s.Severity) <= 2 {
				k.taken(h, []Signal{s}, "it has cleared; at least ")
			}
		}
	}
	if loss.Known {
		h.add(byLoss.at(loss.PerMinute), loss.From, "A minute costs %s.", USD(loss.PerMinute))
	}
	return h
}

// taken is what the evidence of signals of one kind says of money: of all of them, the most. It is that of their opening, so it is a least.
func (k known) taken(h *heap, sigs []Signal, least string) {
	var amount, part struct {
		points, value float64
		of            Signal
	}
	for _, s := range sigs {
		sure := belief[min(rank(s.Severity), 5)-1]
		v := max(s.Numbers["net_usd"], s.Numbers["usd"])
		if s.Numbers["before_usd"] > 0 {
			v = max(v, s.Numbers["before_usd"]-s.Numbers["tvl_usd"])
		}
		if p := byMoney.at(v) * sure; v > 0 && (amount.value == 0 || p > amount.points) {
			amount.points, amount.value, amount.of = p, v, s
		}
		v = min(100*max(s.Numbers["lost"], s.Numbers["share"], s.Numbers["ratio"]), 100)
		if p := byHeldShare.at(v) * sure; v > 0 && classOf(s.Kind) == backing && (part.value == 0 || p > part.points) {
			part.points, part.value, part.of = p, v, s
		}
	}
	if amount.value > 0 {
		h.add(amount.points, amount.of.from(), "%s: %s%s.", amount.of.title(), least, USD(amount.value))
	}
	if part.value > 0 {
		h.add(part.points, part.of.from(), "%s: %s%s of the value.", part.of.title(), least, percent(part.value))
	}
}

func sign(v float64) float64 {
	if v > 0 {
		return 1
	}
	return 0
}

func (k known) regulatory(major *Major) *heap {
	h := &heap{}
	for _, x := range []struct {
		fact string
		say  map[string]string
	}{
		{FactMaliciousAccess, map[string]string{"no": "Nobody got in.", "suspected": "It is suspected that somebody got in who must not.", "yes": "Somebody got in who must not."}},
		{FactDataLoss, map[string]string{"no": "No data was lost.", "possible": "Data may have been lost or seen.", "yes": "Data was lost, changed or seen."}},
	} {
		if v, from, ok := k.choice(x.fact); ok {
			h.add(map[string]float64{"no": 0, "suspected": 45, "possible": 45, "yes": 70}[v], from, "%s", x.say[v])
		}
	}
	if l, from, ok := k.list(FactMemberStates); ok {
		switch len(l) {
		case 0:
			h.add(0, from, "No member state of the EU is affected.")
		case 1:
			h.add(25, from, "One member state of the EU is affected: %s.", l[0])
		default:
			h.add(min(50+float64(len(l)), 70), from, "%d member states of the EU are affected: %s.", len(l), strings.Join(l, ", "))
		}
	}
	if l, from, ok := k.list(FactRegulators); ok {
		if len(l) == 0 {
			h.add(0, from, "No authority must be told.")
		} else {
			h.add(min(55+5*float64(len(l)), 80), from, "To be told: %s.", strings.Join(l, ", "))
		}
	}
	if v, from, ok := k.number(FactSameCause); ok {
		h.add(min(40*sign(v)+10*max(v-1, 0), 70), from, "%s of the last six months had the same cause.", incidents(v))
	}
	for _, x := range k.hit() {
		if s, ok := k.m.service(x.name); ok && s.Regulated {
			h.add(regulated[s.Criticality]*belief[x.rank-1], From{Kind: FromDeclare, Name: s.Name, At: k.Began}, "%s is a regulated service.", s.Name)
		}
	}
	if major != nil && major.Answer == Yes {
		h.add(90, From{Kind: FromAssumed, Name: "Regulation (EU) 2024/1772", At: k.At}, "%s", major.Sentence)
	}
	return h
}

func incidents(n float64) string {
	if n == 1 {
		return "One incident"
	}
	return Count(n) + " incidents"
}

func (k known) sentiment() *heap {
	h := &heap{}
	if v, from, ok := k.choice(FactPress); ok {
		h.add(map[string]float64{"none": 0, "social": 35, "trade": 60, "national": 90}[v], from, "%s",
			map[string]string{"none": "Nobody writes about it.", "social": "Social media talk about it.", "trade": "The trade press writes about it.", "national": "National press and television report it."}[v])
	}
	if v, from, ok := k.choice(FactSentiment); ok {
		h.add(map[string]float64{"calm": 0, "worried": 35, "angry": 65, "panic": 95}[v], from, "%s",
			map[string]string{"calm": "Clients are calm.", "worried": "Clients are worried.", "angry": "Clients are angry.", "panic": "Clients panic."}[v])
	}
	return h
}
