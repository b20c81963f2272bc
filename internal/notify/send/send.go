// Package send owns how each provider is spoken to: e-mail, web push, SMS gateways, Telegram, Slack, Mattermost, Matrix, signed webhooks, and through
// shoutrrr the rest. It never decides whether or when something is sent, and no address, token or body of an answer leaves it in an error.
package send

import (
	"net/url"

	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/notify"
)

// New returns a sender for every kind that the settings allow, and for the others what to set up. base is the outside address of this server.
func New(c config.Notify, base string, keys notify.PushKeys) (list []notify.Sender, off map[string]string) {
	off = map[string]string{}
	list = []notify.Sender{newPush(c.WebPush, base, keys), newWebhook(), newOther()}
	if c.SMTP.Address != "" {
		list = append(list, newMail(c.SMTP))
	} else {
		off[notify.Email] = "The server has no mail server. An administrator sets notify.smtp in the configuration file."
	}
	if !c.Telegram.Token.Empty() {
		list = append(list, newTelegram(c.Telegram))
	} else {
		off[notify.Telegram] = "The server has no Telegram bot. An administrator makes one with @BotFather and sets notify.telegram.token_file."
	}
	if !c.Slack.Token.Empty() || !c.Slack.Webhook.Empty() {
		list = append(list, newSlack(c.Slack))
	} else {
		off[notify.Slack] = "The server is no app of a Slack workspace. An administrator makes one with the scope chat:write and sets notify.slack.token_file."
	}
	if !c.Mattermost.Token.Empty() || !c.Mattermost.Webhook.Empty() {
		list = append(list, newMattermost(c.Mattermost))
	} else {
		off[notify.Mattermost] = "The server has no Mattermost bot. An administrator sets notify.mattermost with url and token_file, or webhook_file."
	}
	if !c.Matrix.Token.Empty() {
		list = append(list, newMatrix(c.Matrix))
	} else {
		off[notify.Matrix] = "The server has no Matrix account. An administrator sets notify.matrix with url and token_file."
	}
	if !c.SMS.URL.Empty() {
		list = append(list, newSMS(c.SMS))
	} else {
		off[notify.SMS] = "The server has no SMS gateway. An administrator sets notify.sms.url to one that takes requests by HTTP."
	}
	return list, off
}

// hostOf is the host of an address, for ids; "tocsin.invalid" when there is none.
func hostOf(base string) string {
	if u, err := url.Parse(base); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	return "tocsin.invalid"
}
