package send

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"html"
	"net"
	"net/mail"
	"regexp"
	"strconv"
	"strings"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/notify"
)

// email hands messages to one mail server. The Message-ID is the idempotency key: mail servers and readers know a message that comes again by it.
type email struct {
	host string
	from *mail.Address
	at   string // domain of ids
	opts []gomail.Option
}

func newMail(c config.SMTP) *email {
	host, port, _ := net.SplitHostPort(c.Address) // judged by config
	number, _ := strconv.Atoi(port)
	from, err := mail.ParseAddress(c.From)
	if err != nil {
		from = &mail.Address{Name: "Tocsin", Address: "tocsin@localhost"}
	}
	_, at, _ := strings.Cut(from.Address, "@")
	m := &email{host: host, from: from, at: at}
	m.opts = []gomail.Option{gomail.WithPort(number), gomail.WithHELO(at), gomail.WithTLSConfig(&tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}), gomail.WithoutNoop()}
	switch c.TLS {
	case "tls":
		m.opts = append(m.opts, gomail.WithSSL())
	case "none":
		m.opts = append(m.opts, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		m.opts = append(m.opts, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if c.User != "" {
		m.opts = append(m.opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(c.User), gomail.WithPassword(c.Password.Reveal()))
	}
	return m
}

func (*email) Kind() string { return notify.Email }

func (m *email) Send(ctx context.Context, p notify.Parcel) (notify.Answer, error) {
	msg, err := m.write(p)
	if err != nil {
		return notify.Answer{}, err
	}
	c, err := gomail.NewClient(m.host, m.opts...)
	if err != nil {
		return notify.Answer{}, failure("the settings of the mail server are not good")
	}
	conn, err := c.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return notify.Answer{}, mailFault(err, false)
	}
	// go-mail keeps to the deadline of its own; ours is nearer.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	err = c.SendWithSMTPClient(conn, msg)
	answer := notify.Answer{ID: short(queued(msg.ServerResponse())), Detail: "the mail server took it"}
	quit(c, conn)
	if err != nil {
		return notify.Answer{}, mailFault(err, true)
	}
	return answer, nil
}

// quit ends the session. What the server says to that changes nothing: it has the message.
func quit(c *gomail.Client, conn *smtp.Client) { _ = c.CloseWithSMTPClient(conn) }

func (m *email) write(p notify.Parcel) (*gomail.Msg, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := errors.Join(msg.FromFormat(m.from.Name, m.from.Address), msg.To(p.Route.Address)); err != nil {
		return nil, failure("the e-mail address is not one")
	}
	msg.Subject(p.Text.Subject)
	msg.SetDate()
	msg.SetMessageIDWithValue(p.Key + "@" + m.at)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834
	worst := ""
	for _, one := range p.Messages {
		if one.Severity != "" && (worst == "" || one.Severity < worst) {
			worst = one.Severity
		}
	}
	if worst != "" && worst <= "SEV2" {
		msg.SetImportance(gomail.ImportanceHigh)
	}
	if n := p.Messages[0].Incident; len(p.Messages) == 1 && n > 0 {
		msg.SetGenHeader("References", fmt.Sprintf("<incident-%d@%s>", n, m.at)) // one thread an incident
	}
	msg.SetBodyString(gomail.TypeTextPlain, p.Text.Plain+"\n")
	msg.AddAlternativeString(gomail.TypeTextHTML, page(p.Text))
	return msg, nil
}

// page is the message as small HTML: no picture, no style of others, nothing loaded.
func page(t notify.Text) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html><html><body style=\"font-family:sans-serif;font-size:16px;line-height:1.4\"><p><strong>%s</strong></p>", html.EscapeString(t.Subject))
	if t.Body != "" {
		fmt.Fprintf(&b, "<p>%s</p>", strings.ReplaceAll(html.EscapeString(t.Body), "\n", "<br>"))
	}
	link := func(address, text string) {
		if strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://") {
			fmt.Fprintf(&b, "<p><a href=\"%s\">%s</a></p>", html.EscapeString(address), text)
		}
	}
	link(t.AckURL, "I have it / not me")
	link(t.URL, "Open")
	b.WriteString("</body></html>")
	return b.String()
}

var queueForm = regexp.MustCompile(`(?i)(?:queued as|id=|message accepted for delivery|as) ?<?([A-Za-z0-9.-]{4,60})`)

// queued finds the id under which the server queued the message, as the usual ones write it.
func queued(response string) string {
	if m := queueForm.FindStringSubmatch(response); m != nil {
		return m[1]
	}
	return ""
}

// mailFault turns an error of go-mail into a failure: 5xx is for good (RFC 5321, 4.2.1), 4xx passes. during says that the message was on its way.
func mailFault(err error, during bool) *notify.Failure {
	var s *gomail.SendError
	if errors.As(err, &s) {
		if status := s.ErrorCode(); status >= 500 {
			if s.Reason == gomail.ErrSMTPRcptTo {
				return failure("the mail server refused the address (%d)", status)
			}
			return failure("the mail server refused the message (%d)", status)
		} else if status >= 400 {
			return &notify.Failure{Reason: fmt.Sprintf("the mail server does not take it now (%d)", status)}
		}
		if s.Reason != gomail.ErrSMTPDataClose && s.Reason != gomail.ErrWriteContent && s.Reason != gomail.ErrAmbiguous {
			return &notify.Failure{Reason: "the mail server broke off before it had the message"}
		}
	}
	var status interface{ Code() int }
	text := err.Error()
	switch {
	case errors.As(err, &status) && status.Code() >= 500, strings.Contains(text, "535 "), strings.Contains(text, "534 "):
		return failure("the mail server refused the sign-in of this server")
	case strings.Contains(text, "STARTTLS"):
		return failure("the mail server does not offer STARTTLS")
	}
	f := fault(err)
	f.Unknown = f.Unknown && during
	return f
}
