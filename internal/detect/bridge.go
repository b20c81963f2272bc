// Package detect owns the streaming detectors that judge what is not a chain's own doing, such as the value that leaves a bridge; it never
// reads a clock, keeps no state of its own (every state is a value that the caller holds), and looks only at what came before.
package detect

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// KindBridgeDrain is the kind of finding that BridgeDrain makes.
const KindBridgeDrain = "bridge_drain"

// The rule. Five minutes and 5 % were measured on the 203 days of the Nomad bridge: they find the looting of 1 August 2022 twelve seconds
// after its first block and call one innocent day wrong; 2 % would call six, 10 % would find it an hour late.
const (
	window    = 5 * 60_000     // ms that outflow is summed over
	opensAt   = 0.05           // of the value at the window's start
	calmBelow = 0.01           // hysteresis: less than this ...
	calmFor   = 15 * 60_000    // ... for so many ms ends it
	forget    = 24 * 3_600_000 // ms after the end until losses are counted anew
	again     = 60_000         // ms between updates that only bring newer figures
	maxFlows  = 4096           // of one window; more, and the oldest two become one
	maxKinds  = 256            // different amounts counted; more, and new ones are not
	repeated  = 3              // equal withdrawals that are worth a word
	shown     = 20             // withdrawals in the evidence, the newest
)

// steps are the shares of the bridge's value whose loss is told at once.
var steps = []float64{0.10, 0.25, 0.50, 0.90}

// Bridge names a bridge and says what it held when watching began.
type Bridge struct {
	Slug  string  // stable, lower case; the subject of findings and the label of samples
	Name  string  // for people
	Chain string  // id of the chain that value leaves on
	TVL   float64 // dollars locked at the start, above 0
	// Lone is the share that must leave when it goes to one party alone, by withdrawals that each have a number and an amount of their own: a
	// large holder who leaves looks like that. 0 = as for all.
	Lone  float64
	Drill bool
}

// Flow is one transfer out of or into a bridge.
type Flow struct {
	At     int64   // unix ms of its block
	Out    float64 // dollars that left, at the price of the time; 0 = not priced
	In     float64 // dollars that came
	ID     string
	Token  string // symbol, or a shortened address
	Amount string // in units of the token, as text so that equal amounts are equal
	Party  string // who took or gave it, shortened

	withdrawals int // it stands for
}

// transfer is a flow in the evidence. Its time counts back from the finding's.
type transfer struct {
	AgoMS  int64   `json:"ago_ms"`
	Out    float64 `json:"out_usd,omitempty"`
	In     float64 `json:"in_usd,omitempty"`
	Token  string  `json:"token,omitempty"`
	Amount string  `json:"amount,omitempty"`
	Party  string  `json:"party,omitempty"`
	ID     string  `json:"id,omitempty"`
}

// BridgeDrain watches one bridge. It is a value: Observe and Tick leave it as it is and return the next one. Times before the newest one
// are taken for the newest. Its figures depend on nothing but what it was given, in that order.
type BridgeDrain struct {
	bridge Bridge
	now    int64
	tvl    float64
	flows  []Flow // of the window, ascending
	net    float64
	out    int // withdrawals in the window

	open     bool
	since    int64
	told     int64 // when the finding was last given out
	title    string
	calm     int64   // since when it is calm, 0 = it is not
	ended    int64   // when the last finding ended
	baseline float64 // what the bridge held before the first loss, 0 = nothing was lost
	step     int
	total    int // withdrawals since baseline
	amounts  map[string]int
	owned    bool // by a Drain, which keeps no former state: its window is not copied
}

// NewBridgeDrain starts to watch.
func NewBridgeDrain(b Bridge) BridgeDrain { return BridgeDrain{bridge: b, tvl: b.TVL} }

// TVL is what the bridge holds now, in dollars, by the flows seen.
func (d BridgeDrain) TVL() float64 { return d.tvl }

// Open tells whether a finding is open.
func (d BridgeDrain) Open() bool { return d.open }

// Ratio is the share of the value at the window's start that left within the window, net of what came; 0 when more came than left.
func (d BridgeDrain) Ratio() float64 {
	held := d.tvl + d.net
	if d.net <= 0 || held <= 0 {
		return 0
	}
	return min(d.net/held, 1)
}

// Observe takes a transfer. The outcome holds samples of this moment and at most one finding.
func (d BridgeDrain) Observe(f Flow) (BridgeDrain, chain.Outcome) { return d.take(f).judge() }

