package config

import (
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Notify is how people are reached. What is empty is not offered; web push, signed webhooks and other services need no setting here.
type Notify struct {
	// SMTP is the server that takes e-mail.
	SMTP SMTP `yaml:"smtp"`
	// Telegram is a bot.
	Telegram Telegram `yaml:"telegram"`
	// Slack is a bot, or an incoming webhook.
	Slack Slack `yaml:"slack"`
	// Mattermost is a bot, or an incoming webhook.
	Mattermost Mattermost `yaml:"mattermost"`
	// Matrix is a bot's account on a homeserver.
	Matrix Matrix `yaml:"matrix"`
	// SMS is a gateway that is spoken to by HTTP.
	SMS SMSGateway `yaml:"sms"`
	// WebPush is how the makers of browsers reach whoever runs this server.
	WebPush WebPush `yaml:"web_push"`
}

// SMTP is a mail server.
type SMTP struct {
	// Address is host:port, like mail.example.org:587. Empty: no e-mail.
	Address string `yaml:"address"`
	// From is the sender, like Tocsin <tocsin@example.org>.
	From string `yaml:"from"`
	// TLS is starttls (required), tls (from the beginning, port 465) or none (only for a server on this machine or a network of your own). Default
	// starttls.
	TLS string `yaml:"tls"`
	// User and Password sign in; empty: they do not.
	User     string `yaml:"user"`
	Password Secret `yaml:"password"`
	// PasswordFile is a file that holds the password instead.
	PasswordFile string `yaml:"password_file"`
}

// Telegram is a bot made with @BotFather.
type Telegram struct {
	Token     Secret `yaml:"token"`
	TokenFile string `yaml:"token_file"`
	// URL is an own Bot API server. Empty: https://api.telegram.org.
	URL Address `yaml:"url"`
}

// Slack needs one of token and webhook.
type Slack struct {
	// Token is a bot's, with the scope chat:write. It can write to every member.
	Token     Secret `yaml:"token"`
	TokenFile string `yaml:"token_file"`
	// Webhook is the address of an incoming webhook: everything goes to its channel and names the member.
	Webhook     Secret `yaml:"webhook"`
	WebhookFile string `yaml:"webhook_file"`
	// URL is where the API is. Empty: https://slack.com.
	URL Address `yaml:"url"`
}

// Mattermost needs url and token, or webhook.
type Mattermost struct {
	// URL is the server, like https://chat.example.org.
	URL Address `yaml:"url"`
	// Token is a bot's.
	Token     Secret `yaml:"token"`
	TokenFile string `yaml:"token_file"`
	// Webhook is the address of an incoming webhook that may choose the channel.
	Webhook     Secret `yaml:"webhook"`
	WebhookFile string `yaml:"webhook_file"`
}

// Matrix is a homeserver and an account's access token.
type Matrix struct {
	// URL is the homeserver, like https://matrix.example.org.
	URL       Address `yaml:"url"`
	Token     Secret  `yaml:"token"`
	TokenFile string  `yaml:"token_file"`
}

// SMSGateway is any gateway that takes a request by HTTP. In url and body, {to} stands for the number, {text} for the text and {id} for an id that is
// the same when a message is sent again; they are quoted as the place needs it.
type SMSGateway struct {
	// URL is asked once for each message. It is treated as a secret. Empty: no SMS.
	URL Address `yaml:"url"`
	// Method is POST, PUT or GET. Default POST.
	Method string `yaml:"method"`
	// Body is what is sent, JSON or a form. Default {"to":"{to}","text":"{text}"}.
	Body string `yaml:"body"`
	// Headers are sent as they are.
	Headers Labels `yaml:"headers"`
	// Authorization is the value of the header of that name, like Bearer and a token.
	Authorization     Secret `yaml:"authorization"`
	AuthorizationFile string `yaml:"authorization_file"`
}

// WebPush is for notifications in browsers.
type WebPush struct {
	// Contact is an e-mail address that makers of browsers may write to when something is wrong with what this server sends. Empty: public_url.
	Contact string `yaml:"contact"`
}

const (
	smsHeaders = 16
	smsBody    = 4096
)

var smsMethods = []string{"", "POST", "PUT", "GET"}

func (n *Notify) secrets(one func(path, key string, secret *Secret, file string)) {
	one("notify.smtp.", "password", &n.SMTP.Password, n.SMTP.PasswordFile)
	one("notify.telegram.", "token", &n.Telegram.Token, n.Telegram.TokenFile)
	one("notify.slack.", "token", &n.Slack.Token, n.Slack.TokenFile)
	one("notify.slack.", "webhook", &n.Slack.Webhook, n.Slack.WebhookFile)
	one("notify.mattermost.", "token", &n.Mattermost.Token, n.Mattermost.TokenFile)
	one("notify.mattermost.", "webhook", &n.Mattermost.Webhook, n.Mattermost.WebhookFile)
	one("notify.matrix.", "token", &n.Matrix.Token, n.Matrix.TokenFile)
	one("notify.sms.", "authorization", &n.SMS.Authorization, n.SMS.AuthorizationFile)
}

// reachable judges how people are reached.
func (j *judge) reachable() {
	n := &j.Notify
	j.smtp(&n.SMTP)
	address := func(path string, a Address, example string) {
		u, err := url.Parse(a.Reveal())
		if a.Empty() {
			return
		}
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
			j.wrong(path, "is not an address that begins with http:// or https://, without user and password; write it like %s", example)
		}
	}
	address("notify.telegram.url", n.Telegram.URL, "https://api.telegram.org")
	address("notify.slack.url", n.Slack.URL, "https://slack.com")
	address("notify.mattermost.url", n.Mattermost.URL, "https://chat.example.org")
	address("notify.matrix.url", n.Matrix.URL, "https://matrix.example.org")
	address("notify.slack.webhook", NewAddress(n.Slack.Webhook.Reveal()), "https://hooks.slack.com/services/…")
	address("notify.mattermost.webhook", NewAddress(n.Mattermost.Webhook.Reveal()), "https://chat.example.org/hooks/…")
	address("notify.sms.url", NewAddress(strings.NewReplacer("{to}", "x", "{text}", "x", "{id}", "x").Replace(n.SMS.URL.Reveal())), "https://sms.example.org/send")
	if !n.Slack.Token.Empty() && !n.Slack.Webhook.Empty() {
		j.wrong("notify.slack", "has a token and a webhook; keep one of the two (a token reaches every member)")
	}
	if !n.Mattermost.Token.Empty() && !n.Mattermost.Webhook.Empty() {
		j.wrong("notify.mattermost", "has a token and a webhook; keep one of the two (a token reaches every member)")
	}
	if !n.Mattermost.Token.Empty() && n.Mattermost.URL.Empty() {
		j.wrong("notify.mattermost.url", "is missing; write the address of the server, like https://chat.example.org")
	}
	if n.Matrix.URL.Empty() != n.Matrix.Token.Empty() {
		j.wrong("notify.matrix", "needs url and token; add the one that is missing")
	}
	if j.Notify.SMS.URL.Empty() {
		if n.SMS.Body != "" || !n.SMS.Authorization.Empty() || len(n.SMS.Headers) > 0 {
			j.wrong("notify.sms.url", "is missing; write the address of the gateway")
		}
	} else {
		j.sms(&n.SMS)
	}
	if c := n.WebPush.Contact; c != "" {
		if a, err := mail.ParseAddress(c); err != nil || a.Address != c {
			j.wrong("notify.web_push.contact", "%q is not an e-mail address; write it like ops@example.org", c)
		}
	}
}

