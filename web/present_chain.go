package web

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/views"
)

// chains presents every configured chain in the order of configuration;
// chains that only a drill feeds come after them.
func (s *Server) presentChains() views.Chains { return s.chainCards(s.incidentOfChain()) }

// chainCards are the cards of all chains, each with the incident that is the chain's.
func (s *Server) chainCards(incidents map[string]int64) views.Chains {
	seen := map[string]chain.View{}
	var rest []chain.View
	for _, v := range s.Telemetry.Views() {
		seen[v.Chain] = v
		rest = append(rest, v)
	}
	var out views.Chains
	for _, c := range s.Chains.List() {
		v, ok := seen[c.ID]
		if !ok {
			v = chain.View{Chain: c.ID, Family: chain.Family(c.Family), Height: -1, HeadAge: -1, Status: "waiting", Safe: -1, Finalized: -1}
		}
		delete(seen, c.ID)
		out.Chains = append(out.Chains, presentChain(v, c.Name, incidents[c.ID]))
	}
	for _, v := range rest {
		if _, left := seen[v.Chain]; left {
			out.Chains = append(out.Chains, presentChain(v, "", incidents[v.Chain]))
		}
	}
	return out
}

var findingWords = map[string]string{
	chain.FindingReorg: "reorg", chain.FindingStall: "stalled", chain.FindingLag: "node behind",
	chain.FindingHalted: "node halted", chain.FindingDivergence: "diverged", chain.FindingUnreachable: "node down",
	chain.FindingBlind: "unreachable", chain.FindingWrongChain: "wrong chain", chain.FindingSyncing: "syncing", chain.FindingHeadersOnly: "hidden branch",
	chain.FindingDistrusted: "node not trusted", chain.FindingAttack: "signs of attack", chain.FindingFeeSpike: "fees high", chain.FindingMempoolFull: "pool full",
	chain.FindingFinality: "not finalized", chain.FindingEclipse: "node cut off",
}

// presentChain is one chain's card. It does not depend on the time of
// rendering, only on what was observed, so that an unchanged chain renders to
// the same bytes.
func presentChain(v chain.View, name string, incident int64) views.Chain {
	c := views.Chain{
		ID: v.Chain, Name: cmp.Or(name, v.Network, v.Chain), Family: string(v.Family), State: "normal",
		Head: v.Height, HeadHash: v.Head.Hash, HeadAt: v.Head.Time, Incident: incident, Drill: v.Drill, Href: "/chains",
		StaleMs: staleAfter(v),
	}
	if v.Height < 0 {
		c.State, c.Head, c.HeadAt, c.HeadHash = "unknown", -1, 0, ""
		c.Says = cmp.Or(v.Sentence, "No node has shown a block yet.")
	}
	best := ""
	for _, n := range v.Nodes {
		if n.Height == v.Height && n.State == chain.Up && best == "" {
			best = n.Name
		}
		c.Nodes = append(c.Nodes, presentNode(n, c.StaleMs, v))
	}
	c.Voices = voices(v, c.Nodes)
	c.HeadNode = best
	if v.Status == "blind" {
		c.State = "unknown"
	}
	if i := slices.IndexFunc(v.Findings, func(f chain.Finding) bool { return !f.Weak }); i >= 0 { // weak ones are for review
		worst := v.Findings[i]
		c.State, c.Severity, c.Word, c.Says = "abnormal", worst.Severity, cmp.Or(findingWords[worst.Kind], worst.Kind), sentence(worst)
		switch worst.Kind {
		case chain.FindingBlind:
			c.State = "unknown"
		case chain.FindingDistrusted: // and why: the nodes' own lines have no room on a wall with an incident
			why, _, _ := strings.Cut(worst.Reason, ". ")
			c.Says += ". " + strings.TrimSuffix(why, ".") + "."
		}
	}
	for _, i := range v.Intervals {
		c.Spark = append(c.Spark, float64(i.MS)/1000)
	}
	c.SparkOf = fmt.Sprintf("block interval in seconds, last %d blocks", len(v.Intervals))
	c.Metrics = chainMetrics(v, best)
	return c
}

// voices says when nodes of a chain are of one operator, and marks those; "" when each is of its own.
func voices(v chain.View, nodes []views.Node) string {
	of, names := map[string][]int{}, []string{}
	for i, n := range v.Nodes {
		key := strings.ToLower(n.Operator)
		if key == "" {
			return ""
		}
		if of[key] == nil {
			names = append(names, key)
		}
		of[key] = append(of[key], i)
	}
	if len(names) == len(v.Nodes) {
		return ""
	}
	says := fmt.Sprintf("%d nodes, %d %s", len(v.Nodes), len(names), plural(len(names), "operator", "operators"))
	if len(names) == 1 {
		says += ": nothing can be confirmed"
	}
	for _, key := range names {
		if len(of[key]) < 2 {
			continue
		}
		list := []string{}
		for _, i := range of[key] {
			nodes[i].Operator = v.Nodes[i].Operator
			list = append(list, v.Nodes[i].Name)
		}
		if len(names) > 1 {
			says += fmt.Sprintf("; %s are of %s and count as one", strings.Join(list, ", "), v.Nodes[of[key][0]].Operator)
		}
	}
	return says + "."
}

// sentence is a finding's title without the chain's id in front: the card names the chain.
func sentence(f chain.Finding) string {
	rest, ok := strings.CutPrefix(f.Title, f.Chain+": ")
	if !ok {
		return f.Title
	}
	return title(rest)
}