// take adds a transfer to the window.
func (d BridgeDrain) take(f Flow) BridgeDrain {
	d = d.at(f.At)
	f.At, f.withdrawals = d.now, 0
	if f.Out > 0 || (f.In == 0 && f.Amount != "") {
		f.withdrawals = 1
	}
	d.tvl = max(d.tvl-f.Out+f.In, 0)
	d.net += f.Out - f.In
	if !d.owned {
		d.flows = d.flows[:len(d.flows):len(d.flows)]
	}
	d.flows = append(d.flows, f)
	if len(d.flows) > maxFlows {
		a, b := d.flows[0], d.flows[1]
		b.Out, b.In, b.withdrawals = a.Out+b.Out, a.In+b.In, a.withdrawals+b.withdrawals
		if d.owned {
			d.flows = d.flows[1:]
			d.flows[0] = b
		} else {
			d.flows = append([]Flow{b}, d.flows[2:]...)
		}
	}
	d.out += f.withdrawals
	if d.baseline > 0 {
		d.total += f.withdrawals
		d.amounts = count(d.amounts, f)
	}
	return d
}

// Tick lets time pass until at (unix ms). Call it at least once a minute.
func (d BridgeDrain) Tick(at int64) (BridgeDrain, chain.Outcome) { return d.at(at).judge() }

// Close ends an open finding with a reason; none when nothing is open.
func (d BridgeDrain) Close(at int64, reason string) (BridgeDrain, []chain.Finding) {
	d = d.at(at)
	if !d.open {
		return d, nil
	}
	return d.end(reason)
}

// at moves the window.
func (d BridgeDrain) at(at int64) BridgeDrain {
	d.now = max(d.now, at)
	n := 0
	for n < len(d.flows) && d.now-d.flows[n].At >= window {
		d.net -= d.flows[n].Out - d.flows[n].In
		d.out -= d.flows[n].withdrawals
		n++
	}
	if n > 0 {
		d.flows = d.flows[n:]
	}
	if len(d.flows) == 0 {
		d.net, d.out = 0, 0 // no rounding is carried on
	}
	if !d.open && d.baseline > 0 && d.now-d.ended >= forget {
		d.baseline, d.step, d.total, d.amounts = 0, 0, 0, nil
	}
	return d
}

func (d BridgeDrain) judge() (BridgeDrain, chain.Outcome) {
	o := chain.Outcome{Samples: d.samples()}
	ratio := d.Ratio()
	if !d.open {
		if ratio > opensAt && (ratio > d.bridge.Lone || !d.lone()) {
			var f chain.Finding
			d, f = d.begin()
			o.Findings = append(o.Findings, f)
		}
		return d, o
	}
	if ratio >= calmBelow {
		d.calm = 0
	} else if d.calm == 0 {
		d.calm = d.now
	}
	if d.calm != 0 && d.now-d.calm >= calmFor {
		d, o.Findings = d.end(fmt.Sprintf("Less than 1 %% left in any 5 minutes for 15 minutes. %s", d.gone()))
		return d, o
	}
	step := d.step
	for step < len(steps) && d.lost() >= steps[step] {
		step++
	}
	title := d.words()
	if step > d.step || (d.calm == 0 && title != d.title && d.now-d.told >= again) {
		d.step = step
		d.told, d.title = d.now, title
		o.Findings = append(o.Findings, d.finding(title))
	}
	return d, o
}

// begin opens the finding; losses are counted from the window's start unless a former loss is still remembered.
func (d BridgeDrain) begin() (BridgeDrain, chain.Finding) {
	d.open, d.calm, d.told = true, 0, d.now
	d.since = d.flows[0].At
	if d.baseline == 0 {
		d.baseline, d.step = d.tvl+d.net, 0
		for _, f := range d.flows {
			d.total += f.withdrawals
			d.amounts = count(d.amounts, f)
		}
	}
	for d.step < len(steps) && d.lost() >= steps[d.step] {
		d.step++
	}
	d.title = d.words()
	return d, d.finding(d.title)
}

func (d BridgeDrain) end(reason string) (BridgeDrain, []chain.Finding) {
	f := d.finding(d.title)
	f.Firing, f.Reason = false, reason
	d.open, d.ended, d.calm = false, d.now, 0
	return d, []chain.Finding{f}
}

// lone tells whether nine tenths of what left in the window went to one party, and nothing of it looks like a repeated call.
func (d BridgeDrain) lone() bool {
	all, by, ids, same := 0.0, map[string]float64{}, map[string]bool{}, map[string]int{}
	for _, f := range d.flows {
		if f.Out <= 0 {
			continue
		}
		k := f.Token + " " + f.Amount
		if same[k]++; f.Party == "" || f.ID != "" && ids[f.ID] || same[k] >= repeated {
			return false
		}
		all, ids[f.ID] = all+f.Out, true
		by[f.Party] += f.Out
	}
	for _, out := range by {
		if out >= 0.9*all {
			return true
		}
	}
	return false
}