func (j *judge) smtp(s *SMTP) {
	if s.Address == "" {
		if s.From != "" || s.User != "" || !s.Password.Empty() {
			j.wrong("notify.smtp.address", "is missing; write it like mail.example.org:587")
		}
		return
	}
	host, port, err := net.SplitHostPort(s.Address)
	if n, bad := strconv.Atoi(port); err != nil || host == "" || bad != nil || n < 1 || n > 65535 {
		j.wrong("notify.smtp.address", "%q is not a server with its port; write it like mail.example.org:587", s.Address)
	}
	if _, err := mail.ParseAddress(s.From); err != nil {
		j.wrong("notify.smtp.from", "%q is not a sender; write it like Tocsin <tocsin@example.org>", s.From)
	}
	if s.TLS != "" {
		j.oneOf("notify.smtp.tls", s.TLS, []string{"starttls", "tls", "none"})
	}
	if (s.User == "") != s.Password.Empty() {
		j.wrong("notify.smtp", "needs user and password, or neither; add the one that is missing")
	}
	if s.TLS == "none" && s.User != "" {
		j.wrong("notify.smtp.tls", "would send the password in the clear; write starttls or tls, or remove user and password")
	}
}

func (j *judge) sms(s *SMSGateway) {
	if !slices.Contains(smsMethods, s.Method) {
		j.wrong("notify.sms.method", "%q is not taken; write POST, PUT or GET", s.Method)
	}
	if len(s.Body) > smsBody {
		j.wrong("notify.sms.body", "has %d bytes; use at most %d", len(s.Body), smsBody)
	}
	if all := s.URL.Reveal() + s.Body; s.Body != "" || s.Method == "GET" {
		if !strings.Contains(all, "{to}") || !strings.Contains(all, "{text}") {
			j.wrong("notify.sms", "url and body must hold {to} and {text}; put them where the gateway wants the number and the text")
		}
	}
	if len(s.Headers) > smsHeaders {
		j.wrong("notify.sms.headers", "there are %d headers; use at most %d", len(s.Headers), smsHeaders)
	}
	for name, value := range s.Headers {
		if strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" || strings.ContainsAny(value, "\r\n\x00") {
			j.wrong("notify.sms.headers", "%q cannot be a header; use letters, digits and dashes, and one line of text", fmt.Sprintf("%.60s", name))
		}
	}
}
