package desk

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-ops/tocsin/internal/attention"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/outbox"
	"github.com/tocsin-ops/tocsin/internal/remote"
)

const (
	tellAway   = 30 * time.Second      // so long a room is away before somebody is told
	silence    = 35 * time.Second      // without a word: the server speaks every 10 s
	followRest = 2 * time.Second       // between two attempts to follow
	stateRest  = 50 * time.Millisecond // between two states: the room gathers for longer, and a hostile one fills no screen with notices
	noFollow   = 5 * time.Minute       // when the server does not know what is asked for
	sendRest   = 5 * time.Second       // between two attempts to send while the room answers
	mostState  = 1 << 20               // bytes of one state
)

// watchReach tells pages when the room comes and goes, and the person when it is away for tellAway, until ctx ends.
func (d *Desk) watchReach(ctx context.Context, p *place) error {
	late := time.NewTimer(time.Hour)
	late.Stop()
	defer late.Stop()
	defer d.o.Shell.Withdraw(reachKey)
	steps := make(chan remote.Reach)
	go func() {
		defer close(steps)
		for r, err := p.room.Reach(), error(nil); err == nil; r, err = p.room.Reached(ctx, r) {
			select {
			case steps <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	away, told := false, false
	for {
		select {
		case r, ok := <-steps:
			if !ok {
				return nil
			}
			d.news()
			switch gone := !r.Up && r.Trouble != nil; {
			case gone && !away:
				away = true
				late.Reset(d.patience)
			case r.Up && away:
				away = false
				late.Stop()
				if told {
					told = false
					d.o.Shell.Withdraw(reachKey)
				}
			}
		case <-late.C:
			told = true
			n := reachNotice(p, p.room.Reach().Trouble)
			if !d.Kiosk() {
				d.o.Shell.Notify(n)
			}
			if d.book.read().quietAt(d.millis()).Mode == attention.Loud {
				d.o.Shell.Sound(attention.Wave(n.Sound))
			}
		}
	}
}

func (d *Desk) millis() int64 { return d.o.Clock().UnixMilli() }

// attend follows what the person must hear, and tells the Shell, until ctx ends.
func (d *Desk) attend(ctx context.Context, p *place) error {
	defer d.quietly()
	states := make(chan attention.State)
	go func() {
		defer close(states)
		for ctx.Err() == nil {
			rest(ctx, d.listen(ctx, p, states))
		}
	}()
	pages := make(chan []string, 1) // the newest that are shown; one that is not told yet gives way to it
	told := make(chan struct{})
	go func() {
		defer close(told)
		d.tellShown(ctx, p, pages)
	}()
	defer func() { <-told }()
	defer close(pages)
	var memory attention.Memory
	var waiting []attention.Page
	heard := false
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		var show []attention.Notice
		var withdraw []string
		select {
		case s, ok := <-states:
			if !ok {
				return nil
			}
			heard, waiting = true, s.Pages
			memory, show, withdraw = attention.Diff(memory, s, d.book.read().rules(), d.millis())
			d.o.Shell.Title(attention.Title(s))
			d.o.Shell.Badge(s.Open, s.Worst)
		case <-tick.C:
			if heard {
				memory, show, withdraw = attention.Due(memory, d.book.read().rules(), d.millis())
			}
		}
		d.show(show, withdraw)
		if ids := shownPages(show, waiting); len(ids) > 0 && !d.Kiosk() {
			select {
			case <-pages:
			default:
			}
			pages <- ids
		}
	}
}

// shownPages are those that wait when a notice among these is about pages.
func shownPages(show []attention.Notice, waiting []attention.Page) (ids []string) {
	if !slices.ContainsFunc(show, func(n attention.Notice) bool { return n.Sticky }) {
		return nil
	}
	for _, p := range waiting {
		ids = append(ids, p.ID)
	}
	return ids
}

// tellShown tells the room which pages were given to the window's system to show, so that its timeline does not say
// that they came by no way. It is told once a page and session at best; what cannot be told is left.
func (d *Desk) tellShown(ctx context.Context, p *place, pages <-chan []string) {
	said := map[string]bool{}
	session := p.room.Session()
	for ids := range pages {
		if now := p.room.Session(); now != session {
			session, said = now, map[string]bool{}
		}
		ids = slices.DeleteFunc(ids, func(id string) bool { return said[id] })
		if len(ids) == 0 || ctx.Err() != nil {
			continue
		}
		if status, _, err := p.room.Post(ctx, "/api/v1/me/attention/shown", map[string]any{"pages": ids}); err != nil || status != http.StatusOK {
			continue // the next notice of them tells it
		}
		if len(said) > 10*attention.MostPages {
			clear(said)
		}
		for _, id := range ids {
			said[id] = true
		}
	}
}

// listen follows the room's word until it breaks, and returns how long to wait before the next attempt.
func (d *Desk) listen(ctx context.Context, p *place, states chan<- attention.State) time.Duration {
	for r := p.room.Reach(); !r.Up || !r.SignedIn; {
		var err error
		if r, err = p.room.Reached(ctx, r); err != nil {
			return 0
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := time.AfterFunc(silence, cancel)
	defer watch.Stop()
	session := p.room.Session()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/me/attention?follow=true", nil)
	if err != nil {
		return noFollow
	}
	req.Header.Set("Accept", "application/x-ndjson")
	res, err := p.room.Do(req)
	if err != nil {
		return followRest
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound: // a server from before desktops
		return noFollow
	default:
		return 5 * followRest
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 64<<10), mostState)
	for lines.Scan() {
		watch.Reset(silence)
		if p.room.Session() != session {
			return 0 // this is for whoever was signed in before
		}
		var s attention.State
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return 5 * followRest
		}
		s.Incidents = s.Incidents[:min(len(s.Incidents), attention.MostIncidents)]
		s.Pages = s.Pages[:min(len(s.Pages), attention.MostPages)]
		select {
		case states <- s:
		case <-ctx.Done():
			return followRest
		}
		rest(ctx, stateRest)
	}
	return followRest
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// show hands notices to the Shell and remembers which are there.
func (d *Desk) show(show []attention.Notice, withdraw []string) {
	d.mu.Lock()
	for _, k := range withdraw {
		delete(d.withdraw, k)
	}
	for _, n := range show {
		d.withdraw[n.Key] = true
	}
	d.mu.Unlock()
	for _, k := range withdraw {
		d.o.Shell.Withdraw(k)
	}
	if !d.Kiosk() { // the wall says it itself, and nobody stands there to close what covers it
		for _, n := range show {
			d.o.Shell.Notify(n)
		}
	}
	// One sound at a time: the most urgent comes first.
	if i := slices.IndexFunc(show, func(n attention.Notice) bool { return n.Sound != attention.Silent }); i >= 0 {
		d.o.Shell.Sound(attention.Wave(show[i].Sound))
	}
}

func (d *Desk) withdrawAll() {
	d.mu.Lock()
	keys := d.withdraw
	d.withdraw = map[string]bool{}
	d.mu.Unlock()
	for k := range keys {
		d.o.Shell.Withdraw(k)
	}
}

// sendNotes gives the room what was typed while it was away, whenever it can be reached, until ctx ends.
func (d *Desk) sendNotes(ctx context.Context, p *place) error {
	for {
		changed := p.box.Changed()
		reach := p.room.Reach()
		pause := time.Duration(0)
		if reach.Up && reach.SignedIn && waits(p.box) {
			if err := p.box.Send(ctx, func(ctx context.Context, n outbox.Note) error { return postNote(ctx, p.room, n) }); err != nil {
				if !errors.Is(err, outbox.ErrAway) && ctx.Err() == nil {
					d.o.Log.Error("send notes", "err", err)
				}
				pause, changed = sendRest, nil // what is new waits behind what could not be sent
			} else if waits(p.box) {
				pause = sendRest // those are somebody else's: who is signed in is looked at again
			}
			d.news()
		}
		if err := moved(ctx, p.room, reach, changed, pause); err != nil {
			return nil
		}
		d.news()
	}
}

// moved returns when the way to the room changes, when there is something new to send, or after pause when it is not 0. The error is that of ctx.
func moved(ctx context.Context, r *remote.Room, seen remote.Reach, changed <-chan struct{}, pause time.Duration) error {
	in, cancel := context.WithCancel(ctx)
	defer cancel()
	if pause > 0 {
		in, cancel = context.WithTimeout(ctx, pause)
		defer cancel()
	}
	reached := make(chan struct{})
	go func() {
		defer close(reached)
		_, _ = r.Reached(in, seen)
	}()
	select {
	case <-reached:
	case <-changed:
		cancel()
		<-reached
	}
	return ctx.Err()
}

func waits(b *outbox.Box) bool {
	return slices.ContainsFunc(b.Items(), func(it outbox.Item) bool { return it.State == outbox.StateWaiting })
}

// postNote gives one note to the room.
func postNote(ctx context.Context, r *remote.Room, n outbox.Note) error {
	body := map[string]any{"id": n.ID, "line": n.Line}
	if n.WrittenAt != 0 {
		body["written_at"] = n.WrittenAt
	}
	status, answer, err := r.PostAs(ctx, n.By, fmt.Sprintf("/incidents/%d/line", n.Incident), body)
	var says struct{ Code, Detail, Title string }
	_ = json.Unmarshal(answer, &says)
	switch {
	case errors.Is(err, remote.ErrSomebodyElse):
		return outbox.ErrNotTheirs
	case err != nil:
		return outbox.ErrAway
	case status/100 == 2 && remote.Taken(answer):
		return nil
	case status/100 == 2: // somebody in between, who says yes to everything
		return outbox.ErrAway
	case status == http.StatusUnauthorized, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500, status/100 == 3, says.Code == "form_expired":
		return outbox.ErrAway // the room has not judged it
	}
	if says.Code == string(incident.CodeBadTime) && n.WrittenAt > time.Now().Add(-24*time.Hour).UnixMilli() {
		n.WrittenAt = 0 // the clocks of the two differ: what was said counts more than when
		return postNote(ctx, r, n)
	}
	if says.Detail == "" {
		says.Detail = says.Title
	}
	return outbox.Refused{Sentence: says.Detail}
}
