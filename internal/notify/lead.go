package notify

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/store"
)

// leader is the one that sends. All of its fields are those of one goroutine; workers get jobs that are marked busy and give them back as results.
type leader struct {
	n       *Office
	jobs    map[string]*job
	desks   map[string]*desk // by person
	flying  map[string]int   // workers by kind of route, "" for those that only write
	buckets map[string]*bucket
	results chan task // holds as many as can fly, so that no worker waits
	group   *errgroup.Group
	ctx     context.Context
}

// desk is what waits for one person.
type desk struct {
	jobs map[string]*job
	pace map[string]pace // by route; it is forgotten at a restart
	next int64           // when to look again; 0: when something happens
	jam  bool            // a kind of route was busy: look when a worker comes back
}

// task is one parcel on its way, or with a nil route only something to write and tell.
type task struct {
	jobs  []*job
	route *Route
	key   string
	err   error
}

func (t task) kind() string {
	if t.route == nil {
		return ""
	}
	return t.route.Kind
}

// foreign is what somebody else did to a job while it was busy.
type foreign struct {
	rev   int64
	value []byte // nil: removed
}

// lead sends until ctx ends or the store fails.
func (n *Office) lead(ctx context.Context) error {
	teller, ok := n.DB.(store.Revisioner)
	if !ok {
		return errors.New("the store cannot tell its revision; use an engine that can")
	}
	from, err := teller.Revision(ctx)
	if err != nil {
		return fmt.Errorf("read the outbox: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	g, ctx := errgroup.WithContext(ctx)
	l := &leader{n: n, jobs: map[string]*job{}, desks: map[string]*desk{}, flying: map[string]int{}, buckets: map[string]*bucket{},
		results: make(chan task, perKind*(len(Kinds)+1)), group: g, ctx: ctx}
	for kv, err := range n.DB.Scan(ctx, prefixRange(outPrefix)) {
		if err != nil {
			stop()
			return fmt.Errorf("read the outbox: %w", err)
		}
		l.take(string(kv.Key), kv.Value, kv.Rev)
	}
	changes := make(chan store.Change, 64) // full: the watch waits, the engine keeps the rest
	g.Go(func() error {
		for c, err := range n.DB.Watch(ctx, []byte(outPrefix), from) {
			if err != nil {
				return fmt.Errorf("watch the outbox: %w", err)
			}
			select {
			case changes <- c:
			case <-ctx.Done():
				return nil
			}
		}
		return ctx.Err()
	})
	g.Go(func() error {
		defer stop()
		return l.run(changes)
	})
	return g.Wait()
}

func (l *leader) run(changes <-chan store.Change) error {
	defer l.n.figures.leave()
	clean, seen, counted := int64(0), int64(0), int64(0)
	for {
		now := l.n.Clock()
		if back := seen - now; back > 0 {
			l.back(back)
			clean, counted = clean-back, 0
		}
		seen = now
		if now >= clean {
			if err := l.n.clean(l.ctx, now); err != nil {
				return err
			}
			clean = now + int64(time.Hour/time.Millisecond)
		}
		next := clean
		for person, d := range l.desks {
			if d.next != 0 && d.next <= now {
				d.next, d.jam = 0, false
				if err := l.look(person, d, now); err != nil {
					return err
				}
			}
			if len(d.jobs) == 0 && d.next == 0 && l.idle(d, now) {
				delete(l.desks, person)
			} else if d.next != 0 {
				next = min(next, d.next)
			}
		}
		if now-counted >= 1000 {
			l.count()
			counted = now
		} else if len(l.jobs) > 0 || l.n.Figures().Waiting > 0 {
			next = min(next, counted+1000)
		}
		timer := time.NewTimer(time.Duration(max(next-l.n.Clock(), 1)) * time.Millisecond)
		select {
		case <-l.ctx.Done():
			timer.Stop()
			return l.ctx.Err()
		case c := <-changes:
			l.changed(c)
			for more := true; more; {
				select {
				case c := <-changes:
					l.changed(c)
				default:
					more = false
				}
			}
		case t := <-l.results:
			if err := l.landed(t); err != nil {
				timer.Stop()
				return err
			}
		case <-timer.C:
		}
		timer.Stop()
	}
}

// back moves every time that is waited for, because the clock was set back by so many ms: nobody is reached later for it.
func (l *leader) back(by int64) {
	for _, b := range l.buckets {
		b.at -= by
	}
	for _, d := range l.desks {
		d.next = 1
		for _, p := range d.pace {
			for i := range p {
				p[i] -= by
			}
		}
		for _, j := range d.jobs {
			if j.busy { // its worker has its times
				continue
			}
			j.Began -= by
			j.tell -= by
			for i := range j.Legs {
				j.Legs[i].Due -= by
				if j.Legs[i].First != 0 {
					j.Legs[i].First -= by
				}
			}
		}
	}
}

// idle says that nothing is remembered of the person that is worth keeping.
func (l *leader) idle(d *desk, now int64) bool {
	for _, p := range d.pace {
		if len(p) > 0 && p[len(p)-1] > now-window {
			return false
		}
	}
	return true
}

// take puts a job as the store has it onto its person's desk.
func (l *leader) take(key string, value []byte, rev int64) {
	j, err := decodeJob(key, value, rev)
	if err != nil {
		l.n.Logger.Error("a message of the outbox cannot be read and is left alone", "key", key, "err", err)
		return
	}
	d := l.desks[j.Person]
	if d == nil {
		d = &desk{jobs: map[string]*job{}, pace: map[string]pace{}}
		l.desks[j.Person] = d
	}
	l.jobs[key], d.jobs[key], d.next = j, j, 1
}

func (l *leader) drop(j *job) {
	delete(l.jobs, j.key)
	if d := l.desks[j.Person]; d != nil {
		delete(d.jobs, j.key)
	}
}

// changed takes in what was committed, by us or by others.
func (l *leader) changed(c store.Change) {
	for _, op := range c.Ops {
		key := string(op.Key)
		j := l.jobs[key]
		switch {
		case j == nil && !op.Delete:
			l.take(key, op.Value, c.Rev)
		case j == nil:
		case j.busy: // its worker writes it; landed compares
			j.news = &foreign{rev: c.Rev, value: op.Value}
			if op.Delete {
				j.news.value = nil
			}
		case c.Rev <= j.rev:
		case op.Delete:
			l.drop(j)
		default:
			l.take(key, op.Value, c.Rev)
		}
	}
}

// landed takes a worker's jobs back.
func (l *leader) landed(t task) error {
	l.flying[t.kind()]--
	if t.err != nil {
		return t.err
	}
	for _, j := range t.jobs {
		j.busy = false
		switch f := j.news; {
		case f != nil && f.rev > j.rev && f.value != nil:
			l.take(j.key, f.value, f.rev)
		case j.gone || f != nil && f.rev > j.rev:
			l.drop(j)
		}
		j.news = nil
	}
	for _, d := range l.desks {
		if d.jam {
			d.next = 1
		}
	}
	if d := l.desks[t.jobs[0].Person]; d != nil {
		d.next = 1
	}
	return nil
}

// look finds out what is due for one person and sends it off.
func (l *leader) look(person string, d *desk, now int64) error {
	if len(d.jobs) == 0 {
		return nil
	}
	routes, err := l.n.routes(l.ctx, person)
	if err != nil {
		return err
	}
	rights := l.n.rights(person)
	byID := map[string]*Route{}
	for i := range routes.List {
		byID[routes.List[i].ID] = &routes.List[i]
	}
	list := make([]*job, 0, len(d.jobs))
	for _, j := range d.jobs {
		if !j.busy {
			list = append(list, j)
		}
	}
	slices.SortFunc(list, func(a, b *job) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.key, b.key)) })
	ready := map[string][]*job{} // by route
	var book []*job              // nothing to send, something to write or tell
	for _, j := range list {
		route, changed := l.judge(d, j, routes.List, byID, rights, now)
		switch {
		case route != "":
			ready[route] = append(ready[route], j)
		case changed || len(j.Untold) > 0 && j.tell <= now || j.over() && len(j.Untold) == 0:
			book = append(book, j)
		case len(j.Untold) > 0:
			d.at(j.tell)
		}
	}
	for i := range routes.List {
		if r := &routes.List[i]; len(ready[r.ID]) > 0 {
			l.dispatch(d, r, ready[r.ID], now)
		}
	}
	for len(book) > 0 {
		if l.flying[""] >= perKind {
			d.jam = true
			break
		}
		k := min(len(book), parcelMost)
		l.fly(task{jobs: book[:k:k]})
		book = book[k:]
	}
	return nil
}

