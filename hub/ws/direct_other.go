//go:build !unix

package ws

import "github.com/tocsin-ops/tocsin/hub"

// direct is not available here: every connection is hidden.
type direct struct {
	port  int32
	reach reach
}

func (c *conn) openDirect()                                 {}
func (c *conn) writeDirect(b *hub.Batch) (n int, full bool) { return 0, true }
func (c *conn) catchUp(s *hub.Subscriber)                   { c.push(s) }
func roomy(port int32) bool                                 { return false }
