package web

import (
	"context"
	"strconv"
	"time"
)

// headerPosition carries the position of the log that a caller has seen. Every
// answer to somebody signed in brings the one it shows; a request that brings
// one is answered with at least that, by whichever replica.
const headerPosition = "Tocsin-Position"

// catchUp bounds how long an answer waits for what the caller has seen already. Only tests change it.
var catchUp = 2 * time.Second

// settle waits until the pages show position, so that somebody who acted sees
// it; it gives up quietly, for the act itself is done.
func (c *call) settle(position int64) {
	ctx, cancel := context.WithTimeout(c.ctx(), catchUp)
	defer cancel()
	_ = c.s.World.WaitFor(ctx, position)
}

// reach waits, for catchUp at most, until this replica has what the caller saw
// on another: the position in the header, or since in the address that a form of
// ours led to. Then it answers with what it has, and its own position says which
// that is. While nothing can be written nothing new comes either: no wait.
func (c *call) reach() {
	if c.IsWebSocket() {
		return // judges its topics one by one
	}
	want := int64(-1)
	for _, text := range []string{c.Request().Header.Get(headerPosition), c.QueryParam("since")} {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			want = max(want, n)
		}
	}
	if want > c.s.World.Position() && !c.s.Health().ReadOnly {
		c.settle(want)
	}
	c.Response().Header().Set(headerPosition, itoa(c.s.World.Position()))
}

// wrote tells the position of what was just written.
func (c *call) wrote(position int64) {
	c.Response().Header().Set(headerPosition, itoa(position))
}
