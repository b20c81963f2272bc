package incident

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/impact"
)

// Named is a team that can be given an incident.
type Named struct{ ID, Name string }

// Completion is one way to go on: Text replaces line[From:To] (bytes).
type Completion struct {
	Text     string
	From, To int
	Label    string // what the list shows
	Hint     string // a few words beside it
}

// MaxCompletions bounds what Complete returns.
const MaxCompletions = 64

// Complete offers ways to go on at cursor, a byte offset into line (clamped to
// it and to the start of a character): commands after a slash, and then what
// the command takes: severities, statuses, roles, people (handles), open tasks,
// updates, links, signals, audiences, teams, facts, categories. In plain text it offers people after @.
// It never panics and returns at most MaxCompletions.
func Complete(line string, cursor int, people []string, teams []Named, s State) []Completion {
	cursor = max(0, min(cursor, len(line)))
	for cursor > 0 && cursor < len(line) && !utf8.RuneStart(line[cursor]) {
		cursor--
	}
	head := line[:cursor]
	from := strings.LastIndexFunc(head, unicode.IsSpace) + 1
	if from > 0 {
		_, size := utf8.DecodeRuneInString(head[from-1:])
		from += size - 1
	}
	to := cursor
	if i := strings.IndexFunc(line[cursor:], unicode.IsSpace); i >= 0 {
		to += i
	} else {
		to = len(line)
	}
	l := list{typed: strings.ToLower(head[from:]), from: from, to: to, spaced: to < len(line)}
	start := strings.TrimLeftFunc(head, unicode.IsSpace)
	command := strings.HasPrefix(start, "/") && !strings.HasPrefix(start, "//")
	switch {
	case command && strings.TrimSpace(head[:from]) == "":
		for _, v := range verbs() {
			l.add(v.Name+space(v.slots), v.Name, v.Hint, append([]string{v.Name}, slashed(v.also)...)...)
		}
	case command:
		l.arguments(strings.Fields(head[:from]), people, teams, s)
	case strings.HasPrefix(l.typed, "@"):
		l.people(people)
	}
	return l.out
}

func space(slots []slot) string {
	if len(slots) == 0 {
		return ""
	}
	return " "
}

func slashed(words []string) []string {
	out := make([]string, 0, len(words))
	for _, w := range words {
		out = append(out, "/"+w)
	}
	return out
}

type list struct {
	typed    string
	from, to int
	spaced   bool // white space follows
	out      []Completion
}

// add offers text when any of keys starts with what is typed.
func (l *list) add(text, label, hint string, keys ...string) {
	if len(l.out) >= MaxCompletions {
		return
	}
	for _, k := range keys {
		if strings.HasPrefix(strings.ToLower(k), l.typed) {
			if l.spaced {
				text = strings.TrimSuffix(text, " ")
			}
			l.out = append(l.out, Completion{Text: text, From: l.from, To: l.to, Label: label, Hint: hint})
			return
		}
	}
}

func (l *list) people(people []string) {
	for _, p := range people {
		l.add("@"+p+" ", "@"+p, "", "@"+p, p)
	}
}

// arguments offers what the command takes after the words before the cursor.
func (l *list) arguments(before []string, people []string, teams []Named, s State) {
	v, ok := find(strings.TrimPrefix(before[0], "/"))
	if !ok {
		return
	}
	i := len(before) - 1
	if strings.HasPrefix(l.typed, "@") {
		l.people(people)
		return
	}
	if i >= len(v.slots) {
		return
	}
	switch v.slots[i] {
	case slotSeverity:
		for _, x := range Severities() {
			l.add(string(x)+" ", string(x), meaning(x), string(x), string(x)[3:])
		}
	case slotStatus:
		for _, x := range Statuses()[:4] {
			l.add(string(x)+" ", string(x), "", string(x))
		}
	case slotRole:
		for _, x := range Roles() {
			l.add(string(x)+" ", x.Title(), strings.Join(handles(s.Holders(x)), " "), string(x), x.Title())
		}
	case slotKind:
		for _, x := range AddressKinds() {
			l.add(string(x)+" ", string(x), "", string(x))
		}
	case slotChain:
		l.chains(s)
	case slotPerson:
		l.people(people)
	case slotPage:
		l.people(people)
		if len(teams) > 0 {
			l.add("team ", "team", "all who are in it", "team")
		}
	case slotAudience:
		l.audiences(s)
	case slotTeam:
		if v.Name != "/page" || strings.EqualFold(before[i], "team") {
			l.teams(teams, s)
		}
	case slotCategory:
		for _, c := range Categories() {
			l.add(c+" ", c, "", c)
		}
	case slotFact:
		for _, f := range impact.Facts() {
			l.add(f.Name+" ", f.Name, f.Title, f.Name)
		}
	case slotStep:
		for i, p := range s.Paging.Policy.Steps {
			l.add(itoa(i+1)+" ", "step "+itoa(i+1), targets(p), itoa(i+1))
		}
	case slotFor:
		for _, d := range []string{"15m", "30m", "1h", "4h", "1d"} {
			l.add(d+" ", d, "", d)
		}
	default:
		l.things(v, i, s)
	}
}

