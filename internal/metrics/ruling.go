package metrics

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/rules"
)

// States of alerting rules and health of rules, in Prometheus' words.
const (
	RuleUnknown  = "unknown" // not evaluated yet, or not here
	RuleInactive = "inactive"
	RulePending  = "pending"
	RuleFiring   = "firing"
	HealthOK     = "ok"
	HealthBad    = "err"
	HealthNone   = "unknown"
)

// maxRulingText of an answer: the text of rules and alerts, in bytes. Whoever wants the rest asks by file, group or name.
const maxRulingText = 4 << 20

// Ruling is what the rules are and say at one moment.
type Ruling struct {
	Groups []RuleGroup // by file and name, as Prometheus orders them
	Here   bool        // this process evaluates
	Told   bool        // another replica evaluates, and this is what it said last; neither Here nor Told: states are unknown
	Broken string      // why the files, as they are now, cannot be taken; "" = they are in use
	Files  int         // that are in use
	// Rules and Alerts that were left out because the answer would be too long.
	BeyondRules, BeyondAlerts int
	Next                      string // token of the group after the last one; "" = there is none
}

// RuleGroup is one group of a rule file.
type RuleGroup struct {
	Name, File    string
	Interval      time.Duration
	Limit         int   // alerts and series a rule may give; 0 = any
	LastEvaluated int64 // unix ms, 0 = never
	Took          time.Duration
	Rules         []Rule // in the order of the file
}

// Rule is one rule. What only alerting rules have is empty in recording ones.
type Rule struct {
	Name, Query   string
	Alerting      bool
	For, Keep     time.Duration // "for" and "keep_firing_for"
	Labels        map[string]string
	Annotations   map[string]string // templates, not filled in
	State         string            // RuleUnknown to RuleFiring
	Since         int64             // unix ms since when the first of its alerts is in State; 0 = none is
	Active        int               // alerts pending and firing, also those left out
	Alerts        []RuleAlert
	Health        string // HealthOK, HealthBad or HealthNone
	LastError     string // one line, "" = none
	LastEvaluated int64  // unix ms, 0 = never
	Took          time.Duration
}

// RuleAlert is an alert of a rule; Kept is since when only keep_firing_for holds it, unix ms, 0 = its condition holds.
type RuleAlert struct {
	Alert
	Kept int64
}

// RuleAsk says which rules are wanted. The zero value wants all.
type RuleAsk struct {
	Type                 string   // "alert" or "record", "" = both
	Names, Groups, Files []string // empty = any
	NoAlerts             bool
	Most                 int    // groups, 0 = any number
	From                 string // token of the first group, with Most
}

// Ruling returns the rules that are asked for with their states. It answers from
// memory and is bounded: 1,000 alerts and 4 MiB of text; the rest is counted.
// The error matches ErrQuery when From names no group.
func (r *Rules) Ruling(ask RuleAsk) (Ruling, error) {
	set := r.current.Load()
	out := Ruling{Files: len(set.paths)}
	r.mu.Lock()
	out.Broken = r.broken
	r.mu.Unlock()
	var groups []seenGroup
	if m := r.running.Load(); m != nil {
		out.Here = true
		for _, g := range m.RuleGroups() {
			groups = append(groups, seenGroup{RuleGroup: RuleGroup{
				Name: g.Name(), File: g.File(), Interval: g.Interval(), Limit: g.Limit(), LastEvaluated: millis(g.GetLastEvaluation()), Took: g.GetEvaluationTime(),
			}, live: g.Rules()})
		}
	} else if said := r.heard.Load(); said != nil {
		out.Told, out.Files, out.Broken = true, said.Files, cmp.Or(out.Broken, said.Broken)
		for _, g := range said.Groups {
			groups = append(groups, seenGroup{RuleGroup: g})
		}
	} else {
		groups = set.unseen(r.opt.Interval)
	}
	b := &bounded{text: maxRulingText, alerts: maxAlerts}
	found := ask.From == ""
	for _, g := range groups {
		if !found && token(g.RuleGroup) != ask.From {
			continue
		}
		found = true
		if !among(ask.Groups, g.Name) || !among(ask.Files, g.File) {
			continue
		}
		list := b.rules(g, ask)
		if len(list) == 0 {
			continue
		}
		if ask.Most > 0 && len(out.Groups) == ask.Most {
			out.Next = token(g.RuleGroup)
			break
		}
		g.RuleGroup.Rules = list
		out.Groups = append(out.Groups, g.RuleGroup)
	}
	if !found {
		return Ruling{}, fmt.Errorf("%w: group_next_token names no group; the rules have changed, begin again", ErrQuery)
	}
	out.BeyondRules, out.BeyondAlerts = b.beyondRules, b.beyondAlerts
	if said := r.heard.Load(); out.Told && said != nil {
		out.BeyondRules += said.BeyondRules
	}
	return out, nil
}

// seenGroup is a group before its rules were chosen: live ones of the manager, or those of the file.
type seenGroup struct {
	RuleGroup
	live []rules.Rule
}

