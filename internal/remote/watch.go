package remote

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"
)

// watch looks whether the room answers until ctx ends.
func (r *Room) watch(ctx context.Context) {
	var away, checked, saved time.Time // away: since when
	force, doubt := true, true
	for ctx.Err() == nil {
		now := r.state.reach()
		if force || !now.Up || r.o.Clock().Sub(now.Heard) >= lookEvery {
			r.glance(ctx)
		}
		back := !now.Up
		now = r.state.reach()
		at := r.o.Clock()
		if now.Up && r.jar.has() && (back || doubt || at.Sub(checked) >= sessionEach) {
			checked = at
			r.checkSession(ctx)
		}
		if at.Sub(saved) >= saveEvery {
			saved = at
			if err := r.state.save(); err != nil {
				r.log.Warn("when the room was last heard could not be kept", "err", err)
			}
		}
		var wait time.Duration
		switch {
		case now.Up:
			away = time.Time{}
			wait = now.Heard.Add(lookEvery).Sub(at) + rand.N(lookLeast)
		case away.IsZero():
			away = at
			fallthrough
		case at.Sub(away) <= longWay:
			wait = lookAgain*3/4 + rand.N(lookAgain/2) // a server that comes back is not met by all at once
		default:
			wait = lookSlower*3/4 + rand.N(lookSlower/2)
		}
		force, doubt = false, false
		least := time.NewTimer(lookLeast)
		select {
		case <-least.C:
		case <-ctx.Done():
			least.Stop()
			return
		}
		most := time.NewTimer(max(wait, lookLeast) - lookLeast)
		select {
		case <-most.C:
		case <-r.kick:
			force = true
		case <-r.doubt:
			doubt = true
		case <-ctx.Done():
		}
		most.Stop()
	}
}

// glance looks once.
func (r *Room) glance(ctx context.Context) {
	began := r.o.Clock()
	was := r.state.away()
	if t := look(ctx, r.wire, r.o.Base, r.o.AnswerIn); t != nil {
		r.unheard(ctx, t, began)
		return
	}
	r.state.heard()
	if was {
		r.log.Info("the room can be reached again")
		poke(r.stir)
	}
}

// unheard takes what came of a look that began then. A room that said something else meanwhile is only slow.
func (r *Room) unheard(ctx context.Context, t *Trouble, began time.Time) {
	switch {
	case ctx.Err() != nil:
	case t.Code == CodeTimeout && r.state.reach().Heard.After(began):
	default:
		r.fell(t)
	}
}

// checkSession asks whether the room takes the session. Only its own no counts.
func (r *Room) checkSession(ctx context.Context) {
	began := r.o.Clock()
	soon, cancel := context.WithTimeout(ctx, r.o.AnswerIn)
	defer cancel()
	cookie, gen := r.jar.header("/", sessionCookie)
	res, err := ask(soon, r.wire, r.o.Base, pathOpen, cookie)
	if err != nil {
		r.unheard(ctx, Explain(err, r.o.Base), began)
		return
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusUnauthorized && problem(res):
		r.refused(gen)
	case res.StatusCode == http.StatusOK && media(res) == "application/json", res.StatusCode == http.StatusForbidden && problem(res):
		r.accepted(gen)
	}
}

// pathOpen lists the open incidents; whoever may not see them is told so as somebody who is known.
const pathOpen = "/api/v1/incidents?status=open"

// refused is told that the room does not take the session of a generation. What that session was shown is not kept any longer.
func (r *Room) refused(gen uint64) {
	if r.jar.session() != gen {
		return
	}
	r.state.signed(false)
	if r.kept != nil {
		if err := r.kept.wipe(); err != nil {
			r.log.Warn("the kept pages of a session that ended could not be removed", "err", err)
		}
	}
	poke(r.stir)
}

func (r *Room) accepted(gen uint64) {
	if r.jar.session() == gen && r.jar.has() {
		r.state.signed(true)
		poke(r.stir)
	}
}
