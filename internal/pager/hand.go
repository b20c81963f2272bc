package pager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/notify"
)

func waits(g escalation.Page) bool { return g.State == escalation.Waiting }

// handOver gives the courier every page that waits and that it has not, and takes back those that wait no more. The room has said all this
// already: nobody who acknowledges waits for it. What fails stays owing.
func (p *Pager) handOver(ctx context.Context) error {
	var owing []*known
	for _, k := range p.rooms {
		if k.owing {
			owing = append(owing, k)
		}
	}
	if len(owing) == 0 {
		return nil
	}
	if err := p.leads(ctx); err != nil {
		return err
	}
	slices.SortFunc(owing, func(a, b *known) int { return cmp.Compare(a.state.Number, b.state.Number) })
	var all []error
	var waiting []page
	for _, k := range owing {
		if err := p.takeBack(ctx, k); err != nil {
			all = append(all, err)
			k.cancel = true // once more, whatever was done of it
			continue
		}
		if !incident.Open(k.state) {
			delete(p.rooms, k.state.Number)
			continue
		}
		waiting = append(waiting, k.untold()...)
	}
	for len(waiting) > 0 {
		n := min(len(waiting), submitAtOnce)
		if err := p.submit(ctx, waiting[:n]); err != nil {
			all = append(all, err)
			break
		}
		waiting = waiting[n:]
	}
	for _, k := range owing {
		k.owing = k.cancel || len(k.untold()) > 0
	}
	return errors.Join(all...)
}

// untold are the pages that wait and that the courier has not.
func (k *known) untold() (list []page) {
	for _, g := range k.state.Paging.Pages {
		if waits(g) && !k.told[g.ID] {
			list = append(list, page{k, g})
		}
	}
	return list
}

// takeBack cancels the pages of one incident that wait no more.
func (p *Pager) takeBack(ctx context.Context, k *known) error {
	n := k.state.Number
	if !incident.Open(k.state) {
		if p.over[n] {
			return nil
		}
		p.handed = true
		if err := p.o.Courier.Cancel(ctx, n); err != nil {
			return fmt.Errorf("cancel the pages of incident %d: %w", n, err)
		}
		if len(p.over) >= keptOver {
			clear(p.over) // to cancel once more does no harm
		}
		p.over[n] = true
		return nil
	}
	out := incident.OutUntil(k.state) > 0
	wanted := map[string]bool{}
	var stay []string
	ended := k.cancel || k.out && !out
	for _, g := range k.state.Paging.Pages {
		if waits(g) {
			wanted[g.ID] = true
			stay = append(stay, g.ID)
		}
	}
	for id := range k.told {
		ended = ended || !wanted[id]
	}
	if k.state.Drill && !out {
		stay = nil // the drill has ended, or never was outside: nothing of it goes out any more
	}
	if ended {
		p.handed = true
		if err := p.o.Courier.Cancel(ctx, n, stay...); err != nil {
			return fmt.Errorf("cancel pages of incident %d: %w", n, err)
		}
	}
	k.cancel, k.out = false, out
	for id := range k.told {
		if !wanted[id] {
			delete(k.told, id)
		}
	}
	for id := range k.tokens {
		if !wanted[id] {
			delete(k.tokens, id)
		}
	}
	return nil
}

// page is one page to hand over.
type page struct {
	of *known
	escalation.Page
}

func (p *Pager) submit(ctx context.Context, list []page) error {
	var links []Link
	var fresh []page // a page that could not be handed over keeps its link for the next try
	for _, g := range list {
		if g.of.tokens[g.ID] == "" {
			links = append(links, Link{Person: g.Person, Incident: g.of.state.Number, Page: g.ID})
			fresh = append(fresh, g)
		}
	}
	tokens, err := p.o.Links.mint(ctx, links)
	if err != nil {
		return err
	}
	for i, g := range fresh {
		if g.of.tokens == nil {
			g.of.tokens = map[string]string{}
		}
		g.of.tokens[g.ID] = tokens[i]
	}
	messages := make([]notify.Message, len(list))
	for i, g := range list {
		messages[i] = p.message(g, g.of.tokens[g.ID])
	}
	p.handed = true
	if err := p.o.Courier.Submit(ctx, messages); err != nil {
		return fmt.Errorf("hand over %d pages: %w", len(messages), err)
	}
	for _, g := range list {
		g.of.told[g.ID] = true
		delete(g.of.tokens, g.ID)
	}
	return nil
}

// message is what the person is told.
func (p *Pager) message(g page, token string) notify.Message {
	s, url := g.of.state, p.o.URL()
	return notify.Message{
		ID: g.ID, Person: g.Person, Kind: notify.KindPage, Incident: s.Number, Severity: string(s.Severity), Title: s.Title, Sentence: g.Why,
		Cost: Cost(s), URL: fmt.Sprintf("%s/incidents/%d/page", url, s.Number), AckURL: url + "/page/" + token, Drill: s.Drill, LeaveUntil: incident.OutUntil(s), At: g.At,
	}
}
