package reactor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// Actor is who declares and attaches.
const Actor = "system:correlator"

const (
	// chunkBytes bounds one command's signals, well below what one event takes.
	chunkBytes = 96 << 10
	// atOnce is how many commands with news of signals wait at the same time.
	atOnce = 32
	// replans is how often a page is planned anew because an incident refused.
	replans = 4
)

// Room is where incidents are written. An error that is not a *incident.Refusal
// means that the command may or may not have happened; the same id again tells.
type Room interface {
	Declare(ctx context.Context, c incident.Declare, m incident.Meta) (number int64, err error)
	Do(ctx context.Context, number int64, c incident.Command, m incident.Meta) error
}

// Correlator is the reactor that makes incidents of signals: a signal that
// opens declares an incident, joins an open one, or is left alone, as
// signal.Correlate says; what becomes of an attached signal is told to its
// incident. Signals of one page that belong together take one declaration and
// as few attachments as fit. It decides on its own fold of the log up to the
// newest event, never on a read model that may lag.
type Correlator struct {
	log   Log
	room  Room
	rules signal.Rules
	clock func() time.Time
	slog  *slog.Logger

	mu    sync.Mutex // held by Handle, and by Image
	fold  *fold
	image []byte // of the fold, not read yet; see Resume
}

// NewCorrelator returns a correlator that has read nothing yet.
func NewCorrelator(log Log, room Room, rules signal.Rules, clock func() time.Time, logger *slog.Logger) *Correlator {
	return &Correlator{log: log, room: room, rules: rules, clock: clock, slog: logger, fold: newFold(log)}
}

// Name is "correlate".
func (c *Correlator) Name() string { return "correlate" }

// Wants the events of signals that open or that incidents are told of, and
// merges, as the signals of a duplicate move with it.
func (c *Correlator) Wants(typ string) bool {
	switch typ {
	case signal.TypeOpened, signal.TypeUpdated, signal.TypeAcknowledged, signal.TypeCleared, signal.TypeReleased, typeMerged:
		return true
	}
	return false
}

var typeMerged = incident.Merged{}.Type()

// errReplan says that an incident took less than the fold promised.
var errReplan = errors.New("an incident refused signals")

// Handle is Reactor.Handle.
func (c *Correlator) Handle(ctx context.Context, page []eventlog.Event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.wake(ctx); err != nil {
		return err
	}
	for try := 1; ; try++ {
		if err := c.fold.catchUp(ctx); err != nil {
			return err
		}
		moves, err := c.moves(ctx, page)
		if err != nil {
			return err
		}
		err = c.place(ctx, append(c.plan(page), moves...))
		if err == nil {
			break
		}
		if !errors.Is(err, errReplan) {
			return err
		}
		if try == replans {
			c.slog.ErrorContext(ctx, "signals were left without an incident", "from", page[0].Offset, "err", err)
			break
		}
	}
	if err := c.fold.catchUp(ctx); err != nil {
		return err
	}
	return c.tell(ctx, page)
}

// group is what one page brings to one incident.
type group struct {
	number  int64 // 0: to be declared
	event   string
	drill   bool
	at      int64             // of the first event
	members []incident.Signal // each says in Correlation why it is here
}

// plan decides for every signal of the page that opens and was not placed yet.
// What it plans to declare can be joined by the signals after it.
func (c *Correlator) plan(page []eventlog.Event) []*group {
	open := c.fold.candidates()
	byNumber := map[int64]*group{}
	var plan []*group
	placed := map[string]bool{}
	for _, e := range page {
		source, ok := strings.CutPrefix(e.Stream, signal.StreamPrefix)
		if !ok {
			continue
		}
		s, through, ok := c.placeable(source, e)
		if !ok || placed[s.ID] {
			continue
		}
		d := signal.Correlate(open, s, c.rules)
		number := d.Incident
		switch d.Action {
		case signal.None:
			continue
		case signal.Declare:
			number = -int64(len(plan) + 1)
			open = append(open, signal.Candidate{Number: number, Status: string(incident.StatusDeclared), Drill: s.Drill, Chains: []string{s.Chain}, Components: []string{s.Component}})
		}
		g := byNumber[number]
		if g == nil {
			g = &group{number: max(0, number), event: e.ID, drill: s.Drill, at: s.OpenedAt}
			byNumber[number] = g
			plan = append(plan, g)
		}
		placed[s.ID] = true
		g.members = append(g.members, told(s, through, d.Reason))
		i := slices.IndexFunc(open, func(k signal.Candidate) bool { return k.Number == number })
		open[i].LastAt = max(open[i].LastAt, s.OpenedAt)
		for _, id := range []string{s.GroupIdentity(), s.Joint.Identity()} {
			if id != "" && !slices.Contains(open[i].Groups, id) {
				open[i].Groups = append(slices.Clip(open[i].Groups), id)
			}
		}
		if c.fold.taken(number)+len(g.members) >= incident.MaxSignals {
			open = slices.Delete(open, i, i+1) // it is full: the next one declares another
		}
	}
	return plan
}

