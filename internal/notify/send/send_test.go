package send

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/notify"
)

func TestMain(m *testing.M) {
	code := m.Run()
	for _, c := range []*http.Client{own, public, private, http.DefaultClient} {
		c.CloseIdleConnections()
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

// secret stands in every address and token of these tests: no receipt may repeat it.
const secret = "s3cr3t-never-shown"

// said is a provider's server: it keeps the requests and answers from testdata.
type said struct {
	*httptest.Server
	status int
	body   string
	header map[string]string
	got    []*http.Request
	bodies []string
}

func provider(t *testing.T, status int, file string) *said {
	t.Helper()
	s := &said{status: status, header: map[string]string{}}
	if file != "" {
		raw, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			s.body = file
		} else {
			s.body = string(raw)
		}
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		s.got, s.bodies = append(s.got, r), append(s.bodies, string(raw))
		for k, v := range s.header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(s.status)
		_, _ = io.WriteString(w, s.body)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *said) sent(t *testing.T) (*http.Request, map[string]any) {
	t.Helper()
	if len(s.got) != 1 {
		t.Fatalf("%d requests", len(s.got))
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(s.bodies[0]), &v); err != nil {
		t.Fatalf("%q: %v", s.bodies[0], err)
	}
	return s.got[0], v
}

func parcel(kind, address string) notify.Parcel {
	m := notify.Message{ID: "p42-ana", Person: "ana", Kind: notify.KindPage, Incident: 42, Severity: "SEV1", Title: "Nomad <bridge>: outflow", URL: "https://tocsin.example/incidents/42"}
	return notify.Parcel{Key: "0123456789abcdef0123456789abcdef", Route: notify.Route{ID: "r1", Kind: kind, Address: address}, Messages: []notify.Message{m},
		Text: notify.Text{Subject: "⬣ SEV1 #42 Nomad <bridge>: outflow", Body: "5.4 % of TVL in 5 min\nCost: $1,200 a minute", URL: m.URL, Short: "SEV1 #42 Nomad <bridge>: outflow \"now\"", Plain: "⬣ SEV1 #42 Nomad <bridge>: outflow\n5.4 % of TVL in 5 min"}}
}

// outcome writes what a sender said as one line.
func outcome(a notify.Answer, err error) string {
	if err == nil {
		return "taken " + a.ID + ": " + a.Detail
	}
	var f *notify.Failure
	if !errors.As(err, &f) {
		return "NOT A FAILURE " + err.Error()
	}
	kind := "temporary"
	if f.Permanent {
		kind = "permanent"
	}
	if f.Unknown {
		kind += " unknown"
	}
	if f.RetryAfter > 0 {
		kind += " after " + f.RetryAfter.String()
	}
	return kind + ": " + f.Reason
}

func check(t *testing.T, name, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", name, got, want)
	}
	if strings.Contains(got, secret) || strings.Contains(got, "127.0.0.1") || strings.Contains(got, "http") {
		t.Errorf("%s: an address or a secret is told: %s", name, got)
	}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name, kind, address, file string
		status                    int
		header                    string
		want                      string
	}{
		{"telegram", notify.Telegram, "987654321", "telegram-ok.json", 200, "", "taken 7781: Telegram took it"},
		{"telegram limited", notify.Telegram, "987654321", "telegram-429.json", 429, "", "temporary after 14s: Telegram wants fewer messages"},
		{"telegram blocked", notify.Telegram, "987654321", "telegram-403.json", 403, "", "permanent: the bot was blocked in this chat"},
		{"telegram no chat", notify.Telegram, "1", "telegram-400.json", 400, "", "permanent: Telegram does not know this chat; send /start to the bot first"},
		{"telegram token", notify.Telegram, "1", "telegram-401.json", 401, "", "permanent: Telegram does not know the bot's token"},
		{"telegram down", notify.Telegram, "1", "<html>bad gateway</html>", 502, "", "temporary: Telegram answered 502"},
		{"telegram nonsense", notify.Telegram, "1", "<html>", 200, "", "temporary unknown: Telegram answered what is not understood"},
		{"slack", notify.Slack, "U012ABCDEF", "slack-ok.json", 200, "", "taken 1503435956.000247: Slack took it"},
		{"slack channel", notify.Slack, "U012ABCDEF", "slack-channel.json", 200, "", "permanent: Slack does not know this member or channel, or the bot is not in it (channel_not_found)"},
		{"slack token", notify.Slack, "U012ABCDEF", "slack-auth.json", 200, "", "permanent: Slack refused it: invalid_auth"},
		{"slack limited", notify.Slack, "U012ABCDEF", "slack-limited.json", 429, "30", "temporary after 30s: Slack wants fewer messages"},
		{"slack trouble", notify.Slack, "U012ABCDEF", "slack-internal.json", 200, "", "temporary unknown: Slack refused it: internal_error"},
		{"slack hook", "slack-hook", "U012ABCDEF", "ok", 200, "", "taken : Slack took it"},
		{"slack hook archived", "slack-hook", "U012ABCDEF", "channel_is_archived", 410, "", "permanent: Slack answered 410: channel_is_archived"},
		{"slack hook gone", "slack-hook", "U012ABCDEF", "no_service", 404, "", "permanent: Slack answered 404: no_service"},
		{"slack hook rollup", "slack-hook", "U012ABCDEF", "rollup_error", 500, "", "temporary: Slack answered 500: rollup_error"},
		{"slack hook elsewhere", "slack-hook", "U012ABCDEF", "", 302, "", "permanent: Slack answered with another address, which is not followed"},
		{"mattermost", notify.Mattermost, "c1", "mattermost-ok.json", 201, "", "taken 4xp9fdt7pbgium38k0k6w95oa4: Mattermost took it"},
		{"mattermost token", notify.Mattermost, "c1", "mattermost-401.json", 401, "", "permanent: Mattermost answered 401: api.context.session_expired.app_error"},
		{"mattermost rights", notify.Mattermost, "c1", "mattermost-403.json", 403, "", "permanent: Mattermost answered 403: api.context.permissions.app_error"},
		{"mattermost hook", "mattermost-hook", "@ana", "ok", 200, "", "taken : Mattermost took it"},
		{"matrix", notify.Matrix, "!abc:example.com", "matrix-ok.json", 200, "", "taken $YUwRidLecu:example.com: the homeserver took it"},
		{"matrix limited", notify.Matrix, "!abc:example.com", "matrix-429.json", 429, "", "temporary after 2s: the homeserver wants fewer messages"},
		{"matrix room", notify.Matrix, "!abc:example.com", "matrix-403.json", 403, "", "permanent: the bot is not in this room"},
		{"matrix token", notify.Matrix, "!abc:example.com", "matrix-401.json", 401, "", "permanent: the homeserver does not know the access token"},
		{"sms", notify.SMS, "+41791234567", `{"messages":[{"status":"queued"}]}`, 202, "", "taken : the SMS gateway took it"},
		{"sms refused", notify.SMS, "+41791234567", secret, 400, "", "permanent: the SMS gateway answered 400"},
		{"webhook", notify.Webhook, "", "", 204, "", "taken : the webhook took it"},
		{"webhook gone", notify.Webhook, "", secret, 410, "", "permanent: the webhook answered 410"},
		{"webhook down", notify.Webhook, "", "", 503, "7", "temporary after 7s: the webhook answered 503"},
	} {
		s := provider(t, c.status, c.file)
		if c.header != "" {
			s.header["Retry-After"] = c.header
		}
		if c.status == 302 {
			s.header["Location"] = s.URL + "/" + secret
		}
		p := parcel(c.kind, c.address)
		got := outcome(senderFor(c.kind, s.URL, &p).Send(t.Context(), p))
		check(t, c.name, got, c.want)
		if len(s.got) != 1 {
			t.Errorf("%s: %d requests", c.name, len(s.got))
		}
	}
}

