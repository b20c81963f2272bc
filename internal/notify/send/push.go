package send

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	webpush "github.com/SherClockHolmes/webpush-go"

	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/notify"
)

// push writes to the push service of a browser (RFC 8030), encrypted for it (RFC 8291), in the name of this installation (RFC 8292). The Topic is the
// idempotency key: a repeated parcel takes the place of the one that was not delivered yet.
type push struct {
	contact string
	keys    notify.PushKeys
}

func newPush(c config.WebPush, base string, keys notify.PushKeys) *push {
	p := &push{contact: c.Contact, keys: keys}
	if p.contact == "" && strings.HasPrefix(base, "https://") {
		p.contact = base
	}
	if p.contact == "" {
		p.contact = "operator@" + hostOf(base)
	}
	return p
}

func (*push) Kind() string { return notify.Push }

// Payload is what the service worker gets.
type Payload struct {
	Title string `json:"title"`
	Body  string `json:"body"`
	URL   string `json:"url,omitempty"`
	Ack   string `json:"ack,omitempty"`
	Tag   string `json:"tag"`  // a newer notification of the same incident takes the place of the older one
	Page  bool   `json:"page"` // it stays until somebody touches it
	Seen  string `json:"seen,omitempty"`
}

const (
	pageTTL   = 3600      // seconds that the push service keeps a page: afterwards it was given up
	noticeTTL = 12 * 3600 // and anything else
	// payloadMost keeps the encrypted body below the 4096 bytes that push services take (RFC 8030, 7.2; webpush-go pads to one record).
	payloadMost = 3000
)

func (s *push) Send(ctx context.Context, p notify.Parcel) (notify.Answer, error) {
	if p.Route.Push == nil {
		return notify.Answer{}, failure("this browser gave no address to push to")
	}
	sub := &webpush.Subscription{Endpoint: p.Route.Push.Endpoint, Keys: webpush.Keys{Auth: p.Route.Push.Keys.Auth, P256dh: p.Route.Push.Keys.P256dh}}
	o := &webpush.Options{HTTPClient: bound{clientFor(p.Route)}, Subscriber: s.contact, Topic: p.Key, TTL: noticeTTL, Urgency: webpush.UrgencyHigh,
		VAPIDPublicKey: s.keys.Public, VAPIDPrivateKey: s.keys.Private}
	body := payload(p)
	if body.Page {
		o.TTL = pageTTL
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return notify.Answer{}, failure("the message cannot be written as JSON")
	}
	resp, err := webpush.SendNotificationWithContext(ctx, raw, sub, o)
	if err != nil {
		var f *notify.Failure
		if errors.As(err, &f) {
			return notify.Answer{}, f
		}
		return notify.Answer{}, failure("the keys of this browser are not good; switch notifications on in it again")
	}
	defer resp.Body.Close()
	return pushSaid(answer{status: resp.StatusCode, header: resp.Header})
}

func pushSaid(a answer) (notify.Answer, error) {
	switch {
	case a.status/100 == 2: // 201, and 202 when receipts are asked for
		id := a.header.Get("Location")
		if at := strings.LastIndexByte(id, '/'); at >= 0 {
			id = id[at+1:]
		}
		return notify.Answer{ID: short(clip(id, 40)), Detail: "the push service took it"}, nil
	case a.status == http.StatusNotFound, a.status == http.StatusGone:
		return notify.Answer{}, failure("this browser has switched notifications off")
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		return notify.Answer{}, failure("the push service does not accept the key of this server; switch notifications on in this browser again")
	}
	return notify.Answer{}, judge(a, "the push service", "")
}

// payload fits what is to be said into one push.
func payload(p notify.Parcel) Payload {
	b := Payload{Title: clip(p.Text.Subject, 200), Body: clip(p.Text.Body, 1500), URL: p.Text.URL, Ack: p.Text.AckURL, Tag: "tocsin", Seen: p.Seen}
	for _, m := range p.Messages {
		b.Page = b.Page || m.Kind == notify.KindPage
	}
	if len(p.Messages) == 1 && p.Messages[0].Incident > 0 {
		b.Tag = fmt.Sprintf("tocsin-%d", p.Messages[0].Incident)
	}
	if len(p.Messages) == 1 && p.Messages[0].Kind == notify.KindTest {
		b.Tag = "tocsin-test"
	}
	for _, link := range []*string{&b.URL, &b.Ack} {
		if len(*link) > 500 {
			*link = ""
		}
	}
	if raw, _ := json.Marshal(b); len(raw) > payloadMost { // control characters and the like grow sixfold
		b.Body = clip(b.Body, 200)
	}
	return b
}

// bound is the client as webpush-go wants it: with our words for errors, and the body of the answer cut.
type bound struct{ c *http.Client }

func (b bound) Do(r *http.Request) (*http.Response, error) {
	a, err := ask(b.c, r)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: http.NoBody}, nil
}
