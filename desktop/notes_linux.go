//go:build desktop

package main

import (
	"context"

	"github.com/tocsin-ops/tocsin/desktop/native"
	"github.com/tocsin-ops/tocsin/internal/attention"
)

// notes are the notices on the screen and what else the session does for us.
type notes struct {
	s       *shell
	session *native.Session
	known   noticeboard
}

func newNotes(s *shell) *notes {
	n := &notes{s: s}
	n.session = native.NewSession(native.SessionOptions{Name: "Tocsin", Entry: entry, Log: s.log, Chosen: func(c native.Choice) { go n.chosen(c) }})
	return n
}

func (n *notes) run(ctx context.Context) error { return n.session.Run(ctx) }

func (n *notes) show(a attention.Notice) {
	n.known.put(a)
	n.session.Show(noteOf(a))
}

func (n *notes) withdraw(key string) {
	n.known.drop(key)
	n.session.Withdraw(key)
}

func (n *notes) badge(count int, urgent bool) { n.session.Badge(count, urgent) }
func (n *notes) awake(on bool)                { n.session.Awake(on) }

func (n *notes) chosen(c native.Choice) { n.s.answer(n.known.get(c.Key), c.Action, c.Token) }