func (d *desk) at(when int64) {
	if d.next == 0 || when < d.next {
		d.next = when
	}
}

// judge brings a job to the point where it waits, is over or has one route to be sent over now. changed says that something is to be written.
func (l *leader) judge(d *desk, j *job, routes []Route, byID map[string]*Route, rights Rights, now int64) (route string, changed bool) {
	if !j.Planned {
		changed = true
		j.plan(routes, now)
		if why := fence(j.Message, now); why != "" {
			j.Legs = nil
			l.n.figures.add("none", Suppressed, 1)
			j.said("", "", Suppressed, why, 1, now)
		} else if why := rights.bar(j.Message); why != "" {
			j.Legs = nil
			l.n.figures.add("none", Suppressed, 1)
			j.said("", "", Suppressed, why, 1, now)
		} else if len(j.Legs) == 0 {
			l.n.figures.add("none", Failed, 1)
			j.said("", "", Failed, unrouted(j.Kind), 1, now)
		}
	}
	for {
		ready, next := j.due(now, l.n.Patience.Milliseconds())
		if next != 0 {
			d.at(next)
		}
		again := false
		for _, i := range ready {
			g := &j.Legs[i]
			r := byID[g.Route]
			outcome, why := Failed, ""
			switch {
			case rights.bar(j.Message) != "":
				outcome, why = Suppressed, rights.bar(j.Message)
			case r == nil || r.Removed != 0:
				why = "the route was removed"
			case l.n.senders[r.Kind] == nil:
				why = "this channel is not set up on the server any more"
			case g.First != 0 && now-g.First > GiveUp.Milliseconds():
				why = "given up: nothing got through for an hour"
			case fence(j.Message, now) != "":
				outcome, why = Suppressed, fence(j.Message, now)
			case r.barred != "":
				outcome, why = Suppressed, r.barred
			case g.State == marked: // it may be out already: no gate brings it back
			case j.Kind == KindNotice && g.State == waiting && now-j.Began > noticeWait:
				outcome, why = Suppressed, "too many messages came at once, and this one is too old by now"
			default:
				outcome, why = Suppressed, gate(j.Message, *r, now)
			}
			if why == "" {
				return g.Route, changed
			}
			label := ""
			if r != nil {
				label = r.spoken()
			}
			kind := "none"
			if r != nil {
				kind = r.Kind
			}
			l.n.figures.add(kind, outcome, 1)
			g.State, g.Parcel = dead, ""
			j.said(g.Route, label, outcome, why, g.Attempt+1, now)
			again, changed = true, true
		}
		if !again {
			return "", changed
		}
	}
}

