// Package precedenttest owns made-up years of incidents for tests and measurements: the same seed gives the same years. They are not real and say
// nothing about how often anything happens; they have what makes real logs hard (noise, wrong labels, rare classes, drift).
package precedenttest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/precedent"
)

const (
	minute = int64(60_000)
	hour   = 60 * minute

	// Start is when the made-up log begins.
	Start = int64(1_609_459_200_000) // 2021-01-01

	between  = 9 * hour // mean time from one incident to the next
	mislabel = 0.08     // incidents that got another category than they had
	outlier  = 0.04     // incidents that took five times as long
	vague    = 0.40     // titles from words that every category has
	strange  = 0.25     // signals of kinds that every category has
	astray   = 0.35     // components that another category has, too

	misjudged = 0.12 // of ByComponent: severities that end one off what is usual for the component
	byHabit   = 0.45 // of ByComponent: incidents declared SEV3 whatever they are
)

// Incident is one made-up incident: its events as the core decided them, and what it was.
type Incident struct {
	Number   int64
	Truth    string // category that it had
	Category string // category that people gave it, sometimes another
	Events   []incident.Event
}

// State is the incident after its events up to a time, and whether there were any.
func (i Incident) State(at int64) (incident.State, bool) {
	st := incident.New(i.Number, fmt.Sprintf("made-%d", i.Number))
	for _, e := range i.Events {
		if e.At <= at {
			st = incident.Apply(st, e)
		}
	}
	return st, st.Declared
}

// sort is what one category is like.
type sort struct {
	name       string
	share      float64
	later      float64 // share after the drift
	minutes    float64 // median
	spread     float64 // of the logarithm
	severity   [5]float64
	symptoms   []string
	kinds      []string
	components []string
	cures      []string
}

var sorts = []sort{
	{"infrastructure", .30, .26, 55, .9, [5]float64{.02, .13, .40, .35, .10},
		[]string{"disk full on", "certificate expired at", "database failover of", "packet loss towards", "out of memory in", "load balancer drops requests of"},
		[]string{"disk_space", "tls_expiry", "pod_restarts"}, []string{"api gateway", "ledger database", "kafka"},
		[]string{"Failed over to the standby", "Rolled the pods", "Added disk space"}},
	{"consensus_fault", .18, .10, 90, 1.0, [5]float64{.04, .22, .44, .25, .05},
		[]string{"deep reorg seen by", "no finality for", "missed attestations of", "client split at", "stale head reported by"},
		[]string{"reorg", "finality_lag", "validator_missed"}, []string{"validator fleet", "deposit scanner"},
		[]string{"Raised confirmations", "Paused deposits", "Moved to the other client"}},
	{"third_party", .14, .24, 130, .8, [5]float64{.01, .12, .45, .34, .08},
		[]string{"custodian API down for", "RPC provider outage hits", "KYC vendor slow for", "cloud region degraded under", "market data vendor silent for"},
		[]string{"vendor_status", "rpc_errors"}, []string{"custody", "rpc pool", "onboarding"},
		[]string{"Switched provider", "Opened a ticket with the vendor", "Waited for the vendor"}},
	{"human_error", .12, .12, 40, .8, [5]float64{.02, .18, .45, .28, .07},
		[]string{"wrong parameter deployed to", "config push broke", "manual transfer to wrong account from", "flag flipped by mistake in"},
		[]string{"config_drift", "deploy_failed"}, []string{"fee engine", "matching engine", "treasury"},
		[]string{"Rolled back the release", "Reverted the configuration"}},
	{"market", .08, .10, 160, .9, [5]float64{.03, .25, .42, .25, .05},
		[]string{"liquidation cascade in", "stablecoin off peg hits", "order book empty on", "funding spike in"},
		[]string{"price_move", "peg_deviation"}, []string{"margin", "matching engine"},
		[]string{"Widened the bands", "Raised margin requirements", "Halted the market"}},
	{"oracle_fault", .06, .06, 75, .8, [5]float64{.10, .34, .38, .14, .04},
		[]string{"price feed stale for", "feed deviates from market at", "oracle update missing for"},
		[]string{"feed_stale", "feed_deviation"}, []string{"lending", "margin"},
		[]string{"Paused borrowing", "Switched to the second feed"}},
	{"bridge_fault", .05, .05, 240, 1.0, [5]float64{.28, .36, .24, .10, .02},
		[]string{"bridge escrow below minted at", "withdrawal proof rejected by", "relayer stuck at", "deposits not credited through"},
		[]string{"bridge_drain", "bridge_imbalance"}, []string{"bridge v1"},
		[]string{"Paused the bridge", "Restarted the relayer", "Asked the exchanges to freeze"}},
	{"exploit", .04, .04, 480, 1.0, [5]float64{.62, .26, .09, .03, 0},
		[]string{"funds drained from", "flash loan attack on", "reentrancy in", "unlimited approval abused at"},
		[]string{"large_outflow", "contract_call_anomaly"}, []string{"lending", "bridge v1", "vault"},
		[]string{"Paused the contract", "Asked the exchanges to freeze", "Moved funds to the cold wallet"}},
	{"key_compromise", .02, .02, 600, .9, [5]float64{.78, .18, .04, 0, 0},
		[]string{"transfer that nobody signed from", "signer key used from elsewhere at", "unknown withdrawal address at"},
		[]string{"large_outflow", "signer_anomaly"}, []string{"hot wallet", "custody"},
		[]string{"Rotated the keys", "Moved funds to the cold wallet"}},
	{"other", .01, .01, 60, 1.0, [5]float64{0, .05, .30, .45, .20},
		[]string{"odd report about", "question from an auditor about"}, []string{"manual"}, []string{"support desk", "treasury"}, []string{"Answered"}},
}

