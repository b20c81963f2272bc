package detect

import (
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// voices remember which named nodes told the same event, and so how far a finding on value that moved is confirmed: by nodes of two operators that
// told the same event, by one only, or by none that has a name (then there is nothing to confirm). A heuristic that holds nodes against each other
// itself says how far its finding is confirmed; its wait is kept here too. What is still held when the wait is over is given out again as waited.
type voices struct {
	wait    int64
	by      operators
	Events  recent[event]       `json:"events"`
	Pending map[string]*pending `json:"pending"` // by the finding's key
}

// event is one thing that nodes told.
type event struct {
	Nodes    []string `json:"nodes"`
	Findings []string `json:"findings,omitempty"` // keys that rest on it
}

// pending is an open finding that rests on what named nodes told.
type pending struct {
	Finding chain.Finding `json:"finding"`         // as it was told last, without who else told it
	Until   int64         `json:"until"`           // end of the wait
	Of      string        `json:"of,omitempty"`    // the chain of the nodes that told it
	Alone   bool          `json:"alone,omitempty"` // no second operator was known when the wait began
}

// heard is what an observation brings for verification.
type heard struct {
	event *event
	chain string
	told  []chain.Finding
}

const (
	eventsHalf  = 8192 // newest events that are surely remembered
	mostVoices  = 8    // nodes remembered of an event; when they are of one operator, one of another takes the place of the last
	mostRests   = 16   // findings that rest on one event
	mostPending = 4096 // findings; more, and new ones count as not confirmed until their end
)

func newVoices(wait int64, by operators) *voices {
	return &voices{wait: wait, by: by, Events: newRecent[event](eventsHalf), Pending: map[string]*pending{}}
}

// hear takes who told what; a second voice confirms what rests on the event.
func (v *voices) hear(o observation.Observation) heard {
	switch o.Kind {
	case observation.Transfer, observation.Deposit, observation.Withdrawal, observation.Admin, observation.Spend:
	default:
		return heard{}
	}
	if o.Node == "" {
		return heard{}
	}
	from := o.From
	if o.Traced { // Tx says it; a node that cannot tell it does not contradict
		from = ""
	}
	id := strings.Join([]string{string(o.Kind), o.Chain, o.Bridge, o.Tx, o.ID, o.Message, o.Token, o.Amount, from, o.To, o.Beneficiary, o.Contract, o.Change, o.After,
		strings.Join(slices.Sorted(slices.Values(o.Inputs)), " ")}, "|")
	if o.Removed {
		id += "|removed"
	}
	if len(id) > 128 {
		id = digest(id)
	}
	e := v.Events.need(id)
	h := heard{event: e, chain: o.Chain}
	if slices.Contains(e.Nodes, o.Node) {
		return h
	}
	if len(e.Nodes) >= mostVoices {
		if more := append(slices.Clone(e.Nodes[:mostVoices-1]), o.Node); v.by.voices(o.Chain, e.Nodes) > 1 || v.by.voices(o.Chain, more) < 2 {
			return h
		}
		e.Nodes = e.Nodes[:mostVoices-1]
	}
	e.Nodes = append(e.Nodes, o.Node)
	slices.Sort(e.Nodes)
	if len(e.Nodes) < 2 {
		return h
	}
	confirmed := v.by.voices(o.Chain, e.Nodes) > 1
	for _, k := range e.Findings {
		p := v.Pending[k]
		if p == nil || p.Finding.Verification == chain.Confirmed {
			continue
		}
		if p.Finding.Seen, p.Finding.At, p.Of = slices.Clone(e.Nodes), o.At, o.Chain; confirmed {
			p.Finding.Verification, p.Until = chain.Confirmed, 0
		}
		h.told = append(h.told, v.voiced(p.Finding, p.Of, p.Alone))
	}
	return h
}

// judged puts onto findings how far they are confirmed.
func (v *voices) judged(list []chain.Finding, h heard) []chain.Finding {
	for i := range list {
		f := &list[i]
		p := v.Pending[f.Key]
		switch {
		case !f.Firing:
			if p != nil {
				f.Verification, f.Seen = p.Finding.Verification, p.Finding.Seen
				delete(v.Pending, f.Key)
			}
			continue
		case f.Verification == chain.OneNode, f.Verification == chain.Confirmed, f.Verification == chain.Unverifiable && len(f.Seen) > 0:
			v.own(f, p)
			continue
		case f.Verification != chain.NotNeeded:
			continue // there is nothing to hold it against, and it says so
		case p == nil && (h.event == nil || f.Weak):
			continue
		case p == nil:
			f.Verification, f.Seen = chain.OneNode, slices.Clone(h.event.Nodes)
			if v.by.voices(h.chain, f.Seen) > 1 {
				f.Verification = chain.Confirmed
			}
			if len(v.Pending) >= mostPending {
				*f = v.voiced(*f, h.chain, false)
				continue
			}
			p = &pending{Until: f.At + v.wait, Of: h.chain}
			v.Pending[f.Key] = p
		default:
			f.Verification, f.Seen = p.Finding.Verification, p.Finding.Seen
			if h.event != nil && v.by.voices(h.chain, h.event.Nodes) > 1 {
				f.Verification, f.Seen = chain.Confirmed, slices.Clone(h.event.Nodes)
			}
		}
		if f.Verification == chain.Confirmed {
			p.Until = 0
		}
		p.Finding = *f
		*f = v.voiced(*f, p.Of, p.Alone)
		if h.event != nil && len(h.event.Findings) < mostRests && !slices.Contains(h.event.Findings, f.Key) {
			h.event.Findings = append(h.event.Findings, f.Key)
		}
	}
	return list
}

// waits is how long a finding waits: a quarter where no second operator is known, for the one to take back what it said.
func (v *voices) waits(alone bool) int64 {
	if alone {
		return v.wait / 4
	}
	return v.wait
}

// own is for a finding that says itself how far it is confirmed: what was confirmed stays so unless it became worse, what has waited does not wait
// again, and what has not waits.
func (v *voices) own(f *chain.Finding, p *pending) {
	alone := f.Verification == chain.Unverifiable && v.by.among(f.Chain) < 2
	switch {
	case p == nil && !f.Weak && len(v.Pending) < mostPending:
		if p = (&pending{Alone: alone}); f.Verification.Held() {
			p.Until = f.At + v.waits(alone)
		}
		v.Pending[f.Key] = p
	case p == nil:
		*f = v.voiced(*f, f.Chain, alone)
		return
	case !f.Verification.Held():
		p.Until = 0
	case p.Finding.Verification == chain.Confirmed && rank(f.Severity) < rank(p.Finding.Severity):
		p.Alone, p.Until = alone, f.At+v.waits(alone)
	case p.Finding.Verification == chain.Confirmed:
		f.Verification, f.Seen = chain.Confirmed, p.Finding.Seen
	case p.Finding.Verification == chain.Waited:
		f.Verification = chain.Waited
	case p.Alone && !alone: // there is somebody to wait for now
		p.Alone, p.Until = false, p.Until+v.waits(false)-v.waits(true)
	}
	p.Finding, p.Of = *f, f.Chain
	*f = v.voiced(*f, p.Of, p.Alone)
}

// due is when the first wait ends; 0 = none goes on.
func (v *voices) due() (at int64) {
	for _, p := range v.Pending {
		if p.Until > 0 && (at == 0 || p.Until < at) {
			at = p.Until
		}
	}
	return at
}

// tick ends waits.
func (v *voices) tick(at int64) []chain.Finding {
	var due []string
	for k, p := range v.Pending {
		if p.Until > 0 && at >= p.Until {
			due = append(due, k)
		}
	}
	slices.Sort(due)
	var out []chain.Finding
	for _, k := range due {
		p := v.Pending[k]
		p.Finding.Verification, p.Finding.At, p.Until = chain.Waited, at, 0
		out = append(out, v.voiced(p.Finding, p.Of, p.Alone))
	}
	return out
}

// voiced ends the reason with who else told it, of the nodes of a chain; those kept as pending are without.
func (v *voices) voiced(f chain.Finding, of string, alone bool) chain.Finding {
	one := ""
	if len(f.Seen) > 1 && v.by.voices(of, f.Seen) == 1 {
		one = strings.Join(f.Seen, ", ") + " show it, but " + map[bool]string{true: "both are of ", false: "all are of "}[len(f.Seen) == 2] + v.by.of(of, f.Seen[0])
	}
	switch {
	case f.Verification == chain.OneNode && one != "":
		f.Reason += " " + one + ": that is one voice."
	case f.Verification == chain.OneNode && len(f.Seen) == 1:
		f.Reason += " Only " + f.Seen[0] + " shows it so far."
	case f.Verification == chain.Unverifiable && len(f.Seen) == 1:
		f.Reason += " Only " + f.Seen[0] + " shows it so far; no other could be asked."
	case f.Verification == chain.Waited && one != "":
		f.Reason += " " + one + "; no second operator has confirmed it within " + chosen(v.waits(alone)) + "."
	case f.Verification == chain.Waited:
		f.Reason += " No second node has confirmed it within " + chosen(v.waits(alone)) + "."
	}
	return f
}