// senderFor is the sender of a kind that speaks to a server of the test.
func senderFor(kind, base string, p *notify.Parcel) notify.Sender {
	token, at := config.NewSecret(secret), config.NewAddress(base)
	switch kind {
	case notify.Telegram:
		return newTelegram(config.Telegram{Token: token, URL: at})
	case notify.Slack:
		return newSlack(config.Slack{Token: token, URL: at})
	case "slack-hook":
		return newSlack(config.Slack{Webhook: config.NewSecret(base + "/services/" + secret)})
	case notify.Mattermost:
		return newMattermost(config.Mattermost{Token: token, URL: at})
	case "mattermost-hook":
		return newMattermost(config.Mattermost{Webhook: config.NewSecret(base + "/hooks/" + secret)})
	case notify.Matrix:
		return newMatrix(config.Matrix{Token: token, URL: at})
	case notify.SMS:
		return newSMS(config.SMSGateway{URL: config.NewAddress(base + "/send?key=" + secret), Authorization: token})
	}
	p.Route.Address, p.Route.Private, p.Route.Secrets = base+"/"+secret, true, []string{"new", "old"}
	return newWebhook()
}

func TestRequests(t *testing.T) {
	send := func(kind, address, file string, status int) (*http.Request, map[string]any) {
		t.Helper()
		s := provider(t, status, file)
		p := parcel(kind, address)
		if got := outcome(senderFor(kind, s.URL, &p).Send(t.Context(), p)); !strings.HasPrefix(got, "taken") {
			t.Fatal(got)
		}
		return s.sent(t)
	}
	r, v := send(notify.Telegram, "987654321", "telegram-ok.json", 200)
	if r.Method != "POST" || r.URL.Path != "/bot"+secret+"/sendMessage" || v["chat_id"] != "987654321" || !strings.HasPrefix(fmt.Sprint(v["text"]), "⬣ SEV1 #42") {
		t.Errorf("telegram: %s %s %v", r.Method, r.URL, v)
	}
	r, v = send(notify.Slack, "U012ABCDEF", "slack-ok.json", 200)
	if r.URL.Path != "/api/chat.postMessage" || r.Header.Get("Authorization") != "Bearer "+secret || v["channel"] != "U012ABCDEF" || !strings.Contains(fmt.Sprint(v["text"]), "&lt;bridge&gt;") ||
		r.Header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("slack: %s %v", r.URL, v)
	}
	_, v = send("slack-hook", "U012ABCDEF", "ok", 200)
	if !strings.HasPrefix(fmt.Sprint(v["text"]), "<@U012ABCDEF> ⬣") || v["channel"] != nil {
		t.Errorf("slack webhook: %v", v)
	}
	r, v = send(notify.Mattermost, "c1", "mattermost-ok.json", 201)
	if r.URL.Path != "/api/v4/posts" || v["channel_id"] != "c1" || v["pending_post_id"] != "0123456789abcdef0123456789abcdef" || r.Header.Get("Authorization") != "Bearer "+secret {
		t.Errorf("mattermost: %s %v", r.URL, v)
	}
	_, v = send("mattermost-hook", "@ana", "ok", 200)
	if v["channel"] != "@ana" || v["text"] == nil {
		t.Errorf("mattermost webhook: %v", v)
	}
	r, v = send(notify.Matrix, "!abc:example.com", "matrix-ok.json", 200)
	if r.Method != "PUT" || r.URL.EscapedPath() != "/_matrix/client/v3/rooms/%21abc:example.com/send/m.room.message/0123456789abcdef0123456789abcdef" || v["msgtype"] != "m.text" ||
		!strings.Contains(fmt.Sprint(v["formatted_body"]), "<strong>⬣ SEV1 #42 Nomad &lt;bridge&gt;") {
		t.Errorf("matrix: %s %s %v", r.Method, r.URL.EscapedPath(), v)
	}
	r, v = send(notify.SMS, "+41791234567", "{}", 200)
	if r.Method != "POST" || v["to"] != "+41791234567" || v["text"] != "SEV1 #42 Nomad <bridge>: outflow \"now\"" || r.Header.Get("Authorization") != secret {
		t.Errorf("sms: %v", v)
	}
}