// teams offers those that there are, and those that the incident has been with, by what people call them when that is one word.
func (l *list) teams(teams []Named, s State) {
	seen := map[string]bool{}
	for _, p := range s.Triage.Past {
		teams = append(teams[:len(teams):len(teams)], Named{p.Team, p.Name})
	}
	for _, t := range teams {
		if seen[t.ID] || strings.ContainsFunc(t.ID, unicode.IsSpace) {
			continue
		}
		seen[t.ID] = true
		hint := ""
		if t.ID == s.Triage.Team {
			hint = "has it now"
		}
		if t.Name == "" || strings.ContainsFunc(t.Name, unicode.IsSpace) {
			l.add(t.ID+" ", cmp.Or(t.Name, t.ID), hint, t.ID, t.Name)
			continue
		}
		l.add(strings.ToLower(t.Name)+" ", t.Name, hint, t.Name, t.ID)
	}
}

// targets names whom a step pages.
func targets(p escalation.Step) string {
	var out []string
	for _, t := range p.Targets {
		out = append(out, t.Kind+" "+t.Name)
	}
	return brief(strings.Join(out, ", "))
}

func (l *list) audiences(s State) {
	seen := map[string]bool{"public": true}
	l.add("public ", "public", "everybody", "public")
	for _, u := range s.Updates {
		if u.Audience != "" && !seen[u.Audience] {
			seen[u.Audience] = true
			l.add(u.Audience+" ", u.Audience, "", u.Audience)
		}
	}
}

// chains offers those that the incident names.
func (l *list) chains(s State) {
	seen := map[string]bool{}
	offer := func(c string) {
		if !seen[c] && !strings.ContainsFunc(c, unicode.IsSpace) {
			seen[c] = true
			l.add(c+" ", c, "", c)
		}
	}
	for _, c := range s.Chains {
		offer(c)
	}
	for _, a := range s.Addresses {
		offer(a.Chain)
	}
}

func (l *list) things(v verb, i int, s State) {
	switch v.slots[i] {
	case slotTask:
		for _, t := range s.Tasks {
			if t.Done == (v.Name == "/undone") {
				l.add(t.ID+" ", t.ID, t.Title, t.ID, t.ID[min(1, len(t.ID)):])
			}
		}
	case slotUpdate:
		want := map[string]UpdateState{"/approve": UpdateDraft, "/publish": UpdateIsApproved}[v.Name]
		for _, u := range s.Updates {
			if want == u.State || want == "" && (u.State == UpdateDraft || u.State == UpdateIsApproved) {
				l.add(u.ID+" ", u.ID, u.Audience+": "+brief(u.Text), u.ID)
			}
		}
	case slotLink:
		for _, k := range s.Links {
			l.add(k.ID+" ", k.ID, linkOf(k.URL, k.Title).Text, k.ID)
		}
	case slotAddress:
		for _, a := range s.Addresses {
			l.add(a.ID+" ", a.ID, string(a.Kind)+" "+brief(a.Address), a.ID, a.Address)
		}
	case slotTx:
		for _, x := range s.Transactions {
			l.add(x.ID+" ", x.ID, brief(x.Tx), x.ID, x.Tx)
		}
	case slotSignal:
		for _, g := range s.Signals {
			l.add(g.ID+" ", g.ID, g.Title, g.ID)
		}
	}
}

func handles(people []string) []string {
	out := make([]string, 0, len(people))
	for _, p := range people {
		out = append(out, "@"+p)
	}
	return out
}

func meaning(v Severity) string {
	switch v {
	case SEV1:
		return "funds moving"
	case SEV5:
		return "information"
	}
	return ""
}

func brief(text string) string {
	if r := []rune(text); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return text
}