func (d BridgeDrain) lost() float64 {
	if d.baseline <= 0 {
		return 0
	}
	return (d.baseline - d.tvl) / d.baseline
}

// words is the title: what left in the window while no loss step was passed, else what is gone in all.
func (d BridgeDrain) words() string {
	if d.lost() >= steps[0] {
		return fmt.Sprintf("%s: %s of the bridge's value is gone", d.bridge.Name, percent(d.lost()))
	}
	return fmt.Sprintf("%s: %s of the bridge's value left in 5 min", d.bridge.Name, percent(d.Ratio()))
}

func (d BridgeDrain) gone() string {
	return fmt.Sprintf("Gone in all: %s of %s (%s), through %d withdrawals.", dollars(d.baseline-d.tvl), dollars(d.baseline), percent(d.lost()), d.total)
}

func (d BridgeDrain) finding(title string) chain.Finding {
	reason := fmt.Sprintf("%s of the bridge's value (%s of %s) left in 5 min through %d %s; over 5 %% is an alarm.",
		percent(d.Ratio()), dollars(d.net), dollars(d.tvl+d.net), d.out, plural(d.out, "withdrawal"))
	if d.total > d.out {
		reason += " " + d.gone()
	}
	same, n := d.most()
	if n >= repeated {
		reason += fmt.Sprintf(" %d withdrawals of exactly %s: the same call is being repeated.", n, same)
	}
	newest := make([]transfer, 0, shown)
	for _, f := range d.flows[max(len(d.flows)-shown, 0):] {
		newest = append(newest, transfer{d.now - f.At, f.Out, f.In, f.Token, f.Amount, f.Party, f.ID})
	}
	evidence, err := json.Marshal(map[string]any{
		"window_ms": window, "threshold": opensAt, "ratio": d.Ratio(), "net_usd": d.net, "held_usd": d.tvl + d.net, "withdrawals": d.out,
		"tvl_usd": d.tvl, "before_usd": d.baseline, "lost": d.lost(), "total_withdrawals": d.total, "same_amount": same, "same_amount_count": n,
		"newest": newest,
	})
	if err != nil {
		evidence = json.RawMessage(`{}`)
	}
	return chain.Finding{
		Key: d.bridge.Chain + "/" + KindBridgeDrain + "/" + d.bridge.Slug, Kind: KindBridgeDrain, Chain: d.bridge.Chain, Subject: d.bridge.Slug,
		Severity: "SEV1", Firing: true, Title: title, Reason: reason, At: d.now, Since: d.since, Evidence: evidence, Drill: d.bridge.Drill,
	}
}

// most is the amount that was withdrawn most often, and how often.
func (d BridgeDrain) most() (string, int) {
	best, n := "", 0
	for _, k := range slices.Sorted(maps.Keys(d.amounts)) {
		if d.amounts[k] > n {
			best, n = k, d.amounts[k]
		}
	}
	return best, n
}

func count(m map[string]int, f Flow) map[string]int {
	k := grouped(f.Amount) + " " + f.Token
	if f.withdrawals == 0 || f.Amount == "" || (len(m) >= maxKinds && m[k] == 0) {
		return m
	}
	next := make(map[string]int, len(m)+1)
	maps.Copy(next, m)
	next[k]++
	return next
}

func (d BridgeDrain) samples() []chain.Sample {
	l := map[string]string{"bridge": d.bridge.Slug}
	return []chain.Sample{
		{Name: "tocsin_bridge_outflow_ratio", Labels: l, At: d.now, Value: d.Ratio()},
		{Name: "tocsin_bridge_tvl_usd", Labels: l, At: d.now, Value: d.tvl},
		{Name: "tocsin_bridge_withdrawals", Labels: l, At: d.now, Value: float64(d.out)},
	}
}

// AllSeries describes every sample name the detectors produce, as chain.AllSeries does for the monitors.
var AllSeries = []chain.Series{
	{Name: "tocsin_bridge_outflow_ratio", Unit: "0..1", Labels: "bridge", Help: "share of the bridge's value that left within five minutes, net"},
	{Name: "tocsin_bridge_tvl_usd", Unit: "dollars", Labels: "bridge", Help: "value locked in the bridge, by the transfers seen"},
	{Name: "tocsin_bridge_withdrawals", Unit: "withdrawals", Labels: "bridge", Help: "withdrawals within five minutes"},
}