func TestSMSTemplates(t *testing.T) {
	p := parcel(notify.SMS, "+41791234567")
	s := provider(t, 200, "ok")
	for _, c := range []config.SMSGateway{
		{URL: config.NewAddress(s.URL + "/send?to={to}&text={text}"), Method: "GET"},
		{URL: config.NewAddress(s.URL + "/send"), Body: "To={to}&Body={text}&Ref={id}", Headers: config.Labels{"X-Account": "ops"}},
	} {
		if _, err := newSMS(c).Send(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if q := s.got[0].URL.Query(); q.Get("to") != "+41791234567" || q.Get("text") != p.Text.Short || s.bodies[0] != "" {
		t.Errorf("GET %v", q)
	}
	if s.got[1].Header.Get("Content-Type") != "application/x-www-form-urlencoded" || s.got[1].Header.Get("X-Account") != "ops" || !strings.Contains(s.bodies[1], "Body=SEV1+%2342+Nomad+%3Cbridge%3E") {
		t.Errorf("form %q", s.bodies[1])
	}
}

func TestMattermostDirect(t *testing.T) {
	var paths []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.Method+" "+r.URL.Path)
		raw, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/api/v4/users/me":
			_, _ = io.WriteString(w, `{"id":"bot1"}`)
		case "/api/v4/users/username/ana":
			_, _ = io.WriteString(w, `{"id":"ana1"}`)
		case "/api/v4/channels/direct":
			if string(raw) != `["bot1","ana1"]` {
				t.Errorf("%s", raw)
			}
			w.WriteHeader(201)
			_, _ = io.WriteString(w, `{"id":"dm1"}`)
		default:
			if !strings.Contains(string(raw), `"channel_id":"dm1"`) {
				t.Errorf("%s", raw)
			}
			w.WriteHeader(201)
			_, _ = io.WriteString(w, `{"id":"post1"}`)
		}
	}))
	defer srv.Close()
	p := parcel(notify.Mattermost, "@ana")
	if got := outcome(senderFor(notify.Mattermost, srv.URL, &p).Send(t.Context(), p)); got != "taken post1: Mattermost took it" || len(paths) != 4 {
		t.Fatal(got, paths)
	}
}