var (
	vaguely     = []string{"withdrawals delayed at", "errors rise in", "users report problems with", "balance mismatch in", "requests time out at", "unusual activity around"}
	anything    = []string{"http_5xx", "latency", "withdrawal_queue"}
	chains      = []string{"ethereum", "bitcoin", "solana", "polygon"}
	filler      = strings.Fields("checking logs dashboard spike graph restart team looking customer ticket confirmed unclear since deploy metrics node queue retry timeout region partner update cause fix")
	renamed     = map[string]string{"bridge v1": "bridge v2", "api gateway": "edge gateway", "rpc pool": "node pool", "feed_stale": "oracle_stale", "pod_restarts": "container_restarts"}
	people      = []string{"person:ana", "person:bo", "person:chidi", "person:dana"}
	resolvedSay = "Watched for ten minutes, figures are back to normal"
)

// usual is the severity, 0 for SEV1, that incidents of a component end with in the years of ByComponent.
var usual = map[string]int{
	"hot wallet": 0, "ledger database": 0, "vault": 0, "matching engine": 1, "custody": 1, "bridge v1": 1, "margin": 1, "lending": 1,
	"deposit scanner": 2, "validator fleet": 2, "api gateway": 2, "treasury": 2, "rpc pool": 3, "onboarding": 3, "fee engine": 3, "kafka": 3, "support desk": 4,
}

// maker makes incidents one after the other.
type maker struct {
	r      *rand.Rand
	offset int64
	n, of  int
	usual  map[string]int // component -> severity; nil: by chance, as the category has it
}

// Years makes n incidents. Drift sets in after three fifths of them: other names, other frequencies, a third less time.
func Years(seed uint64, n int) []Incident {
	return years(&maker{r: rand.New(rand.NewPCG(seed, 7)), of: n}, n)
}

// ByComponent makes n incidents as Years does, of a house where what is hit decides how bad it is: what a severity can be learned from. Nearly half of
// them are declared SEV3 out of habit and corrected later; one of eight ends one off.
func ByComponent(seed uint64, n int) []Incident {
	return years(&maker{r: rand.New(rand.NewPCG(seed, 7)), of: n, usual: usual}, n)
}

func years(m *maker, n int) []Incident {
	at := Start
	out := make([]Incident, 0, n)
	for m.n = 1; m.n <= n; m.n++ {
		at += int64(m.r.ExpFloat64() * float64(between))
		out = append(out, m.incident(at))
	}
	return out
}

func (m *maker) late() bool { return m.n*5 > m.of*3 }

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func (m *maker) name(s string) string {
	if to, ok := renamed[s]; ok && m.late() {
		return to
	}
	return s
}

func (m *maker) sort() sort {
	x := m.r.Float64() * 1.0
	for _, s := range sorts {
		share := s.share
		if m.late() {
			share = s.later
		}
		if x -= share; x < 0 {
			return s
		}
	}
	return sorts[0]
}

func (m *maker) severity(weights [5]float64) (incident.Severity, int) {
	x := m.r.Float64()
	for i, w := range weights {
		if x -= w; x < 0 {
			return incident.Severities()[i], i
		}
	}
	return incident.SEV3, 2
}

func (m *maker) words(n int) string {
	var out []string
	for range n {
		out = append(out, pick(m.r, filler))
	}
	return strings.Join(out, " ")
}

