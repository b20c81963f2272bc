package send

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/notify"
)

// Words of an alert neither call a channel nor show a link with another text, on any chat.
func TestWordsCallNobody(t *testing.T) {
	const bad = "@channel @everyone @room <!here> <@U012AB> [click](https://evil.example) *x*"
	var body string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		body = string(raw)
		_, _ = w.Write([]byte(`{"ok":true,"id":"p","event_id":"$e"}`))
	}))
	defer srv.Close()
	at, token := config.NewAddress(srv.URL), config.NewSecret("t")
	p := notify.Parcel{Key: "k", Text: notify.Text{Subject: bad, Body: bad, URL: "https://tocsin.example/incidents/1", Plain: bad}, Messages: []notify.Message{{}}}
	for _, c := range []struct {
		sender  notify.Sender
		address string
		not     []string
		has     string
	}{
		{newMattermost(config.Mattermost{Token: token, URL: at}), "c1", []string{"@channel", "[click](", "<!here"}, "https://tocsin.example/incidents/1"},
		{newMattermost(config.Mattermost{Webhook: config.NewSecret(srv.URL)}), "town", []string{"@channel", "[click]("}, ""},
		{newSlack(config.Slack{Token: token, URL: at}), "C012ABCDE", []string{"<!here", "\\u003c!here", "<@U012AB"}, "&lt;!here"},
		{newMatrix(config.Matrix{Token: token, URL: at}), "!r:example.org", nil, `"m.mentions":{}`},
		{newTelegram(config.Telegram{Token: token, URL: at}), "1", []string{"parse_mode"}, ""},
	} {
		p.Route = notify.Route{Kind: c.sender.Kind(), Address: c.address}
		_, _ = c.sender.Send(t.Context(), p) // what it makes of the answer is tested elsewhere
		var said any
		if err := json.Unmarshal([]byte(body), &said); err != nil {
			t.Fatalf("%s: %v %q", c.sender.Kind(), err, body)
		}
		var plain strings.Builder
		enc := json.NewEncoder(&plain)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(said)
		for _, word := range c.not {
			if strings.Contains(plain.String(), word) {
				t.Errorf("%s: %q in %s", c.sender.Kind(), word, plain.String())
			}
		}
		if !strings.Contains(plain.String(), c.has) {
			t.Errorf("%s: no %q in %s", c.sender.Kind(), c.has, plain.String())
		}
	}
}

// Addresses that stand for others, and those of no public network, are closed to people; where clouds keep secrets is closed to administrators, too.
func TestAddressesInDisguise(t *testing.T) {
	for _, c := range []struct {
		ip      string
		private bool
	}{
		{"0.1.2.3", true}, {"64:ff9b::7f00:1", true}, {"64:ff9b::a9fe:a9fe", false}, {"2002:7f00:1::", true}, {"2001:0:1::1", true}, {"::127.0.0.1", true}, {"255.255.255.255", true},
		{"198.18.0.1", true}, {"fd00:ec2::254", false}, {"100.100.100.200", false}, {"fec0::1", true},
	} {
		if ip := netip.MustParseAddr(c.ip).Unmap(); !inside(ip) || reserved(ip) == c.private {
			t.Errorf("%s: people %v, administrators %v", c.ip, !inside(ip), !reserved(ip))
		}
	}
}