func TestWebhookIsSigned(t *testing.T) {
	s := provider(t, 200, "")
	p := parcel(notify.Webhook, "")
	if _, err := senderFor(notify.Webhook, s.URL, &p).Send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	r, v := s.sent(t)
	want := Sign([]byte(s.bodies[0]), []string{"new", "old"})
	if got := r.Header.Get(HeaderSignature); got != want || strings.Count(got, "v1=") != 2 || r.Header.Get(HeaderDelivery) != p.Key || v["id"] != p.Key {
		t.Fatalf("%q %v", got, v)
	}
	// As: printf hello | openssl dgst -sha256 -hmac new
	if got := Sign([]byte("hello"), []string{"new"}); got != "v1=feeb75c1ad9b4a9f0f9e6097fc1acc9eea82eb3d881152ae7cb0b2ad5f67cd38" {
		t.Fatal(got)
	}
}

func TestWhereAddressesMayLead(t *testing.T) {
	for _, c := range []struct {
		ip              string
		public, private bool
	}{
		{"93.184.216.34", true, true}, {"2606:2800:220:1::1", true, true}, {"127.0.0.1", false, true}, {"::1", false, true}, {"10.1.2.3", false, true}, {"192.168.0.1", false, true},
		{"172.16.0.1", false, true}, {"fd00::1", false, true}, {"100.64.0.1", false, true}, {"169.254.169.254", false, false}, {"fe80::1", false, false}, {"0.0.0.0", false, false}, {"224.0.0.1", false, false},
		{"::ffff:127.0.0.1", false, true}, {"::ffff:169.254.169.254", false, false},
	} {
		ip := netip.MustParseAddr(c.ip).Unmap()
		if !inside(ip) != c.public || !reserved(ip) != c.private {
			t.Errorf("%s: people %v, administrators %v", c.ip, !inside(ip), !reserved(ip))
		}
	}
	s := provider(t, 200, "")
	for _, kind := range []string{notify.Webhook, notify.Push} {
		p := parcel(kind, s.URL)
		var sender notify.Sender = newWebhook()
		if kind == notify.Push {
			sender, p = pushTo(t, s.URL)
		}
		check(t, kind, outcome(sender.Send(t.Context(), p)), "permanent: the address leads into a network that may not be written to")
		// A name is judged by where it leads when it is dialled.
		p.Route.Address = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
		if kind == notify.Webhook {
			check(t, "localhost", outcome(sender.Send(t.Context(), p)), "permanent: the address leads into a network that may not be written to")
		}
	}
	if len(s.got) != 0 {
		t.Fatal("a request went out")
	}
}