func staleAfter(v chain.View) int64 {
	if v.StallAfter > 0 {
		return v.StallAfter
	}
	return max(60_000, 5*v.Interval)
}

func presentNode(n chain.NodeView, stale int64, v chain.View) views.Node {
	out := views.Node{Name: n.Name, State: "up", Head: n.Height, SeenAt: n.Heard, StaleMs: max(30_000, stale), Lag: n.Lag, Peers: int(n.Peers), Client: n.Client}
	if n.Networks > 0 && n.Peers > 0 {
		out.Networks = fmt.Sprintf("%d peer %s", n.Networks, plural(int(n.Networks), "network", "networks"))
		if n.Networks > 1 && n.TopShare >= 0.5 {
			out.Networks += fmt.Sprintf(", %.0f %% in one", 100*n.TopShare)
		}
	}
	switch n.State {
	case chain.Up:
		for _, f := range v.Findings {
			if f.Subject != n.Name || f.Weak {
				continue
			}
			switch f.Kind {
			case chain.FindingLag:
				out.State = "behind"
			case chain.FindingHalted:
				out.State = "halted"
			case chain.FindingDivergence:
				out.State = "diverged"
			case chain.FindingEclipse:
				if out.State == "up" {
					out.State = "behind"
				}
			}
			if f.Kind == chain.FindingEclipse || !slices.ContainsFunc(v.Findings, func(e chain.Finding) bool { return e.Kind == chain.FindingEclipse && e.Subject == n.Name }) {
				out.Says = sentence(f) // being cut off says why it is behind
			}
		}
	case chain.Down:
		out.State, out.Says = "down", n.Reason
	case chain.Syncing:
		out.State, out.Says = "syncing", n.Reason
	case chain.WrongChain:
		out.State, out.Says = "diverged", n.Reason
	case chain.Distrusted:
		out.State, out.Says = "distrusted", n.Reason
	default:
		out.State, out.Says = "unknown", n.Reason
	}
	return out
}

// chainMetrics are the figures of the card, in a fixed order for each family.
// Figures that no node offers say so instead of moving the others.
func chainMetrics(v chain.View, node string) []views.Metric {
	at := v.Head.SeenAt
	metric := func(label, value, unit string) views.Metric {
		if value == "" {
			return views.Metric{Label: label, Value: "–"}
		}
		return views.Metric{Label: label, Value: value, Unit: unit, At: at, Node: node}
	}
	mean := v.Interval
	if n := len(v.Intervals); mean == 0 && n > 0 { // nothing learned yet: the newest one
		mean = v.Intervals[n-1].MS
	}
	interval := metric("interval", seconds(mean), "s")
	interval.Abnormal = v.Status == "stalled"
	last := 0
	for _, r := range v.Reorgs {
		last = r.Depth
		break
	}
	reorg := views.Metric{Label: "last reorg", Value: "none"}
	if len(v.Reorgs) > 0 {
		r := v.Reorgs[0]
		reorg = views.Metric{Label: "last reorg", Value: strconv.Itoa(last), Unit: plural(last, "block", "blocks"), At: r.At, Abnormal: !r.Routine}
		if r.AtLeast {
			reorg.Value = "≥ " + reorg.Value
		}
	}
	attack := metric("attack cost", thousands(v.AttackCost), "USD")
	attack.Abnormal = v.AttackCost != nil && v.OpenDeposits != nil && *v.AttackCost < *v.OpenDeposits
	if v.Family == chain.Bitcoin {
		list := []views.Metric{
			interval,
			metric("mempool", count(v.Pending), "tx"),
			metric("fee rate", float(v.FeeRate, 1), "sat/vB"),
			metric("hash rate", thousands(v.HashRate), "H/s"),
			reorg,
		}
		if v.AttackCost != nil {
			list = append(list, attack)
		}
		return list
	}
	final := views.Metric{Label: "final", Value: "–"}
	if v.Finalized >= 0 && v.Height >= 0 {
		final = metric("final", "−"+strconv.FormatInt(v.Height-v.Finalized, 10), "blocks")
	} else if v.AttackCost != nil { // mined: nothing is final but by what it costs to undo
		final = attack
	}
	return []views.Metric{
		interval,
		metric("base fee", float(v.BaseFee, 2), "gwei"),
		metric("gas", percent(v.GasRatio), "%"),
		metric("pending", count(v.Pending), "tx"),
		final,
		reorg,
	}
}

func seconds(ms int64) string {
	switch {
	case ms <= 0:
		return ""
	case ms < 10_000:
		return strconv.FormatFloat(float64(ms)/1000, 'f', 1, 64)
	}
	return strconv.FormatInt(ms/1000, 10)
}

func float(f *float64, digits int) string {
	if f == nil {
		return ""
	}
	return strconv.FormatFloat(*f, 'f', digits, 64)
}

func percent(f *float64) string {
	if f == nil {
		return ""
	}
	return strconv.FormatFloat(*f*100, 'f', 0, 64)
}

func count(n *int64) string {
	if n == nil {
		return ""
	}
	return grouped(*n)
}

// thousands writes 6250 as 6.2 k, in steps of a thousand; nothing of nil.
func thousands(f *float64) string {
	if f == nil {
		return ""
	}
	v, i := *f, 0
	units := []string{"", "k", "M", "G", "T", "P", "E", "Z"}
	for v >= 1000 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + units[i]
}

// grouped writes 1234567 as 1 234 567 with thin spaces.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	neg := ""
	if n < 0 {
		neg, s = "−", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u2009" + s[i:]
	}
	return neg + s
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