func (m *maker) incident(at int64) Incident {
	r, s := m.r, m.sort()
	i := Incident{Number: int64(m.n), Truth: s.name, Category: s.name}
	if r.Float64() < mislabel {
		i.Category = pick(r, sorts).name
	}
	hit, chain := pick(r, s.components), pick(r, chains)
	if r.Float64() < astray {
		hit = pick(r, pick(r, sorts).components)
	}
	component := m.name(hit)
	symptom := pick(r, s.symptoms)
	if r.Float64() < vague {
		symptom = pick(r, vaguely)
	}
	kind := m.name(pick(r, s.kinds))
	if r.Float64() < strange {
		kind = pick(r, anything)
	}
	final, rank := m.severity(s.severity)
	first := final
	if r.Float64() < .25 { // people misjudge at first, mostly by one
		first = incident.Severities()[min(4, max(0, rank+1-2*r.IntN(2)))]
	}
	if m.usual != nil {
		rank = m.usual[hit]
		if r.Float64() < misjudged {
			rank = min(4, max(0, rank+1-2*r.IntN(2)))
		}
		final = incident.Severities()[rank]
		if first = final; r.Float64() < byHabit {
			first = incident.SEV3
		}
	}
	minutes := s.minutes * math.Exp(s.spread*r.NormFloat64()) * []float64{1.8, 1.3, 1, .8, .6}[rank]
	if m.late() {
		minutes *= .67
	}
	if r.Float64() < outlier {
		minutes *= 5
	}
	end := at + max(6*minute, int64(minutes*float64(minute)))
	part := func(share float64) int64 { return at + int64(share*float64(end-at)) }

	st := incident.New(i.Number, fmt.Sprintf("made-%d", i.Number))
	do := func(t int64, by string, c incident.Command) {
		meta := incident.Meta{ID: fmt.Sprintf("made-%d-%d", i.Number, len(i.Events)), At: t, Actor: by}
		bodies, err := incident.Decide(st, c, meta)
		if err != nil {
			panic(fmt.Sprintf("made-up incident %d: %T: %v", i.Number, c, err)) // the generator and the core disagree: tests must not go on
		}
		for _, b := range bodies {
			e := incident.Event{Meta: meta, Offset: m.offset, EventID: fmt.Sprintf("made-%d-%d", i.Number, len(i.Events)), Body: b}
			m.offset++
			i.Events = append(i.Events, e)
			st = incident.Apply(st, e)
		}
	}
	who := pick(r, people)
	signal := incident.Signal{
		ID: fmt.Sprintf("g-%d", i.Number), Source: pick(r, []string{"alertmanager", "detect", "chains"}), Kind: kind, Title: symptom + " " + component,
		Severity: first, State: incident.SignalOpen, Chain: chain, Component: component, OpenedAt: at,
	}
	do(at, who, incident.Declare{
		Title: symptom + " " + component + " on " + chain, Severity: string(first), Summary: m.words(4 + r.IntN(8)), Components: []string{component}, Chains: []string{chain},
		ImpactBeganAt: at - int64(r.IntN(20))*minute, DetectedAt: at, Signal: signal.ID, Attach: []incident.Signal{signal},
	})
	do(at+int64(1+r.IntN(9))*minute/2, who, incident.AssignRole{Role: string(incident.RoleCommander), Person: strings.TrimPrefix(who, "person:")})
	if r.Float64() < .5 {
		do(part(.2), pick(r, people), incident.AddNote{Text: m.words(6 + r.IntN(12))})
	}
	if first != final {
		do(part(.4), who, incident.SetSeverity{Severity: string(final), Reason: "We know more now"})
	}
	do(part(.5), who, incident.RecordDecision{Text: pick(r, s.cures)})
	if r.Float64() < .4 {
		do(part(.55), who, incident.AddTask{Title: pick(r, s.cures)})
		do(part(.7), who, incident.CompleteTask{Task: "T1"})
	}
	do(part(.6), who, incident.SetCategory{Category: i.Category})
	do(part(.8), who, incident.SetStatus{Status: string(incident.StatusMonitoring)})
	do(end, who, incident.Resolve{Validation: resolvedSay})
	slices.SortStableFunc(i.Events, func(a, b incident.Event) int { return int(a.Offset - b.Offset) })
	return i
}

// Case is the incident as a precedent at a time.
func (i Incident) Case(at int64) (precedent.Case, bool) {
	st, ok := i.State(at)
	return precedent.Of(st), ok
}

// Cases are all incidents when they are over.
func Cases(list []Incident) []precedent.Case {
	out := make([]precedent.Case, len(list))
	for n, i := range list {
		out[n], _ = i.Case(math.MaxInt64)
	}
	return out
}
