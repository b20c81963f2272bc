package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ops/tocsin/store"
)

// work does one task: mark, send, write down, tell, finish. An error is one of the store or of ctx; what was marked is then sent again under the same
// key by whoever leads next. So a crash between mark and answer repeats a parcel at most, and never loses one.
func (n *Office) work(ctx context.Context, t task) error {
	if err := n.save(ctx, t.jobs, nil); err != nil {
		return err
	}
	// What somebody else has taken out or changed meanwhile is theirs to tell.
	var list []*job
	for _, j := range t.jobs {
		if !j.gone {
			list = append(list, j)
		}
	}
	if t.route != nil && len(list) > 0 {
		if err := n.deliver(ctx, t, list); err != nil {
			return err
		}
	}
	return n.finish(ctx, list)
}

// deliver sends and writes the outcome down.
func (n *Office) deliver(ctx context.Context, t task, list []*job) error {
	p := Parcel{Key: t.key, Route: *t.route}
	for _, j := range list {
		p.Messages = append(p.Messages, j.Message)
	}
	p.Text = compose(p.Messages, n.Base())
	if t.route.Kind == Push {
		seen, err := n.announce(ctx, t, list)
		if err != nil {
			return err
		}
		p.Seen = seen
	}
	sending, stop := context.WithTimeout(ctx, sendTimeout)
	answer, err := n.senders[t.route.Kind].Send(sending, p)
	stop()
	if ctx.Err() != nil {
		return ctx.Err() // the outcome is not known, and not ours to write any more
	}
	now := n.Clock()
	last := Last{Outcome: Sent, Detail: answer.Detail, At: now}
	var f *Failure
	if err != nil && !errors.As(err, &f) {
		n.Logger.Warn("a sender failed", "kind", t.route.Kind, "type", fmt.Sprintf("%T", err)) // the text may hold an address
		f = &Failure{Reason: "the sender failed", Unknown: true}
	}
	for _, j := range list {
		j.landed(t.route, answer, f, len(list), now)
	}
	if f != nil {
		last.Outcome, last.Detail = Failed, f.Reason
	}
	n.figures.add(t.route.Kind, last.Outcome, len(list))
	op, err := n.remember(ctx, t.jobs[0].Person, t.route.ID, last)
	if err != nil {
		return err
	}
	return n.save(ctx, list, []store.Op{op})
}

// landed writes what became of the attempt into the leg and the receipts.
func (j *job) landed(r *Route, answer Answer, f *Failure, together int, now int64) {
	g := j.leg(r.ID)
	if g == nil {
		return
	}
	with := ""
	if together > 1 {
		with = fmt.Sprintf(" (in one with %d others)", together-1)
	}
	switch {
	case f == nil:
		g.State, g.Parcel = through, ""
		detail := answer.Detail
		if answer.ID != "" {
			detail += ", id " + oneLine(answer.ID, 80)
		}
		j.said(r.ID, r.spoken(), Sent, detail+with, g.Attempt, now)
		if j.Kind != KindPage {
			for i := range j.Legs { // told is told
				if j.Legs[i].State == again {
					j.Legs[i].State = dead
				}
			}
		}
	case f.Permanent || j.Kind == KindTest || f.RetryAfter > GiveUp:
		g.State, g.Parcel = dead, ""
		j.said(r.ID, r.spoken(), Failed, f.Reason+with, g.Attempt, now)
	default:
		wait := max(backoff(g.Attempt, jitter()), f.RetryAfter)
		g.State, g.Due = again, now+wait.Milliseconds()
		if !f.Unknown {
			g.Parcel = ""
		}
		if g.Attempt&(g.Attempt-1) == 0 { // the 1st, 2nd, 4th, 8th …: the timeline need not have them all
			j.said(r.ID, r.spoken(), Failed, fmt.Sprintf("%s; tried again in %s%s", f.Reason, wait.Round(time.Second), with), g.Attempt, now)
		}
	}
}

// finish tells the receipts and takes out what is over.
func (n *Office) finish(ctx context.Context, list []*job) error {
	var all []Receipt
	for _, j := range list {
		all = append(all, j.Untold...)
	}
	if len(all) > 0 && n.Receipts != nil {
		telling, stop := context.WithTimeout(ctx, receiptsTime)
		err := n.Receipts(telling, all)
		stop()
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			n.Logger.Warn("receipts were not taken and are told again", "receipts", len(all), "err", err)
			for _, j := range list {
				j.tell = n.Clock() + 2000
			}
			return nil
		}
	}
	var open []*job
	for _, j := range list {
		told := len(j.Untold) > 0
		j.Untold = nil
		switch {
		case j.gone:
		case j.over():
			rev, err := n.DB.Commit(ctx, n.ended(j))
			if err != nil && !errors.Is(err, store.ErrConflict) {
				return fmt.Errorf("end a message: %w", err)
			}
			if err == nil {
				j.rev = rev
			}
			j.gone = true
		case told:
			open = append(open, j)
		}
	}
	return n.save(ctx, open, nil)
}

// save writes jobs if nobody else has touched them, with extra in the first Txn. Those that somebody else changed, as Cancel does, are gone after it.
func (n *Office) save(ctx context.Context, list []*job, extra []store.Op) error {
	most := store.OpLimit(n.DB) - len(extra)
	for i := 0; i < len(list); i += most {
		some := list[i:min(i+most, len(list))]
		txn := store.Txn{Then: extra}
		for _, j := range some {
			if !j.gone {
				txn.If = append(txn.If, store.Cond{Key: []byte(j.key), Rev: j.rev})
				txn.Then = append(txn.Then, store.Op{Key: []byte(j.key), Value: j.encode()})
			}
		}
		if len(txn.Then) == 0 {
			continue
		}
		rev, err := n.DB.Commit(ctx, txn)
		switch {
		case errors.Is(err, store.ErrConflict) && len(txn.If) == 1:
			for _, j := range some {
				j.gone = true
			}
			if len(extra) > 0 {
				if _, err := n.DB.Commit(ctx, store.Txn{Then: extra}); err != nil {
					return fmt.Errorf("write the outbox: %w", err)
				}
			}
		case errors.Is(err, store.ErrConflict):
			for k := range some {
				if err := n.save(ctx, some[k:k+1], extra); err != nil {
					return err
				}
			}
		case err != nil:
			return fmt.Errorf("write the outbox: %w", err)
		default:
			for _, j := range some {
				if !j.gone {
					j.rev = rev
				}
			}
		}
		extra = nil
	}
	return nil
}

// remember is what the page shows of a route's last attempt.
func (n *Office) remember(ctx context.Context, person, route string, l Last) (store.Op, error) {
	if l.OK = l.At; l.Outcome != Sent {
		before, err := n.last(ctx, person, route)
		if err != nil {
			return store.Op{}, err
		}
		l.OK = before.OK
	}
	raw, _ := json.Marshal(l)
	return store.Op{Key: lastKey(person, route), Value: raw}, nil
}