// unseen are the groups as the files have them, for whoever does not evaluate.
func (s *ruleSet) unseen(interval time.Duration) (out []seenGroup) {
	all := s.parsed()
	for _, path := range s.paths {
		if all[path] == nil {
			continue
		}
		for _, g := range all[path].Groups {
			x := RuleGroup{Name: g.Name, File: path, Interval: cmp.Or(time.Duration(g.Interval), interval), Limit: g.Limit}
			for _, rule := range g.Rules {
				y := Rule{Name: cmp.Or(rule.Alert, rule.Record), Query: rule.Expr, Alerting: rule.Alert != "", For: time.Duration(rule.For), Keep: time.Duration(rule.KeepFiringFor),
					Labels: map[string]string{}, Annotations: rule.Annotations, Health: HealthNone}
				for _, l := range []map[string]string{g.Labels, rule.Labels} {
					for k, v := range l {
						y.Labels[k] = v
					}
				}
				if y.Alerting {
					y.State = RuleUnknown
				}
				x.Rules = append(x.Rules, y)
			}
			out = append(out, seenGroup{RuleGroup: x})
		}
	}
	slices.SortStableFunc(out, func(a, b seenGroup) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Name, b.Name)) })
	return out
}

// bounded counts down what an answer may still hold.
type bounded struct {
	text, alerts              int
	beyondRules, beyondAlerts int
}

func (b *bounded) rules(g seenGroup, ask RuleAsk) (out []Rule) {
	take := func(x Rule) bool {
		if !among(ask.Names, x.Name) || ask.Type == "alert" && !x.Alerting || ask.Type == "record" && x.Alerting {
			return false
		}
		if n := len(x.Query) + len(x.LastError) + length(x.Labels) + length(x.Annotations) + 256; n <= b.text {
			b.text -= n
			return true
		}
		b.beyondRules++
		return false
	}
	for _, x := range g.RuleGroup.Rules {
		if take(x) {
			b.told(&x, ask.NoAlerts)
			out = append(out, x)
		}
	}
	for _, rule := range g.live {
		x := ruleOf(rule)
		if !take(x) {
			continue
		}
		if a, ok := rule.(*rules.AlertingRule); ok {
			b.active(a, &x, ask.NoAlerts)
		}
		out = append(out, x)
	}
	return out
}

// active reads the alerts of a rule, in the order of their labels.
func (b *bounded) active(a *rules.AlertingRule, x *Rule, none bool) {
	a.ForEachActiveAlert(func(y *rules.Alert) {
		if y.State != rules.StatePending && y.State != rules.StateFiring {
			return
		}
		x.Active++
		since := y.ActiveAt
		if y.State == rules.StateFiring && !y.FiredAt.IsZero() {
			since = y.FiredAt
		}
		if t := millis(since); y.State.String() == x.State && (x.Since == 0 || t < x.Since) {
			x.Since = t
		}
		if none {
			return
		}
		n := 256
		y.Annotations.Range(func(l labels.Label) { n += len(l.Name) + len(l.Value) })
		y.Labels.Range(func(l labels.Label) { n += len(l.Name) + len(l.Value) })
		if b.alerts == 0 || n > b.text {
			b.beyondAlerts++
			return
		}
		b.alerts, b.text = b.alerts-1, b.text-n
		x.Alerts = append(x.Alerts, RuleAlert{Alert: alertOf(x.Name, y), Kept: millis(y.KeepFiringSince)})
	})
	slices.SortFunc(x.Alerts, func(a, b RuleAlert) int { return cmp.Compare(a.Key, b.Key) })
}

// told bounds the alerts of a rule that another replica evaluates.
func (b *bounded) told(x *Rule, none bool) {
	all := x.Alerts
	if x.Alerts = nil; none {
		return
	}
	for _, a := range all {
		n := 256 + length(a.Annotations) + length(a.Labels)
		if b.alerts == 0 || n > b.text {
			break
		}
		b.alerts, b.text = b.alerts-1, b.text-n
		x.Alerts = append(x.Alerts, a)
	}
	b.beyondAlerts += max(x.Active-len(x.Alerts), 0)
}

func ruleOf(rule rules.Rule) Rule {
	x := Rule{
		Name: rule.Name(), Query: rule.Query().String(), Labels: rule.Labels().Map(), Health: string(rule.Health()),
		LastEvaluated: millis(rule.GetEvaluationTimestamp()), Took: rule.GetEvaluationDuration(),
	}
	if err := rule.LastError(); err != nil {
		x.LastError = flat(err.Error())
	}
	if a, ok := rule.(*rules.AlertingRule); ok {
		x.Alerting, x.For, x.Keep, x.Annotations, x.State = true, a.HoldDuration(), a.KeepFiringFor(), a.Annotations().Map(), a.State().String()
	}
	return x
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func length(m map[string]string) (n int) {
	for k, v := range m {
		n += len(k) + len(v)
	}
	return n
}

func among(list []string, s string) bool { return len(list) == 0 || slices.Contains(list, s) }

// token names a group without telling its file.
func token(g RuleGroup) string {
	h := sha256.Sum256([]byte(g.File + ";" + g.Name))
	return hex.EncodeToString(h[:])
}
