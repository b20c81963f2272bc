package send

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/nicholas-fedor/shoutrrr"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/notify"
)

// sms is a gateway by HTTP, as configured. {id} is the idempotency key, for gateways that know one.
type sms struct {
	url, method, body, authorization string
	headers                          map[string]string
}

func newSMS(c config.SMSGateway) *sms {
	s := &sms{c.URL.Reveal(), c.Method, c.Body, c.Authorization.Reveal(), c.Headers}
	if s.method == "" {
		s.method = http.MethodPost
	}
	if s.body == "" && s.method != http.MethodGet {
		s.body = `{"to":"{to}","text":"{text}"}`
	}
	return s
}

func (*sms) Kind() string { return notify.SMS }

func (s *sms) Send(ctx context.Context, p notify.Parcel) (notify.Answer, error) {
	values := []string{"{to}", p.Route.Address, "{text}", p.Text.Short, "{id}", p.Key}
	address := fill(s.url, values, url.QueryEscape)
	kind, body := "", s.body
	switch {
	case s.method == http.MethodGet:
		body = ""
	case strings.HasPrefix(strings.TrimSpace(body), "{"), strings.HasPrefix(strings.TrimSpace(body), "["):
		kind, body = "application/json", fill(body, values, inJSON)
	default:
		kind, body = "application/x-www-form-urlencoded", fill(body, values, url.QueryEscape)
	}
	req, err := http.NewRequestWithContext(ctx, s.method, address, strings.NewReader(body))
	if err != nil {
		return notify.Answer{}, failure("the address of the SMS gateway is not one")
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for name, value := range s.headers {
		req.Header.Set(name, value)
	}
	if s.authorization != "" {
		req.Header.Set("Authorization", s.authorization)
	}
	a, err := ask(own, req)
	if err != nil {
		return notify.Answer{}, err
	}
	if a.status/100 != 2 {
		return notify.Answer{}, judge(a, "the SMS gateway", "")
	}
	return notify.Answer{Detail: "the SMS gateway took it"}, nil
}

func fill(template string, values []string, quote func(string) string) string {
	quoted := append([]string(nil), values...)
	for i := 1; i < len(quoted); i += 2 {
		quoted[i] = quote(quoted[i])
	}
	return strings.NewReplacer(quoted...).Replace(template)
}

// inJSON is text as it stands between the quotes of a JSON string.
func inJSON(text string) string {
	raw, _ := json.Marshal(text)
	return string(raw[1 : len(raw)-1])
}

// webhook posts JSON to a person's own address, signed as PagerDuty signs its webhooks: the header holds v1= and the hex HMAC-SHA-256 of the body,
// once for each secret that is good (developer.pagerduty.com, Verifying signatures).
type webhook struct{}

func newWebhook() webhook { return webhook{} }

func (webhook) Kind() string { return notify.Webhook }

// hookBody is what a webhook gets. The id is the same when it is sent again.
type hookBody struct {
	ID       string           `json:"id"`
	Type     string           `json:"type"` // "notify"
	Text     string           `json:"text"`
	Subject  string           `json:"subject"`
	URL      string           `json:"url,omitempty"`
	Messages []notify.Message `json:"messages"`
}

// Headers of a signed webhook.
const (
	HeaderSignature = "X-Tocsin-Signature"
	HeaderDelivery  = "X-Tocsin-Delivery"
)

func (webhook) Send(ctx context.Context, p notify.Parcel) (notify.Answer, error) {
	raw, err := json.Marshal(hookBody{ID: p.Key, Type: "notify", Text: p.Text.Plain, Subject: p.Text.Subject, URL: p.Text.URL, Messages: p.Messages})
	if err != nil {
		return notify.Answer{}, failure("the message cannot be written as JSON")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Route.Address, bytes.NewReader(raw))
	if err != nil {
		return notify.Answer{}, failure("the address is not one")
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set(HeaderDelivery, p.Key)
	req.Header.Set(HeaderSignature, Sign(raw, p.Route.Secrets))
	a, err := ask(clientFor(p.Route), req)
	if err != nil {
		return notify.Answer{}, err
	}
	if a.status/100 != 2 {
		return notify.Answer{}, judge(a, "the webhook", "")
	}
	return notify.Answer{Detail: "the webhook took it"}, nil
}

// Sign is the value of HeaderSignature for a body.
func Sign(body []byte, secrets []string) string {
	var all []string
	for _, s := range secrets {
		mac := hmac.New(sha256.New, []byte(s))
		mac.Write(body)
		all = append(all, "v1="+hex.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(all, ",")
}

// other is shoutrrr, for services without a sender of their own. It says whether a service took something, and nothing else: no id, no Retry-After.
// It keeps to no context, so one that hangs is left behind; at most hangMost of them.
type other struct{ slots chan struct{} }

const hangMost = 16

func newOther() *other { return &other{make(chan struct{}, hangMost)} }

func (*other) Kind() string { return notify.Other }

var statusForm = regexp.MustCompile(`\b([45][0-9][0-9])\b`)

func (o *other) Send(ctx context.Context, p notify.Parcel) (notify.Answer, error) {
	select {
	case o.slots <- struct{}{}:
	default:
		return notify.Answer{}, &notify.Failure{Reason: "too many other services do not answer"}
	}
	done := make(chan error, 1)
	go func() {
		defer func() { <-o.slots }()
		sender, err := shoutrrr.CreateSender(p.Route.Address)
		if err != nil {
			done <- failure("the service does not understand its address")
			return
		}
		done <- errors.Join(sender.Send(clip(p.Text.Quoted(calm.Replace), 2000), &types.Params{})...)
	}()
	select {
	case <-ctx.Done():
		return notify.Answer{}, fault(ctx.Err())
	case err := <-done:
		return otherSaid(err)
	}
}

// otherSaid reads the one thing that errors of shoutrrr have in common: a status somewhere in the text. The text itself may hold the address.
func otherSaid(err error) (notify.Answer, error) {
	var f *notify.Failure
	if err == nil {
		return notify.Answer{Detail: "the service took it"}, nil
	}
	if errors.As(err, &f) {
		return notify.Answer{}, f
	}
	if m := statusForm.FindString(err.Error()); m != "" {
		status := int(m[0]-'0')*100 + int(m[1]-'0')*10 + int(m[2]-'0')
		return notify.Answer{}, judge(answer{status: status}, "the service", "")
	}
	return notify.Answer{}, &notify.Failure{Reason: "the service did not take it", Unknown: true}
}
