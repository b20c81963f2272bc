//go:build !unix

package ws

import "github.com/tocsin-ops/tocsin/hub"

// direct is not available here: every connection writes on its own goroutine.
type direct struct{}

func (c *conn) openDirect() bool                            { return false }
func (c *conn) writeDirect(b *hub.Batch) (n int, full bool) { return 0, true }
func (c *conn) catchUp(s *hub.Subscriber)                   { c.writers.Done() }
