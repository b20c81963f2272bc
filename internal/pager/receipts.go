package pager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/google/uuid"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/notify"
)

// space is the name space of the ids of commands that tell receipts.
var space = uuid.MustParse("5b0e7f1c-2d7e-5c57-9b0a-3f1f0a8e6c11")

// Receipts tells the rooms what became of pages; it is durable when it returns nil. Of one page a route's same outcome is told once, whatever the
// attempts; those of anything but pages are nobody's business in a room. It may be called on any replica, and again with the same receipts.
func (p *Pager) Receipts(ctx context.Context, list []notify.Receipt) error {
	rooms := map[int64][]incident.PageReceipt{}
	for _, r := range list {
		if r.Incident == 0 || !strings.HasPrefix(r.Message, "page-") {
			continue
		}
		one := incident.PageReceipt{Page: r.Message, Person: r.Person, Receipt: escalation.Receipt{
			Route: line(r.Route, mostName), Label: line(r.Label, mostName), Outcome: r.Outcome, Detail: line(r.Detail, mostDetail), Attempt: r.Attempt, At: r.At,
		}}
		// The newest stays, and in its place: what a route said last is what holds.
		rooms[r.Incident] = append(slices.DeleteFunc(rooms[r.Incident], func(h incident.PageReceipt) bool {
			return h.Page == one.Page && h.Route == one.Route && h.Outcome == one.Outcome
		}), one)
	}
	var all []error
	for _, n := range slices.Sorted(maps.Keys(rooms)) {
		for some := range slices.Chunk(rooms[n], incident.MaxReceiptBatch) {
			if err := p.tell(ctx, n, some); err != nil {
				all = append(all, err)
			}
		}
	}
	return errors.Join(all...)
}

// What a room is told of a route, in characters.
const (
	mostName   = 80
	mostDetail = 280
)

// line makes one line of what a provider said, whatever it was.
func line(text string, most int) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, ""), func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }), " ")
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

func (p *Pager) tell(ctx context.Context, n int64, some []incident.PageReceipt) error {
	said, err := json.Marshal(some)
	if err != nil {
		return fmt.Errorf("encode receipts of incident %d: %w", n, err)
	}
	m := incident.Meta{ID: uuid.NewSHA1(space, fmt.Appendf(nil, "%d %s", n, said)).String(), At: p.now(), Actor: Actor}
	for _, r := range some {
		m.At = max(m.At, r.At)
	}
	err = p.o.Room.Do(ctx, n, incident.PageReceipts{Receipts: some}, m)
	var refusal *incident.Refusal
	if errors.As(err, &refusal) {
		p.o.Logger.InfoContext(ctx, "a room did not take receipts", "incident", n, "receipts", len(some), "code", refusal.Code)
		return nil
	}
	if err != nil {
		return fmt.Errorf("tell incident %d about %d receipts: %w", n, len(some), err)
	}
	return nil
}
