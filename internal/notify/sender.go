package notify

import (
	"context"
	"time"
)

// Parcel is one thing to hand to a provider: one message, or several to one person as one.
type Parcel struct {
	// Key is the idempotency key: the same parcel again has the same one.
	Key      string
	Route    Route
	Text     Text
	Messages []Message
	// Seen is the path at which a device says that it showed the parcel; it is a secret of this parcel. Empty: nobody is to be told.
	Seen string
}

// Answer is what a provider said of a parcel that it took.
type Answer struct {
	ID     string // the provider's own, if it gave one
	Detail string // "the mail server took it"; never an address or a secret
}

// Failure is why a parcel was not taken. Reason is a plain sentence without addresses and secrets.
type Failure struct {
	Reason string
	// Permanent: to try again is of no use, the next route is used at once.
	Permanent bool
	// RetryAfter is how long the provider wants to be left alone, 0: it did not say.
	RetryAfter time.Duration
	// Unknown: it may have been taken all the same. It is sent again under the same Key.
	Unknown bool
}

// Error returns the reason.
func (f *Failure) Error() string { return f.Reason }

// Sender hands parcels to one kind of provider. Send is called from several goroutines; it keeps to ctx, and its error is a *Failure. Any other error
// is of unknown outcome and its text is not shown to anybody.
type Sender interface {
	Kind() string
	Send(ctx context.Context, p Parcel) (Answer, error)
}

// Limits of a provider, and of a person on one route.
const (
	sendTimeout  = 10 * time.Second // of one attempt
	perKind      = 4                // attempts at a time over one kind of route; the others wait
	kindPerSec   = 10               // attempts a second over one kind, with a burst of as many
	burst        = 6                // messages that one person gets over one route within window, a bundle apart; then one in slow
	window       = int64(5 * time.Minute / time.Millisecond)
	slow         = int64(time.Minute / time.Millisecond)
	noticeWait   = int64(15 * time.Minute / time.Millisecond) // a notice that waited longer is not sent any more
	parcelMost   = 500                                        // messages in one parcel
	receiptsTime = 10 * time.Second                           // for Options.Receipts
)

// bucket lets kindPerSec attempts a second through.
type bucket struct {
	tokens float64
	at     int64
}

// take returns 0, or when to ask again.
func (b *bucket) take(now int64) int64 {
	if b.at == 0 {
		b.tokens = kindPerSec
	} else {
		b.tokens = min(kindPerSec, b.tokens+float64(now-b.at)*kindPerSec/1000)
	}
	b.at = now
	if b.tokens >= 1 {
		b.tokens--
		return 0
	}
	return now + 1 + int64((1-b.tokens)*1000/kindPerSec)
}

// pace is when one person was sent something over one route; the newest last, at most burst.
type pace []int64

// next is when the next message may go.
func (p pace) next(bundle int64) int64 {
	if len(p) == 0 {
		return 0
	}
	last := p[len(p)-1]
	if len(p) == burst && p[0] > last-window {
		return last + max(slow, bundle)
	}
	return last + bundle
}

func (p pace) add(now int64) pace {
	if p = append(p, now); len(p) > burst {
		p = p[1:]
	}
	return p
}