func TestNoAnswer(t *testing.T) {
	hold := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(hold)
	p := parcel(notify.Telegram, "1")
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	check(t, "slow", outcome(senderFor(notify.Telegram, srv.URL, &p).Send(ctx, p)), "temporary unknown: the server did not answer in time")
	check(t, "closed port", outcome(senderFor(notify.Telegram, "http://127.0.0.1:1", &p).Send(t.Context(), p)), "temporary: the server cannot be reached")
	check(t, "no such name", strings.Replace(outcome(senderFor(notify.Telegram, "http://nobody.invalid", &p).Send(t.Context(), p)), "was not found", "", 1), "temporary: the name of the server ")
}

func TestOtherSpeaksThroughShoutrrr(t *testing.T) {
	s := provider(t, 200, `{"id":"x","event":"message"}`)
	host := strings.TrimPrefix(s.URL, "http://")
	p := parcel(notify.Other, "ntfy://"+host+"/"+secret+"?scheme=http")
	check(t, "ntfy", outcome(newOther().Send(t.Context(), p)), "taken : the service took it")
	if len(s.got) != 1 || !strings.Contains(s.bodies[0], "SEV1 #42") {
		t.Fatalf("%q", s.bodies)
	}
	s.status = 403
	if got := outcome(newOther().Send(t.Context(), p)); strings.HasPrefix(got, "taken") || strings.Contains(got, secret) {
		t.Fatal(got)
	}
	p.Route.Address = "ntfy://%zz" + secret
	check(t, "broken", outcome(newOther().Send(t.Context(), p)), "permanent: the service does not understand its address")
}

// Whatever a provider answers: no panic, a verdict, and none of its text beyond documented words.
func FuzzAnswers(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.json")
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, 200, "5")
		f.Add(raw, 429, "Fri, 31 Dec 2100 23:59:59 GMT")
	}
	f.Fuzz(func(t *testing.T, body []byte, status int, after string) {
		a := answer{status: status, header: http.Header{"Retry-After": {after}, "Location": {string(body)}}, body: body}
		for name, read := range map[string]func(answer) (notify.Answer, error){"telegram": telegramSaid, "slack": slackSaid, "matrix": matrixSaid, "push": pushSaid,
			"hook": func(a answer) (notify.Answer, error) { return hookSaid(a, "x") },
			"mattermost": func(a answer) (notify.Answer, error) {
				var v struct{ ID string }
				return notify.Answer{}, mattermostSaid(a, &v)
			},
			"other": func(a answer) (notify.Answer, error) { return otherSaid(errors.New(string(a.body))) }} {
			got, err := read(a)
			var fail *notify.Failure
			if err != nil && !errors.As(err, &fail) {
				t.Fatalf("%s: %T", name, err)
			}
			if fail != nil && (fail.RetryAfter < 0 || fail.RetryAfter > waitMost || len(fail.Reason) > 200 || strings.ContainsAny(strings.Replace(fail.Reason, "/start", "", 1), "\n/@")) {
				t.Fatalf("%s: %+v", name, fail)
			}
			if len(got.ID) > 120 || strings.ContainsAny(got.ID, "\n ") {
				t.Fatalf("%s: id %q", name, got.ID)
			}
		}
	})
}
