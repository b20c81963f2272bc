package auth

import (
	"container/list"
	"net/netip"
	"sync"
)

// How often somebody may try to sign in. Successful attempts are given back, so
// a whole office behind one address is never shut out by its own success.
const (
	attemptsPerAddress = 10  // at once and then ten a minute, for one address
	attemptsOverall    = 600 // at once and then 600 a minute, for all addresses
	beginsPerAddress   = 120 // sign-in pages opened, likewise: a page asks for a challenge when it loads
	addressesKept      = 4096
)

// bucket fills by size attempts a minute, up to size. One attempt is 60,000
// units, so that a millisecond adds exactly size units.
type bucket struct {
	size, left, at int64
}

func newBucket(size, now int64) *bucket {
	return &bucket{size: size, left: size * 60_000, at: now}
}

// take takes one attempt, or returns how many milliseconds until there is one.
func (b *bucket) take(now int64) (wait int64) {
	if passed := now - b.at; passed > 0 {
		b.left = min(b.size*60_000, b.left+min(passed, 60_000)*b.size)
	}
	b.at = now
	if b.left < 60_000 {
		return (60_000-b.left)/b.size + 1
	}
	b.left -= 60_000
	return 0
}

func (b *bucket) giveBack() { b.left = min(b.size*60_000, b.left+60_000) }

// limiter bounds attempts per network address and overall. It keeps the
// addressesKept most recent addresses; the oldest is forgotten when full, and
// the overall bound still holds then.
type limiter struct {
	mu      sync.Mutex
	each    int64 // attempts an address has
	overall *bucket
	byAddr  map[string]*list.Element // of addressed
	recent  *list.List               // newest first
}

type addressed struct {
	addr   string
	bucket *bucket
}

func newLimiter(each, overall, now int64) *limiter {
	return &limiter{each: each, overall: newBucket(overall, now), byAddr: map[string]*list.Element{}, recent: list.New()}
}

// attempt takes one attempt for the address. The returned function gives it
// back and is called when the attempt was honest. A refusal says when to retry.
func (l *limiter) attempt(address string, now int64) (giveBack func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	network := networkOf(address)
	e, ok := l.byAddr[network]
	if ok {
		l.recent.MoveToFront(e)
	} else {
		e = l.recent.PushFront(&addressed{network, newBucket(l.each, now)})
		l.byAddr[network] = e
		if l.recent.Len() > addressesKept {
			oldest := l.recent.Back()
			l.recent.Remove(oldest)
			delete(l.byAddr, oldest.Value.(*addressed).addr)
		}
	}
	one := e.Value.(*addressed).bucket
	wait := one.take(now)
	if wait == 0 {
		if wait = l.overall.take(now); wait > 0 {
			one.giveBack()
		}
	}
	if wait > 0 {
		r := refuse(CodeTooMany, "Too many attempts to sign in. Wait %d seconds and try again.", (wait+999)/1000)
		r.RetryAfter = wait
		return nil, r
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		one.giveBack()
		l.overall.giveBack()
	}, nil
}

// networkOf returns what counts as one address: an IPv4 address, or the /64 of
// an IPv6 address, since one household has a whole /64. Text that is no address
// counts as one address of its own, shortened.
func networkOf(address string) string {
	if ap, err := netip.ParseAddrPort(address); err == nil {
		address = ap.Addr().String()
	}
	a, err := netip.ParseAddr(address)
	if err != nil {
		return "other:" + address[:min(len(address), 64)]
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	p, _ := a.Prefix(64)
	return p.String()
}
