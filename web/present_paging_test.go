package web

import (
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/views"
)

// "Not me" is for those who are asked to come, "not me after all" for those who have it, and nobody is offered both.
func TestNotMeIsForThoseWhoAreAsked(t *testing.T) {
	at := func(page, person string) escalation.Page {
		return escalation.Page{ID: page, Person: person, Epoch: 1, Round: 1, Step: 1, State: escalation.Waiting}
	}
	policy := escalation.Policy{ID: "p", Name: "P", Steps: []escalation.Step{{Need: 2}}}
	for name, c := range map[string]struct {
		pages      []escalation.Page
		has        []string
		not, after []string // nil: nobody
	}{
		"nobody is asked":                 {nil, nil, nil, nil},
		"two are asked":                   {[]escalation.Page{at("1", "ana"), at("2", "bob")}, nil, []string{"ana", "bob"}, nil},
		"asked twice":                     {[]escalation.Page{at("1", "ana"), at("2", "ana")}, nil, []string{"ana"}, nil},
		"the first of two signers has it": {[]escalation.Page{at("2", "bob")}, []string{"ana"}, []string{"bob"}, []string{"ana"}},
		"who has it is paged by hand":     {[]escalation.Page{at("1", "ana")}, []string{"ana"}, nil, []string{"ana"}},
	} {
		st := incident.New(1, "id")
		st.Paging = escalation.State{Policy: policy, Phase: escalation.Running, Epoch: 1, Round: 1, Step: 1, Pages: c.pages}
		for _, who := range c.has {
			st.Paging.Acks = append(st.Paging.Acks, escalation.Ack{Person: who})
		}
		only := map[string][]string{}
		for _, a := range pagingActions(st, views.Paging{}) {
			if strings.HasPrefix(a.Label, "Not me") {
				if len(a.Only) == 0 {
					t.Errorf("%s: everybody is offered %q", name, a.Label)
				}
				only[a.Label] = a.Only
			}
		}
		if !slices.Equal(only["Not me"], c.not) || !slices.Equal(only[notAfterAll], c.after) {
			t.Errorf("%s: %v", name, only)
		}
		if got := mayDecline(st.Paging, "bob"); (len(got) == 1) != slices.Contains(c.not, "bob") || len(got) == 1 && !slices.Equal(got[0].Only, []string{"bob"}) {
			t.Errorf("%s: bob is offered %v", name, got)
		}
	}
}

// "I have it" is for those to whom it would be news.
func TestIHaveItIsForThoseWhoDoNot(t *testing.T) {
	ack, wait := []escalation.Ack{{Person: "ana"}}, []escalation.Page{{ID: "1", Person: "ana", Epoch: 1, State: escalation.Waiting}}
	for name, c := range map[string]struct {
		e   escalation.State
		but []string
	}{
		"nobody has it":               {escalation.State{Phase: escalation.Running}, nil},
		"ana has it":                  {escalation.State{Phase: escalation.Acknowledged, Acks: ack}, []string{"ana"}},
		"and is paged by hand":        {escalation.State{Phase: escalation.Acknowledged, Acks: ack, Pages: wait}, nil},
		"and bob had it":              {escalation.State{Phase: escalation.Acknowledged, Acks: append([]escalation.Ack{{Person: "bob", Expired: 1}}, ack...)}, []string{"ana"}},
		"and pages go on by a person": {escalation.State{Phase: escalation.Running, Acks: ack}, nil},
	} {
		st := incident.New(1, "id")
		st.Paging = c.e
		list := pagingActions(st, views.Paging{})
		i := slices.IndexFunc(list, func(a views.Action) bool { return a.Label == "I have it" })
		if i < 0 || !slices.Equal(list[i].But, c.but) {
			t.Errorf("%s: not offered to %v, want %v", name, list[i].But, c.but)
		}
	}
}