// placeable is the signal of an event that may declare or join: one that opens, or one that became worse, more certain or was released, and was never
// placed; and the offset of the event up to which it is told. Of one that was held back when it opened, an update tells all until now.
func (c *Correlator) placeable(source string, e eventlog.Event) (s signal.Signal, through int64, ok bool) {
	switch b := fact(source, e).Body.(type) {
	case signal.Opened:
		s = asOpened(source, e, b)
		seen := c.fold.signals[s.ID]
		return s, e.Offset, seen == nil || !seen.touched
	case signal.Updated:
		seen := c.fold.signals[b.Signal]
		if seen == nil || seen.touched || seen.loose == nil || seen.grew < e.Offset {
			return s, 0, false
		}
		s = *seen.loose
		s.Severity, s.Title, s.Reason, s.Finding = b.Severity, b.Title, b.Reason, b.Finding
		return s, e.Offset, true
	case signal.Released:
		seen := c.fold.signals[b.Signal]
		if seen == nil || seen.touched || seen.loose == nil || seen.clearedAt != 0 {
			return s, 0, false
		}
		return *seen.loose, e.Offset, true
	}
	return s, 0, false
}

// moves brings the signals of incidents that were merged to where they went.
func (c *Correlator) moves(ctx context.Context, page []eventlog.Event) ([]*group, error) {
	var plan []*group
	for _, e := range page {
		if e.Type != typeMerged {
			continue
		}
		number, _ := room.Number(e.Stream)
		from := c.fold.rooms[number]
		if from == nil || from.MergedInto == 0 {
			continue
		}
		to := from.MergedInto
		r := c.fold.rooms[to]
		if r == nil {
			continue
		}
		old, err := c.fold.whole(ctx, from)
		if err != nil {
			return nil, err
		}
		have, err := c.fold.whole(ctx, r)
		if err != nil {
			return nil, err
		}
		g := &group{number: to, event: e.ID, drill: e.Drill, at: e.At}
		for _, m := range old.Signals {
			if at(have.Signals, m.ID) >= 0 || r.detached[m.ID] {
				continue
			}
			m.Correlation = fmt.Sprintf("It came with incident #%d, which was merged into this one.", number)
			g.members = append(g.members, m)
		}
		if len(g.members) > 0 {
			plan = append(plan, g)
		}
	}
	return plan, nil
}

// place carries the plan out, incident by incident.
func (c *Correlator) place(ctx context.Context, plan []*group) error {
	var again error
	for _, g := range plan {
		number, rest := g.number, g.members
		if number == 0 {
			var n int
			var err error
			if number, n, err = c.declare(ctx, g); err != nil {
				return err
			}
			rest = rest[n:]
		}
		for len(rest) > 0 {
			n := fits(rest, itself)
			id := CommandID(rest[0].ID, fmt.Sprintf("attach to %d", number))
			err := c.room.Do(ctx, number, incident.AttachSignals{Signals: rest[:n]}, c.meta(id, g.drill, g.at))
			var refusal *incident.Refusal
			if errors.As(err, &refusal) {
				c.slog.WarnContext(ctx, "an incident refused signals", "incident", number, "signals", n, "code", refusal.Code, "sentence", refusal.Sentence)
				if c.retry(number, refusal.Code) {
					again = fmt.Errorf("%w: #%d: %s", errReplan, number, refusal.Sentence)
				}
				break
			}
			if err != nil {
				return fmt.Errorf("attach %d signals to incident %d: %w", n, number, err)
			}
			rest = rest[n:]
		}
	}
	return again
}

// retry says whether planning anew can help after this refusal, and sees to it
// that the next plan is another one.
func (c *Correlator) retry(number int64, code string) bool {
	switch code {
	case incident.CodeTooMany:
		if r := c.fold.rooms[number]; r != nil {
			r.full = true
		}
		return true
	case incident.CodeMerged:
		return true // the fold will know
	}
	return false
}

// declare opens the incident of a group with as many of its signals as fit, and
// returns its number and how many that were. The worst signal gives severity
// and title, the first one chain and component.
func (c *Correlator) declare(ctx context.Context, g *group) (number int64, n int, err error) {
	all, first := g.members, g.members[0]
	worst := slices.MinFunc(all, func(a, b incident.Signal) int { return cmp.Compare(a.Severity.Rank(), b.Severity.Rank()) })
	n = fits(all, itself)
	d := incident.Declare{Title: worst.Title, Severity: string(worst.Severity), DetectedAt: first.OpenedAt, Signal: first.ID, Attach: all[:n]}
	if first.Chain != "" {
		d.Chains = []string{first.Chain}
	}
	if first.Component != "" {
		d.Components = []string{first.Component}
	}
	number, err = c.room.Declare(ctx, d, c.meta(CommandID(g.event, "declare"), g.drill, g.at))
	var refusal *incident.Refusal
	if errors.As(err, &refusal) {
		c.slog.ErrorContext(ctx, "a declaration was refused; the signals stay without an incident", "signal", first.ID, "signals", len(all), "code", refusal.Code, "sentence", refusal.Sentence)
		return 0, len(all), nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("declare an incident for signal %s: %w", first.ID, err)
	}
	return number, n, nil
}