// unrouted says that a person has no route. A page may come all the same: a desktop program asks for its person's pages by itself.
func unrouted(kind string) string {
	if kind == KindPage {
		return "no route is set up for this person: only a desktop program of theirs that is open can show it"
	}
	return "there is no route to this person"
}

// dispatch sends what is ready over one route: tests alone, parcels of unknown outcome as they were, all else as one.
func (l *leader) dispatch(d *desk, r *Route, list []*job, now int64) {
	var rest []*job
	same := map[string][]*job{}
	var keys []string
	for _, j := range list {
		g := j.leg(r.ID)
		key := g.Parcel
		if key == "" && j.Kind == KindTest {
			key = digest(j.ID, r.ID)
		}
		if key == "" {
			rest = append(rest, j)
			continue
		}
		if same[key] == nil {
			keys = append(keys, key)
		}
		same[key] = append(same[key], j)
	}
	for _, key := range keys {
		if !l.send(d, r, same[key], key, now) {
			return
		}
	}
	if len(rest) == 0 {
		return
	}
	if at := d.pace[r.ID].next(l.n.Bundle.Milliseconds()); at > now {
		d.at(at)
		return
	}
	rest = rest[:min(len(rest), parcelMost)]
	ids := make([]string, 0, len(rest)+1)
	for _, j := range rest {
		ids = append(ids, j.ID)
	}
	slices.Sort(ids)
	l.send(d, r, rest, digest(append(ids, r.ID)...), now)
}

// send lets a worker fly with one parcel, unless too many do already.
func (l *leader) send(d *desk, r *Route, list []*job, key string, now int64) bool {
	if l.flying[r.Kind] >= perKind {
		d.jam = true
		return false
	}
	b := l.buckets[r.Kind]
	if b == nil {
		b = &bucket{}
		l.buckets[r.Kind] = b
	}
	if at := b.take(now); at != 0 {
		d.at(at)
		return false
	}
	for _, j := range list {
		g := j.leg(r.ID)
		g.State, g.Parcel = marked, key
		if g.Attempt++; g.First == 0 {
			g.First = now
		}
	}
	d.pace[r.ID] = d.pace[r.ID].add(now)
	route := *r
	l.fly(task{jobs: list, route: &route, key: key})
	return true
}

func (l *leader) fly(t task) {
	for _, j := range t.jobs {
		j.arrived = j.got()
		j.busy = true
	}
	l.flying[t.kind()]++
	l.group.Go(func() error {
		t.err = l.n.work(l.ctx, t)
		l.results <- t
		return nil
	})
}

// clean forgets, after KeepDone, the IDs of messages that are over and what devices never said.
func (n *Office) clean(ctx context.Context, now int64) error {
	old := func(kv store.KV) bool {
		if strings.HasPrefix(string(kv.Key), donePrefix) {
			return len(kv.Value) != 8 || int64(binary.BigEndian.Uint64(kv.Value)) < now-KeepDone.Milliseconds()
		}
		var s seen
		return json.Unmarshal(kv.Value, &s) != nil || s.At < now-KeepDone.Milliseconds()
	}
	for _, prefix := range []string{donePrefix, seenPrefix} {
		for more := true; more; {
			var txn store.Txn
			for kv, err := range n.DB.Scan(ctx, prefixRange(prefix)) {
				if err != nil {
					return fmt.Errorf("clean the outbox: %w", err)
				}
				if old(kv) {
					txn.Then = append(txn.Then, store.Op{Key: kv.Key, Delete: true})
				}
				if len(txn.Then) == store.MaxOps {
					break
				}
			}
			if more = len(txn.Then) > 0; more {
				if _, err := n.DB.Commit(ctx, txn); err != nil {
					return fmt.Errorf("clean the outbox: %w", err)
				}
			}
		}
	}
	return nil
}