// fits is how many of these one command takes, at least one; of says which
// signal each is about.
func fits[T any](all []T, of func(T) incident.Signal) int {
	n, bytes := 0, 0
	for n < len(all) && n < incident.MaxBatch {
		if bytes += size(of(all[n])); bytes > chunkBytes && n > 0 {
			break
		}
		n++
	}
	return n
}

func itself(g incident.Signal) incident.Signal { return g }

// change is what one page says of one attached signal, in the end.
type change struct {
	sig   incident.Signal
	event string // the newest of its events
	drill bool
	at    int64
}

// tell gives every incident the news of its signals, in as few commands as fit.
func (c *Correlator) tell(ctx context.Context, page []eventlog.Event) error {
	news, err := c.news(ctx, page)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, number := range slices.Sorted(maps.Keys(news)) {
		for rest := news[number]; len(rest) > 0; {
			n := fits(rest, func(ch *change) incident.Signal { return ch.sig })
			some := rest[:n]
			rest = rest[n:]
			g.Go(func() error { return c.tellSome(ctx, number, some) })
		}
	}
	return g.Wait()
}

// news lays the events of a page over what the incidents know, and returns for
// each incident what it has not been told, in the order of the log.
func (c *Correlator) news(ctx context.Context, page []eventlog.Event) (map[int64][]*change, error) {
	out := map[int64][]*change{}
	changes := map[string]*change{}
	index := map[int64]map[string]int{} // of the signals of each incident
	for _, e := range page {
		source, ok := strings.CutPrefix(e.Stream, signal.StreamPrefix)
		if !ok {
			continue
		}
		f := fact(source, e)
		id := subject(f.Body)
		r := c.fold.holding(id)
		if r == nil {
			continue
		}
		number := r.Number
		ch := changes[id]
		if ch == nil {
			state, err := c.fold.whole(ctx, r)
			if err != nil {
				return nil, err
			}
			if index[number] == nil {
				index[number] = positions(state.Signals)
			}
			i, ok := index[number][id]
			if !ok {
				continue
			}
			ch = &change{sig: state.Signals[i]}
		}
		sig, ok := news(ch.sig, f)
		if !ok {
			continue
		}
		if changes[id] == nil {
			changes[id] = ch
			out[number] = append(out[number], ch)
		}
		ch.sig, ch.event, ch.drill, ch.at = sig, e.ID, e.Drill, e.At
	}
	return out, nil
}

func positions(list []incident.Signal) map[string]int {
	at := make(map[string]int, len(list))
	for i, g := range list {
		at[g.ID] = i
	}
	return at
}

// tellSome gives one command. Its id is that of all it says: what another page
// cut tells with more or less in it is another command, and what an incident
// knows already it does not take twice.
func (c *Correlator) tellSome(ctx context.Context, number int64, some []*change) error {
	var cmd incident.SignalsChanged
	var events strings.Builder
	at := int64(0)
	for _, ch := range some {
		cmd.Signals = append(cmd.Signals, ch.sig)
		events.WriteString(ch.event + " ")
		at = max(at, ch.at)
	}
	id := CommandID(events.String(), fmt.Sprintf("tell %d", number))
	err := c.room.Do(ctx, number, cmd, c.meta(id, some[0].drill, at))
	var refusal *incident.Refusal
	if errors.As(err, &refusal) {
		c.slog.InfoContext(ctx, "an incident did not take news of signals", "incident", number, "signals", len(some), "first", some[0].sig.ID, "code", refusal.Code)
		return nil
	}
	if err != nil {
		return fmt.Errorf("tell incident %d about %d signals: %w", number, len(some), err)
	}
	return nil
}

// subject is the id of the signal that an event is about.
func subject(b signal.Body) string {
	switch b := b.(type) {
	case signal.Updated:
		return b.Signal
	case signal.Acknowledged:
		return b.Signal
	case signal.Cleared:
		return b.Signal
	}
	return ""
}

// meta stamps a command with now, but not before what it is about.
func (c *Correlator) meta(id string, drill bool, notBefore int64) incident.Meta {
	return incident.Meta{ID: id, At: max(c.clock().UnixMilli(), notBefore), Actor: Actor, Drill: drill}
}
